"""Which accessions have changed since the last look: for a process that keeps its own view of all cases.

Everything that a case's place on the work list follows from stands in tables that only grow. So a look counts their
newest rows, and where the count has changed, reads which rows are new. Nothing is stored, and no writer waits.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, Select, Table, bindparam, func, select

from dicom_io.files.scanning import batches
from workstation.store import casebook, outbox  # noqa: F401  (their tables)
from workstation.store.tables import TABLES

# Rows of so many last places may be written by transactions that have not ended, on whichever host: of two, the later
# place may be there first.
_OVERLAP = 1000


@dataclass(slots=True)
class _Window:
    """The newest rows of a table: the highest place seen, and every place seen above `low`."""

    last: int = 0
    known: set[int] = field(default_factory=set)

    @property
    def low(self) -> int:
        return self.last - _OVERLAP

    def add(self, places: set[int]) -> None:
        self.last = max(self.last, *places) if places else self.last
        self.known = {place for place in self.known | places if place > self.low}


class CaseChanges:
    """Looks at a database of `dicom_io.archive.database.open_database`; each instance has its own last look.

    A row of a transaction that began before the newest thousand rows of its table were written, and ended after, may
    be missed; no transaction of ours takes nearly so long.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._windows = {name: _Window() for name in _SOURCES}

    def begin(self) -> None:
        """Take everything that is there as seen. What is read after this is at least as new."""
        with self._engine.connect() as connection:
            for name, window in self._windows.items():
                column = TABLES.tables[name].c.place
                window.last = int(connection.execute(select(func.max(column))).scalar() or 0)
                window.known = set(connection.execute(select(column).where(column > window.low)).scalars())

    def look(self) -> frozenset[str]:
        """Returns the accessions that have new rows since the last look."""
        found: set[str] = set()
        new: list[tuple[_Window, set[int]]] = []
        lows = {name: window.low for name, window in self._windows.items()}
        with self._engine.connect() as connection:
            counted: Iterable[int] = tuple(connection.execute(_COUNTS, lows).one())
            for (name, window), count in zip(self._windows.items(), counted, strict=True):
                if count == len(window.known):
                    continue
                column = TABLES.tables[name].c.place
                there = set(connection.execute(select(column).where(column > window.low)).scalars())
                fresh = there - window.known
                for some in batches(sorted(fresh), 500):  # SQLite takes a limited number of values in one statement
                    found |= set(connection.execute(_SOURCES[name]().where(column.in_(some))).scalars())
                new.append((window, fresh))
        # Only now: what a look that failed has found, the next one finds again.
        for window, fresh in new:
            window.add(fresh)
        return frozenset(found)


def _own(name: str) -> Select[Any]:
    return select(TABLES.tables[name].c.accession).distinct()


def _of_charge(name: str) -> Select[Any]:
    table, charge = TABLES.tables[name], TABLES.tables["charge"]
    return select(charge.c.accession).distinct().join(table, table.c.charge == charge.c.key)


def _of_attempt() -> Select[Any]:
    """Of attempts at messages that charge or credit; those at pictures change nothing on the list."""
    attempt, message = TABLES.tables["attempt"], TABLES.tables["message"]
    money: list[Table] = [TABLES.tables["charge"], TABLES.tables["credit"]]
    carries = [select(table.c.place).where(table.c.message == message.c.key).exists() for table in money]
    query = select(message.c.accession).distinct().join(attempt, attempt.c.message == message.c.key)
    return query.where(carries[0] | carries[1])


# The tables that a case's place on the list follows from, with the query for the accessions of some of their rows.
_SOURCES: dict[str, Callable[[], Select[Any]]] = {
    "record": lambda: _own("record"),
    "decision": lambda: _own("decision"),
    "act": lambda: _own("act"),
    "charge": lambda: _own("charge"),
    "credit": lambda: _of_charge("credit"),
    "charge_event": lambda: _of_charge("charge_event"),
    "attempt": _of_attempt,
}

# One statement that counts the rows of all windows; made once, since it is asked with every request.
_COUNTS = select(
    *(
        select(func.count())
        .select_from(TABLES.tables[name])
        .where(TABLES.tables[name].c.place > bindparam(name))
        .scalar_subquery()
        for name in _SOURCES
    )
)
