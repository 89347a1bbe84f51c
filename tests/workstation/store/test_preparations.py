"""What is prepared, in both databases: claimed once, taken over when its process dies, made anew, ended."""

import signal
import subprocess
import sys
from pathlib import Path
from threading import Barrier, Thread

import pytest
from sqlalchemy import Engine, text

from dicom_io.archive.leases import Leases
from workstation.store.preparation_rows import (
    Preparation,
    PreparationProgress,
    PreparationState,
    WantedPreparation,
)
from workstation.store.preparations import Preparations

ROOT = Path(__file__).parents[3]


@pytest.fixture
def store(engine: Engine) -> Preparations:
    return Preparations(engine)


def plan(store: Preparations, uid: str, *wanted: WantedPreparation, revision: int = 1, at: float = 0.0) -> None:
    store.plan(uid, f"ACC-{uid}", revision, wanted, at, at)


def claim(store: Preparations, now_s: float = 10.0) -> Preparation:
    found = store.claim(now_s)
    assert found is not None
    return found


def test_urgent_then_priority_then_arrival(store: Preparations) -> None:
    plan(store, "1.1", WantedPreparation("a", 0), at=1.0)
    plan(store, "1.2", WantedPreparation("a", 0), at=0.0)
    plan(store, "1.3", WantedPreparation("a", 5), at=2.0)
    plan(store, "1.4", WantedPreparation("a", -5, urgent=True), at=3.0)
    plan(store, "1.5", WantedPreparation("a", -5), at=4.0)
    store.hurry({"ACC-1.5": True, "ACC-1.4": True})
    assert [row.series_uid for row in store.list("waiting")] == ["1.4", "1.5", "1.3", "1.2", "1.1"]
    assert [claim(store).series_uid for _ in range(5)] == ["1.4", "1.5", "1.3", "1.2", "1.1"]
    assert store.claim(10.0) is None


def elsewhere(engine: Engine, term_s: float = 30.0) -> Preparations:
    """The same database, as a process of another machine has it."""
    return Preparations(engine, Leases(engine, "elsewhere/another start", term_s))


