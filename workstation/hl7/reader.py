"""Reads received HL7 v2 messages field by field, of any version and with any delimiters and character set."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from workstation.hl7.syntax import Hl7Error, unescape

# HL7 table 0211. Without a known name, text is read as UTF-8 if that works, else as ISO 8859-1, in which every byte is
# a character.
_ENCODINGS = {
    "ASCII": "ascii",
    "8859/1": "iso-8859-1",
    "8859/2": "iso-8859-2",
    "8859/5": "iso-8859-5",
    "8859/7": "iso-8859-7",
    "8859/9": "iso-8859-9",
    "8859/15": "iso-8859-15",
    "UNICODE": "utf-8",
    "UNICODE UTF-8": "utf-8",
    "ISO IR87": "iso2022_jp",
    "GB 18030-2000": "gb18030",
    "BIG-5": "big5",
}
# What begins and ends files and batches of messages. Source: HL7 v2.5.1 2.10.3.
_ENVELOPES = (b"FHS", b"BHS", b"BTS", b"FTS")
# HL7 v2.5.1 2.A.88 TS: YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ]
_TIME = re.compile(r"(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:\.(\d{1,6}))?([+-]\d{4})?")


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment: its name and its fields, unchanged. Fields are numbered as in the standard."""

    fields: tuple[str, ...]
    component: str
    repetition: str
    subcomponent: str
    escaping: str

    @property
    def name(self) -> str:
        """The segment's name of three letters."""
        return self.fields[0]

    def raw(self, number: int) -> str:
        """Returns a field unchanged; empty where there is none."""
        place = number - 1 if self.name == "MSH" else number
        return self.fields[place] if place < len(self.fields) else ""

    def repetitions(self, number: int) -> tuple[str, ...]:
        """Returns the repetitions of a field, unchanged."""
        found = self.raw(number)
        return tuple(found.split(self.repetition)) if found and self.repetition else (found,) if found else ()

    def text(self, number: int, component: int = 1, of: str | None = None) -> str:
        """Returns a component (its first subcomponent) of the field's first repetition, or of `of`, as plain text.

        Two double quotes, which delete a value (HL7 v2.5.1 2.5.3), read as empty.
        """
        first = of if of is not None else next(iter(self.repetitions(number)), "")
        parts = first.split(self.component) if self.component else [first]
        if component > len(parts):
            return ""
        part = parts[component - 1]
        plain = self._plain(part.split(self.subcomponent)[0] if self.subcomponent else part).strip()
        return "" if plain == '""' else plain

    def whole(self, number: int) -> str:
        """Returns a field of free text, each repetition on a line of its own."""
        return "\n".join(self._plain(repetition) for repetition in self.repetitions(number))

    def _plain(self, part: str) -> str:
        # The letters of escape sequences do not depend on the sender's delimiters; only the escape character does.
        standard = part if self.escaping == "\\" else part.replace(self.escaping, "\\") if self.escaping else part
        # Formatted text has its own sequences for line breaks. HL7 v2.5.1 2.7.6.
        return unescape(re.sub(r"\\\.(?:br|sp\+?\d*|ce)\\", "\n", standard))


@dataclass(frozen=True, slots=True)
class Incoming:
    """A received message."""

    segments: tuple[Segment, ...]

    @property
    def header(self) -> Segment:
        """The MSH segment."""
        return self.segments[0]

    @property
    def kind(self) -> str:
        """Message code and trigger event: `ORM^O01`."""
        return f"{self.header.text(9, 1)}^{self.header.text(9, 2)}"

    @property
    def control_id(self) -> str:
        """MSH-10."""
        return self.header.text(10)

    def first(self, name: str) -> Segment | None:
        """Returns the first segment of a name, None where there is none."""
        return next(self.all(name), None)

    def all(self, *names: str) -> Iterator[Segment]:
        """Yields the segments of these names, in their order."""
        return (segment for segment in self.segments if segment.name in names)

    def groups(self, name: str) -> Iterator[Sequence[Segment]]:
        """Yields each segment of a name with all that follow it until the next of that name."""
        group: list[Segment] = []
        for segment in self.segments:
            if segment.name == name:
                if group:
                    yield group
                group = [segment]
            elif group:
                group.append(segment)
        if group:
            yield group


