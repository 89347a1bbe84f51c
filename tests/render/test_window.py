"""Values through a window: as PS3.3 C.11.2.1.2.1 writes it, and the same bytes by table and by formula."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from render.picture import window_8bit

EVERY = np.arange(-32768, 32768).astype(np.int16)


@given(st.integers(-20000, 20000), st.integers(1, 30000))
def test_a_window_is_the_standards(centre: int, width: int) -> None:
    x = EVERY.astype(np.float64)
    between = ((x - (centre - 0.5)) / max(width - 1, 1e-6) + 0.5) * 255.0
    wanted = np.where(
        x <= centre - 0.5 - (width - 1) / 2, 0.0, np.where(x > centre - 0.5 + (width - 1) / 2, 255.0, between)
    )
    found = window_8bit(EVERY, centre, width).astype(float)
    assert np.abs(found - wanted).max() <= 0.5 + 1e-6


@given(st.floats(-2000, 2000), st.floats(1, 5000))
def test_many_values_are_looked_up_and_few_worked_out(centre: float, width: float) -> None:
    many = np.concatenate([EVERY[::-1], EVERY]).reshape(256, 512)
    found = window_8bit(many[:, ::-1], centre, width)
    assert np.array_equal(found, window_8bit(many[:, ::-1].astype(np.float32), centre, width))
    assert np.array_equal(found[3:5], window_8bit(many[3:5, ::-1], centre, width))
    assert found.dtype == np.uint8
