"""The outbox: messages that have to leave this workstation, their delivery, and their charges and credits.

Append-only tables: `message` and `attempt`, `charge` and `credit`. A message's state follows from its attempts, the
state of a charge from its messages. Queueing is one transaction and idempotent, and every attempt sends the bytes that
were queued, so any crash is repaired by doing the same again.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    ForeignKey,
    Integer,
    LargeBinary,
    Row,
    Table,
    Text,
    func,
    insert,
    select,
    true,
)
from sqlalchemy.exc import DBAPIError, IntegrityError

from dicom_io.files.scanning import batches
from workstation.charge.facts import ChargeState
from workstation.hl7.acknowledgement import Acknowledgement
from workstation.store.ledger import head_in
from workstation.store.messages import (
    TRIES,
    Charge,
    Delivery,
    Known,
    Message,
    OutboxChangedError,
    OutboxError,
    QueuedMessage,
    State,
    failures_of,
    state_of,
)
from workstation.store.tables import TABLES
from workstation.store.unfinished import unfinished

_message = Table(
    "message",
    TABLES,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("key", Text, nullable=False, unique=True),
    Column("destination", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("identity", Text, nullable=False, index=True),
    Column("accession", Text, nullable=False, index=True),
    Column("body", LargeBinary),
    Column("path", Text),
    Column("queued_at", Text, nullable=False),
    Column("account", Text, nullable=False, server_default=""),
    # The newest hash of the ledger when the message was queued; empty where that was before there was one.
    Column("head", Text, nullable=False, server_default=""),
)
_attempt = Table(
    "attempt",
    TABLES,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("message", Text, ForeignKey("message.key"), nullable=False, index=True),
    Column("at", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("detail", Text, nullable=False),
)
_charge = Table(
    "charge",
    TABLES,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("key", Text, nullable=False, unique=True),
    Column("message", Text, ForeignKey("message.key"), nullable=False, index=True),
    Column("code", Text, nullable=False),
    Column("accession", Text, nullable=False, index=True),
    Column("base", Text, nullable=False),
    Column("sr_uid", Text, nullable=False),
    Column("billed", Text, nullable=False, server_default=""),
)
# A charge taken back by a message of ours. Withdrawing that message undoes the credit.
_credit = Table(
    "credit",
    TABLES,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("charge", Text, ForeignKey("charge.key"), nullable=False, index=True),
    Column("message", Text, ForeignKey("message.key"), nullable=False, index=True),
)
# Events of a charge after it was sent: the payer's denial, our credit.
_charge_event = Table(
    "charge_event",
    TABLES,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("charge", Text, ForeignKey("charge.key"), nullable=False, index=True),
    Column("at", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("detail", Text, nullable=False),
)


# Attempts of so many last places may be written by transactions that have not ended.
_OVERLAP = 1000
# The error of every store of the workstation when its database cannot be read or written.
DatabaseFailed = DBAPIError


class Outbox:
    """The outbox in a database of `dicom_io.archive.database.open_database`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def queue(self, messages: Iterable[Message], at: datetime) -> tuple[str, ...]:
        """Queues all messages with their charges in one transaction, or none. Returns the new keys.

        A message that is there already with the same content stays as it is.

        Raises OutboxError when a message is there with other content, has neither or both of body and path, or carries
        a charge that is there already.
        """
        wanted = tuple(messages)
        try:
            with self._engine.begin() as connection:
                return self.queue_in(connection, wanted, at)
        except IntegrityError:
            # Another process queued one of them in between; now it can be compared.
            try:
                with self._engine.begin() as connection:
                    return self.queue_in(connection, wanted, at)
            except IntegrityError:
                raise OutboxError(
                    "One of the charges is in the outbox already, in another message. Nothing was queued; decide the "
                    "case again with the charges on file."
                ) from None

    def find(self, key: str) -> tuple[QueuedMessage, ...]:
        """Returns the entry of a key, if there is one."""
        return tuple(self._entries(_message.c.key == key))

    def waiting(self) -> tuple[QueuedMessage, ...]:
        """Returns all messages that are not done, oldest first, including those that wait for an operator."""
        return tuple(self.open_messages())

    def pending(self) -> tuple[Message, ...]:
        """Returns the messages that are still to be delivered, oldest first."""
        return tuple(entry.message for entry in self.open_messages() if entry.state != "operator")

    def answered_later(self, answer: Acknowledgement, at: datetime) -> str:
        """Records an acknowledgement that came on a connection of its own (enhanced mode). Returns the message's key.

        The same answer again changes nothing, nor does an acceptance of an acknowledged message.

        Raises OutboxError when no HL7 message of the outbox has that control id.
        """
        found = self._entries((_message.c.kind == "hl7") & (_message.c.identity == answer.control_id))
        if not found:
            raise OutboxError(f"No message with control id {answer.control_id[:40]!r} is in the outbox.")
        for entry in found:
            delivery = Delivery.answered(entry.message, answer)
            late = delivery.outcome if delivery.outcome == "acknowledged" else "rejected"
            repeated = entry.last_detail == f"{delivery.detail} (later)"
            if not repeated and not (late == "acknowledged" and entry.done):
                # An accepted message is not sent again automatically: a later error is for an operator.
                self.attempted(entry.message.key, at, Delivery(late, f"{delivery.detail} (later)"))
        return found[0].message.key

    def lost(self, key: str, at: datetime, detail: str) -> None:
        """Requeues a message that the receiver acknowledged but does not have; the third time, for an operator."""
        for entry in self.find(key):
            if entry.state == "acknowledged":
                again = entry.tries < TRIES
                self.attempted(key, at, Delivery("requeued" if again else "rejected", detail))

    def requeue(self, key: str, at: datetime, detail: str) -> None:
        """Lets a message that waits for an operator be tried again, with the same bytes. detail : who and why.

        Raises OutboxError when there is no such message, or it does not wait for an operator.
        """
        self._operate(key, at, Delivery("requeued", detail))

    def withdraw(self, key: str, at: datetime, detail: str) -> None:
        """Withdraws a message that waits for an operator. Its charges count as denied, its credits as not made.

        Charge messages queued behind it for the same accession and destination (its credit, the charge that replaces
        it) have not been tried and are withdrawn in the same transaction: they build on a message that the receiver
        never took.

        Raises OutboxError when there is no such message, or it does not wait for an operator.
        """
        with self._engine.begin() as connection:
            # Written first, so that the rest is read under the lock of this transaction.
            row = {"message": key, "at": _stamp(at), "outcome": "withdrawn", "detail": detail}
            entry = self._waiting(key)
            connection.execute(insert(_attempt).values(row))
            place = select(_message.c.place).where(_message.c.key == key).scalar_subquery()
            later = (
                (_message.c.accession == entry.message.accession)
                & (_message.c.destination == entry.message.destination)
                & (_message.c.place > place)
            )
            for later_entry in self._entries_in(connection, later) if entry.message.concerns_money else ():
                if later_entry.state == "queued" and later_entry.message.concerns_money:
                    words = f"with {key}: {detail}"
                    connection.execute(
                        insert(_attempt).values({**row, "message": later_entry.message.key, "detail": words})
                    )

    def record_charge(self, key: str, state: Literal["denied", "credited"], at: datetime, detail: str) -> None:
        """Records that a charge was denied by the payer, or credited by us.

        Raises OutboxError when there is no such charge.
        """
        with self._engine.begin() as connection:
            if connection.execute(select(_charge.c.key).where(_charge.c.key == key)).first() is None:
                raise OutboxError(f"There is no charge {key} in the outbox; check the key.")
            row = {"charge": key, "at": _stamp(at), "state": state, "detail": detail}
            connection.execute(insert(_charge_event).values(row))

    def charges(self, *accessions: str) -> tuple[Known, ...]:
        """Returns every charge of these accessions, or of all where none is named, with its state, oldest first."""
        with self._engine.connect() as connection:
            return self.charges_in(connection, *accessions)

    def charges_in(self, connection: Connection, *accessions: str) -> tuple[Known, ...]:
        """Returns the same as `charges`, within a transaction."""
        states: dict[State, ChargeState] = {
            "queued": "queued",
            # Tried, and perhaps arrived: a charge counts as sent until an operator withdraws it.
            "retrying": "sent",
            "operator": "sent",
            "acknowledged": "acknowledged",
            "withdrawn": "denied",
        }
        which = _charge.c.accession.in_(accessions) if accessions else true()
        query = select(_charge, _message.c.queued_at).join(_message, _message.c.key == _charge.c.message)
        rows = connection.execute(query.where(which).order_by(_charge.c.place)).all()
        if not rows:
            return ()
        credited = connection.execute(
            select(_credit.c.charge, _credit.c.message).join(_charge, _charge.c.key == _credit.c.charge).where(which)
        ).all()
        events = connection.execute(
            select(_charge_event.c.charge, _charge_event.c.state)
            .join(_charge, _charge.c.key == _charge_event.c.charge)
            .where(which)
            .order_by(_charge_event.c.place)
        ).all()
        wanted = {row.message for row in (*rows, *credited)}
        outcomes = self._outcomes(connection, wanted)
        events_by_charge = {event.charge: event.state for event in events}
        back = {credit.charge for credit in credited if state_of(outcomes[credit.message]) != "withdrawn"}
        return tuple(
            Known(
                Charge(row.key, row.code, row.accession, row.base, row.sr_uid, row.billed),
                "credited"
                if row.key in back
                else events_by_charge.get(row.key) or states[state_of(outcomes[row.message])],
                row.message,
                state_of(outcomes[row.message]),
                datetime.fromisoformat(row.queued_at),
            )
            for row in rows
        )

    def _outcomes(self, connection: Connection, messages: set[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        keys = sorted(messages)
        for start in range(0, len(keys), 500):  # SQLite takes a limited number of values in one statement
            query = select(_attempt.c.message, _attempt.c.outcome).where(
                _attempt.c.message.in_(keys[start : start + 500])
            )
            for row in connection.execute(query.order_by(_attempt.c.place)):
                found[row.message].append(row.outcome)
        return found

    def entry(self, key: str) -> QueuedMessage:
        """Returns one message with its state. Raises OutboxError when there is no such message."""
        for entry in self._entries(_message.c.key == key):
            return entry
        raise OutboxError(f"There is no message {key} in the outbox; check the key.")

    def list(self) -> tuple[QueuedMessage, ...]:
        """Returns every message with its state, oldest first."""
        return self._entries(true())

    def heads(self) -> frozenset[str]:
        """Returns the heads of the ledger that messages were queued with."""
        with self._engine.connect() as connection:
            return frozenset(connection.execute(select(_message.c.head).where(_message.c.head != "")).scalars())

    def acknowledged(self, destination: str, since: int = 0, also: Iterable[str] = ()) -> tuple[int, tuple[str, ...]]:
        """Returns the SOP Instance UIDs of the instances that a destination has acknowledged, oldest first; and before
        them a number to ask with for what comes later.

        since : that number; then without those acknowledged before, but for those in `also`.
        """
        query = (
            select(_message.c.place, _message.c.key, _message.c.identity)
            .join(_attempt, _attempt.c.message == _message.c.key)
            .where(_message.c.destination == destination, _message.c.kind == "dicom")
        )
        # Of two transactions the later number may be there first: a few are looked at twice.
        fresh = query.where(_attempt.c.place > since - _OVERLAP, _attempt.c.outcome == "acknowledged")
        with self._engine.connect() as connection:
            newest = int(connection.execute(select(func.max(_attempt.c.place))).scalar() or 0)
            rows = {row.key: row for row in connection.execute(fresh)}
            for some in batches(also, 500):
                rows |= {row.key: row for row in connection.execute(query.where(_message.c.identity.in_(some)))}
            outcomes = self._outcomes(connection, set(rows))
        found = sorted(row for key, row in rows.items() if state_of(outcomes[key]) == "acknowledged")
        return newest, tuple(dict.fromkeys(row.identity for row in found))

    def of_accession(self, accession: str) -> tuple[QueuedMessage, ...]:
        """Returns the messages of an accession, oldest first."""
        return self._entries(_message.c.accession == accession)

    def queue_in(self, connection: Connection, messages: Iterable[Message], at: datetime) -> tuple[str, ...]:
        """Queues within the caller's transaction: the decision and its messages, or neither.

        Raises OutboxError as `queue`, IntegrityError when another process was faster or a charge is there already.
        """
        added = []
        for message in messages:
            if (message.body is None) == (message.path is None):
                raise OutboxError(f"{_name(message)} needs a body or a path, and not both. Nothing was queued.")
            row = connection.execute(select(_message).where(_message.c.key == message.key)).first()
            if row is None:
                _insert(connection, message, _stamp(at))
                added.append(message.key)
            elif _reader(connection, _charge.c.message == row.key, _credit.c.message == row.key)(row) != message:
                raise OutboxError(
                    f"{_name(message)} is in the outbox already with other content, as {message.key}. Nothing was "
                    "queued; other content needs another identity."
                )
        return tuple(added)

    def open_messages(self) -> tuple[QueuedMessage, ...]:
        """Returns the messages that are not done, oldest first, without reading the done ones."""
        listed = self._entries(_message.c.key.in_(select(unfinished.c.message)))
        return tuple(entry for entry in listed if not entry.done)

    def _entries(self, which: ColumnElement[bool]) -> tuple[QueuedMessage, ...]:
        """Returns the messages for which a condition on the message table holds, oldest first."""
        with self._engine.connect() as connection:
            return self._entries_in(connection, which)

    def _entries_in(self, connection: Connection, which: ColumnElement[bool]) -> tuple[QueuedMessage, ...]:
        chosen = select(_message.c.key).where(which)
        attempts: dict[str, list[Any]] = defaultdict(list)
        query = select(_attempt).where(_attempt.c.message.in_(chosen)).order_by(_attempt.c.place)
        for attempt in connection.execute(query):
            attempts[attempt.message].append(attempt)
        rows = connection.execute(select(_message).where(which).order_by(_message.c.place)).all()
        read = _reader(connection, _charge.c.message.in_(chosen), _credit.c.message.in_(chosen))
        return tuple(_entry(read(row), row.queued_at, attempts[row.key]) for row in rows)

    def attempted(self, key: str, at: datetime, delivery: Delivery) -> None:
        """Records the result of an attempt at a message."""
        row = {"message": key, "at": _stamp(at), "outcome": delivery.outcome, "detail": delivery.detail}
        with self._engine.begin() as connection:
            connection.execute(insert(_attempt).values(row))

    def _operate(self, key: str, at: datetime, delivery: Delivery) -> None:
        self._waiting(key)
        self.attempted(key, at, delivery)

    def _waiting(self, key: str) -> QueuedMessage:
        entry = self.entry(key)
        if entry.state != "operator":
            raise OutboxError(f"Message {key} is {entry.state} and waits for nobody; it was left as it is.")
        return entry


def _insert(connection: Connection, message: Message, at: str) -> None:
    connection.execute(
        insert(_message).values(
            key=message.key,
            destination=message.destination,
            kind=message.kind,
            identity=message.identity,
            accession=message.accession,
            body=message.body,
            path=message.path,
            queued_at=at,
            account=message.account,
            head=head_in(connection),
        )
    )
    for charge in message.charges:
        connection.execute(insert(_charge).values(message=message.key, **asdict(charge)))
    for key in message.credits:
        carrier = connection.execute(select(_charge.c.message).where(_charge.c.key == key)).scalar()
        if carrier is None:
            raise OutboxError(f"There is no charge {key} in the outbox to credit; nothing was queued.")
        gone = select(_attempt.c.place).where(_attempt.c.message == carrier, _attempt.c.outcome == "withdrawn")
        if connection.execute(gone).first() is not None:
            raise OutboxChangedError(f"Charge {key} was withdrawn and needs no credit; nothing was queued.")
        connection.execute(insert(_credit).values(message=message.key, charge=key))


def _reader(
    connection: Connection, charged: ColumnElement[bool], credited: ColumnElement[bool]
) -> Callable[[Row[Any]], Message]:
    """Returns what makes messages of their rows. charged, credited : which charges and credits belong to them."""
    charges: dict[str, list[Charge]] = defaultdict(list)
    for row in connection.execute(select(_charge).where(charged).order_by(_charge.c.place)):
        charges[row.message].append(Charge(row.key, row.code, row.accession, row.base, row.sr_uid, row.billed))
    taken_back: dict[str, list[str]] = defaultdict(list)
    for row in connection.execute(select(_credit).where(credited).order_by(_credit.c.place)):
        taken_back[row.message].append(row.charge)

    def read(row: Row[Any]) -> Message:
        return Message(
            row.destination,
            row.kind,
            row.identity,
            row.accession,
            row.body,
            row.path,
            tuple(charges[row.key]),
            tuple(taken_back[row.key]),
            row.account,
        )

    return read


def _entry(message: Message, queued_at: str, attempts: Sequence[Any]) -> QueuedMessage:
    outcomes = [attempt.outcome for attempt in attempts]
    return QueuedMessage(
        message=message,
        state=state_of(outcomes),
        queued_at=datetime.fromisoformat(queued_at),
        tries=sum(outcome not in ("requeued", "withdrawn") for outcome in outcomes),
        failures=failures_of(outcomes),
        last_at=datetime.fromisoformat(attempts[-1].at) if attempts else None,
        last_detail=attempts[-1].detail if attempts else "",
    )


def _name(message: Message) -> str:
    return f"The {message.kind} message {message.identity} to {message.destination}"


def _stamp(at: datetime) -> str:
    if at.utcoffset() is None:
        raise OutboxError("A time without an offset from UTC says nothing to another machine; pass an aware datetime.")
    return at.isoformat()
