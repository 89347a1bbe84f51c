"""What lets rays leap: the range of values in each brick of a volume, and where a transfer function shows nothing."""

import threading
import weakref
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from render.engine.cpu import kernels
from render.engine.cpu.tables import Table, table
from render.engine.tiles import run
from render.mask import Mask
from render.recipe import LabelRule, TransferFunction
from render.volume import Volume

_REMEMBERED, _MASKS_REMEMBERED = 6, 2

# Read-only as a mask's labels are: to numba that is another type, which would be compiled for once more.
_NO_LABELS, _NO_STATES = np.zeros((1, 1, 1), dtype=np.uint8), np.zeros((1, 1, 1), dtype=np.uint8)
_NO_LABELS.setflags(write=False)
_ALL_SHOWN = np.ones(256, dtype=np.uint8)
_NO_TINTS = np.zeros((256, 4), dtype=np.float32)


class Segments:
    """A mask under rules, as the kernels want it.

    key : what they were made from. labels : (K, J, I) uint8. states : (BK, BJ, BI) uint8, see `kernels.brick_states`.
    shown : (256,) uint8, 1 for a label that is drawn. tints : (256, 4) float32 red, green, blue, 1 for a label with a
    tint.
    """

    def __init__(self, mask: Mask, rules: tuple[LabelRule, ...], shape: tuple[int, ...]) -> None:
        self.key = (mask.digest, rules)
        self.labels = mask.labels
        included = [rule.label for rule in rules if rule.action == "include"]
        self.shown: NDArray[np.uint8] = np.full(256, 0 if included else 1, dtype=np.uint8)
        self.shown[included] = 1
        self.tints: NDArray[np.float32] = np.zeros((256, 4), dtype=np.float32)
        for rule in rules:
            if rule.action == "exclude":
                self.shown[rule.label] = 0
            elif rule.colour is not None:
                self.tints[rule.label] = (*rule.colour, 1.0)
        self.states: NDArray[np.uint8] = np.empty(shape, dtype=np.uint8)
        kernels.brick_states(self.labels, self.shown, self.tints, self.states)


class Bricks:
    """Ranges of a volume's bricks, low and high (BK, BJ, BI) float32, and of blocks of bricks; the tables last used.

    Under a mask, a brick without any voxel shown has the empty range, and `segments` says what the others hold.
    """

    def __init__(self, low: NDArray[np.float32], high: NDArray[np.float32], segments: Segments | None = None) -> None:
        self.low, self.high, self.segments = low, high, segments
        blocks = tuple(-(-n * kernels.BRICK // kernels.BLOCK) for n in low.shape)
        self.block_low: NDArray[np.float32] = np.empty(blocks, dtype=np.float32)
        self.block_high: NDArray[np.float32] = np.empty(blocks, dtype=np.float32)
        kernels.block_ranges(self.low, self.high, self.block_low, self.block_high)
        self._tables: OrderedDict[tuple[TransferFunction, float], tuple[Table, NDArray[np.uint8]]] = OrderedDict()
        self._masked: OrderedDict[tuple[str, tuple[LabelRule, ...]], Bricks] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def of(cls, volume: Volume, threads: int | None) -> "Bricks":
        shape = tuple(max(1, -(-(n - 1) // kernels.BRICK)) for n in volume.shape)
        low, high = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.float32)

        def layer(b: int) -> None:
            kernels.brick_ranges(volume.voxels, b, b + 1, low, high)

        run([lambda b=b: layer(b) for b in range(shape[0])], threads)  # type: ignore[misc]
        return cls(low, high)

    def under(self, mask: Mask, rules: tuple[LabelRule, ...]) -> "Bricks":
        """The same bricks when the rules are applied to the mask; the last ones are kept."""
        key = (mask.digest, rules)
        with self._lock:
            if key in self._masked:
                self._masked.move_to_end(key)
                return self._masked[key]
        segments = Segments(mask, rules, self.low.shape)
        hidden = segments.states & kernels.SHOWN == 0
        far = np.float32(3.0e38)
        made = Bricks(np.where(hidden, far, self.low), np.where(hidden, -far, self.high), segments)
        with self._lock:
            self._masked[key] = made
            while len(self._masked) > _MASKS_REMEMBERED:
                self._masked.popitem(last=False)
        return made

    def masking(self) -> tuple[bool, NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32]]:
        """masked, labels, states, shown, tints, as `kernels.shade_rows` takes them."""
        if self.segments is None:
            return False, _NO_LABELS, _NO_STATES, _ALL_SHOWN, _NO_TINTS
        return True, self.segments.labels, self.segments.states, self.segments.shown, self.segments.tints

    def seen_through(self, transfer: TransferFunction, step_mm: float) -> tuple[Table, NDArray[np.uint8]]:
        """The table, and (BK, BJ, BI) uint8 how many bricks away something may be seen; 0: in this one."""
        key = (transfer, step_mm)
        with self._lock:
            if key in self._tables:
                self._tables.move_to_end(key)
                return self._tables[key]
        made = table(transfer, step_mm)
        distances = np.empty(self.low.shape, dtype=np.uint8)
        kernels.brick_distances(self.low, self.high, made.first, made.scale, made.visible, distances)
        with self._lock:
            self._tables[key] = (made, distances)
            while len(self._tables) > _REMEMBERED:
                self._tables.popitem(last=False)
        return made, distances

    def forget(self) -> None:
        """Drops the tables, so that the next picture asks the ranges again."""
        with self._lock:
            self._tables.clear()
            self._masked.clear()


_known: "weakref.WeakKeyDictionary[Volume, Bricks]" = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def bricks(volume: Volume, threads: int | None = None) -> Bricks:
    """The bricks of this volume object, made at first use and kept as long as the volume lives."""
    with _lock:
        found = _known.get(volume)
    if found is None:
        found = Bricks.of(volume, threads)
        with _lock:
            found = _known.setdefault(volume, found)
    return found
