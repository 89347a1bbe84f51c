"""What the receiving processes of all hosts have to tell the one that files and decides, in order.

Rows are removed when they have been acted on. What a process that died did not tell is found by whoever takes the work
over, so a power cut may lose the latest rows.
"""

from collections.abc import Collection, Sequence
from typing import Literal, NamedTuple

from sqlalchemy import Column, Engine, Integer, Table, Text, delete, func, insert, select

from dicom_io.archive.database import unflushed
from workstation.store.tables import TABLES

_news = Table(
    "news",
    TABLES,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    Column("uid", Text, nullable=False),
    sqlite_autoincrement=True,
)
# series: instances of it came. whole: its sender asks us to commit to it. record: an SR came. look: a receiver died and
# may have kept what it did not tell.
NewsKind = Literal["series", "whole", "record", "look"]
_MOST = 1000


class NewsItem(NamedTuple):
    """A row. uid : of the series, or of the SR; empty for `look`."""

    place: int
    kind: NewsKind
    uid: str


class NewsBoard:
    """The news in a database of `dicom_io.archive.database.open_database`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = unflushed(engine)

    def tell(self, kind: NewsKind, uid: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(insert(_news).values(kind=kind, uid=uid))

    def untold(self) -> tuple[NewsItem, ...]:
        """Returns what nobody has acted on, oldest first; of very much, the beginning."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(_news).order_by(_news.c.place).limit(_MOST))
            return tuple(NewsItem(row.place, row.kind, row.uid) for row in rows)

    def count(self) -> int:
        """Returns how many rows nobody has acted on."""
        with self._engine.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(_news)).scalar_one())

    def acted_on(self, news: Sequence[NewsItem]) -> None:
        """Removes rows."""
        places: Collection[int] = [each.place for each in news]
        if places:
            with self._engine.begin() as connection:
                connection.execute(delete(_news).where(_news.c.place.in_(places)))
