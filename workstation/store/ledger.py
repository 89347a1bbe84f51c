"""The ledger: one chain over every row that decides, whoever wrote it.

Events of the journal, people's acts, rulings, papers and entries of the register of people each have an entry here:
the digest of the row, and a hash that covers the entry before. A row that is changed, removed or put in by hand no
longer agrees with its entry, and an entry that is changed no longer agrees with the next. The outbox keeps the newest
hash with every message that leaves (`head_in`), so that the end of the chain cannot be cut off unseen either.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    Table,
    Text,
    func,
    insert,
    inspect,
    select,
    text,
)

from dicom_io.archive.database import names_in
from workstation.store.tables import TABLES

_ledger = Table(
    "ledger",
    TABLES,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("place", Integer, nullable=False),
    Column("subject", Text, nullable=False, index=True),
    Column("digest", Text, nullable=False),
    Column("hash", Text, nullable=False),
)
# Every table whose rows are entered, with the column that says what a row is about.
_SUBJECTS = {
    "event": "session",
    "act": "accession",
    "decision": "accession",
    "papers": "accession",
    "person": "person",
}
# Tables in which the database refuses changes and removals.
APPEND_ONLY = ("ledger", *_SUBJECTS, "message", "attempt", "charge", "credit", "charge_event")


def link(previous: str, number: int, kind: str, place: int, subject: str, digest: str) -> str:
    """Returns the hash of an entry. previous : the hash of the one before it, empty for the first."""
    return hashlib.sha256(json.dumps([previous, number, kind, place, subject, digest]).encode()).hexdigest()


def digest_of(row: Any) -> str:
    """Returns the digest of a row. Empty values are left out: a column that comes later is empty in older rows."""
    content = {name: value for name, value in row._mapping.items() if value not in (None, "")}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def enter_all(connection: Connection) -> None:
    """Enters every row that is there in an empty ledger: of a database from before there was one."""
    for kind in _SUBJECTS:
        for row in connection.execute(text(f"SELECT * FROM {kind} ORDER BY place")).all():
            _enter(connection, kind, row)


def append(connection: Connection, table: Table, row: Mapping[str, Any]) -> int:
    """Writes a row of one of the tables that are entered, with its entry. Returns its place."""
    place = connection.execute(insert(table).values(row)).inserted_primary_key
    assert place is not None
    _enter(connection, table.name, _row(connection, table.name, place[0]))
    return int(place[0])


def head_in(connection: Connection) -> str:
    """Returns the newest hash, empty for an empty ledger."""
    newest = select(_ledger.c.hash).order_by(_ledger.c.number.desc()).limit(1)
    return str(connection.execute(newest).scalar() or "")


def guard(connection: Connection, *tables: str) -> None:
    """Has the database refuse changes and removals in append-only tables.

    PostgreSQL refuses them to its own user as well: whoever wants to change a row has to grant it to themselves first.
    """
    known = names_in(connection)
    for table in tables:
        if connection.dialect.name == "sqlite":
            for verb in ("UPDATE", "DELETE"):
                if f"{table}_no_{verb.lower()}" not in known:
                    connection.execute(
                        text(
                            f"CREATE TRIGGER IF NOT EXISTS {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                            f"BEGIN SELECT RAISE(ABORT, 'the {_SPOKEN.get(table, table)} is append-only'); END"
                        )
                    )
        elif connection.dialect.name == "postgresql" and not {f"{table}_no_change", f"{table}_no_truncate"} <= known:
            for statement in _POSTGRESQL_GUARDS:
                connection.execute(text(statement.format(table=table)))


_SPOKEN = {"event": "journal"}
_POSTGRESQL_GUARDS = (
    "CREATE OR REPLACE FUNCTION append_only() RETURNS trigger AS $$ BEGIN "
    "RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$ LANGUAGE plpgsql",
    "CREATE OR REPLACE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} "
    "FOR EACH ROW EXECUTE FUNCTION append_only()",
    "CREATE OR REPLACE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} EXECUTE FUNCTION append_only()",
    "REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM PUBLIC, CURRENT_USER",
)


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger in a database opened with `dicom_io.archive.database.open_database`."""

    engine: Engine

    def head(self) -> str:
        """Returns the newest hash, empty for an empty ledger."""
        with self.engine.connect() as connection:
            return head_in(connection)

    def doubt(self, subjects: Collection[str]) -> str:
        """Returns why rows about these accessions and sessions cannot be believed, as a sentence; empty when they can.

        Looks at their rows and entries alone; `faults` looks at all.
        """
        with self.engine.connect() as connection:
            query = select(_ledger).where(_ledger.c.subject.in_(list(subjects))).order_by(_ledger.c.number)
            entries = connection.execute(query).all()
            before = _hashes(connection, [entry.number - 1 for entry in entries])
            rows = {
                (kind, row.place): row
                for kind, column in _SUBJECTS.items()
                if kind != "person" and inspect(connection).has_table(kind)
                for subject in subjects
                for row in _rows_about(connection, kind, column, subject)
            }
        for entry in entries:
            if entry.kind == "person":
                continue
            if entry.hash != _link(entry, before.get(entry.number - 1, "")):
                return f"Entry {entry.number} of the ledger was changed by hand."
            row = rows.pop((entry.kind, entry.place), None)
            if row is None or digest_of(row) != entry.digest:
                return _told(entry.kind, entry.place, "removed" if row is None else "changed")
        return next((_told(kind, place, "put in") for kind, place in rows), "")

    def faults(self, heads: Collection[str] = ()) -> Iterator[str]:
        """Yields everything that does not agree, as sentences. heads : those that left with messages, to be found."""
        with self.engine.connect() as connection:
            previous, number = "", 0
            known: dict[str, set[int]] = defaultdict(set)
            hashes = {""}
            for entry in connection.execute(select(_ledger).order_by(_ledger.c.number)).all():
                number += 1
                if entry.number != number:
                    yield f"Entries {number} to {entry.number - 1} of the ledger were removed by hand."
                    number = entry.number
                elif entry.hash != _link(entry, previous):
                    yield f"Entry {number} of the ledger was changed by hand."
                previous = entry.hash
                hashes.add(entry.hash)
                known[entry.kind].add(entry.place)
                row = _row(connection, entry.kind, entry.place)
                if row is None or digest_of(row) != entry.digest:
                    yield _told(entry.kind, entry.place, "removed" if row is None else "changed")
            for kind in _SUBJECTS:
                if inspect(connection).has_table(kind):
                    places = connection.execute(text(f"SELECT place FROM {kind} ORDER BY place")).scalars()
                    yield from (_told(kind, place, "put in") for place in places if place not in known[kind])
        lost = [head for head in heads if head not in hashes]
        if lost:
            yield f"{len(lost)} messages left with a head that the ledger no longer has: its end was cut off by hand."


