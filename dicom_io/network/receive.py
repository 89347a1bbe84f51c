"""The Storage SCP: it answers 0x0000 only when the instance is on the disk and in the index.

It writes a data set from the connection into the spool piece by piece, unchanged: nothing is decoded or decompressed.
"""

import errno
import logging
import shutil
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from pynetdicom.presentation import build_context

from dicom_io.archive.archive import Archive, Kept
from dicom_io.capabilities import (
    CLASS_BY_UID,
    PLAIN,
    STORAGE_CLASSES,
    VERIFICATION,
    syntaxes_for,
)
from dicom_io.errors import ConnectionBroke, PortInUse
from dicom_io.network.acceptor import Rejection, Rules, accept
from dicom_io.network.commands import (
    ANSWER,
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
from dicom_io.network.crowd import Crowd
from dicom_io.network.dimse import ArrivingDataSet, Pieces, half, take_over
from dicom_io.network.incoming import OUT_OF_RESOURCES
from dicom_io.network.services import Service, serve
from dicom_io.network.upper_layer import ABORTED, Broken, Connection, Context, Ended

log = logging.getLogger(__name__)

_LOW_DISK_LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class Ending:
    """How an association ended, for the audit. kept : the instances received, new or not. rejected : why it was
    rejected, else empty."""

    calling: str
    address: str
    kept: tuple[Kept, ...]
    rejected: str = ""


@dataclass(slots=True)
class _Talk:
    """A connection, with an association when one was accepted. number : its number in the crowd. brought : the
    instances received so far, where `on_end` asks for them."""

    connection: Connection
    wire: socket.socket
    address: str
    number: int
    pieces: Pieces
    brought: list[Kept] = field(default_factory=list)


class Receiver:
    """Listens until stopped. Use as a context manager; `port` is the port in use, also when 0 was asked for.

    services : the services besides C-STORE and C-ECHO, by SOP class. tls : a server context; None means no encryption.
    listening : a listening socket to share with other processes. counts : events so far, by name.

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
        self._crowd = Crowd(rules.max_associations, rules.max_of_one)
        self._changed = threading.Lock()
        self._free = (0.0, 0)
        archive.sweep()
        archive.after_power_cut()
        self._listening = listening or listen_for_dicom(host, port)
        self.host = host
        self.port: int = self._listening.getsockname()[1]
        self._stopping = threading.Event()
        self._acceptor = threading.Thread(target=self._accept, name="receive", daemon=True)
        self._acceptor.start()

    def stop(self, patience_s: float = 30.0) -> None:
        """Stops listening and lets open associations end; after a second, idle ones are aborted."""
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
        """How many associations are open."""
        return self._crowd.in_use

    def _accept(self) -> None:
        self._listening.settimeout(0.1)
        while not self._stopping.is_set():
            if self._crowd.in_use >= self._rules.max_associations:
                self._stopping.wait(0.2)  # a process that shares the socket may have room
            try:
                peer, address = self._listening.accept()
            except (TimeoutError, BlockingIOError):
                continue
            except OSError as error:  # out of file handles, or a peer that went away again
                log.warning("a connection was not accepted: %s", error.strerror)
                self._stopping.wait(0.1)
                continue
            where = str(address[0])
            words = (peer, where, self._crowd.came(peer, where))
            thread = threading.Thread(target=self._serve, args=words, name="association", daemon=True)
            with self._changed:
                self._open.add(thread)
            thread.start()

    def _serve(self, peer: socket.socket, address: str, number: int) -> None:
        """Serves one connection from its first byte to its last."""
        try:
            if self._tls is not None:
                peer.settimeout(self._rules.request_s)
                peer = self._tls.wrap_socket(peer, server_side=True)
            connection = Connection(peer, self._rules.waits, self._rules.max_pdu, self._stopping.is_set)
            self._converse(_Talk(connection, peer, address, number, connection.pieces()))
        except OSError as error:
            # The TLS handshake failed, or the peer closed at once.
            self._count("connections_failed")
            log.warning("connection from %s failed: %s", address, getattr(error, "reason", None) or error.strerror)
        except Exception:
            # A defect of ours: the peer sees the connection break and sends again.
            self._count("associations_aborted")
            log.exception("the association from %s ended by a defect", address)
        finally:
            peer.close()
            self._crowd.left(number)
            with self._changed:
                self._open.discard(threading.current_thread())

    def _converse(self, talk: _Talk) -> None:
        connection, address = talk.connection, talk.address
        farewell, rejected = ABORTED, ""
        try:
            accept(
                connection,
                self._supported,
                self._rules,
                address,
                full=lambda: self._crowd.spoke(talk.number, address),
            )
            self._count("associations_accepted")
            while True:
                self._message(talk)
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
        if self._on_end is not None and (talk.brought or rejected):
            self._on_end(Ending(connection.calling, address, tuple(talk.brought), rejected))
        if farewell:
            try:
                connection.send(farewell)
                # The peer closes (PS3.8 9.2, Sta13); if we closed first, it might lose our last PDU.
                talk.wire.settimeout(1.0)
                talk.wire.shutdown(socket.SHUT_WR)
                while talk.wire.recv(1 << 16):
                    pass
            except (Broken, OSError, ValueError):
                pass

    def _message(self, talk: _Talk) -> None:
        """Reads the next message and answers it."""
        connection = talk.connection
        connection.acknowledge_at_once()
        context_id, data = half(talk.pieces, command=True)
        context = connection.contexts.get(context_id)
        if context is None:
            raise Broken(f"speaks of presentation context {context_id}, which was not accepted", 6)
        command = read_command(data)
        connection.between = False
        if command.field == C_STORE and context.abstract_syntax in CLASS_BY_UID:
            status, comment = self._store(talk, command, context, context_id)
            connection.send_message(context_id, answer_to(command, status, comment))
        else:
            self._other_service(talk, command, context, context_id)
        connection.between = True

    def _other_service(self, talk: _Talk, command: Command, context: Context, context_id: int) -> None:
        data = half(talk.pieces, command=False)[1] if command.has_data_set else b""
        service = self._services.get(context.abstract_syntax)
        if command.field == C_CANCEL or command.field & ANSWER:
            return  # too late, or an answer to nothing
        if command.field == C_ECHO and context.abstract_syntax == VERIFICATION:
            talk.connection.send_message(context_id, answer_to(command, SUCCESS))
        elif service is None or command.field in (C_ECHO, C_STORE):
            status = UNRECOGNIZED_OPERATION if command.field != C_STORE else SOP_CLASS_NOT_SUPPORTED
            talk.connection.send_message(context_id, answer_to(command, status))
        else:
            try:
                serve(service, talk.connection, talk.wire, talk.pieces, talk.address, command, context_id, data)
            except ConnectionBroke as error:
                raise Broken(f"broke off while it was served ({error})") from error
            except (Broken, Ended, BadCommand):
                raise
            except Exception:
                log.exception("a request from %s at %s failed", talk.connection.calling, talk.address)
                talk.connection.send_message(context_id, answer_to(command, PROCESSING_FAILURE))

    def _store(self, talk: _Talk, command: Command, context: Context, context_id: int) -> tuple[int, str]:
        """Spools the data set and archives it. Returns (status, comment for the peer)."""
        coming = ArrivingDataSet(talk.pieces, context_id)
        uid = command.sop_instance_uid
        if not self._has_room():
            coming.discard()
            self._count("instances_refused")
            log.error("cannot keep %s: less than %d MB are free", uid, self._rules.min_free_bytes >> 20)
            return OUT_OF_RESOURCES, "disk nearly full"
        most = self._rules.max_instance_bytes
        status, kept, why = take_over(self._archive, command, context, coming, most, by=talk.address)
        if kept is None:
            self._count("instances_refused")
            return status, "" if status == OUT_OF_RESOURCES else why.rpartition(": ")[2]
        self._count("instances_received", "bytes_received", coming.size)
        self._free = (self._free[0], self._free[1] - coming.size)
        if kept.news == "same":
            self._count("instances_repeated")
        if self._on_end is not None:
            talk.brought.append(kept)
        if self._on_kept is not None:
            self._on_kept(kept)
        return SUCCESS, ""

    def _has_room(self) -> bool:
        """Whether enough disk is free. Looks at the disk now and then, subtracts what has come since, and looks again
        before it says no."""
        at, free = self._free
        least = self._rules.min_free_bytes
        if free < least or time.monotonic() - at > _LOW_DISK_LOOK_S:
            free = shutil.disk_usage(self._archive.root).free
            self._free = (time.monotonic(), free)
        return free >= least

    def _count(self, name: str, sum_name: str = "", amount: int = 0) -> None:
        with self._changed:
            self.counts[name] += 1
            if sum_name:
                self.counts[sum_name] += amount


def listen_for_dicom(host: str, port: int) -> socket.socket:
    """Opens a listening socket. Raises PortInUse."""
    try:
        return socket.create_server((host, port), backlog=128)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(f"Port {port} is in use on {host or 'this machine'}; choose another.") from error
        raise


def _contexts(services: Mapping[str, Service]) -> list[Any]:
    contexts = [build_context(c.uid, list(syntaxes_for(c))) for c in STORAGE_CLASSES]
    for context in contexts:
        # A peer that fetches by C-GET is the Storage SCP on the same association. Source: PS3.4 C.4.3.
        context.scu_role = context.scp_role = True
    contexts.append(build_context(VERIFICATION, list(PLAIN)))
    for uid in services:
        context = build_context(uid, list(PLAIN))
        # A report comes from the SCP of the service, which opens the association for it. Source: PS3.7 D.3.3.4.
        context.scu_role = context.scp_role = True
        contexts.append(context)
    return contexts
