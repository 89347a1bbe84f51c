"""HL7 over MLLP: send a message and wait for its acknowledgement; receive messages and answer them.

Framing: 0x0B, the message, 0x1C 0x0D. Source: HL7 "Transport Specification: MLLP, Release 1".
"""

import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from workstation.hl7 import Acknowledgement, Hl7Error, control_id_of, parse_acknowledgement
from workstation.outbox import Delivery, Message

_START, _END = b"\x0b", b"\x1c\x0d"
# An acknowledgement is a few hundred bytes, a message a few thousand. More is a peer that has lost its way.
MAXIMUM_BYTES = 1 << 20


class MllpError(OSError):
    """The message was not acknowledged. Sending the same bytes again is safe."""


class UnreachableError(MllpError):
    """There is no connection: nothing was sent."""


class NoAcknowledgementError(MllpError):
    """The message was sent, wholly or in part, and no valid acknowledgement of it came back."""


def frame(message: bytes) -> bytes:
    """Return the message as it goes over the wire.

    Raises
    ------
    MllpError
        The message holds a byte that would end or begin a frame.
    """
    if _START in message or _END[:1] in message:
        raise MllpError("The message holds 0x0B or 0x1C, which frame a message and cannot be in one; escape them.")
    return _START + message + _END


def send(host: str, port: int, message: bytes, timeout_s: float) -> Acknowledgement:
    """Send one message and return its acknowledgement, positive or negative.

    timeout_s : limit for the whole exchange, in seconds.

    Raises
    ------
    UnreachableError
        The connection was refused, timed out, or the host is not known.
    NoAcknowledgementError
        The peer closed, was silent, answered something else, or answered another message.
    Hl7Error
        `message` has no control id.
    """
    control_id = control_id_of(message)
    framed = frame(message)
    deadline = time.monotonic() + timeout_s
    place = f"{host} port {port}"
    try:
        connection = socket.create_connection((host, port), timeout=timeout_s)
    except TimeoutError:
        raise UnreachableError(
            f"{place}: no connection within {timeout_s:g} s; check the address and the network."
        ) from None
    except OSError as error:
        raise UnreachableError(f"{place}: {error.strerror or error}; check that the receiver is running.") from None
    with connection:
        try:
            connection.settimeout(max(deadline - time.monotonic(), 0.001))
            connection.sendall(framed)
            answer = _Frames(connection).next(deadline)
        except TimeoutError:
            raise NoAcknowledgementError(f"{place}: no acknowledgement within {timeout_s:g} s.") from None
        except MllpError as error:
            raise NoAcknowledgementError(f"{place}: {error}") from None
        except OSError as error:
            raise NoAcknowledgementError(f"{place}: {error.strerror or error}; the connection broke.") from None
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


def deliver(message: Message, host: str, port: int, timeout_s: float) -> Delivery:
    """Deliver an HL7 message of the outbox; use it in `Outbox.drain`.

    Raises
    ------
    UnreachableError
        There is no connection; the outbox then leaves this destination alone for the rest of the drain.
    """
    if message.body is None:
        return Delivery("rejected", f"Message {message.identity} has no body to send; it was queued by path.")
    try:
        return Delivery.answered(message, send(host, port, message.body, timeout_s))
    except NoAcknowledgementError as error:
        return Delivery("failed", str(error))


class MllpReceiver:
    """A listener that keeps every message it gets and answers it with what `answer` returns.

    Use it as a context manager; `port` is the port it listens on. `answer` is given the message without its frame and
    returns the acknowledgement without its frame, or nothing (b"") to close the connection. A message is kept before
    it is answered.
    """

    def __init__(self, answer: Callable[[bytes], bytes], host: str = "127.0.0.1", port: int = 0) -> None:
        self._answer = answer
        self._address = (host, port)
        self._lock = threading.Lock()
        self._messages: list[bytes] = []
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._closing = False

    @property
    def port(self) -> int:
        """The port it listens on."""
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def messages(self) -> list[bytes]:
        """The messages received so far, oldest first."""
        with self._lock:
            return list(self._messages)

    def wire(self, answer: bytes) -> bytes:
        """Return an answer as it goes over the wire."""
        return frame(answer)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(self._address)
        self._acceptor = threading.Thread(target=self._accept, name="MLLP receiver")
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._closing = True
            open_now = dict(self._connections)
        # A listener is woken by a last connection, a connection by being shut: neither waits for a peer.
        with socket.create_connection(self._listener.getsockname()):
            self._acceptor.join()
        self._listener.close()
        for connection, thread in open_now.items():
            _shut(connection)
            thread.join()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with self._lock:
                if self._closing:
                    connection.close()
                    return
                thread = threading.Thread(target=self._serve, args=(connection,), name="MLLP connection")
                self._connections[connection] = thread
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            frames = _Frames(connection)
            while (message := frames.next()) is not None:
                with self._lock:
                    self._messages.append(message)
                answer = self._answer(message)
                if not answer:
                    return
                connection.sendall(self.wire(answer))
        except OSError:
            # The peer went away or sent no frame. There is nobody to tell; whoever sent it has no acknowledgement.
            return
        finally:
            with self._lock:
                self._connections.pop(connection, None)
            connection.close()


class _Frames:
    """The frames that come in over one connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = b""

    def next(self, deadline: float | None = None) -> bytes | None:
        """Return the next message without its frame, None when the peer closes before it begins one."""
        while True:
            if self._received and not self._received.startswith(_START):
                raise MllpError(f"the peer sent {self._received[:8]!r}, which does not begin a frame.")
            end = self._received.find(_END)
            if end >= 0:
                break
            if len(self._received) > MAXIMUM_BYTES:
                raise MllpError(f"the peer sent more than {MAXIMUM_BYTES} bytes without ending the message.")
            if deadline is not None:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                self._connection.settimeout(left)
            chunk = self._connection.recv(4096)
            if not chunk and not self._received:
                return None
            if not chunk:
                raise MllpError("the peer closed the connection in the middle of a message.")
            self._received += chunk
        message, self._received = self._received[1:end], self._received[end + 2 :]
        return message


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        # Already gone.
        return
