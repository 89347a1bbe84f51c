"""DIMSE messages on an association: a command set, and a data set, read whole or piece by piece into a file.

Sources: PS3.7 6.3 (messages), PS3.10 7.1 (files).
"""

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from struct import pack
from typing import Any

from dicom_io.archive.archive import Archive, Kept
from dicom_io.network.commands import BadCommand, Command
from dicom_io.network.incoming import keep
from dicom_io.network.upper_layer import Broken, Context
from dicom_io.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION

Pieces = Iterator[tuple[int, bool, bool, memoryview]]

LONGEST_COMMAND = 1 << 16
# The longest data set that is read into memory: queries, answers, storage commitment. 10,000 instances are about 1 MB.
LONGEST_DATA_SET = 16 << 20


def half(pieces: Pieces, *, command: bool) -> tuple[int, bytes]:
    """Reads one half of a message. Returns (context ID, the command or the data set). Raises Broken, Ended."""
    most = LONGEST_COMMAND if command else LONGEST_DATA_SET
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


@dataclass(slots=True)
class ArrivingDataSet:
    """The pieces of one data set as they arrive; `discard` skips the rest."""

    pieces: Pieces
    context_id: int
    size: int = 0
    ended: bool = False

    def __iter__(self) -> Iterator[memoryview]:
        while not self.ended:
            context_id, command, last, some = next(self.pieces)
            if command or context_id != self.context_id:
                raise Broken("began another message within a data set", 2)
            self.size += len(some)
            self.ended = last
            yield some

    def discard(self) -> None:
        for _ in self:
            pass


def take_over(
    archive: Archive, command: Command, context: Context, arriving: ArrivingDataSet, most_bytes: int, by: str
) -> tuple[int, Kept | None, str]:
    """Keeps the data set of a C-STORE, unchanged. Returns (status to answer, the kept instance, or why not).

    most_bytes : a longer data set is not kept. by : the sender, for the log. Raises Broken, Ended, BadCommand.
    """
    if not command.has_data_set:
        raise BadCommand("sent C-STORE without a data set")
    head = _head(command, context)
    digest = sha256(context.transfer_syntax.encode())

    def write(path: Path) -> None:
        spool(path, head, arriving, digest, most_bytes)

    found = keep(
        archive,
        command.sop_instance_uid,
        write,
        expected_class=command.sop_class_uid,
        digest=digest.hexdigest,
        by=by,
    )
    # Before the answer, the data set is read to its end: a rest would be taken for another message.
    arriving.discard()
    return found


def spool(path: Path, head: bytes, arriving: ArrivingDataSet, digest: Any, most_bytes: int) -> None:
    """Writes an arriving data set to `path`. Raises OSError, also when it is longer than `most_bytes`."""
    with path.open("xb", buffering=0) as file:
        _write(file.fileno(), memoryview(head))
        for some in arriving:
            if arriving.size > most_bytes:
                raise OSError(errno.EFBIG, f"more than {most_bytes >> 20} MB, the most that is taken")
            digest.update(some)
            _write(file.fileno(), some)


def _write(handle: int, data: memoryview) -> None:
    while len(data):
        data = data[os.write(handle, data) :]


def _head(command: Command, context: Context) -> bytes:
    """Encodes preamble, prefix and file meta information. Source: PS3.10 7.1 (elements), PS3.5 7.1.2 (encoding)."""
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
