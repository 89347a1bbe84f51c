"""Left is left: every marker of the phantom is where it must be, for every grid, side and kind of picture."""

import numpy as np
import pytest
from numpy.typing import NDArray

from render import (
    Box,
    Picture,
    Plane,
    Projection,
    Reformat,
    TransferFunction,
    View,
    Volume,
    VolumeRendering,
    Window,
    draw,
)
from render.geometry import letters, vector
from render.recipe import ControlPoint
from tests.render.phantom import CENTRE_MM, GRIDS, MARKERS, marker_mm, phantom, straight_rod

# Where the observer stands: (what is on the right of the picture, what is on top, what is hidden behind).
SEEN = {
    "anterior": ("L", "H", "P"),
    "posterior": ("R", "H", "A"),
    "left": ("P", "H", "R"),
    "right": ("A", "H", "L"),
    "head": ("L", "P", "F"),
    "foot": ("L", "A", "H"),
}
OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "H": "F", "F": "H"}
WINDOW = Window(500.0, 3000.0)
SIZE = 120
COLOURED = TransferFunction(
    "markers",
    "HU",
    (
        ControlPoint(190.0, 0.25, 0.0, 0.0, 0.0),
        ControlPoint(200.0, 0.3, 0.0, 0.0, 1.0),
        ControlPoint(2000.0, 1, 0, 0, 1),
    ),
    shading=None,
)


@pytest.fixture(scope="module", params=list(GRIDS))
def volume(request: pytest.FixtureRequest) -> Volume:
    return phantom(request.param)


def place(plane: Plane, at: tuple[float, float, float]) -> tuple[float, float]:
    """(row, column) of an LPS point in parallel projection onto the plane."""
    offset = np.array(at) - np.array(plane.origin_mm)
    right, down = np.array(plane.right_mm), np.array(plane.down_mm)
    return float(offset @ down / (down @ down)), float(offset @ right / (right @ right))


def centre_of_mass(values: NDArray[np.float64], row: float, column: float, radius_px: float) -> tuple[float, float]:
    rows, columns = np.indices(values.shape)
    weights = np.where(np.hypot(rows - row, columns - column) <= radius_px, np.clip(values - 300.0, 0.0, None), 0.0)
    return float((rows * weights).sum() / weights.sum()), float((columns * weights).sum() / weights.sum())


def check_places(plane: Plane, values: NDArray[np.float64], side: str) -> None:
    """The four markers beside the middle are on the side they must be, and the plane leads back to them."""
    on_right, on_top, _ = SEEN[side]
    assert letters(plane.right_mm) == on_right
    assert letters([-v for v in plane.down_mm]) == on_top
    middle = (SIZE - 1) / 2.0
    for marker, row_sign, column_sign in (
        (on_right, 0, 1),
        (OPPOSITE[on_right], 0, -1),
        (on_top, -1, 0),
        (OPPOSITE[on_top], 1, 0),
    ):
        expected = place(plane, marker_mm(marker))
        found = centre_of_mass(values, *expected, radius_px=12.0)
        assert found == pytest.approx(expected, abs=1.0)
        assert (np.sign(np.round((found[0] - middle) / 10)), np.sign(np.round((found[1] - middle) / 10))) == (
            row_sign,
            column_sign,
        )
        back = np.array(plane.at(*found))
        depth = np.array(marker_mm(marker)) - back
        across = depth - (depth @ np.array(plane.normal)) * np.array(plane.normal)
        assert np.linalg.norm(across) <= plane.pixel_spacing_mm[0]


@pytest.mark.parametrize("side", SEEN)
def test_projection(volume: Volume, side: str) -> None:
    picture = draw(volume, Projection("mip", WINDOW, View.parse(side), rows=SIZE, columns=SIZE, field_of_view_mm=120.0))
    values = picture.pixels[0].astype(np.float64)
    check_places(picture.planes[0], values, side)
    for marker in MARKERS:
        row, column = place(picture.planes[0], marker_mm(marker))
        brightest = max(
            MARKERS[other][2]
            for other in MARKERS
            if place(picture.planes[0], marker_mm(other)) == pytest.approx((row, column), abs=1)
        )
        assert values[round(row), round(column)] == pytest.approx(brightest, abs=40)


