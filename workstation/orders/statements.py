"""What a message from RIS or HIS states about accessions and patients: pure, and the same whenever it is read.

A statement holds only what its message says. What was not said is None or empty, and changes nothing on file.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Literal

from workstation.charge.facts import BaseStatus, ReportStatus
from workstation.config import Reading, ReportFact
from workstation.errors import WorkstationError
from workstation.hl7.reader import Incoming, Segment, read_message, read_time
from workstation.orders.report_text import coded_facts, spoken_facts

# HL7 table 0119, order control: what takes an order back, whatever its status says.
_CANCELLED_BY = ("CA", "OC", "CR", "DC", "OD", "DR", "RP", "RQ")
# HL7 table 0038, order status.
_CANCELLED = ("CA", "DC", "RP")
# Order control codes of a change, and of a cancellation that could not be done. Source: HL7 v2.5.1 table 0119.
_CHANGED_BY, _NOT_CANCELLED_BY = ("XO", "XX", "XR", "RU", "RO"), ("UC", "UD", "UX")
# HL7 table 0123, result status; and table 0085 where only OBX-11 tells.
_RESULT: dict[str, ReportStatus] = {"F": "final", "C": "final", "X": "none", "D": "none", "W": "none"}
# HL7 table 0271, document completion status: authenticated and legally authenticated documents are signed.
_DOCUMENT: dict[str, ReportStatus] = {"AU": "final", "LA": "final"}

ORDERS = ("ORM^O01", "OMI^O23", "OMG^O19")
RESULTS = ("ORU^R01",)
DOCUMENTS = ("MDM^T02", "MDM^T04", "MDM^T06", "MDM^T08", "MDM^T10", "MDM^T11")
UPDATES = ("ADT^A08", "ADT^A40")
HEARD = (*ORDERS, *RESULTS, *DOCUMENTS, *UPDATES)


class MessageRefused(WorkstationError):  # noqa: N818 - reads as a sentence where it is raised
    """A message that cannot be taken. `code` is the answer: AR where it never can be, AE where its content lacks."""

    def __init__(self, code: Literal["AE", "AR"], text: str) -> None:
        super().__init__(text)
        self.code: Literal["AE", "AR"] = code


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
class Ordered:
    """What an order message states of one accession. None: not said."""

    accession: str
    patient_id: str
    items: tuple[OrderItem, ...]
    urgent: bool | None
    urgent_documented: bool | None
    account: str | None
    visit: str | None
    ordering_physician: str | None
    payer: str | None
    authorization: str | None
    diagnoses: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Reported:
    """What a report states of one accession: its status and the facts that its words bear out."""

    accession: str
    patient_id: str
    status: ReportStatus
    stated: frozenset[ReportFact]


@dataclass(frozen=True, slots=True)
class Demographics:
    """The patient of a message, in HL7's words. Never in a log."""

    name: str
    birth_date: str
    sex: str


@dataclass(frozen=True, slots=True)
class Merged:
    """ADT^A40: `prior` is from now on `survivor`. The accounts as well, where they are named."""

    prior: str
    survivor: str
    prior_account: str
    account: str
    demographics: Demographics


@dataclass(frozen=True, slots=True)
class Updated:
    """ADT^A08: the account of a visit."""

    patient_id: str
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


def statements_of(body: bytes, reading: Reading, zone: tzinfo, processing_id: str = "P") -> tuple[Stated, ...]:
    """Read a message to what it states; one of several accessions gives several statements.

    Raises
    ------
    Hl7Error
        It is no HL7 message at all.
    MessageRefused
        It is one that we cannot use; the words say which field and what to do, and never whose it is.
    """
    message = read_message(body, reading.character_set)
    header = message.header
    if not message.control_id:
        raise MessageRefused("AR", "MSH-10 is empty, so no answer could be told to be to this message.")
    if message.kind not in HEARD:
        raise MessageRefused("AR", f"MSH-9 {message.kind[:20]} is not heard here; send {', '.join(HEARD)}.")
    if header.text(11) != processing_id:
        raise MessageRefused("AR", f"MSH-11 is {header.text(11)[:3]!r}; this listener takes {processing_id!r} only.")
    at = read_time(header.text(7), zone)
    if at is None:
        raise MessageRefused("AE", "MSH-7 is no time, so it cannot be told whether this message is the newer one.")
    digest = hashlib.sha256(body).hexdigest()
    return tuple(Stated(at, digest, message.kind, message.control_id, each) for each in _statements(message, reading))


