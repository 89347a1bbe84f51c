"""The series browser: the series of the open study and of the patient's others, each with a small picture."""

import threading
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QEvent, QModelIndex, QObject, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QDrag, QImage, QKeyEvent, QPixmap
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDockWidget,
    QLineEdit,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from workstation.desktop.background import Watch
from workstation.desktop.images import image_from
from workstation.desktop.language import tr
from workstation.desktop.model.browsing import BrowsedSeries, BrowsedStudy, SeriesShelf
from workstation.desktop.plain import PlainLabel, plain_tip
from workstation.desktop.series_card import (
    LEAST_WIDTH,
    MARKED_ROLE,
    SERIES_ROLE,
    STATE_ROLE,
    SeriesCard,
    lines_of,
    remarks_on,
    study_title,
)
from workstation.desktop.series_drops import carried

_REFRESH_MS = 5000
_AT_LAST_MS = 3000  # the list is read by then, whatever the panes do
# How many series a key goes on.
_MOVES = {
    Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1, Qt.Key.Key_PageUp: -5, Qt.Key.Key_PageDown: 5,
    Qt.Key.Key_Home: -9999, Qt.Key.Key_End: 9999,
}  # fmt: skip
_OPENING = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class SeriesBrowser(QDockWidget):
    """The browser. wanted, compared : a BrowsedSeries to open, or to show beside the open one. closed : the
    reader has closed it by its button."""

    wanted = Signal(object)
    compared = Signal(object)
    closed = Signal()

    def __init__(self, shelf: SeriesShelf, parent: QWidget) -> None:
        super().__init__(tr("All series"), parent)
        self.setObjectName("series")
        self._shelf, self._following = shelf, ""
        self._studies: tuple[BrowsedStudy, ...] = ()
        self._marks: tuple[str, frozenset[str], str] = ("", frozenset(), "")
        self.search, self.tree, self.note = QLineEdit(), _Tree(), PlainLabel()
        self.search.setPlaceholderText(tr("Number, description, body part, date …"))
        self.search.setAccessibleName(tr("Search series"))
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._show_filtered)
        self.search.returnPressed.connect(self._open_first)
        self.search.installEventFilter(self)
        self.note.setWordWrap(True)
        self.tree.entered_on.connect(self._chosen)
        self.pictures = _Pictures(shelf, self)
        self.pictures.made.connect(self.tree.show_picture)
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(4, 4, 4, 4)
        column.addWidget(self.search)
        column.addWidget(self.tree, 1)
        column.addWidget(self.note)
        self.setWidget(inner)
        self.setMinimumWidth(LEAST_WIDTH)
        self.setFocusProxy(self.tree)
        self._watch = Watch(self._look, _REFRESH_MS, lambda: bool(self._following) and self.isVisible(), self)
        self._watch.answered.connect(self._show)
        self._later = QTimer(self, singleShot=True, interval=_AT_LAST_MS)
        self._later.timeout.connect(self._watch.now)
        self._watch.failed.connect(lambda why: self.note.setText(tr("The series cannot be listed: {why}", why=tr(why))))

    @property
    def count(self) -> int:
        """How many series can be opened, the open one included."""
        return sum(one.row is not None for study in self._studies for one in study.series)

    def follow(self, series_uid: str, *, later: bool = False) -> None:
        """Lists the patient of a series from now on; of none for an empty UID. What was listed of another patient is
        gone at once. later : the list is read at `go_on`, as what is being opened needs the processors first."""
        if series_uid == self._following:
            return
        known = any(one.series_uid == series_uid for study in self._studies for one in study.series)
        self._following = series_uid
        if not known:
            self._show((series_uid, ()))
        if series_uid:
            self.note.setText("" if known else tr("Reading the archive …"))
            if later:
                self._later.start()
            else:
                self._watch.now()

    def go_on(self) -> None:
        """Reads the list that was to be read later."""
        if self._later.isActive():
            self._later.stop()
            self._watch.now()

    def mark(self, shown: str, opened: frozenset[str], compared: str) -> None:
        """Marks the series that is shown, those that are open, and the one that is compared."""
        self._marks = (shown, opened, compared)
        self.tree.mark(*self._marks)

    def refresh(self) -> None:
        """Reads the list again."""
        if self._following:
            self._watch.now()

    def series(self, series_uid: str) -> BrowsedSeries | None:
        """Returns a series of the list; None for one that is not of this patient."""
        found = (one for study in self._studies for one in study.series if one.series_uid == series_uid)
        return next(found, None)

    def stop(self) -> None:
        """Stops reading and drawing, and waits for what is being read."""
        self._later.stop()
        self._watch.stop()
        self.pictures.stop()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        super().closeEvent(event)
        self.closed.emit()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        """Down goes from the search into the list."""
        down = isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress and event.key() == Qt.Key.Key_Down
        if watched is self.search and down:
            self.tree.choose_first()
            self.tree.setFocus()
            return True
        return super().eventFilter(watched, event)

    def _look(self) -> tuple[str, tuple[BrowsedStudy, ...]]:
        following = self._following
        return following, self._shelf.listed(following) if following else ()

    def _show(self, found: tuple[str, tuple[BrowsedStudy, ...]]) -> None:
        following, studies = found
        if following != self._following:
            return
        self.note.setText("")
        if studies != self._studies:
            self._studies = studies
            self.pictures.want([one for study in studies for one in study.series if one.has_images])
            self._show_filtered()

    def _show_filtered(self) -> None:
        words = self.search.text()
        kept = [(study, [one for one in study.series if one.says(words)]) for study in self._studies]
        self.tree.show_studies([(study, series) for study, series in kept if series], self.pictures.known)
        self.tree.mark(*self._marks)
        empty = self._studies and not any(series for _, series in kept)
        self.note.setText(tr("No series says that.") if empty else "")

    def _open_first(self) -> None:
        self.tree.choose_first()
        self._chosen(False)

    def _chosen(self, beside: bool) -> None:
        series = self.tree.chosen()
        if series is not None:
            (self.compared if beside else self.wanted).emit(series)


