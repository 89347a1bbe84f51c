"""Certificates that a test makes for itself, with OpenSSL's command."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from dicom_io.network.tls import Tls


@dataclass(frozen=True)
class Certificate:
    """PEM files."""

    certificate: str
    key: str


def make(folder: Path, name: str, authority: Certificate | None = None) -> Certificate:
    """A certificate for 127.0.0.1, signed by `authority`, or one that signs others."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    made = Certificate(str(folder / f"{name}.pem"), str(folder / f"{name}.key"))
    command = [
        openssl,
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
        "-subj",
        f"/CN={name}",
    ]
    command += ["-out", made.certificate, "-keyout", made.key]
    if authority is not None:
        command += ["-CA", authority.certificate, "-CAkey", authority.key, "-addext", "subjectAltName=IP:127.0.0.1"]
        command += ["-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return made


def both_sides(folder: Path) -> Path:
    """An authority, certificates of it for `ours` and `theirs`, and one of a `stranger` by an authority `elsewhere`."""
    authority = make(folder, "authority")
    for name in ("ours", "theirs"):
        make(folder, name, authority)
    make(folder, "stranger", make(folder, "elsewhere"))
    return folder


def shown(folder: Path, whose: str) -> Tls:
    """What one side of `both_sides` shows the other, and whom it trusts."""
    return Tls(str(folder / "authority.pem"), str(folder / f"{whose}.pem"), str(folder / f"{whose}.key"))
