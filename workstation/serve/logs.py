"""What libraries and accidents have to say in the processes of `serve`, as events like all others.

A message of another library may quote what a header says, and so a patient: of those, only who said it, where, and how
bad it is. Our own messages hold UIDs and addresses. Of an exception its type and the lines of the program it came by
are told, never its text.
"""

import logging
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from workstation.serve.role import TellEvent

_OURS = ("dicom_io", "workstation", "render")
_FRAMES = 6


def tell_logs(say: TellEvent, process: str) -> None:
    """Has every warning and error of this process told as an event, and what ends a thread. process : its name."""
    root = logging.getLogger()
    root.handlers = [_Teller(say, process)]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)
    threading.excepthook = lambda hook: say(accident(process, hook.exc_type, hook.exc_traceback))


def accident(process: str, kind: type[BaseException], at: TracebackType | None) -> dict[str, Any]:
    """The event of an exception that nobody caught."""
    return {"event": "log", "process": process, "level": "ERROR", "by": process, "error": kind.__name__, **_way(at)}


class _Teller(logging.Handler):
    def __init__(self, say: TellEvent, process: str) -> None:
        super().__init__(logging.WARNING)
        self._say, self._process = say, process

    def emit(self, record: logging.LogRecord) -> None:
        event: dict[str, Any] = {"event": "log", "process": self._process, "level": record.levelname}
        event |= {"by": record.name, "at_line": f"{Path(record.pathname).name}:{record.lineno}"}
        if record.name.partition(".")[0] in _OURS:
            event["detail"] = record.getMessage()
        if record.exc_info and record.exc_info[0] is not None:
            event |= {"error": record.exc_info[0].__name__, **_way(record.exc_info[2])}
        self._say(event)


def _way(at: TracebackType | None) -> dict[str, str]:
    """The last lines that an exception came by, the innermost last."""
    frames = traceback.extract_tb(at)[-_FRAMES:]
    return {"way": " ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)}


def guarded(process: str, say: TellEvent, run: Callable[[], None]) -> None:
    """Runs a worker; what ends it is told, and it exits with 1, as Python would have it."""
    try:
        run()
    except Exception as error:  # noqa: BLE001 - it ends the process, told without what it may quote
        say(accident(process, type(error), error.__traceback__))
        sys.exit(1)
