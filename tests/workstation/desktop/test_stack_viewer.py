"""A series that makes no volume is read in 2D."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from PySide6.QtCore import QPointF, Qt
from pytestqt.qtbot import QtBot

from dicom_io.volumes import stack_of
from tests.dicom_io.synthetic import grid, ramp, write_series
from tests.workstation.desktop.conftest import DOCTOR
from tests.workstation.desktop.gestures import drag
from workstation.desktop.app import make_window
from workstation.desktop.model.identity import SeriesIdentity
from workstation.desktop.model.reading2d import Images, length_words, spacing_of
from workstation.desktop.stack_viewer import StackViewer
from workstation.site import open_site


def unplaced(ds: Dataset, k: int) -> None:
    ds.WindowCenter, ds.WindowWidth = "40", "80"
    del ds.ImagePositionPatient
    if k == 1:
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
        ds.PixelData = bytes(range(int(ds.Rows) * int(ds.Columns) * 3))


@pytest.fixture
def viewer(tmp_path: Path, qtbot: QtBot) -> StackViewer:
    images = stack_of(write_series(tmp_path, ramp((3, 4, 6)), grid(), change=unplaced)).images
    made = StackViewer(Images(images, "No place.", "Title"))
    qtbot.addWidget(made)
    made.show()
    return made


def test_arrows_do_the_same_wherever_the_focus_is(viewer: StackViewer, qtbot: QtBot) -> None:
    assert viewer.focusWidget() is viewer.picture
    for widget in (viewer.picture, viewer.slider, viewer.measure, viewer.play):
        widget.setFocus()
        viewer.show_image(0)
        qtbot.keyClick(widget, Qt.Key.Key_Down)
        assert viewer.number == 1, widget
        qtbot.keyClick(widget, Qt.Key.Key_Up)
        assert viewer.number == 0, widget


def test_keys_and_slider_go_through_the_images(viewer: StackViewer, qtbot: QtBot) -> None:
    assert viewer.number == 1 and viewer.below.text() == "2 / 3"
    np.testing.assert_array_equal(viewer.pixels, np.arange(72).reshape(4, 6, 3))  # in colour
    qtbot.keyClick(viewer, Qt.Key.Key_Down)
    qtbot.keyClick(viewer, Qt.Key.Key_Down)  # stops at the end
    assert viewer.number == 2 == viewer.slider.value() and viewer.pixels.ndim == 2
    viewer.slider.setValue(0)
    assert viewer.number == 0 and viewer.below.text() == "1 / 3"


def test_a_drag_changes_the_window(viewer: StackViewer, qtbot: QtBot) -> None:
    viewer.show_image(0)
    assert viewer.window_values == (40.0, 80.0)
    before = viewer.pixels
    start = viewer.picture.rect().center()
    drag(qtbot, viewer.picture, (start.x(), start.y()), (start.x() + 150, start.y() - 30))
    centre, width = viewer.window_values
    assert centre > 40.0 and width > 80.0 and (viewer.pixels != before).any()


def test_a_distance_in_millimetres_of_its_image_alone(viewer: StackViewer, qtbot: QtBot) -> None:
    viewer.show_image(0)
    viewer.measure.click()
    canvas = viewer.picture
    a, b = canvas.on_widget(0.0, 1.0).toPoint(), canvas.on_widget(2.0, 4.0).toPoint()
    drag(qtbot, canvas, (a.x(), a.y()), (b.x(), b.y()))
    (row_a, column_a, row_b, column_b) = viewer.distances[0][0]
    assert (row_b - row_a, column_b - column_a) == pytest.approx((2.0, 3.0), abs=0.05)
    ((line, said),) = canvas.lines
    spacing = spacing_of(viewer.images.images[0])
    assert spacing is not None
    assert float(said.removesuffix(" mm")) == pytest.approx(
        np.hypot((line[2] - line[0]) * spacing[0], (line[3] - line[1]) * spacing[1]), abs=0.06
    )
    viewer.show_image(2)
    assert canvas.lines == ()
    viewer.show_image(0)
    viewer.clear.click()
    assert canvas.lines == () and viewer.window_values == (40.0, 80.0)
    assert length_words((0.0, 0.0, 3.0, 4.0), None) == "5.0 px"


def test_it_says_whose_image_it_is_and_the_value_under_the_mouse(viewer: StackViewer) -> None:
    viewer.images = replace(viewer.images, identity=SeriesIdentity("Meier, Anna", "7", "1960-01-01", "F"))
    viewer.show_image(0)
    canvas = viewer.picture
    canvas.hovered.emit(canvas.on_widget(1.0, 2.0))
    assert canvas.corners[0] == ("Meier, Anna", "7", "1960-01-01  F")
    values = viewer.images.images[0].values()
    assert canvas.corners[2] == (f"{float(values[1, 2]):.4g}",)
    canvas.hovered.emit(QPointF(-50.0, -50.0))
    assert not canvas.corners[2]


def test_cine_goes_round(viewer: StackViewer, qtbot: QtBot) -> None:
    seen: set[int] = set()
    viewer.slider.valueChanged.connect(seen.add)
    viewer.play.click()
    qtbot.waitUntil(lambda: seen == {0, 1, 2})
    viewer.play.click()


def test_the_work_list_opens_what_makes_no_volume(tmp_path: Path, qtbot: QtBot) -> None:
    series = write_series(tmp_path / "sent", ramp((3, 4, 6)), grid(), change=unplaced)
    open_site(tmp_path / "root").archive.import_files(tmp_path / "sent")
    window = make_window(tmp_path / "root")
    qtbot.addWidget(window)
    window.open_series(series.uid)
    qtbot.waitUntil(lambda: window.stack_viewer is not None, timeout=60_000)
    assert window.stack_viewer is not None and len(window.stack_viewer.images.images) == 3
    assert window.stack_viewer.why.text() and window.viewer is None
    window.person = DOCTOR
    window.lock()
    assert not window.stack_viewer.isVisible()  # nobody reads on behind a locked screen
    window.close()