class _Tree(QTreeWidget):
    """Studies with their series. entered_on : the chosen series is to be opened; with True, compared."""

    entered_on = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName(tr("Series of the patient"))
        self.setHeaderHidden(True)
        self.setIndentation(0)
        self.setRootIsDecorated(False)
        self.setItemsExpandable(False)
        self.setUniformRowHeights(False)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setDragEnabled(True)
        self.setExpandsOnDoubleClick(False)
        self.setItemDelegate(SeriesCard(self))
        self.doubleClicked.connect(self._double)
        self._items: dict[str, QTreeWidgetItem] = {}
        self._marked: dict[str, str] = {}

    def show_studies(
        self, studies: list[tuple[BrowsedStudy, list[BrowsedSeries]]], pictures: dict[tuple[str, int], QImage | None]
    ) -> None:
        """Shows studies and of each some series; what was chosen stays chosen."""
        before = self.chosen()
        self.clear()
        self._items = {}
        for study, several in studies:
            heading = QTreeWidgetItem([study_title(study)])
            heading.setFlags(Qt.ItemFlag.ItemIsEnabled)
            heading.setToolTip(0, plain_tip(study_title(study)))
            self.addTopLevelItem(heading)
            for series in several:
                item = QTreeWidgetItem()
                item.setData(0, SERIES_ROLE, series)
                item.setToolTip(0, plain_tip("\n".join((*lines_of(series), series.class_title))))
                heading.addChild(item)
                self._items[series.series_uid] = item
                picture = pictures.get((series.series_uid, series.instances))
                if picture is not None:
                    item.setData(0, Qt.ItemDataRole.DecorationRole, QPixmap.fromImage(picture))
            heading.setExpanded(True)
        if before is not None and before.series_uid in self._items:
            self.setCurrentItem(self._items[before.series_uid])

    def mark(self, shown: str, opened: frozenset[str], compared: str) -> None:
        for uid, item in self._items.items():
            words = (
                tr("shown") if uid == shown else tr("open") if uid in opened else "",
                tr("compared") if uid == compared else "",
                *remarks_on(item.data(0, SERIES_ROLE)),
            )
            said = " · ".join(word for word in words if word)
            item.setData(0, STATE_ROLE, said)
            item.setData(0, MARKED_ROLE, uid in (shown, compared) or uid in opened)
            spoken = ", ".join((*lines_of(item.data(0, SERIES_ROLE)), *((said,) if said else ())))
            item.setData(0, Qt.ItemDataRole.AccessibleTextRole, spoken)

    def show_picture(self, series: BrowsedSeries, picture: QImage | None) -> None:
        item = self._items.get(series.series_uid)
        if item is not None and picture is not None:
            item.setData(0, Qt.ItemDataRole.DecorationRole, QPixmap.fromImage(picture))

    def chosen(self) -> BrowsedSeries | None:
        """Returns the series that is chosen; None where none is."""
        item = self.currentItem()
        found = item.data(0, SERIES_ROLE) if item is not None else None
        return found if isinstance(found, BrowsedSeries) else None

    def choose_first(self) -> None:
        first = next(iter(self._items.values()), None)
        if first is not None:
            self.setCurrentItem(first)

    def _double(self, index: QModelIndex) -> None:
        if isinstance(index.data(SERIES_ROLE), BrowsedSeries):  # not the heading of a study
            self.entered_on.emit(False)

    def focusInEvent(self, event: Any) -> None:  # noqa: N802
        super().focusInEvent(event)
        if self.chosen() is None:
            self.choose_first()

    def event(self, event: QEvent) -> bool:
        # Before the shortcuts of the window: there Ctrl+Return signs.
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and event.key() in _OPENING:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        if event.key() in _OPENING:
            self.entered_on.emit(bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier))
        elif Qt.Key(event.key()) in _MOVES and self._items:
            self._move(_MOVES[Qt.Key(event.key())])
        else:
            super().keyPressEvent(event)

    def _move(self, by: int) -> None:
        """Chooses the series so many further on; a heading is not stopped at."""
        items, at = list(self._items.values()), self.currentItem()
        number = items.index(at) + by if at in items else 0
        self.setCurrentItem(items[min(max(number, 0), len(items) - 1)])

    def startDrag(self, actions: Qt.DropAction) -> None:  # noqa: N802
        series = self.chosen()
        if series is None:
            return
        drag = QDrag(self)
        drag.setMimeData(carried(series.series_uid))
        picture = self.currentItem().data(0, Qt.ItemDataRole.DecorationRole)
        if isinstance(picture, QPixmap):
            drag.setPixmap(picture)
            drag.setHotSpot(QPoint(picture.width() // 2, picture.height() // 2))
        drag.exec(Qt.DropAction.CopyAction)


class _Pictures(QObject):
    """Draws the small pictures on a thread, one after another, and keeps them. made : the series, its QImage or None.

    known : by series and number of its instances, as one that has grown has another middle.
    """

    made = Signal(object, object)

    def __init__(self, shelf: SeriesShelf, parent: QObject) -> None:
        super().__init__(parent)
        self.known: dict[tuple[str, int], QImage | None] = {}
        self._draw: Callable[[BrowsedSeries], Any] = shelf.thumbnail
        self._wanted: list[BrowsedSeries] = []
        self._changed = threading.Condition()
        self._ended = False
        self._thread: threading.Thread | None = None

    def want(self, series: list[BrowsedSeries]) -> None:
        """Has those drawn that are not known yet, and no others any more."""
        with self._changed:
            self._wanted = [one for one in series if (one.series_uid, one.instances) not in self.known]
            self._changed.notify_all()
        if self._thread is None and series:
            self._thread = threading.Thread(target=self._work, name="thumbnails", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ends the thread, after the picture that is being drawn."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not (self._wanted or self._ended):
                    self._changed.wait()
                if self._ended:
                    return
                series = self._wanted.pop(0)
            try:
                pixels = self._draw(series)
                picture = None if pixels is None else image_from(pixels)
            except Exception:  # noqa: BLE001 - what cannot be drawn has no picture; opening it says why
                picture = None
            self.known[(series.series_uid, series.instances)] = picture
            self.made.emit(series, picture)
