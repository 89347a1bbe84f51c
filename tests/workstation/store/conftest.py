"""A database of either kind, empty for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, make_url, text

from dicom_io.archive.database import open_database
from tests.peers.servers import postgresql
from tests.thorough import slowly
from workstation.store.schema import database_of, make_ready


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgresql(tmp_path_factory.mktemp("pg")) as url:
        yield url


@pytest.fixture(scope="session")
def ready(server: str) -> str:
    """The server, with a database `ready` that has the tables, of which each test gets a copy."""
    _outside(server, "CREATE DATABASE ready")
    made = open_database(_named(server, "ready"))
    make_ready(made)
    made.dispose()
    return server


@pytest.fixture(params=["sqlite", *slowly("postgresql")])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "sqlite":
        opened = database_of(tmp_path, "")
    else:
        server = request.getfixturevalue("ready")
        _outside(server, "DROP DATABASE IF EXISTS one WITH (FORCE)", "CREATE DATABASE one TEMPLATE ready")
        opened = open_database(_named(server, "one"))
    make_ready(opened)
    yield opened
    opened.dispose()


def _named(server: str, name: str) -> str:
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def _outside(server: str, *statements: str) -> None:
    """Statements that no transaction may hold."""
    opened = open_database(server)
    with opened.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in statements:
            connection.execute(text(statement))
    opened.dispose()
