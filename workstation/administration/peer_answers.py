"""Whether peers are there (C-ECHO)."""

from dataclasses import dataclass
from pathlib import Path

from dicom_io.errors import PeerUnreachable
from dicom_io.network.requestor import echo
from workstation.peers.known import find_peer, load_peers


@dataclass(frozen=True, slots=True)
class PeerAnswer:
    """state : `answered` or `not reached`. answer : why not."""

    name: str
    state: str
    answer: str = ""


def ask_peers(root: Path, calling: str, name: str = "") -> tuple[PeerAnswer, ...]:
    """Asks a peer, or every one if none is named. calling : our AE title. Raises PeersError for an unknown one."""
    found = []
    for peer in [find_peer(root, name)] if name else load_peers(root):
        try:
            echo(peer.at(root), calling)
            found.append(PeerAnswer(peer.name, "answered"))
        except PeerUnreachable as error:
            found.append(PeerAnswer(peer.name, "not reached", str(error)))
    return tuple(found)
