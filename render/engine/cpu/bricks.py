"""Bricks, over which rays leap: the range of values in each, and where a transfer function shows nothing."""

import math
import threading
import weakref
from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.engine.cpu.jit import kernel
from render.engine.cpu.sampling import HIDDEN, SHOWN, TINTED
from render.engine.cpu.tables import Table, entry, transfer_table
from render.engine.tiles import bands, run_tiles
from render.mask import Mask
from render.recipe import LabelRule, TransferFunction
from render.volume import Volume

BRICK, SHIFT = 4, 2  # cells along the edge of a brick
BLOCK, BLOCK_SHIFT = 8, 3  # bricks along the edge of a block
_FARTHEST = 15  # the longest leap in bricks; longer ones are rare
_FAR = np.float32(3.0e38)
# How many tables and masks are cached: with the ranges they take less than a tenth of the voxels' bytes.
_REMEMBERED, _MASKS_REMEMBERED = 3, 2
_LAYERS = 4  # layers of bricks in one task

Bytes = NDArray[np.uint8]
Singles = NDArray[np.float32]


def padded(shape: tuple[int, ...]) -> Bytes:
    """Makes zeroed bytes of a shape, with three more after them, which `simd.gather` may read."""
    count = math.prod(shape)
    return np.zeros(count + 3, dtype=np.uint8)[:count].reshape(shape)


@kernel
def brick_ranges(voxels: Any, ends: Any, small: Any, great: Any, b0: int, b1: int, low: Singles, high: Singles) -> None:
    """Finds least and greatest value of each brick of layers b0…b1−1. A brick has 4 cells along an edge, so 5 voxels,
    so that every interpolated value in it lies between the two. NaN is ignored.

    ends : (2,) of the voxels' type, greatest and least value there is. small, great : (I,) likewise, scratch.
    low, high : (BK, BJ, BI) float32.
    """
    nk, nj, ni = voxels.shape
    for bk in range(b0, b1):
        for bj in range(low.shape[1]):
            # First all rows of the bricks are combined into one, on vectors, then the bricks along it.
            small[:], great[:] = ends[0], ends[1]
            for k in range(bk * BRICK, min(bk * BRICK + BRICK + 1, nk)):
                for j in range(bj * BRICK, min(bj * BRICK + BRICK + 1, nj)):
                    for i in range(ni):
                        v = voxels[k, j, i]
                        small[i] = v if v < small[i] else small[i]
                        great[i] = v if v > great[i] else great[i]
            for bi in range(low.shape[2]):
                lowest, highest = small[bi * BRICK], great[bi * BRICK]
                for i in range(bi * BRICK + 1, min(bi * BRICK + BRICK + 1, ni)):
                    lowest, highest = min(lowest, small[i]), max(highest, great[i])
                low[bk, bj, bi], high[bk, bj, bi] = lowest, highest


@kernel
def block_ranges(low: Singles, high: Singles, block_low: Singles, block_high: Singles) -> None:
    """Finds least and greatest value of blocks of bricks, from those of the bricks."""
    block_low[:], block_high[:] = _FAR, -_FAR
    for k in range(low.shape[0]):
        for j in range(low.shape[1]):
            for i in range(low.shape[2]):
                a, b, c = k >> BLOCK_SHIFT, j >> BLOCK_SHIFT, i >> BLOCK_SHIFT
                block_low[a, b, c] = min(block_low[a, b, c], low[k, j, i])
                block_high[a, b, c] = max(block_high[a, b, c], high[k, j, i])


@kernel
def brick_states(labels: Any, shown: Any, tints: Any, b0: int, b1: int, out: Any) -> None:
    """Writes the state of each brick of layers b0…b1−1 under a mask: the sum of SHOWN, HIDDEN, TINTED, by its labels.
    out : (BK, BJ, BI)."""
    nk, nj, ni = labels.shape
    for bk in range(b0, b1):
        for bj in range(out.shape[1]):
            for bi in range(out.shape[2]):
                state = 0
                for k in range(bk * BRICK, min(bk * BRICK + BRICK + 1, nk)):
                    for j in range(bj * BRICK, min(bj * BRICK + BRICK + 1, nj)):
                        for i in range(bi * BRICK, min(bi * BRICK + BRICK + 1, ni)):
                            label = labels[k, j, i]
                            if not shown[label]:
                                state |= HIDDEN
                            elif tints[label, 3] > 0.0:
                                state |= SHOWN | TINTED
                            else:
                                state |= SHOWN
                out[bk, bj, bi] = state


