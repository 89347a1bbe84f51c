"""Quarantine and upkeep of an archive: nothing is lost, and what is wrong is named."""

import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydicom import dcmread

from dicom_io.archive import Archive, upkeep
from dicom_io.archive.quarantine import compared, differences, discard, finish_releases, quarantined, release
from dicom_io.errors import InstanceConflict, NotFound
from dicom_io.stamp import MODEL_NAME
from dicom_io.uids import derived
from tests.dicom_io.synthetic import grid, image, ramp


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Three instances, and one of another patient that came with the UID of the second."""
    archive = Archive(tmp_path / "archive")
    made = [image(plane, grid(), k) for k, plane in enumerate(ramp((3, 8, 8)))]
    archive.keep(made)
    made[1].PatientID = "P-2"
    with pytest.raises(InstanceConflict):
        archive.keep(made[1:2])
    return archive


def test_what_differs_is_shown_without_values(archive: Archive) -> None:
    (aside,) = quarantined(archive)
    found = differences(archive, aside.name)
    assert (found.keywords, found.pixels) == (("PatientID",), False)
    assert aside.sop_instance_uid == derived("series", "instance", "1") and "P-2" not in repr(found)


def test_a_released_one_changes_places_and_back(archive: Archive) -> None:
    before = archive.all_series()
    (aside,) = quarantined(archive)
    kept = release(archive, aside.name)
    assert kept.patient_id == "P-2" == dcmread(kept.path).PatientID
    assert archive.instance(kept.sop_instance_uid) == kept
    (other,) = quarantined(archive)
    assert other.name != aside.name and list(upkeep.verify(archive)) == []
    assert release(archive, other.name).patient_id == "P-1"
    assert archive.all_series() == before and [q.name for q in quarantined(archive)] == [aside.name]


def killed(folder: Path, name: str, act: str) -> list[Path]:
    """A copy of the archive for each state that a kill before a line of ours leaves; the last one was not killed."""
    command = [sys.executable, str(Path(__file__).with_name("releasing.py")), str(folder), name, act]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    lines, copies = map(int, done.stdout.split())
    assert lines > copies
    return [folder.with_name(f"{folder.name}-{n}") for n in range(copies)]


def contents(root: Path) -> Counter[str]:
    """How often the patient of each instance with the UID in question stands in a file, whatever the file's name."""
    files = {file.stat().st_ino: file for file in root.rglob("*.dcm")}
    found = [dcmread(file, stop_before_pixels=True) for file in files.values()]
    return Counter(str(ds.PatientID) for ds in found if ds.InstanceNumber == 2)


def state_of(root: Path) -> tuple[str, str]:
    """(patient of the one that is kept, of the one in quarantine) of an archive that is opened again and is whole."""
    archive = Archive(root)
    finish_releases(archive)
    archive.sweep()
    assert list(upkeep.verify(archive)) == []
    (aside,) = quarantined(archive)
    kept = archive.instance(aside.sop_instance_uid)
    other = dcmread(root / "quarantine" / f"{aside.name}.dcm").PatientID
    assert dcmread(kept.path).PatientID == kept.patient_id
    assert sum(len(s.instances) for s in archive.all_series()) == 3
    assert contents(root) == Counter(("P-1", "P-2")) and upkeep.status(archive).spooled == 0
    left = {p.suffix for p in (root / "quarantine").iterdir()}
    assert left == {".dcm"}
    before = archive.all_series()
    assert archive.rebuild_index().unreadable == () and archive.all_series() == before
    return kept.patient_id, str(other)


@pytest.mark.slow
@pytest.mark.parametrize("study", ["the same", "another"])
def test_a_release_that_is_killed_is_done_or_not(tmp_path: Path, study: str) -> None:
    archive = Archive(tmp_path / "archive")
    made = [image(plane, grid(), k) for k, plane in enumerate(ramp((3, 8, 8)))]
    archive.keep(made)
    made[1].PatientID = "P-2"
    if study == "another":
        made[1].StudyInstanceUID = derived("another study")
    with pytest.raises(InstanceConflict):
        archive.keep(made[1:2])
    (aside,) = quarantined(archive)
    copies = killed(archive.root, aside.name, "release")
    assert len(copies) >= 8
    for copy in copies:
        assert contents(copy) == Counter(("P-1", "P-2"))  # also as it was left, and no row tells of another file
        assert {f.words for f in upkeep.verify(Archive(copy))} <= {
            "is on the disk and not in the index; `storage verify --repair` enters it"
        }
    begun = [copy for copy in copies if list((copy / "quarantine").glob("*.release"))]
    assert len(begun) >= 5
    again = killed(begun[0], aside.name, "finish") if study == "another" else []  # whoever goes through with it
    states = [state_of(copy) for copy in copies]
    before, after = ("P-1", "P-2"), ("P-2", "P-1")
    assert states == sorted(states) and {*states} == {before, after} and states[-1] == after
    assert all(state_of(copy) == after for copy in again)


