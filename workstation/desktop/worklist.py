"""The work list: the series in the archive as they arrive, with what has become of them."""

import threading
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QPersistentModelIndex,
    QSortFilterProxyModel,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QHeaderView, QLabel, QLineEdit, QPushButton, QTableView, QVBoxLayout, QWidget

from workstation.desktop.delivery import Row

_REFRESH_MS = 2000
_COLUMNS = ("Patient", "ID", "Accession", "Date", "Modality", "Description", "Instances", "State")
_Index = QModelIndex | QPersistentModelIndex


class _Model(QAbstractTableModel):
    def __init__(self) -> None:
        super().__init__()
        self.rows: tuple[Row, ...] = ()

    def show_rows(self, rows: tuple[Row, ...]) -> None:
        if rows != self.rows:
            self.beginResetModel()
            self.rows = rows
            self.endResetModel()

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008
        return len(_COLUMNS)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role == Qt.ItemDataRole.DisplayRole:
            return self.rows[index.row()].cells[index.column()]
        if role == Qt.ItemDataRole.TextAlignmentRole and index.column() == 6:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: N802
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return _COLUMNS[section]
        return None


class WorkList(QWidget):
    """opened : series UID. dropped : paths to import."""

    opened = Signal(str)
    dropped = Signal(list)
    _arrived = Signal(object)

    def __init__(self, rows: Callable[[], tuple[Row, ...]]) -> None:
        super().__init__()
        self._rows, self._model = rows, _Model()
        self._asking: threading.Thread | None = None
        self._arrived.connect(self._show_rows)
        self._sorted = QSortFilterProxyModel(self)
        self._sorted.setSourceModel(self._model)
        self._sorted.setFilterKeyColumn(-1)
        self._sorted.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search patient, accession, modality, description, state …")
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._sorted.setFilterFixedString)
        self.table = QTableView()
        self.table.setModel(self._sorted)
        self.table.setSortingEnabled(True)
        self.table.sortByColumn(3, Qt.SortOrder.DescendingOrder)
        self.table.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QTableView.SelectionMode.SingleSelection)
        self.table.verticalHeader().hide()
        self.table.horizontalHeader().setStretchLastSection(True)
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.table.doubleClicked.connect(self._open)
        for key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            shortcut = QShortcut(QKeySequence(key), self.table, context=Qt.ShortcutContext.WidgetShortcut)
            shortcut.activated.connect(lambda: self._open(self.table.currentIndex()))
        self.open_button = QPushButton("Open")
        self.open_button.clicked.connect(lambda: self._open(self.table.currentIndex()))
        self.note = QLabel()
        top, layout = QHBoxLayout(), QVBoxLayout(self)
        top.addWidget(self.search)
        top.addWidget(self.open_button)
        layout.addLayout(top)
        layout.addWidget(self.table)
        layout.addWidget(self.note)
        self.setAcceptDrops(True)
        self._timer = QTimer(self)
        self._timer.setInterval(_REFRESH_MS)
        self._timer.timeout.connect(self._look)
        self._timer.start()
        self.refresh()

    def refresh(self) -> None:
        """Shows the list as it is now."""
        self._show_rows(self._rows())

    def _look(self) -> None:
        """Asks for the list beside the window: an archive of years takes longer to read than a hand may wait."""
        if self.isVisible() and (self._asking is None or not self._asking.is_alive()):
            self._asking = threading.Thread(
                target=lambda: self._arrived.emit(self._rows()), name="work list", daemon=True
            )
            self._asking.start()

    def _show_rows(self, rows: tuple[Row, ...]) -> None:
        """Studies appear as they arrive; what is selected stays selected."""
        chosen = self._chosen(self.table.currentIndex())
        self._model.show_rows(rows)
        count = len(self._model.rows)
        self.note.setText(
            f"{count} series. Double-click opens one." if count else
            "No series yet. Send one by DICOM, or drop a folder here."
        )  # fmt: skip
        if chosen is not None and not self.table.currentIndex().isValid():
            self.select(chosen.series_uid)

    def stop(self) -> None:
        """Asks no more, and waits for what was asked."""
        self._timer.stop()
        if self._asking is not None:
            self._asking.join()

    def select(self, series_uid: str) -> bool:
        for number, row in enumerate(self._model.rows):
            if row.series_uid == series_uid:
                self.table.setCurrentIndex(self._sorted.mapFromSource(self._model.index(number, 0)))
                return True
        return False

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
