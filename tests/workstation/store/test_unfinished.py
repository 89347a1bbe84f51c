"""The list of messages that are not done agrees with the attempts, on SQLite and on PostgreSQL."""

import random
import threading
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, event, text

from tests.workstation.store.before_versions import as_before_versions
from workstation.hl7.acknowledgement import Acknowledgement
from workstation.store.messages import Delivery, DeliveryOutcome, Message
from workstation.store.outbox import Outbox
from workstation.store.schema import upgrade

AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
OUTCOMES: tuple[DeliveryOutcome, ...] = ("failed", "refused", "rejected", "requeued", "acknowledged", "withdrawn")
MESSAGES = [Message("PACS", "dicom", f"1.2.{n}", "ACC1", path=f"{n}.dcm") for n in range(40)]


def worked_on(engine: Engine) -> Outbox:
    """Forty messages with up to four attempts each, of any outcome in any order."""
    outbox, chance = Outbox(engine), random.Random(7)
    outbox.queue(MESSAGES, AT)
    for message in MESSAGES[4:]:
        for outcome in chance.choices(OUTCOMES, k=chance.randrange(5)):
            outbox.attempted(message.key, AT, Delivery(outcome, ""))
    return outbox


def not_done(outbox: Outbox) -> list[str]:
    return [entry.message.key for entry in outbox.list() if not entry.done]


def test_what_is_open_is_what_is_not_done(engine: Engine) -> None:
    outbox = worked_on(engine)
    assert 4 < len(not_done(outbox)) < 40
    assert [entry.message.key for entry in outbox.open_messages()] == not_done(outbox)


def test_an_older_state_folder_gets_the_list_from_its_attempts(engine: Engine) -> None:
    before = not_done(worked_on(engine))
    with engine.begin() as connection:
        sqlite = engine.dialect.name == "sqlite"
        for trigger in ("message_unfinished", "attempt_unfinished", "attempt_done")[: 3 if sqlite else 2]:
            on = "" if sqlite else f" ON {trigger.split('_')[0]}"
            connection.execute(text(f"DROP TRIGGER {trigger}{on}"))
        connection.execute(text("DROP TABLE unfinished"))
    as_before_versions(engine)
    for _ in range(2):
        upgrade(engine)
        outbox = Outbox(engine)
        assert [entry.message.key for entry in outbox.open_messages()] == before
    outbox.attempted(before[0], AT, Delivery("acknowledged", ""))
    assert [entry.message.key for entry in outbox.open_messages()] == before[1:]


def test_what_was_acknowledged_since_and_before_is_all_of_it(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """An instance that was acknowledged may be sent again, and one that was given up be acknowledged after all."""
    monkeypatch.setattr("workstation.store.outbox._OVERLAP", 0)
    outbox, chance = Outbox(engine), random.Random(3)
    outbox.queue(MESSAGES, AT)
    since, known = 0, tuple[str, ...]()
    for _ in range(6):
        for message in chance.sample(MESSAGES, 12):
            outbox.attempted(message.key, AT, Delivery(chance.choice(OUTCOMES[3:5]), ""))
        since, known = outbox.acknowledged("PACS", since, known)
        assert (
            known
            == outbox.acknowledged("PACS")[1]
            == tuple(entry.message.identity for entry in outbox.list() if entry.state == "acknowledged")
        )
    assert outbox.acknowledged("PACS", since) == (since, ())


def test_many_hands_leave_nothing_out(engine: Engine) -> None:
    outbox = Outbox(engine)
    outbox.queue(MESSAGES[:4], AT)

    def work(seed: int) -> None:
        own, chance = Outbox(engine), random.Random(seed)
        for _ in range(12):
            own.attempted(chance.choice(MESSAGES[:4]).key, AT, Delivery(chance.choice(OUTCOMES[2:5]), ""))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [entry.message.key for entry in outbox.open_messages()] == not_done(outbox)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_history_is_not_read(engine: Engine) -> None:
    """By the steps of SQLite's own machine: what is open costs the same after a thousand messages more."""
    outbox = Outbox(engine)
    outbox.queue(MESSAGES[:2], AT)

    def steps() -> int:
        counted = [0]

        def count() -> int:
            counted[0] += 1
            return 0

        @event.listens_for(engine, "checkout")
        def watch(connection: object, *_: object) -> None:
            connection.set_progress_handler(count, 1)  # type: ignore[attr-defined]

        outbox.open_messages()
        outbox.answered_later(Acknowledgement("AE", "C1", ""), AT)
        event.remove(engine, "checkout", watch)
        return counted[0]

    outbox.queue([Message("BILLING", "hl7", "C1", "ACC1", b"MSH")], AT)
    first = steps()
    more = [Message("PACS", "dicom", f"1.3.{n}", "ACC2", path=f"{n}.dcm") for n in range(1000)]
    outbox.queue(more, AT)
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO attempt (message, at, outcome, detail) "
                "SELECT key, queued_at, 'acknowledged', '' FROM message WHERE accession = 'ACC2'"
            )
        )
    assert steps() < 1.2 * first + 200
