"""Associations that we open: a peer's address, the requests to it, and how long we wait for its answers.

Sources: PS3.8 Section 7 (service) and 9 (protocol), PS3.7 Section 7 (messages).
"""

import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from types import TracebackType
from typing import Any, BinaryIO

from pydicom.dataset import Dataset
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE, SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import build_context, build_role

from dicom_io.capabilities import PLAIN, VERIFICATION
from dicom_io.errors import ConnectionBroke, NotOffered, PeerUnreachable
from dicom_io.files.encoding import decoded, encoded
from dicom_io.network.commands import (
    ANSWER,
    C_CANCEL,
    C_ECHO,
    PENDING,
    SUCCESS,
    UNRECOGNIZED_OPERATION,
    BadCommand,
    Command,
    answer_to,
    read_command,
    request,
)
from dicom_io.network.dimse import Pieces, half
from dicom_io.network.tls import Tls, client_context
from dicom_io.network.upper_layer import (
    ABORT,
    ABORTED,
    AC,
    APPLICATION_CONTEXT,
    RJ,
    Broken,
    Connection,
    Context,
    Ended,
    Waits,
    about_us,
)

# Seconds to wait for a connection, for the answer to an association request, for the next message on it (a PACS may
# fetch from tape before it answers), and for the rest of a PDU that the peer sends or takes.
CONNECT_S, ACCEPT_S, ANSWER_S, STALL_S = 15.0, 30.0, 120.0, 60.0

# PS3.8 Table 9-21: (source, reason) of a rejection, for people.
_REASONS = {
    (1, 1): "no reason given",
    (1, 2): "it does not know the DICOM application context",
    (1, 3): "it does not know the calling AE title {calling}",
    (1, 7): "it does not answer to the called AE title {called}",
    (2, 1): "no reason given",
    (2, 2): "it does not know the protocol version",
    (3, 1): "it is congested for a while",
    (3, 2): "it has as many associations open as it allows",
}


@dataclass(frozen=True, slots=True)
class Peer:
    """A DICOM node: its address and its AE title. tls : if given, it is called by TLS only."""

    host: str
    port: int
    ae_title: str = "ANY-SCP"
    tls: Tls | None = None

    def __str__(self) -> str:
        return f"{self.ae_title} at {self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A presentation context that we propose. provides : we are the SCP of its service; by default the peer is
    (SCP/SCU role selection, PS3.7 D.3.3.4)."""

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...] = PLAIN
    provides: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """One of a peer's answers to a request. data_set : None if the answer has none."""

    command: Command
    data_set: Dataset | None

    @property
    def status(self) -> int:
        return self.command.status

    @property
    def pending(self) -> bool:
        """Whether more answers follow."""
        return self.status in PENDING

    def __str__(self) -> str:
        return f"status 0x{self.status:04X} {self.command.comment}".strip()


# Handles a peer's request that comes before its answer to ours: (command, context, context ID, pieces of the data set)
# → command set of the answer, or nothing.
OnRequest = Callable[[Command, Context, int, Pieces], bytes]


