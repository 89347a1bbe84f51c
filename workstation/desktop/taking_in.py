"""Files and series taken in from elsewhere: dropped, out of a folder, or fetched from another node."""

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QFileDialog, QWidget

from workstation.desktop import dialogs
from workstation.desktop.background import Works
from workstation.desktop.language import tr
from workstation.desktop.model.desk import ReadingDesk
from workstation.desktop.open_readings import DeskReader


class TakingIn(QObject):
    """Takes in what the reader names. came : the archive may hold more now. say : shows a sentence, in red where it is
    a bad one."""

    came = Signal()

    def __init__(
        self, desk: ReadingDesk, reader: DeskReader, works: Works, say: Callable[[str, bool], None], window: QWidget
    ) -> None:
        super().__init__(window)
        self._desk, self._reader, self._works, self._say, self._window = desk, reader, works, say, window

    def paths(self, paths: list[str]) -> None:
        """Takes in files, and all that is in folders."""

        def done(count: object) -> None:
            said = tr("{count} instances taken in.", count=count) if count else tr("There is no DICOM file there.")
            self._say(said, not count)
            self.came.emit()

        desk, person = self._desk, self._reader.person
        self._works.run(lambda tell: sum(desk.take_in(Path(p), person) for p in paths), done, tr("Taking in"))

    def folder(self) -> None:
        """Asks for a folder, and takes it in."""
        folder = QFileDialog.getExistingDirectory(self._window, tr("Take in a folder of DICOM files"))
        if folder:
            self.paths([folder])

    def query(self) -> None:
        """Shows the query dialog."""
        dialogs.Query(self._desk, self._works, self._window, self._reader.person).exec()
        self.came.emit()
