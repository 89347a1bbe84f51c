"""The work list: the series in the archive as they arrive, with their state."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta

from PySide6.QtCore import QModelIndex, Qt, Signal
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
from workstation.desktop.model.studies import CHARGES, READINGS, Row
from workstation.desktop.own_keys import OwnKeys
from workstation.desktop.plain import PlainLabel
from workstation.desktop.study_table import DAY, Listing, Narrowing, StudyTable, listing_of

_REFRESH_MS = 2000
_LEAST_WIDTH = 400
_WIDTHS_OF = 50  # so many rows say how wide a column is
_SINCE: dict[str, int | None] = {"Every date": None, "Today": 0, "Last 7 days": 7, "Last 30 days": 30}


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
        self._model, self._newest = StudyTable(), Listing()
        self.search = QLineEdit()
        self.search.setPlaceholderText(tr("Search patient, accession, modality, description, reading, charge …"))
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._narrow)
        self.search.returnPressed.connect(lambda: self._open(self._model.index(0, 0)))
        self.table = QTableView()
        self.table.setModel(self._model)
        self.table.setSortingEnabled(True)
        self.table.sortByColumn(DAY, Qt.SortOrder.DescendingOrder)
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
            box.activated.connect(self._narrow)
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
        self._watch = Watch(lambda: (self._listing(rows()), waiting()), _REFRESH_MS, self.isVisible, self)
        self._watch.answered.connect(self._show_rows)
        self._watch.failed.connect(lambda why: self.note.setText(tr("The list cannot be read: {why}", why=tr(why))))
        self.refresh()

    def refresh(self) -> None:
        """Reads the list again."""
        self._watch.now()

    def _listing(self, rows: tuple[Row, ...]) -> Listing:
        """Puts rows in words, unless they are as they were. On the thread that read them."""
        if rows != self._newest.rows:
            self._newest = listing_of(rows)
        return self._newest

    def _show_rows(self, found: tuple[Listing, int]) -> None:
        """Shows the rows; the selected series stays selected."""
        listing, waiting = found
        with self._keeping():
            self._model.show_listing(listing)
        count = len(self._model.rows)
        self.note.setText(
            tr("{count} series. Double-click opens one.", count=count) if count else
            tr("No series yet. Send one by DICOM, or drop a folder here.")
        )  # fmt: skip
        if waiting:
            self.note.setText(f"{self.note.text()}  {tr('{count} messages wait to be sent.', count=waiting)}")

    @contextmanager
    def _keeping(self) -> Iterator[None]:
        """Keeps the chosen series chosen, where it is still shown."""
        chosen = self.chosen_series()
        yield
        if chosen and not self.table.currentIndex().isValid():
            self.select(chosen)

    def _narrow(self) -> None:
        """Shows what is searched, and fits the chosen filters."""
        days = self.since.currentData()
        since = "" if days is None else da(self._today() - timedelta(days))
        reading, charge, modality = (box.currentData() for box in (self.reading, self.charge, self.modality))
        with self._keeping():
            self._model.narrow(Narrowing(self.search.text(), reading, charge, modality, since))

    def stop(self) -> None:
        """Stops asking, and waits for the running question."""
        self._watch.stop()

    def select(self, series_uid: str) -> bool:
        index = self._model.index_of(series_uid)
        if index is not None:
            self.table.setCurrentIndex(index)
        return index is not None

    def chosen_series(self) -> str:
        """Returns the UID of the series that is chosen; empty where none is."""
        row = self._model.row_at(self.table.currentIndex())
        return row.series_uid if row is not None else ""

    def _open(self, index: QModelIndex) -> None:
        row = self._model.row_at(index)
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
