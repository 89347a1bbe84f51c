"""HL7 v2: the charge message DFT^P03 in versions 2.3, 2.3.1 and 2.5.1, and acknowledgements both ways.

Messages are written field by field from the tables below and then read back by hl7apy's strict validation: what leaves
this module is valid or it does not leave. Times are arguments, and identifiers are computed from content, so the same
charge gives the same bytes whenever it is built.
Source: HL7 v2.5.1 chapter 2 (control, 2.7 escape sequences, 2.15 segments), 3 (PID, PV1), 6 (DFT^P03, FT1, DG1), and
the same chapters of v2.3 and v2.3.1 where they differ.
"""

import base64
import hashlib
import json
import re
import unicodedata
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

Version = Literal["2.3", "2.3.1", "2.5.1"]
# MSH-18, table 0211, as each version spells it; and how the bytes are made. v2.3 and v2.3.1 know Unicode by one name.
CharacterSet = Literal["UNICODE UTF-8", "8859/1", "ASCII"]
_ENCODINGS: dict[CharacterSet, str] = {"UNICODE UTF-8": "utf-8", "8859/1": "iso-8859-1", "ASCII": "ascii"}
# original: one answer, AA, AE or AR. accept: enhanced mode, only the accept acknowledgement is wanted (MSH-15 AL,
# MSH-16 NE). enhanced: both are (MSH-15 and MSH-16 AL). Source: HL7 v2.5.1 2.9.3.
Mode = Literal["original", "accept", "enhanced"]
_MODES: dict[Mode, tuple[str, str]] = {"original": ("", ""), "accept": ("AL", "NE"), "enhanced": ("AL", "AL")}

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


@dataclass(frozen=True, slots=True)
class Form:
    """How a destination wants its messages.

    credit_code : FT1-6 of a credit (table 0017: CR; receivers with tables of their own use other codes).
    character_set : MSH-18 (table 0211). Characters that it lacks lose their accents, or become a question mark.
    mode : whether one answer is wanted or enhanced mode (MSH-15, MSH-16).
    """

    version: Version = "2.5.1"
    character_set: CharacterSet = "UNICODE UTF-8"
    mode: Mode = "original"
    credit_code: str = "CR"
    processing_id: Literal["P", "T", "D"] = "P"


FORM = Form()


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

    diagnoses = [_field(code, "", "I10") for code in subject.diagnoses]
    visit = {
        1: "1",
        2: escape(subject.patient_class),
        3: _location(subject),
        7: escape(subject.attending_physician_id),
        8: escape(subject.ordering_physician_id),
        19: escape(subject.visit_number),
    }
    segments = [_segment("PID", _patient(subject, form.version)), _segment("PV1", visit)]
    for number, (line, key) in enumerate(zip(lines, keys, strict=True), 1):
        segments.append(_segment("FT1", _transaction(number, line, key, subject, diagnoses, form, credit)))
    for number, diagnosis in enumerate(diagnoses, 1):
        segments.append(_segment("DG1", {1: str(number), 3: diagnosis, 6: "F"}))

    parties = (
        subject.sending_application,
        subject.sending_facility,
        subject.receiving_application,
        subject.receiving_facility,
    )
    if form.character_set != "UNICODE UTF-8":
        segments = [_fitted(segment, form.character_set) for segment in segments]
    control_id = _digest(["DFT^P03", form.processing_id, *parties, *segments], 20)
    kind = "DFT^P03^DFT_P03" if form.version == "2.5.1" else "DFT^P03"
    header = _header(parties, at, kind, control_id, form)
    # Before v2.5 the event was said here as well; EVN-1 is required in v2.3.
    event = {1: "P03" if form.version != "2.5.1" else "", 2: _time(at)}
    return _checked([header, _segment("EVN", event), *segments], form)


