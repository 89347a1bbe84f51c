"""The acceptor's side of the DICOM upper layer: who is let in, and messages piece by piece as they come.

Source: PS3.8 Section 9 (upper layer protocol for TCP/IP). Association PDUs are read and written by pynetdicom; data
PDUs, which carry the bulk, are taken apart here, on a blocking socket: pynetdicom's reactor copies each several times
and sleeps between two of them.
"""

import ipaddress
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from struct import pack, unpack_from
from typing import Any

from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
)
from pynetdicom.presentation import negotiate_as_acceptor

from dicom_io.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION

# PS3.8 9.3: PDU types.
_RQ, _AC, _RJ, _DATA, _RELEASE_RQ, _RELEASE_RP, _ABORT = range(1, 8)
# An association request with all 128 contexts and every transfer syntax is a tenth of this.
_LONGEST_REQUEST = 1 << 20
_BUFFER = 1 << 20
# PS3.8 9.3.1: no PDU that we send is longer, whatever the peer would take.
_LONGEST_SENT = 1 << 18
_SHORTEST = 1024
# How often a wait looks whether it has lasted too long, or we are about to stop.
_TICK_S = 1.0


class Rejection(Exception):  # noqa: N818 - reads as a sentence where it is raised
    """A request that is turned down: result, source and reason (PS3.8 Table 9-21), and why in words."""

    def __init__(self, result: int, source: int, reason: int, words: str) -> None:
        super().__init__(words)
        self.pdu = pack(">BxLxBBB", _RJ, 4, result, source, reason)


class Broken(Exception):  # noqa: N818
    """The association cannot go on; the message says why. `abort` : what the peer is told (PS3.8 Table 9-26)."""

    def __init__(self, words: str, abort: int | None = None) -> None:
        super().__init__(words)
        # Source 2 is the service provider; 0: no reason, 1: unrecognized PDU, 2: unexpected PDU, 6: invalid parameter.
        self.pdu = b"" if abort is None else pack(">BxLxxBB", _ABORT, 4, 2, abort)


class Ended(Exception):  # noqa: N818
    """The peer released or aborted the association, or went away between two messages."""

    def __init__(self, words: str, answer: bytes = b"") -> None:
        super().__init__(words)
        self.pdu = answer


