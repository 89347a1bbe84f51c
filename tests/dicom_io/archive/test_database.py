"""Databases are closed when nobody holds them any more."""

import gc
from pathlib import Path
from sqlite3 import ProgrammingError

import pytest

from dicom_io.archive.database import open_database


def test_a_database_that_nobody_holds_is_closed(tmp_path: Path) -> None:
    database = open_database(tmp_path / "a.db")
    with database.connect() as connection:
        held = connection.connection.driver_connection
    assert held is not None
    held.execute("SELECT 1")
    del database, connection
    gc.collect()
    with pytest.raises(ProgrammingError, match="closed database"):
        held.execute("SELECT 1")


def test_one_that_was_closed_before_is_left_alone(tmp_path: Path) -> None:
    database = open_database(tmp_path / "a.db")
    with database.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t (n INTEGER)")
    database.dispose()
    with database.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM t").scalar() == 0
    database.dispose()
    del database, connection
    gc.collect()
