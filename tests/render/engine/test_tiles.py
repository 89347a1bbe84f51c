"""Work in tiles: all of it, once, on as many threads as asked for; reported, given up, and its errors not lost."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from render.engine.tiles import Cancelled, bands, run_tiles
from tests.thorough import examples


@given(count=st.integers(0, 40), threads=st.integers(1, 5))
@settings(deadline=None, max_examples=examples(50))
def test_every_tile_runs_once_and_progress_ends_at_one(count: int, threads: int) -> None:
    done: list[int] = []
    said: list[float] = []
    where: set[str] = set()

    def progress(part: float) -> None:
        said.append(part)
        where.add(threading.current_thread().name)

    run_tiles([lambda n=n: done.append(n) for n in range(count)], threads, progress)  # type: ignore[misc]
    assert sorted(done) == list(range(count))
    assert said == sorted(said) and said[-1] == 1.0
    assert where == {threading.current_thread().name}


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_in_a_tile_comes_out_and_stops_the_rest(threads: int) -> None:
    done: list[int] = []

    def broken() -> None:
        raise ZeroDivisionError("tile")

    tiles = [broken, *(lambda n=n: done.append(n) for n in range(1000))]
    with pytest.raises(ZeroDivisionError):
        run_tiles(tiles, threads)
    assert len(done) < 1000


@pytest.mark.parametrize("threads", [1, 3])
def test_cancelled_between_two_tiles(threads: int) -> None:
    cancel, done = threading.Event(), []

    def tile() -> None:
        done.append(1)
        cancel.set()

    with pytest.raises(Cancelled):
        run_tiles([tile] * 100, threads, cancel=cancel)
    assert 1 <= len(done) <= threads


def test_bands_cover_all_rows() -> None:
    assert bands(33, 16) == [(0, 16), (16, 32), (32, 33)] and bands(0) == []