def test_one_whose_other_has_gone_is_released_too(archive: Archive) -> None:
    (aside,) = quarantined(archive)
    going = [one for one in archive.shelved() if one.sop_instance_uid == aside.sop_instance_uid]
    upkeep.prune(archive, going)
    assert [how for _, how in compared(archive)] == ["alone"]
    assert release(archive, aside.name).patient_id == "P-2"
    assert quarantined(archive) == () and list(upkeep.verify(archive)) == []
    assert sum(len(s.instances) for s in archive.all_series()) == 3


def test_one_that_is_in_no_index_gives_way_and_is_not_lost(archive: Archive) -> None:
    (aside,) = quarantined(archive)
    archive.forget([aside.sop_instance_uid])  # as a power cut may leave it
    assert release(archive, aside.name).patient_id == "P-2"
    (other,) = quarantined(archive)
    assert release(archive, other.name).patient_id == "P-1"


def test_a_discarded_one_is_gone(archive: Archive) -> None:
    (aside,) = quarantined(archive)
    discard(archive, aside.name)
    assert quarantined(archive) == ()
    for name in (aside.name, "../../workstation", "1.2.3.0123456789ab"):
        for act in (discard, release, differences):
            with pytest.raises(NotFound, match="is in quarantine"):
                act(archive, name)


def test_status_counts(archive: Archive) -> None:
    found = upkeep.status(archive)
    assert (found.studies, found.series, found.instances, found.quarantined, found.spooled) == (1, 1, 3, 1, 0)
    assert found.size == sum(p.stat().st_size for p in (archive.root / "instances").rglob("*.dcm"))


def test_verify_names_every_kind_of_fault(archive: Archive) -> None:
    assert list(upkeep.verify(archive)) == []
    one, two, three = (Path(i.path) for i in archive.all_series()[0].instances)
    one.unlink()
    data = bytearray(two.read_bytes())
    data[-1] ^= 1
    two.write_bytes(data)
    three.write_bytes(three.read_bytes()[:-4])
    stray = three.parent / "1.2.3.dcm"
    stray.write_bytes(data)
    words = {Path(f.path).name: f.words for f in upkeep.verify(archive)}
    assert "not on the disk" in words[one.name] and "other bytes" in words[two.name]
    assert "bytes, not" in words[three.name] and "not in the index" in words[stray.name]
    found = archive.rebuild_index()
    assert sorted(Path(u.path).name for u in found.unreadable) == sorted([stray.name, three.name])
    assert [i.sop_instance_uid for i in found.series[0].instances] == [two.stem]


def test_only_old_sources_that_nobody_holds_may_go(archive: Archive) -> None:
    now = datetime.now(UTC)
    old = now - timedelta(days=100)
    (series,) = archive.all_series()
    study = series.first.study_uid
    made = image(ramp((1, 8, 8))[0], grid(), 0, series="ours")
    made.StudyInstanceUID, made.ImageType = study, ["DERIVED", "SECONDARY"]
    made.ManufacturerModelName = MODEL_NAME
    (ours,) = archive.keep([made])
    made = image(ramp((1, 8, 8))[0], grid(), 0, series="of the scanner")
    made.StudyInstanceUID, made.ImageType = study, ["DERIVED", "SECONDARY"]
    (theirs,) = archive.keep([made])
    before = now - timedelta(days=30)
    assert upkeep.prunable(archive, before, (), ()) == []  # all of it came today
    for file in (archive.root / "instances").rglob("*.dcm"):
        os.utime(file, (old.timestamp(), old.timestamp()))
    assert upkeep.prunable(archive, before, {study}, ()) == []
    assert upkeep.prunable(archive, before, (), {series.first.sop_instance_uid}) == []
    going = upkeep.prunable(archive, before, (), ())
    assert {g.sop_instance_uid for g in going} == {i.sop_instance_uid for i in (*series.instances, theirs)}
    assert upkeep.prune(archive, going) == sum(g.size for g in going)
    assert [s.uid for s in archive.all_series()] == [ours.series_uid]
    assert list(upkeep.verify(archive)) == [] and not (archive.files / study / series.uid).exists()
