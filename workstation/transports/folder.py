"""Images and charges as files into a folder that another system picks them up from."""

import os
import threading
from pathlib import Path

from workstation.destinations import FhirDestination, FolderDestination
from workstation.errors import DeliveryError
from workstation.store.messages import Delivery, Message
from workstation.transports.transport import OwnSide


class FolderError(DeliveryError):
    """The file was not delivered. The message says where and why."""


def write_file(folder: Path, name: str, content: bytes) -> Path:
    """Put a file into `folder`, whole or not at all, and durably; return its path.

    The same name with the same bytes again is done already, and nothing is written.

    Raises
    ------
    FolderError
        The folder is not there or cannot be written, the name is not a plain file name, or another file has it.
    """
    if not name or name.startswith(".") or Path(name).name != name or "\\" in name or "\0" in name:
        raise FolderError(f"{name!r} is not a plain file name; nothing was written.")
    target = folder / name
    # The pick-up side looks for whole names only: a name that begins with a dot is one still being written.
    part = folder / f".{name}.{os.getpid()}-{threading.get_ident()}.part"
    try:
        if target.exists():
            if target.read_bytes() == content:
                return target
            raise FolderError(f"{target} is there with other content; it was left as it is. Move it or rename yours.")
        try:
            with part.open("wb") as file:
                if hasattr(os, "fchmod"):
                    # Whoever may read the folder fetches from it, and may read the file.
                    os.fchmod(file.fileno(), 0o600 | (folder.stat().st_mode & 0o044))
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.rename(target)
        finally:
            part.unlink(missing_ok=True)
        # The name is durable only when the folder is.
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except FolderError:
        raise
    except OSError as error:
        raise FolderError(f"{target}: {error.strerror or error}; the file was not written.") from None
    return target


def outgoing_folder(root: Path, folder: str) -> Path:
    """Where a destination's files go; a folder in the state folder is made, one elsewhere has to be there (mounted)."""
    found = root / folder
    if found.is_relative_to(root):
        found.mkdir(parents=True, exist_ok=True)
    return found


def reach_folder(folder: Path) -> str:
    """How a folder answers. Raises FolderError where it cannot be written."""
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise FolderError(f"{folder}: not a folder that can be written; mount it, or correct the settings.")
    return "the folder can be written"


class FolderTransport:
    """Each message becomes a file named by its identity, of what the message holds or points to."""

    def __init__(self, destination: FolderDestination | FhirDestination, here: OwnSide) -> None:
        self._folder = outgoing_folder(here.root, destination.folder)

    def deliver(self, message: Message) -> Delivery:
        """Acknowledged is what lies there durably, now or since before."""
        content = message.body
        if content is None:
            assert message.path is not None  # the outbox holds a body or a path
            content = Path(message.path).read_bytes()
        target = write_file(self._folder, message.identity, content)
        return Delivery("acknowledged", f"written as {target.name}")

    def reach(self) -> str:
        return reach_folder(self._folder)

    def close(self) -> None:
        """Nothing stays open between two files."""
