"""Addresses of destinations, from the settings; files are named relative to the state folder."""

from pathlib import Path

from dicom_io.network.dicomweb import Server
from dicom_io.network.requestor import Peer
from workstation.certificates import tls_to_call
from workstation.destinations import DicomDestination, DicomWebDestination, FhirDestination, MppsDestination


def peer_of(destination: DicomDestination | MppsDestination, root: Path) -> Peer:
    """Returns a destination that is called by DICOM as a peer."""
    tls = tls_to_call(destination, root) if destination.tls else None
    return Peer(destination.host, destination.port, destination.ae_title, tls)


def server_of(destination: DicomWebDestination, root: Path) -> Server:
    """Returns a destination of kind dicomweb as a server. Raises OSError."""
    files, token = tls_to_call(destination, root), token_of(destination, root)
    return Server(destination.url, files.authority, files.certificate, files.key, token)


def token_of(destination: DicomWebDestination | FhirDestination, root: Path) -> str:
    """Reads the bearer token from the file that the settings name; empty where they name none. Raises OSError."""
    return (root / destination.token_file).read_text(encoding="ascii").strip() if destination.token_file else ""
