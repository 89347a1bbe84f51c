"""The settings of a worker process, and the signals that wake or stop it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

TellEvent = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """The settings of a worker process."""

    role: str
    root: str
    ae_title: str
    interval_s: float
    processes: int


class WorkerSignals:
    """Events: one is set to stop the process, the other when there is work."""

    def __init__(self) -> None:
        self.stop, self.work = threading.Event(), threading.Event()

    def end(self, *_: object) -> None:
        self.stop.set()
        self.work.set()
