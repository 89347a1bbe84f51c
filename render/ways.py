"""The cheapest ways through a grid of costs, between voxels that touch. Other threads run meanwhile."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from render.engine import cpu

Spot = tuple[int, int, int]


class Ways:
    """The ways through a grid.

    cost : (K, J, I) float64 for each millimetre; a step costs its length times the mean of both ends. Below 0 no way
    leads through. spacing_mm : along k, j and i.
    """

    def __init__(self, cost: NDArray[np.float64], spacing_mm: Sequence[float] | NDArray[np.float64]) -> None:
        self._shape = cost.shape
        self._cost = np.ascontiguousarray(cost, dtype=np.float64).reshape(-1)
        steps = np.stack(np.meshgrid(*[(-1.0, 0.0, 1.0)] * 3, indexing="ij"), axis=-1).reshape(27, 3)
        self._steps = steps.astype(np.int64)
        self._lengths = np.sqrt(((steps * np.asarray(spacing_mm, dtype=np.float64)) ** 2).sum(axis=1))
        self._total = np.empty(self._cost.size, dtype=np.float64)
        self._came = np.empty(self._cost.size, dtype=np.int8)
        self._heap, self._place = (np.empty(self._cost.size, dtype=np.int32) for _ in range(2))

    def between(self, start: Sequence[int], end: Sequence[int]) -> list[Spot]:
        """Returns the voxels (k, j, i) of the cheapest way, both ends included. Raises ValueError where there is
        none."""
        here = self._number(end)
        self._search(self._number(start), here)
        if not np.isfinite(self._total[here]):
            raise ValueError(f"No way leads from {tuple(start)} to {tuple(end)}.")
        spot = np.array(end, dtype=np.int64)
        way = [spot]
        while (step := int(self._came[self._number(spot)])) >= 0:
            spot = spot - self._steps[step]
            way.append(spot)
        return [(int(k), int(j), int(i)) for k, j, i in reversed(way)]

    def costs_from(self, start: Sequence[int]) -> NDArray[np.float64]:
        """Returns (K, J, I) float64, what the cheapest way from a voxel to each costs; infinite where none leads."""
        self._search(self._number(start), -1)
        return self._total.reshape(self._shape).copy()

    def _number(self, spot: Sequence[int] | NDArray[np.int64]) -> int:
        return int(np.ravel_multi_index(tuple(int(n) for n in spot), self._shape))

    def _search(self, first: int, last: int) -> None:
        scratch = (self._total, self._came, self._heap, self._place)
        cpu.ways.cheapest(self._cost, self._lengths, first, last, *scratch, np.array(self._shape, dtype=np.int64))
