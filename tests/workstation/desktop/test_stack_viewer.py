"""A series that makes no volume is read in 2D."""

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from PySide6.QtCore import QPoint, Qt
from pytestqt.qtbot import QtBot

from dicom_io.volumes import stack_of
from tests.dicom_io.synthetic import grid, ramp, write_series
from tests.workstation.desktop.conftest import DOCTOR
from workstation.desktop.app import make_window
from workstation.desktop.model.reading2d import Images
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
    start = viewer.picture.geometry().center()
    qtbot.mousePress(viewer, Qt.MouseButton.LeftButton, pos=start)
    qtbot.mouseMove(viewer, start + QPoint(150, -30))
    qtbot.mouseRelease(viewer, Qt.MouseButton.LeftButton)
    centre, width = viewer.window_values
    assert centre > 40.0 and width > 80.0 and (viewer.pixels != before).any()


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
