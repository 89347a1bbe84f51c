"""Draining the outbox: each message by the transport of its destination. A transport is added here."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from dicom_io.send import Peer, Sender
from workstation.config import Destination
from workstation.outbox import Delivery, Message
from workstation.site import Site
from workstation.transports import dicom, folder, mllp


def drain(site: Site) -> tuple[tuple[Message, Delivery], ...]:
    """Tries everything that is due once, oldest first. Returns what was tried and how it ended.

    One process at a time: while another one delivers, this one finds nothing to do.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(FileLock(site.root / "outbox.lock", timeout=0))
        except Timeout:
            return ()
        senders: dict[str, Sender] = {}

        def deliver(message: Message) -> Delivery:
            if message.path is not None:
                message = replace(message, path=str(site.root / message.path))
            destination = site.config.destination(message.destination)
            if destination is None:
                return Delivery("failed", f"No destination {message.destination!r} in the settings any more.")
            if destination.kind == "folder":
                return folder.deliver(message, outgoing_folder(site.root, destination))
            if destination.kind == "mllp":
                return mllp.deliver(message, destination.host, destination.port, destination.timeout_s)
            if destination.name not in senders:
                peer = Peer(destination.host, destination.port, destination.ae_title)
                senders[destination.name] = stack.enter_context(Sender(peer, site.config.ae_title))
            return dicom.deliver(message, senders[destination.name])

        return site.outbox.drain(deliver, site.clock)


def outgoing_folder(root: Path, destination: Destination) -> Path:
    """Where a folder destination writes; one in the state folder is made, one elsewhere has to be there (mounted)."""
    folder = root / destination.folder
    if folder.is_relative_to(root):
        folder.mkdir(parents=True, exist_ok=True)
    return folder
