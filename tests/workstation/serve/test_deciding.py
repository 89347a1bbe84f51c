"""The deciding process of one host among several: what it passes on, and what it looks after for the others."""

import threading
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from tests.workstation.desk import desk
from tests.workstation.orders.ris import Study, journalled
from workstation.serve.deciding import run_decider
from workstation.serve.role import WorkerSettings, WorkerSignals
from workstation.site import Site


def decider(site: Site, signals: WorkerSignals, say: Any, records: deque[str]) -> None:
    worker = WorkerSettings("decide", str(site.root), "WS", 3600.0, 1)  # it only wakes when it is woken
    run_decider(site, worker, signals, say, records, None)


def test_a_host_that_does_not_follow_passes_it_on_that_a_receiver_died(tmp_path: Path) -> None:
    with desk(tmp_path) as here, here.site.archive.leases.held("arrivals") as lease:
        assert lease is not None
        here.site.archive.keep(journalled(Study("ACC1"), here.site.journal))
        signals = WorkerSignals()
        signals.end()
        # A claim is a thread's: to another one it is somebody else's, as to another host.
        records = deque(["news", "", "news"])
        thread = threading.Thread(target=decider, args=(here.site, signals, lambda event: None, records))
        thread.start()
        thread.join()
        assert [news.kind for news in here.site.news.untold()] == ["look"]
        assert here.site.casebook.sessions_by_sr() == {}


@pytest.mark.parametrize("woken_by", ["another host", "its own supervisor"])
def test_the_host_that_follows_finds_what_a_receiver_kept_and_did_not_tell(tmp_path: Path, woken_by: str) -> None:
    """It follows already when the receiver dies, so that what it looked through before does not help."""
    with desk(tmp_path) as here:
        ready, decided = threading.Event(), threading.Event()
        said: list[dict[str, Any]] = []

        def say(event: dict[str, Any]) -> None:
            said.append(event)
            (ready if event["event"] == "ready" else decided if event["event"] == "decided" else ready).set()

        signals, records = WorkerSignals(), deque[str]()
        thread = threading.Thread(target=decider, args=(here.site, signals, say, records))
        thread.start()
        try:
            assert ready.wait(60)
            here.site.archive.keep(journalled(Study("ACC1"), here.site.journal))
            if woken_by == "another host":
                here.site.news.tell("look", "")
                records.append("news")
            else:
                records.append("")
            signals.work.set()
            assert decided.wait(60), said
        finally:
            signals.end()
            thread.join()
        assert here.site.news.untold() == ()
        assert [event["accession"] for event in said if event["event"] == "decided"] == ["ACC1"]
