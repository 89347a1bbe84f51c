"""A data set as bytes and back, in the transfer syntaxes that services and messages use."""

from io import BytesIO

from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode, encode

from dicom_io.capabilities import IMPLICIT_LITTLE


def decoded(data: bytes, transfer_syntax: str) -> Dataset:
    """Decodes a data set in a little endian transfer syntax."""
    ds: Dataset = decode(BytesIO(data), transfer_syntax == IMPLICIT_LITTLE, True)
    return ds


def encoded(ds: Dataset, transfer_syntax: str) -> bytes:
    """Encodes a data set in a little endian transfer syntax. Raises ValueError for values that cannot be written."""
    data = encode(ds, transfer_syntax == IMPLICIT_LITTLE, True)
    if data is None:
        raise ValueError("a value in the data set cannot be written as its VR wants")
    return bytes(data)
