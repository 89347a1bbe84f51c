"""Masks from the steps of a recipe. The same volume and steps give the same mask, on every machine."""

import math
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from render.engine import cpu
from render.engine.tiles import bands, run_tiles
from render.geometry import Vector, cross, direction, point
from render.mask import Mask
from render.mask_steps import Bone, MaskStep, Piece, Scissors, StepError
from render.volume import Volume

__all__ = ["made", "region", "volume_ml"]

VoxelMask = NDArray[np.uint8]
_REMEMBERED = 3
_known: "weakref.WeakKeyDictionary[Volume, OrderedDict[tuple[MaskStep, ...], Mask]]" = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def made(volume: Volume, steps: tuple[MaskStep, ...]) -> Mask:
    """Makes the mask: each step overwrites the ones before; labels are 0 where no step has set one. The last masks are
    cached, so that an additional step costs one step.

    Raises StepError for a piece whose seed is outside the volume or not within its values.
    """
    with _lock:
        known = dict(_known.get(volume, {}))
    done = next((n for n in range(len(steps), 0, -1) if steps[:n] in known), 0)
    if done == len(steps) and done:
        return known[steps]
    labels = known[steps[:done]].labels.copy() if done else np.zeros(volume.shape, dtype=np.uint8)
    for step in steps[done:]:
        found, wanted = region(volume, step), 0 if step.outside else 1
        _slices(volume, lambda k0, k1: cpu.segments.label_voxels(found, wanted, step.label, k0, k1, labels))  # noqa: B023
    mask = Mask(labels)
    with _lock:
        kept = _known.setdefault(volume, OrderedDict())
        kept[steps] = mask
        while len(kept) > _REMEMBERED:
            kept.popitem(last=False)
    return mask


def region(volume: Volume, step: MaskStep) -> VoxelMask:
    """Returns (K, J, I) uint8, 1 for the voxels that a step selects, before `label` and `outside`. Raises as
    `made`."""
    if isinstance(step, Scissors):
        return _scissors(volume, step)
    if isinstance(step, Piece):
        return _piece(volume, step)
    return _bone(volume, step) if isinstance(step, Bone) else _in_range(volume, step.low, step.high)


def volume_ml(volume: Volume, found: VoxelMask) -> float:
    """Returns the volume of a region's voxels in millilitres: their number times the size of one."""
    return int(np.count_nonzero(found)) * _voxel_mm3(volume) / 1000.0


def _voxel_mm3(volume: Volume) -> float:
    k, (x, y, z), i = _steps(volume)
    across = cross(k, i)
    return abs(x * across[0] + y * across[1] + z * across[2])


def _slices(volume: Volume, work: Callable[[int, int], None]) -> None:
    run_tiles([partial(work, *some) for some in bands(volume.shape[0], 8)])


def _in_range(volume: Volume, low: float, high: float) -> VoxelMask:
    found = np.empty(volume.shape, dtype=np.uint8)
    ends = np.float32(low), np.float32(high)
    _slices(volume, lambda k0, k1: cpu.segments.within_range(volume.voxels, *ends, k0, k1, found))
    return found


def _steps(volume: Volume) -> Iterable[Vector]:
    """Returns one step along k, j and i in LPS mm."""
    return (direction(volume.affine, axis) for axis in ((1, 0, 0), (0, 1, 0), (0, 0, 1)))


def _scissors(volume: Volume, step: Scissors) -> VoxelMask:
    right, up = step.view.right, step.view.up

    def seen(at: Vector) -> tuple[float, float]:
        x, y, z = at
        return (x * right[0] + y * right[1] + z * right[2], -(x * up[0] + y * up[1] + z * up[2]))

    corners = np.array([seen(corner) for corner in step.outline_mm], dtype=np.float64)
    origin = np.array(seen(point(volume.affine, (0, 0, 0))))
    k, j, i = (np.array(seen(step)) for step in _steps(volume))
    found = np.empty(volume.shape, dtype=np.uint8)

    def fill(k0: int, k1: int) -> None:
        cpu.segments.within_outline(corners, origin, k, j, i, k0, k1, np.empty(len(corners)), found)

    _slices(volume, fill)
    return found


