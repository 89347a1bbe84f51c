"""Trajectories of known length, angles and distances, on straight and on oblique grids."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from render import Volume, Window, draw
from render.recipe import Reformat, canonical_json, read_recipe
from render.trajectory import AvoidedRegion, HeadAxes, TrajectoryError, measure_trajectory, trajectory_pictures

SIDE = 0.8
AFFINE = np.array([[0.0, 0, SIDE, -32], [0, SIDE, 0, -32], [SIDE, 0, 0, -32], [0, 0, 0, 1]])
VOLUME = Volume(np.zeros((81, 81, 81), dtype=np.int16), AFFINE, "1")


def ball(middle: tuple[float, float, float], radius: float) -> AvoidedRegion:
    grid = np.moveaxis(np.indices(VOLUME.shape), 0, -1) @ AFFINE[:3, :3].T + AFFINE[:3, 3]
    return AvoidedRegion(np.linalg.norm(grid - middle, axis=-1) < radius, AFFINE)


BALLS = [((10.0, 0.0, 0.0), 6.0), ((-4.0, 12.0, 8.0), 5.0), ((0.0, 0.0, -14.0), 4.0)]
REGIONS = {str(n): ball(*one) for n, one in enumerate(BALLS)}
points = st.tuples(*[st.floats(-28.0, 28.0)] * 3)


@settings(deadline=None, max_examples=40)
@given(points, points)
def test_distances_are_right_within_a_voxel(
    entry: tuple[float, float, float], target: tuple[float, float, float]
) -> None:
    length = math.dist(entry, target)
    if length < 1.0:
        return
    found = measure_trajectory(VOLUME, entry, target, REGIONS)
    assert found.length_mm == pytest.approx(length)
    way = (np.array(target) - entry) / length
    for n, (middle, radius) in enumerate(BALLS):
        along = float(np.clip((np.array(middle) - entry) @ way, 0.0, length))
        off = float(np.linalg.norm(np.array(entry) + along * way - middle)) - radius
        one = found.clearances[str(n)]
        assert one.least_mm == pytest.approx(max(off, 0.0), abs=SIDE)
        if off > SIDE:  # outside: the place is that of the nearest approach
            there = np.linalg.norm(np.array(one.position_mm) - middle) - radius
            assert there == pytest.approx(off, abs=SIDE)
            assert one.through_mm == 0.0
            assert np.array(entry) + one.depth_mm * way == pytest.approx(np.array(one.position_mm))


def test_the_way_through_is_as_long_as_the_chord() -> None:
    found = measure_trajectory(VOLUME, (10.0, 0.0, 25.0), (10.0, 0.0, -25.0), REGIONS)
    one = found.clearances["0"]
    assert (one.least_mm, one.through_mm) == pytest.approx((0.0, 12.0), abs=SIDE)
    assert one.depth_mm == pytest.approx(19.0, abs=SIDE)


def test_a_probe_has_a_radius() -> None:
    ends = ((20.0, 0.0, 25.0), (20.0, 0.0, -25.0))
    bare = measure_trajectory(VOLUME, *ends, REGIONS).clearances["0"]
    thick = measure_trajectory(VOLUME, *ends, REGIONS, radius_mm=1.5).clearances["0"]
    assert thick.least_mm == pytest.approx(bare.least_mm - 1.5)
    assert measure_trajectory(VOLUME, *ends, REGIONS, radius_mm=5.0).clearances["0"].least_mm == 0.0


def test_angles_to_the_axes_of_the_head() -> None:
    found = measure_trajectory(VOLUME, (10.0, -10.0, 10.0), (0.0, 0.0, 0.0), {})
    assert found.to_axes_deg == pytest.approx((54.7356,) * 3, abs=1e-3)
    assert (found.coronal_deg, found.sagittal_deg) == pytest.approx((45.0, 45.0))
    # The same way in a head that is turned by 20 degrees about its own left-right axis.
    turn = math.radians(20.0)
    back = (0.0, math.cos(turn), math.sin(turn))
    axes = HeadAxes.by_commissures((0.0, 0.0, 0.0), back, (0.0, -math.sin(turn) * 30, math.cos(turn) * 30))
    assert axes.left == pytest.approx((1.0, 0.0, 0.0))
    assert axes.head == pytest.approx((0.0, -math.sin(turn), math.cos(turn)))
    upright = measure_trajectory(VOLUME, axes.head, (0.0, 0.0, 0.0), {}, axes=axes)
    assert upright.to_axes_deg == pytest.approx((90.0, 90.0, 0.0), abs=1e-4)
    with pytest.raises(TrajectoryError, match="on a line"):
        HeadAxes.by_commissures((0.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 9.0, 0.0))


@pytest.mark.parametrize(
    ("entry", "target", "sentence"),
    [
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.5), "less than 1 mm apart"),
        ((0.0, 0.0, 90.0), (0.0, 0.0, 0.0), "The entry 0,0,90 is outside"),
        ((0.0, 0.0, 0.0), (0.0, -90.0, 0.0), "The target 0,-90,0 is outside"),
    ],
)
def test_a_trajectory_that_cannot_be(
    entry: tuple[float, float, float], target: tuple[float, float, float], sentence: str
) -> None:
    with pytest.raises(TrajectoryError, match=sentence):
        measure_trajectory(VOLUME, entry, target, {})


def test_an_empty_mask_is_said_to_be_empty() -> None:
    nothing = AvoidedRegion(np.zeros((3, 3, 3), dtype=np.bool_), np.eye(4))
    assert measure_trajectory(VOLUME, (0.0, 0.0, 20.0), (0.0, 0.0, 0.0), {"a": nothing}).clearances["a"].empty


@pytest.mark.parametrize("entry", [(12.0, -20.0, 22.0), (0.0, 0.0, 25.0), (0.0, -25.0, 0.0)])
def test_its_pictures_hold_it(entry: tuple[float, float, float]) -> None:
    target = (2.0, 4.0, -8.0) if entry[0] else (0.0, 0.0, 0.0)
    ends = np.array([entry, target])
    grid = np.moveaxis(np.indices(VOLUME.shape), 0, -1) @ AFFINE[:3, :3].T + AFFINE[:3, 3]
    way = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
    along = np.clip((grid - ends[0]) @ way, 0.0, math.dist(entry, target))
    away = np.linalg.norm(grid - ends[0] - along[..., None] * way, axis=-1)
    volume = Volume(np.where(away < 1.5, 1000, 0).astype(np.int16), AFFINE, "1")
    recipes = trajectory_pictures(volume, entry, target, Window(500.0, 1000.0))
    assert all(read_recipe(canonical_json(recipe)) == recipe for recipe in recipes)
    first, second, eye = (draw(volume, recipe) for recipe in recipes)
    for picture in (first, second):
        rows, columns = np.nonzero(picture.pixels[0] > 500)
        assert np.ptp(rows) > 8 * np.ptp(columns)  # upright, and all of it
        assert abs(columns.mean() - 255.5) < 4.0
    for frame in eye.pixels[1:-1]:
        rows, columns = np.nonzero(frame > 500)
        assert (rows.mean(), columns.mean()) == pytest.approx((127.5, 127.5), abs=2.5)
    assert isinstance(recipes[2], Reformat)
    begins, ends_at = (np.array(plane.at(127.5, 127.5)) for plane in (eye.planes[0], eye.planes[-1]))
    assert begins == pytest.approx(np.array(entry), abs=0.1) and ends_at == pytest.approx(np.array(target), abs=0.1)
