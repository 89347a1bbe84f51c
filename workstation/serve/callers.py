"""The receiver's rules, from the settings and the list of peers: who may send to us, and how much."""

import ipaddress
import socket
from pathlib import Path

from dicom_io.network.acceptor import Caller, Rules
from workstation.config import Config
from workstation.peers.known import KnownPeer, load_peers


def rules_of(config: Config, root: Path, ae_title: str, processes: int = 1) -> Rules:
    """Makes the rules for each of `processes` receiving processes. Raises PeersError."""
    settings = config.receiver
    callers = None
    if settings.callers == "peers":
        callers = tuple(Caller(peer.ae_title, _networks(peer)) for peer in load_peers(root))
    return Rules(
        called=ae_title if settings.called == "ours" else "",
        callers=callers,
        max_associations=-(-settings.max_associations // processes),
        max_of_one=-(-(settings.max_associations_per_address or 3 * settings.max_associations // 4 or 1) // processes),
        max_instance_bytes=settings.max_instance_mb << 20,
        min_free_bytes=settings.min_free_mb << 20,
        request_s=settings.request_s,
        idle_s=settings.idle_s,
        stall_s=settings.stall_s,
    )


def _networks(peer: KnownPeer) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    if peer.addresses:
        return tuple(ipaddress.ip_network(address, strict=False) for address in peer.addresses)
    try:
        found = {str(item[4][0]) for item in socket.getaddrinfo(peer.host, None)}
    except OSError:
        return ()  # an unknown host name admits no caller
    return tuple(ipaddress.ip_network(address.partition("%")[0]) for address in sorted(found))
