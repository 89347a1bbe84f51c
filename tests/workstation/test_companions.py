"""What is stored beside the pictures: kept, recorded, sent, and the same when it is made again."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread

from dicom_io.evidence import Person
from dicom_io.files.series import Instance
from dicom_io.objects.companions import StoredObject
from dicom_io.objects.encapsulated_stl import ENCAPSULATED_STL
from dicom_io.objects.enhanced import ENHANCED_CT
from dicom_io.objects.presentation_state import GRAYSCALE_STATE
from dicom_io.objects.segmentation import SEGMENTATION
from dicom_io.objects.volumetric_state import PLANAR_MPR_STATE, VOLUME_RENDERING_STATE
from dicom_io.sr.evidence_sr import read_predecessor
from dicom_io.sr.key_objects import KEY_OBJECT_SELECTION, key_images
from dicom_io.sr.report_sr import BASIC_TEXT_SR, WrittenReport
from dicom_io.volumes import build_volume
from render.geometry import View
from render.mask_steps import Bone
from render.protocols import Protocol
from render.recipe import LabelRule, VolumeRendering
from tests.workstation.samples import AT, DOCUMENTED, SERIES_UID, tiny_protocol
from workstation import pipeline
from workstation.billing.belief import why_no_report
from workstation.case import Case
from workstation.config import Config
from workstation.destinations import DicomDestination, MllpDestination
from workstation.records.measurements import measure
from workstation.records.verify import verify
from workstation.signed_report import file_report, reports_of
from workstation.site import Site
from workstation.store.journal import Journal
from workstation.store.papers import read_papers

# Nobody listens there: what is here counts as archived.
PACS = DicomDestination(name="pacs", takes=("images",), port=104, ae_title="PACS", archived_when="kept")
BILLING = MllpDestination(name="billing", takes=("charges",), port=2575)
ANNA = Person("meier", "Meier^Anna", "physician")


def masked_protocol() -> Protocol:
    """The tiny protocol, its rendering without bone."""
    plain = tiny_protocol()
    first = plain.recipes[0]
    assert isinstance(first, VolumeRendering)
    masked = replace(first, segments=(Bone(),), masking=(LabelRule(1, "exclude"),))
    return replace(plain, recipes=(masked, *plain.recipes[1:]))


def ran(site: Site, slices: Path) -> tuple[Case, pipeline.CaseRun]:
    site.archive.import_files(slices)
    papers = read_papers(DOCUMENTED)
    assert papers.session is not None and papers.on_file is not None
    site.papers.put(papers.accession, papers.on_file, site.clock())
    volume = build_volume(site.archive.series(SERIES_UID))
    x, y, z = volume.centre_mm
    measured = measure("distance 1", "distance", ((x - 20, y, z), (x + 22, y, z)), View.parse("foot"), volume)
    case = Case(SERIES_UID, masked_protocol(), session=papers.session, measurements=(measured,))
    return case, pipeline.run(case, site)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stored", "classes"),
    [
        ((), []),
        pytest.param(("segmentation",), [SEGMENTATION], marks=pytest.mark.slow),
        pytest.param(("surface",), [ENCAPSULATED_STL], marks=pytest.mark.slow),
        pytest.param(("presentation",), [GRAYSCALE_STATE, GRAYSCALE_STATE], marks=pytest.mark.slow),
        (("view",), [VOLUME_RENDERING_STATE, PLANAR_MPR_STATE]),
        (("segmentation", "surface", "presentation"), [SEGMENTATION, ENCAPSULATED_STL, *[GRAYSCALE_STATE] * 2]),
    ],
)  # fmt: skip
def test_what_the_site_wants_is_stored(
    site_at: Callable[..., Site], tmp_path: Path, slices: Path, stored: tuple[StoredObject, ...], classes: list[str]
) -> None:
    site = site_at(tmp_path, Config(destinations=(PACS, BILLING), stored=stored))
    case, made = ran(site, slices)
    # Pixels never carry measures: states with measures on their planes are stored whatever the site stores.
    found = [image.sop_class_uid for image in made.evidence.objects]
    assert found.count(GRAYSCALE_STATE) == 2
    assert [uid for uid in found if uid != GRAYSCALE_STATE] == [uid for uid in classes if uid != GRAYSCALE_STATE]
    assert all(image.digest for image in made.evidence.objects)
    sent = {message.identity for message in made.messages if message.kind == "dicom"}
    assert {image.sop_instance_uid for image in made.evidence.objects} <= sent
    assert made.decision.disposition == "release"
    assert [c.what for c in verify(Path(made.sr.path), site) if c.agrees is not True] == ["signature"]
    again = pipeline.run(case, site)
    assert (again.sr, again.queued) == (made.sr, ())


def test_a_stack_may_be_one_enhanced_image(site_at: Callable[..., Site], tmp_path: Path, slices: Path) -> None:
    config = Config(destinations=(PACS, BILLING), stored=("presentation",), multiframe=True)
    _, made = ran(site_at(tmp_path, config), slices)
    (image,) = made.evidence.products[2].images
    assert image.sop_class_uid == ENHANCED_CT
    ds = dcmread(next(i.path for i in made.images if i.sop_instance_uid == image.sop_instance_uid))
    assert ds.NumberOfFrames == 2
    state = dcmread(made.images[-1].path)
    (annotation,) = state.GraphicAnnotationSequence
    assert annotation.ReferencedImageSequence[0].ReferencedFrameNumber in (1, 2)
    assert annotation.TextObjectSequence[0].UnformattedTextValue == "42.0 mm"
    assert made.decision.disposition == "release"


def believed(report: Instance, session: str, site: Site) -> bool:
    return not why_no_report(dcmread(report.path), report, {session}, site)


def test_a_report_from_before_the_journal_noted_its_sr_is_known_by_its_words(
    site_at: Callable[..., Site], tmp_path: Path, slices: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = site_at(tmp_path, Config(destinations=(PACS, BILLING)))
    case, made = ran(site, slices)
    stated = (("three_d_findings", "A fracture."), ("clinical_utility", "Plates were chosen."))
    report = WrittenReport(ANNA, AT, "", "Two lines.\nOf findings.", "", stated, made.evidence.products[0].images)
    kept = file_report(report, site.archive.series(SERIES_UID), case.session_uid, site)[0]
    assert believed(kept, case.session_uid, site)
    monkeypatch.setattr(Journal, "digest_of", lambda journal, uid: "")
    assert believed(kept, case.session_uid, site)
    assert not believed(kept, "1.2.3", site), "said in another session"
    other = dcmread(kept.path)
    other.ContentSequence[4].ContentSequence[0].TextValue = "No findings."
    assert "Two lines." not in str(other)
    other.save_as(kept.path)
    assert not believed(kept, case.session_uid, site)


@pytest.mark.slow
def test_a_report_brings_the_selection_of_its_key_images(
    site_at: Callable[..., Site], tmp_path: Path, slices: Path
) -> None:
    site = site_at(tmp_path, Config(destinations=(PACS, BILLING)))
    case, made = ran(site, slices)
    chosen = made.evidence.products[0].images
    report = WrittenReport(ANNA, AT, "Trauma.", "A fracture.", "", (), chosen)
    series = site.archive.series(SERIES_UID)
    kept = file_report(report, series, case.session_uid, site)
    assert [instance.sop_class_uid for instance in kept] == [BASIC_TEXT_SR, KEY_OBJECT_SELECTION]
    assert key_images(dcmread(kept[1].path)) == tuple(image.sop_instance_uid for image in chosen)
    waiting = {message.identity for message in site.outbox.pending()}
    assert {instance.sop_instance_uid for instance in kept} <= waiting
    # The same again is the same; another one is another.
    assert file_report(replace(report, signed_at=site.clock()), series, case.session_uid, site) == kept
    amended = file_report(replace(report, findings="None."), series, case.session_uid, site)
    assert amended[0] != kept[0]
    assert read_predecessor(dcmread(kept[0].path)) is None
    before = read_predecessor(dcmread(amended[0].path))
    assert before is not None and before.sop_instance_uid == kept[0].sop_instance_uid
    kinds = [act.kind for act in site.journal.acts(case.session_uid)]
    assert kinds.count("reported") == 2 and "image_selection" in kinds
    # Corrected back to what it said first, it is a third report, which amends the second; again it is the same.
    back = file_report(report, series, case.session_uid, site)
    assert file_report(report, series, case.session_uid, site) == back
    before = read_predecessor(dcmread(back[0].path))
    assert before is not None and before.sop_instance_uid == amended[0].sop_instance_uid
    versions = reports_of(case.session_uid, site)
    assert [each for each, _ in versions] == [kept[0], amended[0], back[0]]
    assert [told.findings for _, told in versions] == ["A fracture.", "None.", "A fracture."]
    assert versions[1][1].predecessor == kept[0].sop_instance_uid
    (without,) = file_report(replace(report, key_images=()), series, case.session_uid, site)
    assert believed(without, case.session_uid, site)
    assert without.sop_class_uid == BASIC_TEXT_SR
