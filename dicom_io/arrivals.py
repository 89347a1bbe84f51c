"""Which series are complete: those that have been quiet for a while, or have as many instances as was to be expected.

Every time a series is complete is a revision of it; a late instance opens it again, and its next completion is the next
revision. How many instances there are is in the index; here is only what was said.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, Engine, Integer, MetaData, String, Table, Text, func, insert, select

from dicom_io.archive import Archive

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


class Arrivals:
    """Follows the series that instances come for. `look` is to be called now and then; nothing runs by itself.

    quiet_s : a series is complete when no instance has come for so long. expected : how many instances a series will
    have, None while nobody knows; asked once for each series, and may take its time.
    """

    def __init__(
        self,
        archive: Archive,
        database: Engine,
        quiet_s: float,
        expected: Callable[[str], int | None] = lambda series_uid: None,
    ) -> None:
        self._archive, self._database, self._quiet_s, self._expected = archive, database, quiet_s, expected
        _METADATA.create_all(database)
        self._open: dict[str, float] = {}

    def came(self, series_uid: str, now_s: float) -> Completion | None:
        """An instance of a series came. Returns its last completion where this opens it again."""
        known = series_uid in self._open
        self._open[series_uid] = now_s
        return None if known else self.last(series_uid)

    def left_open(self, now_s: float) -> None:
        """Takes up what an earlier process has followed: series with other numbers of instances than when complete."""
        counts = self._archive.counts()
        for series_uid in counts.keys() - self._open.keys():
            last = self.last(series_uid)
            if last is None or last.instances != counts[series_uid]:
                self._open[series_uid] = now_s

    def look(self, now_s: float, at: datetime) -> list[Completion]:
        """Series that are complete by now. now_s : of the clock that `came` was told; at : for the record."""
        done, over = [], []
        counts = self._archive.counts(self._open) if self._open else {}
        for series_uid, since in list(self._open.items()):
            count, last = counts.get(series_uid, 0), self.last(series_uid)
            if now_s - since < self._quiet_s:
                wanted = self._expected(series_uid)
                if wanted is None or count < wanted:
                    continue
            over.append(series_uid)
            if count and (last is None or last.instances != count):
                done.append(Completion(series_uid, 1 if last is None else last.revision + 1, count, at))
        if done:
            with self._database.begin() as connection:
                rows = [
                    {
                        "series_uid": one.series_uid,
                        "revision": one.revision,
                        "instances": one.instances,
                        "at": one.at.isoformat(),
                    }
                    for one in done
                ]
                connection.execute(insert(_COMPLETION), rows)
        for series_uid in over:  # not before it is noted: the disk may be full
            del self._open[series_uid]
        return done

    def last(self, series_uid: str) -> Completion | None:
        """The last time a series was complete."""
        query = (
            select(_COMPLETION)
            .where(_COMPLETION.c.series_uid == series_uid)
            .order_by(_COMPLETION.c.place.desc())
            .limit(1)
        )
        with self._database.connect() as connection:
            row = connection.execute(query).one_or_none()
        return (
            None
            if row is None
            else Completion(row.series_uid, row.revision, row.instances, datetime.fromisoformat(row.at))
        )

    def revisions(self) -> dict[str, int]:
        """The last revision of every series that was ever complete."""
        query = select(_COMPLETION.c.series_uid, func.max(_COMPLETION.c.revision)).group_by(_COMPLETION.c.series_uid)
        with self._database.connect() as connection:
            return {uid: int(revision) for uid, revision in connection.execute(query)}
