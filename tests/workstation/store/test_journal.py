"""The journal: nothing in it is lost, and nothing in it is changed without being found out."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from dicom_io.archive.database import open_database
from dicom_io.evidence import Evidence, Person
from tests.dicom_io.sr.test_evidence_sr import simple
from tests.thorough import examples
from workstation.store.journal import SUPERVISION_ACTS, Journal, doubt, first_break
from workstation.store.schema import make_ready, upgrade

ANNA = Person("meier", "Meier^Anna", "physician")
CHIDI = Person("okafor", "Okafor^Chidi", "technologist")
AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
SESSION = "1.2.3"


@contextmanager
def opened(path: Path) -> Iterator[Journal]:
    engine = open_database(path)
    try:
        make_ready(engine)
        yield Journal(engine)
    finally:
        engine.dispose()


def filled(journal: Journal, count: int = 6) -> Evidence:
    """A session of some events beside another one, and the record made at its end."""
    for number in range(count):
        person = (ANNA, CHIDI)[number % 2]
        journal.record(SESSION, person, SUPERVISION_ACTS[number % 7], AT + timedelta(seconds=number), f"view {number}")
        journal.record("1.2.9", person, "monitoring", AT, f"{number}")
    entries = journal.entries(SESSION)
    acts = tuple(entry.act for entry in entries)
    return replace(simple(), session_uid=SESSION, acts=acts, journal_head=entries[-1].hash)


def test_events_are_chained_and_found_again(tmp_path: Path) -> None:
    with opened(tmp_path / "j.db") as journal:
        evidence = filled(journal)
        entries = journal.entries(SESSION)
        assert [entry.number for entry in entries] == list(range(6))
        assert len({entry.hash for entry in (*entries, *journal.entries("1.2.9"))}) == 12
        assert doubt(evidence, journal, evidence.device_uid) == ""
        # The same again is the same event, with its first time; later events are no doubt about an earlier record.
        again = journal.record(SESSION, ANNA, "region_design", AT + timedelta(days=1), "view  0\n")
        assert again == entries[0]
        journal.record(SESSION, ANNA, "reported", AT)
        assert doubt(evidence, journal, evidence.device_uid) == ""


def test_a_time_is_kept_as_records_have_it(tmp_path: Path) -> None:
    with opened(tmp_path / "j.db") as journal:
        made = journal.record(SESSION, ANNA, "opened", AT.replace(microsecond=123456))
        assert made.at == AT
        with pytest.raises(ValueError, match="without its zone"):
            journal.record(SESSION, ANNA, "opened", datetime(2026, 3, 2))


def _changed(column: str, value: str) -> Callable[[Connection, int, int], Any]:
    statement = f"UPDATE event SET {column} = ? WHERE session = ? AND number = ?"
    return lambda c, n, m: c.exec_driver_sql(statement, (value, SESSION, n))


CHANGES: dict[str, Callable[[Connection, int, int], Any]] = {
    "change at": _changed("at", (AT + timedelta(hours=1)).isoformat()),
    "change person": _changed("person", "somebody"),
    "change role": _changed("role", "resident"),
    "change kind": _changed("kind", "opened"),
    "change detail": _changed("detail", "another view"),
    "change hash": _changed("hash", "0" * 64),
    "remove": lambda c, n, m: c.exec_driver_sql("DELETE FROM event WHERE session = ? AND number = ?", (SESSION, n)),
    "remove and close ranks": lambda c, n, m: [
        c.exec_driver_sql("DELETE FROM event WHERE session = ? AND number = ?", (SESSION, n)),
        c.exec_driver_sql("UPDATE event SET number = number - 1 WHERE session = ? AND number > ?", (SESSION, n)),
    ],
    "move": lambda c, n, m: [
        c.exec_driver_sql("UPDATE event SET number = ? WHERE session = ? AND number = ?", (to, SESSION, number))
        for number, to in ((n, 99), (m, n), (99, m))
    ],
    "insert": lambda c, n, m: [
        c.exec_driver_sql("UPDATE event SET number = number + 100 WHERE session = ? AND number >= ?", (SESSION, n)),
        c.exec_driver_sql("UPDATE event SET number = number - 99 WHERE session = ? AND number >= 100", (SESSION,)),
        c.exec_driver_sql(
            "INSERT INTO event (session, at, person, role, kind, detail, number, hash) VALUES (?,?,?,?,?,?,?,?)",
            (SESSION, AT.isoformat(), "meier", "physician", "approval", "never", n, "f" * 64),
        ),
    ],
    "give to another session": lambda c, n, m: c.exec_driver_sql(
        "UPDATE event SET session = 'other' WHERE session = ? AND number = ?", (SESSION, n)
    ),
    "remove all": lambda c, n, m: c.exec_driver_sql("DELETE FROM event WHERE session = ?", (SESSION,)),
}


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(CHANGES)), st.integers(0, 5), st.integers(1, 5))
def test_whatever_is_changed_is_found_out(change: str, number: int, other: int) -> None:
    with TemporaryDirectory() as folder, opened(Path(folder) / "j.db") as journal:
        evidence = filled(journal)
        with journal.engine.begin() as connection:
            for verb in ("update", "delete"):
                connection.exec_driver_sql(f"DROP TRIGGER event_no_{verb}")
            CHANGES[change](connection, number, (number + other) % 6)
        assert doubt(evidence, journal, evidence.device_uid)
        assert first_break("1.2.9", journal.entries("1.2.9")) is None


def test_a_record_whose_acts_were_changed_is_found_out_anywhere(tmp_path: Path) -> None:
    with opened(tmp_path / "j.db") as journal:
        evidence = filled(journal)
        other = replace(evidence.acts[2], kind="approval")
        for acts in (evidence.acts[:-1], (*evidence.acts, other), (*evidence.acts[:2], other, *evidence.acts[3:])):
            changed = replace(evidence, acts=acts)
            assert "the SR was changed" in doubt(changed, journal, evidence.device_uid)
            assert "the SR was changed" in doubt(changed, journal, "2.25.99")


def test_a_record_of_another_device_or_of_before_chains_is_believed(tmp_path: Path) -> None:
    with opened(tmp_path / "j.db") as journal:
        evidence = filled(journal)
        with opened(tmp_path / "elsewhere.db") as elsewhere:
            assert doubt(evidence, elsewhere, "2.25.99") == ""
            assert "lacks events" in doubt(evidence, elsewhere, evidence.device_uid)
            assert doubt(simple(), elsewhere, "2.25.1") == ""


@pytest.mark.parametrize("statement", ["UPDATE event SET kind = 'approval'", "DELETE FROM event"])
def test_the_database_refuses_changes(tmp_path: Path, statement: str) -> None:
    with opened(tmp_path / "j.db") as journal:
        filled(journal)
        with pytest.raises(IntegrityError, match="append-only"), journal.engine.begin() as connection:
            connection.exec_driver_sql(statement)
        assert len(journal.entries(SESSION)) == 6


OLD = """CREATE TABLE event (
    place INTEGER NOT NULL, session TEXT NOT NULL, at TEXT NOT NULL, person TEXT NOT NULL, role TEXT NOT NULL,
    kind TEXT NOT NULL, detail TEXT NOT NULL, PRIMARY KEY (place), UNIQUE (session, person, kind, detail))"""


def test_a_journal_from_before_chains_is_chained(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "j.db")
    with engine.begin() as connection:
        connection.exec_driver_sql(OLD)
        for number, session in enumerate(("a", "b", "a", "a", "b")):
            row = (session, AT.isoformat(), "meier", "physician", "view_adjustment", str(number))
            connection.exec_driver_sql(
                "INSERT INTO event (session, at, person, role, kind, detail) VALUES (?,?,?,?,?,?)", row
            )
    upgrade(engine)
    engine.dispose()
    for _ in range(2):
        with opened(tmp_path / "j.db") as journal:
            assert [entry.act.detail for entry in journal.entries("a")] == ["0", "2", "3"]
            for session in ("a", "b"):
                assert first_break(session, journal.entries(session)) is None
    with opened(tmp_path / "j.db") as journal:
        added = journal.record("a", ANNA, "approval", AT)
        assert added.number == 3
        assert first_break("a", journal.entries("a")) is None


def test_many_hands_write_one_chain(tmp_path: Path) -> None:
    with opened(tmp_path / "j.db"):
        pass

    def write(hand: int) -> None:
        with opened(tmp_path / "j.db") as journal:
            for number in range(10):
                journal.record(SESSION, ANNA, "monitoring", AT, f"{hand} {number}")

    hands = [threading.Thread(target=write, args=(hand,)) for hand in range(4)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    with opened(tmp_path / "j.db") as journal:
        entries = journal.entries(SESSION)
        assert len(entries) == 40
        assert first_break(SESSION, entries) is None


WRITER = """
import sys
from pathlib import Path
from dicom_io.archive.database import open_database
from tests.workstation.store.test_journal import ANNA, AT, SESSION
from workstation.store.journal import Journal
from workstation.store.schema import make_ready
engine = open_database(Path(sys.argv[1]))
make_ready(engine)
journal = Journal(engine)
for number in range(100000):
    print(journal.record(SESSION, ANNA, "monitoring", AT, str(number)).number, flush=True)
"""


@pytest.mark.slow
def test_what_was_recorded_survives_a_killed_process(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "j.db")], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        said = [int(writer.stdout.readline()) for _ in range(25)]
        writer.kill()
    with opened(tmp_path / "j.db") as journal:
        entries = journal.entries(SESSION)
        assert len(entries) > said[-1] == 24
        assert first_break(SESSION, entries) is None
