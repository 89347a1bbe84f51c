"""Removes the table: chooses the connected pieces of a volume to draw when a recipe has `body_above`."""

import threading
import weakref
from collections import OrderedDict
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.engine.cpu.jit import kernel
from render.engine.tiles import bands, run_tiles
from render.volume import Volume
from render.voxel_memory import copy_to_change

# A piece of a tenth of the largest is a limb, not a table top: tables are thin shells about foam lighter than fat.
LARGE_PART = 0.1
# The border of a removed piece, in voxels, which is cleared too because it is blurred.
_BORDER = 2
_REMEMBERED = 2


def voxels_without_table(volume: Volume, above: float) -> Volume:
    """Returns the volume without the pieces above `above` that are neither large nor inside the patient.

    Pieces are voxels joined by faces. It keeps those of at least a tenth of the largest, and small ones with parts of
    large ones on all four sides within their slice: a nodule in the lung, a septum in a sinus.
    Cleared voxels take the volume's least value. The result is cached as long as the volume lives.
    """
    with _lock:
        known = _known.setdefault(volume, OrderedDict())
        if above in known:
            return known[above]
    made = _cleared(volume, above)
    with _lock:
        known[above] = made
        while len(known) > _REMEMBERED:
            known.popitem(last=False)
    return made


_known: "weakref.WeakKeyDictionary[Volume, OrderedDict[float, Volume]]" = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def _cleared(volume: Volume, above: float) -> Volume:
    voxels, level = volume.voxels, np.float32(above)
    runs, pieces = pieces_of(voxels, level)
    if len(runs) == 0:
        return replace(volume)
    sizes = run_lengths(runs, pieces)
    large = (sizes >= LARGE_PART * int(sizes.max()))[pieces]
    slices = np.searchsorted(runs[:, 0], np.arange(len(voxels) + 1))  # the first run of each
    inside = run_lengths(runs, pieces, _surrounded(volume.shape, runs, slices, large))
    kept = large | (2 * inside > sizes)[pieces]
    out, air, touched = (
        copy_to_change(voxels),
        voxels.dtype.type(volume.ends[0]),
        np.zeros(voxels.shape[:2], dtype=np.bool_),
    )

    def cleared(first: int, last: int) -> None:
        near = slice(slices[max(first - _BORDER, 0)], slices[min(last + _BORDER, len(voxels))])
        body_clear(runs[near], kept[near], _BORDER, air, voxels, first, last, touched, out)

    run_tiles([partial(cleared, *some) for some in bands(len(voxels))])
    return replace(volume, voxels=out)


def pieces_of(voxels: NDArray[np.generic], above: np.float32) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Returns ((N, 4) runs of voxels above a value, see `body_runs`; (N,) for each run the first run of its piece).
    Pieces are joined by faces."""
    nk, nj = voxels.shape[:2]
    starts = np.zeros(nk * nj + 1, dtype=np.int64)
    counts = starts[1:].reshape(nk, nj)
    run_tiles([partial(body_run_counts, voxels, above, *some, counts) for some in bands(nk)])
    np.cumsum(starts, out=starts)
    runs, pieces = np.empty((starts[-1], 4), dtype=np.int32), np.empty(starts[-1], dtype=np.int64)
    run_tiles([partial(body_runs, voxels, above, *some, starts, runs) for some in bands(nk)])
    body_pieces(runs, nj, starts, pieces)
    return runs, pieces


def run_lengths(
    runs: NDArray[np.int32], pieces: NDArray[np.int64], counted: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """Returns (N,) the number of voxels of each piece at its first run, and 0 elsewhere. counted : the runs to count,
    None for all."""
    lengths = (runs[:, 3] - runs[:, 2]).astype(np.int64)
    total = np.zeros(len(runs), dtype=np.int64)
    np.add.at(total, pieces, lengths if counted is None else np.where(counted, lengths, 0))
    return total


def _surrounded(
    shape: tuple[int, int, int], runs: NDArray[np.int32], slices: NDArray[np.int64], large: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Returns (N,) bool: whether the middle of each run has large pieces on all four sides within its slice."""
    nk, nj, ni = shape
    first_i, last_i = (np.full((nk, nj), end, dtype=np.int32) for end in (ni, -1))
    first_j, last_j = (np.full((nk, ni), end, dtype=np.int32) for end in (nj, -1))

    def reached(first: int, last: int) -> None:
        some = slice(slices[first], slices[last])
        body_reach(runs[some], large[some], first_i, last_i, first_j, last_j)

    run_tiles([partial(reached, *some) for some in bands(nk)])
    k, j, i = runs[:, 0], runs[:, 1], (runs[:, 2] + runs[:, 3]) // 2
    along_i = (first_i[k, j] < i) & (i < last_i[k, j])
    return np.asarray(along_i & (first_j[k, i] < j) & (j < last_j[k, i]))


