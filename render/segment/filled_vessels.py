"""Vessels filled with dye in CT: what is as bright as blood with dye and no bone, in pieces of some size."""

from collections.abc import Callable

import numpy as np
import scipy

from render.contrast import contrast_levels
from render.mask_steps import Structure
from render.segment.finding import Finding
from render.segment.grid import VoxelMask, in_range, largest_piece, spread, voxel_mm3
from render.segment.shaping import grown
from render.segment.trunk import clamped, in_hounsfield, nothing
from render.volume import Volume

_SHARE = 0.45  # of the way from tissue to lumen: half of it is the edge, and narrow vessels are darker
_LEAST_ML = 0.7
_BONE_RIM_MM = 1.5  # the edge of bone is blurred, and as bright as dye
_MOST_PIECES = 40


def filled_vessels(volume: Volume, found: Callable[[Volume, Structure], Finding]) -> Finding:
    """Finds the vessels filled with dye, and whatever else dye fills as evenly (heart, kidneys). CT in HU.

    found : finds bone and body, or remembers them.
    """
    if not in_hounsfield(volume):
        return nothing(volume, f"Dye is known by its density in HU; this volume is in {volume.unit}.")
    levels = contrast_levels(volume)
    if levels is None:
        return nothing(volume, "No vessel filled with dye is seen.")
    low = levels.tissue + _SHARE * (levels.lumen - levels.tissue)
    bright = in_range(volume.voxels, round(low), np.inf)
    bones = found(volume, "bone")
    if not bones.declined:
        bright &= grown(bones.region, _BONE_RIM_MM, volume.spacing_mm) ^ 1
    least = _LEAST_ML * 1000.0 / voxel_mm3(volume)
    filled = _in_the_body(found(volume, "body"), largest_piece(bright, _MOST_PIECES, least))
    if not filled.any():
        return nothing(volume, "Nothing filled with dye is larger than a fraction of a millilitre.")
    # Samples lie between voxels: without a rim the edge of a vessel would be cut away.
    allowed = np.asarray(bright | (bones.region ^ 1), dtype=np.uint8)
    rim = spread(filled.copy(), allowed, False, (1, 1, 1))
    sure = bones.confidence if not bones.declined else 0.5
    return Finding(rim, clamped(0.9 * sure * min(1.0, (levels.lumen - levels.tissue) / 150.0)))


def _in_the_body(inside: Finding, pieces: VoxelMask) -> VoxelMask:
    """Returns the pieces that lie in the body for the most part: a table has metal, which is as bright."""
    if inside.declined:
        return pieces
    labels, _ = scipy.ndimage.label(pieces)
    whole = np.bincount(labels.reshape(-1))
    kept = 2 * np.bincount(labels[inside.region == 1], minlength=len(whole)) >= whole
    kept[0] = False
    return np.asarray(kept[labels], dtype=np.uint8)
