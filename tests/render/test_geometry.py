"""Directions, planes and affines hold for any patient, view and grid (property tests)."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from render import Box, GeometryError, Plane, View, Volume
from render.geometry import cross, inverse, letters, point, unit_vector
from render.volume import Voxels

angles = st.integers(0, 3599).map(lambda tenth: tenth / 10.0)
elevations = st.integers(-900, 900).map(lambda tenth: tenth / 10.0)
views = st.builds(View, angles, elevations)
tiny = st.floats(-0.001, 0.001)
steps = st.floats(0.2, 5.0)
shears = st.floats(-0.6, 0.6)
places = st.floats(-500.0, 500.0)


@given(st.builds(View, st.floats(0.0, 360.0) | tiny, st.floats(-90.0, 90.0) | tiny, st.floats(-180.0, 180.0) | tiny))
@example(View(0.0, 0.00005, -0.00002))
@example(View(1e-12, -1e-7, 1e-30))
@example(View(89.99999999, 90.0, 179.9999999))
def test_words_lead_back_to_the_view(view: View) -> None:
    again = View.parse(view.words)
    assert again.elevation_deg == pytest.approx(view.elevation_deg, abs=0.001)
    for came, was in ((again.azimuth_deg, view.azimuth_deg), (again.roll_deg, view.roll_deg)):
        assert (came - was + 180.0) % 360.0 - 180.0 == pytest.approx(0.0, abs=0.001)


@pytest.mark.parametrize(
    ("view", "words"),
    [
        (View(0.0, 0.00005), "anterior, 0.00005 up"),
        (View(0.000001, 0.0, -0.0000123), "anterior, 0.000001 towards left, rolled 0.000012 anticlockwise"),
        (View(90.0, 1e-7, 1e-7), "left"),
        (View(20.5, -33.123456), "anterior, 20.5 towards left, 33.1235 down"),
    ],
)
def test_angles_are_said_without_exponents(view: View, words: str) -> None:
    assert view.words == words


@given(views)
def test_right_up_and_towards_are_orthonormal(view: View) -> None:
    axes = np.array([view.right, view.up, view.towards_observer])
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-10)
    # Right × up points to the observer: a picture is never a mirror image.
    np.testing.assert_allclose(cross(view.right, view.up), view.towards_observer, atol=1e-10)


@given(steps, steps, steps, shears, shears, angles, places, places, st.sampled_from([1.0, -1.0]))
def test_index_to_patient_and_back(
    k: float, j: float, i: float, tilt: float, skew: float, turn: float, x: float, y: float, sign: float
) -> None:
    c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    affine = np.array(
        [[0.1 * k, -s * j, sign * c * i, x], [tilt * k, c * j, sign * s * i, y], [k, skew * j, 0, 3], [0, 0, 0, 1]]
    )
    if abs(np.linalg.det(affine)) < 1e-3:
        return
    np.testing.assert_allclose(inverse(affine), np.linalg.inv(affine), rtol=1e-7, atol=1e-9)
    at = (3.25, 17.5, 40.0)
    assert point(inverse(affine), point(affine, at)) == pytest.approx(at, abs=1e-6)
    volume = Volume(np.zeros((3, 4, 5), np.int16), affine, "1")
    assert point(volume.to_index, volume.centre_mm) == pytest.approx((1.0, 1.5, 2.0), abs=1e-6)


@given(st.tuples(places, places, places), views, st.floats(0.1, 3.0), st.integers(0, 500), st.integers(0, 500))
def test_a_plane_knows_its_spacing_and_normal(
    origin: tuple[float, float, float], view: View, pixel: float, row: int, column: int
) -> None:
    plane = Plane(origin, unit_vector(np.array(view.right) * 1.0), unit_vector(-np.array(view.up)))
    assert plane.pixel_spacing_mm == pytest.approx((1.0, 1.0))
    np.testing.assert_allclose(plane.normal, -np.array(view.towards_observer), atol=1e-9)
    offset = np.array(plane.at(row, column)) - np.array(origin)
    assert offset @ np.array(plane.right_mm) == pytest.approx(column, abs=1e-6)
    assert offset @ np.array(plane.down_mm) == pytest.approx(row, abs=1e-6)


def test_letters() -> None:
    assert letters((1, 0, 0)) == "L"
    assert letters((0, -1, 0)) == "A"
    assert letters((0.5, 0.3, -0.8)) == "FLP"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("front", "View 'front' is not understood; write e.g. 'anterior, 20 towards left, 10 up'"),
        ("anterior, 20 towards posterior", "cannot turn from anterior to posterior"),
        ("head, 20 towards left", "from the head or the foot there is no turn"),
        ("head, 20 up", "Elevation 110.0° is outside −90…90°"),
    ],
)
def test_views_that_are_not_understood(words: str, sentence: str) -> None:
    with pytest.raises(GeometryError, match=sentence):
        View.parse(words)


@pytest.mark.parametrize(
    ("voxels", "affine", "sentence"),
    [
        (np.zeros((2, 2), np.int16), np.eye(4), "int16 with 2 axes"),
        (np.zeros((2, 2, 2), np.float64), np.eye(4), "float64 with 3 axes"),
        (np.zeros((1, 2, 2), np.int16), np.eye(4), "is flat; at least 2"),
        (np.zeros((2, 2, 2), np.int16), np.zeros((4, 4)), "cannot be inverted"),
    ],
)
def test_volumes_that_no_scanner_means(
    voxels: Voxels, affine: "np.ndarray[tuple[int, int], np.dtype[np.float64]]", sentence: str
) -> None:
    with pytest.raises(GeometryError, match=sentence):
        Volume(voxels, affine, "HU")


def test_empty_box_and_directions_without_length() -> None:
    with pytest.raises(GeometryError, match="is empty"):
        Box((0, 0, 0), (1, 0, 1))
    with pytest.raises(GeometryError, match="has no length"):
        unit_vector((0, 0, 0))


def test_a_tiny_turn_the_other_way_is_no_whole_turn() -> None:
    assert View(-1e-200).azimuth_deg == 0.0 and View(-1e-200) == View()
