"""The section across a vessel at one place: its edge, the middle to be dragged, and ways along the vessel."""

import math

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
    QWheelEvent,
)
from PySide6.QtWidgets import QWidget

from render import Picture
from render.geometry import Plane, Vector
from render.measure import place_on
from workstation.desktop.images import image_of
from workstation.desktop.language import tr
from workstation.desktop.marks import MEASURE

_SIDE_PX = 150
_HELD_PX = 9.0  # how near the mouse takes hold of the middle
_WHEEL_MM = 1.0  # along the vessel for each notch
_DRAG_MM = 0.25  # along the vessel for each point of the mouse
_NUDGE_MM = 0.25  # by which a key moves the middle
_STEPS_MM = {
    Qt.Key.Key_Left: -0.5, Qt.Key.Key_Right: 0.5, Qt.Key.Key_PageDown: -10.0, Qt.Key.Key_PageUp: 10.0,
    Qt.Key.Key_Home: -math.inf, Qt.Key.Key_End: math.inf,
}  # fmt: skip
_ASIDE = {Qt.Key.Key_Left: (-1, 0), Qt.Key.Key_Right: (1, 0), Qt.Key.Key_Up: (0, -1), Qt.Key.Key_Down: (0, 1)}
_EDGE, _MIDDLE = QColor(74, 163, 223), QColor(225, 225, 225)


class AlongVessel(QWidget):
    """What shows a place along a vessel and is moved along it by keys. moved : mm from where it is now. held, let_go :
    a drag begins and ends."""

    moved = Signal(float)
    held = Signal()
    let_go = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        super().focusOutEvent(event)
        self.update()

    def paint_focus(self, painter: QPainter) -> None:
        if self.hasFocus():
            painter.setPen(QPen(self.palette().highlight().color(), 2.0))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(self.rect().adjusted(1, 1, -1, -1))

    def takes_key(self, event: QKeyEvent) -> bool:
        """Whether a key is for this widget, before the shortcuts of the window, which have the arrows too."""
        return Qt.Key(event.key()) in _STEPS_MM

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and self.takes_key(event):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        step = _STEPS_MM.get(Qt.Key(event.key()))
        if step is None:
            super().keyPressEvent(event)
        else:
            self.moved.emit(step)


class VesselSection(AlongVessel):
    """The picture across a vessel. centred : the place, LPS mm, that the middle of the vessel was brought to."""

    centred = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._image: QImage | None = None
        self.plane: Plane | None = None
        self.middle_mm: Vector | None = None
        self._edge: tuple[Vector, ...] = ()
        self._is_closed = True
        self._loose: QPointF | None = None  # where the middle would be
        self._last: QPointF | None = None  # of a drag along the vessel
        self.setFixedSize(QSize(_SIDE_PX, _SIDE_PX))
        self.setAccessibleName(tr("Section across the vessel"))
        self.setToolTip(
            tr(
                "Drag the cross, or Shift and arrow keys: the line goes there; "
                "drag elsewhere, the wheel and arrow keys go along the vessel"
            )
        )

    def show_section(self, picture: Picture, middle_mm: Vector, edge_mm: tuple[Vector, ...], is_closed: bool) -> None:
        """Shows a section. middle_mm : of the vessel's line, LPS mm. edge_mm : of the lumen. is_closed : whether that
        is seen all round."""
        self._image, self.plane = image_of(picture), picture.planes[0]
        self.middle_mm, self._edge, self._is_closed = middle_mm, edge_mm, is_closed
        self.update()

    def clear(self) -> None:
        """Shows nothing, until the next section is there."""
        self._image = self.plane = self.middle_mm = None
        self._loose = self._last = None
        self.update()

    def _scale(self) -> float:
        """Returns how many points of the widget a pixel is."""
        assert self._image is not None
        return self.width() / self._image.width()

    def on_widget(self, place_mm: Vector) -> QPointF:
        """Returns the position of a point of the section on the widget."""
        assert self.plane is not None
        row, column = place_on(self.plane, place_mm)
        return QPointF((column + 0.5) * self._scale(), (row + 0.5) * self._scale())

    def place(self, at: QPointF) -> Vector:
        """Returns the point of the section, LPS mm, under a position of the widget."""
        assert self.plane is not None
        return self.plane.at(at.y() / self._scale() - 0.5, at.x() / self._scale() - 0.5)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform)
        painter.fillRect(self.rect(), QColor(12, 14, 16))
        if self._image is not None and self.middle_mm is not None:
            painter.drawImage(QRectF(self.rect()), self._image)
            style = Qt.PenStyle.SolidLine if self._is_closed else Qt.PenStyle.DashLine
            painter.setPen(QPen(_EDGE, 1.2, style))
            painter.drawPolygon(QPolygonF([self.on_widget(place) for place in self._edge]))
            self._paint_cross(painter, self.on_widget(self.middle_mm), _MIDDLE)
            if self._loose is not None:
                self._paint_cross(painter, self._loose, MEASURE)
        self.paint_focus(painter)
        painter.end()

    @staticmethod
    def _paint_cross(painter: QPainter, at: QPointF, colour: QColor) -> None:
        painter.setPen(QPen(colour, 1.5))
        painter.drawLine(at - QPointF(6.0, 0.0), at + QPointF(6.0, 0.0))
        painter.drawLine(at - QPointF(0.0, 6.0), at + QPointF(0.0, 6.0))

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        self.setFocus(Qt.FocusReason.MouseFocusReason)
        if event.button() != Qt.MouseButton.LeftButton or self.middle_mm is None:
            return
        away = event.position() - self.on_widget(self.middle_mm)
        if math.hypot(away.x(), away.y()) <= _HELD_PX:
            self._loose = event.position()
        else:
            self._last = event.position()
            self.held.emit()
        self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if self._loose is not None:
            self._loose = event.position()
            self.update()
        elif self._last is not None:
            by, self._last = event.position().y() - self._last.y(), event.position()
            self.moved.emit(by * _DRAG_MM)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        (loose, self._loose), (last, self._last) = (self._loose, None), (self._last, None)
        if last is not None:
            self.let_go.emit()
        if loose is not None and self.middle_mm is not None:
            self._bring(loose - self.on_widget(self.middle_mm))
        self.update()

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        self.moved.emit(-event.angleDelta().y() / 120.0 * _WHEEL_MM)
        event.accept()

    def takes_key(self, event: QKeyEvent) -> bool:
        return super().takes_key(event) or self._aside(event) is not None

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        aside = self._aside(event)
        if aside is None:
            super().keyPressEvent(event)
        elif self.plane is not None:
            by = _NUDGE_MM / self.plane.pixel_spacing_mm[0] * self._scale()
            self._bring(QPointF(aside[0] * by, aside[1] * by))

    @staticmethod
    def _aside(event: QKeyEvent) -> tuple[int, int] | None:
        """Returns the way right and down in which a key moves the middle."""
        shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        return _ASIDE.get(Qt.Key(event.key())) if shift else None

    def _bring(self, by: QPointF) -> None:
        """Brings the middle elsewhere in the section; a click that did not move brings it nowhere."""
        if self.middle_mm is not None and math.hypot(by.x(), by.y()) >= 0.5:
            self.centred.emit(self.place(self.on_widget(self.middle_mm) + by))
