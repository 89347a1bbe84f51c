"""How coarse a picture is while the mouse moves: as fine as 30 a second allow, and steady."""

from hypothesis import given
from hypothesis import strategies as st

from workstation.desktop.drawer import next_coarseness

FRAME_S = 0.022  # leaves a third of 30 a second for painting


@given(st.floats(0.0, 0.02), st.floats(0.0001, 2.0), st.integers(2, 6))
def test_pictures_become_as_fine_as_the_machine_allows_and_stay_so(fixed_s: float, full_s: float, factor: int) -> None:
    def took(factor: int) -> float:
        return fixed_s + full_s / factor**2

    for _ in range(5):
        factor = next_coarseness(factor, took(factor))
    assert next_coarseness(factor, took(factor)) == factor
    assert took(factor) <= FRAME_S or factor == 6
    if factor > 2:  # the next finer one would be too slow, or nearly
        assert fixed_s + took(factor) * (factor / (factor - 1)) ** 2 > 0.85 * FRAME_S


def test_one_slow_picture_is_made_up_for_with_the_next() -> None:
    assert next_coarseness(3, 0.4) == 4
    assert next_coarseness(4, 0.01) == 3
    assert next_coarseness(3, 0.002) == 2 == next_coarseness(2, 0.002)
