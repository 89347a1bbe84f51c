"""Ships audit messages to a repository by syslog over TLS.

Sources: RFC 5424 (message), RFC 5425 (frames), PS3.15 A.6.
"""

import os
import socket
import ssl
from contextlib import ExitStack, suppress
from datetime import datetime

from dicom_io.network.tls import Tls, client_context
from workstation.audit.file import AuditFile

# Facility 10 (security), severity 5 (notice). Source: PS3.15 A.6.
_PRIORITY = 10 * 8 + 5


def ship(file: AuditFile, host: str, port: int, tls: Tls, station: str, at: datetime, timeout_s: float = 15.0) -> int:
    """Sends the unsent lines of the file, in order. Returns the number of messages.

    The mark moves after each part, so a message may arrive twice, and none is lost.

    Raises OSError when the repository cannot be reached or does not take it.
    """
    count = 0
    with ExitStack() as stack:
        parts = file.unsent()
        for part in parts:
            stack.callback(part.stream.close)
        for part in parts:
            lines = part.stream.read().split(b"\n")[:-1]  # the text after the last line end is still being written
            if not lines:
                continue
            with (
                socket.create_connection((host, port), timeout=timeout_s) as plain,
                client_context(tls).wrap_socket(plain, server_hostname=host) as wire,
            ):
                for line in lines:
                    wire.sendall(octet_counted(line, station, at))
                with suppress(ssl.SSLError):
                    wire.unwrap()  # waits for the peer's close_notify: then it has read everything
            file.sent(part.number, part.begin + sum(len(line) + 1 for line in lines))
            count += len(lines)
    return count


def octet_counted(line: bytes, station: str, at: datetime) -> bytes:
    """Returns one message with its length in front."""
    name = "".join(c for c in station if "!" <= c <= "~")[:48] or "-"
    header = f"<{_PRIORITY}>1 {at.isoformat(timespec='seconds')} {socket.gethostname()} {name} {os.getpid()} "
    message = header.encode() + b"DICOM+RFC3881 - \xef\xbb\xbf" + line
    return str(len(message)).encode() + b" " + message
