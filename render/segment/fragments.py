"""Bones told apart where only a neck joins them: thickness in mm divides a region, and wide necks join it again.

A watershed of the thickness takes a region apart at every narrowing. Then parts that are joined by a contact about as
wide as the thinner of them are one bone; a joint or a fracture leaves contacts that are narrow, or less dense than what
they join. Source of the first: Beucher and Lantuéjoul 1979, 'Use of watersheds in contour detection'.
"""

import heapq
import math
from collections.abc import Sequence

import numpy as np
import scipy
import skimage
from numpy.typing import NDArray

from render.mask_steps import Fragments, StepError
from render.segment.ball_joint import Ball, fit_ball
from render.segment.grid import (
    VoxelMask,
    box_of,
    in_range,
    largest_piece,
    squares_mm2,
    voxel_mm3,
    wider,
    wider_blocks,
    without,
)
from render.segment.shaping import averaged, filled_slices, grown, opened
from render.volume import Volume

_BLOCK_MM = 1.0
_MARROW_MM = 2.5  # holes thicker than twice this are marrow; a joint space is thinner
_APART_MM = 3.0  # half the least distance between the middles of two parts
_SOFT_MM = 1.0
_VALLEY = 0.7  # a contact less dense than this share of what it joins is a joint, not bone
_AROUND_MM = 4.0
_DENSE, _THIN_MM = 400.0, 1.75  # HU beyond which it is bone; half of the width of the widest such contact
_NECK_COSINE = 0.7  # of half the angle that a neck takes of its head
_SURELY = 1e6
# HU. Source of metal's value: Fragments.metal. Its border is blurred; the rim is own choice.
_METAL_RIM, _METAL_RIM_MM, _METAL_LEAST_ML = 1800.0, 1.5, 0.02
# Of faces of voxels, the share that a surface in any direction has as its area, in the mean.
_FACES = 2.0 / 3.0
Labels = NDArray[np.int32]


def fragments(volume: Volume, of: VoxelMask, step: Fragments) -> tuple[Labels, VoxelMask]:
    """Returns (K, J, I) int32: parts numbered from 1, the largest first, 0 for what is no part; and the metal.

    Raises StepError where no part is as large as `least_ml`, or a head is not found where it was said to be.
    """
    heads = [fit_ball(volume, seed) for seed in step.heads_mm]
    for head in heads:
        if head.declined:
            raise StepError(head.declined)
    metal = _metal(volume, of, step)
    bone = without(of, metal)
    found = np.zeros(volume.shape, dtype=np.int32)
    box = box_of(bone)
    if box is not None:
        box = wider(box, 0.0, volume)
        start = [side.start for side in box]
        found[box] = _parts(volume, np.ascontiguousarray(bone[box]), start, heads, step)
    if not found.any() and not metal.any():
        raise StepError(f"No part of label {step.of} is as large as {step.least_ml:g} ml. Nothing was marked.")
    return found, metal


def _metal(volume: Volume, of: VoxelMask, step: Fragments) -> VoxelMask:
    """Returns what is denser than any bone, with its blurred border; streaks are less dense, or thin and apart."""
    if step.metal is None or volume.unit != "HU":
        return np.zeros_like(of)
    least = _METAL_LEAST_ML * 1000.0 / voxel_mm3(volume)
    core = largest_piece(in_range(volume.voxels, step.metal, np.inf) & of, 0, least)
    if not core.any():
        return core
    near = grown(core, _METAL_RIM_MM, volume.spacing_mm)
    return core | (near & of & in_range(volume.voxels, _METAL_RIM, np.inf))


