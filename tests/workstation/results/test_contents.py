"""What a link shows of a session: the newest version, unchanged, from the archive."""

import io
import shutil
import zipfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from dicom_io.errors import NotReadable
from render.geometry import Plane
from render.marks import with_sides
from tests.conformance.validators import dciodvfy
from tests.workstation.records.test_pdf import text_of
from tests.workstation.results.signed import CONFIG, EVIL, Signed
from tests.workstation.samples import AT, ticking
from workstation.records.pdf_contents import key_pictures, pixels_of
from workstation.results import downloads
from workstation.results.contents import ResultsError, SessionResults, results_of
from workstation.results.images import encoded, frame_pixels
from workstation.site import Site, open_site


@pytest.fixture
def copied(signed: Signed, tmp_path: Path) -> Site:
    """The signed site in a folder of its own, to be changed."""
    root = tmp_path / "root"
    shutil.copytree(signed.site.root, root)
    return open_site(root, CONFIG, ticking(AT + timedelta(days=1)))


@pytest.fixture(scope="module")
def results(signed: Signed) -> SessionResults:
    return results_of(signed.session, signed.site)


def test_key_pictures_come_first_and_begin_where_the_reader_chose(results: SessionResults) -> None:
    shown = [(p.kind, len(p.frames), p.chosen, p.start, p.closed) for p in results.pictures]
    assert shown == [
        ("still", 1, True, 0, False), ("scroll", 3, True, 1, False), ("turn", 5, False, 0, True),
        ("still", 1, False, 0, False),
    ]  # fmt: skip
    assert results.patient == (f"Eve{EVIL}, Ada", "ID SAMPLE-CRANIUM")
    assert dict(results.study)["Referring physician"] == f"Stone{EVIL}"
    assert [heading for heading, _ in results.report.sections] == [  # type: ignore[union-attr]
        "Indication", "Findings", "Impression", "On the 3D work",
    ]  # fmt: skip
    assert [(m.name, m.finding, m.values) for m in results.measures] == [
        ("distance 1", f"gap {EVIL}", "length 50.0 mm")
    ]
    assert results.missing == 0
    assert {file.instance.modality for file in results.files()} == {"CT", "M3D", "SEG", "SR", "KO", "PR"}


def test_frames_are_the_stored_ones(results: SessionResults) -> None:
    _, axial, turn, mip = results.pictures
    whole = dcmread(turn.frames[0].file.instance.path).pixel_array
    for number in (0, 3):
        assert np.array_equal(frame_pixels(turn.frames[number]), whole[number])
    stored = pixels_of(dcmread(mip.frames[0].file.instance.path))
    assert np.array_equal(frame_pixels(replace(mip.frames[0], sides=None)), stored)
    # A projection in grey has the letters of its recipe's view: seen from the front, its right edge is left.
    lettered = with_sides(stored, Plane((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, -1.0)))
    assert np.array_equal(frame_pixels(mip.frames[0]), lettered) and (lettered != stored).any()
    # A plane has letters on it, and is otherwise as stored.
    plain = pixels_of(dcmread(axial.frames[1].file.instance.path))
    lettered = frame_pixels(axial.frames[1], results.marks)
    assert 0 < (plain != lettered).any(axis=-1).mean() < 0.5
    png = Image.open(io.BytesIO(encoded(lettered, "png")))
    assert np.array_equal(np.asarray(png), lettered)
    assert max(Image.open(io.BytesIO(encoded(lettered, "jpg", 24))).size) == 24


def test_arrows_and_words_of_the_reader_are_drawn(results: SessionResults) -> None:
    axial = results.pictures[1]
    drawn = [[line for drawing in frame.drawings for line in drawing.text] for frame in axial.frames]
    assert drawn == [[], [f"here {EVIL}"], []]
    shaft, head, words = axial.frames[1].drawings
    assert len(shaft.lines[0]) == 2 and len(head.lines[0]) == 3 and words.lines == ()
    assert shaft.lines[0][1] == head.lines[0][1]  # the tip
    plain = replace(axial.frames[1], drawings=())
    assert (frame_pixels(plain) != frame_pixels(axial.frames[1])).any()
    assert plain.etag != axial.frames[1].etag


def test_the_pdf_draws_what_the_page_draws(signed: Signed, results: SessionResults) -> None:
    keys = results.versions[-1].told.key_images
    bone, axial = key_pictures(results.record, keys, signed.site.archive)
    assert np.array_equal(bone.pixels, frame_pixels(results.pictures[0].frames[0]))
    assert np.array_equal(axial.pixels, frame_pixels(results.pictures[1].frames[1]))
    shown = {each.title: each.pixels for each in key_pictures(results.record, (), signed.site.archive)}
    assert np.array_equal(shown["MIP"], frame_pixels(results.pictures[3].frames[0]))