@pytest.mark.parametrize("side", SEEN)
def test_volume_rendering(volume: Volume, side: str) -> None:
    recipe = VolumeRendering(COLOURED, View.parse(side), rows=SIZE, columns=SIZE, field_of_view_mm=120.0)
    picture = draw(volume, recipe)
    red = picture.pixels[0, :, :, 0].astype(np.float64)
    check_places(picture.planes[0], np.where(red > 0, 1000.0, -1000.0), side)
    # One of the two markers in the line of sight covers the other: the wider one is what can be measured.
    near = OPPOSITE[SEEN[side][2]]
    widest = max(MARKERS[near][1], MARKERS[OPPOSITE[near]][1])
    assert shown_radius(picture, near) == pytest.approx(widest, abs=0.7)


def shown_radius(picture: Picture, marker: str) -> float:
    """Radius in mm (pixels of 1 mm) of the coloured disc about a marker."""
    row, column = (round(v) for v in place(picture.planes[0], marker_mm(marker)))
    seen = picture.pixels[0][row - 12 : row + 13, column - 12 : column + 13, 0] > 0
    return float(np.sqrt(seen.sum() / np.pi))


def half_towards(view: View) -> Box:
    towards = np.array(view.towards_observer)
    lower, upper = np.array(CENTRE_MM) - 200.0, np.array(CENTRE_MM) + 200.0
    axis = int(np.argmax(np.abs(towards)))
    (lower if towards[axis] > 0 else upper)[axis] = CENTRE_MM[axis]
    return Box(vector(lower), vector(upper))


@pytest.mark.parametrize("side", SEEN)
def test_a_crop_keeps_the_half_it_says(volume: Volume, side: str) -> None:
    """The observer's half alone shows the near marker in its own size, whatever lay behind it."""
    view = View.parse(side)
    recipe = VolumeRendering(
        COLOURED, view, rows=SIZE, columns=SIZE, field_of_view_mm=120.0, centre_mm=CENTRE_MM, crop=half_towards(view)
    )
    picture = draw(volume, recipe)
    near = OPPOSITE[SEEN[side][2]]
    assert shown_radius(picture, near) == pytest.approx(MARKERS[near][1], abs=0.7)


@pytest.mark.parametrize("side", SEEN)
def test_reformat(volume: Volume, side: str) -> None:
    depth = max(abs(v) for v in MARKERS[OPPOSITE[SEEN[side][2]]][0])
    recipe = Reformat(
        WINDOW, View.parse(side), count=3, spacing_mm=depth, rows=SIZE, columns=SIZE, pixel_mm=1.0, centre_mm=CENTRE_MM
    )
    picture = draw(volume, recipe)
    check_places(picture.planes[1], picture.pixels[1].astype(np.float64), side)
    # The first plane is the one nearest to the observer.
    hidden = SEEN[side][2]
    for frame, marker in ((0, OPPOSITE[hidden]), (2, hidden)):
        row, column = place(picture.planes[frame], marker_mm(marker))
        assert picture.pixels[frame][round(row), round(column)] == pytest.approx(MARKERS[marker][2], abs=40)
        found = np.array(picture.planes[frame].at(row, column))
        assert np.linalg.norm(found - np.array(marker_mm(marker))) < 1.0


@pytest.mark.parametrize("name", ["axial", "gantry tilt 18.5°", "oblique"])
@pytest.mark.parametrize("side", ["anterior", "left"])
def test_a_straight_rod_stays_straight(name: str, side: str) -> None:
    rod, low, high = straight_rod(name)
    recipe = Projection("mip", WINDOW, View.parse(side), rows=SIZE, columns=SIZE, field_of_view_mm=120.0)
    picture = draw(rod, recipe)
    plane, values = picture.planes[0], picture.pixels[0].astype(np.float64)
    (low_row, low_column), (high_row, high_column) = place(plane, low), place(plane, high)
    assert low_column == pytest.approx(high_column)
    for row in range(round(high_row), round(low_row)):
        weights = np.clip(values[row] + 200.0, 0.0, None)
        assert (np.arange(SIZE) * weights).sum() / weights.sum() == pytest.approx(low_column, abs=0.6)
