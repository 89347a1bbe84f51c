"""A plain viewer of images in 2D, for a series that makes no volume. Nothing of it is captured or recorded."""

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QImage, QKeyEvent, QMouseEvent, QPixmap, QResizeEvent, QWheelEvent
from PySide6.QtWidgets import QDialog, QLabel, QSizePolicy, QSlider, QVBoxLayout, QWidget

from dicom_io.errors import NotReadable
from workstation.desktop.language import tr
from workstation.desktop.model.reading2d import Images, first_window, shown, words

_STEPS = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1, Qt.Key.Key_PageUp: -10, Qt.Key.Key_PageDown: 10}
_GREY_PER_PIXEL = 1.0 / 300.0  # of the window's width, for a drag


class StackViewer(QDialog):
    """Shows the images one by one: wheel, arrows and slider go through them, a drag changes the window.

    number : of the image on screen, from 0. window : (centre, width), of grey images.
    """

    def __init__(self, images: Images, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(images.title)
        self.resize(720, 780)
        self.images, self.number = images, -1
        self.window_values: tuple[float, float] | None = None
        self.pixels: NDArray[np.uint8] = np.zeros((1, 1), np.uint8)
        self._values: NDArray[np.float32] | None = None
        self._from: QPointF | None = None
        self.why = QLabel(images.why)
        self.why.setWordWrap(True)
        self.picture, self.below = QLabel(), QLabel()
        self.picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.picture.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)
        self.picture.setStyleSheet("background: black; color: white")
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, len(images.images) - 1)
        self.slider.valueChanged.connect(self.show_image)
        layout = QVBoxLayout(self)
        for widget in (self.why, self.picture, self.slider, self.below):
            layout.addWidget(widget, 1 if widget is self.picture else 0)
        self.show_image(len(images.images) // 2)

    def show_image(self, number: int) -> None:
        """Shows an image; a number beyond the ends is that of the end. What cannot be read is said in its place."""
        number = min(max(number, 0), len(self.images.images) - 1)
        if number == self.number:
            return
        self.number, image = number, self.images.images[number]
        self.slider.setValue(number)
        self.below.setText(words(self.images, number))
        self._values = None
        try:
            if image.in_colour:
                self.pixels = image.colours()
            else:
                self._values = image.values()
                self.window_values = self.window_values or first_window(image, self._values)
        except NotReadable as error:
            self.picture.setText(tr("This image cannot be shown:") + f" {error}")
            return
        self._paint()

    def _paint(self) -> None:
        if self._values is not None and self.window_values is not None:
            inverse = self.images.images[self.number].instance.photometric == "MONOCHROME1"
            self.pixels = shown(self._values, self.window_values, inverse)
        rows, columns = self.pixels.shape[:2]
        colour = self.pixels.ndim == 3
        kind = QImage.Format.Format_RGB888 if colour else QImage.Format.Format_Grayscale8
        data = np.ascontiguousarray(self.pixels)
        image = QImage(data.data, columns, rows, (3 if colour else 1) * columns, kind)
        self.picture.setPixmap(
            QPixmap.fromImage(image.copy()).scaled(
                self.picture.size().expandedTo(self.picture.minimumSizeHint()),
                Qt.AspectRatioMode.KeepAspectRatio,
                Qt.TransformationMode.SmoothTransformation,
            )
        )

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        self.show_image(self.number - (1 if event.angleDelta().y() > 0 else -1))

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        step = _STEPS.get(Qt.Key(event.key()))
        if step is None:
            super().keyPressEvent(event)
        else:
            self.show_image(self.number + step)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        self._from = event.position()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if self._from is None or self.window_values is None or self._values is None:
            return
        moved, self._from = event.position() - self._from, event.position()
        centre, width = self.window_values
        unit = width * _GREY_PER_PIXEL
        self.window_values = (centre - moved.y() * unit, max(width + moved.x() * unit, 1.0))
        self._paint()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        self._from = None

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        if self.number >= 0 and not self.picture.text():
            self._paint()
