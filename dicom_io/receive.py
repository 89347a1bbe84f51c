"""The Storage SCP: an instance is on the disk and in the index before it is answered 0x0000.

Statuses from PS3.4 Table B.2-1 (C-STORE).
"""

import errno
import logging
import socket
from collections.abc import Callable
from types import TracebackType
from typing import Any

from pynetdicom import AE, evt

from dicom_io.archive import Archive, Kept
from dicom_io.capabilities import STORAGE_CLASSES, VERIFICATION, syntaxes_for
from dicom_io.errors import InstanceConflict, NotReadable, PortInUse
from dicom_io.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION, UidError, checked

log = logging.getLogger(__name__)

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
DATA_SET_DOES_NOT_MATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000
# A larger PDU means fewer turns of the protocol loop; 16 KB is the default of most senders.
MAXIMUM_PDU = 1 << 18


class Receiver:
    """Listens until stopped. Use as a context manager; `port` is the real one when 0 was asked for.

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
    ) -> None:
        self._archive, self._on_kept = archive, on_kept
        self._ae = make_ae(ae_title)
        for storage_class in STORAGE_CLASSES:
            self._ae.add_supported_context(storage_class.uid, list(syntaxes_for(storage_class)))
        self._ae.add_supported_context(VERIFICATION)
        archive.sweep()
        try:
            self._server = self._ae.start_server(
                (host, port),
                block=False,
                evt_handlers=[
                    (evt.EVT_CONN_OPEN, prompt),
                    (evt.EVT_DATA_SENT, _acknowledge_at_once),
                    (evt.EVT_C_STORE, self._store),
                    (evt.EVT_C_ECHO, _echo),
                ],
            )
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortInUse(f"Port {port} is in use on {host or 'this machine'}; choose another.") from error
            raise
        self.host = host
        self.port: int = self._server.server_address[1]

    def stop(self) -> None:
        """Ends listening and lets running associations end."""
        self._server.shutdown()

    def __enter__(self) -> "Receiver":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _store(self, event: Any) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        try:
            checked(uid, "Affected SOP Instance UID")
            spooled = self._archive.spool(lambda path: _write(path, event))
            kept = self._archive.admit(spooled, expected_uid=uid)
        except UidError as error:
            log.warning("refused: %s", error)
            return DATA_SET_DOES_NOT_MATCH
        except (InstanceConflict, NotReadable) as error:
            log.warning("refused %s: %s", uid, error)
            return DATA_SET_DOES_NOT_MATCH if isinstance(error, InstanceConflict) else CANNOT_UNDERSTAND
        except OSError as error:
            # Disk full, quota, read-only, for a file or for the index: the sender keeps its copy and tries again.
            log.error("cannot keep %s: %s", uid, error)
            return OUT_OF_RESOURCES
        if self._on_kept is not None:
            self._on_kept(kept)
        return SUCCESS


def _write(path: Any, event: Any) -> None:
    # The data set goes to the disk as it came: encoding it again could change it, and takes time.
    path.write_bytes(event.encoded_dataset(include_meta=True))


def _echo(_event: Any) -> int:
    return SUCCESS


def _acknowledge_at_once(event: Any) -> None:
    """After each answer of ours the kernel takes to delaying its acknowledgements, and senders that leave Nagle's
    algorithm on (DCMTK's) wait 40 ms for one with every instance, unless it is asked again. Source: tcp(7)."""
    transport = event.assoc.dul.socket
    if hasattr(socket, "TCP_QUICKACK") and transport is not None and transport.socket is not None:
        transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def prompt(event: Any) -> None:
    """Small PDUs go out at once: Nagle's algorithm and delayed acknowledgements together cost 40 ms an instance."""
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def make_ae(ae_title: str) -> AE:
    """An application entity with our implementation UID and PDU size."""
    ae = AE(ae_title=ae_title)
    ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = IMPLEMENTATION_VERSION
    ae.maximum_pdu_size = MAXIMUM_PDU
    return ae
