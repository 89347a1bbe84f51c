"""A power cut after any acknowledgement: the disk as it is at that moment, mounted again, has what was acknowledged.

The archive lies in a file system of its own whose disk is a file. What the kernel still holds back is not in that file,
as it would not be on a disk; a copy of it is what a power cut leaves, and mounting the copy replays the journal.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dicom_io.archive import Archive
from dicom_io.archive import archive as module
from dicom_io.archive.durable import names_with_files
from tests.dicom_io.synthetic import grid, ramp, write_series


@contextmanager
def mounted(disk: Path, at: Path) -> Iterator[Path]:
    at.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-o", "loop", disk, at], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        pytest.skip(f"mount is not permitted here: {done.stderr.strip()}")
    try:
        yield at
    finally:
        subprocess.run(["umount", at], check=True, timeout=60)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A disk of 32 MB with ext4 on it."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux may mount a file system")
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("mkfs.ext4 is not installed (Debian package e2fsprogs)")
    disk = tmp_path / "disk"
    with disk.open("wb") as file:
        file.truncate(32 << 20)
    subprocess.run(["mkfs.ext4", "-q", disk], check=True, timeout=60)
    return disk


def left_by_a_power_cut(disk: Path, tmp_path: Path, look: Callable[[Path], None]) -> None:
    copy = tmp_path / "copy"
    shutil.copyfile(disk, copy)
    with mounted(copy, tmp_path / "again") as there:
        look(there)


def test_what_was_acknowledged_is_there(disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = [
        instance
        for n in range(3)  # each series makes a folder of its own
        for instance in write_series(tmp_path / str(n), ramp((2, 32, 32)), grid(), series=f"s{n}").instances
    ]
    acknowledged: dict[str, str] = {}

    def look(there: Path) -> None:
        found = {p.stem: hashlib.sha256(p.read_bytes()).hexdigest() for p in there.rglob("instances/*/*/*.dcm")}
        assert acknowledged.items() <= found.items()
        # The index may lack the last of them. It is put right when the machine has been started again.
        with monkeypatch.context() as patch:
            patch.setattr(module, "boot", lambda: f"start {len(acknowledged)}")
            again = Archive(there)
            again.after_power_cut()
            assert {i.sop_instance_uid for s in again.all_series() for i in s.instances} >= set(acknowledged)
            again._database.dispose()
            again._rows.dispose()

    with mounted(disk, tmp_path / "at") as at:
        archive = Archive(at)
        assert names_with_files(at)
        for instance in sent:
            data = Path(instance.path).read_bytes()
            kept = archive.admit(archive.spool(lambda part, data=data: part.write_bytes(data)))  # type: ignore[misc]
            acknowledged[kept.instance.sop_instance_uid] = hashlib.sha256(data).hexdigest()
            left_by_a_power_cut(disk, tmp_path, look)
        archive._database.dispose()
        archive._rows.dispose()
    assert len(acknowledged) == 6


def test_without_a_flush_it_is_not(disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail: a power cut takes what nobody flushed."""
    (instance,) = write_series(tmp_path / "sent", ramp((1, 32, 32)), grid()).instances
    data = Path(instance.path).read_bytes()

    def look(there: Path) -> None:
        assert data not in [p.read_bytes() for p in there.rglob("*.dcm")]

    with mounted(disk, tmp_path / "at") as at:
        archive = Archive(at)
        monkeypatch.setattr(module, "flush", lambda path: None)
        archive.admit(archive.spool(lambda part: part.write_bytes(data)))
        left_by_a_power_cut(disk, tmp_path, look)
        archive._database.dispose()
        archive._rows.dispose()


def test_where_nobody_knows_folders_are_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mountinfo"
    real = Path.read_text

    def read(path: Path, *how: object, **more: object) -> str:
        return real(mounts if str(path) == "/proc/self/mountinfo" else path, *how, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "read_text", read)
    line = "27 1 254:0 / {at} rw,relatime shared:1 - {kind} /dev/vda rw\n"
    inner = tmp_path / "a b"
    for kind, over, expected in (
        ("ext4", "", True),
        ("nfs4", "", False),
        ("xfs", "overlay", False),
        ("nfs", "xfs", True),
    ):
        mounts.write_text(line.format(at="/", kind=kind))
        if over:
            with mounts.open("a") as file:
                file.write(line.format(at=str(inner).replace(" ", "\\040"), kind=over))
        assert names_with_files(inner / "not there yet") is expected, kind
    mounts.unlink()
    assert not names_with_files(inner)
    flushed: list[Path] = []
    monkeypatch.setattr(module, "flush_folders", lambda folder, top: flushed.append(folder))
    archive = Archive(tmp_path / "archive")
    for instance in write_series(tmp_path / "sent", ramp((2, 16, 16)), grid()).instances:
        data = Path(instance.path).read_bytes()
        archive.admit(archive.spool(lambda part, data=data: part.write_bytes(data)))  # type: ignore[misc]
    assert len(flushed) == 2
