"""Seals known at a glance: the bytes of a file as it lies, and what was read from the same bytes before."""

import io

import pytest
from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from dicom_io.files.digests import is_sealed, lies_sealed
from dicom_io.sr.evidence_sr import read_sr
from tests.dicom_io.sr.test_evidence_sr import as_file
from tests.dicom_io.sr.test_signatures import record


@pytest.fixture(scope="module")
def sealed_file() -> bytes:
    return as_file(record())


def lying(data: bytes) -> FileDataset:
    return dcmread(io.BytesIO(data))


def test_what_was_sealed_lies_sealed_until_it_is_looked_at(sealed_file: bytes) -> None:
    ds = lying(sealed_file)
    assert lies_sealed(ds) and ds.PatientID and lies_sealed(ds)
    assert ds.ContentSequence and not lies_sealed(ds)
    assert is_sealed(ds)
    changed = lying(sealed_file)
    changed.PatientID = "OTHER"
    assert not lies_sealed(changed) and not is_sealed(changed)


def test_reading_it_leaves_it_as_it_lies(sealed_file: bytes) -> None:
    ds = lying(sealed_file)
    first, again = read_sr(ds), read_sr(lying(sealed_file))
    assert lies_sealed(ds) and first == again
    whole = lying(sealed_file)
    assert whole.ContentSequence  # looked at, so read in full
    assert read_sr(whole) == first


def test_any_other_byte_of_the_data_set_is_another_content(sealed_file: bytes) -> None:
    known = read_sr(lying(sealed_file))
    at = sealed_file.index(b"I supervised this.")
    forged = lying(sealed_file[:at] + b"I supervised that." + sealed_file[at + 18 :])
    assert forged.SOPInstanceUID == known.sop_instance_uid
    assert not lies_sealed(forged)
    said = read_sr(forged).attestation
    assert said is not None and said.text == "I supervised that."  # not what is remembered for its UID
    assert not is_sealed(forged)


def test_a_seal_holds_in_another_encoding_and_does_not_lie_there(sealed_file: bytes) -> None:
    ds, buffer = lying(sealed_file), io.BytesIO()
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    ds.save_as(buffer, implicit_vr=True, little_endian=True)
    again = lying(buffer.getvalue())
    assert not lies_sealed(again)
    assert read_sr(again) == read_sr(lying(sealed_file))
    assert is_sealed(again)


def test_the_sealed_bytes_under_another_encoding_are_no_seal(sealed_file: bytes) -> None:
    """The bytes are those that were sealed, and the file says that they are to be read in another way."""
    syntax = str(lying(sealed_file).file_meta.TransferSyntaxUID).encode()
    assert sealed_file.count(syntax + b"\0") == 1 and len(syntax) % 2 == 1
    big = ExplicitVRBigEndian.encode()
    padded = big + b"\0" * (len(big) % 2)
    at = sealed_file.index(syntax + b"\0") - 2
    claimed = sealed_file[:at] + len(padded).to_bytes(2, "little") + padded + sealed_file[at + 2 + len(syntax) + 1 :]
    length_at = 140  # (0002,0000): the length of the group, which has grown
    grown = int.from_bytes(claimed[length_at : length_at + 4], "little") + len(padded) - len(syntax) - 1
    ds = lying(claimed[:length_at] + grown.to_bytes(4, "little") + claimed[length_at + 4 :])
    assert ds.original_encoding != (False, True)
    assert not lies_sealed(ds)