class Association:
    """An established association. Use as a context manager: it is released at the end, or aborted after an error or
    when an answer is still due."""

    def __init__(
        self,
        peer: Peer,
        transport: socket.socket,
        connection: Connection,
        provided: frozenset[str] = frozenset(),
        pieces: Pieces | None = None,
        on_request: OnRequest | None = None,
    ) -> None:
        """provided : the SOP classes for which the peer accepts us as SCP. pieces : of the connection, where the caller
        has begun to read them. on_request : handles requests for which no other handler waits; by default it answers
        that the operation is unknown."""
        self.peer, self.provided = peer, provided
        self._socket, self._connection = transport, connection
        self._pieces = pieces if pieces is not None else connection.pieces()
        self._on_request = on_request or unexpected
        self._message_id = self._asked_in = 0
        self._due = False
        self.open = True

    def __enter__(self) -> "Association":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.release()
        else:
            self.abort()

    def accepted(self, abstract_syntax: str) -> dict[str, int]:
        """Returns the IDs of the contexts that the peer has accepted for a syntax, by transfer syntax."""
        contexts = self._connection.contexts
        return {c.transfer_syntax: i for i, c in contexts.items() if c.abstract_syntax == abstract_syntax}

    def ask(
        self,
        field: int,
        sop_class_uid: str,
        *,
        context_id: int = 0,
        sop_instance_uid: str = "",
        type_id: int = 0,
        move_destination: str = "",
        originator: tuple[str, int] | None = None,
        data: Dataset | BinaryIO | None = None,
        size: int = 0,
        on_request: OnRequest | None = None,
    ) -> Iterator[Answer]:
        """Sends a request to the service `sop_class_uid` and yields its answers to the last one.

        context_id : the context to use; 0 for any that the peer has accepted for the class. type_id : of an action or
        an event. data : the data set, or `size` bytes of a file that holds it encoded as the context wants.

        Raises NotOffered; ConnectionBroke, after which the association is unusable; OSError or ValueError of `data`.
        """
        if not context_id:
            found = self.accepted(sop_class_uid)
            if not found:
                raise NotOffered(f"{self.peer} takes the association, but offers nothing of what was asked for.")
            context_id = next(iter(found.values()))
        if isinstance(data, Dataset):
            written = encoded(data, self._connection.contexts[context_id].transfer_syntax)
            data, size = BytesIO(written), len(written)
        self._message_id, self._asked_in = self._message_id % 0xFFFF + 1, context_id
        command = request(
            field,
            self._message_id,
            sop_class_uid,
            sop_instance_uid=sop_instance_uid,
            type_id=type_id,
            move_destination=move_destination,
            originator=originator,
            with_data_set=size > 0,
        )
        return self._answers(context_id, command, data, size, on_request or self._on_request)

    def ask_once(self, field: int, sop_class_uid: str, **more: Any) -> Answer:
        """Sends a request that has one answer; see `ask`."""
        (answer,) = self.ask(field, sop_class_uid, **more)
        return answer

    def _answers(
        self, context_id: int, command: bytes, data: BinaryIO | None, size: int, on_request: OnRequest
    ) -> Iterator[Answer]:
        connection = self._connection
        self._due = True
        try:
            connection.send_message(context_id, command, data, size)
            while True:
                connection.acknowledge_at_once()
                command_read, context = self._message(on_request)
                if not command_read.field & ANSWER:
                    continue
                if command_read.message_id != self._message_id:
                    raise Broken(f"answers message {command_read.message_id}, which nobody sent", 2)
                data_read = half(self._pieces, command=False)[1] if command_read.has_data_set else b""
                answer = Answer(command_read, decoded(data_read, context.transfer_syntax) if data_read else None)
                self._due = answer.pending
                yield answer
                if not answer.pending:
                    return
        except (Broken, Ended, BadCommand) as error:
            self.abort(ABORTED if isinstance(error, BadCommand) else error.pdu)
            raise ConnectionBroke(f"{self.peer}: the connection broke before it answered: it {error}.") from error
        except BaseException:
            self.abort()
            raise

    def _message(self, on_request: OnRequest) -> tuple[Command, Context]:
        """Reads the next command; a request from the peer is answered here too."""
        context_id, encoded_command = half(self._pieces, command=True)
        context = self._connection.contexts.get(context_id)
        if context is None:
            raise Broken(f"speaks of presentation context {context_id}, which was not accepted", 6)
        command = read_command(encoded_command)
        if not command.field & ANSWER:
            answer = on_request(command, context, context_id, self._pieces)
            if answer:
                self._connection.send_message(context_id, answer)
        return command, context

    def look(self) -> None:
        """Answers requests that the peer has sent meanwhile; does not wait for more. Raises Broken, Ended,
        BadCommand."""
        while self._connection.waiting():
            self._message(self._on_request)

    def cancel(self) -> None:
        """Asks the peer to stop answering the last request (C-CANCEL, PS3.7 9.3.2.3); one last answer still comes.

        Raises ConnectionBroke.
        """
        try:
            self._connection.send_message(self._asked_in, request(C_CANCEL, self._message_id))
        except Broken as error:
            self.abort(b"")
            raise ConnectionBroke(f"{self.peer}: the connection broke before it answered: it {error}.") from error

    def release(self) -> None:
        """Ends the association, by a release unless an answer is due; never fails."""
        if self._due:
            self.abort()
        if self.open:
            self._connection.release()
            self._close()

    def abort(self, words: bytes = ABORTED) -> None:
        """Aborts the association."""
        if self.open:
            try:
                if words:
                    self._connection.send(words)
            except Broken:
                pass
            self._close()

    def _close(self) -> None:
        self.open = False
        self._socket.close()


