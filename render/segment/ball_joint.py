"""The head of a ball joint: a sphere fitted to where its cortex ends, from a click near its middle."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from render.geometry import Vector, vector
from render.segment.grid import Block, place_in_words, seed_of, wider
from render.segment.star import Floats3, moved, sphere
from render.volume import Volume

# mm. Radii of heads of femur and humerus in adults are 17 to 32.
_LEAST_MM, _MOST_MM, _STEP_MM = 12.0, 36.0, 0.25
_SMOOTHED_MM = 0.7
_ROUNDS = 12
_NEAR_MM = 2.0  # of the sphere, where an edge is taken for its own
_CORTEX = 150.0  # HU, that the cortex is denser than the joint space at least
_LEAST_SHARE = 0.35  # of the directions; the neck takes about a quarter, contacts some more
_MOST_SCATTER_MM = 1.0


@dataclass(frozen=True, slots=True)
class Ball:
    """A fitted sphere, or the reason why there is none. centre_mm : LPS mm. radius_mm : to the outer edge of the
    cortex. scatter_mm : root mean square of the edge about the sphere. share : of the directions, 0…1, that meet an
    edge there. declined : empty where it was fitted."""

    centre_mm: Vector = (0.0, 0.0, 0.0)
    radius_mm: float = 0.0
    scatter_mm: float = 0.0
    share: float = 0.0
    declined: str = ""


def fit_ball(volume: Volume, seed_mm: Vector) -> Ball:
    """Fits the head about a click, which has to lie within the half of its radius next to its middle. CT in HU.

    Raises StepError for a click outside the volume.
    """
    seed = seed_of(volume, seed_mm)
    where = f"at {place_in_words(seed_mm)} mm"
    if volume.unit != "HU":
        return _none(f"A head is known by its cortex in HU; this volume is in {volume.unit}.")
    one: Block = (slice(seed[0], seed[0] + 1), slice(seed[1], seed[1] + 1), slice(seed[2], seed[2] + 1))
    box = wider(one, 1.6 * _MOST_MM, volume)
    widths = [_SMOOTHED_MM / s for s in volume.spacing_mm]
    soft = ndimage.gaussian_filter(volume.voxels[box].astype(np.float32), widths, truncate=3.0, mode="nearest")
    start = np.array([side.start for side in box], dtype=np.float64)
    directions, _, _ = sphere(3)
    centre, radius = np.array(seed_mm, dtype=np.float64), 0.0
    for turn in range(_ROUNDS):
        radii = _edges(volume, soft, start, centre, directions, radius if turn else None)
        seen = radii > 0.0
        if float(np.count_nonzero(seen)) < _LEAST_SHARE * len(radii):
            share = float(np.count_nonzero(seen)) / len(radii)
            return _none(f"No head {where}: only {share:.0%} of the directions meet the edge of a cortex.")
        points = centre + directions[seen] * radii[seen, None]
        former = centre
        centre, radius, apart = _fitted(points)
        if float(np.abs(centre - former).max()) < 0.01:
            break
    scatter = float(np.sqrt((apart * apart).mean()))
    share = float(np.count_nonzero(seen)) / len(radii)
    if scatter > _MOST_SCATTER_MM:
        return _none(f"No head {where}: the edge strays by {scatter:.1f} mm from a sphere.")
    moved_by = float(np.sqrt(((centre - np.array(seed_mm)) ** 2).sum()))
    if not _LEAST_MM <= radius <= _MOST_MM or moved_by > radius:
        return _none(f"No head {where}: a sphere of {radius:.1f} mm, {moved_by:.1f} mm away, is none.")
    return Ball(vector(np.round(centre, 3)), round(radius, 3), round(scatter, 3), round(share, 3))


def _none(reason: str) -> Ball:
    return Ball(declined=f"{reason} Click into the middle of the head; nothing was marked.")


def _edges(
    volume: Volume,
    soft: NDArray[np.float32],
    start: NDArray[np.float64],
    centre: Floats3,
    directions: Floats3,
    radius: float | None,
) -> NDArray[np.float64]:
    """Returns along each direction where the outer edge of the cortex is, 0 where there is none: the steepest fall of a
    value that was dense before, within `_NEAR_MM` of the radius, or in the first round anywhere."""
    away = np.arange(_LEAST_MM - 4.0, _MOST_MM + 4.0, _STEP_MM)
    at = moved(volume.to_index, centre + directions[:, None] * away[None, :, None]) - start
    values = ndimage.map_coordinates(soft, np.moveaxis(at, -1, 0), order=1, mode="nearest", output=np.float64)
    reach = round(1.0 / _STEP_MM)
    fall = np.zeros_like(values)
    fall[:, reach:-reach] = values[:, : -2 * reach] - values[:, 2 * reach :]
    before = ndimage.maximum_filter1d(values, 2 * reach + 1, axis=1, origin=reach)
    fall[before < _CORTEX + 100.0] = 0.0
    if radius is not None:
        fall[:, np.abs(away - radius) > _NEAR_MM + 1.0] = 0.0
        places = fall.argmax(axis=1)
    else:
        # The first strong fall: what lies beyond is the socket.
        strong = fall > 0.5 * fall.max(axis=1, keepdims=True)
        places = strong.argmax(axis=1)
        places = np.array([p + int(f[p : p + 2 * reach].argmax()) for p, f in zip(places.tolist(), fall, strict=True)])
    n = np.arange(len(values))
    inside = np.clip(places, 1, len(away) - 2)
    low, here, high = fall[n, inside - 1], fall[n, inside], fall[n, inside + 1]
    bend = low - 2.0 * here + high
    offset = np.where(bend < -1e-9, 0.5 * (low - high) / np.minimum(bend, -1e-9), 0.0)
    found = away[inside] + np.clip(offset, -0.5, 0.5) * _STEP_MM
    return np.asarray(np.where(here >= _CORTEX, found, 0.0))


def _fitted(points: Floats3) -> tuple[Floats3, float, NDArray[np.float64]]:
    """Returns centre, radius and the distances of the points that lie near the sphere: least squares again and again
    without the farthest. Source: Pratt 1987, 'Direct least-squares fitting of algebraic surfaces', section 3, made
    geometric by weights."""
    kept = np.ones(len(points), dtype=np.bool_)
    middle = np.median(points, axis=0)
    centre, radius = middle, 0.0
    for turn in range(12):
        some = points[kept] - middle
        squares = some[:, 0] ** 2 + some[:, 1] ** 2 + some[:, 2] ** 2
        rows = np.column_stack([2.0 * some, np.ones(len(some))])
        found = np.linalg.lstsq(rows, squares, rcond=None)[0]
        centre = middle + found[:3]
        radius = float(np.sqrt(max(found[3] + found[0] ** 2 + found[1] ** 2 + found[2] ** 2, 0.0)))
        gap = points - centre
        apart = np.sqrt(gap[:, 0] ** 2 + gap[:, 1] ** 2 + gap[:, 2] ** 2) - radius
        limit = max(_NEAR_MM * (3.0 if turn < 3 else 1.0), 0.0)
        now = np.abs(apart) <= limit
        if np.count_nonzero(now) < 20 or (turn > 3 and np.array_equal(now, kept)):
            break
        kept = now
    return centre, radius, apart[kept]
