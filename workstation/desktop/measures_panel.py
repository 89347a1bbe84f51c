"""The list of measures: names, numbers and colours. What is selected there is selected in the panes, and back."""

from collections.abc import Sequence

from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtGui import QBrush, QColor
from PySide6.QtWidgets import (
    QAbstractItemView,
    QColorDialog,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from workstation.desktop.images import swatch
from workstation.desktop.language import tr
from workstation.desktop.marks import MEASURE
from workstation.desktop.measure_marks import names_said
from workstation.desktop.model import measure_edits
from workstation.desktop.model.screen import Measure
from workstation.desktop.model.target_lesions import targets_said
from workstation.desktop.own_keys import OwnKeys
from workstation.desktop.plain import PlainLabel, plain_tip
from workstation.desktop.trajectory_view import TrajectoryView
from workstation.desktop.vessel_view import VesselView
from workstation.desktop.viewer import Viewer

_NAME, _VALUE = 0, 1


class Measures(QWidget):
    """The measures of the study, one a row; a double-click on the name changes it."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._shown: tuple[tuple[str, str, str], ...] = ()
        self.table = QTableWidget(0, 2)
        self.table.setHorizontalHeaderLabels([tr("Name"), tr("Value")])
        self.table.setAccessibleName(tr("Measures"))
        self.table.verticalHeader().hide()
        self.table.setTabKeyNavigation(False)  # Tab goes on to the buttons; arrows go through the cells
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.horizontalHeader().setSectionResizeMode(_NAME, QHeaderView.ResizeMode.ResizeToContents)
        self.table.horizontalHeader().setStretchLastSection(True)
        self.table.setWordWrap(True)
        self.table.setTextElideMode(Qt.TextElideMode.ElideNone)
        self.table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.table.itemSelectionChanged.connect(self._chosen)
        self.table.itemChanged.connect(self._renamed)
        self.hint = PlainLabel(tr("Draw with a tool of the left bar: press, drag and let go, or click each point."))
        self.hint.setWordWrap(True)
        self.colour, self.prior, self.copy, self.remove = (
            QPushButton(tr("Colour …")),
            QPushButton(tr("Prior …")),
            QPushButton(tr("Copy")),
            QPushButton(tr("Remove")),
        )
        self.prior.setToolTip(tr("How the selected lesion was in an earlier study, and its change since"))
        self.prior.clicked.connect(viewer.ask_prior)
        self.colour.setToolTip(tr("The colour of the selected measure"))
        self.copy.setToolTip(tr("Copies the selected measure as words, or all of them"))
        self.remove.setToolTip(tr("Removes the selected measure, or the last one"))
        self.colour.clicked.connect(self._recolour)
        self.copy.clicked.connect(viewer.copy_measures)
        self.remove.clicked.connect(viewer.delete_last)
        OwnKeys(self.table, (Qt.Key.Key_Delete,), viewer.delete_last)
        self.targets, self.targets_said = QPushButton(tr("RECIST …")), PlainLabel()
        self.targets.setToolTip(tr("Which lesions are targets, and the sum of their diameters"))
        self.targets.clicked.connect(viewer.targets_wanted)
        self.targets_said.setWordWrap(True)
        row, below, layout = QHBoxLayout(), QHBoxLayout(), QVBoxLayout(self)
        for button in (self.colour, self.prior, self.copy, self.remove):
            row.addWidget(button)
        below.addWidget(self.targets_said, 1)
        below.addWidget(self.targets, 0, Qt.AlignmentFlag.AlignTop)
        layout.addWidget(self.hint)
        layout.addWidget(self.table)
        layout.addLayout(row)
        layout.addLayout(below)
        layout.addWidget(VesselView(viewer))
        layout.addWidget(TrajectoryView(viewer))
        viewer.changed.connect(self.refresh)
        viewer.selection.connect(self._follow)
        self.refresh()

    def refresh(self) -> None:
        measures = self._viewer.session.screen.measures
        shown = tuple(
            (name, self._viewer.said_of(m), m.colour) for name, m in zip(names_said(measures), measures, strict=True)
        )
        if shown != self._shown:
            self._shown = shown
            self.table.blockSignals(True)
            self.table.setRowCount(len(shown))
            for row, (name, value, colour) in enumerate(shown):
                named, said = QTableWidgetItem(name), QTableWidgetItem(value)
                named.setIcon(swatch(QColor(colour) if colour else MEASURE))
                said.setToolTip(plain_tip(value))
                said.setFlags(said.flags() & ~Qt.ItemFlag.ItemIsEditable)
                said.setForeground(QBrush(QColor(colour)) if colour else QBrush())
                self.table.setItem(row, _NAME, named)
                self.table.setItem(row, _VALUE, said)
            self.table.blockSignals(False)
        self.hint.setVisible(not shown)
        self._show_targets(measures)
        self._follow()

    def _show_targets(self, measures: Sequence[Measure]) -> None:
        """Says the sum of the target lesions and what follows, where there are any."""
        lesions = [measure for measure in measures if measure.kind == "lesion"]
        count = sum(measure.target is not None for measure in lesions)
        screen, measuring = self._viewer.session.screen, self._viewer.measuring
        words = targets_said(screen, measuring, names_said(measures), tr) if count else ()
        self.targets_said.setText("\n".join(words[count:] or words))
        self.targets.setVisible(bool(lesions))
        self.targets_said.setVisible(bool(count))

    def _follow(self) -> None:
        """Selects the row of what is selected in the panes."""
        number = self._viewer.selected
        self.table.blockSignals(True)
        if number is None:
            self.table.setCurrentIndex(QModelIndex())
        elif self.table.currentRow() != number:
            self.table.selectRow(number)
        self.table.blockSignals(False)
        self.colour.setEnabled(number is not None)
        self.prior.setEnabled(number is not None and self._measure(number).kind == "lesion")
        for button in (self.copy, self.remove):
            button.setEnabled(bool(self._shown))

    def _chosen(self) -> None:
        if self.table.currentRow() >= 0:
            self._viewer.go_to(self.table.currentRow())

    def _measure(self, number: int) -> Measure:
        return self._viewer.session.screen.measures[number]

    def _renamed(self, item: QTableWidgetItem) -> None:
        if item.column() == _NAME:
            self._viewer.do(measure_edits.renamed, item.row(), item.text().strip())

    def _recolour(self) -> None:
        number = self._viewer.selected
        if number is None:
            return
        now = self._measure(number).colour
        chosen = QColorDialog.getColor(QColor(now) if now else MEASURE, self, tr("Colour of the measure"))
        if chosen.isValid():
            self._viewer.do(measure_edits.recoloured, number, chosen.name())
