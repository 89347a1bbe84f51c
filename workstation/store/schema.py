"""The version of the tables in a site's database: made when it is new, checked whenever it is opened, raised by
`workstation upgrade` and by nothing else.

A new database is made from the tables as the stores define them, in one transaction; tests hold that equal to what the
steps of `migrations/` make. Alembic is loaded only to upgrade.
"""

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, Table, func, insert, select, text

from dicom_io.archive import archive, arrivals, described, leases  # noqa: F401  (their tables)
from dicom_io.archive.database import INDEX_TABLES, make_tables, names_in, open_database
from dicom_io.archive.durable import flush, flush_folders
from render.progress import CountDone
from workstation.errors import WorkstationError
from workstation.store import (  # noqa: F401  (their tables)
    casebook,
    commitments,
    console,
    journal,
    ledger,
    news,
    outbox,
    papers,
    preparations,
    register,
    result_links,
)
from workstation.store.tables import TABLES
from workstation.store.unfinished import list_unfinished

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.script import ScriptDirectory

# The newest version; a test holds it equal to the newest step.
NEWEST = "0008"
# Any number: whoever holds it on PostgreSQL is the one that makes or upgrades the tables.
_LOCK = 7637776376
_VERSION = "SELECT version_num FROM alembic_version"


class SchemaError(WorkstationError):
    """The database has tables of another version of this program."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step that an upgrade takes. version : where it leads. what : what it does, in words."""

    version: str
    what: str


def database_of(root: Path, url: str) -> Engine:
    """Opens a site's database: the one that its hosts share, by its URL, or the file in the state folder."""
    return open_database(url or root / "workstation.db")


def make_ready(engine: Engine) -> None:
    """Makes the tables of an empty database; of any other, checks that they are this program's.

    Raises SchemaError where they are older, newer or not all there.
    """
    with engine.connect() as connection:
        known = names_in(connection)
        found = _version(connection, known)
    if found is None and not _tables() & known:
        with alone(engine) as connection:
            if _version(connection, names_in(connection)) is None:  # no other process was faster
                _make(connection)
        return
    if found != NEWEST:
        raise SchemaError(_why(found, engine))
    if missing := sorted((_tables() | guards(connection.dialect.name)) - known):
        raise SchemaError(
            f"{_place(engine)}: {', '.join(missing)} of the database is missing, and nothing of this program removes "
            "it. Nothing was read or written; restore a backup, and find out who removed it."
        )


def version_of(engine: Engine) -> str | None:
    """Returns the version of a database's tables; empty for tables from before versions, None where there are none."""
    with engine.connect() as connection:
        known = names_in(connection)
        return _version(connection, known) or ("" if _tables() & known else None)


def steps_from(version: str | None) -> tuple[Step, ...]:
    """Returns what an upgrade would do. Raises SchemaError for a version that this program does not know."""
    scripts = _scripts()
    known = [script.revision for script in scripts.walk_revisions()][::-1]
    if version and version not in known:
        raise SchemaError(
            f"The database is of version {version}; this program knows {known[-1]} at most. Install the program that "
            "made it, or a newer one. Nothing was changed."
        )
    left = known[known.index(version) + 1 :] if version else known
    return tuple(Step(each, " ".join(str(scripts.get_revision(each).doc).split())) for each in left)


def upgrade(engine: Engine) -> tuple[Step, ...]:
    """Takes every step that is left, all of them or none. Returns them. Raises SchemaError as `steps_from`."""
    with alone(engine) as connection:
        known = names_in(connection)
        steps = steps_from(_version(connection, known))
        if not _tables() & known:
            _make(connection)
        elif steps:
            from alembic import command

            command.upgrade(_settings(connection), NEWEST)
    return steps


def copy_of(engine: Engine, place: Path) -> None:
    """Copies an SQLite database as it is at this moment, whoever writes meanwhile. Raises FileExistsError."""
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if place.exists():
        raise FileExistsError(f"{place} is there already; nothing was copied.")
    part = place.with_suffix(".part")
    part.unlink(missing_ok=True)
    with engine.connect() as connection:
        connection.exec_driver_sql("VACUUM INTO ?", (str(part),))
    flush(part)
    part.replace(place)
    flush_folders(place.parent, place.parent)


