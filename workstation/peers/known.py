"""The DICOM nodes that this site works with: one TOML file in the state folder, written by `workstation peers`."""

import ipaddress
import json
import os
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Literal

from filelock import FileLock
from pydantic import ConfigDict

from dicom_io.network.dicomweb import Server
from dicom_io.network.requestor import Peer
from workstation.certificates import check_named_together, tls_to_call
from workstation.destinations import AeTitle
from workstation.errors import WorkstationError
from workstation.strict import STRICT, StrictError, read_strictly, toml_in

Way = Literal["get", "move", "web"]


class PeersError(WorkstationError):
    """A peer is unknown or its entry is invalid; the message says what to do."""


@dataclass(frozen=True, slots=True)
class KnownPeer:
    """A DICOM node by a name of our own.

    retrieve : how we fetch from it; `move` needs our AE title and address in its settings, `web` needs `url` here.
    addresses : addresses or networks from which it calls us; its `host` if empty. url : root of its DICOMweb services.
    tls : whether it is called by TLS. certificate_authority, certificate, key : PEM files, in the state folder or not.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    name: str
    host: str
    port: int
    ae_title: AeTitle
    retrieve: Way = "get"
    addresses: tuple[str, ...] = ()
    url: str = ""
    tls: bool = False
    certificate_authority: str = ""
    certificate: str = ""
    key: str = ""

    def __post_init__(self) -> None:
        if not self.name or any(c.isspace() for c in self.name):
            raise ValueError(f"peer {self.name!r}: a name is one word")
        if not 0 < self.port < 65536:
            raise ValueError(f"peer {self.name!r}: port {self.port} is not one of 1 to 65535")
        for address in self.addresses:
            try:
                ipaddress.ip_network(address, strict=False)
            except ValueError:
                raise ValueError(f"peer {self.name!r}: {address!r} is no address or network, as 10.0.0.0/24") from None
        if self.retrieve == "web" and not re.match(r"https?://[^/]", self.url):
            raise ValueError(f'peer {self.name!r}: retrieve = "web" needs a url that begins with http:// or https://')
        check_named_together(f"peer {self.name!r}", self.certificate, self.key)

    def web(self, root: Path) -> Server:
        """Returns it as a DICOMweb server."""
        files = tls_to_call(self, root)
        return Server(self.url, files.authority, files.certificate, files.key)

    def at(self, root: Path) -> Peer:
        """Returns it as a DICOM node. root : the state folder, for files that are named relative to it."""
        return Peer(self.host, self.port, self.ae_title, tls_to_call(self, root) if self.tls else None)


@dataclass(frozen=True, slots=True)
class _File:
    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    peers: tuple[KnownPeer, ...] = ()


def load_peers(root: Path) -> tuple[KnownPeer, ...]:
    """Reads every peer, by name; none without the file. Raises PeersError."""
    path = root / "peers.toml"
    try:
        found = read_strictly(_File, toml_in(path), "the peers").peers
    except FileNotFoundError:
        return ()
    except StrictError as error:
        raise PeersError(f"{path}: {error}") from error
    names = [peer.name for peer in found]
    if len(set(names)) < len(names):
        raise PeersError(f"{path}: two peers have the same name; nobody could tell which is meant.")
    return tuple(sorted(found, key=lambda peer: peer.name))


def find_peer(root: Path, name: str) -> KnownPeer:
    """Returns the peer of that name. Raises PeersError, which lists the known names."""
    known = load_peers(root)
    for peer in known:
        if peer.name == name:
            return peer
    names = ", ".join(peer.name for peer in known) or "none yet; `workstation peers add` adds one"
    raise PeersError(f"No peer {name!r}. Peers: {names}.")


def add_peer(root: Path, peer: KnownPeer) -> None:
    """Adds a peer, or changes the one of that name."""
    with _locked(root):
        _write(root, [*(p for p in load_peers(root) if p.name != peer.name), peer])


def remove_peer(root: Path, name: str) -> None:
    """Removes a peer. Raises PeersError when there is none of that name."""
    with _locked(root):
        find_peer(root, name)
        _write(root, [p for p in load_peers(root) if p.name != name])


def _locked(root: Path) -> FileLock:
    root.mkdir(parents=True, exist_ok=True)
    return FileLock(root / "peers.toml.lock")


def _write(root: Path, peers: list[KnownPeer]) -> None:
    blocks = [_block(peer) for peer in sorted(peers, key=lambda peer: peer.name)]
    part = root / "peers.part"
    with part.open("w", encoding="utf-8") as stream:
        stream.write("# Written by `workstation peers`; docs/settings.md describes the keys.\n" + "".join(blocks))
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(root / "peers.toml")


def _block(peer: KnownPeer) -> str:
    plain = {field.name: field.default for field in fields(KnownPeer)}
    given_values = {key: value for key, value in asdict(peer).items() if value != plain[key]}
    return "\n[[peers]]\n" + "".join(f"{key} = {_value(value)}\n" for key, value in given_values.items())


def _value(value: Any) -> str:
    # JSON's strings, numbers, booleans and lists are valid TOML, but for one character. Source: TOML 1.0.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
