"""The outbox: what has to leave this workstation, whether it has, and what was charged.

Two append-only tables, `message` and `attempt`; the state of a message is read from its attempts. Queueing is one
transaction and idempotent, and a message goes out with the bytes it was queued with however often it is tried, so a
crash anywhere is repaired by doing the same again. Run one drain at a time.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, Self

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    Table,
    Text,
    exists,
    insert,
    select,
    true,
)
from sqlalchemy.exc import DBAPIError, IntegrityError

from workstation.charge.facts import ChargeState, PreviousCharge
from workstation.hl7 import Acknowledgement

Kind = Literal["dicom", "hl7", "file"]
# acknowledged: done. refused: the receiver could not take it now (AE, CE). rejected: it never will (AR, CR).
# failed: no acknowledgement. requeued and withdrawn are an operator's.
Outcome = Literal["acknowledged", "refused", "rejected", "failed", "requeued", "withdrawn"]
State = Literal["queued", "retrying", "acknowledged", "operator", "withdrawn"]

# A receiver that refuses three times waits for a person.
TRIES = 3

_metadata = MetaData()
_message = Table(
    "message",
    _metadata,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("key", Text, nullable=False, unique=True),
    Column("destination", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("identity", Text, nullable=False),
    Column("accession", Text, nullable=False),
    Column("body", LargeBinary),
    Column("path", Text),
    Column("queued_at", Text, nullable=False),
)
_attempt = Table(
    "attempt",
    _metadata,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("message", Text, ForeignKey("message.key"), nullable=False, index=True),
    Column("at", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("detail", Text, nullable=False),
)
_charge = Table(
    "charge",
    _metadata,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("key", Text, nullable=False, unique=True),
    Column("message", Text, ForeignKey("message.key"), nullable=False),
    Column("code", Text, nullable=False),
    Column("accession", Text, nullable=False, index=True),
    Column("base", Text, nullable=False),
    Column("sr_uid", Text, nullable=False),
)
# What is learnt of a charge after it went out: the payer's denial, our credit.
_charge_event = Table(
    "charge_event",
    _metadata,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("charge", Text, ForeignKey("charge.key"), nullable=False, index=True),
    Column("at", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("detail", Text, nullable=False),
)


# What any store of the workstation raises when its database cannot be read or written.
DatabaseFailed = DBAPIError


class OutboxError(ValueError):
    """The outbox refuses. The message names the entry by key and says what to do."""


@dataclass(frozen=True, slots=True)
class Charge:
    """A charge that a message carries: its persistent key (FT1-2), code, accession, base, and the SR it rests on."""

    key: str
    code: str
    accession: str
    base: str
    sr_uid: str


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to deliver.

    destination : the name of a configured destination. identity : what makes it this thing and no other, which is the
    control id of an HL7 message, the SOP Instance UID of an instance, the name of a file. Either `body` holds the
    bytes or `path` says where the stored instance lies, as its owner reads it (here: from the state folder).
    """

    destination: str
    kind: Kind
    identity: str
    accession: str
    body: bytes | None = None
    path: str | None = None
    charges: tuple[Charge, ...] = ()

    @property
    def key(self) -> str:
        """The sha256, in hexadecimal, of the JSON list [destination, kind, identity]."""
        content = json.dumps([self.destination, self.kind, self.identity]).encode("ascii")
        return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True, slots=True)
class Delivery:
    """How one attempt ended, in a word and in a sentence."""

    outcome: Outcome
    detail: str

    @classmethod
    def answered(cls, message: Message, answer: Acknowledgement) -> Self:
        """Read a receiver's answer. One to another message acknowledges nothing."""
        if answer.control_id != message.identity:
            return cls("failed", f"The answer is to {answer.control_id[:40]!r}, not to {message.identity}.")
        outcomes: dict[str, Outcome] = {"A": "acknowledged", "E": "refused", "R": "rejected"}
        return cls(outcomes[answer.code[1]], f"{answer.code} {answer.text}".rstrip())


@dataclass(frozen=True, slots=True)
class Entry:
    """A message with what has become of it: state, number of attempts, and the last attempt's time and words."""

    message: Message
    state: State
    queued_at: datetime
    tries: int
    last_at: datetime | None
    last_detail: str

    @property
    def done(self) -> bool:
        """Whether nothing more is to be done about it."""
        return self.state in ("acknowledged", "withdrawn")


