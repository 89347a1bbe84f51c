"""What a process of a role is told, and how it is told to stop."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

TellEvent = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What a process of a role is told on its command line; `socket` is a file handle that it inherits, or -1."""

    role: str
    root: str
    ae_title: str
    interval_s: float
    processes: int
    socket: int = -1


class WorkerSignals:
    """Set when it is time to stop, and when there is something to do."""

    def __init__(self) -> None:
        self.stop, self.work = threading.Event(), threading.Event()

    def end(self, *_: object) -> None:
        self.stop.set()
        self.work.set()
