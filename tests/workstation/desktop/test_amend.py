"""What was signed comes back from the archive, is read-only, and is amended as a new version of report and record."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread

from dicom_io.files.series import read_dataset
from dicom_io.objects.presentation_state import GRAYSCALE_STATE
from dicom_io.sr.evidence_sr import COMPREHENSIVE_3D_SR
from dicom_io.sr.report_sr import BASIC_TEXT_SR
from tests.thorough import slowly
from tests.workstation.desktop.test_preview import DOCTOR, WRITTEN
from tests.workstation.desktop.test_signing import desk_at
from tests.workstation.samples import ACCESSION, SERIES_UID, ticking
from workstation.case import CaseError
from workstation.desktop.model import edits, measure_edits, summary, verdicts
from workstation.desktop.model.desk import ReadingDesk
from workstation.desktop.model.screen import Measure
from workstation.desktop.model.session import session_file
from workstation.desktop.model.signed import CHANGED
from workstation.desktop.model.studies import Opened
from workstation.site import open_site


@pytest.fixture
def root(signing_root: Path) -> Path:
    return signing_root


@pytest.fixture
def signed(root: Path) -> Iterator[tuple[ReadingDesk, Opened]]:
    """Signed and stored: three pictures, the first for the report, a distance and a volume; opened again."""
    desk, opened = desk_at(root)
    session = opened.session
    session.change(edits.chosen, 0, True)
    session.write(clinical_use="orthopaedics")
    middle, view = session.screen.cursor_mm, session.screen.axial.view
    session.change(measure_edits.measured, Measure("volume", (middle,), view, -60.0, 80.0))
    session.change(measure_edits.measured, Measure("distance", (middle, (middle[0] + 20.0, *middle[1:])), view))
    desk.deliver(opened, DOCTOR)
    yield desk, desk.studies.open(SERIES_UID, None)
    desk.close()


def test_what_was_signed_is_opened_as_it_was_and_changes_by_nothing(signed: tuple[ReadingDesk, Opened]) -> None:
    desk, opened = signed
    session = opened.session
    assert not session_file(desk.site.root, SERIES_UID, None).exists()
    assert session.sealed and opened.signed is not None and opened.signed.same_volume
    assert [capture.recipe.name for capture in session.screen.captures] == ["Bone", "MIP", "Axial"]
    assert [capture.key for capture in session.screen.captures] == [True, False, False]
    assert {m.kind for m in session.screen.measures} == {"distance", "volume"}
    assert {name: getattr(session.draft, name) for name in WRITTEN} == WRITTEN
    assert (opened.signed.newest.signed_by, len(opened.signed.versions)) == (DOCTOR.name, 1)
    assert [(row.reading, row.charge) for row in desk.studies.rows()] == [("signed", "charged")]
    assert desk.verdict(opened, DOCTOR).headline.startswith("Delivered: charged 76377")
    refused: list[bool] = []
    session.refused = lambda: refused.append(True)
    before = (session.screen, session.draft)
    for edit, *arguments in ((edits.uncaptured, 0), (edits.captured, "axial"), (measure_edits.unmeasured, 0)):
        assert not session.change(edit, *arguments)
    session.write(findings="Something else.")
    assert (session.screen, session.draft) == before and len(refused) == 4
    assert session.change(edits.rotated, 10.0, 0.0), "it can be looked at"
    assert not session_file(desk.site.root, SERIES_UID, None).exists()
    with pytest.raises(CaseError, match="signed already"):
        desk.sign(opened, DOCTOR)


@pytest.mark.slow
def test_what_no_record_says_is_kept_as_the_journal_has_it(signed: tuple[ReadingDesk, Opened]) -> None:
    """Which template was used, arrows and segments: in no SR. The file that was signed has them."""
    desk, opened = signed
    assert opened.session.draft.clinical_use == "orthopaedics"
    session = opened.session
    session.amend()
    middle, view = session.screen.cursor_mm, session.screen.axial.view
    arrow = Measure("arrow", (middle, (middle[0] + 9.0, *middle[1:])), view, text="fracture line")
    session.change(measure_edits.measured, arrow)
    session.write(impression="Fracture, with an arrow.")
    desk.deliver(opened, DOCTOR)
    again = desk.studies.open(SERIES_UID, None)
    assert arrow in again.session.screen.measures and again.session.sealed and again.signed is not None
    # It is on the stored planes as well: a presentation state beside them has it, and the record names that.
    states = [o for o in again.signed.record.objects if o.sop_class_uid == GRAYSCALE_STATE]
    words = [str(dcmread(desk.site.archive.instance(state.sop_instance_uid).path)) for state in states]
    assert any("fracture line" in said for said in words) and any("20.0 mm" in said for said in words)
    # A file that nobody signed says nothing: what the archive has is shown.
    (file,) = (desk.site.root / "signed").iterdir()
    file.write_text(file.read_text(encoding="utf-8").replace("fracture line", "something"), encoding="utf-8")
    bare = desk.studies.open(SERIES_UID, None).session
    assert {m.kind for m in bare.screen.measures} == {"distance", "volume"} and bare.draft.clinical_use is None
    assert bare.draft.impression == "Fracture, with an arrow."


@pytest.mark.parametrize("kind", [BASIC_TEXT_SR, *slowly(COMPREHENSIVE_3D_SR)])
def test_what_was_changed_on_the_disk_is_not_shown_as_signed(signed: tuple[ReadingDesk, Opened], kind: str) -> None:
    desk, opened = signed
    assert opened.signed is not None and CHANGED not in opened.warning
    (instance,) = desk.site.archive.instances_of(kind)
    file = Path(instance.path)
    content, words = file.read_bytes(), b"Fracture" if kind == BASIC_TEXT_SR else b"distance 1"
    assert words in content
    file.chmod(0o600)
    file.write_bytes(content.replace(words, b"?" * len(words)))
    again = desk.studies.open(SERIES_UID, None)
    assert CHANGED in again.warning and again.signed is None


def test_an_amended_report_is_a_new_version_and_charged_once(signed: tuple[ReadingDesk, Opened]) -> None:
    desk, opened = signed
    session = opened.session
    session.amend()
    assert [row.reading for row in desk.studies.rows()] == ["to sign"]
    # A picture goes, another is in front, and the words change.
    session.change(edits.uncaptured, 1)
    session.change(edits.captured, "solid", 32)
    session.write(impression="No fracture after all.")
    assert desk.deliver(opened, DOCTOR).endswith("charged.")
    again = desk.studies.open(SERIES_UID, None)
    assert again.signed is not None and again.session.sealed
    first, second = again.signed.versions
    assert (first.impression, second.impression) == (WRITTEN["impression"], "No fracture after all.")
    assert second.predecessor == first.sop_instance_uid
    assert [capture.recipe.name for capture in again.session.screen.captures][:2] == ["Bone", "Axial"]
    assert again.signed.record.predecessor is not None
    assert len(again.signed.record.measurements) == 2
    site = desk.site
    assert len(site.archive.instances_of(COMPREHENSIVE_3D_SR)) == 2
    assert [(known.charge.code, known.state) for known in site.outbox.charges()] == [("76377", "queued")]
    assert [(row.reading, row.charge) for row in desk.studies.rows()] == [("amended", "charged")]


def test_an_amendment_survives_the_end_of_the_program_and_can_be_given_up(
    signed: tuple[ReadingDesk, Opened], root: Path
) -> None:
    _, opened = signed
    opened.session.amend()
    opened.session.write(findings="Half a sen")
    desk = ReadingDesk(open_site(root, clock=ticking()))
    again = desk.studies.open(SERIES_UID, None)
    assert again.session.draft.findings == "Half a sen" and not again.session.sealed
    assert again.signed is not None and again.signed.newest.findings == WRITTEN["findings"]
    again.session.forget()
    back = desk.studies.open(SERIES_UID, None)
    assert back.session.sealed and back.session.draft.findings == WRITTEN["findings"]
    desk.close()


def test_while_it_is_stored_it_is_shown_as_signed(root: Path) -> None:
    desk, opened = desk_at(root)
    desk.sign(opened, DOCTOR)
    again = desk.studies.open(SERIES_UID, None)
    assert again.session.sealed and again.session.draft == opened.session.draft and again.signed is None
    assert desk.verdict(again, DOCTOR).said == verdicts.STORING
    again.session.amend()
    with pytest.raises(CaseError, match="once this one is stored"):
        desk.sign(again, DOCTOR)
    desk.close()


def test_what_the_journal_did_not_record_is_not_shown_as_signed(signed: tuple[ReadingDesk, Opened]) -> None:
    desk, opened = signed
    assert opened.signed is not None
    uid = opened.signed.newest.sop_instance_uid
    site = desk.site
    path = Path(site.archive.instance(uid).path)
    path.write_bytes(path.read_bytes().replace(b"Fracture of", b"Fractura of"))
    site.archive.rebuild_index()
    assert desk.studies.open(SERIES_UID, None).signed is None


def test_the_summary_says_whose_report_it_is(
    signed: tuple[ReadingDesk, Opened], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, opened = signed
    header = read_dataset(str(opened.series.first.path))
    header.PatientBirthDate, header.PatientSex = "19800102", "F"
    monkeypatch.setattr(summary, "read_dataset", lambda path: header)
    said = summary.summary_of(opened, desk.verdict(opened, DOCTOR), lambda measure: "20.0 mm\n5 HU")
    assert said.patient[1:] == (("ID", "SAMPLE-CRANIUM"), ("Birth date", "1980-01-02"), ("Sex", "female"))
    assert ("Accession", ACCESSION) in said.study and ("distance", "20.0 mm, 5 HU") in said.measures
    assert dict(said.sections)["Impression"] == WRITTEN["impression"] and dict(said.answers)[summary.REQUIRED] is True
