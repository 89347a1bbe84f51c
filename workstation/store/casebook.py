"""The casebook: received messages, cases, decisions with their reasons, and acts of people.

Append-only, except for the list of accessions that are due for a decision: they are struck when decided. A decision and
the messages that follow from it are one transaction. When two processes decide one accession at once, the second finds
its decision number taken and starts again from the new state.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from typing import Any, get_args

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    delete,
    func,
    insert,
    select,
    true,
)
from sqlalchemy.exc import IntegrityError

from dicom_io.evidence import Evidence
from workstation.store.cases import (
    CaseAct,
    CaseActKind,
    CasesUnder,
    Concern,
    EarlierCharges,
    FiledSr,
    Overtaken,
    Received,
    Record,
    RefusalKind,
    Ruling,
    Snapshot,
    UnmatchedMessage,
)
from workstation.store.ledger import append
from workstation.store.messages import Message, OutboxChangedError
from workstation.store.outbox import Outbox
from workstation.store.tables import TABLES
from workstation.strict import adapter

_received = Table(
    "received",
    TABLES,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("digest", Text, nullable=False, unique=True),
    Column("at", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("control_id", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
# The subject of a message: an accession, a visit, or a patient or account (`value`) that has become another (`other`).
_concern = Table(
    "concern",
    TABLES,
    Column("message", Integer, nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("other", Text, nullable=False),
    Index("concern_value", "kind", "value"),
    Index("concern_other", "kind", "other"),
)
_refused = Table(
    "refused",
    TABLES,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("at", Text, nullable=False),
    Column("answer", Text, nullable=False),
    # One of `cases.RefusalKind`; empty where that was before there were kinds.
    Column("kind", Text, nullable=False, server_default="", index=True),
    Column("reason", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
_due = Table(
    "due",
    TABLES,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("accession", Text, nullable=False, index=True),
    Column("cause", Text, nullable=False),
    # A place is never used twice, even when the newest row was struck.
    sqlite_autoincrement=True,
)
_record = Table(
    "record",
    TABLES,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("sr_uid", Text, nullable=False, unique=True),
    Column("session", Text, nullable=False, index=True),
    Column("accession", Text, nullable=False, index=True),
    Column("patient_id", Text, nullable=False, index=True),
    Column("path", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Index("record_session_of", "sr_uid", "session"),  # evidence is long, and need not be read for these two
)
_decision = Table(
    "decision",
    TABLES,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("accession", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("session", Text, nullable=False),
    Column("sr_uid", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("since", Text, nullable=False),
    Column("state", Text, nullable=False, index=True),
    Column("cause", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("facts", Text, nullable=False),
    UniqueConstraint("accession", "number"),
    Index("decision_newest", "session", "place"),
)
_act = Table(
    "act",
    TABLES,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("session", Text, nullable=False, index=True),
    Column("accession", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("kind", Text, nullable=False, index=True),
    Column("why", Text, nullable=False),
    Column("detail", Text, nullable=False),
)


class Casebook:
    """The casebook in a database of `dicom_io.archive.database.open_database`, the outbox's as well."""

    def __init__(self, engine: Engine, outbox: Outbox) -> None:
        self._engine = engine
        self._outbox = outbox

    # Received messages

    def receive(
        self, body: bytes, kind: str, control_id: str, concerns: Sequence[Concern], at: datetime, cause: str
    ) -> bool:
        """Files a message, durable when this returns, and makes its accessions due. Returns False if it was filed
        already; then nothing changes."""
        row = {"digest": hashlib.sha256(body).hexdigest(), "at": at.isoformat(), "kind": kind, "body": body}
        try:
            with self._engine.begin() as connection:
                place = connection.execute(insert(_received).values(control_id=control_id, **row)).inserted_primary_key
                assert place is not None
                for concern in concerns:
                    connection.execute(
                        insert(_concern).values(
                            message=place[0], kind=concern.kind, value=concern.value, other=concern.other
                        )
                    )
                for accession in self._touched(connection, concerns):
                    connection.execute(insert(_due).values(accession=accession, cause=cause))
        except IntegrityError:
            with self._engine.connect() as connection:
                if connection.execute(select(_received.c.place).filter_by(digest=row["digest"])).first() is None:
                    raise
            return False
        return True

    def refuse(self, body: bytes, answer: str, kind: RefusalKind, reason: str, at: datetime) -> None:
        """Keeps a refused message, with the reason."""
        with self._engine.begin() as connection:
            row = {"at": at.isoformat(), "answer": answer, "kind": kind, "reason": reason, "body": body}
            connection.execute(insert(_refused).values(row))

    def refused(self) -> tuple[tuple[datetime, str, str], ...]:
        """Returns (time, answer, reason) of refused messages, oldest first."""
        with self._engine.connect() as connection:
            rows = connection.execute(
                select(_refused.c.at, _refused.c.answer, _refused.c.reason).order_by(_refused.c.place)
            ).all()
        return tuple((datetime.fromisoformat(row.at), row.answer, row.reason) for row in rows)

    def refused_counts(self) -> dict[str, int]:
        """Returns how many messages were refused, by the kind of the reason; all kinds are named."""
        query = select(_refused.c.kind, func.count()).group_by(_refused.c.kind)
        with self._engine.connect() as connection:
            found = {str(kind) or "other": int(count) for kind, count in connection.execute(query)}
        return {**dict.fromkeys(get_args(RefusalKind), 0), **found}

    def messages(self, kind: str, values: Collection[str]) -> tuple[Received, ...]:
        """Returns every message that concerns one of these values."""
        if not values:
            return ()
        with self._engine.connect() as connection:
            return self._messages(connection, kind, values)

    def message(self, place: int) -> tuple[Received, ...]:
        """Returns the message of a place, if there is one."""
        with self._engine.connect() as connection:
            row = connection.execute(select(_received).where(_received.c.place == place)).first()
        return () if row is None else (_received_of(row),)

    def unmatched(self) -> tuple[tuple[Received, str], ...]:
        """Returns the messages of accessions that have no case, with the accession, oldest first."""
        query = (
            select(_received, _concern.c.value)
            .join(_concern, _concern.c.message == _received.c.place)
            .where(_concern.c.kind == "accession", _concern.c.value.not_in(select(_record.c.accession)))
            .order_by(_received.c.place)
        )
        with self._engine.connect() as connection:
            return tuple((_received_of(row), row.value) for row in connection.execute(query))

    def all_messages(self, kinds: Collection[str]) -> Iterator[Received]:
        """Yields every message of these kinds, oldest first."""
        query = select(_received).where(_received.c.kind.in_(list(kinds))).order_by(_received.c.place)
        with self._engine.connect() as connection:
            for row in connection.execute(query):
                yield _received_of(row)

    def message_places(self, kinds: Collection[str], since: date, until: date) -> tuple[int, ...]:
        """Returns the places of the messages of these kinds that came from one day to another, oldest first; with a day
        more at each end, since times have offsets of their own."""
        first, end = (since - timedelta(days=1)).isoformat(), (until + timedelta(days=2)).isoformat()
        query = select(_received.c.place).where(_received.c.kind.in_(list(kinds)))
        query = query.where(_received.c.at >= first, _received.c.at < end).order_by(_received.c.place)
        with self._engine.connect() as connection:
            return tuple(connection.execute(query).scalars())

    def messages_at(self, places: Collection[int]) -> tuple[Received, ...]:
        """Returns the messages of some places, a few hundred at a time, oldest first."""
        query = select(_received).where(_received.c.place.in_(list(places))).order_by(_received.c.place)
        with self._engine.connect() as connection:
            return tuple(_received_of(row) for row in connection.execute(query))

    def unmatched_messages(self, most: int = 0, place: int = 0) -> tuple[UnmatchedMessage, ...]:
        """Returns the messages of accessions that have no case, the newest first, without what they say; at most so
        many, and that of one place alone, if not 0."""
        mine, theirs = _concern.alias(), _concern.alias()
        has_case = (
            select(theirs.c.value)
            .where(
                theirs.c.message == _received.c.place,
                theirs.c.kind == "of patient",
                theirs.c.value.in_(select(_record.c.patient_id)),
            )
            .exists()
        )
        columns = (_received.c.place, _received.c.at, _received.c.kind, _received.c.control_id, mine.c.value)
        query = (
            select(*columns, has_case.label("has_case"))
            .join(mine, mine.c.message == _received.c.place)
            .where(mine.c.kind == "accession", mine.c.value.not_in(select(_record.c.accession)))
            .order_by(_received.c.place.desc())
        )
        query = query.where(_received.c.place == place) if place else query
        with self._engine.connect() as connection:
            rows = connection.execute(query.limit(most) if most else query).all()
        return tuple(
            UnmatchedMessage(
                row.place, datetime.fromisoformat(row.at), row.kind, row.control_id, row.value, bool(row.has_case)
            )
            for row in rows
        )

    def latest_messages(self, kinds: Collection[str], count: int) -> tuple[Received, ...]:
        """Returns the newest messages of these kinds, oldest first."""
        query = select(_received).where(_received.c.kind.in_(list(kinds))).order_by(_received.c.place.desc())
        with self._engine.connect() as connection:
            return tuple(reversed([_received_of(row) for row in connection.execute(query.limit(count))]))

    # Due accessions

    def touch(self, accession: str, cause: str) -> None:
        """Makes an accession due for a decision, durably: it is decided even if this process dies."""
        with self._engine.begin() as connection:
            connection.execute(insert(_due).values(accession=accession, cause=cause))

    def due(self) -> tuple[str, ...]:
        """Returns the due accessions, longest due first."""
        query = select(_due.c.accession, func.min(_due.c.place).label("first")).group_by(_due.c.accession)
        with self._engine.connect() as connection:
            return tuple(row.accession for row in connection.execute(query.order_by("first")))

    # Cases

    def sessions_by_sr(self, *accessions: str) -> dict[str, str]:
        """Returns the session of every SR that has a record here, or of those of some accessions, by the SR's UID."""
        which = _record.c.accession.in_(accessions) if accessions else true()
        with self._engine.connect() as connection:
            rows = connection.execute(select(_record.c.sr_uid, _record.c.session).where(which)).all()
        return {row.sr_uid: row.session for row in rows}

    def record(self, record: Record, cause: str) -> None:
        """Files a record and makes its accession due. A record that is filed already changes nothing."""
        with suppress(IntegrityError), self._engine.begin() as connection:
            _insert_record(connection, record)
            connection.execute(insert(_due).values(accession=record.accession, cause=cause))

    def read(self, accession: str) -> Snapshot:
        """Returns everything on file for an accession."""
        with self._engine.connect() as connection:
            due = connection.execute(
                select(_due.c.place, _due.c.cause).where(_due.c.accession == accession).order_by(_due.c.place)
            ).all()
            number = connection.execute(
                select(func.max(_decision.c.number)).where(_decision.c.accession == accession)
            ).scalar()
            records = connection.execute(
                select(_record).where(_record.c.accession == accession).order_by(_record.c.place)
            ).all()
            acts = connection.execute(select(_act).where(_act.c.accession == accession).order_by(_act.c.place)).all()
            newest = self._newest(connection, _decision.c.accession == accession)
        return Snapshot(
            accession=accession,
            number=number or 0,
            through=due[-1].place if due else 0,
            causes=tuple(dict.fromkeys(row.cause for row in due)),
            records=tuple(_record_of(row) for row in records),
            acts=tuple(_act_of(row) for row in acts),
            rulings={ruling.session: ruling for ruling in newest},
        )

    def commit(
        self,
        snapshot: Snapshot,
        rulings: Sequence[Ruling],
        messages: Iterable[Message],
        at: datetime,
        record: Record | None = None,
        beside: EarlierCharges | None = None,
    ) -> tuple[str, ...]:
        """Writes rulings, queues messages and strikes the accession, in one transaction. Returns the new keys.

        beside : the charges that were known when it was decided. Where a charge is to go out and they are others now,
        nothing is written: two accessions of a patient are charged one after the other.

        Raises Overtaken when another process has decided this accession since the snapshot, or charged what bears on
        it; OutboxError when a message
        is in the outbox with other content; in both cases nothing was written.
        """
        try:
            with self._engine.begin() as connection:
                for step, ruling in enumerate(rulings, 1):
                    row = {"number": snapshot.number + step, **_row(ruling)}
                    append(connection, _decision, row)
                if record is not None:
                    there = select(_record.c.place).where(_record.c.sr_uid == record.sr_uid)
                    if connection.execute(there).first() is None:
                        _insert_record(connection, record)
                # The rows above took the lock: nobody else writes until this is done.
                wanted = tuple(messages)
                charged = any(message.charges for message in wanted)
                if charged and beside is not None and self._out(connection, snapshot, beside.patients) != beside.out:
                    raise Overtaken(snapshot.accession)
                queued = self._outbox.queue_in(connection, wanted, at)
                connection.execute(
                    delete(_due).where(_due.c.accession == snapshot.accession, _due.c.place <= snapshot.through)
                )
        except (IntegrityError, OutboxChangedError) as error:
            raise Overtaken(snapshot.accession) from error
        return queued

    def newest(self, states: Collection[str] | None = None) -> tuple[Ruling, ...]:
        """Returns the newest ruling of every case, or of the cases in some states, oldest first."""
        if states is None:
            with self._engine.connect() as connection:
                return self._newest(connection, true())
        later = _decision.alias()
        newer = select(later.c.place).where(later.c.session == _decision.c.session, later.c.place > _decision.c.place)
        query = select(_decision).where(_decision.c.state.in_(list(states)), ~newer.exists())
        with self._engine.connect() as connection:
            return tuple(_ruling_of(row) for row in connection.execute(query.order_by(_decision.c.place)))

    def newest_page(self, page: int, size: int) -> tuple[Ruling, ...]:
        """Returns a page, from 1, of the newest rulings of all cases, newest first. Reads no more than the pages up to
        it."""
        later = _decision.alias()
        newer = select(later.c.place).where(later.c.session == _decision.c.session, later.c.place > _decision.c.place)
        query = select(_decision).where(~newer.exists()).order_by(_decision.c.place.desc())
        with self._engine.connect() as connection:
            rows = connection.execute(query.limit(size).offset((page - 1) * size)).all()
        return tuple(_ruling_of(row) for row in rows)

    def with_strangers(self) -> tuple[Ruling, ...]:
        """Returns the newest rulings of the cases that list messages of another patient, oldest first."""
        later = _decision.alias()
        newer = select(later.c.place).where(later.c.session == _decision.c.session, later.c.place > _decision.c.place)
        # As `json.dumps` writes an empty list: most rulings have one, and need not be read.
        query = select(_decision).where(_decision.c.content.not_like('%"strangers": []%'), ~newer.exists())
        with self._engine.connect() as connection:
            return tuple(_ruling_of(row) for row in connection.execute(query.order_by(_decision.c.place)))

    def open_counts(self) -> tuple[dict[str, int], Counter[str]]:
        """Counts the cases that are held or to be corrected, by state, and the held ones by reason."""
        states, reasons = dict.fromkeys(("held", "correction"), 0), Counter[str]()
        later = _decision.alias()
        newer = select(later.c.place).where(later.c.session == _decision.c.session, later.c.place > _decision.c.place)
        query = select(_decision.c.state, _decision.c.content).where(_decision.c.state.in_(states), ~newer.exists())
        with self._engine.connect() as connection:
            for row in connection.execute(query):
                states[row.state] += 1
                if row.state == "held":
                    reasons.update(set(json.loads(row.content)["reasons"]))
        return states, reasons

    def newest_of(self, session: str) -> Ruling | None:
        """Returns the newest ruling on a case, if there is one."""
        query = select(_decision).where(_decision.c.session == session).order_by(_decision.c.place.desc()).limit(1)
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        return None if row is None else _ruling_of(row)

    def history(self, session: str) -> tuple[Ruling, ...]:
        """Returns every ruling on a case, oldest first."""
        query = select(_decision).where(_decision.c.session == session).order_by(_decision.c.place)
        with self._engine.connect() as connection:
            return tuple(_ruling_of(row) for row in connection.execute(query))

    def every_ruling(self) -> Iterator[Ruling]:
        """Yields every ruling on every case, oldest first."""
        with self._engine.connect() as connection:
            for row in connection.execute(select(_decision).order_by(_decision.c.place)):
                yield _ruling_of(row)

    def accessions(self) -> tuple[str, ...]:
        """Returns the accessions that have a record, in the order of their names."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(_record.c.accession).distinct().order_by(_record.c.accession))
            return tuple(rows.scalars())

    def cases_under(self, accessions: Collection[str]) -> CasesUnder:
        """Returns the cases of some accessions: a few hundred at a time."""
        mine = list(accessions)
        columns = (_record.c.sr_uid, _record.c.session, _record.c.patient_id, _record.c.path)
        with self._engine.connect() as connection:
            rulings = self._newest(connection, _decision.c.accession.in_(mine))
            acts = connection.execute(select(_act).where(_act.c.accession.in_(mine)).order_by(_act.c.place)).all()
            rows = connection.execute(select(*columns).where(_record.c.accession.in_(mine))).all()
        return CasesUnder(rulings, tuple(_act_of(row) for row in acts), {row.sr_uid: FiledSr(*row) for row in rows})

    def sessions(self, word: str) -> tuple[tuple[str, str], ...]:
        """Returns (session, accession) of the cases that an accession, a session or an SR's UID names."""
        named = (_record.c.accession == word) | (_record.c.session == word) | (_record.c.sr_uid == word)
        query = select(_record.c.session, _record.c.accession).where(named).order_by(_record.c.place)
        with self._engine.connect() as connection:
            return tuple(dict.fromkeys((row.session, row.accession) for row in connection.execute(query)))

    def records_of(self, session: str) -> tuple[Record, ...]:
        """Returns the records of a session, oldest first."""
        query = select(_record).where(_record.c.session == session).order_by(_record.c.place)
        with self._engine.connect() as connection:
            return tuple(_record_of(row) for row in connection.execute(query))

    def records(self) -> Iterator[Record]:
        """Yields every record, oldest first."""
        with self._engine.connect() as connection:
            for row in connection.execute(select(_record).order_by(_record.c.place)):
                yield _record_of(row)

    # People

    def records_of_patients(self, patients: Collection[str]) -> tuple[Record, ...]:
        """Returns the records of these patients and of those that merges link with them, whatever their accession."""
        with self._engine.connect() as connection:
            linked = self._linked(connection, "patient", set(patients) - {""})
            query = select(_record).where(_record.c.patient_id.in_(linked)).order_by(_record.c.place)
            return tuple(_record_of(row) for row in connection.execute(query))

    def act(
        self,
        session: str,
        accession: str,
        at: datetime,
        person: str,
        role: str,
        kind: CaseActKind,
        why: str,
        detail: dict[str, Any],
        due: bool = True,
        message: int | None = None,
        known: int | None = None,
    ) -> int:
        """Files a person's act and makes its accession due, if `due`. Durable when this returns. Returns its place.

        message : the place of a received message that concerns the accession from now on. known : how many acts the
        case had, as `count_acts`, when the person decided on this one; None where that does not matter.

        Raises Overtaken, and files nothing, when there are others by now.
        """
        with self._engine.begin() as connection:
            row = {
                "session": session,
                "accession": accession,
                "at": at.isoformat(),
                "person": person,
                "role": role,
                "kind": kind,
                "why": why,
                "detail": json.dumps(detail, sort_keys=True),
            }
            place = append(connection, _act, row)
            # From here on no other act can be filed until this one is.
            if known is not None and self._acts_in(connection, session, place) != known:
                raise Overtaken(accession)
            if message is not None:
                concern = {"message": message, "kind": "accession", "value": accession, "other": ""}
                connection.execute(insert(_concern).values(concern))
            if due:
                connection.execute(insert(_due).values(accession=accession, cause=f"{kind} by {person}"))
        return place

    def count_acts(self, session: str) -> int:
        """Returns how many acts there are on a case that another act may rest on: all but assignments."""
        with self._engine.connect() as connection:
            return self._acts_in(connection, session, 0)

    def _acts_in(self, connection: Connection, session: str, but: int) -> int:
        query = select(func.count()).select_from(_act).where(_act.c.session == session, _act.c.kind != "assign")
        return int(connection.execute(query.where(_act.c.place != but)).scalar_one())

    def acts(self, session: str | None = None, kinds: Collection[CaseActKind] = ()) -> tuple[CaseAct, ...]:
        """Returns people's acts on a case, or on all, oldest first; only those of some kinds, if any are named."""
        query = select(_act).where(true() if session is None else _act.c.session == session).order_by(_act.c.place)
        if kinds:
            query = query.where(_act.c.kind.in_(list(kinds)))
        with self._engine.connect() as connection:
            return tuple(_act_of(row) for row in connection.execute(query))

    # Within a transaction

    def _touched(self, connection: Connection, concerns: Sequence[Concern]) -> Iterable[str]:
        """Returns the accessions that a message may change: its own, and those of its patients, accounts and visits."""
        found: dict[str, None] = {}
        for concern in concerns:
            if concern.kind == "accession":
                found[concern.value] = None
            if concern.kind not in ("patient", "account", "visit"):
                continue
            values = {concern.value}
            if concern.kind != "visit":
                values |= self._linked(connection, concern.kind, {concern.value, concern.other})
            patients = values if concern.kind == "patient" else {concern.other} if concern.kind == "visit" else set()
            if patients:
                rows = connection.execute(select(_record.c.accession).where(_record.c.patient_id.in_(patients)))
                found |= dict.fromkeys(rows.scalars())
            # Orders and reports name their patient, account and visit.
            mine = select(_concern.c.message).where(
                _concern.c.kind == f"of {concern.kind}", _concern.c.value.in_(values)
            )
            rows = connection.execute(
                select(_concern.c.value).where(_concern.c.kind == "accession", _concern.c.message.in_(mine))
            )
            found |= dict.fromkeys(rows.scalars())
        return found

    def _linked(self, connection: Connection, kind: str, values: set[str]) -> set[str]:
        """Returns all patients or accounts that are linked with these by merges, in either direction."""
        known: set[str] = set()
        while values - known:
            known |= values
            either = _concern.c.value.in_(known) | _concern.c.other.in_(known)
            rows = connection.execute(
                select(_concern.c.value, _concern.c.other).where(_concern.c.kind == kind, either)
            ).all()
            values = known | {row.value for row in rows} | {row.other for row in rows}
        return known

    def _out(self, connection: Connection, snapshot: Snapshot, patients: Collection[str]) -> frozenset[str]:
        """Returns the keys of the charges that are out, of an accession and of these patients."""
        linked = self._linked(connection, "patient", set(patients) - {""})
        accessions = connection.execute(select(_record.c.accession).where(_record.c.patient_id.in_(linked))).scalars()
        known = self._outbox.charges_in(connection, *{snapshot.accession, *accessions})
        return frozenset(each.charge.key for each in known if each.is_out)

    def _messages(self, connection: Connection, kind: str, values: Collection[str]) -> tuple[Received, ...]:
        which = select(_concern.c.message).where(_concern.c.kind == kind, _concern.c.value.in_(list(values)))
        query = select(_received).where(_received.c.place.in_(which)).order_by(_received.c.place)
        return tuple(_received_of(row) for row in connection.execute(query))

    def merges(self, kind: str, values: Iterable[str]) -> tuple[Received, ...]:
        """Returns the merges that lead on from these patients or accounts."""
        known: set[str] = set()
        ahead = {value for value in values if value}
        found: dict[int, Received] = {}
        with self._engine.connect() as connection:
            while ahead - known:
                known |= ahead
                rows = connection.execute(
                    select(_concern.c.other).where(_concern.c.kind == kind, _concern.c.value.in_(known))
                )
                found |= {message.place: message for message in self._messages(connection, kind, known)}
                ahead = set(rows.scalars())
        return tuple(found.values())

    def _newest(self, connection: Connection, which: Any) -> tuple[Ruling, ...]:
        last = select(func.max(_decision.c.place)).where(which).group_by(_decision.c.session)
        query = select(_decision).where(_decision.c.place.in_(last)).order_by(_decision.c.place)
        return tuple(_ruling_of(row) for row in connection.execute(query))


