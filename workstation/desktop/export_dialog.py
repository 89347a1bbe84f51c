"""Which captures are written as files, in which formats, and where."""

from pathlib import Path

from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QFileDialog,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from workstation.desktop.dialogs import buttons, error_line
from workstation.desktop.language import tr
from workstation.desktop.model.exporting import FORMAT_TITLES, ExportWanted
from workstation.desktop.model.screen import Capture
from workstation.desktop.plain import PlainLabel
from workstation.export.captures import ExportFormat

_FIRST: tuple[ExportFormat, ...] = ("png",)
WHICH = ("All captures", "Those for the report", "The chosen one")


class ExportDialog(QDialog):
    """Asks what is to be written. captures : of the tray. chosen : the number of the chosen one, -1 for none. wanted :
    what was asked for, once accepted."""

    def __init__(self, captures: tuple[Capture, ...], chosen: int, folder: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Export captures"))
        self.resize(560, 420)
        self._captures, self._chosen = captures, chosen
        self.wanted: ExportWanted | None = None
        self.which, self.folder, self.error = QComboBox(), QLineEdit(folder), error_line()
        for title in WHICH:
            self.which.addItem(tr(title))
        self.which.setAccessibleName(tr("Pictures"))
        self.folder.setAccessibleName(tr("Folder"))
        self.formats: dict[ExportFormat, QCheckBox] = {}
        box = QGroupBox(tr("Formats"))
        column = QVBoxLayout(box)
        for name, title in FORMAT_TITLES.items():
            self.formats[name] = QCheckBox(tr(title))
            self.formats[name].setChecked(name in _FIRST)
            column.addWidget(self.formats[name])
        self.identity = QCheckBox(tr("Write name, ID, birth date and study into the pictures"))
        hint = PlainLabel(
            tr("Letters, scale and measures are written into the pictures; nothing of it into DICOM planes.")
        )
        hint.setWordWrap(True)
        browse = QPushButton(tr("Choose …"))
        browse.clicked.connect(lambda _=False: self._browse())
        place = QHBoxLayout()
        place.addWidget(self.folder, 1)
        place.addWidget(browse)
        form = QFormLayout(self)
        form.addRow(tr("Pictures"), self.which)
        form.addRow(box)
        form.addRow(self.identity)
        form.addRow(hint)
        form.addRow(tr("Folder"), place)
        form.addRow(self.error)
        form.addRow(buttons(self, tr("Export")))

    def _browse(self) -> None:
        found = QFileDialog.getExistingDirectory(self, tr("Folder"), self.folder.text())
        if found:
            self.folder.setText(found)

    def accept(self) -> None:
        formats = tuple(name for name, box in self.formats.items() if box.isChecked())
        of_each = (
            self._captures,
            tuple(capture for capture in self._captures if capture.key),
            self._captures[self._chosen : self._chosen + 1] if self._chosen >= 0 else (),
        )
        captures, folder = of_each[self.which.currentIndex()], self.folder.text().strip()
        if not captures:
            self.error.setText(tr("No capture is ticked or chosen; choose others."))
        elif not formats:
            self.error.setText(tr("Choose a format."))
        elif not folder:
            self.error.setText(tr("Choose a folder."))
        else:
            self.wanted = ExportWanted(captures, formats, Path(folder), self.identity.isChecked())
            super().accept()
