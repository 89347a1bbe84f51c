"""Whatever is written by hand into what people and the workstation decided is found, on SQLite and on PostgreSQL."""

import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from dicom_io.evidence import Person
from tests.workstation.store.before_versions import as_before_versions
from workstation.store.casebook import Casebook
from workstation.store.cases import Ruling, Snapshot
from workstation.store.journal import Journal
from workstation.store.ledger import Ledger
from workstation.store.messages import Delivery, Message
from workstation.store.outbox import Outbox
from workstation.store.papers import NOTHING, PapersFile
from workstation.store.register import Register
from workstation.store.schema import SchemaError, make_ready, upgrade

AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ANNA = Person("meier", "Meier^Anna", "physician")
TABLES = ("event", "act", "decision", "papers", "person")
ABOUT = {"ACC1", "1.2.1"}


def filled(engine: Engine) -> Ledger:
    """Two accessions with everything that is entered, and a message for each."""
    journal, book, papers = Journal(engine), Casebook(engine, Outbox(engine)), PapersFile(engine)
    for number in (1, 2):
        accession, session = f"ACC{number}", f"1.2.{number}"
        journal.record(session, ANNA, "image_selection", AT)
        journal.record(session, ANNA, "approval", AT)
        papers.put(accession, replace(NOTHING, account_number="A1"), AT)
        book.act(session, accession, AT, "jd", "coder", "note", "called", {"n": number})
        decide(book, accession, session, 0)
        book.act(session, accession, AT, "jd", "coder", "release", "addendum", {"answered": []})
        decide(book, accession, session, 1)
        Register(engine).put(f"p{number}", {"id": f"p{number}"}, AT)
    return Ledger(engine)


def decide(book: Casebook, accession: str, session: str, number: int) -> None:
    ruling = Ruling(accession, session, f"{session}.9", AT, AT, "held", "test", {"reasons": []}, "{}")
    message = Message("out", "file", f"{accession} {number}", accession, b"MSH")
    book.commit(Snapshot(accession, number, 0, (), (), (), {}), [ruling], [message], AT)


def unguarded(engine: Engine, *statements: str) -> None:
    """Runs statements as somebody who first takes the guards away."""
    with engine.begin() as connection:
        for table in ("ledger", *TABLES):
            if engine.dialect.name == "sqlite":
                for verb in ("update", "delete"):
                    connection.execute(text(f"DROP TRIGGER {table}_no_{verb}"))
            else:
                connection.execute(text(f"GRANT ALL ON {table} TO CURRENT_USER"))
                connection.execute(text(f"DROP TRIGGER {table}_no_change ON {table}"))
        for statement in statements:
            connection.execute(text(statement))


def test_what_was_written_by_us_agrees(engine: Engine) -> None:
    ledger = filled(engine)
    assert ledger.doubt(ABOUT) == "" and list(ledger.faults(Outbox(engine).heads())) == []
    assert len(Outbox(engine).heads()) == 4
    assert ledger.doubt({"ACC9"}) == "" and ledger.doubt(set()) == ""


CHANGED = [
    (table, statement)
    for table in (*TABLES, "message", "charge", "credit", "attempt")
    for statement in ("UPDATE {} SET place = place + 100", "DELETE FROM {}", "TRUNCATE {}")
]


def test_the_database_refuses_changes(engine: Engine) -> None:
    filled(engine)
    Outbox(engine).attempted(Outbox(engine).list()[0].message.key, AT, Delivery("failed", "nobody there"))
    for table, statement in CHANGED:
        if "TRUNCATE" in statement and engine.dialect.name == "sqlite":
            continue  # there is no such statement
        counted = text(f"SELECT count(*) FROM {table}")
        with engine.connect() as connection:
            before = connection.execute(counted).scalar()
        if before or "TRUNCATE" in statement:
            with pytest.raises(DBAPIError, match=r"append-only|permission denied|cannot truncate"), engine.begin() as c:
                c.execute(text(statement.format(table)))
        with engine.connect() as connection:
            assert connection.execute(counted).scalar() == before, statement.format(table)


