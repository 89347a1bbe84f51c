"""The role `run_console`: the pages for browsers."""

import socket
import threading

from workstation.serve.role import TellEvent, WorkerSignals
from workstation.site import Site


def run_console(site: Site, events: WorkerSignals, say: TellEvent, at: socket.socket) -> None:
    """Serves pages until told to stop."""
    # Loaded only where there is a console: it is an extra.
    from workstation.web.serving import ConsoleServer

    server = ConsoleServer(site, at, lambda: say({"event": "ready"}))
    thread = threading.Thread(target=server.run, name="console")
    thread.start()
    while thread.is_alive() and not events.stop.wait(0.5):
        pass
    server.end()
    thread.join()
