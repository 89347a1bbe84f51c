"""The captured pictures: small ones in the tray with their order, names and ticks, and one of them large."""

from dataclasses import replace
from functools import partial
from typing import Any

from PySide6.QtCore import QEvent, QModelIndex, QPersistentModelIndex, QSize, Qt, Signal
from PySide6.QtGui import QIcon, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from render.picture import Picture
from render.recipe import Recipe
from workstation.desktop.capture_preview import CapturePreview
from workstation.desktop.images import icon_in, icon_of
from workstation.desktop.language import tr
from workstation.desktop.model import edits, tray_edits
from workstation.desktop.model.identity import day
from workstation.desktop.model.screen import Capture, Origin
from workstation.desktop.plain import PlainLabel, plain_tip
from workstation.desktop.viewer import Viewer
from workstation.preparation.proposals import PreparedPrior

_THUMB = 96
# What is said of a picture that the reader did not take.
ORIGINS: dict[Origin, str] = {
    "mine": "",
    "protocol": "from a protocol",
    "prepared": "prepared",
    "adjusted": "adjusted",
}
# What a key asks for; True: with Alt.
_ACTS = {
    (Qt.Key.Key_Space, False): "large",
    (Qt.Key.Key_Return, False): "tick",
    (Qt.Key.Key_Enter, False): "tick",
    (Qt.Key.Key_Delete, False): "remove",
    (Qt.Key.Key_Up, True): "up",
    (Qt.Key.Key_Down, True): "down",
}
_ORIGIN_ROLE = int(Qt.ItemDataRole.UserRole)


class Tray(QWidget):
    """Captured pictures; a tick chooses one for the report. priors : that were registered beforehand, offered above
    them. export : the reader wants them as files. compare : a prior is wanted beside the study."""

    export = Signal()
    compare = Signal(object)

    def __init__(self, viewer: Viewer, priors: tuple[PreparedPrior, ...] = ()) -> None:
        super().__init__()
        self._viewer = viewer
        self.icons: dict[str, QIcon] = {}
        self._drawn_of: dict[str, Recipe] = {}
        self._shown: tuple[Capture, ...] | None = None
        self._sealed = False
        self.preview: CapturePreview | None = None
        self.list = _CaptureList()
        self.list.itemChanged.connect(self._changed)
        self.list.itemDoubleClicked.connect(lambda _: self.show_large())
        self.list.wanted.connect(self._do)
        self.list.model().rowsMoved.connect(self._dragged)
        self.list.currentRowChanged.connect(self._chosen)
        hint = PlainLabel(
            tr(
                "Ticked pictures are for the report. What is stored is drawn anew. Space: large; Return: tick; F2: "
                "name; Alt+Up, Alt+Down: order; Del: remove."
            )
        )
        hint.setWordWrap(True)
        self.large = self._button(tr("Large"), self.show_large)
        self.retake = self._button(tr("Take anew"), lambda: self._do("retake"))
        self.retake.setToolTip(tr("Takes the chosen picture anew, as its pane is now"))
        self.large.setToolTip(tr("Shows the chosen picture large, beside its pane"))
        self.remove = self._button(tr("Remove"), lambda: self._do("remove"))
        self.remove.setToolTip(tr("Removes the chosen picture"))
        self.files = self._button(tr("Export …"), self.export.emit)
        row = QHBoxLayout()
        for button in (self.large, self.retake, self.remove, self.files):
            row.addWidget(button)
        layout = QVBoxLayout(self)
        self.priors = [self._offered(prior, layout) for prior in priors]
        layout.addWidget(hint)
        layout.addWidget(self.list, 1)
        layout.addLayout(row)
        self.setFocusProxy(self.list)
        viewer.drawer.small.connect(self._drawn)
        viewer.changed.connect(self.refresh)
        self.refresh()

    def _button(self, text: str, act: Any) -> QPushButton:
        button = QPushButton(text)
        button.clicked.connect(lambda _=False: act())
        return button

    def _offered(self, prior: PreparedPrior, layout: QVBoxLayout) -> QPushButton:
        """Adds a line that proposes a comparison; nothing of it is done before the reader wants it."""
        words = tr("Prior of {day}, registered beforehand ({quality})", day=day(prior.study_date),
                   quality=f"{prior.quality:.2f}")  # fmt: skip
        label = PlainLabel(" ".join(filter(None, (f"{words}.", prior.warning))))
        label.setWordWrap(True)
        button = self._button(tr("Compare"), partial(self.compare.emit, prior))
        button.setToolTip(tr("Shows the prior beside this study, as it was registered"))
        line = QHBoxLayout()
        line.addWidget(label, 1)
        line.addWidget(button)
        layout.addLayout(line)
        return button

    def refresh(self, again: bool = False) -> None:
        """Shows the pictures where they have changed. again : also where the list alone was changed."""
        session = self._viewer.session
        captures = session.screen.captures
        if captures is self._shown and self._sealed == session.sealed and not again:
            return
        self._shown, self._sealed = captures, session.sealed
        self.list.blockSignals(True)
        while self.list.count() > len(captures):
            self.list.takeItem(self.list.count() - 1)
        while self.list.count() < len(captures):
            self.list.addItem(QListWidgetItem())
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        if not session.sealed:
            flags |= Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsEditable | Qt.ItemFlag.ItemIsDragEnabled
        for number, capture in enumerate(captures):
            item, name = self.list.item(number), capture.recipe.name
            item.setFlags(flags)
            item.setText(name)
            item.setData(_ORIGIN_ROLE, tr(ORIGINS[capture.origin]) if ORIGINS[capture.origin] else "")
            item.setToolTip(plain_tip(name))
            if self._drawn_of.get(name) != capture.recipe:
                self._drawn_of[name] = capture.recipe
                still = session.stills.get(replace(capture.recipe, name=""))
                self.icons[name] = icon_in(still) if still is not None else self.icons.get(name, QIcon())
                if self.icons[name].isNull() or still is None:
                    self._viewer.drawer.ask_small(name, capture.recipe, capture.second)
            item.setIcon(self.icons[name])
            item.setCheckState(Qt.CheckState.Checked if capture.key else Qt.CheckState.Unchecked)
        self.list.blockSignals(False)
        if captures and self.list.currentRow() < 0:
            self.list.setCurrentRow(0)
        for button in (self.large, self.files):
            button.setEnabled(bool(captures))
        for button in (self.retake, self.remove):
            button.setEnabled(bool(captures) and not session.sealed)
        self._chosen(self.list.currentRow())

    def _drawn(self, name: str, picture: Picture) -> None:
        """Shows a small picture that was drawn."""
        self.icons[name] = icon_of(picture)
        self.list.blockSignals(True)
        for item in self.list.findItems(name, Qt.MatchFlag.MatchExactly):
            item.setIcon(self.icons[name])
        self.list.blockSignals(False)

    def _changed(self, item: QListWidgetItem) -> None:
        """Takes over a tick or a name."""
        number = self.list.row(item)
        capture = self._viewer.session.screen.captures[number]
        key = item.checkState() == Qt.CheckState.Checked
        if item.text() != capture.recipe.name:
            self._viewer.do(tray_edits.renamed, number, item.text())
        elif key != capture.key:
            self._viewer.do(edits.chosen, number, key)
        self.refresh(again=True)

    def _dragged(self, _: Any, start: int, end: int, __: Any, row: int) -> None:
        """Takes over an order that was made by dragging; Qt's row is counted with the item still in its old place."""
        self._viewer.do(tray_edits.moved, start, row if row < start else row - 1)

    def _do(self, act: str) -> None:
        number, captures = self.list.currentRow(), self._viewer.session.screen.captures
        if not 0 <= number < len(captures):
            return
        if act == "large":
            self.show_large()
        elif act == "tick":
            self._viewer.do(edits.chosen, number, not captures[number].key)
        elif act == "remove":
            self._viewer.do(edits.uncaptured, number)
        elif act == "retake":
            self._viewer.do(tray_edits.retaken, number)
        elif act in ("up", "down") and not self._viewer.session.sealed:
            to = min(max(number + (-1 if act == "up" else 1), 0), len(captures) - 1)
            self._viewer.do(tray_edits.moved, number, to)
            self.list.setCurrentRow(to)

    def show_large(self) -> None:
        """Shows the chosen picture large, beside the pane of its kind."""
        if self.list.currentRow() < 0:
            return
        if self.preview is None:
            self.preview = CapturePreview(self._viewer, self)
            self.preview.stepped.connect(self._stepped)
        self.preview.show_capture(self.list.currentRow())
        self.preview.show()
        self.preview.raise_()

    def _stepped(self, by: int) -> None:
        self.list.setCurrentRow(min(max(self.list.currentRow() + by, 0), self.list.count() - 1))

    def _chosen(self, row: int) -> None:
        """The large picture follows the choice in the list."""
        if self.preview is not None and self.preview.isVisible() and row >= 0:
            self.preview.show_capture(row)


