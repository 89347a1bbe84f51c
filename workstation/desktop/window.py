"""The main window: the work list, or a study with its panes and panels."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from PySide6.QtCore import QByteArray, QEvent, QObject, QSettings, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QCloseEvent, QKeyEvent, QKeySequence, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QApplication,
    QComboBox,
    QDialog,
    QDockWidget,
    QFileDialog,
    QListWidget,
    QProgressBar,
    QPushButton,
    QStackedWidget,
    QTableWidget,
    QTabWidget,
    QTreeWidget,
    QVBoxLayout,
    QWidget,
)

from dicom_io.errors import VolumeRefused
from dicom_io.evidence import Person
from dicom_io.person_names import listed
from render import Picture, Protocol, Recipe, RecipeError
from render.progress import Progress
from render.protocols import drawable
from render.recipe import Solid
from workstation.case import CaseError
from workstation.desktop import dialogs
from workstation.desktop.arrival_bar import ArrivalBar
from workstation.desktop.background import Works
from workstation.desktop.captures_panel import Tray
from workstation.desktop.charge_panel import ChargePanel
from workstation.desktop.guide import Guide
from workstation.desktop.language import tr
from workstation.desktop.measures_panel import Measures
from workstation.desktop.menus import PANELS, Menus
from workstation.desktop.model import measure_edits, tray_edits
from workstation.desktop.model.browsing import SeriesShelf
from workstation.desktop.model.corners import load_corners
from workstation.desktop.model.desk import ReadingDesk
from workstation.desktop.model.keys import Keys
from workstation.desktop.model.looks import Looks, protocols_for, windows_for
from workstation.desktop.model.offers import bridged_volumes_of
from workstation.desktop.model.reading2d import Images
from workstation.desktop.model.screen import Capture, Screen, recipe_of
from workstation.desktop.model.session import Draft, VolumeKey
from workstation.desktop.model.signed import OTHER_VOLUME
from workstation.desktop.model.signing import SignedStudy
from workstation.desktop.model.studies import Opened
from workstation.desktop.model.summary import summary_of
from workstation.desktop.open_readings import OpenReading, Readings, SeriesTabs
from workstation.desktop.palette import CommandPalette
from workstation.desktop.pane import Pane
from workstation.desktop.panels import LookPanel, scrolled
from workstation.desktop.plain import PlainLabel, plain_title
from workstation.desktop.report_panel import ReportPanel, said_of_obstacle
from workstation.desktop.segments_panel import SegmentsPanel
from workstation.desktop.series_browser import SeriesBrowser
from workstation.desktop.series_commands import SeriesWindow
from workstation.desktop.series_drops import SeriesDrops
from workstation.desktop.sign_dialog import Sign
from workstation.desktop.signed_panel import SignedBar
from workstation.desktop.study_list import StudyList
from workstation.desktop.theme import COLOURS, Theme, style_sheet
from workstation.desktop.viewer import Viewer
from workstation.store.journal import EventKind

_VERDICT_MS = 400  # wait after the last change
_LOCK_MS = 15 * 60 * 1000  # locks after this time without a key or mouse move
_PRESENCE = {QEvent.Type.KeyPress, QEvent.Type.MouseMove, QEvent.Type.MouseButtonPress, QEvent.Type.Wheel}
_DOCK_PX, _LEAST_DOCK_PX = 390, 350  # the panels, at first and at least: all tabs in sight
_LAYOUT_VERSION = 3  # of the docks; saved positions of another version are ignored


class MainWindow(SeriesWindow):
    """The main window. desk : the model. person : who is signed in, or None. signed : whether the study on the screen
    has been signed here."""

    ready = Signal()  # a study shows its first screen
    _previewed = Signal(object)
    _suiting = Signal(object, list)

    def __init__(self, desk: ReadingDesk, keys: Keys, settings: QSettings) -> None:
        super().__init__()
        self.desk, self.keys, self.settings = desk, keys, settings
        self.looks = Looks(desk.site.root / "presets")
        self.texts = load_corners(desk.site.root / "corners.toml")
        self.person: Person | None = None
        self.reading: OpenReading | None = None
        self.readings = Readings()
        self._folded = False  # the panels, to have more room
        self._panel = 0  # of the panels, the one on view: the same for every series
        self.guide: Guide | None = None
        self.signed: bool = False
        self.covered, self._unsaid = False, ("", False)  # what is not said while the window is covered
        self.charge = ChargePanel()
        self._opening: VolumeKey | None = None
        self.setWindowTitle(_product())
        self.pages, self.arrival, self.open_tabs = QStackedWidget(), ArrivalBar(desk.studies.news), SeriesTabs()
        self.open_tabs.chosen.connect(self.show_reading)
        self.open_tabs.closed.connect(self.close_reading)
        self.arrival.reload.connect(self.reload)
        middle = QWidget()
        stacked = QVBoxLayout(middle)
        stacked.setContentsMargins(0, 0, 0, 0)
        stacked.setSpacing(0)
        stacked.addWidget(self.open_tabs)
        stacked.addWidget(self.arrival)
        stacked.addWidget(self.pages, 1)
        self.setCentralWidget(middle)
        self.worklist = StudyList(desk.studies.rows, desk.studies.waiting, lambda: desk.site.clock().date())
        self.worklist.opened.connect(self.open_series)
        self.worklist.dropped.connect(self.import_paths)
        self.worklist.chosen.connect(self._follow_list)
        self.preview = Pane("axial")
        self.pages.addWidget(self.worklist)
        self.pages.addWidget(self.preview)
        self.who, self.bar = PlainLabel(), QProgressBar()
        self.way_back = QPushButton(tr("Sign in …"))
        self.way_back.clicked.connect(self.sign_in_or_lock)
        self.bar.setMaximumWidth(260)
        for widget in (self.way_back, self.who, self.bar):
            self.statusBar().addPermanentWidget(widget)
        self.way_back.hide()
        self.bar.hide()
        self.works = Works(self.bar)
        self.works.said.connect(self.say)
        self._previewed.connect(self._show_preview)
        self._suiting.connect(self._offer_protocols)
        self._verdict_timer = self._timer(_VERDICT_MS, self.refresh_verdict)
        self._idle = self._timer(_LOCK_MS, self.lock)
        application = QApplication.instance()
        if application is not None:
            application.installEventFilter(self)
        self.charge.fill.connect(self._go_to_field)
        self.menus = Menus(self, self.keys, self.with_viewer, self._commands())
        self._make_docks()
        self.set_theme("light" if settings.value("theme") == "light" else "dark")
        self._show_person()
        self.resize(self.screen().availableGeometry().size())  # all of a monitor, and never more than there is
        self._restore()
        QTimer.singleShot(0, self, self._go_on)

    def _commands(self) -> dict[str, Callable[[], object]]:
        """Returns the window's commands by the names of `menus.WINDOW_COMMANDS`."""
        return {
            "capture": partial(self.capture, 1),
            "capture_rotation": partial(self.capture, 36),
            "worklist": self.back_to_list,
            "reload": self.reload,
            "next_series": self.next_series,
            "previous_series": partial(self.next_series, -1),
            "query": self.query,
            "take_in": self.take_in_folder,
            "sign": self.sign_and_deliver,
            "amend": self.amend,
            "addendum": partial(self.amend, addendum=True),
            "report_pdf": self.save_pdf,
            "export": self.export_captures,
            "send": self.send,
            **{name: partial(self.show_panel, number) for number, name in enumerate(PANELS)},
            "save_preset": self.save_preset,
            "stop_work": self.stop_work,
            "lock": self.sign_in_or_lock,
            "panels": self.fold_panels,
            "series": self.show_browser,
            "commands": self.show_commands,
            "theme": self.other_theme,
            "guide": self.show_guide,
            "help": self.show_help,
        }

    def _timer(self, after_ms: int, act: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(after_ms)
        timer.timeout.connect(act)
        return timer

    def _make_docks(self) -> None:
        self.tabs = QTabWidget()
        self.dock = QDockWidget(tr("Study"), self)
        self.dock.setObjectName("study")
        self.signed_bar = SignedBar()
        for signal, act in (
            (self.signed_bar.correct, partial(self.amend, addendum=False)),
            (self.signed_bar.addendum, partial(self.amend, addendum=True)),
            (self.signed_bar.give_up, self.give_up_amending),
            (self.signed_bar.versions, self.show_versions),
            (self.signed_bar.pdf, self.save_pdf),
        ):
            signal.connect(act)
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.signed_bar)
        column.addWidget(self.tabs, 1)
        self.dock.setWidget(inner)
        self.dock.setMinimumWidth(_LEAST_DOCK_PX)
        self.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.dock)
        self.browser = SeriesBrowser(SeriesShelf(self.desk.studies), self)
        self.browser.wanted.connect(self.open_browsed)
        self.browser.compared.connect(self.compare_browsed)
        self.browser.closed.connect(lambda: self.settings.setValue("browser", "hidden"))
        self.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, self.browser)
        for dock in (self.dock, self.browser):
            dock.hide()
        self.drops = SeriesDrops(self)
        self.drops.watch(self.pages)
        self.drops.over.connect(self._say_of_drop)
        self.drops.left.connect(lambda: self.say(""))
        self.drops.dropped.connect(self.drop_series)

    def _restore(self) -> None:
        """Restores positions and monitors of window, docks and tool bars."""
        geometry, docks = self.settings.value("geometry"), self.settings.value("docks")
        if isinstance(geometry, QByteArray):
            self.restoreGeometry(geometry)
        self._has_layout = isinstance(docks, QByteArray) and self.restoreState(docks, _LAYOUT_VERSION)
        self._browser_sized = self._has_layout
        for dock in (self.dock, self.browser):
            dock.hide()  # shown with a study

    def set_theme(self, theme: Theme) -> None:
        self.theme: Theme = theme
        self.setStyleSheet(style_sheet(self.theme))
        self.menus.paint_icons(COLOURS[self.theme]["text"], COLOURS[self.theme]["back"])
        self.settings.setValue("theme", self.theme)

    def other_theme(self) -> None:
        self.set_theme("light" if self.theme == "dark" else "dark")

    def fold_panels(self) -> None:
        """Folds the panels away, for more room, and brings them back."""
        if self.opened is not None:
            folded = not (self.dock.isVisible() or self.browser.isVisible())
            self._folded = not folded
            self.dock.setVisible(folded)
            self.browser.setVisible(folded and self._wants_browser())

    def show_commands(self) -> None:
        """Shows every command, to be found by its name."""
        palette = CommandPalette(self.menus.commands(), self)
        if palette.exec() and palette.chosen is not None:
            palette.chosen.trigger()

    def show_help(self) -> None:
        dialogs.Help(self.keys, self).exec()

    def show_guide(self) -> None:
        """Shows or hides the guide."""
        if self.guide is None:
            self.guide = Guide(self, self.keys, self)
            self.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, self.guide)
        else:
            self.guide.setVisible(not self.guide.isVisible())
        self.guide.refresh()

    # ------------------------------------------------------------------------------------------------ opening

    def open_series(
        self, series_uid: str, which: int | None = None, before: Opened | None = None, *, bridged: bool = False
    ) -> None:
        """Opens a volume, its middle image first. Asks which one where a series has several.

        before : on reload, the study as it was opened; its volume is opened again. bridged : with its missing slices
        interpolated.
        """
        key = (series_uid, which, bridged)
        if self._opening == key:
            return  # a second double-click
        there = self.readings.of(key) if before is None else None
        if there is not None:
            self.show_reading(there)
            return
        self._opening = key
        studies = self.desk.studies

        def work(tell: Progress) -> object:
            chosen = studies.again(before) if before is not None else which
            if not bridged:
                try:
                    offers = studies.volumes(series_uid)
                except VolumeRefused as refused:
                    return studies.images(series_uid, refused)
                if chosen is None and len(offers) > 1:
                    return (*offers, *bridged_volumes_of(self.desk.site.archive.series(series_uid)))
            tell(tr("First picture"), 0.0)
            self._previewed.emit(studies.preview(series_uid, chosen, bridged=bridged))
            return studies.open(series_uid, chosen, tell, bridged=bridged)

        def done(found: object) -> None:
            self._opening = None
            if isinstance(found, Opened):
                self._show_study(found)
            elif self.covered:
                return  # what would be shown, or asked, is a patient's
            elif isinstance(found, Images):
                self._show_images(found)
            else:
                assert isinstance(found, tuple)
                self._ask_which(series_uid, found)

        self.works.ended.connect(self._not_opening)
        self.works.run(work, done, tr("Opening"))

    def reload(self) -> None:
        """Opens the open study again with all instances that have come; its session stays."""
        if self.opened is None:
            return
        if self.works.busy:
            self.say(tr("Something is still being done; reload when it has ended."), bad=True)
            return
        self.open_series(self.opened.series.uid, before=self.opened, bridged=self.opened.session.bridged)

    def _not_opening(self) -> None:
        """Notes that opening has ended, well or not, so the next double-click counts again."""
        self.works.ended.disconnect(self._not_opening)
        self._opening = None
        if self.pages.currentWidget() is self.preview:
            self.pages.setCurrentWidget(self.viewer or self.worklist)

    def _show_preview(self, picture: Picture) -> None:
        self.preview.show_picture(picture, full=False)
        self.preview.show_message(tr("Building the volume …"))
        self.pages.setCurrentWidget(self.preview)

    def import_paths(self, paths: list[str]) -> None:
        def done(count: object) -> None:
            said = tr("{count} instances taken in.", count=count) if count else tr("There is no DICOM file there.")
            self.say(said, bad=not count)
            self.worklist.refresh()

        desk, person = self.desk, self.person
        self.works.run(lambda tell: sum(desk.take_in(Path(p), person) for p in paths), done, tr("Taking in"))

    def take_in_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, tr("Take in a folder of DICOM files"))
        if folder:
            self.import_paths([folder])

    def query(self) -> None:
        """Shows the query dialog."""
        dialogs.Query(self.desk, self.works, self, self.person).exec()
        self.worklist.refresh()

    def _show_study(self, found: Opened) -> None:
        """Shows a study that was opened just now, beside what is open of the same patient."""
        reading = self._made(found)
        for other in self.readings.add(reading):
            self._drop(other)
        self.show_reading(reading)
        closed = self.readings.too_many()
        for other in closed:
            self._drop(other)
        self.open_tabs.show_readings(self.readings, reading)
        self._mark_series()
        changed = found.session.sealed and found.signed is not None and not found.signed.same_volume
        warning = " ".join(said for said in (found.warning, tr(OTHER_VOLUME) if changed else "") if said)
        names = ", ".join(each.title for each in closed)
        full = tr("Memory for open series is full; closed: {names}.", names=names) if closed else ""
        said = " ".join(part for part in (warning or tr("{title} is open.", title=found.title), full) if part)
        self.say(said, bad=bool(warning))
        if found.session.screen.compared is not None:
            self._bring(found.session.screen.compared)
        self.ready.emit()

    def _made(self, found: Opened) -> OpenReading:
        """Makes panes and panels for a study."""
        if found.session.bridged:  # every pane says it
            series = tr("Gaps bridged: {series}", series=found.identity.series or found.identity.modality)
            found = replace(found, identity=replace(found.identity, series=series))
        found.session.refused = self.refused
        viewer = Viewer(found.session, self.keys.buttons, self.looks, found.identity, self.texts)
        self.pages.addWidget(viewer)
        report, tray = ReportPanel(viewer, self.desk.region_unless_chosen(found)), Tray(viewer)
        report.signed.connect(self.sign_and_deliver)
        tray.export.connect(self.export_captures)
        panels = (
            (scrolled(LookPanel(viewer)), tr("Look")),
            (tray, tr("Captures")),
            (scrolled(Measures(viewer)), tr("Measures")),
            (scrolled(SegmentsPanel(viewer)), tr("Segments")),
            (report, tr("Report")),
        )
        reading = OpenReading(found, viewer, report, tray, panels, found.session.screen)
        self._window_keys(viewer)
        for pane in viewer.panes.values():
            self.drops.watch(pane)  # also where it is in a window of its own
        viewer.chose_tool.connect(lambda tool: self.menus.actions[tool].setChecked(True))
        viewer.said.connect(self.say)
        viewer.words_wanted.connect(self._ask_words)
        viewer.work_wanted.connect(self.works.run)
        viewer.changed.connect(partial(self._changed, reading))
        for edit in report.fields.values():
            edit.textChanged.connect(self._verdict_timer.start)
        for box in (report.region, report.required, report.concurrent):
            box.activated.connect(self._verdict_timer.start)
        volume, modality = found.session.volume, found.series.modality

        def suiting() -> None:  # whether there is dye is seen in the voxels, which takes a moment
            self._suiting.emit(reading, protocols_for(volume, modality))

        viewer.drawer.ask_errand(suiting, tell=False)
        return reading

    def show_reading(self, reading: OpenReading) -> None:
        """Shows one of the open series."""
        if reading is self.reading:
            return
        self._put_away()
        self.reading, found = reading, reading.opened
        self.readings.used(reading)
        self.signed = found.session.sealed
        for widget, title in (*reading.panels, (self.charge, tr("Charge"))):
            self.tabs.addTab(widget, title)
        self.tabs.setCurrentIndex(self._panel)
        self.pages.setCurrentWidget(reading.viewer)
        self.dock.setWindowTitle(plain_title(found.identity.person or found.title))
        self._show_title()
        self.dock.setVisible(not self._folded)
        if not self._has_layout:
            self._has_layout = True
            self.resizeDocks([self.dock], [_DOCK_PX], Qt.Orientation.Horizontal)
        self._offer(reading)
        reading.viewer.choose_tool(reading.viewer.tool)
        self.arrival.follow(found)
        self.open_tabs.show_readings(self.readings, reading)
        self.browser.follow(found.series.uid)
        self._place_browser()
        self.show_signed()
        who = self.person.id if self.person is not None else ""
        if who not in reading.seen_by:
            reading.seen_by.add(who)
            self.acted("opened")
            self.desk.opened_by(found, self.person)
        self._changed(reading)
        reading.viewer.refresh()
        if self.covered:
            self._cover()  # locked while it was being opened

    def next_series(self, step: int = 1) -> None:
        """Shows the next of the open series."""
        if self.reading is not None and len(self.readings) > 1:
            self.show_reading(self.readings.after(self.reading, step))

    def close_reading(self, reading: OpenReading) -> None:
        """Closes one of the open series; its session file keeps the work. The last one leads back to the work list."""
        if len(self.readings) == 1:
            self.back_to_list()
            return
        self._drop(reading)
        last = self.readings.last_used()
        if self.reading is None and last is not None:
            self.show_reading(last)
        self.open_tabs.show_readings(self.readings, self.reading)
        self._mark_series()

    def _ask_words(self, number: int) -> None:
        """Asks for the words of a text or an arrow, which is drawn already."""
        viewer = self.viewer
        words = dialogs.Named.ask(tr("Words on the picture"), tr("Words"), self)
        if viewer is not None and viewer is self.viewer:  # else another study is shown by now
            viewer.do(measure_edits.reworded, number, words)
            viewer.select(None)

    def _window_keys(self, viewer: Viewer) -> None:
        for window in windows_for(viewer.session.volume.unit):
            if window.key:
                action = QAction(window.title, viewer)
                action.setShortcut(QKeySequence(window.key))
                action.triggered.connect(lambda _=False, name=window.name: viewer.choose_window(name))
                viewer.addAction(action)

    def _offer(self, reading: OpenReading) -> None:
        """Fills the menus with the protocols and comparisons of a study."""
        self.menus.for_a_study(True)
        found = reading.opened
        self._offer_protocols(reading, reading.protocols)
        self.menus.comparisons.addAction(tr("Nothing")).triggered.connect(lambda _=False: self.compare_no_more())
        for row in found.others:
            title = f"{row.day}  {row.modality} {row.description}"
            if row.series_uid == found.series.uid:
                title = tr("Another volume of this series")
            act = partial(self.compare, row)
            self.menus.comparisons.addAction(plain_title(title)).triggered.connect(lambda _=False, act=act: act())

    def _offer_protocols(self, reading: OpenReading, protocols: list[Protocol] | None) -> None:
        """Fills the menu with the protocols that suit the study."""
        reading.protocols = protocols
        if reading is not self.reading:
            return
        for protocol in protocols or ():
            act = partial(self.run_protocol, protocol)
            self.menus.protocols.addAction(plain_title(protocol.title)).triggered.connect(
                lambda _=False, act=act: act()
            )

    def _put_away(self) -> None:
        """Takes what is on the screen away; it stays open."""
        if self.reading is None:
            return
        self._panel = self.tabs.currentIndex()
        self.reading.viewer.rest()
        while self.tabs.count():
            self.tabs.removeTab(0)
        self.reading = None
        self.menus.for_a_study(False)

    def _drop(self, reading: OpenReading) -> None:
        """Closes a series; its session file has the work."""
        if reading is self.reading:
            self._put_away()
        self.readings.remove(reading)
        reading.viewer.close_session()
        self.pages.removeWidget(reading.viewer)
        for widget, _ in reading.panels:
            widget.deleteLater()
        reading.viewer.deleteLater()

    def close_study(self) -> None:
        """Closes all that is open."""
        if self.reading is None:
            return
        self.arrival.follow(None)
        self.pages.setCurrentWidget(self.worklist)
        for reading in self.readings:
            self._drop(reading)
        self._panel, self._folded = 0, False
        self.open_tabs.show_readings(self.readings, None)
        self.browser.follow("")
        self.browser.mark("", frozenset(), "")
        self._show_title()
        for dock in (self.dock, self.browser):
            dock.hide()

    def back_to_list(self) -> None:
        """Closes the study; its session file keeps the work, which comes back with the study."""
        self.close_study()
        self.worklist.refresh()

    # ------------------------------------------------------------------------------------------------ work

    def with_viewer(self, command: Callable[[Viewer], object]) -> None:
        """Runs a command of the panes if a study is open."""
        if self.viewer is not None:
            command(self.viewer)

    @property
    def shown(self) -> Screen | None:
        """The screen of the open study."""
        return self.viewer.session.screen if self.viewer is not None else None

    @property
    def first(self) -> Screen | None:
        """The screen of the open study as it was opened."""
        return self.viewer.first if self.viewer is not None else None

    @property
    def draft(self) -> Draft | None:
        """The report of the open study."""
        return self.opened.session.draft if self.opened is not None else None

    def stop_work(self) -> None:
        self.works.stop()

    def capture(self, frames: int) -> None:
        if self.viewer is not None:
            before = len(self.viewer.session.screen.captures)
            self.viewer.capture(frames)
            self._captured(before)

    def run_protocol(self, protocol: Protocol) -> None:
        """Puts all pictures of a protocol into the tray; they are drawn when the study is signed."""
        if self.viewer is None:
            return
        if not any(isinstance(recipe, Solid) and recipe.masking for recipe in protocol.recipes):
            self._collect(protocol, protocol.recipes, ())
            return
        # Bones, vessels or the brain are looked for first, which takes seconds.
        viewer = self.viewer

        def found(drawn: object) -> None:
            if self.viewer is viewer:  # the study may have been left meanwhile
                assert isinstance(drawn, tuple)
                self._collect(protocol, *drawn)

        self.works.run(
            lambda progress: drawable(viewer.session.volume, protocol), found, tr("Looking for what it shows")
        )

    def _collect(self, protocol: Protocol, recipes: tuple[Recipe, ...], left_out: tuple[str, ...]) -> None:
        assert self.viewer is not None
        before = len(self.viewer.session.screen.captures)
        self.viewer.do(tray_edits.from_protocol, recipes)
        if self.viewer.session.sealed:
            return
        self._captured(before)
        words = tr("{title}: {count} pictures captured.", title=protocol.title, count=len(recipes))
        self.say(" ".join([words, *left_out]))

    def save_preset(self) -> None:
        """Saves the transfer function of the 3D pane as a preset."""
        if self.viewer is None:
            return
        title = dialogs.Named.ask(tr("Keep this look"), tr("Name of the preset"), self)
        if not title:
            return
        try:
            name = self.looks.save(title, self.viewer.session.screen.solid.transfer)
        except (RecipeError, OSError) as error:
            self.say(str(error), bad=True)
        else:
            self.viewer.choose_preset(name)
            self.say(tr("Kept as {title}.", title=title))

    def _captured(self, before: int) -> None:
        """Journals the new pictures in the tray, with the person who chose them, and their view and cuts."""
        if self.opened is None:
            return
        session = self.opened.session
        if len(session.screen.captures) > before:
            session.captured_by(self.person)
        first = self.desk.studies.first_screen(self.opened.series.uid, session.volume)
        for capture in session.screen.captures[before:]:
            if capture.origin == "mine" and tray_edits.adjusted(session.screen, first, capture.recipe):
                self.acted("view_adjustment", capture.recipe)
            self.acted("image_selection", capture.recipe)

    def acted(self, act: EventKind, recipe: Recipe | None = None) -> None:
        """Journals an act of the person who is signed in."""
        if self.opened is not None:
            self.desk.note(self.opened, self.person, act, recipe)

    def _acted_in(self, reading: OpenReading, act: EventKind, recipe: Recipe | None) -> None:
        """Journals an act in a series that is open, on the screen or behind it."""
        if reading is self.reading:
            self.acted(act, recipe)
        else:
            self.desk.note(reading.opened, self.person, act, recipe)

    def _changed(self, reading: OpenReading) -> None:
        """Journals what has changed; also of a series that is open behind the one on the screen."""
        session, before = reading.opened.session, reading.before
        screen = reading.before = session.screen
        if before.solid.steps != screen.solid.steps:
            self._acted_in(reading, "mask_editing", recipe_of(screen, "solid", 512, 512))
        if screen.captures is not before.captures:
            self._journal_tray(reading, before.captures, screen.captures)
        if reading is not self.reading:
            return
        self.menus.actions["undo"].setEnabled(session.can_undo)
        self.menus.actions["redo"].setEnabled(session.can_redo)
        self._mark_series()
        self._verdict_timer.start()

    def _journal_tray(self, reading: OpenReading, before: tuple[Capture, ...], after: tuple[Capture, ...]) -> None:
        """Journals what became of pictures in the tray: dropped, taken anew, or under another name."""
        kept, known = {capture.recipe for capture in after}, {capture.recipe for capture in before}
        gone, come = (
            [c.recipe for c in before if c.recipe not in kept],
            [c.recipe for c in after if c.recipe not in known],
        )
        if len(before) != len(after):
            for recipe in gone:
                self._acted_in(reading, "image_rejection", recipe)
            return  # what was captured is journalled where it is captured
        for old, new in zip(gone, come, strict=False):
            if replace(old, name=new.name) != new:
                self._acted_in(reading, "view_adjustment", new)
            self._acted_in(reading, "image_selection", new)

    def changed_soon(self) -> None:
        """Has the decision about the charge shown anew after a moment."""
        self._verdict_timer.start()

    def refresh_verdict(self) -> None:
        """Shows the decision as if the study were signed now."""
        if self.opened is None or self.report is None:
            return
        if not self.opened.session.sealed:
            self.report.allow_signing(self.desk.obstacle(self.opened, self.person))
        self.charge.show_verdict(self.desk.verdict(self.opened, self.person))
        if self.guide is not None:
            self.guide.refresh()

    def _go_to_field(self, name: str) -> None:
        if self.report is None:
            return
        if name == "captures":
            self.tabs.setCurrentIndex(1)
            return
        others: dict[str, QWidget] = {
            "region": self.report.region,
            "required": self.report.required,
            "concurrent": self.report.concurrent,
        }
        field = self.report.fields.get(name) or others.get(name, self.report)
        self.tabs.setCurrentWidget(self.report)
        self.report.ensureWidgetVisible(field)
        field.setFocus()

    def sign_and_deliver(self) -> None:
        """Shows what would be signed, and signs it when the physician gives their secret."""
        if self.opened is None or self.viewer is None or self.report is None or self.tray is None:
            return
        if self.opened.session.sealed:
            self.refused()
            return
        opened, obstacle = self.opened, self.desk.obstacle(self.opened, self.person)
        if obstacle is not None or self.person is None:
            if obstacle is not None:
                self.say(said_of_obstacle(obstacle), bad=True)
                self.tabs.setCurrentWidget(self.report)
                self.report.go_to(obstacle)
            return
        summary = summary_of(opened, self.desk.verdict(opened, self.person), self.viewer.said_of)
        dialog = Sign(self.desk.people, self.person, summary, self.tray.icons, self)
        shown = opened.session.content
        drawn = self.viewer.drawer.small.connect(dialog.show_small)
        accepted = dialog.exec()
        if self.opened is opened:
            self.viewer.drawer.small.disconnect(drawn)
        dialog.deleteLater()
        if not accepted or self.person is None:  # locked meanwhile
            if dialog.refused:
                self.lock()
            return
        if self.opened is not opened or opened.session.content != shown:
            # Work that was still being done has ended meanwhile.
            self.say(tr("Something was added while this was being signed; look at it, and sign again."), bad=True)
            return
        try:
            signing = self.desk.sign(opened, self.person)
        except (CaseError, OSError) as error:
            self.say(str(error), bad=True)
            return
        self.show_signed()
        self.say(tr("Signed. It is being stored; the next study can be read meanwhile."))
        self._finish(signing, opened)

    def _finish(self, signing: SignedStudy, opened: Opened | None = None) -> None:
        """Stores what was signed, beside everything else. opened : the study, where it is at hand."""

        def done(outcome: object) -> None:
            self.say(str(outcome))
            reading = self.readings.of(signing.key)
            if reading is not None:
                reading.opened = replace(reading.opened, signed=self.desk.studies.signed(reading.opened))
            if reading is not None and reading is self.reading and self.opened is not None:
                self.signed = True
                self.show_signed()
                self.charge.show_verdict(self.desk.verdict(self.opened, self.person))
                if self.guide is not None:
                    self.guide.refresh()
            self.send()

        volume = opened.session.volume if opened is not None else None
        self.works.run(lambda tell: self.desk.finish(signing, tell, volume), done, tr("Storing what was signed"))

    def _go_on(self) -> None:
        """Goes on with what was signed when the program ended."""
        left = self.desk.unfinished()
        if left:
            count = len(left)
            self.say(
                tr("{count} signed studies were not stored when the program ended; this goes on now.", count=count)
            )
        for signing in left:
            self._finish(signing)

    def send(self) -> None:
        """Delivers the waiting messages in the background."""

        def done(said: object) -> None:
            self.say(str(said))
            if self.opened is not None:
                self.charge.show_verdict(self.desk.verdict(self.opened, self.person))

        self.works.run(self.desk.send, done, tr("Sending"))

    def show_panel(self, number: int) -> None:
        """Shows a panel of the study, its first field ready for the keyboard."""
        if self.opened is None:
            return
        Pane.wait_for_mouse()
        self._folded = False
        self.dock.show()
        self.tabs.setCurrentIndex(number)
        panel = self.tabs.currentWidget()
        first = self.report.fields["indication"] if panel is self.report and self.report is not None else panel
        if first is not None:
            first.setFocus(Qt.FocusReason.ShortcutFocusReason)

    # ------------------------------------------------------------------------------------------------ people

    def sign_in_or_lock(self) -> None:
        """Signs a person in. Signs the current one out first, and hides all patient data in between."""
        if self.person is not None:
            self.lock()
        dialog = dialogs.SignIn(self.desk.people, self)
        dialog.refused.connect(lambda who: self.desk.signed_in(who, refused=True))
        if dialog.exec() and dialog.person is not None:
            self.person = dialog.person
            self.desk.signed_in(self.person.id)
            self._uncover()
            for each in self.readings:
                each.seen_by.clear()
            if self.reading is not None:
                self.desk.opened_by(self.reading.opened, self.person)
                self.reading.seen_by.add(self.person.id)
            self.acted("opened")  # the open study counts as opened by the new person
        self._show_person()
        self._verdict_timer.start()

    def lock(self) -> None:
        """Signs out and covers the screen; the study stays open behind the cover."""
        if self.person is None:
            return
        self.desk.signed_in(self.person.id, out=True)
        self.person = None
        self._show_person()
        if self.viewer is not None:
            self.viewer.dock_pane()
        if self.stack_viewer is not None:
            self.stack_viewer.close()
        for dialog in self.findChildren(QDialog):  # each may show a patient
            dialog.reject()
        self.say(tr("Locked. Sign in to go on."), bad=True)
        self._cover()
        self._idle.stop()

    def _show_title(self) -> None:
        """Says in the title whose study is open, but not where the window is covered."""
        shown = self.opened.title if self.opened is not None and not self.covered else ""
        self.setWindowTitle(f"{shown} — {_product()}" if shown else _product())

    def _cover(self) -> None:
        """Hides everything that tells of a patient, whether it is there now or comes from work that is still done."""
        self.covered = True
        self.centralWidget().hide()
        for dock in (self.dock, self.browser):
            dock.hide()
        self.menus.cover(True)
        self.way_back.show()
        self._show_title()

    def _uncover(self) -> None:
        self.covered = False
        self._show_title()
        self.centralWidget().show()
        self.dock.setVisible(self.viewer is not None and not self._folded)
        self._place_browser()
        self.menus.cover(False)
        if self.reading is not None:
            self._changed(self.reading)
        self.way_back.hide()
        self.say(*self._unsaid)
        self._unsaid = ("", False)
        self._idle.start()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        """Restarts the lock timer at any key or mouse move. A key that a list, a box or a button uses goes to it before
        the shortcuts."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and _its_own(watched, event):
            event.accept()
            return True
        if event.type() in _PRESENCE and self._idle.isActive():
            self._idle.start()
        return super().eventFilter(watched, event)

    def _show_person(self) -> None:
        if self.person is None:
            self.who.setText(tr("Nobody is signed in"))
        else:
            self.who.setText(f"{listed(self.person.name)} ({tr(self.person.role)})")

    def say(self, sentence: str, bad: bool = False) -> None:
        """Shows a sentence in the window, never in a dialog. A bad one stays until the next. While the window is
        covered nothing is said, as it may tell of a patient; the last sentence waits."""
        if self.covered:
            self._unsaid = (sentence, bad) if bad or not self._unsaid[1] else self._unsaid
            return
        self.statusBar().setStyleSheet(f"QStatusBar {{ color: {COLOURS[self.theme]['bad']}; }}" if bad else "")
        self.statusBar().showMessage(sentence, 0 if bad else 8000)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self.menus.fit(self.width())

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        self.settings.setValue("geometry", self.saveGeometry())
        self.settings.setValue("docks", self.saveState(_LAYOUT_VERSION))
        self.close_study()
        self.worklist.stop()
        self.arrival.stop()
        self.browser.stop()
        self.works.end()  # what was signed goes on at the next start
        self.desk.close()
        super().closeEvent(event)


def _product() -> str:
    return tr("3D workstation — not cleared for diagnosis")


def _its_own(watched: QObject, event: QKeyEvent) -> bool:
    """Whether a widget uses a key itself: arrows in lists, letters in the work list and in boxes, Space on a button."""
    commanding = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier
    if event.modifiers() & commanding or Qt.Key.Key_F1 <= event.key() <= Qt.Key.Key_F35:
        return False
    if isinstance(watched, QAbstractButton):
        return event.key() in (Qt.Key.Key_Space, Qt.Key.Key_Return)
    if (
        isinstance(watched, QTableWidget | QListWidget | QTreeWidget)
        and event.text().isprintable()
        and event.text().strip()
    ):
        return False  # a reader whose mouse is on a pane means the pane; F2 begins to name
    return isinstance(watched, QComboBox | QAbstractItemView | QAbstractSlider) and event.key() != Qt.Key.Key_Escape
