"""Regions grown from seeds and strokes, with what keeps them from leaking."""

import math

import numpy as np
import scipy
import skimage
from numpy.typing import NDArray

from render.engine import cpu
from render.geometry import Vector, point
from render.mask_steps import Grown, Piece, StepError, Strokes
from render.segment.drawn import near_stroke
from render.segment.grid import (
    Block,
    Index,
    RegionPieces,
    VoxelMask,
    box_of,
    in_bands,
    in_range,
    place_in_words,
    seed_of,
    spread,
    squares_mm2,
    steps_mm,
    volume_ml,
    wider,
)
from render.segment.shaping import shrunk
from render.volume import Volume

_Floats = NDArray[np.float32]
_Markers = NDArray[np.int32]
_WALKED = 80_000  # voxels that a random walk is computed on at most
_SHUNS = 6000.0  # how strongly a walk shuns differences, in squares of the spread around the stroke's values


def piece(volume: Volume, step: Piece) -> VoxelMask:
    """Carries out the step. Raises StepError for a seed outside the volume or the range."""
    seed = _seed_within(volume, step.seed_mm, step.low, step.high)
    allowed = in_range(volume.voxels, step.low, step.high)
    if step.within_mm is not None:
        allowed &= _near(volume, (step.seed_mm,), step.within_mm)
    pieces = RegionPieces(allowed)
    found = pieces.marked(np.arange(len(pieces.runs)) == pieces.at(seed))
    return spread(found, found, True, (step.rim,) * 3)


def grown_part(volume: Volume, step: Grown) -> VoxelMask:
    """Carries out the step. Raises StepError for a seed outside the volume or the range, and for a leak."""
    core = None if step.core_low is None or step.core_high is None else (step.core_low, step.core_high)
    seeds = [_seed_within(volume, at, *(core or (step.low, step.high))) for at in step.seeds_mm]
    allowed = in_range(volume.voxels, step.low, step.high)
    if step.within_mm is not None and step.seeds_mm:
        allowed &= _near(volume, step.seeds_mm, step.within_mm)
    if core is None:
        found = _holding(allowed, seeds)
    else:
        sure = in_range(volume.voxels, *core) & allowed
        sure = _holding(sure, seeds) if seeds else sure
        found = _about(volume, sure, allowed, step.reach_mm) if seeds else _with_core(allowed, sure)
    if step.neck_mm > 0.0:
        found = _without_necks(volume, found, seeds, step.neck_mm)
    size = volume_ml(volume, found)
    if step.most_ml is not None and size > step.most_ml:
        raise StepError(
            f"What hangs together with the seeds has {size:.1f} ml, more than {step.most_ml:g} ml: it leaks. Nothing "
            "was marked; narrow the range, or say a neck_mm."
        )
    return found


def strokes(volume: Volume, step: Strokes) -> VoxelMask:
    """Carries out the step. Raises StepError where no inner stroke lies in the volume."""
    radius = max(volume.spacing_mm) * 0.5
    inner = [near_stroke(volume, points, radius) for points in step.inside_mm]
    boxes = [
        box
        for box in (box_of(one) for one in (*inner, *(near_stroke(volume, p, radius) for p in step.outside_mm)))
        if box is not None
    ]
    inside = np.maximum.reduce(inner)
    if not inside.any():
        raise StepError("No stroke lies in the volume. Nothing was marked.")
    about: Block = tuple(slice(min(b[n].start for b in boxes), max(b[n].stop for b in boxes)) for n in range(3))  # type: ignore[assignment]
    box = wider(about, step.margin_mm, volume)
    values = volume.voxels[box].astype(np.float32)
    markers = np.zeros(values.shape, dtype=np.int32)
    for axis, (part, count) in enumerate(zip(box, volume.shape, strict=True)):
        for end, at in ((part.start, 0), (part.stop - count, -1)):
            if end == 0 and count == values.shape[axis]:
                continue  # the whole volume: its end is no border of the box
            markers[tuple(at if a == axis else slice(None) for a in range(3))] = 2
    for points in step.outside_mm:
        markers[near_stroke(volume, points, radius)[box] == 1] = 2
    markers[inside[box] == 1] = 1
    out = np.zeros(volume.shape, dtype=np.uint8)
    divided = _walked if step.method == "random_walker" else _by_watershed
    out[box] = divided(values, markers, volume.spacing_mm)
    return out


def _by_watershed(values: _Floats, markers: _Markers, spacing_mm: Vector) -> NDArray[np.bool_]:
    # In units of the smallest spacing, so that the gradient is one of mm.
    smallest = min(spacing_mm)
    soft = scipy.ndimage.gaussian_filter(values, [smallest / s for s in spacing_mm], truncate=3.0)
    steep = np.zeros(values.shape, dtype=np.float32)
    for axis, spacing in enumerate(spacing_mm):
        slope = np.gradient(soft, axis=axis) * np.float32(smallest / spacing)
        steep += slope * slope
    return np.asarray(skimage.segmentation.watershed(np.sqrt(steep), markers) == 1)


