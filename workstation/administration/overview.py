"""How a site is at this moment, from its stores: health in words, who does what on which host, and what waits."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from dicom_io.archive.quarantine import quarantined
from workstation.administration.health import health, oldest_s
from workstation.site import Site
from workstation.store.preparations import LEASE_PREFIX

# What who holds a lease does, by its name; of preparations there are many, with a number each.
LEASE_WORDS = {
    "arrivals": "files what arrives, decides cases",
    "outbox": "delivers messages",
    "upkeep": "removes or copies files of the archive",
    "quarantine": "moves files of the quarantine",
    LEASE_PREFIX: "prepares a series",
}


@dataclass(frozen=True, slots=True)
class HostWork:
    """What a host has claimed. what : in words. holder : as `HOST PID`. left_s : how long the claim holds yet; below 0
    its holder is gone."""

    what: str
    holder: str
    left_s: float


@dataclass(frozen=True, slots=True)
class WaitingAt:
    """Messages to a destination. states : how many are in each. oldest_s : age of the oldest that goes by itself."""

    destination: str
    states: dict[str, int]
    oldest_s: float


@dataclass(frozen=True, slots=True)
class SiteOverview:
    """state, why : as `health`. roles : of this host by its settings. backup_at : of the last backup from this host,
    None for none. queues : titles and counts of what waits."""

    state: str
    why: tuple[str, ...]
    roles: tuple[str, ...]
    disk_free_bytes: int
    backup_at: datetime | None
    work: tuple[HostWork, ...]
    messages: tuple[WaitingAt, ...]
    queues: tuple[tuple[str, int], ...]


def overview_of(site: Site) -> SiteOverview:
    """Looks at the stores and asks no other machine: processes of `serve` are seen by their claims alone."""
    _, found = health(site, ())
    entries = site.outbox.waiting()
    states: dict[str, Counter[str]] = {}
    for entry in entries:
        states.setdefault(entry.message.destination, Counter())[entry.state] += 1
    ages = oldest_s(entries, site.clock())
    plans = site.preparations.counts()
    cases, _ = site.casebook.open_counts()
    queues = {
        "Messages that wait for an operator": sum(each["operator"] for each in states.values()),
        "Series to be prepared": plans["waiting"] + plans["running"],
        "Preparations that failed": plans["failed"],
        "Proposals that lie ready": plans["ready"],
        "Cases that are held": cases.get("held", 0),
        "Charges to be corrected": cases.get("correction", 0),
        "Accessions to be decided": len(site.casebook.due()),
        "Arrivals nobody has acted on": site.news.count(),
        "Instances in quarantine": len(quarantined(site.archive)),
        "HL7 messages refused": sum(site.casebook.refused_counts().values()),
    }
    return SiteOverview(
        state=found["state"],
        why=tuple(each["words"] for each in found["why"]),
        roles=tuple(site.config.roles),
        disk_free_bytes=found["disk_free_bytes"],
        backup_at=last_backup(site),
        work=tuple(HostWork(_work(c.name), c.holder, c.left_s) for c in site.archive.leases.all()),
        messages=tuple(WaitingAt(to, dict(counts), ages.get(to, 0.0)) for to, counts in sorted(states.items())),
        queues=tuple(queues.items()),
    )


def _work(lease: str) -> str:
    return LEASE_WORDS.get(LEASE_PREFIX if lease.startswith(LEASE_PREFIX) else lease, lease)


def last_backup(site: Site) -> datetime | None:
    """Returns when the last backup was made from this host; None for none."""
    try:
        return datetime.fromisoformat((site.root / "last_backup").read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        return None


def age_in_words(seconds: float) -> str:
    """A time span as people say it: `3 min`, `5 h`, `2 d`."""
    span = timedelta(seconds=seconds)
    if span < timedelta(minutes=1):
        return f"{seconds:.0f} s"
    if span < timedelta(hours=2):
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if span < timedelta(days=2) else f"{span.days} d"
