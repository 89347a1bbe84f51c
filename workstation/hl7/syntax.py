"""HL7 v2: the charge message DFT^P03 in versions 2.3, 2.3.1 and 2.5.1, and acknowledgements both ways.

Messages are written field by field and then validated strictly by hl7apy, so this module only returns valid messages.
Times are arguments and identifiers follow from the content, so the same charge always gives the same bytes.
Source: HL7 v2.5.1 chapter 2 (control, 2.7 escape sequences, 2.15 segments), 3 (PID, PV1), 6 (DFT^P03, FT1, DG1), and
the same chapters of v2.3 and v2.3.1 where they differ.
"""

import base64
import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from types import MappingProxyType
from typing import Literal

from workstation.errors import WorkstationError

Version = Literal["2.3", "2.3.1", "2.5.1"]
# MSH-18, table 0211, as each version spells it, and the encoding of the bytes. v2.3 and v2.3.1 have one Unicode name.
CharacterSet = Literal["UNICODE UTF-8", "8859/1", "ASCII"]
_ENCODINGS: dict[CharacterSet, str] = {"UNICODE UTF-8": "utf-8", "8859/1": "iso-8859-1", "ASCII": "ascii"}
# original: one answer, AA, AE or AR. accept: enhanced mode, only the accept acknowledgement is wanted (MSH-15 AL,
# MSH-16 NE). enhanced: both are (MSH-15 and MSH-16 AL). Source: HL7 v2.5.1 2.9.3.
Mode = Literal["original", "accept", "enhanced"]
PhysicianId = Literal["local", "npi", "both"]
# No field of DFT^P03 is the place of service's own: the description of the location (PL.9), its kind (PL.6), where
# receivers before us have read it, or none.
PlaceOfServiceField = Literal["FT1-16.9", "FT1-16.6", "none"]
_MODES: dict[Mode, tuple[str, str]] = {"original": ("", ""), "accept": ("AL", "NE"), "enhanced": ("AL", "AL")}

# HL7 v2.5.1 2.7.1: each delimiter has an escape letter; other characters are escaped in hexadecimal.
_ESCAPES = {"|": "F", "^": "S", "&": "T", "~": "R", "\\": "E"}
_DELIMITERS: Mapping[str, str] = MappingProxyType({letter: character for character, letter in _ESCAPES.items()})
# HL7 v2.5.1 2.7: delimiters and highlighting, hexadecimal, other character sets, local sequences, formatting. Anything
# else between two escape characters is text, such as the path of a file: it must not swallow words.
_SEQUENCE = (
    r"(?:[EFNHPRST]|X(?:[0-9A-Fa-f]{2})+|C[0-9A-Fa-f]{4}|M[0-9A-Fa-f]{4}(?:[0-9A-Fa-f]{2})?"
    r"|Z\w{0,20}|\.[A-Za-z]{2} *[-+]?\d{0,4})"
)
# HL7 v2.5.1 2.7.6: what ends a line. The others (.fi, .nf, .in, .ti, .sk) lay out, and part words.
_LINE_ENDS = (".br", ".sp", ".ce")


class Hl7Error(WorkstationError):
    """A message cannot be built or read. The error names the field, and never the patient."""


@dataclass(frozen=True, slots=True)
class Form:
    """The form in which a destination wants its messages.

    credit_code : FT1-6 of a credit (table 0017: CR; receivers with tables of their own use other codes).
    character_set : MSH-18 (table 0211). Characters that it lacks lose their accents, or become a question mark.
    mode : original mode with one answer, or enhanced mode (MSH-15, MSH-16).
    physician_id : which identifier names physicians: the local one, the NPI, or both, as two repetitions where the
    version lets the field repeat. physician_id_issuer : assigning authority of our own physicians' identifiers.
    insurance : whether IN1 goes out. local_codes, revenue_codes : whether FT1-7 has the site's own codes.
    place_of_service_field : where the payer's place of service stands.
    """

    version: Version = "2.5.1"
    character_set: CharacterSet = "UNICODE UTF-8"
    mode: Mode = "original"
    credit_code: str = "CR"
    processing_id: Literal["P", "T", "D"] = "P"
    physician_id: PhysicianId = "both"
    physician_id_issuer: str = ""
    insurance: bool = False
    local_codes: bool = False
    revenue_codes: bool = False
    place_of_service_field: PlaceOfServiceField = "FT1-16.9"


FORM = Form()


def escape(text: str) -> str:
    """Returns `text` with delimiters and control characters escaped, so that it is plain data in any field."""
    return "".join(_escaped(character) for character in text)


@cache
def _sequences(escaping: str) -> re.Pattern[str]:
    """Escape sequences, hexadecimal ones that follow each other in one match: their bytes may be one character."""
    mark = re.escape(escaping)
    run = f"(?:{mark}X(?:[0-9A-Fa-f]{{2}})+{mark})+"
    return re.compile(f"({run})|{mark}({_SEQUENCE}){mark}")


def unescape(
    text: str,
    decode: Callable[[bytes], str] = lambda found: found.decode("utf-8", "replace"),
    escaping: str = "\\",
    delimiters: Mapping[str, str] = _DELIMITERS,
) -> str:
    r"""Undoes `escape`, and lays out what formatting sequences ask for: a line end or a space, never nothing.

    decode : of the bytes of `\X..\`, which are in the message's character set. delimiters : the message's own, by their
    escape letter. Highlighting (`\H\`, `\N\`) has no text; a local sequence (`\Z..\`) parts words.

    Source: HL7 v2.5.1 2.7.
    """

    def character(match: re.Match[str]) -> str:
        if match[1]:
            return decode(bytes.fromhex(re.sub(f"{re.escape(escaping)}X?", "", match[1])))
        sequence = match[2]
        if sequence[0] == ".":
            lines = int(re.sub(r"\D", "", sequence) or 1) if sequence[:3].lower() == ".sp" else 1
            return "\n" * min(max(lines, 1), 3) if sequence[:3].lower() in _LINE_ENDS else " "
        return delimiters.get(sequence, "" if sequence in "HNP" else " ")

    return _sequences(escaping).sub(character, text) if escaping else text


