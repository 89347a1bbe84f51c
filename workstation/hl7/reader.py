"""Reads received HL7 v2 messages field by field, of any version and with any delimiters and character set."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from workstation.hl7.character_sets import UTF_8, TextEncoding, encoding_named
from workstation.hl7.syntax import Hl7Error, switch_in, unescape

# What begins and ends files and batches of messages. Source: HL7 v2.5.1 2.10.3.
_ENVELOPES = (b"FHS", b"BHS", b"BTS", b"FTS")
# HL7 v2.5.1 2.A.88 TS: YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ]
_TIME = re.compile(r"(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:\.(\d{1,6}))?([+-]\d{4})?")


@dataclass(frozen=True, slots=True)
class Delimiters:
    """Separators and escape character of a message (MSH-1, MSH-2); those that it leaves out are empty."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escaping: str = "\\"
    subcomponent: str = "&"

    @property
    def by_letter(self) -> dict[str, str]:
        """By the letter of their escape sequence. Source: HL7 v2.5.1 2.7.1."""
        return dict(zip("FSRET", self.in_order, strict=True))

    @property
    def in_order(self) -> tuple[str, ...]:
        """As MSH has them."""
        return self.field, self.component, self.repetition, self.escaping, self.subcomponent


STANDARD = Delimiters()


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment: its name and its fields, unchanged. Fields are numbered as in the standard.

    encoding : of the message, for what is escaped in hexadecimal or encapsulated.
    """

    fields: tuple[str, ...]
    delimiters: Delimiters = STANDARD
    encoding: TextEncoding = UTF_8

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
        found, separator = self.raw(number), self.delimiters.repetition
        return tuple(found.split(separator)) if found and separator else (found,) if found else ()

    def components(self, of: str, most: int = -1) -> list[str]:
        """Returns the components of a field or repetition, unchanged; the last of `most` keeps its separators."""
        return of.split(self.delimiters.component, most - 1 if most > 0 else -1) if self.delimiters.component else [of]

    def text(self, number: int, component: int = 1, of: str | None = None, subcomponent: int = 1) -> str:
        """Returns a subcomponent of a component of the field's first repetition, or of `of`, as plain text.

        Two double quotes, which delete a value (HL7 v2.5.1 2.5.3), read as empty.
        """
        first = of if of is not None else next(iter(self.repetitions(number)), "")
        parts = self.components(first)
        if component > len(parts):
            return ""
        part, separator = parts[component - 1], self.delimiters.subcomponent
        pieces = part.split(separator) if separator else [part]
        plain = self.plain(pieces[subcomponent - 1]).strip() if subcomponent <= len(pieces) else ""
        return "" if plain == '""' else plain

    def whole(self, number: int) -> str:
        """Returns a field of free text, each repetition on a line of its own."""
        return "\n".join(self.plain(repetition) for repetition in self.repetitions(number))

    def plain(self, part: str) -> str:
        """Returns a part of a field without its escape sequences."""
        return unescape(part, self._hexadecimal, self.delimiters.escaping, self.delimiters.by_letter)

    def _hexadecimal(self, found: bytes) -> str:
        try:
            return self.encoding.decode(found).replace("\0", "")
        except (UnicodeDecodeError, Hl7Error):
            return found.decode("ascii", "replace")


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


def read_message(body: bytes, character_set: str = "") -> Incoming:
    """Read a message without its frame.

    character_set : how text is read where MSH-18 is empty, unknown or wrong (`CHARACTER_SETS`); where this is empty
    too, a message without MSH-18 is UTF-8 if that works, else ISO 8859-1, in which every byte is a character.

    Raises
    ------
    Hl7Error
        It has no MSH segment with delimiters, it is more than one message, or its characters cannot be told.
    """
    head = body.lstrip(b"\r\n\xef\xbb\xbf")
    _whole(head)
    if not (head.startswith(b"MSH") and len(head) > 8):
        raise Hl7Error(f"What arrived begins with {head[:3]!r} and has no MSH segment; it is not an HL7 v2 message.")
    separator = chr(head[3])
    if separator.isalnum() or separator.isspace() or head[3] > 0x7F:
        raise Hl7Error(f"What arrived has {separator!r} for a field separator; it is not an HL7 v2 message.")
    fields = _ends(head).split(head, 1)[0].decode("latin-1").split(separator)
    delimiters = _delimiters(separator, fields[1])
    named = fields[17] if len(fields) > 17 else ""
    # The message begins in the set of the first repetition; the others are switched to. HL7 v2.5.1 2.14.9.18.
    named = (named.split(delimiters.repetition)[0] if delimiters.repetition else named).strip()
    text, encoding = _decoded(head, named if named != '""' else "", character_set, delimiters.escaping)
    return Incoming(
        tuple(
            Segment(tuple(line.split(separator)), delimiters, encoding)
            for line in re.split(r"\r\n?" if "\r" in text else r"\n", text)
            if line.strip()
        )
    )


def _delimiters(separator: str, characters: str) -> Delimiters:
    """The delimiters of MSH-2. A letter, a figure or what is beyond ASCII could not be told from text: it is none."""
    usable = [each if each.isascii() and not each.isalnum() and each != separator else "" for each in characters[:4]]
    component, repetition, escaping, subcomponent = (*usable, *("",) * (4 - len(usable)))
    return Delimiters(separator, component, repetition, escaping, subcomponent)


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


def _decoded(body: bytes, named: str, otherwise: str, escaping: str) -> tuple[str, TextEncoding]:
    wrong = ""
    for encoding in _encodings(body, named, otherwise):
        try:
            text = encoding.decode(body, escaping)
        except UnicodeDecodeError as error:
            wrong = wrong or f"MSH-18 is {named}, but the byte {_byte(error)} is no character of it"
            continue
        switch = switch_in(text, escaping)
        if switch:
            raise Hl7Error(
                f"The text switches to another character set ({switch}), which a message in {encoding.name} cannot do; "
                "have the sender name its sets in MSH-18."
            )
        return text, encoding
    raise Hl7Error(f"{wrong}; have the sender name its set, or say in `reading.character_set` how its text is read.")


def _byte(error: UnicodeDecodeError) -> str:
    """The byte that could not be decoded, for people."""
    return f"0x{error.object[error.start]:02X}"


def _encodings(body: bytes, named: str, otherwise: str) -> list[TextEncoding]:
    """What to decode by, one after another."""
    other = [encoding_named(otherwise)] if otherwise else []
    if named:
        try:
            return [encoding_named(named), *other]
        except Hl7Error:
            if not other:
                raise
    if other:
        return other
    # Without a name it is ASCII, which may switch; what is more than ASCII has to be guessed.
    switching = [TextEncoding("ASCII")] if b"\x1b" in body and body.isascii() else []
    return [*switching, UTF_8, TextEncoding("8859/1")]
