"""The rows of the work list, narrowed and in order, as the table asks for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt

from workstation.desktop.language import tr
from workstation.desktop.model.studies import ARRIVALS, Row

COLUMNS = (
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
DAY = COLUMNS.index("Date")
_INSTANCES, _OTHERS = COLUMNS.index("Instances"), COLUMNS.index("Others")
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


@dataclass(frozen=True, slots=True)
class Listing:
    """The rows that there are. cells : the words of each, by column. texts : all words of each, to be searched."""

    rows: tuple[Row, ...] = ()
    cells: tuple[tuple[str, ...], ...] = ()
    texts: tuple[str, ...] = ()


def listing_of(rows: Sequence[Row]) -> Listing:
    """Puts rows in words. For an archive of twenty thousand series that takes longer than the window may wait: it is
    asked for on a thread."""
    cells = tuple((*row.cells, arrival_of(row), reading_of(row), tr(row.charge)) for row in rows)
    return Listing(tuple(rows), cells, tuple("\n".join(each).casefold() for each in cells))


@dataclass(frozen=True, slots=True)
class Narrowing:
    """Which rows are wanted; empty for all. searched : in any of their words. since : a DICOM date."""

    searched: str = ""
    reading: str = ""
    charge: str = ""
    modality: str = ""
    since: str = ""

    def of(self, listing: Listing) -> list[int]:
        """Returns the numbers of the wanted rows."""
        searched, rows, found = self.searched.casefold(), listing.rows, list(range(len(listing.rows)))
        if searched:
            found = [n for n in found if searched in listing.texts[n]]
        if self.reading:
            found = [n for n in found if rows[n].reading == self.reading]
        if self.charge:
            found = [n for n in found if rows[n].charge == self.charge]
        if self.modality:
            found = [n for n in found if rows[n].modality == self.modality]
        return [n for n in found if rows[n].date >= self.since] if self.since else found


class StudyTable(QAbstractTableModel):
    """The wanted rows in the order that is shown. They are chosen and put in order here: Qt would ask for each row and
    for two cells of every comparison, which holds the window up where an archive is large."""

    def __init__(self) -> None:
        super().__init__()
        self._listing, self._narrowing = Listing(), Narrowing()
        self._order = (DAY, True)
        self._shown: list[int] = []

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows, wanted or not."""
        return self._listing.rows

    def show_listing(self, listing: Listing) -> None:
        if listing is not self._listing:
            self.beginResetModel()
            self._listing, self._shown = listing, self._ordered(listing)
            self.endResetModel()

    def narrow(self, narrowing: Narrowing) -> None:
        """Shows the wanted rows."""
        if narrowing != self._narrowing:
            self.beginResetModel()
            self._narrowing = narrowing
            self._shown = self._ordered(self._listing)
            self.endResetModel()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Puts the rows in the order of a column; what is chosen stays chosen."""
        wanted = (column, order == Qt.SortOrder.DescendingOrder)
        if wanted == self._order:
            return  # a header that is told an order tells it back
        self._order = wanted
        self.layoutAboutToBeChanged.emit()
        before, kept = self._shown, self.persistentIndexList()
        self._shown = self._ordered(self._listing)
        places = {number: place for place, number in enumerate(self._shown)}
        now = [self.index(places[before[each.row()]], each.column()) for each in kept]
        self.changePersistentIndexList(kept, now)
        self.layoutChanged.emit()

    def row_at(self, index: _Index) -> Row | None:
        return self._listing.rows[self._shown[index.row()]] if index.isValid() else None

    def index_of(self, series_uid: str) -> QModelIndex | None:
        """Returns where a series is shown; None where it is not."""
        found = (n for n, number in enumerate(self._shown) if self._listing.rows[number].series_uid == series_uid)
        place = next(found, None)
        return None if place is None else self.index(place, 0)

    def _ordered(self, listing: Listing) -> list[int]:
        """Returns the numbers of the wanted rows, in order."""
        found, (column, descending) = self._narrowing.of(listing), self._order
        if column == _INSTANCES:
            return sorted(found, key=lambda n: listing.rows[n].instances, reverse=descending)
        if column == _OTHERS:
            return sorted(found, key=lambda n: listing.rows[n].priors or 0, reverse=descending)
        return sorted(found, key=lambda n: listing.cells[n][column].casefold(), reverse=descending)

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008
        return 0 if parent.isValid() else len(self._shown)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008
        return len(COLUMNS)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role == Qt.ItemDataRole.DisplayRole:
            return self._listing.cells[self._shown[index.row()]][index.column()]
        if role == Qt.ItemDataRole.TextAlignmentRole and index.column() in (_INSTANCES, _OTHERS):
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: N802
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return tr(COLUMNS[section])
        return None
