"""The work list: the series in the archive as they arrive, with their state."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QPersistentModelIndex,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QPushButton,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from dicom_io.dates import da
from workstation.desktop.background import Watch
from workstation.desktop.language import tr
from workstation.desktop.model.studies import ARRIVALS, CHARGES, READINGS, Row
from workstation.desktop.own_keys import OwnKeys
from workstation.desktop.plain import PlainLabel

_REFRESH_MS = 2000
_LEAST_WIDTH = 400
_WIDTHS_OF = 100  # so many rows say how wide a column is
_COLUMNS = (
    "Patient",
    "ID",
    "Accession",
    "Date",
    "Modality",
    "Description",
    "Instances",
    "Others",
    "Arrival",
    "Reading",
    "Charge",
)
_DAY, _NUMBERS = 3, (6, 7)
_SINCE: dict[str, int | None] = {"Every date": None, "Today": 0, "Last 7 days": 7, "Last 30 days": 30}
_Index = QModelIndex | QPersistentModelIndex


def arrival_of(row: Row) -> str:
    """Returns the stage of a series in words, and whether others of its study are still arriving."""
    said = tr(ARRIVALS[row.standing.stage], revision=row.standing.revision)
    return f"{said}; {tr('study still arriving')}" if row.coming and row.standing.stage == "complete" else said


def reading_of(row: Row) -> str:
    """How far the reading is, in words; of what is being prepared, its step, and how many pictures of how many."""
    words, making = tr(row.reading), row.making
    if making is None or not making.doing:
        return words
    count = f" {making.done}/{making.total}" if making.total else ""
    return f"{words}: {tr(making.doing)}{count}"


class _Model(QAbstractTableModel):
    """The rows in the order that is shown. They are put in order here: Qt would ask for two cells of Python for every
    comparison, which holds the window up for seconds where an archive is large."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: tuple[Row, ...] = ()
        self._given: tuple[Row, ...] = ()
        self._order = (_DAY, True)
        self._texts: list[str] = []

    def show_rows(self, rows: tuple[Row, ...]) -> None:
        if rows != self._given:
            self.beginResetModel()
            self._given, self.rows, self._texts = rows, self._ordered(rows), []
            self.endResetModel()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Puts the rows in the order of a column; what is chosen stays chosen."""
        self._order = (column, order == Qt.SortOrder.DescendingOrder)
        self.layoutAboutToBeChanged.emit()
        before, kept = self.rows, self.persistentIndexList()
        self.rows, self._texts = self._ordered(self._given), []
        places = {row.series_uid: number for number, row in enumerate(self.rows)}
        now = [self.index(places[before[each.row()].series_uid], each.column()) for each in kept]
        self.changePersistentIndexList(kept, now)
        self.layoutChanged.emit()

    def _ordered(self, rows: tuple[Row, ...]) -> tuple[Row, ...]:
        column, descending = self._order

        def key(row: Row) -> Any:
            if column in _NUMBERS:
                return row.instances if column == _NUMBERS[0] else row.priors or 0
            return self._cells(row)[column].casefold()

        return tuple(sorted(rows, key=key, reverse=descending))

    def text(self, number: int) -> str:
        """Returns all that a row says, in small letters, to be searched."""
        if not self._texts:
            self._texts = ["\n".join(self._cells(row)).casefold() for row in self.rows]
        return self._texts[number]

    def _cells(self, row: Row) -> tuple[str, ...]:
        return (*row.cells, arrival_of(row), reading_of(row), tr(row.charge))

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008
        return len(_COLUMNS)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role == Qt.ItemDataRole.DisplayRole:
            return self._cells(self.rows[index.row()])[index.column()]
        if role == Qt.ItemDataRole.TextAlignmentRole and index.column() in _NUMBERS:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: N802
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return tr(_COLUMNS[section])
        return None


class _Filter(QSortFilterProxyModel):
    """Filters rows by searched text, reading, charge, modality and day."""

    def __init__(self, model: _Model, parent: QWidget) -> None:
        super().__init__(parent)
        self._rows = model
        self.setSourceModel(model)
        self.reading = self.charge = self.modality = self.since = self._searched = ""

    def search(self, text: str) -> None:
        """Shows the rows that hold a text, in capitals or not."""
        self._searched = text.casefold()
        self.invalidate()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Has the rows themselves put in order."""
        self._rows.sort(column, order)

    def filterAcceptsRow(self, source_row: int, source_parent: _Index) -> bool:  # noqa: N802
        row = self._rows.rows[source_row]
        wanted = ((self.reading, row.reading), (self.charge, row.charge), (self.modality, row.modality))
        if any(chosen and found != chosen for chosen, found in wanted):
            return False
        return row.date >= self.since and (not self._searched or self._searched in self._rows.text(source_row))