def test_the_pdf_is_of_this_session(signed: Signed, results: SessionResults, tmp_path: Path) -> None:
    file = tmp_path / "report.pdf"
    file.write_bytes(downloads.report_pdf(results, signed.site))
    assert "A fracture." in text_of(file)[1]


def test_pictures_and_objects_in_a_zip(results: SessionResults) -> None:
    pngs = zipfile.ZipFile(io.BytesIO(b"".join(downloads.pictures_zip(results))))
    assert pngs.testzip() is None
    names = pngs.namelist()
    assert names[0] == "README.txt" and len(names) == 1 + 1 + 3 + 5 + 1
    assert not any(".." in name or "<" in name or "Eve" in name for name in names)
    assert "ID SAMPLE-CRANIUM" in pngs.read("README.txt").decode()


def test_objects_come_with_a_directory_that_others_read(results: SessionResults, tmp_path: Path) -> None:
    zipfile.ZipFile(io.BytesIO(b"".join(downloads.dicom_zip(results)))).extractall(tmp_path)
    wanted = sorted(file.instance.sop_instance_uid for file in results.files())
    records = dcmread(tmp_path / "DICOMDIR").DirectoryRecordSequence
    listed = {str(r.ReferencedSOPInstanceUIDInFile): r.ReferencedFileID for r in records if "ReferencedFileID" in r}
    assert sorted(listed) == wanted
    assert all(dcmread(tmp_path.joinpath(*place)).SOPInstanceUID == uid for uid, place in listed.items())
    for file in results.files():  # to the byte
        kept = Path(file.instance.path).read_bytes()
        assert any(each.read_bytes() == kept for each in tmp_path.rglob("*") if each.stat().st_size == len(kept))
    assert dciodvfy(tmp_path / "DICOMDIR") == []


def test_without_what_a_directory_needs_the_files_come_all_the_same(
    results: SessionResults, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(files: object) -> None:
        raise NotReadable("no patient ID")

    monkeypatch.setattr(downloads, "directory_of", lacking)
    names = zipfile.ZipFile(io.BytesIO(b"".join(downloads.dicom_zip(results)))).namelist()
    assert names[:2] == ["README.txt", "DICOM/00001.dcm"] and len(names) == 1 + len(results.files())


def test_too_much_is_refused_before_the_first_byte(results: SessionResults, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "MOST_BYTES", 1000)
    with pytest.raises(ResultsError, match="Ask for a disc"):
        downloads.dicom_zip(results)


def test_an_amended_report_is_shown_with_what_it_replaces(signed: Signed, copied: Site) -> None:
    replace(signed, site=copied).amend(replace(signed.report, impression="No fracture."))
    found = results_of(signed.session, copied)
    assert [version.told.impression for version in found.versions] == [f"A fracture. {EVIL}", "No fracture."]
    assert found.report is found.versions[-1]
    # Only the report that holds is given out.
    reports = [file for file in found.documents if file.instance.sop_class_uid.endswith("88.11")]
    assert [file.instance.sop_instance_uid for file in reports] == [found.versions[-1].told.sop_instance_uid]
    copied.papers.engine.dispose()


def test_what_was_changed_is_not_shown(signed: Signed, copied: Site) -> None:
    before = results_of(signed.session, copied)
    picture = Path(before.pictures[0].frames[0].file.instance.path)
    content = bytearray(picture.read_bytes())
    content[-100] ^= 1
    picture.write_bytes(content)
    with pytest.raises(ResultsError, match="not what was recorded"):
        downloads.pictures_zip(before)
    report = next(f for f in before.documents if f.instance.sop_class_uid.endswith("88.11"))
    path = Path(report.instance.path)
    path.write_bytes(path.read_bytes().replace(b"A fracture", b"No fractur"))
    with pytest.raises(ResultsError, match="its file was changed"):
        results_of(signed.session, copied)
    path.write_bytes(path.read_bytes().replace(b"No fractur", b"A fracture"))
    state = Path(next(f for f in before.documents if f.instance.modality == "PR").instance.path)
    state.write_bytes(state.read_bytes().replace(b"here", b"gone"))
    with pytest.raises(ResultsError, match="Presentation state"):
        results_of(signed.session, copied)
    copied.papers.engine.dispose()


def test_what_is_gone_is_counted(signed: Signed, copied: Site) -> None:
    copied.archive.forget([signed.run.evidence.products[2].images[0].sop_instance_uid])
    found = results_of(signed.session, copied)
    assert found.missing == 1
    assert "MIP" not in [picture.name for picture in found.pictures]
    copied.papers.engine.dispose()
