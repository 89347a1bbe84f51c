"""A real Dask scheduler and real workers, each a process of its own: the same proposals, whoever dies."""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.peers.dask_farm import Dask, dask, until
from tests.workstation.conftest import SiteAt
from tests.workstation.preparation.preparing import prepare, site_with
from workstation.config import Config, ConfigError, load_config
from workstation.farm import Farm, FarmError, make_on_farm
from workstation.preparation.proposals import folder_of, proposal_in, sweep
from workstation.preparation.working import Preparer
from workstation.site import Site
from workstation.store.preparation_rows import Preparation, PreparationProgress

pytest.importorskip("distributed", reason="Dask's distributed is not installed")


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


@pytest.mark.slow
def test_what_a_farm_draws_is_what_we_draw(
    farm: Dask, site: Site, site_at: SiteAt, tmp_path: Path, slices: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bytes, one picture on one worker and the next on another; and the workers tell how far they are."""
    here = site_with(site_at, tmp_path / "other", slices)
    assert prepare(here) == ["ready"]
    states, told, renew = list[str](), list[str](), site.preparations.renew

    def renewed(claimed: Preparation, now_s: float, progress: PreparationProgress | None = None) -> bool:
        told.extend([progress.doing] if progress is not None else [])
        return renew(claimed, now_s, progress)

    monkeypatch.setattr(site.preparations, "renew", renewed)
    preparer = Preparer(site, Event(), lambda claimed, state: states.append(state), make_on_farm, on(farm))
    preparer.tell_s = 0.01
    assert preparer.work_one() and not preparer.work_one()
    preparer.close()
    assert states == ["running", "ready"] and len(digests(site)) >= 4
    assert digests(site) == digests(here)
    assert "pictures" in told


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


def test_how_many_workers_there_are(farm: Dask) -> None:
    asked = Farm(Config(farm=farm.address), Path())
    asked._client.wait_for_workers(2, timeout=60)  # they start when the scheduler runs
    assert asked.workers == 2
    asked.shutdown()


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
