"""The main window: the work list, or a study with its panes and panels."""

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QByteArray, QEvent, QObject, QSettings, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QActionGroup, QCloseEvent, QKeySequence
from PySide6.QtWidgets import (
    QApplication,
    QDockWidget,
    QFileDialog,
    QLabel,
    QMainWindow,
    QProgressBar,
    QPushButton,
    QStackedWidget,
    QTabWidget,
    QToolBar,
    QWidget,
)

from dicom_io.evidence import Person
from render import Protocol, View
from workstation.desktop import dialogs
from workstation.desktop import screen as edits
from workstation.desktop.delivery import Desk, Opened, why_not_signable
from workstation.desktop.keys import Keys
from workstation.desktop.looks import protocols_for, windows_for
from workstation.desktop.panels import ChargePanel, LookPanel, Measures, ReportPanel, Tray
from workstation.desktop.theme import Theme, style_sheet
from workstation.desktop.viewer import TOOLS, Viewer
from workstation.desktop.worklist import WorkList
from workstation.journal import SupervisionAct
from workstation.people import readable

_VERDICT_MS = 400  # after the last change
_LOCK_MS = 15 * 60 * 1000  # without a key or a move of the mouse
_PRESENCE = {QEvent.Type.KeyPress, QEvent.Type.MouseMove, QEvent.Type.MouseButtonPress, QEvent.Type.Wheel}


class _Work(QObject):
    """Work beside the window. done : what it returned. failed : a sentence. told : what is being done, part done."""

    done = Signal(object)
    failed = Signal(str)
    told = Signal(str, float)


