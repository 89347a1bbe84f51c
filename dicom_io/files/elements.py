"""A fast reader for the elements before the pixels of a little endian Part 10 file, as most files are.

pydicom reads every kind of DICOM file, and takes a third of a millisecond for the 100 elements of a CT header before
any value is used. This reader only follows lengths through one block of memory; a value stays bytes until it is used.
It leaves every file that is not plain (no preamble, big endian, deflated, unusual sequences, lengths that lead out of
the file, tags that do not ascend) to pydicom, whose result counts.
"""

import functools
import os
from io import FileIO
from struct import unpack_from
from typing import Any

from pydicom.charset import convert_encodings
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from dicom_io.capabilities import DEFLATED, EXPLICIT_BIG, IMPLICIT_LITTLE

# The first of the three tags that hold pixels; a group length and offset tables may come before it.
_PIXELS = 0x7FE00008
# VRs whose length has four bytes, after two that are reserved. Source: PS3.5 7.1.2.
_LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
# The sequences that we read, so one of undefined length needs pydicom; others are skipped. A real world value mapping
# is read within functional groups alone: Philips' classic MR images have one of undefined length outside them.
_WANTED = frozenset(
    tag_for_keyword(keyword)
    for keyword in (
        "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "DimensionIndexSequence",
        "DetectorInformationSequence", "ModalityLUTSequence",
    )
) | {0x00651051}  # fmt: skip
# The last is that of `uih.py`.
_BEHIND_META = 0x00030000
_FIRST_READ = 16384
_TEXT = frozenset(("AE", "AS", "CS", "DA", "DT", "LO", "SH", "TM", "UI"))


class NotPlain(ValueError):  # noqa: N818
    """The file is not plain, so pydicom has to read it."""


# Of an element that is only bytes yet: its VR where the file says one, its value, the value's offset.
_Raw = tuple[str | None, bytes, int]


class Header(Dataset):  # type: ignore[misc]
    """A data set whose `get` converts plain values directly; pydicom converts the rarer ones, and gets the elements
    when the first of those is asked for."""

    def __init__(self, raws: dict[int, _Raw], implicit: bool, charset: Any = "ISO_IR 6") -> None:
        super().__init__()
        self.__dict__.update(_raws=raws, _encoded=(implicit, charset))
        del self.__dict__["_dict"]

    def __getattr__(self, name: str) -> Any:
        if name != "_dict":
            return super().__getattr__(name)
        implicit, charset = self.__dict__["_encoded"]
        made = {
            BaseTag(tag): RawDataElement(BaseTag(tag), vr, len(value), value, start, implicit, True)
            for tag, (vr, value, start) in self.__dict__["_raws"].items()
        }
        self.__dict__["_dict"] = made
        self.set_original_encoding(implicit, True, convert_encodings(charset))
        return made

    def __contains__(self, name: Any) -> bool:
        return _tag(name) in self.__dict__["_raws"] if isinstance(name, str) else super().__contains__(name)

    def get(self, key: Any, default: Any = None) -> Any:
        if not isinstance(key, str):
            return super().get(key, default)
        tag = _tag(key)
        raw = self.__dict__["_raws"].get(tag)
        if raw is None or tag is None:
            return default
        try:
            return _plain(raw[0] or _vr(tag), raw[1])
        except (ValueError, NotPlain):
            return super().get(key, default)

    def private_value(self, group: int, creator: str, element: int) -> Any:
        """Returns the value of a private attribute, None where its creator reserved no block or has no such attribute.
        pydicom looks through all elements for each block. Source: PS3.5 7.8.1."""
        blocks = self.__dict__.get("_blocks")
        if blocks is None:
            blocks = {}
            for tag, (_, value, _) in self.__dict__["_raws"].items():
                if tag >> 16 & 1 and 0x10 <= tag & 0xFFFF <= 0xFF and value:
                    blocks.setdefault((tag >> 16, value.decode("latin-1").strip(" \0")), (tag & 0xFF) << 8)
            self.__dict__["_blocks"] = blocks
        block = blocks.get((group, creator))
        found = None if block is None else group << 16 | block | element
        return self[BaseTag(found)].value if found in self.__dict__["_raws"] else None


@functools.cache
def _tag(keyword: str) -> int | None:
    tag: int | None = tag_for_keyword(keyword)
    return tag


@functools.cache
def _vr(tag: int) -> str:
    try:
        return str(dictionary_VR(tag))
    except KeyError:
        return "UN"


def _plain(vr: str, value: bytes) -> Any:
    """Converts a value. Raises NotPlain or ValueError for one that pydicom should convert. Source: PS3.5 6.2."""
    if vr in ("US", "US or SS") and len(value) == 2:
        return value[0] | value[1] << 8
    if vr in ("DS", "IS"):
        kind = float if vr == "DS" else int
        parts = [kind(part) for part in value.decode("ascii").rstrip(" \0").split("\\") if part]
        return parts[0] if len(parts) == 1 else parts or None
    if vr in _TEXT and value.isascii():
        words = [word.strip(" \0") for word in value.decode("ascii").split("\\")]
        return words[0] if len(words) == 1 else words
    raise NotPlain