class StudyList(QWidget):
    """The work list's widget. opened, chosen : series UID. dropped : paths to import. today : for filters by age."""

    opened = Signal(str)
    chosen = Signal(str)
    dropped = Signal(list)

    def __init__(
        self, rows: Callable[[], tuple[Row, ...]], waiting: Callable[[], int], today: Callable[[], date]
    ) -> None:
        super().__init__()
        self._today = today
        self._model = _Model()
        self._sorted = _Filter(self._model, self)
        self.search = QLineEdit()
        self.search.setPlaceholderText(tr("Search patient, accession, modality, description, reading, charge …"))
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._sorted.search)
        self.search.returnPressed.connect(lambda: self._open(self._sorted.index(0, 0)))
        self.table = QTableView()
        self.table.setModel(self._sorted)
        self.table.setSortingEnabled(True)
        self.table.sortByColumn(_DAY, Qt.SortOrder.DescendingOrder)
        self.table.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QTableView.SelectionMode.SingleSelection)
        self.table.verticalHeader().hide()
        self.table.horizontalHeader().setStretchLastSection(True)
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.table.horizontalHeader().setResizeContentsPrecision(_WIDTHS_OF)
        self.table.doubleClicked.connect(self._open)
        self.table.selectionModel().currentRowChanged.connect(lambda *_: self.chosen.emit(self.chosen_series()))
        OwnKeys(self.table, (Qt.Key.Key_Return, Qt.Key.Key_Enter), lambda: self._open(self.table.currentIndex()))
        self.reading, self.charge = _choices("Every reading", READINGS), _choices("Every charge", CHARGES)
        self.modality, self.since = _choices("Every modality", ("CT", "MR", "US")), QComboBox()
        for title, days in _SINCE.items():
            self.since.addItem(tr(title), days)
        for box, name in (
            (self.reading, "Reading"),
            (self.charge, "Charge"),
            (self.modality, "Modality"),
            (self.since, "Date"),
        ):
            box.setAccessibleName(tr(name))
            box.activated.connect(self._filtered)
        self.open_button = QPushButton(tr("Open"))
        self.open_button.clicked.connect(lambda: self._open(self.table.currentIndex()))
        self.note = PlainLabel(tr("Reading the archive …"))
        self.setMinimumWidth(_LEAST_WIDTH)  # with a study open, panels need room beside what this would have
        top, layout = QHBoxLayout(), QVBoxLayout(self)
        top.addWidget(self.search, 1)
        for widget in (self.reading, self.charge, self.modality, self.since, self.open_button):
            top.addWidget(widget)
        layout.addLayout(top)
        layout.addWidget(self.table)
        layout.addWidget(self.note)
        self.setAcceptDrops(True)
        self._watch = Watch(lambda: (rows(), waiting()), _REFRESH_MS, self.isVisible, self)
        self._watch.answered.connect(self._show_rows)
        self._watch.failed.connect(lambda why: self.note.setText(tr("The list cannot be read: {why}", why=tr(why))))
        self.refresh()

    def refresh(self) -> None:
        """Reads the list again."""
        self._watch.now()

    def _show_rows(self, found: tuple[tuple[Row, ...], int]) -> None:
        """Shows the rows; the selected series stays selected."""
        rows, waiting = found
        chosen = self._chosen(self.table.currentIndex())
        self._model.show_rows(rows)
        count = len(self._model.rows)
        self.note.setText(
            tr("{count} series. Double-click opens one.", count=count) if count else
            tr("No series yet. Send one by DICOM, or drop a folder here.")
        )  # fmt: skip
        if waiting:
            self.note.setText(f"{self.note.text()}  {tr('{count} messages wait to be sent.', count=waiting)}")
        if chosen is not None and not self.table.currentIndex().isValid():
            self.select(chosen.series_uid)

    def _filtered(self) -> None:
        """Applies the chosen filters."""
        days = self.since.currentData()
        self._sorted.reading, self._sorted.charge = self.reading.currentData(), self.charge.currentData()
        self._sorted.modality = self.modality.currentData()
        self._sorted.since = "" if days is None else da(self._today() - timedelta(days))
        self._sorted.invalidate()

    def stop(self) -> None:
        """Stops asking, and waits for the running question."""
        self._watch.stop()

    def select(self, series_uid: str) -> bool:
        for number, row in enumerate(self._model.rows):
            if row.series_uid == series_uid:
                self.table.setCurrentIndex(self._sorted.mapFromSource(self._model.index(number, 0)))
                return True
        return False

    def chosen_series(self) -> str:
        """Returns the UID of the series that is chosen; empty where none is."""
        row = self._chosen(self.table.currentIndex())
        return row.series_uid if row is not None else ""

    def _chosen(self, index: QModelIndex) -> Row | None:
        source = self._sorted.mapToSource(index)
        return self._model.rows[source.row()] if source.isValid() else None

    def _open(self, index: QModelIndex) -> None:
        row = self._chosen(index)
        if row is not None:
            self.opened.emit(row.series_uid)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802
        self.dropped.emit([url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()])


def _choices(every: str, names: tuple[str, ...]) -> QComboBox:
    box = QComboBox()
    box.addItem(tr(every), "")
    for name in names:
        box.addItem(tr(name), name)
    return box
