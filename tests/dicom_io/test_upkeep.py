"""Quarantine and upkeep of an archive: nothing is lost, and what is wrong is named."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydicom import dcmread

from dicom_io import upkeep
from dicom_io.archive import Archive
from dicom_io.errors import InstanceConflict, NotFound
from dicom_io.quarantine import differences, discard, quarantined, release
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
    kept = release(archive, aside.name).instance
    assert kept.patient_id == "P-2" == dcmread(kept.path).PatientID
    assert archive.instance(kept.sop_instance_uid) == kept
    (other,) = quarantined(archive)
    assert other.name != aside.name and list(upkeep.verify(archive)) == []
    assert release(archive, other.name).instance.patient_id == "P-1"
    assert archive.all_series() == before and [q.name for q in quarantined(archive)] == [aside.name]


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
    (ours,) = archive.keep([made])
    before = now - timedelta(days=30)
    assert upkeep.prunable(archive, before, (), ()) == []  # all of it came today
    for file in (archive.root / "instances").rglob("*.dcm"):
        os.utime(file, (old.timestamp(), old.timestamp()))
    assert upkeep.prunable(archive, before, {study}, ()) == []
    assert upkeep.prunable(archive, before, (), {series.first.sop_instance_uid}) == []
    going = upkeep.prunable(archive, before, (), ())
    assert {g.sop_instance_uid for g in going} == {i.sop_instance_uid for i in series.instances}
    assert upkeep.prune(archive, going) == sum(g.size for g in going)
    assert [s.uid for s in archive.all_series()] == [ours.series_uid]
    assert list(upkeep.verify(archive)) == [] and not (archive.files / study / series.uid).exists()
