"""Reports that are DICOM SRs: what they state, and that they decide a case like any other report."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence

from dicom_io.capabilities import EXPLICIT_LITTLE
from dicom_io.codes import Code
from dicom_io.files.series import Instance, read_instance
from dicom_io.network.requestor import Peer
from dicom_io.network.send import send
from dicom_io.sr import content as sr
from dicom_io.sr.signatures import load_signer, sign
from tests.signing import identity
from tests.workstation.desk import Desk, desk
from tests.workstation.orders.ris import DAY, PHYSICIAN, READING, WHOLE, Ris, Study, config, journalled
from tests.workstation.serve.running import Serving
from tests.workstation.test_day import opened, write_settings
from workstation.billing import recheck
from workstation.billing.filing import file_record
from workstation.billing.settle import settle_due
from workstation.coder.unmatched import unmatched
from workstation.config import Sister
from workstation.orders.sr_reports import read_report, report_in
from workstation.site import Site
from workstation.store.journal import recorded_as

STUDY = Study("ACC1")
FINDING = Code("121071", "DCM", "Finding")
SECTION = Code("121070", "DCM", "Findings")
REPORT = Code("18748-4", "LN", "Diagnostic imaging report")


def report(text: tuple[str, ...] = WHOLE, *, verified: bool = True, number: int = 1, **changes: Any) -> Dataset:
    """A Basic Text SR by TID 2000."""
    texts = [sr.text("CONTAINS", FINDING, each) for each in text]
    ds = sr.container("", REPORT, sr.container("CONTAINS", SECTION, *texts), template="2000")
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = EXPLICIT_LITTLE
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName, ds.PatientID, ds.AccessionNumber = f"Of^{STUDY.patient}", STUDY.patient, STUDY.accession
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.StudyDate = STUDY.uid, "1.2.4", "20260302"
    ds.Modality, ds.InstanceNumber, ds.SeriesNumber = "SR", number, 1
    ds.ContentDate, ds.ContentTime = "20260302", f"12{number:02}00"
    ds.CompletionFlag, ds.VerificationFlag = "COMPLETE", "VERIFIED" if verified else "UNVERIFIED"
    if verified:
        observer = Dataset()
        observer.VerifyingObserverName, observer.VerifyingOrganization = "Sample^Radiologist", "RAD"
        observer.VerificationDateTime = f"2026030213{number:02}00+0000"
        ds.VerifyingObserverSequence = Sequence([observer])
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    return ds


@pytest.fixture
def at_desk(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as found:
        yield found


def sign_here(site: Site, ds: Dataset) -> Instance:
    """What is left of a report that was signed on this device: the SR, and the journal's word for it."""
    (kept,) = site.archive.keep([ds])
    detail = recorded_as(kept.sop_instance_uid, site.archive.digests(kept.series_uid)[kept.sop_instance_uid])
    site.journal.record("1.2.99", PHYSICIAN, "recorded", DAY, detail)
    return kept


def keep(here: Desk, ds: Dataset) -> None:
    file_record(sign_here(here.site, ds), here.site)
    settle_due(here.site)


def test_it_states_what_its_texts_do() -> None:
    stated = read_report(report(), READING, UTC)
    assert stated is not None
    assert stated.stated_at == datetime(2026, 3, 2, 13, 1, tzinfo=UTC)
    said = stated.statement
    assert (said.accession, said.patients[0].number, said.status, len(said.stated)) == ("ACC1", "P1", "final", 4)  # type: ignore[union-attr]


def test_a_verified_report_decides_the_case(at_desk: Desk) -> None:
    at_desk.sr(STUDY)
    at_desk.hear(Ris(STUDY).order())
    keep(at_desk, report(verified=False))
    assert at_desk.state == ("held", ["REPORT_NOT_FINAL"])
    keep(at_desk, report(WHOLE[:3], number=2))
    assert at_desk.state == ("held", ["UTILITY_MISSING"])
    keep(at_desk, report(number=3))
    assert at_desk.state == ("charged", [])
    assert at_desk.case().cause == "report SR 1.2.3.3"


@pytest.mark.parametrize(
    "changes",
    [
        {"ContentTemplateSequence": Sequence([])},
        {"VerificationFlag": "UNVERIFIED"},
        {"CompletionFlag": "PARTIAL"},
        {"PatientID": "P9"},
    ],
)
def test_what_does_not_count(at_desk: Desk, changes: dict[str, Any]) -> None:
    at_desk.sr(STUDY)
    at_desk.hear(Ris(STUDY).order())
    keep(at_desk, report(**changes))
    titled = "ContentTemplateSequence" in changes  # its title alone says that it is a report
    assert at_desk.state[0] == ("charged" if titled else "held")


