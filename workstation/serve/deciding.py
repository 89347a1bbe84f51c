"""The role `run_decider`: files records, decides due accessions, and receives HL7 if the settings say so."""

import socket
import threading
import time
from collections import deque
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from datetime import datetime, timedelta
from pathlib import Path

from dicom_io.archive.arrivals import Completion
from dicom_io.archive.leases import Lease
from dicom_io.errors import NotFound
from dicom_io.network.tls import server_context
from dicom_io.sr.evidence_sr import COMPREHENSIVE_3D_SR
from workstation.billing.filing import file_new_records, file_record
from workstation.billing.recheck import recheck
from workstation.billing.settle import SettledCase, settle_due
from workstation.certificates import tls_to_be_called
from workstation.hl7.mllp import HL7Caller, MllpListener
from workstation.orders.hl7_listener import answering, refusing_too_long
from workstation.orders.modality_worklist import poll
from workstation.orders.sr_reports import REPORT_CLASSES
from workstation.serve.expected_counts import ExpectedCounts
from workstation.serve.role import TellEvent, WorkerSettings, WorkerSignals
from workstation.site import Site
from workstation.store.news import NewsItem
from workstation.store.outbox import DatabaseFailed

# Records received longer ago than this were filed by an earlier process.
_LOOK_BACK_S = 86400.0


def run_decider(
    site: Site,
    worker: WorkerSettings,
    events: WorkerSignals,
    say: TellEvent,
    records: deque[str],
    hearing: socket.socket | None,
) -> None:
    """Files records and decides due accessions until told to stop; receives HL7 if the settings say so."""

    def heard(event: dict[str, str]) -> None:
        say(event)
        events.work.set()

    counting, broken = threading.Lock(), 0

    def broke(why: str, caller: HL7Caller) -> None:
        nonlocal broken
        with counting:
            broken += 1
            say({"event": "counts", "hl7_connections_broken": broken})
        heard({"event": "refused", "message": "", "answer": "none", "detail": f"{caller.address}: {why}"})

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
        # The error's text may quote patient data; its type and the accession are enough to find it.
        say({"event": "undecided", "accession": accession, "detail": type(error).__name__})

    arrivals, expected = site.arrivals, ExpectedCounts(site.root, site.config, site.clock)
    # Of all hosts of the site one follows what arrives; every one of them decides.
    follower = Follower(site)

    def complete(series: Iterable[Completion]) -> None:
        for completion in series:
            how = {"instances": completion.instances, "revision": completion.revision}
            say({"event": "series complete", "series": completion.series_uid, **how})

    def act_on(news: NewsItem) -> None:
        if news.kind == "series":
            last_completion = arrivals.came(news.uid, time.monotonic())
            if last_completion is not None:
                say({"event": "series reopened", "series": news.uid, "revision": last_completion.revision + 1})
        elif news.kind == "whole":
            complete(arrivals.whole([news.uid], site.clock()))
        elif news.kind == "look":
            look_again(site)
            arrivals.left_open(time.monotonic())
        else:
            with suppress(NotFound):
                file_record(site.archive.instance(news.uid), site)

    def file_arrivals() -> None:
        looks = False
        while records:  # the others only woke us
            looks |= records.popleft() == ""
        if looks:
            site.news.tell("look", "")  # whoever follows looks, on whatever host
        if not follower.follows():
            return
        while news := site.news.untold():
            for each in news:
                act_on(each)
            site.news.acted_on(news)
        complete(arrivals.look(time.monotonic(), site.clock(), expected))

    def file_the_rest() -> None:
        """Files records that came while the process was told to stop. If the database fails, the next start does."""
        with suppress(DatabaseFailed):
            file_arrivals()
        follower.close()

    listener = site.config.listener
    with ExitStack() as stack:
        stack.callback(file_the_rest)
        if hearing is not None:
            files = tls_to_be_called(listener, site.root) if listener is not None else None
            tls = server_context(files) if files is not None else None
            limit = listener.max_message_mb if listener is not None else 16
            stack.enter_context(
                MllpListener(
                    answering(site, heard),
                    tls=tls,
                    listening=hearing,
                    maximum_bytes=limit << 20,
                    too_long=refusing_too_long(site, heard),
                    broken=broke,
                )
            )
        file_arrivals()
        if site.config.worklist is not None:
            polling = threading.Thread(
                target=_poll, args=(site, site.config.worklist.every_s, events, say, follower), name="poll"
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
                if recheck_between(checked, now, site.config.recheck_at) and follower.follows():
                    say({"event": "rechecked", **recheck(site)})
                checked = now
                file_arrivals()
                if settle_due(site, decided, failed) > 0:
                    continue
            except DatabaseFailed as error:
                # Locked, or the disk is full. Nothing is lost: the accessions stay due.
                say({"event": "undecided", "accession": "", "detail": type(error).__name__})
            events.work.wait(worker.interval_s)


class Follower:
    """The claim of this process to be the one that follows what arrives on all hosts: files records, says which series
    are complete, asks worklists for orders. Whoever gets it looks through everything first."""

    def __init__(self, site: Site) -> None:
        self._site, self._claim = site, ExitStack()
        self._lease: Lease | None = None

    def follows(self) -> bool:
        """Whether this process is the one; it becomes it when nobody else is."""
        if self._lease is not None and self._lease.lost.is_set():
            self.close()
        if self._lease is None:
            self._lease = self._claim.enter_context(self._site.archive.leases.held("arrivals"))
            if self._lease is None:
                self._claim.close()
            else:
                look_again(self._site)
                self._site.arrivals.left_open(time.monotonic())
        return self._lease is not None

    @property
    def is_it(self) -> bool:
        return self._lease is not None and not self._lease.lost.is_set()

    def close(self) -> None:
        self._lease = None
        self._claim.close()


def _poll(site: Site, every_s: float, events: WorkerSignals, say: TellEvent, follower: Follower) -> None:
    """Polls the worklist for orders, on a thread, so that a slow peer delays nothing else."""
    while True:
        try:
            if follower.is_it and poll(site, say):
                events.work.set()
        except DatabaseFailed as error:
            say({"event": "worklist failed", "detail": type(error).__name__})
        if events.stop.wait(every_s):
            return


def look_again(site: Site) -> None:
    """Files records that were kept but not filed, because a process ended in between. A report that is filed twice
    changes nothing: its accession is decided again from the same facts."""
    file_new_records(site)
    since = site.clock().timestamp() - _LOOK_BACK_S
    for sop_class in sorted({*REPORT_CLASSES} - {COMPREHENSIVE_3D_SR}):
        for report in site.archive.instances_of(sop_class):
            with suppress(FileNotFoundError):
                if Path(report.path).stat().st_mtime >= since:
                    file_record(report, site)


def recheck_between(last: datetime, now: datetime, at: str) -> bool:
    """Whether the time of day `at` (HH:MM; empty for never) lies between two looks at the clock."""
    if not at:
        return False
    hour, minute = map(int, at.split(":"))
    today = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return any(last < moment <= now for moment in (today, today - timedelta(days=1)))
