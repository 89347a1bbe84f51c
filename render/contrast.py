"""How bright dye has made the vessels of a CT, and the soft tissue beside them: presets and windows are placed by it.

Blood with dye is even and brighter than soft tissue over many voxels; bone and marrow are uneven. Of all even and
bright places the level is taken that most of them have, brighter ones counting more: veins and kidneys are brighter
than tissue too, but arteries of an angiography are brightest.
"""

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from render.engine import cpu
from render.engine.tiles import bands, run_tiles
from render.volume import Volume

# HU. Own choice, tried on chests and abdomens in arterial and portal phase and on a head without dye.
_TISSUE = (-20, 140)
_STEP = 10  # of the histogram of bright places
_LEAST_ABOVE = 60.0
_MOST = 900.0
_AIR = -300
_EVEN = 20.0
_LEAST_ML = 3.0
_LEAST_CONTRAST = 90.0
_BLOCK_MM = 2.0
# Means beyond it are neither tissue nor lumen, and beside either as uneven as any.
_FAR = 4000


@dataclass(frozen=True, slots=True)
class ContrastLevels:
    """Levels in HU. tissue : what most of the soft tissue has. lumen : blood with dye. filled_ml : how much of it was
    seen at about that level."""

    tissue: float
    lumen: float
    filled_ml: float


_known: "weakref.WeakKeyDictionary[Volume, list[ContrastLevels | None]]" = weakref.WeakKeyDictionary()


def contrast_levels(volume: Volume) -> ContrastLevels | None:
    """Returns the levels, in whole HU; None where no vessel is filled with dye, or the volume is not in HU."""
    found = _known.get(volume)
    if found is None:
        found = _known.setdefault(volume, [_levels(volume) if volume.unit == "HU" else None])
    return found[0]


def _levels(volume: Volume) -> ContrastLevels | None:
    factor = [
        max(1, min(round(_BLOCK_MM / step), n // 2)) for step, n in zip(volume.spacing_mm, volume.shape, strict=True)
    ]
    # Whole numbers throughout: the same levels on every machine.
    blocks = _blocks(volume.voxels, (factor[0], factor[1], factor[2]))
    block_ml = factor[0] * factor[1] * factor[2] * float(np.prod(volume.spacing_mm)) / 1000.0
    counts = np.bincount(
        blocks[(blocks >= _TISSUE[0]) & (blocks < _TISSUE[1])] - _TISSUE[0], minlength=_TISSUE[1] - _TISSUE[0]
    )
    tissue = _TISSUE[0] + _peak(counts, 4)
    seen = (blocks >= tissue + _LEAST_ABOVE) & (blocks < _MOST)
    # Each takes longer than the one before, and none adds a place.
    for chosen in (_even, _of_the_patient):
        if np.count_nonzero(seen) * block_ml < _LEAST_ML:
            return None
        seen &= chosen(blocks)
    bright = blocks[seen].astype(np.int64)
    if bright.size * block_ml < _LEAST_ML:
        return None
    numbers = (bright - tissue) // _STEP
    counts = np.bincount(numbers, minlength=int(_MOST - tissue) // _STEP + 1)
    above = (np.arange(len(counts)) * _STEP + _STEP // 2).astype(np.int64)
    lumen = tissue + int(above[_peak(counts * above**3, 2)])
    near = np.abs(bright - lumen) <= 3 * _STEP
    filled = float(np.count_nonzero(near)) * block_ml
    if lumen - tissue < _LEAST_CONTRAST or filled < _LEAST_ML:
        return None
    # Of the blocks about the peak the middle one, finer than the histogram.
    middle = float(np.sort(bright[near])[np.count_nonzero(near) // 2])
    return ContrastLevels(float(tissue), middle, round(filled, 1))


def _blocks(voxels: NDArray[np.generic], factor: tuple[int, int, int]) -> NDArray[np.int16]:
    """Returns the means of blocks of voxels, rounded down, at most `_FAR` on either side."""
    means = np.empty([n // f for n, f in zip(voxels.shape, factor, strict=True)], dtype=np.int16)

    def work(k0: int, k1: int) -> None:
        some = voxels[k0 * factor[0] : k1 * factor[0]]
        whole = some if np.issubdtype(some.dtype, np.integer) else np.rint(some).astype(np.int64)
        cpu.blocks.whole_means(whole, *factor, _FAR, np.empty(means.shape[2], dtype=np.int64), means[k0:k1])

    _in_bands(len(means), work)
    return means


def _in_bands(count: int, work: Callable[[int, int], None]) -> None:
    run_tiles([partial(work, *some) for some in bands(count, 8)])


def _even(blocks: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Returns where a block and its 26 neighbours differ little."""
    even = np.empty(blocks.shape, dtype=np.bool_)
    most = int(_EVEN * _EVEN * 27 * 27)

    def work(k0: int, k1: int) -> None:
        scratch = np.empty((2, 2, *blocks.shape[1:]), dtype=np.int64)
        cpu.blocks.even_blocks(blocks, most, k0, k1, scratch[0], scratch[1], even)

    _in_bands(len(blocks), work)
    return even


def _of_the_patient(blocks: NDArray[np.int16]) -> NDArray[np.bool_]:
    """The largest thing that is no air, without what hangs on to it by a bridge: a table is even too."""
    apart = _with_neighbours(blocks > _AIR, np.logical_and)
    if not apart.any():
        return np.ones(blocks.shape, dtype=np.bool_)
    runs, first = cpu.body.pieces_of(apart.view(np.uint8), np.float32(0.5))
    sizes, largest = cpu.body.run_lengths(runs, first), np.zeros(blocks.shape, dtype=np.uint8)
    cpu.segments.fill_runs(runs, first == np.argmax(sizes), 1, largest)
    return _with_neighbours(_with_neighbours(largest.view(np.bool_), np.logical_or), np.logical_or)


def _with_neighbours(blocks: NDArray[np.bool_], join: np.ufunc) -> NDArray[np.bool_]:
    """Returns each block joined with its 6 neighbours; beyond the ends is nothing."""
    joined = blocks.copy()
    for axis in range(3):
        of, into = np.moveaxis(blocks, axis, 0), np.moveaxis(joined, axis, 0)
        join(into[1:], of[:-1], out=into[1:])
        join(into[:-1], of[1:], out=into[:-1])
        for end in (into[0], into[-1]):
            join(end, False, out=end)
    return joined


def _peak(counts: NDArray[np.int64], reach: int) -> int:
    """The place with the most within `reach` of it."""
    return int(np.argmax(np.convolve(counts, np.ones(2 * reach + 1, dtype=np.int64), mode="same")))
