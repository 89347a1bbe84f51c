"""The tools that cut, follow and compare, by mouse and key."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from PySide6.QtCore import QPoint, QPointF, Qt
from pytestqt.qtbot import QtBot

from dicom_io.files.series import open_series
from dicom_io.network.send import send
from render import Automatic, CurvedReformat, Piece, Scissors, draw
from render.curved import length_mm
from render.segment import region, volume_ml
from tests.dicom_io.synthetic import grid, ramp, write_series
from tests.peers.servers import orthanc
from tests.workstation.desktop.conftest import SAMPLE
from tests.workstation.desktop.gestures import drag, move, wheel
from workstation.desktop import dialogs
from workstation.desktop.model import edits
from workstation.desktop.model.looks import Looks
from workstation.desktop.model.screen import PaneName, recipe_of
from workstation.desktop.viewer import Viewer
from workstation.desktop.window import MainWindow
from workstation.peers.known import KnownPeer, add_peer
from workstation.site import open_site

Settled = Callable[[Viewer], None]
SHIFT = Qt.KeyboardModifier.ShiftModifier


def click(qtbot: QtBot, viewer: Viewer, name: str, x: int, y: int, modifiers: object = None) -> None:
    held = modifiers if isinstance(modifiers, Qt.KeyboardModifier) else Qt.KeyboardModifier.NoModifier
    qtbot.mouseClick(viewer.panes[name], Qt.MouseButton.LeftButton, held, QPoint(x, y))  # type: ignore[index]


def seen_at(viewer: Viewer, x: int, y: int) -> bool:
    """Whether the 3D pane shows something there."""
    pane = viewer.panes["solid"]
    assert pane._image is not None
    row, column = pane.pixel(QPointF(x, y))
    return pane._image.pixelColor(round(column), round(row)).lightness() > 40


def test_scissors_take_away_what_was_circled_and_undo_brings_it_back(
    viewer: Viewer, qtbot: QtBot, settled: Settled
) -> None:
    pane = viewer.panes["solid"]
    x, y = pane.width() // 2, pane.height() // 2
    assert seen_at(viewer, x, y)
    viewer.choose_tool("scissors")
    corners = [(x - 40, y - 40), (x + 40, y - 40), (x + 40, y + 40), (x - 40, y + 40)]
    qtbot.mousePress(pane, Qt.MouseButton.LeftButton, pos=QPoint(*corners[0]))
    for corner in (*corners[1:], corners[0]):
        move(pane, QPoint(*corner))
    qtbot.mouseRelease(pane, Qt.MouseButton.LeftButton, pos=QPoint(*corners[0]))
    (step,) = viewer.session.screen.solid.steps
    assert isinstance(step, Scissors) and step.view == viewer.session.screen.solid.view
    settled(viewer)
    assert not seen_at(viewer, x, y)
    viewer.capture()
    recipe = viewer.session.screen.captures[0].recipe
    viewer.undo()
    viewer.undo()
    settled(viewer)
    assert seen_at(viewer, x, y) and not viewer.session.screen.solid.steps
    viewer.redo()
    viewer.redo()
    assert viewer.session.screen.captures[0].recipe == recipe


@pytest.mark.slow
def test_a_click_takes_a_piece_away_and_shift_keeps_it_alone(reading: Viewer, qtbot: QtBot, settled: Settled) -> None:
    pane = reading.panes["solid"]
    x, y = pane.width() // 2, pane.height() // 2
    reading.choose_tool("piece")
    click(qtbot, reading, "solid", x, y)
    (gone,) = reading.session.screen.solid.steps
    assert isinstance(gone, Piece) and not gone.outside
    settled(reading)
    assert not seen_at(reading, x, y)
    reading.undo()
    settled(reading)
    click(qtbot, reading, "solid", x, y, SHIFT)
    (kept,) = reading.session.screen.solid.steps
    assert isinstance(kept, Piece) and kept.outside
    settled(reading)
    assert seen_at(reading, x, y)
    qtbot.keyClick(reading.window(), Qt.Key.Key_Home, SHIFT)
    assert reading.session.screen.solid.steps == ()


def test_bone_away_and_back(reading: Viewer, qtbot: QtBot, settled: Settled) -> None:
    pane = reading.panes["solid"]
    x, y = pane.width() // 2, pane.height() // 2
    qtbot.keyClick(reading.window(), Qt.Key.Key_J)
    qtbot.waitUntil(lambda: bool(reading.session.screen.solid.steps), timeout=60_000)
    assert list(reading.session.screen.solid.steps) == [Automatic("bone")]
    settled(reading)
    assert not seen_at(reading, x, y)
    qtbot.keyClick(reading.window(), Qt.Key.Key_J)
    assert list(reading.session.screen.solid.steps) == []


def test_a_click_in_3d_brings_the_crosshair_to_the_surface(reading: Viewer, qtbot: QtBot) -> None:
    reading.choose_tool("crosshair")
    pane = reading.panes["solid"]
    click(qtbot, reading, "solid", pane.width() // 2, pane.height() // 2)
    place = reading.session.screen.cursor_mm
    k, j, i = reading.index_of(place)
    around = reading.session.volume.voxels[k - 2 : k + 3, j - 2 : j + 3, i - 2 : i + 3]
    assert around.max() > 190  # bone begins to show there
    on_widget = pane.on_widget(place)
    assert (on_widget.x(), on_widget.y()) == pytest.approx((pane.width() // 2, pane.height() // 2), abs=2.0)


def test_a_clicked_path_is_laid_flat_and_turned(reading: Viewer, qtbot: QtBot, settled: Settled) -> None:
    reading.choose_tool("path")
    pane = reading.panes["sagittal"]
    for part in (0.3, 0.45, 0.6):
        click(qtbot, reading, "sagittal", round(pane.width() * 0.5), round(pane.height() * part))
    path = reading.session.screen.curve.path_mm
    assert len(path) == 3
    at = QPoint(round(pane.width() * 0.55), round(pane.height() * 0.7))
    qtbot.mouseClick(pane, Qt.MouseButton.LeftButton, pos=at)
    qtbot.mouseDClick(pane, Qt.MouseButton.LeftButton, pos=at)
    assert reading.session.screen.layout == "curved" and len(reading.session.screen.curve.path_mm) == 4
    settled(reading)
    curved = reading.panes["curved"]
    assert curved.isVisible() and curved._image is not None
    assert curved.mm_per_point() * curved.height() == pytest.approx(
        length_mm(reading.session.screen.curve.path_mm), rel=0.01
    )
    wheel(curved, 2)
    assert reading.session.screen.curve.angle_deg == 10.0
    reading.under = "curved"
    qtbot.keyClick(reading.window(), Qt.Key.Key_F)
    assert reading.session.screen.curve.form == "stretched"
    settled(reading)
    reading.capture()
    recipe = reading.session.screen.captures[-1].recipe
    assert isinstance(recipe, CurvedReformat) and recipe.path_mm == reading.session.screen.curve.path_mm
    qtbot.keyClick(reading.window(), Qt.Key.Key_Delete)
    assert len(reading.session.screen.curve.path_mm) == 3
    qtbot.keyClick(reading.window(), Qt.Key.Key_N, SHIFT)
    assert reading.session.screen.curve.path_mm == ()


def test_an_edge_of_the_crop_box_is_dragged_in_a_plane(reading: Viewer, qtbot: QtBot, settled: Settled) -> None:
    reading.choose_tool("crop")
    pane = reading.panes["axial"]
    left = pane.on_widget((reading.whole_box.upper_mm[0], *reading.session.screen.cursor_mm[1:]))
    start = (round(left.x()) - 2, pane.height() // 2)
    drag(qtbot, pane, start, (start[0] - 60, start[1]))
    crop = reading.session.screen.solid.crop
    assert crop is not None
    moved = reading.whole_box.upper_mm[0] - crop.upper_mm[0]
    assert moved == pytest.approx(62 * pane.mm_per_point(), abs=3 * pane.mm_per_point())
    assert crop.lower_mm == reading.whole_box.lower_mm and crop.upper_mm[1:] == reading.whole_box.upper_mm[1:]
    reading.undo()
    assert reading.session.screen.solid.crop is None
    drag(qtbot, pane, (pane.width() // 2, pane.height() // 2), (pane.width() // 2 + 40, pane.height() // 2))
    assert reading.session.screen.solid.crop is None  # no edge was near
    settled(reading)


def test_a_volume_is_filled_measured_and_tinted(reading: Viewer, qtbot: QtBot, settled: Settled) -> None:
    reading.choose_tool("volume")
    pane = reading.panes["axial"]
    click(qtbot, reading, "axial", pane.width() // 2, pane.height() // 2)
    (measure,) = reading.session.screen.measures
    qtbot.waitUntil(lambda: "ml" in reading.said_of(measure), timeout=60_000)
    step = Piece(measure.points_mm[0], measure.low, measure.high, within_mm=60.0)
    expected = volume_ml(reading.session.volume, region(reading.session.volume, step))
    assert reading.said_of(measure).startswith(f"{expected:.2f} ml")
    qtbot.waitUntil(lambda: pane._over is not None, timeout=60_000)
    assert pane._over is not None
    row, column = pane.pixel(QPointF(pane.width() / 2, pane.height() / 2))
    assert pane._over.pixelColor(round(column), round(row)).alpha() > 0
    reading.do(edits.zoomed, "axial", 0.5)
    settled(reading)
    click(qtbot, reading, "axial", 2, 2)  # outside the volume
    assert len(reading.session.screen.measures) == 1


def test_every_layout_shows_its_panes(reading: Viewer, qtbot: QtBot, settled: Settled) -> None:
    for _ in range(8):
        qtbot.keyClick(reading.window(), Qt.Key.Key_L)
        visible = {name for name, pane in reading.panes.items() if pane.isVisible()}
        assert visible == set(reading.visible_panes())
        settled(reading)
    assert reading.session.screen.layout == "four"  # those for comparing need something to compare with


def test_a_pane_in_a_window_of_its_own_comes_back(reading: Viewer, qtbot: QtBot, settled: Settled) -> None:
    reading.under = "solid"
    qtbot.keyClick(reading.window(), Qt.Key.Key_F11)
    apart = reading.panes["solid"].window()
    assert apart is not reading.window() and apart.isVisible()
    reading.do(edits.laid_out, "planes")
    settled(reading)
    assert reading.panes["solid"].isVisible() and reading.panes["axial"].isVisible()
    reading.do(edits.rotated, 30.0, 0.0)
    settled(reading)
    reading.do(edits.laid_out, "four")
    apart.close()
    qtbot.waitUntil(lambda: reading.panes["solid"].window() is reading.window())
    assert reading.panes["solid"].window() is reading.window() and reading.panes["solid"].isVisible()
    settled(reading)


@pytest.mark.slow
def test_a_prior_beside_the_study_moves_with_it(
    viewer: Viewer, window: MainWindow, root: Path, qtbot: QtBot, settled: Settled
) -> None:
    other = open_site(root)
    for file in sorted((SAMPLE / "ct_head").glob("*.dcm")):
        ds = dcmread(file)
        ds.SeriesInstanceUID, ds.StudyInstanceUID = "1.2.3", "1.2.4"
        ds.SOPInstanceUID = f"1.2.3.{ds.InstanceNumber}"
        ds.StudyDate, ds.FrameOfReferenceUID = "20200101", "1.2.5"
        ds.ImagePositionPatient = [a + b for a, b in zip(ds.ImagePositionPatient, (10, 20, 300), strict=True)]
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        other.archive.keep([ds])
    other.papers.engine.dispose()
    assert window.opened is not None
    rows = window.desk.studies.of_the_same_patient(window.opened.series.uid)
    assert [row.series_uid for row in rows][1:] == ["1.2.3"] and rows[0].priors == 1
    window.compare(rows[1])
    qtbot.waitUntil(lambda: viewer.session.screen.layout == "compare", timeout=60_000)
    settled(viewer)
    compared = viewer.session.screen.compared
    assert compared is not None and compared.offset_mm == pytest.approx((10.0, 20.0, 300.0), abs=1e-3)

    def same() -> bool:
        drawn = []
        names: tuple[PaneName, ...] = ("axial", "axial_other")
        for name in names:
            recipe, volume = recipe_of(viewer.session.screen, name, 128, 128), viewer.volume_of(name)
            shown = recipe_of(viewer.session.screen, name, *viewer.panes[name].picture_size())
            assert recipe is not None and volume is not None and viewer._shown[name].recipe == shown
            drawn.append(draw(volume, recipe).pixels.astype(int))
        return int(np.abs(drawn[0] - drawn[1]).max()) <= 1 and bool(drawn[0].std() > 100)

    assert same()  # the same head at the same places
    wheel(viewer.panes["axial_other"], 5)
    qtbot.waitUntil(lambda: viewer.session.can_undo)
    settled(viewer)
    assert same()  # and it scrolls with it
    viewer.choose_tool("pan")
    pane = viewer.panes["axial_other"]
    qtbot.mousePress(pane, Qt.MouseButton.LeftButton, SHIFT, QPoint(100, 100))
    move(pane, QPoint(130, 100))
    qtbot.mouseRelease(pane, Qt.MouseButton.LeftButton, SHIFT, QPoint(130, 100))
    aligned = viewer.session.screen.compared
    assert aligned is not None
    assert aligned.offset_mm[0] == pytest.approx(10.0 - 30.0 * pane.mm_per_point(), abs=1e-3)
    viewer.under = "axial_other"
    viewer.capture()
    assert viewer.session.screen.captures == ()  # a picture of another study would be recorded as of this one
    left = viewer.session.screen
    window.back_to_list()
    with qtbot.waitSignal(window.ready, timeout=60_000):
        window.open_series(left_series(window))
    assert window.viewer is not None and window.viewer.session.screen == left
    qtbot.waitUntil(lambda: window.viewer is not None and window.viewer.other is not None, timeout=60_000)
    window.compare_no_more()
    assert window.viewer.session.screen.compared is None and window.viewer.session.screen.layout == "four"


def left_series(window: MainWindow) -> str:
    """The series with a session."""
    return next(row.series_uid for row in window.desk.studies.rows() if row.reading == "in work")


@pytest.mark.slow
def test_a_look_is_kept_as_a_preset(viewer: Viewer, window: MainWindow, settled: Settled) -> None:
    viewer.do(edits.shifted, 111.0)
    transfer = viewer.session.screen.solid.transfer
    name = window.looks.save("My skull", transfer)
    assert Looks(window.looks.own).title_of(name) == "My skull"
    assert replace(Looks(window.looks.own).preset(name).transfer, name=transfer.name) == transfer
    viewer.choose_preset("ct_skin")
    viewer.choose_preset(name)
    assert replace(viewer.session.screen.solid.transfer, name="") == replace(transfer, name="")
    names = [viewer.looks.preset(n).title for n in viewer.looks.presets_for("HU")]
    assert "My skull" in names
    settled(viewer)


def test_a_distance_of_the_mouse_is_one_of_the_patient(reading: Viewer) -> None:
    pane = reading.panes["coronal"]
    a, b = pane.place(QPointF(100, 100)), pane.place(QPointF(100, 200))
    assert a is not None and b is not None
    assert math.dist(a, b) == pytest.approx(100 * pane.mm_per_point())


def test_a_prior_is_found_on_another_node_and_fetched(
    window: MainWindow, root: Path, qtbot: QtBot, tmp_path: Path
) -> None:
    series = tmp_path / "prior"
    write_series(series, ramp((6, 16, 16)), grid(), series="prior", change=_named)
    with orthanc(tmp_path / "pacs") as pacs:
        assert all(sent.accepted for sent in send(open_series(series)[0].instances, pacs.peer))
        add_peer(root, KnownPeer("pacs", pacs.peer.host, pacs.peer.port, pacs.peer.ae_title))
        dialog = dialogs.Query(window.desk, window.works, window)
        qtbot.addWidget(dialog)
        dialog.show()
        qtbot.keyClicks(dialog.fields["patient_id"], "SAMPLE-CRANIUM")
        qtbot.keyClick(dialog.fields["patient_id"], Qt.Key.Key_Return)
        qtbot.waitUntil(lambda: dialog.table.rowCount() == 1, timeout=60_000)
        accession = dialog.table.item(0, 2)
        assert accession is not None and accession.text() == "OLD-1"
        qtbot.mouseClick(dialog.fetch, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: "6 instances retrieved" in dialog.said.text(), timeout=60_000)
        dialog.fields["patient_id"].setText("NOBODY")
        qtbot.mouseClick(dialog.search, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: dialog.said.text() == "0 studies.", timeout=60_000)
    qtbot.mouseClick(dialog.search, Qt.MouseButton.LeftButton)  # nobody listens there any more
    qtbot.waitUntil(lambda: "cannot be reached" in dialog.said.text(), timeout=60_000)
    rows = window.desk.studies.rows()
    assert [row.standing.stage for row in rows if row.accession == "OLD-1"] == ["complete"]
    assert [row.priors for row in rows] == [1, 1] and {row.accession for row in rows} == {"DEMO-0001", "OLD-1"}


def _named(ds: Dataset, _: int) -> None:
    ds.PatientID, ds.AccessionNumber, ds.StudyDate = "SAMPLE-CRANIUM", "OLD-1", "20200101"
    ds.PatientName = "Cranium^Sample"