def read_header(file: FileIO) -> tuple[Header, int, int, int]:
    """Returns (header, tag that follows it, offset and length of that tag's value) of a plain file.

    The tag is 0 at the end of the file; length −1 is undefined. Raises NotPlain.
    """
    size = os.fstat(file.fileno()).st_size
    data = file.read(_FIRST_READ)
    if data[128:132] != b"DICM":
        raise NotPlain
    while True:
        try:
            return _parse(data, size)
        except _More:
            if len(data) >= size:
                raise NotPlain from None
            data += file.read(max(len(data) * 3, 1 << 16))


def data_set_offset(beginning: bytes) -> int:
    """Returns the offset of the data set in a file with these first bytes; 0 where its meta information does not say.
    Source: PS3.10 7.1."""
    if beginning[128:138] != b"DICM\2\0\0\0UL" or len(beginning) < 144:
        return 0
    return 144 + int(unpack_from("<L", beginning, 140)[0])


class _More(Exception):  # noqa: N818
    """The header is longer than the part that was read."""


def _parse(data: bytes, size: int) -> tuple[Header, int, int, int]:
    meta: dict[int, _Raw] = {}
    at, *_ = _elements(data, 132, False, meta, _BEHIND_META, size)
    file_meta = Header(meta, False)
    syntax = str(file_meta.get("TransferSyntaxUID", ""))
    if not syntax or syntax in (DEFLATED, EXPLICIT_BIG):
        raise NotPlain
    implicit = syntax == IMPLICIT_LITTLE
    found: dict[int, _Raw] = {}
    _, tag, offset, length = _elements(data, at, implicit, found, _PIXELS, size)
    header = Header(found, implicit)
    header.__dict__.update(file_meta=file_meta, _encoded=(implicit, header.get("SpecificCharacterSet") or "ISO_IR 6"))
    return header, tag, offset, length


def _elements(
    data: bytes, at: int, implicit: bool, found: dict[int, _Raw], end: int, size: int
) -> tuple[int, int, int, int]:
    """Collects elements up to the first tag at or beyond `end`. Returns (offset of that tag, the tag, offset of its
    value, length of its value)."""
    last, limit = -1, len(data)
    while True:
        if at + 12 > limit:
            if at == size:
                return at, 0, at, 0
            raise _More
        if end == _BEHIND_META and unpack_from("<H", data, at)[0] > 2:
            return at, 0, at, 0  # the data set begins; its encoding may differ
        tag, vr, start, length = _head(data, at, implicit)
        if tag >= end:
            return at, tag, start, -1 if length == _UNDEFINED else length
        if tag <= last:
            raise NotPlain
        last = tag
        if length == _UNDEFINED:
            if tag in _WANTED:
                raise NotPlain
            at = _behind(data, start, implicit)
            continue
        at = start + length
        if at > limit:
            raise _More
        found[tag] = (vr, data[start:at], start)


def _head(data: bytes, at: int, implicit: bool) -> tuple[int, str | None, int, int]:
    """Returns (tag, VR, offset of the value, length). Source: PS3.5 7.1.2 and 7.1.3."""
    if implicit:
        group, element, length = unpack_from("<HHL", data, at)
        return group << 16 | element, None, at + 8, length
    group, element, vr, length = unpack_from("<HH2sH", data, at)
    if vr in _LONG:
        return group << 16 | element, vr.decode("ascii"), at + 12, unpack_from("<L", data, at + 8)[0]
    if not (vr.isalpha() and vr.isupper()):
        raise NotPlain
    return group << 16 | element, vr.decode("ascii"), at + 8, length


def _behind(data: bytes, at: int, implicit: bool, depth: int = 0) -> int:
    """Returns the offset of the element after a sequence of undefined length. Source: PS3.5 7.5."""
    if depth > 20:
        raise NotPlain
    while True:
        if at + 8 > len(data):
            raise _More
        group, element, length = unpack_from("<HHL", data, at)
        tag, at = group << 16 | element, at + 8
        if tag == _SEQUENCE_END:
            return at
        if tag != _ITEM:
            raise NotPlain
        at = _behind_item(data, at, implicit, depth) if length == _UNDEFINED else at + length


def _behind_item(data: bytes, at: int, implicit: bool, depth: int) -> int:
    while True:
        if at + 12 > len(data):
            raise _More
        if unpack_from("<HH", data, at) == (_ITEM_END >> 16, _ITEM_END & 0xFFFF):
            return at + 8
        _, _, start, length = _head(data, at, implicit)
        at = _behind(data, start, implicit, depth + 1) if length == _UNDEFINED else start + length
