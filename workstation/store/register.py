"""The table of the register of people: append-only, the newest row of a person counts, one without content removes
them."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Engine, Integer, Table, Text, func, select

from workstation.store.ledger import append, doubt_of_newest
from workstation.store.tables import TABLES

_person = Table(
    "person",
    TABLES,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("person", Text, nullable=False, index=True),
    Column("at", Text, nullable=False),
    Column("content", Text, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Register:
    """The register in a database opened with `dicom_io.archive.database.open_database`."""

    engine: Engine

    def put(self, person_id: str, content: dict[str, Any] | None, at: datetime) -> None:
        """Enters what is known of a person now; None removes them."""
        row = {"person": person_id, "at": at.isoformat(), "content": json.dumps(content) if content else ""}
        with self.engine.begin() as connection:
            append(connection, _person, row)

    def newest(self) -> dict[str, dict[str, Any]]:
        """Returns what is known of everybody, by ID."""
        last = select(func.max(_person.c.place)).group_by(_person.c.person)
        with self.engine.connect() as connection:
            rows = connection.execute(select(_person).where(_person.c.place.in_(last))).all()
        return {row.person: json.loads(row.content) for row in rows if row.content}

    @property
    def untouched(self) -> bool:
        """Whether nobody was ever entered."""
        with self.engine.connect() as connection:
            return connection.execute(select(_person.c.place).limit(1)).first() is None

    def doubt(self, person_id: str) -> str:
        """Returns why what is known of a person cannot be believed, as a sentence; empty when it can."""
        return doubt_of_newest(self.engine, "person", person_id)
