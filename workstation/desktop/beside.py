"""Work beside the window: on threads of their own, told and stopped from it."""

import threading
from collections.abc import Callable

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QProgressBar

from workstation.desktop.language import tr

# Says what is being done and how much of it is done, 0…1; raises Stopped once somebody has asked for that.
Tell = Callable[[str, float], None]


class Stopped(Exception):  # noqa: N818 - it is no error
    """Somebody stopped the work. What was kept so far stays, and doing it again goes on from there."""


class _Carrier(QObject):
    """From the thread to the window."""

    done = Signal(object)
    failed = Signal(str)
    told = Signal(str, float)


class Works(QObject):
    """said : a sentence, and whether it is bad news. ended : a work has ended, however."""

    said = Signal(str, bool)
    ended = Signal()

    def __init__(self, bar: QProgressBar) -> None:
        super().__init__(bar)
        self._bar = bar
        self._running: dict[_Carrier, threading.Event] = {}

    @property
    def busy(self) -> bool:
        return bool(self._running)

    def run(self, work: Callable[[Tell], object], done: Callable[[object], None], what: str) -> None:
        """Runs work on a thread; `done` gets what it returned, in the window. Errors become sentences."""
        carrier, stop = _Carrier(self), threading.Event()
        self._running[carrier] = stop

        def over() -> None:
            self._running.pop(carrier, None)
            self._bar.setVisible(self.busy)
            self.ended.emit()
            carrier.deleteLater()

        def well(found: object) -> None:
            over()
            done(found)

        def badly(sentence: str) -> None:
            over()
            self.said.emit(sentence, True)

        carrier.done.connect(well)
        carrier.failed.connect(badly)
        carrier.told.connect(self._told)

        def tell(doing: str, part: float) -> None:
            if stop.is_set():
                raise Stopped
            carrier.told.emit(doing, part)

        def run() -> None:
            try:
                found = work(tell)
            except Stopped:
                carrier.failed.emit(tr("{what}: stopped. What was done so far stays; do it again to go on.", what=what))
            except Exception as error:  # noqa: BLE001 - whatever it is, a person reads a sentence and goes on
                carrier.failed.emit(f"{what}: {error}")
            else:
                carrier.done.emit(found)

        self._told(what, 0.0)
        threading.Thread(target=run, name="beside", daemon=True).start()

    def stop(self) -> None:
        """Stops all works at their next step."""
        for stop in self._running.values():
            stop.set()

    def _told(self, what: str, part: float) -> None:
        self._bar.show()
        self._bar.setFormat(what)
        self._bar.setValue(round(100 * part))
