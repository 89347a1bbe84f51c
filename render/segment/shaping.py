"""Regions in another shape: grown, shrunk, opened, closed, filled and smoothed by millimetres; pieces kept; Boolean."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from render.mask_steps import Boolean, KeptParts, Shaped
from render.segment.grid import RegionPieces, VoxelMask, box_of, squares_mm2, voxel_mm3, wider, without
from render.volume import Volume

_EPSILON = 1e-4  # mm², so that a voxel exactly at the radius is within it


def grown(region: VoxelMask, radius_mm: float, spacing_mm: Sequence[float]) -> VoxelMask:
    """Returns all voxels within the radius of a region."""
    near = squares_mm2(region, 1, spacing_mm) <= np.float32(radius_mm * radius_mm + _EPSILON)
    return np.asarray(near).view(np.uint8)


def shrunk(region: VoxelMask, radius_mm: float, spacing_mm: Sequence[float]) -> VoxelMask:
    """Returns the voxels of a region farther than the radius from all others; the end of the grid is no border."""
    far = squares_mm2(region, 0, spacing_mm) > np.float32(radius_mm * radius_mm + _EPSILON)
    return far.view(np.uint8)


def opened(region: VoxelMask, radius_mm: float, spacing_mm: Sequence[float]) -> VoxelMask:
    """Returns the region without the parts that are thinner than the ball."""
    return grown(shrunk(region, radius_mm, spacing_mm), radius_mm, spacing_mm) & region


def closed(region: VoxelMask, radius_mm: float, spacing_mm: Sequence[float]) -> VoxelMask:
    """Returns the region with the gaps filled that are narrower than the ball."""
    return shrunk(grown(region, radius_mm, spacing_mm), radius_mm, spacing_mm) | region


def filled(region: VoxelMask) -> VoxelMask:
    """Returns the region with the holes that no way by faces leads out of."""
    rest = RegionPieces(np.pad((region == 0).view(np.uint8), 1, constant_values=1))
    outside = rest.marked(np.arange(len(rest.runs)) == rest.at((0, 0, 0)))
    return np.asarray(outside[1:-1, 1:-1, 1:-1] == 0).view(np.uint8)


def filled_slices(region: VoxelMask, axis: int = 0) -> VoxelMask:
    """Returns the region with the holes of each slice filled that no way within the slice leads out of."""
    out = np.empty_like(region)
    for n in range(region.shape[axis]):
        at = tuple(n if a == axis else slice(None) for a in range(3))
        out[at] = ndimage.binary_fill_holes(region[at])
    return out


def smoothed(region: VoxelMask, deviation_mm: float, spacing_mm: Sequence[float]) -> VoxelMask:
    """Returns where a Gauss function finds more of the region than of anything else."""
    widths = [deviation_mm / spacing for spacing in spacing_mm]
    soft = ndimage.gaussian_filter(region.astype(np.float32), widths, truncate=3.0, mode="nearest")
    return np.asarray(soft >= np.float32(0.5)).view(np.uint8)


def parts(volume: Volume, of: VoxelMask, step: KeptParts) -> VoxelMask:
    """Returns the pieces that the step keeps."""
    pieces = RegionPieces(of)
    # A thousandth of a voxel less, because ml are rounded.
    least = step.least_ml * 1000.0 / voxel_mm3(volume) - 1e-3
    return pieces.marked(pieces.largest(step.largest, least))


def shaped(volume: Volume, of: VoxelMask, step: Shaped) -> VoxelMask:
    """Returns the region in its new shape."""
    box = box_of(of)
    if box is None or (step.radius_mm == 0.0 and step.operation != "fill"):
        return of
    margin = 3.0 * step.radius_mm if step.operation == "smooth" else step.radius_mm
    box = wider(box, margin, volume)
    part, radius, spacing = np.ascontiguousarray(of[box]), step.radius_mm, volume.spacing_mm
    if step.operation in ("grow", "shrink"):
        # The border lies half a voxel beyond the middles between which distances run.
        radius += 0.5 * min(spacing)
    change = {"grow": grown, "shrink": shrunk, "open": opened, "close": closed, "smooth": smoothed}
    out = np.zeros_like(of)
    out[box] = filled(part) if step.operation == "fill" else change[step.operation](part, radius, spacing)
    return out


def combined(of: VoxelMask, other: VoxelMask, step: Boolean) -> VoxelMask:
    """Returns the two regions combined."""
    if step.operation == "union":
        return of | other
    if step.operation == "intersection":
        return of & other
    return without(of, other) if step.operation == "difference" else of ^ other


def shrunk_factor(volume: Volume, least_mm: float) -> tuple[int, int, int]:
    """Returns how many voxels along k, j, i make one that is not much longer than `least_mm`."""
    k, j, i = (max(1, math.floor(least_mm / spacing + 0.25)) for spacing in volume.spacing_mm)
    return k, j, i


def averaged(values: NDArray[np.generic], factor: Sequence[int]) -> NDArray[np.float32]:
    """Returns the means of blocks of `factor` voxels; what is left over at the far ends is left out."""
    k, j, i = (n // f for n, f in zip(values.shape, factor, strict=True))
    blocks = values[: k * factor[0], : j * factor[1], : i * factor[2]]
    total = np.zeros((k, j, i), dtype=np.float32)
    for a in range(factor[0]):
        for b in range(factor[1]):
            for c in range(factor[2]):
                total += blocks[a :: factor[0], b :: factor[1], c :: factor[2]]
    return np.asarray(total / np.float32(factor[0] * factor[1] * factor[2]), dtype=np.float32)


def enlarged(region: NDArray[np.generic], factor: Sequence[int], shape: Sequence[int]) -> NDArray[np.uint8]:
    """Returns a region of blocks on the grid of its volume again; the far ends take the last block's."""
    at = [np.minimum(np.arange(n) // f, count - 1) for n, f, count in zip(shape, factor, region.shape, strict=True)]
    return np.ascontiguousarray(region[np.ix_(*at)].astype(np.uint8))
