"""The words of a report in Rich Text Format, in one pass whatever it holds.

Libraries for this match fields and font tables with expressions that backtrack: a document of 66 kB may take a minute.
What is hidden, deleted, or about the document (fonts, styles, headers) is no word of it. Source: RTF 1.9.1.
"""

import codecs
import re
from dataclasses import dataclass, replace

from workstation.errors import WorkstationError

_TOKEN = re.compile(
    r"\\(?P<word>[A-Za-z]{1,32})(?P<number>-?\d{1,10})? ?|\\'(?P<hex>[0-9A-Fa-f]{2})|\\(?P<symbol>[^A-Za-z])"
    r"|(?P<brace>[{}])|[\r\n]+|(?P<text>[^\\{}\r\n]+)"
)
_WORDS = {
    **dict.fromkeys(("par", "line", "row", "nestrow", "sect", "page", "column"), "\n"),
    **dict.fromkeys(("tab", "cell", "nestcell", "emspace", "enspace", "qmspace"), " "),
    "emdash": "—", "endash": "–", "bullet": "•", "lquote": "‘", "rquote": "’", "ldblquote": "“", "rdblquote": "”",
}  # fmt: skip
_SYMBOLS = {"\\": "\\", "{": "{", "}": "}", "~": " ", "_": "-", "\n": "\n", "\r": "\n", "\t": " "}
# Destinations whose text is not the report's. Those behind \* are left out as well.
_NOT_TEXT = frozenset(
    "fonttbl colortbl stylesheet info pict object header headerl headerr headerf footer footerl footerr footerf "
    "filetbl listtable listoverridetable rsidtbl revtbl generator themedata datastore latentstyles fldinst xmlnstbl "
    "pntext bkmkstart bkmkend annotation atnid atnauthor".split()
)
# \fcharset of a font to its code page.
_CHARSETS = {0: 1252, 128: 932, 129: 949, 134: 936, 136: 950, 161: 1253, 162: 1254, 163: 1258, 177: 1255, 178: 1256,
             186: 1257, 204: 1251, 222: 874, 238: 1250}  # fmt: skip
_DEEPEST = 500


class RtfError(WorkstationError):
    """A document that is no RTF, is cut off, or has characters that cannot be told."""


@dataclass(frozen=True, slots=True)
class _Group:
    silent: bool = False
    hidden: bool = False
    fallback: int = 1
    font: int = -1


def is_rtf(text: str) -> bool:
    """Whether a text is the beginning of an RTF document."""
    return text.lstrip().startswith("{\\rtf")


def is_complete(text: str) -> bool:
    """Whether every group of an RTF document is closed, so that nothing of it is still to come."""
    plain = re.sub(r"\\.", "", text, flags=re.DOTALL)
    return plain.count("{") <= plain.count("}")


def rtf_text(text: str) -> str:
    """Return the words of an RTF document.

    Raises
    ------
    RtfError
        It is no RTF, or damaged; what was read of it is not returned, since a sentence may have lost its end.
    """
    if not is_rtf(text):
        raise RtfError("It does not begin as RTF.")
    reader = _Reader()
    place = text.index("{")
    while place < len(text) and not reader.ended:
        token = _TOKEN.match(text, place)
        if token is None:
            raise RtfError("It ends within a control word.")
        place = token.end()
        if token["word"] == "bin":
            place += max(int(token["number"] or 0), 0)
            continue
        reader.take(token)
    if not reader.ended:
        raise RtfError("It is cut off: a group is not closed.")
    return reader.words()


class _Reader:
    """Collects text while groups open and close."""

    def __init__(self) -> None:
        self._stack: list[_Group] = []
        self._group = _Group()
        self._found: list[str] = []
        self._bytes = bytearray()
        self._skipped = 0
        self._page = 1252
        self._fonts: dict[int, int] = {}
        self.ended = False

    def words(self) -> str:
        """Everything, with halves of characters beyond the first plane put together."""
        return "".join(self._found).encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def take(self, token: re.Match[str]) -> None:
        if token["hex"] is None:
            self._decode()
        if token["brace"] is not None:
            self._brace(token["brace"])
        elif token["word"] is not None:
            self._word(token["word"], token["number"])
        elif token["hex"] is not None:
            if self._skipped:
                self._skipped -= 1
            else:
                self._bytes.append(int(token["hex"], 16))
        elif token["symbol"] is not None:
            if token["symbol"] == "*":
                self._group = replace(self._group, silent=True)
            self._say(_SYMBOLS.get(token["symbol"], ""))
        elif token["text"] is not None:
            passed = min(self._skipped, len(token["text"]))
            self._skipped -= passed
            self._say(token["text"][passed:])

    def _brace(self, brace: str) -> None:
        self._skipped = 0
        if brace == "{":
            if len(self._stack) >= _DEEPEST:
                raise RtfError(f"It has more than {_DEEPEST} groups within each other.")
            self._stack.append(self._group)
        else:
            self._group = self._stack.pop()
            self.ended = not self._stack

    def _word(self, word: str, number: str | None) -> None:
        self._skipped = 0
        value = int(number) if number is not None else None
        if word in _NOT_TEXT:
            self._group = replace(self._group, silent=True)
        elif word in ("v", "deleted"):
            self._group = replace(self._group, hidden=value != 0)
        elif word == "plain":
            self._group = replace(self._group, hidden=False)
        elif word == "uc" and value is not None:
            self._group = replace(self._group, fallback=max(value, 0))
        elif word == "f" and value is not None:
            self._group = replace(self._group, font=value)
        elif word == "fcharset" and value in _CHARSETS:
            self._fonts[self._group.font] = _CHARSETS[value]
        elif word == "ansicpg" and value is not None:
            self._page = value
        elif word == "u" and value is not None:
            if not -0x8000 <= value <= 0xFFFF:
                raise RtfError("It has a character that is not Unicode.")
            self._say(chr(value & 0xFFFF))
            self._skipped = self._group.fallback
        else:
            self._say(_WORDS.get(word, ""))

    def _say(self, text: str) -> None:
        if text and not self._group.silent and not self._group.hidden:
            self._found.append(text)

    def _decode(self) -> None:
        if not self._bytes:
            return
        page = self._fonts.get(self._group.font, self._page)
        name = "utf-8" if page == 65001 else f"cp{page}"
        try:
            text = bytes(self._bytes).decode(codecs.lookup(name).name)
        except LookupError:
            raise RtfError(f"Its code page {page} is not known here.") from None
        except UnicodeDecodeError:
            raise RtfError(f"It has a byte that is no character of code page {page}.") from None
        self._bytes.clear()
        self._say(text)
