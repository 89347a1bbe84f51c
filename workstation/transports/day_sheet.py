"""Charges as rows of day sheets: CSV files in a folder."""

import os

from workstation.billing.day_sheet import header_line
from workstation.destinations import SheetDestination
from workstation.store.messages import Delivery, Message
from workstation.transports.folder import FolderError, outgoing_folder, reach_folder
from workstation.transports.transport import OwnSide


class SheetTransport:
    """Each message adds a row to the sheet that its identity names (`FILE.csv/KEY-action`)."""

    def __init__(self, destination: SheetDestination, here: OwnSide) -> None:
        self._folder = outgoing_folder(here.root, destination.folder)

    def deliver(self, message: Message) -> Delivery:
        """Add the row; there already: done.

        The sheet is written anew beside the old one and put in its place, so that nobody ever reads half a row.
        """
        assert message.body is not None  # a row has a body
        name = message.identity.partition("/")[0]
        target = self._folder / name
        part = self._folder / f".{name}.{os.getpid()}.part"
        try:
            before = target.read_bytes() if target.exists() else header_line()
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

    def reach(self) -> str:
        return reach_folder(self._folder)

    def close(self) -> None:
        """Nothing stays open between two rows."""
