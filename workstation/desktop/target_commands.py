"""Target lesions by RECIST 1.1: which lesions they are, the sum of their diameters, and what goes into the report."""

import re
from collections.abc import Callable

from PySide6.QtCore import QRegularExpression, Qt
from PySide6.QtGui import QRegularExpressionValidator
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from workstation.desktop import dialogs
from workstation.desktop.language import tr
from workstation.desktop.measure_marks import names_said
from workstation.desktop.model import measure_edits
from workstation.desktop.model.screen import EarlierSums, Screen, Target
from workstation.desktop.model.target_lesions import targets_shown
from workstation.desktop.open_readings import DeskReader
from workstation.desktop.plain import PlainLabel
from workstation.desktop.sizes import open_with
from workstation.desktop.viewer import Viewer
from workstation.records.recist import Seen, in_words

_NAME, _ORGAN, _NODE, _SEEN = range(4)
_COLUMNS = ("Target lesion", "Organ", "Lymph node", "Now")
SEEN_TITLES: dict[Seen, str] = {"measured": "as measured", "gone": "gone", "too small": "too small to measure"}
_LONGEST = 64
# A sum in mm, with a point or a comma.
_SUM = QRegularExpression(r"\d{0,4}(?:[.,]\d?)?")


class TargetCommands:
    """Asks which lesions are targets, and takes their sum into the report."""

    def __init__(self, reader: DeskReader, say: Callable[[str, bool], None], parent: QWidget) -> None:
        self._reader, self._say, self._parent = reader, say, parent

    def ask(self) -> None:
        """Shows the lesions of the study on the screen."""
        reading = self._reader.reading
        if reading is None:
            return
        viewer = reading.viewer
        if not any(measure.kind == "lesion" for measure in viewer.session.screen.measures):
            self._say(tr("Measure a lesion first."), True)
            return
        dialog = TargetsDialog(viewer, self._parent)
        if not dialog.exec() or self._reader.reading is not reading:
            return
        before = words_of(viewer, viewer.session.screen)
        viewer.do(measure_edits.with_targets, dialog.targets, dialog.sums)
        if dialog.taken and not viewer.session.sealed:
            reading.report.put("targets", words_of(viewer, viewer.session.screen), before)
            self._say(tr("The target lesions are in the findings."), False)


class TargetsDialog(QDialog):
    """Which lesions are targets, where, and earlier sums; below, what they say. taken : for the findings as well."""

    def __init__(self, viewer: Viewer, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Target lesions (RECIST 1.1)"))
        self._viewer, screen = viewer, viewer.session.screen
        names = names_said(screen.measures)
        self._numbers = [n for n, measure in enumerate(screen.measures) if measure.kind == "lesion"]
        self.taken = False
        self.table = QTableWidget(len(self._numbers), len(_COLUMNS))
        self.table.setHorizontalHeaderLabels([tr(title) for title in _COLUMNS])
        self.table.setAccessibleName(tr("Target lesions (RECIST 1.1)"))
        self.table.verticalHeader().hide()
        self.table.setTabKeyNavigation(False)
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.table.horizontalHeader().setSectionResizeMode(_ORGAN, QHeaderView.ResizeMode.Stretch)
        for row, number in enumerate(self._numbers):
            target = screen.measures[number].target
            named, organ, node = QTableWidgetItem(names[number]), QTableWidgetItem(), QTableWidgetItem()
            for item, ticked in ((named, target is not None), (node, target is not None and target.lymph_node)):
                item.setFlags((item.flags() | Qt.ItemFlag.ItemIsUserCheckable) & ~Qt.ItemFlag.ItemIsEditable)
                item.setCheckState(Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked)
            organ.setText(target.organ if target is not None else "")
            seen = QComboBox()
            for value, title in SEEN_TITLES.items():
                seen.addItem(tr(title), value)
            seen.setCurrentIndex(seen.findData(target.seen if target is not None else "measured"))
            seen.setAccessibleName(f"{names[number]}: {tr('Now')}")
            seen.currentIndexChanged.connect(self._show)
            for column, cell in ((_NAME, named), (_ORGAN, organ), (_NODE, node)):
                self.table.setItem(row, column, cell)
            self.table.setCellWidget(row, _SEEN, seen)
        self.baseline, self.nadir = (
            self._sum_field(value) for value in (screen.earlier_sums.baseline_mm, screen.earlier_sums.nadir_mm)
        )
        self.said = PlainLabel()
        self.said.setWordWrap(True)
        self.take = QPushButton(tr("Keep, and into the findings"))
        self.take.clicked.connect(self._take)
        form, last, layout = QFormLayout(), QHBoxLayout(), QVBoxLayout(self)
        form.addRow(tr("Sum at baseline, mm"), self.baseline)
        form.addRow(tr("Least sum since treatment began, mm"), self.nadir)
        last.addWidget(self.take)
        last.addWidget(dialogs.buttons(self, tr("Keep")))
        layout.addWidget(self.table)
        layout.addLayout(form)
        layout.addWidget(self.said)
        layout.addLayout(last)
        self.table.itemChanged.connect(self._show)
        open_with(self, 760, 560)
        self._show()

    @property
    def targets(self) -> dict[int, Target | None]:
        """Which lesions are targets, by the number of the measure."""
        found: dict[int, Target | None] = {}
        for row, number in enumerate(self._numbers):
            named, organ, node = (self.table.item(row, column) for column in (_NAME, _ORGAN, _NODE))
            seen = self.table.cellWidget(row, _SEEN)
            assert named is not None and organ is not None and node is not None and isinstance(seen, QComboBox)
            is_target, is_node = (item.checkState() == Qt.CheckState.Checked for item in (named, node))
            words = organ.text().strip()[:_LONGEST]
            found[number] = Target(words, is_node, seen.currentData()) if is_target else None
        return found

    @property
    def sums(self) -> EarlierSums:
        """What is said of earlier sums."""
        return EarlierSums(*(_millimetres(field.text()) for field in (self.baseline, self.nadir)))

    def _sum_field(self, value: float | None) -> QLineEdit:
        field = QLineEdit("" if value is None else f"{value:.1f}")
        field.setPlaceholderText(tr("not known"))
        field.setValidator(QRegularExpressionValidator(_SUM, field))
        field.textChanged.connect(self._show)
        return field

    def _show(self) -> None:
        screen = measure_edits.with_targets(self._viewer.session.screen, self.targets, self.sums)
        self.said.setText("\n".join(words_of(self._viewer, screen)))

    def _take(self) -> None:
        self.taken = True
        self.accept()


def words_of(viewer: Viewer, screen: Screen) -> tuple[str, ...]:
    """Returns what the target lesions of a screen say, line by line in the language of the window."""
    return tuple(map(tr, in_words(targets_shown(screen, viewer.measuring, names_said(screen.measures)))))


def _millimetres(text: str) -> float | None:
    plain = text.strip().replace(",", ".")
    return float(plain) if re.fullmatch(r"\d+\.?\d?", plain) else None
