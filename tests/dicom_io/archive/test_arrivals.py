"""A series is complete when it is quiet or has what was expected, and late instances make another revision of it."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dicom_io.archive import Archive
from dicom_io.archive.arrivals import Arrivals, Completion, SeriesProgress
from dicom_io.archive.database import open_database
from dicom_io.uids import derived
from tests.dicom_io.synthetic import grid, image, ramp

AT = datetime(2026, 3, 2, 10, tzinfo=UTC)
UID = derived("series")


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive")


def follow(archive: Archive) -> Arrivals:
    return Arrivals(archive, open_database(archive.root / "workstation.db"), 30.0)


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
    assert arrivals.completions() == {UID: Completion(UID, 2, 5, AT)}
    # The same instances once more change nothing, so they do not open it.
    assert bring(archive, arrivals, range(2), 600.0) == [None, None]
    assert arrivals.look(630.0, AT) == []


def test_recent_completions_are_read_back_from_the_newest(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Page by page, and no further than the first page that is older."""
    monkeypatch.setattr("dicom_io.archive.arrivals._PAGE", 2)
    arrivals, hour = follow(archive), timedelta(hours=1)
    for n in range(5):
        bring(archive, arrivals, range(n, n + 1), 0.0)
        arrivals.whole([UID], AT + n * hour)
    last = Completion(UID, 5, 5, AT + 4 * hour)
    assert arrivals.recent(AT) == arrivals.recent(AT + 4 * hour) == {UID: last}
    assert arrivals.recent(AT + 5 * hour) == {}


def test_completions_since_a_place(archive: Archive) -> None:
    arrivals = follow(archive)
    assert (arrivals.last_place(), arrivals.since(0)) == (0, (0, []))
    bring(archive, arrivals, range(3), 100.0)
    (first,) = arrivals.whole([UID], AT)
    bring(archive, arrivals, range(3, 4), 100.0)
    (second,) = arrivals.whole([UID], AT)
    place, found = arrivals.since(0)
    assert (found, place) == ([first, second], arrivals.last_place())
    assert arrivals.since(place - 1) == (place, [second]) and arrivals.since(place) == (place, [])


def test_as_many_as_expected_need_no_wait(archive: Archive) -> None:
    arrivals = follow(archive)
    bring(archive, arrivals, range(4), 0.0)
    assert arrivals.look(1.0, AT, lambda uid: 5) == []
    bring(archive, arrivals, range(4, 5), 1.0)
    assert arrivals.look(1.0, AT, lambda uid: 5) == [Completion(UID, 1, 5, AT)]


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


def standing(archive: Archive, arrivals: Arrivals, now_s: float) -> SeriesProgress:
    """As another process sees it, at a time after the last instance came."""
    (series,) = archive.summaries()
    folder = Path(series.path).parent
    os.utime(folder, (1000.0, 1000.0))
    return arrivals.standing([series], 1000.0 + now_s)[UID]


def test_another_process_sees_how_far_a_series_is(archive: Archive) -> None:
    decider, looker = follow(archive), follow(archive)
    bring(archive, decider, range(3), 0.0)
    assert standing(archive, looker, 5.0) == SeriesProgress("arriving", 1)
    decider.look(30.0, AT)
    assert standing(archive, looker, 31.0) == SeriesProgress("complete", 1)
    assert standing(archive, looker, 1e6) == SeriesProgress("complete", 1)
    bring(archive, decider, range(3, 5), 500.0)
    assert standing(archive, looker, 1.0) == SeriesProgress("reopened", 2)
    assert standing(archive, looker, 1e6) == SeriesProgress("reopened", 2)
    decider.look(530.0, AT)
    assert standing(archive, looker, 31.0) == SeriesProgress("complete", 2)


def test_what_nobody_follows_is_not_said_to_arrive_for_ever(archive: Archive) -> None:
    arrivals = follow(archive)
    archive.keep([image(ramp((1, 8, 8))[0], grid(), 0)])
    assert standing(archive, arrivals, 59.0) == SeriesProgress("arriving", 1)
    assert standing(archive, arrivals, 61.0) == SeriesProgress("unknown", 0)
    (series,) = archive.summaries()
    Path(series.path).unlink()
    Path(series.path).parent.rmdir()
    assert arrivals.standing([series], 0.0) == {UID: SeriesProgress("unknown", 0)}


def test_what_is_said_to_be_whole_is_open_no_more(archive: Archive) -> None:
    arrivals = follow(archive)
    bring(archive, arrivals, range(3), 0.0)
    (first,) = arrivals.whole([UID], AT)
    # Whoever received them may say so after whoever heard that they are all: that is no news.
    assert arrivals.came(UID, 1.0) is None
    assert arrivals.look(1e6, AT) == []
    # One that comes late opens it, though the quiet time of those before is not over.
    assert bring(archive, arrivals, range(3, 4), 2.0) == [first]
    assert arrivals.look(32.0, AT) == [Completion(UID, 2, 4, AT)]


def test_whoever_brought_a_series_says_that_it_is_whole(archive: Archive) -> None:
    arrivals = follow(archive)
    archive.keep([image(plane, grid(), k) for k, plane in enumerate(ramp((3, 8, 8)))])
    assert archive.series_of(derived("series", "study")) == (UID,)
    assert arrivals.whole([UID, "1.2.3"], AT) == [Completion(UID, 1, 3, AT)]
    assert arrivals.whole([UID], AT) == []  # the same again is no revision
    assert standing(archive, arrivals, 1.0) == SeriesProgress("complete", 1)
    again = follow(archive)
    again.left_open(0.0)
    assert again.look(1e6, AT) == []
