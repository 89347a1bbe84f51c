"""Claims on work, in the database that all hosts of a site share: who holds one does the work, for so long.

A claim ends when its holder gives it back, when its time is over (the host died, or cannot reach the database), or as
soon as somebody on the same machine sees that the process is gone. Times are the database's, so clocks of hosts may
differ. A lease is no proof that nobody else works: what it guards has to be harmless when it is done twice.

Source: Gray and Cheriton, "Leases: An Efficient Fault-Tolerant Mechanism for Distributed File Cache Consistency", 1989.
"""

import os
import platform
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    Float,
    String,
    Table,
    delete,
    exists,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from dicom_io.archive.database import INDEX_TABLES
from dicom_io.archive.durable import boot, runs

_LEASE = Table(
    "lease",
    INDEX_TABLES,
    Column("name", String(200), primary_key=True),
    Column("owner", String(200), nullable=False),
    Column("until", Float(53), nullable=False),  # seconds since 1970 by the database's clock
)
# How long the work of a host that died waits for another one. Renewed at a third of it.
TERM_S = 30.0
# This life of this process; a process ID is used again.
_LIFE = uuid.uuid4().hex[:12]


def machine() -> str:
    """Returns the name of this machine, this start of it, and which of its processes can be seen from here: containers
    of one machine see none of each other's. Source: pid_namespaces(7)."""
    try:
        seen = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        seen = ""
    return f"{platform.node()}/{boot()}/{seen}"


