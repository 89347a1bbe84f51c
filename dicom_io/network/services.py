"""Services besides C-STORE and C-ECHO: a service gets a request and yields its answers (PS3.7 Section 7)."""

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO

from pydicom.dataset import Dataset

from dicom_io.files.encoding import decoded, encoded
from dicom_io.network.commands import C_CANCEL, Command, answer_to
from dicom_io.network.dimse import Pieces
from dicom_io.network.requestor import Association, Peer, unexpected
from dicom_io.network.upper_layer import Connection, Context


@dataclass(frozen=True, slots=True)
class Request:
    """A peer's request to a service of ours. address : of the peer. association : on which it came, to ask the peer
    something before the last answer. cancelled : whether the peer has asked us to stop (C-CANCEL) so far."""

    command: Command
    data_set: Dataset
    calling: str
    address: str
    association: Association
    cancelled: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to a request. sub_operations : of C-GET and C-MOVE, see `commands.answer_to`."""

    status: int
    data_set: Dataset | None = None
    comment: str = ""
    sub_operations: tuple[int | None, int, int, int] | None = None


Service = Callable[[Request], Iterator[Reply]]


def serve(
    service: Service,
    connection: Connection,
    wire: socket.socket,
    pieces: Pieces,
    address: str,
    command: Command,
    context_id: int,
    data: bytes,
) -> None:
    """Sends a service's answers. Raises Broken, Ended, BadCommand, ConnectionBroke, and the service's own errors."""
    stop = threading.Event()

    def on_peer_request(peer_command: Command, context: Context, context_id: int, peer_pieces: Pieces) -> bytes:
        if peer_command.field == C_CANCEL:
            stop.set()
            return b""
        return unexpected(peer_command, context, context_id, peer_pieces)

    association = Association(
        Peer(address, 0, connection.calling), wire, connection, pieces=pieces, on_request=on_peer_request
    )

    def cancelled() -> bool:
        association.look()
        return stop.is_set()

    syntax = connection.contexts[context_id].transfer_syntax
    request = Request(command, decoded(data, syntax), connection.calling, address, association, cancelled)
    for reply in service(request):
        answer = encoded(reply.data_set, syntax) if reply.data_set is not None else b""
        reply_command = answer_to(
            command, reply.status, reply.comment, with_data_set=bool(answer), sub_operations=reply.sub_operations
        )
        connection.send_message(context_id, reply_command, BytesIO(answer), len(answer))
