"""Lesions and vessels by a click: what the desktop says is what the tool says, and what the record will hold."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from PySide6.QtCore import QPointF, Qt
from pytestqt.qtbot import QtBot

from render import Volume, draw
from render.flight import flight, lumen_way
from render.geometry import View, affine_from
from render.recipe import frames
from render.segment import measure_lesion
from tests.workstation.desktop.gestures import drag
from workstation.desktop.drawer import _still
from workstation.desktop.measures_panel import Measures
from workstation.desktop.model import edits, measure_edits
from workstation.desktop.model.corners import under_the_mouse
from workstation.desktop.model.measuring import Measuring, recorded, restored
from workstation.desktop.model.screen import Measure, recipe_of
from workstation.desktop.vessel_view import VesselView
from workstation.desktop.viewer import Viewer
from workstation.desktop.window import MainWindow

Settled = Callable[[Viewer], None]
CENTRE = (12.0, 20.0, 24.0)
TUBE = ((12.0, 44.0, 6.0), (12.0, 44.0, 40.0))


@pytest.fixture(scope="module")
def scene() -> Volume:
    """A ball of 80 HU with half axes of 6, 8 and 7 mm along x, y and z, and a tube of 300 HU, 8 mm wide and in the
    middle 4 mm, in −100 HU."""
    k, j, i = np.meshgrid(np.arange(48), np.arange(64), np.arange(48), indexing="ij")
    z, y, x = (np.asarray(axis, dtype=np.float64) for axis in (k, j, i))
    voxels = np.full((48, 64, 48), -100.0)
    ball = ((x - 12) / 6) ** 2 + ((y - 20) / 8) ** 2 + ((z - 24) / 7) ** 2
    radius = np.where(np.abs(z - 24.0) < 4.0, 2.0, 4.0)
    voxels += 180.0 * np.clip((1.0 - np.sqrt(ball)) * 7.0 + 0.5, 0.0, 1.0)
    voxels += 400.0 * np.clip(radius - np.hypot(x - 12.0, y - 44.0) + 0.5, 0.0, 1.0)
    noise = np.random.default_rng(3).normal(0.0, 6.0, voxels.shape)
    affine = affine_from((0.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
    return Volume(np.round(voxels + noise).astype(np.int16), affine, "HU", "1.2.3")


def test_a_lesion_has_axes_that_lie_on_its_edge(scene: Volume) -> None:
    measuring, measure = Measuring(scene), Measure("lesion", (CENTRE,), View())
    assert measuring.said_of(measure) == "measuring …"
    assert measuring.to_seek((measure,)) == (measure,) and measuring.to_seek((measure,)) == ()
    measuring.fill(measure)
    found = measuring.found(measure)
    assert found is not None and found.shape is not None
    (a, b), (c, d) = found.lines_mm
    assert math.dist(a, b) == pytest.approx(16.0, abs=0.8) and math.dist(c, d) == pytest.approx(12.0, abs=0.8)
    assert abs(np.dot(np.subtract(a, b), np.subtract(c, d))) < 0.1 * 16 * 12
    true = measure_lesion(scene, CENTRE)
    assert found.words.startswith(f"{true.recist_mm:.1f} × {true.short_axis_mm:.1f} mm\n{true.volume_ml:.2f} ml")
    (kept,) = recorded((measure,), scene)
    numbers = {quantity.name: quantity.value for quantity in kept.quantities}
    assert numbers["long_axis"] == pytest.approx(math.dist(a, b), abs=1e-3)
    assert numbers["short_axis"] == pytest.approx(math.dist(c, d), abs=1e-3)
    (back,) = restored((kept,))
    assert back.found_by == measure.found_by


def test_a_vessel_is_narrow_where_it_is(scene: Volume) -> None:
    measuring, measure = Measuring(scene), Measure("vessel", TUBE, View(), name="Carotid")
    measuring.fill(measure)
    found = measuring.found(measure)
    assert found is not None and found.vessel is not None
    assert found.vessel.stenosis.position_mm[2] == pytest.approx(24.0, abs=3.0)
    assert found.vessel.stenosis.nascet_percent == pytest.approx(50.0, abs=8.0)
    (kept,) = recorded((measure,), scene)
    numbers = {quantity.name: quantity.value for quantity in kept.quantities}
    assert kept.name == "Carotid" and f"NASCET {numbers['nascet']:.0f} %" in found.words.replace("≥ ", "")


def test_an_errand_that_fails_is_told_and_the_next_one_is_run(reading: Viewer, qtbot: QtBot) -> None:
    told: list[str] = []
    reading.said.connect(told.append)

    def fails() -> None:
        raise RuntimeError("no more memory")

    with qtbot.waitSignal(reading.drawer.filled, timeout=60_000):
        reading.drawer.ask_errand(fails)
        reading.drawer.ask_errand(lambda: None)
    assert told == ["no more memory"]


def test_what_is_declined_is_said_and_is_no_measurement(scene: Volume) -> None:
    measuring, place = Measuring(scene), (40.0, 60.0, 40.0)
    nothing = (Measure("lesion", (place,), View()), Measure("vessel", (place, CENTRE), View()))
    for measure in nothing:
        measuring.fill(measure)
        found = measuring.found(measure)
        assert found is not None and len(found.words) > 30 and found.shape is None and not found.lines_mm
        assert found.declined
    assert recorded(nothing, scene) == ()


@pytest.fixture
def reader(reading: Viewer, scene: Volume) -> Iterator[Viewer]:
    """The desktop with the scene in the place of the sample's tools: they measure there."""
    reading.measuring = Measuring(scene)
    yield reading
    reading.measuring = Measuring(reading.session.volume)


