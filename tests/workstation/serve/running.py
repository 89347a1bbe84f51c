"""`workstation serve` as a process of its own, on a port that the system chose."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class Serving:
    """Use as a context manager; the process is listening inside, and gone afterwards.

    receivers : how many processes receive, where the settings do not say; each takes a second to start.
    """

    def __init__(self, root: Path, *words: str, limit_s: float = 300, receivers: int = 1) -> None:
        self._limit_s = limit_s
        settings = root / "config.toml"
        said = settings.exists() and "processes" in settings.read_text(encoding="utf-8")
        self._environment = {} if said else {"WORKSTATION_SET_RECEIVER__PROCESSES": str(receivers)}
        self._accidents: list[dict[str, Any]] = []
        self._due = 0  # below zero: more have come than anybody waited for
        command = [sys.executable, "-m", "workstation", "--root", str(root), "serve"]
        self._command = [*command, "--host", "127.0.0.1", "--port", "0", "--json", *words]

    def __enter__(self) -> Self:
        # A file: a pipe that nobody reads is full one day, and then everything that logs stands still.
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            self._command,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            encoding="utf-8",
            start_new_session=True,
            env={**os.environ, **self._environment},
        )
        # A process that says nothing ends, and with it whoever waits for its next line.
        self._limit = threading.Timer(self._limit_s, self._kill_all)
        self._limit.start()
        # After a kill the process that decides may tell of what was left undone before the receivers listen.
        listening = self.next("listening")
        self.port, self.ae_title = int(listening["port"]), str(listening["ae_title"])
        self.hl7_port = int(listening.get("hl7_port", 0))
        self.monitor_port = int(listening.get("monitor_port", 0))
        self.ports: dict[str, int] = {name: int(port) for name, port in listening.items() if name.endswith("port")}
        self.processes: dict[str, int] = listening["processes"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._limit.cancel()
        self._kill_all()
        self._process.communicate(timeout=120)
        self._log.close()

    def log(self) -> str:
        """What its processes have logged so far."""
        handle = self._log.fileno()  # they write where this handle stands, so it must not be moved
        return os.pread(handle, os.fstat(handle).st_size, 0).decode(errors="replace")

    @property
    def pid(self) -> int:
        """Of the process that watches the others."""
        return self._process.pid

    def next(self, *names: str) -> dict[str, Any]:
        """The next event, of these names if any are given; waits for it. Fails when the process has ended."""
        assert self._process.stdout is not None
        while True:
            line = self._process.stdout.readline()
            assert line, f"serve ended: {self.log()}"
            event: dict[str, Any] = self._read(line)
            if not names or event["event"] in names:
                return event

    def received(self, count: int) -> int:
        """Waits until so many more instances have come; returns how many of those told of meanwhile were new."""
        new, self._due = 0, self._due + count
        while self._due > 0:
            event = self.next("received")
            self._due -= event["instances"]
            new += event["new"]
        return new

    def events(self) -> Iterator[dict[str, Any]]:
        """Every event until the process ends. A line that a sudden end cut short is none."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.endswith("\n"):
                yield self._read(line)

    def _read(self, line: str) -> dict[str, Any]:
        """An event. The time of its line is left out, and exceptions that nobody caught are remembered."""
        event: dict[str, Any] = json.loads(line)
        assert datetime.fromisoformat(event.pop("at")).tzinfo is not None
        if event["event"] == "log" and "error" in event:
            self._accidents.append(event)
        return event

    def ask_to_stop(self) -> None:
        """Ask it to stop, and wait until it has."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(timeout=120)

    def kill(self) -> None:
        """End it and its processes without any warning, as a power cut would."""
        self._kill_all()
        self._process.wait(timeout=120)

    def _kill_all(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def terminate(self) -> tuple[int, str]:
        """Ask it to stop; returns its exit status and its last event."""
        self._process.send_signal(signal.SIGTERM)
        out, _ = self._process.communicate(timeout=120)
        assert "Traceback" not in self.log(), self.log()
        events = [self._read(line) for line in out.splitlines()]
        assert not self._accidents, self._accidents
        return self._process.returncode, str(events[-1]["event"])
