"""Receiving: us (every instance on the disk and in the index before it is answered) beside pynetdicom's storescp,
DCMTK's storescp and Orthanc, with the same senders in one run: MB/s, instances/s, processor seconds per GB.

`python -m tests.benchmarks.bench_node [--ct 200] [--mr 400] [--times 3]`. CT is 512 x 512, MR 256 x 256, both of 16
bits, written for the purpose. We are `workstation serve` as it is, with all of its processes. Senders are DCMTK's
storescu, one process for each association, with PDUs of 128 KB. DCMTK and Orthanc wait for each other's delayed
acknowledgements on a loopback unless TCP_NODELAY is set for both ends, which is done here; `--as-installed` measures
without. Medians; the order of the receivers changes with each turn, and nothing is deleted before the end: for a minute
after many files are deleted, ext4 searches long for a place for each new one. Beside it, the disk's own speed: writing
and flushing the same files, one after the other. None of the other three flushes what it acknowledges; `storescp
flushed` is DCMTK's made to flush each file when it closes it (`flushing.c`, where there is a C compiler).
"""

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from dicom_io.archive import Archive
from dicom_io.archive.archive import Kept
from dicom_io.archive.durable import flush
from dicom_io.files.instance import Instance
from dicom_io.network.receive import Receiver
from dicom_io.network.requestor import Peer
from tests.dicom_io.synthetic import grid, image, save
from tests.peers.servers import listening, orthanc, program
from tests.workstation.serve.running import Serving

# A bare receiver reads no header, so what it says of an instance is nothing.
_ANY = Instance(
    "", "1.2", "1.2", "1.2", "1.2", "1.2", "", "", "", "", "", "", "", "", 1, (), 0, 0, 1, "", 0, 0, False, None, "",
    False, "", -1, -1, (),
)  # fmt: skip
RECEIVERS = ("workstation", "pynetdicom", "storescp", "storescp flushed", "Orthanc")


