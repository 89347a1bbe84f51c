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
from pydicom.dataset import Dataset, FileMetaDataset
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


class Header(Dataset):  # type: ignore[misc]
    """A data set whose `get` converts plain values directly; pydicom converts the rarer ones."""

    def get(self, key: Any, default: Any = None) -> Any:
        raw = self._dict.get(_tag(key)) if isinstance(key, str) else None
        if raw is None:
            return default if isinstance(key, str) else super().get(key, default)
        if isinstance(raw, RawDataElement) and raw.value is not None:
            try:
                return _plain(raw.VR or _vr(raw.tag), raw.value)
            except (ValueError, NotPlain):
                pass
        return super().get(key, default)

    def private_value(self, group: int, creator: str, element: int) -> Any:
        """Returns the value of a private attribute, None where its creator reserved no block or has no such attribute.
        pydicom looks through all elements for each block. Source: PS3.5 7.8.1."""
        blocks = self.__dict__.get("_blocks")
        if blocks is None:
            blocks = {}
            for tag, raw in self._dict.items():
                if tag >> 16 & 1 and 0x10 <= tag & 0xFFFF <= 0xFF and raw.value:
                    name = raw.value.decode("latin-1") if isinstance(raw.value, bytes) else str(raw.value)
                    blocks.setdefault((tag >> 16, name.strip(" \0")), (tag & 0xFF) << 8)
            self.__dict__["_blocks"] = blocks
        block = blocks.get((group, creator))
        found = None if block is None else BaseTag(group << 16 | block | element)
        return self[found].value if found in self._dict else None


@functools.cache
def _tag(keyword: str) -> BaseTag | None:
    tag = tag_for_keyword(keyword)
    return None if tag is None else BaseTag(tag)


@functools.cache
def _vr(tag: BaseTag) -> str:
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
    meta: dict[BaseTag, Any] = {}
    at, *_ = _elements(data, 132, False, meta, _BEHIND_META, size)
    file_meta = FileMetaDataset(meta)
    syntax = str(file_meta.get("TransferSyntaxUID", ""))
    if not syntax or syntax in (DEFLATED, EXPLICIT_BIG):
        raise NotPlain
    implicit = syntax == IMPLICIT_LITTLE
    found: dict[BaseTag, Any] = {}
    _, tag, offset, length = _elements(data, at, implicit, found, _PIXELS, size)
    header = Header(found)
    header.file_meta = file_meta
    charset = header.get("SpecificCharacterSet") or "ISO_IR 6"
    header.set_original_encoding(implicit, True, convert_encodings(charset))
    return header, tag, offset, length


def _elements(
    data: bytes, at: int, implicit: bool, found: dict[BaseTag, Any], end: int, size: int
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
        key = BaseTag(tag)
        found[key] = RawDataElement(key, vr, length, data[start:at], start, implicit, True)


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
