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
from dicom_io.files.series import read_instance
from dicom_io.network.requestor import Peer
from dicom_io.network.send import send
from dicom_io.sr import content as sr
from tests.workstation.desk import Desk, desk
from tests.workstation.orders.ris import READING, WHOLE, Ris, Study, journalled
from tests.workstation.serve.running import Serving
from tests.workstation.test_day import opened, write_settings
from workstation.billing import recheck
from workstation.billing.filing import file_record
from workstation.billing.settle import settle_due
from workstation.orders.sr_reports import read_report

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


def keep(here: Desk, ds: Dataset) -> None:
    file_record(here.site.archive.keep([ds])[0], here.site)
    settle_due(here.site)


def test_it_states_what_its_texts_do(at_desk: Desk) -> None:
    (instance,) = at_desk.site.archive.keep([report()])
    stated = read_report(instance, READING, UTC)
    assert stated is not None
    assert stated.stated_at == datetime(2026, 3, 2, 13, 1, tzinfo=UTC)
    said = stated.statement
    assert (said.accession, said.patient_id, said.status, len(said.stated)) == ("ACC1", "P1", "final", 4)  # type: ignore[union-attr]


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
    assert read_report(instance, READING, UTC) is None
    ours = at_desk.site.archive.keep(journalled(STUDY, at_desk.site.journal))[1]
    assert read_report(ours, READING, UTC) is None


def test_the_nightly_check_finds_one_that_nobody_saw(at_desk: Desk) -> None:
    at_desk.sr(STUDY)
    at_desk.hear(Ris(STUDY).order())
    at_desk.site.archive.keep([report()])
    assert at_desk.state == ("held", ["REPORT_NOT_FINAL"])
    assert recheck.recheck(at_desk.site)["changed"] == 1
    assert at_desk.state[0] == "charged"


def test_serve_takes_it_by_c_store(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write_settings(root, 1)
    files = []
    with opened(root) as site:
        made = (*journalled(STUDY, site.journal), report())
    for number, ds in enumerate(made):
        path = tmp_path / f"{number}.dcm"
        ds.save_as(path, enforce_file_format=True)
        files.append(read_instance(path))
    with opened(root) as site:
        from workstation.orders.hl7_listener import answering

        answering(site)(Ris(STUDY).order())
    with Serving(root, "--interval-s", "0.1") as serving:
        results = send(files, Peer("127.0.0.1", serving.port, "WORKSTATION"), "RIS")
        assert all(result.accepted for result in results)
        while serving.next("decided")["state"] != "charged":
            pass
        assert serving.terminate()[0] == 0
