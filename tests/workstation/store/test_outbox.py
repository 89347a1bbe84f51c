"""The outbox: queued once, delivered in order, marked only when acknowledged, repaired by doing it again."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from dicom_io.archive.database import open_database
from tests.workstation.hl7.test_syntax import AT, LINE, SUBJECT
from tests.workstation.transports.ways import by_mllp
from workstation.billing.dft import charge_key, charge_message
from workstation.hl7.acknowledgement import Acknowledgement, acknowledgement, control_id_of
from workstation.hl7.mllp import MllpReceiver
from workstation.store.messages import Charge, Delivery, Message, OutboxChangedError, OutboxError, State
from workstation.store.outbox import Outbox
from workstation.store.schema import SchemaError, make_ready, upgrade
from workstation.transports.order import backoff, deliver_pending

BODY = charge_message([LINE], SUBJECT, at=AT)
CHARGE = Charge(charge_key(LINE, SUBJECT), "76377", "ACC1", "70486", "1.2.840.1")


def charge_of(body: bytes = BODY, accession: str = "ACC1", charges: tuple[Charge, ...] = (CHARGE,)) -> Message:
    return Message("BILLING", "hl7", control_id_of(body), accession, body=body, charges=charges)


def instance(uid: str, accession: str = "ACC1", destination: str = "PACS") -> Message:
    return Message(destination, "dicom", uid, accession, path=f"/store/{uid}")


def clock() -> Callable[[], datetime]:
    ticks = count(1)
    return lambda: AT + timedelta(seconds=next(ticks))


def accept(_: Message) -> Delivery:
    return Delivery("acknowledged", "AA")


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    engine = open_database(tmp_path / "outbox.sqlite")
    make_ready(engine)
    yield Outbox(engine)
    engine.dispose()


def states(outbox: Outbox) -> list[State]:
    return [entry.state for entry in outbox.list()]


class TestQueue:
    def test_queueing_is_idempotent(self, outbox: Outbox) -> None:
        messages = [instance("1.2.1"), charge_of()]
        assert outbox.queue(messages, AT) == tuple(message.key for message in messages)
        assert outbox.queue(messages, AT + timedelta(days=1)) == ()
        assert outbox.pending() == tuple(messages)
        assert [entry.queued_at for entry in outbox.list()] == [AT, AT]

    def test_the_key_is_destination_kind_and_identity(self) -> None:
        assert instance("1.2.1").key == instance("1.2.1", accession="ACC2").key
        keys = {instance("1.2.1").key, instance("1.2.2").key, instance("1.2.1", destination="OTHER").key}
        assert len(keys) == 3

    def test_other_content_under_the_same_key_is_refused_with_everything(self, outbox: Outbox) -> None:
        outbox.queue([charge_of()], AT)
        changed = Message("BILLING", "hl7", control_id_of(BODY), "ACC1", body=b"MSH|other")
        with pytest.raises(OutboxError, match="is in the outbox already with other content"):
            outbox.queue([instance("1.2.1"), changed], AT)
        assert outbox.pending() == (charge_of(),)

    def test_a_charge_cannot_go_in_two_messages(self, outbox: Outbox) -> None:
        outbox.queue([charge_of()], AT)
        other = Message("BILLING", "hl7", "ANOTHER", "ACC1", body=b"MSH|x", charges=(CHARGE,))
        with pytest.raises(OutboxError, match="One of the charges is in the outbox already"):
            outbox.queue([instance("1.2.1"), other], AT)
        assert outbox.pending() == (charge_of(),)

    @pytest.mark.parametrize("body", [None, b"x"])
    def test_a_message_has_a_body_or_a_path(self, outbox: Outbox, body: bytes | None) -> None:
        with pytest.raises(OutboxError, match="needs a body or a path"):
            outbox.queue([Message("D", "file", "a", "", body=body, path="x" if body else None)], AT)

    def test_times_have_an_offset(self, outbox: Outbox) -> None:
        with pytest.raises(OutboxError, match="offset from UTC"):
            outbox.queue([charge_of()], AT.replace(tzinfo=None))

    def test_it_survives_being_opened_again(self, tmp_path: Path) -> None:
        for _ in range(2):
            engine = open_database(tmp_path / "again.sqlite")
            make_ready(engine)
            Outbox(engine).queue([charge_of()], AT)
            assert Outbox(engine).pending() == (charge_of(),)
            engine.dispose()


class TestDrain:
    def test_everything_goes_out_in_order_once(self, outbox: Outbox) -> None:
        messages = [instance("1.2.1"), instance("1.2.2"), charge_of()]
        outbox.queue(messages, AT)
        assert [message for message, _ in deliver_pending(outbox, accept, clock())] == messages
        assert states(outbox) == ["acknowledged"] * 3
        assert deliver_pending(outbox, accept, clock()) == ()
        assert outbox.list()[0].last_at == AT + timedelta(seconds=1)

    def test_a_charge_waits_for_its_evidence(self, outbox: Outbox) -> None:
        first, second = instance("1.2.1", destination="SITE"), Message("SITE", "hl7", "C1", "ACC1", body=b"x")
        other = Message("SITE", "hl7", "C2", "ACC2", body=b"y")
        elsewhere = Message("BILLING", "hl7", "C1", "ACC1", body=b"x")
        outbox.queue([first, second, other, elsewhere], AT)
        delivered: list[Message] = []

        def refuse_instances(message: Message) -> Delivery:
            delivered.append(message)
            return Delivery("refused", "full") if message.kind == "dicom" else Delivery("acknowledged", "AA")

        deliver_pending(outbox, refuse_instances, clock())
        assert delivered == [first, other, elsewhere]
        assert states(outbox) == ["retrying", "queued", "acknowledged", "acknowledged"]
        deliver_pending(outbox, accept, clock())
        assert states(outbox) == ["acknowledged"] * 4

    def test_as_many_at_once_as_the_destination_takes(self, outbox: Outbox) -> None:
        """Two have to be under way together, or the barrier breaks; a third never is."""
        messages = [instance(f"1.2.{n}") for n in range(6)]
        outbox.queue([*messages, charge_of()], AT)
        together, now, most = threading.Barrier(2, timeout=20), [0], [0]
        counting = threading.Lock()

        def deliver(message: Message) -> Delivery:
            with counting:
                now[0] += 1
                most[0] = max(most[0], now[0])
            if message.kind == "dicom":
                together.wait()
            with counting:
                now[0] -= 1
            return Delivery("acknowledged", "0x0000")

        tried = deliver_pending(outbox, deliver, clock(), at_once=lambda message: 2 if message.kind == "dicom" else 1)
        assert {message for message, _ in tried} == {*messages, charge_of()}
        assert states(outbox) == ["acknowledged"] * 7
        assert most[0] in (2, 3)  # the charge goes elsewhere meanwhile

    def test_side_by_side_one_that_is_refused_holds_up_no_other(self, outbox: Outbox) -> None:
        outbox.queue([instance(f"1.2.{n}") for n in range(4)], AT)

        def deliver(message: Message) -> Delivery:
            return Delivery("rejected", "0x0122") if message.identity == "1.2.1" else Delivery("acknowledged", "0x0000")

        deliver_pending(outbox, deliver, clock(), at_once=lambda message: 3)
        assert states(outbox) == ["acknowledged", "operator", "acknowledged", "acknowledged"]

    def test_side_by_side_an_unreachable_destination_is_left_alone_soon(self, outbox: Outbox) -> None:
        outbox.queue([instance(f"1.2.{n}") for n in range(9)], AT)
        tried: list[str] = []

        def deliver(message: Message) -> Delivery:
            tried.append(message.identity)
            raise ConnectionRefusedError("PACS: connection refused")

        deliver_pending(outbox, deliver, clock(), at_once=lambda message: 3)
        assert 0 < len(tried) <= 3
        assert sorted(states(outbox)) == ["queued"] * (9 - len(tried)) + ["retrying"] * len(tried)

    def test_three_refusals_wait_for_an_operator(self, outbox: Outbox) -> None:
        outbox.queue([charge_of()], AT)
        seen = []
        for _ in range(5):
            deliver_pending(outbox, lambda message: Delivery.answered(message, answer("AE", message)), clock())
            seen += states(outbox)
        assert seen == ["retrying", "retrying", "operator", "operator", "operator"]
        assert outbox.list()[0].tries == 3
        assert outbox.list()[0].last_detail == "AE because"

    def test_a_rejection_waits_for_an_operator_at_once(self, outbox: Outbox) -> None:
        outbox.queue([charge_of(), Message("BILLING", "hl7", "C2", "ACC1", body=b"later")], AT)
        deliver_pending(outbox, lambda message: Delivery.answered(message, answer("CR", message)), clock())
        assert states(outbox) == ["operator", "queued"]
        assert deliver_pending(outbox, accept, clock()) == ()

    def test_an_operator_lets_it_go_again(self, outbox: Outbox) -> None:
        outbox.queue([charge_of()], AT)
        deliver_pending(outbox, lambda _: Delivery("rejected", "AR"), clock())
        outbox.requeue(charge_of().key, AT, "OP1: receiver corrected")
        assert states(outbox) == ["retrying"]
        assert deliver_pending(outbox, accept, clock()) == ((charge_of(), Delivery("acknowledged", "AA")),)

    def test_an_operator_gives_it_up(self, outbox: Outbox) -> None:
        outbox.queue([charge_of(), Message("BILLING", "hl7", "C2", "ACC1", body=b"later")], AT)
        deliver_pending(outbox, lambda _: Delivery("rejected", "AR"), clock())
        outbox.withdraw(charge_of().key, AT, "OP1: wrong visit")
        assert [charge.state for charge in outbox.charges("ACC1")] == ["denied"]
        deliver_pending(outbox, accept, clock())
        assert states(outbox) == ["withdrawn", "acknowledged"]

    def test_an_operator_touches_only_what_waits(self, outbox: Outbox) -> None:
        outbox.queue([charge_of()], AT)
        with pytest.raises(OutboxError, match="is queued and waits for nobody"):
            outbox.withdraw(charge_of().key, AT, "OP1")
        with pytest.raises(OutboxError, match="no message nothing"):
            outbox.requeue("nothing", AT, "OP1")

    def test_an_unreachable_destination_is_left_alone_and_others_go_on(self, outbox: Outbox) -> None:
        outbox.queue([instance("1.2.1"), instance("1.2.2", "ACC2"), charge_of()], AT)
        tried: list[str] = []

        def deliver(message: Message) -> Delivery:
            tried.append(message.identity)
            if message.destination == "PACS":
                raise ConnectionRefusedError("PACS: connection refused")
            return Delivery("acknowledged", "AA")

        deliver_pending(outbox, deliver, clock())
        assert tried == ["1.2.1", control_id_of(BODY)]
        assert states(outbox) == ["retrying", "queued", "acknowledged"]
        assert outbox.list()[0].last_detail == "PACS: connection refused"
        for _ in range(5):
            deliver_pending(outbox, deliver, clock())
        assert states(outbox) == ["retrying", "queued", "acknowledged"]

    def test_an_answer_to_another_message_acknowledges_nothing(self, outbox: Outbox) -> None:
        outbox.queue([charge_of()], AT)
        deliver_pending(outbox, lambda m: Delivery.answered(m, Acknowledgement("AA", "SOMEBODYELSES", "")), clock())
        assert states(outbox) == ["retrying"]
        assert outbox.list()[0].last_detail == f"The answer is to 'SOMEBODYELSES', not to {control_id_of(BODY)}."


def answer(code: str, message: Message) -> Acknowledgement:
    return Acknowledgement(code, message.identity, "because")  # type: ignore[arg-type]


class TestOverSockets:
    def test_killed_between_sending_and_marking(self, outbox: Outbox) -> None:
        class KilledError(Exception):
            pass

        outbox.queue([charge_of()], AT)
        with MllpReceiver(lambda message: acknowledgement(message, "AA", at=AT)) as receiver:

            def killed(message: Message) -> Delivery:
                by_mllp(message, receiver.port)
                raise KilledError

            with pytest.raises(KilledError):
                deliver_pending(outbox, killed, clock())
            assert states(outbox) == ["queued"]
            outbox.queue([charge_of()], AT)
            deliver_pending(outbox, lambda message: by_mllp(message, receiver.port), clock())
            assert states(outbox) == ["acknowledged"]
            assert receiver.messages == [BODY, BODY]

    @pytest.mark.parametrize(
        ("reply", "state"),
        [
            (lambda message: acknowledgement(message, "AA", at=AT), "acknowledged"),
            (lambda message: acknowledgement(message, "CA", at=AT), "acknowledged"),
            (lambda message: acknowledgement(message, "AE", at=AT), "retrying"),
            (lambda message: acknowledgement(message, "AR", at=AT), "operator"),
            (lambda _: b"garbage", "retrying"),
            (lambda _: b"", "retrying"),
            (lambda _: acknowledgement(b"MSH|^~\\&|||||||DFT^P03|FOREIGN|P|2.5.1", "AA", at=AT), "retrying"),
        ],
        ids=["AA", "CA", "AE", "AR", "garbage", "closes", "foreign"],
    )
    def test_only_its_own_acknowledgement_marks_it(
        self, outbox: Outbox, reply: Callable[[bytes], bytes], state: State
    ) -> None:
        outbox.queue([charge_of()], AT)
        with MllpReceiver(reply) as receiver:
            deliver_pending(outbox, lambda message: by_mllp(message, receiver.port), clock())
            assert receiver.messages == [BODY]
        assert states(outbox) == [state]

    def test_a_dead_receiver_leaves_it_queued_with_the_reason(self, outbox: Outbox) -> None:
        outbox.queue([charge_of()], AT)
        with MllpReceiver(lambda _: b"") as receiver:
            port = receiver.port
        deliver_pending(outbox, lambda message: by_mllp(message, port), clock())
        assert outbox.pending() == (charge_of(),)
        assert f"127.0.0.1 port {port}: " in outbox.list()[0].last_detail


class TestCharges:
    def test_a_charge_follows_its_message(self, outbox: Outbox) -> None:
        def state() -> list[str]:
            return [charge.state for charge in outbox.charges("ACC1")]

        outbox.queue([charge_of()], AT)
        assert state() == ["queued"]
        deliver_pending(outbox, lambda _: Delivery("failed", "no answer"), clock())
        assert state() == ["sent"]
        deliver_pending(outbox, accept, clock())
        assert state() == ["acknowledged"]
        outbox.record_charge(CHARGE.key, "denied", AT, "payer: not covered")
        assert state() == ["denied"]
        outbox.record_charge(CHARGE.key, "credited", AT, "credited")
        assert state() == ["credited"]

    def test_it_is_found_by_its_accession(self, outbox: Outbox) -> None:
        outbox.queue([charge_of()], AT)
        (known,) = outbox.charges("ACC1")
        charge = known.charge
        assert (charge.key, charge.code, charge.accession, charge.base, charge.sr_uid) == (
            CHARGE.key,
            "76377",
            "ACC1",
            "70486",
            "1.2.840.1",
        )
        assert outbox.charges("ACC2") == ()
        assert outbox.charges("ACC2", "ACC1") == outbox.charges() == (known,)

    def test_a_rejected_charge_still_counts_as_out(self, outbox: Outbox) -> None:
        outbox.queue([charge_of()], AT)
        deliver_pending(outbox, lambda _: Delivery("rejected", "AR"), clock())
        assert [charge.state for charge in outbox.charges("ACC1")] == ["sent"]

    def test_a_credited_charge_can_go_out_again(self, outbox: Outbox) -> None:
        outbox.queue([charge_of()], AT)
        deliver_pending(outbox, accept, clock())
        outbox.record_charge(CHARGE.key, "credited", datetime(2026, 3, 3, tzinfo=UTC), "credited")
        body = charge_message([LINE], SUBJECT, at=AT, occurrence=2)
        again = Charge(charge_key(LINE, SUBJECT, occurrence=2), "76377", "ACC1", "70486", "1.2.840.1")
        assert outbox.queue([charge_of(body, charges=(again,))], AT)
        assert [charge.state for charge in outbox.charges("ACC1")] == ["credited", "queued"]

    def test_nothing_is_recorded_of_an_unknown_charge(self, outbox: Outbox) -> None:
        with pytest.raises(OutboxError, match="no charge K0"):
            outbox.record_charge("K0", "denied", AT, "payer")


class TestPauses:
    def test_each_failure_doubles_the_pause(self, outbox: Outbox) -> None:
        outbox.queue([charge_of()], AT)
        now = [AT]
        tried: list[int] = []
        for second in range(200):
            now[0] = AT + timedelta(seconds=second)
            if deliver_pending(
                outbox,
                lambda _: Delivery("failed", "silence"),
                lambda: now[0],
                lambda entry: backoff(entry, 10.0, 60.0),
            ):
                tried.append(second)
        assert tried == [0, 10, 30, 70, 130, 190]
        assert outbox.list()[0].failures == 6

    def test_a_clock_that_was_set_back_holds_nothing(self, outbox: Outbox) -> None:
        outbox.queue([charge_of()], AT)
        deliver_pending(outbox, lambda _: Delivery("failed", "silence"), lambda: AT)
        earlier = AT - timedelta(days=1)
        assert deliver_pending(outbox, accept, lambda: earlier, lambda entry: backoff(entry, 900.0, 900.0))

    def test_a_message_that_pauses_keeps_its_place(self, outbox: Outbox) -> None:
        outbox.queue([charge_of(), Message("BILLING", "hl7", "C2", "ACC1", body=b"later")], AT)
        deliver_pending(outbox, lambda _: Delivery("failed", "silence"), lambda: AT)
        assert deliver_pending(outbox, accept, lambda: AT, lambda entry: backoff(entry, 10.0, 10.0)) == ()

    def test_an_operators_retry_is_at_once(self, outbox: Outbox) -> None:
        outbox.queue([charge_of()], AT)
        for _ in range(3):
            deliver_pending(outbox, lambda _: Delivery("refused", "AE"), lambda: AT)
        outbox.requeue(charge_of().key, AT, "mended")
        assert deliver_pending(outbox, accept, lambda: AT, lambda entry: backoff(entry, 900.0, 900.0))

    def test_one_that_says_nothing_is_left_alone_after_three(self, outbox: Outbox) -> None:
        outbox.queue([Message("SILENT", "hl7", f"C{n}", f"ACC{n}", body=b"x") for n in range(10)], AT)
        outbox.queue([charge_of()], AT)
        tried = deliver_pending(
            outbox,
            lambda m: Delivery("failed", "") if m.destination == "SILENT" else Delivery("acknowledged", ""),
            clock(),
        )
        assert [m.destination for m, _ in tried] == ["SILENT"] * 3 + ["BILLING"]


def hl7(identity: str, accession: str, account: str = "", **more: Any) -> Message:
    return Message("BILLING", "hl7", identity, accession, body=identity.encode(), account=account, **more)


class TestAccounts:
    def test_messages_of_an_account_keep_their_order(self, outbox: Outbox) -> None:
        first, second, other = hl7("C1", "ACC1", "A1"), hl7("C2", "ACC2", "A1"), hl7("C3", "ACC3", "A2")
        outbox.queue([first, second, other], AT)
        tried = deliver_pending(
            outbox,
            lambda m: Delivery("refused", "AE") if m.identity == "C1" else Delivery("acknowledged", "AA"),
            clock(),
        )
        assert [m.identity for m, _ in tried] == ["C1", "C3"]
        deliver_pending(outbox, accept, clock())
        assert states(outbox) == ["acknowledged"] * 3

    def test_an_accession_whose_account_changed_still_keeps_its_order(self, outbox: Outbox) -> None:
        outbox.queue([hl7("C1", "ACC1", "A1"), hl7("C2", "ACC1", "A2"), hl7("C3", "ACC2", "A2")], AT)
        tried = deliver_pending(outbox, lambda m: Delivery("refused", "AE"), clock())
        assert [m.identity for m, _ in tried] == ["C1"]


class TestCredits:
    def messages(self) -> tuple[Message, Message, Message]:
        again = Charge("K2", "76376", "ACC1", "70486", "1.2.840.1")
        credit = hl7("CREDIT", "ACC1", credits=(CHARGE.key,))
        return charge_of(), credit, hl7("AGAIN", "ACC1", charges=(again,))

    def test_a_charge_is_credited_as_soon_as_its_credit_is_queued(self, outbox: Outbox) -> None:
        charge, credit, again = self.messages()
        outbox.queue([charge], AT)
        outbox.queue([credit, again], AT)
        assert [c.state for c in outbox.charges("ACC1")] == ["credited", "queued"]
        assert outbox.pending() == (charge, credit, again)

    def test_nothing_unknown_is_credited(self, outbox: Outbox) -> None:
        _, credit, _ = self.messages()
        with pytest.raises(OutboxError, match=r"no charge .* to credit"):
            outbox.queue([credit], AT)

    def test_what_rests_on_a_withdrawn_charge_is_withdrawn_with_it(self, outbox: Outbox) -> None:
        charge, credit, again = self.messages()
        outbox.queue([charge], AT)
        deliver_pending(outbox, lambda _: Delivery("rejected", "AR"), clock())
        outbox.queue([credit, again, instance("1.2.9")], AT)
        outbox.withdraw(charge.key, AT, "never taken, op")
        assert states(outbox) == ["withdrawn", "withdrawn", "withdrawn", "queued"]
        # The charge was never there, so neither is its credit: it counts as turned down.
        assert [c.state for c in outbox.charges("ACC1")] == ["denied", "denied"]

    def test_a_withdrawn_credit_leaves_the_charge_out(self, outbox: Outbox) -> None:
        charge, credit, again = self.messages()
        outbox.queue([charge], AT)
        deliver_pending(outbox, accept, clock())
        outbox.queue([credit, again], AT)
        deliver_pending(outbox, lambda _: Delivery("rejected", "AR"), clock())
        outbox.withdraw(credit.key, AT, "billing will not, op")
        assert [c.state for c in outbox.charges("ACC1")] == ["acknowledged", "denied"]

    def test_a_withdrawn_charge_is_not_credited(self, outbox: Outbox) -> None:
        charge, credit, _ = self.messages()
        outbox.queue([charge], AT)
        deliver_pending(outbox, lambda _: Delivery("rejected", "AR"), clock())
        outbox.withdraw(charge.key, AT, "never taken, op")
        with pytest.raises(OutboxChangedError, match="needs no credit"):
            outbox.queue([credit], AT)


def test_a_state_folder_of_an_earlier_version_is_brought_up_to_date(tmp_path: Path) -> None:
    from sqlalchemy import text

    engine = open_database(tmp_path / "old.sqlite")
    with engine.begin() as connection:
        for statement in (
            "CREATE TABLE message (place INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, destination TEXT "
            "NOT NULL, kind TEXT NOT NULL, identity TEXT NOT NULL, accession TEXT NOT NULL, body BLOB, path TEXT, "
            "queued_at TEXT NOT NULL)",
            "CREATE TABLE charge (place INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, message TEXT NOT "
            "NULL, code TEXT NOT NULL, accession TEXT NOT NULL, base TEXT NOT NULL, sr_uid TEXT NOT NULL)",
            f"INSERT INTO message VALUES (1, '{charge_of().key}', 'BILLING', 'hl7', '{charge_of().identity}', 'ACC1', "
            f"x'4d', NULL, '{AT.isoformat()}')",
            f"INSERT INTO charge VALUES (1, '{CHARGE.key}', '{charge_of().key}', '76377', 'ACC1', '70486', '1.2')",
        ):
            connection.execute(text(statement))
    with pytest.raises(SchemaError, match=r"from before versions.*`workstation upgrade`"):
        make_ready(engine)
    for _ in range(2):
        upgrade(engine)
        make_ready(engine)
        outbox = Outbox(engine)
        (entry,) = outbox.list()
        assert (entry.message.account, entry.message.charges[0].billed) == ("", "")
        assert [c.state for c in outbox.charges("ACC1")] == ["queued"]
    engine.dispose()
