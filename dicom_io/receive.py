"""The Storage SCP: an instance is on the disk and in the index before it is answered 0x0000.

A data set goes from the connection into the spool piece by piece, as it came; nothing is decoded or decompressed here.
"""

import errno
import logging
import os
import shutil
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from struct import pack
from types import TracebackType
from typing import Any

from pynetdicom.presentation import build_context

from dicom_io.archive import Archive, Kept
from dicom_io.capabilities import (
    CLASS_BY_UID,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    STORAGE_CLASSES,
    VERIFICATION,
    syntaxes_for,
)
from dicom_io.commands import (
    C_CANCEL,
    C_ECHO,
    C_STORE,
    PROCESSING_FAILURE,
    SOP_CLASS_NOT_SUPPORTED,
    SUCCESS,
    UNRECOGNIZED_OPERATION,
    BadCommand,
    Command,
    answer_to,
    read_command,
)
from dicom_io.errors import PortInUse
from dicom_io.instance import Instance
from dicom_io.keeping import OUT_OF_RESOURCES, keep
from dicom_io.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from dicom_io.upper_layer import ABORTED, Broken, Connection, Context, Ended, Rejection, Rules

log = logging.getLogger(__name__)

_LONGEST_COMMAND = 1 << 16
# Of data sets that are answered and not kept: queries, storage commitment. 10,000 instances are about 1 MB.
_LONGEST_REQUEST = 16 << 20
_LOW_DISK_LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class Request:
    """A message for a service of ours. data_set : encoded in `context.transfer_syntax`. address : of the peer."""

    command: Command
    context: Context
    data_set: bytes
    calling: str
    address: str


@dataclass(frozen=True, slots=True)
class Ending:
    """How an association ended, for an audit. kept : what it brought, new or not. rejected : why it came to none."""

    calling: str
    address: str
    kept: tuple[Instance, ...]
    rejected: str = ""


# Answers to a request: status, encoded data set or b"".
Service = Callable[[Request], Iterator[tuple[int, bytes]]]


