"""The role `run_receiver`: keeps the instances that DICOM peers send, and answers their queries."""

import socket
import threading
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from contextlib import suppress

from dicom_io.archive.archive import Kept
from dicom_io.capabilities import EXPLICIT_LITTLE, STORAGE_COMMITMENT, STUDY_ROOT_FIND
from dicom_io.files.encoding import encoded
from dicom_io.files.instance import Instance
from dicom_io.network import commitment
from dicom_io.network.commitment import Committed
from dicom_io.network.provide import archive_services
from dicom_io.network.receive import Ending, Receiver
from dicom_io.network.services import Request
from dicom_io.network.tls import server_context
from workstation.audit.trail import Action, Party, Question, by_study, late, trail_of
from workstation.certificates import tls_to_be_called
from workstation.orders.sr_reports import REPORT_CLASSES
from workstation.peers.commitment import commitment_peers, hear
from workstation.serve.callers import rules_of
from workstation.serve.role import TellEvent, WorkerSettings, WorkerSignals
from workstation.site import Site

# The audit action for a received instance: created if it is new, read if it was here already.
_ACTIONS: dict[str, Action] = {"new": "C", "same": "R"}

# How often a receiver reports arrivals; a report for every instance would cost as much as receiving it.
_COUNTS_S = 0.2


def run_receiver(
    site: Site, worker: WorkerSettings, events: WorkerSignals, say: TellEvent, listening: socket.socket
) -> None:
    """Receives on a socket that other processes may share, and serves storage commitment and queries."""
    root, config = site.root, site.config

    def committed(answer: Committed) -> None:
        hear(site, answer)
        say({"event": "committed", "instances": len(answer.committed), "failed": len(answer.failed)})

    def sent(series_uids: Collection[str]) -> None:
        for uid in sorted(series_uids):
            say({"event": "commitment asked", "series": uid})

    came: dict[str, Counter[str]] = defaultdict(Counter)
    counting = threading.Lock()

    def kept(item: Kept) -> None:
        with counting:
            came[item.instance.series_uid][item.news] += 1
        if item.instance.sop_class_uid in REPORT_CLASSES:
            say({"event": "record received", "instance": item.instance.sop_instance_uid})

    def tell_what_came() -> None:
        with counting:
            since = dict(came)
            came.clear()
        for uid, news in since.items():
            say({"event": "received", "series": uid, "instances": news.total(), "new": news["new"]})

    trail, us = trail_of(config, root), Party(worker.ae_title, "", False)

    def ended(ending: Ending) -> None:
        caller = Party(ending.calling, ending.address, True)
        with late(say):
            if ending.rejected:
                trail.rejected(caller, ending.rejected, site.clock())
        for news, action in _ACTIONS.items():
            for moved in by_study(kept.instance for kept in ending.kept if kept.news == news):
                with late(say):
                    trail.transferred(caller, us, moved, site.clock(), action=action)

    def asked(request: Request) -> None:
        question = Question(STUDY_ROOT_FIND, encoded(request.data_set, EXPLICIT_LITTLE), EXPLICIT_LITTLE)
        caller = Party(request.calling, request.address, True)
        with late(say):
            trail.queried(caller, us, question, site.clock())

    def given(request: Request, instances: Sequence[Instance]) -> None:
        title = request.command.move_destination or request.calling
        for moved in by_study(instances):
            with late(say):
                trail.transferred(us, Party(title, request.address, True), moved, site.clock(), action="R")

    settings = config.receiver
    find_peer = commitment_peers(site)
    services = {STORAGE_COMMITMENT: commitment.service(site.archive, find_peer, committed, worker.ae_title, sent)}
    if settings.query:
        services |= archive_services(site.archive, find_peer, worker.ae_title, asked, given)
    files = tls_to_be_called(settings, root)
    receiver = Receiver(
        site.archive,
        ae_title=worker.ae_title,
        on_kept=kept,
        on_end=ended if trail.file is not None else None,
        rules=rules_of(config, root, worker.ae_title, worker.processes),
        services=services,
        tls=server_context(files) if files is not None else None,
        listening=listening,
    )
    with receiver:
        say({"event": "ready"})
        last: dict[str, int] = {}
        while not events.stop.wait(_COUNTS_S):
            if trail.file is not None:
                with suppress(OSError):
                    trail.file.catch_up()
            tell_what_came()
            now = {**receiver.counts, "associations_open": receiver.associations}
            if now != last:
                say({"event": "counts", **now})
                last = now
    tell_what_came()
