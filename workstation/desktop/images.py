"""Pictures of the engine as images and icons of Qt."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QColor, QIcon, QImage, QPixmap

from render.picture import Picture, to_8bit

# What Qt's painter scales quickest: three times as quick as grey.
_PAINTED = QImage.Format.Format_ARGB32_Premultiplied


@dataclass(frozen=True, slots=True)
class PaneImage:
    """A picture as a pane paints it. full : not a coarse one. over : what lies over it, None for nothing."""

    picture: Picture
    full: bool
    image: QImage
    over: QImage | None = None


def image_from(pixels: NDArray[np.uint8]) -> QImage:
    """Returns (rows, columns) grey, (rows, columns, 3) RGB or (rows, columns, 4) RGB and opacity, uint8, as an image
    of its own."""
    values = np.ascontiguousarray(pixels)
    rows, columns = values.shape[:2]
    samples = values.shape[2] if values.ndim == 3 else 1
    form = {
        1: QImage.Format.Format_Grayscale8,
        3: QImage.Format.Format_RGB888,
        4: QImage.Format.Format_RGBA8888,
    }[samples]
    # Of another format, so a copy: Qt would read numpy's memory after numpy has freed it.
    return QImage(values.data, columns, rows, samples * columns, form).convertToFormat(_PAINTED)


def image_of(picture: Picture) -> QImage:
    """Returns the first frame of a picture."""
    return image_from(to_8bit(picture))


def icon_of(picture: Picture) -> QIcon:
    """Returns the first frame as an icon, which keeps its colours where it is selected."""
    pixmap = QPixmap.fromImage(image_of(picture))
    icon = QIcon(pixmap)
    icon.addPixmap(pixmap, QIcon.Mode.Selected)
    return icon


def icon_in(file: Path) -> QIcon:
    """Returns the picture of a file as an icon that keeps its colours; an empty one where it cannot be read."""
    pixmap = QPixmap(str(file))
    icon = QIcon(pixmap)
    icon.addPixmap(pixmap, QIcon.Mode.Selected)
    return icon


def swatch(colour: QColor) -> QIcon:
    """Returns a small square of a colour, for lists."""
    pixmap = QPixmap(12, 12)
    pixmap.fill(colour)
    return QIcon(pixmap)
