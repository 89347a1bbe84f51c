"""A Dask scheduler and its workers, each a process of its own, which tests kill and start again."""

import contextlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Dask:
    """A scheduler and its workers."""

    folder: Path
    port: int = 0
    scheduler: "subprocess.Popen[bytes] | None" = None
    workers: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.folder / "scheduler.json"

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def start_scheduler(self) -> None:
        """On the same port as before, where there was one."""
        self.file.unlink(missing_ok=True)
        words = ["--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard", "--scheduler-file", str(self.file)]
        self.scheduler = self._started("scheduler", *words)
        until(lambda: self.file.exists() and self.file.stat().st_size > 0)
        self.port = int(json.loads(self.file.read_text())["address"].rpartition(":")[2])

    def start_worker(self) -> None:
        words = ["--scheduler-file", str(self.file), "--nthreads", "1", "--no-nanny", "--no-dashboard"]
        self.workers.append(self._started("worker", *words, "--local-directory", str(self.folder)))

    def _started(self, what: str, *words: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "distributed.cli.dask_" + what, *words]
        with (self.folder / f"{what}.log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(Path.cwd())})

    def kill_a_worker(self, rng: random.Random) -> None:
        """Kills a worker; another one takes its place."""
        worker = self.workers.pop(rng.randrange(len(self.workers)))
        worker.kill()
        worker.wait()
        self.start_worker()

    def kill_the_scheduler(self) -> None:
        """Kills the scheduler and starts it again; workers that lost it end, and others begin."""
        count = len(self.workers)
        self.end()
        self.workers.clear()
        self.start_scheduler()
        for _ in range(count):
            self.start_worker()

    def end(self) -> None:
        for process in (*self.workers, *([self.scheduler] if self.scheduler else [])):
            process.kill()
            process.wait()


def until(what: Callable[[], bool], limit_s: float = 60.0) -> None:
    began = time.monotonic()
    while not what():
        assert time.monotonic() - began < limit_s
        time.sleep(0.02)


@contextlib.contextmanager
def dask(folder: Path, workers: int) -> Iterator[Dask]:
    found = Dask(folder)
    try:
        found.start_scheduler()
        for _ in range(workers):
            found.start_worker()
        yield found
    finally:
        found.end()
