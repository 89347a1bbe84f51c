"""Starts, watches and restarts the processes that receive, decide, deliver, prepare and serve pages, until told to
stop.

Receiving only keeps and answers, so a dead PACS delays neither receiving nor deciding, and no role delays another. The
sockets are opened here, so that a peer can still connect while a receiver restarts.
"""

import json
import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from dicom_io.network.receive import listen_for_dicom
from workstation.administration.health import health
from workstation.audit.trail import late, trail_of
from workstation.hl7.mllp import listen_for_hl7
from workstation.serve.fork_server import fork_server
from workstation.serve.http import Monitor
from workstation.serve.logs import tell_logs
from workstation.serve.measured import metrics
from workstation.serve.role import TellEvent, WorkerSettings
from workstation.serve.worker import work
from workstation.site import Site
from workstation.store.news import NewsKind
from workstation.store.outbox import DatabaseFailed

# A process that ended is started again after so long; for one that was not even ready this is doubled each time.
_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 30.0
# How long a receiver may let its associations end before it is killed.
_PATIENCE_S = 60.0
# What receivers report that the one who files and decides has to know, and the key of its UID.
_NEWS: dict[str, tuple[NewsKind, str]] = {
    "received": ("series", "series"),
    "commitment asked": ("whole", "series"),
    "record received": ("record", "instance"),
}


def serve(
    site: Site,
    host: str | None,
    port: int | None,
    ae_title: str | None,
    interval_s: float,
    tell: TellEvent,
    hl7_port: int | None = None,
    monitor_port: int | None = None,
) -> None:
    """Blocks until SIGTERM or SIGINT. tell : called with a dict for every event, with UIDs and no patient data.

    hl7_port, monitor_port : the ports for HL7 and for the monitor, in place of the settings'; 0 lets the system choose.

    Raises PortInUse, MllpError, OSError for the port of the monitor and on Windows.
    """
    if sys.platform == "win32":
        raise OSError("serve does not run on Windows yet: processes cannot inherit a listening socket there.")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    telling = threading.Lock()
    early: list[dict[str, Any]] | None = []

    def say(event: dict[str, Any]) -> None:
        """Holds events back until `listening` is reported."""
        nonlocal early
        with telling:
            name = event["event"]
            if early is not None and name not in ("listening", "ended", "stopped"):
                early.append(event)
                return
            waiting = early or [] if name in ("listening", "stopped") else []
            for held_event in [event, *waiting] if name == "listening" else [*waiting, event]:
                tell(held_event)
            if waiting or name == "listening":
                early = None

    tell_logs(say, "serve")
    config, trail = site.config, trail_of(site.config, site.root)
    title = ae_title or config.ae_title
    hl7 = config.listener
    with ExitStack() as stack:
        dicom = None
        if "receive" in config.roles:
            dicom = stack.enter_context(
                listen_for_dicom(config.host if host is None else host, config.port if port is None else port)
            )
        hearing = None
        if "decide" in config.roles and (hl7 is not None or hl7_port is not None):
            where = (hl7.host if hl7 is not None else "0.0.0.0") if host is None else host
            at = hl7_port if hl7_port is not None else hl7.port if hl7 is not None else 0
            hearing = stack.enter_context(listen_for_hl7(where, at))
        browsers = None
        if "web" in config.roles and config.console is not None:
            # Loaded only where there is a console: it is an extra.
            from workstation.web.serving import listen_for_browsers

            browsers = stack.enter_context(listen_for_browsers(config.console.host, config.console.port))
        count = config.receiver.processes or min(4, os.cpu_count() or 1)
        worker = WorkerSettings("", str(site.root), title, interval_s, count)
        preparer = Process("prepare", replace(worker, role="prepare"), None, say) if config.prepare else None

        def decided(event: dict[str, Any]) -> None:
            say(event)
            if event["event"] == "series complete" and preparer is not None:
                preparer.write(f"series {event['series']}")

        decider = Process("decide", replace(worker, role="decide"), hearing, decided)
        deliverer = Process("deliver", replace(worker, role="deliver"), None, say)

        def received(event: dict[str, Any]) -> None:
            say(event)
            if event["event"] in _NEWS:
                kind, key = _NEWS[event["event"]]
                try:
                    site.news.tell(kind, event[key])
                    decider.write("news")
                except DatabaseFailed:
                    look_again()

        def look_again() -> None:
            decider.write("")  # it may have kept an instance without reporting it

        receivers = [
            Process(f"receive {n}", replace(worker, role="receive"), dicom, received, look_again) for n in range(count)
        ]
        by_role = {"receive": receivers, "decide": [decider], "deliver": [deliverer]}
        by_role["prepare"] = [preparer] if preparer is not None else []
        by_role["web"] = [Process("web", replace(worker, role="web"), browsers, say)] if browsers is not None else []
        processes = [process for role in config.roles for process in by_role[role]]
        where_to, ports = dicom.getsockname() if dicom is not None else ("", 0), {}
        ports["port"] = where_to[1]
        if hearing is not None:
            ports["hl7_port"] = hearing.getsockname()[1]
        if browsers is not None:
            ports["console_port"] = browsers.getsockname()[1]
        if config.monitor_port or monitor_port is not None:
            watched = Monitor(
                config.monitor_port if monitor_port is None else monitor_port,
                lambda: health(site, processes),
                lambda: metrics(site, processes),
            )
            ports["monitor_port"] = stack.enter_context(watched).port
        others = [process for process in processes if process not in receivers]
        stack.callback(_end, [process for process in processes if process in receivers], others)
        for process in processes:
            process.start()
        while not stop.is_set() and not all(process.ready.wait(0.05) for process in processes):
            pass
        say(
            {
                "event": "listening",
                "host": where_to[0],
                **ports,
                "ae_title": title,
                "root": str(site.root),
                "processes": {process.name: process.pid for process in processes},
            }
        )
        with late(say):
            trail.started(site.clock())
        stop.wait()
        with late(say):
            trail.started(site.clock(), stopped=True)
    say({"event": "stopped"})


