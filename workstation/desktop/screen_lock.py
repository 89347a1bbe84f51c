"""Signing in and out. While nobody is signed in after a lock, nothing on the screen tells of a patient."""

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QTimer, Signal
from PySide6.QtGui import QWindow
from PySide6.QtWidgets import QApplication, QDialog, QPushButton, QWidget

from dicom_io.person_names import listed
from workstation.desktop import dialogs
from workstation.desktop.language import tr
from workstation.desktop.model.desk import ReadingDesk
from workstation.desktop.open_readings import DeskReader
from workstation.desktop.plain import PlainLabel

_LOCK_MS = 15 * 60 * 1000  # locks after this time without a key or mouse move
_PRESENCE = {QEvent.Type.KeyPress, QEvent.Type.MouseMove, QEvent.Type.MouseButtonPress, QEvent.Type.Wheel}


class ScreenLock(QObject):
    """Signs people in and out of a window, and covers it in between.

    covered : nothing of a patient may be shown. idle : runs out when nobody has touched anything for 15 minutes.
    who, way_back : widgets for the status bar, which say who is signed in and, on a covered window, sign in.
    locking : about to be covered; what shows a patient in a window of its own goes away. covering : whether the window
    is covered from now on. came : somebody has signed in. say : shows a sentence, in red where it is a bad one.
    """

    locking = Signal()
    covering = Signal(bool)
    came = Signal()

    def __init__(
        self, desk: ReadingDesk, reader: DeskReader, window: QWidget, say: Callable[[str, bool], None]
    ) -> None:
        super().__init__(window)
        self._desk, self._reader, self._window, self._say = desk, reader, window, say
        self.covered, self._unsaid = False, ("", False)  # what is not said while the window is covered
        self.who = PlainLabel()
        self.way_back = QPushButton(tr("Sign in …"))
        self.way_back.hide()
        self.idle = QTimer(self)
        self.idle.setSingleShot(True)
        self.idle.setInterval(_LOCK_MS)
        self.idle.timeout.connect(self.lock)
        application = QApplication.instance()
        if isinstance(application, QApplication):
            application.focusWindowChanged.connect(self._watch)
            self._watch(application.focusWindow())
        self._show_person()

    def sign_in_or_lock(self) -> None:
        """Signs a person in. Signs the current one out first, and hides all patient data in between."""
        if self._reader.person is not None:
            self.lock()
        dialog = dialogs.SignIn(self._desk.people, self._window)
        dialog.refused.connect(lambda who: self._desk.signed_in(who, refused=True))
        if dialog.exec() and dialog.person is not None:
            self._reader.person = dialog.person
            self._desk.signed_in(dialog.person.id)
            self.uncover()
            self.came.emit()
        self._show_person()

    def lock(self) -> None:
        """Signs out and covers the window; the study stays open behind the cover."""
        if self._reader.person is None:
            return
        self._desk.signed_in(self._reader.person.id, out=True)
        self._reader.person = None
        self._show_person()
        self.locking.emit()
        for dialog in self._window.findChildren(QDialog):  # each may show a patient
            dialog.reject()
        self._say(tr("Locked. Sign in to go on."), True)
        self.cover()
        self.idle.stop()

    def cover(self) -> None:
        """Hides everything that tells of a patient, whether it is there now or comes from work that is still done."""
        self.covered = True
        self.covering.emit(True)
        self.way_back.show()

    def uncover(self) -> None:
        """Shows everything again, and says what was not said meanwhile."""
        self.covered = False
        self.covering.emit(False)
        self.way_back.hide()
        self._say(*self._unsaid)
        self._unsaid = ("", False)
        self.idle.start()

    def holds_back(self, sentence: str, bad: bool) -> bool:
        """Returns whether a sentence may not be said now, as it may tell of a patient. The last one waits; a bad one is
        not lost for a good one."""
        if self.covered and (bad or not self._unsaid[1]):
            self._unsaid = (sentence, bad)
        return self.covered

    def _watch(self, window: QWindow | None) -> None:
        """Watches a window of the screen from the first time that it has the keys. It alone gets what a person does;
        the widgets in it also get thousands of other events."""
        if window is not None:
            window.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        """Restarts the idle timer at any key or mouse move."""
        if self.idle.isActive() and event.type() in _PRESENCE:
            self.idle.start()
        return False

    def _show_person(self) -> None:
        person = self._reader.person
        named = tr("Nobody is signed in") if person is None else f"{listed(person.name)} ({tr(person.role)})"
        self.who.setText(named)
