"""What `serve` does, in three roles, each in processes of its own: receiving, deciding, delivering.

A process of a role tells what happens in lines of JSON on its standard output, hears on its standard input of SRs to
file (`record UID`), of series that grow (`series UID`; an empty line: look for both) and of those whose sender asks us
to commit to them (`whole UID`), and ends on SIGTERM, or when that input ends: whoever started it is gone then.
"""

import json
import signal
import socket
import sys
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from dicom_io import commitment
from dicom_io.archive import Kept
from dicom_io.arrivals import Completion
from dicom_io.capabilities import EXPLICIT_LITTLE, STORAGE_COMMITMENT, STUDY_ROOT_FIND
from dicom_io.commitment import Committed
from dicom_io.dimse import encoded
from dicom_io.errors import NotFound
from dicom_io.evidence_sr import COMPREHENSIVE_3D_SR
from dicom_io.instance import Instance
from dicom_io.provide import archive_services
from dicom_io.receive import Ending, Receiver
from dicom_io.services import Request
from dicom_io.tls import Tls, server_context
from workstation.admission import rules_of
from workstation.audit import Action, Party, Question, by_study, late, trail_of
from workstation.commit import ask_for_commitment, commitment_peers, hear
from workstation.deliver import drain
from workstation.listen import answering
from workstation.outbox import DatabaseFailed
from workstation.pipeline import file_new_records, file_record
from workstation.report_sr import REPORT_CLASSES
from workstation.settling import Settled, settle_due
from workstation.site import Site, open_site
from workstation.transports import syslog
from workstation.transports.mllp import MllpListener, server_tls
from workstation.worklist import recheck
from workstation.worklist_orders import poll

Say = Callable[[dict[str, Any]], None]
# What an audit calls it that an instance came: it was created here, or read to be the one that was here.
_ACTIONS: dict[str, Action] = {"new": "C", "same": "R"}
# How often a receiver says what has come; to say it with every instance would cost as much as to receive it.
_COUNTS_S = 0.2
# How often a deliverer looks what has not been committed in time.
_ASK_S = 30.0
# What was received longer ago than this was filed by an earlier process.
_LOOK_BACK_S = 86400.0


@dataclass(frozen=True, slots=True)
class Told:
    """What a process of a role is told on its command line; `socket` is a file handle that it inherits, or -1."""

    role: str
    root: str
    ae_title: str
    interval_s: float
    processes: int
    socket: int = -1


class Events:
    """Set when it is time to stop, and when there is something to do."""

    def __init__(self) -> None:
        self.stop, self.work = threading.Event(), threading.Event()

    def end(self, *_: object) -> None:
        self.stop.set()
        self.work.set()