RELEASED = pack(">BxLxxxx", _RELEASE_RP, 4)
ABORTED = pack(">BxLxxBB", _ABORT, 4, 2, 0)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who may call: an AE title, from certain addresses or networks."""

    ae_title: str
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """Who is let in, and what is borne from them.

    called : the AE title that has to be called; any if empty. callers : who may call; None for anybody.
    max_associations : so many at once. max_pdu : bytes of a PDU that we take. max_instance_bytes : of a data set.
    min_free_bytes : so much stays free on the disk.
    request_s : from connecting to the association request. idle_s : between two messages. stall_s : for a PDU that has
    begun, and for one that we send.
    """

    called: str = ""
    callers: tuple[Caller, ...] | None = None
    max_associations: int = 32
    max_pdu: int = 1 << 18
    max_instance_bytes: int = 8 << 30
    min_free_bytes: int = 512 << 20
    request_s: float = 30.0
    idle_s: float = 600.0
    stall_s: float = 60.0

    def admit(self, request: A_ASSOCIATE, address: str) -> None:
        """Raises Rejection."""
        calling, called = str(request.calling_ae_title).strip(), str(request.called_ae_title).strip()
        if self.called and called != self.called:
            raise Rejection(1, 1, 7, f"called AE title {called!r} is not ours")
        if self.callers is None:
            return
        known = [c for c in self.callers if c.ae_title.strip() == calling]
        if not known:
            raise Rejection(1, 1, 3, f"calling AE title {calling!r} is no peer of ours")
        where = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(where, ipaddress.IPv6Address) and where.ipv4_mapped:
            where = where.ipv4_mapped
        if not any(where in network for caller in known for network in caller.networks):
            raise Rejection(1, 1, 3, f"{calling!r} does not call from an address of that peer")


@dataclass(frozen=True, slots=True)
class Context:
    """An accepted presentation context."""

    abstract_syntax: str
    transfer_syntax: str


class Connection:
    """A peer's connection. Every wait has an end."""

    def __init__(self, peer: socket.socket, rules: Rules, leaving: Callable[[], bool]) -> None:
        """leaving : whether we are about to stop; a peer that has begun nothing is then told so."""
        self._peer, self._rules, self._leaving = peer, rules, leaving
        peer.settimeout(_TICK_S)
        self._buffer = bytearray(_BUFFER)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._deadline = 0.0
        self._longest_sent = _LONGEST_SENT
        self.contexts: dict[int, Context] = {}
        self.calling = ""
        # Whether the peer owes us nothing: no message has begun.
        self.between = True

    def accept(self, supported: Sequence[Any], address: str, full: Callable[[], bool]) -> None:
        """Reads the association request and answers it. Raises Rejection, Broken, Ended."""
        self._deadline = time.monotonic() + self._rules.request_s
        kind, length = self._header("sent no association request")
        if kind == _ABORT:
            raise Ended("aborted before it asked for an association")
        if kind != _RQ or not 68 <= length <= _LONGEST_REQUEST:
            raise Broken(f"sent PDU type 0x{kind:02X} of {length} bytes for an association request", 2)
        try:
            pdu = A_ASSOCIATE_RQ()
            pdu.decode(pack(">BxL", kind, length) + self._take(length))
            request = pdu.to_primitive()
            self.calling = str(request.calling_ae_title).strip()
            version = int(pdu.protocol_version)
            name = str(request.application_context_name)
        except (Broken, Ended):
            raise
        except Exception as error:  # whatever pynetdicom makes of nonsense
            raise Broken(f"sent an association request that cannot be read ({type(error).__name__})", 6) from error
        if not version & 1:
            raise Rejection(1, 2, 2, f"protocol version {version} is unknown")
        if name != "1.2.840.10008.3.1.1.1":
            raise Rejection(1, 1, 2, f"application context {name[:64]!r} is unknown")
        self._rules.admit(request, address)
        if full():
            raise Rejection(2, 3, 2, f"{self._rules.max_associations} associations are open already")
        self.send(self._accepted(request, supported))

    def _accepted(self, request: A_ASSOCIATE, supported: Sequence[Any]) -> bytes:
        items = request.user_information
        roles = {
            i.sop_class_uid: (i.scu_role, i.scp_role) for i in items if isinstance(i, SCP_SCU_RoleSelectionNegotiation)
        }
        theirs = next((i.maximum_length_received for i in items if isinstance(i, MaximumLengthNotification)), 0)
        self._longest_sent = max(_SHORTEST, min(theirs or _LONGEST_SENT, _LONGEST_SENT))
        results, reply_roles = negotiate_as_acceptor(
            request.presentation_context_definition_list, list(supported), roles
        )
        self.contexts = {
            int(c.context_id): Context(str(c.abstract_syntax), str(c.transfer_syntax[0]))
            for c in results
            if c.result == 0
        }
        answer = A_ASSOCIATE()
        answer.application_context_name = request.application_context_name
        answer.calling_ae_title, answer.called_ae_title = request.calling_ae_title, request.called_ae_title
        answer.result, answer.result_source = 0x00, 0x01
        answer.presentation_context_definition_results_list = results
        length, uid = MaximumLengthNotification(), ImplementationClassUIDNotification()
        name = ImplementationVersionNameNotification()
        length.maximum_length_received = self._rules.max_pdu
        uid.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        name.implementation_version_name = IMPLEMENTATION_VERSION
        answer.user_information = [length, uid, name, *reply_roles]
        pdu = A_ASSOCIATE_AC()
        pdu.from_primitive(answer)
        return bytes(pdu.encode())

    def pieces(self) -> Iterator[tuple[int, bool, bool, memoryview]]:
        """(context ID, of a command, last of its half, some bytes) as they come, for ever. Bytes may be empty, and are
        valid until the next piece is asked for. Source: PS3.8 9.3.5 and Annex E.

        Raises Ended, Broken.
        """
        while True:
            self._deadline = time.monotonic() + (self._rules.idle_s if self.between else self._rules.stall_s)
            kind, length = self._header("was silent for too long" if self.between else "stopped within a message")
            self._deadline = time.monotonic() + self._rules.stall_s
            if kind == _RELEASE_RQ and length == 4:
                raise Ended("released", RELEASED)
            if kind == _ABORT:
                raise Ended("aborted")
            if kind != _DATA:
                raise Broken(f"sent PDU type 0x{kind:02X} where data was due", 2 if 1 <= kind <= 7 else 1)
            if not 6 <= length <= self._rules.max_pdu:
                raise Broken(f"sent a PDU of {length} bytes; at most {self._rules.max_pdu} were agreed on", 6)
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

    def send(self, data: bytes) -> None:
        """Raises Broken when the peer does not take it in time."""
        self._peer.settimeout(self._rules.stall_s)
        try:
            self._peer.sendall(data)
            self._peer.settimeout(_TICK_S)
        except (OSError, ValueError) as error:
            raise Broken(f"does not take what it is sent ({error})") from error

    def send_message(self, context_id: int, command: bytes, data: bytes = b"") -> None:
        """A command set and, if there is one, its data set. Raises Broken."""
        most = self._longest_sent - 6
        out = bytearray()
        for flag, half in ((1, command), (0, data)):
            for at in range(0, len(half), most):
                part = half[at : at + most]
                last = 2 if at + most >= len(half) else 0
                out += pack(">BxLLBB", _DATA, len(part) + 6, len(part) + 2, context_id, flag | last) + part
        self.send(bytes(out))

    def _header(self, silence: str) -> tuple[int, int]:
        kind, length = unpack_from(">BxL", self._take(6, silence))
        return int(kind), int(length)

    def _take(self, count: int, silence: str = "stopped within a PDU") -> bytes:
        """So many bytes, few enough to fit the buffer."""
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
        """What is there of the next `most` bytes, at least one."""
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