@kernel
def seen_bricks(low: Singles, high: Singles, first: Any, scale: Any, visible: Any, b0: int, b1: int, out: Any) -> None:
    """Writes 1 for the bricks of layers b0…b1−1 in which something may be visible, else 0. out : (BK, BJ, BI) uint8.

    visible : (N + 1,) int64, how many of the table's entries before each have any opacity.
    """
    count = visible.shape[0] - 1
    for k in range(b0, b1):
        for j in range(low.shape[1]):
            for i in range(low.shape[2]):
                a, b = entry(low[k, j, i], first, scale, count), entry(high[k, j, i], first, scale, count)
                seen = low[k, j, i] <= high[k, j, i] and visible[b + 1] > visible[a]
                out[k, j, i] = 1 if seen else 0


@kernel
def brick_distances(seen: Any, grown: Any, out: Any) -> None:
    """Writes the Chebyshev distance, in bricks, to the nearest brick in which something may be visible; 0 for itself.

    seen : (BK, BJ, BI) uint8 of `seen_bricks`, destroyed. grown : scratch of that shape. out : likewise, at most
    _FARTHEST. The visible region grows by a brick all around, and every brick counts how often it was still outside.
    """
    nk, nj, ni = seen.shape
    out[:] = 0
    for _ in range(_FARTHEST):
        for k in range(nk):
            for j in range(nj):
                for i in range(ni):
                    out[k, j, i] += np.uint8(1) - seen[k, j, i]
        for k in range(nk):
            for j in range(nj):
                grown[k, j, 0] = seen[k, j, 0] | seen[k, j, min(1, ni - 1)]
                grown[k, j, ni - 1] = seen[k, j, ni - 1] | seen[k, j, max(ni - 2, 0)]
                for i in range(1, ni - 1):
                    grown[k, j, i] = seen[k, j, i - 1] | seen[k, j, i] | seen[k, j, i + 1]
        for k in range(nk):
            for j in range(nj):
                above, below = max(j - 1, 0), min(j + 1, nj - 1)
                for i in range(ni):
                    seen[k, j, i] = grown[k, above, i] | grown[k, j, i] | grown[k, below, i]
        for k in range(nk):
            above, below = max(k - 1, 0), min(k + 1, nk - 1)
            for j in range(nj):
                for i in range(ni):
                    grown[k, j, i] = seen[above, j, i] | seen[k, j, i] | seen[below, j, i]
        for k in range(nk):
            for j in range(nj):
                for i in range(ni):
                    seen[k, j, i] = grown[k, j, i]


# Read-only like a mask's labels: a writable array is another type to numba, so the kernels would compile once more.
_NO_LABELS, _NO_STATES = np.zeros((1, 1, 1), dtype=np.uint8), padded((1, 1, 1))
_NO_LABELS.setflags(write=False)
_ALL_SHOWN = np.ones(256, dtype=np.uint8)
_NO_TINTS = np.zeros((256, 4), dtype=np.float32)
_WHOLE = np.ones(256, dtype=np.float32)


class Segments:
    """A mask with its rules, in the form for the kernels.

    key : the mask and rules. labels : (K, J, I) uint8. states : (BK, BJ, BI) uint8, see `brick_states`.
    shown : (256,) uint8, 1 for a label that is drawn. tints : (256, 4) float32 red, green, blue, 1 for a label with a
    tint. opacities : (256,) float32 by which the opacity of a label is scaled; is_faded : whether any is not 1.
    """

    def __init__(self, mask: Mask, rules: tuple[LabelRule, ...], shape: tuple[int, ...]) -> None:
        self.key = (mask.digest, rules)
        self.labels = mask.labels
        included = [rule.label for rule in rules if rule.action == "include"]
        self.shown: NDArray[np.uint8] = np.full(256, 0 if included else 1, dtype=np.uint8)
        self.shown[included] = 1
        self.tints: NDArray[np.float32] = np.zeros((256, 4), dtype=np.float32)
        self.opacities: NDArray[np.float32] = np.ones(256, dtype=np.float32)
        for rule in rules:
            if rule.opacity is not None:
                self.opacities[rule.label] = rule.opacity
            elif rule.action == "exclude":
                self.shown[rule.label] = 0
            elif rule.colour is not None:
                self.tints[rule.label] = (*rule.colour, 1.0)
        self.is_faded = bool((self.opacities < 1.0).any())
        self.states = padded(shape)
        run_tiles([lambda b=b: self._layers(*b) for b in bands(shape[0], _LAYERS)])  # type: ignore[misc]

    def _layers(self, b0: int, b1: int) -> None:
        brick_states(self.labels, self.shown, self.tints, b0, b1, self.states)


