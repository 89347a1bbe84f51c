"""Draws the panes' pictures on a thread: coarse while the mouse moves, full when it stops. Slow errands have another.

Only the newest request of a pane counts. The window never waits: pictures arrive by signal.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from render import Cancelled, Mask, Picture, Recipe, Reformat, Volume, Window, coarser, draw
from render.recipe import Solid, VolumeRendering, frames
from render.segment.on_plane import labels_on, outlines_of
from workstation.desktop.images import PaneImage, image_from, image_of
from workstation.desktop.model.screen import PaneName, VolumeKey

# A coarse picture has a third of the rows and columns. While the mouse moves it has as many as 30 pictures a second
# allow: more where the machine is fast or the pane small, fewer where not.
_COARSE, _COARSENESS = 3, (2, 6)
_MOVING_S = 0.022  # the rest is for painting it
_ROOM = 0.85  # of that time, for a finer one
_THUMB_PX = 96
_FILLED = (255, 190, 60, 90)  # what a measure has filled: red, green, blue, opacity
_SEGMENT_OPACITY = 80
_TINT = Window(500.0, 1000.0)  # volumes to tint are 0 outside and 1000 inside


@dataclass(frozen=True, slots=True)
class PictureRequest:
    """A pane's request for a picture. moving : the mouse still moves, so a coarse picture is enough. volume : the
    volume to draw. tinted : volumes to lay over a plane. mask, colours : segments to lay over it, #rrggbb by label.
    second : the volume of the recipe's fusion."""

    pane: PaneName
    recipe: Recipe
    moving: bool
    volume: Volume
    tinted: tuple[Volume, ...] = ()
    mask: Mask | None = None
    colours: tuple[tuple[int, str], ...] = ()
    second: Volume | None = None


