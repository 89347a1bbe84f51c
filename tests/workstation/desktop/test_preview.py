"""What the desktop promises of a charge is what is decided when it is signed: the same function, the same doubts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import text

from dicom_io.evidence import Person
from dicom_io.files.series import read_dataset
from tests.thorough import slowly
from tests.workstation.samples import ACCESSION, DOCUMENTED, SERIES_UID, ticking, tiny_protocol
from workstation.billing.settle import preview
from workstation.charge import Decision
from workstation.charge.facts import Report
from workstation.charge.reasons import deny as denied_reason
from workstation.coder import acts
from workstation.config import Config
from workstation.desktop.model import desk, edits
from workstation.desktop.model.desk import ReadingDesk
from workstation.desktop.model.studies import Opened
from workstation.destinations import AnyDestination, DicomDestination, FolderDestination
from workstation.pipeline import explain
from workstation.site import Site, open_site
from workstation.store.cases import Record
from workstation.store.papers import read_papers

DOCTOR = Person("DR1", "Sample^Radiologist", "physician")
TECHNOLOGIST = Person("T1", "Sample^Technologist", "technologist")
CODER = Person("jd", "Doe^Jane", "coder")
WRITTEN = {
    "indication": "Fall.",
    "impression": "Fracture of the frontal bone.",
    "findings": "Fracture of the frontal bone.",
    "workstation": "Made on an independent workstation.",
    "necessity": "Planning of the repair.",
    "utility": "Shows the fragments in relation.",
    "required": True,
    "concurrent": True,
}


@dataclass(frozen=True)
class Reading:
    """A study on a desk, with three small pictures captured."""

    desk: ReadingDesk
    opened: Opened

    def preview(self, person: Person | None = DOCTOR) -> Decision:
        return self.desk.preview(self.opened, person)

    def sign(self) -> Decision:
        """Signed and delivered, decided as `charge explain` does."""
        self.desk.deliver(self.opened, DOCTOR)
        site = self.desk.site
        newest = site.casebook.read(ACCESSION).records[-1]
        return explain(site.archive.instance(newest.sr_uid), site)[1]


ReadAt = Callable[..., Reading]


@pytest.fixture
def read_at(tmp_path: Path, slices: Path) -> Iterator[ReadAt]:
    desks: list[ReadingDesk] = []

    def read(*destinations: AnyDestination, **written: Any) -> Reading:
        config = Config(destinations=destinations) if destinations else Config()
        site = open_site(tmp_path / "root", config, ticking())
        if not desks:
            site.archive.import_files(slices)
            papers = read_papers(DOCUMENTED)
            assert papers.on_file is not None
            site.papers.put(papers.accession, papers.on_file, site.clock())
        reader = ReadingDesk(site)
        desks.append(reader)
        opened = reader.studies.open(SERIES_UID, None)
        reader.opened_by(opened, DOCTOR)
        reader.note(opened, DOCTOR, "opened")
        if opened.session.sealed:
            opened.session.amend()
        else:
            opened.session.change(edits.collected, tiny_protocol().recipes)
        opened.session.write(**{**WRITTEN, **written})
        return Reading(reader, opened)

    yield read
    for each in desks:
        each.close()


def said(decision: Decision) -> tuple[Any, ...]:
    """What people are told of a decision."""
    return decision.disposition, decision.reasons, decision.lines, decision.proposed


@pytest.mark.parametrize(
    "written",
    [{}, {"utility": ""}, {"concurrent": None}, *slowly({"concurrent": False}, {"required": False}, {"findings": " "})],
    ids=str,
)
def test_it_is_what_is_decided_after_signing(read_at: ReadAt, written: dict[str, Any]) -> None:
    reading = read_at(**written)
    promised = reading.preview()
    assert said(reading.sign()) == said(promised)
    assert (promised.disposition == "release") == (written in ({}, {"required": False}))


def test_nobody_and_a_technologist_would_not_verify_it(read_at: ReadAt) -> None:
    reading = read_at()
    codes = {reason.code for reason in reading.preview(TECHNOLOGIST).reasons}
    assert {"SR_NOT_VERIFIED", "SUPERVISION_NOT_DOCUMENTED"} <= codes
    unattended = reading.preview(None)
    assert (unattended.disposition, [r.code for r in unattended.reasons]) == ("deny", ["NO_CONCURRENT_SUPERVISION"])


def test_a_pacs_that_has_to_take_the_pictures_first_is_said(read_at: ReadAt) -> None:
    pacs = DicomDestination(name="pacs", takes=("images",), port=1, ae_title="PACS")
    reading = read_at(pacs, FolderDestination(name="out", takes=("charges",), folder="out"))
    promised = reading.preview()
    assert [reason.code for reason in promised.reasons] == ["NOT_ARCHIVED"]
    verdict = reading.desk.verdict(reading.opened, DOCTOR)
    assert verdict.headline.startswith("Will be charged when signed: 76377")
    assert "pacs" in verdict.note
    assert said(reading.sign()) == said(promised)


def test_a_journal_that_was_changed_promises_nothing(read_at: ReadAt) -> None:
    reading = read_at()
    assert reading.preview().disposition == "release"
    with reading.desk.site.papers.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER event_no_update"))
        connection.execute(text("UPDATE event SET person = 'DR2'"))
    decision = reading.preview()
    assert decision.disposition == "hold"
    assert "JOURNAL_TAMPERED" in {reason.code for reason in decision.reasons}
    assert not reading.desk.verdict(reading.opened, DOCTOR).headline.startswith("Will be charged")


@pytest.mark.slow
def test_what_a_coder_decided_stands(read_at: ReadAt) -> None:
    reading = read_at()
    assert reading.sign().disposition == "release"
    site = reading.desk.site
    acts.credit(site, ACCESSION, CODER, "wrong patient class")
    again = read_at(findings="Another fracture is seen.")
    promised = again.preview()
    assert promised.disposition == "deny"
    assert promised.reasons == (denied_reason("CREDITED_BY_CODER", "jd: wrong patient class", "acts"),)
    assert again.desk.verdict(again.opened, DOCTOR).headline == "Cannot be charged."
    assert said(again.sign()) == said(promised)


@pytest.mark.slow
def test_what_was_charged_already_is_not_charged_again(read_at: ReadAt) -> None:
    reading = read_at()
    assert reading.sign().disposition == "release"
    again = read_at(findings="Another fracture is seen.")
    promised = again.preview()
    # Its own charge is no earlier one: the same session amended stays charged.
    assert said(again.sign()) == said(promised)
    charges = again.desk.site.outbox.charges()
    assert [(known.charge.code, known.state) for known in charges] == [("76377", "queued")]


def test_it_asks_whose_number_the_patients_is(read_at: ReadAt, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SR takes the issuer from the images; the promise is made for the patient of that issuer as well."""
    reading = read_at()
    asked: list[str] = []

    def decided(record: Record, report: Report, site: Site) -> Decision:
        asked.append(record.evidence.patient_id_issuer)
        return preview(record, report, site)

    def issued(path: str) -> Dataset:
        header = read_dataset(path)
        header.IssuerOfPatientID = "HOSPITAL"
        return header

    monkeypatch.setattr(desk, "preview_record", decided)
    monkeypatch.setattr(desk, "read_dataset", issued)
    assert reading.preview().disposition == "release"
    assert asked == ["HOSPITAL"]
