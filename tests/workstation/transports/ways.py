"""Ways out to receivers of this machine, for tests."""

from pathlib import Path

from workstation.destinations import (
    FhirDestination,
    FolderDestination,
    MllpDestination,
    MppsDestination,
    SheetDestination,
)
from workstation.store.messages import Delivery, Message
from workstation.transports.day_sheet import SheetTransport
from workstation.transports.fhir_server import FhirServerTransport
from workstation.transports.folder import FolderTransport
from workstation.transports.mllp import MllpTransport
from workstation.transports.mpps import MppsTransport
from workstation.transports.transport import OwnSide

HOST = "127.0.0.1"
HERE = OwnSide(Path("/nowhere"), "WORKSTATION")


def by_mllp(message: Message, port: int) -> Delivery:
    """A message to a receiver on this machine that listens on `port`."""
    to = MllpDestination(name="billing", takes=("charges",), host=HOST, port=port, timeout_s=5.0)
    return MllpTransport(to, HERE).deliver(message)


def to_folder(message: Message, folder: Path) -> Delivery:
    """A message into a folder that is there."""
    return FolderTransport(FolderDestination(name="out", takes=("charges",), folder=str(folder)), HERE).deliver(message)


def to_sheet(message: Message, folder: Path) -> Delivery:
    """A row into a sheet of a folder that is there."""
    return SheetTransport(SheetDestination(name="s", takes=("charges",), folder=str(folder)), HERE).deliver(message)


def to_fhir(message: Message, url: str) -> Delivery:
    """A resource to a server."""
    to = FhirDestination(name="f", takes=("charges",), url=url, timeout_s=10.0)
    return FhirServerTransport(to, HERE).deliver(message)


def by_mpps(message: Message, port: int, ae_title: str) -> Delivery:
    """A step to a RIS on this machine."""
    to = MppsDestination(name="ris", takes=("steps",), host=HOST, port=port, ae_title=ae_title)
    return MppsTransport(to, HERE).deliver(message)
