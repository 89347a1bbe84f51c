"""Every layout and dialog as a picture, to be looked at: they are left in `desktop-screenshots/`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from render import Automatic
from tests.workstation.desktop.conftest import DOCTOR
from workstation.desktop import dialogs
from workstation.desktop.export_dialog import ExportDialog
from workstation.desktop.model import edits, measure_edits
from workstation.desktop.model.screen import LAYOUTS, Compared, Measure
from workstation.desktop.model.summary import summary_of
from workstation.desktop.sign_dialog import Sign
from workstation.desktop.viewer import Viewer
from workstation.desktop.window import MainWindow

FOLDER = Path(__file__).parents[3] / "desktop-screenshots"


def keep(widget: QWidget, name: str) -> None:
    """Writes the picture, and sees that it is not one flat colour."""
    FOLDER.mkdir(exist_ok=True)
    image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    assert image.save(str(FOLDER / f"{name}.png"))
    flat = np.frombuffer(image.constBits(), np.uint8)
    assert flat.std() > 3.0, name


@pytest.mark.slow
def test_all_of_them(window: MainWindow, qtbot: QtBot, settled: Callable[[Viewer], None]) -> None:
    keep(window, "work_list")
    with qtbot.waitSignal(window.ready, timeout=60_000):
        window.open_series(window.desk.studies.rows()[0].series_uid)
    viewer = window.viewer
    assert viewer is not None
    settled(viewer)
    window.reader.person = DOCTOR
    plane = viewer.panes["axial"].plane
    assert plane is not None
    view = viewer.session.screen.axial.view
    viewer.do(measure_edits.measured, Measure("distance", (plane.at(100, 100), plane.at(200, 260)), view))
    viewer.do(measure_edits.measured, Measure("ellipse", (plane.at(180, 120), plane.at(240, 180)), view))
    viewer.do(edits.tilted, "axial", 15.0)
    viewer.do(edits.thickened, "coronal", 12.0)
    viewer.do(edits.rotated, -25.0, 10.0)
    for name in ("solid", "axial"):
        viewer.under = name
        viewer.capture()
    for number in range(window.tabs.count()):
        window.tabs.setCurrentIndex(number)
        window.signing.refresh_verdict()
        qtbot.waitUntil(lambda: not window.signing.judging)
        settled(viewer)
        keep(window, f"panel_{window.tabs.tabText(number).lower()}")
    viewer.do(measure_edits.measured, Measure("volume", (viewer.session.screen.cursor_mm,), view, -40.0, 80.0))
    x, y, z = viewer.session.volume.centre_mm
    for place in ((x, y - 60, z + 30), (x + 10, y - 20, z + 45), (x, y + 30, z + 30), (x - 5, y + 60, z - 20)):
        viewer.do(edits.path_added, place)
    viewer.do(edits.crop_moved, viewer.whole_box, 2, True, z + 60.0)
    series = window.desk.studies.rows()[0].series_uid
    viewer.other = viewer.session.volume
    viewer.do(edits.compared_with, Compared(series, None, (0.0, 0.0, 0.0)))
    window.helping.show_guide()
    for layout in LAYOUTS:
        viewer.do(edits.laid_out, layout)
        settled(viewer)
        keep(window, f"layout_{layout}")
    viewer.do(edits.laid_out, "four")
    viewer.do(edits.cut_out, Automatic("bone"))
    settled(viewer)
    keep(window, "bone_away")
    window.set_theme("light")
    keep(window, "theme_light")
    assert window.opened is not None and window.tray is not None
    summary = summary_of(window.opened, window.desk.verdict(window.opened, DOCTOR), viewer.said_of)
    for name, dialog in (
        ("sign_in", dialogs.SignIn(window.desk.people, window)),
        ("sign", Sign(window.desk.people, DOCTOR, summary, window.tray.icons, window)),
        ("export", ExportDialog(viewer.session.screen.captures, 0, "/exports", window)),
        ("sure", dialogs.Sure("Give up", "Give up what was changed since version 1 was signed?", window)),
        ("help", dialogs.Help(window.keys, window)),
        ("query", dialogs.Query(window.desk, window.works, window)),
        ("choose", dialogs.Choose("Which volume?", ["echo 1, 36 slices", "echo 2, 36 slices"], window)),
        ("named", dialogs.Named("Keep this look", "Name of the preset", window)),
    ):
        qtbot.addWidget(dialog)
        dialog.show()
        keep(dialog, f"dialog_{name}")
    assert len(list(FOLDER.glob("*.png"))) >= 24
