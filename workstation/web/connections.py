"""How long a connection may take to ask, and how many an address may have: nobody holds the console up for others by
asking slowly.

Source: OWASP, Denial of Service Cheat Sheet (slow requests).
"""

import asyncio
from collections import Counter
from typing import Any, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

from workstation.web.limits import caller_of

# A browser opens six at once. Many browsers share an address behind a router, and all of them behind a proxy.
MOST_OF_ONE_ADDRESS = 60
# From the first byte of a request to the last of its headers; and from there to a body, whatever it holds.
HEADERS_S, BODY_S = 15.0, 30.0
# What a body has to come by at least, beyond that time; and how long an answer that is ready may take to be read.
SLOWEST_BYTES_S, READ_S = 16_000.0, 120.0


class PatientProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, with an end to patience."""

    open_by_address: ClassVar[Counter[str]] = Counter()
    # Addresses of proxies, which speak for many.
    proxies: frozenset[str] = frozenset()
    _late: asyncio.TimerHandle | None = None
    _counted = ""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        host = self.client[0] if self.client else ""
        if host not in self.proxies:
            self._counted = caller_of(host)
            self.open_by_address[self._counted] += 1
            if self.open_by_address[self._counted] > MOST_OF_ONE_ADDRESS:
                self.transport.abort()
                return
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._heard()
        if self._counted:
            self.open_by_address[self._counted] -= 1
            if self.open_by_address[self._counted] <= 0:
                del self.open_by_address[self._counted]
            self._counted = ""
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._asked and self._late is None:
            self._wait()
        super().data_received(data)
        if self._asked:
            self._heard()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        # Closed as soon as the last answer is read; who does not read it holds no connection for it.
        self.loop.call_later(READ_S, self.transport.abort)

    @property
    def _asked(self) -> bool:
        """Whether a request with all its headers is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        self._late = self.loop.call_later(HEADERS_S, self._end)

    def _heard(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _end(self) -> None:
        self._late = None
        # Between two requests the time to keep alive counts, which uvicorn keeps.
        if not self._asked and self.timeout_keep_alive_task is None and not self.transport.is_closing():
            self.transport.abort()
