"""A desktop over a state folder with the sample CT, in a window that only the test sees."""

import math
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

# Before Qt is loaded: a test needs no screen, and gets the same fonts and sizes everywhere.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from dicom_io.evidence import Person
from tests.dicom_io.real import uncompressed
from tests.workstation.samples import DOCUMENTED
from workstation.desktop.app import make_window
from workstation.desktop.model import edits
from workstation.desktop.pane import Pane
from workstation.desktop.viewer import Viewer
from workstation.desktop.window import MainWindow
from workstation.people import people_of
from workstation.site import open_site
from workstation.store.papers import read_papers

SAMPLE = Path(__file__).parents[3] / "sample_data"
PASSWORD = "correct horse"
RADIUS_MM = 40.0  # of the path that `bent` shows
DOCTOR = Person("DR1", "Sample^Radiologist", "physician")
TECHNOLOGIST = Person("T1", "Sample^Technologist", "technologist")


@pytest.fixture
def root(filled: Path, tmp_path: Path) -> Path:
    """A state folder with the sample series, its order and base procedure on file, a physician and a technologist."""
    return shutil.copytree(filled, tmp_path / "root")


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What each test gets a copy of: filling it takes much longer. `test_real_window.py` opens images that are
    compressed."""
    site = open_site(tmp_path_factory.mktemp("filled") / "root")
    site.archive.import_files(uncompressed((SAMPLE / "ct_head").glob("*.dcm"), tmp_path_factory.mktemp("plain")))
    people = people_of(site.root)
    for person in (DOCTOR, TECHNOLOGIST):
        people.add(person, PASSWORD)
    papers = read_papers(SAMPLE / "papers" / "documented.json")
    assert papers.on_file is not None
    site.papers.put(papers.accession, papers.on_file, site.clock())
    site.papers.engine.dispose()
    return site.root


@pytest.fixture
def window(root: Path, qtbot: QtBot) -> Iterator[MainWindow]:
    made = make_window(root)
    qtbot.addWidget(made)
    made.resize(1400, 900)
    made.show()
    qtbot.waitUntil(lambda: made.worklist.table.model().rowCount() > 0, timeout=60_000)
    yield made
    made.close()


@pytest.fixture
def viewer(window: MainWindow, qtbot: QtBot, settled: Callable[[Viewer], None]) -> Viewer:
    """The sample study, opened by a double-click in the work list, all panes full."""
    row = window.worklist.table.model().index(0, 0)
    at = window.worklist.table.visualRect(row).center()
    with qtbot.waitSignal(window.ready, timeout=60_000):
        qtbot.mouseClick(window.worklist.table.viewport(), Qt.MouseButton.LeftButton, pos=at)
        qtbot.mouseDClick(window.worklist.table.viewport(), Qt.MouseButton.LeftButton, pos=at)
    assert window.viewer is not None
    settled(window.viewer)
    return window.viewer


@pytest.fixture
def settled(qtbot: QtBot) -> Callable[[Viewer], None]:
    """Waits until every pane shows the full picture of the screen as it is."""

    def wait(viewer: Viewer) -> None:
        qtbot.waitUntil(viewer.is_settled, timeout=60_000)

    return wait


@pytest.fixture
def signing_root(tmp_path: Path, slices: Path) -> Path:
    """A state folder with a few slices of the sample, its papers on file, and a physician."""
    site = open_site(tmp_path / "root")
    site.archive.import_files(slices)
    people_of(site.root).add(DOCTOR, "correct horse")
    papers = read_papers(DOCUMENTED)
    assert papers.on_file is not None
    site.papers.put(papers.accession, papers.on_file, site.clock())
    site.papers.engine.dispose()
    return site.root


@pytest.fixture(scope="module")
def kept_window(filled: Path, tmp_path_factory: pytest.TempPathFactory, qapp: QApplication) -> Iterator[MainWindow]:
    """A window with the sample study, for all tests of a module: opening one takes longer than what most of them do."""
    made = make_window(shutil.copytree(filled, tmp_path_factory.mktemp("kept") / "root"))
    made.resize(1400, 900)
    made.show()
    yield made
    made.close()


@pytest.fixture
def reading_window(kept_window: MainWindow, qtbot: QtBot) -> MainWindow:
    """The module's window, with the sample study as it is first opened."""
    qtbot.waitUntil(lambda: not kept_window.works.busy, timeout=60_000)
    if kept_window.viewer is None:
        qtbot.waitUntil(lambda: kept_window.worklist.table.model().rowCount() > 0, timeout=60_000)
        with qtbot.waitSignal(kept_window.ready, timeout=60_000):
            kept_window.open_series(kept_window.desk.studies.rows()[0].series_uid)
    viewer = kept_window.viewer
    assert viewer is not None
    while viewer.session.undo():
        pass
    viewer.select(None)
    viewer.active, viewer.text_level = 0, "all"
    viewer.compare_with(None)
    viewer.choose_tool("window")
    kept_window.dock.show()
    kept_window.activateWindow()
    kept_window.tabs.setCurrentIndex(0)
    qtbot.waitUntil(viewer.is_settled, timeout=60_000)
    return kept_window


@pytest.fixture
def reading(reading_window: MainWindow) -> Viewer:
    """The panes of the module's window."""
    assert reading_window.viewer is not None
    return reading_window.viewer


@pytest.fixture
def bent(reading: Viewer, settled: Callable[[Viewer], None]) -> Pane:
    """The curved pane with a quarter of a circle about the patient's left-right axis."""
    x, y, z = reading.session.volume.centre_mm
    turns = np.radians(np.linspace(0.0, 90.0, 19))
    path = tuple((x, y - RADIUS_MM * math.cos(t), z - RADIUS_MM * math.sin(t) + 15.0) for t in turns)
    reading.do(edits.path_laid, path)
    settled(reading)
    return reading.panes["curved"]
