"""A series that is dragged from the browser, and where it is dropped."""

from PySide6.QtCore import QEvent, QMimeData, QObject, Qt, Signal
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QWidget

_FORMAT = "application/x-radiology-3d-workstation-series"
_OVER = (QEvent.Type.DragEnter, QEvent.Type.DragMove)


def carried(series_uid: str) -> QMimeData:
    """Returns what a drag of a series carries."""
    data = QMimeData()
    data.setData(_FORMAT, series_uid.encode("ascii"))
    return data


class SeriesDrops(QObject):
    """Takes drops on the widgets that it watches. over : a series is over one of them. dropped : it was dropped there;
    both carry its UID, which may be anything: another window's browser can be dragged from. left : it is gone again."""

    over = Signal(str)
    dropped = Signal(str)
    left = Signal()

    def watch(self, widget: QWidget) -> None:
        """Takes drops on a widget, and on what is within it and takes none of its own."""
        widget.setAcceptDrops(True)
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        if event.type() == QEvent.Type.DragLeave:
            self.left.emit()
        elif isinstance(event, QDropEvent) and event.mimeData().hasFormat(_FORMAT):
            # Always taken: what cannot be done is said, where a mouse pointer would only show that it cannot.
            event.setDropAction(Qt.DropAction.CopyAction)
            event.accept()
            series_uid = event.mimeData().data(_FORMAT).toStdString()
            if event.type() == QEvent.Type.Drop:
                self.dropped.emit(series_uid)
            elif event.type() == QEvent.Type.DragEnter:
                self.over.emit(series_uid)
            return event.type() in (*_OVER, QEvent.Type.Drop)
        return super().eventFilter(watched, event)
