"""Keys that a widget acts on itself. For those of lists a shortcut would not do: lists keep their keys from shortcuts,
and a shortcut of the window with the same key would make both of them ambiguous."""

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QApplication,
    QComboBox,
    QListWidget,
    QTableWidget,
    QTreeWidget,
    QWidget,
)


class OwnKeys(QObject):
    """Has a widget act on keys pressed without Ctrl, Alt or Shift while it has the focus; lives as long as it does."""

    def __init__(self, widget: QWidget, keys: tuple[Qt.Key, ...], act: Callable[[], object]) -> None:
        super().__init__(widget)
        self._keys, self._act = keys, act
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            held = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
            if event.key() in self._keys and held == Qt.KeyboardModifier.NoModifier:
                self._act()
                return True
        return super().eventFilter(watched, event)


class KeysBeforeShortcuts(QObject):
    """Has a key that a list, a box or a button uses go to it before the shortcuts, in every window of the program."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        application = QApplication.instance()
        if isinstance(application, QApplication):
            application.focusChanged.connect(self._follow)

    def _follow(self, old: QWidget | None, now: QWidget | None) -> None:
        """Watches the widget that has the keys, and no other: what all of them get is too much for Python."""
        if old is not None:
            old.removeEventFilter(self)
        if now is not None:
            now.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        overriding = event.type() == QEvent.Type.ShortcutOverride
        if overriding and isinstance(event, QKeyEvent) and is_its_own(watched, event):
            event.accept()
            return True
        return False


def is_its_own(watched: QObject, event: QKeyEvent) -> bool:
    """Returns whether a widget uses a key itself: arrows in lists, letters in the work list and in boxes, Space on a
    button."""
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