def receive(site: Site, told: Told, events: Events, say: Say) -> None:
    """Receives on a socket that other processes may share, and hears of storage commitment."""
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

    trail, us = trail_of(config, root), Party(told.ae_title, "", False)

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
    services = {STORAGE_COMMITMENT: commitment.service(site.archive, find_peer, committed, told.ae_title, sent)}
    if settings.query:
        services |= archive_services(site.archive, find_peer, told.ae_title, asked, given)
    tls = None
    if settings.certificate:
        files = (settings.client_authority, settings.certificate, settings.key)
        tls = server_context(Tls(*(str(root / name) if name else "" for name in files)))
    receiver = Receiver(
        site.archive,
        ae_title=told.ae_title,
        on_kept=kept,
        on_end=ended if trail.file is not None else None,
        rules=rules_of(config, root, told.ae_title, told.processes),
        services=services,
        tls=tls,
        listening=socket.socket(fileno=told.socket),
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


def decide(site: Site, told: Told, events: Events, say: Say, records: deque[str]) -> None:
    """Files records and decides what is due, until told to stop; hears HL7 where the settings say so."""

    def heard(event: dict[str, str]) -> None:
        say(event)
        events.work.set()

    def decided(settled: Settled) -> None:
        say(
            {
                "event": "decided",
                "accession": settled.record.accession,
                "state": settled.state,
                "reasons": [reason.code for reason in settled.decision.reasons],
                "queued": len(settled.queued),
            }
        )

    def failed(accession: str, error: Exception) -> None:
        # Its words may quote a value; its kind and the accession are enough to look.
        say({"event": "undecided", "accession": accession, "detail": type(error).__name__})

    arrivals = site.arrivals

    def complete(series: Iterable[Completion]) -> None:
        for done in series:
            how = {"instances": done.instances, "revision": done.revision}
            say({"event": "series complete", "series": done.series_uid, **how})

    def file_what_came() -> None:
        while records:
            what, _, uid = records[0].partition(" ")
            if what == "series":
                again = arrivals.came(uid, time.monotonic())
                if again is not None:
                    say({"event": "series reopened", "series": uid, "revision": again.revision + 1})
            elif what == "whole":
                complete(arrivals.whole([uid], site.clock()))
            elif what == "record":
                with suppress(NotFound):
                    file_record(site.archive.instance(uid), site)
            else:
                look_again(site)
                arrivals.left_open(time.monotonic())
            records.popleft()
        complete(arrivals.look(time.monotonic(), site.clock()))

    def file_the_rest() -> None:
        """What came while the signal did. Where the database fails, the next start does it."""
        with suppress(DatabaseFailed):
            file_what_came()

    listener = site.config.listener
    with ExitStack() as stack:
        stack.callback(file_the_rest)
        if told.socket >= 0:
            tls = None
            if listener is not None and listener.certificate:
                names = (listener.certificate, listener.key, listener.client_authority)
                tls = server_tls(*(str(site.root / name) if name else "" for name in names))
            hearing = socket.socket(fileno=told.socket)
            stack.enter_context(MllpListener(answering(site, heard), tls=tls, listening=hearing))
        look_again(site)
        arrivals.left_open(time.monotonic())
        if site.config.worklist is not None:
            polling = threading.Thread(
                target=_poll, args=(site, site.config.worklist.every_s, events, say), name="poll"
            )
            polling.start()
            stack.callback(polling.join)
            stack.callback(events.end)
        say({"event": "ready"})
        checked = site.clock()
        while not events.stop.is_set():
            events.work.clear()
            try:
                now = site.clock()
                if recheck_between(checked, now, site.config.recheck_at):
                    say({"event": "rechecked", **recheck(site)})
                checked = now
                file_what_came()
                if settle_due(site, decided, failed) > 0:
                    continue
            except DatabaseFailed as error:
                # Locked, or the disk is full. Nothing is lost: what is due is due still.
                say({"event": "undecided", "accession": "", "detail": type(error).__name__})
            events.work.wait(told.interval_s)


def _poll(site: Site, every_s: float, events: Events, say: Say) -> None:
    """Takes orders from the worklist now and then; a peer that is slow holds up nothing else."""
    while True:
        try:
            if poll(site, say):
                events.work.set()
        except DatabaseFailed as error:
            say({"event": "worklist failed", "detail": type(error).__name__})
        if events.stop.wait(every_s):
            return


def look_again(site: Site) -> None:
    """Files what was kept and not filed, because a process ended in between. A report that is filed twice changes
    nothing: its accession is decided once more, by the same facts."""
    file_new_records(site)
    since = time.time() - _LOOK_BACK_S
    for sop_class in sorted({*REPORT_CLASSES} - {COMPREHENSIVE_3D_SR}):
        for report in site.archive.instances_of(sop_class):
            with suppress(FileNotFoundError):
                if Path(report.path).stat().st_mtime >= since:
                    file_record(report, site)


def recheck_between(last: datetime, now: datetime, at: str) -> bool:
    """Tell whether the time of day `at` (HH:MM; empty for never) has come between two looks at the clock."""
    if not at:
        return False
    hour, minute = map(int, at.split(":"))
    today = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return any(last < moment <= now for moment in (today, today - timedelta(days=1)))


def deliver(site: Site, told: Told, events: Events, say: Say) -> None:
    """Delivers what is queued, until told to stop. `idle` is told whenever everything that came in is decided and
    everything that can be delivered is."""
    say({"event": "ready"})
    idle, look_at = True, 0.0
    while not events.stop.is_set():
        try:
            tried = drain(site, at_once=False, tell=say)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next try may do, and nobody may miss it
            say({"event": "undelivered", "detail": type(error).__name__})
            events.stop.wait(told.interval_s)
            continue
        for message, delivery in tried:
            say(
                {
                    "event": delivery.outcome,
                    "destination": message.destination,
                    "identity": message.identity,
                    "detail": delivery.detail,
                }
            )
        if time.monotonic() >= look_at:
            look_at = time.monotonic() + _ASK_S
            with suppress(DatabaseFailed):
                ask_for_commitment(site, say)
            _ship_audit(site, say)
        idle = idle and not tried
        if not any(delivery.outcome == "acknowledged" for _, delivery in tried):
            quiet = not site.casebook.due() and not site.outbox.pending()
            if quiet and not idle:
                say({"event": "idle"})
            idle = quiet
            # Short while there is something to do; `stop` ends either at once.
            events.stop.wait(told.interval_s if quiet else min(told.interval_s, 0.2))


def _ship_audit(site: Site, say: Say) -> None:
    audit, trail = site.config.audit, trail_of(site.config, site.root)
    if audit is None or trail.file is None:
        return
    with late(say):
        trail.file.catch_up()
    if not audit.host:
        return
    names = (audit.certificate_authority, audit.certificate, audit.key)
    tls = Tls(*(str(site.root / name) if name else "" for name in names))
    try:
        syslog.ship(trail.file, audit.host, audit.port, tls, site.config.station_name, site.clock())
    except OSError as error:
        say({"event": "audit not sent", "detail": getattr(error, "reason", None) or error.strerror or str(error)})


def main(text: str) -> None:
    """A process of a role, from what it is told in JSON."""
    told = Told(**json.loads(text))
    events, records = Events(), deque[str]()
    speaking = threading.Lock()

    def say(event: dict[str, Any]) -> None:
        with speaking:
            try:
                sys.stdout.write(json.dumps(event) + "\n")
                sys.stdout.flush()
            except BrokenPipeError:
                events.end()

    def listen() -> None:
        for line in sys.stdin:
            records.append(line.strip())
            events.work.set()
        events.end()

    signal.signal(signal.SIGTERM, events.end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # from a terminal it comes to all; the supervisor says when
    threading.Thread(target=listen, name="supervisor", daemon=True).start()
    root = Path(told.root)
    if told.role == "receive":
        receive(open_site(root), told, events, say)
    elif told.role == "decide":
        decide(open_site(root), told, events, say, records)
    else:
        deliver(open_site(root), told, events, say)


if __name__ == "__main__":
    main(sys.argv[1])
