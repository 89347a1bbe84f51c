"""A record in words and as a PDF: all that matters is in it, for every kind of picture and every script."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

from dicom_io.evidence import ImageReference, Person
from dicom_io.files.series import Series
from dicom_io.sr.evidence_sr import read_sr, write_sr
from dicom_io.sr.report_sr import WrittenReport
from render.geometry import Box, View
from render.mask_steps import Bone, Piece, Scissors, Values
from render.recipe import (
    Clip,
    CurvedReformat,
    FlightEye,
    LabelRule,
    Projection,
    Recipe,
    Reformat,
    Rotation,
    VolumeRendering,
    Window,
    canonical_json,
)
from tests.workstation.conftest import Command
from tests.workstation.samples import AT, SERIES_UID, tiny_protocol
from workstation.records import plain_words
from workstation.records.explain import explain
from workstation.records.pdf import print_report
from workstation.records.pdf_contents import key_pictures, report_for
from workstation.signed_report import file_report
from workstation.site import Site

ANNA = Person("meier", "Meier^Anna^^Dr.", "physician")
WINDOW = Window(40.0, 400.0)


def text_of(path: Path) -> tuple[int, str]:
    """Pages and text of a PDF, by a reader that is not its writer."""
    pdfium = pytest.importorskip("pypdfium2")
    document = pdfium.PdfDocument(str(path))
    try:
        pages = [document[n] for n in range(len(document))]
        return len(pages), "\n".join(page.get_textpage().get_text_bounded() for page in pages)
    finally:
        document.close()


def picture_of(path: Path) -> Any:
    """(rows, columns, 3) of the first page, 2 pixels a point."""
    pdfium = pytest.importorskip("pypdfium2")
    document = pdfium.PdfDocument(str(path))
    try:
        return np.asarray(document[0].render(scale=2).to_pil().convert("RGB"))
    finally:
        document.close()


def reported(site: Site, key_images: tuple[ImageReference, ...], findings: str) -> Series:
    series = site.archive.series(SERIES_UID)
    necessity = (("medical_necessity", "Planning of the approach."),)
    file_report(WrittenReport(ANNA, AT, "Fall.", findings, "A fracture.", necessity, key_images), series, "1.2.3", site)
    return series


def test_the_pdf_says_all_of_it(command: Command, sr: Path, tmp_path: Path, site_at: Callable[..., Site]) -> None:
    pages, text = _printed(command, sr, tmp_path / "without.pdf")
    assert "No signed report of this study is on file." in text
    evidence = read_sr(dcmread(sr))
    site = site_at(tmp_path / "root")
    reported(site, evidence.products[0].images, "Fracture of the left arch & <no> depression.")
    pages, text = _printed(command, sr, tmp_path / "with.pdf")
    for words in (
        "CRANIUM, SAMPLE", "SAMPLE-CRANIUM", "DEMO-0001", "Fracture of the left arch & <no> depression.",
        "Medical necessity of 3D: Planning of the approach.", "Report signed by Dr. Anna Meier", "Record verified by",
        "Supervised concurrently: yes", evidence.journal_head, evidence.products[0].pixel_digest, f"Page 1 of {pages}",
        evidence.sop_instance_uid, "Not cleared for diagnosis",
    ):  # fmt: skip
        assert words in text.replace("\r\n", "\n"), words
    assert (picture_of(tmp_path / "with.pdf").std(axis=-1) > 5).mean() > 0.005  # the bone is not grey
    # It reads as a report, and what only machines read is in the appendix.
    before, appendix = text.split("Appendix: how it came about")
    order = ("Indication", "Technique", "Findings", "Impression", "Key pictures", "Signature")
    assert sorted(order, key=before.index) == list(order)
    assert not re.search(r"[0-9a-f]{40}|2\.25\.", before) and evidence.sop_instance_uid in appendix
    again = tmp_path / "again.pdf"
    assert command("report", sr, "-o", again).code == 0
    assert again.read_bytes() == (tmp_path / "with.pdf").read_bytes()


def _printed(command: Command, sr: Path, path: Path) -> tuple[int, str]:
    answer = command("report", sr, "-o", path, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["pictures"]
    return text_of(path)


def test_only_chosen_pictures_are_shown_and_all_where_none_is(sr: Path, tmp_path: Path) -> None:
    evidence = read_sr(dcmread(sr))
    folder = sr.parent.parent
    assert report_for(evidence, folder) is None
    assert [p.title for p in key_pictures(evidence, (), folder)] == ["Bone", "MIP", "Axial"]
    chosen = tuple(image.sop_instance_uid for image in evidence.products[2].images)
    (axial,) = key_pictures(evidence, chosen, folder)
    assert (axial.title, axial.pixels.shape) == ("Axial", (48, 48, 3))
    assert key_pictures(evidence, (), tmp_path / "root" / "spool") == ()


def test_every_script_is_written(sr: Path, tmp_path: Path) -> None:
    """The PDF's own font has no such letters: they are drawn, and never left out."""
    from render import fonts

    try:
        fonts.runs("山田", 12)
    except fonts.FontError:
        pytest.skip("no font of this machine has these letters")
    header = dcmread(sr)
    evidence = read_sr(header)
    names = {}
    for name in ("Yamada^Tarou=山田^太郎", "Yamada^Tarou"):
        header.PatientName = name
        path = tmp_path / f"{len(name)}.pdf"
        print_report(evidence, header, None, (), ("所見 " * 200,), path)
        names[name] = picture_of(path)[:120]
    wide = [int(np.flatnonzero((page.min(axis=-1) < 128).any(axis=0)[:600]).max()) for page in names.values()]
    assert wide[0] > wide[1]


