"""Versions of the tables: a new database is what the steps make, an older one is upgraded or refused, never guessed."""

import contextlib
import gzip
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine, inspect, text

from dicom_io.archive.database import names_in, open_database
from tests.workstation.conftest import Command
from tests.workstation.samples import DOCUMENTED, SERIES_UID
from tests.workstation.store.before_versions import as_before_versions
from workstation.store import schema
from workstation.store.ledger import Ledger
from workstation.store.schema import SchemaError, make_ready


def emptied(engine: Engine) -> None:
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            for kind in ("trigger", "table"):
                rows = connection.execute(text(f"SELECT name FROM sqlite_master WHERE type = '{kind}'")).scalars().all()
                for name in (name for name in rows if not name.startswith("sqlite_")):
                    connection.execute(text(f"DROP {kind} IF EXISTS {name}"))
        else:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))


def described(engine: Engine) -> dict[str, object]:
    """All that a database says of its tables, columns, keys, indexes and triggers."""
    looked = inspect(engine)
    found: dict[str, object] = {}
    for table in sorted(looked.get_table_names()):
        columns = [(c["name"], str(c["type"]), c["nullable"], str(c["default"])) for c in looked.get_columns(table)]
        indexes = sorted((str(i["name"]), str(i["column_names"]), bool(i["unique"])) for i in looked.get_indexes(table))
        unique = sorted(str(u["column_names"]) for u in looked.get_unique_constraints(table))
        foreign = sorted((str(f["constrained_columns"]), f["referred_table"]) for f in looked.get_foreign_keys(table))
        found[table] = columns, looked.get_pk_constraint(table)["constrained_columns"], indexes, unique, foreign
    with engine.connect() as connection:
        found["names"] = sorted(name for name in names_in(connection) if not name.startswith(("RI_", "sqlite_")))
    return found


def test_a_new_database_is_what_all_steps_make(engine: Engine) -> None:
    new = described(engine)
    emptied(engine)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE message (key TEXT)"))  # anything: so that it is not a new one
        connection.execute(text("DROP TABLE message"))
        connection.execute(text("CREATE TABLE due (accession TEXT PRIMARY KEY, cause TEXT NOT NULL)"))
        connection.execute(text("DROP TABLE due"))
    with schema.alone(engine) as connection:
        from alembic import command

        command.upgrade(schema._settings(connection), "head")
    assert described(engine) == new
    assert schema.version_of(engine) == schema.NEWEST
    make_ready(engine)


def test_the_newest_step_is_what_the_program_needs() -> None:
    assert schema._scripts().get_heads() == [schema.NEWEST]
    assert [step.version for step in schema.steps_from("")][-1] == schema.NEWEST
    assert all(step.what.endswith(".") for step in schema.steps_from(None))
    assert schema.steps_from(schema.NEWEST) == ()


def test_a_newer_database_is_left_alone(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaError, match=r"version 9999; this program knows \d+ at most"):
        make_ready(engine)
    with pytest.raises(SchemaError, match="Nothing was changed"):
        schema.upgrade(engine)


