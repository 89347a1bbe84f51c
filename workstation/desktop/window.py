"""The main window: the work list, or a study with its panes and panels."""

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QByteArray, QSettings, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QResizeEvent
from PySide6.QtWidgets import QProgressBar, QStackedWidget, QTabWidget, QVBoxLayout, QWidget

from render import Picture, Protocol, Recipe
from workstation.desktop import dialogs
from workstation.desktop.acts_journal import ActsJournal
from workstation.desktop.arrival_bar import ArrivalBar
from workstation.desktop.background import Steps, Works
from workstation.desktop.capture_commands import CaptureCommands
from workstation.desktop.help_commands import HelpCommands
from workstation.desktop.images import PaneImage, image_of
from workstation.desktop.language import tr
from workstation.desktop.menus import PANELS, Menus
from workstation.desktop.model import measure_edits
from workstation.desktop.model.browsing import SeriesShelf
from workstation.desktop.model.corners import load_corners
from workstation.desktop.model.desk import ReadingDesk
from workstation.desktop.model.keys import Keys
from workstation.desktop.model.looks import Looks, protocols_for
from workstation.desktop.model.studies import Opened
from workstation.desktop.open_readings import DeskReader, OpenReading, SeriesTabs, make_reading, said_of_opening
from workstation.desktop.own_keys import KeysBeforeShortcuts
from workstation.desktop.pane import Pane
from workstation.desktop.prior_commands import PriorCommands
from workstation.desktop.screen_lock import ScreenLock
from workstation.desktop.series_browser import SeriesBrowser
from workstation.desktop.series_commands import SeriesWindow
from workstation.desktop.series_drops import SeriesDrops
from workstation.desktop.series_opening import SeriesOpening
from workstation.desktop.sheet_commands import SheetCommands
from workstation.desktop.sign_commands import SignCommands
from workstation.desktop.stack_viewer import StackViewer
from workstation.desktop.study_dock import StudyDock
from workstation.desktop.study_list import StudyList
from workstation.desktop.taking_in import TakingIn
from workstation.desktop.target_commands import TargetCommands
from workstation.desktop.theme import COLOURS, Theme, style_sheet
from workstation.desktop.viewer import Viewer
from workstation.store.journal import EventKind

_DOCK_PX = 390  # the panels, at first
_LAYOUT_VERSION = 3  # of the docks; saved positions of another version are ignored


