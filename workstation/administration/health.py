"""How a host is: what `/health` answers.

starting: a process has not been ready yet. ready: all is well. degraded: it works, and a person ought to look at what
stands in `why`. down: none of its processes runs, so starting it again may help; only then the answer is 503.
"""

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from workstation.site import Site
from workstation.store.messages import QueuedMessage
from workstation.store.outbox import DatabaseFailed

HealthState = Literal["starting", "ready", "degraded", "down"]
# What may be wrong, by a word for programs.
Trouble = Literal["process", "disk", "database", "outbox", "lease"]
# Claims that a role always takes up again. That of a command that was killed is of no use to anybody, and does no harm.
_FOLLOWED = ("arrivals", "outbox")


class Watched(Protocol):
    """A process of `serve`."""

    name: str
    counts: Counter[str]
    lives: int

    @property
    def running(self) -> bool: ...


def health(site: Site, processes: Sequence[Watched]) -> tuple[bool, dict[str, Any]]:
    """Returns (whether the answer is 200, details)."""
    trouble = list[tuple[Trouble, str]]()
    starting = any(not process.running and process.lives <= 1 for process in processes)
    if not starting:
        trouble += [("process", f"{p.name} does not run; it is started again.") for p in processes if not p.running]
    free, least = shutil.disk_usage(site.archive.root).free, site.config.receiver.min_free_mb << 20
    disk = "room" if free >= 2 * least else "low" if free >= least else "nearly full: nothing is received"
    if free < 2 * least:
        trouble.append(("disk", f"{free >> 20} MB are left on the disk; below {least >> 20} MB nothing is received."))
    waiting: int | None = None
    try:
        entries = site.outbox.waiting()
        waiting = sum(entry.state == "operator" for entry in entries)
        trouble += [("outbox", words) for words in _late(site, entries)]
        if not starting:
            trouble += [("lease", words) for words in _unclaimed(site)]
    except DatabaseFailed as error:
        trouble.append(("database", f"The database does not answer ({type(error).__name__})."))
    running = sum(process.running for process in processes)
    state: HealthState = "degraded" if trouble else "ready"
    if starting:
        state = "starting"
    elif processes and not running:
        state = "down"
    return state != "down", {
        "state": state,
        "why": [{"what": what, "words": words} for what, words in trouble],
        "processes": {process.name: "running" if process.running else "down" for process in processes},
        "roles": list(site.config.roles),
        "disk_free_bytes": free,
        "disk": disk,
        "database": "answers" if waiting is not None else "fails",
        "messages_waiting_for_an_operator": waiting,
    }


def oldest_s(entries: Sequence[QueuedMessage], now: datetime) -> dict[str, float]:
    """Returns by destination for how many seconds the oldest message that is to go by itself has waited."""
    found: dict[str, float] = {}
    for entry in entries:
        if entry.state != "operator":
            waited = max(0.0, (now - entry.queued_at) / timedelta(seconds=1))
            found[entry.message.destination] = max(waited, found.get(entry.message.destination, 0.0))
    return found


def _late(site: Site, entries: Sequence[QueuedMessage]) -> Iterator[str]:
    if "deliver" in site.config.roles:
        for destination, waited in sorted(oldest_s(entries, site.clock()).items()):
            if waited > site.config.outbox_late_s:
                hours = f"{waited / 3600.0:.1f} hours"
                yield f"A message to {destination} has waited for {hours}; see `workstation outbox list`."


def _unclaimed(site: Site) -> Iterator[str]:
    claims = site.archive.leases.all()
    gone = [c for c in claims if c.left_s < 0.0 and c.name in _FOLLOWED]
    yield from (f"{c.holder}, who held the lease {c.name}, is gone." for c in gone)
    if "decide" in site.config.roles and not any(c.name == "arrivals" for c in claims):
        yield "No host follows what arrives: nobody holds the lease arrivals."
