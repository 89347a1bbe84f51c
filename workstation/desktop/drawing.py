"""Pictures for the panes, drawn on a thread of its own: coarse while a hand moves, full when it is still.

Only the newest wish of a pane counts. The window never waits: what is asked for arrives by signal.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal

from render import Cancelled, Picture, Recipe, Reformat, Volume, coarser, draw
from workstation.desktop.screen import PaneName

_COARSE = 3  # rows and columns of a coarse picture are a third


@dataclass(frozen=True, slots=True)
class Wish:
    """What a pane wants to show. moving : a hand still moves, and a coarse picture will do."""

    pane: PaneName
    recipe: Recipe
    moving: bool


class Drawer(QObject):
    """drawn : pane, Picture, whether it is the full one. failed : pane, a sentence."""

    drawn = Signal(str, object, bool)
    failed = Signal(str, str)

    def __init__(self, volume: Volume, engine: Callable[[Recipe], str] = lambda recipe: "cpu") -> None:
        super().__init__()
        self._volume, self._engine = volume, engine
        self._wishes: dict[PaneName, Wish] = {}
        self._cancel: dict[PaneName, threading.Event] = {}
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._work, name="panes", daemon=True)
        self._thread.start()

    def ask(self, wish: Wish) -> None:
        with self._changed:
            # Asked again, a pane comes last: the others have waited longer.
            self._wishes.pop(wish.pane, None)
            self._wishes[wish.pane] = wish
            if wish.pane in self._cancel:
                self._cancel[wish.pane].set()
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
                while not self._wishes and not self._ended:
                    self._changed.wait()
                if self._ended:
                    return
                pane = next(iter(self._wishes))
                wish = self._wishes.pop(pane)
                cancel = self._cancel[pane] = threading.Event()
            try:
                self._draw(wish, cancel)
            except Cancelled:
                pass
            except Exception as error:  # noqa: BLE001 - a pane says what went wrong, and the others go on
                self.failed.emit(wish.pane, str(error))
            with self._changed:
                self._cancel.pop(pane, None)

    def _draw(self, wish: Wish, cancel: threading.Event) -> None:
        plane = isinstance(wish.recipe, Reformat) and wish.recipe.thickness_mm == 0.0
        if not plane:
            coarse = coarser(self._volume, wish.recipe, _COARSE)
            self._emit(wish, draw(self._volume, coarse, engine=self._engine(coarse), cancel=cancel), wish.moving)
            if wish.moving:
                return
        self._emit(wish, draw(self._volume, wish.recipe, engine=self._engine(wish.recipe), cancel=cancel), True)

    def _emit(self, wish: Wish, picture: Picture, last: bool) -> None:
        self.drawn.emit(wish.pane, picture, last)
