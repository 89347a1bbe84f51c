"""The patient without the table: which connected pieces of a volume are drawn when a recipe says `body_above`."""

import threading
import weakref
from collections import OrderedDict
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from render.engine.cpu import kernels
from render.volume import Volume

# A piece of a tenth of the largest is a limb, not a table top: tables are thin shells about foam lighter than fat.
LARGE_PART = 0.1
# Voxels about a piece left out that are cleared with it: its blurred border.
_BORDER = 2
_REMEMBERED = 2


def without_table(volume: Volume, above: float) -> Volume:
    """The volume with pieces above `above` cleared that are neither large nor inside the patient.

    Pieces are voxels joined by faces. Kept are those of a tenth of the largest or more, and small ones that lie
    between parts of the large ones on all four sides within their slice: a nodule in the lung, a septum in a sinus.
    Cleared voxels take the volume's least value. Kept as long as the volume lives.
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
    count = kernels.body_runs(voxels, level, np.empty((0, 4), dtype=np.int32))
    if count == 0:
        return replace(volume)
    runs = np.empty((count, 4), dtype=np.int32)
    kernels.body_runs(voxels, level, runs)
    pieces = np.empty(count, dtype=np.int64)
    kernels.body_pieces(runs, volume.shape[0], volume.shape[1], pieces)
    lengths = (runs[:, 3] - runs[:, 2]).astype(np.int64)
    sizes = _sum(lengths, pieces, count)
    large = (sizes >= LARGE_PART * int(sizes.max()))[pieces]
    inside = _sum(np.where(_surrounded(volume.shape, runs, large), lengths, 0), pieces, count)
    kept = large | (2 * inside > sizes)[pieces]
    out = voxels.copy()
    kernels.body_clear(runs, kept, _BORDER, voxels.min(), voxels, out)
    return replace(volume, voxels=out)


def _sum(lengths: NDArray[np.int64], pieces: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    total = np.zeros(count, dtype=np.int64)
    np.add.at(total, pieces, lengths)
    return total


def _surrounded(shape: tuple[int, int, int], runs: NDArray[np.int32], large: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(N,) whether the middle of each run has large pieces on all four sides within its slice."""
    nk, nj, ni = shape
    first_i, last_i = np.full((nk, nj), ni), np.full((nk, nj), -1)
    first_j, last_j = np.full((nk, ni), nj), np.full((nk, ni), -1)
    for k, j, start, stop in runs[large].tolist():
        first_i[k, j], last_i[k, j] = min(first_i[k, j], start), max(last_i[k, j], stop - 1)
        first_j[k, start:stop] = np.minimum(first_j[k, start:stop], j)
        last_j[k, start:stop] = np.maximum(last_j[k, start:stop], j)
    k, j, i = runs[:, 0], runs[:, 1], (runs[:, 2] + runs[:, 3]) // 2
    along_i = (first_i[k, j] < i) & (i < last_i[k, j])
    return np.asarray(along_i & (first_j[k, i] < j) & (j < last_j[k, i]))
