"""Words on a picture: in lines that are narrow enough, and beside what they are about, so that none lies on another."""

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSizeF
from PySide6.QtGui import QFontMetrics

from render.geometry import Plane, letters

_GAP = 8.0
_RINGS = 6


def placed(beside: QPointF, size: QSizeF, taken: Sequence[QRectF], inside: QRectF) -> QRectF:
    """Returns the rectangle for words beside a point: the nearest one that lies inside and on none of `taken`; where
    there is none, the first that was thought of, moved inside."""
    first: QRectF | None = None
    for ring in range(_RINGS):
        away = _GAP + ring * (size.height() + 2.0)
        right, left = beside.x() + _GAP, beside.x() - _GAP - size.width()
        middle, centre = beside.y() - size.height() / 2.0, beside.x() - size.width() / 2.0
        above, below = beside.y() - away - size.height(), beside.y() + away
        places = [(right, above + size.height()), (right, below - size.height()), (left, middle), (centre, above)]
        if ring:
            places = [(right, above), (right, below), (left, above), (left, below), (centre, above), (centre, below)]
        for x, y in places:
            here = QRectF(QPointF(x, y), size)
            first = first or here
            if inside.contains(here) and not any(here.intersects(other) for other in taken):
                return here
    assert first is not None
    x = min(max(first.x(), inside.left()), inside.right() - size.width())
    y = min(max(first.y(), inside.top()), inside.bottom() - size.height())
    return QRectF(QPointF(x, y), size)


def wrapped(sentence: str, metrics: QFontMetrics, width: int) -> list[str]:
    """Returns a sentence in lines that are no wider than so many points, where its words allow it."""
    lines = [""]
    for word in sentence.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and metrics.horizontalAdvance(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def letters_of_sides(plane: Plane, width: int, height: int) -> list[tuple[str, QPointF]]:
    """Returns the letter of each side of a picture (R, L, A, P, H, F), and where it is written in a pane of a size."""
    right, down = plane.right_mm, plane.down_mm
    places = (
        (right, QPointF(width - 24, height / 2)),
        ((-right[0], -right[1], -right[2]), QPointF(8, height / 2)),
        (down, QPointF(width / 2 - 4, height - 8)),
        ((-down[0], -down[1], -down[2]), QPointF(width / 2 - 4, 18)),
    )
    return [(letters(way), at) for way, at in places]


def rect_at(text: str, at: QPointF, metrics: QFontMetrics) -> QRectF:
    """Returns what a text takes that is written at a place."""
    return QRectF(at.x(), at.y() - metrics.ascent(), metrics.horizontalAdvance(text), metrics.height())
