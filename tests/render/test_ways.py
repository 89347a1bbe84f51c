"""Cheapest ways are those that scikit-image finds, and the window's thread runs while they are sought."""

import numpy as np
import pytest
import skimage
from hypothesis import given, settings
from hypothesis import strategies as st

from render.ways import Ways
from tests.render.beside import turns_beside


@settings(deadline=None)
@given(st.integers(0, 2**31), st.tuples(*[st.integers(1, 9)] * 3), st.floats(0.0, 0.6))
def test_ways_and_their_costs_are_those_of_scikit_image(seed: int, shape: tuple[int, int, int], closed: float) -> None:
    rng = np.random.default_rng(seed)
    cost = rng.uniform(0.1, 4.0, shape)
    cost[rng.random(shape) < closed] = -1.0
    spacing = tuple(float(s) for s in rng.uniform(0.3, 3.0, 3))
    start, end = (tuple(int(n) for n in rng.integers(0, shape)) for _ in range(2))
    cost[start] = cost[end] = 1.0
    theirs = skimage.graph.MCP_Geometric(cost, sampling=spacing)
    known, _ = theirs.find_costs([start])
    ours = Ways(cost, spacing)
    np.testing.assert_array_equal(ours.costs_from(start), np.where(cost < 0.0, np.inf, known))
    if np.isfinite(known[end]):
        assert ours.between(start, end) == [tuple(int(n) for n in spot) for spot in theirs.traceback(end)]
    else:
        with pytest.raises(ValueError, match="No way leads"):
            ours.between(start, end)


def test_where_all_ways_cost_the_same_it_is_the_same_one_each_time() -> None:
    ways = Ways(np.ones((7, 7, 7)), (1.0, 1.0, 1.0))
    first = ways.between((0, 0, 0), (6, 6, 3))
    assert (
        first
        == ways.between((0, 0, 0), (6, 6, 3))
        == Ways(np.ones((7, 7, 7)), (1.0,) * 3).between((0, 0, 0), (6, 6, 3))
    )
    assert first[0] == (0, 0, 0) and first[-1] == (6, 6, 3) and len(first) == 7


@pytest.mark.slow
def test_other_threads_run_meanwhile() -> None:
    """scikit-image keeps the interpreter for as long as it seeks, and a window with it."""
    cost = np.random.default_rng(3).uniform(0.1, 4.0, (90, 90, 90))
    ways = Ways(cost, (1.0, 1.0, 1.0))
    ways.costs_from((0, 0, 0))  # compiled
    assert turns_beside(lambda: ways.costs_from((0, 0, 0))) > 5
