"""Icons of tools and commands: lines on a grid of 24 by 24, painted in the colour of the text."""

import math

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPen, QPixmap, QPixmapCache, QPolygonF

_GRID = 24.0
_SIZES = (20, 40)
# Each icon as words: `line x y x y …`, `shape x y …` (closed), `circle x y radius`, `disc x y radius`,
# `arc x y radius from to` (degrees, 0 to the right, counter-clockwise), `text letters`.
ICONS: dict[str, str] = {
    "window": "circle 12 12 8; arc 12 12 5 90 270; arc 12 12 3 90 270; line 12 4 12 20",
    "pan": "line 12 3 12 21; line 3 12 21 12; line 9 6 12 3 15 6; line 9 18 12 21 15 18; line 6 9 3 12 6 15; "
    "line 18 9 21 12 18 15",
    "zoom": "circle 10 10 6; line 14.5 14.5 21 21; line 7 10 13 10; line 10 7 10 13",
    "crosshair": "line 12 2 12 9; line 12 15 12 22; line 2 12 9 12; line 15 12 22 12; circle 12 12 2",
    "tilt": "line 4 18 20 6; arc 12 12 9 200 300; line 14 20 17 20 16 17",
    "crop": "line 7 2 7 17 22 17; line 2 7 17 7 17 22",
    "scissors": "circle 6 18 3; circle 6 6 3; line 8 8 21 18; line 8 16 21 6",
    "piece": "shape 4 8 10 4 14 9 10 14 5 13; line 15 12 20 9 21 16 16 19 13 16 15 12",
    "brush": "line 20 4 11 13; line 22 6 13 15; shape 11 13 13 15 9 20 4 20 4 17",
    "grow": "circle 12 12 3; circle 12 12 8; line 12 1 12 6; line 12 18 12 23; line 1 12 6 12; line 18 12 23 12",
    "path": "arc 8 8 5 0 180; arc 16 13 4 180 360; line 3 8 3 20; line 20 13 20 4; disc 3 20 2; disc 20 4 2",
    "distance": "line 4 20 20 4; line 2 17 7 22; line 17 2 22 7",
    "angle": "line 20 20 4 20 16 5; arc 4 20 9 0 50",
    "cobb": "line 3 8 21 4; line 3 16 21 20; line 12 6 12 18",
    "ellipse": "arc 12 12 8 0 360; line 4 12 20 12",
    "polygon": "shape 5 8 13 3 21 9 18 20 7 19",
    "volume": "shape 4 8 12 4 20 8 12 12; line 4 8 4 16 12 20 20 16 20 8; line 12 12 12 20",
    "lesion": "shape 12 4 17 6 20 12 17 18 11 20 6 17 4 11 7 6; line 7 13 17 10; line 11 7 13 16",
    "vessel": "line 8 2 8 8 12 13 12 22; line 16 2 16 8 12 13; line 3 2 3 10 8 16 8 22",
    "trajectory": "line 4 4 15 15; circle 18 18 4; disc 18 18 1; line 2 8 8 2",
    "arrow": "line 20 20 5 5; shape 4 4 11 6 6 11",
    "text": "text T",
    "undo": "line 8 5 4 9 8 13; line 4 9 15 9; arc 15 14 5 270 450; line 15 19 9 19",
    "redo": "line 16 5 20 9 16 13; line 20 9 9 9; arc 9 14 5 90 270; line 9 19 15 19",
    "layout": "shape 3 4 21 4 21 20 3 20",
    "next_layout": "shape 3 4 21 4 21 20 3 20; line 12 4 12 20; line 3 12 21 12",
    "table": "line 3 15 21 15; line 6 15 6 20; line 18 15 18 20; circle 12 10 4",
    "bone": "line 7 17 17 7; disc 5 17 2.4; disc 7 19 2.4; disc 17 5 2.4; disc 19 7 2.4",
    "whole": "arc 12 12 8 60 360; line 12 4 17 4 17 9",
    "cine": "shape 7 4 20 12 7 20",
    "capture": "shape 3 8 8 8 10 5 14 5 16 8 21 8 21 19 3 19; circle 12 13 4",
    "capture_rotation": "arc 12 12 8 30 300; line 18 3 19 8 14 9; circle 12 12 3",
    "worklist": "line 9 6 21 6; line 9 12 21 12; line 9 18 21 18; disc 4 6 1.4; disc 4 12 1.4; disc 4 18 1.4",
    "query": "line 12 3 12 14; line 7 10 12 15 17 10; line 4 20 20 20",
    "commands": "text ⌘",
    "lock": "shape 5 11 19 11 19 21 5 21; arc 12 11 4 0 180",
    "series": "shape 3 4 9 4 9 10 3 10; shape 3 14 9 14 9 20 3 20; line 12 6 21 6; line 12 9 18 9; line 12 16 21 16; "
    "line 12 19 18 19",
    "panels": "shape 3 4 21 4 21 20 3 20; line 14 4 14 20",
}


def icon(name: str, colour: str, chosen: str) -> QIcon:
    """Returns an icon in two colours, #rrggbb: as it is, and where its tool is chosen. Empty for an unknown name."""
    found = QIcon()
    if name not in ICONS:
        return found
    for size in _SIZES:
        found.addPixmap(_painted(ICONS[name], QColor(colour), size), QIcon.Mode.Normal, QIcon.State.Off)
        found.addPixmap(_painted(ICONS[name], QColor(chosen), size), QIcon.Mode.Normal, QIcon.State.On)
    return found


def _painted(words: str, colour: QColor, size: int) -> QPixmap:
    name, pixmap = f"{words} {colour.name()} {size}", QPixmap()
    if QPixmapCache.find(name, pixmap):
        return pixmap
    pixmap = QPixmap(size, size)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.scale(size / _GRID, size / _GRID)
    ends = (Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin)
    for part in words.split(";"):
        kind, *rest = part.split()
        painter.setPen(QPen(colour, 1.7, *ends))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if kind == "text":
            font = painter.font()
            font.setPixelSize(20)
            font.setBold(True)
            painter.setFont(font)
            painter.drawText(QRectF(0.0, 0.0, _GRID, _GRID), Qt.AlignmentFlag.AlignCenter, " ".join(rest))
            continue
        numbers = [float(number) for number in rest]
        if kind in ("line", "shape"):
            points = QPolygonF([QPointF(x, y) for x, y in zip(numbers[::2], numbers[1::2], strict=True)])
            painter.drawPolyline(points) if kind == "line" else painter.drawPolygon(points)
        elif kind in ("circle", "disc"):
            x, y, radius = numbers
            if kind == "disc":
                painter.setBrush(colour)
            painter.drawEllipse(QPointF(x, y), radius, radius)
        else:
            x, y, radius, start, end = numbers
            turn = [math.radians(start + (end - start) * n / 24.0) for n in range(25)]
            arc = [QPointF(x + radius * math.cos(t), y - radius * math.sin(t)) for t in turn]
            painter.drawPolyline(QPolygonF(arc))
    painter.end()
    QPixmapCache.insert(name, pixmap)
    return pixmap
