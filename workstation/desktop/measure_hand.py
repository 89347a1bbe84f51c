"""Measures by hand: clicked or drawn in one go, and taken by their handles afterwards.

On planes and curved pictures every kind is drawn; in 3D lengths, angles and trajectories, from one point of the surface
to another.
"""

import math
from dataclasses import replace

import numpy as np
from PySide6.QtCore import QPointF

from render import View
from render.curved_surface import NEAR_MM
from render.geometry import Vector, vector
from workstation.desktop.edited_panes import EditedPanes
from workstation.desktop.language import tr
from workstation.desktop.marks import PATH_NUMBER, Grip
from workstation.desktop.model import measure_edits
from workstation.desktop.model.screen import (
    NOTES,
    OUTLINES,
    POINTS,
    Measure,
    MeasureKind,
    PaneName,
    is_slice,
    least_points,
    plane_name,
)

# Tools that take hold of a measure where there is one under the mouse; the others click through it.
GRASPING = ("window", "pan", "zoom", "path", *POINTS)
DRAWN_PX = 5.0  # a press that moves this far before it is let go draws the next point too
IN_SOLID: tuple[MeasureKind, ...] = ("distance", "angle", "cobb", "trajectory")  # measured in 3D too
_LINES = ("vessel", "trajectory")  # seen from every plane, and dragged along it
_DEEP = 0.7  # the part of a length in 3D along the line of sight, from which on it is told