def _words(owner: str) -> str:
    place, process, *_ = owner.split("#")
    return f"{place.partition('/')[0]} {process}"


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim as the database has it. holder : as `HOST PID`. left_s : seconds until it ends; below 0 it has."""

    name: str
    holder: str
    left_s: float


@dataclass(frozen=True, slots=True)
class Leases:
    """The claims in a database that has the tables of `INDEX_TABLES`.

    machine : whose processes can be looked at from here. term_s : how long a claim lasts that nobody renews.
    """

    engine: Engine
    machine: str = field(default_factory=machine)
    term_s: float = TERM_S

    @property
    def _owner(self) -> str:
        # By thread as well: two threads of a process are two holders.
        return self.owner(str(threading.get_ident()))

    def owner(self, which: str) -> str:
        """Returns the name of a holder in this process. which : which of its holders, without `#`."""
        return f"{self.machine}#{os.getpid()}#{_LIFE}#{which}"

    # A store whose rows are worked off under a lease claims it in the transaction that changes the row.

    def take_in(self, connection: Connection, name: str, owner: str) -> bool:
        """Claims `name`, or renews the claim, in the caller's transaction. Returns False where another one holds it."""
        make = sqlite.insert if self.engine.dialect.name == "sqlite" else postgresql.insert
        until = self.now + self.term_s
        claim = make(_LEASE).values(name=name, owner=owner, until=until)
        claim = claim.on_conflict_do_update(
            index_elements=[_LEASE.c.name],
            set_={"owner": owner, "until": until},
            where=(_LEASE.c.until <= self.now) | (_LEASE.c.owner == owner),
        )
        return connection.execute(claim.returning(_LEASE.c.owner)).first() is not None

    def end_in(self, connection: Connection, name: str) -> None:
        """Ends the claim of `name`, whoever has it, in the caller's transaction."""
        connection.execute(delete(_LEASE).where(_LEASE.c.name == name))

    def holds(self, name: ColumnElement[str]) -> ColumnElement[bool]:
        """Returns whether somebody holds the claim whose name is in a column or expression, as a condition."""
        return exists().where(_LEASE.c.name == name, _LEASE.c.until > self.now)

    def dead_in(self, connection: Connection, prefix: str) -> tuple[str, ...]:
        """Returns the claims with such names whose holders were processes of this machine that no longer run."""
        named = select(_LEASE.c.name, _LEASE.c.owner).where(_LEASE.c.name.startswith(prefix, autoescape=True))
        return tuple(row.name for row in connection.execute(named).all() if self._is_gone(row.owner))

    @contextmanager
    def held(self, name: str) -> "Iterator[Lease | None]":
        """Claims `name` while the block runs, and renews the claim. Gives None where somebody else holds it."""
        owner = self._owner
        if not self._take(name, owner):
            yield None
            return
        lease = Lease(self, name, owner)
        renewing = threading.Thread(target=lease.keep, name=f"lease {name}", daemon=True)
        renewing.start()
        try:
            yield lease
        finally:
            lease.done.set()
            renewing.join()
            self._give_back(name, owner)

    def holder(self, name: str) -> str:
        """Returns who holds a claim, as `HOST PID`; empty where nobody does."""
        with self.engine.connect() as connection:
            row = connection.execute(
                select(_LEASE.c.owner).where(_LEASE.c.name == name, _LEASE.c.until > self.now)
            ).first()
        return "" if row is None else _words(row.owner)

    def clear(self) -> None:
        """Ends every claim: of a database that was restored, in which nobody works."""
        with self.engine.begin() as connection:
            connection.execute(delete(_LEASE))

    def all(self) -> tuple[Claim, ...]:
        """Returns every claim by its name, those that have run out as well: their holders died."""
        columns = select(_LEASE.c.name, _LEASE.c.owner, (_LEASE.c.until - self.now).label("left"))
        with self.engine.connect() as connection:
            rows = connection.execute(columns.order_by(_LEASE.c.name)).all()
        return tuple(Claim(row.name, _words(row.owner), float(row.left)) for row in rows)

    def clock_ahead_s(self) -> float:
        """Returns by how many seconds the database's clock is ahead of this machine's; about the time of a question."""
        with self.engine.connect() as connection:
            before = time.time()
            now = float(connection.execute(select(self.now)).scalar() or 0.0)
            return now - (before + time.time()) / 2.0

    @property
    def now(self) -> ColumnElement[float]:
        """Seconds since 1970 by the database's clock."""
        sqlite_now, now = "((julianday('now') - 2440587.5) * 86400.0)", "extract(epoch from clock_timestamp())"
        return literal_column(sqlite_now if self.engine.dialect.name == "sqlite" else now, Float())

    def _take(self, name: str, owner: str) -> bool:
        for _ in range(2):
            with self.engine.begin() as connection:
                if self.take_in(connection, name, owner):
                    return True
                held_by = connection.execute(select(_LEASE.c.owner).where(_LEASE.c.name == name)).scalar()
            if held_by is not None and not self._is_gone(held_by):
                return False
            with self.engine.begin() as connection:
                connection.execute(delete(_LEASE).where(_LEASE.c.name == name, _LEASE.c.owner == held_by))
        return False

    def _is_gone(self, owner: str) -> bool:
        """Whether the holder was a process of this machine that no longer runs."""
        place, process, life, _ = owner.split("#")
        if place != self.machine:
            return False
        return (life != _LIFE) if int(process) == os.getpid() else not runs(int(process))

    def _renew(self, name: str, owner: str) -> bool:
        mine = (_LEASE.c.name == name) & (_LEASE.c.owner == owner) & (_LEASE.c.until > self.now)
        with self.engine.begin() as connection:
            longer = update(_LEASE).where(mine).values(until=self.now + self.term_s)
            return connection.execute(longer).rowcount == 1

    def _give_back(self, name: str, owner: str) -> None:
        try:
            with self.engine.begin() as connection:
                connection.execute(delete(_LEASE).where(_LEASE.c.name == name, _LEASE.c.owner == owner))
        except DBAPIError:
            pass  # its time ends by itself


class Lease:
    """A claim that is held. lost : set when it could not be renewed in time; the work must not go on."""

    def __init__(self, leases: Leases, name: str, owner: str) -> None:
        self._leases, self._name, self._owner = leases, name, owner
        self.done, self.lost = threading.Event(), threading.Event()

    def keep(self) -> None:
        """Renews the claim until `done`; a database that does not answer for two thirds of the term has lost it."""
        failures = 0
        while not self.done.wait(self._leases.term_s / 3.0):
            try:
                failures = 0 if self._leases._renew(self._name, self._owner) else 3
            except DBAPIError:
                failures += 1
            if failures >= 2:
                self.lost.set()
                return