def move(source: Engine, target: Engine, tell: CountDone = lambda done, total: None) -> dict[str, int]:
    """Copies every row into an empty database, in one transaction. Nobody may write to the source meanwhile. Returns
    how many rows each table has.

    tell : called with rows copied, and how many there are.

    Raises SchemaError where the target is not empty, the source not of this version, or a row did not arrive.
    """
    make_ready(source)
    if version_of(target) is not None:
        raise SchemaError(f"{_place(target)} has tables already. Nothing was copied; name an empty database.")
    tables = _moved()
    with source.connect() as reading, alone(target) as writing:
        make_tables(writing, INDEX_TABLES)
        make_tables(writing, TABLES)
        there = {table.name: _count(reading, table) for table in tables}
        total, done = sum(there.values()), 0
        for table in tables:
            rows = reading.execution_options(yield_per=_AT_ONCE).execute(select(table).order_by(*table.primary_key))
            for some in rows.mappings().partitions(_AT_ONCE):
                writing.execute(insert(table), [dict(row) for row in some])
                done += len(some)
                tell(done, total)
            if writing.dialect.name == "postgresql" and table.autoincrement_column is not None and there[table.name]:
                _go_on_counting(writing, table)
        arrived = {table.name: _count(writing, table) for table in tables}
        # Only now: for every row by itself, triggers would take a lock each that is held to the end.
        _finish(writing)
        if arrived != there:
            raise SchemaError(f"{_place(target)}: not every row arrived. Nothing was copied; try again.")
    return there


def rows_in(engine: Engine) -> dict[str, int]:
    """Returns how many rows each table has that `move` copies."""
    with engine.connect() as connection:
        return {table.name: _count(connection, table) for table in _moved()}


def _moved() -> list[Table]:
    return [table for table in (*INDEX_TABLES.sorted_tables, *TABLES.sorted_tables) if table.name not in _OF_ITSELF]


# Kept by triggers, or of the moment.
_OF_ITSELF = ("unfinished", "lease")
_AT_ONCE = 1000


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _go_on_counting(connection: Connection, table: Table) -> None:
    """The next row gets a number of its own: rows that bring theirs leave PostgreSQL's sequence where it was."""
    column = table.autoincrement_column
    if column is not None:
        sequence = f"pg_get_serial_sequence('{table.name}', '{column.name}')"
        highest = f"(SELECT max({column.name}) FROM {table.name})"
        connection.execute(text(f"SELECT setval({sequence}, {highest})"))


@contextmanager
def alone(engine: Engine) -> "Iterator[Connection]":
    """A transaction in which no other process makes or changes tables; SQLite lets no other write at all."""
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        yield connection


def guards(dialect: str) -> frozenset[str]:
    """Returns the names of the triggers that the database must have."""
    of_a_table = ("{}_no_update", "{}_no_delete") if dialect == "sqlite" else ("{}_no_change", "{}_no_truncate")
    return frozenset(name.format(table) for table in ledger.APPEND_ONLY for name in of_a_table)


def _make(connection: Connection) -> None:
    make_tables(connection, INDEX_TABLES)
    make_tables(connection, TABLES)
    _finish(connection)


def _finish(connection: Connection) -> None:
    """Makes what guards the tables and what keeps the list of open messages, and says which version they are of."""
    ledger.guard(connection, *ledger.APPEND_ONLY)
    list_unfinished(connection)
    # As Alembic makes it.
    connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
                            "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"))  # fmt: skip
    connection.execute(text("INSERT INTO alembic_version VALUES (:version)"), {"version": NEWEST})


def _tables() -> frozenset[str]:
    return frozenset({*INDEX_TABLES.tables, *TABLES.tables})


def _version(connection: Connection, known: set[str]) -> str | None:
    if "alembic_version" not in known:
        return None
    found = connection.execute(text(_VERSION)).scalar()
    return None if found is None else str(found)


def _place(engine: Engine) -> str:
    return (
        engine.url.render_as_string(hide_password=True) if engine.dialect.name != "sqlite" else str(engine.url.database)
    )


def _why(found: str | None, engine: Engine) -> str:
    if found is not None and found > NEWEST:
        return (
            f"{_place(engine)}: the database is of version {found}; this program knows {NEWEST} at most. Install the "
            "program that made it, or a newer one. Nothing was changed."
        )
    was = f"of version {found}" if found else "from before versions"
    return (
        f"{_place(engine)}: the tables of the database are {was}; this program needs {NEWEST}. `workstation upgrade "
        "--dry-run` says what there is to do, `workstation upgrade` keeps a copy and does it. Nothing was changed."
    )


def _scripts() -> "ScriptDirectory":
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_settings())


def _settings(connection: Connection | None = None) -> Any:
    from alembic.config import Config

    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    settings.attributes["connection"] = connection
    return settings
