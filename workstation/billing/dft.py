"""A charge or a credit as HL7 DFT^P03."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from dicom_io.person_names import groups_of
from workstation.charge import Line
from workstation.hl7.names import xpn_components
from workstation.hl7.syntax import (
    FORM,
    Form,
    Hl7Error,
    Version,
    checked_message,
    day_text,
    escape,
    fitted,
    header_of,
    join_components,
    segment_of,
    short_digest,
    time_text,
)

# HL7 v2.5.1 2.A: what is coded by a site's own table (IS, and HD.1 with it) holds 20 characters, other text (ST) 199.
_SHORT = (
    "sending_application",
    "sending_facility",
    "receiving_application",
    "receiving_facility",
    "patient_id_issuer",
    "patient_class",
)

_SHORT_CHARACTERS, _LONG_CHARACTERS = 20, 199


@dataclass(frozen=True, slots=True)
class ChargeSubject:
    """Whose charge it is, for what visit, by whom, and between which systems.

    patient_name : DICOM PN (PS3.5 6.2.1): family^given^middle^prefix^suffix, up to three groups parted by `=`.
    sex : HL7 table 0001; U for unknown. patient_class : HL7 table 0004; O for an outpatient.
    account_number, visit_number, patient_id_issuer and the physicians' identifiers may be empty.
    diagnoses : ICD-10-CM codes, the first is the primary one.
    department : FT1-13, the site's code. location : FT1-16.1. place_of_service : the payer's two-digit code, FT1-16.6.
    """

    patient_id: str
    patient_name: str
    birth_date: date | None
    sex: Literal["M", "F", "O", "U"]
    account_number: str
    visit_number: str
    accession: str
    study_instance_uid: str
    ordering_physician_id: str
    performing_physician_id: str
    attending_physician_id: str
    date_of_service: date
    diagnoses: tuple[str, ...]
    sending_application: str
    sending_facility: str
    receiving_application: str
    receiving_facility: str
    patient_id_issuer: str = ""
    patient_class: str = "O"
    department: str = ""
    location: str = ""
    place_of_service: str = ""


def charge_key(line: Line, subject: ChargeSubject, occurrence: int = 1) -> str:
    """Return the persistent key of one charge (FT1-2): 12 characters, A-Z and 2-7.

    It is the first 60 bits, in base32, of the sha256 of the JSON list [accession, base, code, entity,
    study_instance_uid, occurrence]. FT1-2 holds 12 characters. `occurrence` is 1 for a first charge, 2 for the one
    that follows a credit or a denial of the same line, and so on: only so is it another charge.
    """
    parts = [subject.accession, line.base, line.code, line.entity, subject.study_instance_uid, occurrence]
    return short_digest(parts, 12)


def charge_message(
    lines: Sequence[Line],
    subject: ChargeSubject,
    *,
    at: datetime,
    occurrence: int = 1,
    form: Form = FORM,
    credit: bool = False,
) -> bytes:
    """Build the DFT^P03 for the released lines of one case: one FT1 each. Segments ended by CR, no framing.

    at : the time of the message, with its offset from UTC. Take it from the case (when the SR was signed), not from
    the clock, and running the case again gives the same bytes.
    credit : takes the charge back. The keys (FT1-2) are those of the charge, FT1-6 is the destination's credit code.
    MSH-10 is computed from everything else in the message but its times.

    Raises
    ------
    Hl7Error
        There is no line, two lines are the same charge, a required field is empty, or the message is not valid.
    """
    if not lines:
        raise Hl7Error("A charge message needs a line; a decision that is not released has none.")
    keys = [charge_key(line, subject, occurrence) for line in lines]
    if len(set(keys)) < len(keys):
        raise Hl7Error(
            f"Accession {subject.accession}: two lines have the same base, code and entity, which is one charge twice. "
            "Nothing was built; a coder has to correct the lines."
        )
    _check_subject(subject)

    diagnoses = [join_components(code, "", "I10") for code in subject.diagnoses]
    visit = {
        1: "1",
        2: escape(subject.patient_class),
        3: _location(subject),
        7: escape(subject.attending_physician_id),
        8: escape(subject.ordering_physician_id),
        19: escape(subject.visit_number),
    }
    segments = [segment_of("PID", _patient(subject, form.version)), segment_of("PV1", visit)]
    for number, (line, key) in enumerate(zip(lines, keys, strict=True), 1):
        segments.append(segment_of("FT1", _transaction(number, line, key, subject, diagnoses, form, credit)))
    for number, diagnosis in enumerate(diagnoses, 1):
        segments.append(segment_of("DG1", {1: str(number), 3: diagnosis, 6: "F"}))

    parties = (
        subject.sending_application,
        subject.sending_facility,
        subject.receiving_application,
        subject.receiving_facility,
    )
    if form.character_set != "UNICODE UTF-8":
        segments = [fitted(segment, form.character_set) for segment in segments]
    control_id = short_digest(["DFT^P03", form.processing_id, *parties, *segments], 20)
    kind = "DFT^P03^DFT_P03" if form.version == "2.5.1" else "DFT^P03"
    header = header_of(parties, at, kind, control_id, form)
    # Before v2.5 the event was said here as well; EVN-1 is required in v2.3.
    event = {1: "P03" if form.version != "2.5.1" else "", 2: time_text(at)}
    return checked_message([header, segment_of("EVN", event), *segments], form)


def _transaction(
    number: int,
    line: Line,
    key: str,
    subject: ChargeSubject,
    diagnoses: Sequence[str],
    form: Form,
    credit: bool,
) -> Mapping[int, str]:
    procedure = join_components(line.code, "", "C4")
    fields = {
        1: str(number),
        2: key,
        4: day_text(subject.date_of_service),
        6: escape(form.credit_code) if credit else "CG",  # table 0017: CG is a charge, that is a debit
        7: procedure,
        10: str(line.units),
        13: escape(subject.department),
        16: _location(subject),
        19: "~".join(diagnoses),
        20: escape(subject.performing_physician_id),
        21: escape(subject.ordering_physician_id),
        23: escape(subject.accession),
        25: procedure,
        26: "~".join(escape(modifier) for modifier in line.modifiers),
    }
    if form.version == "2.3":
        # FT1 of v2.3 ends at field 25, and its FT1-19 does not repeat: the modifier travels as the alternate
        # identifier of the procedure, the further diagnoses in DG1 alone.
        fields[25] = join_components(line.code, "", "C4", "".join(line.modifiers), "", "C4M" if line.modifiers else "")
        fields[26] = ""
        fields[19] = diagnoses[0] if diagnoses else ""
    return fields


def _location(subject: ChargeSubject) -> str:
    """PL: PL.1 point of care, PL.6 the kind of place, here the payer's place of service code."""
    return join_components(subject.location, "", "", "", "", subject.place_of_service)


