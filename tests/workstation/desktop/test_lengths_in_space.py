"""Lengths that lie in no plane: on curved pictures, and from one point of the 3D surface to another."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from pytestqt.qtbot import QtBot

from render.geometry import Vector
from render.measure import polyline_mm
from render.pick import first_seen
from render.recipe import Solid
from tests.workstation.desktop.gestures import drag, move
from workstation.desktop.model import edits, measure_edits
from workstation.desktop.model.measuring import recorded, restored
from workstation.desktop.model.notes import marks_of
from workstation.desktop.model.screen import recipe_of
from workstation.desktop.pane import Pane
from workstation.desktop.viewer import Viewer
from workstation.desktop.window import MainWindow

Settled = Callable[[Viewer], None]
LEFT = Qt.MouseButton.LeftButton
RADIUS_MM = 40.0


@pytest.fixture
def window(reading_window: MainWindow) -> MainWindow:
    return reading_window


@pytest.fixture
def viewer(reading: Viewer) -> Viewer:
    return reading


@pytest.fixture
def bent(viewer: Viewer, settled: Settled) -> Pane:
    """The curved pane with a quarter of a circle about the patient's left-right axis."""
    x, y, z = viewer.session.volume.centre_mm
    turns = np.radians(np.linspace(0.0, 90.0, 19))
    path = tuple((x, y - RADIUS_MM * math.cos(t), z - RADIUS_MM * math.sin(t) + 15.0) for t in turns)
    viewer.do(edits.path_laid, path)
    settled(viewer)
    return viewer.panes["curved"]


def at(pane: Pane, row: float, column: float) -> QPoint:
    """The position on the widget of a part of the height and of the width."""
    return QPoint(round(pane.width() * column), round(pane.height() * row))


def said(viewer: Viewer) -> list[str]:
    heard: list[str] = []
    viewer.said.connect(heard.append)
    return heard


def shown_on(pane: Pane) -> int:
    return len(pane.overlay.marks)


def on_path(viewer: Viewer, points: tuple[Vector, ...]) -> bool:
    _, y, z = viewer.session.volume.centre_mm
    return all(math.hypot(p[1] - y, p[2] - z - 15.0) == pytest.approx(RADIUS_MM, abs=0.4) for p in points)


def test_down_a_straightened_picture_it_is_the_way_along_the_path(viewer: Viewer, bent: Pane, qtbot: QtBot) -> None:
    viewer.choose_tool("distance")
    start, end = at(bent, 0.25, 0.5), at(bent, 0.75, 0.5)
    drag(qtbot, bent, (start.x(), start.y()), (end.x(), end.y()))
    (measure,) = viewer.session.screen.measures
    expected = RADIUS_MM * math.pi / 2.0 * (end.y() - start.y()) / bent.height()
    assert measure.kind == "length" and on_path(viewer, measure.points_mm)
    assert polyline_mm(measure.points_mm) == pytest.approx(expected, rel=5e-3)
    assert viewer.said_of(measure) == f"{polyline_mm(measure.points_mm):.1f} mm"
    assert [mark.text for mark in bent.overlay.marks] == [viewer.said_of(measure)]
    # The record has the same length of the same places, and gives the measure back.
    (record,) = recorded((measure,), viewer.session.volume)
    (number,) = record.quantities
    assert (number.name, number.unit) == ("length", "mm") and number.value == pytest.approx(expected, rel=5e-3)
    (back,) = restored((record,))
    assert back.kind == "length" and len(back.points_mm) == len(measure.points_mm)


