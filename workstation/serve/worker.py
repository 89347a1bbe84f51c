"""The worker processes of `serve`, in five roles: receiving, deciding, delivering, preparing, serving pages.

A worker tells events and takes commands over two pipes to its supervisor, as messages of JSON. A command wakes the one
that decides or prepares, since what there is to do stands in the database; an empty one has the first look through
everything. A worker ends on SIGTERM, or when its commands end, because its supervisor is gone then.
"""

import json
import signal
import socket
import threading
from collections import deque
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from workstation.serve.browsers import run_console
from workstation.serve.deciding import run_decider
from workstation.serve.delivering import run_deliverer
from workstation.serve.logs import guarded, tell_logs
from workstation.serve.preparing import run_preparer
from workstation.serve.receiving import run_receiver
from workstation.serve.role import WorkerSettings, WorkerSignals
from workstation.site import open_site


def work(
    name: str, worker: WorkerSettings, inherits: socket.socket | None, commands: Connection, told: Connection
) -> None:
    """Runs a worker. name : as the system's list of processes shows it. inherits : the socket that it listens on."""
    _show(name)
    events, records = WorkerSignals(), deque[str]()
    speaking = threading.Lock()

    def say(event: dict[str, Any]) -> None:
        with speaking:
            try:
                told.send_bytes(json.dumps(event).encode())
            except BrokenPipeError:
                events.end()

    def listen() -> None:
        try:
            while True:
                records.append(commands.recv_bytes().decode())
                events.work.set()
        except (EOFError, OSError):
            events.end()

    signal.signal(signal.SIGTERM, events.end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the supervisor stops them
    threading.Thread(target=listen, name="supervisor", daemon=True).start()
    tell_logs(say, name)

    def run() -> None:
        site = open_site(Path(worker.root))
        if worker.role == "receive":
            assert inherits is not None, "a receiver is given the socket"
            run_receiver(site, worker, events, say, inherits)
        elif worker.role == "decide":
            run_decider(site, worker, events, say, records, inherits)
        elif worker.role == "prepare":
            run_preparer(site, worker, events, say, records)
        elif worker.role == "web":
            assert inherits is not None, "the console is given the socket"
            run_console(site, events, say, inherits)
        else:
            run_deliverer(site, worker, events, say)

    guarded(name, say, run)


def _show(name: str) -> None:
    """Gives the process its name, of which Linux keeps 15 characters; elsewhere it stays as it is."""
    try:
        Path("/proc/self/comm").write_text(f"ws {name}"[:15], encoding="ascii")
    except OSError:
        return
