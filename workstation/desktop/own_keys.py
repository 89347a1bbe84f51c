"""Keys that a list acts on itself. A shortcut would not do: lists keep their keys from shortcuts, and a shortcut of the
window with the same key would make both of them ambiguous."""

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QWidget


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
