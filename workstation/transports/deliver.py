"""Draining the outbox: each message by the transport of its destination. A transport is added to `TRANSPORTS`."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import timedelta
from queue import Empty, SimpleQueue
from typing import Any

from dicom_io.errors import DicomIOError
from dicom_io.files.series import read_instance
from workstation.audit.trail import Party, by_study, late, trail_of
from workstation.billing.settle import settle_due
from workstation.destinations import (
    Destination,
    DicomDestination,
    DicomWebDestination,
    FhirDestination,
    FolderDestination,
    MllpDestination,
    MppsDestination,
    SheetDestination,
)
from workstation.peers.commitment import ask_for_commitment
from workstation.site import Site
from workstation.store.messages import Delivery, Message, QueuedMessage
from workstation.transports.day_sheet import SheetTransport
from workstation.transports.dicom import DicomTransport
from workstation.transports.dicomweb import DicomWebTransport
from workstation.transports.fhir_server import FhirServerTransport
from workstation.transports.folder import FolderTransport
from workstation.transports.mllp import MllpTransport
from workstation.transports.mpps import MppsTransport
from workstation.transports.order import backoff, deliver_pending
from workstation.transports.transport import OwnSide, Transport


class ClaimLost(Exception):  # noqa: N818 - as it is spoken
    """This process no longer holds the claim on the outbox; what is left is for whoever does."""


def _fhir(destination: FhirDestination, here: OwnSide) -> Transport:
    return FhirServerTransport(destination, here) if destination.url else FolderTransport(destination, here)


# How each kind of destination is reached.
TRANSPORTS: Mapping[type[Destination], Callable[[Any, OwnSide], Transport]] = {
    DicomDestination: DicomTransport,
    DicomWebDestination: DicomWebTransport,
    MppsDestination: MppsTransport,
    MllpDestination: MllpTransport,
    FolderDestination: FolderTransport,
    SheetDestination: SheetTransport,
    FhirDestination: _fhir,
}


def transport_of(destination: Destination, here: OwnSide) -> Transport:
    """A way out to a destination, for the caller to close. Raises OSError where its folder cannot be made."""
    return TRANSPORTS[type(destination)](destination, here)


def deliver_all(site: Site) -> tuple[tuple[Message, Delivery], ...]:
    """Delivers what is due, decides what rests on it, and delivers what follows from that, as `serve` does by itself.
    Returns what was tried and how it ended."""
    tried = drain(site)
    while any(delivery.outcome == "acknowledged" for _, delivery in tried) and settle_due(site):
        more = drain(site, at_once=False)
        tried = (*tried, *more)
        if not more:
            break
    return tried


def drain(
    site: Site, *, at_once: bool = True, tell: Callable[[dict[str, Any]], None] = lambda event: None
) -> tuple[tuple[Message, Delivery], ...]:
    """Tries everything that is due once, oldest first. Returns what was tried and how it ended.

    Destinations that are to commit are asked for what they have acknowledged; `tell` hears of that.

    at_once : also what has failed before and is to pause still, as a person who asks expects.
    One process at a time on all hosts of the site: while another one delivers, this one finds nothing to do.
    """
    here = OwnSide(site.root, site.config.ae_title)
    with ExitStack() as stack:
        lease = stack.enter_context(site.archive.leases.held("outbox"))
        if lease is None:
            return ()
        free: dict[str, SimpleQueue[Transport]] = {d.name: SimpleQueue() for d in site.config.destinations}

        def deliver(message: Message) -> Delivery:
            if lease.lost.is_set():
                raise ClaimLost("The database could not be reached for a while; another host may deliver now.")
            if message.path is not None:
                message = replace(message, path=str(site.archive.root / message.path))
            destination = site.config.destination(message.destination)
            if destination is None:
                return Delivery("failed", f"No destination {message.destination!r} in the settings any more.")
            try:
                transport = free[destination.name].get_nowait()
            except Empty:  # the outbox delivers no more than `side_by_side` at a time, so there are no more than that
                transport = transport_of(destination, here)
                stack.callback(transport.close)
            try:
                return transport.deliver(message)
            finally:
                free[destination.name].put(transport)

        def pause(entry: QueuedMessage) -> timedelta:
            destination = site.config.destination(entry.message.destination)
            if at_once or destination is None:
                return timedelta(0)
            return backoff(entry, destination.retry_s, destination.retry_max_s)

        def side_by_side(message: Message) -> int:
            destination = site.config.destination(message.destination)
            return destination.at_once if destination is not None else 1

        tried = deliver_pending(site.outbox, deliver, site.clock, pause, side_by_side)
    waited = {d.name for d in site.config.destinations if d.archiving in ("acknowledged", "offered")}
    for accession in {m.accession for m, d in tried if d.outcome == "acknowledged" and m.destination in waited} - {""}:
        site.casebook.touch(accession, "pictures acknowledged")
    _audit(site, [message for message, delivery in tried if delivery.outcome == "acknowledged"])
    if any(delivery.outcome == "acknowledged" for _, delivery in tried):
        ask_for_commitment(site, tell)
    return tried


def _audit(site: Site, delivered: list[Message]) -> None:
    """What instances went to which node, study by study."""
    trail = trail_of(site.config, site.root)
    if trail.file is None:
        return
    for destination in site.config.destinations:
        if destination.party is None:
            continue
        mine = [m for m in delivered if m.destination == destination.name and m.path]
        for moved in by_study(read_instance(site.archive.root / str(m.path)) for m in mine):
            us, them = Party(site.config.ae_title, "", True), Party(*destination.party, False)
            with late():
                trail.transferred(us, them, moved, site.clock(), action="R")


def reach_destinations(site: Site) -> list[dict[str, str]]:
    """Tries to reach every destination, sending nothing: C-ECHO, a connection, a folder that can be written."""
    here, found = OwnSide(site.root, site.config.ae_title), []
    for destination in site.config.destinations:
        try:
            with closing(transport_of(destination, here)) as transport:
                state, words = "reached", transport.reach()
        except (OSError, DicomIOError) as error:
            state, words = "not reached", str(error)
        found.append({"destination": destination.name, "kind": destination.kind, "state": state, "answer": words})
    return found