def _statements(message: Incoming, reading: Reading) -> Sequence[HeardStatement]:
    if message.kind == "ADT^A40":
        return _merges(message)
    if message.kind == "ADT^A08":
        return _updates(message)
    if message.kind in DOCUMENTS:
        return [_document(message, reading)]
    patient = _patient_id(message)
    if message.kind in RESULTS:
        return _reports(message, patient, reading)
    return _orders(message, patient, reading)


# Patients


def _patient_id(message: Incoming) -> str:
    found = _identifier(message.first("PID"), 3)
    if not found:
        raise MessageRefused("AE", "PID-3 is empty; nothing is filed without a patient's identifier.")
    return found


def _identifier(segment: Segment | None, number: int) -> str:
    """The medical record number (CX.5 MR, table 0203) among the repetitions, else the first identifier."""
    if segment is None:
        return ""
    repeated = segment.repetitions(number)
    typed = [each for each in repeated if segment.text(number, 5, of=each) == "MR"]
    return segment.text(number, 1, of=next(iter([*typed, *repeated]), ""))


def _merges(message: Incoming) -> list[HeardStatement]:
    found: list[HeardStatement] = []
    for group in message.groups("PID"):
        pid = group[0]
        mrg = next((segment for segment in group if segment.name == "MRG"), None)
        prior, survivor = _identifier(mrg, 1), _identifier(pid, 3)
        if mrg is None or not prior or not survivor:
            raise MessageRefused("AE", "A merge needs the survivor in PID-3 and the prior identifier in MRG-1.")
        name = pid.repetitions(5)
        demographics = Demographics(name[0] if name else "", pid.text(7), pid.text(8))
        found.append(Merged(prior, survivor, mrg.text(3), pid.text(18), demographics))
    if not found:
        raise MessageRefused("AE", "PID is missing; a merge needs the surviving patient.")
    return found


def _updates(message: Incoming) -> list[HeardStatement]:
    pid, pv1 = message.first("PID"), message.first("PV1")
    patient = _patient_id(message)
    account = pid.text(18) if pid else ""
    visit = pv1.text(19) if pv1 else ""
    # Most updates are of addresses and beds. Those are taken, and change nothing.
    return [Updated(patient, visit, account)] if account and visit else []


# Orders


def _orders(message: Incoming, patient: str, reading: Reading) -> list[HeardStatement]:
    pid, pv1 = message.first("PID"), message.first("PV1")
    zds, ipc = message.first("ZDS"), message.first("IPC")
    # IHE RAD TF-2: the Study Instance UID travels in ZDS-1, in imaging orders (OMI) in IPC-3.
    everywhere = (zds.text(1) if zds else "") or (ipc.text(3) if ipc else "")
    insurance = message.first("IN1")
    by_accession: dict[str, list[tuple[OrderItem, bool | None, str]]] = {}
    orders = list(message.groups("ORC"))
    if not orders:
        raise MessageRefused("AE", "There is no ORC segment, so there is no order.")
    for order in orders:
        orc = order[0]
        procedures: list[Segment | None] = [segment for segment in order if segment.name == "OBR"]
        for obr in procedures or [None]:
            own_ipc = next((segment for segment in order if segment.name == "IPC"), ipc)
            accession = _accession(obr, orc, own_ipc, reading)
            if obr is None or not obr.text(4):
                raise MessageRefused("AE", "OBR-4 is empty; an order without a procedure says nothing of a charge.")
            local = obr.text(4)
            code = reading.procedure_codes.get(local, local)
            item = OrderItem(
                number=orc.text(3) or obr.text(3) or orc.text(2) or obr.text(2) or code,
                code=code,
                status=_status(orc, reading),
                study_uid=(own_ipc.text(3) if own_ipc else "") or everywhere,
                three_d=code in reading.three_d_codes or local in reading.three_d_codes,
                changes=orc.text(1) in _CHANGED_BY,
                restores=orc.text(1) in _NOT_CANCELLED_BY,
            )
            physician = orc.text(12) or obr.text(16)
            by_accession.setdefault(accession, []).append((item, _urgent(order, obr, reading), physician))
    documented = coded_facts(message, reading) | spoken_facts(message, reading, ("NTE",))
    diagnoses = _diagnoses(message)
    return [
        Ordered(
            accession=accession,
            patient_id=patient,
            items=tuple(item for item, _, _ in found),
            urgent=_any(urgent for _, urgent, _ in found),
            urgent_documented=True if "urgent_documented" in documented else None,
            account=(pid.text(18) if pid else "") or None,
            visit=(pv1.text(19) if pv1 else "") or None,
            ordering_physician=next((who for _, _, who in found if who), None),
            payer=(insurance.text(3) or insurance.text(2) or None) if insurance else None,
            authorization=(insurance.text(14) or None) if insurance else None,
            diagnoses=diagnoses or None,
        )
        for accession, found in by_accession.items()
    ]


