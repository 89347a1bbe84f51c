"""Pictures of the engine as images of Qt."""

import numpy as np
from PySide6.QtGui import QColor, QIcon, QImage, QPixmap

from render.picture import Picture, to_rgb


def image_of(picture: Picture) -> QImage:
    """Returns the first frame of a picture."""
    rgb = np.ascontiguousarray(to_rgb(picture))
    rows, columns = rgb.shape[:2]
    # A copy, because Qt would read numpy's memory after numpy has freed it.
    return QImage(rgb.data, columns, rows, 3 * columns, QImage.Format.Format_RGB888).copy()


def swatch(colour: QColor) -> QIcon:
    """Returns a small square of a colour, for lists."""
    pixmap = QPixmap(12, 12)
    pixmap.fill(colour)
    return QIcon(pixmap)
