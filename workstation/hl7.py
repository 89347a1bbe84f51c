"""HL7 v2.5.1: the charge message DFT^P03, and acknowledgements both ways.

Messages are written field by field from the tables below and then read back by hl7apy's strict validation: what leaves
this module is valid or it does not leave. Times are arguments, and identifiers are computed from content, so the same
charge gives the same bytes whenever it is built.
Source: HL7 v2.5.1 chapter 2 (control, 2.7 escape sequences, 2.15 segments), 3 (PID, PV1), 6 (DFT^P03, FT1, DG1).
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, cast, get_args

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.exceptions import HL7apyException
from hl7apy.parser import parse_message

from workstation.charge import Line

# HL7 table 0008, acknowledgement code: original mode, then enhanced mode.
AcknowledgementCode = Literal["AA", "AE", "AR", "CA", "CE", "CR"]

# HL7 v2.5.1 2.7.1: the delimiters have letters of their own; other characters go as hexadecimal.
_ESCAPES = {"|": "F", "^": "S", "&": "T", "~": "R", "\\": "E"}
_LETTERS = {letter: character for character, letter in _ESCAPES.items()}

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


class Hl7Error(ValueError):
    """A message cannot be built, or what arrived is not one. The message says which field, and never whose."""


@dataclass(frozen=True, slots=True)
class ChargeSubject:
    """Whose charge it is, for what visit, by whom, and between which systems.

    patient_name : DICOM PN (PS3.5 6.2.1): family^given^middle^prefix^suffix, up to three groups parted by `=`.
    sex : HL7 table 0001; U for unknown. patient_class : HL7 table 0004; O for an outpatient.
    account_number, visit_number, patient_id_issuer and the physicians' identifiers may be empty.
    diagnoses : ICD-10-CM codes, the first is the primary one.
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


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What a receiver answered: MSA-1, MSA-2 (the control id it answers to), and its words, if any."""

    code: AcknowledgementCode
    control_id: str
    text: str


def escape(text: str) -> str:
    """Return `text` with delimiters and control characters escaped, so that it is data wherever it stands."""
    return "".join(_escaped(character) for character in text)


def unescape(text: str) -> str:
    """Undo `escape`, and read any `\\X..\\` sequence as UTF-8. Sequences without a character (`\\H\\`) are dropped."""

    def character(match: re.Match[str]) -> str:
        sequence = match[1]
        if re.fullmatch(r"X(?:[0-9A-Fa-f]{2})+", sequence):
            return bytes.fromhex(sequence[1:]).decode("utf-8", "replace")
        return _LETTERS.get(sequence, "")

    return re.sub(r"\\([^\\]*)\\", character, text)


def charge_key(line: Line, subject: ChargeSubject, occurrence: int = 1) -> str:
    """Return the persistent key of one charge (FT1-2): 12 characters, A-Z and 2-7.

    It is the first 60 bits, in base32, of the sha256 of the JSON list [accession, base, code, entity,
    study_instance_uid, occurrence]. FT1-2 holds 12 characters. `occurrence` is 1 for a first charge, 2 for the one
    that follows a credit or a denial of the same line, and so on: only so is it another charge.
    """
    parts = [subject.accession, line.base, line.code, line.entity, subject.study_instance_uid, occurrence]
    return _digest(parts, 12)


def charge_message(
    lines: Sequence[Line],
    subject: ChargeSubject,
    *,
    at: datetime,
    occurrence: int = 1,
    processing_id: Literal["P", "T", "D"] = "P",
) -> bytes:
    """Build the DFT^P03 for the released lines of one case: one FT1 each. UTF-8, segments ended by CR, no framing.

    at : the time of the message, with its offset from UTC. Take it from the case (when the SR was signed), not from
    the clock, and running the case again gives the same bytes.
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

    diagnoses = [_field(code, "", "I10") for code in subject.diagnoses]
    segments = [
        _segment("PID", _patient(subject)),
        _segment(
            "PV1",
            {
                1: "1",
                2: escape(subject.patient_class),
                7: escape(subject.attending_physician_id),
                8: escape(subject.ordering_physician_id),
                19: escape(subject.visit_number),
            },
        ),
    ]
    for number, (line, key) in enumerate(zip(lines, keys, strict=True), 1):
        segments.append(
            _segment(
                "FT1",
                {
                    1: str(number),
                    2: key,
                    4: _day(subject.date_of_service),
                    6: "CG",  # table 0017: a charge, that is a debit
                    7: _field(line.code, "", "C4"),
                    10: str(line.units),
                    19: "~".join(diagnoses),
                    20: escape(subject.performing_physician_id),
                    21: escape(subject.ordering_physician_id),
                    23: escape(subject.accession),
                    25: _field(line.code, "", "C4"),
                    26: "~".join(escape(modifier) for modifier in line.modifiers),
                },
            )
        )
    for number, diagnosis in enumerate(diagnoses, 1):
        segments.append(_segment("DG1", {1: str(number), 3: diagnosis, 6: "F"}))

    parties = (
        subject.sending_application,
        subject.sending_facility,
        subject.receiving_application,
        subject.receiving_facility,
    )
    control_id = _digest(["DFT^P03", processing_id, *parties, *segments], 20)
    header = _header(parties, at, "DFT^P03^DFT_P03", control_id, processing_id, "2.5.1")
    return _checked([header, _segment("EVN", {2: _time(at)}), *segments])


