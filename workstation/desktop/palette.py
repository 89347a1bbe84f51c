"""The command palette: every command by its name, a few letters of it are enough."""

import re
from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QAction, QKeyEvent
from PySide6.QtWidgets import QDialog, QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from workstation.desktop.language import tr

_MOVES = {Qt.Key.Key_Down, Qt.Key.Key_Up, Qt.Key.Key_PageDown, Qt.Key.Key_PageUp}


class CommandPalette(QDialog):
    """A field to search in and the commands found, by name. Return runs the one that is selected; chosen : that one."""

    def __init__(self, commands: Sequence[tuple[str, QAction]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Commands"))
        self.resize(560, 420)
        self.chosen: QAction | None = None
        self._commands = [(name, action) for name, action in commands if action.isEnabled()]
        self.search, self.list = QLineEdit(), QListWidget()
        self.search.setPlaceholderText(tr("What do you want to do?"))
        self.search.setAccessibleName(tr("Search the commands"))
        self.list.setAccessibleName(tr("Commands"))
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)  # the key at the end stays
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.search.textChanged.connect(self._filter)
        self.search.installEventFilter(self)
        self.search.returnPressed.connect(self.accept)
        self.list.itemActivated.connect(lambda _: self.accept())
        layout = QVBoxLayout(self)
        layout.addWidget(self.search)
        layout.addWidget(self.list)
        self._filter("")

    def _filter(self, text: str) -> None:
        self.list.clear()
        found = [(rank, path, action) for path, action in self._commands if (rank := matched(text, path)) is not None]
        for _, path, action in sorted(found, key=lambda each: (each[0], each[1])):
            key = action.shortcut().toString()
            item = QListWidgetItem(f"{path}   [{key}]" if key else path)
            item.setData(Qt.ItemDataRole.UserRole, action)
            self.list.addItem(item)
        self.list.setCurrentRow(0)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        """Arrows in the field move through the list."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress and event.key() in _MOVES:
            by = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1, Qt.Key.Key_PageDown: 10, Qt.Key.Key_PageUp: -10}
            row = self.list.currentRow() + by[Qt.Key(event.key())]
            self.list.setCurrentRow(min(max(row, 0), self.list.count() - 1))
            return True
        return super().eventFilter(watched, event)

    def accept(self) -> None:
        item = self.list.currentItem()
        if item is not None:
            self.chosen = item.data(Qt.ItemDataRole.UserRole)
            super().accept()


def matched(text: str, name: str) -> int | None:
    """Returns how well a name fits: 0 where it begins with the text, 1 where all its words begin words of it, 2 where
    it holds them, 3 where it has its letters in their order; None where it does not fit."""
    wanted, full = text.casefold().strip(), name.casefold()
    if any(part.strip().startswith(wanted) for part in full.split("›")):
        return 0
    begun = re.findall(r"\w+", full)
    if all(any(word.startswith(each) for word in begun) for each in wanted.split()):
        return 1
    if all(word in full for word in wanted.split()):
        return 2
    letters = iter(full)
    return 3 if all(letter in letters for letter in wanted.replace(" ", "")) else None
