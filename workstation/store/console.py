"""What the console keeps between two requests: who is signed in, attempts to sign in, saved views, and who looks at
which case now.

None of it is a record of anything done: that stands in the casebook and in the audit trail. Rows go when they are over.
Times are those of the host that serves the page; hosts of a site have synchronised clocks (docs/operations.md).
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Column, Connection, Engine, Index, Integer, Table, Text, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from dicom_io.archive.database import unflushed
from workstation.store.tables import TABLES

_session = Table(
    "console_session",
    TABLES,
    # The token's digest: who reads the table, or a backup of it, cannot act as those who are signed in.
    Column("token", Text, primary_key=True),
    Column("person", Text, nullable=False, index=True),
    Column("started_at", Text, nullable=False),
    Column("seen_at", Text, nullable=False),
    # What the next page says once, and what was searched for: it may name a patient, so it is in no URL.
    Column("said", Text, nullable=False),
    Column("search", Text, nullable=False),
)
_attempt = Table(
    "sign_in_attempt",
    TABLES,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("person", Text, nullable=False, index=True),
    Column("address", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("right", Integer, nullable=False),
)
_view = Table(
    "saved_view",
    TABLES,
    Column("person", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("query", Text, nullable=False),
)
_presence = Table(
    "presence",
    TABLES,
    Column("case_key", Text, primary_key=True),
    Column("person", Text, primary_key=True),
    Column("at", Text, nullable=False),
    Index("presence_at", "at"),
)
_OLD = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ConsoleSession:
    """Somebody who is signed in. said : the sentence that the next page shows. search : the text searched for."""

    person: str
    started_at: datetime
    seen_at: datetime
    said: str = ""
    search: str = ""


def digest_of(token: str) -> str:
    """Returns what is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


class ConsoleStore:
    """The tables in a database of `dicom_io.archive.database.open_database`."""

    def __init__(self, engine: Engine) -> None:
        # A power cut may end sessions: nobody loses more than a sign-in.
        self._engine = unflushed(engine)

    # Who is signed in

    def begin(self, person: str, at: datetime) -> str:
        """Begins a session under a new token, and returns the token; it is kept nowhere."""
        token = secrets.token_urlsafe(32)
        row = {"person": person, "started_at": at.isoformat(), "seen_at": at.isoformat(), "said": "", "search": ""}
        with self._engine.begin() as connection:
            connection.execute(delete(_session).where(_session.c.seen_at < (at - _OLD).isoformat()))
            connection.execute(insert(_session).values(token=digest_of(token), **row))
        return token

    def session(self, token: str) -> ConsoleSession | None:
        """Returns the session of a token; None where there is none. Whether it is over, the caller decides."""
        query = select(_session).where(_session.c.token == digest_of(token))
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        began, seen = datetime.fromisoformat(row.started_at), datetime.fromisoformat(row.seen_at)
        return ConsoleSession(row.person, began, seen, row.said, row.search)

    def seen(self, token: str, session: ConsoleSession) -> None:
        """Keeps when a session was seen, what its next page says, and what it searched for."""
        values = {"seen_at": session.seen_at.isoformat(), "said": session.said, "search": session.search}
        with self._engine.begin() as connection:
            connection.execute(update(_session).where(_session.c.token == digest_of(token)).values(values))

    def end(self, token: str) -> None:
        """Ends a session."""
        with self._engine.begin() as connection:
            connection.execute(delete(_session).where(_session.c.token == digest_of(token)))

    def end_all(self, person: str) -> int:
        """Ends every session of a person, whose rights or secret changed. Returns how many there were."""
        with self._engine.begin() as connection:
            return connection.execute(delete(_session).where(_session.c.person == person)).rowcount

    def signed_in(self, since: datetime) -> dict[str, datetime]:
        """Returns who has been seen since then, with when last."""
        query = select(_session.c.person, func.max(_session.c.seen_at).label("last")).group_by(_session.c.person)
        with self._engine.connect() as connection:
            rows = connection.execute(query.where(_session.c.seen_at >= since.isoformat())).all()
        return {row.person: datetime.fromisoformat(row.last) for row in rows}

    # Attempts

    def take_attempt(self, person: str, address: str, at: datetime, since: datetime, most: int) -> bool:
        """Counts an attempt to sign in, or to sign, as wrong before its secret is looked at, so that guesses at the
        same time all count, on every host; `attempted_rightly` then says that it was right.

        Returns whether it may be looked at: fewer than `most` others have been wrong in a row since then. One that may
        not is not counted.
        """
        row = {"person": person, "address": address, "at": at.isoformat(), "right": 0}
        with self._engine.begin() as connection:
            connection.execute(delete(_attempt).where(_attempt.c.at < (at - _OLD).isoformat()))
            place = connection.execute(insert(_attempt).values(row)).inserted_primary_key
        assert place is not None
        # Looked at when the own one is there for all others to see.
        query = select(_attempt.c.right).where(_attempt.c.person == person, _attempt.c.at >= since.isoformat())
        query = query.where(_attempt.c.place != place[0]).order_by(_attempt.c.place.desc())
        with self._engine.begin() as connection:
            found = connection.execute(query).scalars().all()
            wrong = next((n for n, right in enumerate(found) if right), len(found))
            if wrong >= most:
                connection.execute(delete(_attempt).where(_attempt.c.place == place[0]))
        return wrong < most

    def attempted_rightly(self, person: str, address: str, at: datetime) -> None:
        """Keeps that a secret was right: what was wrong before counts no more."""
        row = {"person": person, "address": address, "at": at.isoformat(), "right": 1}
        with self._engine.begin() as connection:
            connection.execute(insert(_attempt).values(row))

    # Saved views

    def save_view(self, person: str, name: str, query: str) -> None:
        """Keeps a view of a person under a name, in place of the one that had it."""
        with self._engine.begin() as connection:
            connection.execute(delete(_view).where(_view.c.person == person, _view.c.name == name))
            connection.execute(insert(_view).values(person=person, name=name, query=query))

    def remove_view(self, person: str, name: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(delete(_view).where(_view.c.person == person, _view.c.name == name))

    def views(self, person: str) -> Mapping[str, str]:
        """Returns the queries of a person's views by name, in the order of the names."""
        query = select(_view.c.name, _view.c.query).where(_view.c.person == person).order_by(_view.c.name)
        with self._engine.connect() as connection:
            return {row.name: row.query for row in connection.execute(query)}

    # Who looks at a case

    def look_at(self, case_key: str, person: str, at: datetime, for_s: float) -> tuple[str, ...]:
        """Keeps that a person looks at a case, and returns who else has done so within `for_s` seconds."""
        since = (at - timedelta(seconds=for_s)).isoformat()
        with self._engine.begin() as connection:
            connection.execute(delete(_presence).where(_presence.c.at < (at - _OLD).isoformat()))
            self._put_presence(connection, case_key, person, at)
            query = select(_presence.c.person).where(_presence.c.case_key == case_key, _presence.c.person != person)
            found = connection.execute(query.where(_presence.c.at >= since).order_by(_presence.c.person))
            return tuple(found.scalars())

    def _put_presence(self, connection: Connection, case_key: str, person: str, at: datetime) -> None:
        own = (_presence.c.case_key == case_key) & (_presence.c.person == person)
        if connection.execute(update(_presence).where(own).values(at=at.isoformat())).rowcount:
            return
        try:
            with connection.begin_nested():
                connection.execute(insert(_presence).values(case_key=case_key, person=person, at=at.isoformat()))
        except IntegrityError:
            pass  # another tab of the same person was faster
