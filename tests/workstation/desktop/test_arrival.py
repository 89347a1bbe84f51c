"""How far series are, in the work list and on an open study: it is said while they arrive, and what came can be had."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from dicom_io.archive.arrivals import Arrivals, SeriesProgress
from dicom_io.errors import VolumeRefused
from dicom_io.uids import derived
from tests.dicom_io.synthetic import MR, grid, image, ramp
from tests.workstation.audit.audit_messages import checked
from tests.workstation.desktop.conftest import DOCTOR, SAMPLE
from tests.workstation.desktop.test_screens import keep
from workstation.config import AuditSettings, Config
from workstation.desktop.app import make_window
from workstation.desktop.arrival_bar import in_words
from workstation.desktop.model.desk import ReadingDesk
from workstation.desktop.model.studies import News, Studies
from workstation.desktop.viewer import Viewer
from workstation.desktop.window import MainWindow
from workstation.site import Site, open_site

FILES = sorted((SAMPLE / "ct_head").glob("*.dcm"))


class Node:
    """Another process that receives for the same archive, and decides what is complete."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site, self._folder = site, folder
        self.arrivals = Arrivals(site.archive, site.papers.engine, 30.0)

    def brings(self, files: list[Path], series_uid: str = "") -> None:
        self._folder.mkdir(exist_ok=True)
        for file in files:
            if series_uid:
                ds = dcmread(file)
                ds.SeriesInstanceUID, ds.SOPInstanceUID = series_uid, f"{series_uid}.{ds.InstanceNumber}"
                ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
                self.site.archive.keep([ds])
            else:
                shutil.copy(file, self._folder)
        if not series_uid:
            self.site.archive.import_files(self._folder)
        for summary in self.site.archive.summaries():
            self.arrivals.came(summary.series_uid, 0.0)

    def is_quiet(self) -> None:
        self.arrivals.look(31.0, self.site.clock())


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """The first 50 images of the sample are in the archive."""
    site = open_site(tmp_path / "root")
    made = Node(site, tmp_path / "files")
    made.brings(FILES[:50])
    yield made
    site.papers.engine.dispose()


@pytest.fixture
def window(node: Node, qtbot: QtBot) -> Iterator[MainWindow]:
    made = make_window(node.site.root)
    qtbot.addWidget(made)
    made.resize(1400, 900)
    made.show()
    yield made
    made.close()


def test_the_work_list_says_how_far_series_are(window: MainWindow, node: Node, qtbot: QtBot) -> None:
    model = window.worklist.table.model()

    def says(*lines: str) -> None:
        def now() -> list[str]:
            return sorted(str(model.index(row, 8).data()) for row in range(model.rowCount()))

        qtbot.waitUntil(lambda: now() == sorted(lines), timeout=60_000)

    assert model.headerData(8, Qt.Orientation.Horizontal) == "Arrival"
    says("still arriving")
    node.is_quiet()
    says("complete, revision 1")
    node.brings(FILES[50:52])
    says("reopened, revision 2")
    node.is_quiet()
    says("complete, revision 2")
    node.brings(FILES[:2], "1.2.3")
    says("complete, revision 2; study still arriving", "still arriving")
    keep(window, "work_list_arriving")
    node.is_quiet()
    says("complete, revision 1", "complete, revision 2")


@pytest.mark.slow
def test_an_open_study_says_what_came_and_has_it_when_asked(
    window: MainWindow, node: Node, qtbot: QtBot, settled: Callable[[Viewer], None]
) -> None:
    def says(words: str) -> None:
        qtbot.waitUntil(lambda: window.arrival.isVisible() and words in window.arrival.said.text(), timeout=60_000)

    node.is_quiet()
    series = node.site.archive.summaries()[0].series_uid
    with qtbot.waitSignal(window.ready, timeout=60_000):
        window.open_series(series)
    assert window.viewer is not None and window.opened is not None
    assert "still arriving" not in window.opened.warning
    settled(window.viewer)
    window.capturing.capture(1)
    assert not window.arrival.isVisible()
    node.brings(FILES[50:60])
    says("10 more instances of this series have come, and it is still arriving.")
    qtbot.mouseClick(window.arrival.later_button, Qt.MouseButton.LeftButton)
    assert not window.arrival.isVisible()
    node.is_quiet()
    says("Revision 2 of this series is complete: 10 instances more than are on the screen.")
    keep(window, "study_reopened")
    window.reader.person = DOCTOR
    window.screen_lock.lock()
    assert not window.arrival.isVisible()  # nothing of a study is seen
    window.screen_lock.uncover()
    assert window.arrival.isVisible()
    captured = window.viewer.session.screen.captures
    with qtbot.waitSignal(window.ready, timeout=60_000):
        qtbot.mouseClick(window.arrival.reload_button, Qt.MouseButton.LeftButton)
    assert window.viewer.session.volume.shape[0] == 60 and len(window.opened.series.instances) == 60
    assert window.viewer.session.screen.captures == captured
    assert not window.arrival.isVisible()


def test_a_study_opened_while_it_arrives_says_so(node: Node) -> None:
    series = node.site.archive.summaries()[0].series_uid
    studies = Studies(node.site)
    assert "The series is still arriving." in studies.open(series).warning
    node.is_quiet()
    opened = studies.open(series)
    assert opened.warning == "" and studies.news(opened) is None
    assert studies.again(opened) is None  # the only one
    node.site.archive.forget([i.sop_instance_uid for i in opened.series.instances])
    assert studies.news(opened) is None  # pruned: what is on the screen is all there is


def test_the_same_volume_is_opened_again_or_it_is_asked_which(tmp_path: Path) -> None:
    def brings(echo: int, numbers: range) -> None:
        for k in numbers:
            ds = image(ramp((9, 8, 8))[k], grid(), k, sop_class=MR)
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = derived("echo", str(echo), str(k))
            ds.EchoTime, ds.EchoNumbers = str(10 * echo), str(echo)
            site.archive.keep([ds])

    site = open_site(tmp_path / "root")
    studies, series = Studies(site), derived("series")
    brings(1, range(5))
    alone = studies.open(series)
    brings(1, range(5, 6))
    assert studies.again(alone) is None and len(studies.volumes(series)) == 1  # the only one
    brings(2, range(6))
    assert studies.again(alone) is None and len(studies.volumes(series)) == 2  # which?
    second = studies.open(series, 1)
    for echo in (1, 2):
        brings(echo, range(6, 7))
    assert studies.again(second) == 1 and studies.open(series, 1).session.volume.shape[0] == 7
    with pytest.raises(VolumeRefused, match="no volume 2 any more"):
        studies.open(series, 2)
    site.papers.engine.dispose()


@pytest.mark.parametrize(
    ("news", "words"),
    [
        (News(-3, SeriesProgress("reopened", 2)), "3 instances of this series have been taken out of the archive."),
        (News(1, SeriesProgress("unknown", 0)), "1 more instances of this series have come."),
    ],
)
def test_other_news(news: News, words: str) -> None:
    assert in_words(news) == words


def test_what_a_desktop_takes_in_is_complete(tmp_path: Path) -> None:
    site = open_site(tmp_path / "root", Config(audit=AuditSettings()))
    desk = ReadingDesk(site)
    (tmp_path / "files").mkdir()
    for file in FILES[:2]:
        shutil.copy(file, tmp_path / "files")
    assert desk.take_in(tmp_path / "files", None) == 2
    assert [row.standing for row in desk.studies.rows()] == [SeriesProgress("complete", 1)]
    assert checked((site.root / "audit.log").read_text().splitlines()) == [("110107", "")]
    desk.close()
