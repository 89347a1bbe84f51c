"""A series is complete when it is quiet or has what was expected, and late instances make another revision of it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from dicom_io.archive import Archive
from dicom_io.arrivals import Arrivals, Completion
from dicom_io.database import open_database
from dicom_io.uids import derived
from tests.dicom_io.synthetic import grid, image, ramp

AT = datetime(2026, 3, 2, 10, tzinfo=UTC)
UID = derived("series")


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive")


def follow(archive: Archive, wanted: int | None = None) -> Arrivals:
    return Arrivals(archive, open_database(archive.root / "workstation.db"), 30.0, lambda uid: wanted)


def bring(archive: Archive, arrivals: Arrivals, numbers: range, now_s: float) -> list[Completion | None]:
    stored = ramp((10, 8, 8))
    archive.keep([image(stored[k], grid(), k) for k in numbers])
    return [arrivals.came(UID, now_s) for _ in numbers]


def test_quiet_for_long_enough(archive: Archive) -> None:
    arrivals = follow(archive)
    assert bring(archive, arrivals, range(3), 100.0) == [None] * 3
    assert arrivals.look(120.0, AT) == []
    bring(archive, arrivals, range(3, 5), 125.0)
    assert arrivals.look(150.0, AT) == []
    assert arrivals.look(155.0, AT) == [Completion(UID, 1, 5, AT)]
    assert arrivals.look(999.0, AT) == []


def test_a_late_instance_makes_another_revision(archive: Archive) -> None:
    arrivals = follow(archive)
    bring(archive, arrivals, range(3), 0.0)
    (first,) = arrivals.look(30.0, AT)
    assert bring(archive, arrivals, range(3, 5), 500.0) == [first, None]  # said once, not with each
    assert arrivals.look(530.0, AT) == [Completion(UID, 2, 5, AT)]
    assert arrivals.revisions() == {UID: 2}
    # The same instances once more open it and change nothing.
    assert bring(archive, arrivals, range(2), 600.0)[0] == Completion(UID, 2, 5, AT)
    assert arrivals.look(630.0, AT) == []


def test_as_many_as_expected_need_no_wait(archive: Archive) -> None:
    arrivals = follow(archive, 5)
    bring(archive, arrivals, range(4), 0.0)
    assert arrivals.look(1.0, AT) == []
    bring(archive, arrivals, range(4, 5), 1.0)
    assert arrivals.look(1.0, AT) == [Completion(UID, 1, 5, AT)]


def test_the_next_process_takes_up_what_was_open(archive: Archive) -> None:
    arrivals = follow(archive)
    bring(archive, arrivals, range(3), 0.0)
    again = follow(archive)
    again.left_open(1000.0)
    assert again.look(1029.0, AT) == []
    assert again.look(1030.0, AT) == [Completion(UID, 1, 3, AT)]
    last = follow(archive)
    last.left_open(2000.0)
    assert last.look(9000.0, AT) == []
