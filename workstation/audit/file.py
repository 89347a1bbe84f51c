"""The audit file: lines that several processes append, in parts of a bounded size, and how far a repository has them.

`audit.log` is written to; when it is long it is put aside as `audit.log.000001`, the next time as `audit.log.000002`.
`audit.log.sent` says up to which part and byte the repository has them. Whoever writes, puts aside or removes holds
`audit.log.lock`, which the system takes from a process that dies.
"""

import errno
import os
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

# What this process could not write, by file. A bound, since a disk may be full for days.
_LATE: dict[Path, deque[bytes]] = {}
_MOST_LATE = 10_000


@dataclass(frozen=True, slots=True)
class Part:
    """A part with something in it that has not been sent, from `begin`; open, whatever it is called by now."""

    number: int
    begin: int
    stream: BinaryIO


@dataclass(frozen=True, slots=True)
class AuditFile:
    """max_bytes : of a part. keep : how many parts that were put aside stay, 0 for all; with `ships` none goes before
    the repository has it."""

    path: Path
    max_bytes: int = 64 << 20
    keep: int = 0
    ships: bool = False

    def append(self, line: bytes) -> None:
        """Writes and flushes a line, all of it or nothing.

        Raises OSError, as when the disk is full; the line is late then, and written before the next one or by
        `catch_up`.
        """
        _LATE.setdefault(self.path, deque(maxlen=_MOST_LATE)).append(line)
        self.catch_up()

    def catch_up(self) -> None:
        """Writes what is late of this process, in its order. Raises OSError."""
        late = _LATE.get(self.path)
        if not late:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._locked():
            while late:  # of other threads as well
                self._write(late[0])
                late.popleft()

    def _write(self, line: bytes) -> None:
        handle = self._open()
        try:
            size = _whole_lines(handle)
            if size and size + len(line) > self.max_bytes and self._put_aside():
                os.close(handle)
                handle, size = self._open(), 0
            if os.write(handle, line) < len(line):
                os.ftruncate(handle, size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            os.fsync(handle)
        finally:
            os.close(handle)

    def unsent(self) -> list[Part]:
        """Parts that the repository does not have, oldest first; their streams are for the caller to close."""
        if not self.path.parent.exists():
            return []
        with self._locked():
            number, offset = self._mark()
            found = []
            for n, path in [*self._older(), (self._number(), self.path)]:
                if n < number or not path.exists():
                    continue
                size = path.stat().st_size
                begin = offset if n == number else 0
                if begin == size:
                    continue
                stream = path.open("rb")
                stream.seek(max(0, begin - 1))
                # A mark beyond the end, or within a line, is none of this file: better twice than never.
                if begin and stream.read(1) != b"\n":
                    begin = stream.seek(0)
                found.append(Part(n, begin, stream))
            return found

    def sent(self, number: int, offset: int) -> None:
        """Notes that the repository has everything before this byte of a part. Raises OSError."""
        with self._locked():
            aside = self._aside(number)
            if aside.exists() and aside.stat().st_size <= offset:
                number, offset = number + 1, 0
            mark = self._beside(".sent")
            part = self._beside(".sent.part")
            part.write_text(f"{number} {offset}", encoding="ascii")
            part.replace(mark)
            self._remove_oldest()

    def _locked(self) -> FileLock:
        return FileLock(self._beside(".lock"), poll_interval=0.005)

    def _open(self) -> int:
        return os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)

    def _aside(self, number: int) -> Path:
        return self._beside(f".{number:06}")

    def _older(self) -> list[tuple[int, Path]]:
        """Parts that were put aside, oldest first."""
        name = self.path.name + "."
        found = [path for path in self.path.parent.glob(f"{name}*") if path.name.removeprefix(name).isdecimal()]
        return sorted((int(path.name.removeprefix(name)), path) for path in found)

    def _number(self) -> int:
        """Of the part that is written to: it keeps it when it is put aside."""
        return max([1 + n for n, _ in self._older()[-1:]] + [self._mark()[0], 1])

    def _mark(self) -> tuple[int, int]:
        try:
            number, offset = map(int, self._beside(".sent").read_text(encoding="ascii").split())
        except (FileNotFoundError, ValueError):
            return 0, 0
        return number, offset

    def _put_aside(self) -> bool:
        """False on a system where a file that somebody reads cannot be renamed; the next line tries again."""
        with suppress(PermissionError):
            self.path.rename(self._aside(self._number()))
            self._remove_oldest()
            return True
        return False

    def _remove_oldest(self) -> None:
        sent = self._mark()[0]
        for number, path in self._older()[: -self.keep] if self.keep else ():
            if not self.ships or number < sent:
                path.unlink(missing_ok=True)


def _whole_lines(handle: int) -> int:
    """Ends a line that a process left unfinished when it died. Returns the size."""
    size = os.fstat(handle).st_size
    if size:
        os.lseek(handle, size - 1, os.SEEK_SET)
        if os.read(handle, 1) != b"\n":
            size += os.write(handle, b"\n")
    return size