@kernel
def body_run_counts(voxels: Any, above: Any, k0: int, k1: int, counts: Any) -> None:
    """Counts the runs of values greater than `above` on the lines along i of slices k0 to before k1. counts : (K, J)
    int64."""
    nj, ni = voxels.shape[1:]
    for k in range(k0, k1):
        for j in range(nj):
            count = np.int64(np.float32(voxels[k, j, 0]) > above)
            for i in range(1, ni):
                above_here = np.float32(voxels[k, j, i]) > above
                count += above_here & (above_here != (np.float32(voxels[k, j, i - 1]) > above))
            counts[k, j] = count


@kernel
def body_runs(voxels: Any, above: Any, k0: int, k1: int, starts: Any, runs: Any) -> None:
    """Finds those runs. starts : (K · J + 1,) int64 the first of each line. runs : (N, 4) int32 rows of k, j, first i,
    past the last i, filled in that order."""
    nj, ni = voxels.shape[1:]
    for k in range(k0, k1):
        for j in range(nj):
            i = 0
            for n in range(starts[k * nj + j], starts[k * nj + j + 1]):
                while not np.float32(voxels[k, j, i]) > above:
                    i += 1
                runs[n, 0], runs[n, 1], runs[n, 2] = k, j, i
                while i < ni and np.float32(voxels[k, j, i]) > above:
                    i += 1
                runs[n, 3] = i


@kernel
def body_reach(runs: Any, large: Any, first_i: Any, last_i: Any, first_j: Any, last_j: Any) -> None:
    """Finds the extent of the large pieces along each line of a slice. first_i, last_i : (K, J) int32; first_j,
    last_j : (K, I), filled beforehand with values beyond any extent."""
    for n in range(runs.shape[0]):
        if not large[n]:
            continue
        k, j, start, stop = runs[n, 0], runs[n, 1], runs[n, 2], runs[n, 3]
        first_i[k, j], last_i[k, j] = min(first_i[k, j], start), max(last_i[k, j], stop - 1)
        for i in range(start, stop):
            first_j[k, i] = min(first_j[k, i], j)
        for i in range(start, stop):
            last_j[k, i] = j  # runs come in the order of j


@kernel
def _root(parents: Any, n: int) -> int:
    while parents[n] != n:
        parents[n] = parents[parents[n]]
        n = parents[n]
    return n


@kernel
def body_pieces(runs: Any, nj: int, starts: Any, parents: Any) -> None:
    """Joins runs that share a face of a voxel; afterwards parents[n] is the first run of n's piece.

    starts : (K · J + 1,) int64 the first run of each line. parents : (N,) int64.
    """
    for n in range(runs.shape[0]):
        parents[n] = n
    for n in range(runs.shape[0]):
        k, j = runs[n, 0], runs[n, 1]
        for neighbour in range(2):
            if (neighbour == 0 and j == 0) or (neighbour == 1 and k == 0):
                continue
            line = k * nj + j - (1 if neighbour == 0 else nj)
            for other in range(starts[line], starts[line + 1]):
                if runs[other, 2] < runs[n, 3] and runs[n, 2] < runs[other, 3]:
                    a, b = _root(parents, n), _root(parents, other)
                    parents[max(a, b)] = min(a, b)
    for n in range(runs.shape[0]):
        parents[n] = _root(parents, n)


@kernel
def body_clear(
    runs: Any, kept: Any, reach: int, air: Any, voxels: Any, k0: int, k1: int, touched: Any, out: Any
) -> None:
    """Writes `air` to slices k0 to before k1 of out, at the runs not kept and `reach` voxels around them, but never
    over a kept run. touched : (K, J) bool, False beforehand, then the lines along i that were written to."""
    nj, ni = voxels.shape[1:]
    for n in range(runs.shape[0]):
        if kept[n]:
            continue
        for k in range(max(runs[n, 0] - reach, k0), min(runs[n, 0] + reach + 1, k1)):
            for j in range(max(runs[n, 1] - reach, 0), min(runs[n, 1] + reach + 1, nj)):
                touched[k, j] = True
                for i in range(max(runs[n, 2] - reach, 0), min(runs[n, 3] + reach, ni)):
                    out[k, j, i] = air
    for n in range(runs.shape[0]):
        k, j = runs[n, 0], runs[n, 1]
        if kept[n] and k0 <= k < k1 and touched[k, j]:
            for i in range(runs[n, 2], runs[n, 3]):
                out[k, j, i] = voxels[k, j, i]