def recipes() -> dict[str, tuple[Recipe, tuple[str, ...]]]:
    rendering = tiny_protocol().recipes[0]
    assert isinstance(rendering, VolumeRendering)
    steps = (
        Bone(),
        Piece((1, 2, 3), 10, 20, within_mm=5, label=2),
        Values(1, 2, outside=True),
        Scissors(((0, 0, 0), (1, 0, 0), (0, 1, 0)), View.parse("left")),
    )
    masked = replace(
        rendering, segments=steps, masking=(LabelRule(1, "exclude"), LabelRule(2, "tint", (1.0, 0.0, 0.0))),
        clips=(Clip((1, 2, 3), (0, 0, 1)),), crop=Box((0, 0, 0), (9, 9, 9)), rotation=Rotation(12), depth_cue=0.5,
        light=View.parse("head"), shadows=0.3, body_above=-300.0, centre_mm=(1.0, 2.0, 3.0),
    )  # fmt: skip
    inside = replace(rendering, projection="perspective", field_of_view_deg=90.0, eye_mm=(4, 5, 6))
    eyes = (FlightEye((1, 2, 3), View()), FlightEye((4, 5, 6), View(90.0)))
    flight = replace(inside, eye_mm=None, view=View(), flight=eyes)
    faded = replace(rendering, segments=(Bone(),), masking=(LabelRule(1, "fade", opacity=0.1),))
    return {
        "flight": (flight, (
            "in flight through the patient", "A flight of 2 pictures", "from (1.0, 2.0, 3.0) mm to (4.0, 5.0, 6.0) mm",
        )),
        "faded": (faded, ("Label 1 of the mask is seen through: 0.1 of its opacity is left",)),
        "masked": (masked, (
            "Mask, step 1: bone", "Mask, step 2: the piece at (1.0, 2.0, 3.0) mm", "within 5 mm becomes label 2",
            "everything but all values from 1 to 2", "outline of 3 corners drawn by hand, seen from left",
            "Label 1 of the mask is not drawn", "Label 2 of the mask has a colour of its own", "Cut off by a plane",
            "Cropped to the box", "A rotation of 12 pictures over 360 degrees", "Lit from head", "Table and holders",
            "Its middle is at (1.0, 2.0, 3.0) mm", "Transfer function 'ct_bone'", "shadows fall (0.3)",
        )),
        "inside": (inside, ("In perspective from inside the patient, at (4.0, 5.0, 6.0) mm, 90 degrees",)),
        "slab": (Projection("minip", WINDOW, slab_mm=12.5, name="slab"), ("the least value", "a slab of 12.5 mm")),
        "planes": (
            Reformat(WINDOW, View.parse("foot"), count=3, spacing_mm=2.5, thickness_mm=5, mode="mip", name="planes"),
            ("3 planes 2.5 mm apart", "the greatest value through 5 mm", "window centre 40, width 400"),
        ),
        "curved": (
            CurvedReformat(WINDOW, ((0, 0, 0), (1, 1, 1)), count=2, name="curved"),
            ("Along a path of 2 places", "straightened, 2 pictures over half a turn"),
        ),
    }  # fmt: skip


@pytest.mark.parametrize("kind", list(recipes()))
def test_every_kind_of_picture_is_said_in_words(kind: str) -> None:
    recipe, wanted = recipes()[kind]
    said = " ".join(plain_words.recipe(recipe))
    assert [words for words in wanted if words not in said] == []


def test_the_record_is_said_in_plain_words(command: Command, sr: Path) -> None:
    answer = command("explain", sr)
    assert answer.code == 0
    evidence = read_sr(dcmread(sr))
    for words in (
        "independent of the scanner",
        "From 16 CT images",
        "Worked by Technologist Sample",
        "Verified by",
        "opened the case",
        "had the pictures drawn",
        "chose pictures",
        "Picture 3: Axial",
        "An independent workstation was required: yes",
        *(product.pixel_digest for product in evidence.products),
    ):  # fmt: skip
        assert words in answer.out, words
    assert command("explain", evidence.sop_instance_uid, "--json").json["accession"] == "DEMO-0001"


def test_an_unattended_record_says_that_nobody_answers_for_it(sr: Path, tmp_path: Path) -> None:
    header = dcmread(sr)
    evidence = replace(
        read_sr(header), sop_instance_uid="", verified_by="", supervisor=None, attestation=None, measurements=(),
        products=tuple(
            replace(p, recipe=canonical_json(recipes()["planes"][0]), performed_here=False)
            for p in read_sr(header).products[:1]
        ),
    )  # fmt: skip
    said = explain(evidence)
    for words in (
        "Nobody is on record as supervising.",
        "No attestation.",
        "Not verified.",
        "not drawn on this workstation",
    ):
        assert words in said
    from tests.dicom_io.sr.test_evidence_sr import STAMP

    print_report(evidence, write_sr(evidence, header, STAMP), None, (), (), tmp_path / "bare.pdf")
    _, text = text_of(tmp_path / "bare.pdf")
    assert "The record is not verified by a physician." in text and "No attestation is on record." in text
