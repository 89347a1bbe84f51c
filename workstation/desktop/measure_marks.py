"""What lies over a pane: the measures in its plane, what is being drawn, the path and the crop box."""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np
from PySide6.QtGui import QColor

from render import View
from render.curved_surface import NEAR_MM, CurvedShape, CurvedSurface
from render.geometry import Box, Plane, Vector, vector
from workstation.desktop.language import tr
from workstation.desktop.marks import CROP, MEASURE, PATH, PATH_NUMBER, MeasureMark
from workstation.desktop.model import edits
from workstation.desktop.model.measuring import Measuring, names_of, near, within_reach
from workstation.desktop.model.screen import (
    NOTES,
    OUTLINES,
    POINTS,
    SOUGHT,
    Measure,
    MeasureKind,
    PaneName,
    Screen,
    is_slice,
    plane_name,
)

_MOST_HANDLES = 100  # of a path: points of a centreline that was followed are too near to each other to be dragged
_NEAR_MM = 2.0  # a measure shows on planes this close to it


class MeasureMarks:
    """Marks of the measures of one study. measuring : what they come to."""

    def __init__(self, measuring: Measuring) -> None:
        self._measuring = measuring

    def in_plane(self, screen: Screen, name: PaneName, plane: Plane, selected: int | None) -> tuple[MeasureMark, ...]:
        """Returns the marks of all measures that show on a pane. plane : what it shows. selected : number of the
        measure that is selected."""
        reach = _NEAR_MM + edits.slab_of(screen, name) / 2.0
        marks = [
            self._mark(measure, number, number == selected)
            for number, measure in enumerate(screen.measures)
            if measure.kind in ("vessel", "trajectory") or self._is_near(measure, plane, reach)
        ]
        for measure in screen.measures:
            marks += self._found_lines(measure, plane, reach)
            marks += _crossing(measure, plane, reach)
        return tuple(marks)

    def on_curved(self, screen: Screen, surface: CurvedSurface, selected: int | None) -> tuple[MeasureMark, ...]:
        """Returns the marks of what lies on a curved picture: lengths and outlines with all of their way, the rest with
        its points. What is flat elsewhere, and the clicks in a vessel, are not shown."""
        reach = NEAR_MM + screen.curve.slab_mm / 2.0
        found = []
        for number, measure in enumerate(screen.measures):
            if measure.kind == "vessel" or (measure.kind in OUTLINES and measure.surface is None):
                continue
            parts: list[tuple[Vector, ...]] = [(at,) for at in measure.points_mm]
            if measure.kind in ("length", "distance"):
                parts = [measure.points_mm]
            elif outline := self._measuring.outline(measure):
                parts = [(*outline, outline[0])]
            if all(surface.shows(part, reach) for part in parts):
                found.append(self._mark(measure, number, number == selected))
        return tuple(found)

    def in_space(self, screen: Screen, selected: int | None) -> tuple[MeasureMark, ...]:
        """Returns the marks of what lies in space, over the 3D picture as it is seen from there. An outline on a curved
        surface is not held there."""
        marks = [
            (self._mark(measure, number, number == selected), measure.surface is not None)
            for number, measure in enumerate(screen.measures)
            if measure.in_space
        ]
        return tuple(replace(mark, handles_mm=()) if bent else mark for mark, bent in marks)

    def _is_near(self, measure: Measure, plane: Plane, reach: float) -> bool:
        bent = measure.surface is not None
        return (
            within_reach(self._measuring.outline(measure) or measure.points_mm, plane, reach)
            if bent
            else near(measure, plane, reach)
        )

    def _mark(self, measure: Measure, number: int, selected: bool) -> MeasureMark:
        outline, said = self._measuring.outline(measure), said_of(self._measuring, measure)
        if measure.kind == "vessel":
            said = said.split("\n")[0]  # all of it stands beside the curve of its diameter
        found = self._measuring.found(measure) if measure.kind in SOUGHT else None
        if measure.kind == "trajectory":
            said = "\n".join(said.split("\n")[:2])
        if found is not None and found.declined:
            said = tr("nothing found")  # the reason is a sentence, and stands in the list
        said = f"{measure.name}: {said}" if measure.name else said
        points, is_length = measure.points_mm, measure.kind == "length"
        return MeasureMark(
            outline or points,
            bool(outline),
            said,
            QColor(measure.colour) if measure.colour else MEASURE,
            number,
            (points[0], points[-1]) if is_length else points,
            selected,
            measure.kind == "arrow",
            is_length,
        )

    def _found_lines(self, measure: Measure, plane: Plane, reach: float) -> list[MeasureMark]:
        """Returns the lines that a tool has found: a lesion's axes where they lie in the plane, a vessel's
        centreline in every plane, as it is seen from there."""
        found, colour = self._measuring.found(measure), QColor(measure.colour) if measure.colour else MEASURE
        lines = found.lines_mm if found is not None else ()
        if measure.kind == "lesion":
            lines = tuple(line for line in lines if within_reach(line, plane, reach))
        return [MeasureMark(line, False, "", colour, is_path=True) for line in lines]

    def unfinished(
        self, screen: Screen, name: PaneName, tool: str, points: tuple[Vector, ...], surface: CurvedShape | None = None
    ) -> MeasureMark:
        """Returns the measure that is being drawn on a pane, as it would be with the mouse where it is. points : so
        far, in mm, and the one under the mouse. surface : what a curved picture shows."""
        kind = cast(MeasureKind, tool)
        if kind == "ellipse" and len(points) == 2 and name != "solid":
            view = screen.slice(plane_name(name)).view if is_slice(name) else View()
            drawn = Measure(kind, points, view, surface=surface)
            return MeasureMark(self._measuring.outline(drawn), True, "")
        if kind == "distance" and not is_slice(name) and len(points) > 1:
            return MeasureMark(points, False, said_of(self._measuring, Measure("length", points, View())), is_path=True)
        counted = kind == "trajectory" or (kind not in NOTES and kind not in SOUGHT)  # its depth is known at once
        whole = len(points) == POINTS[kind] and counted
        said = said_of(self._measuring, Measure(kind, points, View())) if whole else ""
        return MeasureMark(points, False, said, arrow=kind == "arrow")


