"""An image in 2D: as large as there is room, its pixels as tall as they are, with words and distances over it."""

from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from workstation.desktop.labels import placed
from workstation.desktop.language import tr
from workstation.desktop.marks import MEASURE, write
from workstation.desktop.model.reading2d import PixelLine

_TEXT = QColor(225, 225, 225)
_MARGIN = 8.0


class ImageCanvas(QWidget):
    """Paints what it is given. corners : lines of upper left, upper right, lower left, lower right. lines : with their
    words. pixel_height : height of a pixel over its width. The mouse signals carry (row, column) of the image."""

    pressed = Signal(QPointF)
    dragged = Signal(QPointF, QPointF)
    released = Signal()
    hovered = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.image: QImage | None = None
        self.message = ""
        self.corners: tuple[tuple[str, ...], ...] = ((), (), (), ())
        self.lines: tuple[tuple[PixelLine, str], ...] = ()
        self.pixel_height = 1.0
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(tr("Image"))
        self.setMinimumSize(240, 200)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def frame(self) -> QRectF:
        """Returns where the image is."""
        if self.image is None:
            return QRectF(self.rect())
        wide, tall = float(self.image.width()), self.image.height() * self.pixel_height
        scale = min(self.width() / wide, self.height() / tall)
        size = (wide * scale, tall * scale)
        return QRectF((self.width() - size[0]) / 2.0, (self.height() - size[1]) / 2.0, *size)

    def pixel(self, at: QPointF) -> QPointF:
        """Returns (column, row) of the image under a position of the widget, 0 the middle of the first pixel."""
        frame = self.frame()
        assert self.image is not None
        column = (at.x() - frame.left()) / frame.width() * self.image.width() - 0.5
        return QPointF(column, (at.y() - frame.top()) / frame.height() * self.image.height() - 0.5)

    def on_widget(self, row: float, column: float) -> QPointF:
        frame = self.frame()
        assert self.image is not None
        x = frame.left() + (column + 0.5) / self.image.width() * frame.width()
        return QPointF(x, frame.top() + (row + 0.5) / self.image.height() * frame.height())

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(0, 0, 0))
        painter.setRenderHints(QPainter.RenderHint.SmoothPixmapTransform | QPainter.RenderHint.Antialiasing)
        if self.image is not None and not self.message:
            painter.drawImage(self.frame(), self.image)
            taken: list[QRectF] = []
            for (row_a, column_a, row_b, column_b), words in self.lines:
                a, b = self.on_widget(row_a, column_a), self.on_widget(row_b, column_b)
                painter.setPen(QPen(MEASURE, 1.5))
                painter.drawLine(a, b)
                metrics = painter.fontMetrics()
                size = QRectF(0.0, 0.0, metrics.horizontalAdvance(words), metrics.height()).size()
                here = placed(b, size, taken, QRectF(self.rect()))
                taken.append(here)
                write(painter, here.topLeft() + QPointF(0.0, metrics.ascent()), words, MEASURE)
        self._paint_corners(painter)
        if self.message:
            painter.setPen(_TEXT)
            inner = self.rect().adjusted(40, 0, -40, 0)
            painter.drawText(inner, int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap), self.message)
        painter.end()

    def _paint_corners(self, painter: QPainter) -> None:
        metrics = painter.fontMetrics()
        for number, lines in enumerate(self.corners):
            top, left = number < 2, number % 2 == 0
            for row, line in enumerate(lines):
                text = metrics.elidedText(line, Qt.TextElideMode.ElideRight, round(self.width() * 0.46))
                x = _MARGIN if left else self.width() - _MARGIN - metrics.horizontalAdvance(text)
                foot = self.height() - _MARGIN - metrics.height() * (len(lines) - 1 - row)
                y = _MARGIN + metrics.ascent() + metrics.height() * row if top else foot
                write(painter, QPointF(x, y), text, _TEXT)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        self.pressed.emit(event.position())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if event.buttons() & Qt.MouseButton.LeftButton:
            self.dragged.emit(event.position(), event.globalPosition())
        self.hovered.emit(event.position())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        self.released.emit()
