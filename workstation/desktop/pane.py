"""A pane: paints the last picture that it was given, and the overlay. It decides nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from numpy.typing import NDArray
from PySide6.QtCore import QPoint, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QCursor,
    QFontMetrics,
    QImage,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QWidget

from render.annotate import cube
from render.curved import pixel_mm
from render.curved_surface import CurvedShape, CurvedSurface, shape_of, surfaces
from render.geometry import Plane, Vector, View
from render.marks import pixel_of
from render.measure import place_on
from render.recipe import CurvedReformat
from workstation.desktop.crosshair import COLOURS, CrosshairLine, paint_line
from workstation.desktop.images import PaneImage
from workstation.desktop.labels import letters_of_sides, rect_at, wrapped
from workstation.desktop.language import tr
from workstation.desktop.marks import MEASURE, Grip, MeasureMark, grip_at, paint_labels, paint_mark, write
from workstation.desktop.model.corners import Corner
from workstation.desktop.model.screen import PaneName, main_pane

_CUBE_PX = 26.0
_TEXT, _LETTER = QColor(225, 225, 225), QColor(255, 210, 80)
_MOST_PX = 1280  # a side of a picture on the screen
_SMALL_PX = (340, 260)  # narrower or lower panes say less
_CORNER_PART = 0.42  # of the width, for the text of a corner
_SAME_SHAPE = 0.97  # sides within this share of the pane's: a coarse picture is a few pixels off
_STROKE = QColor(255, 255, 255, 90)
_STRANGER = QColor(255, 110, 90)
_Coefficients = tuple[float, float, float, float]
_SCALES_MM = (200, 100, 50, 20, 10, 5, 2, 1)


@dataclass(frozen=True, slots=True)
class Overlay:
    """The overlay of a picture. corners : lines of text. view : of the orientation cube, None for none. stranger :
    whether the picture seems to be another patient's."""

    corners: Mapping[Corner, tuple[str, ...]] = field(default_factory=dict)
    lines: tuple[CrosshairLine, ...] = ()
    marks: tuple[MeasureMark, ...] = ()
    view: View | None = None
    stranger: bool = False


