"""TLS as PS3.15 B.12 wants it (BCP 195 TLS Secure Transport Connection Profile): 1.2 or later, forward secrecy,
authenticated ciphers, certificates that are checked."""

import errno
import ssl
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files: who signed the other side's certificate; our own certificate and key where it wants one."""

    authority: str = ""
    certificate: str = ""
    key: str = ""


def client_context(tls: Tls) -> ssl.SSLContext:
    """For calling. The peer's certificate is checked, and with it its name. Raises OSError (SSLError is one)."""
    _there(tls)
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=tls.authority or None)
    if tls.certificate:
        context.load_cert_chain(tls.certificate, tls.key)
    return _bcp195(context)


def server_context(tls: Tls) -> ssl.SSLContext:
    """For being called; with an authority, a caller needs a certificate that it signed. Raises OSError."""
    _there(tls)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate, tls.key)
    if tls.authority:
        context.load_verify_locations(tls.authority)
        context.verify_mode = ssl.CERT_REQUIRED
    return _bcp195(context)


def _there(tls: Tls) -> None:
    """Raises FileNotFoundError that names the file, which OpenSSL's does not."""
    for name in (tls.authority, tls.certificate, tls.key):
        if name and not Path(name).is_file():
            raise FileNotFoundError(errno.ENOENT, "no such PEM file for TLS; check the settings", name)


def _bcp195(context: ssl.SSLContext) -> ssl.SSLContext:
    """`context` without what RFC 9325 (BCP 195) forbids."""
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM")
    return context
