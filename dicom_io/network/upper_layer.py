"""The DICOM upper layer on a blocking socket, for either side: PDUs, and messages piece by piece as they come.

Source: PS3.8 Section 9 (upper layer protocol for TCP/IP). `acceptor` and `requestor` open an association, with PDUs
that pynetdicom reads and writes. Data PDUs, which carry the bulk, are read and written here: pynetdicom's reactor
copies each several times, sleeps between two of them, and under load loses an answer to a request of ours.
"""

import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from struct import pack, pack_into, unpack_from
from typing import Any, BinaryIO

from pynetdicom.pdu_primitives import (
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
)

from dicom_io.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION

# PS3.8 9.3: PDU types.
RQ, AC, RJ, _DATA, _RELEASE_RQ, _RELEASE_RP, ABORT = range(1, 8)
# PS3.8 A.2.1.
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
# A larger PDU means fewer round trips; 16 KB is the default of most senders. We send none longer than this, even if
# the peer would take it.
MAXIMUM_PDU = 1 << 18
_SHORTEST = 1024
# An association request with all 128 contexts and every transfer syntax is a tenth of this.
_LONGEST_OPENING = 1 << 20
_BUFFER = 1 << 20
# How often a wait checks whether it has lasted too long or we are about to stop.
_TICK_S = 1.0


class Broken(Exception):  # noqa: N818 - reads as a sentence where it is raised
    """The association cannot go on; the message says why. abort : the reason for the peer (PS3.8 Table 9-26)."""

    def __init__(self, words: str, abort: int | None = None) -> None:
        super().__init__(words)
        # Source 2 is the service provider; 0: no reason, 1: unrecognized PDU, 2: unexpected PDU, 6: invalid parameter.
        self.pdu = b"" if abort is None else pack(">BxLxxBB", ABORT, 4, 2, abort)


class Ended(Exception):  # noqa: N818
    """The peer released or aborted the association, or closed it between two messages."""

    def __init__(self, words: str, answer: bytes = b"") -> None:
        super().__init__(words)
        self.pdu = answer


RELEASED = pack(">BxLxxxx", _RELEASE_RP, 4)
ABORTED = pack(">BxLxxBB", ABORT, 4, 2, 0)


@dataclass(frozen=True, slots=True)
class Waits:
    """How long we wait for a peer, in seconds.

    opening_s : for an association request, or the answer to ours. idle_s : for the next message, or an answer.
    stall_s : for the rest of a PDU that has begun, and for the peer to take one that we send.
    """

    opening_s: float
    idle_s: float
    stall_s: float


@dataclass(frozen=True, slots=True)
class Context:
    """An accepted presentation context."""

    abstract_syntax: str
    transfer_syntax: str


def about_us(max_pdu: int) -> list[Any]:
    """Returns the user information that we send when an association opens: our longest PDU and our implementation."""
    length, uid = MaximumLengthNotification(), ImplementationClassUIDNotification()
    name = ImplementationVersionNameNotification()
    length.maximum_length_received = max_pdu
    uid.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    name.implementation_version_name = IMPLEMENTATION_VERSION
    return [length, uid, name]


