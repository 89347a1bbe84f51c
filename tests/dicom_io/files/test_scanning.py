"""Folders as they are: many files at once, copies, DICOMDIR, odd names and bad character sets."""

import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dicom_io.archive import Archive
from dicom_io.files.scanning import Unreadable, read_all
from dicom_io.files.series import files_below, open_series, scan
from dicom_io.volumes import build_volume
from tests.dicom_io.synthetic import grid, ramp, write_series


@pytest.mark.slow
def test_helpers_read_the_same_as_this_process(tmp_path: Path) -> None:
    write_series(tmp_path, ramp((7, 4, 4)), grid())
    (tmp_path / "note.txt").write_text("no image")
    files = list(files_below(tmp_path))
    alone, helped = read_all(files, helpers=0), read_all(files, few=0, helpers=2)
    assert alone == helped
    assert sum(isinstance(f, Unreadable) for f in alone) == 1


def test_a_helper_that_fails_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_series(tmp_path, ramp((4, 4, 4)), grid())
    files = list(files_below(tmp_path))
    monkeypatch.setattr("sys.executable", "/bin/false")
    assert read_all(files, few=0, helpers=1) == read_all(files)


@pytest.mark.parametrize("seed", range(5))
def test_any_permutation_of_files_gives_the_same_volume(tmp_path: Path, seed: int) -> None:
    write_series(tmp_path / "as sent", ramp((8, 4, 4)), grid())
    expected = build_volume(open_series(tmp_path / "as sent")[0])
    names = [f"{n}" for n in range(8)]
    random.Random(seed).shuffle(names)
    for n, file in enumerate(sorted((tmp_path / "as sent").iterdir())):
        target = tmp_path / "shuffled" / names[n][0] / names[n]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    again = build_volume(open_series(tmp_path / "shuffled")[0])
    assert (again.digest, again.source_uids) == (expected.digest, expected.source_uids)


def test_copies_are_said_and_count_once(tmp_path: Path) -> None:
    write_series(tmp_path, ramp((4, 4, 4)), grid())
    shutil.copy(tmp_path / "0001.dcm", tmp_path / "copy.dcm")
    found = scan(tmp_path)
    assert build_volume(found.series[0]).shape == (4, 4, 4)
    assert [r.reason.split(": ")[1].startswith("a copy of") for r in found.repeated] == [True]


def test_another_file_with_the_same_uid_is_said(tmp_path: Path) -> None:
    write_series(tmp_path, ramp((4, 4, 4)), grid())

    def other(ds: Dataset, k: int) -> None:
        ds.RescaleIntercept = "7"

    write_series(tmp_path, ramp((1, 4, 4)), grid(), names=["zzz"], change=other)
    (said,) = scan(tmp_path).repeated
    assert "another file that says it is the instance of" in said.reason


@pytest.mark.parametrize("name", ["DICOMDIR", "dicomdir"])
def test_a_dicomdir_stands_for_its_folder(tmp_path: Path, name: str) -> None:
    write_series(tmp_path, ramp((4, 4, 4)), grid())
    (tmp_path / name).write_bytes(b"\0" * 128 + b"DICM")
    assert [len(s.instances) for s in open_series(tmp_path / name)] == [4]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("charset", ["ISO_IR 999", "ISO 2022 IR 87", "", "latin1", "ISO_IR 192"])
def test_character_sets_of_any_kind_do_not_stop_a_volume(tmp_path: Path, charset: str) -> None:
    def change(ds: Dataset, k: int) -> None:
        ds.SpecificCharacterSet = "ISO_IR 192"
        ds.SeriesDescription = "Schädel 頭部"

    write_series(tmp_path, ramp((3, 4, 4)), grid(), change=change)
    for file in tmp_path.iterdir():
        data = file.read_bytes()
        place = data.index(b"ISO_IR 192")
        file.write_bytes(data[:place] + charset.encode().ljust(10)[:10] + data[place + 10 :])
    np.testing.assert_array_equal(build_volume(open_series(tmp_path)[0]).voxels, ramp((3, 4, 4)))


def test_a_series_from_the_archive_is_opened_without_parsing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index knows geometry and offsets: pydicom is not asked for a single data set."""
    series = write_series(tmp_path / "in", ramp((5, 4, 4)), grid())
    archive = Archive(tmp_path / "state")
    archive.import_files(tmp_path / "in")

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a header was parsed")

    monkeypatch.setattr("pydicom.dcmread", never)
    monkeypatch.setattr("dicom_io.files.headers.read_instance", never)
    assert build_volume(archive.series(series.uid)).digest == build_volume(series).digest
    archive.close() if hasattr(archive, "close") else archive._database.dispose()
