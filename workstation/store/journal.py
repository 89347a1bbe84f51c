"""The journal: who did what when in a session, on which volume and recipe. Only acts in the journal count as
supervision.

Append-only and chained: each event's hash covers the one before it in its session, and the head of the chain goes into
the SR. So an event that is changed, removed, inserted or moved afterwards is detected, in the journal and in the SR.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError

from dicom_io.archive.database import names_in
from dicom_io.evidence import Act, Evidence, Person
from workstation.charge.facts import SupervisionAct
from workstation.store.ledger import append
from workstation.store.tables import TABLES

_event = Table(
    "event",
    TABLES,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("session", Text, nullable=False, index=True),
    Column("at", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("detail", Text, nullable=False),
    # Added later; in older journals these columns are added and filled in.
    Column("number", Integer),
    Column("hash", Text),
    # Running a case again must not record its acts twice.
    UniqueConstraint("session", "person", "kind", "detail"),
    # Of two processes that append at once, one fails: the chain never forks.
    Index("event_chain", "session", "number", unique=True),
)
_ATTEMPTS = 50

# The acts that count as directing the work.
SUPERVISION_ACTS: tuple[SupervisionAct, ...] = get_args(SupervisionAct)
_Event = Literal["opened", "protocol_run", "image_rejection", "recorded", "attested", "attested_and_signed", "reported"]
EventKind = SupervisionAct | _Event


@dataclass(frozen=True, slots=True)
class JournalEvent:
    """An event as it stands in the chain. number : its place in its session, from 0. hash : sha256, hex."""

    number: int
    act: Act
    hash: str

    @property
    def at(self) -> datetime:
        """When the event was first recorded."""
        return self.act.at


def about(volume_digest: str, recipe_digest: str, words: str = "") -> str:
    """Writes the detail of an event: the volume and recipe it was done on, if known, and words."""
    known = (words, volume_digest and f"volume {volume_digest}", recipe_digest and f"recipe {recipe_digest}")
    return " ".join(filter(None, known))


def recorded_as(sr_uid: str, digest: str) -> str:
    """Writes the detail of the event for a kept record. digest : its `digests.file_digest`."""
    return f"SR {sr_uid} sha256 {digest}"


def recorded_uid(detail: str) -> str:
    """Reads the SR's UID from a detail of `recorded_as`."""
    return detail.split()[1]


def reported_as(words: str, after: int = 0) -> str:
    """Writes the detail of the event for a signed report. words : `report_sr.words_of`. after : how many reports of the
    session came before, where the same words were signed before one of them."""
    return f"report {words} after {after}" if after else f"report {words}"


def reported_words(detail: str) -> str:
    """Reads the words from a detail of `reported_as`."""
    return detail.split()[1]


def link(previous: str, session: str, number: int, act: Act) -> str:
    """Returns the hash of an event. previous : the hash of the one before it, empty for the first."""
    words = [previous, session, number, act.at.isoformat(), act.person_id, act.role, act.kind, act.detail]
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()


def head_of(session: str, acts: Iterable[Act]) -> str:
    """Returns the head of the chain of these acts of a session; empty for none."""
    head = ""
    for number, act in enumerate(acts):
        head = link(head, session, number, act)
    return head


def first_break(session: str, entries: Sequence[JournalEvent]) -> int | None:
    """Returns the number of the first event that is not the recorded one, None where the chain holds."""
    head = ""
    for number, entry in enumerate(entries):
        if entry.number != number or entry.hash != link(head, session, number, entry.act):
            return number
        head = entry.hash
    return None


