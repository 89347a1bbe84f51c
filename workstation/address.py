"""Which messages a finished case makes: pure. What goes to whom stands in the settings' destinations."""

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

from pydicom.dataset import Dataset

from dicom_io.evidence import Evidence
from dicom_io.series import Instance
from workstation.charge import Decision, Line
from workstation.charge.facts import PreviousCharge
from workstation.config import Config, Destination
from workstation.hl7 import ChargeSubject, charge_key, charge_message, control_id_of
from workstation.outbox import Charge, Message
from workstation.papers import OnFile


def address(
    images: Sequence[Instance],
    sr: Instance,
    evidence: Evidence,
    decision: Decision,
    papers: OnFile,
    previous: Sequence[PreviousCharge],
    source: Dataset,
    config: Config,
    root: Path,
) -> tuple[Message, ...]:
    """Images and the verified SR to each destination that takes images; a released charge to each that takes charges.

    An SR that no physician has verified stays here. `source` gives the patient's name, birth date and sex. Paths are
    relative to `root`, the state folder, which may be moved.
    """
    messages: list[Message] = []
    for destination in config.destinations:
        if "images" in destination.takes:
            objects = [*images, sr] if evidence.verified else list(images)
            messages += [_instance(destination, instance, evidence.accession, root) for instance in objects]
    takers = [d for d in config.destinations if "charges" in d.takes]
    if decision.disposition == "release" and takers:
        # One charge goes to one biller; a second taker gets the same message as a copy without a charge of its own.
        for number, destination in enumerate(takers):
            messages.append(_charge(destination, evidence, decision, papers, previous, source, config, number == 0))
    return tuple(messages)


def _instance(destination: Destination, instance: Instance, accession: str, root: Path) -> Message:
    kind = "dicom" if destination.kind == "dicom" else "file"
    identity = instance.sop_instance_uid if kind == "dicom" else f"{instance.sop_instance_uid}.dcm"
    path = Path(instance.path).relative_to(root).as_posix()
    return Message(destination.name, kind, identity, accession, path=path)  # type: ignore[arg-type]


def _charge(
    destination: Destination,
    evidence: Evidence,
    decision: Decision,
    papers: OnFile,
    previous: Sequence[PreviousCharge],
    source: Dataset,
    config: Config,
    charged: bool,
) -> Message:
    subject = _subject(destination, evidence, papers, source, config)
    occurrence = 1 + max((_times(line, previous) for line in decision.lines), default=0)
    body = charge_message(decision.lines, subject, at=_signed_at(evidence), occurrence=occurrence)
    charges = tuple(
        Charge(
            charge_key(line, subject, occurrence), line.code, evidence.accession, line.base, evidence.sop_instance_uid
        )
        for line in decision.lines
    )
    control_id = control_id_of(body)
    identity = control_id if destination.kind == "mllp" else f"{control_id}.hl7"
    kind = "hl7" if destination.kind == "mllp" else "file"
    return Message(
        destination.name,
        kind,  # type: ignore[arg-type]
        identity,
        evidence.accession,
        body=body,
        charges=charges if charged else (),
    )


def _times(line: Line, previous: Sequence[PreviousCharge]) -> int:
    """How often this line was charged before and taken back; another time is another charge with another key."""
    return sum(p.code == line.code and p.base == line.base for p in previous)


def _signed_at(evidence: Evidence) -> datetime:
    assert evidence.attestation is not None, "nothing is released without a signature"
    return evidence.attestation.at


def _subject(
    destination: Destination, evidence: Evidence, papers: OnFile, source: Dataset, config: Config
) -> ChargeSubject:
    sex = str(source.get("PatientSex") or "U")
    physician = evidence.supervisor.id if evidence.supervisor else ""
    return ChargeSubject(
        patient_id=evidence.patient_id,
        patient_name=str(source.get("PatientName") or ""),
        birth_date=_date(str(source.get("PatientBirthDate") or "")),
        sex=sex if sex in ("M", "F", "O") else "U",  # type: ignore[arg-type]
        account_number=papers.account_number,
        visit_number=papers.visit_number,
        accession=evidence.accession,
        study_instance_uid=evidence.study_uid,
        ordering_physician_id=papers.ordering_physician_id,
        performing_physician_id=physician,
        attending_physician_id=physician,
        date_of_service=_date(evidence.study_date) or _signed_at(evidence).date(),
        diagnoses=papers.diagnoses,
        sending_application=config.ae_title,
        sending_facility=config.institution_code,
        receiving_application=destination.application,
        receiving_facility=destination.facility,
    )


def _date(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y%m%d").date()
    except ValueError:
        return None
