"""A preparation as the database has it: its table, its states, and what is read of it."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import (
    Column,
    Connection,
    Float,
    Index,
    Integer,
    RowMapping,
    String,
    Table,
    Text,
    UniqueConstraint,
    select,
)

from workstation.store.tables import TABLES

# waiting: to be made. running: claimed. ready: a proposal lies there. failed: it was tried in vain, or cannot be made.
# cancelled: by a person, or because it is out of date. taken: a person has signed what was made of it.
PreparationState = Literal["waiting", "running", "ready", "failed", "cancelled", "taken"]
PREPARATION_STATES: tuple[PreparationState, ...] = get_args(PreparationState)

ROW = Table(
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
    Column("due_s", Float, nullable=False),  # not tried before, by the database's clock
    Column("owner", String(32), nullable=False),
    Column("changed_s", Float, nullable=False),
    Column("reason", Text, nullable=False),
    Column("folder", Text, nullable=False),  # of the proposal, by its name below `prepared`
    Column("bytes", Integer, nullable=False),
    # What who works on it has told last, and how far it is.
    Column("doing", String(64), nullable=False, server_default=""),
    Column("done", Integer, nullable=False, server_default="0"),
    Column("total", Integer, nullable=False, server_default="0"),
    UniqueConstraint("series_uid", "rule"),
    Index("preparation_newest", "state", "changed_s"),
)
# What is worked off first.
WORK_ORDER = (ROW.c.urgent.desc(), ROW.c.priority.desc(), ROW.c.arrived_s, ROW.c.place)
# Series that were fetched to be compared with another one.
FETCHED_PRIOR = Table("fetched_prior", TABLES, Column("series_uid", String(64), primary_key=True))
# Which completion of a series the rules were last asked about: most series fit none, and have no row.
ASKED = Table(
    "preparation_asked",
    TABLES,
    Column("series_uid", String(64), primary_key=True),
    Column("revision", Integer, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Preparation:
    """One series under one rule. Times are seconds since the epoch.

    revision : the completion of the series. urgent : its order is. arrived_s : when that completion was. attempts : so
    often it was begun. due_s : not tried before, by the database's clock. owner : which attempt works on it, empty for
    none. reason : why it failed, waits again or was cancelled, in words. folder : of the proposal. size : of the
    proposal, in bytes. doing, done, total : while it is running, the step that is under way (`volume`, the name of a
    tool, `pictures` …), and how many of how many are done, 0 of 0 where that cannot be said.
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
    changed_s: float
    reason: str
    folder: str
    size: int
    doing: str = ""
    done: int = 0
    total: int = 0

    @property
    def progress(self) -> str:
        """What is being done, and how far it is, as `pictures 3 of 7`; empty where nothing is, or nothing was told."""
        return f"{self.doing} {self.done} of {self.total}" if self.total else self.doing


@dataclass(frozen=True, slots=True)
class PreparationProgress:
    """How far somebody is who works on a preparation: `doing`, `done` and `total` as in `Preparation`."""

    doing: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class WantedPreparation:
    """A rule that a series is to be prepared by."""

    rule: str
    priority: int
    urgent: bool = False


def read_preparations(connection: Connection, condition: Any) -> list[Preparation]:
    query = select(ROW).where(condition) if condition is not True else select(ROW)
    return [preparation_of(row) for row in connection.execute(query.order_by(*WORK_ORDER)).mappings()]


def preparation_of(row: RowMapping) -> Preparation:
    values = dict(row)
    values["size"], values["urgent"] = values.pop("bytes"), bool(values["urgent"])
    return Preparation(**values)
