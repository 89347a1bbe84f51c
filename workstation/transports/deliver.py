"""Draining the outbox: each message by the transport of its destination. A transport is added here."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from filelock import FileLock, Timeout

from dicom_io.errors import DicomIOError
from dicom_io.files.series import read_instance
from dicom_io.network.requestor import echo
from dicom_io.network.send import Sender
from workstation.audit.trail import Party, by_study, late, trail_of
from workstation.billing.day_sheet import header
from workstation.billing.settle import settle_due
from workstation.config import Destination
from workstation.hl7 import mllp as wire
from workstation.peers.commitment import ask_for_commitment
from workstation.peers.reach import peer_of, server_of, tls_files, token_of
from workstation.site import Site
from workstation.store.messages import Delivery, Entry, Message
from workstation.store.outbox import backoff
from workstation.transports import day_sheet, dicom, dicomweb, fhir_server, folder, mllp, mpps
from workstation.transports.folder import FolderError


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
    One process at a time: while another one delivers, this one finds nothing to do.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(FileLock(site.root / "outbox.lock", timeout=0))
        except Timeout:
            return ()
        free: dict[str, SimpleQueue[Sender]] = {}
        for destination in site.config.destinations:
            if destination.kind == "dicom":
                free[destination.name] = SimpleQueue()
                for _ in range(destination.associations):
                    sender = Sender(peer_of(destination, site.root), site.config.ae_title)
                    free[destination.name].put(stack.enter_context(sender))

        def deliver(message: Message) -> Delivery:
            if message.path is not None:
                message = replace(message, path=str(site.root / message.path))
            destination = site.config.destination(message.destination)
            if destination is None:
                return Delivery("failed", f"No destination {message.destination!r} in the settings any more.")
            if destination.kind == "dicom":
                sender = free[destination.name].get()
                try:
                    return dicom.deliver(message, sender)
                finally:
                    free[destination.name].put(sender)
            return _deliver(message, destination, site.root, site.config.ae_title)

        def pause(entry: Entry) -> timedelta:
            destination = site.config.destination(entry.message.destination)
            if at_once or destination is None:
                return timedelta(0)
            return backoff(entry, destination.retry_s, destination.retry_max_s)

        def side_by_side(message: Message) -> int:
            destination = site.config.destination(message.destination)
            return destination.associations if destination is not None and destination.kind == "dicom" else 1

        tried = site.outbox.drain(deliver, site.clock, pause, side_by_side)
    waited = {d.name for d in site.config.destinations if d.archiving in ("acknowledged", "offered")}
    for accession in {m.accession for m, d in tried if d.outcome == "acknowledged" and m.destination in waited} - {""}:
        site.casebook.touch(accession, "pictures acknowledged")
    _audit(site, [message for message, delivery in tried if delivery.outcome == "acknowledged"])
    if any(delivery.outcome == "acknowledged" for _, delivery in tried):
        ask_for_commitment(site, tell)
    return tried


def _audit(site: Site, delivered: list[Message]) -> None:
    """What instances went to whom, study by study."""
    trail = trail_of(site.config, site.root)
    if trail.file is None:
        return
    for destination in site.config.destinations:
        mine = [m for m in delivered if m.destination == destination.name and m.kind == "dicom" and m.path]
        title = destination.ae_title if destination.kind == "dicom" else destination.name
        for moved in by_study(read_instance(site.root / str(m.path)) for m in mine):
            us, them = Party(site.config.ae_title, "", True), Party(title, destination.host, False)
            with late():
                trail.transferred(us, them, moved, site.clock(), action="R")


def check(site: Site) -> list[dict[str, str]]:
    """Tries to reach every destination, sending nothing: C-ECHO, a connection, a folder that can be written."""
    found = []
    for destination in site.config.destinations:
        try:
            words = _reach(destination, site)
            state = "reached"
        except (OSError, DicomIOError) as error:
            state, words = "not reached", str(error)
        found.append({"destination": destination.name, "kind": destination.kind, "state": state, "answer": words})
    return found


def _reach(destination: Destination, site: Site) -> str:
    root = site.root
    if destination.kind in ("dicom", "mpps"):
        echo(peer_of(destination, site.root), site.config.ae_title)
        return "C-ECHO answered"
    if destination.kind == "dicomweb":
        return dicomweb.reach(server_of(destination, root))
    if destination.kind == "mllp":
        tls = wire.client_tls(*tls_files(destination, root)) if destination.tls else None
        wire.reach(destination.host, destination.port, destination.timeout_s, tls)
        return "connected, by TLS" if destination.tls else "connected"
    if destination.kind == "fhir" and destination.url:
        tls = wire.client_tls(*tls_files(destination, root)) if destination.url.startswith("https:") else None
        return fhir_server.reach(
            destination.url, destination.fhir_version, destination.timeout_s, token_of(destination, root), tls
        )
    where = outgoing_folder(root, destination)
    if not (where.is_dir() and os.access(where, os.W_OK)):
        raise FolderError(f"{where}: not a folder that can be written; mount it, or correct the settings.")
    return "the folder can be written"


def _deliver(message: Message, destination: Destination, root: Path, calling: str) -> Delivery:
    if destination.kind == "mllp":
        tls = wire.client_tls(*tls_files(destination, root)) if destination.tls else None
        return mllp.deliver(message, destination.host, destination.port, destination.timeout_s, tls)
    if destination.kind == "fhir" and destination.url:
        secure = destination.url.startswith("https:")
        tls = wire.client_tls(*tls_files(destination, root)) if secure else None
        token = token_of(destination, root)
        return fhir_server.deliver(
            message, destination.url, destination.fhir_version, destination.timeout_s, token, tls
        )
    if destination.kind == "mpps":
        return mpps.deliver(message, peer_of(destination, root), calling)
    if destination.kind == "dicomweb":
        return dicomweb.deliver(message, server_of(destination, root))
    if destination.kind == "sheet":
        return day_sheet.deliver(message, outgoing_folder(root, destination), header())
    return folder.deliver(message, outgoing_folder(root, destination))


def outgoing_folder(root: Path, destination: Destination) -> Path:
    """Where a folder destination writes; one in the state folder is made, one elsewhere has to be there (mounted)."""
    folder = root / destination.folder
    if folder.is_relative_to(root):
        folder.mkdir(parents=True, exist_ok=True)
    return folder
