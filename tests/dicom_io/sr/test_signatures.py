"""Signatures in records: DCMTK checks ours, we check DCMTK's, and whatever is changed afterwards breaks them."""

import io
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from dicom_io.files.digests import is_sealed
from dicom_io.sr.evidence_sr import write_sr
from dicom_io.sr.signatures import SigningError, issued_by, load_authority, load_signer, sign, signatures
from tests.conformance.validators import dciodvfy, pixelmed
from tests.dicom_io.sr.test_evidence_sr import STAMP, as_file, simple, source
from tests.peers.servers import program
from tests.signing import Identity, identity
from tests.thorough import examples

AT = datetime(2026, 3, 2, 16, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return identity(tmp_path_factory.mktemp("site"), "site")


def record() -> Dataset:
    plain = simple()
    assert plain.attestation is not None
    stated = replace(plain.attestation, text="I supervised this.")
    evidence = replace(plain, sop_instance_uid="", verified_by="Meier^Anna", attestation=stated)
    return write_sr(evidence, source(), STAMP)


def signed(who: Identity) -> Dataset:
    ds = record()
    sign(ds, load_signer(who.certificate_file, who.key_file), AT)
    return ds


def test_dcmtk_finds_our_signature_valid(site: Identity, tmp_path: Path) -> None:
    """Small enough for dcmsign 3.6.7: of larger sequences it loses what lies beyond 16 KB, and calls them corrupted."""
    path = tmp_path / "signed.dcm"
    path.write_bytes(as_file(signed(site)))
    words = ["--verify", "--verbose", "--require-creator", "--add-cert-file", site.certificate_file, path]
    done = subprocess.run([program("dcmsign"), *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 signatures verified in dataset, 0 corrupted" in done.stdout + done.stderr


def test_we_find_dcmtks_signature_valid(site: Identity, tmp_path: Path) -> None:
    plain, done = tmp_path / "plain.dcm", tmp_path / "signed.dcm"
    plain.write_bytes(as_file(record()))
    words = ["--sign", site.key_file, site.certificate_file, "--profile-creator", "--mac-sha256", plain, done]
    subprocess.run([program("dcmsign"), *map(str, words)], check=True, capture_output=True)
    (found,) = signatures(dcmread(done))
    assert (found.holds, found.subject) == (True, "CN=site")


def test_a_signed_record_is_valid_and_still_sealed(site: Identity, tmp_path: Path) -> None:
    path = tmp_path / "signed.dcm"
    path.write_bytes(as_file(signed(site)))
    assert dciodvfy(path) == []
    assert pixelmed(path) == []
    assert is_sealed(dcmread(path))
    assert as_file(signed(site)) == path.read_bytes()  # the same again


def test_it_holds_however_a_pacs_encodes_the_record(site: Identity, tmp_path: Path) -> None:
    ds = signed(site)
    for element in ds.iterall():
        if element.VR == "SQ":
            element.is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    ds.save_as(tmp_path / "implicit.dcm", enforce_file_format=True)
    (found,) = signatures(dcmread(tmp_path / "implicit.dcm"))
    assert found.holds
    assert found.at.startswith("20260302160000")


@pytest.fixture(scope="module")
def signed_file(site: Identity) -> bytes:
    return as_file(signed(site))


def unsigned(ds: Dataset) -> Dataset:
    plain = Dataset(ds)
    for keyword in ("MACParametersSequence", "DigitalSignaturesSequence"):
        plain.pop(keyword, None)
    return plain


@settings(max_examples=examples(100), deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(part=st.floats(0.0, 1.0, exclude_max=True), mask=st.integers(1, 255))
def test_one_changed_byte_breaks_it(signed_file: bytes, part: float, mask: int) -> None:
    data = bytearray(signed_file)
    start = 144 + int.from_bytes(data[140:144], "little")
    before = dcmread(io.BytesIO(bytes(data)))
    data[start + int(part * (len(data) - start))] ^= mask
    try:
        ds = dcmread(io.BytesIO(bytes(data)))
        found = signatures(ds)
        same = unsigned(ds) == unsigned(before)  # padding, which means nothing, or in the signature itself
    except Exception:  # noqa: BLE001 - whatever pydicom and the certificate's parser say of a damaged object
        return
    assert same or not found or not all(one.holds for one in found) or found != signatures(before)


def test_what_is_added_or_taken_away_breaks_it(site: Identity) -> None:
    added, removed, changed = signed(site), signed(site), signed(site)
    added.InstitutionalDepartmentName = "Radiology"
    del removed.StationName
    changed.ContentSequence[-1].ContentSequence[0].ConceptCodeSequence[0].CodeValue = "373067005"
    for ds in (added, removed, changed):
        (found,) = signatures(ds)
        assert not found.holds
    assert signatures(record()) == ()


def test_who_is_certified(site: Identity, tmp_path: Path) -> None:
    authority = identity(tmp_path, "authority")
    physician = identity(tmp_path, "physician", authority)
    (found,) = signatures(signed(physician))
    assert found.holds
    assert issued_by(found.certificate, load_authority(authority.certificate_file))
    assert not issued_by(found.certificate, load_authority(site.certificate_file))
    assert issued_by(site.certificate, load_authority(site.certificate_file))


def test_what_cannot_sign_is_said(site: Identity, tmp_path: Path) -> None:
    for who, words in (
        (identity(tmp_path, "short", bits=1024), "at least 2048 bits"),
        (identity(tmp_path, "curve", curve=True), "no RSA key"),
        (identity(tmp_path, "locked", password=b"secret"), "without a password"),
        (replace(site, key_file=identity(tmp_path, "other").key_file), "is not that of key"),
        (replace(site, key_file=tmp_path / "none.key"), "cannot be used for signing"),
    ):
        with pytest.raises(SigningError, match=words):
            load_signer(who.certificate_file, who.key_file)
    with pytest.raises(SigningError, match="no certificate"):
        load_authority(site.key_file)