def acknowledgement(message: bytes, code: AcknowledgementCode, text: str = "", *, at: datetime) -> bytes:
    """Build the answer to `message`: ACK with its control id in MSA-2 and sender and receiver exchanged.

    Raises
    ------
    Hl7Error
        `message` has no header to answer to.
    """
    header = _split(message)[0]
    trigger = _at(header, 9).split("^")[1:2]
    control_id = unescape(_at(header, 10))
    parties = tuple(unescape(_at(header, field)) for field in (5, 6, 3, 4))
    kind = "^".join(["ACK", *trigger, "ACK"]) if trigger else "ACK"
    own_id = _digest(["ACK", control_id, code, text], 20)
    segments = [
        _header(parties, at, kind, own_id, _at(header, 11) or "P", "2.5.1"),
        _segment("MSA", {1: code, 2: escape(control_id), 3: escape(text)}),
    ]
    # Not checked: it repeats what the sender wrote, and a sender with a long name has a right to an answer too.
    return _encoded(segments)


def control_id_of(message: bytes) -> str:
    """Return MSH-10 of a message.

    Raises
    ------
    Hl7Error
        `message` has no header, or no control id in it.
    """
    found = unescape(_at(_split(message)[0], 10))
    if not found:
        raise Hl7Error("The message has no control id in MSH-10, so no answer could be told to be its own.")
    return found


def parse_acknowledgement(message: bytes) -> Acknowledgement:
    """Read an acknowledgement of any HL7 v2 version. Its words are MSA-3, else ERR-8 or ERR-7.

    Receivers are not held to the letter of their version: only MSH, MSA-1 and MSA-2 have to be there.

    Raises
    ------
    Hl7Error
        It is not an acknowledgement. Then nothing has been acknowledged.
    """
    segments = _split(message)
    msa = next((segment for segment in segments if segment[0] == "MSA"), None)
    if msa is None:
        names = ", ".join(segment[0][:3] for segment in segments[:5])
        raise Hl7Error(f"The answer has no MSA segment, only {names}; it acknowledges nothing.")
    code, control_id, text = _at(msa, 1), unescape(_at(msa, 2)), _at(msa, 3)
    if code not in get_args(AcknowledgementCode):
        raise Hl7Error(f"The answer has {code[:20]!r} in MSA-1, not one of {', '.join(get_args(AcknowledgementCode))}.")
    if not control_id:
        raise Hl7Error("The answer has no control id in MSA-2, so it acknowledges nothing in particular.")
    err = next((segment for segment in segments if segment[0] == "ERR"), None)
    if not text and err is not None:
        text = _at(err, 8) or _at(err, 7)
    return Acknowledgement(cast(AcknowledgementCode, code), control_id, unescape(text))


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


