"""The data for the monitor of `serve`: state of the processes, counts of the receivers, waiting messages."""

import shutil
from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

from workstation.serve.http import Metric
from workstation.site import Site
from workstation.store.outbox import DatabaseFailed

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


class Watched(Protocol):
    """A process of `serve`."""

    name: str
    counts: Counter[str]
    lives: int

    @property
    def running(self) -> bool: ...


def health(site: Site, processes: Sequence[Watched]) -> tuple[bool, dict[str, Any]]:
    """Returns (whether all is well, details): every process runs, the disk has room, the database answers."""
    free = shutil.disk_usage(site.archive.root).free
    room = free >= site.config.receiver.min_free_mb << 20
    try:
        waiting: int | None = sum(entry.state == "operator" for entry in site.outbox.waiting())
    except DatabaseFailed:
        waiting = None
    well = all(process.running for process in processes) and room and waiting is not None
    return well, {
        "state": "well" if well else "not well",
        "processes": {process.name: "running" if process.running else "down" for process in processes},
        "disk_free_bytes": free,
        "disk": "room" if room else "nearly full: nothing is received",
        "database": "answers" if waiting is not None else "fails",
        "messages_waiting_for_an_operator": waiting,
    }


def metrics(site: Site, processes: Sequence[Watched]) -> list[Metric]:
    """Returns all counts as Prometheus metrics."""
    total: Counter[str] = Counter()
    for process in processes:
        total.update(process.counts)
    found = [
        Metric(f"workstation_{name}_total", "counter", words, {"": float(total[name])})
        for name, words in _COUNTS.items()
    ]
    found.append(
        Metric(
            "workstation_associations_open", "gauge", "Associations now open.", {"": float(total["associations_open"])}
        )
    )
    found.append(
        Metric(
            "workstation_process_restarts_total",
            "counter",
            "How often a process was started again.",
            {f'process="{process.name}"': float(max(0, process.lives - 1)) for process in processes},
        )
    )
    found.append(
        Metric(
            "workstation_process_up",
            "gauge",
            "Whether a process runs.",
            {f'process="{process.name}"': float(process.running) for process in processes},
        )
    )
    free = float(shutil.disk_usage(site.archive.root).free)
    found.append(Metric("workstation_disk_free_bytes", "gauge", "Space left on the disk of the archive.", {"": free}))
    try:
        # Zeros are reported as well: an alert cannot tell a missing number from a missing monitor.
        states = Counter({(d.name, state): 0 for d in site.config.destinations for state in _WAITING})
        states.update((entry.message.destination, entry.state) for entry in site.outbox.waiting())
        due = len(site.casebook.due())
        refused = site.casebook.refused_counts()
        prepared = site.preparations.counts() if site.config.prepare else {}
    except DatabaseFailed:
        return found
    labels = {f'destination="{_quoted(to)}",state="{state}"': float(n) for (to, state), n in sorted(states.items())}
    found.append(Metric("workstation_outbox_messages", "gauge", "Messages that are not delivered yet.", labels))
    found.append(
        Metric(
            "workstation_hl7_refused_total",
            "counter",
            "HL7 messages that were refused, by the kind of the reason.",
            {f'reason="{kind}"': float(count) for kind, count in sorted(refused.items())},
        )
    )
    if prepared:
        labels = {f'state="{state}"': float(count) for state, count in prepared.items()}
        found.append(Metric("workstation_preparations", "gauge", "What rules want prepared, by its state.", labels))
    found.append(Metric("workstation_accessions_due", "gauge", "Accessions that are to be decided.", {"": float(due)}))
    return found


def _quoted(text: str) -> str:
    """Quotes a label's value. Source: Prometheus text exposition format 0.0.4."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
