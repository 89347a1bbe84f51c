"""What lets rays leap: the range of values in each brick of a volume, and where a transfer function shows nothing."""

import threading
import weakref
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from render.engine.cpu import kernels
from render.engine.cpu.tables import Table, table
from render.engine.tiles import run
from render.recipe import TransferFunction
from render.volume import Volume

_REMEMBERED = 6


class Bricks:
    """Ranges of a volume's bricks, low and high (BK, BJ, BI) float32, and of blocks of bricks; the tables last used."""

    def __init__(self, volume: Volume, threads: int | None) -> None:
        shape = tuple(max(1, -(-(n - 1) // kernels.BRICK)) for n in volume.shape)
        self.low: NDArray[np.float32] = np.empty(shape, dtype=np.float32)
        self.high: NDArray[np.float32] = np.empty(shape, dtype=np.float32)

        def layer(b: int) -> None:
            kernels.brick_ranges(volume.voxels, b, b + 1, self.low, self.high)

        run([lambda b=b: layer(b) for b in range(shape[0])], threads)  # type: ignore[misc]
        blocks = tuple(-(-n * kernels.BRICK // kernels.BLOCK) for n in shape)
        self.block_low: NDArray[np.float32] = np.empty(blocks, dtype=np.float32)
        self.block_high: NDArray[np.float32] = np.empty(blocks, dtype=np.float32)
        kernels.block_ranges(self.low, self.high, self.block_low, self.block_high)
        self._tables: OrderedDict[tuple[TransferFunction, float], tuple[Table, NDArray[np.uint8]]] = OrderedDict()
        self._lock = threading.Lock()

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


_known: "weakref.WeakKeyDictionary[Volume, Bricks]" = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def bricks(volume: Volume, threads: int | None = None) -> Bricks:
    """The bricks of this volume object, made at first use and kept as long as the volume lives."""
    with _lock:
        found = _known.get(volume)
    if found is None:
        found = Bricks(volume, threads)
        with _lock:
            found = _known.setdefault(volume, found)
    return found