class Pane(QWidget):
    """A pane. Signals carry its name first. pressed, moved, released : the mouse event."""

    pressed = Signal(str, object)
    moved = Signal(str, object)
    released = Signal(str, object)
    turned = Signal(str, int, object)
    doubled = Signal(str, object)
    hovered = Signal(str)
    resized = Signal(str)
    _still_at: ClassVar[QPoint | None] = None
    _has_waited = False

    def __init__(self, name: PaneName) -> None:
        super().__init__()
        self.name: PaneName = name
        self.overlay = Overlay()
        self.message = tr("Drawing …")
        self.full = False
        self.lasso: list[QPointF] = []
        self.stroke: list[QPointF] = []
        self._stroke_px = 0.0
        self._mouse: QPointF | None = None
        self._labels: dict[int, QRectF] = {}
        self._values: NDArray[Any] | None = None
        self._image: QImage | None = None
        self._over: QImage | None = None
        self._pixel_mm = 0.0
        self.plane: Plane | None = None
        self.surface: CurvedSurface | None = None
        self.shape: CurvedShape | None = None
        self.rows = self.columns = 1
        self._affine: tuple[_Coefficients, _Coefficients] | None = None  # (row, column) of a point, LPS mm, on a plane
        self._framed = ((0, 0, 0, 0), QRectF())
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(120, 120)
        self.setAccessibleName(tr("{name} pane", name=name))

    def show_picture(self, shown: PaneImage) -> None:
        picture, full = shown.picture, shown.full
        self._image, self._over = shown.image, shown.over
        self.rows, self.columns = self._image.height(), self._image.width()
        self._values = picture.pixels[0] if picture.pixels.ndim == 3 and full else None
        self.plane = picture.planes[0] if picture.planes else None
        self.surface = self.shape = self._affine = None
        if isinstance(picture.recipe, CurvedReformat):
            self.surface, self.shape = surfaces(picture.recipe)[0], shape_of(picture.recipe)
            self._pixel_mm = pixel_mm(picture.recipe)
        elif self.plane is not None:
            self._pixel_mm = self.plane.pixel_spacing_mm[0]
            self._affine = _affine_of(self.plane)
        self.full, self.message = full, ""
        self.update()

    def show_message(self, sentence: str) -> None:
        self.message = sentence
        self.update()

    def show_stroke(self, stroke: list[QPointF], radius_px: float) -> None:
        """Shows the way of a brush; none for an empty one."""
        self.stroke, self._stroke_px = stroke, radius_px
        self.update()

    def show_overlay(self, overlay: Overlay) -> None:
        if overlay != self.overlay:
            self.overlay = overlay
            self.update()

    def say_corners(self, texts: Mapping[Corner, tuple[str, ...]]) -> None:
        """Changes the text in the corners, and nothing else of the overlay."""
        if texts != self.overlay.corners:
            self.overlay = replace(self.overlay, corners=texts)
            self.update()

    def under_mouse(self) -> tuple[Vector | None, float | None]:
        """Returns the point of the patient under the mouse, LPS mm, and the value that the picture shows there; None
        where there is none. A coarse picture says no value."""
        if self._mouse is None or self.overlay.view is not None:
            return None, None
        place, (row, column) = self.place(self._mouse), (round(v) for v in self.pixel(self._mouse))
        inside = place is not None and 0 <= row < self.rows and 0 <= column < self.columns
        return place, float(self._values[row, column]) if inside and self._values is not None else None

    def grip_at(self, at: QPointF) -> Grip | None:
        """Returns what of a measure is under a position of the widget."""
        if not self._is_placed():
            return None
        plane = self.plane if self.overlay.view is None else None  # of 3D it is nowhere in particular
        return grip_at(at, self.overlay.marks, self.on_widget, self._labels, plane)

    def is_small(self) -> bool:
        """Whether the pane has no room for all texts."""
        return self.width() < _SMALL_PX[0] or self.height() < _SMALL_PX[1]

    def picture_size(self) -> tuple[int, int]:
        """Returns (rows, columns) of a full picture here, in device pixels."""
        ratio = self.devicePixelRatioF()
        rows, columns = max(1, round(self.height() * ratio)), max(1, round(self.width() * ratio))
        shrink = min(1.0, _MOST_PX / max(rows, columns))
        return max(1, round(rows * shrink)), max(1, round(columns * shrink))

    def place(self, at: QPointF) -> Vector | None:
        """Returns the point on the picture's plane or curved surface, LPS mm, under a position of the widget; None
        where the picture shows none."""
        shown = self.surface or self.plane
        return None if shown is None else shown.at(*self.pixel(at))

    def is_folded(self, at: QPointF) -> bool:
        """Whether a curved picture has folded over itself under a position of the widget."""
        return self.surface is not None and self.surface.is_folded(*self.pixel(at))

    def _is_placed(self) -> bool:
        """Whether points of the patient have a place on the picture."""
        return self.plane is not None or self.surface is not None

    def _frame(self) -> QRectF:
        """Returns where the picture is: everywhere, but for one that was drawn for another shape of the pane. That is
        never stretched: what is round stays round until the new one is there."""
        shape = (self.width(), self.height(), self.rows, self.columns)
        if shape != self._framed[0]:  # asked for every point that is painted
            self._framed = (shape, _frame_of(*shape))
        return self._framed[1]

    def pixel(self, at: QPointF) -> tuple[float, float]:
        """Returns (row, column) of the picture under a position of the widget."""
        frame = self._frame()
        row = (at.y() - frame.top()) / max(frame.height(), 1.0) * self.rows - 0.5
        return row, (at.x() - frame.left()) / max(frame.width(), 1.0) * self.columns - 0.5

    def on_widget(self, place_mm: Vector) -> QPointF:
        """Returns the position of a point of the patient on the widget."""
        if self._affine is None:
            assert self.surface is not None
            row, column = pixel_of(self.surface, place_mm)
        else:
            left, back, up = place_mm
            row, column = (a + b * left + c * back + d * up for a, b, c, d in self._affine)
        frame = self._frame()
        x, y = (column + 0.5) / self.columns * frame.width(), (row + 0.5) / self.rows * frame.height()
        return QPointF(frame.left() + x, frame.top() + y)

    def mm_per_point(self) -> float:
        return self._pixel_mm * self.rows / max(self._frame().height(), 1.0) if self._pixel_mm else 1.0

    # ------------------------------------------------------------------------------------------------ painting

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        if self._image is None or self._frame() != QRectF(self.rect()):  # else it covers everything
            painter.fillRect(self.rect(), QColor(0, 0, 0))
        painter.setRenderHints(QPainter.RenderHint.SmoothPixmapTransform | QPainter.RenderHint.Antialiasing)
        if self._image is not None:
            painter.drawImage(self._frame(), self._image)
        if self._over is not None:
            painter.drawImage(self._frame(), self._over)
        if self._is_placed():
            for line in self.overlay.lines:
                paint_line(painter, line, self.on_widget)
            for mark in self.overlay.marks:
                paint_mark(painter, mark, self.on_widget)
            taken = [rect for rect, _, _ in self._corner_lines(painter.fontMetrics())]
            taken += [rect_at(letter, at, painter.fontMetrics()) for letter, at in self._letters()]
            self._labels = paint_labels(painter, self.overlay.marks, self.on_widget, taken)
        for letter, at in self._letters():
            write(painter, at, letter, _LETTER)
        if self._pixel_mm:
            self._paint_scale(painter)
        if self.overlay.view is not None:
            self._paint_cube(painter, self.overlay.view)
        if self.stroke:
            round_ends = (Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin)
            painter.setPen(QPen(_STROKE, max(2.0 * self._stroke_px, 1.0), *round_ends))
            painter.drawPolyline(QPolygonF([*self.stroke, self.stroke[-1] + QPointF(0.1, 0.0)]))
        if self.lasso:
            painter.setPen(QPen(MEASURE, 1.5, Qt.PenStyle.DashLine))
            painter.drawPolygon(QPolygonF(self.lasso))
        self._paint_corners(painter)
        if self.message:
            # Below the letter of the side, in as many lines as the pane is narrow for.
            for number, words in enumerate(wrapped(self.message, painter.fontMetrics(), self.width() - 16)):
                write(
                    painter, QPointF(8, self.height() / 2 + painter.fontMetrics().height() * (number + 2)), words, _TEXT
                )
        painter.setPen(QPen(COLOURS[main_pane(self.name)], 2.0 if self.hasFocus() else 1.0))
        painter.drawRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5))
        painter.end()

    def _paint_corners(self, painter: QPainter) -> None:
        ascent = painter.fontMetrics().ascent()
        for rect, text, colour in self._corner_lines(painter.fontMetrics()):
            write(painter, rect.topLeft() + QPointF(0.0, ascent), text, colour)

    def _corner_lines(self, metrics: QFontMetrics) -> list[tuple[QRectF, str, QColor]]:
        """Returns the lines in the corners, with their places."""
        found, height, room = [], metrics.height(), round(self.width() * _CORNER_PART)
        for corner, lines in self.overlay.corners.items():
            top, left = corner.startswith("top"), corner.endswith("left")
            foot = self.height() - 8.0
            if not top and left and self._pixel_mm:
                foot -= 28.0  # above the scale
            if not top and not left and self.overlay.view is not None:
                foot -= 4.4 * _CUBE_PX  # above the cube
            for number, line in enumerate(lines):
                text = metrics.elidedText(line, Qt.TextElideMode.ElideRight, room)
                width = metrics.horizontalAdvance(text)
                x = 8.0 if left else self.width() - 8.0 - width
                y = 6.0 + height * number if top else foot - height * (len(lines) - number)
                colour = _STRANGER if self.overlay.stranger and corner == "top_left" else _TEXT
                found.append((QRectF(x, y, width, height), text, colour))
        return found

    def _letters(self) -> list[tuple[str, QPointF]]:
        return [] if self.plane is None else letters_of_sides(self.plane, self.width(), self.height())

    def _paint_scale(self, painter: QPainter) -> None:
        mm = self.mm_per_point()
        length = next((n for n in _SCALES_MM if n / mm <= self.width() / 4), None)
        if length is None:
            return
        left, bottom = 10.0, self.height() - 12.0
        painter.setPen(QPen(_TEXT, 2.0))
        painter.drawLine(QPointF(left, bottom), QPointF(left + length / mm, bottom))
        write(painter, QPointF(left, bottom - 6), f"{length // 10} cm" if length >= 10 else f"{length} mm", _TEXT)

    def _paint_cube(self, painter: QPainter, view: View) -> None:
        centre = QPointF(self.width() - 2.2 * _CUBE_PX, self.height() - 2.2 * _CUBE_PX)
        for face in cube(view):
            shade = int(60 + 100 * face.light)
            painter.setPen(QPen(_LETTER, 1.0))
            painter.setBrush(QColor(shade, shade, shade + 15))
            painter.drawPolygon(QPolygonF([centre + QPointF(x, y) * _CUBE_PX for x, y in face.corners]))
            x, y = face.middle
            write(painter, centre + QPointF(x * _CUBE_PX - 4, y * _CUBE_PX + 5), face.letter, _LETTER)
        painter.setBrush(Qt.BrushStyle.NoBrush)

    # ------------------------------------------------------------------------------------------------ events

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        self.setFocus()
        self.pressed.emit(self.name, event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        self._mouse = event.position()
        if self._has_waited and QCursor.pos() != Pane._still_at:
            self._has_waited = False
            self.setFocus()
        self.moved.emit(self.name, event)
        self.hovered.emit(self.name)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        self.released.emit(self.name, event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        self.doubled.emit(self.name, event)

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        self.turned.emit(self.name, event.angleDelta().y(), event.modifiers())

    def leaveEvent(self, event: object) -> None:  # noqa: N802
        self._mouse = None
        self.hovered.emit(self.name)

    def enterEvent(self, event: object) -> None:  # noqa: N802
        # A pane that moves under a mouse which rests does not take the keys from where the reader sent them.
        self._has_waited = QCursor.pos() == Pane._still_at
        if not self._has_waited:
            self.setFocus()

    @staticmethod
    def wait_for_mouse() -> None:
        """Has panes take the keys only when the mouse has moved again: the reader sent them elsewhere by a key."""
        Pane._still_at = QCursor.pos()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        self.resized.emit(self.name)


def _frame_of(width: int, height: int, rows: int, columns: int) -> QRectF:
    whole = QRectF(0.0, 0.0, width, height)
    scale = min(width / columns, height / rows)
    wide, tall = columns * scale, rows * scale
    if min(wide / max(width, 1.0), tall / max(height, 1.0)) > _SAME_SHAPE:
        return whole
    return QRectF((width - wide) / 2.0, (height - tall) / 2.0, wide, tall)


def _affine_of(plane: Plane) -> tuple[_Coefficients, _Coefficients]:
    """Returns (constant, and per mm along each axis of LPS) of row and column: one sum for each of hundreds of points
    instead of a projection."""
    row, column = place_on(plane, (0.0, 0.0, 0.0))
    steps = [place_on(plane, unit) for unit in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))]
    x, y, z = ((r - row, c - column) for r, c in steps)
    return (row, x[0], y[0], z[0]), (column, x[1], y[1], z[1])