class Process:
    """A worker process that is restarted whenever it ends, until `ask_to_end` is called.

    counts : the counts that it has reported, over all its lives. lives : how often it was started. pid : the ID of the
    process that runs now or ran last, 0 before the first.
    """

    def __init__(
        self,
        name: str,
        worker: WorkerSettings,
        inherits: socket.socket | None,
        say: TellEvent,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self.name, self._on_end = name, on_end
        self.ready = threading.Event()
        self.counts: Counter[str] = Counter()
        self.lives = 0
        self._worker, self._inherits, self._say = worker, inherits, say
        self._stopping = threading.Event()
        self._commands: Connection | None = None
        # Two locks: whoever writes may wait for a process that does not read, and that one can still be killed.
        self._writing, self._alive = threading.Lock(), threading.Lock()
        self.pid = 0
        self._thread = threading.Thread(target=self._keep_running, name=name)

    @property
    def running(self) -> bool:
        """Whether it runs and has reported that it is ready."""
        return self.ready.is_set()

    def start(self) -> None:
        self._thread.start()

    def write(self, command: str) -> None:
        """Sends a command to the process. If a dying process misses it, the next one finds the instance in the
        archive."""
        with self._writing, suppress(OSError):
            if self._commands is not None:
                self._commands.send_bytes(command.encode())

    def ask_to_end(self) -> None:
        self._stopping.set()
        self._signal(signal.SIGTERM)

    def join(self, patience_s: float) -> None:
        """Waits until the process has ended; kills it when that takes too long."""
        self._thread.join(patience_s)
        if self._thread.is_alive():
            self._signal(signal.SIGKILL)
        self._thread.join()

    def _signal(self, number: signal.Signals) -> None:
        with self._alive, suppress(ProcessLookupError):
            if self._commands is not None:
                os.kill(self.pid, number)

    def _keep_running(self) -> None:
        pause_s = _PAUSE_S
        while not self._stopping.is_set():
            self.lives += 1
            code, was_ready = self._run()
            self.ready.clear()
            if self._stopping.is_set():
                return
            self._say({"event": "ended", "process": self.name, "code": code})
            self._on_end()
            pause_s = _PAUSE_S if was_ready else min(2 * pause_s, _LONGEST_PAUSE_S)
            self._stopping.wait(pause_s)

    def _run(self) -> tuple[int, bool]:
        """Runs the process once. Returns its exit status (negative for a signal) and whether it was ready."""
        was_ready = False
        heard, commands = multiprocessing.Pipe(duplex=False)
        told, events = multiprocessing.Pipe(duplex=False)
        process = fork_server().Process(target=work, args=(self.name, self._worker, self._inherits, heard, events))
        process.start()
        heard.close()
        events.close()
        with self._alive:
            self._commands, self.pid = commands, process.pid or 0
        if self._stopping.is_set():
            self._signal(signal.SIGTERM)
        before = Counter({name: n for name, n in self.counts.items() if not name.endswith("_open")})
        # Its end of the pipe is closed by its death alone, whatever becomes of the process that forked it.
        with told, suppress(EOFError, OSError):
            while True:
                event = json.loads(told.recv_bytes())
                if event["event"] == "ready":
                    was_ready = True
                    if self.lives > 1:
                        self._say({"event": "restarted", "process": self.name, "pid": self.pid})
                    self.ready.set()
                elif event["event"] == "counts":
                    self.counts = before + Counter({name: n for name, n in event.items() if name != "event"})
                else:
                    self._say(event)
        with self._alive:
            self._commands = None
        with self._writing:
            commands.close()
        process.join()
        code = process.exitcode
        process.close()
        return code if code is not None else -1, was_ready


def _end(first: Sequence[Process], then: Sequence[Process]) -> None:
    """Ends the receivers before the processes that work on the received instances."""
    for group in (first, then):
        for process in group:
            process.ask_to_end()
        for process in group:
            process.join(_PATIENCE_S)
