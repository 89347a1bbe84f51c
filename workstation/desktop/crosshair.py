"""The crosshair: where the other planes cut the one of a pane."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF
from PySide6.QtGui import QColor, QPainter, QPen

from render.geometry import Plane, Vector, cross
from workstation.desktop.marks import OnWidget

# The colour of each plane, the same in every pane.
COLOURS: dict[str, QColor] = {
    "axial": QColor(230, 90, 80),
    "coronal": QColor(90, 200, 110),
    "sagittal": QColor(90, 150, 240),
    "solid": QColor(200, 200, 200),
    "curved": QColor(210, 160, 240),
}


@dataclass(frozen=True, slots=True)
class CrosshairLine:
    """A crosshair line: through a point, along a direction, in the colour of the plane that it marks."""

    through_mm: Vector
    along: Vector
    colour: QColor


def crosshair(cursor_mm: Vector, others: Sequence[tuple[str, Vector]], plane: Plane) -> tuple[CrosshairLine, ...]:
    """Returns the lines where the other planes (name, normal) cut this one, through the crosshair."""
    lines = []
    for name, normal in others:
        along = cross(plane.normal, normal)
        if sum(v * v for v in along) > 1e-9:
            lines.append(CrosshairLine(cursor_mm, along, COLOURS[name]))
    return tuple(lines)


def paint_line(painter: QPainter, line: CrosshairLine, on_widget: OnWidget) -> None:
    """Paints a line across the picture, open in the middle."""
    long = 4000.0
    a, b = (
        on_widget(
            (
                line.through_mm[0] + way * line.along[0],
                line.through_mm[1] + way * line.along[1],
                line.through_mm[2] + way * line.along[2],
            )
        )
        for way in (-long, long)
    )
    painter.setPen(QPen(line.colour, 1.0))
    middle = on_widget(line.through_mm)
    length = max(math.hypot(b.x() - a.x(), b.y() - a.y()), 1e-9)
    gap = QPointF((b.x() - a.x()) / length * 14.0, (b.y() - a.y()) / length * 14.0)
    # Open in the middle, so that it does not cover the point.
    painter.drawLine(a, middle - gap)
    painter.drawLine(middle + gap, b)
