"""The audit file: lines appended by several processes, in parts of a bounded size, with a mark of what was shipped.

Lines go to `audit.log`. When it is full it is renamed to `audit.log.000001`, the next one to `audit.log.000002`.
`audit.log.sent` holds the part and byte up to which the repository has the lines. A process that writes, renames or
removes holds `audit.log.lock`, which the system releases when the process dies.
"""

import errno
import os
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

# Lines that this process could not write yet, by file. Bounded, since a disk may be full for days.
_LATE: dict[Path, deque[bytes]] = {}
_MOST_LATE = 10_000


@dataclass(frozen=True, slots=True)
class Part:
    """A part with unsent lines from byte `begin`. stream : open, so a later renaming does not matter."""

    number: int
    begin: int
    stream: BinaryIO


@dataclass(frozen=True, slots=True)
class AuditFile:
    """The audit file. max_bytes : of a part. keep : number of full parts to keep, 0 for all. ships : with it, no part
    is removed before the repository has it."""

    path: Path
    max_bytes: int = 64 << 20
    keep: int = 0
    ships: bool = False

    def append(self, line: bytes) -> None:
        """Writes and flushes a line, whole or not at all.

        Raises OSError, for example when the disk is full; the line is then kept, and written before the next one or by
        `catch_up`.
        """
        _LATE.setdefault(self.path, deque(maxlen=_MOST_LATE)).append(line)
        self.catch_up()

    def catch_up(self) -> None:
        """Writes the late lines of this process, in their order. Raises OSError."""
        late = _LATE.get(self.path)
        if not late:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._locked():
            while late:  # those of other threads as well
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
        """Returns the parts that the repository does not have, oldest first; the caller closes their streams."""
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
                # A mark beyond the end or within a line is wrong: sending lines twice is better than losing them.
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
            mark = self._path_with(".sent")
            part = self._path_with(".sent.part")
            part.write_text(f"{number} {offset}", encoding="ascii")
            part.replace(mark)
            self._remove_oldest()

    def _locked(self) -> FileLock:
        return FileLock(self._path_with(".lock"), poll_interval=0.005)

    def _open(self) -> int:
        return os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)

    def _path_with(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)

    def _aside(self, number: int) -> Path:
        return self._path_with(f".{number:06}")

    def _older(self) -> list[tuple[int, Path]]:
        """Returns the full parts, oldest first."""
        name = self.path.name + "."
        found = [path for path in self.path.parent.glob(f"{name}*") if path.name.removeprefix(name).isdecimal()]
        return sorted((int(path.name.removeprefix(name)), path) for path in found)

    def _number(self) -> int:
        """Returns the number of the current part, which it keeps when it is renamed."""
        return max([1 + n for n, _ in self._older()[-1:]] + [self._mark()[0], 1])

    def _mark(self) -> tuple[int, int]:
        try:
            number, offset = map(int, self._path_with(".sent").read_text(encoding="ascii").split())
        except (FileNotFoundError, ValueError):
            return 0, 0
        return number, offset

    def _put_aside(self) -> bool:
        """Renames the full part. Returns False where a file that is open cannot be renamed; the next line tries
        again."""
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
    """Ends a line that a dead process left unfinished. Returns the size."""
    size = os.fstat(handle).st_size
    if size:
        os.lseek(handle, size - 1, os.SEEK_SET)
        if os.read(handle, 1) != b"\n":
            size += os.write(handle, b"\n")
    return size
