"""Workers of `serve` share the program's memory, and do not look for garbage in it."""

import gc
import multiprocessing
import re
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from workstation.serve.fork_server import fork_server


def _private_mb() -> float:
    text = Path("/proc/self/smaps_rollup").read_text(encoding="ascii")
    return sum(int(kb) for kb in re.findall(r"Private_\w+:\s+(\d+)", text)) / 1024


def _tell(told: Connection) -> None:
    before = _private_mb()
    gc.collect()
    told.send((gc.get_freeze_count(), _private_mb() - before))


@pytest.mark.skipif(
    "forkserver" not in multiprocessing.get_all_start_methods() or not Path("/proc/self/smaps_rollup").exists(),
    reason="resident memory is read from Linux's /proc",
)
def test_a_collection_gives_a_worker_no_copy_of_the_program() -> None:
    heard, told = multiprocessing.Pipe(duplex=False)
    worker = fork_server().Process(target=_tell, args=(told,))
    worker.start()
    frozen, grown_mb = heard.recv()
    worker.join()
    assert frozen > 100_000
    assert grown_mb < 12.0  # 36 where it is not set apart
