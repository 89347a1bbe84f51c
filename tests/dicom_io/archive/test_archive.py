"""Keeping: complete on the disk and in the index before anybody is told, and nothing half-done is ever seen."""

import errno
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID
from sqlalchemy import delete
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import OperationalError

from dicom_io.archive import archive as module
from dicom_io.archive import described, durable
from dicom_io.archive.archive import Archive
from dicom_io.archive.described import Summary
from dicom_io.capabilities import DEFLATED
from dicom_io.errors import InstanceConflict, NotFound, NotReadable
from dicom_io.files.scanning import read_all
from dicom_io.files.series import open_series, read_instance
from dicom_io.uids import UidError, derived
from tests.dicom_io.synthetic import J2K, RLE, SYNTAXES, grid, image, ramp, save


def slices(count: int = 3, series: str = "series") -> list[Dataset]:
    stored = ramp((count, 8, 8))
    return [image(plane, grid(), k, series=series) for k, plane in enumerate(stored)]


def spooled(archive: Archive, data: bytes) -> Path:
    def write(path: Path) -> None:
        path.write_bytes(data)

    return archive.spool(write)


def file_of(ds: Dataset, folder: Path, syntax: str | None = None) -> bytes:
    path = folder / "one.dcm"
    return (save(ds, path, syntax) if syntax else save(ds, path)).read_bytes()


def everything(archive: Archive) -> dict[str, list[str]]:
    """File names in the archive's folders."""
    return {
        name: sorted(p.name for p in (archive.root / name).rglob("*") if p.is_file())
        for name in ("instances", "spool", "quarantine")
    }


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive")


def test_keeping_again_changes_nothing(archive: Archive) -> None:
    first = archive.keep(slices())
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in archive.root.rglob("*.dcm")}
    assert archive.keep(slices()) == first
    assert {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in archive.root.rglob("*.dcm")} == before
    assert [i.sop_instance_uid for i in archive.series(derived("series")).instances] == [
        derived("series", "instance", str(k)) for k in range(3)
    ]
    assert everything(archive)["spool"] == everything(archive)["quarantine"] == []


def test_one_in_conflict_does_not_stop_the_others(archive: Archive) -> None:
    archive.keep(slices()[1:2])
    changed = slices()
    changed[1].PatientID = "P-2"
    with pytest.raises(InstanceConflict):
        archive.keep(changed)
    assert len(archive.series(derived("series")).instances) == 3
    assert len(everything(archive)["quarantine"]) == 1
    assert everything(archive)["spool"] == []


def test_one_that_cannot_be_written_leaves_nothing_of_its_batch(archive: Archive) -> None:
    datasets = slices()
    datasets[2].add_new(0x00080100, "XX", "a")
    with pytest.raises(Exception, match="XX"):
        archive.keep(datasets)
    assert all(files == [] for files in everything(archive).values())


def test_one_that_cannot_be_read_again_leaves_nothing_of_its_batch(archive: Archive) -> None:
    datasets = slices()
    del datasets[2].SeriesInstanceUID
    with pytest.raises(NotReadable):
        archive.keep(datasets)
    assert all(files == [] for files in everything(archive).values())


def test_admit_says_new_then_same(archive: Archive, tmp_path: Path) -> None:
    data = file_of(slices()[0], tmp_path)
    assert archive.admit(spooled(archive, data)).news == "new"
    assert archive.admit(spooled(archive, data)).news == "same"


def test_other_file_meta_information_is_the_same_instance(archive: Archive, tmp_path: Path) -> None:
    ds = slices()[0]
    archive.keep([ds])
    ds.file_meta.ImplementationVersionName = "SOMEBODY_ELSE"
    assert archive.admit(spooled(archive, file_of(ds, tmp_path))).news == "same"


def test_other_content_is_a_conflict_and_the_first_stays(archive: Archive, tmp_path: Path) -> None:
    ds = slices()[0]
    (kept,) = archive.keep([ds])
    first = Path(kept.path).read_bytes()
    ds.PatientID = "P-2"
    for _ in range(2):  # a sender tries again
        with pytest.raises(InstanceConflict, match=r"kept already with other content. The first one stays"):
            archive.keep([ds])
    assert Path(kept.path).read_bytes() == first
    assert archive.instance(kept.sop_instance_uid).patient_id == "P-1"
    names = everything(archive)
    assert names["spool"] == [] and len(names["instances"]) == 1 and len(names["quarantine"]) == 1
    (aside,) = (archive.root / "quarantine").iterdir()
    assert read_instance(aside).patient_id == "P-2"


