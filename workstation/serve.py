"""Receiving, deciding and delivering until told to stop.

Receiving only keeps and answers. One thread decides what is due, another delivers what is queued: a dead receiver holds
up neither what comes in nor what is decided.
"""

import signal
import threading
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from dicom_io.archive import Kept
from dicom_io.receive import Receiver
from dicom_io.series import Instance
from workstation.config import Listener
from workstation.deliver import drain
from workstation.listen import answering
from workstation.outbox import DatabaseFailed
from workstation.pipeline import file_new_records, file_record
from workstation.report_sr import REPORT_CLASSES
from workstation.settling import Settled, settle_due
from workstation.site import Site
from workstation.transports.mllp import MllpListener, server_tls
from workstation.worklist import recheck


def serve(
    site: Site,
    host: str | None,
    port: int | None,
    ae_title: str | None,
    interval_s: float,
    tell: Callable[[dict[str, Any]], None],
    hl7_port: int | None = None,
) -> None:
    """Blocks until SIGTERM or SIGINT. `tell` gets a dict for everything that happens; UIDs, no patient data.

    hl7_port : where to listen for HL7, in place of the settings' port; 0 lets the system choose.
    `idle` is told whenever everything that came in is decided and everything that can be delivered is.

    Raises PortInUse, MllpError.
    """
    stop, work = threading.Event(), threading.Event()
    records: deque[Instance] = deque()
    told = threading.Lock()

    def ended(*_: object) -> None:
        stop.set()
        work.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ended)

    def say(event: dict[str, Any]) -> None:
        with told:
            tell(event)

    def kept(item: Kept) -> None:
        say({"event": "received", "instance": item.instance.sop_instance_uid, "news": item.news})
        if item.instance.sop_class_uid in REPORT_CLASSES:  # our record of a session is of one of them
            records.append(item.instance)
            work.set()

    def heard(event: dict[str, str]) -> None:
        say(event)
        work.set()

    def file_the_rest() -> None:
        """What came while the signal did. Where the database fails, the next start does it."""
        with suppress(DatabaseFailed):
            while records:
                file_record(records[0], site)
                records.popleft()

    config = site.config
    listener = config.listener
    if hl7_port is not None:
        listener = Listener(hl7_port) if listener is None else replace(listener, port=hl7_port)
    with ExitStack() as stack:
        stack.callback(file_the_rest)  # once the receiver takes no more
        receiver = stack.enter_context(
            Receiver(
                site.archive,
                ae_title=ae_title or config.ae_title,
                host=config.host if host is None else host,
                port=config.port if port is None else port,
                on_kept=kept,
            )
        )
        ports: dict[str, Any] = {"port": receiver.port}
        if listener is not None:
            files = (str(site.root / name) if name else "" for name in _files(listener))
            tls = server_tls(*files) if listener.certificate else None
            address = (listener.host if host is None else host, listener.port)
            ports["hl7_port"] = stack.enter_context(MllpListener(answering(site, heard), *address, tls)).port
        say(
            {
                "event": "listening",
                "host": receiver.host,
                **ports,
                "ae_title": ae_title or config.ae_title,
                "root": str(site.root),
            }
        )
        deliverer = threading.Thread(target=_deliver, args=(site, stop, interval_s, say), name="deliver")
        deliverer.start()
        stack.callback(deliverer.join)
        stack.callback(stop.set)
        _decide(site, stop, work, records, interval_s, say)
    say({"event": "stopped"})


def _decide(
    site: Site,
    stop: threading.Event,
    work: threading.Event,
    records: deque[Instance],
    interval_s: float,
    say: Callable[[dict[str, Any]], None],
) -> None:
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

    file_new_records(site)  # what an earlier run has kept and not filed
    checked = site.clock()
    while not stop.is_set():
        work.clear()
        try:
            now = site.clock()
            if recheck_between(checked, now, site.config.recheck_at):
                say({"event": "rechecked", **recheck(site)})
            checked = now
            while records:
                file_record(records[0], site)
                records.popleft()
            if settle_due(site, decided, failed) > 0:
                continue
        except DatabaseFailed as error:
            # Locked, or the disk is full. Nothing is lost: what is due is due still.
            say({"event": "undecided", "accession": "", "detail": type(error).__name__})
        work.wait(interval_s)


def recheck_between(last: datetime, now: datetime, at: str) -> bool:
    """Tell whether the time of day `at` (HH:MM; empty for never) has come between two looks at the clock."""
    if not at:
        return False
    hour, minute = map(int, at.split(":"))
    today = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return any(last < moment <= now for moment in (today, today - timedelta(days=1)))


def _deliver(
    site: Site,
    stop: threading.Event,
    interval_s: float,
    say: Callable[[dict[str, Any]], None],
) -> None:
    idle = True
    while not stop.is_set():
        try:
            tried = drain(site, at_once=False)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next try may do, and nobody may miss it
            say({"event": "undelivered", "detail": type(error).__name__})
            stop.wait(interval_s)
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
        idle = idle and not tried
        if not any(delivery.outcome == "acknowledged" for _, delivery in tried):
            quiet = not site.casebook.due() and not site.outbox.pending()
            if quiet and not idle:
                say({"event": "idle"})
            idle = quiet
            # Short while there is something to do; `stop` ends either at once.
            stop.wait(interval_s if quiet else min(interval_s, 0.2))


def _files(listener: Listener) -> tuple[str, str, str]:
    return listener.certificate, listener.key, listener.client_authority
