"""Certificates that a test makes for itself, with OpenSSL's command."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


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
