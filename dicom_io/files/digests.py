"""Digests that show whether an object was changed: of a file's data set, and of a record's content, kept in its UID."""

import hashlib
from io import BytesIO
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_data_element, write_dataset
from pydicom.tag import Tag

from dicom_io.uids import derived

# Added after an object was sealed. Source: PS3.3 C.12.1.1.3 (MAC Parameters), C.12.1.1.4 (Digital Signatures).
_SIGNATURES = ("MACParametersSequence", "DigitalSignaturesSequence")
_NOT_SEALED = frozenset(Tag(keyword) for keyword in ("SOPInstanceUID", *_SIGNATURES))


def file_digest(path: Path, transfer_syntax_uid: str) -> str:
    """Returns the sha256 of transfer syntax and data set; file meta information is left out, as each writer has its
    own."""
    h = hashlib.sha256(transfer_syntax_uid.encode())
    with path.open("rb") as file:
        head = file.read(144)
        # (0002,0000) is the first element of a Part 10 file and tells where the data set begins. PS3.10 7.1.
        part10 = head[128:132] == b"DICM" and head[132:136] == b"\x02\x00\x00\x00"
        file.seek(144 + int.from_bytes(head[140:144], "little") if part10 else 0)
        while chunk := file.read(1 << 20):
            h.update(chunk)
    return h.hexdigest()


def seal(ds: Dataset) -> None:
    """Gives an object the SOP Instance UID that follows from all its other content."""
    ds.SOPInstanceUID = sealed_uid(ds)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID


def is_sealed(ds: Dataset) -> bool:
    """Whether an object is unchanged since it was sealed, in whatever encoding: a PACS may have re-encoded it."""
    return lies_sealed(ds) or bool(ds.get("SOPInstanceUID") == sealed_uid(ds))


def lies_sealed(ds: Dataset) -> bool:
    """Whether a data set that was read from a file, and of which no sequence was looked at yet, lies there in the very
    bytes that were sealed. That is known forty times as soon as by writing all of it, as its sequences are not parsed.

    False decides nothing: it may have been re-encoded, or looked at.
    """
    # In another encoding the same bytes would say something else.
    if getattr(ds, "original_encoding", None) != (False, True):
        return False
    buffer = BytesIO()
    file = _explicit_little_endian(buffer)
    for tag in sorted(ds.keys()):
        if tag in _NOT_SEALED:
            continue
        element = ds.get_item(tag)
        if not element.is_raw and element.VR == "SQ":
            return False
        write_data_element(file, element, ds.get("SpecificCharacterSet"))
    return bool(ds.get("SOPInstanceUID") == _sealed_as(buffer))


def sealed_uid(ds: Dataset) -> str:
    """Returns the UID that follows from a data set's content: all but its own UID, file meta and signatures.

    The sequences of `ds` get defined lengths on the way: how they are written, not what they hold.
    """
    plain = Dataset()
    for element in ds:
        if element.tag not in _NOT_SEALED:
            plain.add(element)
    _define_lengths(plain)
    buffer = BytesIO()
    write_dataset(_explicit_little_endian(buffer), plain)
    return _sealed_as(buffer)


def _explicit_little_endian(buffer: BytesIO) -> DicomIO:
    file = DicomIO(buffer)
    file.is_little_endian, file.is_implicit_VR = True, False
    return file


def _sealed_as(content: BytesIO) -> str:
    return derived("sealed", hashlib.sha256(content.getvalue()).hexdigest())


def _define_lengths(ds: Dataset) -> None:
    """Gives all sequences a defined length: they may be written in two ways that mean the same. Source: PS3.5 7.5.1."""
    for element in ds:
        if element.VR == "SQ":
            element.is_undefined_length = False
            for item in element.value:
                item.is_undefined_length_sequence_item = False
                _define_lengths(item)
