"""The worker processes of `serve`, in three roles: receiving, deciding, delivering.

A worker reports events as lines of JSON on its standard output. On its standard input it gets `record UID` for an SR to
file, `series UID` for a series that grows (an empty line: look for both), and `whole UID` for a series whose sender
asks us to commit to it. It ends on SIGTERM, or when its input ends, because its supervisor is gone then.
"""

import json
import signal
import sys
import threading
from collections import deque
from pathlib import Path
from typing import Any

from workstation.serve.deciding import run_decider
from workstation.serve.delivering import run_deliverer
from workstation.serve.receiving import run_receiver
from workstation.serve.role import WorkerSettings, WorkerSignals
from workstation.site import open_site


def main(text: str) -> None:
    """Runs a worker. text : its WorkerSettings as JSON."""
    worker = WorkerSettings(**json.loads(text))
    events, records = WorkerSignals(), deque[str]()
    speaking = threading.Lock()

    def say(event: dict[str, Any]) -> None:
        with speaking:
            try:
                sys.stdout.write(json.dumps(event) + "\n")
                sys.stdout.flush()
            except BrokenPipeError:
                events.end()

    def listen() -> None:
        for line in sys.stdin:
            records.append(line.strip())
            events.work.set()
        events.end()

    signal.signal(signal.SIGTERM, events.end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the supervisor stops them
    threading.Thread(target=listen, name="supervisor", daemon=True).start()
    root = Path(worker.root)
    if worker.role == "receive":
        run_receiver(open_site(root), worker, events, say)
    elif worker.role == "decide":
        run_decider(open_site(root), worker, events, say, records)
    else:
        run_deliverer(open_site(root), worker, events, say)


if __name__ == "__main__":
    main(sys.argv[1])
