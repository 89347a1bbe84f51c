"""A lesion that grew and moved between two studies, of known size and place."""

import math

import numpy as np
import pytest
from scipy import ndimage

from render.follow_up import compare_lesion
from render.geometry import Affine, Vector, affine_from
from render.registration import Registration
from render.volume import Volume
from tests.render.heads import matrix_of, move_of

_STEP_MM = 1.5
AFFINE = affine_from((-54.0, -54.0, -54.0), (0, 0, _STEP_MM), (0, _STEP_MM, 0), (_STEP_MM, 0, 0))
# The prior patient lies otherwise, and breathes: the lesion is 6 mm from where the move takes it.
MOVE = move_of((4.0, -6.0, 9.0), (10.0, -5.0, 7.0))
BREATH: Vector = (3.0, -2.0, 5.0)


def lung(radius_mm: float, move: Affine | None = None, shift: Vector = (0, 0, 0)) -> Volume:
    """(73, 73, 73) int16: a ball of 40 HU and vessels in −850 HU. move : of this volume onto the one without."""
    back = np.eye(4) if move is None else move
    index = np.indices((73, 73, 73)).reshape(3, -1).astype(np.float64)
    places = AFFINE[:3, :3] @ index + AFFINE[:3, 3:]
    places = back[:3, :3] @ places + back[:3, 3:] - np.array(shift)[:, None]
    x, y, z = places.reshape(3, 73, 73, 73)
    away = np.sqrt(x * x + y * y + z * z)
    values = np.clip((radius_mm - away) / _STEP_MM + 0.5, 0.0, 1.0)
    for a, b, at in ((x, y, 22.0), (y, z, -24.0), (x, z, 27.0)):
        values = np.maximum(values, np.clip((3.0 - np.hypot(a - at, b - at / 2.0)) / _STEP_MM + 0.5, 0.0, 1.0))
    noise = ndimage.gaussian_filter(np.random.default_rng(3).normal(size=values.shape), 0.7) * 40.0
    return Volume((-850.0 + 890.0 * values + noise).astype(np.int16), AFFINE, "HU")


def registered(move: Affine, declined: str = "") -> Registration:
    return Registration(matrix_of(move), "rigid", 1.0, 1.0, 1.0, declined)


def test_a_lesion_that_grew_is_found_where_it_was_and_its_growth_is_told() -> None:
    now, prior = lung(10.0), lung(8.0, MOVE, BREATH)
    found = compare_lesion(now, (1.0, -2.0, 1.0), prior, 90, registered(MOVE))
    assert not found.declined
    truth = np.linalg.inv(MOVE) @ [*(b + c for b, c in zip(BREATH, (1.0, -2.0, 1.0), strict=True)), 1.0]
    assert math.dist(found.at_mm, truth[:3]) < 2.0
    assert found.change_percent == pytest.approx(100.0 * ((10 / 8) ** 3 - 1.0), abs=8.0)
    assert found.recist_change_percent == pytest.approx(25.0, abs=4.0)
    assert found.doubling_days == pytest.approx(90.0 * math.log(2.0) / math.log((10 / 8) ** 3), rel=0.06)


@pytest.mark.slow
def test_one_that_shrank_doubles_never() -> None:
    found = compare_lesion(lung(8.0), (0, 0, 0), lung(10.0), 90, prior_at_mm=(0, 0, 0))
    assert found.change_percent == pytest.approx(100.0 * ((8 / 10) ** 3 - 1.0), abs=5.0)
    assert found.doubling_days is None


@pytest.mark.slow
def test_without_dates_there_is_a_change_and_no_doubling_time() -> None:
    found = compare_lesion(lung(10.0), (0, 0, 0), lung(8.0), 0, prior_at_mm=(0, 0, 0))
    assert found.change_percent > 50.0 and found.doubling_days is None


def test_what_was_not_there_before_is_declined_and_not_made_up() -> None:
    found = compare_lesion(lung(10.0), (0, 0, 0), lung(-2.0), 90, registered(np.eye(4)))
    assert found.declined.startswith("In the prior study, at (")


def test_a_prior_that_could_not_be_registered_needs_a_place() -> None:
    with pytest.raises(ValueError, match=r"no better than chance. Give its place there"):
        compare_lesion(lung(10.0), (0, 0, 0), lung(8.0), 90, registered(np.eye(4), "no better than chance"))