class Connection:
    """A connection with a peer; every wait on it has a limit."""

    def __init__(
        self, peer: socket.socket, waits: Waits, max_pdu: int = MAXIMUM_PDU, leaving: Callable[[], bool] = lambda: False
    ) -> None:
        """max_pdu : the longest PDU that we take, in bytes. leaving : whether we are about to stop; an idle peer's
        association is then aborted."""
        self._peer, self._waits, self._leaving = peer, waits, leaving
        self.max_pdu = max_pdu
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.settimeout(_TICK_S)
        self._buffer = bytearray(_BUFFER)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._out = bytearray(0)
        self._deadline = 0.0
        self._longest_sent = MAXIMUM_PDU
        self.contexts: dict[int, Context] = {}
        self.calling = ""
        # Whether we are between two messages: the peer may hang up without an error.
        self.between = True

    def opening(self, silence: str) -> tuple[int, bytes]:
        """Reads the association request or the answer to ours. Returns (PDU type, PDU). Raises Broken."""
        self._deadline = time.monotonic() + self._waits.opening_s
        kind, length = self._header(silence)
        if not 4 <= length <= _LONGEST_OPENING:
            raise Broken(f"sent PDU type 0x{kind:02X} of {length} bytes to open an association", 2)
        return kind, pack(">BxL", kind, length) + self._take(length)

    def agree(self, contexts: dict[int, Context], user_information: list[Any]) -> None:
        """Notes that the association is open, with its contexts and the peer's user information."""
        theirs = next((i.maximum_length_received for i in user_information if _is_length(i)), 0)
        self._longest_sent = max(_SHORTEST, min(theirs or MAXIMUM_PDU, MAXIMUM_PDU))
        self.contexts = contexts

    def pieces(self) -> Iterator[tuple[int, bool, bool, memoryview]]:
        """Yields (context ID, whether of a command, whether the last of its half, bytes) as they come, without end. The
        bytes may be empty, and are valid until the next piece is read. Source: PS3.8 9.3.5 and Annex E.

        Raises Ended, Broken.
        """
        while True:
            self._deadline = time.monotonic() + (self._waits.idle_s if self.between else self._waits.stall_s)
            kind, length = self._header("was silent for too long" if self.between else "stopped within a message")
            self._deadline = time.monotonic() + self._waits.stall_s
            if kind == _RELEASE_RQ and length == 4:
                raise Ended("released", RELEASED)
            if kind == ABORT:
                raise Ended("aborted")
            if kind != _DATA:
                raise Broken(f"sent PDU type 0x{kind:02X} where data was due", 2 if 1 <= kind <= 7 else 1)
            if not 6 <= length <= self.max_pdu:
                raise Broken(f"sent a PDU of {length} bytes; at most {self.max_pdu} were agreed on", 6)
            while length:
                if length < 6:
                    raise Broken("sent a PDU with a part of a value in it", 6)
                size, context_id, control = unpack_from(">LBB", self._take(6))
                size -= 2
                if not 0 <= size <= length - 6:
                    raise Broken("sent a value that is longer than its PDU", 6)
                length -= 6 + size
                command, last = bool(control & 1), bool(control & 2)
                if not size:
                    yield context_id, command, last, self._view[:0]
                while size:
                    some = self._some(size)
                    size -= len(some)
                    yield context_id, command, last and not size, some

    def waiting(self) -> bool:
        """Whether the peer has sent bytes that are not read yet."""
        if self._start < self._end or (isinstance(self._peer, ssl.SSLSocket) and self._peer.pending()):
            return True
        return bool(select.select([self._peer], [], [], 0)[0])

    def send(self, data: bytes | bytearray | memoryview) -> None:
        """Sends bytes. Raises Broken when the peer does not take them in time."""
        self._peer.settimeout(self._waits.stall_s)
        try:
            self._peer.sendall(data)
            self._peer.settimeout(_TICK_S)
        except (OSError, ValueError) as error:
            raise Broken(f"does not take what it is sent ({error})") from error

    def send_message(self, context_id: int, command: bytes, data: BinaryIO | None = None, size: int = 0) -> None:
        """Sends a command set and, if given, a data set: `size` bytes of `data` from its current position.

        Raises Broken, and OSError when `data` cannot be read or ends too early.
        """
        most = self._longest_sent - 6
        needed = min(_BUFFER, len(command) + size + 12 * (2 + len(command) // most + size // most))
        if len(self._out) < needed:
            self._out = bytearray(needed)
        at = self._lay_out(0, context_id, 1, BytesIO(command), len(command))
        if data is not None and size:
            at = self._lay_out(at, context_id, 0, data, size)
        self.send(memoryview(self._out)[:at])

    def _lay_out(self, at: int, context_id: int, flag: int, source: BinaryIO | BytesIO, size: int) -> int:
        """Writes PDUs into the buffer from `at` on and sends it whenever it is full. Returns the end of the rest."""
        most = self._longest_sent - 6
        out = memoryview(self._out)
        while size:
            part = min(size, most)
            if at + 12 + part > len(out):
                self.send(out[:at])
                at = 0
            size -= part
            pack_into(">BxLLBB", out, at, _DATA, part + 6, part + 2, context_id, flag | (0 if size else 2))
            end = at + 12 + part
            at += 12
            while at < end:
                got = source.readinto(out[at:end])  # type: ignore[union-attr]
                if not got:
                    raise OSError("the file is shorter than it was")
                at += got
        return at

    def release(self) -> None:
        """Releases an association on which no message is under way (PS3.8 7.2); never fails, whatever the peer does."""
        try:
            self.send(pack(">BxLxxxx", _RELEASE_RQ, 4))
            self._deadline = time.monotonic() + self._waits.opening_s
            while True:
                kind, length = self._header("does not answer a release")
                if kind == _RELEASE_RQ:
                    self.send(RELEASED)  # both sides asked for the release at once
                if kind in (_RELEASE_RP, ABORT):
                    break
                while length:
                    length -= len(self._some(length))
        except (Broken, Ended):
            pass

    def acknowledge_at_once(self) -> None:
        """Asks the kernel to acknowledge at once. After each message of ours it goes back to delayed acknowledgements,
        and peers with Nagle's algorithm on (DCMTK's) then wait 40 ms with every message. Source: tcp(7)."""
        if hasattr(socket, "TCP_QUICKACK"):
            try:
                self._peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            except OSError as error:
                raise Broken(f"broke off ({error})") from error

    def _header(self, silence: str) -> tuple[int, int]:
        kind, length = unpack_from(">BxL", self._take(6, silence))
        return int(kind), int(length)

    def _take(self, count: int, silence: str = "stopped within a PDU") -> bytes:
        """Reads exactly `count` bytes, which must fit the buffer."""
        while self._end - self._start < count:
            if self._start and self._start + count > _BUFFER:
                held = self._end - self._start
                self._buffer[:held] = self._buffer[self._start : self._end]
                self._start, self._end = 0, held
            self._fill(silence)
        data = bytes(self._view[self._start : self._start + count])
        self._start += count
        return data

    def _some(self, most: int) -> memoryview:
        """Returns the bytes that are there of the next `most`, at least one."""
        if self._start == self._end:
            self._fill("stopped within a PDU")
        end = min(self._end, self._start + most)
        some = self._view[self._start : end]
        self._start = end
        return some

    def _fill(self, silence: str) -> None:
        if self._start == self._end:
            self._start = self._end = 0
        while True:
            try:
                got = self._peer.recv_into(self._view[self._end :])
                break
            except TimeoutError as error:
                if time.monotonic() > self._deadline:
                    raise Broken(silence, 0) from error
                if self.between and self._leaving():
                    raise Broken("was told that we stop", 0) from error
            except (OSError, ValueError) as error:
                raise Broken(f"broke off ({error})") from error
        if not got:
            raise Ended("hung up")
        self._end += got


def _is_length(item: Any) -> bool:
    return isinstance(item, MaximumLengthNotification)
