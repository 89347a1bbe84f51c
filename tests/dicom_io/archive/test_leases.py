"""Claims on work: one holder at a time on either database, and none that outlives its process for long."""

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from dicom_io.archive.database import INDEX_TABLES, make_tables, open_database
from dicom_io.archive.leases import Leases, machine


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    opened = open_database(tmp_path_factory.mktemp("leases") / "w.db")
    with opened.begin() as connection:
        make_tables(connection, INDEX_TABLES)
    yield opened
    opened.dispose()


@pytest.fixture
def leases(database: Engine) -> Leases:
    return Leases(database)


def other(leases: Leases, term_s: float = 30.0) -> Leases:
    """The same database seen from another machine."""
    return Leases(leases.engine, "elsewhere/another start", term_s)


def test_one_holds_it_and_gives_it_back(leases: Leases) -> None:
    with leases.held("a") as mine, other(leases).held("a") as theirs, leases.held("b") as another:
        assert (mine is not None, theirs, another is not None) == (True, None, True)
        assert leases.holder("a").split()[1].isdigit()
    assert leases.holder("a") == ""
    with other(leases).held("a") as theirs:
        assert theirs is not None and leases.holder("a").startswith("elsewhere ")


def test_two_threads_of_a_process_are_two(leases: Leases) -> None:
    found: list[object] = []

    def claim() -> None:
        with leases.held("a") as theirs:
            found.append(theirs)

    with leases.held("a"):
        thread = threading.Thread(target=claim)
        thread.start()
        thread.join()
    assert found == [None]


def expire(leases: Leases) -> None:
    with leases.engine.begin() as connection:
        connection.execute(text("UPDATE lease SET until = until - 3600"))


def test_one_whose_host_died_is_taken_over_when_its_time_is_over(leases: Leases) -> None:
    assert other(leases)._take("a", "elsewhere/another start#1#life#1")
    with leases.held("a") as mine:
        assert mine is None
    expire(leases)
    with leases.held("a") as mine:
        assert mine is not None


def test_one_that_was_taken_over_is_lost(leases: Leases) -> None:
    quick = Leases(leases.engine, machine(), 0.03)
    with quick.held("a") as mine:
        assert mine is not None
        expire(leases)
        assert mine.lost.wait(30)
        with other(leases).held("a") as theirs:
            assert theirs is not None
    assert leases.holder("a") == ""


def test_one_that_cannot_be_renewed_is_lost(leases: Leases, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlalchemy.exc import OperationalError

    def gone(*_: object) -> bool:
        raise OperationalError("", {}, Exception("server closed the connection"))

    with Leases(leases.engine, machine(), 0.03).held("a") as mine:
        monkeypatch.setattr(Leases, "_renew", gone)
        assert mine is not None and mine.lost.wait(30)


HOLDER = """
import sys
from pathlib import Path
from dicom_io.archive.database import open_database
from dicom_io.archive.leases import Leases
with Leases(open_database(Path(sys.argv[1]))).held("a") as lease:
    print(lease is not None, flush=True)
    sys.stdin.readline()
"""


@pytest.mark.slow
def test_a_killed_process_holds_nothing(leases: Leases) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(leases.engine.url.database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"True\n"
        with leases.held("a") as mine:
            assert mine is None
        holder.kill()
        holder.wait()
        with leases.held("a") as mine:
            assert mine is not None


def test_many_at_once_are_one_after_the_other(leases: Leases) -> None:
    inside, most, turns = 0, 0, 0

    def work() -> None:
        nonlocal inside, most, turns
        done = 0
        while done < 5:
            with leases.held("a") as mine:
                if mine is None:
                    continue
                inside += 1
                most, turns, done = max(most, inside), turns + 1, done + 1
                inside -= 1

    hands = [threading.Thread(target=work) for _ in range(4)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    assert (most, turns) == (1, 20)
