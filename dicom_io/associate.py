"""Associations that we ask for: a peer, how it is reached, and how long anybody waits for it."""

import socket
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from struct import pack
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.presentation import build_context

from dicom_io.capabilities import VERIFICATION
from dicom_io.errors import NotOffered, PeerUnreachable
from dicom_io.tls import Tls, client_context
from dicom_io.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION

# A larger PDU means fewer turns of the protocol loop; 16 KB is the default of most senders.
MAXIMUM_PDU = 1 << 18
# Seconds to wait for a connection, for the answer to an association request, and for the next message on it. A PACS may
# fetch from tape before it answers.
CONNECT_S, ACCEPT_S, ANSWER_S = 15.0, 30.0, 120.0


@dataclass(frozen=True, slots=True)
class Peer:
    """A DICOM node: where it listens and its AE title; with `tls` only by TLS."""

    host: str
    port: int
    ae_title: str = "ANY-SCP"
    tls: Tls | None = None

    def __str__(self) -> str:
        return f"{self.ae_title} at {self.host}:{self.port}"


def echo(peer: Peer, calling: str = "WORKSTATION") -> None:
    """C-ECHO. Raises PeerUnreachable."""
    association = associate(peer, calling, [build_context(VERIFICATION)])
    try:
        if not association.send_c_echo():
            raise PeerUnreachable(f"{peer} did not answer C-ECHO.")
    finally:
        association.release()


def associate(
    peer: Peer, calling: str, contexts: list[Any], roles: Sequence[Any] = (), handlers: Iterable[Any] = ()
) -> Any:
    """An established association of pynetdicom's. Raises PeerUnreachable, or its NotOffered for want of a service."""
    sockets: list[socket.socket] = []
    try:
        tls = None if peer.tls is None else (_Remembering(client_context(peer.tls), sockets), peer.host)
    except OSError as error:
        raise PeerUnreachable(f"{peer}: its TLS files cannot be used ({error}).") from error
    ae = make_ae(calling)
    association = ae.associate(
        peer.host,
        peer.port,
        contexts=contexts,
        ae_title=peer.ae_title,
        ext_neg=list(roles),
        tls_args=tls,
        evt_handlers=[
            (evt.EVT_REQUESTED, lambda event: sockets.append(event.assoc.dul.socket.socket)),
            (evt.EVT_CONN_OPEN, prompt),
            (evt.EVT_CONN_CLOSE, lambda _: _close(sockets)),
            *handlers,
        ],
    )
    if association.is_established:
        association.sockets = sockets
        return association
    _close(sockets)
    if association.is_rejected:
        raise PeerUnreachable(f"{peer} rejected the association from {calling}; check both AE titles there.")
    if association.rejected_contexts:
        raise NotOffered(f"{peer} takes the association, but offers nothing of what was asked for.")
    raise PeerUnreachable(
        f"{peer} cannot be reached: nobody answers there, or the connection was refused"
        + ("." if peer.tls is None else ", or one side does not trust the other's certificate.")
    )


def drop(association: Any) -> None:
    """Ends an association that broke. It may call itself established for a while yet."""
    association.abort()
    _close(association.sockets)


def _close(sockets: list[socket.socket]) -> None:
    """pynetdicom forgets the socket of a connection that was refused or reset without closing it."""
    for unused in sockets:
        unused.close()


class _Remembering:
    """A TLS context that remembers the sockets it makes."""

    def __init__(self, context: Any, sockets: list[socket.socket]) -> None:
        self._context, self._sockets = context, sockets

    def wrap_socket(self, *args: Any, **more: Any) -> socket.socket:
        self._sockets.append(self._context.wrap_socket(*args, **more))
        return self._sockets[-1]


def prompt(event: Any) -> None:
    """Small PDUs go out at once: Nagle's algorithm and delayed acknowledgements together cost 40 ms an instance. And a
    peer that takes nothing more is given up: pynetdicom itself would wait for ever. Source: socket(7)."""
    transport = event.assoc.dul.socket.socket
    transport.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if sys.platform != "win32":
        transport.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, pack("ll", round(ANSWER_S), 0))


def make_ae(ae_title: str) -> AE:
    """An application entity with our implementation UID, PDU size and patience."""
    ae = AE(ae_title=ae_title)
    ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = IMPLEMENTATION_VERSION
    ae.maximum_pdu_size = MAXIMUM_PDU
    ae.connection_timeout, ae.acse_timeout = CONNECT_S, ACCEPT_S
    ae.dimse_timeout = ae.network_timeout = ANSWER_S
    return ae
