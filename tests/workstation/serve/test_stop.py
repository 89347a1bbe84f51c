"""Told to stop, `serve` files what it has acknowledged: nothing waits for a next start that may be far away."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dicom_io.files.series import read_instance
from dicom_io.network.requestor import Peer
from dicom_io.network.send import send
from tests.workstation.orders.ris import Study, journalled
from tests.workstation.serve.running import Serving
from workstation.serve.supervisor import serve
from workstation.site import open_site


@pytest.mark.slow
def test_everything_is_told_to_stop_at_once(tmp_path: Path) -> None:
    """As systemd tells all processes of a service, the one that others are forked from as well."""
    with Serving(tmp_path / "root") as serving:
        os.killpg(serving.pid, signal.SIGTERM)
        assert [event["event"] for event in serving.events()][-1:] == ["stopped"]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/comm").exists(), reason="processes are found in Linux's /proc")
def test_the_one_that_others_are_forked_from_may_die(tmp_path: Path) -> None:
    with Serving(tmp_path / "root") as serving:
        names = {Path(f"/proc/{pid}/comm").read_text().strip() for pid in serving.processes.values()}
        assert names == {"ws receive 0", "ws decide", "ws deliver"}
        makers = {parent(pid) for pid in serving.processes.values()}
        assert len(makers) == 1 and makers != {serving.pid}
        os.kill(makers.pop(), signal.SIGKILL)
        os.kill(serving.processes["receive 0"], signal.SIGKILL)
        again = serving.next("ended", "restarted")
        assert again["event"] == "ended" and again["process"] == "receive 0"
        assert serving.next("ended", "restarted")["event"] == "restarted"
        with socket.create_connection(("127.0.0.1", serving.port), 10):
            pass
        assert serving.terminate() == (0, "stopped")


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.fixture
def handlers() -> Iterator[None]:
    """`serve` takes over the signals of the process; the test gives them back."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def test_an_sr_that_came_with_the_signal_is_filed(tmp_path: Path, handlers: None) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "config.toml").write_text('device_uid = "2.25.1"\n')
    site = open_site(tmp_path / "root")
    files = []
    for number, ds in enumerate(journalled(Study("ACC1"), site.journal)):
        path = tmp_path / f"{number}.dcm"
        ds.save_as(path, enforce_file_format=True)
        files.append(read_instance(path))
    record = files[1].sop_instance_uid
    senders = []

    def tell(event: dict[str, Any]) -> None:
        if event["event"] == "listening":
            peer = Peer("127.0.0.1", event["port"], "WORKSTATION")
            senders.append(threading.Thread(target=send, args=(files, peer, "MODALITY")))
            senders[0].start()
        elif event["event"] == "record received" and event["instance"] == record:
            # The signal comes before the loop has seen the record.
            os.kill(os.getpid(), signal.SIGTERM)

    serve(site, "127.0.0.1", 0, None, 30.0, tell)
    senders[0].join()
    assert record in site.casebook.sessions_by_sr()
    site.papers.engine.dispose()
