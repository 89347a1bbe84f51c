"""Edits of the measures on a screen: each returns a new screen. Knows no Qt."""

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

from render.geometry import Vector, vector
from workstation.desktop.model.screen import OUTLINES, Measure, PriorLesion, Screen, Target
from workstation.records.recist import TreatmentCourse

_APART_MM = 0.5  # points of a line that follow each other
_OWN_PART = 0.25  # of the way to the next point: so near to one, it is that one that is moved


def measured(screen: Screen, measure: Measure) -> Screen:
    return replace(screen, measures=(*screen.measures, measure))


def remeasured(screen: Screen, number: int, measure: Measure) -> Screen:
    """Puts a measure in the place of another."""
    measures = (*screen.measures[:number], measure, *screen.measures[number + 1 :])
    return replace(screen, measures=measures)


def point_dragged(screen: Screen, number: int, index: int, place_mm: Vector) -> Screen:
    """Moves a point of a measure. An outline stays flat: its points keep their depth along its line of sight."""
    measure = screen.measures[number]
    points, n = list(measure.points_mm), measure.view.towards_observer
    if measure.kind in OUTLINES:
        deep = sum((p - q) * a for p, q, a in zip(points[index], place_mm, n, strict=True))
        place_mm = vector(q + deep * a for q, a in zip(place_mm, n, strict=True))
    points[index] = place_mm
    if measure.by_hand:
        points[index] = vector(round(v, 3) for v in place_mm)
        if any(math.dist(a, b) < _APART_MM for a, b in pairwise(points)):
            return screen
        screen = _with_path(screen, measure.points_mm, tuple(points))
    if len(set(points)) < min(len(points), 2):
        return screen  # two places on one another measure nothing
    return remeasured(screen, number, replace(measure, points_mm=tuple(points)))


def line_by_hand(screen: Screen, number: int, line_mm: tuple[Vector, ...], path_mm: tuple[Vector, ...]) -> Screen:
    """Makes the line of a vessel one to be dragged. line_mm : its points. path_mm : the same line as it is laid flat: a
    curved picture of it goes on with what is dragged."""
    after = remeasured(screen, number, replace(screen.measures[number], points_mm=line_mm, by_hand=True))
    return _with_path(after, path_mm, line_mm)


def line_bent(screen: Screen, number: int, from_mm: Vector, to_mm: Vector) -> Screen:
    """Has the line of a vessel, laid by hand, go through a place. from_mm : where it went until now. Its point there is
    brought to the place; where none is near, it gets one."""
    measure = screen.measures[number]
    points, place = list(measure.points_mm), vector(round(v, 3) for v in to_mm)
    near = min(range(len(points)), key=lambda n: math.dist(points[n], from_mm))
    beside = min(math.dist(points[near], points[n]) for n in (near - 1, near + 1) if 0 <= n < len(points))
    if math.dist(points[near], from_mm) <= _OWN_PART * beside:
        points[near] = place
    else:
        # Between the two of which it makes the least detour.
        detours = [math.dist(a, from_mm) + math.dist(from_mm, b) - math.dist(a, b) for a, b in pairwise(points)]
        points.insert(detours.index(min(detours)) + 1, place)
    if any(math.dist(a, b) < _APART_MM for a, b in pairwise(points)):
        return screen
    screen = _with_path(screen, measure.points_mm, tuple(points))
    return remeasured(screen, number, replace(measure, points_mm=tuple(points)))


def _with_path(screen: Screen, before: tuple[Vector, ...], after: tuple[Vector, ...]) -> Screen:
    """Changes the path of the curved picture where it is the line that was changed."""
    if screen.curve.path_mm != before:
        return screen
    return replace(screen, curve=replace(screen.curve, path_mm=after))


def path_dragged(screen: Screen, index: int, place_mm: Vector) -> Screen:
    """Moves a point of the path of the curved picture; not onto the one before or after, where it would have no
    direction."""
    path = list(screen.curve.path_mm)
    path[index] = vector(round(v, 3) for v in place_mm)
    if any(math.dist(a, b) < _APART_MM for a, b in pairwise(path)):
        return screen
    return replace(screen, curve=replace(screen.curve, path_mm=tuple(path)))


def measure_dragged(screen: Screen, number: int, by_mm: Vector) -> Screen:
    """Moves a whole measure."""
    measure = screen.measures[number]
    moved = tuple(vector(v + d for v, d in zip(p, by_mm, strict=True)) for p in measure.points_mm)
    if measure.by_hand:
        screen = _with_path(screen, measure.points_mm, moved)
    return remeasured(screen, number, replace(measure, points_mm=moved))


def renamed(screen: Screen, number: int, name: str) -> Screen:
    """Names a measure; the name of its kind and number, or none, is no name of its own."""
    measure = screen.measures[number]
    usual = re.fullmatch(rf"{measure.kind} \d+", name)
    return remeasured(screen, number, replace(measure, name="" if usual else name[:64]))


def recoloured(screen: Screen, number: int, colour: str) -> Screen:
    return remeasured(screen, number, replace(screen.measures[number], colour=colour))


def with_prior(screen: Screen, number: int, prior: PriorLesion | None) -> Screen:
    """Sets how a lesion was earlier; None for not known."""
    return remeasured(screen, number, replace(screen.measures[number], prior=prior))


def with_targets(screen: Screen, targets: Mapping[int, Target | None], course: TreatmentCourse) -> Screen:
    """Sets which lesions are targets, by number, and what is said beside them."""
    measures = tuple(
        replace(measure, target=targets.get(number, measure.target)) for number, measure in enumerate(screen.measures)
    )
    return replace(screen, measures=measures, course=course)


def reworded(screen: Screen, number: int, text: str) -> Screen:
    """Sets the words of a text or an arrow; a text without words is removed."""
    measure = screen.measures[number]
    if not text and measure.kind == "text":
        return unmeasured(screen, number)
    return remeasured(screen, number, replace(measure, text=text))


def duplicated(screen: Screen, number: int) -> Screen:
    """Adds a copy of a measure where its plane is now: in the plane of the crosshair, seen as it was drawn. What lies
    in space is not copied."""
    measure = screen.measures[number]
    if measure.in_space:
        return screen  # it lies in no plane that a copy could be brought into
    n = measure.view.towards_observer
    deep = sum((c - p) * a for c, p, a in zip(screen.cursor_mm, measure.points_mm[0], n, strict=True))
    moved = tuple(vector(v + deep * a for v, a in zip(p, n, strict=True)) for p in measure.points_mm)
    return measured(screen, replace(measure, points_mm=moved, name=""))


def unmeasured(screen: Screen, number: int) -> Screen:
    return replace(screen, measures=screen.measures[:number] + screen.measures[number + 1 :])
