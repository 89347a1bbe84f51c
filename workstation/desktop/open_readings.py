"""The series of a patient that are open at once: each has panes, panels, undo and captures of its own; and who reads
them."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QTabBar, QTabWidget, QToolButton, QWidget

from dicom_io.evidence import Person
from render.protocols import Protocol
from render.volume import Volume
from workstation.desktop.captures_panel import Tray
from workstation.desktop.language import tr
from workstation.desktop.measures_panel import Measures
from workstation.desktop.model.corners import CornerTexts
from workstation.desktop.model.identity import SeriesIdentity
from workstation.desktop.model.keys import Keys
from workstation.desktop.model.looks import Looks, windows_for
from workstation.desktop.model.memory import how_many_stay, room_for_series
from workstation.desktop.model.screen import Screen, VolumeKey
from workstation.desktop.model.session import Draft
from workstation.desktop.model.signed import OTHER_VOLUME
from workstation.desktop.model.studies import Opened
from workstation.desktop.panels import LookPanel, scrolled
from workstation.desktop.plain import plain_tip, plain_title
from workstation.desktop.report_panel import ReportPanel
from workstation.desktop.segments_panel import SegmentsPanel
from workstation.desktop.viewer import Viewer

_LONGEST = 28  # letters of a tab
_CLOSE_PX, _BESIDE_TITLE_PX = 18, 74  # the button that closes a tab, and what it takes beside the title


@dataclass(slots=True, eq=False)
class OpenReading:
    """A series that is open. tabs : its panels. before : the last screen whose acts were
    journalled. protocols : that suit it, None until that is known. seen_by : the IDs of the people who had it on the
    screen."""

    opened: Opened
    viewer: Viewer
    report: ReportPanel
    tray: Tray
    tabs: QTabWidget
    before: Screen
    protocols: list[Protocol] | None = None
    seen_by: set[str] = field(default_factory=set)

    @property
    def size(self) -> int:
        """The bytes of its volume, and of the one it is compared with."""
        volumes = (self.viewer.session.volume, self.viewer.other)
        return sum(volume.voxels.nbytes for volume in volumes if volume is not None)

    @property
    def title(self) -> str:
        """Number and description of the series, short enough for a tab."""
        who, which = self.opened.identity, self.opened.session.which
        name = "  ".join(part for part in (who.series_number, who.series or who.study or who.modality) if part)
        name = name if which is None else f"{name} [{which + 1}]"
        return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"

    def is_of_the_patient_of(self, other: Opened) -> bool:
        """Whether it may stay open beside another series: of the same patient's ID, or of one study where there is no
        ID; and nothing else of the patient may differ."""
        mine, its = self.opened.series.first, other.series.first
        if self.opened.identity.differs_from(other.identity):
            return False
        return mine.patient_id == its.patient_id and (bool(mine.patient_id) or mine.study_uid == its.study_uid)


def make_reading(
    found: Opened,
    keys: Keys,
    looks: Looks,
    texts: CornerTexts,
    region: str,
    bring: Callable[[VolumeKey], Volume],
    tabs: QTabWidget,
) -> Generator[None, None, OpenReading]:
    """Makes panes and panels for a study, one between two yields: all of them take too long for one turn of the event
    loop. texts : what stands in the corners. region : that the report begins with. bring : builds the second volume of
    fused captures. tabs : where the panels go."""
    if found.session.bridged:
        found = replace(found, identity=with_bridged_gaps(found.identity))
    viewer = Viewer(found.session, keys.buttons, looks, found.identity, texts)
    try:
        viewer.drawer.bring = bring
        _add_window_keys(viewer)
        yield
        _add_panel(tabs, scrolled(LookPanel(viewer)), tr("Look"))
        yield
        tray = Tray(viewer, found.priors)
        _add_panel(tabs, tray, tr("Captures"))
        yield
        _add_panel(tabs, scrolled(Measures(viewer)), tr("Measures"))
        yield
        segments = scrolled(SegmentsPanel(viewer))
        yield
        _add_panel(tabs, segments, tr("Segments"))
        yield
        report = ReportPanel(viewer, region)
        yield
        _add_panel(tabs, report, tr("Report"))
        yield
    except GeneratorExit:
        viewer.close_session()
        raise
    return OpenReading(found, viewer, report, tray, tabs, found.session.screen)


def _add_panel(tabs: QTabWidget, panel: QWidget, title: str) -> None:
    """Adds a panel, styled: else the turn of the event loop that shows all of them would style all of them."""
    tabs.addTab(panel, title)
    for part in panel.findChildren(QWidget):
        part.ensurePolished()


def with_bridged_gaps(identity: SeriesIdentity) -> SeriesIdentity:
    """Returns whose a volume is, saying in every pane that its missing slices were interpolated."""
    return replace(identity, series=tr("Gaps bridged: {series}", series=identity.series or identity.modality))


def _add_window_keys(viewer: Viewer) -> None:
    for window in windows_for(viewer.session.volume.unit):
        if window.key:
            action = QAction(tr(window.title), viewer)
            action.setShortcut(QKeySequence(window.key))
            action.triggered.connect(lambda _=False, name=window.name: viewer.choose_window(name))
            viewer.addAction(action)


class Readings:
    """What is open, in the order of the tabs. room : how many bytes the volumes may take together."""

    def __init__(self) -> None:
        self.room = room_for_series()
        self._all: list[OpenReading] = []
        self._used: list[OpenReading] = []  # that used last first

    def __iter__(self) -> Iterator[OpenReading]:
        return iter(tuple(self._all))

    def __len__(self) -> int:
        return len(self._all)

    def of(self, key: tuple[object, ...]) -> OpenReading | None:
        """Returns the one of a series and volume."""
        return next((each for each in self._all if each.opened.key == key), None)

    def add(self, reading: OpenReading) -> tuple[OpenReading, ...]:
        """Adds one. Returns those that have to be closed for it: the same volume, whose place it takes, and all of
        another patient."""
        same = self.of(reading.opened.key)
        self._all.insert(len(self._all) if same is None else self._all.index(same), reading)
        others = (each for each in self._all if each is not reading)
        return tuple(each for each in others if each is same or not each.is_of_the_patient_of(reading.opened))

    def used(self, reading: OpenReading) -> None:
        """Notes that it is on the screen now."""
        self._used = [reading, *(each for each in self._used if each is not reading)]

    def remove(self, reading: OpenReading) -> None:
        self._all.remove(reading)
        self._used = [each for each in self._used if each is not reading]

    def too_many(self) -> tuple[OpenReading, ...]:
        """Returns those that have to be closed, as they were not used for the longest time."""
        return tuple(self._used[how_many_stay([each.size for each in self._used], self.room) :])

    def last_used(self) -> OpenReading | None:
        return self._used[0] if self._used else None

    def after(self, reading: OpenReading, step: int) -> OpenReading:
        """Returns the one so many tabs on; the first comes after the last."""
        return self._all[(self._all.index(reading) + step) % len(self._all)]


class DeskReader:
    """Who sits before the window, and what they have open.

    person : who is signed in, or None. reading : the series on the screen; None for the work list. signed : whether
    that one has been signed here.
    """

    def __init__(self) -> None:
        self.person: Person | None = None
        self.readings = Readings()
        self.reading: OpenReading | None = None
        self.signed = False

    @property
    def opened(self) -> Opened | None:
        """The study on the screen."""
        return self.reading.opened if self.reading is not None else None

    @property
    def viewer(self) -> Viewer | None:
        """The panes of the study on the screen."""
        return self.reading.viewer if self.reading is not None else None

    @property
    def report(self) -> ReportPanel | None:
        """The report of the study on the screen."""
        return self.reading.report if self.reading is not None else None

    @property
    def tray(self) -> Tray | None:
        """The captures of the study on the screen."""
        return self.reading.tray if self.reading is not None else None

    @property
    def shown(self) -> Screen | None:
        """The screen of the study."""
        return self.viewer.session.screen if self.viewer is not None else None

    @property
    def first(self) -> Screen | None:
        """The screen of the study as it was opened."""
        return self.viewer.first if self.viewer is not None else None

    @property
    def draft(self) -> Draft | None:
        """What is written of the study."""
        return self.opened.session.draft if self.opened is not None else None


def said_of_opening(found: Opened, closed: Sequence[OpenReading]) -> tuple[str, bool]:
    """Returns what is said of a study that was opened just now, and whether it is a warning. closed : what had to make
    room for it."""
    changed = found.session.sealed and found.signed is not None and not found.signed.same_volume
    warning = " ".join(said for said in (found.warning, tr(OTHER_VOLUME) if changed else "") if said)
    names = ", ".join(each.title for each in closed)
    full = tr("Memory for open series is full; closed: {names}.", names=names) if closed else ""
    said = " ".join(part for part in (warning or tr("{title} is open.", title=found.title), full) if part)
    return said, bool(warning)


class SeriesTabs(QTabBar):
    """A tab for each open series, above the panes; hidden while there is one. chosen, closed : an OpenReading."""

    chosen = Signal(object)
    closed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._readings: list[OpenReading] = []
        self.setObjectName("open_series")
        self.setAccessibleName(tr("Open series"))
        self.setExpanding(False)
        self.setDrawBase(False)
        self.setElideMode(Qt.TextElideMode.ElideRight)
        self.setUsesScrollButtons(False)
        self.tabBarClicked.connect(self._clicked)
        self.hide()

    def tabSizeHint(self, index: int) -> QSize:  # noqa: N802
        """Returns a size with room for the whole title; Qt's own forgets the button that closes it."""
        text = self.fontMetrics().horizontalAdvance(self.tabText(index).replace("&&", "&"))
        return QSize(text + _BESIDE_TITLE_PX, super().tabSizeHint(index).height())

    def show_readings(self, readings: Readings, shown: OpenReading | None) -> None:
        """Shows what is open. A study that is not that of the first one says its date."""
        self.blockSignals(True)
        while self.count():
            self.removeTab(0)
        self._readings = list(readings)
        for each in self._readings:
            same_study = each.opened.series.first.study_uid == self._readings[0].opened.series.first.study_uid
            date = "" if same_study else f"{each.opened.identity.study_date}  "
            number = self.addTab(plain_title(f"{date}{each.title}"))
            self.setTabToolTip(number, plain_tip(each.opened.title))
            close = QToolButton(self)
            close.setObjectName("close_tab")
            close.setText("×")
            close.setFixedSize(_CLOSE_PX, _CLOSE_PX)
            close.setAccessibleName(tr("Close {title}", title=each.title))
            close.clicked.connect(lambda _=False, each=each: self.closed.emit(each))
            self.setTabButton(number, QTabBar.ButtonPosition.RightSide, close)
        if shown is not None:
            self.setCurrentIndex(self._readings.index(shown))
        self.blockSignals(False)
        self.setVisible(len(self._readings) > 1)

    def _clicked(self, number: int) -> None:
        if 0 <= number < len(self._readings):
            self.chosen.emit(self._readings[number])
