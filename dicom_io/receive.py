"""The Storage SCP: an instance is on the disk and in the index before it is answered 0x0000."""

import errno
import socket
from collections.abc import Callable
from types import TracebackType
from typing import Any

from pynetdicom import evt

from dicom_io.archive import Archive, Kept
from dicom_io.associate import make_ae, prompt
from dicom_io.capabilities import STORAGE_CLASSES, VERIFICATION, syntaxes_for
from dicom_io.errors import PortInUse
from dicom_io.keeping import SUCCESS, keep


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
        status, kept, _ = keep(self._archive, uid, lambda path: _write(path, event))
        if kept is not None and self._on_kept is not None:
            self._on_kept(kept)
        return status


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