CHANGES = {
    "an act's role": "UPDATE act SET role = 'physician' WHERE accession = 'ACC1' AND kind = 'note'",
    "an act's object": "UPDATE act SET detail = '{\"n\": 9}' WHERE accession = 'ACC1' AND kind = 'note'",
    "an act is gone": "DELETE FROM act WHERE accession = 'ACC1' AND kind = 'note'",
    "the last act is gone": "DELETE FROM act WHERE accession = 'ACC1' AND kind = 'release'",
    "all acts are gone": "DELETE FROM act WHERE accession = 'ACC1'",
    "an act is put in": "INSERT INTO act (place, session, accession, at, person, role, kind, why, detail) "
    "SELECT 99, '1.2.1', 'ACC1', at, person, role, 'release', why, detail FROM act WHERE place = 1",
    "an act of another accession": "UPDATE act SET accession = 'ACC1' WHERE accession = 'ACC2'",
    "a ruling": "UPDATE decision SET state = 'charged' WHERE accession = 'ACC1' AND number = 2",
    "a ruling's facts": "UPDATE decision SET facts = '{\"a\": 1}' WHERE accession = 'ACC1' AND number = 1",
    "a ruling is gone": "DELETE FROM decision WHERE accession = 'ACC1' AND number = 2",
    "papers": "UPDATE papers SET content = replace(content, 'A1', 'A2') WHERE accession = 'ACC1'",
    "papers are gone": "DELETE FROM papers WHERE accession = 'ACC1'",
    "an event": "UPDATE event SET kind = 'monitoring' WHERE session = '1.2.1' AND number = 1",
    "the last event is gone": "DELETE FROM event WHERE session = '1.2.1' AND number = 1",
    "an entry's digest": "UPDATE ledger SET digest = 'x' WHERE subject = 'ACC1'",
    "an entry's subject": "UPDATE ledger SET subject = 'ACC1' WHERE subject = 'ACC2'",
    "entries are gone": "DELETE FROM ledger WHERE subject = 'ACC1'",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_by_hand_is_found(engine: Engine, change: str) -> None:
    ledger = filled(engine)
    unguarded(engine, CHANGES[change])
    assert "by hand" in ledger.doubt(ABOUT)
    assert list(ledger.faults())


def test_another_case_is_not_held_for_it(engine: Engine) -> None:
    ledger = filled(engine)
    unguarded(engine, CHANGES["an act's role"])
    assert ledger.doubt({"ACC2", "1.2.2"}) == ""


def test_an_end_that_was_cut_off_is_told_by_the_messages(engine: Engine) -> None:
    ledger = filled(engine)
    heads = Outbox(engine).heads()
    unguarded(
        engine,
        "DELETE FROM ledger WHERE number > (SELECT min(number) FROM ledger WHERE kind = 'decision')",
        "DELETE FROM act WHERE place > 1",
        "DELETE FROM decision WHERE place > 1",
        "DELETE FROM event WHERE place > 2",
        "DELETE FROM papers WHERE place > 1",
        "DELETE FROM person",
    )
    assert list(ledger.faults()) == [], "what is left is a chain"
    assert "its end was cut off by hand" in next(ledger.faults(heads))


def test_one_that_was_made_anew_is_told_by_the_messages(engine: Engine) -> None:
    filled(engine)
    heads = Outbox(engine).heads()
    unguarded(engine, "DROP TABLE ledger", "UPDATE act SET role = 'physician'")
    with pytest.raises(SchemaError, match=r"ledger.* of the database is missing"):
        make_ready(engine)
    as_before_versions(engine)
    upgrade(engine)
    ledger = Ledger(engine)
    assert ledger.doubt(ABOUT) == "" and "messages left with a head" in next(ledger.faults(heads))


def test_rows_from_before_there_was_a_ledger_are_entered(engine: Engine) -> None:
    before = filled(engine).head()
    unguarded(engine, "DROP TABLE ledger")
    as_before_versions(engine)
    upgrade(engine)
    ledger = Ledger(engine)
    assert ledger.head() and ledger.head() != before
    assert ledger.doubt(ABOUT) == "" and list(ledger.faults()) == []
    unguarded(engine, CHANGES["a ruling"])
    assert ledger.doubt(ABOUT)


@pytest.mark.slow
def test_many_hands_write_one_ledger(engine: Engine) -> None:
    filled(engine)
    failed: list[BaseException] = []

    def write(hand: int) -> None:
        try:
            book, journal = Casebook(engine, Outbox(engine)), Journal(engine)
            for number in range(8):
                book.act("1.2.1", "ACC1", AT, f"h{hand}", "coder", "note", str(number), {})
                journal.record("1.2.1", ANNA, "monitoring", AT, f"{hand} {number}")
        except BaseException as error:  # noqa: BLE001 - told by the test
            failed.append(error)

    hands = [threading.Thread(target=write, args=(hand,)) for hand in range(4)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    assert not failed
    assert Ledger(engine).doubt(ABOUT) == "" and list(Ledger(engine).faults()) == []