class MainWindow(QMainWindow):
    """desk : the model of what a desktop can do. person : who is signed in, None for nobody."""

    ready = Signal()  # a study shows its first screen

    def __init__(self, desk: Desk, keys: Keys, settings: QSettings) -> None:
        super().__init__()
        self.desk, self.keys, self.settings = desk, keys, settings
        self.person: Person | None = None
        self.viewer: Viewer | None = None
        self.opened: Opened | None = None
        self.report: ReportPanel | None = None
        self.charge = ChargePanel()
        self._works: list[_Work] = []
        self._opening = ""
        self._actions: dict[str, QAction] = {}
        self.setWindowTitle("3D workstation — not cleared for diagnosis")
        self.pages = QStackedWidget()
        self.setCentralWidget(self.pages)
        self.worklist = WorkList(desk.rows)
        self.worklist.opened.connect(self.open_series)
        self.worklist.dropped.connect(self.import_paths)
        self.pages.addWidget(self.worklist)
        self.who = QLabel()
        self.way_back = QPushButton("Sign in …")
        self.way_back.clicked.connect(self.sign_in_or_lock)
        self.way_back.hide()
        self.statusBar().addPermanentWidget(self.way_back)
        self.statusBar().addPermanentWidget(self.who)
        self.bar = QProgressBar()
        self.bar.setMaximumWidth(220)
        self.bar.hide()
        self.statusBar().addPermanentWidget(self.bar)
        self._verdict_timer = QTimer(self)
        self._verdict_timer.setSingleShot(True)
        self._verdict_timer.setInterval(_VERDICT_MS)
        self._verdict_timer.timeout.connect(self.refresh_verdict)
        self._idle = QTimer(self)
        self._idle.setSingleShot(True)
        self._idle.setInterval(_LOCK_MS)
        self._idle.timeout.connect(self.lock)
        application = QApplication.instance()
        if application is not None:
            application.installEventFilter(self)
        self.charge.fill.connect(self._go_to_field)
        self._make_tools()
        self._make_docks()
        self.set_theme(str(settings.value("theme", "dark")))  # type: ignore[arg-type]
        self._show_person()
        self.resize(1500, 950)
        geometry = settings.value("geometry")
        if isinstance(geometry, QByteArray):
            self.restoreGeometry(geometry)

    # ------------------------------------------------------------------------------------------------ making

    def _make_tools(self) -> None:
        """Every command is in a menu with its key; tools and what is needed all the time are in the bar too."""
        menus = {name: self.menuBar().addMenu(name) for name in ("&Study", "&Tools", "&Edit", "&View", "&3D", "&Help")}
        self.toolbar = QToolBar("Tools")
        self.toolbar.setObjectName("tools")
        self.addToolBar(self.toolbar)
        group = QActionGroup(self)
        for tool in TOOLS:
            action = self._action(tool, tool.capitalize(), partial(self._choose, tool))
            action.setCheckable(True)
            group.addAction(action)
            menus["&Tools"].addAction(action)
            self.toolbar.addAction(action)
        self.toolbar.addSeparator()
        commands: tuple[tuple[str, str, str, Callable[[Viewer], None]], ...] = (
            ("undo", "Undo", "&Edit", Viewer.undo),
            ("redo", "Redo", "&Edit", Viewer.redo),
            ("delete", "Delete last measure", "&Edit", Viewer.delete_measure),
            ("reset", "Reset", "&Edit", Viewer.reset),
            ("layout", "Layout", "&View", Viewer.one_or_four),
            ("next", "Next plane", "&View", lambda v: v.scroll_by(1)),
            ("previous", "Previous plane", "&View", lambda v: v.scroll_by(-1)),
            ("slab_thicker", "Thicker slab", "&View", lambda v: v.thicken(5.0)),
            ("slab_thinner", "Thinner slab", "&View", lambda v: v.thicken(-5.0)),
            ("slab_mode", "Slab: maximum, minimum, average", "&View", Viewer.next_mode),
            ("cine", "Cine", "&View", Viewer.toggle_cine),
            ("style", "Rendering, MIP, MinIP, average", "&3D", Viewer.next_style),
            ("preset", "Next preset", "&3D", Viewer.next_preset),
            ("cut", "Cut before the crosshair", "&3D", lambda v: v.do(edits.cut)),
            ("table", "Without table and holder", "&3D", Viewer.toggle_table),
            ("capture", "Capture", "&Study", lambda v: self._capture(v, 1)),
            ("capture_rotation", "Capture rotation", "&Study", lambda v: self._capture(v, 36)),
        )
        for name, title, menu, command in commands:
            action = self._action(name, title, partial(self._viewer, command))
            menus[menu].addAction(action)
            if name in ("undo", "redo", "layout", "capture"):
                self.toolbar.addAction(action)
        for side in ("anterior", "posterior", "left", "right", "head", "foot"):
            view = View.parse(side)
            menus["&3D"].addAction(self._action(f"view_{side}", f"From {side}", partial(self._see_from, view)))
        for name, title, menu, act in (
            ("worklist", "Work list", "&Study", self.back_to_list),
            ("lock", "Sign in or lock", "&Study", self.sign_in_or_lock),
            ("help", "Keys and mouse", "&Help", lambda: dialogs.Help(self.keys, self).exec()),
        ):
            action = self._action(name, title, act)
            menus[menu].addAction(action)
            if name != "help":
                self.toolbar.addAction(action)
        self.protocols = menus["&Study"].addMenu("Protocol")
        self.protocols.setEnabled(False)
        take_in = QAction("Take in a folder …", self)
        take_in.triggered.connect(self._take_in_folder)
        menus["&Study"].addAction(take_in)
        theme = QAction("Light or dark", self)
        theme.triggered.connect(lambda: self.set_theme("light" if self.theme == "dark" else "dark"))
        menus["&View"].addAction(theme)

    def _take_in_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Take in a folder of DICOM files")
        if folder:
            self.import_paths([folder])

    def _action(self, name: str, title: str, act: Callable[[], object]) -> QAction:
        action = QAction(title, self)
        action.setShortcut(QKeySequence(self.keys.keys[name]))
        action.setToolTip(f"{title}  ({self.keys.keys[name]})")
        # Letters are text while somebody writes, so they count in the panes and nowhere else.
        action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
        action.triggered.connect(lambda _=False: act())
        self.addAction(action)
        self._actions[name] = action
        return action

    def _make_docks(self) -> None:
        self.tabs = QTabWidget()
        self.dock = QDockWidget("Study", self)
        self.dock.setObjectName("study")
        self.dock.setWidget(self.tabs)
        self.dock.setMinimumWidth(340)
        self.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.dock)
        self.dock.hide()

    def set_theme(self, theme: Theme) -> None:
        self.theme: Theme = "light" if theme == "light" else "dark"
        self.setStyleSheet(style_sheet(self.theme))
        self.settings.setValue("theme", self.theme)

    # ------------------------------------------------------------------------------------------------ opening

    def beside(
        self, work: Callable[[Callable[[str, float], None]], object], done: Callable[[object], None], what: str
    ) -> None:
        """Runs work on a thread of its own; the window goes on. Errors become sentences in the status bar."""
        carrier = _Work()
        self._works.append(carrier)

        def ended() -> None:
            self._works.remove(carrier)
            self.bar.setVisible(bool(self._works))

        def well(found: object) -> None:
            ended()
            done(found)

        def badly(sentence: str) -> None:
            ended()
            self._opening = ""
            self.say(sentence, bad=True)

        carrier.done.connect(well)
        carrier.failed.connect(badly)
        carrier.told.connect(self._told)

        def run() -> None:
            try:
                found = work(carrier.told.emit)
            except Exception as error:  # noqa: BLE001 - whatever it is, a person reads a sentence and goes on
                carrier.failed.emit(f"{what}: {error}")
            else:
                carrier.done.emit(found)

        self._told(what, 0.0)
        threading.Thread(target=run, name="beside", daemon=True).start()

    def _told(self, what: str, part: float) -> None:
        self.bar.show()
        self.bar.setFormat(what)
        self.bar.setValue(round(100 * part))

    def open_series(self, series_uid: str) -> None:
        if self._opening == series_uid:
            return  # asked twice: one double-click too many
        self._opening = series_uid
        self.beside(lambda tell: self.desk.open(series_uid, tell), self._show_study, "Opening")

    def import_paths(self, paths: list[str]) -> None:
        def work(tell: Callable[[str, float], None]) -> object:
            return sum(self.desk.take_in(Path(path)) for path in paths)

        def done(count: object) -> None:
            self.say(f"{count} instances taken in." if count else "There is no DICOM file there.", bad=not count)
            self.worklist.refresh()

        self.beside(work, done, "Taking in")

    def _show_study(self, found: object) -> None:
        assert isinstance(found, Opened)
        self._opening = ""
        self.close_study()
        self.opened = found
        viewer = Viewer(found.session, self.desk.engine_for, self.keys.buttons)
        self.viewer = viewer
        self.pages.addWidget(viewer)
        self.pages.setCurrentWidget(viewer)
        self.report = ReportPanel(viewer)
        self.report.signed.connect(self.sign_and_deliver)
        for widget, title in (
            (LookPanel(viewer), "Look"),
            (Tray(viewer), "Captures"),
            (Measures(viewer), "Measures"),
            (self.report, "Report"),
            (self.charge, "Charge"),
        ):
            self.tabs.addTab(widget, title)
        self.dock.setWindowTitle(found.title)
        self.dock.show()
        self._window_keys(viewer)
        self._offer_protocols(found)
        viewer.chose_tool.connect(lambda tool: self._actions[tool].setChecked(True))
        viewer.said.connect(self.say)
        viewer.changed.connect(self._changed)
        for edit in self.report.fields.values():
            edit.textChanged.connect(self._verdict_timer.start)
        for box in (self.report.required, self.report.concurrent):
            box.activated.connect(self._verdict_timer.start)
        viewer.choose_tool("window")
        self.say(found.warning or f"{found.title} is open.", bad=bool(found.warning))
        self._changed()
        self.ready.emit()

    def _window_keys(self, viewer: Viewer) -> None:
        for window in windows_for(viewer.session.volume.unit):
            if window.key:
                action = QAction(window.title, viewer)
                action.setShortcut(QKeySequence(window.key))
                action.triggered.connect(lambda _=False, name=window.name: viewer.choose_window(name))
                viewer.addAction(action)

    def _offer_protocols(self, found: Opened) -> None:
        self.protocols.clear()
        for protocol in protocols_for(found.session.volume, found.series.modality):
            self.protocols.addAction(protocol.title).triggered.connect(partial(self._run_protocol, protocol))
        self.protocols.setEnabled(bool(self.protocols.actions()))

    def _run_protocol(self, protocol: Protocol, _: bool = False) -> None:
        """All pictures of a protocol into the tray; they are drawn when the study is signed."""
        if self.viewer is not None:
            self.viewer.do(edits.collected, protocol.recipes)
            self._acted("image_selection")
            self.say(f"{protocol.title}: {len(protocol.recipes)} pictures captured.")

    def close_study(self) -> None:
        if self.viewer is None:
            return
        self.viewer.close_session()
        self.pages.setCurrentWidget(self.worklist)
        self.pages.removeWidget(self.viewer)
        while self.tabs.count():
            widget = self.tabs.widget(0)
            self.tabs.removeTab(0)
            if widget is not None and widget is not self.charge:
                widget.deleteLater()
        self.viewer.deleteLater()
        self.viewer, self.report, self.opened = None, None, None
        self.protocols.setEnabled(False)
        self.dock.hide()

    def back_to_list(self) -> None:
        """What was done stays in the session's file and comes back with the study."""
        self.close_study()
        self.worklist.refresh()

    # ------------------------------------------------------------------------------------------------ work

    def _viewer(self, command: Callable[[Viewer], object]) -> None:
        if self.viewer is not None:
            command(self.viewer)

    def _choose(self, tool: str) -> None:
        if self.viewer is not None:
            self.viewer.choose_tool(tool)

    def _see_from(self, view: View) -> None:
        if self.viewer is not None:
            self.viewer.do(edits.seen_from, view)

    def _capture(self, viewer: Viewer, frames: int) -> None:
        viewer.capture(frames)
        self._acted("image_selection")

    def _acted(self, act: SupervisionAct) -> None:
        if self.person is not None and self.person.role == "physician" and self.opened is not None:
            self.opened.session.acted(act)

    def _changed(self) -> None:
        if self.viewer is None:
            return
        session = self.viewer.session
        if session.can_undo:
            self._acted("view_adjustment")
        self._actions["undo"].setEnabled(session.can_undo)
        self._actions["redo"].setEnabled(session.can_redo)
        self._verdict_timer.start()

    def refresh_verdict(self) -> None:
        """The decision as it would be now."""
        if self.opened is None or self.report is None:
            return
        self.report.allow_signing(why_not_signable(self.person, self.opened.session))
        self.charge.show_verdict(self.desk.verdict(self.opened, self.person))

    def _go_to_field(self, name: str) -> None:
        if self.report is None:
            return
        if name == "captures":
            self.tabs.setCurrentIndex(1)
            return
        others: dict[str, QWidget] = {"required": self.report.required, "concurrent": self.report.concurrent}
        field = self.report.fields.get(name) or others.get(name, self.report)
        self.tabs.setCurrentWidget(self.report)
        self.report.ensureWidgetVisible(field)
        field.setFocus()

    def sign_and_deliver(self) -> None:
        if self.opened is None or self.person is None:
            return
        dialog = dialogs.Sign(self.desk.people, self.person, self)
        if not dialog.exec():
            return
        opened, person = self.opened, self.person
        self._acted("approval")

        def done(outcome: object) -> None:
            self.say(str(outcome))
            self.charge.show_verdict(self.desk.verdict(opened, person))

        self.beside(lambda tell: self.desk.deliver(opened, person, tell), done, "Signing and delivering")

    # ------------------------------------------------------------------------------------------------ people

    def sign_in_or_lock(self) -> None:
        """Signs somebody in. Who is signed in is signed out first, and nothing of a patient is seen in between."""
        if self.person is not None:
            self.lock()
        dialog = dialogs.SignIn(self.desk.people, self)
        if dialog.exec() and dialog.person is not None:
            self.person = dialog.person
            self._uncover()
        self._show_person()
        self._verdict_timer.start()

    def lock(self) -> None:
        """Signs out and covers what is on the screen; the study stays open behind it."""
        if self.person is None:
            return
        self.person = None
        self._show_person()
        self.pages.hide()
        self.dock.hide()
        self.toolbar.setEnabled(False)
        self.menuBar().setEnabled(False)
        for name, action in self._actions.items():
            action.setEnabled(name == "lock")  # keys reach actions whose menus are disabled
        self.way_back.show()
        self.say("Locked. Sign in to go on.", bad=True)
        self._idle.stop()

    def _uncover(self) -> None:
        self.pages.show()
        self.dock.setVisible(self.viewer is not None)
        self.toolbar.setEnabled(True)
        self.menuBar().setEnabled(True)
        for action in self._actions.values():
            action.setEnabled(True)
        self._changed()
        self.way_back.hide()
        self.say("")
        self._idle.start()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        """Any key or move of the mouse says that somebody is there."""
        if event.type() in _PRESENCE and self._idle.isActive():
            self._idle.start()
        return super().eventFilter(watched, event)

    def _show_person(self) -> None:
        if self.person is None:
            self.who.setText("Nobody is signed in")
        else:
            self.who.setText(f"{readable(self.person.name)} ({self.person.role})")

    def say(self, sentence: str, bad: bool = False) -> None:
        """A sentence in place, never a box. A bad one stays until the next."""
        self.statusBar().setStyleSheet("color: #e5806b;" if bad else "")
        self.statusBar().showMessage(sentence, 0 if bad else 8000)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        self.settings.setValue("geometry", self.saveGeometry())
        self.close_study()
        self.worklist.stop()
        self.desk.close()
        super().closeEvent(event)
