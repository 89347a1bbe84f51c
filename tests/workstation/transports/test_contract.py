"""What every transport has to hold to, whatever it speaks: tried over a real receiver each, and over none."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest
from pydicom.dataset import Dataset

from dicom_io.archive import Archive
from dicom_io.capabilities import EXPLICIT_LITTLE
from dicom_io.errors import DicomIOError
from dicom_io.files.encoding import encoded
from dicom_io.files.series import read_instance
from dicom_io.network.receive import Receiver
from tests.workstation.billing.test_messages_out import fhir_store
from tests.workstation.billing.test_mpps import Ris, listening
from tests.workstation.hl7.test_syntax import AT, LINE, SUBJECT
from tests.workstation.samples import SLICES
from workstation.billing.address import CHARGE_BODIES
from workstation.billing.charged_line import Billed
from workstation.billing.mpps import BEGUN
from workstation.destinations import (
    AnyDestination,
    Destination,
    DicomDestination,
    FhirDestination,
    FolderDestination,
    MllpDestination,
    MppsDestination,
    SheetDestination,
)
from workstation.hl7.acknowledgement import acknowledgement
from workstation.hl7.mllp import MllpReceiver
from workstation.store.messages import Message
from workstation.transports.deliver import TRANSPORTS, transport_of
from workstation.transports.transport import OwnSide

KINDS: tuple[type[Destination], ...] = get_args(get_args(AnyDestination)[0])
BILLED = Billed(LINE, SUBJECT, 1)


@dataclass(frozen=True)
class Way:
    """destination : where a receiver listens. taken : what that has, so that twice the same can be told from once."""

    destination: Destination
    taken: Callable[[], object]


Opened = Callable[[Path], AbstractContextManager[Way]]


@contextmanager
def dicom(folder: Path) -> Iterator[Way]:
    archive = Archive(folder / "pacs")
    with Receiver(archive, ae_title="PACS") as pacs:
        where = DicomDestination(name="out", takes=("images",), port=pacs.port, ae_title="PACS")
        yield Way(where, lambda: [one.instances for one in archive.summaries()])


@contextmanager
def mpps(folder: Path) -> Iterator[Way]:
    ris = Ris()
    with listening(ris) as peer:
        where = MppsDestination(name="out", takes=("steps",), port=peer.port, ae_title=peer.ae_title)
        yield Way(where, lambda: sorted(ris.steps))


@contextmanager
def mllp(folder: Path) -> Iterator[Way]:
    with MllpReceiver(lambda message: acknowledgement(message, "AA", at=AT)) as billing:
        where = MllpDestination(name="out", takes=("charges",), port=billing.port, timeout_s=10.0)
        yield Way(where, lambda: set(billing.messages))  # a biller knows a message again by its control ID


@contextmanager
def fhir(folder: Path) -> Iterator[Way]:
    with fhir_store([200] * 9) as (url, put):
        where = FhirDestination(name="out", takes=("charges",), url=url, timeout_s=10.0)
        yield Way(where, lambda: {each[0] for each in put})  # the same place: PUT


def into_a_folder(kind: type[Any]) -> Opened:
    @contextmanager
    def opened(folder: Path) -> Iterator[Way]:
        out = folder / "out"
        out.mkdir()
        where = kind(name="out", takes=("charges",), folder=str(out))
        yield Way(where, lambda: sorted((each.name, each.read_bytes()) for each in out.iterdir()))
        for each in out.iterdir():
            each.unlink()
        out.rmdir()

    return opened


WAYS: dict[str, Opened] = {
    "dicom": dicom,
    "mpps": mpps,
    "mllp": mllp,
    "fhir": fhir,
    "fhir into a folder": into_a_folder(FhirDestination),
    "folder": into_a_folder(FolderDestination),
    "sheet": into_a_folder(SheetDestination),
}
# A DICOMweb server is Orthanc's: tests/workstation/peers/test_dicomweb_peer.py.
ELSEWHERE = {"dicomweb"}


def message_for(destination: Destination) -> Message:
    """A message as the outbox would hold it for this destination."""
    if "images" in destination.takes:
        instance = read_instance(SLICES[0])
        named = destination.image_message(instance.sop_instance_uid)
        return Message(destination.name, *named, "ACC1", path=str(SLICES[0]))
    if "steps" in destination.takes:
        ds = Dataset()
        ds.PerformedProcedureStepStatus = "IN PROGRESS"
        return Message(destination.name, "step", f"1.2.3 {BEGUN}", "ACC1", body=encoded(ds, EXPLICIT_LITTLE))
    ((kind, identity, body, _),) = CHARGE_BODIES[type(destination)](destination, [BILLED], AT, False)
    return Message(destination.name, kind, identity, "ACC1", body=body)


@pytest.fixture
def here(tmp_path: Path) -> OwnSide:
    return OwnSide(tmp_path / "root", "WORKSTATION")


def test_every_kind_of_the_settings_has_a_transport_and_is_tried() -> None:
    assert set(TRANSPORTS) == set(KINDS)
    tried = {name.partition(" ")[0] for name in WAYS} | ELSEWHERE
    assert tried == {str(kind.__dataclass_fields__["kind"].default) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_takes_charges_has_a_form_for_them(kind: type[Destination]) -> None:
    assert ("charges" in kind.CAN_TAKE) == (kind in CHARGE_BODIES)


@pytest.mark.parametrize("way", WAYS)
def test_a_message_is_taken_and_the_same_again_changes_nothing(way: str, tmp_path: Path, here: OwnSide) -> None:
    with WAYS[way](tmp_path) as opened, closing(transport_of(opened.destination, here)) as transport:
        message = message_for(opened.destination)
        assert transport.deliver(message).outcome == "acknowledged"
        once = opened.taken()
        assert once
        assert transport.deliver(message).outcome == "acknowledged"
        assert opened.taken() == once


@pytest.mark.parametrize("way", WAYS)
def test_reaching_sends_nothing(way: str, tmp_path: Path, here: OwnSide) -> None:
    with WAYS[way](tmp_path) as opened, closing(transport_of(opened.destination, here)) as transport:
        assert transport.reach()
        assert not opened.taken()


@pytest.mark.parametrize("way", WAYS)
def test_a_receiver_that_is_gone_raises_and_says_what_to_check(way: str, tmp_path: Path, here: OwnSide) -> None:
    with WAYS[way](tmp_path) as opened:
        destination = opened.destination
    message = message_for(destination)
    with closing(transport_of(destination, here)) as transport:
        with pytest.raises((OSError, DicomIOError)) as reached:
            transport.reach()
        with pytest.raises(OSError) as delivered:  # noqa: PT011 - each its own kind; an OSError is what the outbox knows
            transport.deliver(message)
    for error in (reached, delivered):
        assert len(str(error.value)) > 20
        assert SUBJECT.patient_id not in str(error.value)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_kind_refuses_what_cannot_travel_there(kind: type[Any]) -> None:
    wanted: dict[str, Any] = {"port": 104} if "port" in kind.__dataclass_fields__ else {}
    wanted |= {"url": "http://127.0.0.1/"} if "url" in kind.__dataclass_fields__ else {}
    wanted |= {"folder": "out"} if kind in (FolderDestination, SheetDestination) else {}
    for what in ("images", "charges", "steps"):
        if what in kind.CAN_TAKE:
            assert kind(name="a", takes=(what,), **wanted).takes == (what,)
        else:
            with pytest.raises(ValueError, match=f"{what} do not travel over"):
                kind(name="a", takes=(what,), **wanted)
