"""The text of reports in messages: plain, encapsulated or RTF; and what coded observations state.

What cannot be read as text is never passed over in silence: its place and kind are kept, and say why a case waits.
"""

import base64
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from workstation.errors import WorkstationError
from workstation.hl7.reader import Incoming, Segment
from workstation.orders.rtf import RtfError, is_complete, is_rtf, rtf_text
from workstation.reading import Reading, ReportFact

# HL7 table 0085 and 0136: what says yes in an observation.
_YES = ("Y", "YES", "TRUE", "1")
# HL7 table 0191 (type of referenced data) and 0291 (subtype), with the names that systems use for plain text.
_TEXT_TYPES, _TEXT_SUBTYPES = ("TEXT", "TX", "TXT", "FT"), ("", "PLAIN", "TEXT", "TXT", "BASIC")
_PDF_IN_BASE64 = "JVBERi0"


class _UnreadError(WorkstationError):
    """A value that is no text that can be read here."""


@dataclass(frozen=True, slots=True)
class ReportText:
    """What a report says in words. unread : place and kind of every part that could not be read as text."""

    text: str
    unread: tuple[str, ...] = ()


def coded_facts(message: Incoming, reading: Reading) -> frozenset[ReportFact]:
    """The facts that coded observations state."""
    return frozenset(
        reading.observations[obx.text(3)]
        for obx in message.all("OBX")
        if stands(obx) and obx.text(3) in reading.observations and obx.text(5).upper() in _YES
    )


def stands(segment: Segment) -> bool:
    """Whether an observation says anything: not one that is deleted, wrong, not asked for, pending, or cannot be had.

    Source: HL7 v2.5.1 table 0085 (OBX-11).
    """
    return segment.name != "OBX" or segment.text(11) not in ("D", "W", "X", "N", "I")


def text_of(segments: Iterable[Segment]) -> ReportText:
    """Return the text of observations and notes that stand, in their order, one below the other."""
    found: list[str] = []
    unread: list[str] = []
    rtf: tuple[str, str] | None = None  # where a document began, and what there is of it
    for place, value in _values(segments, unread):
        if rtf is not None:
            rtf = rtf[0], f"{rtf[1]}\n{value}"
        elif is_rtf(value):
            rtf = place, value
        else:
            found.append(value)
        if rtf is not None and is_complete(rtf[1]):
            _take_rtf(*rtf, found, unread)
            rtf = None
    if rtf is not None:
        _take_rtf(*rtf, found, unread)
    return ReportText("\n".join(found), tuple(unread))


def _take_rtf(place: str, document: str, found: list[str], unread: list[str]) -> None:
    try:
        found.append(rtf_text(document))
    except RtfError as error:
        unread.append(f"{place}: RTF that cannot be read. {error}")


def _values(segments: Iterable[Segment], unread: list[str]) -> Iterator[tuple[str, str]]:
    """Place and text of each value; what is no text goes to `unread`."""
    for segment in segments:
        if not stands(segment):
            continue
        place = f"{segment.name} {segment.text(1)[:8]}".strip()
        if segment.name == "NTE":
            yield place, segment.whole(3)
        elif segment.text(2) != "ED":
            try:
                yield place, _plain(segment)
            except _UnreadError as error:
                unread.append(f"{place}: {error}")
        else:
            for repetition in segment.repetitions(5):
                try:
                    yield place, _encapsulated(segment, repetition)
                except _UnreadError as error:
                    unread.append(f"{place}: {error}")


def _plain(obx: Segment) -> str:
    if obx.text(2) == "RP":
        raise _UnreadError("a reference (RP) to a document elsewhere.")
    text = obx.whole(5)
    if text.startswith(("%PDF", _PDF_IN_BASE64)):
        raise _UnreadError("a PDF.")
    if re.match(r"\s*<(\?xml|!doctype|html|ClinicalDocument)\b", text, re.IGNORECASE):
        raise _UnreadError("HTML or XML.")
    return text


def _encapsulated(obx: Segment, value: str) -> str:
    """The text in encapsulated data. Source: HL7 v2.5.1 2.A.24 (ED), tables 0191, 0291, 0299."""
    # Unescaped separators in the data are data: a sentence must not lose its end.
    parts = [*obx.components(value, 5), "", "", "", "", ""][:5]
    kind, subtype, how = (obx.plain(part).strip().upper() for part in parts[1:4])
    named = f"{kind[:20]}/{subtype[:20]}" if subtype else kind[:20] or "data of no type"
    if not parts[4].strip():
        return ""
    if subtype == "PDF":
        raise _UnreadError("a PDF.")
    text = _decoded(obx, obx.plain(parts[4]), how, named)
    if text.startswith("%PDF"):
        raise _UnreadError("a PDF.")
    rich = "RTF" in subtype
    if rich != is_rtf(text):
        if rich:
            raise _UnreadError(f"{named} that is no RTF.")
        return text  # RTF by another name; `text_of` reads it
    if not rich and (kind not in _TEXT_TYPES or subtype not in _TEXT_SUBTYPES):
        raise _UnreadError(f"{named}, which is not read as text.")
    return text


def _decoded(obx: Segment, data: str, how: str, named: str) -> str:
    if how in ("", "A"):
        return data
    if how not in ("BASE64", "HEX"):
        raise _UnreadError(f"{named} in the unknown encoding {how[:20]!r}.")
    packed = re.sub(r"\s+", "", data)
    try:
        content = base64.b64decode(packed, validate=True) if how == "BASE64" else bytes.fromhex(packed)
    except ValueError:
        raise _UnreadError(f"{named} whose {how} is damaged.") from None
    if content.startswith(b"%PDF"):
        raise _UnreadError("a PDF.")
    if content.lstrip().startswith(b"{\\rtf"):
        return content.decode("latin-1")
    try:
        return obx.encoding.decode(content, obx.delimiters.escaping)
    except (UnicodeDecodeError, WorkstationError):
        raise _UnreadError(f"{named} that is not text in the message's character set.") from None