class MeasureHand:
    """Draws measures and moves them. points : of an unfinished measure, LPS mm. loose : the point under the mouse
    that would be the next one. grip : what is held of a measure."""

    def __init__(self, viewer: EditedPanes) -> None:
        self._viewer = viewer
        self.points: list[Vector] = []
        self.loose: Vector | None = None
        self.grip: Grip | None = None
        self._begun_in: set[PaneName] = set()
        self._pressed_at: QPointF | None = None
        self._last: Vector | None = None

    def forget(self) -> None:
        """Drops an unfinished measure."""
        self.points, self.loose, self._pressed_at = [], None, None
        self._begun_in = set()

    def grasp(self, name: PaneName, at: QPointF, place: Vector | None) -> bool:
        """Takes hold of the measure under the mouse. Returns whether there is one."""
        if self.points or self._viewer.tool not in GRASPING:
            return False
        grip, self._last = self._viewer.panes[name].grip_at(at), place
        if grip is not None or name != "solid":
            self._viewer.select(grip.number if grip is not None else None)
        # In 3D ends alone are held: a drag that begins anywhere else turns the patient. Of a path its points are.
        points_alone = grip is not None and (name == "solid" or grip.number == PATH_NUMBER)
        self.grip = None if points_alone and grip is not None and grip.handle is None else grip
        return self.grip is not None

    def drag(self, name: PaneName, place: Vector) -> None:
        """Moves the point that is held, or the whole measure where its line or its words are. What was drawn on a
        curved picture is moved there alone, along its surface; in 3D single points are."""
        if self.grip is None or self._last is None:
            return
        if name == "curved" and self._holds_line():
            self.loose = place  # the picture would be laid out anew under the mouse: it is when that lets go
            self._viewer.show_overlay(name)
            return
        if self.grip.number == PATH_NUMBER or self._holds_line():
            self._drag_line(place if name == "solid" else self._at_depth(name, place), moving=True)
            return
        measure = self._viewer.session.screen.measures[self.grip.number]
        if measure.kind == "length" or measure.surface is not None or not is_slice(name):
            moved = self._relaid(name, measure, self.grip.handle, place)
            if moved is not None and len(set(moved.points_mm)) == len(moved.points_mm):
                self._viewer.do(measure_edits.remeasured, self.grip.number, moved, moving=True)
                self._last = place
            return
        if self.grip.handle is None:
            by = tuple(a - b for a, b in zip(place, self._last, strict=True))
            self._viewer.do(measure_edits.measure_dragged, self.grip.number, (by[0], by[1], by[2]), moving=True)
        else:
            self._viewer.do(measure_edits.point_dragged, self.grip.number, self.grip.handle, place, moving=True)
        self._last = place

    def _relaid(self, name: PaneName, measure: Measure, handle: int | None, place: Vector) -> Measure | None:
        """Returns a measure of which a point, or all of it, is brought to another place; None where that cannot be."""
        is_length, surface = measure.kind == "length", self._viewer.panes["curved"].surface
        points = [measure.points_mm[0], measure.points_mm[-1]] if is_length else list(measure.points_mm)
        if name != "curved":
            if measure.surface is not None or (is_length and len(measure.points_mm) > 2):
                self._viewer.say(tr("What was drawn on a curved picture is changed there."))
                return None
            if handle is None:
                return None
            points[handle] = place
            return replace(measure, points_mm=tuple(points))
        if surface is None or self._last is None:
            return None
        if handle is not None:
            points[handle] = place
        else:
            points = surface.moved(points, self._last, place) or []
        if not points:
            return None
        if not is_length:
            shape = self._viewer.panes["curved"].shape if measure.surface is not None else None
            return replace(measure, points_mm=tuple(points), surface=shape)
        way = surface.way_between(points[0], points[1])
        return replace(measure, points_mm=way) if way is not None else None

    def drop(self) -> None:
        """Puts a point of the line that was dragged on a curved picture where it was let go."""
        place, self.loose = self.loose, None
        if place is not None and self.grip is not None and self._holds_line():
            self._drag_line(place, moving=False)

    def held_line(self) -> tuple[Vector, ...]:
        """Returns the points of the line beside the one that is dragged on a curved picture, with that one."""
        if self.grip is None or self.grip.handle is None or self.loose is None or not self._holds_line():
            return ()
        points, n = self._held_points(), self.grip.handle
        return (*points[max(n - 1, 0) : n], self.loose, *points[n + 1 : n + 2])

    def _holds_line(self) -> bool:
        """Whether a point of the path is held, or of a vessel."""
        if self.grip is None or self.grip.handle is None:
            return False
        screen = self._viewer.session.screen
        return self.grip.number == PATH_NUMBER or screen.measures[self.grip.number].kind in _LINES

    def _held_points(self) -> tuple[Vector, ...]:
        assert self.grip is not None
        screen = self._viewer.session.screen
        of_path = self.grip.number == PATH_NUMBER
        return screen.curve.path_mm if of_path else screen.measures[self.grip.number].points_mm

    def _drag_line(self, place: Vector, *, moving: bool) -> None:
        assert self.grip is not None and self.grip.handle is not None
        if self.grip.number == PATH_NUMBER:
            self._viewer.do(measure_edits.path_dragged, self.grip.handle, place, moving=moving)
        else:
            self._viewer.do(measure_edits.point_dragged, self.grip.number, self.grip.handle, place, moving=moving)

    def _at_depth(self, name: PaneName, place: Vector) -> Vector:
        """Returns a place on a plane as deep as the point that is held: a line is seen from every plane, and is dragged
        along it."""
        assert self.grip is not None and self.grip.handle is not None
        plane, held = self._viewer.panes[name].plane, self._held_points()[self.grip.handle]
        if plane is None:
            return place
        deep = sum((h - p) * n for h, p, n in zip(held, place, plane.normal, strict=True))
        return vector(p + deep * n for p, n in zip(place, plane.normal, strict=True))

    def let_go(self) -> None:
        self.grip, self.loose = None, None

    def press(self, name: PaneName, at: QPointF, place: Vector) -> None:
        """Adds a point with the measuring tool that is chosen."""
        self._pressed_at = at
        self.add(name, place)

    def move(self, name: PaneName, place: Vector | None) -> None:
        """Shows what the measure would be with the mouse here."""
        if self.points and name == self._viewer.under and place is not None:
            self.loose = place
            self._viewer.show_overlay(name)

    def release(self, name: PaneName, at: QPointF, place: Vector | None) -> None:
        """Adds the point where the button is let go, if it was drawn to there."""
        start, self._pressed_at = self._pressed_at, None
        if start is None or place is None or not self.points:
            return
        if math.hypot(at.x() - start.x(), at.y() - start.y()) >= DRAWN_PX:
            self.add(name, place)

    def add(self, name: PaneName, place: Vector) -> None:
        """Adds a point to the measure that is drawn, and makes it of the last one."""
        viewer = self._viewer
        kind: MeasureKind = viewer.tool  # type: ignore[assignment]
        self.points.append(place)
        self._begun_in.add(name)
        self.loose = None
        if kind == "lesion":
            self.finish(name)
        elif kind == "volume":
            self.forget()
            view, width = self._view(name), viewer.session.screen.window.width
            viewer.try_to(lambda s: measure_edits.measured(s, viewer.measuring.seeded(place, view, width)))
        elif len(self.points) == POINTS[kind]:
            self.finish(name)
        else:
            viewer.show_overlay(name)

    def finish(self, name: PaneName) -> None:
        """Makes the measure of the points that were drawn."""
        viewer = self._viewer
        kind: MeasureKind = viewer.tool  # type: ignore[assignment]
        points, panes = tuple(self.points), self._begun_in
        self.forget()
        least = least_points(kind)
        if len(points) < least or (least > 1 and len(set(points)) < 2):
            viewer.say(tr("A measure needs places apart from each other; nothing was measured."))
            return
        curved = viewer.panes["curved"]
        if kind in OUTLINES and len(panes) > 1:
            viewer.say(tr("An outline is drawn on one picture; nothing was measured."))
            return
        if panes == {"curved"} and (curved.surface is None or not all(self._is_on(at) for at in points)):
            viewer.say(tr("The first point is not on this picture any more; nothing was measured."))
            return
        if kind == "distance" and (len(panes) > 1 or not is_slice(name)):
            kind, points = "length", (self._way(points) or points) if panes == {"curved"} else points
        shape = curved.shape if kind in OUTLINES and name == "curved" else None
        viewer.do(measure_edits.measured, Measure(kind, points, self._view(name), surface=shape))
        number = len(viewer.session.screen.measures) - 1
        viewer.select(number)
        if kind in NOTES:
            viewer.ask_words(number)
        if kind == "length" and panes == {"solid"}:
            self._tell_depth(points)

    def _tell_depth(self, points: tuple[Vector, ...]) -> None:
        """Says so where most of a length in 3D goes into the picture: it is far longer than it looks."""
        way = np.subtract(points[-1], points[0])
        depth_mm = abs(float(way @ self._viewer.session.screen.solid.view.towards_observer))
        if depth_mm > _DEEP * float(np.linalg.norm(way)):
            deep = f"{depth_mm:.0f}"
            self._viewer.say(
                tr("One end lies {deep} mm behind the other; turn the patient to see the line.", deep=deep)
            )

    def _view(self, name: PaneName) -> View:
        """Returns from where a pane shows the patient."""
        screen = self._viewer.session.screen
        if is_slice(name):
            return screen.slice(plane_name(name)).view
        return screen.curve.view if name == "curved" else screen.solid.view

    def _is_on(self, place: Vector) -> bool:
        """Whether a point is on what the curved picture shows now."""
        surface = self._viewer.panes["curved"].surface
        return surface is not None and surface.shows((place,), NEAR_MM)

    def _way(self, ends: tuple[Vector, ...]) -> tuple[Vector, ...] | None:
        """Returns the way in the patient of a line on the curved picture."""
        surface = self._viewer.panes["curved"].surface
        return None if surface is None else surface.way_between(ends[0], ends[1])

    def drawn(self) -> tuple[Vector, ...]:
        """Returns the points of the unfinished measure, with the one under the mouse; of a line on a curved picture its
        way in the patient."""
        points, viewer = (*self.points, self.loose) if self.loose is not None else tuple(self.points), self._viewer
        if self._begun_in == {"curved"} == {viewer.under} and viewer.tool == "distance" and len(points) == 2:
            return self._way(points) or points
        return points
