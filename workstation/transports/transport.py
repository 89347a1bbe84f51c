"""What every way out is: a transport, opened for a while from the settings of one destination."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from workstation.store.messages import Delivery, Message


@dataclass(frozen=True, slots=True)
class OwnSide:
    """What a transport has to know of this side. root : the state folder. ae_title : ours, where DICOM is spoken."""

    root: Path
    ae_title: str


class Transport(Protocol):
    """One way out. One thread at a time uses it; what it has opened it keeps open until `close`.

    Made with the settings of its destination and a `OwnSide`. What its messages hold stands in `billing.address`.
    """

    def deliver(self, message: Message) -> Delivery:
        """Take a message there once; the same message again is safe. `path` of the message is absolute.

        Raises
        ------
        OSError
            The destination cannot be reached; the outbox then leaves it alone for the rest of the drain.
        """

    def reach(self) -> str:
        """Try to reach the destination, sending nothing. Return how it answered, in words.

        Raises
        ------
        OSError, DicomIOError
            It cannot be reached; the message says why and what to check.
        """

    def close(self) -> None:
        """Let go of what is open."""
