"""A viewer of images in 2D, for a series that makes no volume: window, distances, cine. Nothing of it is recorded."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QObject, QPointF, Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QImage, QKeyEvent, QWheelEvent
from PySide6.QtWidgets import QDialog, QHBoxLayout, QMenu, QPushButton, QSlider, QVBoxLayout, QWidget

from dicom_io.errors import NotReadable
from dicom_io.volumes import SeriesImage
from workstation.desktop.image_canvas import ImageCanvas
from workstation.desktop.language import tr
from workstation.desktop.model.offers import VolumeOffer
from workstation.desktop.model.reading2d import (
    Images,
    PixelLine,
    first_window,
    length_words,
    shown,
    spacing_of,
    value_words,
    words,
)
from workstation.desktop.plain import PlainLabel, plain_tip, plain_title
from workstation.desktop.sizes import open_with

_STEPS = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1, Qt.Key.Key_PageUp: -10, Qt.Key.Key_PageDown: 10}
_GREY_PER_PIXEL = 1.0 / 300.0  # of the window's width, for a drag
_CINE_MS = 80
_BUTTONS = 3  # more volumes than this are a menu


def said_of_offer(offer: VolumeOffer) -> str:
    """Returns what a volume is called where one is chosen."""
    title = tr(offer.title)
    return tr("{title}, gaps bridged", title=title) if offer.bridged else title


class StackViewer(QDialog):
    """Shows the images one by one: wheel, arrows and slider go through them, a drag changes the window, or measures
    where Distance is chosen.

    number : of the image on screen, from 0. window_values : (centre, width), of grey images. distances : by image.
    marked : key images, by number. keep : stores a selection of images and returns whether it is stored, and a sentence
    about it. wanted : the series UID and a VolumeOffer that is to be opened. offers : the buttons for that.
    """

    wanted = Signal(str, object)

    def __init__(
        self,
        images: Images,
        parent: QWidget | None = None,
        keep: Callable[[Sequence[SeriesImage]], tuple[bool, str]] | None = None,
    ) -> None:
        super().__init__(parent)
        self.marked: set[int] = set()
        self._stored: frozenset[int] = frozenset()  # what was marked when it was stored last
        self._warned = False  # that closing leaves key images unstored
        self._keep = keep
        self.setWindowTitle(images.title)
        open_with(self, 920, 860)  # room for all buttons and a place, also in German
        self.images, self.number = images, -1
        self.window_values: tuple[float, float] | None = None
        self.pixels: NDArray[np.uint8] = np.zeros((1, 1), np.uint8)
        self.distances: dict[int, list[PixelLine]] = {}
        self._values: NDArray[np.float32] | None = None
        self._from: QPointF | None = None
        self._start: QPointF | None = None
        self.why = PlainLabel(tr(images.why))
        self.why.setWordWrap(True)
        self.picture, self.below = ImageCanvas(), PlainLabel()
        self.measure, self.play, self.clear = (
            QPushButton(tr("Distance")),
            QPushButton(tr("Cine")),
            QPushButton(tr("Remove distance")),
        )
        self.key, self.store = QPushButton(tr("Key image")), QPushButton(tr("Store key images"))
        self.key.setToolTip(plain_tip(f"{tr('Key image')} (K)"))
        for button in (self.measure, self.play, self.key):
            button.setCheckable(True)
        for button in (self.measure, self.play, self.clear, self.key, self.store):
            button.setAutoDefault(False)
        self.key.clicked.connect(self._mark)
        self.store.clicked.connect(self._store)
        self.play.toggled.connect(self._run)
        self.clear.clicked.connect(self._clear)
        self._cine = QTimer(self)
        self._cine.setInterval(_CINE_MS)
        self._cine.timeout.connect(lambda: self.show_image((self.number + 1) % len(self.images.images)))
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, len(images.images) - 1)
        self.slider.setAccessibleName(tr("Image"))
        self.slider.valueChanged.connect(self.show_image)
        self.picture.pressed.connect(self._press)
        self.picture.dragged.connect(self._drag)
        self.picture.released.connect(self._let_go)
        self.picture.hovered.connect(self._hover)
        row, layout, above = QHBoxLayout(), QVBoxLayout(self), QHBoxLayout()
        self.offers = self._offered(images.offers)
        above.addWidget(self.why, 1)
        for button in self.offers:
            above.addWidget(button)
        for widget in (self.measure, self.clear, self.play, self.key, self.store):
            row.addWidget(widget)
        row.addStretch()
        row.addWidget(self.below)
        layout.addLayout(above)
        layout.addWidget(self.picture, 1)
        layout.addWidget(self.slider)
        layout.addLayout(row)
        for other in (self.slider, self.measure, self.play, self.clear, self.key, self.store, *self.offers):
            other.installEventFilter(self)
        self.picture.setFocus()
        self.show_image(len(images.images) // 2)

    def _offered(self, offers: tuple[VolumeOffer, ...]) -> list[QPushButton]:
        """Returns a button for each volume that can be made of the images; one with a menu where there are many."""
        if len(offers) > _BUTTONS:
            button, menu = QPushButton(tr("Take a volume …")), QMenu(self)
            for offer in offers:
                action = menu.addAction(plain_title(said_of_offer(offer)))
                action.triggered.connect(lambda _=False, offer=offer: self._take(offer))
            button.setMenu(menu)
            button.setAutoDefault(False)
            return [button]
        buttons = []
        for offer in offers:
            alone = offer.bridged and len(offers) == 1
            title = tr("Bridge gaps") if alone else tr("Take {title}", title=said_of_offer(offer))
            button = QPushButton(plain_title(title))
            button.setToolTip(plain_tip(said_of_offer(offer)))
            button.setAccessibleName(f"{title}: {tr(offer.title)}" if alone else title)
            button.setAutoDefault(False)
            button.clicked.connect(lambda _=False, offer=offer: self._take(offer))
            buttons.append(button)
        return buttons

    def _take(self, offer: VolumeOffer) -> None:
        if not self.close():
            return  # something is not stored yet
        self.wanted.emit(self.images.images[0].instance.series_uid, offer)

    def show_image(self, number: int) -> None:
        """Shows an image; a number beyond the ends is that of the end. What cannot be read is said in its place."""
        number = min(max(number, 0), len(self.images.images) - 1)
        if number == self.number:
            return
        self.number, image = number, self.images.images[number]
        self.slider.setValue(number)
        self._show_marks()
        self.below.setText(words(self.images, number))
        self._values, self.picture.message = None, ""
        try:
            if image.in_colour:
                self.pixels = image.colours()
            else:
                self._values = image.values()
                self.window_values = self.window_values or first_window(image, self._values)
        except NotReadable as error:
            self.picture.message = tr("This image cannot be shown:") + " " + tr(str(error))
            self._say(None)
            return
        self._paint()

    def _paint(self) -> None:
        instance = self.images.images[self.number].instance
        if self._values is not None and self.window_values is not None:
            self.pixels = shown(self._values, self.window_values, instance.photometric == "MONOCHROME1")
        rows, columns = self.pixels.shape[:2]
        colour = self.pixels.ndim == 3
        kind = QImage.Format.Format_RGB888 if colour else QImage.Format.Format_Grayscale8
        data = np.ascontiguousarray(self.pixels)
        self.picture.image = QImage(data.data, columns, rows, (3 if colour else 1) * columns, kind).copy()
        spacing = spacing_of(self.images.images[self.number])
        self.picture.pixel_height = spacing[0] / spacing[1] if spacing is not None else 1.0
        self._say(None)

    def _say(self, at: QPointF | None) -> None:
        """Writes the corners and the distances. at : (column, row) under the mouse."""
        who, window = self.images.identity, self.window_values
        under = "" if at is None else value_words(self._values, round(at.y()), round(at.x()))
        key = (tr("KEY IMAGE"),) if self.number in self.marked else ()
        seen = () if window is None or self._values is None else (f"C {window[0]:g}  W {window[1]:g}",)
        self.picture.corners = (
            tuple(filter(None, (who.patient, who.patient_id, f"{who.birth_date}  {who.sex}".strip()))),
            tuple(filter(None, (f"{who.study_date}  {who.study}".strip(), who.series, who.institution))),
            (under,) if under else (),
            (*key, f"Im {self.number + 1} / {len(self.images.images)}", *seen),
        )
        spacing = spacing_of(self.images.images[self.number])
        lines = self.distances.get(self.number, [])
        self.picture.lines = tuple((line, length_words(line, spacing)) for line in lines)
        self.picture.update()

    def _mark(self) -> None:
        """Makes the image on screen a key image, or no longer."""
        self.marked ^= {self.number}
        self._warned = False
        self._show_marks()
        self._say(None)

    def _show_marks(self) -> None:
        self.key.setChecked(self.number in self.marked)
        self.store.setText(f"{tr('Store key images')} ({len(self.marked)})" if self.marked else tr("Store key images"))
        self.store.setEnabled(bool(self.marked) and self.marked != self._stored and self._keep is not None)
        numbers = ", ".join(str(number + 1) for number in sorted(self.marked))
        self.store.setToolTip(plain_tip(tr("Images {numbers}", numbers=numbers)) if self.marked else "")

    def _store(self) -> None:
        if self._keep is None:
            return
        stored, said = self._keep([self.images.images[number] for number in sorted(self.marked)])
        if stored:
            self._stored = frozenset(self.marked)
        self.why.setText(said)
        self._show_marks()
        self.picture.setFocus()  # the button may be disabled now

    def reject(self) -> None:
        """Closes. Where that would leave key images unstored, says so, and closes when asked again."""
        if self.isVisible() and not self.marked <= self._stored and not self._warned:
            self._warned = True
            self.why.setText(tr("Key images are marked and not stored. Store them, or close again to leave them."))
        else:
            super().reject()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        self.play.setChecked(False)  # nobody looks
        super().hideEvent(event)

    def _run(self, on: bool) -> None:
        self._cine.start() if on else self._cine.stop()

    def _clear(self) -> None:
        """Removes the last distance of this image."""
        if lines := self.distances.get(self.number):
            lines.pop()
            self._say(None)

    def _hover(self, at: QPointF) -> None:
        if self.picture.image is not None and not self.picture.message:
            self._say(self.picture.pixel(at))

    def _press(self, at: QPointF) -> None:
        self._from = at
        if self.measure.isChecked() and self.picture.image is not None:
            self._start = self.picture.pixel(at)
            start = (self._start.y(), self._start.x())
            self.distances.setdefault(self.number, []).append((*start, *start))

    def _drag(self, at: QPointF, _: QPointF) -> None:
        if self._start is not None:
            end = self.picture.pixel(at)
            self.distances[self.number][-1] = (self._start.y(), self._start.x(), end.y(), end.x())
            self._say(end)
        elif self._from is not None and self.window_values is not None and self._values is not None:
            moved, self._from = at - self._from, at
            centre, width = self.window_values
            unit = width * _GREY_PER_PIXEL
            self.window_values = (centre - moved.y() * unit, max(width + moved.x() * unit, 1.0))
            self._paint()

    def _let_go(self) -> None:
        if self._start is not None and (lines := self.distances.get(self.number)):
            row_a, column_a, row_b, column_b = lines[-1]
            if (row_a, column_a) == (row_b, column_b):
                lines.pop()  # a click measures nothing
            self._say(None)
        self._from = self._start = None

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        self.show_image(self.number - (1 if event.angleDelta().y() > 0 else -1))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        """Keys that go through the images do so wherever the focus is: a slider goes up with Up, a button to the next
        button."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress and event.key() in _STEPS:
            self.keyPressEvent(event)
            return True
        return super().eventFilter(watched, event)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        step = _STEPS.get(Qt.Key(event.key()))
        if event.key() == Qt.Key.Key_K:
            self._mark()
        elif step is None:
            super().keyPressEvent(event)
        else:
            self.show_image(self.number + step)
