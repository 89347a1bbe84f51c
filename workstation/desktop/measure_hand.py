"""Measures by hand: clicked or drawn in one go, and taken by their handles afterwards."""

import math

from PySide6.QtCore import QPointF

from render.geometry import Vector
from workstation.desktop.edited_panes import EditedPanes
from workstation.desktop.language import tr
from workstation.desktop.marks import Grip
from workstation.desktop.model import measure_edits
from workstation.desktop.model.screen import NOTES, POINTS, Measure, MeasureKind, PaneName, plane_name

# Tools that take hold of a measure where there is one under the mouse; the others click through it.
GRASPING = ("window", "pan", "zoom", *POINTS)
_DRAWN_PX = 5.0  # a press that moves this far before it is let go draws the next point too


class MeasureHand:
    """Draws measures and moves them. points : of an unfinished measure, LPS mm. loose : the point under the mouse
    that would be the next one. grip : what is held of a measure."""

    def __init__(self, viewer: EditedPanes) -> None:
        self._viewer = viewer
        self.points: list[Vector] = []
        self.loose: Vector | None = None
        self.grip: Grip | None = None
        self._pressed_at: QPointF | None = None
        self._last: Vector | None = None

    def forget(self) -> None:
        """Drops an unfinished measure."""
        self.points, self.loose, self._pressed_at = [], None, None

    def grasp(self, name: PaneName, at: QPointF, place: Vector | None) -> bool:
        """Takes hold of the measure under the mouse. Returns whether there is one."""
        if self.points or self._viewer.tool not in GRASPING:
            return False
        self.grip, self._last = self._viewer.panes[name].grip_at(at), place
        self._viewer.select(self.grip.number if self.grip is not None else None)
        return self.grip is not None

    def drag(self, place: Vector) -> None:
        """Moves the point that is held, or the whole measure where its line or its words are."""
        if self.grip is None or self._last is None:
            return
        if self.grip.handle is None:
            by = tuple(a - b for a, b in zip(place, self._last, strict=True))
            self._viewer.do(measure_edits.measure_dragged, self.grip.number, (by[0], by[1], by[2]), moving=True)
        else:
            self._viewer.do(measure_edits.point_dragged, self.grip.number, self.grip.handle, place, moving=True)
        self._last = place

    def let_go(self) -> None:
        self.grip = None

    def press(self, name: PaneName, at: QPointF, place: Vector) -> None:
        """Adds a point with the measuring tool that is chosen."""
        self._pressed_at = at
        self._add(name, place)

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
        if math.hypot(at.x() - start.x(), at.y() - start.y()) >= _DRAWN_PX:
            self._add(name, place)

    def _add(self, name: PaneName, place: Vector) -> None:
        viewer = self._viewer
        kind: MeasureKind = viewer.tool  # type: ignore[assignment]
        self.points.append(place)
        self.loose = None
        if kind == "lesion":
            self.finish(name)
        elif kind == "volume":
            self.forget()
            view, width = viewer.session.screen.slice(plane_name(name)).view, viewer.session.screen.window.width
            viewer.try_to(lambda s: measure_edits.measured(s, viewer.measuring.seeded(place, view, width)))
        elif len(self.points) == POINTS[kind]:
            self.finish(name)
        else:
            viewer.show_overlay(name)

    def finish(self, name: PaneName) -> None:
        """Makes the measure of the points that were drawn."""
        viewer = self._viewer
        kind: MeasureKind = viewer.tool  # type: ignore[assignment]
        points = tuple(self.points)
        self.forget()
        least = POINTS[kind] or (2 if kind == "vessel" else 3)
        if len(points) < least or (least > 1 and len(set(points)) < 2):
            viewer.say(tr("A measure needs places apart from each other; nothing was measured."))
            return
        view = viewer.session.screen.slice(plane_name(name)).view
        viewer.do(measure_edits.measured, Measure(kind, points, view))
        number = len(viewer.session.screen.measures) - 1
        viewer.select(number)
        if kind in NOTES:
            viewer.ask_words(number)

    def drawn(self) -> tuple[Vector, ...]:
        """Returns the points of the unfinished measure, with the one under the mouse."""
        return (*self.points, self.loose) if self.loose is not None else tuple(self.points)
