"""stub"""

from dataclasses import dataclass

from render.mask_steps import Lesion
from render.segment.grid import VoxelMask
from render.volume import Volume


@dataclass(frozen=True)
class LesionMeasures:
    pass


def measure_lesion(volume, at): ...
def lesion_region(volume: Volume, step: Lesion) -> VoxelMask: ...