def _piece(volume: Volume, step: Piece) -> VoxelMask:
    k, j, i = (round(v) for v in point(volume.to_index, step.seed_mm))
    if not all(0 <= at < n for at, n in zip((k, j, i), volume.shape, strict=True)):
        raise StepError(f"The seed at {_place_in_words(step.seed_mm)} mm is outside the volume. Nothing was marked.")
    value = float(volume.voxels[k, j, i])
    if not step.low <= value <= step.high:
        raise StepError(
            f"The value at {_place_in_words(step.seed_mm)} mm is {value:g} {volume.unit}, not from {step.low:g} to "
            f"{step.high:g}. Nothing was marked; click into the structure, or widen the range."
        )
    allowed = _in_range(volume, step.low, step.high)
    if step.within_mm is not None:
        offset = [a - b for a, b in zip(point(volume.affine, (0, 0, 0)), step.seed_mm, strict=True)]
        start, (a, b, c), square = np.array(offset), map(np.array, _steps(volume)), step.within_mm * step.within_mm
        _slices(volume, lambda k0, k1: cpu.segments.beyond(start, a, b, c, square, k0, k1, allowed))
    runs, pieces = cpu.body.pieces_of(allowed, np.float32(0.5))
    here = (runs[:, 0] == k) & (runs[:, 1] == j) & (runs[:, 2] <= i) & (i < runs[:, 3])
    cpu.segments.fill_runs(runs, pieces != pieces[here][0], 0, allowed)
    return _spread(volume, allowed, allowed, True, (step.rim,) * 3)


def _spread(volume: Volume, marked: VoxelMask, allowed: VoxelMask, every: bool, times: Sequence[int]) -> VoxelMask:
    """Grows `marked` by `times` voxels along k, j and i, where it is allowed or everywhere."""
    spare = np.empty_like(marked) if any(times) else marked
    for axis in (2, 1, 0):
        for _ in range(times[axis]):
            _slices(volume, lambda k0, k1: cpu.segments.spread(allowed, every, marked, axis, k0, k1, spare))  # noqa: B023
            marked, spare = spare, marked
    return marked


def _place_in_words(at: Vector) -> str:
    return ", ".join(f"{v:.1f}" for v in at)


def _bone(volume: Volume, step: Bone) -> VoxelMask:
    runs, pieces = cpu.body.pieces_of(volume.voxels, np.float32(step.cortex))
    bone = np.zeros(volume.shape, dtype=np.uint8)
    if len(runs):
        sizes = cpu.body.run_lengths(runs, pieces)
        cpu.segments.fill_runs(runs, (sizes * _voxel_mm3(volume) >= step.least_ml * 1000.0)[pieces], 1, bone)
    allowed = np.empty(volume.shape, dtype=np.uint8)
    ends = np.float32(step.marrow), np.float32(np.inf)
    _slices(volume, lambda k0, k1: cpu.segments.within_range(volume.voxels, *ends, k0, k1, allowed))
    times = [math.floor(step.reach_mm / spacing + 1e-6) for spacing in volume.spacing_mm]
    bone = _spread(volume, bone, allowed, False, times)
    _, far_j, far_i = (math.floor(step.across_mm / spacing) for spacing in volume.spacing_mm)
    spare = np.empty_like(bone)

    def surrounded(k0: int, k1: int) -> None:
        scratch = [np.empty(volume.shape[1:], dtype=np.int32) for _ in range(2)]
        cpu.segments.between(allowed, bone, far_j, far_i, k0, k1, *scratch, spare)  # type: ignore[call-arg]

    _slices(volume, surrounded)
    left = bone
    _slices(volume, lambda k0, k1: cpu.segments.left_over(allowed, spare, k0, k1, left))
    runs, pieces = cpu.body.pieces_of(left, np.float32(0.5))
    crumbs = cpu.body.run_lengths(runs, pieces) * _voxel_mm3(volume) < step.crumbs_ml * 1000.0
    cpu.segments.fill_runs(runs, crumbs[pieces], 1, spare)
    return spare