class MainWindow(SeriesWindow):
    """The main window. desk : the model. reader : who is signed in, and what is open.

    Its parts, each with the commands for what it does: `opening`, `making`, `capturing`, `signing`, `screen_lock`;
    and `acts`, which journals. The window places what they have to show.
    """

    ready = Signal()  # a study shows its first screen
    _suiting = Signal(object, list)

    def __init__(self, desk: ReadingDesk, keys: Keys, settings: QSettings) -> None:
        super().__init__()
        self.desk, self.keys, self.settings = desk, keys, settings
        self.looks = Looks(desk.site.root / "presets")
        self.texts = load_corners(desk.site.root / "corners.toml")
        self.reader = DeskReader()
        self.acts = ActsJournal(desk, self.reader)
        self._hidden_2d: list[StackViewer] = []  # while the window is covered
        self.setWindowTitle(_product())
        self.worklist = StudyList(desk.studies.rows, desk.studies.waiting, lambda: desk.site.clock().date())
        self.preview, self.pages = Pane("axial"), QStackedWidget()
        self.arrival, self.open_tabs, self.bar = ArrivalBar(desk.studies.news), SeriesTabs(), QProgressBar()
        self.works, self.making, self.dock = Works(self.bar), Steps(self), StudyDock(self)
        self.signed_bar = self.dock.signed_bar
        self._make_parts()
        self._make_middle()
        self.menus = Menus(self, self.keys, self.with_viewer, self._commands())
        self.helping = HelpCommands(self.reader, self.keys, self.menus, self)
        self.signing.judged.connect(self.helping.tick)
        self._make_docks()
        self.set_theme("light" if settings.value("theme") == "light" else "dark")
        self.resize(self.screen().availableGeometry().size())  # all of a monitor, and never more than there is
        self._restore()
        QTimer.singleShot(0, self, self.signing.go_on)

    def _make_parts(self) -> None:
        """Makes what has commands of its own, and says what is shown when it has done something."""
        desk, reader, works, say = self.desk, self.reader, self.works, self.say
        works.said.connect(say)
        self.screen_lock = ScreenLock(desk, reader, self, say)
        KeysBeforeShortcuts(self)
        self.screen_lock.locking.connect(self._close_windows)
        self.screen_lock.covering.connect(self._cover)
        self.screen_lock.came.connect(self.acts.seen_anew)
        self.opening = SeriesOpening(desk, works, self)
        self.opening.previewed.connect(self._show_preview)
        self.opening.opened.connect(self._show_study)
        self.opening.in_2d.connect(self._show_images)
        self.opening.several.connect(self._ask_which)
        self.opening.ended.connect(self._leave_preview, Qt.ConnectionType.QueuedConnection)
        self.taking_in = TakingIn(desk, reader, works, say, self)
        self.taking_in.came.connect(self.worklist.refresh)
        self.capturing = CaptureCommands(reader, self.acts, self.looks, works, say, self)
        self.sheets = SheetCommands(reader, works, say, self)
        self.priors = PriorCommands(desk.studies, reader, works, say, self)
        self.targets = TargetCommands(desk.studies, reader, works, say, self)
        self.signing = SignCommands(desk, reader, works, self.dock, say, self)
        self.signing.refused.connect(self.refused)
        self.signing.signed.connect(self.show_signed)
        self.signing.wrong_secret.connect(self.screen_lock.lock)
        self._suiting.connect(self._offer_protocols)

    def _make_middle(self) -> None:
        """Places the work list, or the panes, and what stands above and below them."""
        self.open_tabs.chosen.connect(self.show_reading)
        self.open_tabs.closed.connect(self.close_reading)
        self.arrival.reload.connect(self.reload)
        self.worklist.opened.connect(self.open_series)
        self.worklist.dropped.connect(self.taking_in.paths)
        self.worklist.chosen.connect(self._follow_list)
        for page in (self.worklist, self.preview):
            self.pages.addWidget(page)
        middle = QWidget()
        stacked = QVBoxLayout(middle)
        stacked.setContentsMargins(0, 0, 0, 0)
        stacked.setSpacing(0)
        stacked.addWidget(self.open_tabs)
        stacked.addWidget(self.arrival)
        stacked.addWidget(self.pages, 1)
        self.setCentralWidget(middle)
        self.screen_lock.way_back.clicked.connect(self.sign_in_or_lock)
        self.bar.setMaximumWidth(260)
        for widget in (self.screen_lock.way_back, self.screen_lock.who, self.bar):
            self.statusBar().addPermanentWidget(widget)
        self.screen_lock.way_back.hide()
        self.bar.hide()

    def _commands(self) -> dict[str, Callable[[], object]]:
        """Returns the window's commands by the names of `menus.WINDOW_COMMANDS`."""
        return {
            "capture": partial(self.capturing.capture, 1),
            "capture_rotation": partial(self.capturing.capture, 36),
            "worklist": self.back_to_list,
            "reload": self.reload,
            "next_series": self.next_series,
            "previous_series": partial(self.next_series, -1),
            "query": self.taking_in.query,
            "take_in": self.taking_in.folder,
            "sign": self.signing.sign_and_deliver,
            "amend": self.amend,
            "addendum": partial(self.amend, addendum=True),
            "report_pdf": self.save_pdf,
            "export": self.export_captures,
            "sheet": self.sheets.make,
            "send": self.signing.send,
            **{name: partial(self.show_panel, number) for number, name in enumerate(PANELS)},
            "save_preset": self.capturing.save_preset,
            "stop_work": self.works.stop,
            "lock": self.sign_in_or_lock,
            "panels": self.fold_panels,
            "series": self.show_browser,
            "commands": lambda: self.helping.show_commands(),
            "theme": self.other_theme,
            "guide": lambda: self.helping.show_guide(),
            "help": lambda: self.helping.show_keys(),
        }

    def _make_docks(self) -> None:
        for signal, act in (
            (self.signed_bar.correct, partial(self.amend, addendum=False)),
            (self.signed_bar.addendum, partial(self.amend, addendum=True)),
            (self.signed_bar.give_up, self.give_up_amending),
            (self.signed_bar.versions, self.show_versions),
            (self.signed_bar.pdf, self.save_pdf),
        ):
            signal.connect(act)
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
            self.dock.folded = not folded
            self.dock.setVisible(folded)
            self.browser.setVisible(folded and self._wants_browser())

    @property
    def tabs(self) -> QTabWidget:
        """The panels on view."""
        return self.dock.tabs

    # ------------------------------------------------------------------------------------------------ opening

    def open_series(
        self, series_uid: str, which: int | None = None, before: Opened | None = None, *, bridged: bool = False
    ) -> None:
        """Opens a volume, its middle image first. Asks which one where a series has several.

        before : on reload, the study as it was opened; its volume is opened again. bridged : with its missing slices
        interpolated.
        """
        there = self.reader.readings.of((series_uid, which, bridged)) if before is None else None
        if there is not None:
            self.show_reading(there)
        else:
            self.opening.open(series_uid, which, before, bridged)

    def reload(self) -> None:
        """Opens the open study again with all instances that have come; its session stays."""
        if self.opened is None:
            return
        if self.works.busy:
            self.say(tr("Something is still being done; reload when it has ended."), bad=True)
            return
        self.opened.session.settle()  # it is read from its file
        self.open_series(self.opened.series.uid, before=self.opened, bridged=self.opened.session.bridged)

    def _show_preview(self, picture: Picture) -> None:
        self.preview.show_picture(PaneImage(picture, False, image_of(picture)))
        self.preview.show_message(tr("Building the volume …"))
        self.pages.setCurrentWidget(self.preview)

    def _leave_preview(self) -> None:
        if not self.making.busy and self.pages.currentWidget() is self.preview:
            self.pages.setCurrentWidget(self.viewer or self.worklist)

    def _show_study(self, found: Opened) -> None:
        """Makes panes and panels for a study that was opened just now, and shows them."""
        region, bring = self.desk.region_unless_chosen(found), self.desk.studies.volume
        tabs = self.dock.new_tabs()
        steps = make_reading(found, self.keys, self.looks, self.texts, region, bring, tabs)
        self.making.run(steps, self._show_made)

    def _show_made(self, reading: OpenReading) -> None:
        """Shows a study whose panes were made just now, beside what is open of the same patient."""
        found = reading.opened
        self._listen_to(reading)
        for other in self.reader.readings.add(reading):
            self._drop(other)
        self.show_reading(reading)
        closed = self.reader.readings.too_many()
        for other in closed:
            self._drop(other)
        self.open_tabs.show_readings(self.reader.readings, reading)
        self._mark_series()
        self.say(*said_of_opening(found, closed))
        if found.session.screen.compared is not None:
            self._bring(found.session.screen.compared)
        self.ready.emit()

    def _listen_to(self, reading: OpenReading) -> None:
        """Listens to the panes and panels of a study."""
        found, viewer, report = reading.opened, reading.viewer, reading.report
        self.pages.addWidget(viewer)
        found.session.refused = self.refused
        report.signed.connect(self.signing.sign_and_deliver)
        reading.tray.export.connect(self.export_captures)
        reading.tray.compare.connect(self.compare_prior)
        for pane in viewer.panes.values():
            self.drops.watch(pane)  # also where it is in a window of its own
        viewer.chose_tool.connect(lambda tool: self.menus.actions[tool].setChecked(True))
        viewer.said.connect(self.say)
        viewer.words_wanted.connect(self._ask_words)
        viewer.prior_wanted.connect(self.priors.ask)
        viewer.targets_wanted.connect(self.targets.ask)
        viewer.work_wanted.connect(self.works.run)
        viewer.changed.connect(partial(self._changed, reading))
        for edit in report.fields.values():
            edit.textChanged.connect(self.changed_soon)
        for box in (report.region, report.required, report.concurrent):
            box.activated.connect(self.changed_soon)
        volume, modality = found.session.volume, found.series.modality

        def suiting() -> None:  # whether there is dye is seen in the voxels, which takes a moment
            self._suiting.emit(reading, protocols_for(volume, modality))

        viewer.first_drawn.connect(lambda: viewer.drawer.ask_errand(suiting, tell=False))
        viewer.first_drawn.connect(self.browser.go_on)

    def show_reading(self, reading: OpenReading) -> None:
        """Shows one of the open series."""
        if reading is self.reading:
            return
        self._put_away()
        self.reader.reading, found = reading, reading.opened
        self.reader.readings.used(reading)
        self.reader.signed = found.session.sealed
        self.dock.fill(reading.tabs, self.signing.charge, tr("Charge"), found.identity.person or found.title)
        self.pages.setCurrentWidget(reading.viewer)
        self._show_title()
        self.dock.setVisible(not self.dock.folded)
        if not self._has_layout:
            self._has_layout = True
            self.resizeDocks([self.dock], [_DOCK_PX], Qt.Orientation.Horizontal)
        self._offer(reading)
        reading.viewer.choose_tool(reading.viewer.tool)
        self.arrival.follow(found)
        self.open_tabs.show_readings(self.reader.readings, reading)
        self.browser.follow(found.series.uid, later=not reading.viewer.has_drawn)
        self._place_browser()
        self.show_signed()
        self.acts.seen()
        self._changed(reading)
        reading.viewer.refresh()
        if self.screen_lock.covered:
            self.screen_lock.cover()  # locked while it was being opened

    def next_series(self, step: int = 1) -> None:
        """Shows the next of the open series."""
        if self.reading is not None and len(self.reader.readings) > 1:
            self.show_reading(self.reader.readings.after(self.reading, step))

    def close_reading(self, reading: OpenReading) -> None:
        """Closes one of the open series; its session file keeps the work. The last one leads back to the work list."""
        if len(self.reader.readings) == 1:
            self.back_to_list()
            return
        self._drop(reading)
        last = self.reader.readings.last_used()
        if self.reading is None and last is not None:
            self.show_reading(last)
        self.open_tabs.show_readings(self.reader.readings, self.reading)
        self._mark_series()

    def _ask_words(self, number: int) -> None:
        """Asks for the words of a text or an arrow, which is drawn already."""
        viewer = self.viewer
        words = dialogs.Named.ask(tr("Words on the picture"), tr("Words"), self)
        if viewer is not None and viewer is self.viewer:  # else another study is shown by now
            viewer.do(measure_edits.reworded, number, words)
            viewer.select(None)

    def _offer(self, reading: OpenReading) -> None:
        """Fills the menus with the protocols and comparisons of a study."""
        self.menus.for_a_study(True)
        self._offer_protocols(reading, reading.protocols)
        self._offer_comparisons(self.menus)

    def _offer_protocols(self, reading: OpenReading, protocols: list[Protocol] | None) -> None:
        """Fills the menu with the protocols that suit the study."""
        reading.protocols = protocols
        if reading is not self.reading:
            return
        for protocol in protocols or ():
            self.menus.offer(self.menus.protocols, tr(protocol.title), partial(self.capturing.run_protocol, protocol))

    def _put_away(self) -> None:
        """Takes what is on the screen away; it stays open."""
        if self.reading is None:
            return
        self.dock.empty()
        self.reading.viewer.rest()
        self.reader.reading = None
        self.menus.for_a_study(False)

    def _drop(self, reading: OpenReading) -> None:
        """Closes a series; its session file has the work."""
        if reading is self.reading:
            self._put_away()
        self.reader.readings.remove(reading)
        reading.viewer.close_session()
        self.pages.removeWidget(reading.viewer)
        self.dock.drop(reading.tabs, self.signing.charge)
        reading.viewer.deleteLater()

    def close_study(self) -> None:
        """Closes all that is open."""
        if self.reading is None:
            return
        self.arrival.follow(None)
        self.pages.setCurrentWidget(self.worklist)
        for reading in self.reader.readings:
            self._drop(reading)
        self.dock.begin_anew()
        self.open_tabs.show_readings(self.reader.readings, None)
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

    def acted(self, act: EventKind, recipe: Recipe | None = None) -> None:
        """Journals an act of the person who is signed in."""
        self.acts.acted(act, recipe)

    def _changed(self, reading: OpenReading) -> None:
        """Journals what has changed in a series, and shows it where that one is on the screen."""
        self.acts.changed(reading)
        if reading is not self.reading:
            return
        session = reading.opened.session
        self.menus.actions["undo"].setEnabled(session.can_undo)
        self.menus.actions["redo"].setEnabled(session.can_redo)
        self._mark_series()
        self.changed_soon()

    def changed_soon(self) -> None:
        """Has the decision about the charge shown anew after a moment."""
        self.signing.soon.start()

    def show_panel(self, number: int) -> None:
        """Shows a panel of the study, its first field ready for the keyboard."""
        if self.opened is None:
            return
        Pane.wait_for_mouse()
        self.dock.reveal(number)
        panel = self.tabs.currentWidget()
        first = self.report.fields["indication"] if panel is self.report and self.report is not None else panel
        if first is not None:
            first.setFocus(Qt.FocusReason.ShortcutFocusReason)

    # ------------------------------------------------------------------------------------------------ people

    def sign_in_or_lock(self) -> None:
        """Signs a person in. Signs the current one out first, and hides all patient data in between."""
        self.screen_lock.sign_in_or_lock()
        self.changed_soon()

    def _close_windows(self) -> None:
        """Puts away what shows a patient in a window of its own."""
        if self.viewer is not None:
            self.viewer.dock_pane()
        self._hidden_2d = [each for each in self.findChildren(StackViewer) if each.isVisible()]
        for each in self._hidden_2d:
            each.hide()  # not closed: its key images may not be stored yet

    def _cover(self, covered: bool) -> None:
        """Hides everything that tells of a patient, whether it is there now or comes later; or shows it again."""
        self._show_title()
        self.centralWidget().setVisible(not covered)
        if covered:
            for dock in (self.dock, self.browser):
                dock.hide()
        else:
            self.dock.setVisible(self.viewer is not None and not self.dock.folded)
            self._place_browser()
        self.menus.cover(covered)
        if self.reading is not None and not covered:
            self._changed(self.reading)
        if not covered:
            for each in self._hidden_2d:
                each.show()
            self._hidden_2d = []

    def _show_title(self) -> None:
        """Says in the title whose study is open, but not where the window is covered."""
        shown = self.opened.title if self.opened is not None and not self.screen_lock.covered else ""
        self.setWindowTitle(f"{shown} — {_product()}" if shown else _product())

    def say(self, sentence: str, bad: bool = False) -> None:
        """Shows a sentence in the window, never in a dialog. A bad one stays until the next. While the window is
        covered nothing is said, as it may tell of a patient; the last sentence waits."""
        if self.screen_lock.holds_back(sentence, bad):
            return
        self.statusBar().setStyleSheet(f"QStatusBar {{ color: {COLOURS[self.theme]['bad']}; }}" if bad else "")
        self.statusBar().showMessage(tr(sentence), 0 if bad else 8000)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self.menus.fit(self.width())

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        self.settings.setValue("geometry", self.saveGeometry())
        self.settings.setValue("docks", self.saveState(_LAYOUT_VERSION))
        self.making.stop()
        self.signing.stop()
        self.close_study()
        self.worklist.stop()
        self.arrival.stop()
        self.browser.stop()
        self.works.end()  # what was signed goes on at the next start
        self.desk.close()
        super().closeEvent(event)


def _product() -> str:
    return tr("3D workstation — not cleared for diagnosis")
