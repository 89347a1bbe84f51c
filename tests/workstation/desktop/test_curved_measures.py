"""Angles, areas and what tools find, measured on curved pictures and, angles, in 3D."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from PySide6.QtCore import QPoint, QPointF, Qt
from pytestqt.qtbot import QtBot

from dicom_io.objects.presentation_reading import drawings_of
from dicom_io.objects.presentation_state import PICTURE_STATES
from dicom_io.sr.evidence_sr import COMPREHENSIVE_3D_SR, read_sr
from render.curved_surface import shape_of, surfaces
from render.measure import angle_deg
from render.recipe import CurvedReformat
from tests.workstation.desktop.gestures import at, drag
from tests.workstation.desktop.test_preview import DOCTOR, WRITTEN
from tests.workstation.samples import SERIES_UID, ticking
from workstation.desktop.model import edits, measure_edits
from workstation.desktop.model.desk import ReadingDesk
from workstation.desktop.model.measuring import recorded, restored
from workstation.desktop.model.screen import Measure
from workstation.desktop.pane import Pane
from workstation.desktop.viewer import Viewer
from workstation.records.verify import holds, verify
from workstation.site import open_site

pytestmark = pytest.mark.slow

Settled = Callable[[Viewer], None]
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def bent(bent: Pane, reading: Viewer, settled: Settled) -> Pane:
    """With its bend in the picture."""
    reading.do(edits.curve_turned, 90.0)
    settled(reading)
    return bent


def clicks(qtbot: QtBot, pane: Pane, *places: QPoint) -> None:
    for place in places:
        qtbot.mouseClick(pane, LEFT, pos=place)


def ring_mm2(viewer: Viewer, pane: Pane, corners: tuple[QPoint, QPoint]) -> float:
    """The part of a ring that a rectangle on the picture is in the patient."""
    _, y, z = viewer.session.volume.centre_mm
    places = [pane.place(QPointF(corner)) for corner in corners]
    assert all(places)
    near, far = sorted(math.hypot(p[1] - y, p[2] - z - 15.0) for p in places if p is not None)
    turn = (corners[1].y() - corners[0].y()) / pane.height() * math.pi / 2.0
    return turn * (far**2 - near**2) / 2.0


def test_an_angle_is_that_of_its_places_in_the_patient(
    reading: Viewer, bent: Pane, qtbot: QtBot, settled: Settled
) -> None:
    reading.choose_tool("angle")
    places = [at(bent, 0.15, 0.5), at(bent, 0.5, 0.5), at(bent, 0.85, 0.5)]
    clicks(qtbot, bent, *places)
    (measure,) = reading.session.screen.measures
    # On the picture the three lie on one line, and in the patient on an arc of 63°.
    assert reading.said_of(measure) == f"{angle_deg(*measure.points_mm):.1f}°"
    assert angle_deg(*measure.points_mm) == pytest.approx(180.0 - 0.35 * 90.0, abs=0.5)
    assert [mark.text for mark in bent.overlay.marks] == [reading.said_of(measure)]
    assert [mark.number for mark in reading.panes["solid"].overlay.marks if mark.text] == [0]
    # A point of it is dragged along the surface, then all of it.
    reading.choose_tool("window")
    drag(qtbot, bent, (places[2].x(), places[2].y()), (at(bent, 0.5, 0.7).x(), places[1].y()))
    moved = reading.session.screen.measures[0]
    assert angle_deg(*moved.points_mm) == pytest.approx(90.0 - 0.35 * 45.0, abs=0.5)  # of a chord, and straight across
    assert moved.points_mm[:2] == measure.points_mm[:2]
    reading.undo()
    assert reading.session.screen.measures == (measure,)
    (record,) = recorded((measure,), reading.session.volume)
    assert record.in_space and record.quantities[0].value == pytest.approx(angle_deg(*measure.points_mm), abs=1e-3)
    assert restored((record,))[0].kind == "angle"


def test_an_area_is_that_of_the_surface_in_the_patient(
    reading: Viewer, bent: Pane, qtbot: QtBot, settled: Settled
) -> None:
    reading.choose_tool("polygon")
    low, high = at(bent, 0.2, 0.45), at(bent, 0.6, 0.62)
    corners = (low, QPoint(high.x(), low.y()), high, QPoint(low.x(), high.y()))
    clicks(qtbot, bent, *corners)
    qtbot.mouseDClick(bent, LEFT, pos=corners[3])
    (polygon,) = reading.session.screen.measures
    assert polygon.kind == "polygon" and polygon.surface is not None
    (record,) = recorded((polygon,), reading.session.volume)
    number = {q.name: q.value for q in record.quantities}
    assert number["area"] == pytest.approx(ring_mm2(reading, bent, (low, high)), rel=0.01)
    assert {"mean", "deviation", "least", "greatest"} <= set(number)
    assert reading.said_of(polygon).startswith(f"{number['area']:.0f} mm²\n{number['mean']:.0f} ±")
    # An ellipse by a drag, beside it; turned away neither is shown, and nothing changes.
    reading.choose_tool("ellipse")
    away = at(bent, 0.7, 0.45), at(bent, 0.9, 0.6)
    drag(qtbot, bent, (away[0].x(), away[0].y()), (away[1].x(), away[1].y()))
    ellipse = reading.session.screen.measures[1]
    (found,) = recorded((ellipse,), reading.session.volume)
    assert found.quantities[0].value == pytest.approx(ring_mm2(reading, bent, away) * math.pi / 4.0, rel=0.01)
    assert len([mark for mark in bent.overlay.marks if mark.outline]) == 2
    assert [back.kind for back in restored((record, found))] == ["polygon", "ellipse"]
    (back,) = restored((found,))
    assert back.points_mm == ellipse.points_mm and back.surface == ellipse.surface and back.name == ""
    words = reading.said_of(ellipse)
    reading.do(edits.curve_turned, -60.0)
    settled(reading)
    assert not [mark for mark in bent.overlay.marks if mark.outline] and reading.said_of(ellipse) == words


def test_an_outline_is_dragged_along_its_surface(reading: Viewer, bent: Pane, qtbot: QtBot) -> None:
    reading.choose_tool("ellipse")
    low, high = at(bent, 0.3, 0.45), at(bent, 0.5, 0.6)
    drag(qtbot, bent, (low.x(), low.y()), (high.x(), high.y()))
    (first,) = reading.session.screen.measures
    reading.choose_tool("window")
    further = at(bent, 0.6, 0.65)
    drag(qtbot, bent, (high.x(), high.y()), (further.x(), further.y()))
    (larger,) = reading.session.screen.measures
    (record,) = recorded((larger,), reading.session.volume)
    expected = ring_mm2(reading, bent, (low, further)) * math.pi / 4.0
    assert larger.points_mm[0] == first.points_mm[0]
    assert record.quantities[0].value == pytest.approx(expected, rel=0.02)
    edge = ((low.x() + further.x()) // 2, low.y())
    drag(qtbot, bent, edge, (edge[0], edge[1] + 30))
    (moved,) = reading.session.screen.measures
    places = [bent.on_widget(place).y() for place in moved.points_mm]
    assert places == pytest.approx([low.y() + 30, further.y() + 30], abs=1.5)
    reading.undo()
    reading.undo()
    assert reading.session.screen.measures == (first,)
    reading.select(0)
    assert not reading.session.change(measure_edits.duplicated, 0)  # it lies in no plane


def test_where_a_picture_folds_over_itself_nothing_is_measured(reading: Viewer, bent: Pane, qtbot: QtBot) -> None:
    """Beyond the middle of a bend it shows the patient mirrored."""
    x, y, z = reading.session.volume.centre_mm
    turns, heard = np.linspace(0.0, 4.0 * math.pi, 61), list[str]()
    tight = tuple((x + float(t), y - 4.0 * math.cos(t), z - 4.0 * math.sin(t)) for t in turns)
    reading.said.connect(heard.append)
    reading.do(edits.path_laid, tight)
    qtbot.waitUntil(reading.is_settled, timeout=60_000)
    reading.choose_tool("ellipse")
    clicks(qtbot, bent, at(bent, 0.2, 0.9))
    assert heard == ["The picture folds over itself there; measure nearer to the path."]
    assert not reading.gestures.hand.points
    drag(qtbot, bent, (bent.width() // 2 - 8, 200), (bent.width() // 2 + 8, 240))
    assert "mm²" in reading.said_of(reading.session.screen.measures[0])


def test_tools_that_look_for_something_begin_on_curved_pictures_too(
    reading: Viewer, bent: Pane, qtbot: QtBot, settled: Settled
) -> None:
    place = at(bent, 0.5, 0.5)
    reading.choose_tool("volume")
    clicks(qtbot, bent, place)
    qtbot.waitUntil(lambda: "ml" in reading.said_of(reading.session.screen.measures[0]), timeout=60_000)
    assert reading.session.screen.measures[0].points_mm == (bent.place(QPointF(place)),)
    settled(reading)
    reading.choose_tool("cobb")
    clicks(qtbot, bent, *(at(bent, row, column) for row, column in ((0.2, 0.4), (0.2, 0.6), (0.8, 0.4), (0.8, 0.6))))
    cobb = reading.session.screen.measures[1]
    # Across the path both ways: as far from each other as the path has bent between them.
    assert float(reading.said_of(cobb).split()[1][:-1]) == pytest.approx(0.6 * 90.0, abs=0.6)


def test_3d_has_angles_and_says_what_it_has_not(reading: Viewer, qtbot: QtBot, settled: Settled) -> None:
    pane, heard = reading.panes["solid"], list[str]()
    reading.said.connect(heard.append)
    reading.choose_tool("ellipse")
    clicks(qtbot, pane, at(pane, 0.5, 0.5))
    assert not reading.gestures.hand.points and "3D has lengths, angles" in heard[-1]
    reading.choose_tool("angle")
    clicks(qtbot, pane, at(pane, 0.42, 0.45), at(pane, 0.5, 0.55), at(pane, 0.58, 0.47))
    (measure,) = reading.session.screen.measures
    assert measure.in_space and reading.said_of(measure) == f"{angle_deg(*measure.points_mm):.1f}°"
    settled(reading)
    (mark,) = pane.overlay.marks
    assert mark.number == 0 and mark.handles_mm == measure.points_mm
    place = pane.on_widget(measure.points_mm[2]).toPoint()
    drag(qtbot, pane, (place.x(), place.y()), (place.x() + 12, place.y()))
    moved = reading.session.screen.measures[0]
    assert moved.points_mm[:2] == measure.points_mm[:2] and moved.points_mm[2] != measure.points_mm[2]


def test_signed_areas_and_angles_are_in_the_record_and_on_the_pictures(signing_root: Path) -> None:
    desk = ReadingDesk(open_site(signing_root, clock=ticking()))
    opened = desk.studies.open(SERIES_UID, None)
    x, y, z = opened.session.volume.centre_mm
    path = tuple((x + 12.0 * math.sin(t), y + 25.0 * t, z + 2.0 * math.cos(t)) for t in np.linspace(-1.5, 1.5, 13))
    change = opened.session.change
    change(edits.path_laid, path)
    for pane in ("curved", "solid"):
        change(edits.captured, pane, 96)
    recipe = opened.session.screen.captures[0].recipe
    assert isinstance(recipe, CurvedReformat)
    surface, view = surfaces(recipe)[0], opened.session.screen.curve.view
    places = [surface.at(*pixel) for pixel in ((20.0, 40.0), (60.0, 55.0), (70.0, 44.0))]
    assert all(places)
    points = tuple(place for place in places if place is not None)
    shape = shape_of(recipe)
    change(measure_edits.measured, Measure("ellipse", points[:2], view, name="Ostium", surface=shape))
    change(measure_edits.measured, Measure("polygon", points, view, surface=shape))
    change(measure_edits.measured, Measure("angle", points, view))
    opened.session.write(**WRITTEN)
    desk.note(opened, DOCTOR, "opened")
    desk.deliver(opened, DOCTOR)
    (sr,) = desk.site.archive.instances_of(COMPREHENSIVE_3D_SR)
    evidence = read_sr(dcmread(sr.path))
    assert [(m.name, m.kind) for m in evidence.measurements] == [
        ("Ostium", "area"), ("polygon 1", "area"), ("angle 1", "angle"),
    ]  # fmt: skip
    drawn: dict[str, int] = {}
    for image in evidence.objects:
        if image.sop_class_uid in PICTURE_STATES:
            state = dcmread(desk.site.archive.instance(image.sop_instance_uid).path)
            for (uid, _), found in drawings_of(state).items():
                drawn[uid] = sum(bool(each.lines) for each in found)
    curved, solid = ({i.sop_instance_uid for i in product.images} for product in evidence.products)
    assert {drawn[uid] for uid in curved} == {3} and {drawn[uid] for uid in solid} == {3}
    checks = list(verify(Path(sr.path), desk.site))
    assert holds(checks) and all(check.agrees is not False for check in checks)
    again = desk.studies.open(SERIES_UID, None)
    assert [m.kind for m in again.session.screen.measures] == ["ellipse", "polygon", "angle"]
    desk.close()