def _crossing(measure: Measure, plane: Plane, reach: float) -> list[MeasureMark]:
    """Returns where a trajectory goes through a plane that does not hold it."""
    if measure.kind != "trajectory" or near(measure, plane, reach):
        return []
    entry, target = (np.array(at) for at in measure.points_mm)
    before, after = (float((at - np.array(plane.origin_mm)) @ np.array(plane.normal)) for at in (entry, target))
    if before * after > 0.0 or before == after:
        return []
    place = vector(entry + before / (before - after) * (target - entry))
    return [MeasureMark((place,), False, "", QColor(measure.colour) if measure.colour else MEASURE)]


def path_marks(screen: Screen, tool: str = "") -> tuple[MeasureMark, ...]:
    """Returns the path of the curved reformat, where there is one. tool : with that of paths, its points are held."""
    path = screen.curve.path_mm
    if not path:
        return ()
    held = tool == "path" and len(path) <= _MOST_HANDLES and _vessel_of_path(screen) is None
    handles = path if held else ()
    return (MeasureMark(path, False, "", PATH, PATH_NUMBER if held else None, handles, is_path=True),)


def line_on_curved(screen: Screen, tool: str, selected: int | None) -> tuple[MeasureMark, ...]:
    """Returns the line down the middle of a straightened picture, or through a stretched one, where its points can be
    dragged: with the tool of paths those of a path that was clicked, and those of a vessel that is selected and whose
    line is laid by hand."""
    path, number = screen.curve.path_mm, _vessel_of_path(screen)
    held = tool == "path" if number is None else selected == number
    if not held or not 2 <= len(path) <= _MOST_HANDLES:
        return ()
    number = PATH_NUMBER if number is None else number
    return (MeasureMark(path, False, "", PATH, number, path, selected=True, is_path=True),)


def _vessel_of_path(screen: Screen) -> int | None:
    """Returns the number of the vessel whose line, laid by hand, is the path of the curved picture."""
    path = screen.curve.path_mm
    return next((n for n, m in enumerate(screen.measures) if m.by_hand and m.points_mm == path), None)


def crop_marks(screen: Screen, box: Box, plane: Plane) -> tuple[MeasureMark, ...]:
    """Returns the outline of a crop box: of its section through the crosshair that is most nearly in the plane."""
    (x0, y0, z0), (x1, y1, z1) = box.lower_mm, box.upper_mm
    x, y, z = screen.cursor_mm
    sections: tuple[tuple[Vector, ...], ...] = (
        ((x, y0, z0), (x, y1, z0), (x, y1, z1), (x, y0, z1)),
        ((x0, y, z0), (x1, y, z0), (x1, y, z1), (x0, y, z1)),
        ((x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)),
    )
    axis = max(range(3), key=lambda n: abs(plane.normal[n]))
    return (MeasureMark(sections[axis], True, "", CROP),)


def said_of(measuring: Measuring, measure: Measure) -> str:
    """Returns a measure in words of the window, its numbers with their unit; a reader's own words are as they are."""
    words = measuring.said_of(measure)
    return words if measure.kind in NOTES else "\n".join(map(tr, words.split("\n")))


def names_said(measures: Sequence[Measure]) -> tuple[str, ...]:
    """Returns the name of each measure in words of the window: its own, else its kind and number."""
    named = zip(measures, names_of(measures), strict=True)
    return tuple(name if m.name else tr(m.kind) + name.removeprefix(m.kind) for m, name in named)
