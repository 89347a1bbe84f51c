"""Whether two files hold the same content, however each is encoded: compared on request, never while receiving.

The values of the elements and the decoded pixels have to be equal; elements that only describe the encoding do not
count. Files that cannot be compared (a stream cannot be decoded, or one file lacks the VR of a private value) are taken
to differ.
"""

from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.pixels import pixel_array

from dicom_io.capabilities import IMPLICIT_LITTLE, NATIVE_SYNTAXES, PLAIN
from dicom_io.errors import NotReadable
from dicom_io.files.codecs import RLE
from dicom_io.files.decode import open_pixels, stored_pixels
from dicom_io.files.encoding import encoded
from dicom_io.files.headers import read_dataset, read_instance
from dicom_io.files.instance import Instance

# Pixels are compared separately; fragment tables and padding belong to the encoding. PS3.5 A.4, PS3.10 7.2.
_OF_THE_ENCODING = frozenset({0x7FE00001, 0x7FE00002, 0x7FE00003, 0x7FE00008, 0x7FE00009, 0x7FE00010, 0xFFFCFFFC})
# How colours are laid out in the pixel data, which a codec may choose: the colours themselves are compared. PS3.5 8.2.
_OF_COLOURS = frozenset({0x00280004, 0x00280006})


def differing(one: Path, other: Path) -> tuple[tuple[int, ...], bool]:
    """Returns (tags that differ or that only one file has, whether the pixels differ). Raises NotReadable."""
    ours, theirs = read_dataset(one), read_dataset(other)
    pixels = not _same_pixels(one, other, _embedded(ours) or _embedded(theirs))
    settled = _OF_COLOURS if not pixels and read_instance(one).samples > 1 else frozenset()
    tags = {int(tag) for tag in (*ours.keys(), *theirs.keys())} - _OF_THE_ENCODING - settled
    return tuple(tag for tag in sorted(tags) if tag & 0xFFFF and not _same_element(ours, theirs, tag)), pixels


def _same_element(ours: Dataset, theirs: Dataset, tag: int) -> bool:
    if (tag in ours) != (tag in theirs):
        return False
    one, other = ours[tag], theirs[tag]
    if one.VR == other.VR == "SQ":
        return len(one.value) == len(other.value) and all(map(_same_items, one.value, other.value))
    if one.VR == other.VR:
        return bool(one.value == other.value)
    # A file in implicit VR does not give the VR of a private value.
    if one.VR == "UN":
        return bool(one.value == _bytes_of(other, theirs))
    return other.VR == "UN" and bool(other.value == _bytes_of(one, ours))


def _same_items(one: Dataset, other: Dataset) -> bool:
    tags = {int(tag) for tag in (*one.keys(), *other.keys())}
    return all(_same_element(one, other, tag) for tag in tags if tag & 0xFFFF)


def _bytes_of(element: DataElement, ds: Dataset) -> bytes | None:
    """Returns the value of an element of `ds` in Implicit VR Little Endian; None where it cannot be written."""
    alone = Dataset()
    if "SpecificCharacterSet" in ds:
        alone.SpecificCharacterSet = ds.SpecificCharacterSet
    try:
        before = len(encoded(alone, IMPLICIT_LITTLE))
        alone.add(element)
        return encoded(alone, IMPLICIT_LITTLE)[before + 8 :]  # behind its tag and length
    except ValueError:
        return None


def _embedded(ds: Dataset) -> bool:
    """Whether overlays are stored in unused bits of the pixels. Source: PS3.3 C.9.2, retired."""
    overlays = (element for element in ds if 0x6000 <= element.tag.group <= 0x60FF)
    return any(element.tag.element == 0x0102 and element.value for element in overlays)


def _same_pixels(one: Path, other: Path, every_bit: bool) -> bool:
    a, b = read_instance(one), read_instance(other)
    if (a.pixel_keyword, _shape(a)) != (b.pixel_keyword, _shape(b)):
        return False
    syntaxes = {a.transfer_syntax_uid, b.transfer_syntax_uid}
    if not a.pixel_keyword or ((len(syntaxes) == 1 or syntaxes <= set(PLAIN)) and _raw(a) == _raw(b)):
        return True
    try:
        if a.samples > 1:
            # Only encodings that need no codec: docs/decisions/0040-one-decoder.md.
            return syntaxes <= {*NATIVE_SYNTAXES, RLE} and np.array_equal(_colours(one), _colours(other))
        if every_bit:
            return stored_pixels(a) == stored_pixels(b)
        ours, theirs = open_pixels(a), open_pixels(b)
        return all(np.array_equal(ours(n), theirs(n)) for n in range(len(a.frames)))
    except NotReadable:
        return False


def _shape(instance: Instance) -> tuple[int, ...]:
    i = instance
    return (i.rows, i.columns, i.samples, len(i.frames), i.bits_allocated, i.bits_stored, i.signed)


def _raw(instance: Instance) -> bytes:
    """Reads the pixel data as stored, to the end of the file where they are in fragments; nothing where deflated."""
    with FileIO(instance.path) as file:
        file.seek(max(0, instance.pixel_offset))
        return file.read(instance.pixel_length)


def _colours(path: Path) -> Any:
    return pixel_array(dcmread(path), decoding_plugin="pydicom")
