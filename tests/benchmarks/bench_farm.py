"""How many cases an hour a farm prepares: `python -m tests.benchmarks.bench_farm [FOLDER]`.

A real Dask scheduler with 1, 2 and 4 workers, each a process of its own, prepares the series (the sample head by
default) under as many rules as there are cases; beside them one process of ours without a farm. Then a model, fitted to
the measured times of cases, says how long studies wait at 10, 100 and 1,000 an hour. Its assumptions: studies come at
random (Poisson), every case takes what a measured one took, workers have a core each and do not disturb each other, and
store and database keep up; what those would have to bear stands beside it.
"""

import argparse
import heapq
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path

from tests.peers.dask_farm import Dask, dask
from workstation.config import Config
from workstation.farm import Farm, make_on_farm
from workstation.preparation.making import make_proposal
from workstation.preparation.working import Preparer, plan_all
from workstation.preparing import PreparationSettings, PrepareRule
from workstation.site import Site, open_site
from workstation.storage import take_in

SAMPLE = Path(__file__).parents[2] / "sample_data" / "ct_head"
_READY_S = 300.0


def site_with(root: Path, folder: Path, protocol: str, cases: int) -> Site:
    """A site that waits to prepare one series under so many rules."""
    rules = tuple(PrepareRule(f"case {number}", protocol=protocol) for number in range(cases))
    site = open_site(root, Config(prepare=rules, preparation=PreparationSettings(match="all")))
    take_in(site, folder, "BENCH")
    plan_all(site)
    return site


def work_off(site: Site, slots: int, farm: Dask | None) -> tuple[float, list[float]]:
    """Prepares all that waits. Returns the seconds it took, and those of each case."""
    took: list[float] = []
    noting = threading.Lock()

    def keep_working() -> None:
        executor = None if farm is None else lambda: _farm(farm)
        preparer = Preparer(
            site, threading.Event(), make=make_proposal if farm is None else make_on_farm, executor=executor
        )
        while True:
            began = time.monotonic()
            if not preparer.work_one():
                break
            with noting:
                took.append(time.monotonic() - began)
        preparer.close()

    began = time.monotonic()
    threads = [threading.Thread(target=keep_working) for _ in range(slots)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    states = {row.state for row in site.preparations.list()}
    assert states == {"ready"}, states
    return time.monotonic() - began, took


def _farm(farm: Dask) -> Executor:
    return Farm(Config(farm=farm.address), Path())


def waits(an_hour: float, workers: int, case_s: Sequence[float], hours: float = 10.0) -> float:
    """The time from the last image to ready that 95 of 100 studies keep, in seconds, by simulation."""
    rng, now, free, ready = random.Random(1), 0.0, [0.0] * workers, list[float]()
    while now < hours * 3600.0:
        now += rng.expovariate(an_hour / 3600.0)
        begins = max(now, heapq.heappop(free))
        ends = begins + rng.choice(case_s)
        heapq.heappush(free, ends)
        ready.append(ends - now)
    return statistics.quantiles(ready, n=20)[-1]


def needed(an_hour: float, case_s: Sequence[float]) -> int:
    """How many workers 95 of 100 studies are ready with within five minutes; at most 1,000."""
    least = max(1, round(an_hour * statistics.mean(case_s) / 3600.0))
    return next((n for n in range(least, 1001) if waits(an_hour, n, case_s) <= max(_READY_S, 2 * max(case_s))), 1000)


def _row(name: str, cases: int, took_s: float, case_s: Sequence[float]) -> str:
    return f"{name:20} {3600 * cases / took_s:6.0f} cases an hour, {statistics.median(case_s):.1f} s a case"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", nargs="?", type=Path, default=SAMPLE, help="one series")
    parser.add_argument("--protocol", default="ct_head_trauma")
    parser.add_argument("--cases", type=int, default=8)
    parser.add_argument("--workers", type=int, nargs="*", default=(1, 2, 4))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        site = site_with(home / "own", options.folder, options.protocol, options.cases)
        took, case_s = work_off(site, 1, None)
        mib = sum(row.size for row in site.preparations.list()) / 2**20 / options.cases
        print(f"{options.cases} cases of {mib:.0f} MiB, protocol {options.protocol}")
        print(_row("one process of ours", options.cases, took, case_s))
        single = case_s
        for workers in options.workers:
            folder = home / f"dask{workers}"
            folder.mkdir()
            with dask(folder, workers) as farm:
                site = site_with(home / f"farm{workers}", options.folder, options.protocol, options.cases)
                took, farm_s = work_off(site, workers, farm)
            if workers == 1:
                single = farm_s
            print(_row(f"farm, {workers} workers", options.cases, took, farm_s))
        print("by the model, 95 of 100 studies ready within 5 minutes (or twice the longest case):")
        for an_hour in (10, 100, 1000):
            workers = needed(an_hour, single)
            ready = waits(an_hour, workers, single)
            bears = (
                f"{an_hour * mib / 3600:.2f} MiB/s written, {an_hour * 4 / 3600:.2f} transactions/s to claim and finish"
            )
            print(f"{an_hour:5d} studies an hour: {workers:4d} workers, ready after {ready:5.0f} s; {bears}")


if __name__ == "__main__":
    main()
