"""How long the coder's queue takes beside the work list: `python -m tests.benchmarks.bench_queue [--cases N]`.

A state folder with so many cases (copies of a charged and a held one, see `bench_scale`); then the queue read for the
first time, its first page, every filter and order, and what it takes to see that nothing is new, or that one case is.
"""

import argparse
import tempfile
from pathlib import Path

from tests.benchmarks.bench_scale import build, took_ms
from tests.workstation.orders.ris import JD, config
from workstation.coder.queue import Queue
from workstation.coder.queue_rows import QueueFilter
from workstation.coder.work_list import work_items
from workstation.site import open_site

FILTERS = {
    "state": QueueFilter(state="held"),
    "reason": QueueFilter(reason="REPORT_NOT_FINAL"),
    "who": QueueFilter(who="physician"),
    "payer": QueueFilter(payer="MCARE"),
    "owner": QueueFilter(owner="nobody"),
    "physician and technique": QueueFilter(physician="DR1", technique="volume_rendering"),
    "base": QueueFilter(base="70450"),
    "older than 7 days": QueueFilter(older_than_days=7),
    "month": QueueFilter(month="2026-03"),
    "due for filing": QueueFilter(due_within_days=30),
    "text, patient's name": QueueFilter(text="of pat"),
    "text, accession": QueueFilter(text="ACC_A123"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        build(root, 1000, given.cases)
        site = open_site(root, config())
        print(f"{given.cases} cases; the median of {given.times}, ms")

        def line(what: str, ms: float) -> None:
            print(f"{what:48} {ms:8.1f}", flush=True)

        line("work_items, all", took_ms(lambda: work_items(site), 3))
        line("work_items, held", took_ms(lambda: work_items(site, "held"), 3))
        queue = Queue(site)
        line("queue, read for the first time", took_ms(queue.refresh, 1))
        line("queue, the first search by name", took_ms(lambda: queue.page(QueueFilter(text="of pat")), 1))
        line("queue, nothing new", took_ms(queue.refresh, given.times))
        line("queue, first page", took_ms(lambda: queue.page(), given.times))
        line("queue, last page", took_ms(lambda: queue.page(number=1_000_000), given.times))
        for name, wanted in FILTERS.items():
            line(f"queue, filter: {name}", took_ms(lambda wanted=wanted: queue.page(wanted), given.times))  # type: ignore[misc]
        for sort in ("patient", "-expected", "reason", "filing"):
            line(f"queue, sorted by {sort}", took_ms(lambda sort=sort: queue.page(sort=sort), given.times))  # type: ignore[misc]
        (case, *_) = queue.page().rows

        def one_act() -> None:
            site.casebook.act(case.session, case.accession, site.clock(), JD.id, JD.role, "note", "x", {}, due=False)
            assert queue.refresh() == 1

        line("an act written, and the queue refreshed", took_ms(one_act, given.times))
        site.papers.engine.dispose()


if __name__ == "__main__":
    main()
