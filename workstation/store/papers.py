"""Papers: order, report and payer data of an accession, and the people, acts and statements of a session.

They arrive as a JSON file (`workstation papers FILE`, `workstation run --papers FILE`). The file of an accession is
append-only; the newest papers count.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import ConfigDict, StringConstraints
from sqlalchemy import Column, Engine, Integer, Table, select
from sqlalchemy import Text as SqlText

from dicom_io.evidence import Person
from workstation.charge.facts import BaseProcedure, Order, Payer, Report, SupervisionAct, Text
from workstation.errors import WorkstationError
from workstation.store.ledger import append
from workstation.store.tables import TABLES
from workstation.strict import STRICT, StrictError, adapter, json_in, read_strictly


class PapersError(WorkstationError):
    """A papers file is invalid; the message names file and key."""


@dataclass(frozen=True, slots=True)
class OnFile:
    """The papers of an accession, in the words of the charge facts; the last three fields identify the visit."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    base_procedures: tuple[BaseProcedure, ...]
    other_procedures: tuple[Text, ...]
    order: Order
    report: Report
    payer: Payer
    diagnoses: tuple[Text, ...]
    account_number: str = ""
    visit_number: str = ""
    ordering_physician_id: str = ""


# No papers have arrived yet. This describes our files, not the patient, so every rule holds the case.
NOTHING = OnFile(
    base_procedures=(),
    other_procedures=(),
    order=Order(False, False, False, False),
    report=Report("none", None, False, False, False, False),
    payer=Payer("UNKNOWN", False, None, None),
    diagnoses=(),
)


@dataclass(frozen=True, slots=True)
class SupervisorStatement:
    """The supervising physician's attestation. signed : whether it verifies the SR; in a papers file, that it is to be
    signed (`case.session_of`)."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    text: Annotated[str, StringConstraints(pattern=r"\S")]
    signed: bool
    concurrent_supervision: bool | None = None
    independent_workstation_required: bool | None = None


@dataclass(frozen=True, slots=True)
class WorkedSession:
    """The operator and the supervisor of a session, with the supervisor's acts and attestation."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    operator: Person
    supervisor: Person | None = None
    acts: tuple[SupervisionAct, ...] = ()
    attestation: SupervisorStatement | None = None

    def __post_init__(self) -> None:
        if self.attestation is not None and self.supervisor is None:
            raise ValueError("an attestation needs a supervisor who makes it")
        for person in filter(None, (self.operator, self.supervisor)):
            # A verified SR needs the name of its verifier. PS3.3 C.17.2, type 1.
            if not person.name.strip("^ "):
                raise ValueError(f"person {person.id!r} needs a name")


# No person was there; pictures that a machine makes on its own are never charged.
UNATTENDED = WorkedSession(operator=Person("AUTO", "Unattended", "automatic"))


@dataclass(frozen=True, slots=True)
class Papers:
    """A papers file: the session, and what is on file for its accession."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    accession: str
    session: WorkedSession | None = None
    on_file: OnFile | None = None


def read_papers(path: Path) -> Papers:
    """Reads a papers file. Raises PapersError that names the missing, unknown or wrong key."""
    try:
        return read_strictly(Papers, json_in(path), "the papers")
    except OSError as error:
        raise PapersError(f"{path}: cannot be read ({error.strerror}).") from error
    except StrictError as error:
        raise PapersError(f"{path}: {error}") from error


_papers = Table(
    "papers",
    TABLES,
    Column("place", Integer, primary_key=True, autoincrement=True),
    Column("accession", SqlText, nullable=False, index=True),
    Column("at", SqlText, nullable=False),
    Column("content", SqlText, nullable=False),
)


@dataclass(frozen=True, slots=True)
class PapersFile:
    """The papers of all accessions, in a database opened with `dicom_io.archive.database.open_database`."""

    engine: Engine

    def put(self, accession: str, papers: OnFile, at: datetime) -> None:
        """Files papers; filing the same again changes nothing."""
        if not accession:
            raise PapersError("These papers name no accession, so nobody can tell which study they belong to.")
        if self.get(accession) == papers:
            return
        content = adapter(OnFile).dump_json(papers).decode()
        with self.engine.begin() as connection:
            row = {"accession": accession, "at": at.isoformat(), "content": content}
            append(connection, _papers, row)

    def get(self, accession: str) -> OnFile:
        """Returns the newest papers of an accession, or NOTHING."""
        newest = self.newest(accession)
        return NOTHING if newest is None else newest[2]

    def newest(self, accession: str) -> tuple[datetime, int, OnFile] | None:
        """Returns (time of filing, place among all, newest papers) of an accession, or None."""
        newest = select(_papers).where(_papers.c.accession == accession).order_by(_papers.c.place.desc())
        with self.engine.connect() as connection:
            row = connection.execute(newest.limit(1)).first()
        if row is None:
            return None
        return datetime.fromisoformat(row.at), row.place, adapter(OnFile).validate_json(row.content)