def _check_subject(subject: ChargeSubject) -> None:
    place = f"Accession {subject.accession[:40] or 'unknown'}"
    for name in ("patient_id", "accession", "study_instance_uid", "patient_class"):
        if not getattr(subject, name):
            raise Hl7Error(f"{place}: {name} is empty, and no charge goes without.")
    for name in ChargeSubject.__slots__:
        value = getattr(subject, name)
        for text in value if isinstance(value, tuple) else (value,):
            limit = _SHORT_CHARACTERS if name in _SHORT else _LONG_CHARACTERS
            if isinstance(text, str) and len(escape(text)) > limit:
                raise Hl7Error(f"{place}: {name} has more than {limit} characters once escaped; nothing was built.")


def _patient(subject: ChargeSubject, version: Version) -> Mapping[int, str]:
    names = []
    # DICOM's groups are alphabetic, ideographic and phonetic; XPN-8 (table 4000) says which is which.
    for group, representation in zip(groups_of(subject.patient_name), "AIP", strict=True):
        if group:
            names.append(join_components(*xpn_components(group), "", "L", representation))
    if version == "2.3":
        # There PID-5 does not repeat, and a name does not say how it is written.
        names = [name.rsplit("^", 1)[0] for name in names[:1]]
    return {
        1: "1",
        3: join_components(subject.patient_id, "", "", subject.patient_id_issuer, "MR"),
        # A name of unknown type is how HL7 says that there is none: PID-5 may not be empty.
        5: "~".join(names) or join_components("", "", "", "", "", "", "U"),
        7: day_text(subject.birth_date) if subject.birth_date else "",
        8: escape(subject.sex),
        18: escape(subject.account_number),
    }
