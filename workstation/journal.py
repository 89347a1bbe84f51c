"""The journal: who did what when in a session. Append-only; a supervision act exists because it stands here."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from sqlalchemy import Column, Engine, Integer, MetaData, Table, Text, UniqueConstraint, insert, select
from sqlalchemy.exc import IntegrityError

from dicom_io.evidence import Act, Person

_metadata = MetaData()
_event = Table(
    "event",
    _metadata,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("session", Text, nullable=False, index=True),
    Column("at", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("detail", Text, nullable=False),
    # Running a case again must not make its acts look done twice.
    UniqueConstraint("session", "person", "kind", "detail"),
)

# What counts as directing the work (facts `supervision.acts`), as opposed to mere presence in the record.
SupervisionAct = Literal[
    "region_design",
    "structure_selection",
    "image_selection",
    "view_adjustment",
    "mask_editing",
    "monitoring",
    "approval",
]
SUPERVISION_ACTS: tuple[SupervisionAct, ...] = get_args(SupervisionAct)


@dataclass(frozen=True, slots=True)
class Journal:
    """The journal in a database opened with `dicom_io.database.open_database`."""

    engine: Engine

    def __post_init__(self) -> None:
        _metadata.create_all(self.engine)

    def record(self, session: str, person: Person, kind: str, at: datetime, detail: str = "") -> datetime:
        """Adds an event, durable when this returns. Recorded before: nothing happens. Returns when it was recorded."""
        row = {"session": session, "person": person.id, "kind": kind, "detail": detail}
        found = select(_event.c.at).filter_by(**row)
        try:
            with self.engine.begin() as connection:
                connection.execute(insert(_event).values(at=at.isoformat(), role=person.role, **row))
            return at
        except IntegrityError:
            with self.engine.connect() as connection:
                return datetime.fromisoformat(connection.execute(found).scalar_one())

    def acts(self, session: str) -> tuple[Act, ...]:
        """Every event of a session, in the order in which it was recorded."""
        with self.engine.connect() as connection:
            rows = connection.execute(select(_event).where(_event.c.session == session).order_by(_event.c.place)).all()
        return tuple(Act(datetime.fromisoformat(r.at), r.person, r.role, r.kind, r.detail) for r in rows)
