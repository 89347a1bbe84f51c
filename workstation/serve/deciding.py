"""The role `run_decider`: files records, decides what is due, and hears HL7 where the settings say so."""

import socket
import threading
import time
from collections import deque
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from datetime import datetime, timedelta
from pathlib import Path

from dicom_io.archive.arrivals import Completion
from dicom_io.errors import NotFound
from dicom_io.network.tls import server_context
from dicom_io.sr.evidence_sr import COMPREHENSIVE_3D_SR
from workstation.billing.filing import file_new_records, file_record
from workstation.billing.recheck import recheck
from workstation.billing.settle import SettledCase, settle_due
from workstation.certificates import tls_to_be_called
from workstation.hl7.mllp import MllpListener
from workstation.orders.hl7_listener import answering, refusing_too_long
from workstation.orders.modality_worklist import poll
from workstation.orders.sr_reports import REPORT_CLASSES
from workstation.serve.expected_counts import ExpectedCounts
from workstation.serve.role import TellEvent, WorkerSettings, WorkerSignals
from workstation.site import Site
from workstation.store.outbox import DatabaseFailed

# What was received longer ago than this was filed by an earlier process.
_LOOK_BACK_S = 86400.0


def run_decider(site: Site, told: WorkerSettings, events: WorkerSignals, say: TellEvent, records: deque[str]) -> None:
    """Files records and decides what is due, until told to stop; hears HL7 where the settings say so."""

    def heard(event: dict[str, str]) -> None:
        say(event)
        events.work.set()

    def decided(settled: SettledCase) -> None:
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

    arrivals, expected = site.arrivals, ExpectedCounts(site.root, site.config, site.clock)

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
        complete(arrivals.look(time.monotonic(), site.clock(), expected))

    def file_the_rest() -> None:
        """What came while the signal did. Where the database fails, the next start does it."""
        with suppress(DatabaseFailed):
            file_what_came()

    listener = site.config.listener
    with ExitStack() as stack:
        stack.callback(file_the_rest)
        if told.socket >= 0:
            files = tls_to_be_called(listener, site.root) if listener is not None else None
            tls = server_context(files) if files is not None else None
            hearing = socket.socket(fileno=told.socket)
            limit = listener.max_message_mb if listener is not None else 16
            stack.enter_context(
                MllpListener(
                    answering(site, heard),
                    tls=tls,
                    listening=hearing,
                    maximum_bytes=limit << 20,
                    too_long=refusing_too_long(site, heard),
                    broken=lambda why, caller: heard(
                        {"event": "refused", "message": "", "answer": "none", "detail": f"{caller.address}: {why}"}
                    ),
                )
            )
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


def _poll(site: Site, every_s: float, events: WorkerSignals, say: TellEvent) -> None:
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
    since = site.clock().timestamp() - _LOOK_BACK_S
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