def _parts(volume: Volume, bone: VoxelMask, start: Sequence[int], heads: Sequence[Ball], step: Fragments) -> Labels:
    """Returns the numbered parts of a box that begins at voxel `start`."""
    factor = [max(1, round(_BLOCK_MM / s)) for s in volume.spacing_mm]
    spacing = [f * s for f, s in zip(factor, volume.spacing_mm, strict=True)]
    # Whole blocks, so that none is left out at the far ends.
    pads = [(0, -n % f) for n, f in zip(bone.shape, factor, strict=True)]
    box = tuple(slice(s, s + n) for s, n in zip(start, bone.shape, strict=True))
    share = averaged(np.pad(bone, pads), factor)
    values = averaged(np.pad(volume.voxels[box], pads, mode="edge"), factor)
    solid = _solid((share > 0.0).view(np.uint8), spacing)
    thick = np.sqrt(squares_mm2(np.pad(solid, 1), 0, spacing)[1:-1, 1:-1, 1:-1])
    fixed = np.zeros(solid.shape, dtype=np.int32)
    gaps = np.zeros(solid.shape, dtype=np.bool_)
    for number, head in enumerate(heads, start=1):
        offset = _offsets(volume, head, start, factor, solid.shape)
        away = _lengths(offset)
        fixed[(away <= head.radius_mm) & (solid == 1)] = number
        # Along the socket the joint space may be too thin to be seen; the neck is the one way out of the head.
        cosine = sum(o * n for o, n in zip(offset, head.neck, strict=True)) / np.maximum(away, 1e-6)
        gaps |= (away > head.radius_mm) & (away <= head.radius_mm + 1.5 * max(spacing)) & (cosine < _NECK_COSINE)
    whole, solid = solid, without(solid, gaps & (fixed == 0))
    basins = _basins(thick, solid, fixed, spacing)
    weights = _contacts(values, share > 0.0, solid == 1, spacing)
    joined = _joined(basins, thick, weights, spacing, step.neck, len(heads))
    basins = _nearest_label(basins, (whole == 1) & (solid == 0), len(heads))
    sizes = np.bincount(joined[basins].reshape(-1), weights=np.rint(share * 1000.0).reshape(-1), minlength=len(joined))
    sizes[0] = 0.0
    order = np.argsort(-sizes, kind="stable")
    kept = order[sizes[order] * math.prod(spacing) >= step.least_ml * 1e6][: step.most]
    numbers = np.zeros(len(joined), dtype=np.int32)
    numbers[kept] = np.arange(1, len(kept) + 1)
    labels = numbers[joined][basins]
    at = [np.minimum(np.arange(n) // f, count - 1) for n, f, count in zip(bone.shape, factor, solid.shape, strict=True)]
    fine: Labels = labels[np.ix_(*at)]
    fine[bone == 0] = 0
    return fine


def _solid(bone: VoxelMask, spacing_mm: Sequence[float]) -> VoxelMask:
    """Returns bone with its marrow: what it encloses within slices of two directions, but not the thin gaps of
    joints."""
    within = sum(filled_slices(bone, axis).astype(np.uint8) for axis in range(3))
    holes = ((within >= 2) & (bone == 0)).view(np.uint8)
    return bone | opened(holes, _MARROW_MM, spacing_mm)


def _offsets(
    volume: Volume, head: Ball, start: Sequence[int], factor: Sequence[int], shape: Sequence[int]
) -> list[NDArray[np.float64]]:
    """Returns x, y, z in mm from the middle of a ball to the middle of each block."""
    k, j, i = np.ogrid[tuple(slice(0, n) for n in shape)]
    at = [s + f * each + (f - 1) / 2.0 for s, f, each in zip(start, factor, (k, j, i), strict=True)]
    rows = zip(volume.affine.tolist()[:3], head.centre_mm, strict=True)
    return [row[0] * at[0] + row[1] * at[1] + row[2] * at[2] + row[3] - middle for row, middle in rows]


def _lengths(offset: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    x, y, z = offset
    return np.asarray(np.sqrt(x * x + y * y + z * z))


def _nearest_label(labels: Labels, wanted: NDArray[np.bool_], heads: int) -> Labels:
    """Returns the labels where each wanted place has that of the nearest labelled place, counted in blocks; of none of
    the heads, because what lies beyond their sphere is not theirs."""
    box = box_of(wanted.view(np.uint8))
    if box is None:
        return labels
    box = wider_blocks(box, (8, 8, 8), labels.shape)
    if not (labels[box] > heads).any():
        return labels
    k, j, i = scipy.ndimage.distance_transform_edt(labels[box] <= heads, return_distances=False, return_indices=True)
    out = labels.copy()
    out[box] = np.where(wanted[box], labels[box][k, j, i], labels[box])
    return out


def _basins(thick: NDArray[np.float32], solid: VoxelMask, fixed: Labels, spacing_mm: Sequence[float]) -> Labels:
    """Returns the solid in numbered basins about the places where it is thickest; each `fixed` region is one."""
    soft = scipy.ndimage.gaussian_filter(thick, [_SOFT_MM / s for s in spacing_mm], truncate=3.0)
    size = [2 * max(1, round(_APART_MM / s)) + 1 for s in spacing_mm]
    peaks = (soft == scipy.ndimage.maximum_filter(soft, size)) & (solid == 1) & (fixed == 0)
    markers, count = scipy.ndimage.label(peaks, np.ones((3, 3, 3)))
    markers = np.where(markers > 0, markers + int(fixed.max()), 0).astype(np.int32)
    free = (solid == 1) & (fixed == 0)
    basins = np.asarray(skimage.segmentation.watershed(-soft, markers, mask=free), dtype=np.int32)
    # A piece without a peak of its own, such as one between two heads.
    rest, _ = scipy.ndimage.label(free & (basins == 0))
    basins = np.where(rest > 0, rest + int(fixed.max()) + count, basins).astype(np.int32)
    return np.where(fixed > 0, fixed, basins).astype(np.int32)


def _contacts(
    values: NDArray[np.float32], bone: NDArray[np.bool_], solid: NDArray[np.bool_], spacing_mm: Sequence[float]
) -> NDArray[np.uint8]:
    """Returns 0 for bone in a thin valley of density, as joint spaces are and marrow is not, 1 for all else."""
    size = [2 * max(1, round(_AROUND_MM / s)) + 1 for s in spacing_mm]
    top = scipy.ndimage.maximum_filter(np.where(solid, values, np.float32(-1024.0)), size)
    low = (bone & (values < _VALLEY * top) & (values < _DENSE)).view(np.uint8)
    return without(np.ones_like(low), without(low, opened(low, _THIN_MM, spacing_mm)))


def _joined(
    basins: Labels,
    thick: NDArray[np.float32],
    weights: NDArray[np.uint8],
    spacing_mm: Sequence[float],
    neck: float,
    heads: int,
) -> NDArray[np.int64]:
    """Returns for each basin the first of those that it belongs to: of all contacts the widest is joined, as long as
    one is wider than `neck` times the thickness of the thinner side. The first `heads` basins are heads, each
    surely joined with its neck."""
    count = int(basins.max()) + 1
    depths = np.zeros(count)
    np.maximum.at(depths, basins.reshape(-1), thick.reshape(-1))
    areas = _areas(basins, weights, spacing_mm, count)
    for head in range(1, heads + 1):
        touched = [pair for pair in areas if head in pair]
        if touched:
            areas[max(touched, key=lambda pair: (areas[pair], pair))] = _SURELY
    near: list[dict[int, float]] = [{} for _ in range(count)]
    for (a, b), area in areas.items():
        near[a][b] = near[b][a] = area
    parents = np.arange(count)

    def width(a: int, b: int) -> float:
        thin = float(min(depths[a], depths[b]))
        return math.sqrt(near[a][b] / math.pi) / max(thin, 1e-6)

    waiting = [(-width(a, b), a, b) for a, b in areas]
    heapq.heapify(waiting)
    while waiting:
        wide, a, b = heapq.heappop(waiting)
        if -wide < neck:
            break
        if b not in near[a] or -wide != width(a, b):
            continue  # one of them has been joined since
        parents[b] = a
        depths[a] = max(depths[a], depths[b])
        for other, area in near[b].items():
            del near[other][b]
            if other != a:
                near[a][other] = near[other][a] = near[a].get(other, 0.0) + area
        near[b] = {}
        for other in near[a]:
            low, high = min(a, other), max(a, other)
            heapq.heappush(waiting, (-width(low, high), low, high))
    for n in range(count):
        at = n
        while parents[at] != at:
            at = int(parents[at])
        parents[n] = at
    return np.asarray(parents, dtype=np.int64)


def _areas(
    basins: Labels, weights: NDArray[np.uint8], spacing_mm: Sequence[float], count: int
) -> dict[tuple[int, int], float]:
    """Returns the area in mm² of the contact of each two basins, the lower first."""
    areas: dict[tuple[int, int], float] = {}
    for axis in range(3):
        ends = [tuple(slice(s, n) if a == axis else slice(None) for a in range(3)) for s, n in ((0, -1), (1, None))]
        first, second = basins[ends[0]], basins[ends[1]]
        meet = (first != second) & (first > 0) & (second > 0) & (weights[ends[0]] & weights[ends[1]] == 1)
        low, high = np.minimum(first[meet], second[meet]), np.maximum(first[meet], second[meet])
        keys, times = np.unique(low.astype(np.int64) * count + high, return_counts=True)
        face = _FACES * math.prod(spacing_mm) / spacing_mm[axis]
        for key, n in zip(keys.tolist(), times.tolist(), strict=True):
            pair = (key // count, key % count)
            areas[pair] = areas.get(pair, 0.0) + n * face
    return areas