class Receiver:
    """Listens until stopped. Use as a context manager; `port` is the real one when 0 was asked for.

    services : what is answered beside C-STORE and C-ECHO, by SOP class. tls : the context of a server; without it
    nothing is encrypted. listening : a socket that listens already, to be shared with other processes.
    counts : what has happened so far, by name.

    Raises PortInUse.
    """

    def __init__(
        self,
        archive: Archive,
        *,
        ae_title: str = "WORKSTATION",
        host: str = "127.0.0.1",
        port: int = 0,
        on_kept: Callable[[Kept], None] | None = None,
        on_end: Callable[[Ending], None] | None = None,
        rules: Rules = Rules(),
        services: Mapping[str, Service] | None = None,
        tls: ssl.SSLContext | None = None,
        listening: socket.socket | None = None,
    ) -> None:
        self._archive, self._on_kept, self._rules, self._tls = archive, on_kept, rules, tls
        self._on_end = on_end
        self._services = dict(services or {})
        self._supported = _contexts(self._services)
        self.ae_title = ae_title
        self.counts: Counter[str] = Counter()
        self._open: set[threading.Thread] = set()
        self._changed = threading.Lock()
        self._free = (0.0, 0)
        archive.sweep()
        archive.after_power_cut()
        self._listening = listening or listen(host, port)
        self.host = host
        self.port: int = self._listening.getsockname()[1]
        self._stopping = threading.Event()
        self._acceptor = threading.Thread(target=self._accept, name="receive", daemon=True)
        self._acceptor.start()

    def stop(self, patience_s: float = 30.0) -> None:
        """Ends listening and lets running associations end; one that has begun nothing is told so after a second."""
        self._stopping.set()
        self._acceptor.join()
        self._listening.close()
        end = time.monotonic() + patience_s
        for thread in list(self._open):
            thread.join(max(0.0, end - time.monotonic()))

    def __enter__(self) -> "Receiver":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def associations(self) -> int:
        """How many are open."""
        return len(self._open)

    def _accept(self) -> None:
        self._listening.settimeout(0.1)
        while not self._stopping.is_set():
            if len(self._open) >= self._rules.max_associations:
                self._stopping.wait(0.2)  # a process that shares the socket may have room
            try:
                peer, address = self._listening.accept()
            except (TimeoutError, BlockingIOError):
                continue
            except OSError as error:  # out of file handles, or a peer that went away again
                log.warning("a connection was not accepted: %s", error.strerror)
                self._stopping.wait(0.1)
                continue
            thread = threading.Thread(target=self._serve, args=(peer, str(address[0])), name="association", daemon=True)
            with self._changed:
                self._open.add(thread)
            thread.start()

    def _serve(self, peer: socket.socket, address: str) -> None:
        """One connection from its first byte to its last."""
        try:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                peer.settimeout(self._rules.request_s)
                peer = self._tls.wrap_socket(peer, server_side=True)
            connection = Connection(peer, self._rules, self._stopping.is_set)
            self._converse(connection, peer, address)
        except OSError as error:
            # TLS did not come about, or the peer was gone at once.
            self._count("connections_failed")
            log.warning("connection from %s failed: %s", address, getattr(error, "reason", None) or error.strerror)
        except Exception:
            # A defect of ours; the peer sees the connection break and sends again.
            self._count("associations_aborted")
            log.exception("the association from %s ended by a defect", address)
        finally:
            peer.close()
            with self._changed:
                self._open.discard(threading.current_thread())

    def _converse(self, connection: Connection, peer: socket.socket, address: str) -> None:
        farewell, kept, rejected = ABORTED, list[Instance](), ""
        try:
            connection.accept(self._supported, address, lambda: len(self._open) > self._rules.max_associations)
            self._count("associations_accepted")
            self._messages(connection, peer, address, kept)
        except Rejection as rejection:
            farewell, rejected = rejection.pdu, str(rejection)
            self._count("associations_rejected")
            log.warning("association from %s rejected: %s", address, rejection)
        except Ended as end:
            farewell = end.pdu
            log.debug("%s at %s %s", connection.calling, address, end)
        except (Broken, BadCommand) as broken:
            farewell = broken.pdu if isinstance(broken, Broken) else ABORTED
            self._count("associations_aborted")
            log.warning("%s at %s: %s", connection.calling or "a peer", address, broken)
        if self._on_end is not None and (kept or rejected):
            self._on_end(Ending(connection.calling, address, tuple(kept), rejected))
        if farewell:
            try:
                connection.send(farewell)
                # The peer closes (PS3.8 9.2, Sta13); closing first could take the last words from it.
                peer.settimeout(1.0)
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(1 << 16):
                    pass
            except (Broken, OSError, ValueError):
                pass

    def _messages(self, connection: Connection, peer: socket.socket, address: str, kept: list[Instance]) -> None:
        pieces = connection.pieces()
        while True:
            _acknowledge_at_once(peer)
            context_id, data = _half(pieces, command=True, most=_LONGEST_COMMAND)
            context = connection.contexts.get(context_id)
            if context is None:
                raise Broken(f"speaks of presentation context {context_id}, which was not accepted", 6)
            command = read_command(data)
            connection.between = False
            if command.field == C_STORE and context.abstract_syntax in CLASS_BY_UID:
                status, comment = self._store(command, context, context_id, pieces, address, kept)
                connection.send_message(context_id, answer_to(command, status, comment))
            else:
                self._other(connection, command, context, context_id, pieces, address)
            connection.between = True

    def _other(
        self,
        connection: Connection,
        command: Command,
        context: Context,
        context_id: int,
        pieces: Iterator[tuple[int, bool, bool, memoryview]],
        address: str,
    ) -> None:
        data = b""
        if command.has_data_set:
            _, data = _half(pieces, command=False, most=_LONGEST_REQUEST)
        service = self._services.get(context.abstract_syntax)
        if command.field == C_CANCEL or command.field & 0x8000:
            return  # too late, or an answer to nothing
        if command.field == C_ECHO and context.abstract_syntax == VERIFICATION:
            connection.send_message(context_id, answer_to(command, SUCCESS))
        elif service is None or command.field in (C_ECHO, C_STORE):
            status = UNRECOGNIZED_OPERATION if command.field != C_STORE else SOP_CLASS_NOT_SUPPORTED
            connection.send_message(context_id, answer_to(command, status))
        else:
            try:
                for status, answer in service(Request(command, context, data, connection.calling, address)):
                    words = answer_to(command, status, with_data_set=bool(answer))
                    connection.send_message(context_id, words, answer)
            except (Broken, Ended):
                raise
            except Exception:
                log.exception("a request from %s at %s failed", connection.calling, address)
                connection.send_message(context_id, answer_to(command, PROCESSING_FAILURE))

    def _store(
        self,
        command: Command,
        context: Context,
        context_id: int,
        pieces: Iterator[tuple[int, bool, bool, memoryview]],
        address: str,
        brought: list[Instance],
    ) -> tuple[int, str]:
        """Spools the data set and takes it over: (status, words for the peer)."""
        if not command.has_data_set:
            raise BadCommand("C-STORE without a data set")
        coming = _DataSet(pieces, context_id)
        uid = command.sop_instance_uid
        if self._free_bytes() < self._rules.min_free_bytes:
            coming.discard()
            self._count("instances_refused")
            log.error("cannot keep %s: less than %d MB are free", uid, self._rules.min_free_bytes >> 20)
            return OUT_OF_RESOURCES, "disk nearly full"
        head = _head(command, context)
        digest = sha256(context.transfer_syntax.encode())

        def write(path: Path) -> None:
            _write(path, head, coming, digest, self._rules.max_instance_bytes)

        status, kept, why = keep(
            self._archive, uid, write, expected_class=command.sop_class_uid, digest=digest.hexdigest, by=address
        )
        # A peer that is answered before it has sent everything would take the rest of it for another message.
        coming.discard()
        if kept is None:
            self._count("instances_refused")
            return status, "" if status == OUT_OF_RESOURCES else why.rpartition(": ")[2]
        self._count("instances_received", "bytes_received", coming.size)
        if kept.news == "same":
            self._count("instances_repeated")
        if self._on_end is not None:
            brought.append(kept.instance)
        if self._on_kept is not None:
            self._on_kept(kept)
        return SUCCESS, ""

    def _free_bytes(self) -> int:
        at, free = self._free
        if time.monotonic() - at > _LOW_DISK_LOOK_S:
            free = shutil.disk_usage(self._archive.root).free
            self._free = (time.monotonic(), free)
        return free

    def _count(self, name: str, sum_name: str = "", amount: int = 0) -> None:
        with self._changed:
            self.counts[name] += 1
            if sum_name:
                self.counts[sum_name] += amount