def first_message(body: bytes) -> bytes:
    """Return the first message of a body that holds several: from its MSH to the next one or the end of the batch."""
    kept: list[bytes] = []
    for line in _ends(body).split(body):
        name = line.lstrip(b"\n")[:3]
        if name in _ENVELOPES or (kept and name == b"MSH"):
            if kept:
                break
        elif kept or name == b"MSH":
            kept.append(line)
    return b"\r".join(kept)


def _ends(body: bytes) -> re.Pattern[bytes]:
    """What ends a segment: CR (HL7 v2.5.1 2.5.1), with the line feed that some writers put behind it. A line feed alone
    is text; only a body without any CR, a file as editors write them, has its segments ended by line feeds."""
    return re.compile(rb"\r\n?" if b"\r" in body else rb"\n")


def _whole(body: bytes) -> None:
    """Raises Hl7Error for a body that holds anything but one message: whose report is whose could not be told."""
    names = [line.lstrip(b"\n\xef\xbb\xbf")[:3] for line in _ends(body).split(body)]
    envelope = next((name.decode("ascii") for name in names if name in _ENVELOPES), "")
    if envelope:
        raise Hl7Error(
            f"This is a batch (it has {envelope}); batches are not taken. Send each message in a frame of its own."
        )
    count = names.count(b"MSH")
    if count > 1:
        raise Hl7Error(f"This holds {count} messages (MSH) where one is taken; send each in a frame of its own.")


def read_message(body: bytes) -> Incoming:
    """Read a message without its frame.

    Raises
    ------
    Hl7Error
        It has no MSH segment with delimiters, or it is more than one message.
    """
    head = body.lstrip(b"\r\n\xef\xbb\xbf")
    _whole(head)
    if not (head.startswith(b"MSH") and len(head) > 8):
        raise Hl7Error(f"What arrived begins with {head[:3]!r} and has no MSH segment; it is not an HL7 v2 message.")
    separator = chr(head[3])
    if separator.isalnum() or separator.isspace() or head[3] > 0x7F:
        raise Hl7Error(f"What arrived has {separator!r} for a field separator; it is not an HL7 v2 message.")
    text = _decoded(head, separator)
    delimiters = text[4:].split(separator, 1)[0]
    component, repetition, escaping, subcomponent = (*delimiters[:4], *("",) * max(0, 4 - len(delimiters)))
    return Incoming(
        tuple(
            Segment(tuple(line.split(separator)), component, repetition, subcomponent, escaping)
            for line in re.split(r"\r\n?" if "\r" in text else r"\n", text)
            if line.strip()
        )
    )


def read_time(text: str, zone: tzinfo) -> datetime | None:
    """Reads an HL7 time as an aware datetime; None when it is no time. zone : for times without offset."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    seconds = f"{year}{month or '01'}{day or '01'}{hour or '00'}{minute or '00'}{second or '00'}"
    try:
        at = datetime.strptime(seconds, "%Y%m%d%H%M%S").replace(microsecond=int((fraction or "0").ljust(6, "0")))
        where = datetime.strptime(offset, "%z").tzinfo if offset else zone
    except ValueError:
        return None
    return at.replace(tzinfo=where)


def _decoded(body: bytes, separator: str) -> str:
    first = _ends(body).split(body, 1)[0].split(separator.encode("latin-1"))
    # The first repetition of MSH-18 is the default character set of the message.
    named = first[17].decode("ascii", "replace").split("~")[0].strip().upper() if len(first) > 17 else ""
    for encoding in (_ENCODINGS.get(named, "utf-8"), "utf-8"):
        try:
            return body.decode(encoding)
        except UnicodeDecodeError:
            continue
    return body.decode("iso-8859-1")