def _walked(values: _Floats, markers: _Markers, spacing_mm: Vector) -> NDArray[np.bool_]:
    """Divides on a coarser grid where the box is large: the walk is smooth, and is sampled again at each voxel."""
    finest = min(spacing_mm)
    step = max(finest, (values.size * math.prod(spacing_mm) / _WALKED) ** (1.0 / 3.0))
    factors = [max(1, round(step / s)) for s in spacing_mm]
    padded = [(0, -n % f) for n, f in zip(values.shape, factors, strict=True)]
    split = [n for v, f, p in zip(values.shape, factors, padded, strict=True) for n in ((v + p[1]) // f, f)]
    blocks = (1, 3, 5)
    mean = np.pad(values, padded, mode="edge").reshape(split).mean(axis=blocks, dtype=np.float64)
    marks = np.pad(markers, padded).reshape(split)
    coarse = np.where((marks == 1).any(axis=blocks), 1, np.where((marks == 2).any(axis=blocks), 2, 0))
    spacing = np.array([s * f for s, f in zip(spacing_mm, factors, strict=True)])
    inner = mean[coarse == 1]
    scale = max(float(np.percentile(np.abs(mean - np.median(inner)), 75)), 1e-6)
    chance = skimage.segmentation.random_walker(
        mean / scale, coarse, beta=_SHUNS, mode="cg_j", tol=1e-4, return_full_prob=True, spacing=spacing / spacing.min()
    )[0]
    # Rounded, so that a last bit that another processor computes otherwise changes no voxel.
    places = [(np.arange(n) + 0.5) / f - 0.5 for n, f in zip(values.shape, factors, strict=True)]
    fine = np.asarray(np.round(chance, 3))
    for axis, at in enumerate(places):
        at = np.clip(at, 0.0, fine.shape[axis] - 1.0)
        low = np.minimum(at.astype(int), max(fine.shape[axis] - 2, 0))
        part = (at - low).reshape([-1 if a == axis else 1 for a in range(3)])
        high = np.minimum(low + 1, fine.shape[axis] - 1)
        fine = fine.take(low, axis) * (1.0 - part) + fine.take(high, axis) * part
    return np.asarray((fine > 0.5) & (markers != 2) | (markers == 1))


def _seed_within(volume: Volume, at: Vector, low: float, high: float) -> Index:
    voxel = seed_of(volume, at)
    value = float(volume.voxels[voxel])
    if not low <= value <= high:
        raise StepError(
            f"The value at {place_in_words(at)} mm is {value:g} {volume.unit}, not from {low:g} to {high:g}. Nothing "
            "was marked; click into the structure, or widen the range."
        )
    return voxel


def _near(volume: Volume, seeds: tuple[Vector, ...], within_mm: float) -> VoxelMask:
    """Returns the voxels within a distance of a seed."""
    found = np.zeros(volume.shape, dtype=np.uint8)
    a, b, c = map(np.array, steps_mm(volume))
    for seed in seeds:
        offset = np.array([x - y for x, y in zip(point(volume.affine, (0, 0, 0)), seed, strict=True)])
        ball = np.ones(volume.shape, dtype=np.uint8)
        square = within_mm * within_mm
        in_bands(volume.shape[0], lambda k0, k1: cpu.segments.beyond(offset, a, b, c, square, k0, k1, ball))  # noqa: B023
        found |= ball
    return found


def _holding(allowed: VoxelMask, seeds: list[Index]) -> VoxelMask:
    """Returns the pieces that hold a seed."""
    pieces = RegionPieces(allowed)
    chosen = np.zeros(len(pieces.runs), dtype=np.bool_)
    for seed in seeds:
        chosen[pieces.at(seed)] = True
    return pieces.marked(chosen)


def _with_core(allowed: VoxelMask, sure: VoxelMask) -> VoxelMask:
    pieces = RegionPieces(allowed)
    return pieces.marked(pieces.holding(sure))


def _about(volume: Volume, sure: VoxelMask, allowed: VoxelMask, reach_mm: float) -> VoxelMask:
    """Returns the sure voxels and what hangs together with them within the reach."""
    box = box_of(sure)
    if box is None:
        return sure
    box = wider(box, reach_mm, volume)
    part = np.ascontiguousarray(sure[box])
    near = squares_mm2(part, 1, volume.spacing_mm) <= np.float32(reach_mm * reach_mm)
    out = np.zeros_like(sure)
    out[box] = _with_core((near & (allowed[box] == 1)).view(np.uint8) | part, part)
    return out


def _without_necks(volume: Volume, found: VoxelMask, seeds: list[Index], neck_mm: float) -> VoxelMask:
    """Returns what can be reached from the seeds without passing through a neck."""
    box = box_of(found)
    if box is None:
        return found
    box = wider(box, 0.0, volume)
    part, radius = np.ascontiguousarray(found[box]), neck_mm / 2.0
    core = shrunk(part, radius, volume.spacing_mm)
    pieces = RegionPieces(core)
    chosen = np.zeros(len(pieces.runs), dtype=np.bool_)
    for seed in seeds:
        k, j, i = (at - side.start for at, side in zip(seed, box, strict=True))
        chosen[_nearest(pieces, core, (k, j, i), neck_mm, volume)] = True
    if not seeds:
        chosen[:] = True
    kept = pieces.marked(chosen)
    # Half a voxel more, because the border that was taken off lies between voxels.
    reach = radius + 0.5 * max(volume.spacing_mm)
    near = squares_mm2(kept, 1, volume.spacing_mm) <= np.float32(reach * reach)
    out = np.zeros_like(found)
    out[box] = near & (part == 1)
    return out


def _nearest(pieces: RegionPieces, core: VoxelMask, seed: Index, neck_mm: float, volume: Volume) -> int:
    """Returns the piece of the core nearest to a seed. Raises StepError where none is near."""
    if core[seed]:
        return pieces.at(seed)
    at = np.argwhere(core)
    away = ((at - np.array(seed)) * np.array(volume.spacing_mm)) ** 2
    squares = away[:, 0] + away[:, 1] + away[:, 2]
    if not len(at) or float(squares.min()) > neck_mm * neck_mm:
        raise StepError(
            f"The seed lies in a part that is thinner than neck_mm {neck_mm:g}. Nothing was marked; click into its "
            "thick part, or say a smaller neck_mm."
        )
    k, j, i = (int(v) for v in at[int(squares.argmin())])
    return pieces.at((k, j, i))
