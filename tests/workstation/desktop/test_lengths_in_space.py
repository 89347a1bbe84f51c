"""Lengths that lie in no plane: on curved pictures, and from one point of the 3D surface to another."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from PySide6.QtCore import QPoint, QPointF, Qt
from pytestqt.qtbot import QtBot

from dicom_io.objects.presentation_reading import drawings_of
from dicom_io.objects.presentation_state import COLOUR_STATE, GRAYSCALE_STATE, PICTURE_STATES
from dicom_io.sr.evidence_sr import COMPREHENSIVE_3D_SR, read_sr
from render import View
from render.curved_surface import surfaces
from render.geometry import Vector
from render.marks import PixelDrawing
from render.measure import polyline_mm
from render.pick import first_seen
from render.recipe import CurvedReformat, Solid
from tests.workstation.desktop.conftest import RADIUS_MM
from tests.workstation.desktop.gestures import at, drag, move
from tests.workstation.desktop.test_preview import DOCTOR, WRITTEN
from tests.workstation.samples import SERIES_UID, ticking
from workstation.desktop.model import edits, measure_edits
from workstation.desktop.model.desk import ReadingDesk
from workstation.desktop.model.measuring import recorded, restored
from workstation.desktop.model.notes import marks_of
from workstation.desktop.model.screen import Measure, recipe_of
from workstation.desktop.pane import Pane
from workstation.desktop.viewer import Viewer
from workstation.records.pdf_contents import key_pictures
from workstation.records.verify import holds, verify
from workstation.site import open_site

pytestmark = pytest.mark.slow

Settled = Callable[[Viewer], None]
LEFT = Qt.MouseButton.LeftButton


def said(reading: Viewer) -> list[str]:
    heard: list[str] = []
    reading.said.connect(heard.append)
    return heard


def shown_on(pane: Pane) -> int:
    return len(pane.overlay.marks)


def on_path(reading: Viewer, points: tuple[Vector, ...]) -> bool:
    _, y, z = reading.session.volume.centre_mm
    return all(math.hypot(p[1] - y, p[2] - z - 15.0) == pytest.approx(RADIUS_MM, abs=0.4) for p in points)


def test_down_a_straightened_picture_it_is_the_way_along_the_path(reading: Viewer, bent: Pane, qtbot: QtBot) -> None:
    reading.choose_tool("distance")
    start, end = at(bent, 0.25, 0.5), at(bent, 0.75, 0.5)
    drag(qtbot, bent, (start.x(), start.y()), (end.x(), end.y()))
    (measure,) = reading.session.screen.measures
    expected = RADIUS_MM * math.pi / 2.0 * (end.y() - start.y()) / bent.height()
    assert measure.kind == "length" and on_path(reading, measure.points_mm)
    assert polyline_mm(measure.points_mm) == pytest.approx(expected, rel=5e-3)
    assert reading.said_of(measure) == f"{polyline_mm(measure.points_mm):.1f} mm"
    assert [mark.text for mark in bent.overlay.marks] == [reading.said_of(measure)]
    # The record has the same length of the same places, and gives the measure back.
    (record,) = recorded((measure,), reading.session.volume)
    (number,) = record.quantities
    assert (number.name, number.unit) == ("length", "mm") and number.value == pytest.approx(expected, rel=5e-3)
    (back,) = restored((record,))
    assert back.kind == "length" and len(back.points_mm) == len(measure.points_mm)


def test_an_end_and_the_whole_are_dragged_along_the_surface(reading: Viewer, bent: Pane, qtbot: QtBot) -> None:
    reading.choose_tool("distance")
    start, end, further = (at(bent, row, 0.5) for row in (0.25, 0.5, 0.75))
    for place in (start, end):
        qtbot.mouseClick(bent, LEFT, pos=place)
    (first,) = reading.session.screen.measures
    reading.choose_tool("window")
    drag(qtbot, bent, (end.x(), end.y()), (further.x(), further.y()))
    (longer,) = reading.session.screen.measures
    assert polyline_mm(longer.points_mm) == pytest.approx(2.0 * polyline_mm(first.points_mm), rel=0.02)
    assert on_path(reading, longer.points_mm)
    drag(qtbot, bent, (start.x(), (start.y() + further.y()) // 2), (start.x() + 20, (start.y() + further.y()) // 2))
    (aside,) = reading.session.screen.measures
    pushed = math.dist(aside.points_mm[0], longer.points_mm[0])
    assert pushed == pytest.approx(20 * bent.mm_per_point(), rel=0.02)
    reading.undo()
    reading.undo()
    assert reading.session.screen.measures == (first,)


def test_a_line_that_was_begun_on_another_picture_is_not_measured(reading: Viewer, bent: Pane, qtbot: QtBot) -> None:
    heard = said(reading)
    reading.choose_tool("distance")
    qtbot.mouseClick(bent, LEFT, pos=at(bent, 0.3, 0.8))
    reading.do(edits.curve_turned, 60.0)
    qtbot.waitUntil(reading.is_settled, timeout=60_000)
    qtbot.mouseClick(bent, LEFT, pos=at(bent, 0.6, 0.8))
    assert not reading.session.screen.measures and "not on this picture any more" in heard[-1]


def test_turned_away_it_is_not_shown_and_a_capture_has_it_where_it_lies(
    reading: Viewer, bent: Pane, qtbot: QtBot, settled: Settled
) -> None:
    reading.choose_tool("distance")
    start, end = at(bent, 0.3, 0.8), at(bent, 0.6, 0.8)
    drag(qtbot, bent, (start.x(), start.y()), (end.x(), end.y()))
    assert shown_on(bent) == 1
    reading.do(edits.curve_turned, 60.0)
    settled(reading)
    assert len(reading.session.screen.measures) == 1 and shown_on(bent) == 0
    (mark,) = marks_of(reading.session.screen.measures, reading.session.volume)
    assert mark.in_space and mark.text[0].endswith("mm")


def test_the_crosshair_goes_to_what_a_curved_picture_shows(reading: Viewer, bent: Pane, qtbot: QtBot) -> None:
    reading.choose_tool("crosshair")
    place = at(bent, 0.5, 0.5)
    qtbot.mouseClick(bent, LEFT, pos=place)
    assert reading.session.screen.cursor_mm == bent.place(QPointF(place))
    assert on_path(reading, (reading.session.screen.cursor_mm,))


def surface_at(reading: Viewer, place: QPoint) -> Vector:
    pane = reading.panes["solid"]
    recipe = recipe_of(reading.session.screen, "solid", pane.rows, pane.columns)
    assert isinstance(recipe, Solid)
    found = first_seen(reading.session.volume, recipe, *pane.pixel(QPointF(place)))
    assert found is not None
    return found


def test_two_clicks_on_the_surface_are_a_length_and_a_drag_still_turns(
    reading: Viewer, qtbot: QtBot, settled: Settled
) -> None:
    pane = reading.panes["solid"]
    reading.choose_tool("distance")
    first, second = at(pane, 0.42, 0.45), at(pane, 0.55, 0.56)
    a = surface_at(reading, first)
    qtbot.mouseClick(pane, LEFT, pos=first)
    before = reading.session.screen.solid.view
    drag(qtbot, pane, (40, 40), (90, 40))  # to the other side of the bone, with one end set
    settled(reading)
    assert reading.session.screen.solid.view != before and not reading.session.screen.measures
    b = surface_at(reading, second)
    move(pane, second)
    assert pane.overlay.marks[-1].text.endswith("mm")  # said while it is being drawn
    qtbot.mouseClick(pane, LEFT, pos=second)
    (measure,) = reading.session.screen.measures
    assert measure.kind == "length" and measure.points_mm == (a, b)
    assert reading.said_of(measure) == f"{math.dist(a, b):.1f} mm"
    (mark,) = pane.overlay.marks
    assert mark.number == 0
    # An end is dragged along the surface; the patient is not turned by it.
    view, third = reading.session.screen.solid.view, at(pane, 0.6, 0.5)
    end = pane.on_widget(b).toPoint()
    drag(qtbot, pane, (end.x(), end.y()), (third.x(), third.y()))
    assert reading.session.screen.solid.view == view
    moved = reading.session.screen.measures[0].points_mm
    assert moved[0] == a and math.dist(moved[1], surface_at(reading, third)) < 1.0
    reading.undo()
    assert reading.session.screen.measures == (measure,)


def test_a_length_that_goes_into_the_picture_is_told(reading: Viewer, qtbot: QtBot) -> None:
    """It is far longer than it looks, as where one click goes through an orbit to the back of the skull."""
    pane, heard = reading.panes["solid"], said(reading)
    towards = np.array(reading.session.screen.solid.view.towards_observer)
    places = [at(pane, row, column) for row in np.linspace(0.4, 0.6, 9) for column in np.linspace(0.4, 0.6, 9)]
    nearer = {float(np.array(surface_at(reading, place)) @ towards): place for place in places}
    deep, shallow = (min(nearer), max(nearer)), sorted(nearer)[-2:]
    reading.choose_tool("distance")
    for depths in (deep, shallow):
        heard.clear()
        for depth in depths:
            qtbot.mouseClick(pane, LEFT, pos=nearer[depth])
        told = [words for words in heard if "behind the other" in words]
        behind = depths[1] - depths[0]
        assert told == (
            [f"One end lies {behind:.0f} mm behind the other; turn the patient to see the line."]
            if depths is deep
            else []
        )


def test_a_length_goes_from_one_plane_to_another(reading: Viewer, qtbot: QtBot) -> None:
    reading.choose_tool("distance")
    axial, coronal = reading.panes["axial"], reading.panes["coronal"]
    qtbot.mouseClick(axial, LEFT, pos=at(axial, 0.4, 0.4))
    qtbot.mouseClick(coronal, LEFT, pos=at(coronal, 0.7, 0.6))
    (measure,) = reading.session.screen.measures
    assert measure.kind == "length"
    ends = (axial.place(QPointF(at(axial, 0.4, 0.4))), coronal.place(QPointF(at(coronal, 0.7, 0.6))))
    assert measure.points_mm == ends
    assert reading.session.change(measure_edits.duplicated, 0) is False


def test_an_average_has_no_surface(reading: Viewer, qtbot: QtBot, settled: Settled) -> None:
    heard = said(reading)
    reading.do(edits.with_style, "average")
    settled(reading)
    reading.choose_tool("distance")
    qtbot.mouseClick(reading.panes["solid"], LEFT, pos=at(reading.panes["solid"], 0.5, 0.5))
    assert not reading.gestures.hand.points and "no surface" in heard[-1]


def test_signed_they_are_in_the_record_and_drawn_beside_the_pictures(signing_root: Path) -> None:
    desk = ReadingDesk(open_site(signing_root, clock=ticking()))
    opened = desk.studies.open(SERIES_UID, None)
    x, y, z = opened.session.volume.centre_mm
    path = tuple((x + 12.0 * math.sin(t), y + 25.0 * t, z + 2.0 * math.cos(t)) for t in np.linspace(-1.5, 1.5, 13))
    change = opened.session.change
    change(edits.path_laid, path)
    for pane in ("curved", "solid", "axial"):
        change(edits.captured, pane, 96)
    recipe = opened.session.screen.captures[0].recipe
    assert isinstance(recipe, CurvedReformat)
    way = surfaces(recipe)[0].way((20.0, 60.0), (70.0, 30.0))
    assert way is not None and len(way) > 2
    change(measure_edits.measured, Measure("length", way, View(), name="Course"))
    opened.session.write(**WRITTEN)
    desk.note(opened, DOCTOR, "opened")
    desk.deliver(opened, DOCTOR)
    (sr,) = desk.site.archive.instances_of(COMPREHENSIVE_3D_SR)
    evidence = read_sr(dcmread(sr.path))
    (measurement,) = evidence.measurements
    assert (measurement.name, measurement.kind) == ("Course", "length")
    assert measurement.quantities[0].value == pytest.approx(polyline_mm(way), abs=1e-3)
    drawn: dict[str, tuple[str, tuple[PixelDrawing, ...]]] = {}
    for image in evidence.objects:
        if image.sop_class_uid in PICTURE_STATES:
            state = dcmread(desk.site.archive.instance(image.sop_instance_uid).path)
            drawn |= {uid: (str(state.SOPClassUID), found) for (uid, _), found in drawings_of(state).items()}
    curved, solid, axial = ({i.sop_instance_uid for i in product.images} for product in evidence.products)
    assert {drawn[uid][0] for uid in curved} == {GRAYSCALE_STATE} and {drawn[uid][0] for uid in solid} == {COLOUR_STATE}
    assert not axial & set(drawn)  # no plane holds all of it
    (line, *_), *_ = (each.lines for each in drawn[next(iter(curved))][1] if each.lines)
    assert line[0] == pytest.approx((60.0, 20.0), abs=0.1) and line[-1] == pytest.approx((30.0, 70.0), abs=0.1)
    checks = list(verify(Path(sr.path), desk.site))
    assert holds(checks) and all(check.agrees is not False for check in checks)
    printed = [picture.pixels.astype(int) for picture in key_pictures(evidence, (), desk.site.archive)]
    yellow = [int(((p[..., 0] > 200) & (p[..., 1] > 160) & (p[..., 2] < 130)).sum()) for p in printed]
    assert yellow[0] > 40 and yellow[1] > 20  # the lines, in the report's pictures too
    desk.close()
