"""How bright dye has made the vessels of a CT, and the soft tissue beside them: presets and windows are placed by it.

Blood with dye is even and brighter than soft tissue over many voxels; bone and marrow are uneven. Of all even and
bright places the level is taken that most of them have, brighter ones counting more: veins and kidneys are brighter
than tissue too, but arteries of an angiography are brightest.
"""

import weakref
from dataclasses import dataclass
from functools import reduce

import numpy as np
import scipy
from numpy.typing import NDArray

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
_LAYERS = 16


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
    """Returns the means of blocks of voxels, rounded down, at most `_FAR`. factor : voxels of a block along k, j, i.

    A layer of blocks at a time: in numbers wide enough for its sums the whole volume would take four times its memory.
    """
    a, b, c = factor
    k, j, i = (n // f for n, f in zip(voxels.shape, factor, strict=True))
    means = np.empty((k, j, i), dtype=np.int16)
    for n in range(k):
        layer = voxels[n * a : (n + 1) * a, : j * b, : i * c]
        whole = layer if np.issubdtype(layer.dtype, np.integer) else np.rint(layer).astype(np.int64)
        sums = whole.sum(axis=0, dtype=np.int64)
        sums = reduce(np.add, (sums[step::b] for step in range(b)))
        sums = reduce(np.add, (sums[:, step::c] for step in range(c)))
        means[n] = np.clip(sums // (a * b * c), -_FAR, _FAR)
    return means


def _even(blocks: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Returns where a block and its 26 neighbours differ little. Some layers at a time, as `_blocks`."""
    even = np.empty(blocks.shape, dtype=np.bool_)
    for first in range(0, len(blocks), _LAYERS):
        last = min(first + _LAYERS, len(blocks))
        some = blocks[np.clip(np.arange(first - 1, last + 1), 0, len(blocks) - 1)]
        values = np.pad(some.astype(np.int64), ((0, 0), (1, 1), (1, 1)), mode="edge")
        total, squares = _sum_of_27(values), _sum_of_27(values * values)
        even[first:last] = 27 * squares - total * total <= int(_EVEN * _EVEN * 27 * 27)
    return even


def _of_the_patient(blocks: NDArray[np.int16]) -> NDArray[np.bool_]:
    """The largest thing that is no air, without what hangs on to it by a bridge: a table is even too."""
    labels, count = scipy.ndimage.label(scipy.ndimage.binary_erosion(blocks > _AIR))
    if count == 0:
        return np.ones(blocks.shape, dtype=np.bool_)
    sizes = sum(np.bincount(layer.reshape(-1), minlength=count + 1) for layer in labels)
    largest = 1 + int(np.argmax(np.asarray(sizes)[1:]))
    return np.asarray(scipy.ndimage.binary_dilation(labels == largest, iterations=2))


def _sum_of_27(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns the sums over neighbours; two less along each axis."""
    values = values[:-2] + values[1:-1] + values[2:]
    values = values[:, :-2] + values[:, 1:-1] + values[:, 2:]
    return values[:, :, :-2] + values[:, :, 1:-1] + values[:, :, 2:]


def _peak(counts: NDArray[np.int64], reach: int) -> int:
    """The place with the most within `reach` of it."""
    return int(np.argmax(np.convolve(counts, np.ones(2 * reach + 1, dtype=np.int64), mode="same")))
