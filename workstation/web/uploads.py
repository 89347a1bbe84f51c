"""Documents that people upload: of a kind that can be read later, and kept as they came.

A browser's word on the kind is nobody's: the first bytes tell. What can run, or bring scripts, is not taken.
"""

import re
import zlib
from contextlib import suppress
from pathlib import PurePosixPath, PureWindowsPath

from workstation.coder.work_list import WorkError
from workstation.web.call import Call, Uploaded

# First bytes of what is taken, by ending. Source: RFC 8118 (PDF), W3C PNG, ITU-T T.81 (JPEG), TIFF 6.0.
_KINDS: dict[str, tuple[bytes, ...]] = {
    ".pdf": (b"%PDF-",),
    ".png": (b"\x89PNG\r\n\x1a\n",),
    ".jpg": (b"\xff\xd8\xff",),
    ".jpeg": (b"\xff\xd8\xff",),
    ".tif": (b"II*\x00", b"MM\x00*"),
    ".tiff": (b"II*\x00", b"MM\x00*"),
    ".txt": (),
}
# What makes a PDF do things by itself. Source: ISO 32000-1, 12.6.4 (actions).
_ACTIVE = re.compile(rb"/(?:JavaScript|JS|Launch|EmbeddedFiles?|OpenAction|AA|RichMedia|XFA)(?=[\x00\s/<>\[\](){}%])")
# A character of a name may be written as #xx. Source: ISO 32000-1, 7.3.5.
_ESCAPED = re.compile(rb"#([0-9A-Fa-f]{2})")
# Objects may stand packed in streams. Source: ISO 32000-1, 7.5.7.
_PACKED = re.compile(rb"/ObjStm\b[^\0]{0,400}?\bstream\r?\n")
_MOST_PACKED, _PACKED_BYTES, _MOST_UNPACKED = 200, 4 << 20, 64 << 20


def checked_document(call: Call, name: str) -> Uploaded:
    """The document of a form's field, if it is one that is taken. Raises WorkError, with what is wrong with it."""
    found = call.files.get(name)
    if found is None or not found.content:
        raise WorkError(call.tr("An answer needs its document: choose a file."))
    # A browser sends a name, and an attacker a path.
    plain = PurePosixPath(PureWindowsPath(found.name).name).name.strip()
    ending = PurePosixPath(plain).suffix.lower()
    if ending not in _KINDS:
        endings = ", ".join(sorted(_KINDS))
        raise WorkError(call.tr("{name}: documents end in one of {endings}.", name=plain[:80], endings=endings))
    starts = _KINDS[ending]
    if starts and not found.content.startswith(starts):
        raise WorkError(call.tr("{name}: the file is not what its ending says. Nothing was kept.", name=plain[:80]))
    if ending == ".txt" and (b"\x00" in found.content or not _is_text(found.content)):
        raise WorkError(call.tr("{name}: this is no text. Nothing was kept.", name=plain[:80]))
    if ending == ".pdf" and _is_active(found.content):
        words = "{name}: the PDF has scripts, actions or files in it. Print it to a plain PDF and send that."
        raise WorkError(call.tr(words, name=plain[:80]))
    return Uploaded(plain[-120:], found.content)


def _is_active(pdf: bytes) -> bool:
    """Whether a PDF names what does things by itself, in packed objects too; also where that would be too much to
    look through."""
    if _ACTIVE.search(_ESCAPED.sub(_character, pdf)):
        return True
    left, bytes_of = _MOST_UNPACKED, memoryview(pdf)
    for number, packed in enumerate(_PACKED.finditer(pdf)):
        unpacked = b""
        with suppress(zlib.error):  # not packed in this way, or not whole: nobody else reads it either
            unpacked = zlib.decompressobj().decompress(bytes_of[packed.end() : packed.end() + _PACKED_BYTES], left)
        left -= len(unpacked)
        if left <= 0 or number >= _MOST_PACKED or _ACTIVE.search(_ESCAPED.sub(_character, unpacked)):
            return True
    return False


def _character(escaped: re.Match[bytes]) -> bytes:
    return bytes([int(escaped[1], 16)])


def _is_text(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