@dataclass(frozen=True, slots=True)
class Journal:
    """The journal in a database opened with `dicom_io.archive.database.open_database`."""

    engine: Engine

    def record(self, session: str, person: Person, kind: EventKind, at: datetime, detail: str = "") -> JournalEvent:
        """Adds an event, durable when this returns. Returns it as first recorded: recording it again changes nothing.

        at : with time zone, stored in whole seconds as in records. detail : one line.
        """
        if at.tzinfo is None:
            raise ValueError(f"Event {kind} at {at}: a time without its zone.")
        act = Act(at.replace(microsecond=0), person.id, person.role, kind, " ".join(detail.split()))
        row = {"session": session, "person": act.person_id, "kind": kind, "detail": act.detail}
        for _ in range(_ATTEMPTS):
            with self.engine.connect() as connection:
                known = connection.execute(select(_event).filter_by(**row)).first()
                if known is not None:
                    return _entry(known)
                chain = select(_event).filter_by(session=session).order_by(_event.c.number.desc()).limit(1)
                last = connection.execute(chain).first()
            number = 0 if last is None else last.number + 1
            entry = JournalEvent(number, act, link("" if last is None else last.hash, session, number, act))
            values = {"at": act.at.isoformat(), "role": act.role, "number": number, "hash": entry.hash, **row}
            try:
                with self.engine.begin() as connection:
                    append(connection, _event, values)
                return entry
            except IntegrityError:
                continue  # another process was quicker
        raise RuntimeError(f"Session {session}: others wrote into its journal {_ATTEMPTS} times over; try again.")

    def entries(self, session: str) -> tuple[JournalEvent, ...]:
        """Returns every event of a session, in the order of recording."""
        query = select(_event).where(_event.c.session == session).order_by(_event.c.number)
        with self.engine.connect() as connection:
            return tuple(_entry(row) for row in connection.execute(query))

    def digest_of(self, sr_uid: str) -> str:
        """Returns the digest under which an SR was recorded in any session; empty for one that never was."""
        said = _event.c.detail.startswith(recorded_as(sr_uid, ""), autoescape=True)
        query = (
            select(_event.c.detail).where(_event.c.kind == "recorded", said).order_by(_event.c.place.desc()).limit(1)
        )
        with self.engine.connect() as connection:
            detail = connection.execute(query).scalar()
        return str(detail).split()[-1] if detail else ""

    def reported_after(self, place: int) -> tuple[int, tuple[str, ...]]:
        """Returns the last place of the journal, and the session of each report signed after a place."""
        last = select(_event.c.place).order_by(_event.c.place.desc()).limit(1)
        with self.engine.connect() as connection:
            end = int(connection.execute(last).scalar() or 0)
            query = select(_event.c.session).where(
                _event.c.place > place, _event.c.place <= end, _event.c.kind == "reported"
            )
            return end, tuple(connection.execute(query).scalars())

    def acts(self, session: str) -> tuple[Act, ...]:
        """Returns the acts of `entries`, without the chain."""
        return tuple(entry.act for entry in self.entries(session))


def doubt(evidence: Evidence, journal: Journal, device_uid: str) -> str:
    """Returns why the acts of a record cannot be believed, as a sentence; empty when they can.

    The acts must be those of the chain whose head the record names; on the device that made the record, they must be in
    its journal as well. A record from before journals were chained names no head, and is believed.
    """
    session, acts = evidence.session_uid, evidence.acts
    if not evidence.journal_head:
        return ""
    if head_of(session, acts) != evidence.journal_head:
        return "The acts in the SR are not those that its journal was closed with: the SR was changed."
    if evidence.device_uid != device_uid:
        return ""
    broken = doubt_of_chain(journal, session)
    if not broken and journal.acts(session)[: len(acts)] != acts:
        return f"The journal of session {session} lacks events that the SR has: they were taken out."
    return broken


def doubt_of_chain(journal: Journal, session: str) -> str:
    """Returns why the journal of a session itself cannot be believed, as a sentence; empty when it can."""
    try:
        broken = first_break(session, journal.entries(session))
    except ValueError as error:
        return f"The journal of session {session} cannot be read: it was changed ({error})."
    if broken is not None:
        return f"Event {broken + 1} of the journal of session {session} is not what was recorded there: it was changed."
    return ""


def _entry(row: Any) -> JournalEvent:
    act = Act(datetime.fromisoformat(row.at), row.person, row.role, row.kind, row.detail)
    # Python accepts any character between day and hour. A time in another form than ours was changed.
    return JournalEvent(row.number, act, row.hash if act.at.isoformat() == row.at else "")


def chain_old_events(connection: Connection) -> None:
    """Chains the events of a journal from before chains, in the order of recording."""
    known = names_in(connection)
    if "event" not in known or "event.hash" in known:
        return
    connection.execute(text("ALTER TABLE event ADD COLUMN number INTEGER"))
    connection.execute(text("ALTER TABLE event ADD COLUMN hash TEXT"))
    heads: dict[str, tuple[int, str]] = {}
    for row in connection.execute(select(_event).order_by(_event.c.place)).all():
        number, head = heads.get(row.session, (0, ""))
        act = _entry(row).act
        head = link(head, row.session, number, act)
        values = {"number": number, "hash": head}
        connection.execute(update(_event).where(_event.c.place == row.place).values(values))
        heads[row.session] = (number + 1, head)
