"""Curved reformats: a path is laid flat where it is, to scale, and with the right side on the right."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree

from render import CurvedReformat, GeometryError, RecipeError, Reformat, View, Volume, Window, coarser, draw
from render.curved import length_mm, pixel_mm, places, rows
from render.geometry import Vector, affine_from, vector
from tests.render.phantom import CENTRE_MM, GRIDS, phantom

WINDOW = Window(500.0, 3000.0)
X, Y, Z = CENTRE_MM


def helix(t: float, radius: float = 25.0, rise: float = 12.0) -> Vector:
    return (X + radius * math.cos(t), Y + radius * math.sin(t), Z + rise * (t - math.pi))


HELIX = tuple(helix(t) for t in np.linspace(0.0, 2.0 * math.pi, 25))


@pytest.fixture(scope="module")
def tube() -> Volume:
    """A tube of 4 mm about the helix."""
    shape, affine = (81, 71, 71), affine_from((X - 35.0, Y - 35.0, Z - 40.0), (0, 0, 1), (0, 1, 0), (1, 0, 0))
    at = np.moveaxis(np.indices(shape)[::-1], 0, -1) + affine[:3, 3]
    line = np.array([helix(t) for t in np.linspace(-0.2, 2.0 * math.pi + 0.2, 700)])
    nearest, _ = cKDTree(line).query(at)
    return Volume(np.rint(1000.0 * np.clip(4.5 - nearest, 0, 1)).astype(np.int16), affine, "HU")


@pytest.mark.parametrize("form", ["straightened", "stretched"])
@pytest.mark.parametrize("name", GRIDS)
def test_a_straight_path_is_an_ordinary_plane(name: str, form: str) -> None:
    volume = phantom(name)
    path = ((X, Y, Z + 50.0), (X, Y, Z + 10.0), (X, Y, Z - 50.0))
    view = View.parse("anterior")
    curved = CurvedReformat(WINDOW, path, form, view, rows=101, columns=81, pixel_mm=1.0)  # type: ignore[arg-type]
    plane = Reformat(WINDOW, view, rows=101, columns=81, pixel_mm=1.0, centre_mm=CENTRE_MM)
    found, expected = draw(volume, curved), draw(volume, plane)
    assert np.abs(found.pixels.astype(int) - expected.pixels.astype(int)).max() <= 1
    found = draw(volume, replace(curved, thickness_mm=8.0, mode="mip"))
    expected = draw(volume, replace(plane, thickness_mm=8.0, mode="mip"))
    assert np.abs(found.pixels.astype(int) - expected.pixels.astype(int)).max() <= 1


def test_a_winding_tube_is_straight_and_as_long_as_it_is(tube: Volume) -> None:
    recipe = CurvedReformat(Window(500, 1000), HELIX, rows=200, columns=41, count=4)
    expected = 2.0 * math.pi * math.hypot(25.0, 12.0)
    assert length_mm(HELIX) == pytest.approx(expected, rel=1e-3)
    assert pixel_mm(recipe) * 199 == pytest.approx(expected, rel=1e-3)
    for frame in draw(tube, recipe).pixels:
        assert (frame[:, 18:23] > 800).all()
        assert (frame[:, :8] < 200).all()
        assert (frame[:, -8:] < 200).all()


def test_values_are_those_of_another_sampler(tube: Volume) -> None:
    recipe = CurvedReformat(Window(500, 1000), HELIX, rows=150, columns=60, angle_deg=33.0)
    line = rows(recipe)[0]
    at = line.starts[:, None] + line.right[:, None] * np.arange(60)[None, :, None]
    index = np.einsum("ab,rcb->arc", tube.to_index[:3, :3], at) + tube.to_index[:3, 3, None, None]
    inside = (index >= 0).all(axis=0) & (index <= np.array(tube.shape)[:, None, None] - 1).all(axis=0)
    expected = map_coordinates(tube.voxels.astype(np.float64), index, order=1)
    assert np.abs(draw(tube, recipe).pixels[0] - expected)[inside].max() <= 1.0


def test_stretched_keeps_the_bend_to_the_side(tube: Volume) -> None:
    """Seen from the front the helix swings from left to right; the rows keep where."""
    recipe = CurvedReformat(Window(500, 1000), HELIX, "stretched", rows=160, columns=80, pixel_mm=1.0)
    line, frame = rows(recipe)[0], draw(tube, recipe).pixels[0]
    path, _ = places(HELIX, np.linspace(0.0, length_mm(HELIX), 400))
    for row in range(0, 150, 10):
        if np.isnan(line.starts[row, 0]):
            break
        bright = np.flatnonzero(frame[row] > 500)
        seen = [line.starts[row] + line.right[row] * column for column in bright]
        assert min(np.linalg.norm(path - np.mean(seen, axis=0), axis=1)) < 2.5


def test_rows_below_the_end_of_the_path_are_black(tube: Volume) -> None:
    recipe = CurvedReformat(Window(500, 1000), HELIX[:8], rows=200, columns=20, pixel_mm=1.0)
    ended = math.ceil(length_mm(HELIX[:8])) + 1
    assert (draw(tube, recipe).pixels[0, ended:] == 0).all()


@given(st.floats(-180, 180, allow_subnormal=False))
def test_half_a_turn_is_the_mirror_picture(angle: float) -> None:
    recipe = CurvedReformat(WINDOW, HELIX, rows=40, columns=31, angle_deg=round(angle, 3))
    one, other = rows(recipe)[0], rows(replace(recipe, angle_deg=recipe.angle_deg + 180.0))[0]
    assert np.allclose(one.starts, other.starts + 30 * other.right, atol=1e-6)
    assert np.allclose(one.right, -other.right, atol=1e-6)


def test_a_coarse_picture_shows_the_same_part(tube: Volume) -> None:
    recipe = CurvedReformat(Window(500, 1000), HELIX, rows=200, columns=100)
    coarse = coarser(tube, recipe, 4)
    assert isinstance(coarse, CurvedReformat)
    assert coarse.rows * pixel_mm(coarse) == pytest.approx(recipe.rows * pixel_mm(recipe))


def test_what_cannot_be_drawn_says_so(tube: Volume) -> None:
    with pytest.raises(RecipeError, match="2 to 1000"):
        CurvedReformat(WINDOW, (CENTRE_MM,))
    with pytest.raises(RecipeError, match="are the same"):
        CurvedReformat(WINDOW, (CENTRE_MM, CENTRE_MM))
    across = (CENTRE_MM, vector((X + 40.0, Y, Z)))
    with pytest.raises(GeometryError, match="runs along the rows"):
        draw(tube, CurvedReformat(WINDOW, across, "stretched"))
    towards = (CENTRE_MM, vector((X, Y - 40.0, Z)))
    with pytest.raises(GeometryError, match="line of sight"):
        draw(tube, CurvedReformat(WINDOW, towards))
