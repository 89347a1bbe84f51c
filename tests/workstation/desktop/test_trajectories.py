"""Trajectories: entry and target clicked, depth and distances to segments, dragged, recorded and drawn again."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from PySide6.QtCore import QPoint, QPointF, Qt
from pytestqt.qtbot import QtBot

from dicom_io.sr.evidence_sr import COMPREHENSIVE_3D_SR, read_sr
from render import View
from render.geometry import Vector
from render.mask_steps import Brush, MaskStep
from tests.workstation.desktop.gestures import drag, move
from tests.workstation.desktop.planes import moved_away
from tests.workstation.desktop.test_preview import DOCTOR, WRITTEN
from tests.workstation.samples import SERIES_UID, ticking
from workstation.desktop.model import edits, measure_edits, segment_edits
from workstation.desktop.model.desk import ReadingDesk
from workstation.desktop.model.measuring import avoided_of, recorded, restored
from workstation.desktop.model.screen import Measure
from workstation.desktop.pane import Pane
from workstation.desktop.trajectory_view import TrajectoryView
from workstation.desktop.viewer import Viewer
from workstation.records.verify import holds, verify
from workstation.site import open_site

pytestmark = pytest.mark.slow

Settled = Callable[[Viewer], None]
LEFT = Qt.MouseButton.LeftButton


def ball(middle: Vector, label: int) -> MaskStep:
    """A segment of 5 mm radius."""
    return Brush((middle,), 5.0, label=label)


def at(pane: Pane, row: float, column: float) -> QPoint:
    return QPoint(round(pane.width() * column), round(pane.height() * row))


def drawn(reading: Viewer, qtbot: QtBot) -> Measure:
    """From the skin in front, on the axial plane, to a place on the coronal one."""
    reading.choose_tool("trajectory")
    axial, coronal = reading.panes["axial"], reading.panes["coronal"]
    qtbot.mouseClick(axial, LEFT, pos=at(axial, 0.3, 0.4))
    move(axial, at(axial, 0.5, 0.4))
    assert axial.overlay.marks[-1].text.endswith("mm deep")  # said while it is being drawn
    qtbot.mouseClick(coronal, LEFT, pos=at(coronal, 0.7, 0.6))
    (measure,) = reading.session.screen.measures
    assert measure.kind == "trajectory"
    assert measure.points_mm == tuple(
        pane.place(QPointF(at(pane, *place))) for pane, place in ((axial, (0.3, 0.4)), (coronal, (0.7, 0.6)))
    )
    return measure


def panel_of(reading: Viewer) -> TrajectoryView:
    view = reading.window().findChild(TrajectoryView)
    assert isinstance(view, TrajectoryView)
    return view


def test_depth_and_distances_to_segments_are_said(reading: Viewer, qtbot: QtBot, settled: Settled) -> None:
    measure = drawn(reading, qtbot)
    entry, target = (np.array(place) for place in measure.points_mm)
    deep = f"{math.dist(entry, target):.1f} mm deep"
    qtbot.waitUntil(lambda: "°" in reading.said_of(measure), timeout=60_000)
    assert reading.said_of(measure).split("\n")[0] == deep and len(reading.said_of(measure).split("\n")) == 2
    # A segment beside its middle, and one in its way.
    way = (target - entry) / np.linalg.norm(target - entry)
    aside = np.cross(way, (0.0, 0.0, 1.0))
    middle = (entry + target) / 2.0
    beside: Vector = tuple(float(v) for v in middle + 15.0 * aside / np.linalg.norm(aside))  # type: ignore[assignment]
    reading.do(segment_edits.marked, ball(beside, 2), "Vein")
    qtbot.waitUntil(lambda: "Vein" in reading.said_of(measure), timeout=60_000)
    said = reading.said_of(measure).split("\n")[1]
    away, depth = (float(said.split()[n]) for n in (1, 4))
    assert said.startswith("Vein: ") and away == pytest.approx(10.0, abs=1.6)
    assert depth == pytest.approx(math.dist(entry, target) / 2.0, abs=4.0)
    reading.do(lambda screen: segment_edits.segment_changed(screen, 2, name="Sinus"))
    qtbot.waitUntil(lambda: "Sinus" in reading.said_of(measure), timeout=60_000)
    reading.do(segment_edits.marked, ball(tuple(float(v) for v in middle), 3), "Bulb")  # type: ignore[arg-type]
    qtbot.waitUntil(lambda: "goes through" in reading.said_of(measure), timeout=60_000)
    said = reading.said_of(measure).split("\n")[1]
    assert said.startswith("Bulb: goes through over") and float(said.split()[4]) == pytest.approx(10.0, abs=1.6)
    (record,) = recorded((measure,), reading.session.volume, avoided_of(reading.session.screen))
    numbers = [quantity.value for quantity in record.quantities if quantity.name == "clearance"]
    assert numbers == pytest.approx([away, 0.0], abs=0.05)
    assert restored((record,)) == (Measure("trajectory", record.points_mm, View()),)


def test_it_shows_everywhere_and_its_ends_are_dragged(reading: Viewer, qtbot: QtBot, settled: Settled) -> None:
    measure = drawn(reading, qtbot)
    settled(reading)
    for name in ("axial", "sagittal", "coronal", "solid"):
        assert 0 in [mark.number for mark in reading.panes[name].overlay.marks], name
    reading.choose_tool("window")
    pane, target = reading.panes["sagittal"], measure.points_mm[1]
    place = pane.on_widget(target).toPoint()
    drag(qtbot, pane, (place.x(), place.y()), (place.x() + 20, place.y()))
    moved = reading.session.screen.measures[0]
    assert moved.points_mm[0] == measure.points_mm[0]
    # As deep in that plane as it was: to the side it did not go.
    assert moved.points_mm[1][0] == pytest.approx(target[0], abs=1e-3)
    assert math.dist(moved.points_mm[1], target) == pytest.approx(20 * pane.mm_per_point(), rel=0.03)
    reading.undo()
    assert reading.session.screen.measures == (measure,)
    reading.do(measure_edits.renamed, 0, "Biopsy")
    assert reading.session.screen.measures[0].name == "Biopsy"


def test_the_panes_go_along_it(reading: Viewer, qtbot: QtBot, settled: Settled) -> None:
    measure = drawn(reading, qtbot)
    view, (entry, target) = panel_of(reading), measure.points_mm
    view.slider.setValue(20)
    assert math.dist(reading.session.screen.cursor_mm, entry) == pytest.approx(10.0)
    assert view.said.text() == "10.0 mm from the entry"
    view.eye.click()
    way = np.subtract(target, entry) / math.dist(entry, target)
    across = reading.session.screen.axial.view.towards_observer
    assert abs(float(way @ across)) == pytest.approx(1.0, abs=1e-4)
    reading.do(moved_away, "axial", 5.0, 1.0)
    assert view.slider.value() == 10  # the wheel goes to the target
    view.along.click()
    settled(reading)
    plane = reading.panes["coronal"].plane
    assert plane is not None
    deep = [abs(float(np.subtract(place, plane.origin_mm) @ plane.normal)) for place in (entry, target)]
    assert max(deep) < 0.02
    before = len(reading.session.screen.captures)
    view.take.click()
    assert len(reading.session.screen.captures) == before + 3


def test_signed_it_is_in_the_record_with_what_it_avoids(signing_root: Path) -> None:
    desk = ReadingDesk(open_site(signing_root, clock=ticking()))
    opened = desk.studies.open(SERIES_UID, None)
    x, y, z = opened.session.volume.centre_mm
    change = opened.session.change
    ends: tuple[Vector, Vector] = ((x, y - 40.0, z), (x + 4.0, y + 20.0, z + 1.0))
    change(segment_edits.marked, ball((x + 20.0, y, z), 2), "Vein")
    change(segment_edits.segment_added, "Nothing yet", 7)
    change(measure_edits.measured, Measure("trajectory", ends, View(), name="Biopsy"))
    change(edits.captured, "solid", 96)
    opened.session.write(**WRITTEN)
    desk.note(opened, DOCTOR, "opened")
    desk.deliver(opened, DOCTOR)
    (sr,) = desk.site.archive.instances_of(COMPREHENSIVE_3D_SR)
    evidence = read_sr(dcmread(sr.path))
    way = next(m for m in evidence.measurements if m.kind == "trajectory")
    numbers = {quantity.name: quantity.value for quantity in way.quantities}
    assert way.name == "Biopsy" and numbers["length"] == pytest.approx(math.dist(*ends), abs=1e-3)
    assert numbers["clearance"] == pytest.approx(20.0 - 4.0 * 2.0 / 3.0 - 5.0, abs=1.5) and numbers["through"] == 0.0
    assert way.finding.startswith("Vein: ") and "mm away" in way.finding
    checks = list(verify(Path(sr.path), desk.site))
    assert holds(checks) and all(check.agrees is not False for check in checks)
    assert [m.kind for m in desk.studies.open(SERIES_UID, None).session.screen.measures] == ["trajectory"]
    desk.close()
