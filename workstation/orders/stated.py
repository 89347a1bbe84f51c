"""What messages state, as values: orders, reports, merges and updates, each with its place in the sender's order.

A statement holds only what its message says. What was not said is None or empty, and changes nothing on file.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from workstation.charge.facts import BaseStatus, ReportStatus
from workstation.errors import WorkstationError
from workstation.hl7.names import Physician
from workstation.orders.patients import PatientIdentifier
from workstation.orders.sentences import Sentence
from workstation.reading import ReportFact
from workstation.store.cases import RefusalKind


class MessageRefused(WorkstationError):  # noqa: N818 - reads as a sentence where it is raised
    """A message that cannot be taken. `code` is the answer: AR where it never can be, AE where its content lacks."""

    def __init__(self, code: Literal["AE", "AR"], text: str, kind: RefusalKind = "incomplete") -> None:
        super().__init__(text)
        self.code: Literal["AE", "AR"] = code
        self.kind: RefusalKind = kind


@dataclass(frozen=True, slots=True)
class OrderItem:
    """One ordered examination.

    number : what makes it the same order in the next message; several procedures may share one. status : None where the
    message says none, which changes nothing. three_d : it orders 3D. changes : it is put in the place of what was
    ordered under the number (ORC-1 XO). restores : a cancellation could not be done, so that what was stands (UC).
    """

    number: str
    code: str
    status: BaseStatus | None
    study_uid: str
    three_d: bool
    changes: bool = False
    restores: bool = False


@dataclass(frozen=True, slots=True)
class Visit:
    """What an order states of the visit and of the physicians, for the messages to billing alone. Empty: not said.

    patient_class : PV1-2. location : PV1-3, as `composites.py` writes it. attending : PV1-7. ordering : ORC-12. plan :
    IN1-2. company : the name of the insurance company, IN1-4.
    """

    patient_class: str = ""
    location: str = ""
    attending: Physician | None = None
    ordering: Physician | None = None
    plan: str = ""
    company: str = ""

    def with_newer(self, said: "Visit") -> "Visit":
        """Return what is known once a later order has said this."""
        return Visit(
            said.patient_class or self.patient_class,
            said.location or self.location,
            said.attending or self.attending,
            said.ordering or self.ordering,
            said.plan or self.plan,
            said.company or self.company,
        )


@dataclass(frozen=True, slots=True)
class Ordered:
    """What an order message states of one accession. None: not said. patients : all identifiers of its one patient."""

    accession: str
    patients: tuple[PatientIdentifier, ...]
    items: tuple[OrderItem, ...]
    urgent: bool | None
    urgent_documented: bool | None
    account: str | None
    visit: str | None
    ordering_physician: str | None
    payer: str | None
    authorization: str | None
    diagnoses: tuple[str, ...] | None
    in_visit: Visit = field(default=Visit())


@dataclass(frozen=True, slots=True)
class Reported:
    """What a report states of one accession: its status and the facts that its words bear out.

    patients : all identifiers of its one patient. unread : parts that could not be read as text. addendum : it stands
    beside what was reported before, which any other report replaces. document, parent : TXA-12 and TXA-13, empty where
    there are none. sentences : what `stated` rests on, and what nearly counted. text : the whole of it in words.
    """

    accession: str
    patients: tuple[PatientIdentifier, ...]
    status: ReportStatus
    stated: frozenset[ReportFact]
    unread: tuple[str, ...] = ()
    addendum: bool = False
    document: str = ""
    parent: str = ""
    sentences: tuple[Sentence, ...] = field(default=(), compare=False, repr=False)
    text: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Demographics:
    """The patient of a message, in HL7's words. Never in a log."""

    name: str
    birth_date: str
    sex: str


@dataclass(frozen=True, slots=True)
class Merged:
    """ADT^A18, A34, A40: `prior` is from now on `survivor`. The accounts as well, where they are named."""

    prior: PatientIdentifier
    survivor: PatientIdentifier
    prior_account: str
    account: str
    demographics: Demographics


@dataclass(frozen=True, slots=True)
class Updated:
    """ADT^A08: the account of a visit."""

    patients: tuple[PatientIdentifier, ...]
    visit: str
    account: str


HeardStatement = Ordered | Reported | Merged | Updated


@dataclass(frozen=True, slots=True)
class Stated:
    """One statement with its place in the sender's order: the time of the message, its control id, its digest.

    stated_at : MSH-7. Arrival says nothing: interface engines repeat and overtake. Within one second the control id
    decides, with its numbers read as numbers, because senders count.
    """

    stated_at: datetime
    digest: str
    kind: str
    control_id: str
    statement: HeardStatement

    @property
    def order(self) -> tuple[datetime, str]:
        """What to sort by."""
        counted = re.sub(r"[0-9]+", lambda found: found[0].zfill(20), self.control_id)
        return self.stated_at, f"{counted}\0{self.digest}"

    @property
    def source(self) -> str:
        """For people: which message said so."""
        return f"{self.kind} {self.control_id}"
