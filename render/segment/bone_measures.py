"""Measures of bones from clicks: the head of a femur, its neck and shaft, and the angles between them. CT in HU.

Axes run through the middles of circles fitted to where the cortex ends. Sources: Murphy et al. 1987, 'Femoral
anteversion' (version against the condyles, across the shaft); Müller 1957, 'Die hüftnahen Femurosteotomien'
(neck-shaft angle in space).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from render.geometry import Vector, cross, unit_vector, vector
from render.mask_steps import StepError
from render.segment.ball_joint import Ball, Surroundings, fit_ball
from render.segment.grid import Block, VoxelMask, place_in_words, seed_of, steps_mm, wider
from render.segment.star import Floats3
from render.volume import Volume

_RAYS = 72
_STATIONS = 11
_WIDEST_MM = 32.0  # from the axis of a shaft to the outside of its cortex
_STEP_MM = 0.25
_CORTEX = 150.0  # HU, that the cortex is denser than what lies outside at least
_LEAST_APART_MM = 30.0
_NEAR_MM = 3.0  # a section is round within this
_LEAST_SHARE = 0.5  # of the rays of a section, and of the sections


@dataclass(frozen=True, slots=True)
class BoneAxis:
    """An axis. middle_mm : LPS mm, a point on it. direction : its unit vector. scatter_mm : root mean square of the
    places that it was laid through, 0 for a line through two clicks."""

    middle_mm: Vector
    direction: Vector
    scatter_mm: float = 0.0


@dataclass(frozen=True, slots=True)
class FemurMeasures:
    """What was measured of a femur; None where the clicks for it are missing.

    head_mm, radius_mm, scatter_mm, share : see `Ball`. neck_mm : the middle of the neck. shaft : its axis, upwards.
    neck_shaft_deg : between neck and shaft, in space, about 125. offset_mm : from the head's middle to the shaft axis.
    version_deg : of the neck against the condyles, seen along the shaft; positive is anteversion.
    """

    head_mm: Vector
    radius_mm: float
    scatter_mm: float
    share: float
    neck_mm: Vector
    shaft: BoneAxis | None = None
    neck_shaft_deg: float | None = None
    offset_mm: float | None = None
    version_deg: float | None = None


def line_through(start_mm: Vector, end_mm: Vector) -> BoneAxis:
    """Returns the line from one click to another. Raises StepError where they are the same."""
    way = vector(np.array(end_mm) - np.array(start_mm))
    if math.hypot(*way) < 1.0:
        raise StepError(f"The two points of the line at {place_in_words(start_mm)} mm are less than 1 mm apart.")
    return BoneAxis(vector((np.array(start_mm) + np.array(end_mm)) / 2.0), unit_vector(way))


def angle_deg(first: BoneAxis, second: BoneAxis, across: Vector | None = None) -> float:
    """Returns the angle between the directions of two lines, 0…180; `across` : as seen along this direction.

    Raises StepError where a line is seen end-on.
    """
    a, b = np.array(first.direction), np.array(second.direction)
    if across is not None:
        a, b = _flat(a, np.array(unit_vector(across))), _flat(b, np.array(unit_vector(across)))
    return _between(a, b)


def part_axis(volume: Volume, region: VoxelMask) -> BoneAxis:
    """Returns the long axis of a part: the direction in which its voxels lie farthest apart, upwards.

    Raises StepError for an empty part, or one as long as wide, which has no axis.
    """
    at = np.argwhere(region)
    if not len(at):
        raise StepError("The part is empty: it has no axis.")
    steps = np.array(list(steps_mm(volume)))
    places = at.astype(np.float64) @ steps + volume.affine[:3, 3]
    middle = places.mean(axis=0)
    gaps = np.rint((places - middle) * 100.0).astype(np.int64)
    spread = (gaps.T @ gaps).astype(np.float64) / len(gaps) / 1e4
    sizes, ways = np.linalg.eigh(spread)
    if sizes[2] < 1.5 * sizes[1]:
        raise StepError("The part is about as wide as long: it has no axis. Say two points of it instead.")
    return BoneAxis(vector(np.round(middle, 3)), _upwards(ways[:, 2]))


def shaft_axis(volume: Volume, start_mm: Vector, end_mm: Vector) -> BoneAxis:
    """Returns the axis of a shaft between two clicks in it, upwards: through the middles of its sections.

    Raises StepError where too few sections are round, or a click lies outside the volume.
    """
    rough = line_through(start_mm, end_mm)
    apart = math.dist(start_mm, end_mm)
    if apart < _LEAST_APART_MM:
        raise StepError(
            f"The two points in the shaft are {apart:.0f} mm apart; its axis needs {_LEAST_APART_MM:g} mm. Click "
            "farther apart, below the lesser trochanter; where the series ends there, it has no axis."
        )
    scene = _scene(volume, [start_mm, end_mm])
    for _ in range(2):
        along = np.array(rough.direction)
        places = [
            np.array(start_mm) + part * (np.array(end_mm) - np.array(start_mm)) for part in np.linspace(0, 1, _STATIONS)
        ]
        near = [at + along * float((np.array(rough.middle_mm) - at) @ along) for at in places]
        centred = [np.array(rough.middle_mm) + (at - mid) for at, mid in zip(places, near, strict=True)]
        found = [_section(scene, at, along, _WIDEST_MM) for at in centred]
        middles = np.array([middle for middle, radius in found if radius > 0.0])
        if len(middles) < _LEAST_SHARE * _STATIONS:
            raise StepError(
                f"No shaft between {place_in_words(start_mm)} and {place_in_words(end_mm)} mm: only {len(middles)} of "
                f"{_STATIONS} sections meet a round cortex. Click into the shaft, above and below."
            )
        centre = middles.mean(axis=0)
        _, _, ways = np.linalg.svd(middles - centre)
        way = ways[0] if float(ways[0] @ along) > 0.0 else -ways[0]
        gap = (middles - centre) - np.outer((middles - centre) @ way, way)
        rough = BoneAxis(vector(centre), vector(way), float(np.sqrt((gap * gap).sum(axis=1).mean())))
    direction = _upwards(np.array(rough.direction))
    return BoneAxis(vector(np.round(rough.middle_mm, 3)), direction, round(rough.scatter_mm, 3))


def measure_femur(
    volume: Volume,
    head_mm: Vector,
    shaft_mm: tuple[Vector, Vector] | None = None,
    neck_mm: Vector | None = None,
    condyles_mm: tuple[Vector, Vector] | None = None,
) -> FemurMeasures:
    """Measures a femur from clicks at LPS mm: in the head; two in the shaft; in the neck, None seeks its narrowest
    section; on the back of both condyles.

    Raises StepError where no head, neck or shaft is found, or a click lies outside the volume.
    """
    head = fit_ball(volume, head_mm)
    if head.declined:
        raise StepError(head.declined)
    neck = neck_mm if neck_mm is not None else neck_middle(volume, head)
    axis = line_through(neck, head.centre_mm)
    shaft = shaft_axis(volume, *shaft_mm) if shaft_mm is not None else None
    angle = offset = version = None
    if shaft is not None:
        up = np.array(shaft.direction)
        angle = round(180.0 - _between(np.array(axis.direction), up), 2)
        offset = round(float(_length(_flat(np.array(head.centre_mm) - np.array(shaft.middle_mm), up))), 2)
        if condyles_mm is not None:
            version = round(_version(np.array(axis.direction), up, condyles_mm), 2)
    return FemurMeasures(
        head.centre_mm, head.radius_mm, head.scatter_mm, head.share, neck, shaft, angle, offset, version
    )


def neck_middle(volume: Volume, head: Ball) -> Vector:
    """Returns the middle of the narrowest round section of the neck. Raises StepError where none is round."""
    scene = _scene(volume, [head.centre_mm])
    way, best = np.array(head.neck), (0.0, np.zeros(3))
    # Again along the axis that was found, which lies truer than the first guess.
    for _ in range(3):
        sections = []
        for away in np.arange(1.0, 2.01, 0.1) * head.radius_mm:
            middle, radius = _section(scene, np.array(head.centre_mm) + way * away, way, 0.98 * head.radius_mm)
            if 0.35 * head.radius_mm < radius:
                sections.append((radius, middle))
        if not sections:
            raise StepError(
                f"No neck of the head at {place_in_words(head.centre_mm)} mm: no section of it is round. Click into "
                "its middle."
            )
        best = min(sections, key=lambda each: each[0])
        way = np.array(unit_vector(best[1] - np.array(head.centre_mm)))
    return vector(np.round(best[1], 2))


def _scene(volume: Volume, places: Sequence[Vector]) -> Surroundings:
    seeds = np.array([seed_of(volume, at) for at in places])
    low, high = seeds.min(axis=0), seeds.max(axis=0)
    box: Block = (slice(low[0], high[0] + 1), slice(low[1], high[1] + 1), slice(low[2], high[2] + 1))
    return Surroundings.of(volume, wider(box, 2.2 * _WIDEST_MM, volume))


def _section(scene: Surroundings, at: Floats3, along: Floats3, widest_mm: float) -> tuple[Floats3, float]:
    """Returns middle and radius of the circle that the cortex makes across a direction; radius 0 where none does."""
    u = np.array(unit_vector(cross(vector(along), (1.0, 0.0, 0.0) if abs(along[0]) < 0.8 else (0.0, 1.0, 0.0))))
    v = np.array(cross(vector(along), vector(u)))
    turns = np.arange(_RAYS) * (2.0 * math.pi / _RAYS)
    directions = np.cos(turns)[:, None] * u + np.sin(turns)[:, None] * v
    middle, radius = at, 0.0
    for _ in range(4):
        away = np.arange(2.0, widest_mm + 1.0, _STEP_MM)
        values = scene.along(middle, directions, away)
        reach = round(1.0 / _STEP_MM)
        fall = np.zeros_like(values)
        fall[:, reach:-reach] = values[:, : -2 * reach] - values[:, 2 * reach :]
        before = scipy.ndimage.maximum_filter1d(values, 2 * reach + 1, axis=1, origin=reach)
        fall[before < _CORTEX + 100.0] = 0.0
        strong = fall >= np.maximum(0.5 * fall.max(axis=1, keepdims=True), _CORTEX)
        first = strong.argmax(axis=1)
        ranks = np.arange(len(away))[None, :]
        window = np.where((ranks >= first[:, None]) & (ranks < first[:, None] + 2 * reach), fall, -1.0)
        places = window.argmax(axis=1)
        seen = strong.any(axis=1)
        if np.count_nonzero(seen) < _LEAST_SHARE * _RAYS:
            return middle, 0.0
        points = np.stack([away[places] * np.cos(turns), away[places] * np.sin(turns)], axis=1)
        centre, radius, kept = _circle(points[seen])
        if kept < _LEAST_SHARE * _RAYS or radius >= widest_mm or math.hypot(*centre) > widest_mm:
            return middle, 0.0
        middle = middle + centre[0] * u + centre[1] * v
        if math.hypot(*centre) < 0.02:
            break
    return middle, radius


def _circle(points: NDArray[np.float64]) -> tuple[tuple[float, float], float, int]:
    """Returns centre, radius, and the number of points near it: least squares, again without those far from it."""
    kept = np.ones(len(points), dtype=np.bool_)
    centre, radius = (0.0, 0.0), 0.0
    for _ in range(4):
        some = points[kept]
        rows = np.column_stack([2.0 * some, np.ones(len(some))])
        found = np.linalg.lstsq(rows, (some * some).sum(axis=1), rcond=None)[0]
        centre = (float(found[0]), float(found[1]))
        radius = math.sqrt(max(float(found[2]) + centre[0] ** 2 + centre[1] ** 2, 0.0))
        now = np.abs(np.hypot(points[:, 0] - centre[0], points[:, 1] - centre[1]) - radius) <= _NEAR_MM
        if np.count_nonzero(now) < 8 or np.array_equal(now, kept):
            break
        kept = now
    return centre, radius, int(np.count_nonzero(kept))


def _version(neck: Floats3, up: Floats3, condyles_mm: tuple[Vector, Vector]) -> float:
    """Returns the angle of the neck before (positive) or behind the line of the condyles, seen along the shaft."""
    ahead = _flat(neck, up)
    line = _flat(np.array(line_through(*condyles_mm).direction), up)
    line = line if float(line @ ahead) > 0.0 else -line
    front = np.array(cross(vector(up), vector(line)))
    front = front if front[1] < 0.0 else -front  # LPS: anterior is −y
    return math.degrees(math.atan2(float(ahead @ front) / _length(front), float(ahead @ line) / _length(line)))


def _flat(way: Floats3, across: Floats3) -> Floats3:
    return np.asarray(way - across * float(way @ across))


def _length(way: Floats3) -> float:
    return math.sqrt(float(way[0] * way[0] + way[1] * way[1] + way[2] * way[2]))


def _between(a: Floats3, b: Floats3) -> float:
    if min(_length(a), _length(b)) < 1e-6:
        raise StepError("A line is seen end-on: there is no angle. Choose another direction.")
    side = _length(np.array(cross(vector(a), vector(b))))
    return math.degrees(math.atan2(side, float(a @ b)))


def _upwards(way: Floats3) -> Vector:
    """Returns a unit vector that points to the head of the patient, or where it lies flat, to the left or back."""
    x, y, z = (float(v) for v in unit_vector(way))
    sign = -1.0 if (z, x, y) < (0.0, 0.0, 0.0) else 1.0
    return (round(sign * x, 6), round(sign * y, 6), round(sign * z, 6))
