"""Character sets of received messages: the names of HL7 table 0211, and switching between them by ISO 2022.

A message is decoded before it is parted at its separators: in GB 18030, Big5 and two-byte JIS the byte of a separator
may be half of a character. Source: HL7 v2.5.1 2.14.9.18 (MSH-18), 2.14.9.20, table 0211; ISO/IEC 2022; RFC 1554.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from workstation.hl7.syntax import Hl7Error, switches_as_bytes

# What a set of 94 x 94 or of 96 characters makes of its bytes from 0xA0 on.
_High = Callable[[bytes], str]


def _codec(name: str) -> _High:
    return lambda run: run.decode(name)


def _each(before: bytes, width: int) -> _High:
    """Decodes by EUC-JP, which has its half-width katakana and its supplementary kanji behind a byte of their own."""
    return lambda run: b"".join(before + run[at : at + width] for at in range(0, len(run), width)).decode("euc_jp")


_KATAKANA, _KANJI, _KANJI_2 = _each(b"\x8e", 1), _codec("euc_jp"), _each(b"\x8f", 2)
_HANGUL, _HANZI = _codec("euc_kr"), _codec("gb2312")
# HL7 v2.5.1 table 0211, and what v2.8.2 adds to it: sets between which a message may switch, with their upper half.
_SWITCHING: Mapping[str, _High] = {
    "ASCII": _codec("ascii"),
    "ISO IR6": _codec("ascii"),
    **{f"8859/{part}": _codec(f"iso-8859-{part}") for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
    "ISO IR14": _KATAKANA,
    "ISO IR87": _codec("ascii"),
    "ISO IR159": _codec("ascii"),
    "JAS2020": _codec("ascii"),
    "JIS X 0202": _codec("ascii"),
    "KS X 1001": _HANGUL,
}
# Sets without switching. UNICODE has no encoding form in v2.3; receivers read it as UTF-8. The last two are in no table
# of HL7, but systems write them.
_WHOLE: Mapping[str, str] = {
    "UNICODE": "utf-8",
    "UNICODE UTF-8": "utf-8",
    "GB 18030-2000": "gb18030",
    "BIG-5": "big5",
    "SHIFT JIS": "shift_jis",
    "WINDOWS-1252": "cp1252",
}
CHARACTER_SETS = (*_SWITCHING, *_WHOLE)
# Table 0211 has them, and they cannot be read here, for this reason.
_UNREADABLE = {
    "UNICODE UTF-16": "its bytes would be those that frame messages; send UNICODE UTF-8",
    "UNICODE UTF-32": "its bytes would be those that frame messages; send UNICODE UTF-8",
    "CNS 11643-1992": "there is no table of it here; send UNICODE UTF-8 or BIG-5",
}
# Designations of G0 (bytes below 0x80) and of G1 (from 0xA0 on). Source: ISO-IR registry.
# JIS X 0201 (J) is read as ASCII: its yen sign and overline are where HL7 has backslash and tilde.
_G0: Mapping[bytes, tuple[_High | None, int]] = {
    b"(B": (None, 1),
    b"(J": (None, 1),
    b"(I": (_KATAKANA, 1),
    b"$@": (_KANJI, 2),
    b"$B": (_KANJI, 2),
    b"$(B": (_KANJI, 2),
    b"$(D": (_KANJI_2, 2),
    b"$(C": (_HANGUL, 2),
    b"$A": (_HANZI, 2),
    b"$(A": (_HANZI, 2),
}
_G1: Mapping[bytes, _High] = {
    b")I": _KATAKANA,
    b"$)B": _KANJI,
    b"$)C": _HANGUL,
    b"$)A": _HANZI,
    **{
        b"-" + final: _codec(f"iso-8859-{part}")
        for part, final in zip((1, 2, 3, 4, 5, 6, 7, 8, 9, 15), (b"A B C D L G F H M b".split()), strict=True)
    },
}
_DESIGNATION = re.compile(rb"\x1b([ -/]*[0-~])")


@dataclass(frozen=True, slots=True)
class TextEncoding:
    """How the bytes of a message are text. name : one of `CHARACTER_SETS`."""

    name: str

    def decode(self, body: bytes, escaping: str = "\\") -> str:
        r"""Decodes `body`, without regard to segments or separators. escaping : the message's escape character.

        Where the set may switch, `\Cxxyy\` and `\Mxxyyzz\` are the designations that they stand for.

        Raises
        ------
        Hl7Error
            It switches to a set that is not known, or not at all where the set cannot switch.
        UnicodeDecodeError
            A byte is no character of the set.
        """
        if self.name in _WHOLE:
            return body.decode(_WHOLE[self.name])
        body = switches_as_bytes(body, escaping)
        high = _SWITCHING[self.name]
        if b"\x1b" not in body:
            return _run(body, None, 1, high)
        return "".join(_line(line, high) for line in re.split(rb"(?<=\r)", body))


UTF_8 = TextEncoding("UNICODE UTF-8")


def encoding_named(name: str) -> TextEncoding:
    """Return the encoding of a name in MSH-18.

    Raises
    ------
    Hl7Error
        It is not known, or cannot be read here.
    """
    plain = " ".join(name.upper().split())
    if plain in _UNREADABLE:
        raise Hl7Error(f"MSH-18 is {plain}, which cannot be read here: {_UNREADABLE[plain]}.")
    if plain not in CHARACTER_SETS:
        raise Hl7Error(
            f"MSH-18 is {name[:30]!r}, which is no character set of HL7 table 0211 that is known here; have the sender "
            "name its set, or say in `reading.character_set` how its text is read."
        )
    return TextEncoding(plain)


def _line(line: bytes, high: _High) -> str:
    """A segment. Each begins in the message's own set, whatever the one before switched to."""
    found: list[str] = []
    low: _High | None = None
    width, upper = 1, high
    for index, part in enumerate(_DESIGNATION.split(line)):
        if not index % 2:
            found.append(_run(part, low, width, upper))
        elif part in _G0:
            low, width = _G0[part]
        elif part in _G1:
            upper = _G1[part]
        else:
            raise Hl7Error(
                f"The text switches to a character set that is not known here (ESC {part[:4].hex(' ').upper()}); have "
                "the sender name and use a set of HL7 table 0211."
            )
    return "".join(found)


def _run(part: bytes, low: _High | None, width: int, high: _High) -> str:
    """Text in one state: characters below 0x80 from one set, the others from another, controls and spaces from none."""
    if low is None and part.isascii():
        return part.decode("ascii")
    if low is None and high is not _KATAKANA:
        # Latin, Greek, … and EUC-KR have ASCII in their lower half.
        return high(part)
    pieces = re.findall(rb"[\x00-\x20\x7f]+|[\x21-\x7e]+|[\x80-\xff]+", part)
    found: list[str] = []
    for piece in pieces:
        if piece[0] >= 0x80:
            found.append(high(piece))
        elif low is None or piece[0] <= 0x20 or piece[0] == 0x7F:
            found.append(piece.decode("ascii"))
        elif len(piece) % width:
            raise UnicodeDecodeError("iso2022", piece, len(piece) - 1, len(piece), "half of a character")
        else:
            found.append(low(bytes(byte | 0x80 for byte in piece)))
    return "".join(found)
