"""How often an address may ask: a bucket of so many requests for each, refilled through the minute. Kept in memory."""

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

_MOST_ADDRESSES = 10_000


def caller_of(address: str) -> str:
    """Whom an address counts as: with IPv6 a household or a host has 2**64 of them, all of which are one caller.
    Source: RFC 6177, 2."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))


class Limiter:
    """per_minute : requests from one key, which may be an address. Thread-safe."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._most, self._clock = per_minute / 60.0, float(per_minute), clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def allows(self, key: str, cost: float = 1.0) -> bool:
        """Whether another request of this key may pass; it is counted when it does."""
        now, key = self._clock(), caller_of(key)
        with self._lock:
            left, at = self._left.pop(key, (self._most, now))
            left = min(self._most, left + (now - at) * self._rate)
            passes = left >= cost
            self._left[key] = (left - cost if passes else left, now)
            while len(self._left) > _MOST_ADDRESSES:
                self._left.popitem(last=False)
        return passes
