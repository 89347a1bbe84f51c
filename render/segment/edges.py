"""Edges along rays from a middle: where along each ray the edge lies, weighed against what its neighbours say.

Source of weighing along a graph: Felzenszwalb and Huttenlocher 2006, 'Efficient belief propagation for early vision'.
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from render.segment.grid import Index
from render.segment.star import Floats3, moved
from render.volume import Volume

_STEPS = 96  # places along each ray
CLEAR = 3.0  # an edge in units of the noise
_ROUNDS = 12
_OWN_MM = 3.0
_RELAXED = 120
_STIFF = 0.35  # what a step to a neighbour's other place costs, in edges


@dataclass(frozen=True, slots=True, eq=False)
class Rays:
    """What rays are drawn through. soft : the smoothed box, from voxel `start` on. noise : of its values."""

    volume: Volume
    soft: NDArray[np.float32]
    start: Index
    smoothing_mm: float
    noise: float

    def at(self, points_mm: Floats3) -> NDArray[np.float64]:
        index = moved(self.volume.to_index, points_mm) - np.array(self.start, dtype=np.float64)
        return np.asarray(
            scipy.ndimage.map_coordinates(
                self.soft, np.moveaxis(index, -1, 0), order=1, mode="nearest", output=np.float64
            )
        )


class Profiles:
    """Values along rays from a middle, turned so that a lesion is bright, and the drop at each place of each ray."""

    def __init__(self, rays: Rays, centre: Floats3, directions: Floats3, reach: float, sign: int) -> None:
        self.apart = apart = reach / _STEPS
        margin = max(1, round(max(1.5, 1.5 * rays.smoothing_mm) / apart))
        every = np.maximum((np.arange(-margin, _STEPS + margin) + 0.5) * apart, 0.0)
        values = sign * rays.at(centre + directions[:, None] * every[None, :, None])
        sums = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
        inner = (sums[:, margin : margin + _STEPS] - sums[:, :_STEPS]) / margin
        outer = (sums[:, 2 * margin : 2 * margin + _STEPS] - sums[:, margin : margin + _STEPS]) / margin
        self.drop = inner - outer
        self.values = values[:, margin : margin + _STEPS]
        self.level = float(np.median(self.values[:, : max(1, round(1.5 / apart))]))


@dataclass(frozen=True, slots=True, eq=False)
class Edge:
    """Where the edge is along each ray, where it is clear, its drop there, and the spread of values well within it."""

    radii_mm: NDArray[np.float64]
    clear: NDArray[np.bool_]
    drop: float
    spread: float

    @property
    def share(self) -> float:
        return float(np.count_nonzero(self.clear)) / len(self.clear)


def edges_along(rays: Rays, profiles: Profiles, neighbours: NDArray[np.int64], scale: float) -> Edge:
    """Returns the edge of about the strength `scale`."""
    drop, apart = profiles.drop, profiles.apart
    # Beyond where the ray has left the lesion's own brightness, no edge is its own.
    strange = np.maximum(np.abs(profiles.values - profiles.level) - 0.6 * scale, 0.0) / scale
    left = np.cumsum(np.minimum(strange, 2.0), axis=1) * apart
    cost = -np.minimum(drop / scale, 1.2) + np.minimum(0.8 * np.maximum(left - 0.5, 0.0), 3.0)
    places = _weighed(cost, neighbours, _STIFF * apart)
    # The neighbours have told which edge; how far it is, a ray knows better by itself.
    window = max(1, round(_OWN_MM / apart))
    ranks = np.arange(_STEPS)[None, :]
    nearby = np.where(np.abs(ranks - places[:, None]) <= window, -drop, np.inf)
    own = nearby.argmin(axis=1)
    n = np.arange(len(places))
    clear = (drop[n, own] > CLEAR * rays.noise) & (drop[n, own] > 0.4 * scale)
    clear &= np.abs(ranks[0, own] - places) < window
    # Beside a place without an edge the edge is drawn off by what is there.
    lost = _widened(~clear & (mean_around(clear.astype(np.float64), neighbours) < 0.55), neighbours)
    clear &= ~_widened(lost, neighbours)
    away = np.arange(_STEPS, dtype=np.float64) * apart
    radii = _bridged(_between(-drop, own, away, float(apart)), clear, neighbours, away[places])
    within_it = profiles.values[(away + 0.5 * apart)[None, :] < 0.65 * radii[:, None]]
    spread = float(np.median(np.abs(within_it - np.median(within_it)))) / 0.6745 if within_it.size else 0.0
    return Edge(radii, clear, float(np.median(drop[n, own][clear])) if clear.any() else 0.0, spread)


def _between(
    cost: NDArray[np.float64], places: NDArray[np.int64], away: NDArray[np.float64], apart: float
) -> NDArray[np.float64]:
    """Returns the places to a part of a step, by the parabola through the least cost and its neighbours."""
    n = np.arange(len(places))
    inside = np.clip(places, 1, _STEPS - 2)
    before, here, after = cost[n, inside - 1], cost[n, inside], cost[n, inside + 1]
    bend = before - 2.0 * here + after
    offset = np.where(bend > 1e-9, 0.5 * (before - after) / np.maximum(bend, 1e-9), 0.0)
    least = (here <= before) & (here <= after) & (inside == places)
    return np.asarray(away[places] + np.where(least, np.clip(offset, -0.5, 0.5), 0.0) * apart)


def _bridged(
    radii: NDArray[np.float64], clear: NDArray[np.bool_], neighbours: NDArray[np.int64], first: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Returns the radii where those without a clear edge go on from the others without a kink, as a thin plate does."""
    if np.count_nonzero(clear) < 0.3 * len(clear):
        return np.maximum(first, 0.2)
    # The inverse square, which for an ellipsoid about its middle is smooth however long it is.
    flat, free = np.maximum(np.where(clear, radii, first), 0.2) ** -2, ~clear
    flat = flat * (scale := float(np.median(np.maximum(radii, 0.2))) ** 2)
    # Conjugate gradients on what bends least; sums are exact, so that they depend on no order.
    rest = -np.where(free, _bent(_bent(flat, neighbours), neighbours, True), 0.0)
    along, size = rest, _product(rest, rest)
    for _ in range(_RELAXED):
        if size < 1e-12:
            break
        pulled = np.where(free, _bent(_bent(along, neighbours), neighbours, True), 0.0)
        part = size / _product(along, pulled)
        flat, rest = flat + part * along, rest - part * pulled
        former, size = size, _product(rest, rest)
        along = rest + (size / former) * along
    # Never more than twice as far as its neighbours told.
    bridged = np.sqrt(scale / np.maximum(flat, scale / (2.0 * first + 1.0) ** 2))
    return np.where(clear, np.maximum(radii, 0.2), bridged)


