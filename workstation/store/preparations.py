"""What is prepared unattended: one row for each series and rule, worked off under a lease (`dicom_io.archive.leases`).

A process claims a row and its lease in one transaction, and renews the lease while it works. Where it dies, the lease
runs out and another one takes the row over; what the first one still writes then is refused. Work done twice is
harmless.
"""

import uuid
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    String,
    and_,
    cast,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from dicom_io.archive.leases import Leases
from dicom_io.files.scanning import batches
from workstation.store.preparation_rows import (
    ASKED,
    FETCHED_PRIOR,
    PREPARATION_STATES,
    ROW,
    WORK_ORDER,
    Preparation,
    PreparationProgress,
    PreparationState,
    WantedPreparation,
    preparation_of,
    read_preparations,
)

_DAY_S = 86_400.0
# The order of states in a list.
_LISTED: tuple[PreparationState, ...] = ("running", "waiting", "ready", "failed", "cancelled", "taken")
# Which state is told of a series with several rows: the first of these that one of them has.
_TOLD: tuple[PreparationState, ...] = ("ready", "running", "waiting", "failed", "taken", "cancelled")


class Preparations:
    """The preparations in a database of `dicom_io.archive.database.open_database`.

    What changes rows returns those whose proposals are of no use any more, so that the caller removes their folders.
    """

    def __init__(self, engine: Engine, leases: Leases | None = None) -> None:
        self._engine = engine
        self._leases = leases or Leases(engine)

    @property
    def renew_s(self) -> float:
        """How often who works on a claim has to renew it, in seconds."""
        return self._leases.term_s / 3.0

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
            known = {row.rule: row for row in read_preparations(connection, ROW.c.series_uid == series_uid)}
            outdated: list[Preparation] = []
            for each in wanted:
                row = known.pop(each.rule, None)
                values: dict[str, Any] = {
                    "accession": accession, "revision": revision, "state": "waiting", "urgent": int(each.urgent),
                    "priority": each.priority, "arrived_s": arrived_s, "attempts": 0, "due_s": 0.0, **_NOBODY,
                    "changed_s": now_s, "reason": "", **_NOTHING_MADE,
                }  # fmt: skip
                if row is None:
                    connection.execute(insert(ROW).values(series_uid=series_uid, rule=each.rule, **values))
                elif row.revision != revision and row.state != "cancelled":
                    outdated.append(row)
                    self._leases.end_in(connection, _lease_of(row.place))
                    connection.execute(update(ROW).where(ROW.c.place == row.place).values(**values))
            for row in known.values():
                if row.state in ("waiting", "running", "ready"):
                    outdated.append(row)
                    why = "The series has changed, and this rule is not for it."
                    self._end(connection, row.place, "cancelled", why, now_s)
            if connection.execute(
                update(ASKED).where(ASKED.c.series_uid == series_uid).values(revision=revision)
            ).rowcount == 0:  # fmt: skip
                connection.execute(insert(ASKED).values(series_uid=series_uid, revision=revision))
        return tuple(outdated)

    def asked(self, series_uids: Collection[str]) -> dict[str, int]:
        """Returns by series the completion that the rules were last asked about."""
        found: dict[str, int] = {}
        with self._engine.connect() as connection:
            for some in batches(series_uids, 500):
                rows = connection.execute(select(ASKED).where(ASKED.c.series_uid.in_(some)))
                found |= {row.series_uid: row.revision for row in rows}
        return found

    def hurry(self, urgent: Mapping[str, bool]) -> None:
        """Notes of accessions whether their order is urgent, for what waits."""
        with self._engine.begin() as connection:
            _alone(connection)
            for accession, is_urgent in urgent.items():
                waiting = (ROW.c.accession == accession) & (ROW.c.state == "waiting")
                connection.execute(
                    update(ROW).where(waiting & (ROW.c.urgent != int(is_urgent))).values(urgent=int(is_urgent))
                )

    # -------------------------------------------------------------------------------------------------- working

    def claim(self, now_s: float) -> Preparation | None:
        """Claims what is next: urgent orders, then higher priorities, then what arrived first. What a process has left
        when its lease ran out is claimed again, at once where it was one of this machine. Returns None when nothing is
        due."""
        due = or_(
            and_(ROW.c.state == "waiting", ROW.c.due_s <= self._leases.now),
            and_(ROW.c.state == "running", ~self._leases.holds(_LEASE_NAME)),
        )
        with self._engine.connect() as connection:  # a look at nothing holds nobody up
            dead = self._leases.dead_in(connection, LEASE_PREFIX)
            if not dead and connection.execute(select(ROW.c.place).where(due).limit(1)).first() is None:
                return None
        owner = uuid.uuid4().hex
        with self._engine.begin() as connection:
            _alone(connection)
            for name in self._leases.dead_in(connection, LEASE_PREFIX) if dead else ():
                self._leases.end_in(connection, name)
            # Rows that another process is just claiming are passed over (PostgreSQL); SQLite has one writer at a time.
            place = connection.execute(
                select(ROW.c.place).where(due).order_by(*WORK_ORDER).limit(1).with_for_update(skip_locked=True)
            ).scalar()
            # The lease decides: on PostgreSQL it may have been taken after the look at the row began.
            if place is None or not self._leases.take_in(connection, _lease_of(place), self._leases.owner(owner)):
                return None
            connection.execute(
                update(ROW)
                .where(ROW.c.place == place)
                .values(state="running", owner=owner, attempts=ROW.c.attempts + 1, changed_s=now_s, **_NOTHING_TOLD)
            )
            return read_preparations(connection, ROW.c.place == place)[0]

    def renew(self, claimed: Preparation, now_s: float, progress: PreparationProgress | None = None) -> bool:
        """Renews the lease of a claim, and notes how far it is. Returns False where it is somebody else's now, or was
        cancelled."""
        told: dict[str, Any] = {"owner": claimed.owner}
        if progress is not None:
            told |= {"doing": progress.doing, "done": progress.done, "total": progress.total, "changed_s": now_s}
        with self._engine.begin() as connection:
            _alone(connection)
            # The row first: while it is being changed nobody claims it.
            if connection.execute(update(ROW).where(_mine(claimed)).values(**told)).rowcount != 1:
                return False
            return self._leases.take_in(connection, _lease_of(claimed.place), self._leases.owner(claimed.owner))

    def note_prior(self, claimed: Preparation, series_uid: str) -> bool:
        """Notes that a series is fetched for a claim. Returns False where the claim was lost."""
        with self._engine.begin() as connection:
            _alone(connection)
            if connection.execute(update(ROW).where(_mine(claimed)).values(owner=claimed.owner)).rowcount != 1:
                return False
            make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
            connection.execute(make(FETCHED_PRIOR).values(series_uid=series_uid).on_conflict_do_nothing())
        return True

    def is_prior(self, series_uid: str) -> bool:
        """Returns whether a series was fetched to be compared with another one."""
        query = select(FETCHED_PRIOR.c.series_uid).where(FETCHED_PRIOR.c.series_uid == series_uid)
        with self._engine.connect() as connection:
            return connection.execute(query).first() is not None

    def ready(self, claimed: Preparation, folder: str, size: int, now_s: float) -> bool:
        """Notes that a proposal lies in a folder. Returns False, and notes nothing, where the claim was lost."""
        return self._finish(claimed, state="ready", folder=folder, bytes=size, reason="", changed_s=now_s)

    def again_later(self, claimed: Preparation, reason: str, pause_s: float, now_s: float) -> bool:
        """Puts a claim back after a failure, for another try after a pause. Returns False where the claim was lost."""
        return self._finish(claimed, state="waiting", reason=reason, due_s=self._leases.now + pause_s, changed_s=now_s)

    def give_back(self, claimed: Preparation, now_s: float) -> bool:
        """Puts a claim back as it was: the process is told to end, and that is no failure of the case."""
        return self._finish(claimed, state="waiting", attempts=max(claimed.attempts - 1, 0), changed_s=now_s)

    def fail(self, claimed: Preparation, reason: str, now_s: float) -> bool:
        """Notes that it cannot be prepared, and why. Returns False where the claim was lost."""
        return self._finish(claimed, state="failed", reason=reason, changed_s=now_s)

    def _finish(self, claimed: Preparation, **values: Any) -> bool:
        with self._engine.begin() as connection:
            _alone(connection)
            if connection.execute(update(ROW).where(_mine(claimed)).values(**values, **_NOBODY)).rowcount != 1:
                return False
            self._leases.end_in(connection, _lease_of(claimed.place))
        return True

    def _end(self, connection: Connection, place: int, state: PreparationState, reason: str, now_s: float) -> None:
        self._leases.end_in(connection, _lease_of(place))
        values = {"state": state, "reason": reason, "changed_s": now_s, **_NOBODY, **_NOTHING_MADE}
        connection.execute(update(ROW).where(ROW.c.place == place).values(**values))

    # ------------------------------------------------------------------------------------------- ending, asking

    def end(
        self, places: Iterable[int], state: Literal["cancelled", "taken"], reason: str, now_s: float
    ) -> tuple[Preparation, ...]:
        """Ends preparations: nobody works on them any more. Returns those that this has changed, as they were."""
        with self._engine.begin() as connection:
            _alone(connection)
            found = [row for row in read_preparations(connection, ROW.c.place.in_(list(places))) if row.state != state]
            for row in found:
                self._end(connection, row.place, state, reason, now_s)
        return tuple(found)

    def again(self, places: Iterable[int], now_s: float) -> tuple[Preparation, ...]:
        """Has preparations made anew, whatever became of them, from the first attempt on. Returns them as they were."""
        with self._engine.begin() as connection:
            _alone(connection)
            found = read_preparations(connection, ROW.c.place.in_(list(places)))
            for row in found:
                self._end(connection, row.place, "waiting", "", now_s)
                connection.execute(update(ROW).where(ROW.c.place == row.place).values(attempts=0, due_s=0.0))
        return tuple(found)

    def list(self, *states: PreparationState) -> tuple[Preparation, ...]:
        """Lists preparations in the order in which they are worked off; all of them without a state."""
        with self._engine.connect() as connection:
            return tuple(read_preparations(connection, ROW.c.state.in_(states) if states else True))

    def listed(self, states: Collection[PreparationState], most: int) -> tuple[Preparation, ...]:
        """Lists at most so many preparations of each of some states, without reading the others: what is open in the
        order in which it is worked off, then the rest, what has changed last first."""
        found: list[Preparation] = []
        with self._engine.connect() as connection:
            for state in (each for each in _LISTED if each in states):
                order = WORK_ORDER if state in ("running", "waiting") else _NEWEST_FIRST
                query = select(ROW).where(ROW.c.state == state).order_by(*order).limit(most)
                found += [preparation_of(row) for row in connection.execute(query).mappings()]
        return tuple(found)

    def of_series(self, series_uid: str) -> tuple[Preparation, ...]:
        """Lists the preparations of a series."""
        with self._engine.connect() as connection:
            return tuple(read_preparations(connection, ROW.c.series_uid == series_uid))

    def ready_series(self) -> frozenset[str]:
        """Returns the series of which a proposal lies there."""
        with self._engine.connect() as connection:
            return frozenset(connection.execute(select(ROW.c.series_uid).where(ROW.c.state == "ready")).scalars())

    def counts(self) -> dict[PreparationState, int]:
        """Returns how many preparations are in each state."""
        query = select(ROW.c.state, func.count()).group_by(ROW.c.state)
        with self._engine.connect() as connection:
            found = {row[0]: int(row[1]) for row in connection.execute(query)}
        return {state: found.get(state, 0) for state in PREPARATION_STATES}

    def times(self, now_s: float) -> tuple[float, float, float]:
        """Returns how many seconds those that became ready within a day took from the complete series on, in the mean
        and at most, and how long the oldest one that is not made yet has waited; 0 where there is none."""
        took = ROW.c.changed_s - ROW.c.arrived_s
        made = select(func.avg(took), func.max(took)).where(ROW.c.state == "ready", ROW.c.changed_s > now_s - _DAY_S)
        waits = select(func.min(ROW.c.arrived_s)).where(ROW.c.state.in_(("waiting", "running")))
        with self._engine.connect() as connection:
            mean, longest = connection.execute(made).one()
            since = connection.execute(waits).scalar()
        return float(mean or 0.0), float(longest or 0.0), max(0.0, now_s - since) if since is not None else 0.0

    def states(self) -> dict[str, PreparationState]:
        """Returns by series how far it is prepared; of several rules, the one that is furthest."""
        found: dict[str, PreparationState] = {}
        with self._engine.connect() as connection:
            for row in connection.execute(select(ROW.c.series_uid, ROW.c.state)):
                before = found.get(row.series_uid)
                if before is None or _TOLD.index(row.state) < _TOLD.index(before):
                    found[row.series_uid] = row.state
        return found

    def over(self, most_bytes: int) -> tuple[Preparation, ...]:
        """Returns the oldest proposals that have to go so that the others take no more than so many bytes."""
        newest_first = select(ROW).where(ROW.c.state == "ready").order_by(ROW.c.changed_s.desc(), ROW.c.place.desc())
        with self._engine.connect() as connection:
            total = connection.execute(select(func.sum(ROW.c.bytes)).where(ROW.c.state == "ready")).scalar() or 0
            if total <= most_bytes:
                return ()
            rows = [preparation_of(row) for row in connection.execute(newest_first).mappings()]
        kept, going = 0, []
        for row in rows:
            kept += row.size
            if kept > most_bytes:
                going.append(row)
        return tuple(going)


_NOTHING_TOLD: dict[str, Any] = {"doing": "", "done": 0, "total": 0}
_NOBODY: dict[str, Any] = {"owner": "", **_NOTHING_TOLD}
_NOTHING_MADE: dict[str, Any] = {"folder": "", "bytes": 0}
_NEWEST_FIRST = (ROW.c.changed_s.desc(), ROW.c.place.desc())
# How the leases of preparations are named: this, and the number of the row.
LEASE_PREFIX = "preparation "
_LEASE_NAME = literal(LEASE_PREFIX) + cast(ROW.c.place, String)


def _lease_of(place: int) -> str:
    return f"{LEASE_PREFIX}{place}"


def _mine(claimed: Preparation) -> ColumnElement[bool]:
    return and_(ROW.c.place == claimed.place, ROW.c.owner == claimed.owner, ROW.c.state == "running")


def _alone(connection: Connection) -> None:
    """Makes a transaction of SQLite the only one that writes, from its first look on."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
