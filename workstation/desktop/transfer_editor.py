"""The transfer function as a curve over the histogram: drag, add, remove and colour its points; the 3D pane follows."""

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QColorDialog, QWidget

from workstation.desktop.language import tr
from workstation.desktop.model import edits
from workstation.desktop.viewer import Viewer

_NEAR_PX = 9.0
_EDGE_PX = 10.0
_BINS, _SAMPLED = 200, 60_000


class TransferEditor(QWidget):
    """The editor: values from left to right, opacity upwards. A double-click on a point chooses its colour, elsewhere
    it adds one; the right button removes one."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._dragged: int | None = None
        voxels = viewer.session.volume.voxels
        sample = voxels.reshape(-1)[:: max(1, voxels.size // _SAMPLED)].astype(np.float64)
        points = viewer.session.screen.solid.transfer.points
        low, high = (float(v) for v in np.percentile(sample, [0.5, 99.9]))
        self._low = min(low, points[0].value)
        self._high = max(high, points[-1].value, self._low + 1.0)
        counts, _ = np.histogram(sample, bins=_BINS, range=(self._low, self._high))
        heights = np.log1p(counts.astype(np.float64))
        self._heights: NDArray[np.float64] = heights / max(float(heights.max()), 1e-9)
        self.setMinimumHeight(150)
        self.setAccessibleName(tr("Transfer function"))
        self.setToolTip(
            tr("Drag a point. Double-click: colour of a point, or a new one. Right button: removes a point.")
        )
        self._painted = viewer.session.screen.solid.transfer
        viewer.changed.connect(self._look)

    def _look(self) -> None:
        if self._painted != self._viewer.session.screen.solid.transfer:
            self.update()

    def place(self, number: int) -> QPointF:
        """Returns the position of a point of the function on the widget."""
        point = self._viewer.session.screen.solid.transfer.points[number]
        part = (point.value - self._low) / (self._high - self._low)
        inner = self._inner()
        return QPointF(inner.left() + part * inner.width(), inner.bottom() - point.opacity * inner.height())

    def _inner(self) -> QRectF:
        return QRectF(self.rect()).adjusted(_EDGE_PX, _EDGE_PX, -_EDGE_PX, -_EDGE_PX)

    def _said(self, at: QPointF) -> tuple[float, float]:
        """Returns (value, opacity) under a position of the widget."""
        inner = self._inner()
        value = self._low + (at.x() - inner.left()) / max(inner.width(), 1.0) * (self._high - self._low)
        return value, (inner.bottom() - at.y()) / max(inner.height(), 1.0)

    def _under(self, at: QPointF) -> int | None:
        count = len(self._viewer.session.screen.solid.transfer.points)
        near = [(n, (self.place(n) - at).manhattanLength()) for n in range(count)]
        number, distance = min(near, key=lambda each: each[1])
        return number if distance <= _NEAR_PX else None

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        self._painted = self._viewer.session.screen.solid.transfer
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        inner, points = self._inner(), self._viewer.session.screen.solid.transfer.points
        painter.fillRect(self.rect(), QColor(12, 14, 16))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(58, 64, 72))
        width, foot, corners = inner.width() / _BINS, inner.bottom(), list[QPointF]()
        for n, height in enumerate(self._heights):
            left, top = inner.left() + n * width, foot - height * inner.height()
            corners += (QPointF(left, top), QPointF(left + width, top))
        painter.drawPolygon(QPolygonF([QPointF(inner.left(), foot), *corners, QPointF(inner.right(), foot)]))
        places = [self.place(n) for n in range(len(points))]
        painter.setPen(QPen(QColor(225, 225, 225), 1.5))
        painter.drawPolyline(QPolygonF(places))
        for point, place in zip(points, places, strict=True):
            painter.setBrush(QColor.fromRgbF(point.red, point.green, point.blue))
            painter.drawEllipse(place, 5.0, 5.0)
        painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        number = self._under(event.position())
        if number is None:
            return
        if event.button() == Qt.MouseButton.RightButton:
            self._viewer.do(edits.point_removed, number)
        elif event.button() == Qt.MouseButton.LeftButton:
            self._dragged = number
            self._viewer.session.begin()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if self._dragged is not None:
            self._viewer.do(edits.point_moved, self._dragged, *self._said(event.position()), moving=True)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if self._dragged is not None:
            self._dragged = None
            self._viewer.session.end()
            self._viewer.refresh()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        number = self._under(event.position())
        if number is None:
            self._viewer.do(edits.point_added, *self._said(event.position()))
            return
        point = self._viewer.session.screen.solid.transfer.points[number]
        colour = QColorDialog.getColor(
            QColor.fromRgbF(point.red, point.green, point.blue), self, tr("Colour of the point")
        )
        if colour.isValid():
            self._viewer.do(edits.point_coloured, number, colour.redF(), colour.greenF(), colour.blueF())
