"""What a message from RIS or HIS states about accessions and patients: pure, and the same whenever it is read.

A statement holds only what its message says. What was not said is None or empty, and changes nothing on file.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import tzinfo

from workstation.charge.facts import BaseStatus
from workstation.hl7.composites import composite_of, physician_in
from workstation.hl7.names import Physician
from workstation.hl7.reader import Incoming, Segment, read_message, read_time
from workstation.hl7.syntax import escape
from workstation.orders.patients import PatientIdentifier, identifiers_in, survivor_of
from workstation.orders.report_messages import accession_in, document_in, reports_in
from workstation.orders.report_text import coded_facts, text_of
from workstation.orders.sentences import facts_in
from workstation.orders.stated import (
    Demographics,
    HeardStatement,
    Merged,
    MessageRefused,
    Ordered,
    OrderItem,
    Stated,
    Updated,
    Visit,
)
from workstation.reading import Reading

# HL7 table 0119, order control: what takes an order back, whatever its status says.
_CANCELLED_BY = ("CA", "OC", "CR", "DC", "OD", "DR", "RP", "RQ")
# HL7 table 0038, order status.
_CANCELLED = ("CA", "DC", "RP")
# Order control codes of a change, and of a cancellation that could not be done. Source: HL7 v2.5.1 table 0119.
_CHANGED_BY, _NOT_CANCELLED_BY = ("XO", "XX", "XR", "RU", "RO"), ("UC", "UD", "UX")
# IS holds 20 characters (HL7 v2.5.1 2.A.36): a longer patient class is none.
_IS_CHARACTERS = 20
# XON.1 holds 50 (2.A.88): a longer name of a company is left out, since half of one may be another's.
_ST_CHARACTERS = 50
ORDERS = ("ORM^O01", "OMI^O23", "OMG^O19")
RESULTS = ("ORU^R01",)
DOCUMENTS = ("MDM^T02", "MDM^T04", "MDM^T06", "MDM^T08", "MDM^T10", "MDM^T11")
MERGES = ("ADT^A18", "ADT^A34", "ADT^A40")
UPDATES = ("ADT^A08", *MERGES)
HEARD = (*ORDERS, *RESULTS, *DOCUMENTS, *UPDATES)


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
        raise MessageRefused(
            "AR", f"MSH-9 {message.kind[:20]} is not heard here; send {', '.join(HEARD)}.", "not_heard"
        )
    if header.text(11) != processing_id:
        raise MessageRefused(
            "AR", f"MSH-11 is {header.text(11)[:3]!r}; this listener takes {processing_id!r} only.", "not_heard"
        )
    at = read_time(header.text(7), zone)
    if at is None:
        raise MessageRefused("AE", "MSH-7 is no time, so it cannot be told whether this message is the newer one.")
    digest = hashlib.sha256(body).hexdigest()
    return tuple(Stated(at, digest, message.kind, message.control_id, each) for each in _statements(message, reading))


def _statements(message: Incoming, reading: Reading) -> Sequence[HeardStatement]:
    if message.kind in MERGES:
        return _merges(message, reading)
    if message.kind == "ADT^A08":
        return _updates(message, reading)
    patients = _patients(message, reading)
    if message.kind in DOCUMENTS:
        return [document_in(message, patients, reading)]
    if message.kind in RESULTS:
        return reports_in(message, patients, reading)
    return _orders(message, patients, reading)


# Patients


def _patients(message: Incoming, reading: Reading) -> tuple[PatientIdentifier, ...]:
    found = identifiers_in(message.first("PID"), 3, reading)
    if not found:
        raise MessageRefused("AE", "PID-3 is empty; nothing is filed without a patient's identifier.")
    return found


def _merges(message: Incoming, reading: Reading) -> list[HeardStatement]:
    found: list[HeardStatement] = []
    for group in message.groups("PID"):
        pid, merged = group[0], [segment for segment in group if segment.name == "MRG"]
        survivors = identifiers_in(pid, 3, reading)
        name = pid.repetitions(5)
        demographics = Demographics(name[0] if name else "", pid.text(7), pid.text(8))
        priors = [(mrg, prior) for mrg in merged for prior in identifiers_in(mrg, 1, reading)]
        if not priors or not survivors:
            raise MessageRefused("AE", "A merge needs the survivor in PID-3 and the prior identifier in MRG-1.")
        for mrg, prior in priors:
            survivor = survivor_of(prior, survivors)
            assert survivor is not None, "there are survivors"
            found.append(Merged(prior, survivor, mrg.text(3), pid.text(18), demographics))
    if not found:
        raise MessageRefused("AE", "PID is missing; a merge needs the surviving patient.")
    return found


def _updates(message: Incoming, reading: Reading) -> list[HeardStatement]:
    pid, pv1 = message.first("PID"), message.first("PV1")
    patients = _patients(message, reading)
    account = pid.text(18) if pid else ""
    visit = pv1.text(19) if pv1 else ""
    # Most updates are of addresses and beds. Those are taken, and change nothing.
    return [Updated(patients, visit, account)] if account and visit else []


# Orders


def _orders(message: Incoming, patients: tuple[PatientIdentifier, ...], reading: Reading) -> list[HeardStatement]:
    pid, pv1 = message.first("PID"), message.first("PV1")
    zds, ipc = message.first("ZDS"), message.first("IPC")
    # IHE RAD TF-2: the Study Instance UID travels in ZDS-1, in imaging orders (OMI) in IPC-3.
    everywhere = (zds.text(1) if zds else "") or (ipc.text(3) if ipc else "")
    insurance = message.first("IN1")
    by_accession: dict[str, list[tuple[OrderItem, bool | None, Physician | None]]] = {}
    orders = list(message.groups("ORC"))
    if not orders:
        raise MessageRefused("AE", "There is no ORC segment, so there is no order.")
    for order in orders:
        orc = order[0]
        procedures: list[Segment | None] = [segment for segment in order if segment.name == "OBR"]
        for obr in procedures or [None]:
            own_ipc = next((segment for segment in order if segment.name == "IPC"), ipc)
            accession = accession_in(obr, orc, own_ipc, reading)
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
            physician = physician_in(orc, 12) or physician_in(obr, 16)
            by_accession.setdefault(accession, []).append((item, _urgent(order, obr, reading), physician))
    documented = coded_facts(message, reading) | facts_in(text_of(message.all("NTE")).text, reading)
    diagnoses = _diagnoses(message)
    visit = _visit(pv1, insurance)
    ordering = {accession: next((who for _, _, who in found if who), None) for accession, found in by_accession.items()}
    return [
        Ordered(
            accession=accession,
            patients=patients,
            items=tuple(item for item, _, _ in found),
            urgent=_any(urgent for _, urgent, _ in found),
            urgent_documented=True if "urgent_documented" in documented else None,
            account=(pid.text(18) if pid else "") or None,
            visit=(pv1.text(19) if pv1 else "") or None,
            ordering_physician=who.id if (who := ordering[accession]) else None,
            payer=(insurance.text(3) or insurance.text(2) or None) if insurance else None,
            authorization=(insurance.text(14) or None) if insurance else None,
            diagnoses=diagnoses or None,
            in_visit=replace(visit, ordering=ordering[accession]),
        )
        for accession, found in by_accession.items()
    ]


def _visit(pv1: Segment | None, insurance: Segment | None) -> Visit:
    patient_class = pv1.text(2) if pv1 else ""
    company = insurance.text(4) if insurance else ""
    return Visit(
        patient_class=patient_class if len(escape(patient_class)) <= _IS_CHARACTERS else "",
        location=composite_of(pv1, 3) if pv1 else "",
        attending=physician_in(pv1, 7) if pv1 else None,
        plan=insurance.text(2) if insurance else "",
        company=company if len(escape(company)) <= _ST_CHARACTERS else "",
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
