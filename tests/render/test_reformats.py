"""Cubic sampling against SimpleITK and the formula, rolled views, and batches of planes."""

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813  (its own documentation's name)
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from render import GeometryError, Picture, RecipeError, Reformat, View, Volume, Window, draw, read_recipe
from render.geometry import Plane, letters, unit_vector
from render.recipe import canonical_json
from render.reformat_sets import orthogonal, parallel, radial
from tests.render import peers
from tests.render.phantom import CENTRE_MM, GRIDS, phantom

WINDOW = Window(0.0, 2000.0)
OBLIQUE = View.parse("anterior, 33 towards left, 21 down, rolled 17 clockwise")


def indices(volume: Volume, plane: Plane, rows: int, columns: int) -> NDArray[np.float64]:
    """(3, rows, columns) index coordinates of the pixels of a plane."""
    row, column = np.indices((rows, columns))
    steps = zip(plane.origin_mm, plane.down_mm, plane.right_mm, strict=True)
    at = np.array([origin + row * down + column * right for origin, down, right in steps])
    inverse = np.linalg.inv(volume.affine)
    return np.asarray(np.einsum("rc,cyx->ryx", inverse[:3, :3], at) + inverse[:3, 3][:, None, None])


def smooth(dtype: str = "float32") -> Volume:
    """Waves no shorter than 9 voxels: what a scanner's point spread leaves."""
    k, j, i = np.indices((40, 44, 48))
    values = 400 * np.sin(k / 1.6) + 300 * np.cos(j / 2.1 + i / 3.0) + 200 * np.sin(i / 1.5)
    return Volume(values.astype(dtype), phantom("oblique").affine, "HU")


def drawn(volume: Volume, interpolation: str) -> tuple[Picture, NDArray[np.float64], NDArray[np.bool_]]:
    """(picture, where in the grid its pixels are, whether all of 64 voxels are there)."""
    recipe = Reformat(WINDOW, OBLIQUE, rows=70, columns=75, pixel_mm=0.9, interpolation=interpolation)  # type: ignore[arg-type]
    picture = draw(volume, recipe)
    at = indices(volume, picture.planes[0], 70, 75)
    shape = np.array(volume.shape)[:, None, None]
    inside = np.asarray(((at >= 1.01) & (at <= shape - 2.01)).all(axis=0))
    assert inside.mean() > 0.3
    return picture, at, inside


def keys(volume: Volume, at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' cubic with a = −1/2 from its definition, in float64."""
    first = np.floor(at).astype(int)
    value = np.zeros(at.shape[1:])

    def weight(distance: NDArray[np.float64]) -> NDArray[np.float64]:
        x = np.abs(distance)
        near, far = 1.5 * x**3 - 2.5 * x**2 + 1.0, -0.5 * x**3 + 2.5 * x**2 - 4.0 * x + 2.0
        return np.where(x <= 1.0, near, np.where(x < 2.0, far, 0.0))

    for offset in np.ndindex(4, 4, 4):
        node = first + np.array(offset)[:, None, None] - 1
        k, j, i = (np.clip(node[axis], 0, volume.shape[axis] - 1) for axis in range(3))
        value += volume.voxels[k, j, i] * np.prod(weight(at - node), axis=0)
    return value


def test_cubic_is_the_formula() -> None:
    volume = Volume(np.random.default_rng(1).normal(0, 500, (40, 44, 48)).astype("float32"), smooth().affine, "HU")
    picture, at, inside = drawn(volume, "cubic")
    np.testing.assert_allclose(picture.pixels[0][inside], keys(volume, at)[inside], atol=0.01)


def test_cubic_is_nearer_to_simpleitk_s_spline_than_linear_is() -> None:
    """Waves of 900 in all: half a percent of that in the mean and 2 % at most from the interpolating B-spline, whose
    prefilter sees the whole line, and four times nearer than linear."""
    volume = smooth()
    off = {}
    for interpolation in ("cubic", "linear"):
        picture, _, inside = drawn(volume, interpolation)
        spline = peers.sitk_stack(volume, picture.planes, 70, 75, sitk.sitkBSpline)()[0]
        off[interpolation] = np.abs(picture.pixels[0] - spline)[inside]
    assert off["cubic"].mean() < 4.5 and off["cubic"].max() < 18.0
    assert off["linear"].mean() > 4.0 * off["cubic"].mean()


def test_cubic_goes_through_the_voxels() -> None:
    voxels = np.random.default_rng(2).integers(-900, 900, (12, 14, 16)).astype(np.int16)
    volume = Volume(voxels, np.diag([1.0, 1.0, 1.0, 1.0])[[2, 1, 0, 3]], "HU")
    recipe = Reformat(WINDOW, View.parse("foot"), 12, 1.0, 14, 16, 1.0, interpolation="cubic")
    np.testing.assert_array_equal(draw(volume, recipe).pixels, voxels)


def test_cubic_overshoot_stays_in_int16() -> None:
    voxels = np.full((12, 14, 16), -32768, np.int16)
    voxels[:, :, 8:] = 32767
    volume = Volume(voxels, np.diag([1.0, 1.0, 1.0, 1.0])[[2, 1, 0, 3]], "HU")
    recipe = Reformat(WINDOW, View.parse("foot"), rows=14, columns=60, pixel_mm=0.25, interpolation="cubic")
    line = draw(volume, recipe).pixels[0, 7].astype(int)
    assert (line[:24] < -30000).all() and (line[36:] > 30000).all()


@given(st.floats(0.0, 359.0), st.floats(-89.0, 89.0), st.floats(-179.0, 179.0))
def test_a_rolled_view_turns_the_picture_clockwise(azimuth: float, elevation: float, roll: float) -> None:
    straight, rolled = View(azimuth, elevation), View(azimuth, elevation, roll)
    axes = np.array([rolled.right, rolled.up, rolled.towards_observer])
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-9)
    # What was on top is now turned clockwise: towards the right of the picture.
    on_right, on_top = (np.array(straight.up) @ np.array(axis) for axis in (rolled.right, rolled.up))
    assert np.degrees(np.arctan2(on_right, on_top)) == pytest.approx(roll, abs=1e-4)
    again = View.parse(View(round(azimuth, 1), round(elevation, 1), round(roll, 1)).words)
    assert again.roll_deg == pytest.approx(roll, abs=0.06)
    facing = View.facing(rolled.towards_observer, rolled.up)
    np.testing.assert_allclose((facing.right, facing.up), (rolled.right, rolled.up), atol=1e-6)


def test_roll_in_json_and_words() -> None:
    recipe = Reformat(WINDOW, OBLIQUE)
    assert read_recipe(canonical_json(recipe)) == recipe
    assert "roll_deg" not in canonical_json(Reformat(WINDOW, View(3.0, 4.0)))
    assert OBLIQUE.words == "anterior, 33 towards left, 21 down, rolled 17 clockwise"
    assert View(0.0, 90.0, -5.0).words == "head, rolled 5 anticlockwise"
    assert View(0.0, 0.0, 180.0).roll_deg == -180.0
    with pytest.raises(GeometryError, match="lies along the line of sight"):
        View.facing((0, 0, 1), (0, 0, -2))


@pytest.mark.parametrize("grid", list(GRIDS))
def test_orthogonal_stacks_hold_the_whole_volume(grid: str) -> None:
    volume = phantom(grid)
    stacks = orthogonal(volume, Reformat(WINDOW, thickness_mm=2.0, name="Chest"))
    assert [stack.name for stack in stacks] == ["Chest Axial", "Chest Coronal", "Chest Sagittal"]
    corners = np.array(
        [volume.affine[:3, :3] @ (np.array(c) * (np.array(volume.shape) - 1)) + volume.affine[:3, 3]
         for c in np.ndindex(2, 2, 2)]
    )  # fmt: skip
    for stack, (right, bottom) in zip(stacks, (("L", "P"), ("L", "F"), ("P", "F")), strict=True):
        picture = draw(volume, stack)
        first, last = picture.planes[0], picture.planes[-1]
        assert (letters(first.right_mm), letters(first.down_mm)) == (right, bottom)
        assert stack.thickness_mm == 2.0
        for corner in corners:
            depth = (corner - np.array(first.origin_mm)) @ np.array(first.normal)
            assert -stack.spacing_mm / 2 <= depth  # type: ignore[operator]
            assert depth <= (np.array(last.origin_mm) - np.array(first.origin_mm)) @ np.array(first.normal) + 1.0
            for step, count in ((first.right_mm, stack.columns), (first.down_mm, stack.rows)):
                place = (corner - np.array(first.origin_mm)) @ np.array(step) / (np.array(step) @ np.array(step))
                assert -0.5 <= place <= count - 0.5


def test_a_parallel_stack_along_an_axis_is_the_volume() -> None:
    voxels = np.random.default_rng(2).integers(-900, 900, (12, 14, 16)).astype(np.int16)
    volume = Volume(voxels, np.array([[0, 0, 2.0, 7], [0, 2.0, 0, 9], [2.0, 0, 0, 3], [0, 0, 0, 1]]), "HU")
    stack = parallel(volume, Reformat(WINDOW, View.parse("foot")))
    assert (stack.count, stack.rows, stack.columns) == (12, 14, 16)
    np.testing.assert_array_equal(draw(volume, stack).pixels, voxels)
    with pytest.raises(RecipeError, match="A stack of 24000 planes"):
        parallel(volume, Reformat(WINDOW, View.parse("foot"), spacing_mm=0.001))


axes = st.tuples(*[st.floats(-1.0, 1.0)] * 3).filter(lambda a: sum(v * v for v in a) > 0.1)


@given(axes, st.integers(1, 24), st.floats(0.0, 359.0), st.floats(-80.0, 80.0))
def test_radial_planes_share_the_axis_and_turn_evenly(
    axis: tuple[float, float, float], count: int, azimuth: float, elevation: float
) -> None:
    like = Reformat(WINDOW, View(azimuth, elevation), rows=31, columns=31, centre_mm=CENTRE_MM, name="R")
    direction = np.array(unit_vector(axis))
    if abs(direction @ np.array(like.view.towards_observer)) > 0.99:
        return
    planes = radial(like, axis, count)
    assert len(planes) == count
    normals = np.array([plane.view.towards_observer for plane in planes])
    np.testing.assert_allclose(normals @ direction, 0.0, atol=1e-6)
    for plane in planes:
        assert abs(np.array(plane.view.up) @ direction) == pytest.approx(1.0, abs=1e-6)
        assert (plane.centre_mm, plane.count) == (CENTRE_MM, 1)
    turns = np.einsum("nc,nc->n", normals[1:], normals[:-1])
    np.testing.assert_allclose(turns, np.cos(np.pi / count), atol=1e-6)
    # The first is the one that faces the observer most nearly.
    assert (
        normals[0] @ np.array(like.view.towards_observer) >= max(normals @ np.array(like.view.towards_observer)) - 1e-6
    )


def test_radial_pictures_meet_on_the_axis() -> None:
    volume = phantom("oblique")
    axis = unit_vector((0.3, -0.2, 1.0))
    like = Reformat(WINDOW, rows=41, columns=41, pixel_mm=2.2, centre_mm=CENTRE_MM, name="Valve")
    pictures = [draw(volume, recipe) for recipe in radial(like, axis, 6)]
    for picture in pictures[1:]:
        difference = picture.pixels[0, :, 20].astype(int) - pictures[0].pixels[0, :, 20]
        assert np.abs(difference).max() <= 1
        assert not np.array_equal(picture.pixels[0], pictures[0].pixels[0])
    assert pictures[1].recipe.name == "Valve 2/6"


def test_radial_nonsense_is_named() -> None:
    with pytest.raises(RecipeError, match="0 radial planes; 1 to 720"):
        radial(Reformat(WINDOW), (0, 0, 1), 0)
    with pytest.raises(RecipeError, match="anterior looks along that axis"):
        radial(Reformat(WINDOW), (0, 1, 0), 4)