def expire(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE lease SET until = until - 3600"))


def test_a_claim_is_one_persons_until_its_lease_ends(engine: Engine) -> None:
    there, here = elsewhere(engine), Preparations(engine)
    plan(here, "1.1", WantedPreparation("a", 0))
    first = claim(there)
    assert (first.state, first.attempts) == ("running", 1)
    assert there.renew(first, 11.0) and here.claim(12.0) is None
    expire(engine)
    assert there.renew(first, 13.0) and here.claim(14.0) is None  # late, and nobody was faster
    expire(engine)
    second = claim(here)  # the first has not been heard of since
    assert (second.attempts, second.owner != first.owner) == (2, True)
    for late in (
        there.renew(first, 112.0, PreparationProgress("pictures", 1, 2)),
        there.ready(first, "f", 1, 112.0),
        there.fail(first, "x", 112.0),
        there.again_later(first, "x", 0.0, 112.0),
        there.give_back(first, 112.0),
    ):
        assert late is False
    assert here.renew(second, 112.0) and there.claim(112.0) is None
    assert here.ready(second, "f", 1, 112.0)
    assert here.states() == {"1.1": "ready"} and there.claim(1e12) is None
    assert Leases(engine).all() == ()


@pytest.mark.parametrize("ahead_s", [-3600.0, 3600.0])
def test_clocks_of_hosts_say_nothing_of_a_lease(engine: Engine, ahead_s: float) -> None:
    """Two hosts whose clocks differ by an hour: one works, also on what waits for another try."""
    now_s = 1.7e9
    there, here = elsewhere(engine), Preparations(engine)
    there.plan("1.1", "A", 1, [WantedPreparation("a", 0)], now_s + ahead_s, now_s + ahead_s)
    first = here.claim(now_s)
    assert first is not None and there.claim(now_s + ahead_s) is None
    assert here.renew(first, now_s) and here.again_later(first, "the disk is full", 600.0, now_s)
    assert there.claim(now_s + ahead_s) is None
    assert there.again([first.place], now_s + ahead_s) and here.claim(now_s) is not None
    assert there.claim(now_s + ahead_s) is None


def test_who_works_on_it_tells_how_far_it_is(store: Preparations) -> None:
    plan(store, "1.1", WantedPreparation("a", 0))
    first = claim(store)
    assert store.renew(first, 11.0, PreparationProgress("pictures", 3, 7))
    (row,) = store.list("running")
    assert (row.progress, row.changed_s) == ("pictures 3 of 7", 11.0)
    assert store.renew(first, 12.0) and store.list("running") == (row,)  # nothing new
    assert store.renew(first, 13.0, PreparationProgress("volume")) and store.list()[0].progress == "volume"
    assert store.again_later(first, "it died", 0.0, 14.0) and store.list()[0].progress == ""
    again = claim(store)
    assert again.progress == "" and store.renew(again, 15.0, PreparationProgress("bone"))
    assert store.ready(again, "f", 1, 16.0) and store.list()[0].progress == ""


def test_two_at_once_never_get_the_same(engine: Engine) -> None:
    store, count, threads = Preparations(engine), 12, 4
    for n in range(count):
        plan(store, f"1.{n}", WantedPreparation("a", 0))
    together, got = Barrier(threads), list[str]()

    def work() -> None:
        together.wait()
        while (found := store.claim(1.0)) is not None:
            got.append(found.series_uid)

    workers = [Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(got) == sorted(f"1.{n}" for n in range(count))


@pytest.mark.slow
def test_a_killed_process_is_taken_over(engine: Engine) -> None:
    """A process claims and is killed: on its machine the next one gets the row at once, elsewhere when the lease is
    over."""
    script = (
        "import os, signal, sys\n"
        "from dicom_io.archive.database import open_database\n"
        "from workstation.store.preparations import Preparations\n"
        "assert Preparations(open_database(sys.argv[1])).claim(10.0) is not None\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    store, url = Preparations(engine), engine.url.render_as_string(hide_password=False)
    plan(store, "1.1", WantedPreparation("a", 0))
    done = subprocess.run([sys.executable, "-c", script, url], cwd=ROOT, capture_output=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert elsewhere(engine).claim(69.0) is None
    taken = claim(store, 71.0)
    assert taken.attempts == 2 and store.ready(taken, "folder", 5, 72.0)


def test_a_failure_waits_and_is_tried_again(engine: Engine) -> None:
    store = Preparations(engine)
    plan(store, "1.1", WantedPreparation("a", 0))
    assert store.again_later(claim(store), "the disk is full", 3600.0, 10.0)
    assert store.claim(1e12) is None
    with engine.begin() as connection:  # an hour later
        connection.execute(text("UPDATE preparation SET due_s = due_s - 3601"))
    again = claim(store, 100.0)
    assert (again.attempts, again.reason) == (2, "the disk is full")
    assert store.give_back(again, 101.0) and claim(store, 101.0).attempts == 2


def test_late_images_make_it_anew_and_a_cancelled_one_stays(store: Preparations) -> None:
    wanted = (WantedPreparation("a", 0), WantedPreparation("b", 0), WantedPreparation("c", 0))
    plan(store, "1.1", *wanted)
    assert store.ready(claim(store), "first", 7, 20.0)
    running = claim(store)
    (cancelled,) = store.end([row.place for row in store.list("waiting")], "cancelled", "not wanted", 20.0)
    assert (running.rule, cancelled.rule) == ("b", "c")
    assert store.plan("1.1", "", 1, wanted, 0.0, 30.0) == ()  # told of twice
    assert {row.rule: row.state for row in store.list()} == {"a": "ready", "b": "running", "c": "cancelled"}
    outdated = store.plan("1.1", "", 2, wanted, 0.0, 30.0)
    assert sorted((row.rule, row.folder, bool(row.owner)) for row in outdated) == [
        ("a", "first", False),
        ("b", "", True),
    ]
    assert {row.rule: row.state for row in store.list()} == {"a": "waiting", "b": "waiting", "c": "cancelled"}
    assert store.ready(running, "second", 7, 31.0) is False  # of the series as it was
    gone = store.plan("1.1", "", 3, [], 0.0, 40.0)
    assert {row.rule for row in gone} == {"a", "b"} and store.asked(["1.1", "1.2"]) == {"1.1": 3}
    assert {row.state for row in store.list()} == {"cancelled"}


def test_a_list_has_so_many_of_each_state(store: Preparations) -> None:
    for n in range(6):
        plan(store, f"1.{n}", WantedPreparation("a", 0, urgent=n == 5), at=float(n))
    for n in range(3):
        assert store.ready(claim(store), f"f{n}", 10, 20.0 + n)
    claim(store)
    states: tuple[PreparationState, ...] = ("running", "waiting", "ready")
    assert [(row.state, row.series_uid) for row in store.listed(states, 2)] == [
        ("running", "1.2"), ("waiting", "1.3"), ("waiting", "1.4"), ("ready", "1.1"), ("ready", "1.0"),
    ]  # fmt: skip
    assert store.listed(["taken"], 2) == ()


def test_the_oldest_proposals_go_first(store: Preparations) -> None:
    for n in range(4):
        plan(store, f"1.{n}", WantedPreparation("a", 0), at=float(n))
        assert store.ready(claim(store), f"f{n}", 10, 20.0 + n)
    assert store.over(40) == ()
    assert [row.folder for row in store.over(25)] == ["f1", "f0"]
    (again,) = store.again([store.over(35)[0].place], 30.0)
    assert again.folder == "f0" and store.of_series("1.0")[0].state == "waiting"


def test_times_are_those_of_the_last_day_and_of_what_waits(store: Preparations) -> None:
    day = 86_400.0
    for uid, arrived, took in (("1.1", 0.0, 900.0), ("1.2", 3 * day, 20.0), ("1.3", 3 * day, 40.0)):
        plan(store, uid, WantedPreparation("a", 0), at=arrived)
        assert store.ready(claim(store, arrived), f"folder-{uid}", 10, arrived + took)
    plan(store, "1.4", WantedPreparation("a", 0), at=3 * day + 30.0)
    assert store.times(3 * day + 100.0) == (30.0, 40.0, 70.0)
    assert store.times(9 * day)[:2] == (0.0, 0.0)
