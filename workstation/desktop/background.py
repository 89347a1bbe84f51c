"""Work that the window does not wait for: jobs on threads, with progress and a stop button, questions asked repeatedly,
and what only its own thread can do, a step at a time."""

import threading
import time
from collections.abc import Callable, Generator
from typing import Any, TypeVar

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtWidgets import QProgressBar

from render.progress import Progress
from workstation.desktop.language import tr

Result = TypeVar("Result")

# Each time that progress is told the window paints it at once; a series has thousands of images.
_TOLD_EVERY_S = 0.05
# How long a window that is closed waits for its jobs.
_PATIENCE_S = 5.0


# Carriers of jobs that went on after their window was closed; they are never destroyed.
_LEFT: list[QObject] = []


class Stopped(Exception):  # noqa: N818 - it is no error
    """The user stopped the work. Results kept so far stay, and doing it again continues from there."""


class _Carrier(QObject):
    """Signals from the thread to the window."""

    done = Signal(object)
    failed = Signal(str)
    told = Signal(str, float)


class Works(QObject):
    """Runs jobs on threads. said : a sentence, and whether it is bad news. ended : a job has ended, well or not."""

    said = Signal(str, bool)
    ended = Signal()

    def __init__(self, bar: QProgressBar) -> None:
        super().__init__(bar)
        self._bar = bar
        self._running: dict[_Carrier, threading.Event] = {}
        self._threads: list[threading.Thread] = []

    @property
    def busy(self) -> bool:
        return bool(self._running)

    def run(self, work: Callable[[Progress], object], done: Callable[[object], None], what: str) -> None:
        """Runs a job on a thread; `done` gets its result, on the window's thread. Errors become sentences."""
        # No child of the window's: a job that outlives the window must not speak through what has been destroyed.
        carrier, stop = _Carrier(), threading.Event()
        self._running[carrier] = stop

        def over() -> None:
            # Qt looks at the carrier until its thread has come back from the signal: deleted before, it crashes.
            thread.join()
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

        shown = ("", 0.0)  # what is done, and when that was last told

        def tell(doing: str, part: float) -> None:
            nonlocal shown
            if stop.is_set():
                raise Stopped
            now = time.monotonic()
            if doing != shown[0] or now - shown[1] >= _TOLD_EVERY_S:
                shown = (doing, now)
                carrier.told.emit(doing, part)

        def run() -> None:
            try:
                found = work(tell)
            except Stopped:
                carrier.failed.emit(tr("{what}: stopped. What was done so far stays; do it again to go on.", what=what))
            except Exception as error:  # noqa: BLE001 - any error becomes a sentence, and the user goes on
                carrier.failed.emit(f"{what}: {error}")
            else:
                carrier.done.emit(found)

        thread = threading.Thread(target=run, name="beside", daemon=True)
        self._told(what, 0.0)
        self._threads = [*(each for each in self._threads if each.is_alive()), thread]
        thread.start()

    def stop(self) -> None:
        """Stops all jobs at their next step."""
        for stop in self._running.values():
            stop.set()

    def end(self) -> None:
        """Stops all jobs, and waits a moment for them: their databases are closed next."""
        self.stop()
        ends = time.monotonic() + _PATIENCE_S
        for thread in self._threads:
            thread.join(max(0.0, ends - time.monotonic()))
        for carrier in self._running:
            carrier.blockSignals(True)
            _LEFT.append(carrier)

    def _told(self, what: str, part: float) -> None:
        self._bar.show()
        self._bar.setFormat(tr(what))
        self._bar.setValue(round(100 * part))


class Watch(QObject):
    """Asks the same question repeatedly, on a thread: a large archive takes too long to read on the window's thread.

    every_ms : 0 where it is asked only when told to. answered : the answer. failed : the error as a sentence. wanted :
    whether the answer is on view now.
    """

    answered = Signal(object)
    failed = Signal(str)
    _ended = Signal()

    def __init__(self, ask: Callable[[], object], every_ms: int, wanted: Callable[[], bool], parent: QObject) -> None:
        super().__init__(parent)
        self._ask, self._wanted = ask, wanted
        self._asking: threading.Thread | None = None
        self._again = self._stopped = False
        self._ended.connect(self._next)
        self._timer = QTimer(self)
        self._timer.setInterval(every_ms)
        self._timer.timeout.connect(self._look)
        if every_ms:
            self._timer.start()

    @property
    def busy(self) -> bool:
        """Whether a question is running, or its answer has not been heard yet."""
        return self._asking is not None

    def now(self) -> None:
        """Asks at once. If a question is running, asks once more after it, as it may have missed the news. Nothing is
        asked any more after `stop`."""
        if self._stopped:
            return
        if self._asking is not None:
            self._again = True
            return
        self._asking = threading.Thread(target=self._run, name="watch", daemon=True)
        self._asking.start()

    def stop(self) -> None:
        """Stops asking, and waits for the running question."""
        self._timer.stop()
        self._stopped = True
        if self._asking is not None:
            self._asking.join()

    def _look(self) -> None:
        if self._asking is None and self._wanted():
            self.now()

    def _run(self) -> None:
        try:
            self.answered.emit(self._ask())
        except Exception as error:  # noqa: BLE001 - any error becomes a sentence, and the question is asked again
            self.failed.emit(str(error))
        self._ended.emit()

    def _next(self) -> None:
        self._asking = None
        if self._again:
            self._again = False
            self.now()


class Steps(QObject):
    """Does work of the window's own thread a step at a turn of the event loop, which takes mouse and keys between."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._steps: Generator[None, None, object] | None = None
        self._done: Callable[[Any], None] | None = None
        self._turn = QTimer(self)
        self._turn.setInterval(0)
        self._turn.timeout.connect(self._step)

    @property
    def busy(self) -> bool:
        return self._steps is not None

    def run(self, steps: Generator[None, None, Result], done: Callable[[Result], None]) -> None:
        """Does the steps; `done` gets what they return. Work that is still going on is ended first, in one go."""
        while self._steps is not None:
            self._step()
        self._steps, self._done = steps, done
        self._turn.start()

    def stop(self) -> None:
        """Gives the work up; its steps close what they opened."""
        self._turn.stop()
        if self._steps is not None:
            self._steps.close()
        self._steps = self._done = None

    def _step(self) -> None:
        steps, done = self._steps, self._done
        if steps is None or done is None:
            return
        try:
            next(steps)
        except StopIteration as ended:
            self.stop()
            done(ended.value)
        except BaseException:
            self.stop()
            raise
