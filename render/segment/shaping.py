"""Regions in another shape: grown, shrunk, opened, closed, filled and smoothed by millimetres; pieces kept; Boolean."""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import scipy
from numpy.typing import NDArray

from render.engine import cpu
from render.mask_steps import Boolean, KeptParts, Shaped
from render.segment.grid import (
    RegionPieces,
    VoxelMask,
    box_of,
    in_bands,
    voxel_mm3,
    wider,
    wider_blocks,
    within_mm,
    without,
)
from render.volume import Volume


def grown(region: VoxelMask, radius_mm: float, spacing_mm: Sequence[float]) -> VoxelMask:
    """Returns all voxels within the radius of a region."""
    box, out = box_of(region), np.zeros(region.shape, dtype=np.uint8)
    if box is not None:
        box = wider_blocks(box, [int(radius_mm / s) + 1 for s in spacing_mm], region.shape)
        out[box] = within_mm(np.ascontiguousarray(region[box]), 1, spacing_mm, radius_mm)
    return out


def shrunk(region: VoxelMask, radius_mm: float, spacing_mm: Sequence[float]) -> VoxelMask:
    """Returns the voxels of a region farther than the radius from all others; the end of the grid is no border."""
    box, out = box_of(region), np.zeros(region.shape, dtype=np.uint8)
    if box is not None:
        # The nearest voxel outside lies within one voxel of the box, or beyond no end of it.
        box = wider_blocks(box, (1, 1, 1), region.shape)
        np.logical_not(within_mm(np.ascontiguousarray(region[box]), 0, spacing_mm, radius_mm), out=out[box])
    return out


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
    slices, into = np.moveaxis(region, axis, 0), np.moveaxis(out, axis, 0)
    gaps = slices.shape[1] * (slices.shape[2] // 2 + 1) + 1

    def work(k0: int, k1: int) -> None:
        scratch = np.empty((gaps, 3), dtype=np.int32), np.empty(gaps, dtype=np.int32)
        cpu.blocks.fill_slices(slices, k0, k1, *scratch, into)

    in_bands(slices.shape[0], work)
    return out


def smoothed(region: VoxelMask, deviation_mm: float, spacing_mm: Sequence[float]) -> VoxelMask:
    """Returns where a Gauss function finds more of the region than of anything else."""
    widths = [deviation_mm / spacing for spacing in spacing_mm]
    soft = scipy.ndimage.gaussian_filter(region.astype(np.float32), widths, truncate=3.0, mode="nearest")
    return np.asarray(soft >= np.float32(0.5)).view(np.uint8)


def counts_about(region: VoxelMask, halves: Sequence[int]) -> NDArray[np.int16]:
    """Returns how many voxels of a region the box of 2 · half + 1 voxels along k, j, i about each voxel holds. Beyond
    the ends the grid is mirrored."""
    counts = region.astype(np.int16)
    for axis, half in enumerate(halves):
        out = np.empty_like(counts)
        # The axis in the second place.
        order = ((1, 0, 2), (0, 1, 2), (0, 2, 1))[axis]
        view, into = counts.transpose(order), out.transpose(order)
        in_bands(view.shape[0], partial(_sums_along, view, into, half))
        counts = out
    return counts


def _sums_along(counts: NDArray[np.int16], out: NDArray[np.int16], half: int, a0: int, a1: int) -> None:
    cpu.blocks.sums_along(counts, half, a0, a1, np.empty(counts.shape[2], dtype=np.int16), out)


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
    total = np.empty((k, j, i), dtype=np.float32)
    share = np.float32(factor[0] * factor[1] * factor[2])
    in_bands(k, lambda k0, k1: cpu.blocks.block_means(values, *factor, share, k0, k1, total))  # type: ignore[call-arg]
    return total


def enlarged(region: NDArray[np.generic], factor: Sequence[int], shape: Sequence[int]) -> VoxelMask:
    """Returns a region of blocks on the grid of its volume again; the far ends take the last block's."""
    out = np.empty(tuple(shape), dtype=np.uint8)
    codes = np.ascontiguousarray(region).astype(np.uint8, copy=False)
    in_bands(out.shape[0], lambda k0, k1: cpu.blocks.enlarge(codes, *factor, k0, k1, out))  # type: ignore[call-arg]
    return out


def by_blocks(volume: Volume, codes: VoxelMask, factor: Sequence[int], low: float, high: float) -> VoxelMask:
    """Returns the region whose border blocks tell roughly and voxels exactly. codes : of blocks of `factor` voxels: 0
    is outside, 2 inside, and where it is 1 the voxels from low to high are inside."""
    out = np.empty(volume.shape, dtype=np.uint8)
    ends = np.float32(low), np.float32(high)
    in_bands(
        out.shape[0],
        lambda k0, k1: cpu.blocks.by_blocks(volume.voxels, codes, *factor, *ends, k0, k1, out),  # type: ignore[call-arg]
    )
    return out
