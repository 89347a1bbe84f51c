"""The audit file over its years: put aside when it is long, by whichever process writes, and never before it went."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dicom_io.network.tls import Tls
from tests.dicom_io.certificates import make
from tests.workstation.audit.test_trail import Repository
from workstation.audit.file import AuditFile
from workstation.audit.syslog import ship
from workstation.audit.trail import trail_of
from workstation.config import AuditSettings, Config, ConfigError, load_config

AT = datetime(2026, 3, 2, 10, tzinfo=UTC)
WRITER = """
import sys
from pathlib import Path
from workstation.audit.file import AuditFile
file = AuditFile(Path(sys.argv[1]), max_bytes=int(sys.argv[2]))
n = 0
while n < int(sys.argv[4]):
    file.append(f"{sys.argv[3]} {n}\\n".encode())
    print(n, flush=True)
    n += 1
"""


def written(folder: Path) -> list[bytes]:
    """Every line of every part, oldest first."""
    older = sorted(folder.glob("a.log.[0-9]*"))
    return [line for path in [*older, folder / "a.log"] for line in path.read_bytes().splitlines(keepends=True)]


def writer(file: Path, most: int, name: str, lines: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WRITER, str(file), str(most), name, str(lines)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@contextmanager
def repository(folder: Path) -> Iterator[tuple[Repository, Tls]]:
    authority = make(folder, "authority")
    server = make(folder, "server", authority)
    with Repository(Tls("", server.certificate, server.key)).running() as running:
        yield running, Tls(authority.certificate)


def arrived(repository: Repository) -> list[bytes]:
    return [message.partition(b"\xef\xbb\xbf")[2] + b"\n" for message in repository.messages]


def test_several_processes_write_and_put_aside(tmp_path: Path) -> None:
    writers = [writer(tmp_path / "a.log", 400, f"writer-{n}", 60) for n in range(3)]
    for one in writers:
        one.communicate(timeout=60)
        assert one.returncode == 0
    lines = written(tmp_path)
    assert sorted(lines) == sorted(f"writer-{n} {k}\n".encode() for n in range(3) for k in range(60))
    for n in range(3):  # and each one's in its order
        mine = [line for line in lines if line.startswith(f"writer-{n} ".encode())]
        assert mine == [f"writer-{n} {k}\n".encode() for k in range(60)]
    parts = list(tmp_path.glob("a.log.[0-9]*"))
    assert len(parts) >= 5 and all(part.stat().st_size <= 400 for part in parts)
    assert all(part.stat().st_mode & 0o077 == 0 for part in [*parts, tmp_path / "a.log"])


def test_a_writer_that_is_killed_holds_up_nobody(tmp_path: Path) -> None:
    file = AuditFile(tmp_path / "a.log", max_bytes=300)
    with writer(file.path, 300, "killed", 100_000) as one:
        assert one.stdout is not None
        told = [int(one.stdout.readline()) for _ in range(20)][-1]
        one.send_signal(signal.SIGKILL)
    file.append(b"after\n")
    lines = written(tmp_path)
    assert lines[-1] == b"after\n"
    assert lines[: told + 1] == [f"killed {n}\n".encode() for n in range(told + 1)]


def test_half_a_line_spoils_no_other(tmp_path: Path) -> None:
    file = AuditFile(tmp_path / "a.log", max_bytes=30)
    file.path.write_bytes(b"whole\nha")
    file.append(b"next\n")
    assert written(tmp_path) == [b"whole\n", b"ha\n", b"next\n"]


def test_a_disk_that_is_full_leaves_no_half_line_and_what_was_late_comes_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = AuditFile(tmp_path / "a.log")
    file.append(b"first\n")
    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda handle, data: write(handle, data[:3]))
        with pytest.raises(OSError, match="No space left"):
            file.append(b"second\n")
        with pytest.raises(OSError, match="No space left"):
            file.catch_up()
    assert written(tmp_path) == [b"first\n"]
    file.append(b"third\n")
    file.catch_up()
    assert written(tmp_path) == [b"first\n", b"second\n", b"third\n"]


def test_all_of_it_goes_out_once_and_in_order(tmp_path: Path) -> None:
    file = AuditFile(tmp_path / "a.log", max_bytes=30, keep=1, ships=True)
    said = [f"message {n}\n".encode() for n in range(12)]
    with repository(tmp_path) as (there, tls):

        def send() -> int:
            return ship(file, "127.0.0.1", there.port, tls, "WS", AT)

        assert send() == 0
        for line in said[:5]:
            file.append(line)
        assert send() == 5
        for line in said[5:9]:
            file.append(line)
        with pytest.raises(OSError, match="certificate verify failed"):
            ship(file, "127.0.0.1", there.port, Tls(make(tmp_path, "other").certificate), "WS", AT)
        assert [line for line in written(tmp_path) if line in said[4:9]] == said[4:9]  # keep=1 does not take these
        for line in said[9:]:
            file.append(line)
        assert send() == 7
        assert send() == 0
    assert arrived(there) == said
    assert len(list(tmp_path.glob("a.log.[0-9]*"))) == 1


def test_it_may_be_put_aside_while_it_goes_out(tmp_path: Path) -> None:
    file = AuditFile(tmp_path / "a.log", max_bytes=40, keep=1, ships=True)
    said = [f"message {n}\n".encode() for n in range(9)]
    file.append(said[0])
    parts = file.unsent()
    for line in said[1:]:
        file.append(line)
    (first,) = parts
    with first.stream:
        data = first.stream.read()
    file.sent(first.number, first.begin + len(data))
    rest = file.unsent()
    try:
        assert data + b"".join(part.stream.read() for part in rest) == b"".join(said)
    finally:
        for part in rest:
            part.stream.close()


@pytest.mark.parametrize("mark", ["", "no number", "1 100000", "7 3", "100000"])
def test_a_mark_that_cannot_be_believed_loses_nothing(tmp_path: Path, mark: str) -> None:
    file = AuditFile(tmp_path / "a.log", max_bytes=25, ships=True)
    for n in range(4):
        file.append(f"message {n}\n".encode())
    (tmp_path / "a.log.sent").write_text(mark)
    with repository(tmp_path) as (there, tls):
        ship(file, "127.0.0.1", there.port, tls, "WS", AT)
    first = 2 if mark == "7 3" else 0  # then the parts before were there once, and went
    assert arrived(there) == [f"message {n}\n".encode() for n in range(first, 4)]


def test_without_a_repository_the_oldest_go(tmp_path: Path) -> None:
    file = AuditFile(tmp_path / "a.log", max_bytes=25, keep=2)
    for n in range(9):
        file.append(f"message {n}\n".encode())
    assert len(list(tmp_path.glob("a.log.[0-9]*"))) == 2
    assert written(tmp_path)[-1] == b"message 8\n"


def test_the_settings_say_when(tmp_path: Path) -> None:
    file = trail_of(Config(audit=AuditSettings()), tmp_path).file
    assert file == AuditFile(tmp_path / "audit.log", max_bytes=64 << 20, keep=0, ships=False)
    (tmp_path / "config.toml").write_text('[audit]\nmax_mb = 1\nkeep_files = 3\nhost = "h"\n')
    assert trail_of(load_config(tmp_path), tmp_path).file == AuditFile(tmp_path / "audit.log", 1 << 20, 3, ships=True)
    (tmp_path / "config.toml").write_text("[audit]\nmax_mb = 0\n")
    with pytest.raises(ConfigError, match="max_mb"):
        load_config(tmp_path)
