"""The cheapest ways through a grid. Source: Dijkstra 1959, 'A note on two problems in connexion with graphs'."""

from typing import Any

import numpy as np

from render.engine.cpu.jit import helper, kernel


@helper
def _before(total: Any, a: int, b: int) -> bool:
    """Whether voxel a comes before b: it is cheaper to reach, or of the two the first in memory."""
    return total[a] < total[b] or (total[a] == total[b] and a < b)


@helper
def _rise(heap: Any, place: Any, total: Any, n: int) -> None:
    """Moves the entry at n towards the top, where it belongs."""
    voxel = heap[n]
    while n > 0:
        above = (n - 1) >> 1
        if not _before(total, voxel, heap[above]):
            break
        heap[n] = heap[above]
        place[heap[n]] = n
        n = above
    heap[n] = voxel
    place[voxel] = n


@helper
def _sink(heap: Any, place: Any, total: Any, count: int) -> None:
    """Moves the entry at the top down, where it belongs."""
    voxel, n = heap[0], 0
    while True:
        below = 2 * n + 1
        if below >= count:
            break
        if below + 1 < count and _before(total, heap[below + 1], heap[below]):
            below += 1
        if not _before(total, heap[below], voxel):
            break
        heap[n] = heap[below]
        place[heap[n]] = n
        n = below
    heap[n] = voxel
    place[voxel] = n


@kernel
def cheapest(
    cost: Any, lengths: Any, first: int, last: int, total: Any, came: Any, heap: Any, place: Any, shape: Any
) -> None:
    """Writes what the cheapest way from voxel `first` to each voxel costs, and by which step it comes there.

    A step costs its length times the mean of the costs at its ends. The search ends when `last` is reached; with −1 it
    goes everywhere. Voxels are numbered in memory order.

    cost : (N,) float64; below 0 no way leads through. lengths : (27,) float64, of a step by its number, 9 (k+1) +
    3 (j+1) + (i+1). total : (N,) float64, infinite where no way was found. came : (N,) int8, the number of the step, −1
    at `first` and where there is none. heap, place : (N,) int32, scratch. shape : (3,) int64.
    """
    nk, nj, ni = shape[0], shape[1], shape[2]
    for n in range(len(total)):
        total[n] = np.inf
        came[n] = -1
        place[n] = -1  # not seen; −2 : done
    total[first] = 0.0
    heap[0] = first
    place[first] = 0
    count = 1
    while count > 0:
        here = heap[0]
        count -= 1
        place[here] = -2
        if here == last:
            break
        if count > 0:
            heap[0] = heap[count]
            _sink(heap, place, total, count)
        k, rest = here // (nj * ni), here % (nj * ni)
        j, i = rest // ni, rest % ni
        for a in range(max(k - 1, 0), min(k + 2, nk)):
            for b in range(max(j - 1, 0), min(j + 2, nj)):
                for c in range(max(i - 1, 0), min(i + 2, ni)):
                    there = (a * nj + b) * ni + c
                    if place[there] == -2 or cost[there] < 0.0:
                        continue
                    step = 9 * (a - k + 1) + 3 * (b - j + 1) + (c - i + 1)
                    reached = total[here] + lengths[step] * 0.5 * (cost[here] + cost[there])
                    if reached < total[there]:
                        total[there] = reached
                        came[there] = step
                        if place[there] == -1:
                            heap[count] = there
                            place[there] = count
                            count += 1
                        _rise(heap, place, total, place[there])