def doubt_of_newest(engine: Engine, kind: str, subject: str) -> str:
    """Returns why the newest row about a subject cannot be believed, as a sentence; empty when it can."""
    with engine.connect() as connection:
        which = (_ledger.c.kind == kind) & (_ledger.c.subject == subject)
        entry = connection.execute(select(_ledger).where(which).order_by(_ledger.c.number.desc()).limit(1)).first()
        rows = _rows_about(connection, kind, _SUBJECTS[kind], subject)
        if entry is None:
            return _told(kind, rows[-1].place, "put in") if rows else ""
        if entry.hash != _link(entry, _hashes(connection, [entry.number - 1]).get(entry.number - 1, "")):
            return f"Entry {entry.number} of the ledger was changed by hand."
    if not rows or rows[-1].place < entry.place:
        return _told(kind, entry.place, "removed")
    if rows[-1].place > entry.place:
        return _told(kind, rows[-1].place, "put in")
    return "" if digest_of(rows[-1]) == entry.digest else _told(kind, entry.place, "changed")


def _told(kind: str, place: int, how: str) -> str:
    names = {"event": "event of the journal", "act": "act", "decision": "decision", "papers": "papers"}
    return f"Row {place} of `{kind}` ({names.get(kind, 'entry of the register of people')}) was {how} by hand."


def _enter(connection: Connection, kind: str, row: Any) -> None:
    if connection.dialect.name == "postgresql":
        # One writer at a time, as in SQLite anyway. Held until the transaction ends.
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('ledger'))"))
    number = int(connection.execute(select(func.max(_ledger.c.number))).scalar() or 0) + 1
    subject, digest = str(row._mapping[_SUBJECTS[kind]]), digest_of(row)
    connection.execute(
        insert(_ledger).values(
            number=number,
            kind=kind,
            place=row.place,
            subject=subject,
            digest=digest,
            hash=link(head_in(connection), number, kind, row.place, subject, digest),
        )
    )


def _row(connection: Connection, kind: str, place: int) -> Any:
    if kind not in _SUBJECTS:
        return None
    return connection.execute(text(f"SELECT * FROM {kind} WHERE place = :place"), {"place": place}).first()


def _rows_about(connection: Connection, kind: str, column: str, subject: str) -> list[Any]:
    query = text(f"SELECT * FROM {kind} WHERE {column} = :subject ORDER BY place")
    return list(connection.execute(query, {"subject": subject}))


def _link(entry: Any, previous: str) -> str:
    return link(previous, entry.number, entry.kind, entry.place, entry.subject, entry.digest)


def _hashes(connection: Connection, numbers: list[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for start in range(0, len(numbers), 500):  # SQLite takes a limited number of values in one statement
        query = select(_ledger.c.number, _ledger.c.hash).where(_ledger.c.number.in_(numbers[start : start + 500]))
        found |= {row.number: row.hash for row in connection.execute(query)}
    return found
