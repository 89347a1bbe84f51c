"""The one way to open the store's database: SQLite beside the files by default, PostgreSQL by URL.

Every durable table of the project (archive index, journal, outbox, papers) is opened here, so that "committed" means
"on the disk" everywhere.
"""

import functools
import weakref
from pathlib import Path

from sqlalchemy import Connection, Engine, MetaData, Table, create_engine, event, inspect, text
from sqlalchemy.dialects import registry
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement

# The tables of the archive and of what is arriving; both are in one database.
INDEX_TABLES = MetaData()


# A server that restarted, or a network that went, is seen within a minute; a host that stands still in the middle of a
# transaction does not hold up the others. Source: libpq's connection parameters.
_POSTGRESQL = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "options": "-c idle_in_transaction_session_timeout=60s",
}


def open_database(place: Path | str, *, flushed: bool = True) -> Engine:
    """Opens the database at a SQLite file path, or at an SQLAlchemy URL when `place` is a string with `://`.

    SQLite runs in WAL mode with full synchronisation: a committed transaction survives a power cut, and readers
    do not wait for the writer. Source: SQLite documentation, "Write-Ahead Logging" and `PRAGMA synchronous`.

    flushed : if False, a committed transaction survives a crash of the process, but a power cut may lose the latest
    ones. That is enough for data that can be made again from elsewhere.
    """
    if isinstance(place, str) and "://" in place:
        engine = create_engine(place, pool_pre_ping=True, connect_args=_POSTGRESQL if "psycopg" in place else {})
        _closed_with(engine)
        return engine
    path = Path(place)
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def _durable(connection: DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute(f"PRAGMA synchronous={'FULL' if flushed else 'NORMAL'}")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    _closed_with(engine)
    return engine


def _closed_with(engine: Engine) -> None:
    """Has the connections of a database closed when nobody holds it any more: only let go, they warn."""
    open_ones: list[DBAPIConnection] = []

    @event.listens_for(engine, "connect")
    def _opened(connection: DBAPIConnection, _record: object) -> None:
        open_ones.append(connection)

    @event.listens_for(engine, "close")
    def _closed(connection: DBAPIConnection, _record: object) -> None:
        open_ones.remove(connection)

    @event.listens_for(engine, "close_detached")
    def _closed_apart(connection: DBAPIConnection) -> None:
        open_ones.remove(connection)

    weakref.finalize(engine, _close_all, open_ones)


def _close_all(connections: list[DBAPIConnection]) -> None:
    for connection in connections:
        connection.close()


def names_in(connection: Connection) -> set[str]:
    """Returns the names of all tables, columns (as `table.column`) and triggers, in SQLite of indexes too: stores ask
    whenever they are opened, so by few statements."""
    if connection.dialect.name == "sqlite":
        columns = text(
            "SELECT made.name || '.' || info.name FROM sqlite_master AS made, pragma_table_info(made.name) AS info "
            "WHERE made.type = 'table' UNION ALL SELECT name FROM sqlite_master"
        )
        return set(connection.execute(columns).scalars())
    found = inspect(connection).get_multi_columns()
    named = {name for _, name in found}
    named |= {f"{name}.{column['name']}" for (_, name), columns in found.items() for column in columns}
    if connection.dialect.name == "postgresql":
        named |= set(connection.execute(text("SELECT tgname FROM pg_trigger")).scalars())
    return named


def make_tables(connection: Connection, metadata: MetaData) -> None:
    """Makes the tables of a store that are missing, and the columns (texts with a default so far) and indexes that came
    later."""
    known = names_in(connection)
    missing = [table for table in metadata.sorted_tables if table.name not in known]
    for statement in (made for table in missing for made in _statements(table, connection.dialect.name)):
        connection.exec_driver_sql(statement)
    for table in metadata.sorted_tables:
        for column in table.columns if table not in missing else ():
            if f"{table.name}.{column.name}" not in known:
                kind = column.type.compile(connection.dialect)
                statement = f"ALTER TABLE {table.name} ADD COLUMN {column.name} {kind} NOT NULL DEFAULT ''"
                connection.execute(text(statement))
        for index in table.indexes if table not in missing else ():
            if index.name not in known:
                index.create(connection, checkfirst=True)


@functools.cache
def _statements(table: Table, dialect_name: str) -> tuple[str, ...]:
    """Returns how a table and its indexes are made, where another process has not made them meanwhile; compiled once,
    as stores are opened often."""
    dialect = registry.load(dialect_name)()
    made: list[ExecutableDDLElement] = [CreateTable(table, if_not_exists=True)]
    made += [CreateIndex(index, if_not_exists=True) for index in sorted(table.indexes, key=lambda i: str(i.name))]
    return tuple(str(statement.compile(dialect=dialect)) for statement in made)


def unflushed(database: Engine) -> Engine:
    """Returns the same database without a flush at each commit, for data that can be made again; `database` itself
    where it is no SQLite file."""
    file = database.url.database
    if database.dialect.name != "sqlite" or not file or file == ":memory:":
        return database
    return open_database(Path(file), flushed=False)
