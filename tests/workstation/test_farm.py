"""A real Dask scheduler and real workers, each a process of its own: the same proposals, whoever dies."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.workstation.conftest import SiteAt
from tests.workstation.preparation.preparing import prepare, site_with
from workstation.config import Config, ConfigError, load_config
from workstation.farm import Farm, FarmError, make_on_farm
from workstation.preparation.proposals import folder_of, proposal_in, sweep
from workstation.preparation.working import Preparer
from workstation.site import Site

pytest.importorskip("distributed", reason="Dask's distributed is not installed")


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


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dask]:
    with dask(tmp_path_factory.mktemp("dask"), 2) as found:
        yield found


def on(farm: Dask) -> Callable[[], Executor]:
    return lambda: Farm(Config(farm=farm.address), Path())


@pytest.fixture
def site(site_at: SiteAt, tmp_path: Path, slices: Path) -> Site:
    return site_with(site_at, tmp_path / "root", slices, retry_s=0.05)


def digests(site: Site) -> list[tuple[str, str]]:
    (row,) = site.preparations.list()
    proposal = proposal_in(site.archive.root, row)
    assert proposal is not None, row
    sweep(site)
    assert [entry.name for entry in folder_of(site.archive.root).iterdir()] == [row.folder]
    return [(picture.name, picture.digest) for picture in proposal.pictures]


def test_what_a_farm_draws_is_what_we_draw(
    farm: Dask, site: Site, site_at: SiteAt, tmp_path: Path, slices: Path
) -> None:
    """The same bytes, one picture on one worker and the next on another."""
    here = site_with(site_at, tmp_path / "other", slices)
    assert prepare(here) == ["ready"]
    states: list[str] = []
    preparer = Preparer(site, Event(), lambda claimed, state: states.append(state), make_on_farm, on(farm))
    assert preparer.work_one() and not preparer.work_one()
    preparer.close()
    assert states == ["running", "ready"] and len(digests(site)) >= 4
    assert digests(site) == digests(here)


@pytest.mark.slow
@pytest.mark.parametrize("dies", ["a worker", "the scheduler"])
def test_a_death_loses_nothing(site: Site, tmp_path: Path, dies: str) -> None:
    """In the middle of a case: what was begun is begun again, and is whole."""
    place = tmp_path / "dask"
    place.mkdir()
    with dask(place, 2) as farm:
        begun = Event()

        def kill() -> None:
            assert begun.wait(60)
            top = folder_of(site.archive.root)
            until(lambda: top.exists() and any(top.rglob("*.npz")))
            if dies == "a worker":
                worker = farm.workers.pop(0)
                worker.send_signal(signal.SIGKILL)
                worker.wait()
                farm.start_worker()
            else:
                assert farm.scheduler is not None
                farm.scheduler.send_signal(signal.SIGKILL)
                farm.scheduler.wait()
                farm.start_scheduler()
                for worker in farm.workers:
                    worker.kill()
                    worker.wait()
                farm.workers.clear()
                farm.start_worker()

        states: list[str] = []

        def tell(claimed: object, state: str) -> None:
            states.append(state)
            begun.set()

        killer = Thread(target=kill)
        killer.start()

        def alive(executor: Executor) -> bool:
            return isinstance(executor, Farm) and executor.alive

        preparer = Preparer(site, Event(), tell, make_on_farm, on(farm), alive)
        began = time.monotonic()
        while "ready" not in states:
            with contextlib.suppress(FarmError):
                preparer.work_one()
            assert time.monotonic() - began < 200, states
        killer.join()
        preparer.close()
        assert len(digests(site)) >= 4
        print(f"\n{dies} died: {states}")


def test_a_farm_that_does_not_answer_costs_no_attempt(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workstation.farm._ANSWER_S", 0.3)
    nobody = Config(farm="tcp://127.0.0.1:1")
    preparer = Preparer(site, Event(), make=make_on_farm, executor=lambda: Farm(nobody, Path()))
    with pytest.raises(FarmError, match=r"tcp://127\.0\.0\.1:1 does not answer"):
        preparer.work_one()
    (row,) = site.preparations.list()
    assert (row.state, row.attempts) == ("waiting", 0)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ('farm = "10.0.0.1:8786"', "no address that begins with tcp:// or tls://"),
        ('farm = "tls://10.0.0.1:8786"', "needs farm_tls"),
        ('farm = "tcp://10.0.0.1:8786"\nfarm_tls = { key = "a", certificate = "b", authority = "c" }', "farm_tls"),
        ('farm = "tls://10.0.0.1:8786"\nfarm_tls = { key = "a", certificate = "b" }', "authority"),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, settings: str, why: str) -> None:
    (tmp_path / "config.toml").write_text(settings)
    with pytest.raises(ConfigError, match=why):
        load_config(tmp_path)
