"""Where a destination is reached, as the settings say: files are named relative to the state folder."""

from pathlib import Path

from dicom_io.network.dicomweb import Server
from dicom_io.network.requestor import Peer
from dicom_io.network.tls import Tls
from workstation.config import Destination


def tls_files(destination: Destination, root: Path) -> tuple[str, str, str]:
    """(authority, certificate, key); empty where none is set."""
    names = (destination.certificate_authority, destination.certificate, destination.key)
    authority, certificate, key = (str(root / name) if name else "" for name in names)
    return authority, certificate, key


def peer_of(destination: Destination, root: Path) -> Peer:
    """A destination of kind dicom as a peer."""
    tls = Tls(*tls_files(destination, root)) if destination.tls else None
    return Peer(destination.host, destination.port, destination.ae_title, tls)


def server_of(destination: Destination, root: Path) -> Server:
    """A destination of kind dicomweb as a server."""
    return Server(destination.url, *tls_files(destination, root), token_of(destination, root))


def token_of(destination: Destination, root: Path) -> str:
    """The bearer token in the file that the settings name; empty where they name none. Raises OSError."""
    return (root / destination.token_file).read_text(encoding="ascii").strip() if destination.token_file else ""