def _accession(obr: Segment | None, orc: Segment, ipc: Segment | None, reading: Reading) -> str:
    segments = {"OBR": obr, "ORC": orc, "IPC": ipc}
    for place in reading.accession_fields:
        name, _, number = place.partition("-")
        segment = segments[name]
        if segment is not None and segment.text(int(number)):
            return segment.text(int(number))
    raise MessageRefused(
        "AE", f"No accession in {', '.join(reading.accession_fields)}; it could never be matched to a study."
    )


def _status(orc: Segment, reading: Reading) -> BaseStatus | None:
    if orc.text(1) in _CANCELLED_BY or orc.text(5) in _CANCELLED:
        return "cancelled"
    if not orc.text(5):
        return None
    return "performed" if orc.text(5) in reading.performed else "scheduled"


def _urgent(order: Sequence[Segment], obr: Segment, reading: Reading) -> bool | None:
    timing = next((segment for segment in order if segment.name == "TQ1"), None)
    said = [obr.text(27, 6), obr.text(5), timing.text(9) if timing else "", order[0].text(7, 6)]
    said = [each for each in said if each]
    return any(each in reading.urgent for each in said) if said else None


def _any(found: Iterable[bool | None]) -> bool | None:
    said = [each for each in found if each is not None]
    return any(said) if said else None


def _diagnoses(message: Incoming) -> tuple[str, ...]:
    return tuple(dict.fromkeys(code for dg1 in message.all("DG1") if (code := dg1.text(3))))


# Reports


def _reports(message: Incoming, patient: str, reading: Reading) -> list[HeardStatement]:
    found: dict[str, Reported] = {}
    groups = list(message.groups("OBR"))
    if not groups:
        raise MessageRefused("AE", "There is no OBR segment, so nothing was reported.")
    orders = _orders_of_results(message)
    for group in groups:
        obr = group[0]
        accession = _accession(obr, orders[id(obr)], None, reading)
        status = _RESULT.get(obr.text(25), "preliminary")
        if not obr.text(25):
            results = {segment.text(11) for segment in group if segment.name == "OBX"}
            status = "final" if results and results <= {"F", "C", "U"} else "preliminary"
        part = Incoming((message.header, *group))
        stated = coded_facts(part, reading) | spoken_facts(part, reading, ("OBX", "NTE"))
        earlier = found.get(accession)
        if earlier is not None:
            # Several results of one accession are one report: signed when all are, saying what any says.
            stated |= earlier.stated
            status = status if earlier.status == "final" else earlier.status
        found[accession] = Reported(accession, patient, status, stated)
    return list(found.values())


def _orders_of_results(message: Incoming) -> dict[int, Segment]:
    """The ORC that each OBR belongs to, by the identity of the OBR: the one just before it; where there is one ORC
    alone, that. Source: HL7 v2.5.1 7.3.1 (ORDER_OBSERVATION)."""
    empty = Segment(("ORC",))
    several = sum(1 for _ in message.all("ORC")) > 1
    found: dict[int, Segment] = {}
    current = empty
    for segment in message.all("ORC", "OBR"):
        if segment.name == "ORC":
            current = segment
        else:
            found[id(segment)] = current
            if several:
                current = empty
    return found


def _document(message: Incoming, reading: Reading) -> HeardStatement:
    patient = _patient_id(message)
    txa = message.first("TXA")
    if txa is None:
        raise MessageRefused("AE", "TXA is missing, so it cannot be told whether the document is signed.")
    obr, orc = message.first("OBR"), message.first("ORC")
    # TXA-15 is the filler's order number, TXA-14 the placer's. Only v2.6 lets OBR and ORC travel with a document.
    accession = ""
    if obr is not None or orc is not None:
        empty = Segment(("ORC",))
        accession = _accession(obr, orc or empty, None, reading)
    accession = accession or txa.text(15) or txa.text(14)
    if not accession:
        raise MessageRefused("AE", "No accession in TXA-15, TXA-14 or OBR; it could never be matched to a study.")
    status: ReportStatus = _DOCUMENT.get(txa.text(17), "preliminary")
    if message.kind == "MDM^T11" or txa.text(19) in ("CA", "OB", "UN"):  # table 0273: no longer available
        status = "none"
    stated = coded_facts(message, reading) | spoken_facts(message, reading, ("OBX", "NTE"))
    return Reported(accession, patient, status, stated)
