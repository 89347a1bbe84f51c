"""HL7 over MLLP: sends a message and waits for its acknowledgement; receives messages and answers them. TLS by option.

Framing: 0x0B, the message, 0x1C 0x0D. Source: HL7 "Transport Specification: MLLP, Release 1". Acknowledgements in
original and enhanced mode: HL7 v2.5.1 2.9.2 and 2.9.3.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from cryptography import x509

from dicom_io.network.crowd import Crowd
from workstation.errors import DeliveryError
from workstation.hl7.acknowledgement import (
    Acknowledgement,
    accept_of,
    accept_wanted,
    control_id_of,
    parse_acknowledgement,
    wants_application_answer,
)
from workstation.hl7.syntax import Hl7Error

_START, _END = b"\x0b", b"\x1c\x0d"

# An acknowledgement is a few hundred bytes. More is a peer that has lost its way.
MAXIMUM_BYTES = 1 << 20
# Enough for any header; and how much of a message that is too long is taken in so that its sender reads the answer.
_BEGINNING_BYTES, _PASSED_OVER_BYTES = 4096, 1 << 30

# A client that opens a connection and sends nothing must not hold a thread in its handshake.
_HANDSHAKE_S = 30.0

# Interface engines keep one or a few connections open. One address may use three quarters of these at once.
MOST_CONNECTIONS = 100


class MllpError(DeliveryError):
    """The message was not acknowledged. Sending the same bytes again is safe."""


class UnreachableError(MllpError):
    """No connection was made, so nothing was sent."""


class TooLongError(MllpError):
    """A message is longer than is taken. beginning : its first bytes, for an answer."""

    def __init__(self, beginning: bytes, maximum_bytes: int) -> None:
        super().__init__(f"the peer sent more than {maximum_bytes} bytes without ending the message.")
        self.beginning = beginning


class NoAcknowledgementError(MllpError):
    """The message was sent, wholly or in part, but no valid acknowledgement came back."""


def frame(message: bytes) -> bytes:
    """Returns the message in its frame. Raises MllpError when it holds a byte that would begin or end a frame."""
    if _START in message or _END[:1] in message:
        raise MllpError("The message holds 0x0B or 0x1C, which frame a message and cannot be in one; escape them.")
    return _START + message + _END


def send(host: str, port: int, message: bytes, timeout_s: float, tls: ssl.SSLContext | None = None) -> Acknowledgement:
    """Sends one message and returns its acknowledgement, positive or negative.

    timeout_s : limit for the whole exchange, in seconds.
    In enhanced mode, the accept acknowledgement comes first and, if the message wants it (MSH-16), the application
    acknowledgement after it on the same connection. If that does not come in time, the acceptance is returned: the
    receiver has the message, and its application acknowledgement comes later.

    Raises UnreachableError when the connection is refused or times out or the host is unknown, NoAcknowledgementError
    when the peer closes, is silent, or answers something else or another message, Hl7Error when `message` has no
    control id.
    """
    control_id = control_id_of(message)
    framed = frame(message)
    deadline = time.monotonic() + timeout_s
    place = f"{host} port {port}"
    connection = _connected(host, port, timeout_s, tls)
    with connection:
        try:
            connection.settimeout(max(deadline - time.monotonic(), 0.001))
            connection.sendall(framed)
            frames = _Frames(connection)
            first = _acknowledgement_of(frames.next(deadline), control_id, place)
            if not (first.code == "CA" and wants_application_answer(message)):
                return first
            try:
                raw = frames.next(deadline)
                later = _acknowledgement_of(raw, control_id, place)
                if raw is not None and accept_wanted(raw):
                    connection.sendall(frame(accept_of(raw)))
            except OSError:
                return first
            return later
        except TimeoutError:
            raise NoAcknowledgementError(f"{place}: no acknowledgement within {timeout_s:g} s.") from None
        except NoAcknowledgementError:
            raise
        except MllpError as error:
            raise NoAcknowledgementError(f"{place}: {error}") from None
        except OSError as error:
            raise NoAcknowledgementError(f"{place}: {error.strerror or error}; the connection broke.") from None


def reach(host: str, port: int, timeout_s: float, tls: ssl.SSLContext | None = None) -> None:
    """Connects, with the TLS handshake, and closes again; sends no message. Raises UnreachableError."""
    _connected(host, port, timeout_s, tls).close()


def _connected(host: str, port: int, timeout_s: float, tls: ssl.SSLContext | None) -> socket.socket:
    place = f"{host} port {port}"
    try:
        connection = socket.create_connection((host, port), timeout=timeout_s)
        return tls.wrap_socket(connection, server_hostname=host) if tls is not None else connection
    except ssl.SSLError as error:
        raise UnreachableError(f"{place}: TLS failed ({error.reason}); check the certificates.") from None
    except TimeoutError:
        raise UnreachableError(
            f"{place}: no connection within {timeout_s:g} s; check the address and the network."
        ) from None
    except OSError as error:
        raise UnreachableError(f"{place}: {error.strerror or error}; check that the receiver is running.") from None


def _acknowledgement_of(answer: bytes | None, control_id: str, place: str) -> Acknowledgement:
    """Reads the acknowledgement of this message from an answer. Raises NoAcknowledgementError for any other answer."""
    if answer is None:
        raise NoAcknowledgementError(f"{place}: the receiver closed the connection without an acknowledgement.")
    try:
        acknowledgement = parse_acknowledgement(answer)
    except Hl7Error as error:
        raise NoAcknowledgementError(f"{place}: {error}") from None
    if acknowledgement.control_id != control_id:
        raise NoAcknowledgementError(
            f"{place}: the answer is to message {acknowledgement.control_id[:40]!r}, not to {control_id}; it "
            "acknowledges nothing here."
        )
    return acknowledgement


def listen_for_hl7(host: str, port: int) -> socket.socket:
    """Opens a listening socket. Raises MllpError."""
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise MllpError(f"{host} port {port}: {error.strerror or error}; choose another port.") from None


@dataclass(frozen=True, slots=True)
class HL7Caller:
    """Who sent a message, as the connection knows it: address, and subject of the client certificate (RFC 4514), empty
    where there is none."""

    address: str
    subject: str = ""


class MllpListener:
    """A listener that answers every message with what `answer` returns.

    Use it as a context manager; `port` is the port it listens on. `answer` is given the message without its frame and
    its caller, and returns the acknowledgement without its frame; None where none is wanted, b"" to close the
    connection. `listening` is a socket that listens already. maximum_bytes : of a message; `too_long` answers one that
    is longer, given its beginning. `broken` is told, in words, why a connection was closed that somebody else broke.
    """

    def __init__(
        self,
        answer: Callable[[bytes, HL7Caller], bytes | None],
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        listening: socket.socket | None = None,
        *,
        maximum_bytes: int = MAXIMUM_BYTES,
        too_long: Callable[[bytes, HL7Caller], bytes] = lambda beginning, caller: b"",
        broken: Callable[[str, HL7Caller], None] = lambda why, caller: None,
    ) -> None:
        self._answer, self._too_long, self._broken = answer, too_long, broken
        self._maximum_bytes = maximum_bytes
        self._listening = listening
        self._address = (host, port)
        self._tls = tls
        self._lock = threading.Lock()
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._crowd = Crowd(MOST_CONNECTIONS, 3 * MOST_CONNECTIONS // 4)
        self._closing = False

    @property
    def port(self) -> int:
        """The port that it listens on."""
        port: int = self._listener.getsockname()[1]
        return port

    def wire(self, answer: bytes) -> bytes:
        """Returns an answer in its frame."""
        return frame(answer)

    def arrived(self, message: bytes) -> None:
        """Called with every message, before it is answered."""

    def __enter__(self) -> Self:
        self._listener = self._listening or listen_for_hl7(*self._address)
        self._acceptor = threading.Thread(target=self._accept, name="MLLP listener")
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._closing = True
            open_now = dict(self._connections)
        # A last connection wakes the listener, and shutting a socket wakes its connection: neither waits for a peer.
        with socket.create_connection(self._listener.getsockname()):
            self._acceptor.join()
        self._listener.close()
        for connection, thread in open_now.items():
            _shut(connection)
            thread.join()

    def _accept(self) -> None:
        while True:
            connection, where = self._listener.accept()
            with self._lock:
                if self._closing:
                    connection.close()
                    return
                caller = HL7Caller(str(where[0]))
                words = (connection, caller, self._crowd.came(connection, caller.address))
                thread = threading.Thread(target=self._serve, args=words, name="MLLP connection")
                self._connections[connection] = thread
                thread.start()

    def _serve(self, connection: socket.socket, caller: HL7Caller, number: int) -> None:
        spoken = connection
        try:
            if self._tls is not None:
                connection.settimeout(_HANDSHAKE_S)
                # A duplicate, because `__exit__` shuts the plain socket.
                spoken = self._tls.wrap_socket(connection.dup(), server_side=True)
                spoken.settimeout(None)
                caller = HL7Caller(caller.address, _subject(spoken))
            frames = _Frames(spoken, self._maximum_bytes)
            said = False
            while (message := frames.next()) is not None:
                if not said and (why := self._crowd.spoke(number, caller.address)):
                    self._broken(f"of the connections {why}; it was closed.", caller)
                    return
                said = True
                self.arrived(message)
                answer = self._answer(message, caller)
                if answer is None:
                    continue
                if not answer:
                    return
                spoken.sendall(self.wire(answer))
        except TooLongError as error:
            answer = self._too_long(error.beginning, caller)
            with suppress(OSError):
                if answer:
                    spoken.sendall(self.wire(answer))
                # What is still on its way would make the peer's system drop the answer unread.
                frames.pass_over(_PASSED_OVER_BYTES)
        except MllpError as error:
            self._broken(str(error), caller)
        except OSError:
            # The peer went away. There is nobody to tell; whoever sent it has no acknowledgement.
            return
        finally:
            self._crowd.left(number)
            with self._lock:
                self._connections.pop(connection, None)
            if spoken is not connection:
                spoken.close()
            connection.close()


def _subject(spoken: ssl.SSLSocket) -> str:
    """The subject of the client's certificate; empty where it showed none."""
    der = spoken.getpeercert(binary_form=True)
    return x509.load_der_x509_certificate(der).subject.rfc4514_string() if der else ""


