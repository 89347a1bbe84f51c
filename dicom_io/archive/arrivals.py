"""Which series are complete: those that have been quiet for a while, have as many instances as was to be expected, or
are said to be by whoever brought them.

Every time a series is complete is a revision of it; a late instance opens it again, and its next completion is the next
revision. How many instances there are is in the index; here is only what was said. So one process decides, and every
process sees how far a series is.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, get_args

from sqlalchemy import Column, Engine, Integer, MetaData, String, Table, Text, func, insert, select

from dicom_io.archive.archive import Archive, Summary

_METADATA = MetaData()
_COMPLETION = Table(
    "series_completion",
    _METADATA,
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
# Whoever decides looks now and then: so long after the quiet time, nobody is there to decide.
_DECIDED_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class SeriesProgress:
    """How far a series is.

    stage : `reopened` when more has come since it was complete; `unknown` when nobody has said that it is complete and
    nothing comes any more. revision : the one that is complete or arriving, 0 where that is unknown.
    """

    stage: Stage
    revision: int


class Arrivals:
    """Follows the series that instances come for. `look` is to be called now and then; nothing runs by itself.

    quiet_s : a series is complete when no instance has come for so long.
    """

    def __init__(self, archive: Archive, database: Engine, quiet_s: float) -> None:
        self._archive, self._database, self._quiet_s = archive, database, quiet_s
        _METADATA.create_all(database)
        self._open: dict[str, float] = {}

    def came(self, series_uid: str, now_s: float) -> Completion | None:
        """An instance of a series came. Returns its last completion where this opens it again.

        What was there when it was complete opens nothing: it came a second time, or is told of only now.
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
        """Takes up what an earlier process has followed: series with other numbers of instances than when complete."""
        completions = self.completions()
        for series_uid, count in self._archive.counts().items():
            last = completions.get(series_uid)
            if series_uid not in self._open and (last is None or last.instances != count):
                self._open[series_uid] = now_s

    def look(
        self, now_s: float, at: datetime, expected: Callable[[str], int | None] = lambda series_uid: None
    ) -> list[Completion]:
        """Series that are complete by now.

        now_s : of the clock that `came` was told. at : for the record. expected : how many instances a series will
        have, by its Series Instance UID; None while nobody knows.
        """
        counts = self._archive.counts(self._open) if self._open else {}
        ended: dict[str, int] = {}
        over: list[str] = []
        for series_uid, since in list(self._open.items()):
            count = counts.get(series_uid, 0)
            if now_s - since < self._quiet_s:
                wanted = expected(series_uid)
                if wanted is None or count < wanted:
                    continue
            over.append(series_uid)
            if count:
                ended[series_uid] = count
        done = self._complete(ended, at)
        for series_uid in over:  # not before it is noted: the disk may be full
            del self._open[series_uid]
        return done

    def whole(self, series_uids: Collection[str], at: datetime) -> list[Completion]:
        """Series are complete because whoever brought them says so: an import has ended, a study was fetched, a sender
        asks us to commit to what it has sent."""
        done = self._complete(self._archive.counts(series_uids), at)
        for series_uid in series_uids:
            self._open.pop(series_uid, None)
        return done

    def _complete(self, counts: Mapping[str, int], at: datetime) -> list[Completion]:
        """With so many instances; with as many as the last time it is no news."""
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
                    "series_uid": one.series_uid,
                    "revision": one.revision,
                    "instances": one.instances,
                    "at": one.at.isoformat(),
                }
                for one in done
            ]
            with self._database.begin() as connection:
                connection.execute(insert(_COMPLETION), rows)
        return done

    def standing(self, series: Iterable[Summary], now_s: float) -> dict[str, SeriesProgress]:
        """How far each series is, whatever process follows them. now_s : since the epoch, as files have their times."""
        completions, found = self.completions(), {}
        for one in series:
            last = completions.get(one.series_uid)
            if last is not None:
                whole = last.instances == one.instances
                stage: Stage = "complete" if whole else "reopened"
                found[one.series_uid] = SeriesProgress(stage, last.revision if whole else last.revision + 1)
            elif now_s - _changed_s(Path(one.path).parent) <= self._quiet_s + _DECIDED_WITHIN_S:
                found[one.series_uid] = SeriesProgress("arriving", 1)
            else:
                found[one.series_uid] = SeriesProgress("unknown", 0)
        return found

    def last(self, series_uid: str) -> Completion | None:
        """The last time a series was complete."""
        return self.completions([series_uid]).get(series_uid)

    def completions(self, series_uids: Collection[str] | None = None) -> dict[str, Completion]:
        """The last time that each series was complete, or some; only those that ever were."""
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
    """When something was last put into a folder, since the epoch; long ago where there is none."""
    try:
        return folder.stat().st_mtime
    except OSError:
        return float("-inf")
