"""TLS as PS3.15 B.12 requires it (BCP 195 TLS Secure Transport Connection Profile): 1.2 or later, forward secrecy,
authenticated ciphers, checked certificates."""

import errno
import ssl
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files. authority : the CA of the other side's certificate. certificate, key : our own, where it wants one."""

    authority: str = ""
    certificate: str = ""
    key: str = ""


def client_context(tls: Tls) -> ssl.SSLContext:
    """Makes a context for calling; it checks the peer's certificate and name. Raises OSError (SSLError is one)."""
    _check_files(tls)
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=tls.authority or None)
    if tls.certificate:
        context.load_cert_chain(tls.certificate, tls.key)
    return _bcp195(context)


def server_context(tls: Tls) -> ssl.SSLContext:
    """Makes a context for being called; with an authority, it demands a certificate signed by it. Raises OSError."""
    _check_files(tls)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate, tls.key)
    if tls.authority:
        context.load_verify_locations(tls.authority)
        context.verify_mode = ssl.CERT_REQUIRED
    return _bcp195(context)


def _check_files(tls: Tls) -> None:
    """Checks that the files exist. Raises FileNotFoundError with the file's name, which OpenSSL leaves out."""
    for name in (tls.authority, tls.certificate, tls.key):
        if name and not Path(name).is_file():
            raise FileNotFoundError(errno.ENOENT, "no such PEM file for TLS; check the settings", name)


def _bcp195(context: ssl.SSLContext) -> ssl.SSLContext:
    """Removes from `context` what RFC 9325 (BCP 195) forbids."""
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM")
    # Python 3.13 began to refuse authorities that lack a key usage, as those of many hospitals do. A newer Python shall
    # not cut a site off from its PACS: certificates are checked alike on all versions.
    context.verify_flags = ssl.VERIFY_X509_TRUSTED_FIRST
    return context