def test_a_step_that_fails_leaves_everything_as_it_was(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    as_before_versions(engine)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE series_completion"))
    before = described(engine)

    def broken(*_: object) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr("workstation.store.unfinished.names_in", broken)
    with pytest.raises(RuntimeError):
        schema.upgrade(engine)
    assert described(engine) == before
    monkeypatch.undo()
    schema.upgrade(engine)
    make_ready(engine)


OPENER = """
import sys
from pathlib import Path
from dicom_io.archive.database import open_database
from workstation.store.schema import make_ready
engine = open_database(sys.argv[1] if "://" in sys.argv[1] else Path(sys.argv[1]))
print("there", flush=True)
sys.stdin.readline()
make_ready(engine)
"""


@pytest.mark.slow
def test_two_processes_make_it_at_once(engine: Engine) -> None:
    emptied(engine)
    place = str(engine.url.database) if engine.dialect.name == "sqlite" else engine.url.render_as_string(False)
    both = [
        subprocess.Popen(
            [sys.executable, "-c", OPENER, place], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    for each in both:
        assert each.stdout is not None and each.stdout.readline() == b"there\n"
    for each in both:
        assert each.communicate(b"now\n", timeout=60)[1] == b""
    assert [each.returncode for each in both] == [0, 0]
    make_ready(engine)


@pytest.mark.slow
def test_a_site_moves_to_postgresql_with_everything(
    command: Command, server: str, tmp_path: Path, slices: Path
) -> None:
    """The same list, the same charges, nothing twice; and the numbers of rows go on."""
    target = open_database(server)
    emptied(target)
    root = tmp_path / "root"
    assert command("import", slices).code == 0
    assert command("run", SERIES_UID, "--protocol", "tiny", "--papers", DOCUMENTED).code == 0
    listed = command("list", "--json").json
    assert command("move-database", server, "--dry-run", "--json").json["rows"]["message"] > 0
    assert schema.version_of(target) is None
    moved = command("move-database", server, "--json").json
    assert moved["done"] and command("move-database", server).code == 1
    (root / "config.toml").write_text(
        f"{(root / 'config.toml').read_text() if (root / 'config.toml').exists() else ''}\n"
    )
    lines = f'database = "{server}"\nstore = "{root}"\n'
    (root / "config.toml").write_text(lines + (root / "config.toml").read_text())
    (root / "workstation.db").rename(tmp_path / "old.db")
    assert command("list", "--json").json == listed
    before = len(command("outbox", "list", "--json").json)
    again = command("run", SERIES_UID, "--protocol", "tiny", "--papers", DOCUMENTED, "--json")
    assert again.code == 0, again.err
    assert len(command("outbox", "list", "--json").json) == before > 0
    assert command("outbox", "send", "--json").json["left"] == 0
    assert not (root / "workstation.db").exists()
    target.dispose()


def test_upgrade_says_what_it_does_keeps_a_copy_and_does_it(command: Command, tmp_path: Path) -> None:
    root = tmp_path / "root"
    assert command("upgrade", "--dry-run", "--json").json["found"] == ""
    assert command("list").code == 0
    assert command("upgrade", "--json").json["steps"] == []
    engine = open_database(root / "workstation.db")
    as_before_versions(engine)
    engine.dispose()
    shutil.copy(root / "workstation.db", tmp_path / "before.db")
    refused = command("list")
    assert refused.code == 1 and "`workstation upgrade --dry-run`" in refused.err
    shown = command("upgrade", "--dry-run")
    assert "0001  The tables of release 0.2.0." in shown.out and "Nothing was changed." in shown.out, shown
    assert command("list").code == 1
    done = command("upgrade", "--json").json
    assert done["done"] and command("list").code == 0
    kept = open_database(Path(done["copy"]))
    assert schema.version_of(kept) == ""
    kept.dispose()


def test_a_state_folder_that_release_0_2_0_made_is_upgraded(command: Command, tmp_path: Path) -> None:
    """What that program wrote: a person, a series, a signed session with its charge in the outbox. Same case and
    charge afterwards, the chain unbroken, nothing to charge again."""
    root = tmp_path / "root"
    root.mkdir()
    dumped = gzip.decompress((Path(__file__).with_name("release_0_2_0.sql.gz")).read_bytes()).decode()
    with contextlib.closing(sqlite3.connect(root / "workstation.db")) as made:
        made.executescript(dumped)
    (root / "people.json").write_text(
        '[{"id": "DR1", "name": "Sample^Radiologist", "role": "physician", "password": ""}]', encoding="utf-8"
    )
    assert command("charge", "list").code == 1
    done = command("upgrade", "--json")
    assert done.code == 0 and done.json["done"], done.err
    assert schema.NEWEST in [step["version"] for step in done.json["steps"]]
    assert [row["id"] for row in command("people", "list", "--json").json] == ["DR1"]
    (case,) = command("charge", "list", "--json").json
    assert (case["accession"], case["state"], case["code"]) == ("DEMO-0001", "queued", "76377")
    assert [row["state"] for row in command("outbox", "list", "--json").json] == ["queued"]
    assert command("charge", "recheck", "--json").code == 0
    assert len(command("outbox", "list", "--json").json) == 1
    opened = open_database(root / "workstation.db")
    assert list(Ledger(opened).faults()) == []
    opened.dispose()


@pytest.mark.slow
def test_years_of_messages_move(server: str, tmp_path: Path) -> None:
    """More rows than PostgreSQL has locks for in one transaction."""
    source, target = open_database(tmp_path / "w.db"), open_database(server)
    make_ready(source)
    emptied(target)
    keys = [f"k{number}" for number in range(30_000)]
    with source.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO message (key, destination, kind, identity, accession, queued_at) "
            "VALUES (?, 'd', 'hl7', ?, 'a', '')",
            [(key, key) for key in keys],
        )
        connection.exec_driver_sql(
            "INSERT INTO attempt (message, at, outcome, detail) VALUES (?, '', 'acknowledged', '')",
            [(key,) for key in keys[:-3]],
        )
    moved = schema.move(source, target)
    assert (moved["message"], moved["attempt"]) == (30_000, 29_997)
    make_ready(target)
    with target.connect() as connection:
        left = connection.execute(text("SELECT message FROM unfinished ORDER BY message")).scalars().all()
    assert left == keys[-3:]
    source.dispose()
    target.dispose()
