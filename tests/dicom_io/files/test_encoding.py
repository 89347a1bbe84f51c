"""Sequences encoded once and copied as bytes: the files are those that pydicom writes from items."""

from io import BytesIO

import pytest
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence

from dicom_io.capabilities import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from dicom_io.files.encoding import encoded, encoded_sequence, ready_for_encoded
from dicom_io.objects.functional_groups import source_item
from dicom_io.uids import derived

CLASS = "1.2.840.10008.5.1.4.1.1.2"


def sources(count: int) -> list[Dataset]:
    items = [source_item(derived("source", str(k)), CLASS, preserved=k % 2 == 1) for k in range(count)]
    for item in items:
        item.PurposeOfReferenceCodeSequence[0].CodeMeaning = "Größe, 大きさ"
    return items


def object_of(count: int, *, once: bool) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = CLASS, derived("object")
    ds.PatientName = "Größe^大きさ"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = EXPLICIT_LITTLE
    if once:
        ready_for_encoded(ds)
        ds.add(encoded_sequence("SourceImageSequence", sources(count)))
    else:
        ds.SourceImageSequence = Sequence(sources(count))
    return ds


def file_of(ds: Dataset) -> bytes:
    buffer = BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


@pytest.mark.parametrize("count", [0, 1, 2, 40])
def test_files_are_those_of_items(count: int) -> None:
    once, plain = object_of(count, once=True), object_of(count, once=False)
    assert file_of(once) == file_of(plain)
    assert file_of(once) == file_of(plain)  # writing changes nothing


@pytest.mark.parametrize("syntax", [EXPLICIT_LITTLE, IMPLICIT_LITTLE])
def test_messages_are_those_of_items(syntax: str) -> None:
    assert encoded(object_of(3, once=True), syntax) == encoded(object_of(3, once=False), syntax)


def test_items_are_read_as_always() -> None:
    once, plain = object_of(3, once=True), object_of(3, once=False)
    assert list(once.SourceImageSequence) == list(plain.SourceImageSequence)
    once.SourceImageSequence[1].ReferencedSOPInstanceUID = "1.2.3"
    read = dcmread(BytesIO(file_of(once)))
    assert read.SourceImageSequence[1].ReferencedSOPInstanceUID == "1.2.3"
    assert read.SourceImageSequence[2].PurposeOfReferenceCodeSequence[0].CodeMeaning == "Größe, 大きさ"
