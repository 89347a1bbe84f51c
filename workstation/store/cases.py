"""The values that the casebook holds: records, messages, acts and rulings."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Literal

from dicom_io.dates import day_of
from dicom_io.evidence import Evidence
from workstation.charge.facts import Contract

# held: waits for a person. denied: never charged, with the reason. charged: in the outbox, whatever its state there.
# correction: a charge was sent that its facts no longer support, and a coder has to take it back.
CaseState = Literal["held", "denied", "charged", "correction"]

# How people are told of a state, where its word is not enough: "denied" is what a payer says.
STATE_WORDS: dict[str, str] = {"denied": "not billable"}

# accept: CMS's edits are put in force. mark: a charge that is out breaks them. keep: a marked charge stands.
# assign: whose work a case is. query, reply: a question to a physician, and the answer. attach, dismiss: of a message
# that belongs to no case; detach takes an attachment back. appeal: of what the payer denied. sample, review: of
# compliance.
CaseActKind = Literal[
    "release",
    "deny",
    "reopen",
    "answer",
    "credit",
    "correct",
    "note",
    "accept",
    "mark",
    "keep",
    "assign",
    "query",
    "reply",
    "attach",
    "detach",
    "dismiss",
    "appeal",
    "sample",
    "review",
]


# Why a message was refused, for counts: they name no sender and no patient. unreadable: no HL7, several messages,
# letters of no character set. unknown_sender, not_allowed: by the settings. ahead: its time is to come. not_heard: a
# kind of message or a processing ID that is not taken. incomplete: its content lacks something. no_charge: an
# acknowledgement of no message of ours. other: we could not read it.
RefusalKind = Literal[
    "unreadable", "too_long", "unknown_sender", "not_allowed", "ahead", "not_heard", "incomplete", "no_charge", "other"
]


class Overtaken(Exception):  # noqa: N818 - reads as a sentence where it is raised
    """Another process has decided this accession, or acted on this case, in between; read it again."""


@dataclass(frozen=True, slots=True)
class Concern:
    """A subject of a message.

    kind : `accession`; `patient` and `account`, with the one it was merged into in `other`; `visit`, with its patient
    in `other`. `of patient`, `of account` and `of visit` name the patient, account and visit of an order or report.
    """

    kind: Literal["accession", "visit", "patient", "account", "of patient", "of account", "of visit"]
    value: str
    other: str = ""


@dataclass(frozen=True, slots=True)
class Received:
    """A received message on file, unchanged."""

    place: int
    at: datetime
    kind: str
    control_id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class UnmatchedMessage:
    """A message of an accession that has no case, for a list. has_case : its patient has one, by the number alone."""

    place: int
    at: datetime
    kind: str
    control_id: str
    accession: str
    has_case: bool


@dataclass(frozen=True, slots=True)
class Record:
    """An SR of ours that is to be charged. session : shared by all SRs of one session, of which only one counts.

    evidence : of the SR, without sources and recipes. path : of the SR, relative to the state folder.
    """

    sr_uid: str
    session: str
    path: str
    at: datetime
    evidence: Evidence

    @property
    def accession(self) -> str:
        """The accession of the record's study."""
        return self.evidence.accession

    @property
    def date_of_service(self) -> date | None:
        """The day of the study; None where the SR does not name one."""
        return day_of(self.evidence.study_date)


@dataclass(frozen=True, slots=True)
class CaseAct:
    """A staff member's act on a case, with the reason. detail : its object, JSON-ready."""

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

    since : when the case entered this state for these reasons. cause : why the case was decided again.
    content : decision, changed facts and queued messages, JSON-ready. facts : the facts of the decision, JSON text.
    known_acts : how many acts the case had when it was read to act on it, as `Casebook.count_acts`; None otherwise.
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
    known_acts: int | None = None

    @property
    def contract(self) -> Contract:
        """The edition of the charge contract that its facts follow. Rulings from before the second name none."""
        found: Contract = self.content.get("contract", 1)
        return found


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything on file for an accession now. rulings : the newest of each session. through : the last due place."""

    accession: str
    number: int
    through: int
    causes: tuple[str, ...]
    records: tuple[Record, ...]
    acts: tuple[CaseAct, ...]
    rulings: dict[str, Ruling]


@dataclass(frozen=True, slots=True)
class FiledSr:
    """What a list needs of a record, without reading its evidence. patient_id : as the SR has it, before merges."""

    sr_uid: str
    session: str
    patient_id: str
    path: str


@dataclass(frozen=True, slots=True)
class CasesUnder:
    """Cases for a list: their newest rulings and all acts on them, oldest first, and their SRs by UID."""

    rulings: tuple[Ruling, ...]
    acts: tuple[CaseAct, ...]
    srs: dict[str, FiledSr]


@dataclass(frozen=True, slots=True)
class EarlierCharges:
    """What a decision was made beside: the numbers of patients, and the keys of charges of theirs that were out."""

    patients: frozenset[str]
    out: frozenset[str]


def slim(evidence: Evidence) -> Evidence:
    """Returns the evidence without sources, measures, recipes and warnings: no charge needs them; the SR has them."""
    return replace(
        evidence,
        sources=(),
        measurements=(),
        products=tuple(replace(product, recipe="", warnings=()) for product in evidence.products),
    )


def counted(records: Sequence[Record]) -> dict[str, Record]:
    """Return the record that counts of each session, oldest session first: verified before not, then the newest."""
    found: dict[str, Record] = {}
    for record in records:
        best = found.get(record.session)
        if best is None or _weight(record) > _weight(best):
            found[record.session] = record
    return found


def _weight(record: Record) -> tuple[bool, datetime, str]:
    return record.evidence.verified, record.at, record.sr_uid
