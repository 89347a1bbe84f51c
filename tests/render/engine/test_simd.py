"""The vectors of the kernels do lane by lane what numpy does, on any numbers."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import types
from numpy.typing import NDArray

from render.engine.cpu.bricks import padded
from render.engine.cpu.jit import kernel
from render.engine.cpu.simd import (
    LANES,
    across_rows,
    along_rows,
    bits,
    cells,
    double,
    four_rows,
    gather,
    greatest,
    lanes,
    least,
    load,
    lowest,
    real,
    root,
    scratch,
    select,
    size,
    store,
    totals,
    whole,
)
from tests.thorough import examples

Reals = NDArray[np.float32]
_numbers = st.lists(st.floats(-1e6, 1e6, width=32), min_size=LANES, max_size=LANES)
_odd = st.lists(st.floats(width=32), min_size=LANES, max_size=LANES)
_pad = scratch(types.float32, 2, LANES)
_rows, _lines = along_rows((1.0, 2.0, 3.0, 4.0)), across_rows((1.0, 2.0, 3.0, 4.0))


@kernel
def arithmetic(a: Any, b: Any, out: Any) -> None:
    x, y = load(a, 0), load(b, 0)
    store(out, 0, x + y)
    store(out, LANES, x - y * 0.5)
    store(out, 2 * LANES, x / y)
    store(out, 3 * LANES, root(size(x)))
    store(out, 4 * LANES, real(whole(x)))
    store(out, 5 * LANES, real((lanes() << 3) | 1))
    store(out, 6 * LANES, real(double(x) * double(y)))
    store(out, 7 * LANES, real((whole(x) >> 2) & 7))


@given(a=_numbers, b=_numbers)
@settings(deadline=None)
def test_arithmetic(a: list[float], b: list[float]) -> None:
    x, y = np.array(a, np.float32), np.array(b, np.float32)
    out = np.zeros((8, LANES), np.float32)
    arithmetic(x, y, out)
    with np.errstate(all="ignore"):
        expected = [
            x + y,
            x - y * np.float32(0.5),
            x / y,
            np.sqrt(np.abs(x)),
            np.trunc(x),
            (np.arange(LANES) << 3) | 1,
            (x.astype(np.float64) * y).astype(np.float32),
            (x.astype(np.int32) >> 2) & 7,
        ]
    np.testing.assert_array_equal(out, np.array(expected, dtype=np.float32))


@kernel
def choices(a: Any, b: Any, out: Any) -> int:
    x, y = load(a, 0), load(b, 0)
    store(out, 0, least(x, y))
    store(out, LANES, greatest(x, y))
    store(out, 2 * LANES, select((x < y) & ~(x == 0.0) | (y > 5.0), x, -1.0))
    return bits(x >= y)  # type: ignore[no-any-return]


@given(a=_odd, b=_odd)
@settings(deadline=None)
def test_choices_with_nan_and_infinity(a: list[float], b: list[float]) -> None:
    x, y = np.array(a, np.float32), np.array(b, np.float32)
    out = np.zeros((3, LANES), np.float32)
    mask = choices(x, y, out)
    expected = [np.where(x < y, x, y), np.where(x > y, x, y), np.where((x < y) & (x != 0) | (y > 5), x, -1)]
    np.testing.assert_array_equal(out, np.array(expected, dtype=np.float32))
    assert mask == sum(1 << n for n in range(LANES) if x[n] >= y[n])


@kernel
def sums(a: Any, out: Any) -> int:
    pad = _pad()
    store(pad, LANES, load(a, 0))
    x, y, z = totals(load(pad, 0), load(pad, LANES), load(a, 0) * 2.0)
    out[0], out[1], out[2] = x, y, z
    store(out, 3, _rows())
    store(out, 3 + LANES, _lines())
    return lowest(40)  # type: ignore[no-any-return]


@given(a=st.lists(st.integers(-1000, 1000), min_size=LANES, max_size=LANES))
@settings(deadline=None)
def test_sums_scratch_and_patterns(a: list[int]) -> None:
    out = np.zeros(3 + 2 * LANES, np.float32)
    assert sums(np.array(a, np.float32), out) == 3
    assert out[:3].tolist() == [0.0, float(sum(a)), 2.0 * sum(a)]
    assert out[3 : 3 + LANES].tolist() == [1, 2, 3, 4] * 4
    assert out[3 + LANES :].tolist() == [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4


@kernel
def look(voxels: Any, table: Any, marks: Any, at: Any, open_: Any, out: Any, found: Any) -> None:
    index, here = load(at, 0), load(open_, 0) > 0
    row = voxels.shape[2]
    for n, v in enumerate(cells(voxels, index, row, row * voxels.shape[1], here)):
        store(out, n * LANES, v)
    store(out, 8 * LANES, gather(table, index, here))
    store(out, 9 * LANES, four_rows(voxels, 0, row, 2, 3))
    store(found, 0, gather(marks, index, here))


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@given(data=st.data())
@settings(deadline=None, max_examples=examples(50))
def test_loads(dtype: type, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    voxels: NDArray[Any] = rng.integers(-32768, 32767, (4, 5, 6)).astype(dtype)
    flat, table, marks = voxels.ravel(), rng.normal(size=90).astype(np.float32), padded((90,))
    marks[:] = rng.integers(0, 256, 90)
    # Cells whose eight voxels all exist, up to the last one of the grid.
    corners = [(k * 5 + j) * 6 + i for k in range(3) for j in range(4) for i in range(5)]
    at = np.array(data.draw(st.lists(st.sampled_from(corners), min_size=LANES, max_size=LANES)), np.int32)
    at[0] = corners[-1]
    here = np.array(data.draw(st.lists(st.integers(0, 1), min_size=LANES, max_size=LANES)), np.int32)
    out, found = np.zeros((10, LANES), np.float32), np.zeros(LANES, np.int32)
    look(voxels, table, marks, np.minimum(at, 89), here, out, found)
    at = np.minimum(at, 89)
    asked = np.where(here > 0, at, 0)
    for n, offset in enumerate((0, 1, 6, 7, 30, 31, 36, 37)):
        np.testing.assert_array_equal(out[n], flat[asked + offset].astype(np.float32))
    np.testing.assert_array_equal(out[8], np.where(here > 0, table[at], 0))
    np.testing.assert_array_equal(found, np.where(here > 0, marks[at], 0))
    expected = np.concatenate([flat[n : n + 4] for n in (0, 6, 2, 3)]).astype(np.float32)
    np.testing.assert_array_equal(out[9], expected)
