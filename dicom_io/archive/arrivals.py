"""Which series are complete: no instance came for a while, as many came as were expected, or the sender said so.

Each completion of a series is a revision. A late instance reopens the series, and its next completion is the next
revision. The archive's index counts the instances; the table here stores only the completions. So one process decides,
and every process sees how far a series is.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, get_args

from sqlalchemy import Column, Engine, Integer, String, Table, Text, func, insert, select

from dicom_io.archive.archive import Archive
from dicom_io.archive.database import INDEX_TABLES
from dicom_io.archive.described import Summary

_COMPLETION = Table(
    "series_completion",
    INDEX_TABLES,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("series_uid", String(64), nullable=False, index=True),
    Column("revision", Integer, nullable=False),
    Column("instances", Integer, nullable=False),
    Column("at", Text, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Completion:
    """A series as it was when it was complete. revision : 1 for the first time."""

    series_uid: str
    revision: int
    instances: int
    at: datetime


Stage = Literal["arriving", "complete", "reopened", "unknown"]
STAGES: tuple[Stage, ...] = get_args(Stage)
# The deciding process looks every few seconds: if it has not decided this long after the quiet time, it is not running.
_DECIDED_WITHIN_S = 30.0
# So many completions are read together, newest first.
_PAGE = 500


@dataclass(frozen=True, slots=True)
class SeriesProgress:
    """How far a series is.

    stage : `reopened` when instances have come since it was complete; `unknown` when none come any more and no process
    has declared it complete. revision : the one that is complete or arriving; 0 when unknown.
    """

    stage: Stage
    revision: int


class Arrivals:
    """Follows the series that are arriving. Nothing runs by itself: the caller calls `look` every few seconds.

    quiet_s : a series is complete when no instance has come for this long.
    """

    def __init__(self, archive: Archive, database: Engine, quiet_s: float) -> None:
        self._archive, self._database, self._quiet_s = archive, database, quiet_s
        self._open: dict[str, float] = {}

    def came(self, series_uid: str, now_s: float) -> Completion | None:
        """Notes that an instance of a series came. Returns the series' last completion if this reopens it.

        An instance that was there at the completion reopens nothing: it was sent twice, or its notice came late.
        """
        if series_uid in self._open:
            self._open[series_uid] = now_s
            return None
        last = self.last(series_uid)
        if last is not None and self._archive.counts([series_uid]).get(series_uid) == last.instances:
            return None
        self._open[series_uid] = now_s
        return last

    def left_open(self, now_s: float) -> None:
        """Takes over from an earlier process: follows every series whose instance count is not that of a completion."""
        completions = self.completions()
        for series_uid, count in self._archive.counts().items():
            last = completions.get(series_uid)
            if series_uid not in self._open and (last is None or last.instances != count):
                self._open[series_uid] = now_s

    def look(
        self, now_s: float, at: datetime, expected: Callable[[str], int | None] = lambda series_uid: None
    ) -> list[Completion]:
        """Returns the series that have become complete.

        now_s : by the same clock as for `came`. at : time of the completion, for the record. expected : how many
        instances a series will have, by its Series Instance UID; None while that is not known.
        """
        counts = self._archive.counts(self._open) if self._open else {}
        ended: dict[str, int] = {}
        finished: list[str] = []
        for series_uid, since in list(self._open.items()):
            count = counts.get(series_uid, 0)
            if now_s - since < self._quiet_s:
                expected_count = expected(series_uid)
                if expected_count is None or count < expected_count:
                    continue
            finished.append(series_uid)
            if count:
                ended[series_uid] = count
        done = self._complete(ended, at)
        for series_uid in finished:  # only after they are stored: the disk may be full
            del self._open[series_uid]
        return done

    def whole(self, series_uids: Collection[str], at: datetime) -> list[Completion]:
        """Marks series as complete on the sender's word: an import has ended, a study was fetched, or a sender asks
        us to commit to what it has sent."""
        done = self._complete(self._archive.counts(series_uids), at)
        for series_uid in series_uids:
            self._open.pop(series_uid, None)
        return done

    def _complete(self, counts: Mapping[str, int], at: datetime) -> list[Completion]:
        """Stores a completion for each series whose instance count differs from that of its last completion."""
        if not counts:
            return []
        completions, done = self.completions(counts), []
        for series_uid, count in counts.items():
            last = completions.get(series_uid)
            if last is None or last.instances != count:
                done.append(Completion(series_uid, 1 if last is None else last.revision + 1, count, at))
        if done:
            rows = [
                {
                    "series_uid": completion.series_uid,
                    "revision": completion.revision,
                    "instances": completion.instances,
                    "at": completion.at.isoformat(),
                }
                for completion in done
            ]
            with self._database.begin() as connection:
                connection.execute(insert(_COMPLETION), rows)
        return done

    def standing(self, series: Iterable[Summary], now_s: float) -> dict[str, SeriesProgress]:
        """Tells how far each series is, whichever process follows it. now_s : since the epoch, as file times are."""
        completions, found = self.completions(), {}
        for summary in series:
            last = completions.get(summary.series_uid)
            if last is not None:
                whole = last.instances == summary.instances
                stage: Stage = "complete" if whole else "reopened"
                found[summary.series_uid] = SeriesProgress(stage, last.revision if whole else last.revision + 1)
            elif now_s - _changed_s(Path(summary.path).parent) <= self._quiet_s + _DECIDED_WITHIN_S:
                found[summary.series_uid] = SeriesProgress("arriving", 1)
            else:
                found[summary.series_uid] = SeriesProgress("unknown", 0)
        return found

    def since(self, place: int) -> tuple[int, list[Completion]]:
        """Returns the completions that were stored after a place among all of them, in their order, and the place of
        the last one; 0 is before the first."""
        query = select(_COMPLETION).where(_COMPLETION.c.place > place).order_by(_COMPLETION.c.place)
        with self._database.connect() as connection:
            rows = connection.execute(query).all()
        found = [
            Completion(row.series_uid, row.revision, row.instances, datetime.fromisoformat(row.at)) for row in rows
        ]
        return (rows[-1].place if rows else place), found

    def recent(self, after: datetime) -> dict[str, Completion]:
        """Returns the last completion of each series that was completed since. Reads back from the newest one, and not
        the history before."""
        found: dict[str, Completion] = {}
        below: int | None = None
        while True:
            query = select(_COMPLETION).order_by(_COMPLETION.c.place.desc()).limit(_PAGE)
            if below is not None:
                query = query.where(_COMPLETION.c.place < below)
            with self._database.connect() as connection:
                rows = connection.execute(query).all()
            for row in rows:
                one = Completion(row.series_uid, row.revision, row.instances, datetime.fromisoformat(row.at))
                if one.at >= after:
                    found.setdefault(one.series_uid, one)
            # A page whose rows are all older: what is below it is older still, whatever the clocks of hosts say.
            if not rows or all(datetime.fromisoformat(row.at) < after for row in rows):
                return found
            below = rows[-1].place

    def last_place(self) -> int:
        """Returns the place of the last completion among all of them; 0 where there is none."""
        with self._database.connect() as connection:
            return connection.execute(select(func.max(_COMPLETION.c.place))).scalar() or 0

    def last(self, series_uid: str) -> Completion | None:
        """Returns the last completion of a series."""
        return self.completions([series_uid]).get(series_uid)

    def completions(self, series_uids: Collection[str] | None = None) -> dict[str, Completion]:
        """Returns the last completion of each series, or of the named ones; series without one are left out."""
        last = select(func.max(_COMPLETION.c.place)).group_by(_COMPLETION.c.series_uid)
        if series_uids is not None:
            last = last.where(_COMPLETION.c.series_uid.in_(series_uids))
        query = select(_COMPLETION).where(_COMPLETION.c.place.in_(last))
        with self._database.connect() as connection:
            rows = connection.execute(query).all()
        return {
            row.series_uid: Completion(row.series_uid, row.revision, row.instances, datetime.fromisoformat(row.at))
            for row in rows
        }


def _changed_s(folder: Path) -> float:
    """Returns when a folder last changed, in seconds since the epoch; minus infinity where there is no folder."""
    try:
        return folder.stat().st_mtime
    except OSError:
        return float("-inf")
