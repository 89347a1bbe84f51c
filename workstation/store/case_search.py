"""Decisions and acts of the casebook searched by person, case, kind and time, by those who look back."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Engine, Select, select

from dicom_io.files.scanning import batches
from workstation.store import casebook  # noqa: F401  (its tables)
from workstation.store.tables import TABLES

CaseRows = Literal["act", "decision"]


@dataclass(frozen=True, slots=True)
class SearchedCases:
    """What is searched for; what is empty does not matter.

    person : who acted; a decision has nobody. sessions : of cases; None for all, and acts on no case with them.
    kind : of an act, or the state of a decision. since, until : days as the rows were written, both included.
    """

    person: str = ""
    sessions: Collection[str] | None = None
    kinds: Collection[str] = ()
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True, slots=True)
class CaseSearch:
    """Searches a database of `dicom_io.archive.database.open_database`."""

    engine: Engine

    def places(self, what: CaseRows, wanted: SearchedCases) -> list[tuple[datetime, int]]:
        """Returns when the rows were written, and their places, oldest first, without reading what they say."""
        table = TABLES.tables[what]
        if wanted.person and what == "decision":
            return []
        query: Select[Any] = select(table.c.at, table.c.place).order_by(table.c.place)
        if wanted.person:
            query = query.where(table.c.person == wanted.person)
        if wanted.sessions is not None:
            query = query.where(table.c.session.in_(list(wanted.sessions)))
        if wanted.kinds:
            query = query.where((table.c.kind if what == "act" else table.c.state).in_(list(wanted.kinds)))
        # Texts of times are compared with a day to spare, since they have offsets of their own; then the times are.
        if wanted.since is not None:
            query = query.where(table.c.at >= (wanted.since - timedelta(days=1)).isoformat())
        if wanted.until is not None:
            query = query.where(table.c.at < (wanted.until + timedelta(days=2)).isoformat())
        with self.engine.connect() as connection:
            rows = [(datetime.fromisoformat(row.at), int(row.place)) for row in connection.execute(query)]
        return [
            (at, place)
            for at, place in rows
            if (wanted.since is None or at.date() >= wanted.since)
            and (wanted.until is None or at.date() <= wanted.until)
        ]

    def rows(self, what: CaseRows, places: Sequence[int]) -> dict[int, dict[str, Any]]:
        """Returns rows with all that they say, by place; JSON is still text."""
        table = TABLES.tables[what]
        found: dict[int, dict[str, Any]] = {}
        with self.engine.connect() as connection:
            for some in batches(places, 500):
                for row in connection.execute(select(table).where(table.c.place.in_(some))):
                    found[row.place] = dict(row._mapping)
        return found