class _DataSet:
    """The pieces of one data set; what is not taken is passed over."""

    def __init__(self, pieces: Iterator[tuple[int, bool, bool, memoryview]], context_id: int) -> None:
        self._pieces, self._context_id = pieces, context_id
        self.size = 0
        self.ended = False

    def __iter__(self) -> Iterator[memoryview]:
        while not self.ended:
            context_id, command, last, some = next(self._pieces)
            if command or context_id != self._context_id:
                raise Broken("began another message within a data set", 2)
            self.size += len(some)
            self.ended = last
            yield some

    def discard(self) -> None:
        for _ in self:
            pass


def _half(pieces: Iterator[tuple[int, bool, bool, memoryview]], *, command: bool, most: int) -> tuple[int, bytes]:
    """The command or the data set of a message as a whole."""
    data = bytearray()
    for context_id, of_command, last, some in pieces:
        if of_command != command:
            raise Broken("sent the halves of a message out of turn", 2)
        data += some
        if len(data) > most:
            raise Broken(f"sent more than {most} bytes for a message that is not kept", 0)
        if last:
            return context_id, bytes(data)
    raise AssertionError("pieces never end")


def _head(command: Command, context: Context) -> bytes:
    """Preamble, prefix and file meta information. Source: PS3.10 7.1 (the elements), PS3.5 7.1.2 (their encoding)."""
    texts = (
        (0x0002, b"UI", command.sop_class_uid),
        (0x0003, b"UI", command.sop_instance_uid),
        (0x0010, b"UI", context.transfer_syntax),
        (0x0012, b"UI", IMPLEMENTATION_CLASS_UID),
        (0x0013, b"SH", IMPLEMENTATION_VERSION),
    )
    meta = bytearray(pack("<HH2sHL2s", 2, 1, b"OB", 0, 2, b"\0\1"))
    for element, vr, text in texts:
        value = text.encode("ascii")
        value += (b" " if vr == b"SH" else b"\0") * (len(value) % 2)
        meta += pack("<HH2sH", 2, element, vr, len(value)) + value
    return b"\0" * 128 + b"DICM" + pack("<HH2sHL", 2, 0, b"UL", 4, len(meta)) + meta


def _write(path: Path, head: bytes, coming: _DataSet, digest: Any, most: int) -> None:
    """Writes what comes to `path`. Raises OSError, also where it is more than `most` bytes."""
    with path.open("wb", buffering=0) as file:
        file.write(head)
        for some in coming:
            if coming.size > most:
                raise OSError(errno.EFBIG, f"more than {most >> 20} MB, the most that is taken")
            digest.update(some)
            while len(some):
                some = some[os.write(file.fileno(), some) :]


def _acknowledge_at_once(peer: socket.socket) -> None:
    """After each answer of ours the kernel takes to delaying its acknowledgements, and senders that leave Nagle's
    algorithm on (DCMTK's) wait 40 ms for one with every instance, unless it is asked again. Source: tcp(7)."""
    if hasattr(socket, "TCP_QUICKACK"):
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises PortInUse."""
    try:
        return socket.create_server((host, port), backlog=128)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(f"Port {port} is in use on {host or 'this machine'}; choose another.") from error
        raise


def _contexts(services: Mapping[str, Service]) -> list[Any]:
    contexts = [build_context(c.uid, list(syntaxes_for(c))) for c in STORAGE_CLASSES]
    contexts.append(build_context(VERIFICATION, [EXPLICIT_LITTLE, IMPLICIT_LITTLE]))
    for uid in services:
        context = build_context(uid, [EXPLICIT_LITTLE, IMPLICIT_LITTLE])
        # Reports come from whoever provides the service, who then asks for the association. Source: PS3.7 D.3.3.4.
        context.scu_role = context.scp_role = True
        contexts.append(context)
    return contexts
