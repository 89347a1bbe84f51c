"""A data set as bytes and back, in the transfer syntaxes that services and messages use."""

from collections.abc import Iterable
from io import BytesIO

from pydicom.charset import convert_encodings
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset, write_sequence
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from dicom_io.capabilities import IMPLICIT_LITTLE

_UTF_8 = "ISO_IR 192"


def decoded(data: bytes, transfer_syntax: str) -> Dataset:
    """Decodes a data set in a little endian transfer syntax."""
    return read_dataset(BytesIO(data), transfer_syntax == IMPLICIT_LITTLE, True)


def encoded(ds: Dataset, transfer_syntax: str) -> bytes:
    """Encodes a data set in a little endian transfer syntax. Raises ValueError for values that cannot be written."""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = transfer_syntax == IMPLICIT_LITTLE, True
    try:
        write_dataset(buffer, ds)
    except (ArithmeticError, AttributeError, LookupError, NotImplementedError, OSError, TypeError, ValueError) as error:
        raise ValueError("a value in the data set cannot be written as its VR wants") from error
    return bytes(buffer.getvalue())


def encoded_sequence(keyword: str, items: Iterable[Dataset]) -> RawDataElement:
    """Encodes a sequence in explicit little endian, as pydicom would when it writes it.

    A sequence that stands in hundreds of objects is made and encoded once this way, and copied as bytes; whoever reads
    it from a data set gets items as always. The data set must be `ready_for_encoded`.
    """
    tag = tag_for_keyword(keyword)
    assert tag is not None
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_sequence(buffer, DataElement(tag, "SQ", Sequence(items)), [_UTF_8])
    value = buffer.getvalue()
    return RawDataElement(Tag(tag), "SQ", len(value), value, 0, False, True, True, False)


def ready_for_encoded(ds: Dataset) -> None:
    """Tells pydicom that encoded elements of a new data set are explicit little endian and UTF-8.

    Where it writes the same, it copies them. It then looks for no ambiguous VR (US or SS), so the data set may hold
    none.
    """
    ds.set_original_encoding(False, True, convert_encodings(_UTF_8))
