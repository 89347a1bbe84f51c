"""A disk that is really full under `serve`: what was acknowledged is there, nothing else is, and it goes on after."""

import contextlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from pydicom import dcmread

from dicom_io.archive import Archive, upkeep
from dicom_io.archive.database import open_database
from dicom_io.files.instance import Instance
from dicom_io.network.requestor import Peer
from dicom_io.network.send import Sender, send
from tests.dicom_io.synthetic import grid, ramp, write_series
from tests.workstation.audit.audit_messages import checked
from tests.workstation.serve.running import Serving
from workstation.store.schema import make_ready

SIZE_MB = 64


@pytest.fixture(params=["tmpfs", pytest.param("ext4", marks=pytest.mark.slow)])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux may mount a file system")
    at = tmp_path / "disk"
    at.mkdir()
    if request.param == "tmpfs":
        commands = [["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "none", str(at)]]
    else:
        if shutil.which("mkfs.ext4") is None:
            pytest.skip("mkfs.ext4 is not installed (Debian package e2fsprogs)")
        image = tmp_path / "image"
        with image.open("wb") as file:
            file.truncate(SIZE_MB << 20)
        # -m 0: root may use its reserve, and would find room where others find none.
        commands = [["mkfs.ext4", "-q", "-m", "0", str(image)], ["mount", "-o", "loop", str(image), str(at)]]
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            pytest.skip(f"{command[0]} is not permitted here: {done.stderr.strip()}")
    yield at
    subprocess.run(["umount", str(at)], check=True, timeout=60)


class Watched:
    """What `serve` tells, as it comes."""

    def __init__(self, serving: Serving) -> None:
        self.events: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._listen, args=(serving,))
        self._thread.start()

    def _listen(self, serving: Serving) -> None:
        for event in serving.events():
            with self._changed:
                self.events.append(event)
                self._changed.notify_all()

    def wait(self, name: str, count: int = 1) -> None:
        with self._changed:
            came = self._changed.wait_for(lambda: sum(e["event"] == name for e in self.events) >= count, timeout=60)
        assert came, f"{name} did not come; {self.events[-5:]}"

    def join(self) -> None:
        self._thread.join()


@contextlib.contextmanager
def served(root: Path, settings: str) -> Iterator[tuple[Peer, Watched]]:
    """`serve` in a state folder; at the end none of its processes may have ended meanwhile."""
    root.mkdir()
    (root / "config.toml").write_text(f"[audit]\n[receiver]\nseries_quiet_s = 0.5\n{settings}\n")
    with Serving(root, "--interval-s", "0.2") as serving:
        watched = Watched(serving)
        yield Peer("127.0.0.1", serving.port, "WORKSTATION"), watched
        serving.ask_to_stop()
        watched.join()
    assert not [event for event in watched.events if event["event"] in ("ended", "restarted")]
    assert watched.events[-1]["event"] == "stopped"


def free(disk: Path) -> int:
    return shutil.disk_usage(disk).free


def fill(disk: Path, leave_bytes: int) -> Path:
    """Leaves so much of the disk."""
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        for size in (1 << 20, 4096, 1):
            while free(disk) > leave_bytes + size:
                file.write(b"\0" * size)
                os.fsync(file.fileno())
    return ballast


@contextlib.contextmanager
def opened(root: Path) -> Iterator[Archive]:
    """The archive as another process sees it; a file system that is in use cannot be unmounted."""
    database = open_database(root / "workstation.db")
    try:
        make_ready(database)
        yield Archive(root, database)
    finally:
        database.dispose()


def whole(root: Path, acknowledged: set[str], originals: dict[str, Instance]) -> None:
    """What was acknowledged is seen, intact and once; nothing else is."""
    with opened(root) as archive:
        visible = {i.sop_instance_uid: i for s in archive.all_series() for i in s.instances}
        assert set(visible) == acknowledged
        for uid, instance in visible.items():
            assert dcmread(instance.path) == dcmread(originals[uid].path)
        assert {f.words for f in upkeep.verify(archive)} <= {
            "is on the disk and not in the index; `storage verify --repair` enters it"
        }
        assert upkeep.status(archive).quarantined == 0


def audited(root: Path) -> int:
    """Instances that the audit trail says were transferred; all of it is as the standard has it."""
    lines = (root / "audit.log").read_text(encoding="utf-8").splitlines()
    checked(lines)
    counts = [etree.fromstring(line.encode()).iter("SOPClass") for line in lines]
    return sum(int(counted.get("NumberOfInstances", "")) for each in counts for counted in each)


@pytest.mark.slow
def test_it_is_said_before_it_is_full(tmp_path: Path, disk: Path) -> None:
    series = write_series(tmp_path / "sent", ramp((4, 32, 32)), grid())
    root = disk / "root"
    with served(root, "min_free_mb = 16\nprocesses = 1") as (peer, _):
        assert all(sent.accepted for sent in send(series.instances[:1], peer))
        ballast = fill(disk, 12 << 20)
        answers = ["accepted"]
        while answers[-1] == "accepted":  # it looks once a second
            (sent,) = send(series.instances[1:2], peer)
            answers.append("accepted" if sent.accepted else f"0x{sent.status or 0:04X}")
        assert answers[-1] == "0xA700" and free(disk) > 11 << 20
        ballast.unlink()
        while not send(series.instances[2:3], peer)[0].accepted:
            pass
        assert all(sent.accepted for sent in send(series.instances, peer))
    whole(root, {i.sop_instance_uid for i in series.instances}, {i.sop_instance_uid: i for i in series.instances})


@pytest.mark.slow
def test_it_is_full_and_then_it_is_not(
    tmp_path: Path, disk: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    series = write_series(tmp_path / "sent", ramp((40, 512, 512)), grid())
    originals = {i.sop_instance_uid: i for i in series.instances}
    root, acknowledged = disk / "root", set[str]()
    with served(root, "min_free_mb = 0\nprocesses = 2") as (peer, watched):
        with Sender(peer) as sender:
            assert sender.send(series.instances[0]).accepted
            ballast = fill(disk, 0)
            assert sender.send(series.instances[1]).status == 0xA700
        acknowledged.add(series.instances[0].sop_instance_uid)
        whole(root, acknowledged, originals)
        os.truncate(ballast, ballast.stat().st_size - (10 << 20))
        answers = send(series.instances, peer, associations=2)
        acknowledged |= {sent.sop_instance_uid for sent in answers if sent.accepted}
        refused = [sent for sent in answers if not sent.accepted]
        assert acknowledged and refused and {sent.status for sent in refused} == {0xA700}
        whole(root, acknowledged, originals)
        ballast.unlink()
        rest = send([originals[sent.sop_instance_uid] for sent in refused], peer)
        assert all(sent.accepted for sent in rest)
        watched.wait("series complete")
        whole(root, set(originals), originals)
    # What could not be noted is noted when there is room. (The last page of a file has room on tmpfs.)
    assert "tmpfs" in request.node.name or any(event["event"] == "audit late" for event in watched.events)
    assert audited(root) == len(originals) + 1  # the first was sent twice
    with opened(root) as archive:
        assert [fault.words for fault in upkeep.verify(archive)] == []
    with capsys.disabled():
        print(f"\n{request.node.name}: {len(refused)} of {len(originals)} refused while it was full;", end=" ")
        print(f"{len(acknowledged)} acknowledged by then, all of them there; the rest came after without a restart")
