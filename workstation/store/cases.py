"""What the casebook holds: records, messages, acts and rulings as values."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from dicom_io.evidence import Evidence

# held: waits for somebody. denied: never charged, with the reason. charged: in the outbox, whatever became of it there.
# correction: a charge is out that its facts no longer bear, and a coder has to take it back.
CaseState = Literal["held", "denied", "charged", "correction"]

CaseActKind = Literal["release", "deny", "reopen", "answer", "credit", "correct", "note"]


class Overtaken(Exception):  # noqa: N818 - reads as a sentence where it is raised
    """Somebody else decided this accession in between; read it again."""


@dataclass(frozen=True, slots=True)
class Concern:
    """What a message is about.

    kind : `accession`; `patient` and `account` with what it has become in `other`; `visit` with its patient in `other`.
    `of patient`, `of account` and `of visit` say whose an order or a report is.
    """

    kind: Literal["accession", "visit", "patient", "account", "of patient", "of account", "of visit"]
    value: str
    other: str = ""


@dataclass(frozen=True, slots=True)
class Received:
    """A message on file, as it was sent."""

    place: int
    at: datetime
    kind: str
    control_id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Record:
    """An SR of ours that is to be charged. session : all SRs of one session have it, and only one of them counts.

    evidence : what the SR says, without sources and recipes. path : where the SR lies, relative to the state folder.
    """

    sr_uid: str
    session: str
    path: str
    at: datetime
    evidence: Evidence

    @property
    def accession(self) -> str:
        """The accession of its study."""
        return self.evidence.accession


@dataclass(frozen=True, slots=True)
class CaseAct:
    """What somebody of the staff did to a case, and why. detail : what it was about, JSON-ready."""

    place: int
    session: str
    at: datetime
    person: str
    role: str
    kind: CaseActKind
    why: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ruling:
    """One decision on a case, as it stands in the casebook.

    since : since when the case has been in this state for these reasons. cause : what made us decide again.
    content : decision, changed facts and queued messages, JSON-ready. facts : what it was decided on, JSON text.
    """

    accession: str
    session: str
    sr_uid: str
    at: datetime
    since: datetime
    state: CaseState
    cause: str
    content: dict[str, Any]
    facts: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An accession as it is on file now. rulings : the newest one of each session. through : the last due place."""

    accession: str
    number: int
    through: int
    causes: tuple[str, ...]
    records: tuple[Record, ...]
    acts: tuple[CaseAct, ...]
    rulings: dict[str, Ruling]


def slim(evidence: Evidence) -> Evidence:
    """Return the evidence without what no charge looks at: sources, measures, recipes, warnings. The SR has them."""
    return replace(
        evidence,
        sources=(),
        measurements=(),
        products=tuple(replace(each, recipe="", warnings=()) for each in evidence.products),
    )
