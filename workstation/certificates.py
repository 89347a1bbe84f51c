"""The PEM files that settings name: which go together, and as TLS needs them. Relative names are of the state folder.

The context itself, and which ciphers it allows, is made in one place: `dicom_io.network.tls`.
"""

from datetime import datetime
from pathlib import Path
from typing import Protocol

from dicom_io.network.tls import Tls


class CallingFiles(Protocol):
    """Settings of something that we call by TLS: who signed its certificate, and ours where it wants one."""

    @property
    def certificate_authority(self) -> str: ...
    @property
    def certificate(self) -> str: ...
    @property
    def key(self) -> str: ...


class CalledFiles(Protocol):
    """Settings of something that is called by TLS: its certificate, and who signs those of its callers."""

    @property
    def client_authority(self) -> str: ...
    @property
    def certificate(self) -> str: ...
    @property
    def key(self) -> str: ...


def tls_to_call(files: CallingFiles, root: Path) -> Tls:
    """The files for calling. root : the state folder."""
    return _in(root, files.certificate_authority, files.certificate, files.key)


def tls_to_be_called(files: CalledFiles, root: Path) -> Tls | None:
    """The files for being called; None where the settings name no certificate and calls are plain."""
    return _in(root, files.client_authority, files.certificate, files.key) if files.certificate else None


def _in(root: Path, *names: str) -> Tls:
    return Tls(*(str(root / name) if name else "" for name in names))


def check_named_together(who: str, certificate: str, key: str, client_authority: str = "") -> None:
    """Raises ValueError where settings name one file and not the other that it needs. who : whose settings they are."""
    if bool(certificate) != bool(key):
        raise ValueError(f"{who}: certificate and key go together")
    if client_authority and not certificate:
        raise ValueError(f"{who}: client_authority needs certificate and key as well")


def last_day_of(file: Path) -> datetime:
    """Returns until when the certificates of a PEM file are valid, of several the first that ends. Raises OSError, and
    ValueError where it holds none."""
    from cryptography import x509  # not before it is needed: it takes long to load

    return min(each.not_valid_after_utc for each in x509.load_pem_x509_certificates(file.read_bytes()))
