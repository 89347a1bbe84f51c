"""Delivery into day sheets: CSV files in a folder, to which rows are added."""

import os
from pathlib import Path

from workstation.store.messages import Delivery, Message
from workstation.transports.folder import FolderError


def deliver(message: Message, folder: Path, header: bytes) -> Delivery:
    """Add a row to the sheet that the message names (`FILE.csv/KEY-action`); there already: done.

    The sheet is written anew beside the old one and put in its place, so that nobody ever reads half a row.

    Raises
    ------
    FolderError
        The folder cannot be written; the outbox then leaves this destination alone for the rest of the drain.
    """
    assert message.body is not None  # a row has a body
    name = message.identity.partition("/")[0]
    target = folder / name
    part = folder / f".{name}.{os.getpid()}.part"
    try:
        before = target.read_bytes() if target.exists() else header
        if message.body in before.splitlines(keepends=True):
            return Delivery("acknowledged", f"in {name} already")
        try:
            with part.open("wb") as file:
                file.write(before + message.body)
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise FolderError(f"{target}: {error.strerror or error}; the row was not written.") from None
    return Delivery("acknowledged", f"written into {name}")
