"""The open connections of a listener: who holds how many, and which of them have said nothing yet.

Anybody who reaches the port can open connections and stay silent. So that they shut out nobody else, silent ones are
counted apart from those that are in use, and when there are too many, the oldest of whoever holds most of them is shut.
"""

import socket
import threading
from collections import Counter
from contextlib import suppress


class Crowd:
    """The connections of one listener. most : in use at once, and silent at once. most_of_one : in use at once from one
    address."""

    def __init__(self, most: int, most_of_one: int) -> None:
        self._most, self._most_of_one = most, most_of_one
        self._lock = threading.Lock()
        self._silent: dict[int, tuple[str, socket.socket]] = {}
        self._in_use: dict[int, str] = {}
        self._next = 0

    @property
    def in_use(self) -> int:
        """How many connections are in use."""
        return len(self._in_use)

    @property
    def silent(self) -> int:
        """How many connections have said nothing yet."""
        return len(self._silent)

    def came(self, connection: socket.socket, address: str) -> int:
        """Notes a new connection; where too many are silent, one of them is shut, which wakes whoever waits for it.
        Returns its number."""
        own = connection.dup()  # what shuts it later, whatever becomes of the socket (TLS takes it over)
        with self._lock:
            self._next += 1
            self._silent[self._next] = address, own
            if len(self._silent) > self._most:
                held = Counter(each for each, _ in self._silent.values())
                most = max(held.values())
                oldest = next(n for n, (each, _) in self._silent.items() if held[each] == most)
                with suppress(OSError):
                    self._silent[oldest][1].shutdown(socket.SHUT_RDWR)
                self._silent.pop(oldest)[1].close()
            return self._next

    def spoke(self, number: int, address: str) -> str:
        """Notes that a connection is to be used. Returns why it may not be, empty when it may."""
        with self._lock:
            if len(self._in_use) >= self._most:
                return f"{self._most} are open already"
            if sum(each == address for each in self._in_use.values()) >= self._most_of_one:
                return f"{self._most_of_one} from this address are open already"
            self._in_use[number] = address
            self._forget(number)
            return ""

    def left(self, number: int) -> None:
        """Notes that a connection has ended."""
        with self._lock:
            self._in_use.pop(number, None)
            self._forget(number)

    def _forget(self, number: int) -> None:
        if number in self._silent:
            self._silent.pop(number)[1].close()
