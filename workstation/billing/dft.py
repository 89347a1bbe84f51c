"""A charge or a credit as HL7 DFT^P03."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from dicom_io.person_names import groups_of
from workstation.charge import Line
from workstation.hl7.composites import location_text
from workstation.hl7.names import Physician, npi_xcn_of, xcn_of, xpn_components
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
    "location_type",
)

_SHORT_CHARACTERS, _LONG_CHARACTERS = 20, 199


@dataclass(frozen=True, slots=True)
class ChargeSubject:
    """Whose charge it is, for what visit, by whom, and between which systems.

    patient_name : DICOM PN (PS3.5 6.2.1): family^given^middle^prefix^suffix, up to three groups parted by `=`.
    sex : HL7 table 0001; U for unknown. patient_class : HL7 table 0004; O for an outpatient.
    account_number, visit_number, patient_id_issuer and the physicians' identifiers may be empty.
    diagnoses : ICD-10-CM codes, the first is the primary one.
    department : FT1-13, the site's code. location, location_type : FT1-16.1 and .6, where the service was.
    place_of_service : the payer's two-digit code. visit_location : PV1-3, as the order states it (`composites.py`).
    ordering, performing, attending : what is known of the physicians beside their identifiers.
    payer, plan, prior_authorization : IN1-3, IN1-2 and IN1-14. regions : of the body, as the record names them.
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
    payer_name: str = ""
    patient_class: str = "O"
    department: str = ""
    location: str = ""
    place_of_service: str = ""
    location_type: str = ""
    visit_location: str = ""
    ordering: Physician = field(default=Physician())
    performing: Physician = field(default=Physician())
    attending: Physician = field(default=Physician())
    payer: str = ""
    plan: str = ""
    prior_authorization: str = ""
    regions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SiteCodes:
    """What the site itself calls a charge: its charge code (charge description master), and the revenue code."""

    local: str = ""
    revenue: str = ""


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
    codes: Sequence[SiteCodes] = (),
) -> bytes:
    """Build the DFT^P03 for the released lines of one case: one FT1 each. Segments ended by CR, no framing.

    at : when the message is made, with its offset from UTC (MSH-7, EVN-2); its day is that of posting (FT1-5). The day
    of service (FT1-4) is the subject's. codes : the site's own, one for each line; none if empty.
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
        3: location_text(subject.visit_location) or join_components(subject.location),
        7: _physician(subject.attending, subject.attending_physician_id, form),
        8: _with_authority(subject.ordering, subject.ordering_physician_id),
        19: escape(subject.visit_number),
    }
    own = codes or [SiteCodes()] * len(lines)
    charges = [
        _transaction(number, line, key, subject, diagnoses, form, credit, site)
        for number, (line, key, site) in enumerate(zip(lines, keys, own, strict=True), 1)
    ]

    def body(posted: str) -> list[str]:
        found = [segment_of("PID", _patient(subject, form.version)), segment_of("PV1", visit)]
        found += [segment_of("FT1", {**charge, 5: posted}) for charge in charges]
        for number, diagnosis in enumerate(diagnoses, 1):
            found.append(segment_of("DG1", {1: str(number), 3: diagnosis, 6: "F"}))
        if form.insurance and subject.payer:
            found.append(segment_of("IN1", _insurance(subject)))
        plain = form.character_set == "UNICODE UTF-8"
        return found if plain else [fitted(segment, form.character_set) for segment in found]

    parties = (
        subject.sending_application,
        subject.sending_facility,
        subject.receiving_application,
        subject.receiving_facility,
    )
    control_id = short_digest(["DFT^P03", form.processing_id, *parties, *body("")], 20)
    kind = "DFT^P03^DFT_P03" if form.version == "2.5.1" else "DFT^P03"
    header = header_of(parties, at, kind, control_id, form)
    # Before v2.5 the event was said here as well; EVN-1 is required in v2.3.
    event = {1: "P03" if form.version != "2.5.1" else "", 2: time_text(at)}
    return checked_message([header, segment_of("EVN", event), *body(day_text(at))], form)


def _transaction(
    number: int,
    line: Line,
    key: str,
    subject: ChargeSubject,
    diagnoses: Sequence[str],
    form: Form,
    credit: bool,
    site: SiteCodes,
) -> Mapping[int, str]:
    procedure = join_components(line.code, "", "C4")
    fields = {
        1: str(number),
        2: key,
        4: day_text(subject.date_of_service),
        6: escape(form.credit_code) if credit else "CG",  # table 0017: CG is a charge, that is a debit
        7: _charge_code(line, site, form),
        10: str(line.units),
        13: escape(subject.department),
        16: _location(subject, form),
        19: "~".join(diagnoses),
        20: _physician(subject.performing, subject.performing_physician_id, form, form.physician_id_issuer),
        21: _physician(subject.ordering, subject.ordering_physician_id, form),
        23: escape(subject.accession),
        25: procedure,
        26: "~".join(escape(modifier) for modifier in line.modifiers),
    }
    if form.version == "2.3":
        # FT1 of v2.3 ends at field 25, and its FT1-19 does not repeat: the modifiers travel as the alternate
        # identifier of the procedure, parted by a space, and the further diagnoses in DG1 alone.
        fields[25] = join_components(line.code, "", "C4", " ".join(line.modifiers), "", "C4M" if line.modifiers else "")
        fields[26] = ""
        fields[19] = diagnoses[0] if diagnoses else ""
    return fields


def _charge_code(line: Line, site: SiteCodes, form: Form) -> str:
    """FT1-7: the site's charge code where it has one and the receiver wants it, else the procedure code. The revenue
    code is no other name of the same thing, but CE has no better place, and no other field of FT1 has one."""
    local = site.local if form.local_codes else ""
    revenue = site.revenue if form.revenue_codes else ""
    code = (local, "", "L") if local else (line.code, "", "C4")  # table 0396: L is a local code
    return join_components(*code, *((revenue, "", "99NUBC") if revenue else ()))


def _location(subject: ChargeSubject, form: Form) -> str:
    """PL: PL.1 point of care, PL.6 the kind of place (table 0305), PL.9 its description."""
    place, where = subject.place_of_service, form.place_of_service_field
    kind = place if where == "FT1-16.6" and place else subject.location_type
    return join_components(subject.location, "", "", "", "", kind, "", "", place if where == "FT1-16.9" else "")


def _physician(known: Physician, identifier: str, form: Form, issuer: str = "") -> str:
    """XCN. What was billed before physicians had more than an identifier says that alone."""
    physician = known if known.id == identifier else Physician(identifier)
    local, npi = xcn_of(physician, issuer), npi_xcn_of(physician)
    if form.physician_id == "npi":
        return npi or local
    # In v2.3 none of these fields repeats.
    both = form.physician_id == "both" and form.version != "2.3" and npi and npi != local
    return f"{local}~{npi}" if both else local


def _with_authority(known: Physician, identifier: str) -> str:
    """XCN of an identifier alone, with who assigned it where that is known."""
    return xcn_of(Physician(identifier, "", known.authority if known.id == identifier else ""))


def _insurance(subject: ChargeSubject) -> Mapping[int, str]:
    """IN1. A plan that no order names is told by its company: IN1-2 may not be empty."""
    return {
        1: "1",
        2: escape(subject.plan or subject.payer),
        3: escape(subject.payer),
        4: escape(subject.payer_name),
        14: escape(subject.prior_authorization),
    }


def _check_subject(subject: ChargeSubject) -> None:
    place = f"Accession {subject.accession[:40] or 'unknown'}"
    for name in ("patient_id", "accession", "study_instance_uid", "patient_class"):
        if not getattr(subject, name):
            raise Hl7Error(f"{place}: {name} is empty, and no charge goes without.")
    for name in ChargeSubject.__slots__:
        value = getattr(subject, name)
        if name == "visit_location":
            continue  # left out where it does not fit
        if isinstance(value, Physician):
            value = tuple(getattr(value, part) for part in Physician.__slots__)
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
