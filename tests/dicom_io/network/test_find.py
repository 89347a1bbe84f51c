"""C-FIND over the catalogue gives what the files say, whatever is asked: against a look into each of them."""

import re
from collections import defaultdict
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from sqlalchemy.exc import OperationalError

from dicom_io.archive import Archive, described
from dicom_io.files.series import read_dataset
from dicom_io.network.provide import archive_services
from tests.dicom_io.synthetic import grid, image

NAMES = ("Müller^Jörg", "MÜLLER^JÖRG^^", "Muller^Jo_g", "O%Neil^Pat", "Wang^Xiao=王^小", "[x]^Y", "", "Strauß^A\\b")
DATES = ("20260302", "20260228", "20251231", "")
IDS = ("P-1", "p-1", "P_1", "P*1", " 7 ", "")


def kept(archive: Archive, study: int, series: str, number: int, **values: str) -> None:
    ds = image(np.zeros((2, 2), np.int16), grid(), number, series=series)
    ds.SpecificCharacterSet, ds.StudyInstanceUID, ds.InstanceNumber = "ISO_IR 192", f"1.2.{study}", number
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    archive.keep([ds])


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Studies of two series, of another modality each."""
    found = Archive(tmp_path_factory.mktemp("find"))
    several = list(product(NAMES, DATES))
    for n, (name, day) in enumerate(several):
        values = {"PatientName": name, "PatientID": IDS[n % len(IDS)], "StudyDate": day, "AccessionNumber": f"A{n % 7}"}
        for k, modality in enumerate(("CT", "MR" if n % 2 else "PT")):
            kept(found, n, f"{n} {k}", 1, Modality=modality, **values)
    return found


class Asked:
    """A request as a receiver hands it on."""

    calling, address = "PACS", "127.0.0.1"

    def __init__(self, level: str, **keys: str) -> None:
        self.data_set = Dataset()
        self.data_set.QueryRetrieveLevel = level
        for keyword, value in keys.items():
            setattr(self.data_set, keyword, value)

    def cancelled(self) -> bool:
        return False


def answers(archive: Archive, level: str, **keys: str) -> list[Dataset]:
    (find, *_) = archive_services(archive, lambda title: None, "WS").values()
    replies = list(find(Asked(level, **keys)))  # type: ignore[arg-type]
    assert replies[-1].status == 0, replies[-1].comment
    return [reply.data_set for reply in replies if reply.data_set is not None]


def like(wanted: str, said: str, *, name: bool = False, day: bool = False) -> bool:
    """As PS3.4 C.2.2.2 says it: single value, range, wildcard; names without regard to case and empty components."""
    wanted, said = wanted.strip(), said.strip()
    if day and "-" in wanted:
        first, last = wanted.split("-")
        return said != "" and (not first or said >= first) and (not last or said <= last)
    if name:
        wanted, said = wanted.casefold().rstrip("^"), said.casefold().rstrip("^")
    pattern = re.escape(wanted).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(pattern, said, re.DOTALL) is not None


@dataclass(frozen=True)
class File:
    study: str
    names: tuple[str, ...]
    day: str
    patient: str
    modality: str


@pytest.fixture(scope="module")
def files(archive: Archive) -> list[File]:
    found = []
    for uid in archive.counts():
        ds = read_dataset(archive.series(uid).first.path)
        names = tuple(str(name) for name in (ds.PatientName if ds["PatientName"].VM > 1 else [ds.PatientName]))
        found.append(File(ds.StudyInstanceUID, names, ds.StudyDate, ds.PatientID, ds.Modality))
    return found


def by_looking(files: list[File], name: str, day: str, patient: str, modality: str) -> list[str]:
    modalities: dict[str, set[str]] = defaultdict(set)
    for one in files:
        modalities[one.study].add(one.modality)
    return sorted(
        {
            one.study
            for one in files
            if (not name or any(like(name, each, name=True) for each in one.names))
            and (not day or like(day, one.day, day=True))
            and (not patient or like(patient, one.patient))
            and (not modality or any(like(modality, each) for each in modalities[one.study]))
        }
    )


def asked_for(values: tuple[str, ...]) -> st.SearchStrategy[str]:
    """A value, or a part of one with wildcards somewhere."""
    pieces = st.sampled_from([v for v in values if v]).flatmap(
        lambda v: st.lists(st.integers(0, len(v) - 1), max_size=5).map(
            lambda at: "".join("*?"[i % 2] if i in at else sign for i, sign in enumerate(v))
        )
    )
    return st.one_of(st.just(""), pieces, pieces.map(lambda v: v[: len(v) // 2] + "*"), pieces.map(str.swapcase))


@settings(max_examples=60, deadline=None)
@given(
    asked_for(tuple(name.replace("\\", "?") for name in NAMES)),
    st.one_of(
        st.sampled_from(["", "-20260101", "20260101-", "20260228-20260302", "20260302-20260302", "2026*", "2025????"])
    ),
    asked_for(IDS),
    st.sampled_from(["", "CT", "MR", "P?", "*", "ct"]),
)
def test_a_query_finds_what_the_files_say(
    archive: Archive, files: list[File], name: str, day: str, patient: str, modality: str
) -> None:
    keys = {"PatientName": name, "StudyDate": day, "PatientID": patient, "ModalitiesInStudy": modality}
    found = answers(archive, "STUDY", StudyInstanceUID="", **keys)
    assert sorted(str(ds.StudyInstanceUID) for ds in found) == by_looking(files, name, day, patient, modality)


def test_no_file_is_opened_that_was_described_before(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {"PatientName": "m*", "StudyDescription": "", "StudyInstanceUID": ""}
    before = answers(archive, "STUDY", **wanted)
    assert len(before) == 12

    def opened(path: object) -> None:
        raise AssertionError(f"{path} was opened")

    monkeypatch.setattr(described, "read_dataset", opened)
    monkeypatch.setattr("dicom_io.network.provide.read_dataset", opened)
    assert answers(archive, "STUDY", **wanted) == before
    study = before[0].StudyInstanceUID
    (series, _) = answers(archive, "SERIES", StudyInstanceUID=study, SeriesInstanceUID="", Modality="")
    keys = {"StudyInstanceUID": study, "SeriesInstanceUID": series.SeriesInstanceUID, "SOPInstanceUID": ""}
    (one,) = answers(archive, "IMAGE", InstanceNumber="", SOPClassUID="", **keys)
    assert (one.InstanceNumber, one.SOPClassUID) == (1, "1.2.840.10008.5.1.4.1.1.2")


def test_what_comes_later_goes_or_changes_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = Archive(tmp_path)
    kept(archive, 1, "a", 5, PatientName="Old^Name", PatientID="P")
    (one,) = answers(archive, "STUDY", PatientName="old*", NumberOfStudyRelatedInstances="")
    assert one.NumberOfStudyRelatedInstances == 1
    kept(archive, 1, "a", 2, PatientName="New^Name", PatientID="P")  # the first one now
    assert answers(archive, "STUDY", PatientName="old*") == []
    (one,) = answers(archive, "STUDY", PatientName="new*", NumberOfStudyRelatedInstances="")
    assert one.NumberOfStudyRelatedInstances == 2

    kept(archive, 1, "a", 9, PatientName="New^Name", PatientID="P")

    def full(*_: object) -> None:
        raise OperationalError("full", None, Exception("disk full"))

    with monkeypatch.context() as patched:
        patched.setattr(archive.catalogue._rows, "begin", full)
        (one,) = answers(archive, "STUDY", PatientName="new*", NumberOfStudyRelatedInstances="")
        assert one.NumberOfStudyRelatedInstances == 3
    archive.forget([i.sop_instance_uid for i in archive.series(archive.all_series()[0].uid).instances])
    assert answers(archive, "STUDY", PatientName="new*") == []


def test_one_whose_file_is_gone_is_no_answer(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    kept(archive, 1, "a", 1, PatientName="A", PatientID="P")
    kept(archive, 2, "b", 1, PatientName="A", PatientID="P")
    Path(archive.all_series()[0].first.path).unlink()
    assert [ds.PatientID for ds in answers(archive, "STUDY", PatientID="P")] == ["P"]
