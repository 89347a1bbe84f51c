"""The line of a vessel, and the path of a curved picture, dragged by hand: curve, sections and record follow."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from render import Volume
from render.geometry import Vector, View, affine_from
from tests.workstation.desktop.gestures import drag
from workstation.desktop.marks import PATH_NUMBER
from workstation.desktop.measures_panel import Measures
from workstation.desktop.model import edits, measure_edits
from workstation.desktop.model.measuring import Measuring, recorded, restored
from workstation.desktop.model.screen import Measure, PaneName, Screen
from workstation.desktop.vessel_view import VesselView
from workstation.desktop.viewer import Viewer
from workstation.records.measurements import LINE_BY_HAND, again

pytestmark = pytest.mark.slow

Settled = Callable[[Viewer], None]
MIDDLE: Vector = (24.0, 24.0, 30.0)
TUBE = ((24.0, 24.0, 4.0), (24.0, 24.0, 56.0))


@pytest.fixture(scope="module")
def scene() -> Volume:
    """A tube of 300 HU along z, 8 mm wide, in 0 HU."""
    k, j, i = np.meshgrid(np.arange(60), np.arange(48), np.arange(48), indexing="ij")
    voxels = 300.0 * np.clip(4.0 - np.hypot(i - 24.0, j - 24.0) + 0.5, 0.0, 1.0)
    noise = np.random.default_rng(5).normal(0.0, 6.0, voxels.shape)
    affine = affine_from((0.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
    assert k.shape == voxels.shape
    return Volume(np.round(voxels + noise).astype(np.int16), affine, "HU", "1.2.3")


def near(screen: Screen, name: PaneName) -> Screen:
    """A plane through the middle of the scene, large enough for all of it."""
    pane = replace(getattr(screen, name), centre_mm=MIDDLE, height_mm=90.0)
    return replace(screen, cursor_mm=MIDDLE, **{name: pane})


@pytest.fixture
def reader(reading: Viewer, scene: Volume, settled: Settled) -> Iterator[Viewer]:
    """The panes with the tube as what is measured, both planes about it, and the vessel selected."""
    reading.measuring = Measuring(scene)
    for name in ("axial", "sagittal"):
        reading.do(near, name)
    reading.do(measure_edits.measured, Measure("vessel", TUBE, View()))
    settled(reading)
    yield reading
    reading.measuring = Measuring(reading.session.volume)


def found(reader: Viewer, qtbot: QtBot) -> VesselView:
    measure = reader.session.screen.measures[0]
    qtbot.waitUntil(lambda: reader.measuring.found(measure) is not None, timeout=60_000)
    panel = reader.window().findChild(Measures)
    assert isinstance(panel, Measures)
    view = panel.findChild(VesselView)
    reader.select(0)
    assert isinstance(view, VesselView)
    thing = reader.measuring.found(measure)
    assert thing is not None and thing.vessel is not None
    qtbot.waitUntil(lambda: view.found is thing.vessel, timeout=60_000)
    return view


def at(reader: Viewer, pane: PaneName, place: Vector) -> tuple[int, int]:
    position = reader.panes[pane].on_widget(place)
    return round(position.x()), round(position.y())


def laid_by_hand(reader: Viewer, qtbot: QtBot) -> tuple[Vector, ...]:
    found(reader, qtbot).line.click()
    measure = reader.session.screen.measures[0]
    assert measure.by_hand and len(measure.points_mm) >= 5
    return measure.points_mm


def test_a_point_is_dragged_in_a_plane_and_diameters_sections_and_curve_follow(
    reader: Viewer, qtbot: QtBot, settled: Settled
) -> None:
    view = found(reader, qtbot)
    followed = view.found
    assert followed is not None
    view.curved.click()
    points = laid_by_hand(reader, qtbot)
    view = found(reader, qtbot)
    assert view.found is not None and view.found.vessel.length_mm == pytest.approx(followed.vessel.length_mm, rel=5e-3)
    assert reader.session.screen.curve.path_mm == points  # the curved picture goes on with it
    number = len(points) // 2
    reader.do(edits.at_cursor, points[number])  # seen along the tube, its points are behind one another
    settled(reader)
    x, y = at(reader, "axial", points[number])
    by = round(2.0 / reader.panes["axial"].mm_per_point())
    drag(qtbot, reader.panes["axial"], (x, y), (x + by, y))
    moved = reader.session.screen.measures[0].points_mm
    # 2 mm to the patient's left, and as deep as it was.
    assert np.subtract(moved[number], points[number]) == pytest.approx((2.0, 0.0, 0.0), abs=0.2)
    assert moved[:number] == points[:number] and moved[number + 1 :] == points[number + 1 :]
    assert reader.session.screen.curve.path_mm == moved
    view = found(reader, qtbot)
    assert view.found is not None
    away = np.linalg.norm(view.found.vessel.centreline_mm - np.array(moved[number]), axis=1).min()
    assert away < 0.3  # the line goes through it, and is not centred again
    mean = view.found.vessel.sections.diameters_mm[2]
    assert np.median(mean) == pytest.approx(8.0, abs=0.4)
    assert reader.said_of(reader.session.screen.measures[0]).endswith("line by hand")
    reader.undo()
    assert reader.session.screen.measures[0].points_mm == points
    assert reader.session.screen.curve.path_mm == points
    reader.undo()  # the crosshair
    reader.undo()
    assert reader.session.screen.measures[0] == Measure("vessel", TUBE, View())


def test_on_the_curved_picture_it_is_laid_anew_when_the_mouse_lets_go(
    reader: Viewer, qtbot: QtBot, settled: Settled
) -> None:
    found(reader, qtbot).curved.click()
    points = laid_by_hand(reader, qtbot)
    settled(reader)
    pane, number = reader.panes["curved"], len(points) // 2
    x, y = at(reader, "curved", points[number])
    assert x == pytest.approx(pane.width() / 2, abs=2)  # on the middle line
    by = round(1.5 / pane.mm_per_point())
    drag(qtbot, pane, (x, y), (x + by, y))
    moved = reader.session.screen.measures[0].points_mm
    assert math.dist(moved[number], points[number]) == pytest.approx(1.5, abs=0.1)
    assert [a == b for a, b in zip(moved, points, strict=True)].count(False) == 1
    settled(reader)
    assert at(reader, "curved", moved[number])[0] == pytest.approx(pane.width() / 2, abs=2)
    reader.undo()
    assert reader.session.screen.measures[0].points_mm == points


def test_the_record_says_that_a_hand_laid_it_and_measures_it_again(scene: Volume) -> None:
    line = ((24.0, 24.0, 6.0), (24.5, 24.0, 18.0), (26.0, 24.0, 30.0), (24.5, 24.0, 42.0), (24.0, 24.0, 54.0))
    measure = Measure("vessel", line, View(), name="Carotid", by_hand=True)
    (kept,) = recorded((measure,), scene)
    assert kept.steps == LINE_BY_HAND and again(kept, scene) == kept
    numbers = {quantity.name: quantity.value for quantity in kept.quantities}
    assert 48.2 < numbers["length"] < 49.0  # as the line is, and not as the tube
    (back,) = restored((kept,))
    assert back.found_by == measure.found_by and back.name == "Carotid"
    (followed,) = recorded((replace(measure, by_hand=False),), scene)
    assert followed.steps == "" and followed.quantities[0].value == pytest.approx(48.0, abs=0.2)


def test_a_clicked_path_is_dragged_by_its_points(reading: Viewer, qtbot: QtBot, settled: Settled) -> None:
    x, y, z = reading.session.screen.cursor_mm
    for place in ((x - 30.0, y, z), (x, y + 20.0, z), (x + 30.0, y, z)):
        reading.do(edits.path_added, place)
    reading.do(edits.laid_out, "curved")
    settled(reading)
    before, pane = reading.session.screen.curve.path_mm, reading.panes["axial"]
    assert not any(mark.number == PATH_NUMBER for mark in pane.overlay.marks)  # other tools click through it
    start = at(reading, "axial", before[1])
    reading.choose_tool("path")
    assert any(mark.number == PATH_NUMBER for mark in pane.overlay.marks)
    drag(qtbot, pane, start, (start[0], start[1] + 20))
    after = reading.session.screen.curve.path_mm
    assert len(after) == 3 and (after[0], after[2]) == (before[0], before[2])
    assert after[1][1] - before[1][1] == pytest.approx(20 * pane.mm_per_point(), rel=0.05)
    reading.undo()
    assert reading.session.screen.curve.path_mm == before
    assert pane.grip_at(QPoint(*start).toPointF()) is not None


def test_the_middle_is_dragged_on_the_small_section(reader: Viewer, qtbot: QtBot) -> None:
    view = found(reader, qtbot)
    view.go(30.0)
    section = view.section
    qtbot.waitUntil(lambda: section.middle_mm is not None and section.middle_mm[2] == pytest.approx(34.0, abs=0.6))
    assert section.middle_mm is not None and section.plane is not None
    start, before = section.on_widget(section.middle_mm), section.middle_mm
    by = round(1.5 / section.plane.pixel_spacing_mm[0] * section.width() / 256)
    wanted = section.place(start + QPointF(by, 0.0))
    drag(qtbot, section, (round(start.x()), round(start.y())), (round(start.x()) + by, round(start.y())))
    measure = reader.session.screen.measures[0]
    through = min(measure.points_mm, key=lambda place: math.dist(place, wanted))
    assert measure.by_hand and math.dist(through, wanted) < 0.3 and math.dist(through, before) > 1.2
    assert math.dist(reader.session.screen.cursor_mm, through) < 0.01
    view = found(reader, qtbot)  # measured again, and still at this place
    assert view.found is not None
    qtbot.waitUntil(lambda: section.middle_mm is not None and math.dist(section.middle_mm, through) < 0.5)
    # Keys move it too, the next point of the same line.
    section.setFocus()
    qtbot.keyClick(section, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    nudged = reader.session.screen.measures[0]
    assert len(nudged.points_mm) == len(measure.points_mm) and nudged != measure
    reader.undo()
    reader.undo()
    assert reader.session.screen.measures[0] == Measure("vessel", TUBE, View())  # one step, the new line with it


def test_wheel_drag_and_keys_on_the_small_section_go_along_the_vessel(reader: Viewer, qtbot: QtBot) -> None:
    view = found(reader, qtbot)
    view.go(20.0)
    section, cursor = view.section, reader.session.screen.cursor_mm
    qtbot.waitUntil(lambda: section.middle_mm is not None)
    at = QPointF(section.rect().center())
    event = QWheelEvent(
        at, section.mapToGlobal(at), QPoint(), QPoint(0, -240), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(section, event)
    assert view.at_mm == pytest.approx(22.0)
    qtbot.keyClick(section, Qt.Key.Key_PageUp)
    assert view.at_mm == pytest.approx(32.0)
    qtbot.waitUntil(lambda: not reader.session.is_dragging)
    drag(qtbot, section, (20, 20), (20, 40))
    assert view.at_mm == pytest.approx(37.0)
    assert reader.session.screen.cursor_mm[2] == pytest.approx(41.0, abs=0.6)
    assert not reader.session.screen.measures[0].by_hand
    reader.undo()
    reader.undo()
    assert reader.session.screen.cursor_mm == cursor


@pytest.mark.parametrize(("along", "added"), [(18.0, 0), (18.5, 0), (24.0, 1), (6.0, 0)])
def test_a_line_gets_a_point_where_it_has_none(reading: Viewer, along: float, added: int) -> None:
    line = tuple((0.0, 0.0, z) for z in (6.0, 18.0, 30.0, 42.0))
    screen = measure_edits.measured(reading.session.screen, Measure("vessel", line, View(), by_hand=True))
    bent = measure_edits.line_bent(screen, len(screen.measures) - 1, (0.0, 0.0, along), (2.0, 0.0, along))
    points = bent.measures[-1].points_mm
    assert (2.0, 0.0, along) in points and len(points) == len(line) + added
    assert [z for _, _, z in points] == sorted(z for _, _, z in points)
