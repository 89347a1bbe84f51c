"""Performed procedure steps: what a RIS is told, when, and that it hears it once and in order whatever happens."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from dicom_io.capabilities import EXPLICIT_LITTLE, PERFORMED_STEP
from dicom_io.files.encoding import encoded
from dicom_io.network.requestor import Peer
from dicom_io.sr.evidence_sr import COMPREHENSIVE_3D_SR
from tests.conformance.validators import dciodvfy, pixelmed
from tests.workstation.conftest import Command
from tests.workstation.samples import ACCESSION, DOCUMENTED, SERIES_UID, UTILITY_MISSING
from tests.workstation.transports.ways import by_mpps
from workstation.config import ConfigError, load_config
from workstation.destinations import MppsDestination
from workstation.store.messages import Message

# PS3.4 Table F.7.2-1: what the user of the service sends, by type; in an ended step, what N-SET has to hold.
CREATED_WITH_VALUE = (
    "ScheduledStepAttributesSequence PerformedProcedureStepID PerformedStationAETitle PerformedProcedureStepStartDate "
    "PerformedProcedureStepStartTime PerformedProcedureStepStatus Modality"
).split()
CREATED_PERHAPS_EMPTY = (
    "PatientName PatientID PatientBirthDate PatientSex ReferencedPatientSequence PerformedStationName "
    "PerformedLocation PerformedProcedureStepDescription PerformedProcedureTypeDescription ProcedureCodeSequence "
    "PerformedProcedureStepEndDate PerformedProcedureStepEndTime StudyID PerformedProtocolCodeSequence "
    "PerformedSeriesSequence"
).split()
SCHEDULED_PERHAPS_EMPTY = (
    "ReferencedStudySequence AccessionNumber RequestedProcedureID RequestedProcedureDescription "
    "ScheduledProcedureStepID ScheduledProcedureStepDescription ScheduledProtocolCodeSequence"
).split()
SERIES_WITH_VALUE = ["ProtocolName", "SeriesInstanceUID"]
SERIES_PERHAPS_EMPTY = (
    "PerformingPhysicianName OperatorsName SeriesDescription RetrieveAETitle ReferencedImageSequence "
    "ReferencedNonImageCompositeSOPInstanceSequence"
).split()


@dataclass
class Ris:
    """A provider of the service, of pynetdicom's making, that keeps the standard's order. heard : (what, UID)."""

    steps: dict[str, Dataset] = field(default_factory=dict)
    heard: list[tuple[str, str]] = field(default_factory=list)
    lose_answers: bool = False

    def create(self, event: evt.Event) -> tuple[int, Dataset | None]:
        uid, ds = str(event.request.AffectedSOPInstanceUID), event.attribute_list
        self.heard.append(("create", uid))
        if uid in self.steps:
            return 0x0111, None
        assert ds.PerformedProcedureStepStatus == "IN PROGRESS"
        self.steps[uid] = ds
        return self._end(event, ds)

    def set(self, event: evt.Event) -> tuple[int | Dataset, Dataset | None]:
        uid, ds = str(event.request.RequestedSOPInstanceUID), event.modification_list
        self.heard.append(("set", uid))
        if uid not in self.steps:
            return 0x0112, None
        if self.steps[uid].PerformedProcedureStepStatus != "IN PROGRESS":
            status = Dataset()
            status.Status, status.ErrorID = 0x0110, 0xA506
            return status, None
        self.steps[uid].update(ds)
        return self._end(event, ds)

    def _end(self, event: evt.Event, ds: Dataset) -> tuple[int, Dataset]:
        if self.lose_answers:
            event.assoc.abort()
        return 0x0000, ds


@contextlib.contextmanager
def listening(ris: Ris) -> Iterator[Peer]:
    ae = AE(ae_title="RIS")
    ae.add_supported_context(PERFORMED_STEP)
    handlers = [(evt.EVT_N_CREATE, ris.create), (evt.EVT_N_SET, ris.set)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield Peer("127.0.0.1", server.server_address[1], "RIS")
    finally:
        server.shutdown()


@pytest.fixture
def settings(tmp_path: Path) -> Callable[[int, str], None]:
    def write(port: int, when: str = "charged") -> None:
        root = tmp_path / "root"
        root.mkdir(exist_ok=True)
        (root / "config.toml").write_text(
            '[[destinations]]\nname = "out"\nkind = "folder"\ntakes = ["images", "charges"]\nfolder = "outgoing"\n'
            f'[[destinations]]\nname = "ris"\nkind = "mpps"\ntakes = ["steps"]\nport = {port}\nae_title = "RIS"\n'
            f'completed_when = "{when}"\nretry_s = 0\n'
        )

    return write


def run(command: Command, slices: Path, papers: Path) -> Path:
    command("import", slices)
    answer = command("run", SERIES_UID, "--protocol", "tiny", "--papers", papers, "--json")
    assert answer.code == 0, answer.err
    return Path(answer.json["sr"]["path"])


def deliver(command: Command) -> None:
    assert command("outbox", "send").code in (0, 1)


def test_a_step_is_completed_with_what_is_billed(
    command: Command, slices: Path, settings: Callable[..., None], tmp_path: Path
) -> None:
    ris = Ris()
    with listening(ris) as peer:
        settings(peer.port)
        sr = dcmread(run(command, slices, DOCUMENTED))
        deliver(command)
        assert [what for what, _ in ris.heard] == ["create", "set"]
        # Again is nothing new.
        run(command, slices, DOCUMENTED)
        deliver(command)
        assert len(ris.heard) == 2
    ((uid, step),) = ris.steps.items()
    assert step.PerformedProcedureStepStatus == "COMPLETED"
    assert [(c.CodeValue, c.CodingSchemeDesignator, c.CodeMeaning) for c in step.BillingProcedureStepSequence] == [
        ("76377", "C4", "3D post-processing on an independent workstation")
    ]
    assert (step.PatientID, step.PatientName) == (sr.PatientID, sr.PatientName)
    (asked,) = step.ScheduledStepAttributesSequence
    assert (asked.AccessionNumber, asked.StudyInstanceUID) == (ACCESSION, sr.StudyInstanceUID)
    # What was made is listed, once, images apart from documents, and each of them names the step.
    made = [dcmread(path, stop_before_pixels=True) for path in (tmp_path / "root/outgoing").glob("*.dcm")]
    listed = {
        (series.SeriesInstanceUID, item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID)
        for series in step.PerformedSeriesSequence
        for item in (*series.ReferencedImageSequence, *series.ReferencedNonImageCompositeSOPInstanceSequence)
    }
    assert listed == {(ds.SeriesInstanceUID, ds.SOPClassUID, ds.SOPInstanceUID) for ds in made} and len(made) >= 5
    documents = {
        item.ReferencedSOPClassUID
        for series in step.PerformedSeriesSequence
        for item in series.ReferencedNonImageCompositeSOPInstanceSequence
    }
    assert COMPREHENSIVE_3D_SR in documents and "1.2.840.10008.5.1.4.1.1.7" not in documents
    for ds in made:
        (reference,) = ds.ReferencedPerformedProcedureStepSequence
        assert (reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID) == (PERFORMED_STEP, uid)


def test_what_is_sent_has_all_that_the_standard_wants(
    command: Command, slices: Path, settings: Callable[..., None]
) -> None:
    ris = Ris()
    with listening(ris) as peer:
        settings(peer.port)
        run(command, slices, UTILITY_MISSING)
        deliver(command)
        (begun,) = ris.steps.values()
        for keyword in CREATED_WITH_VALUE:
            assert begun.get(keyword), keyword
        for keyword in CREATED_PERHAPS_EMPTY:
            assert keyword in begun, keyword
        (asked,) = begun.ScheduledStepAttributesSequence
        assert asked.StudyInstanceUID
        for keyword in SCHEDULED_PERHAPS_EMPTY:
            assert keyword in asked, keyword
        assert "BillingProcedureStepSequence" not in begun
        # Held: the step goes on until its charge is decided.
        assert [what for what, _ in ris.heard] == ["create"]
        assert command("papers", DOCUMENTED).code == 0
        deliver(command)
    (ended,) = ris.steps.values()
    assert ended.PerformedProcedureStepStatus == "COMPLETED" and ended.BillingProcedureStepSequence
    start = ended.PerformedProcedureStepStartDate + ended.PerformedProcedureStepStartTime
    assert ended.PerformedProcedureStepEndDate + ended.PerformedProcedureStepEndTime >= start
    for series in ended.PerformedSeriesSequence:
        for keyword in SERIES_WITH_VALUE:
            assert series.get(keyword), keyword
        for keyword in SERIES_PERHAPS_EMPTY:
            assert keyword in series, keyword
        assert series.ReferencedImageSequence or series.ReferencedNonImageCompositeSOPInstanceSequence


def test_a_site_may_have_it_completed_with_the_record_and_then_nothing_is_billed_by_it(
    command: Command, slices: Path, settings: Callable[..., None]
) -> None:
    ris = Ris()
    with listening(ris) as peer:
        settings(peer.port, "recorded")
        run(command, slices, UTILITY_MISSING)
        deliver(command)
        assert command("papers", DOCUMENTED).code == 0
        deliver(command)
    (step,) = ris.steps.values()
    assert step.PerformedProcedureStepStatus == "COMPLETED"
    assert "BillingProcedureStepSequence" not in step
    assert [what for what, _ in ris.heard] == ["create", "set"]
    ended = next(m for m in steps(command) if m["identity"].endswith("ended"))
    assert "Performed Procedure Step Status     CS: 'COMPLETED'" in command("outbox", "show", ended["key"]).out


def test_answers_that_are_lost_and_a_ris_that_is_away(
    command: Command, slices: Path, settings: Callable[..., None]
) -> None:
    ris = Ris(lose_answers=True)
    with listening(ris) as peer:
        settings(peer.port)
        run(command, slices, DOCUMENTED)
        deliver(command)
        assert [what for what, _ in ris.heard] == ["create"]  # and the end waits for the beginning
        ris.lose_answers = False
        deliver(command)
        assert [what for what, _ in ris.heard] == ["create", "create", "set"]
        states = {m["identity"].partition(" ")[2]: m["state"] for m in steps(command)}
        assert states == {"begun": "acknowledged", "ended": "acknowledged"}


def steps(command: Command) -> list[dict[str, str]]:
    return [m for m in command("outbox", "list", "--json").json if m["kind"] == "step"]


def test_the_end_of_a_step_whose_answer_was_lost_is_known() -> None:
    ris, uid = Ris(), "1.2.3"
    ds = Dataset()
    ds.PerformedProcedureStepStatus = "COMPLETED"
    end = Message("ris", "step", f"{uid} ended", "A", body=encoded(ds, EXPLICIT_LITTLE))
    with listening(ris) as peer:
        lost = by_mpps(end, peer.port, peer.ae_title)
        assert lost.outcome == "rejected" and lost.detail.startswith("unknown there: status 0x0112")
        ris.steps[uid] = Dataset()
        ris.steps[uid].PerformedProcedureStepStatus = "IN PROGRESS"
        for detail in ("status 0x0000", "known already: status 0x0110"):
            told = by_mpps(end, peer.port, peer.ae_title)
            assert (told.outcome, told.detail) == ("acknowledged", detail)


@pytest.mark.parametrize(
    ("kind", "takes"), [("mpps", '["images"]'), ("mpps", '["steps", "charges"]'), ("dicom", '["steps"]')]
)
def test_steps_go_to_mpps_alone(tmp_path: Path, kind: str, takes: str) -> None:
    (tmp_path / "config.toml").write_text(
        f'[[destinations]]\nname = "ris"\nkind = "{kind}"\ntakes = {takes}\nport = 104\n'
    )
    with pytest.raises(ConfigError, match="do not travel over"):
        load_config(tmp_path)
    assert MppsDestination(name="ris", takes=("steps",), port=104).completed_when == "charged"


@pytest.mark.slow
def test_validators_find_no_error_in_objects_that_name_their_step(
    command: Command, slices: Path, settings: Callable[..., None], tmp_path: Path
) -> None:
    settings(1)
    run(command, slices, DOCUMENTED)
    command("outbox", "send")
    made = list((tmp_path / "root/outgoing").glob("*.dcm"))
    (record,) = (path for path in made if dcmread(path).SOPClassUID == COMPREHENSIVE_3D_SR)
    assert pixelmed(record) == []
    assert {path.name: dciodvfy(path) for path in made} == {path.name: [] for path in made}
