"""How bright dye has made the vessels of a CT, and the soft tissue beside them: presets and windows are placed by it.

Blood with dye is even and brighter than soft tissue over many voxels; bone and marrow are uneven. Of all even and
bright places the level is taken that most of them have, brighter ones counting more: veins and kidneys are brighter
than tissue too, but arteries of an angiography are brightest.
"""

import weakref
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

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
    k, j, i = (n // f * f for n, f in zip(volume.shape, factor, strict=True))
    cut = np.rint(volume.voxels[:k, :j, :i]).astype(np.int64)
    a, b, c = factor
    blocks = cut.reshape(k // a, a, j // b, b, i // c, c).sum(axis=(1, 3, 5)) // (a * b * c)
    block_ml = a * b * c * float(np.prod(volume.spacing_mm)) / 1000.0
    counts = np.bincount(
        blocks[(blocks >= _TISSUE[0]) & (blocks < _TISSUE[1])] - _TISSUE[0], minlength=_TISSUE[1] - _TISSUE[0]
    )
    tissue = _TISSUE[0] + _peak(counts, 4)
    total, squares = (_sum_of_27(values) for values in (blocks, blocks * blocks))
    even = 27 * squares - total * total <= int(_EVEN * _EVEN * 27 * 27)
    bright = blocks[even & _of_the_patient(blocks) & (blocks >= tissue + _LEAST_ABOVE) & (blocks < _MOST)]
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


def _of_the_patient(blocks: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The largest thing that is no air, without what hangs on to it by a bridge: a table is even too."""
    labels, count = ndimage.label(ndimage.binary_erosion(blocks > _AIR))
    if count == 0:
        return np.ones(blocks.shape, dtype=np.bool_)
    largest = 1 + int(np.argmax(np.bincount(labels.reshape(-1))[1:]))
    return np.asarray(ndimage.binary_dilation(labels == largest, iterations=2))


def _sum_of_27(
    values: "np.ndarray[tuple[int, ...], np.dtype[np.int64]]",
) -> "np.ndarray[tuple[int, ...], np.dtype[np.int64]]":
    for axis in range(3):
        values = ndimage.convolve1d(values, [1, 1, 1], axis=axis, mode="nearest")
    return values


def _peak(counts: NDArray[np.int64], reach: int) -> int:
    """The place with the most within `reach` of it."""
    return int(np.argmax(np.convolve(counts, np.ones(2 * reach + 1, dtype=np.int64), mode="same")))