def test_an_end_and_the_whole_are_dragged_along_the_surface(viewer: Viewer, bent: Pane, qtbot: QtBot) -> None:
    viewer.choose_tool("distance")
    start, end, further = (at(bent, row, 0.5) for row in (0.25, 0.5, 0.75))
    for place in (start, end):
        qtbot.mouseClick(bent, LEFT, pos=place)
    (first,) = viewer.session.screen.measures
    viewer.choose_tool("window")
    drag(qtbot, bent, (end.x(), end.y()), (further.x(), further.y()))
    (longer,) = viewer.session.screen.measures
    assert polyline_mm(longer.points_mm) == pytest.approx(2.0 * polyline_mm(first.points_mm), rel=0.02)
    assert on_path(viewer, longer.points_mm)
    drag(qtbot, bent, (start.x(), (start.y() + further.y()) // 2), (start.x() + 20, (start.y() + further.y()) // 2))
    (aside,) = viewer.session.screen.measures
    pushed = math.dist(aside.points_mm[0], longer.points_mm[0])
    assert pushed == pytest.approx(20 * bent.mm_per_point(), rel=0.02)
    viewer.undo()
    viewer.undo()
    assert viewer.session.screen.measures == (first,)


def test_what_is_bent_has_lengths_and_words_alone(viewer: Viewer, bent: Pane, qtbot: QtBot) -> None:
    heard = said(viewer)
    for tool in ("angle", "ellipse", "lesion"):
        viewer.choose_tool(tool)
        qtbot.mouseClick(bent, LEFT, pos=at(bent, 0.4, 0.5))
    assert not viewer.session.screen.measures and not viewer.gestures.hand.points
    assert sum("curved picture" in sentence for sentence in heard) == 3
    viewer.choose_tool("distance")
    qtbot.mouseClick(bent, LEFT, pos=at(bent, 0.3, 0.8))
    viewer.do(edits.curve_turned, 60.0)
    qtbot.waitUntil(viewer.is_settled, timeout=60_000)
    qtbot.mouseClick(bent, LEFT, pos=at(bent, 0.6, 0.8))
    assert not viewer.session.screen.measures and "not on this picture any more" in heard[-1]


def test_turned_away_it_is_not_shown_and_a_capture_has_it_where_it_lies(
    viewer: Viewer, bent: Pane, qtbot: QtBot, settled: Settled
) -> None:
    viewer.choose_tool("distance")
    start, end = at(bent, 0.3, 0.8), at(bent, 0.6, 0.8)
    drag(qtbot, bent, (start.x(), start.y()), (end.x(), end.y()))
    assert shown_on(bent) == 1
    viewer.do(edits.curve_turned, 60.0)
    settled(viewer)
    assert len(viewer.session.screen.measures) == 1 and shown_on(bent) == 0
    (mark,) = marks_of(viewer.session.screen.measures, viewer.session.volume)
    assert mark.in_space and mark.text[0].endswith("mm")


def test_the_crosshair_goes_to_what_a_curved_picture_shows(viewer: Viewer, bent: Pane, qtbot: QtBot) -> None:
    viewer.choose_tool("crosshair")
    place = at(bent, 0.5, 0.5)
    qtbot.mouseClick(bent, LEFT, pos=place)
    assert viewer.session.screen.cursor_mm == bent.place(QPointF(place))
    assert on_path(viewer, (viewer.session.screen.cursor_mm,))


def surface_at(viewer: Viewer, place: QPoint) -> Vector:
    pane = viewer.panes["solid"]
    recipe = recipe_of(viewer.session.screen, "solid", pane.rows, pane.columns)
    assert isinstance(recipe, Solid)
    found = first_seen(viewer.session.volume, recipe, *pane.pixel(QPointF(place)))
    assert found is not None
    return found


def test_two_clicks_on_the_surface_are_a_length_and_a_drag_still_turns(
    viewer: Viewer, qtbot: QtBot, settled: Settled
) -> None:
    pane = viewer.panes["solid"]
    viewer.choose_tool("distance")
    first, second = at(pane, 0.42, 0.45), at(pane, 0.55, 0.56)
    a = surface_at(viewer, first)
    qtbot.mouseClick(pane, LEFT, pos=first)
    before = viewer.session.screen.solid.view
    drag(qtbot, pane, (40, 40), (90, 40))  # to the other side of the bone, with one end set
    settled(viewer)
    assert viewer.session.screen.solid.view != before and not viewer.session.screen.measures
    b = surface_at(viewer, second)
    move(pane, second)
    assert pane.overlay.marks[-1].text.endswith("mm")  # said while it is being drawn
    qtbot.mouseClick(pane, LEFT, pos=second)
    (measure,) = viewer.session.screen.measures
    assert measure.kind == "length" and measure.points_mm == (a, b)
    assert viewer.said_of(measure) == f"{math.dist(a, b):.1f} mm"
    (mark,) = pane.overlay.marks
    assert mark.number == 0
    # An end is dragged along the surface; the patient is not turned by it.
    view, third = viewer.session.screen.solid.view, at(pane, 0.6, 0.5)
    end = pane.on_widget(b).toPoint()
    drag(qtbot, pane, (end.x(), end.y()), (third.x(), third.y()))
    assert viewer.session.screen.solid.view == view
    moved = viewer.session.screen.measures[0].points_mm
    assert moved[0] == a and math.dist(moved[1], surface_at(viewer, third)) < 1.0
    viewer.undo()
    assert viewer.session.screen.measures == (measure,)


def test_a_length_goes_from_one_plane_to_another(viewer: Viewer, qtbot: QtBot) -> None:
    viewer.choose_tool("distance")
    axial, coronal = viewer.panes["axial"], viewer.panes["coronal"]
    qtbot.mouseClick(axial, LEFT, pos=at(axial, 0.4, 0.4))
    qtbot.mouseClick(coronal, LEFT, pos=at(coronal, 0.7, 0.6))
    (measure,) = viewer.session.screen.measures
    assert measure.kind == "length"
    ends = (axial.place(QPointF(at(axial, 0.4, 0.4))), coronal.place(QPointF(at(coronal, 0.7, 0.6))))
    assert measure.points_mm == ends
    assert viewer.session.change(measure_edits.duplicated, 0) is False


def test_an_average_has_no_surface(viewer: Viewer, qtbot: QtBot, settled: Settled) -> None:
    heard = said(viewer)
    viewer.do(edits.with_style, "average")
    settled(viewer)
    viewer.choose_tool("distance")
    qtbot.mouseClick(viewer.panes["solid"], LEFT, pos=at(viewer.panes["solid"], 0.5, 0.5))
    assert not viewer.gestures.hand.points and "no surface" in heard[-1]