class Bricks:
    """The ranges of a volume's bricks, low and high (BK, BJ, BI) float32, and of blocks of bricks; caches tables.

    Under a mask, a brick without a shown voxel has the empty range, and `segments` holds the state of the others.
    """

    def __init__(self, low: NDArray[np.float32], high: NDArray[np.float32], segments: Segments | None = None) -> None:
        self.low, self.high, self.segments = low, high, segments
        blocks = tuple(-(-n // BLOCK) for n in low.shape)
        self.block_low: NDArray[np.float32] = np.empty(blocks, dtype=np.float32)
        self.block_high: NDArray[np.float32] = np.empty(blocks, dtype=np.float32)
        block_ranges(self.low, self.high, self.block_low, self.block_high)
        self._tables: OrderedDict[tuple[TransferFunction, float], tuple[Table, NDArray[np.uint8]]] = OrderedDict()
        self._masked: OrderedDict[tuple[str, tuple[LabelRule, ...]], Bricks] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def of(cls, volume: Volume, threads: int | None) -> "Bricks":
        shape = tuple(max(1, -(-(n - 1) // BRICK)) for n in volume.shape)
        low, high = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.float32)
        whole = volume.voxels.dtype == np.int16
        ends = np.array([32767, -32768] if whole else [_FAR, -_FAR], dtype=volume.voxels.dtype)

        def layers(b0: int, b1: int) -> None:
            small, great = np.empty((2, volume.shape[2]), dtype=volume.voxels.dtype)
            brick_ranges(volume.voxels, ends, small, great, b0, b1, low, high)

        run_tiles([lambda b=b: layers(*b) for b in bands(shape[0], _LAYERS)], threads)  # type: ignore[misc]
        return cls(low, high)

    def under(self, mask: Mask, rules: tuple[LabelRule, ...]) -> "Bricks":
        """Returns the bricks under a mask with rules; the last ones are cached."""
        key = (mask.digest, rules)
        with self._lock:
            if key in self._masked:
                self._masked.move_to_end(key)
                return self._masked[key]
        segments = Segments(mask, rules, self.low.shape)
        hidden = segments.states & SHOWN == 0
        made = Bricks(np.where(hidden, _FAR, self.low), np.where(hidden, -_FAR, self.high), segments)
        with self._lock:
            self._masked[key] = made
            while len(self._masked) > _MASKS_REMEMBERED:
                self._masked.popitem(last=False)
        return made

    def masking(self) -> tuple[bool, NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32]]:
        """Returns the mask in the form of `kernel_records.OptionalParts`."""
        if self.segments is None:
            return False, _NO_LABELS, _NO_STATES, _ALL_SHOWN, _NO_TINTS
        return True, self.segments.labels, self.segments.states, self.segments.shown, self.segments.tints

    def fading(self) -> tuple[bool, NDArray[np.float32]]:
        """Returns whether the mask fades any label, and the (256,) float32 by which opacities are scaled."""
        return (False, _WHOLE) if self.segments is None else (self.segments.is_faded, self.segments.opacities)

    def seen_through(self, transfer: TransferFunction, step_mm: float) -> tuple[Table, NDArray[np.uint8]]:
        """Returns the table, and (BK, BJ, BI) uint8 the distance in bricks to where something may be visible."""
        key = (transfer, step_mm)
        with self._lock:
            if key in self._tables:
                self._tables.move_to_end(key)
                return self._tables[key]
        made = transfer_table(transfer, step_mm)
        shape = self.low.shape
        seen, distances = np.empty(shape, dtype=np.uint8), padded(shape)

        def layers(b0: int, b1: int) -> None:
            seen_bricks(self.low, self.high, made.first, made.scale, made.visible, b0, b1, seen)

        run_tiles([lambda b=b: layers(*b) for b in bands(shape[0], _LAYERS)])  # type: ignore[misc]
        brick_distances(seen, np.empty(shape, dtype=np.uint8), distances)
        with self._lock:
            self._tables[key] = (made, distances)
            while len(self._tables) > _REMEMBERED:
                self._tables.popitem(last=False)
        return made, distances

    def forget(self) -> None:
        """Drops the tables, so that the next picture computes them from the ranges again."""
        with self._lock:
            self._tables.clear()
            self._masked.clear()


_known: "weakref.WeakKeyDictionary[Volume, Bricks]" = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def bricks(volume: Volume, threads: int | None = None) -> Bricks:
    """Returns the bricks of this volume object, made at first use and cached as long as the volume lives."""
    with _lock:
        found = _known.get(volume)
    if found is None:
        found = Bricks.of(volume, threads)
        with _lock:
            found = _known.setdefault(volume, found)
    return found