def test_a_crash_between_name_and_index_is_repaired_by_trying_again(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Archive, "_index", crash)
        with pytest.raises(KeyboardInterrupt):
            archive.keep(slices(1))
    assert len(everything(archive)["instances"]) == 1
    assert archive.all_series() == ()  # nobody was told, nobody sees it
    archive.keep(slices(1))
    assert len(archive.all_series()[0].instances) == 1
    assert everything(archive)["spool"] == []


def test_after_such_a_crash_other_content_is_still_a_conflict(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Archive, "_index", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            archive.keep(slices(1))
    (other,) = slices(1)
    other.PatientID = "P-2"
    with pytest.raises(InstanceConflict):
        archive.keep([other])


def test_two_at_once_with_one_uid_keep_exactly_one(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are written before either gets the name, and one has the name before either is in the index."""
    both = threading.Barrier(2, timeout=20)
    place = durable.place

    def place_together(spooled: Path, target: Path) -> bool:
        both.wait()
        found = place(spooled, target)
        both.wait()
        return found

    monkeypatch.setattr(module, "place", place_together)
    datasets = [slices(1)[0], slices(1)[0]]
    datasets[1].PatientID = "P-2"
    outcome: list[str] = []

    def keep(ds: Dataset) -> None:
        try:
            archive.keep([ds])
            outcome.append(str(ds.PatientID))
        except InstanceConflict:
            outcome.append("conflict")

    threads = [threading.Thread(target=keep, args=(ds,)) for ds in datasets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    winner = next(o for o in outcome if o != "conflict")
    assert sorted(outcome) == sorted(["conflict", winner])
    kept = archive.instance(datasets[0].SOPInstanceUID)
    assert kept.patient_id == winner == read_instance(Path(kept.path)).patient_id
    assert [len(s.instances) for s in archive.rebuild_index().series] == [1]


def test_one_uid_in_two_series(archive: Archive) -> None:
    one, other = slices(1)[0], slices(1)[0]
    other.SeriesInstanceUID = derived("another series")
    archive.keep([one])
    with pytest.raises(InstanceConflict):
        archive.keep([other])
    assert len(everything(archive)["instances"]) == 1
    assert len(everything(archive)["quarantine"]) == 1


def test_a_file_system_without_links(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    archive.keep(slices())
    assert archive.keep(slices()) == archive.series(derived("series")).instances
    assert len(everything(archive)["instances"]) == 3


@pytest.mark.parametrize("step", ["write", "flush", "link", "flush folders"])
def test_a_full_disk_leaves_nothing_half_written(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, step: str, tmp_path: Path
) -> None:
    data = file_of(slices(1)[0], tmp_path)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def half(path: Path) -> None:
        path.write_bytes(data[:300])
        full()

    with monkeypatch.context() as patch:
        if step in ("flush", "flush folders"):
            patch.setattr(module, "flush" if step == "flush" else "flush_folders", full)
            patch.setattr(archive, "_names_with_files", False)
        if step == "link":
            patch.setattr(os, "link", full)
        with pytest.raises(OSError, match="No space left"):
            archive.admit(archive.spool(half) if step == "write" else spooled(archive, data))
    assert everything(archive)["spool"] == []
    assert archive.all_series() == ()
    assert archive.admit(spooled(archive, data)).news == "new"
    assert len(archive.all_series()) == 1


def test_a_file_that_was_cut_since_is_mended_by_what_comes_again(archive: Archive, tmp_path: Path) -> None:
    data = file_of(slices(1)[0], tmp_path)
    kept = archive.admit(spooled(archive, data))
    path = Path(kept.instance.path)
    os.truncate(path, len(data) - 100)
    assert archive.admit(spooled(archive, data)).news == "new"
    assert path.read_bytes() == data
    assert archive.admit(spooled(archive, data)).news == "same"
    assert len(archive.all_series()[0].instances) == 1 and everything(archive)["spool"] == []


def test_sweep_takes_what_the_dead_left_and_nothing_else(archive: Archive) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as living:
        ours = spooled(archive, b"still being written")
        folders = [f"{ended.pid}-0123456789ab", f"{ended.pid}", f"{os.getpid()}-0123456789ab", f"{living.pid}-0123"]
        for name in [*folders, "not a process"]:
            (archive.root / "spool" / name).mkdir()
            (archive.root / "spool" / name / "x.part").write_bytes(b"half")
        assert archive.sweep() == 3
        left = sorted(p.name for p in (archive.root / "spool").iterdir())
        assert left == sorted([f"{living.pid}-0123", "not a process", ours.parent.name])
        assert ours.read_bytes() == b"still being written"
        living.communicate(b"\n")


def test_the_index_comes_again_from_the_files(archive: Archive) -> None:
    archive.keep([*slices(), *slices(2, "second")])
    before = archive.all_series()
    assert len(before) == 2
    assert archive.rebuild_index().series == before
    assert archive.all_series() == before
    for file in archive.root.glob("workstation.db*"):
        file.unlink()
    lost = Archive(archive.root)
    assert lost.all_series() == ()
    assert lost.rebuild_index().series == before
    assert lost.all_series() == before


def test_rows_that_a_power_cut_took_come_again_from_the_files(archive: Archive) -> None:
    """Files are flushed one by one, the index is not: after a start of the machine, files without a row get one."""
    archive.keep([*slices(), *slices(2, "second")])
    before = archive.all_series()
    assert archive.after_power_cut() == 0
    lost = archive.series(derived("second")).instances
    with archive._database.begin() as connection:
        connection.execute(delete(module._INSTANCE).where(module._INSTANCE.c.series_uid == derived("second")))
    assert archive.after_power_cut() == 0  # the machine has not been started since: nobody looks
    (archive.root / "index.boot").write_text("an earlier start")
    torn = Path(lost[0].path)
    torn.write_bytes(torn.read_bytes()[:200])
    assert archive.after_power_cut() == 1  # the other one is half a file, and was never acknowledged
    archive.keep(slices(2, "second"))
    assert archive.all_series() == before
    assert read_instance(torn) == lost[0] and everything(archive)["quarantine"] == []


def test_an_archive_may_be_moved(archive: Archive, tmp_path: Path) -> None:
    archive.keep(slices())
    shutil.copytree(archive.root, tmp_path / "elsewhere")
    shutil.rmtree(archive.root / "instances")
    moved = Archive(tmp_path / "elsewhere").series(derived("series"))
    assert all(read_instance(Path(i.path)) == i for i in moved.instances)


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
@pytest.mark.parametrize("uid", ["../../x", "/etc/x", "1.2.3/../../4", "1." * 40 + "1", "", "1.2\x00.3", "1..2", "x"])
def test_what_is_no_uid_never_becomes_a_path(archive: Archive, tmp_path: Path, keyword: str, uid: str) -> None:
    ds = slices(1)[0]
    ds[keyword].value = uid
    if keyword == "SOPInstanceUID":
        ds.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    path = tmp_path / "hostile.dcm"
    ds.save_as(path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(NotReadable, match="not a valid UID"):
        archive.admit(spooled(archive, path.read_bytes()))
    for lookup in (archive.series, archive.instance):
        with pytest.raises(UidError):
            lookup(uid)
    assert everything(archive) == {"instances": [], "spool": [], "quarantine": []}
    assert [p for p in sorted(tmp_path.rglob("*")) if p not in before and "spool" not in p.parts] == []


def test_what_is_not_there_is_not_found(archive: Archive) -> None:
    for lookup in (archive.series, archive.instance):
        with pytest.raises(NotFound, match=r"1\.2\.3 is not in the archive"):
            lookup("1.2.3")


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_syntax_is_kept_byte_for_byte(archive: Archive, tmp_path: Path, syntax: str) -> None:
    ds = image(ramp((1, 32, 32))[0], grid(), 0)
    data = file_of(ds, tmp_path, syntax)
    kept = archive.admit(spooled(archive, data)).instance
    assert Path(kept.path).read_bytes() == data
    assert kept.transfer_syntax_uid == syntax
    assert archive.instance(kept.sop_instance_uid) == kept == read_instance(Path(kept.path))


@pytest.mark.parametrize("meta", [True, False])
def test_a_file_without_preamble_is_imported(archive: Archive, tmp_path: Path, meta: bool) -> None:
    ds = slices(1)[0]
    ds.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2")
    path = tmp_path / "in" / "old.dcm"
    path.parent.mkdir()
    if meta:
        ds.save_as(path, enforce_file_format=True)
        path.write_bytes(path.read_bytes()[132:])
    else:
        del ds.file_meta
        ds.save_as(path, implicit_vr=True, little_endian=True)
    scan = archive.import_files(path.parent)
    assert scan.unreadable == ()
    (kept,) = scan.series[0].instances
    assert Path(kept.path).read_bytes()[128:132] == b"DICM"
    assert kept.frames == read_instance(path).frames
    assert archive.import_files(path.parent).unreadable == ()  # again is the same


def test_import_lists_what_it_cannot_take(archive: Archive, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for k, ds in enumerate(slices()):
        save(ds, folder / f"{k}.dcm")
    (folder / "notes.txt").write_text("not DICOM at all")
    (folder / "empty").write_bytes(b"")
    (folder / "cut.dcm").write_bytes((folder / "0.dcm").read_bytes()[:-10])
    (folder / "DICOMDIR").write_bytes(b"ignored")
    counts: list[int] = []
    scan = archive.import_files(folder, counts.append)
    assert [len(s.instances) for s in scan.series] == [3]
    assert {Path(u.path).name: u.reason.split(": ", 1)[1] for u in scan.unreadable} == {
        "notes.txt": "not a DICOM file (no DICM prefix and no data set at the start).",
        "empty": "not a DICOM file (no DICM prefix and no data set at the start).",
        "cut.dcm": "cut short, 118 of 128 bytes of pixel data. Ask for it again.",
    }
    assert counts == [1, 2, 3, 4, 5, 6]
    assert everything(archive)["spool"] == []


def test_an_import_in_many_batches_takes_everything_once(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copies, a file that is no DICOM and an instance with other content lie in different batches and in the same."""
    folder = tmp_path / "in"
    folder.mkdir()
    for k, ds in enumerate([*slices(7), *slices(7)]):
        save(ds, folder / f"{k:02}.dcm")
    other = slices(1)[0]
    other.PatientID = "P-2"
    save(other, folder / "01b.dcm")
    save(other, folder / "99.dcm")
    (folder / "03.txt").write_text("not DICOM")
    monkeypatch.setattr(module, "_SCANNED", 5)
    monkeypatch.setattr(module, "_BATCH", 3)
    scan = archive.import_files(folder)
    assert [len(s.instances) for s in scan.series] == [7]
    assert sorted(Path(u.path).name for u in scan.unreadable) == ["01b.dcm", "03.txt", "99.dcm"]
    for instance in scan.series[0].instances:
        assert instance == archive.instance(instance.sop_instance_uid) == read_instance(Path(instance.path))
    assert len(everything(archive)["instances"]) == 7 and everything(archive)["spool"] == []


def test_a_file_that_changes_between_its_header_and_its_copy_is_read_again(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(slices(1)[0], tmp_path / "in.dcm")
    real = read_all

    def then_changed(files: list[Path]) -> Any:
        found = real(files)
        later = slices(1, "rewritten by its sender")[0]
        later.PatientComments = "longer than before"
        save(later, path)
        return found

    monkeypatch.setattr(module, "read_all", then_changed)
    (series,) = archive.import_files(path).series
    assert series.uid == derived("rewritten by its sender")
    assert series.instances[0] == read_instance(Path(series.instances[0].path))


def test_a_crash_in_the_middle_of_an_import_is_repaired_by_importing_again(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for k, ds in enumerate(slices(5)):
        save(ds, folder / f"{k}.dcm")
    with monkeypatch.context() as patch:
        patch.setattr(Archive, "_index", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            archive.import_files(folder)
    assert archive.all_series() == () and everything(archive)["spool"] == []
    assert [len(s.instances) for s in archive.import_files(folder).series] == [5]
    assert len(everything(archive)["instances"]) == 5 and everything(archive)["quarantine"] == []


@pytest.mark.parametrize("syntax", [None, DEFLATED, RLE, J2K])
def test_a_cut_file_is_refused_wherever_it_was_cut(archive: Archive, tmp_path: Path, syntax: str | None) -> None:
    data = file_of(image(ramp((1, 32, 32))[0], grid(), 0), tmp_path, syntax)
    for end in [*range(0, len(data) - 1, 37), len(data) - 9, len(data) - 2]:
        with pytest.raises(NotReadable):
            archive.admit(spooled(archive, data[:end]))
    assert everything(archive) == {"instances": [], "spool": [], "quarantine": []}


def test_a_cut_document_is_refused_wherever_it_was_cut(archive: Archive, tmp_path: Path) -> None:
    """A document has no pixels whose number would show that something is missing."""
    ds = slices(1)[0]
    for keyword in ("Rows", "Columns", "PixelData", "BitsAllocated", "BitsStored", "HighBit"):
        del ds[keyword]
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.22"
    ds.ContentSequence = [Dataset() for _ in range(3)]
    for item in ds.ContentSequence:
        item.TextValue = "Finding " * 20
    data = file_of(ds, tmp_path)
    inside = data.index(b"Finding")
    for end in range(inside, len(data), 11):
        with pytest.raises(NotReadable):
            archive.admit(spooled(archive, data[:end]))
    assert archive.admit(spooled(archive, data)).news == "new"


def test_messages_name_no_spool_file(archive: Archive) -> None:
    with pytest.raises(NotReadable) as caught:
        archive.admit(spooled(archive, b"nonsense"))
    assert str(caught.value) == "The instance is not a DICOM file (no DICM prefix and no data set at the start)."


def test_open_series_of_an_archive_folder(archive: Archive) -> None:
    archive.keep(slices())
    assert open_series(archive.root / "instances")[0] == archive.series(derived("series"))


def test_series_open_from_the_archive_as_from_a_folder(archive: Archive, tmp_path: Path) -> None:
    for number, ds in enumerate(slices()):
        save(ds, tmp_path / f"{number}.dcm")
    archive.import_files(tmp_path)
    (kept,), (loose,) = open_series(archive), open_series(tmp_path)
    assert kept.uid == loose.uid
    assert [i.sop_instance_uid for i in kept.instances] == [i.sop_instance_uid for i in loose.instances]


def test_summaries_say_what_the_series_say(archive: Archive) -> None:
    """By the database as by reading every header: of the lowest instance number, then UID, whatever the words are."""
    first, mixed, bare = slices(4, "first"), slices(3, "mixed"), slices(1, "bare")
    for ds, number in zip(first, (7, -2, 7, 12), strict=True):
        ds.InstanceNumber = number
        ds.PatientID, ds.SeriesDescription = f"P'{number}\"", f'Schädel "dünn", {number} / 2 %'
    for ds in mixed[:1]:
        del ds.PixelData, ds.Rows, ds.Columns
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.66"
    for ds in bare:
        del ds.PatientID, ds.AccessionNumber, ds.StudyDate
    archive.keep([*first, *mixed, *bare])
    expected = [
        Summary(
            s.uid, s.first.study_uid, s.first.patient_id, s.first.accession, s.modality, s.description,
            s.first.study_date, len(s.instances), s.first.is_image, s.first.path, "Phantom^Small", "Phantom Maker",
        )
        for s in archive.all_series()
    ]  # fmt: skip
    assert list(archive.summaries()) == expected
    assert {s.series_uid: s.is_image for s in expected}[derived("mixed")] is False
    assert "-2 / 2 %" in {s.series_uid: s.description for s in expected}[derived("first")]
    assert archive.summaries([derived("bare"), "1.2.3"]) == tuple(
        s for s in expected if s.series_uid == derived("bare")
    )
    assert archive.summaries([]) == ()


def test_a_series_is_read_once_for_all_summaries(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by a process that starts later: reading twenty thousand files would take half a minute each time."""
    archive.keep(slices(2))
    before = archive.summaries()

    def opened(path: object) -> None:
        raise AssertionError(f"{path} was opened")

    monkeypatch.setattr(described, "read_dataset", opened)
    assert Archive(archive.root).summaries() == before
    assert archive.summaries([before[0].series_uid]) == before


def test_a_summary_follows_its_series(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = slices(3)
    first.PatientName, second.PatientName = "First^A", "Second^B"
    archive.keep([first, second])
    (before,) = archive.summaries()
    # One goes and another comes: as many as before, and another first one.
    archive.forget([first.SOPInstanceUID])
    archive.keep([third])
    (after,) = archive.summaries()
    assert (before.patient_name, after.patient_name, after.instances) == ("First^A", "Second^B", 2)

    def full(*_: object) -> None:
        raise OperationalError("full", None, Exception("disk full"))

    archive.keep([first, *slices(1, "another")])
    monkeypatch.setattr(archive.catalogue._rows, "begin", full)
    found = {one.series_uid: (one.patient_name, one.instances) for one in archive.summaries()}
    assert found == {after.series_uid: ("First^A", 3), derived("another"): ("Phantom^Small", 1)}


def test_a_series_whose_file_is_gone_stays_in_the_list(archive: Archive) -> None:
    """With what the index says of it; the others are listed as ever."""
    archive.keep([*slices(1, "gone"), *slices(1, "there")])
    gone = Path(archive.series(derived("gone")).first.path)
    away = gone.rename(gone.with_suffix(".away"))
    found = {one.series_uid: (one.patient_id, bool(one.patient_name)) for one in archive.summaries()}
    assert found[derived("gone")] == (found[derived("there")][0], False)
    assert found[derived("there")][1]
    away.rename(gone)  # a disk that was not there for a moment
    assert {one.patient_name for one in archive.summaries()} == {"Phantom^Small"}


def test_summaries_read_the_headers_of_other_databases_as_json() -> None:
    """What is sent to PostgreSQL, whose operators do not take a text for JSON."""
    said = str(module._summaries("postgresql", ["1.2.3"]).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
    assert "CAST(instance.header AS JSON) ->> " in said and "JSON_EXTRACT" not in said
