"""The console over HTTP, in this process: alone, or as a role of `serve`."""

import logging
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import uvicorn

from workstation.errors import WorkstationError
from workstation.listening import ConsoleSettings
from workstation.site import Site
from workstation.store.outbox import DatabaseFailed
from workstation.web.app import application
from workstation.web.connections import PatientProtocol
from workstation.web.console import console_of

# Requests at once; the others wait at the socket. A page takes a thread.
_AT_ONCE = 200


class ConsoleNotServed(WorkstationError):  # noqa: N818 - reads as a sentence where it is raised
    """The console cannot be served as the settings want it."""


def listen_for_browsers(host: str, port: int) -> socket.socket:
    """Opens the socket. Raises ConsoleNotServed when the port is taken, or the address is not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(128)
    except OSError as error:
        found.close()
        raise ConsoleNotServed(
            f"The console cannot listen at {host} port {port}: {error.strerror}. Choose another with --port, or in "
            "[console] of the settings."
        ) from None
    return found


class ConsoleServer:
    """Serves until it is told to end. Make it, then `run` it in a thread of its own: in the main one it takes signals.

    Raises ConsoleNotServed when certificate or key cannot be read.
    """

    def __init__(self, site: Site, at: socket.socket, ready: Callable[[], None] = lambda: None) -> None:
        # Links name the port where it is, whoever chose it.
        own = replace(site.config.console or ConsoleSettings(), port=at.getsockname()[1])
        console = console_of(replace(site, config=replace(site.config, console=own)))
        settings = console.settings
        self._at = at
        patient = type("PatientProtocol", (PatientProtocol,), {"proxies": frozenset(settings.behind_proxy)})
        config = uvicorn.Config(
            application(console),
            http=patient,
            loop="asyncio",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # app.py reads them, from the proxies of the settings alone
            lifespan="off",
            limit_concurrency=_AT_ONCE,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=10,
            h11_max_incomplete_event_size=32 << 10,
            ssl_certfile=settings.certificate or None,
            ssl_keyfile=settings.key or None,
        )
        try:
            config.load()
        except (OSError, ssl.SSLError) as error:
            raise ConsoleNotServed(f"[console]: certificate or key cannot be read: {error.strerror}.") from None
        if config.ssl is not None:
            config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
        self._server = _Server(config, ready)
        self._console = console
        logging.getLogger("uvicorn").setLevel(logging.WARNING)

    def run(self) -> None:
        """Blocks until `end`."""
        # Nobody waits for the first search: heads of ten thousand records take seconds.
        threading.Thread(target=self._warm, name="warm queue", daemon=True).start()
        self._server.run(sockets=[self._at])

    def _warm(self) -> None:
        with suppress(DatabaseFailed, OSError):  # then the first page reads it, or says why it cannot
            self._console.queue.warm()

    def end(self) -> None:
        self._server.should_exit = True


class _Server(uvicorn.Server):
    """Says when it is there."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()
