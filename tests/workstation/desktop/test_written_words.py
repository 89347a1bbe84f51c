"""Words over pictures are drawn from memory, as they would be written."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PySide6.QtCore import QPointF
from PySide6.QtGui import QColor, QImage, QPainter
from pytestqt.qtbot import QtBot

from workstation.desktop.marks import write

AT = QPointF(20.0, 40.0)


def drawn(density: float, text: str, colour: QColor, at: QPointF = AT, *, plainly: bool = False) -> NDArray[np.int16]:
    """A dark picture with words on it: (rows, columns, 4). plainly : each time anew."""
    picture = QImage(round(200 * density), round(60 * density), QImage.Format.Format_RGB32)
    picture.setDevicePixelRatio(density)
    picture.fill(QColor(90, 90, 90))
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    if plainly:
        painter.setPen(QColor(0, 0, 0))
        for x, y in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            painter.drawText(at + QPointF(x, y), text)
        painter.setPen(colour)
        painter.drawText(at, text)
    else:
        write(painter, at, text, colour)
    painter.end()
    rows = np.frombuffer(picture.constBits(), np.uint8).reshape(picture.height(), picture.bytesPerLine())
    return rows[:, : 4 * picture.width()].reshape(picture.height(), picture.width(), 4).astype(np.int16)


@pytest.mark.parametrize("density", [1.0, 2.0])
@pytest.mark.parametrize("text", ["Im 23 / 44", "jÄgß, 12 °", "A"])
def test_words_look_as_if_they_were_written_anew(qtbot: QtBot, density: float, text: str) -> None:
    colour = QColor(240, 200, 90)
    ours, theirs = (drawn(density, text, colour, plainly=plainly) for plainly in (False, True))
    assert ours.std() > 3.0  # there is something
    assert np.abs(ours - theirs).max() <= 4  # rounding where edges lie over one another


def test_colour_and_size_are_not_mixed_up(qtbot: QtBot) -> None:
    red, blue = (drawn(1.0, "A", QColor(*rgb)) for rgb in ((255, 0, 0), (0, 0, 255)))
    assert red[..., 2].max() == blue[..., 0].max() == 255
    assert red[..., 0].max() < 255 and blue[..., 2].max() < 255


def test_between_pixels_it_stands_on_the_nearest(qtbot: QtBot) -> None:
    colour = QColor(255, 255, 255)
    assert np.array_equal(drawn(1.0, "A", colour, QPointF(20.3, 39.8)), drawn(1.0, "A", colour))