def _patient(subject: ChargeSubject) -> Mapping[int, str]:
    names = []
    # DICOM's groups are alphabetic, ideographic and phonetic; XPN-8 (table 4000) says which is which.
    for group, representation in zip(subject.patient_name.split("="), "AIP", strict=False):
        if group.strip("^ "):
            family, given, middle, prefix, suffix = (*group.split("^"), "", "", "", "", "")[:5]
            names.append(_field(family, given, middle, suffix, prefix, "", "L", representation))
    return {
        1: "1",
        3: _field(subject.patient_id, "", "", subject.patient_id_issuer, "MR"),
        # A name of unknown type is how HL7 says that there is none: PID-5 may not be empty.
        5: "~".join(names) or _field("", "", "", "", "", "", "U"),
        7: _day(subject.birth_date) if subject.birth_date else "",
        8: escape(subject.sex),
        18: escape(subject.account_number),
    }


def _header(parties: Sequence[str], at: datetime, kind: str, control_id: str, processing_id: str, version: str) -> str:
    fields = dict(zip((2, 3, 4, 5), map(escape, parties), strict=True))
    # MSH-1 is the separator itself, so every field stands one place before its number.
    rest = {1: r"^~\&", 6: _time(at), 8: kind, 9: escape(control_id), 10: processing_id, 11: version}
    return _segment("MSH", {**fields, **rest, 17: "UNICODE UTF-8"})


def _segment(name: str, fields: Mapping[int, str]) -> str:
    last = max((number for number, value in fields.items() if value), default=0)
    return "|".join([name, *(fields.get(number, "") for number in range(1, last + 1))])


def _field(*components: str) -> str:
    return "^".join(escape(component) for component in components).rstrip("^")


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return f"\\{_ESCAPES[character]}\\"
    return f"\\X{ord(character):02X}\\" if ord(character) < 0x20 or ord(character) == 0x7F else character


def _checked(segments: Sequence[str]) -> bytes:
    message = _encoded(segments)
    try:
        parse_message(message.decode("utf-8"), validation_level=VALIDATION_LEVEL.STRICT).validate()
    except HL7apyException as error:
        # Its words may quote the value at fault, which may be a name.
        raise Hl7Error(f"The message is not valid HL7 v2.5.1 ({type(error).__name__}); nothing was built.") from None
    return message


def _encoded(segments: Sequence[str]) -> bytes:
    try:
        return "".join(f"{segment}\r" for segment in segments).encode("utf-8")
    except UnicodeEncodeError:
        raise Hl7Error("A field holds half of a character pair, which is not Unicode text; correct it.") from None


def _split(message: bytes) -> list[list[str]]:
    # Only words can suffer from a receiver that answers in another character set, never codes and control ids.
    text = message.decode("utf-8", "replace").lstrip("\r\n\ufeff")
    if not (text.startswith("MSH") and len(text) > 8):
        raise Hl7Error(f"What arrived begins with {text[:3]!r} and has no MSH segment; it is not an HL7 v2 message.")
    separator, component, escaping = text[3], text[4], text[6]
    if separator.isalnum() or separator.isspace():
        raise Hl7Error(f"What arrived has {separator!r} for a field separator; it is not an HL7 v2 message.")
    segments = [line.split(separator) for line in re.split(r"[\r\n]+", text) if line]
    if (component, escaping) != ("^", "\\"):
        swap = str.maketrans({component: "^", escaping: "\\"})
        segments = [[field.translate(swap) for field in segment] for segment in segments]
    return segments


def _at(segment: Sequence[str], number: int) -> str:
    place = number - 1 if segment[0] == "MSH" else number
    return segment[place] if place < len(segment) else ""


def _digest(parts: Sequence[object], length: int) -> str:
    content = json.dumps(parts, ensure_ascii=True).encode("ascii")
    return base64.b32encode(hashlib.sha256(content).digest()).decode("ascii")[:length]


def _day(day: date) -> str:
    return f"{day.year:04}{day.month:02}{day.day:02}"


def _time(at: datetime) -> str:
    if at.utcoffset() is None:
        raise Hl7Error("The time of the message has no offset from UTC; pass an aware datetime.")
    return _day(at) + at.strftime("%H%M%S%z")[:11]
