"""What helps to find one's way: every command by its name, the keys, the guide."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMainWindow

from workstation.desktop import dialogs
from workstation.desktop.guide import Guide
from workstation.desktop.menus import Menus
from workstation.desktop.model.keys import Keys
from workstation.desktop.open_readings import DeskReader
from workstation.desktop.palette import CommandPalette


class HelpCommands:
    """Helps in a window. guide : through a first study, once it was asked for."""

    def __init__(self, reader: DeskReader, keys: Keys, menus: Menus, window: QMainWindow) -> None:
        self._reader, self._keys, self._menus, self._window = reader, keys, menus, window
        self.guide: Guide | None = None

    def show_commands(self) -> None:
        """Shows every command, to be found by its name."""
        palette = CommandPalette(self._menus.commands(), self._window)
        if palette.exec() and palette.chosen is not None:
            palette.chosen.trigger()

    def show_keys(self) -> None:
        """Shows every key."""
        dialogs.Help(self._keys, self._window).exec()

    def show_guide(self) -> None:
        """Shows or hides the guide."""
        if self.guide is None:
            self.guide = Guide(self._reader, self._keys, self._window)
            self._window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, self.guide)
        else:
            self.guide.setVisible(not self.guide.isVisible())
        self.guide.refresh()

    def tick(self) -> None:
        """Has the guide look at what is done."""
        if self.guide is not None:
            self.guide.refresh()
