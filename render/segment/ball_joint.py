"""The head of a ball joint: a sphere fitted to where its cortex ends, from a click near its middle."""

import math
from dataclasses import dataclass, replace

import numpy as np
import scipy
from numpy.typing import NDArray

from render.geometry import Vector, vector
from render.segment.grid import Block, place_in_words, seed_of, wider
from render.segment.star import Floats3, moved, sphere
from render.volume import Volume

# mm. Radii of heads of femur and humerus in adults are 17 to 32.
_LEAST_MM, _MOST_MM, _STEP_MM = 12.0, 36.0, 0.25
_SMOOTHED_MM = 0.7
_ROUNDS = 8
_CONE, _BRIGHT = 0.9, 900.0  # cosine about a neck, and HU beyond which cortex is just that
_GUESSES, _CHUNK = 4000, 250
_NEAR_MM = 1.5  # of the sphere, where an edge is taken for its own
_CORTEX = 150.0  # HU, that the cortex is denser than the joint space at least
_LEAST_SHARE = 0.25  # of the directions: the neck takes a quarter, contacts and thick slices more
_MOST_SCATTER_MM = 0.7  # a trochanter is round too, but strays more


@dataclass(frozen=True, slots=True)
class Ball:
    """A fitted sphere, or the reason why there is none. centre_mm : LPS mm. radius_mm : to the outer edge of the
    cortex. scatter_mm : root mean square of the edge about the sphere. share : of the directions, 0…1, that meet an
    edge there. neck : the LPS direction in which it goes on without a cortex. declined : empty where it was fitted."""

    centre_mm: Vector = (0.0, 0.0, 0.0)
    radius_mm: float = 0.0
    scatter_mm: float = 0.0
    share: float = 0.0
    neck: Vector = (0.0, 0.0, 0.0)
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
    scene = Surroundings.of(volume, wider(one, 1.6 * _MOST_MM, volume))
    found = _fitted(scene, seed_mm)
    if found.share < _LEAST_SHARE:
        return _none(f"No head {where}: only {found.share:.0%} of the directions meet the edge of a cortex.")
    if found.scatter_mm > _MOST_SCATTER_MM:
        return _none(f"No head {where}: the edge strays by {found.scatter_mm:.1f} mm from a sphere.")
    away = float(np.sqrt(((np.array(found.centre_mm) - np.array(seed_mm)) ** 2).sum()))
    if not _LEAST_MM <= found.radius_mm <= _MOST_MM or away > found.radius_mm:
        return _none(f"No head {where}: a sphere of {found.radius_mm:.1f} mm, {away:.1f} mm away, is none.")
    return replace(found, neck=_neck(scene, found))


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """What rays are cast through. soft : the smoothed box that begins at voxel `start`."""

    volume: Volume
    soft: NDArray[np.float32]
    start: NDArray[np.float64]

    @classmethod
    def of(cls, volume: Volume, box: Block) -> "Surroundings":
        """Makes those of a box."""
        widths = [_SMOOTHED_MM / s for s in volume.spacing_mm]
        soft = scipy.ndimage.gaussian_filter(
            volume.voxels[box].astype(np.float32), widths, truncate=3.0, mode="nearest"
        )
        return cls(volume, soft, np.array([side.start for side in box], dtype=np.float64))

    def along(self, centre: Floats3, directions: Floats3, away: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns (rays, places) the values in directions from a centre, LPS mm."""
        at = moved(self.volume.to_index, centre + directions[:, None] * away[None, :, None]) - self.start
        return np.asarray(
            scipy.ndimage.map_coordinates(self.soft, np.moveaxis(at, -1, 0), order=1, mode="nearest", output=np.float64)
        )


def _fitted(scene: Surroundings, seed_mm: Vector) -> Ball:
    """Returns the sphere on which most edges lie; share 0 where there is none. Source of guessing from few points:
    Fischler and Bolles 1981, 'Random sample consensus'."""
    directions, _, _ = sphere(3)
    centre, radius = np.array(seed_mm, dtype=np.float64), 0.0
    # Again from where it was found, because rays meet an edge best at right angles.
    for _ in range(2):
        rays, points = _edges(scene, centre, directions)
        guess = _guessed(rays, points, np.array(seed_mm))
        if guess is None:
            return Ball()
        centre, radius = guess
    share, scatter = 0.0, 0.0
    for _ in range(_ROUNDS):
        rays, points = _edges(scene, centre, directions)
        apart = np.abs(_lengths(points - centre) - radius)
        # Of each ray the edge next to the sphere.
        order = np.lexsort((apart, rays))
        order = order[np.diff(rays[order], prepend=-1) != 0]
        own = order[apart[order] <= _NEAR_MM]
        if len(own) < 20:
            return Ball()
        former = centre
        centre, radius = _sphere_through(points[own])
        gap = _lengths(points[own] - centre) - radius
        share, scatter = len(own) / len(directions), math.sqrt(math.fsum((gap * gap).tolist()) / len(gap))
        if float(np.abs(centre - former).max()) < 0.01:
            break
    return Ball(vector(np.round(centre, 2)), round(radius, 2), round(scatter, 2), round(share, 2))


def _lengths(vectors: Floats3) -> NDArray[np.float64]:
    return np.asarray(np.sqrt(_squares(vectors)))


def _guessed(rays: NDArray[np.int64], points: Floats3, seed: Floats3) -> tuple[Floats3, float] | None:
    """Returns centre and radius of the sphere through four edges that has edges of the most rays near it."""
    if len(points) < 20:
        return None
    fours = points[np.random.default_rng(7).integers(0, len(points), (_GUESSES, 4))]
    rows = 2.0 * (fours[:, 1:] - fours[:, :1])
    squares = _squares(fours)
    centres, size = _solved(rows, squares[:, 1:] - squares[:, :1])
    flat = np.abs(size) < 1e3
    radii = _lengths(fours[:, 0] - centres)
    good = ~flat & (radii >= _LEAST_MM) & (radii <= _MOST_MM) & (_lengths(centres - seed) < 0.8 * radii)
    centres, radii = centres[good], radii[good]
    best, most = -1, 0
    for first in range(0, len(centres), _CHUNK):
        some = slice(first, first + _CHUNK)
        near = np.abs(_lengths(points[None] - centres[some, None]) - radii[some, None]) <= 0.7
        counts = near.sum(axis=1)
        if len(counts) and int(counts.max()) > most:
            best, most = first + int(counts.argmax()), int(counts.max())
    return None if best < 0 else (centres[best], float(radii[best]))


def _neck(scene: Surroundings, ball: Ball) -> Vector:
    """Returns the direction about which the least cortex lies on the sphere and the most bone beyond it: elsewhere is
    the cortex of the head, and that of the socket."""
    directions, _, _ = sphere(3)
    centre = np.array(ball.centre_mm)
    crest = scene.along(centre, directions, ball.radius_mm + np.arange(-2.0, 4.01, 0.5)).max(axis=1)
    beyond = scene.along(centre, directions, ball.radius_mm + np.arange(2.0, 9.01, 0.5)).mean(axis=1)
    score = np.rint(np.minimum(crest, _BRIGHT) - np.clip(beyond, -100.0, _BRIGHT / 3.0)).astype(np.int64)
    x, y, z = directions.T
    cone = (np.outer(x, x) + np.outer(y, y) + np.outer(z, z) > _CONE).astype(np.int64)
    return vector(directions[int(((cone @ score) / cone.sum(axis=1)).argmin())])


def _none(reason: str) -> Ball:
    return Ball(declined=f"{reason} Click into the middle of the head; nothing was marked.")


def _edges(scene: Surroundings, centre: Floats3, directions: Floats3) -> tuple[NDArray[np.int64], Floats3]:
    """Returns the places, LPS mm, where a value that was dense falls along rays, and the ray of each: there may be
    several on a ray, and those of the socket are among them."""
    away = np.arange(_LEAST_MM - 4.0, _MOST_MM + 4.0, _STEP_MM)
    values = scene.along(centre, directions, away)
    reach = round(1.0 / _STEP_MM)
    fall = np.zeros_like(values)
    fall[:, reach:-reach] = values[:, : -2 * reach] - values[:, 2 * reach :]
    before = scipy.ndimage.maximum_filter1d(values, 2 * reach + 1, axis=1, origin=reach)
    peak = (fall == scipy.ndimage.maximum_filter1d(fall, 2 * reach + 1, axis=1)) & (fall >= _CORTEX)
    peak &= before >= _CORTEX + 100.0
    peak[:, 0] = peak[:, -1] = False
    rays, places = np.nonzero(peak)
    low, here, high = fall[rays, places - 1], fall[rays, places], fall[rays, places + 1]
    bend = low - 2.0 * here + high
    offset = np.where(bend < -1e-9, 0.5 * (low - high) / np.minimum(bend, -1e-9), 0.0)
    lengths = away[places] + np.clip(offset, -0.5, 0.5) * _STEP_MM
    return rays, centre + directions[rays] * lengths[:, None]


def _sphere_through(points: Floats3) -> tuple[Floats3, float]:
    """Returns centre and radius by least squares; sums are exact, so that they depend on no order. Source: Coope 1993,
    'Circle fitting by linear and nonlinear least squares'."""
    middle = np.array([math.fsum(points[:, n].tolist()) / len(points) for n in range(3)])
    some = points - middle
    squares = _squares(some)
    level = math.fsum(squares.tolist()) / len(points)
    # About the mean, the three equations of the centre do not hold the radius.
    rows = np.empty((1, 3, 3))
    right = np.empty((1, 3))
    for m in range(3):
        right[0, m] = math.fsum((some[:, m] * (squares - level)).tolist())
        for n in range(3):
            rows[0, m, n] = 2.0 * math.fsum((some[:, m] * some[:, n]).tolist())
    offset = _solved(rows, right)[0][0]
    return middle + offset, float(np.sqrt(max(level + float(_squares(offset)), 0.0)))


def _squares(vectors: Floats3) -> NDArray[np.float64]:
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    return np.asarray(x * x + y * y + z * z)


def _solved(rows: Floats3, right: Floats3) -> tuple[Floats3, NDArray[np.float64]]:
    """Returns the solutions of many systems of three equations, by determinants in a fixed order of operations, and
    the determinants; where one is 0, zeros."""
    a, b, c = (rows[:, :, n] for n in range(3))

    def determinant(u: Floats3, v: Floats3, w: Floats3) -> NDArray[np.float64]:
        return np.asarray(
            u[:, 0] * (v[:, 1] * w[:, 2] - v[:, 2] * w[:, 1])
            - v[:, 0] * (u[:, 1] * w[:, 2] - u[:, 2] * w[:, 1])
            + w[:, 0] * (u[:, 1] * v[:, 2] - u[:, 2] * v[:, 1])
        )

    whole = determinant(a, b, c)
    parts = [determinant(right, b, c), determinant(a, right, c), determinant(a, b, right)]
    safe = np.where(whole == 0.0, 1.0, whole)
    return np.stack([np.where(whole == 0.0, 0.0, part / safe) for part in parts], axis=1), whole