class Drawer(QObject):
    """The threads that draw and seek. drawn : the request, its PaneImage. failed : pane, a sentence. small, large :
    name of a capture, its Picture. filled : an errand is done. troubled : an errand failed, a sentence."""

    drawn = Signal(object, object)
    failed = Signal(str, str)
    small = Signal(str, object)
    large = Signal(str, object)
    filled = Signal()
    troubled = Signal(str)

    def __init__(self, volume: Volume) -> None:
        super().__init__()
        self._volume = volume
        self._wishes: dict[PaneName, PictureRequest] = {}
        self._small: dict[str, tuple[Recipe, Volume | None]] = {}
        self._large: tuple[str, Recipe, Volume | None] | None = None
        # Builds the second volume of captures that were taken earlier, on the thread of the errands.
        self.bring: Callable[[VolumeKey], Volume] | None = None
        self._seconds: dict[VolumeKey, Volume] = {}
        self._errands: list[tuple[Callable[[], None], bool]] = []
        self._cancel: dict[PaneName, threading.Event] = {}
        self._coarseness: dict[PaneName, int] = {}
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._work, name="panes", daemon=True)
        self._thread.start()
        self._errand_thread = threading.Thread(target=self._run_errands, name="errands", daemon=True)
        self._errand_thread.start()

    def ask(self, request: PictureRequest) -> None:
        with self._changed:
            # A pane that asks again goes to the end: the others have waited longer.
            self._wishes.pop(request.pane, None)
            self._wishes[request.pane] = request
            if request.pane in self._cancel:
                self._cancel[request.pane].set()
            self._changed.notify_all()

    def ask_small(self, name: str, recipe: Recipe, second: VolumeKey | None = None) -> None:
        """Asks for a small picture; it is drawn when no pane waits. second : of the recipe's fusion."""
        if second is not None and second not in self._seconds:
            self._ask_with(second, partial(self.ask_small, name, recipe, second))
            return
        with self._changed:
            self._small[name] = (recipe, self._seconds[second] if second is not None else None)
            self._changed.notify_all()

    def ask_large(self, name: str, recipe: Recipe, second: VolumeKey | None = None) -> None:
        """Asks for a picture as large as it is stored, of a rotation or stack the first; only the newest one counts."""
        if second is not None and second not in self._seconds:
            self._ask_with(second, partial(self.ask_large, name, recipe, second))
            return
        with self._changed:
            self._large = (name, recipe, self._seconds[second] if second is not None else None)
            self._changed.notify_all()

    def have(self, key: VolumeKey, volume: Volume) -> None:
        """Hands over a second volume that is there already."""
        self._seconds[key] = volume

    def _ask_with(self, second: VolumeKey, again: Callable[[], None]) -> None:
        """Has a second volume built, and asks again when it is there."""

        def built() -> None:
            if second not in self._seconds and self.bring is not None:
                self._seconds[second] = self.bring(second)
            if second in self._seconds:
                again()

        self.ask_errand(built, tell=False)

    def ask_errand(self, errand: Callable[[], None], *, tell: bool = True) -> None:
        """Asks for slow work, such as what a tool seeks, one after another. tell : emit `filled` after it."""
        with self._changed:
            self._errands.append((errand, tell))
            self._changed.notify_all()

    def stop(self) -> None:
        """Ends the thread; a picture being drawn is cancelled."""
        with self._changed:
            self._ended = True
            for cancel in self._cancel.values():
                cancel.set()
            self._changed.notify_all()
        self._thread.join()
        # An errand cannot be cancelled; what it finds is only kept. The window does not wait for it.

    def _run_errands(self) -> None:
        while True:
            with self._changed:
                while not (self._errands or self._ended):
                    self._changed.wait()
                if self._ended:
                    return
                errand, tell = self._errands.pop(0)
            try:
                errand()
            except Exception as error:  # noqa: BLE001 - the reader is told, and the next errand is run
                self.troubled.emit(str(error))
            with self._changed:
                ended = self._ended
            if ended:
                return
            if tell:
                self.filled.emit()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not (self._wishes or self._small or self._large or self._ended):
                    self._changed.wait()
                if self._ended:
                    return
                request = self._wishes.pop(next(iter(self._wishes))) if self._wishes else None
                if request is not None:
                    cancel = self._cancel[request.pane] = threading.Event()
                large, self._large = (self._large, None) if request is None else (None, self._large)
                small = next(iter(self._small), None) if request is None and large is None else None
                wanted = self._small.pop(small) if small is not None else None
            if request is not None:
                self._serve(request, cancel)
            elif large is not None:
                self._draw_large(*large)
            elif small is not None and wanted is not None:
                self._draw_small(small, *wanted)

    def _serve(self, request: PictureRequest, cancel: threading.Event) -> None:
        try:
            self._draw(request, cancel)
        except Cancelled:
            pass
        except Exception as error:  # noqa: BLE001 - the pane shows the error, and the others go on
            self.failed.emit(request.pane, str(error))
        with self._changed:
            self._cancel.pop(request.pane, None)

    def _draw(self, request: PictureRequest, cancel: threading.Event) -> None:
        plane = not isinstance(request.recipe, Solid) and request.recipe.thickness_mm == 0.0
        if not plane:
            factor = self._coarseness.get(request.pane, _COARSE)
            coarse, began = coarser(request.volume, request.recipe, factor), time.perf_counter()
            picture = draw(request.volume, coarse, second=request.second, cancel=cancel)
            self.drawn.emit(request, PaneImage(picture, request.moving, image_of(picture)))
            if request.moving:
                self._coarseness[request.pane] = next_coarseness(factor, time.perf_counter() - began)
                return
        picture = draw(request.volume, request.recipe, second=request.second, cancel=cancel)
        over = _over(request, picture)
        laid = None if over is None else image_from(over)
        self.drawn.emit(request, PaneImage(picture, True, image_of(picture), laid))

    def _draw_large(self, name: str, recipe: Recipe, second: Volume | None) -> None:
        try:
            picture = draw(self._volume, _still(recipe), second=second)
        except Exception:  # noqa: BLE001 - the error is reported when the capture is drawn for storing
            return
        self.large.emit(name, picture)

    def _draw_small(self, name: str, recipe: Recipe, second: Volume | None) -> None:
        try:
            small = coarser(self._volume, _still(recipe), max(1, recipe.rows // _THUMB_PX))
            picture = draw(self._volume, small, second=second)
        except Exception:  # noqa: BLE001 - the error is reported when the capture is drawn for storing
            return
        self.small.emit(name, picture)


def next_coarseness(factor: int, took_s: float) -> int:
    """Returns by how much the next picture is to be coarser than a full one, when the last one of a factor took so
    long. A step at a time: the first picture with a look takes longer than those after it."""
    least, most = _COARSENESS
    if took_s > _MOVING_S:
        return min(factor + 1, most)
    finer = max(factor - 1, least)
    return finer if took_s * (factor / finer) ** 2 < _ROOM * _MOVING_S else factor


def _still(recipe: Recipe) -> Recipe:
    """Returns the recipe of the first picture of a rotation or stack, and of one well within a flight."""
    if isinstance(recipe, VolumeRendering) and recipe.flight:
        return frames(recipe)[len(recipe.flight) // 3]
    return replace(recipe, rotation=None) if isinstance(recipe, Solid) else replace(recipe, count=1)


def _over(request: PictureRequest, picture: Picture) -> NDArray[np.uint8] | None:
    """Returns (rows, columns, 4) uint8, red, green, blue and opacity: what lies over the plane; None for nothing."""
    if not isinstance(request.recipe, Reformat) or not (request.tinted or (request.mask and request.colours)):
        return None
    plane = replace(request.recipe, window=_TINT, thickness_mm=0.0)
    over = np.zeros((plane.rows, plane.columns, 4), dtype=np.uint8)
    for volume in request.tinted:
        over[draw(volume, plane).pixels[0] >= _TINT.centre] = _FILLED
    if request.mask is not None and request.colours:
        palette = np.zeros((256, 4), dtype=np.uint8)
        for label, colour in request.colours:
            palette[label] = (*bytes.fromhex(colour[1:]), _SEGMENT_OPACITY)
        labels = labels_on(request.mask, request.volume, picture.planes[0], plane.rows, plane.columns)
        labels[palette[labels, 3] == 0] = 0
        segments = palette[labels]
        segments[outlines_of(labels), 3] = 255
        some = labels != 0
        over[some] = segments[some]
    return over
