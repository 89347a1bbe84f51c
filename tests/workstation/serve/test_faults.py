"""kill -9 of any process of `serve` in the middle of a transfer: what was acknowledged is there, whole and once."""

import os
import random
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import dcmread

from dicom_io.archive import Archive
from dicom_io.errors import PeerUnreachable
from dicom_io.files.series import Instance, read_instance
from dicom_io.network.requestor import Peer
from dicom_io.network.send import Sender
from tests.dicom_io.synthetic import grid, ramp, write_series
from tests.workstation.serve.running import Serving


def _until_accepted(
    instances: list[Instance], peer: Peer, acknowledged: set[str], failures: list[str], then: Callable[[], None]
) -> None:
    """Sends each until it is acknowledged, as a modality does that keeps what was not."""
    waiting = list(instances)
    while waiting:
        again = []
        try:
            with Sender(peer) as sender:
                for instance in waiting:
                    sent = sender.send(instance)
                    if sent.accepted:
                        acknowledged.add(instance.sop_instance_uid)
                        then()
                    else:
                        failures.append(sent.detail)
                        again.append(instance)
        except PeerUnreachable as error:
            failures.append(str(error))
            again = [i for i in waiting if i.sop_instance_uid not in acknowledged]
        waiting = again


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "kills"), [(240, 6), pytest.param(2000, 60, marks=pytest.mark.slow)], ids=["short", "long"]
)
def test_every_process_is_killed_again_and_again(
    tmp_path: Path, count: int, kills: int, capsys: pytest.CaptureFixture[str]
) -> None:
    series = write_series(tmp_path / "sent", ramp((count, 16, 16)), grid())
    originals = {i.sop_instance_uid: i for i in series.instances}
    root, chance = tmp_path / "root", random.Random(count)
    root.mkdir()
    (root / "config.toml").write_text("[receiver]\nprocesses = 2\n")
    acknowledged: set[str] = set()
    failures: list[str] = []
    restarted = 0
    killed: list[int] = []
    with Serving(root, "--interval-s", "0.2", limit_s=600) as serving:
        peer = Peer("127.0.0.1", serving.port, "WORKSTATION")
        shares = [list(series.instances)[n::4] for n in range(4)]
        pids, changing = dict(serving.processes), threading.Lock()

        def perhaps_kill() -> None:
            """Every so many instances one process dies; receivers most often, since they are what is at stake."""
            with changing:
                if pids and chance.random() < kills / count:
                    name = chance.choice([*pids, *(n for n in pids if n.startswith("receive"))])
                    os.kill(pids[name], signal.SIGKILL)
                    killed.append(pids.pop(name))

        senders = [
            threading.Thread(target=_until_accepted, args=(share, peer, acknowledged, failures, perhaps_kill))
            for share in shares
        ]
        for sender in senders:
            sender.start()

        def end() -> None:
            for sender in senders:
                sender.join()
            serving.ask_to_stop()

        ending = threading.Thread(target=end)
        ending.start()
        for event in serving.events():
            with changing:
                if event["event"] == "restarted":
                    restarted += 1
                    pids[event["process"]] = int(event["pid"])
                elif event["event"] == "ended":
                    pids.pop(event["process"], None)
        ending.join()
    archive = Archive(root)
    visible = {i.sop_instance_uid: i for s in archive.all_series() for i in s.instances}
    assert acknowledged == set(visible) == set(originals)
    for uid, instance in visible.items():
        assert read_instance(Path(instance.path)) == instance
        assert dcmread(instance.path) == dcmread(originals[uid].path)
    files = [p for p in (root / "instances").rglob("*") if p.is_file()]
    assert len(files) == count and not list((root / "quarantine").glob("*"))
    archive.sweep()
    assert not list((root / "spool").rglob("*.part"))
    with capsys.disabled():
        print(f"\n{count} instances by 4 senders: {len(killed)} processes killed, {restarted} started again,", end=" ")
        print(f"{len(failures)} sends failed,", end=" ")
        print(f"{len(acknowledged)} acknowledged, {len(visible)} kept: intact, once, indexed")
    assert killed and restarted
