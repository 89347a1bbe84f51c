"""Measures over a picture: their lines, handles and words, and what of them is under the mouse."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

from PySide6.QtCore import QPointF, QRectF, QSize, QSizeF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QImage, QPainter, QPen, QPolygonF

from render.geometry import Plane, Vector
from workstation.desktop.labels import placed

PATH, CROP, MEASURE = QColor(210, 160, 240), QColor(120, 200, 220), QColor(255, 220, 90)
PATH_NUMBER = -1  # in place of a measure's number, for the path of the curved picture
_SHADOW = QColor(0, 0, 0)
_EDGE = 2  # points around words, for their edge
_HANDLE_PX, _LINE_PX = 8.0, 5.0  # how near the mouse takes hold of a handle, of a line
OnWidget = Callable[[Vector], QPointF]


@dataclass(frozen=True, slots=True)
class MeasureMark:
    """A measure over the picture. outline : whether the points are one. text : beside the last point. number : of the
    measure, None where it cannot be taken hold of. handles_mm : the points to take hold of. arrow : with a head at
    the first point. is_path : a line through all of its points."""

    points_mm: tuple[Vector, ...]
    outline: bool
    text: str
    colour: QColor = field(default_factory=lambda: MEASURE)
    number: int | None = None
    handles_mm: tuple[Vector, ...] = ()
    selected: bool = False
    arrow: bool = False
    is_path: bool = False


@dataclass(frozen=True, slots=True)
class Grip:
    """What is held of a measure, or of the path: its number, and which of its points; None for the whole."""

    number: int
    handle: int | None


def paint_mark(painter: QPainter, mark: MeasureMark, on_widget: OnWidget) -> None:
    """Paints the lines and handles of a measure."""
    places = [on_widget(p) for p in mark.points_mm]
    painter.setPen(QPen(mark.colour, 2.5 if mark.selected else 1.5))
    if mark.outline:
        painter.drawPolygon(QPolygonF(places))
    elif _two_lines(mark):
        painter.drawLine(places[0], places[1])
        painter.drawLine(places[2], places[3])
    else:
        painter.drawPolyline(QPolygonF(places))
    if mark.arrow and len(places) == 2:
        painter.setBrush(mark.colour)
        painter.drawPolygon(QPolygonF(_arrow_head(places[1], places[0])))
    if mark.selected:
        painter.setBrush(mark.colour)
        for place in (on_widget(p) for p in mark.handles_mm):
            painter.drawRect(QRectF(place.x() - 3.5, place.y() - 3.5, 7.0, 7.0))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    handles = mark.handles_mm or mark.points_mm
    if len(handles) <= 8 and not (mark.selected or mark.arrow):
        for handle in handles:
            painter.drawEllipse(on_widget(handle), 2.5, 2.5)


def paint_labels(
    painter: QPainter, marks: Sequence[MeasureMark], on_widget: OnWidget, corners: Sequence[QRectF]
) -> dict[int, QRectF]:
    """Writes the words of the measures, none on another or on the text of `corners`. Returns their places by number."""
    metrics, inside = painter.fontMetrics(), QRectF(painter.window()).adjusted(2.0, 2.0, -2.0, -2.0)
    taken, found = list(corners), dict[int, QRectF]()
    for mark in marks:
        if not mark.text or not mark.points_mm:
            continue
        lines = mark.text.split("\n")
        width = max(metrics.horizontalAdvance(line) for line in lines)
        beside = on_widget(mark.points_mm[-1])
        here = placed(beside, QSizeF(width, metrics.height() * len(lines)), taken, inside)
        taken.append(here)
        if mark.number is not None:
            found[mark.number] = here
        if _length(here.center() - beside) > 1.5 * max(here.width(), here.height()):
            painter.setPen(QPen(mark.colour, 1.0, Qt.PenStyle.DotLine))
            painter.drawLine(beside, QPointF(here.left(), here.center().y()))
        for number, text in enumerate(lines):
            at = here.topLeft() + QPointF(0.0, metrics.ascent() + metrics.height() * number)
            write(painter, at, text, mark.colour)
    return found


def grip_at(
    at: QPointF,
    shown: Sequence[MeasureMark],
    on_widget: OnWidget,
    labels: Mapping[int, QRectF],
    plane: Plane | None = None,
) -> Grip | None:
    """Returns what of a measure is under a position of the widget: a handle before a line or words; of several the
    selected one first. labels : where the words of each stand. plane : of the picture, None for one that is bent or
    seen through; of handles behind one another the one nearest to it is held."""
    marks = sorted((m for m in shown if m.number is not None), key=lambda m: not m.selected)
    for mark in marks:
        near = [n for n, place in enumerate(mark.handles_mm) if _length(on_widget(place) - at) <= _HANDLE_PX]
        if near:
            return Grip(mark.number or 0, min(near, key=lambda n: _depth(mark.handles_mm[n], plane)))
    for mark in marks:
        places = [on_widget(p) for p in mark.points_mm]
        pairs = [(places[0], places[1]), (places[2], places[3])] if _two_lines(mark) else list(pairwise(places))
        if mark.outline and places:
            pairs.append((places[-1], places[0]))
        label = labels.get(mark.number or 0)
        if any(_beside(at, a, b) <= _LINE_PX for a, b in pairs) or (label is not None and label.contains(at)):
            return Grip(mark.number or 0, None)
    return None


def _depth(place_mm: Vector, plane: Plane | None) -> float:
    """Returns how far a place is from a plane, in micrometres as whole numbers."""
    if plane is None:
        return 0.0
    away = zip(place_mm, plane.origin_mm, plane.normal, strict=True)
    return round(1000.0 * abs(sum((p - o) * n for p, o, n in away)))


def write(painter: QPainter, at: QPointF, text: str, colour: QColor) -> None:
    """Writes light text with a dark edge, readable on bone and on air. at : where its first letter stands."""
    density = painter.device().devicePixelRatio()
    picture, ascent = _written(text, colour.rgba(), painter.font().toString(), density)
    # On whole pixels: in between it would blur.
    left, top = (round(place * density) / density for place in (at.x() - _EDGE, at.y() - ascent - _EDGE))
    painter.drawImage(QPointF(left, top), picture)


@lru_cache(maxsize=512)
def _written(text: str, colour: int, font: str, density: float) -> tuple[QImage, int]:
    """Returns a picture of words with their edge, and how far they rise: most are the same in the next picture, and
    writing them takes six times as long as drawing this. colour, font : as Qt writes them."""
    letters = QFont()
    letters.fromString(font)
    metrics = QFontMetrics(letters)
    size = QSize(metrics.horizontalAdvance(text) + 2 * _EDGE + 1, metrics.height() + 2 * _EDGE)
    picture = QImage(size * density, QImage.Format.Format_ARGB32_Premultiplied)
    picture.setDevicePixelRatio(density)
    picture.fill(Qt.GlobalColor.transparent)
    painter, at = QPainter(picture), QPointF(_EDGE, metrics.ascent() + _EDGE)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setFont(letters)
    painter.setPen(_SHADOW)
    for x, y in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        painter.drawText(at + QPointF(x, y), text)
    painter.setPen(QColor.fromRgba(colour))
    painter.drawText(at, text)
    painter.end()
    return picture, metrics.ascent()


def _two_lines(mark: MeasureMark) -> bool:
    """Whether a mark is the two lines of a Cobb angle."""
    return not mark.outline and len(mark.points_mm) == 4 and not mark.is_path


def _length(way: QPointF) -> float:
    return math.hypot(way.x(), way.y())


def _beside(at: QPointF, a: QPointF, b: QPointF) -> float:
    """Returns the distance of a position from the line between two others."""
    along = b - a
    length = QPointF.dotProduct(along, along)
    part = min(max(QPointF.dotProduct(at - a, along) / length, 0.0), 1.0) if length > 0.0 else 0.0
    return _length(at - (a + along * part))


def _arrow_head(start: QPointF, tip: QPointF) -> list[QPointF]:
    """Returns the three corners of an arrow's head."""
    way = tip - start
    length = max(_length(way), 1e-9)
    along = QPointF(way.x() / length, way.y() / length)
    across = QPointF(-along.y(), along.x())
    back = tip - along * 11.0
    return [tip, back + across * 4.5, back - across * 4.5]
