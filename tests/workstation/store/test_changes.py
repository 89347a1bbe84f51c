"""Which accessions have changed: every table that a case's place on the list follows from, and rows that come late."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, text

from workstation.store.casebook import Casebook
from workstation.store.changes import CaseChanges
from workstation.store.messages import Charge, Delivery, Message
from workstation.store.outbox import Outbox

AT = datetime(2026, 3, 2, 10, tzinfo=UTC)
CHARGED = Message("billing", "hl7", "c1", "ACC1", b"DFT", None, (Charge("k1", "76377", "ACC1", "70450", "1.2"),))
CREDIT = Message("billing", "hl7", "c2", "ACC1", b"CR", None, (), ("k1",))
PICTURE = Message("pacs", "dicom", "1.2.3", "ACC5", None, "a.dcm")
_ACT = "INSERT INTO act (place, session, accession, at, person, role, kind, why, detail) VALUES "


def act(book: Casebook, *accessions: str) -> None:
    for accession in accessions:
        book.act("s", accession, AT, "jd", "coder", "note", "x", {}, due=False)


STEPS: tuple[tuple[Callable[[Casebook, Outbox], object], set[str]], ...] = (
    (lambda book, outbox: act(book, "ACC1"), {"ACC1"}),
    (lambda book, outbox: act(book, "ACC2", "ACC3"), {"ACC2", "ACC3"}),
    (lambda book, outbox: outbox.queue([CHARGED, PICTURE], AT), {"ACC1"}),
    (lambda book, outbox: outbox.attempted(CHARGED.key, AT, Delivery("acknowledged", "AA")), {"ACC1"}),
    (lambda book, outbox: outbox.attempted(PICTURE.key, AT, Delivery("acknowledged", "")), set()),
    (lambda book, outbox: outbox.record_charge("k1", "denied", AT, "CO-50"), {"ACC1"}),
    (lambda book, outbox: outbox.queue([CREDIT], AT), {"ACC1"}),
    (lambda book, outbox: outbox.attempted(CREDIT.key, AT, Delivery("failed", "silence")), {"ACC1"}),
    (lambda book, outbox: book.touch("ACC1", "due"), set()),
)


def test_each_kind_of_row_tells_its_accession_once(engine: Engine) -> None:
    outbox = Outbox(engine)
    book, changes, late = Casebook(engine, outbox), CaseChanges(engine), CaseChanges(engine)
    changes.begin()
    for step, accessions in STEPS:
        step(book, outbox)
        assert changes.look() == accessions
        assert changes.look() == frozenset()
    # One that began before all of it, and looks once.
    assert late.look() == {"ACC1", "ACC2", "ACC3"}


# SQLite has one writer at a time.
@pytest.mark.slow
@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_of_two_transactions_the_earlier_place_may_end_last(engine: Engine) -> None:
    changes = CaseChanges(engine)
    changes.begin()
    row = "({}, 's', '{}', '2026-03-02', 'jd', 'coder', 'note', 'x', '{{}}')"
    with engine.connect() as slow, engine.connect() as quick:
        slow.execute(text(_ACT + row.format(1, "SLOW")))
        quick.execute(text(_ACT + row.format(2, "QUICK")))
        quick.commit()
        assert changes.look() == {"QUICK"}
        slow.commit()
    assert changes.look() == {"SLOW"}
    assert changes.look() == frozenset()


def test_more_rows_than_the_window_holds(engine: Engine) -> None:
    changes = CaseChanges(engine)
    with engine.begin() as connection:
        rows = [f"({n}, 's', 'A{n % 7}', '2026-03-02', 'jd', 'coder', 'note', 'x', '{{}}')" for n in range(1, 2501)]
        connection.execute(text(_ACT + ", ".join(rows)))
    assert changes.look() == {f"A{n}" for n in range(7)}
    assert changes.look() == frozenset()
    with engine.begin() as connection:
        connection.execute(text(_ACT + "(2600, 's', 'LAST', '2026-03-02', 'jd', 'coder', 'note', 'x', '{}')"))
    assert changes.look() == {"LAST"}