def _bent(values: NDArray[np.float64], neighbours: NDArray[np.int64], back: bool = False) -> NDArray[np.float64]:
    """Returns how far each value lies above its neighbours' mean; `back` is the transposed of that."""
    if not back:
        return values - mean_around(values, neighbours)
    out = values.copy()
    for n in range(6):
        np.subtract.at(out, neighbours[:, n], values / 6.0)
    return out


def _product(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return math.fsum((a * b).tolist())


def _widened(some: NDArray[np.bool_], neighbours: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.asarray(some | some[neighbours].any(axis=1))


def mean_around(values: NDArray[np.float64], neighbours: NDArray[np.int64]) -> NDArray[np.float64]:
    total = values[neighbours[:, 0]]
    for n in range(1, 6):
        total = total + values[neighbours[:, n]]
    return np.asarray(total / 6.0)


def _weighed(cost: NDArray[np.float64], neighbours: NDArray[np.int64], stiff: float) -> NDArray[np.int64]:
    """Returns the place of each ray by its own cost and its neighbours', which costs `stiff` for each step apart."""
    count, steps = cost.shape
    # Where a corner has five neighbours, the sixth repeats the first and says nothing.
    silent = 5 * count + np.flatnonzero(neighbours[:, 5] == neighbours[:, 0])
    back = np.zeros((count, 6), dtype=np.int64)
    for slot in range(6):
        matches = neighbours[neighbours[:, slot]] == np.arange(count)[:, None]
        back[:, slot] = matches.argmax(axis=1)
    # What corner i hears in its slot is what its neighbour says in the slot that leads back.
    heard = (back * count + neighbours).T.ravel()
    # Places first: what is passed from place to place is then one row of all rays.
    own = np.ascontiguousarray(cost.T)
    messages, total, further = np.zeros((steps, 6, count)), np.empty((steps, 6, count)), np.empty((6, count))
    for _ in range(_ROUNDS):
        np.subtract((own + messages.sum(axis=1))[:, None, :], messages, out=total)
        for ways in (range(1, steps), range(steps - 2, -1, -1)):
            for place in ways:
                np.add(total[place - 1 if ways.step > 0 else place + 1], stiff, out=further)
                np.minimum(total[place], further, out=total[place])
        total -= total.min(axis=0)
        flat = messages.reshape(steps, -1)
        np.take(total.reshape(steps, -1), heard, axis=1, out=flat, mode="clip")
        flat[:, silent] = 0.0
    return np.asarray((own + messages.sum(axis=1)).argmin(axis=0))


def summed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    total = values[:, 0]
    for n in range(1, values.shape[1]):
        total = total + values[:, n]
    return np.asarray(total)