def write(folder: Path, count: int, rows: int, name: str) -> int:
    """A series of noise on a ramp, so that nobody gains by compression; returns its bytes."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(1)
    size = 0
    for k in range(count):
        plane = random.integers(-1000, 3000, (rows, rows), dtype=np.int16)
        size += save(image(plane, grid(), k, series=name), folder / f"{k:05}.dcm").stat().st_size
    return size


@contextlib.contextmanager
def receiver(name: str, folder: Path) -> Iterator[tuple[Peer, int]]:
    """(where it listens, its process) of one receiver with an empty store."""
    if name == "Orthanc":
        with orthanc(folder, MaximumStorageSize=0, OverwriteInstances=False) as server:
            yield server.peer, _pid(server.peer.port)
        return
    folder.mkdir()
    commands: dict[str, list[str]] = {
        "pynetdicom": [sys.executable, "-m", "pynetdicom", "storescp", "-od", str(folder), "--max-pdu", "0"],
        "storescp": [program("storescp"), "--fork", "-od", str(folder), "--max-pdu", "131072", "+xa"],
    }
    if name == "storescp flushed":
        commands[name] = ["env", f"LD_PRELOAD={folder.parent / 'flushing.so'}", *commands["storescp"]]
    if name == "workstation":
        with Serving(folder, receivers=0) as serving:
            reader = threading.Thread(target=lambda: deque(serving.events(), maxlen=0))
            reader.start()
            yield Peer("127.0.0.1", serving.port, "WORKSTATION"), serving.pid
            serving.ask_to_stop()
            reader.join()
        return
    with listening(lambda ports: [*commands[name], str(ports[0])]) as (port,):
        yield Peer("127.0.0.1", port, "ANY-SCP"), _pid(port)


def _pid(port: int) -> int:
    """The process that listens on a port. Source: proc(5)."""
    lines = Path("/proc/net/tcp").read_text().splitlines() + Path("/proc/net/tcp6").read_text().splitlines()
    inodes = {line.split()[9] for line in lines if line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for handle in (process / "fd").iterdir():
                if any(str(handle.readlink()) == f"socket:[{inode}]" for inode in inodes):
                    return int(process.name)
    raise AssertionError(f"nobody listens on {port}")


def processor_s(pid: int) -> float:
    """Processor time of a process and its children, in seconds. Source: proc(5)."""
    ticks = 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            if int(process.name) == pid or int(fields[1]) == pid:
                ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def send(peer: Peer, parts: list[list[Path]]) -> None:
    command = [program("storescu"), "-xv", "--max-pdu", "131072", "-aec", peer.ae_title, peer.host, str(peer.port)]
    command[1:2] = []  # uncompressed is proposed by default
    environment = {**os.environ, "TCP_NODELAY": "1"}
    running = [
        subprocess.Popen(
            [*command, *map(str, part)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        for part in parts
    ]
    for process in running:
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors.decode()[-500:]


def disk(files: list[Path], folder: Path) -> float:
    """Seconds to write and flush the files one after the other."""
    folder.mkdir()
    contents = [file.read_bytes() for file in files]
    start = time.perf_counter()
    for n, content in enumerate(contents):
        with (folder / str(n)).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    return time.perf_counter() - start


class _NoIndex(Archive):
    """Files are kept as always, and indexed nowhere."""

    def _index(self, rows: Sequence[dict[str, object]]) -> list[str]:
        return [str(row["sha256"]) for row in rows]


class _Bare(Archive):
    """What any receiver in Python has to do: the data set hashed and written, its file named and flushed."""

    def admit(
        self, spooled: Path, expected_uid: str | None = None, expected_class: str = "", digest: str | None = None
    ) -> Kept:
        target = self.root / f"{expected_uid}.dcm"
        target.hardlink_to(spooled)
        flush(target)
        spooled.unlink()
        return Kept(_ANY, "new")


def floor(folder: Path, count: int, times: int) -> None:
    """Processor ms an instance of a receiver in one process, of one without index, and of a bare one."""
    write(folder / "sent", count, 256, "MR")
    files = sorted((folder / "sent").iterdir())
    took: dict[type[Archive], list[float]] = {Archive: [], _NoIndex: [], _Bare: []}
    for turn in range(times):
        for kind, found in took.items():
            with Receiver(kind(folder / f"{kind.__name__} {turn}")) as server:
                began = time.process_time()
                send(Peer("127.0.0.1", server.port, "WORKSTATION"), [files])
                found.append((time.process_time() - began) / count * 1000.0)
    for kind, name in ((Archive, "whole"), (_NoIndex, "without index"), (_Bare, "without header and index")):
        print(f"{name:26} {statistics.median(took[kind]):5.2f} ms")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--ct", type=int, default=200)
    options.add_argument("--mr", type=int, default=600)
    options.add_argument("--times", type=int, default=3)
    options.add_argument("--as-installed", action="store_true", help="without TCP_NODELAY")
    options.add_argument("--only", choices=RECEIVERS, action="append")
    options.add_argument("--floor", action="store_true", help="processor time of our parts alone, in one process")
    given = options.parse_args()
    if given.floor:
        os.environ["TCP_NODELAY"] = "1"
        with tempfile.TemporaryDirectory() as temporary:
            floor(Path(temporary), given.mr, given.times)
        return
    names = given.only or list(RECEIVERS)
    compiler = shutil.which("cc")
    if compiler is None:
        names = [name for name in names if name != "storescp flushed"]
    if not given.as_installed:
        os.environ["TCP_NODELAY"] = "1"
    with tempfile.TemporaryDirectory() as temporary:
        top = Path(temporary)
        if compiler is not None:
            source = Path(__file__).with_name("flushing.c")
            subprocess.run([compiler, "-shared", "-fPIC", "-o", top / "flushing.so", source, "-ldl"], check=True)
        for kind, count, rows in (("CT 512", given.ct, 512), ("MR 256", given.mr, 256)):
            folder = top / kind
            size = write(folder, count, rows, kind)
            files = sorted(folder.iterdir())
            flushed = disk(files, top / f"disk {kind}")
            print(f"{kind}: {count} instances, {size / 1e6:.0f} MB; disk alone {size / 1e6 / flushed:.0f} MB/s")
            for associations in (1, 4):
                parts = [files[n::associations] for n in range(associations)]
                took: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
                for turn in range(given.times):
                    for name in names[turn % len(names) :] + names[: turn % len(names)]:
                        store = top / f"{kind} {associations} {turn} {name}"
                        with receiver(name, store) as (peer, pid):
                            busy, start = processor_s(pid), time.perf_counter()
                            send(peer, parts)
                            took[name].append((time.perf_counter() - start, processor_s(pid) - busy))
                        if name == "workstation":
                            assert sum(len(s.instances) for s in Archive(store).all_series()) == count
                ours = statistics.median(t for t, _ in took["workstation"]) if "workstation" in took else 0.0
                for name in names:
                    seconds = statistics.median(t for t, _ in took[name])
                    busy = statistics.median(b for _, b in took[name])
                    ratio = f"we are {seconds / ours:5.2f} times as fast" if ours else ""
                    speed = f"{size / 1e6 / seconds:6.0f} MB/s {count / seconds:6.0f} instances/s"
                    work = f"{busy / (size / 1e9):6.1f} processor s/GB"
                    print(f"  {associations} at once  {name:16} {speed} {work}   {ratio}")


if __name__ == "__main__":
    main()
