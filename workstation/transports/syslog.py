"""Audit messages to a repository: syslog over TLS. Sources: RFC 5424 (message), RFC 5425 (frames), PS3.15 A.6."""

import contextlib
import os
import socket
import ssl
from datetime import datetime
from pathlib import Path

from dicom_io.tls import Tls, client_context

# Facility 10 (security), severity 5 (notice). Source: PS3.15 A.6.
_PRIORITY = 10 * 8 + 5


def ship(file: Path, host: str, port: int, tls: Tls, station: str, at: datetime, timeout_s: float = 15.0) -> int:
    """Sends what the file holds and has not been sent, in its order; returns how many messages.

    How far it came stands in a file beside it, written after each batch: a message may come twice, and none is lost.

    Raises OSError when the repository cannot be reached or does not take it.
    """
    mark = file.with_name(file.name + ".sent")
    begin = int(mark.read_text(encoding="ascii")) if mark.exists() else 0
    if not file.exists() or file.stat().st_size <= begin:
        return 0
    with file.open("rb") as stream:
        stream.seek(begin)
        lines = stream.read().split(b"\n")[:-1]  # what follows the last end of a line is still being written
    count = 0
    with (
        socket.create_connection((host, port), timeout=timeout_s) as plain,
        client_context(tls).wrap_socket(plain, server_hostname=host) as wire,
    ):
        for line in lines:
            wire.sendall(frame(line, station, at))
            count += 1
        with contextlib.suppress(ssl.SSLError):
            wire.unwrap()  # says goodbye and waits for an answer: it has read everything
    sent = begin + sum(len(line) + 1 for line in lines)
    part = mark.with_suffix(".part")
    part.write_text(str(sent), encoding="ascii")
    part.replace(mark)
    return count


def frame(line: bytes, station: str, at: datetime) -> bytes:
    """One message with its length before it."""
    name = "".join(c for c in station if "!" <= c <= "~")[:48] or "-"
    header = f"<{_PRIORITY}>1 {at.isoformat(timespec='seconds')} {socket.gethostname()} {name} {os.getpid()} "
    message = header.encode() + b"DICOM+RFC3881 - \xef\xbb\xbf" + line
    return str(len(message)).encode() + b" " + message