def _insert_record(connection: Connection, record: Record) -> None:
    connection.execute(
        insert(_record).values(
            sr_uid=record.sr_uid,
            session=record.session,
            accession=record.accession,
            patient_id=record.evidence.patient_id,
            path=record.path,
            at=record.at.isoformat(),
            evidence=adapter(Evidence).dump_json(record.evidence).decode(),
        )
    )


def _record_of(row: Any) -> Record:
    evidence = adapter(Evidence).validate_json(row.evidence)
    return Record(row.sr_uid, row.session, row.path, datetime.fromisoformat(row.at), evidence)


def _received_of(row: Any) -> Received:
    return Received(row.place, datetime.fromisoformat(row.at), row.kind, row.control_id, row.body)


def _act_of(row: Any) -> CaseAct:
    at = datetime.fromisoformat(row.at)
    return CaseAct(row.place, row.session, at, row.person, row.role, row.kind, row.why, json.loads(row.detail))


def _row(ruling: Ruling) -> dict[str, Any]:
    return {
        "accession": ruling.accession,
        "session": ruling.session,
        "sr_uid": ruling.sr_uid,
        "at": ruling.at.isoformat(),
        "since": ruling.since.isoformat(),
        "state": ruling.state,
        "cause": ruling.cause,
        "content": json.dumps(ruling.content, sort_keys=True),
        "facts": ruling.facts,
    }


def _ruling_of(row: Any) -> Ruling:
    return Ruling(
        row.accession,
        row.session,
        row.sr_uid,
        datetime.fromisoformat(row.at),
        datetime.fromisoformat(row.since),
        row.state,
        row.cause,
        json.loads(row.content),
        row.facts,
    )