def associate(peer: Peer, calling: str, proposals: Sequence[Proposal]) -> Association:
    """Opens an association with a peer. calling : our AE title. proposals : at most 128.

    Raises PeerUnreachable, or its NotOffered where the peer accepts none of the proposals.
    """
    try:
        tls = client_context(peer.tls) if peer.tls is not None else None
    except OSError as error:
        raise PeerUnreachable(f"{peer}: its TLS files cannot be used ({error}).") from error
    try:
        transport = socket.create_connection((peer.host, peer.port), CONNECT_S)
    except OSError as error:
        raise PeerUnreachable(f"{peer} cannot be reached: {_why(error)}.") from error
    try:
        if tls is not None:
            transport = _secured(transport, tls, peer)
        connection = Connection(transport, Waits(ACCEPT_S, ANSWER_S, STALL_S))
        return Association(peer, transport, connection, _negotiate(connection, peer, calling, proposals))
    except (OSError, Broken, Ended) as error:
        transport.close()
        hint = "" if tls is not None else "; it may want TLS, or not know this address"
        raise PeerUnreachable(f"{peer} cannot be reached: it {error} instead of an association{hint}.") from error
    except BaseException:
        transport.close()
        raise


def _secured(transport: socket.socket, tls: ssl.SSLContext, peer: Peer) -> socket.socket:
    """Makes the TLS handshake. Raises PeerUnreachable."""
    try:
        return tls.wrap_socket(transport, server_hostname=peer.host)
    except OSError as error:
        raise PeerUnreachable(
            f"{peer} cannot be reached by TLS: {_why(error)}. Either it does not speak TLS on this port, or one side "
            "does not trust the other's certificate."
        ) from error


def _negotiate(connection: Connection, peer: Peer, calling: str, proposals: Sequence[Proposal]) -> frozenset[str]:
    """Negotiates. Returns the SOP classes for which we may be SCP. Raises PeerUnreachable, Broken, Ended."""
    contexts = [build_context(p.abstract_syntax, list(p.transfer_syntaxes)) for p in proposals]
    for number, context in enumerate(contexts):
        context.context_id = 2 * number + 1  # odd numbers from 1 to 255 (PS3.8 9.3.2.2)
    asked = A_ASSOCIATE()
    asked.application_context_name = APPLICATION_CONTEXT
    asked.calling_ae_title, asked.called_ae_title = calling, peer.ae_title
    asked.presentation_context_definition_list = contexts
    asked.user_information = about_us(connection.max_pdu)
    for uid in dict.fromkeys(p.abstract_syntax for p in proposals if p.provides):
        asked.user_information.append(build_role(uid, scp_role=True))
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(asked)
    connection.send(pdu.encode())

    kind, data = connection.opening("did not answer")
    if kind == RJ:
        result, source, reason = data[7], data[8], data[9]
        why = _REASONS.get((source, reason), f"source {source}, reason {reason}")
        why = why.format(calling=repr(calling), called=repr(peer.ae_title))
        when = "for now " if result == 2 else ""
        raise PeerUnreachable(f"{peer} {when}rejected the association from {calling}: {why}.")
    if kind == ABORT:
        raise Ended("aborted")
    try:
        if kind != AC:
            raise ValueError(f"PDU type 0x{kind:02X}")
        answer = A_ASSOCIATE_AC()
        answer.decode(data)
        said = answer.to_primitive()
        taken = {c.context_id: c for c in said.presentation_context_definition_results_list if c.result == 0}
        agreed = {
            c.context_id: Context(str(c.abstract_syntax), str(taken[c.context_id].transfer_syntax[0]))
            for c in contexts
            if c.context_id in taken
        }
    except Exception as error:  # pynetdicom raises many kinds for malformed bytes
        raise Broken(f"sent what is no answer ({type(error).__name__})") from error
    connection.agree(agreed, said.user_information)
    if not agreed:
        connection.release()
        raise NotOffered(f"{peer} takes the association, but offers nothing of what was asked for.")
    roles = (i for i in said.user_information if isinstance(i, SCP_SCU_RoleSelectionNegotiation))
    return frozenset(str(role.sop_class_uid) for role in roles if role.scp_role)


def _why(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "nobody answers there"
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there"
    return getattr(error, "reason", None) or error.strerror or str(error)


def echo(peer: Peer, calling: str = "WORKSTATION") -> None:
    """Sends C-ECHO. Raises PeerUnreachable, ConnectionBroke."""
    with associate(peer, calling, [Proposal(VERIFICATION)]) as association:
        answer = association.ask_once(C_ECHO, VERIFICATION)
        if answer.status != SUCCESS:
            raise PeerUnreachable(f"{peer} does not answer C-ECHO: {answer}.")


def unexpected(command: Command, context: Context, context_id: int, pieces: Pieces) -> bytes:
    """Answers an unexpected request: the default `OnRequest`, which other handlers fall back on."""
    if command.has_data_set:
        half(pieces, command=False)
    return answer_to(command, UNRECOGNIZED_OPERATION)