def test_another_document_is_no_report(at_desk: Desk) -> None:
    template = Dataset()
    template.TemplateIdentifier = "1500"
    (instance,) = at_desk.site.archive.keep([report(ContentTemplateSequence=Sequence([template]))])
    assert report_in(instance) is None
    ours = at_desk.site.archive.keep(journalled(STUDY, at_desk.site.journal))[1]
    assert report_in(ours) is None


def test_the_nightly_check_finds_one_that_nobody_saw(at_desk: Desk) -> None:
    at_desk.sr(STUDY)
    at_desk.hear(Ris(STUDY).order())
    sign_here(at_desk.site, report())
    assert at_desk.state == ("held", ["REPORT_NOT_FINAL"])
    assert recheck.recheck(at_desk.site)["changed"] == 1
    assert at_desk.state[0] == "charged"


def test_what_somebody_sends_states_nothing(at_desk: Desk) -> None:
    """The PACS, a reporting system, or anybody who reaches the port: their word comes by HL7, from a named sender."""
    at_desk.sr(STUDY)
    at_desk.hear(Ris(STUDY).order())
    (kept,) = at_desk.site.archive.keep([report()])
    file_record(kept, at_desk.site)
    settle_due(at_desk.site)
    assert at_desk.state == ("held", ["REPORT_NOT_FINAL"])
    (row,) = unmatched(at_desk.site)
    assert row.what == "SR that is not believed" and row.message == "SR 1.2.3.1"
    assert "was not signed on this device" in row.why


def test_one_that_was_changed_on_the_disk_states_nothing(at_desk: Desk) -> None:
    at_desk.sr(STUDY)
    at_desk.hear(Ris(STUDY).order())
    ds = report(WHOLE[:3])
    kept = sign_here(at_desk.site, ds)
    report(WHOLE).save_as(kept.path, enforce_file_format=True)
    file_record(kept, at_desk.site)
    settle_due(at_desk.site)
    assert at_desk.state == ("held", ["REPORT_NOT_FINAL"])
    assert "is not as it was recorded here" in unmatched(at_desk.site)[0].why


@pytest.mark.parametrize(
    ("signer", "people", "state"),
    [("sister", (), "charged"), ("sister", ("DR1",), "charged"), ("sister", ("DR7",), "held"), ("mallory", (), "held")],
)
def test_a_named_workstation_signs_its_own(tmp_path: Path, signer: str, people: tuple[str, ...], state: str) -> None:
    who = {name: identity(tmp_path, name) for name in ("sister", "mallory")}
    trust = Sister("sister", "2.25.77", certificate=str(who["sister"].certificate_file), people=people)
    with desk(tmp_path / "here", config(trust=(trust,))) as here:
        here.site.people.add(PHYSICIAN, pin="246810")
        here.sr(STUDY)
        here.hear(Ris(STUDY).order())
        ds = report()
        sign(ds, load_signer(who[signer].certificate_file, who[signer].key_file), DAY)
        (kept,) = here.site.archive.keep([ds])
        file_record(kept, here.site)
        settle_due(here.site)
        assert here.state[0] == state


@pytest.mark.slow
def test_serve_takes_it_by_c_store(tmp_path: Path) -> None:
    """Of a sister's report by C-STORE the case is charged; of an unsigned one before it, it is not."""
    root = tmp_path / "root"
    write_settings(root, 1)
    who = identity(tmp_path, "sister")
    with (root / "config.toml").open("a") as settings:
        settings.write(
            f'\n[[trust]]\nname = "sister"\ndevice_uid = "2.25.77"\ncertificate = "{who.certificate_file}"\n'
        )
    files = []
    signed = report(number=2)
    sign(signed, load_signer(who.certificate_file, who.key_file), DAY)
    with opened(root) as site:
        made = (*journalled(STUDY, site.journal), report(), signed)
    for number, ds in enumerate(made):
        path = tmp_path / f"{number}.dcm"
        ds.save_as(path, enforce_file_format=True)
        files.append(read_instance(path))
    with opened(root) as site:
        from workstation.orders.hl7_listener import answering

        answering(site)(Ris(STUDY).order())
    with Serving(root, "--interval-s", "0.1") as serving:
        peer = Peer("127.0.0.1", serving.port, "WORKSTATION")
        assert all(result.accepted for result in send(files[:2], peer, "RIS"))
        while serving.next("decided")["reasons"] != ["REPORT_NOT_FINAL"]:
            pass
        assert all(result.accepted for result in send(files[2:3], peer, "RIS"))
        assert serving.next("decided")["reasons"] == ["REPORT_NOT_FINAL"]
        assert all(result.accepted for result in send(files[3:], peer, "RIS"))
        while serving.next("decided")["state"] != "charged":
            pass
        assert serving.terminate()[0] == 0
