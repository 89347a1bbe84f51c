"""Pictures as Qt shows them."""

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QIcon, QImage, QPixmap

from render.picture import Picture
from workstation.desktop.images import image_of


def image_from(pixels: NDArray[np.uint8]) -> QImage:
    """Returns (rows, columns, 3) uint8 RGB as an image of its own."""
    rgb = np.ascontiguousarray(pixels)
    rows, columns = rgb.shape[:2]
    return QImage(rgb.data, columns, rows, 3 * columns, QImage.Format.Format_RGB888).copy()


def icon_of(picture: Picture) -> QIcon:
    """Returns the first frame as an icon, which keeps its colours where it is selected."""
    pixmap = QPixmap.fromImage(image_of(picture))
    icon = QIcon(pixmap)
    icon.addPixmap(pixmap, QIcon.Mode.Selected)
    return icon