class MllpReceiver(MllpListener):
    """A listener that keeps every message in memory before it answers: a stand-in for billing."""

    def __init__(
        self,
        answer: Callable[[bytes], bytes | None],
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(lambda message, caller: answer(message), host, port, tls)
        self._messages: list[bytes] = []

    @property
    def messages(self) -> list[bytes]:
        """The messages received so far, oldest first."""
        with self._lock:
            return list(self._messages)

    def arrived(self, message: bytes) -> None:
        """Keeps the message."""
        with self._lock:
            self._messages.append(message)


class _Frames:
    """The frames that come in over one connection. CR and LF between two of them are passed over, as some engines end
    their frames with one more."""

    def __init__(self, connection: socket.socket, maximum_bytes: int = MAXIMUM_BYTES) -> None:
        self._connection, self._maximum_bytes = connection, maximum_bytes
        self._received = bytearray()

    def next(self, deadline: float | None = None) -> bytes | None:
        """Return the next message without its frame, None when the peer closes before it begins one."""
        looked = 0
        while True:
            if not looked:
                del self._received[: len(self._received) - len(self._received.lstrip(b"\r\n"))]
            if self._received and not self._received.startswith(_START):
                raise MllpError(f"the peer sent {bytes(self._received[:8])!r}, which does not begin a frame.")
            end = self._received.find(_END, max(looked - 1, 0))
            if end >= 0:
                break
            looked = len(self._received)
            if looked > self._maximum_bytes:
                raise TooLongError(bytes(self._received[1:_BEGINNING_BYTES]), self._maximum_bytes)
            if deadline is not None:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                self._connection.settimeout(left)
            chunk = self._connection.recv(1 << 16)
            if not chunk and not self._received:
                return None
            if not chunk:
                raise MllpError("the peer closed the connection in the middle of a message.")
            self._received += chunk
        message = bytes(self._received[1:end])
        del self._received[: end + 2]
        return message

    def pass_over(self, most: int) -> None:
        """Take in and forget what is still coming of a frame, up to so many bytes."""
        self._connection.settimeout(_HANDSHAKE_S)
        passed, tail = 0, bytes(self._received[-1:])
        self._received.clear()
        while passed < most and (chunk := self._connection.recv(1 << 16)):
            if _END in tail + chunk:
                return
            passed, tail = passed + len(chunk), chunk[-1:]


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        # The connection is closed already.
        return
