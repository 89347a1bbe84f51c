"""Digital signatures in an object: by the Creator RSA profile, with the site's key, over its whole content.

Sources: PS3.15 C.2 (Creator RSA Digital Signature Profile); PS3.3 C.12.1.1.3 (MAC Parameters, Digital Signatures).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from pydicom.charset import convert_encodings
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_data_element
from pydicom.sequence import Sequence

from dicom_io.capabilities import EXPLICIT_LITTLE
from dicom_io.errors import DicomIOError
from dicom_io.uids import derived

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "SHA256": hashes.SHA256(),
    "SHA384": hashes.SHA384(),
    "SHA512": hashes.SHA512(),
}
# Not signed: the signatures themselves, and elements that may change with the encoding. Source: PS3.3 C.12.1.1.3.1.1.
_UNSIGNED = frozenset((0x00080001, 0x4FFE0001, 0xFFFAFFFA))
# The elements of a signature's own item that are not signed.
_UNSIGNED_OF_ITEM = frozenset((0x04000115, 0x04000120, 0x04000305, 0x04000310))
_ITEM, _SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_LEAST_BITS = 2048
_CLOCKS_DIFFER = timedelta(minutes=10)


class SigningError(DicomIOError):
    """A key or certificate cannot sign; the message says why."""


@dataclass(frozen=True, slots=True)
class Signer:
    """The site's RSA key with its certificate."""

    key: RSAPrivateKey
    certificate: x509.Certificate


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature found in an object. holds : whether the object is unchanged since. at : the signature's own time."""

    holds: bool
    subject: str
    fingerprint: str
    at: str
    certificate: x509.Certificate


def load_signer(certificate: Path, key: Path) -> Signer:
    """Reads PEM files. Raises SigningError when they are malformed, do not belong together, or the key is too short."""
    try:
        loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
        private = load_pem_private_key(key.read_bytes(), None)
    except (OSError, TypeError, ValueError) as error:
        raise SigningError(
            f"Key {key} or certificate {certificate} cannot be used for signing ({error}). Nothing was done; both have "
            "to be PEM files, the key without a password."
        ) from error
    if not isinstance(private, RSAPrivateKey) or private.key_size < _LEAST_BITS:
        raise SigningError(f"Key {key} is no RSA key of at least {_LEAST_BITS} bits, which the profile wants.")
    if private.public_key() != loaded.public_key():
        raise SigningError(f"Certificate {certificate} is not that of key {key}. Nothing was signed.")
    return Signer(private, loaded)


def load_authority(certificate: Path) -> x509.Certificate:
    """Reads a PEM file. Raises SigningError when it holds no certificate."""
    try:
        return x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError) as error:
        raise SigningError(f"{certificate} is no certificate in PEM form ({error}).") from error


def sign(ds: Dataset, signer: Signer, at: datetime) -> None:
    """Adds a signature over an object without its file meta information. at : with time zone.

    The same object, key and time make the same signature. A changed value breaks it; another transfer syntax does not.
    """
    tags = [int(element.tag) for element in ds if int(element.tag) not in _UNSIGNED]
    parameters, item = Dataset(), Dataset()
    parameters.MACIDNumber = 1
    parameters.MACCalculationTransferSyntaxUID = EXPLICIT_LITTLE
    parameters.MACAlgorithm = "SHA256"
    parameters.DataElementsSigned = tags
    item.MACIDNumber = 1
    item.DigitalSignatureUID = derived("signature", str(ds.SOPInstanceUID), fingerprint(signer.certificate))
    item.DigitalSignatureDateTime = at.strftime("%Y%m%d%H%M%S.%f%z")
    item.CertificateType = "X509_1993_SIG"
    signature = signer.key.sign(_signed_bytes(ds, tags, item), PKCS1v15(), hashes.SHA256())
    item.CertificateOfSigner = _even(signer.certificate.public_bytes(Encoding.DER))
    item.Signature = _even(signature)
    ds.MACParametersSequence = Sequence([parameters])
    ds.DigitalSignaturesSequence = Sequence([item])


