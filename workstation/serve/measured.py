"""What `/metrics` of `serve` says: counts of its processes, and what the database says of the whole site.

Every number stands in every answer, zeros too: an alert cannot tell a missing number from a missing monitor. Where the
database does not answer, `workstation_database_up` is 0 and what comes from it is missing.
"""

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from workstation.administration.health import Watched, oldest_s
from workstation.charge.reasons import REASONS
from workstation.preparation.proposals import STEPS
from workstation.serve.http import Metric
from workstation.site import Site
from workstation.store.outbox import DatabaseFailed
from workstation.store.preparations import LEASE_PREFIX

# The receivers' counts (`dicom_io.network.receive`) and the listener's, each with its description.
_COUNTS = {
    "instances_received": "Instances that were acknowledged.",
    "instances_repeated": "Of these, instances that were there already with the same content.",
    "instances_refused": "Instances that were answered with a failure.",
    "bytes_received": "Bytes of the data sets that were acknowledged.",
    "associations_accepted": "Associations that were accepted.",
    "associations_rejected": "Association requests that were turned down.",
    "associations_aborted": "Associations that broke, or that we aborted.",
    "connections_failed": "Connections on which no association request came, or no TLS.",
    "hl7_connections_broken": "HL7 connections that ended within a message, or that were closed for what came.",
}
_WAITING = ("queued", "retrying", "operator")  # the values of `messages.State` that are not done


def metrics(site: Site, processes: Sequence[Watched]) -> list[Metric]:
    """Returns all of it as Prometheus metrics."""
    found = list(_of_processes(processes))
    free = float(shutil.disk_usage(site.archive.root).free)
    found.append(_one("disk_free_bytes", "Space left on the disk of the archive.", free))
    found.append(_one("backup_age_seconds", "Since the last backup from this host; -1 for none.", _backup_age(site)))
    try:
        asked = [*_of_outbox(site), *_of_cases(site), *_of_work(site)]
        found += [*asked, _one("database_up", "Whether the database answers.", 1.0)]
    except DatabaseFailed:
        found.append(_one("database_up", "Whether the database answers.", 0.0))
    return found


def _of_processes(processes: Sequence[Watched]) -> Iterator[Metric]:
    total: Counter[str] = Counter()
    for process in processes:
        total.update(process.counts)
    for name, words in _COUNTS.items():
        yield Metric(f"workstation_{name}_total", "counter", words, {"": float(total[name])})
    yield _one("associations_open", "Associations now open.", float(total["associations_open"]))
    yield Metric(
        "workstation_process_restarts_total",
        "counter",
        "How often a process was started again.",
        {_label(process=process.name): float(max(0, process.lives - 1)) for process in processes},
    )
    running = {_label(process=process.name): float(process.running) for process in processes}
    yield _gauge("process_up", "Whether a process runs.", running)


def _of_outbox(site: Site) -> Iterator[Metric]:
    entries = site.outbox.waiting()
    states = Counter({(d.name, state): 0 for d in site.config.destinations for state in _WAITING})
    states.update((entry.message.destination, entry.state) for entry in entries)
    labels = {_label(destination=to, state=state): float(n) for (to, state), n in sorted(states.items())}
    yield _gauge("outbox_messages", "Messages that are not delivered yet.", labels)
    oldest = {**{d.name: 0.0 for d in site.config.destinations}, **oldest_s(entries, site.clock())}
    labels = {_label(destination=to): waited for to, waited in sorted(oldest.items())}
    yield _gauge("outbox_oldest_seconds", "Age of the oldest message that waits, without those for a person.", labels)


def _of_cases(site: Site) -> Iterator[Metric]:
    refused = {_label(reason=kind): float(count) for kind, count in sorted(site.casebook.refused_counts().items())}
    words = "HL7 messages that were refused, by the kind of the reason."
    yield Metric("workstation_hl7_refused_total", "counter", words, refused)
    states, reasons = site.casebook.open_counts()
    open_cases = {_label(state=state): float(count) for state, count in states.items()}
    yield _gauge("open_cases", "Cases that are held, or whose charge is to be corrected.", open_cases)
    holds = {code: reasons[code] for code in sorted({*(kind.code for kind in REASONS), *reasons})}
    labels = {_label(reason=code): float(count) for code, count in holds.items()}
    yield _gauge("holds", "Held cases, by reason; a case with two is counted with each.", labels)
    yield _one("accessions_due", "Accessions that are to be decided.", float(len(site.casebook.due())))


def _of_work(site: Site) -> Iterator[Metric]:
    plans, now_s = site.preparations, site.clock().timestamp()
    labels = {_label(state=state): float(count) for state, count in plans.counts().items()}
    yield _gauge("preparations", "What rules want prepared, by its state.", labels)
    running = plans.list("running")
    doing = dict.fromkeys(STEPS, 0) | Counter(each.doing or "begun" for each in running)
    labels = {_label(doing=step): float(count) for step, count in doing.items()}
    yield _gauge("preparations_running", "Preparations that are being made, by the step that is under way.", labels)
    drawn, wanted = sum(each.done for each in running), sum(each.total for each in running)
    words = "Pictures of the preparations that are being drawn: so many there are, and so many there will be."
    yield _gauge("preparation_pictures", words, {_label(of="drawn"): float(drawn), _label(of="wanted"): float(wanted)})
    quiet = max((now_s - each.changed_s for each in running), default=0.0)
    words = "Since when the one that is being made and has been quiet for longest has told nothing."
    yield _one("preparation_quiet_seconds", words, max(0.0, quiet))
    mean, longest, oldest = plans.times(now_s)
    took = {_label(of="mean"): mean, _label(of="longest"): longest}
    yield _gauge(
        "preparation_seconds", "From a complete series to its proposal, of those that became ready within a day.", took
    )
    yield _one("preparation_oldest_seconds", "Since when the oldest one that is not made yet waits.", oldest)
    yield _one("news_waiting", "What receivers have told and nobody has acted on.", float(site.news.count()))
    followed = dict.fromkeys(("arrivals", "outbox"), 0.0)
    left = followed | {c.name: c.left_s for c in site.archive.leases.all() if not c.name.startswith(LEASE_PREFIX)}
    labels = {_label(lease=name): seconds for name, seconds in sorted(left.items())}
    words = "How long a claim holds yet; 0 where nobody has it, less where who had it is gone."
    yield _gauge("lease_left_seconds", words, labels)


def _backup_age(site: Site) -> float:
    try:
        made = datetime.fromisoformat((site.root / "last_backup").read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        return -1.0
    return max(0.0, (site.clock() - made).total_seconds())


def _gauge(name: str, words: str, samples: Mapping[str, float]) -> Metric:
    return Metric(f"workstation_{name}", "gauge", words, samples)


def _one(name: str, words: str, value: float) -> Metric:
    return _gauge(name, words, {"": value})


def _label(**labels: str) -> str:
    """Labels as text. Source: Prometheus text exposition format 0.0.4."""
    escaped = {k: v.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for k, v in labels.items()}
    return ",".join(f'{name}="{value}"' for name, value in escaped.items())