def _transaction(
    number: int,
    line: Line,
    key: str,
    subject: ChargeSubject,
    diagnoses: Sequence[str],
    form: Form,
    credit: bool,
) -> Mapping[int, str]:
    procedure = _field(line.code, "", "C4")
    fields = {
        1: str(number),
        2: key,
        4: _day(subject.date_of_service),
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
        fields[25] = _field(line.code, "", "C4", "".join(line.modifiers), "", "C4M" if line.modifiers else "")
        fields[26] = ""
        fields[19] = diagnoses[0] if diagnoses else ""
    return fields


def _location(subject: ChargeSubject) -> str:
    """PL: PL.1 point of care, PL.6 the kind of place, here the payer's place of service code."""
    return _field(subject.location, "", "", "", "", subject.place_of_service)


def acknowledgement(message: bytes, code: AcknowledgementCode, text: str = "", *, at: datetime) -> bytes:
    """Build the answer to `message`: ACK with its control id in MSA-2, sender and receiver exchanged, in its version.

    Raises
    ------
    Hl7Error
        `message` has no header to answer to.
    """
    header = _split(message)[0]
    trigger = _at(header, 9).split("^")[1:2]
    control_id = unescape(_at(header, 10))
    parties = tuple(unescape(_at(header, field)) for field in (5, 6, 3, 4))
    old = _at(header, 12).split("^")[0] in ("2.1", "2.2", "2.3", "2.3.1")
    kind = "ACK" if old or not trigger else "^".join(["ACK", *trigger, "ACK"])
    own_id = _digest(["ACK", control_id, code, text], 20)
    version = _at(header, 12).split("^")[0] or "2.5.1"
    segments = [
        _written_header(parties, at, kind, own_id, _at(header, 11).split("^")[0] or "P", version),
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


def accept_wanted(message: bytes) -> bool:
    """Tell whether a message wants to be told that it has been accepted (MSH-15: always, or on success)."""
    return _at(_split(message)[0], 15) in ("AL", "SU")


def wants_application_answer(message: bytes) -> bool:
    """Tell whether a message in enhanced mode wants an application acknowledgement (MSH-16) beside its acceptance."""
    return _at(_split(message)[0], 16) in ("AL", "ER", "SU")


def accept_of(message: bytes) -> bytes:
    """Build the accept acknowledgement of an application acknowledgement, at the time that stands in it."""
    header = _split(message)[0]
    parties = tuple(unescape(_at(header, field)) for field in (5, 6, 3, 4))
    fields = dict(zip((2, 3, 4, 5), map(escape, parties), strict=True))
    control_id = unescape(_at(header, 10))
    own = {1: r"^~\&", 6: _at(header, 7), 8: "ACK", 9: _digest(["CA", control_id], 20), 10: "P", 11: _at(header, 12)}
    return _encoded([_segment("MSH", {**fields, **own}), _segment("MSA", {1: "CA", 2: escape(control_id)})])


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


def _patient(subject: ChargeSubject, version: Version) -> Mapping[int, str]:
    names = []
    # DICOM's groups are alphabetic, ideographic and phonetic; XPN-8 (table 4000) says which is which.
    for group, representation in zip(subject.patient_name.split("="), "AIP", strict=False):
        if group.strip("^ "):
            family, given, middle, prefix, suffix = (*group.split("^"), "", "", "", "", "")[:5]
            names.append(_field(family, given, middle, suffix, prefix, "", "L", representation))
    if version == "2.3":
        # There PID-5 does not repeat, and a name does not say how it is written.
        names = [name.rsplit("^", 1)[0] for name in names[:1]]
    return {
        1: "1",
        3: _field(subject.patient_id, "", "", subject.patient_id_issuer, "MR"),
        # A name of unknown type is how HL7 says that there is none: PID-5 may not be empty.
        5: "~".join(names) or _field("", "", "", "", "", "", "U"),
        7: _day(subject.birth_date) if subject.birth_date else "",
        8: escape(subject.sex),
        18: escape(subject.account_number),
    }


def _header(parties: Sequence[str], at: datetime, kind: str, control_id: str, form: Form) -> str:
    accept, application = _MODES[form.mode]
    name = "UNICODE" if form.character_set == "UNICODE UTF-8" and form.version != "2.5.1" else form.character_set
    extra = {14: accept, 15: application, 17: name}
    header = _written_header(parties, at, kind, control_id, form.processing_id, form.version, extra)
    return header if form.character_set == "UNICODE UTF-8" else _fitted(header, form.character_set)


def _written_header(
    parties: Sequence[str],
    at: datetime,
    kind: str,
    control_id: str,
    processing_id: str,
    version: str,
    extra: Mapping[int, str] | None = None,
) -> str:
    fields = dict(zip((2, 3, 4, 5), map(escape, parties), strict=True))
    # MSH-1 is the separator itself, so every field stands one place before its number.
    rest = {1: r"^~\&", 6: _time(at), 8: kind, 9: escape(control_id), 10: processing_id, 11: version}
    return _segment("MSH", {**fields, **rest, **(extra if extra is not None else {17: "UNICODE UTF-8"})})


def _segment(name: str, fields: Mapping[int, str]) -> str:
    last = max((number for number, value in fields.items() if value), default=0)
    return "|".join([name, *(fields.get(number, "") for number in range(1, last + 1))])


def _field(*components: str) -> str:
    return "^".join(escape(component) for component in components).rstrip("^")


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return f"\\{_ESCAPES[character]}\\"
    return f"\\X{ord(character):02X}\\" if ord(character) < 0x20 or ord(character) == 0x7F else character


def _fitted(text: str, character_set: CharacterSet) -> str:
    """`text` in the characters of the set: accents go where the letter stays, anything else becomes `?`."""
    encoding = _ENCODINGS[character_set]

    def fit(character: str) -> str:
        for candidate in (character, unicodedata.normalize("NFKD", character)):
            plain = "".join(c for c in candidate if not unicodedata.combining(c))
            for attempt in (candidate, plain):
                try:
                    attempt.encode(encoding)
                except UnicodeEncodeError:
                    continue
                # What a decomposition brings may be a delimiter (a full-width bar), which it was not.
                return attempt if attempt == character else escape(attempt)
        return "?"

    return "".join(map(fit, text))


def _checked(segments: Sequence[str], form: Form) -> bytes:
    message = _encoded(segments, _ENCODINGS[form.character_set])
    try:
        text = message.decode(_ENCODINGS[form.character_set])
        parse_message(text, validation_level=VALIDATION_LEVEL.STRICT).validate()
    except HL7apyException as error:
        # Its words may quote the value at fault, which may be a name.
        raise Hl7Error(
            f"The message is not valid HL7 v{form.version} ({type(error).__name__}); nothing was built."
        ) from None
    return message


def _encoded(segments: Sequence[str], encoding: str = "utf-8") -> bytes:
    try:
        return "".join(f"{segment}\r" for segment in segments).encode(encoding)
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