def switches_as_bytes(body: bytes, escaping: str) -> bytes:
    r"""Returns a message with the designations that `\Cxxyy\` and `\Mxxyyzz\` stand for. Source: HL7 v2.5.1 2.7.3."""
    if not escaping:
        return body
    mark = re.escape(escaping).encode("latin-1")

    def designation(match: re.Match[bytes]) -> bytes:
        return b"\x1b" + bytes.fromhex(match[1][1:].decode("ascii")) if match[1][:1] in b"CM" else match[0]

    return re.sub(mark + b"(" + _SEQUENCE.encode("ascii") + b")" + mark, designation, body)


def switch_in(text: str, escaping: str) -> str:
    """Returns the first sequence of decoded text that switches the character set; empty where none does."""
    found = (match[2] or "" for match in _sequences(escaping).finditer(text)) if escaping else ()
    return next((sequence for sequence in found if sequence[:1] in ("C", "M")), "")


def header_of(parties: Sequence[str], at: datetime, kind: str, control_id: str, form: Form) -> str:
    accept, application = _MODES[form.mode]
    name = "UNICODE" if form.character_set == "UNICODE UTF-8" and form.version != "2.5.1" else form.character_set
    extra = {14: accept, 15: application, 17: name}
    header = msh(parties, at, kind, control_id, form.processing_id, form.version, extra)
    return header if form.character_set == "UNICODE UTF-8" else fitted(header, form.character_set)


def msh(
    parties: Sequence[str],
    at: datetime,
    kind: str,
    control_id: str,
    processing_id: str,
    version: str,
    extra: Mapping[int, str] | None = None,
) -> str:
    fields = dict(zip((2, 3, 4, 5), map(escape, parties), strict=True))
    # MSH-1 is the separator itself, so every field is at the index before its number.
    rest = {1: r"^~\&", 6: time_text(at), 8: kind, 9: escape(control_id), 10: processing_id, 11: version}
    return segment_of("MSH", {**fields, **rest, **(extra if extra is not None else {17: "UNICODE UTF-8"})})


def segment_of(name: str, fields: Mapping[int, str]) -> str:
    last = max((number for number, value in fields.items() if value), default=0)
    return "|".join([name, *(fields.get(number, "") for number in range(1, last + 1))])


def join_components(*components: str) -> str:
    return "^".join(escape(component) for component in components).rstrip("^")


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return f"\\{_ESCAPES[character]}\\"
    return f"\\X{ord(character):02X}\\" if ord(character) < 0x20 or ord(character) == 0x7F else character


def fitted(text: str, character_set: CharacterSet) -> str:
    """Fits `text` to the character set: drops accents if the letter is in it; any other character becomes `?`."""
    encoding = _ENCODINGS[character_set]

    def fit(character: str) -> str:
        for candidate in (character, unicodedata.normalize("NFKD", character)):
            plain = "".join(c for c in candidate if not unicodedata.combining(c))
            for attempt in (candidate, plain):
                try:
                    attempt.encode(encoding)
                except UnicodeEncodeError:
                    continue
                # Decomposing may yield a delimiter (from a full-width bar), which has to be escaped.
                return attempt if attempt == character else escape(attempt)
        return "?"

    return "".join(map(fit, text))


def checked_message(segments: Sequence[str], form: Form) -> bytes:
    # Loaded by those who write messages only: its tables take as long as many a command.
    from hl7apy.consts import VALIDATION_LEVEL
    from hl7apy.exceptions import HL7apyException
    from hl7apy.parser import parse_message

    message = encoded_segments(segments, _ENCODINGS[form.character_set])
    try:
        text = message.decode(_ENCODINGS[form.character_set])
        parse_message(text, validation_level=VALIDATION_LEVEL.STRICT).validate()
    except HL7apyException as error:
        # hl7apy's message may quote the wrong value, which may be a name.
        raise Hl7Error(
            f"The message is not valid HL7 v{form.version} ({type(error).__name__}); nothing was built."
        ) from None
    return message


def encoded_segments(segments: Sequence[str], encoding: str = "utf-8") -> bytes:
    try:
        return "".join(f"{segment}\r" for segment in segments).encode(encoding)
    except UnicodeEncodeError:
        raise Hl7Error("A field holds half of a character pair, which is not Unicode text; correct it.") from None


def split(message: bytes) -> list[list[str]]:
    # If a receiver answers in another character set, only its text suffers, never codes and control ids.
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


def field_at(segment: Sequence[str], number: int) -> str:
    place = number - 1 if segment[0] == "MSH" else number
    return segment[place] if place < len(segment) else ""


def short_digest(parts: Sequence[object], length: int) -> str:
    content = json.dumps(parts, ensure_ascii=True).encode("ascii")
    return base64.b32encode(hashlib.sha256(content).digest()).decode("ascii")[:length]


def day_text(day: date) -> str:
    return f"{day.year:04}{day.month:02}{day.day:02}"


def time_text(at: datetime) -> str:
    if at.utcoffset() is None:
        raise Hl7Error("The time of the message has no offset from UTC; pass an aware datetime.")
    return day_text(at) + at.strftime("%H%M%S%z")[:11]