def signatures(ds: Dataset) -> tuple[Signature, ...]:
    """Returns every signature of an object, checked. Raises ValueError for one that cannot be read."""
    parameters = {int(p.MACIDNumber): p for p in ds.get("MACParametersSequence", ())}
    return tuple(_checked(ds, item, parameters) for item in ds.get("DigitalSignaturesSequence", ()))


def issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether an authority has signed a certificate, or is that certificate itself."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, TypeError, ValueError):
        return certificate == authority
    return True


def signed_at(signature: Signature) -> datetime | None:
    """When it was made, as it says itself; None where it says nothing readable. Source: PS3.5 6.2 (DT)."""
    text = signature.at
    for form in ("%Y%m%d%H%M%S.%f%z", "%Y%m%d%H%M%S%z"):
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    return None


def valid_at(signature: Signature, now: datetime) -> bool:
    """Whether a signature was made while its certificate was valid, which it still is, and not at a time to come."""
    at, certificate = signed_at(signature), signature.certificate
    first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return at is not None and first <= at <= last and first <= now <= last and at <= now + _CLOCKS_DIFFER


def fingerprint(certificate: x509.Certificate) -> str:
    """Returns the sha256 of a certificate, hex."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def _checked(ds: Dataset, item: Dataset, parameters: dict[int, Dataset]) -> Signature:
    certificate = x509.load_der_x509_certificate(_certificate(bytes(item.CertificateOfSigner)))
    public, mac_parameters = certificate.public_key(), parameters.get(int(item.MACIDNumber))
    algorithm = _HASHES.get(str(mac_parameters.MACAlgorithm)) if mac_parameters is not None else None
    holds = False
    plain = mac_parameters is not None and str(mac_parameters.MACCalculationTransferSyntaxUID) == EXPLICIT_LITTLE
    if isinstance(public, RSAPublicKey) and plain and mac_parameters is not None and algorithm is not None:
        tags = mac_parameters.DataElementsSigned
        listed = [int(tag) for tag in ([tags] if isinstance(tags, int) else tags)]
        # The signature must cover every element: one that was added later would pass as signed.
        covers_all = set(listed) == {int(element.tag) for element in ds if int(element.tag) not in _UNSIGNED}
        value = bytes(item.Signature)[: public.key_size // 8]
        try:
            public.verify(value, _signed_bytes(ds, listed, item), PKCS1v15(), algorithm)
            holds = covers_all
        except (InvalidSignature, KeyError):
            holds = False
    subject = certificate.subject.rfc4514_string()
    return Signature(holds, subject, fingerprint(certificate), str(item.DigitalSignatureDateTime), certificate)


def _certificate(data: bytes) -> bytes:
    """Returns the DER without the padding byte."""
    if len(data) > 4 and data[:2] == b"\x30\x82":
        return data[: 4 + int.from_bytes(data[2:4], "big")]
    return data


def _even(data: bytes) -> bytes:
    return data + b"\0" * (len(data) % 2)


def _signed_bytes(ds: Dataset, tags: list[int], item: Dataset) -> bytes:
    """Returns the signed bytes: the elements in explicit VR little endian, then the signature's own item.

    Sequences and items may be encoded in two ways, so their lengths are left out; of the delimiters only those of
    sequences are kept.
    Source: PS3.3 C.12.1.1.3.1.1.
    """
    encodings = convert_encodings(ds.get("SpecificCharacterSet", "ISO_IR 6"))
    data = b"".join(_element(ds[tag], encodings) for tag in tags)
    own = (element for element in item if int(element.tag) not in _UNSIGNED_OF_ITEM)
    return data + b"".join(_element(element, encodings) for element in own)


def _element(element: DataElement, encodings: list[str]) -> bytes:
    if element.VR == "SQ":
        tag = int(element.tag)
        head = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little") + b"SQ\0\0"
        items = (b"".join(_element(e, encodings) for e in item) for item in element.value)
        return head + b"".join(_ITEM + data for data in items) + _SEQUENCE_END
    buffer = BytesIO()
    file = DicomIO(buffer)
    file.is_little_endian, file.is_implicit_VR = True, False
    write_data_element(file, element, encodings)
    return buffer.getvalue()
