"""What an automatic tool answers: a region and how sure it is, or the reason why it declines."""

from dataclasses import dataclass

from render.segment.grid import VoxelMask


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """What a tool found. region : (K, J, I) uint8, 1 within, all 0 where it declined. confidence : 0…1, 0 where it
    declined. declined : the reason in a sentence, empty where something was found."""

    region: VoxelMask
    confidence: float
    declined: str = ""