class Outbox:
    """The outbox in a database opened with `dicom_io.database.open_database`. Its tables are made when missing."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        _metadata.create_all(engine)

    def queue(self, messages: Iterable[Message], at: datetime) -> tuple[str, ...]:
        """Queue all messages with their charges in one transaction, or none; return the keys that were new.

        A message that is there already, with the same content, is left alone.

        Raises
        ------
        OutboxError
            A message is there with other content, has no content or two, or carries a charge that is there already.
        """
        wanted = tuple(messages)
        try:
            return self._queue(wanted, _stamp(at))
        except IntegrityError:
            # Another process queued one of them in between. Now it is there, and can be compared.
            try:
                return self._queue(wanted, _stamp(at))
            except IntegrityError:
                raise OutboxError(
                    "One of the charges is in the outbox already, in another message. Nothing was queued; decide the "
                    "case again with the charges on file."
                ) from None

    def pending(self) -> tuple[Message, ...]:
        """Return what is still to be delivered, oldest first."""
        return tuple(entry.message for entry in self._open() if entry.state != "operator")

    def drain(
        self, deliver: Callable[[Message], Delivery], clock: Callable[[], datetime]
    ) -> tuple[tuple[Message, Delivery], ...]:
        """Try once to deliver everything pending, oldest first; return what was tried and how it ended.

        A message waits while an earlier one of the same accession to the same destination is not done, so that no
        charge overtakes its evidence. An `OSError` from `deliver` is recorded as `failed` and ends this destination's
        turn. Any other exception passes through, and leaves its message as it was.
        """
        tried: list[tuple[Message, Delivery]] = []
        waiting: set[tuple[str, str]] = set()
        down: set[str] = set()
        for entry in self._open():
            message = entry.message
            # Without an accession there is nothing to keep an order in.
            turn = (message.destination, message.accession or message.key)
            if turn in waiting or message.destination in down:
                continue
            waiting.add(turn)
            if entry.state == "operator":
                continue
            try:
                delivery = deliver(message)
            except OSError as error:
                delivery = Delivery("failed", str(error))
                down.add(message.destination)
            self._attempt(message.key, clock(), delivery)
            tried.append((message, delivery))
            if delivery.outcome == "acknowledged":
                waiting.discard(turn)
        return tuple(tried)

    def requeue(self, key: str, at: datetime, detail: str) -> None:
        """Let a message that waits for an operator be tried again, with the same bytes; `detail` says who and why.

        Raises
        ------
        OutboxError
            There is no such message, or it does not wait for an operator.
        """
        self._operate(key, at, Delivery("requeued", detail))

    def withdraw(self, key: str, at: datetime, detail: str) -> None:
        """Give up a message that waits for an operator. Its charges count as denied, and block no new one.

        Raises
        ------
        OutboxError
            There is no such message, or it does not wait for an operator.
        """
        self._operate(key, at, Delivery("withdrawn", detail))

    def record_charge(self, key: str, state: Literal["denied", "credited"], at: datetime, detail: str) -> None:
        """Record that a charge was denied by the payer, or credited by us.

        Raises
        ------
        OutboxError
            There is no such charge.
        """
        with self._engine.begin() as connection:
            if connection.execute(select(_charge.c.key).where(_charge.c.key == key)).first() is None:
                raise OutboxError(f"There is no charge {key} in the outbox; check the key.")
            row = {"charge": key, "at": _stamp(at), "state": state, "detail": detail}
            connection.execute(insert(_charge_event).values(row))

    def previous_charges(self, accession: str) -> tuple[PreviousCharge, ...]:
        """Return every charge of an accession with its state, oldest first, as the charge facts want them."""
        states: dict[State, ChargeState] = {
            "queued": "queued",
            # Tried, and perhaps arrived: a charge is out until somebody says that it is not.
            "retrying": "sent",
            "operator": "sent",
            "acknowledged": "acknowledged",
            "withdrawn": "denied",
        }
        with self._engine.connect() as connection:
            rows = connection.execute(
                select(_charge).where(_charge.c.accession == accession).order_by(_charge.c.place)
            ).all()
            found: list[PreviousCharge] = []
            for row in rows:
                event = connection.execute(
                    select(_charge_event.c.state)
                    .where(_charge_event.c.charge == row.key)
                    .order_by(_charge_event.c.place.desc())
                ).first()
                state = event.state if event else states[_state_of(_outcomes(connection, row.message))]
                found.append(PreviousCharge(row.key, row.code, row.accession, row.base, state, row.sr_uid))
        return tuple(found)

    def list(self) -> tuple[Entry, ...]:
        """Return every message with what has become of it, oldest first."""
        return self._entries(true())

    def _queue(self, messages: Sequence[Message], at: str) -> tuple[str, ...]:
        added = []
        with self._engine.begin() as connection:
            for message in messages:
                if (message.body is None) == (message.path is None):
                    raise OutboxError(f"{_name(message)} needs a body or a path, and not both. Nothing was queued.")
                row = connection.execute(select(_message).where(_message.c.key == message.key)).first()
                if row is None:
                    _insert(connection, message, at)
                    added.append(message.key)
                elif _read(connection, row) != message:
                    raise OutboxError(
                        f"{_name(message)} is in the outbox already with other content, as {message.key}. Nothing was "
                        "queued; other content needs another identity."
                    )
        return tuple(added)

    def _open(self) -> tuple[Entry, ...]:
        """Return the messages that are not done, oldest first, without reading those that are."""
        ended = _attempt.c.outcome.in_(("acknowledged", "withdrawn"))
        return self._entries(~exists().where(_attempt.c.message == _message.c.key, ended))

    def _entries(self, which: ColumnElement[bool]) -> tuple[Entry, ...]:
        """Return the messages for which a condition on the message table holds, oldest first."""
        chosen = select(_message.c.key).where(which)
        attempts: dict[str, list[Any]] = defaultdict(list)
        with self._engine.connect() as connection:
            query = select(_attempt).where(_attempt.c.message.in_(chosen)).order_by(_attempt.c.place)
            for attempt in connection.execute(query):
                attempts[attempt.message].append(attempt)
            rows = connection.execute(select(_message).where(which).order_by(_message.c.place)).all()
            return tuple(_entry(_read(connection, row), row.queued_at, attempts[row.key]) for row in rows)

    def _attempt(self, key: str, at: datetime, delivery: Delivery) -> None:
        row = {"message": key, "at": _stamp(at), "outcome": delivery.outcome, "detail": delivery.detail}
        with self._engine.begin() as connection:
            connection.execute(insert(_attempt).values(row))

    def _operate(self, key: str, at: datetime, delivery: Delivery) -> None:
        found = self._entries(_message.c.key == key)
        if not found:
            raise OutboxError(f"There is no message {key} in the outbox; check the key.")
        entry = found[0]
        if entry.state != "operator":
            raise OutboxError(f"Message {key} is {entry.state} and waits for nobody; it was left as it is.")
        self._attempt(key, at, delivery)


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
        )
    )
    for charge in message.charges:
        connection.execute(insert(_charge).values(message=message.key, **asdict(charge)))


def _read(connection: Connection, row: Row[tuple[object, ...]]) -> Message:
    charges = connection.execute(
        select(_charge.c.key, _charge.c.code, _charge.c.accession, _charge.c.base, _charge.c.sr_uid)
        .where(_charge.c.message == row.key)
        .order_by(_charge.c.place)
    )
    return Message(
        row.destination,
        row.kind,
        row.identity,
        row.accession,
        row.body,
        row.path,
        tuple(Charge(*charge) for charge in charges),
    )


def _entry(message: Message, queued_at: str, attempts: Sequence[Any]) -> Entry:
    outcomes = [attempt.outcome for attempt in attempts]
    return Entry(
        message=message,
        state=_state_of(outcomes),
        queued_at=datetime.fromisoformat(queued_at),
        tries=sum(outcome not in ("requeued", "withdrawn") for outcome in outcomes),
        last_at=datetime.fromisoformat(attempts[-1].at) if attempts else None,
        last_detail=attempts[-1].detail if attempts else "",
    )


def _outcomes(connection: Connection, key: str) -> Sequence[str]:
    query = select(_attempt.c.outcome).where(_attempt.c.message == key).order_by(_attempt.c.place)
    return connection.execute(query).scalars().all()


def _state_of(outcomes: Sequence[str]) -> State:
    """Read the state from the outcomes of all attempts, oldest first."""
    if "acknowledged" in outcomes:
        return "acknowledged"
    if "withdrawn" in outcomes:
        return "withdrawn"
    refusals = 0
    rejected = False
    for outcome in outcomes:
        refusals += outcome == "refused"
        rejected = rejected or outcome == "rejected"
        if outcome == "requeued":
            refusals, rejected = 0, False
    if rejected or refusals >= TRIES:
        return "operator"
    return "retrying" if outcomes else "queued"


def _name(message: Message) -> str:
    return f"The {message.kind} message {message.identity} to {message.destination}"


def _stamp(at: datetime) -> str:
    if at.utcoffset() is None:
        raise OutboxError("A time without an offset from UTC says nothing to another machine; pass an aware datetime.")
    return at.isoformat()
