"""Pictures for the panes, drawn on a thread of its own: coarse while a hand moves, full when it is still.

Only the newest wish of a pane counts. The window never waits: what is asked for arrives by signal.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from render import Cancelled, Recipe, Reformat, Volume, Window, coarser, draw
from render.recipe import Solid
from workstation.desktop.model.screen import PaneName

_COARSE = 3  # rows and columns of a coarse picture are a third
_THUMB_PX = 96
_TINT = Window(500.0, 1000.0)  # volumes to tint are 0 outside and 1000 inside


@dataclass(frozen=True, slots=True)
class PictureRequest:
    """What a pane wants to show. moving : a hand still moves, and a coarse picture will do. volume : what it is drawn
    from. tinted : volumes that are laid over a plane."""

    pane: PaneName
    recipe: Recipe
    moving: bool
    volume: Volume
    tinted: tuple[Volume, ...] = ()


class Drawer(QObject):
    """drawn : pane, Picture, whether it is the full one, (rows, columns) bool of what is tinted or None. failed : pane,
    a sentence. small : name of a capture, its Picture. filled : a measure was taken."""

    drawn = Signal(str, object, bool, object)
    failed = Signal(str, str)
    small = Signal(str, object)
    filled = Signal()

    def __init__(self, volume: Volume, engine: Callable[[Recipe], str] = lambda recipe: "cpu") -> None:
        super().__init__()
        self._volume, self._engine = volume, engine
        self._wishes: dict[PaneName, PictureRequest] = {}
        self._small: dict[str, Recipe] = {}
        self._errands: list[Callable[[], None]] = []
        self._cancel: dict[PaneName, threading.Event] = {}
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._work, name="panes", daemon=True)
        self._thread.start()

    def ask(self, wish: PictureRequest) -> None:
        with self._changed:
            # Asked again, a pane comes last: the others have waited longer.
            self._wishes.pop(wish.pane, None)
            self._wishes[wish.pane] = wish
            if wish.pane in self._cancel:
                self._cancel[wish.pane].set()
            self._changed.notify()

    def ask_small(self, name: str, recipe: Recipe) -> None:
        """A small picture, when no pane waits."""
        with self._changed:
            self._small[name] = recipe
            self._changed.notify()

    def ask_errand(self, errand: Callable[[], None]) -> None:
        """Something that takes long, when no pane waits; `filled` says that it is done."""
        with self._changed:
            self._errands.append(errand)
            self._changed.notify()

    def stop(self) -> None:
        """Ends the thread; what it draws is given up."""
        with self._changed:
            self._ended = True
            for cancel in self._cancel.values():
                cancel.set()
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not (self._wishes or self._small or self._errands or self._ended):
                    self._changed.wait()
                if self._ended:
                    return
                wish = self._wishes.pop(next(iter(self._wishes))) if self._wishes else None
                if wish is not None:
                    cancel = self._cancel[wish.pane] = threading.Event()
                errand = self._errands.pop(0) if wish is None and self._errands else None
                small = next(iter(self._small), None) if wish is None and errand is None else None
                recipe = self._small.pop(small) if small is not None else None
            if wish is not None:
                self._serve(wish, cancel)
            elif errand is not None:
                errand()
                self.filled.emit()
            elif small is not None and recipe is not None:
                self._draw_small(small, recipe)

    def _serve(self, wish: PictureRequest, cancel: threading.Event) -> None:
        try:
            self._draw(wish, cancel)
        except Cancelled:
            pass
        except Exception as error:  # noqa: BLE001 - a pane says what went wrong, and the others go on
            self.failed.emit(wish.pane, str(error))
        with self._changed:
            self._cancel.pop(wish.pane, None)

    def _draw(self, wish: PictureRequest, cancel: threading.Event) -> None:
        plane = not isinstance(wish.recipe, Solid) and wish.recipe.thickness_mm == 0.0
        if not plane:
            coarse = coarser(wish.volume, wish.recipe, _COARSE)
            picture = draw(wish.volume, coarse, engine=self._engine(coarse), cancel=cancel)
            self.drawn.emit(wish.pane, picture, wish.moving, None)
            if wish.moving:
                return
        picture = draw(wish.volume, wish.recipe, engine=self._engine(wish.recipe), cancel=cancel)
        self.drawn.emit(wish.pane, picture, True, _tint(wish))

    def _draw_small(self, name: str, recipe: Recipe) -> None:
        still = replace(recipe, rotation=None) if isinstance(recipe, Solid) else replace(recipe, count=1)
        try:
            picture = draw(self._volume, coarser(self._volume, still, max(1, recipe.rows // _THUMB_PX)))
        except Exception:  # noqa: BLE001 - the capture itself says what is wrong with it when it is drawn to be kept
            return
        self.small.emit(name, picture)


def _tint(wish: PictureRequest) -> NDArray[np.bool_] | None:
    """(rows, columns) where tinted volumes are cut by a plane."""
    if not wish.tinted or not isinstance(wish.recipe, Reformat):
        return None
    plane = replace(wish.recipe, window=_TINT, thickness_mm=0.0)
    found = np.zeros((plane.rows, plane.columns), dtype=bool)
    for volume in wish.tinted:
        found |= draw(volume, plane).pixels[0] >= _TINT.centre
    return found
