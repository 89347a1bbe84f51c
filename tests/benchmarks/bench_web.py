"""How long the console takes, in a process of its own: `python -m tests.benchmarks.bench_web [--cases N]`.

A state folder with so many cases (copies of a charged and a held one, see `bench_scale`). One browser asks over a
socket for the first page of the work list, every filter and a case; then 20 of them work at once. Beside each page: the
same rows asked of the queue in this process, without HTTP, templates and sign-in.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx2

from tests.benchmarks.bench_queue import FILTERS
from tests.benchmarks.bench_scale import build
from tests.workstation.orders.ris import PEOPLE, config
from workstation.coder.queue import Queue
from workstation.coder.queue_rows import QueueFilter
from workstation.people import people_of
from workstation.site import open_site

_PASSWORD = "a long password"
_PATHS = {
    "first page": "/cases",
    "all": "/cases?scope=all",
    "state": "/cases?state=held",
    "reason": "/cases?reason=REPORT_NOT_FINAL",
    "who": "/cases?who=physician",
    "payer": "/cases?payer=MCARE",
    "owner": "/cases?owner=nobody",
    "physician and technique": "/cases?physician=DR1&technique=volume_rendering",
    "base": "/cases?base=70450",
    "older than 7 days": "/cases?older=7",
    "month": "/cases?month=2026-03",
    "due for filing": "/cases?due=30",
    "sorted by patient": "/cases?sort=patient",
    "last page": "/cases?scope=all&page=999999",
}


def signed_in(address: str, identity: str) -> httpx2.Client:
    client = httpx2.Client(base_url=address, follow_redirects=True, timeout=60)
    page = client.get("/sign-in").text
    token = page.partition('name="csrf" value="')[2].partition('"')[0]
    answer = client.post("/sign-in", data={"csrf": token, "person": identity, "password": _PASSWORD})
    assert answer.status_code == 200, answer.text[:500]
    return client


def took(act: Callable[[], object], times: int) -> float:
    """The median, in ms."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        act()
        found.append(1000 * (time.perf_counter() - began))
    return statistics.median(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=9)
    parser.add_argument("--people", type=int, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        build(root, 1000, given.cases)
        for person in PEOPLE:
            people_of(root).add(person, password=_PASSWORD)
        (root / "config.toml").write_text("[console]\nper_minute = 100000\n", encoding="utf-8")
        queue = Queue(open_site(root, config()))
        queue.refresh()
        command = [sys.executable, "-m", "workstation", "--root", str(root), "web", "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            address = server.stdout.readline().partition("address=")[2].split()[0]
            try:
                measure(address, queue, given.times, given.people)
            finally:
                server.terminate()


def measure(address: str, queue: Queue, times: int, people: int) -> None:
    began = time.perf_counter()
    browser = signed_in(address, "jd")
    print(f"signed in, with the queue read for the first time: {1000 * (time.perf_counter() - began):.0f} ms")
    print(f"{'page':28} {'page ms':>8} {'queue ms':>9}")
    for name, path in _PATHS.items():
        beside = FILTERS.get(name, QueueFilter(open_only=name == "first page"))
        bare = took(lambda beside=beside: queue.page(beside), times)  # type: ignore[misc]
        page = took(lambda path=path: browser.get(path).raise_for_status(), times)  # type: ignore[misc]
        print(f"{name:28} {page:8.1f} {bare:9.1f}", flush=True)
    key = queue.page().rows[0].key
    print(f"{'a case':28} {took(lambda: browser.get(f'/cases/{key}').raise_for_status(), times):8.1f}")

    # Everybody opens the list, filters, opens a case and comes back.
    each: list[float] = []
    keys = [row.key for row in queue.page(size=people).rows]

    def work(number: int) -> None:
        own = signed_in(address, "jd")
        for path in ("/cases", "/cases?state=held", f"/cases/{keys[number]}", "/cases?sort=patient"):
            began = time.perf_counter()
            own.get(path).raise_for_status()
            each.append(1000 * (time.perf_counter() - began))
            time.sleep(1.0)  # a person reads what they asked for

    threads = [threading.Thread(target=work, args=(number,)) for number in range(people)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    each.sort()
    print(f"{people} people at once, {len(each)} pages in {time.perf_counter() - began:.1f} s, a second to read each:")
    most = each[int(0.95 * len(each))]
    print(f"  median {statistics.median(each):.0f} ms, 95 of 100 within {most:.0f} ms, longest {each[-1]:.0f} ms")


if __name__ == "__main__":
    main()
