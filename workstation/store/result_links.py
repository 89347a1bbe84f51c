"""Links that show the results of one session to a person outside: by the digest of their token, never the token.

A row is changed where the link is used, guessed at or revoked, and never removed: it says to whom results were given.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Engine, Float, Integer, RowMapping, String, Table, Text, insert, or_, select, update

from workstation.store.tables import TABLES

_link = Table(
    "result_link",
    TABLES,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("token_sha256", String(64), nullable=False, unique=True),
    Column("session", Text, nullable=False, index=True),
    Column("accession", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_s", Float, nullable=False),
    Column("expires_s", Float, nullable=False),
    Column("secret", Text, nullable=False),  # argon2id, empty where the link alone opens the results
    Column("reports", Integer, nullable=False),  # how many the session had then: more now is an amendment
    Column("revoked_s", Float, nullable=False),  # 0 for a link that was not
    Column("revoked_by", Text, nullable=False),
    Column("wrong", Integer, nullable=False),  # words typed since the right one
    Column("wrong_s", Float, nullable=False),
    Column("uses", Integer, nullable=False),
    Column("used_s", Float, nullable=False),
    sqlite_autoincrement=True,
)


@dataclass(frozen=True, slots=True)
class ResultLink:
    """A link. Times are seconds since the epoch, 0 for never.

    place : its number, by which people name it. token_sha256 : hex. recipient : for whom, in words. made_by,
    revoked_by : IDs of the register. secret : hash of the word that the recipient types, empty for none. reports : how
    many signed reports the session had when it was made. wrong, wrong_s : how often a wrong word was typed since the
    right one, and when last. uses, used_s : how often its page was opened, and when last.
    """

    place: int
    token_sha256: str
    session: str
    accession: str
    recipient: str
    made_by: str
    made_s: float
    expires_s: float
    secret: str
    reports: int
    revoked_s: float
    revoked_by: str
    wrong: int
    wrong_s: float
    uses: int
    used_s: float

    def holds(self, now_s: float) -> bool:
        """Whether it opens anything: neither revoked nor expired."""
        return not self.revoked_s and now_s < self.expires_s


@dataclass(frozen=True, slots=True)
class ResultLinks:
    """The links in a database opened with `dicom_io.archive.database.open_database`."""

    engine: Engine

    def add(self, link: ResultLink) -> ResultLink:
        """Enters a link; its place is given here. Returns it with that."""
        values = {name: getattr(link, name) for name in _link.c.keys() if name != "place"}  # noqa: SIM118 - columns
        with self.engine.begin() as connection:
            place = connection.execute(insert(_link).values(values).returning(_link.c.place)).scalar_one()
            return _read(connection.execute(select(_link).where(_link.c.place == place)).mappings().one())

    def of_token(self, token_sha256: str) -> ResultLink | None:
        """Returns the link of a token's digest; None for one that was never made."""
        return self._one(_link.c.token_sha256 == token_sha256)

    def at(self, place: int) -> ResultLink | None:
        """Returns a link by its number."""
        return self._one(_link.c.place == place)

    def all(self, session: str = "") -> tuple[ResultLink, ...]:
        """Lists all links, or those of a session, newest first."""
        query = select(_link).order_by(_link.c.place.desc())
        if session:
            query = query.where(_link.c.session == session)
        with self.engine.connect() as connection:
            return tuple(_read(row) for row in connection.execute(query).mappings())

    def revoke(self, place: int, person_id: str, now_s: float) -> bool:
        """Revokes a link. Returns False where it was before, or there is none of that number."""
        return self._change(place, _link.c.revoked_s == 0, revoked_s=now_s, revoked_by=person_id)

    def take_try(self, place: int, now_s: float, free: int, pause_s: float, most: int) -> bool:
        """Counts a word as wrong before it is looked at, so that guesses at the same time all count.

        free : so many wrong words in a row are free; from then on each costs a pause of `pause_s`. most : after so many
        nobody may try any more. Returns whether it may be tried now.
        """
        soon = or_(_link.c.wrong < free, _link.c.wrong_s <= now_s - pause_s)
        return self._change(place, (_link.c.wrong < most) & soon, wrong=_link.c.wrong + 1, wrong_s=now_s)

    def right_word(self, place: int) -> None:
        """Forgets the wrong words: the right one was typed."""
        self._change(place, _link.c.place == place, wrong=0)

    def used(self, place: int, now_s: float) -> None:
        """Notes that the page of a link was opened."""
        self._change(place, _link.c.place == place, uses=_link.c.uses + 1, used_s=now_s)

    def _one(self, condition: Any) -> ResultLink | None:
        with self.engine.connect() as connection:
            row = connection.execute(select(_link).where(condition)).mappings().first()
            return None if row is None else _read(row)

    def _change(self, place: int, condition: Any, **values: Any) -> bool:
        with self.engine.begin() as connection:
            changed = connection.execute(update(_link).where(_link.c.place == place, condition).values(**values))
            return bool(changed.rowcount)


def _read(row: RowMapping) -> ResultLink:
    return ResultLink(**row)