def test_a_vessel_is_followed_in_the_panes(
    reader: Viewer, reading_window: MainWindow, qtbot: QtBot, settled: Settled
) -> None:
    reader.do(measure_edits.measured, Measure("vessel", TUBE, View()))
    measure = reader.session.screen.measures[0]
    qtbot.waitUntil(lambda: reader.measuring.found(measure) is not None, timeout=60_000)
    panel = reading_window.tabs.findChild(Measures)
    assert isinstance(panel, Measures)
    reading_window.show_panel(2)
    view = panel.findChild(VesselView)
    assert isinstance(view, VesselView) and not view.isVisible()
    reader.select(0)
    assert view.isVisible() and view.found is not None
    assert view.at_mm == view.found.stenosis.at_mm
    plot = view.plot
    x = plot.place(10.0, 0.0).x()
    drag(qtbot, plot, (round(x) - 30, 40), (round(x), 40))
    assert view.at_mm == pytest.approx(10.0, abs=1.0)
    qtbot.keyClick(plot, Qt.Key.Key_End)
    assert view.at_mm == view.found.vessel.length_mm
    qtbot.keyClick(plot, Qt.Key.Key_Right)
    qtbot.keyClick(plot, Qt.Key.Key_PageDown)
    assert view.at_mm == pytest.approx(view.found.vessel.length_mm - 10.0)
    qtbot.keyClick(plot, Qt.Key.Key_Home)
    assert view.at_mm == 0.0
    near = view.found.vessel.centreline_mm[view._number()]
    assert reader.session.screen.cursor_mm == pytest.approx(tuple(near))
    assert "mm²" in view.said.text()
    before = len(reader.session.screen.captures)
    view.take.click()
    assert len(reader.session.screen.captures) > before + 2
    view.across.click()
    normal = reader.session.screen.axial.view.towards_observer
    assert abs(normal[2]) == pytest.approx(1.0, abs=0.02)  # the tube runs along z
    view.curved.click()
    recipe = recipe_of(reader.session.screen, "curved", 64, 64)
    assert reader.session.screen.layout == "curved" and recipe is not None
    assert draw(reader.measuring.volume, recipe).pixels.max() > 250
    reader.undo()
    assert not reader.session.screen.curve.path_mm
    reader.lay_out("curved")  # without a path of its own, the vessel is what there is to be laid flat
    assert recipe_of(reader.session.screen, "curved", 64, 64) == recipe
    reader.select(None)
    assert not view.isVisible()


def test_values_without_a_unit_are_numbers_alone(scene: Volume) -> None:
    """The unit of an MR is 1; nobody wants to read `80 1`."""
    without = Volume(scene.voxels, scene.affine, "1", scene.frame_of_reference)
    measuring, corner = Measuring(without), (16.0, 24.0, CENTRE[2])
    ball = Measure("lesion", (CENTRE,), View())
    piece = Measure("volume", (CENTRE,), View(), 40.0, 120.0)
    for measure in (ball, piece):
        measuring.fill(measure)
    outline = Measure("ellipse", (CENTRE, corner), View.parse("foot"))
    for measure in (ball, piece, outline):
        lines = measuring.said_of(measure).split("\n")
        assert not [line for line in lines if line.endswith((" 1", " "))], lines
    assert under_the_mouse(None, 80.0, "1")["value"] == "80" and under_the_mouse(None, 80.0, "HU")["value"] == "80 HU"


def test_why_nothing_was_found_stands_in_the_list_and_not_across_the_picture(
    reading: Viewer, reading_window: MainWindow, qtbot: QtBot
) -> None:
    measure = Measure("lesion", (reading.session.screen.cursor_mm,), View())
    reading.do(measure_edits.measured, measure)
    qtbot.waitUntil(lambda: reading.measuring.found(measure) is not None, timeout=60_000)
    reading.refresh()
    (mark,) = reading.panes["axial"].overlay.marks
    assert mark.text == "nothing found"
    panel = reading_window.tabs.findChild(Measures)
    assert isinstance(panel, Measures)
    item = panel.table.item(0, 1)
    assert item is not None and "Nothing was marked" in item.text() and item.toolTip() == item.text()


def test_a_click_and_a_double_click_begin_and_end_a_vessel(reading: Viewer, qtbot: QtBot) -> None:
    reading.choose_tool("vessel")
    pane, left = reading.panes["coronal"], Qt.MouseButton.LeftButton
    qtbot.mouseClick(pane, left, pos=QPointF(100, 100).toPoint())
    at = QPointF(120, 160).toPoint()
    qtbot.mouseClick(pane, left, pos=at)
    qtbot.mouseDClick(pane, left, pos=at)
    (measure,) = reading.session.screen.measures
    assert measure.kind == "vessel" and len(measure.points_mm) == 2
    reading.do(edits.at_cursor, reading.session.screen.cursor_mm)


def test_a_flight_where_there_are_no_airways_is_declined(
    reading: Viewer, reading_window: MainWindow, qtbot: QtBot
) -> None:
    before = reading.session.screen
    reading.finding.fly("airways")
    qtbot.waitUntil(lambda: not reading_window.works.busy, timeout=60_000)
    assert reading.session.screen == before and "Fly-through: " in reading_window.statusBar().currentMessage()


def test_the_small_picture_of_a_flight_is_one_of_its_own(scene: Volume) -> None:
    whole = flight(lumen_way(scene, "vessel", TUBE), scene, size=32)
    (one,) = frames(_still(whole))
    assert one == frames(whole)[len(whole.flight) // 3]
    assert draw(scene, one).pixels.shape == (1, 32, 32, 3)
