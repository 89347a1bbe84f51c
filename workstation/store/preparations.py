"""What is prepared unattended: one row for each series and rule, worked off under a lease that the database keeps.

A process claims a row in one transaction and renews its lease while it works. Where it dies, the lease runs out and
another one takes the row over; what the first one still writes then is refused. Work done twice is harmless.
"""

import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Float,
    Integer,
    RowMapping,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
    func,
    insert,
    or_,
    select,
    text,
    update,
)

from workstation.store.tables import TABLES

# waiting: to be made. running: claimed. ready: a proposal lies there. failed: it was tried in vain, or cannot be made.
# cancelled: by a person, or because it is out of date. taken: a person has signed what was made of it.
PreparationState = Literal["waiting", "running", "ready", "failed", "cancelled", "taken"]
PREPARATION_STATES: tuple[PreparationState, ...] = get_args(PreparationState)
# Which state is told of a series with several rows: the first of these that one of them has.
_TOLD: tuple[PreparationState, ...] = ("ready", "running", "waiting", "failed", "taken", "cancelled")

_row = Table(
    "preparation",
    TABLES,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("series_uid", String(64), nullable=False),
    Column("rule", Text, nullable=False),
    Column("accession", Text, nullable=False),
    Column("revision", Integer, nullable=False),  # the completion of the series that it is made of
    Column("state", String(16), nullable=False, index=True),
    Column("urgent", Integer, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("arrived_s", Float, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_s", Float, nullable=False),  # not tried before
    Column("owner", String(32), nullable=False),
    Column("until_s", Float, nullable=False),  # the end of the lease
    Column("changed_s", Float, nullable=False),
    Column("reason", Text, nullable=False),
    Column("folder", Text, nullable=False),  # of the proposal, by its name below `prepared`
    Column("bytes", Integer, nullable=False),
    UniqueConstraint("series_uid", "rule"),
)
# Which completion of a series the rules were last asked about: most series fit none, and have no row.
_asked = Table(
    "preparation_asked",
    TABLES,
    Column("series_uid", String(64), primary_key=True),
    Column("revision", Integer, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Preparation:
    """One series under one rule. Times are seconds since the epoch.

    revision : the completion of the series. urgent : its order is. arrived_s : when that completion was. attempts : so
    often it was begun. due_s : not tried before. owner, until_s : who works on it, and until when unless they renew it;
    empty and 0 for nobody. reason : why it failed, waits again or was cancelled, in words. folder : of the proposal.
    size : of the proposal, in bytes.
    """

    place: int
    series_uid: str
    rule: str
    accession: str
    revision: int
    state: PreparationState
    urgent: bool
    priority: int
    arrived_s: float
    attempts: int
    due_s: float
    owner: str
    until_s: float
    changed_s: float
    reason: str
    folder: str
    size: int


@dataclass(frozen=True, slots=True)
class WantedPreparation:
    """A rule that a series is to be prepared by."""

    rule: str
    priority: int
    urgent: bool = False


class Preparations:
    """The preparations in a database of `dicom_io.archive.database.open_database`.

    What changes rows returns those whose proposals are of no use any more, so that the caller removes their folders.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # ------------------------------------------------------------------------------------------------- planning

    def plan(
        self,
        series_uid: str,
        accession: str,
        revision: int,
        wanted: Collection[WantedPreparation],
        arrived_s: float,
        now_s: float,
    ) -> tuple[Preparation, ...]:
        """Notes that the rules were asked about a completion of a series, and what is to be prepared by them.

        What was made of an earlier completion is made anew, whatever became of it, unless a person cancelled it; what
        no rule wants any more is cancelled. The same again changes nothing. Returns the outdated ones, as they were.
        """
        with self._engine.begin() as connection:
            _alone(connection)
            if connection.dialect.name == "postgresql":  # of two that plan one series at once, the second finds it done
                connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:uid))"), {"uid": series_uid})
            known = {row.rule: row for row in _read(connection, _row.c.series_uid == series_uid)}
            outdated: list[Preparation] = []
            for each in wanted:
                row = known.pop(each.rule, None)
                values: dict[str, Any] = {
                    "accession": accession, "revision": revision, "state": "waiting", "urgent": int(each.urgent),
                    "priority": each.priority, "arrived_s": arrived_s, "attempts": 0, "due_s": now_s, **_NOBODY,
                    "changed_s": now_s, "reason": "", **_NOTHING_MADE,
                }  # fmt: skip
                if row is None:
                    connection.execute(insert(_row).values(series_uid=series_uid, rule=each.rule, **values))
                elif row.revision != revision and row.state != "cancelled":
                    outdated.append(row)
                    connection.execute(update(_row).where(_row.c.place == row.place).values(**values))
            for row in known.values():
                if row.state in ("waiting", "running", "ready"):
                    outdated.append(row)
                    _end(
                        connection,
                        row.place,
                        "cancelled",
                        "The series has changed, and this rule is not for it.",
                        now_s,
                    )
            if connection.execute(
                update(_asked).where(_asked.c.series_uid == series_uid).values(revision=revision)
            ).rowcount == 0:  # fmt: skip
                connection.execute(insert(_asked).values(series_uid=series_uid, revision=revision))
        return tuple(outdated)

    def asked(self) -> dict[str, int]:
        """Returns by series the completion that the rules were last asked about."""
        with self._engine.connect() as connection:
            return {row.series_uid: row.revision for row in connection.execute(select(_asked))}

    def hurry(self, urgent: Mapping[str, bool]) -> None:
        """Notes of accessions whether their order is urgent, for what waits."""
        with self._engine.begin() as connection:
            _alone(connection)
            for accession, is_urgent in urgent.items():
                waiting = (_row.c.accession == accession) & (_row.c.state == "waiting")
                connection.execute(
                    update(_row).where(waiting & (_row.c.urgent != int(is_urgent))).values(urgent=int(is_urgent))
                )

    # -------------------------------------------------------------------------------------------------- working

    def claim(self, now_s: float, lease_s: float) -> Preparation | None:
        """Claims what is next: urgent orders, then higher priorities, then what arrived first. What a process has left
        when its lease ran out is claimed again. Returns None when nothing is due."""
        due = or_(
            and_(_row.c.state == "waiting", _row.c.due_s <= now_s),
            and_(_row.c.state == "running", _row.c.until_s < now_s),
        )
        order = (_row.c.urgent.desc(), _row.c.priority.desc(), _row.c.arrived_s, _row.c.place)
        owner = uuid.uuid4().hex
        with self._engine.connect() as connection:  # a look at nothing holds nobody up
            if connection.execute(select(_row.c.place).where(due).limit(1)).first() is None:
                return None
        with self._engine.begin() as connection:
            _alone(connection)
            # Rows that another process is just claiming are passed over (PostgreSQL); SQLite has one writer at a time.
            place = connection.execute(
                select(_row.c.place).where(due).order_by(*order).limit(1).with_for_update(skip_locked=True)
            ).scalar()
            if place is None:
                return None
            claimed = connection.execute(
                update(_row)
                .where(_row.c.place == place, due)
                .values(
                    state="running", owner=owner, until_s=now_s + lease_s, attempts=_row.c.attempts + 1, changed_s=now_s
                )
            )
            return _read(connection, _row.c.place == place)[0] if claimed.rowcount else None

    def renew(self, claimed: Preparation, now_s: float, lease_s: float) -> bool:
        """Extends the lease of a claim. Returns False where it is somebody else's now, or was cancelled."""
        return self._of_owner(claimed, until_s=now_s + lease_s)

    def ready(self, claimed: Preparation, folder: str, size: int, now_s: float) -> bool:
        """Notes that a proposal lies in a folder. Returns False, and notes nothing, where the claim was lost."""
        return self._of_owner(claimed, state="ready", folder=folder, bytes=size, reason="", changed_s=now_s, **_NOBODY)

    def again_later(self, claimed: Preparation, reason: str, due_s: float, now_s: float) -> bool:
        """Puts a claim back after a failure, to be tried again. Returns False where the claim was lost."""
        return self._of_owner(claimed, state="waiting", reason=reason, due_s=due_s, changed_s=now_s, **_NOBODY)

    def give_back(self, claimed: Preparation, now_s: float) -> bool:
        """Puts a claim back as it was: the process is told to end, and that is no failure of the case."""
        return self._of_owner(
            claimed, state="waiting", attempts=max(claimed.attempts - 1, 0), changed_s=now_s, **_NOBODY
        )

    def fail(self, claimed: Preparation, reason: str, now_s: float) -> bool:
        """Notes that it cannot be prepared, and why. Returns False where the claim was lost."""
        return self._of_owner(claimed, state="failed", reason=reason, changed_s=now_s, **_NOBODY)

    def _of_owner(self, claimed: Preparation, **values: Any) -> bool:
        mine = (_row.c.place == claimed.place) & (_row.c.owner == claimed.owner) & (_row.c.state == "running")
        with self._engine.begin() as connection:
            _alone(connection)
            return connection.execute(update(_row).where(mine).values(**values)).rowcount == 1

    # ------------------------------------------------------------------------------------------- ending, asking

    def end(
        self, places: Iterable[int], state: Literal["cancelled", "taken"], reason: str, now_s: float
    ) -> tuple[Preparation, ...]:
        """Ends preparations: nobody works on them any more. Returns those that this has changed, as they were."""
        with self._engine.begin() as connection:
            _alone(connection)
            found = [row for row in _read(connection, _row.c.place.in_(list(places))) if row.state != state]
            for row in found:
                _end(connection, row.place, state, reason, now_s)
        return tuple(found)

    def again(self, places: Iterable[int], now_s: float) -> tuple[Preparation, ...]:
        """Has preparations made anew, whatever became of them, from the first attempt on. Returns them as they were."""
        with self._engine.begin() as connection:
            _alone(connection)
            found = _read(connection, _row.c.place.in_(list(places)))
            for row in found:
                connection.execute(
                    update(_row)
                    .where(_row.c.place == row.place)
                    .values(
                        state="waiting", attempts=0, due_s=now_s, reason="", changed_s=now_s, **_NOBODY, **_NOTHING_MADE
                    )
                )
        return tuple(found)

    def list(self, *states: PreparationState) -> tuple[Preparation, ...]:
        """Lists preparations in the order in which they are worked off; all of them without a state."""
        with self._engine.connect() as connection:
            return tuple(_read(connection, _row.c.state.in_(states) if states else True))

    def of_series(self, series_uid: str) -> tuple[Preparation, ...]:
        """Lists the preparations of a series."""
        with self._engine.connect() as connection:
            return tuple(_read(connection, _row.c.series_uid == series_uid))

    def ready_series(self) -> frozenset[str]:
        """Returns the series of which a proposal lies there."""
        with self._engine.connect() as connection:
            return frozenset(connection.execute(select(_row.c.series_uid).where(_row.c.state == "ready")).scalars())

    def counts(self) -> dict[PreparationState, int]:
        """Returns how many preparations are in each state."""
        query = select(_row.c.state, func.count()).group_by(_row.c.state)
        with self._engine.connect() as connection:
            found = {row[0]: int(row[1]) for row in connection.execute(query)}
        return {state: found.get(state, 0) for state in PREPARATION_STATES}

    def times(self, now_s: float) -> tuple[float, float, float]:
        """Returns how many seconds those that lie ready took from the complete series on, in the mean and at most, and
        how long the oldest one that is not made yet has waited; 0 where there is none."""
        took = _row.c.changed_s - _row.c.arrived_s
        made = select(func.avg(took), func.max(took)).where(_row.c.state == "ready")
        waits = select(func.min(_row.c.arrived_s)).where(_row.c.state.in_(("waiting", "running")))
        with self._engine.connect() as connection:
            mean, longest = connection.execute(made).one()
            since = connection.execute(waits).scalar()
        return float(mean or 0.0), float(longest or 0.0), max(0.0, now_s - since) if since is not None else 0.0

    def states(self) -> dict[str, PreparationState]:
        """Returns by series how far it is prepared; of several rules, the one that is furthest."""
        found: dict[str, PreparationState] = {}
        with self._engine.connect() as connection:
            for row in connection.execute(select(_row.c.series_uid, _row.c.state)):
                before = found.get(row.series_uid)
                if before is None or _TOLD.index(row.state) < _TOLD.index(before):
                    found[row.series_uid] = row.state
        return found

    def over(self, most_bytes: int) -> tuple[Preparation, ...]:
        """Returns the oldest proposals that have to go so that the others take no more than so many bytes."""
        newest_first = (
            select(_row).where(_row.c.state == "ready").order_by(_row.c.changed_s.desc(), _row.c.place.desc())
        )
        with self._engine.connect() as connection:
            total = connection.execute(select(func.sum(_row.c.bytes)).where(_row.c.state == "ready")).scalar() or 0
            if total <= most_bytes:
                return ()
            rows = [_preparation(row) for row in connection.execute(newest_first).mappings()]
        kept, going = 0, []
        for row in rows:
            kept += row.size
            if kept > most_bytes:
                going.append(row)
        return tuple(going)


_NOBODY: dict[str, Any] = {"owner": "", "until_s": 0.0}
_NOTHING_MADE: dict[str, Any] = {"folder": "", "bytes": 0}


def _alone(connection: Connection) -> None:
    """Makes a transaction of SQLite the only one that writes, from its first look on."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _end(connection: Connection, place: int, state: PreparationState, reason: str, now_s: float) -> None:
    values = {"state": state, "reason": reason, "changed_s": now_s, **_NOBODY, **_NOTHING_MADE}
    connection.execute(update(_row).where(_row.c.place == place).values(**values))


def _read(connection: Connection, condition: Any) -> list[Preparation]:
    query = select(_row).where(condition) if condition is not True else select(_row)
    order = (_row.c.urgent.desc(), _row.c.priority.desc(), _row.c.arrived_s, _row.c.place)
    return [_preparation(row) for row in connection.execute(query.order_by(*order)).mappings()]


def _preparation(row: RowMapping) -> Preparation:
    values = dict(row)
    values["size"], values["urgent"] = values.pop("bytes"), bool(values["urgent"])
    return Preparation(**values)
