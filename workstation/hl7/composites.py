"""Fields with components that are carried from a message that came to one that goes: as plain text between.

Components are parted by `^` and subcomponents by `&`; a delimiter that was in the text itself is a space.
Source: HL7 v2.5.1 2.5 (delimiters), 2.A.53 (PL), 2.A.86 (XCN).
"""

import re

from dicom_io.person_names import NameGroup
from workstation.hl7.names import NPI_AUTHORITY, Physician
from workstation.hl7.reader import Segment
from workstation.hl7.syntax import escape

# PL in v2.3 and v2.3.1 ends at PL.9; IS, and HD.1 with it, holds 20 characters (HL7 v2.5.1 2.A).
_PL_COMPONENTS, _PL_CHARACTERS = 9, 20
# ST holds 199: what is longer is left out, so that the name of a physician never holds a charge up.
_ST_CHARACTERS = 199
_NPI_DIGITS = re.compile(r"[0-9]{10}")


def composite_of(segment: Segment, number: int, of: str | None = None) -> str:
    """Returns a field's first repetition, or `of`, with the delimiters above."""
    first = of if of is not None else next(iter(segment.repetitions(number)), "")
    parts = []
    for component in range(1, len(segment.components(first)) + 1):
        pieces = [_part(segment, number, component, first, subcomponent) for subcomponent in range(1, 5)]
        parts.append("&".join(pieces).rstrip("&"))
    return "^".join(parts).rstrip("^")


def physician_in(segment: Segment, number: int) -> Physician | None:
    """Returns the physician of a field (XCN): its first identifier, with the NPI of whichever repetition has one."""
    repetitions = segment.repetitions(number)
    if not repetitions or not segment.text(number):
        return None
    first = repetitions[0]
    family, given, middle, suffix, prefix = (_part(segment, number, n, first) for n in range(2, 7))
    npi = next((segment.text(number, 1, each) for each in repetitions if _is_npi(segment, number, each)), "")
    authority = "&".join(_part(segment, number, 9, first, subcomponent) for subcomponent in (1, 2, 3)).rstrip("&")
    name = NameGroup(family, given, middle, prefix, suffix).pn
    return Physician(segment.text(number), _fitting(name), _fitting(authority), npi)


def _fitting(text: str) -> str:
    return text if len(escape(text)) <= _ST_CHARACTERS else ""


def location_text(stated: str) -> str:
    """Writes a location that a message stated, as PL; empty where a part of it is longer than PL holds."""
    parts = [part.split("&") for part in stated.split("^")[:_PL_COMPONENTS]]
    if any(len(escape(piece)) > _PL_CHARACTERS for part in parts for piece in part):
        return ""
    return "^".join("&".join(map(escape, part)) for part in parts).rstrip("^")


def _part(segment: Segment, number: int, component: int, of: str, subcomponent: int = 1) -> str:
    text = segment.text(number, component, of, subcomponent)
    return " ".join(text.translate(str.maketrans("^&=", "   ")).split())


def _is_npi(segment: Segment, number: int, of: str) -> bool:
    if not _NPI_DIGITS.fullmatch(segment.text(number, 1, of)):
        return False
    said = segment.text(number, 13, of), segment.text(number, 9, of), segment.text(number, 9, of, 2)
    return said[0] == "NPI" or said[1] == NPI_AUTHORITY[0] or said[2] == NPI_AUTHORITY[1]