class _CaptureList(QListWidget):
    """The list of small pictures. wanted : what a key asks for."""

    wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setIconSize(QSize(_THUMB, _THUMB))
        self.setObjectName("captures")
        self.setAccessibleName(tr("Captures"))
        self.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        self.setEditTriggers(QAbstractItemView.EditTrigger.EditKeyPressed)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setItemDelegate(_WithOrigin(self))

    def _act(self, event: QKeyEvent) -> str:
        alt = event.modifiers() == Qt.KeyboardModifier.AltModifier
        plain = event.modifiers() in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier)
        return _ACTS.get((Qt.Key(event.key()), alt), "") if alt or plain else ""

    def event(self, event: QEvent) -> bool:
        # Before the shortcuts of the window, which have F2 and the arrows too.
        asked = isinstance(event, QKeyEvent) and (self._act(event) or event.key() == Qt.Key.Key_F2)
        if asked and event.type() == QEvent.Type.ShortcutOverride:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        act = self._act(event)
        if act and self.state() != QAbstractItemView.State.EditingState:
            self.wanted.emit(act)
        else:
            super().keyPressEvent(event)


class _WithOrigin(QStyledItemDelegate):
    """Writes below the name where a picture is from."""

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        super().paint(painter, option, index)
        origin = index.data(_ORIGIN_ROLE)
        if origin:
            area: Any = option.rect
            painter.save()
            painter.setPen(option.palette.color(option.palette.ColorRole.PlaceholderText))
            painter.drawText(
                area.adjusted(0, 0, -8, -6), Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignBottom, str(origin)
            )
            painter.restore()
