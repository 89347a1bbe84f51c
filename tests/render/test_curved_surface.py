"""Where a curved picture's pixels are in the patient: against paths whose lengths are known, and values that say it."""

import math

import numpy as np
import pytest

from render import Volume, Window, draw
from render.curved_surface import CurvedSurface, surfaces
from render.geometry import Vector, View
from render.measure import polyline_mm
from render.recipe import CurvedReformat

WINDOW = Window(0.0, 4000.0)
RADIUS_MM = 30.0


def arc(degrees: float = 90.0) -> tuple[Vector, ...]:
    """A path around the patient's left-right axis through (7, -4, 11): it begins in front of it and goes down."""
    turns = np.radians(np.linspace(0.0, degrees, 31))
    return tuple((7.0, -4.0 - RADIUS_MM * math.cos(t), 11.0 - RADIUS_MM * math.sin(t)) for t in turns)


def bent(form: str = "straightened", **values: object) -> CurvedReformat:
    return CurvedReformat(WINDOW, arc(), form, rows=200, columns=121, pixel_mm=0.25, **values)  # type: ignore[arg-type]


def one(recipe: CurvedReformat) -> CurvedSurface:
    return surfaces(recipe)[0]


def length(surface: CurvedSurface, a: tuple[float, float], b: tuple[float, float]) -> float:
    way = surface.way(a, b)
    assert way is not None
    return polyline_mm(way)


def test_along_the_axis_it_is_the_way_and_across_it_the_straight_line() -> None:
    surface, middle = one(bent()), 60.0
    # 40 mm down the picture are 40 mm of the arc, and not its chord.
    assert length(surface, (10.0, middle), (170.0, middle)) == pytest.approx(40.0, abs=0.02)
    assert length(surface, (80.0, 20.0), (80.0, 100.0)) == pytest.approx(20.0, abs=1e-6)
    across = surface.way((80.0, 20.0), (80.0, 100.0))
    assert across is not None and len(across) == 2


@pytest.mark.parametrize(("angle", "radius"), [(90.0, RADIUS_MM - 12.0), (-90.0, RADIUS_MM + 12.0), (0.0, RADIUS_MM)])
def test_beside_the_axis_it_is_as_long_as_in_the_patient_and_not_as_on_the_picture(angle: float, radius: float) -> None:
    """12 mm to one side of a bend of 30 mm the same 160 rows are shorter on its inside and longer on its outside."""
    surface = one(bent(angle_deg=angle))
    column = 60.0 + 12.0 / 0.25
    expected = 40.0 / RADIUS_MM * radius
    assert length(surface, (10.0, column), (170.0, column)) == pytest.approx(expected, rel=2e-3)


def test_a_stretched_picture_is_true_along_its_rows_too() -> None:
    surface = one(bent("stretched", view=View.parse("anterior")))
    assert length(surface, (10.0, 60.0), (170.0, 60.0)) == pytest.approx(40.0, abs=0.05)
    assert length(surface, (50.0, 10.0), (50.0, 110.0)) == pytest.approx(25.0, abs=1e-6)
    # Rows run from the patient's right to left, and the surface there is part of a cylinder: Pythagoras holds on it.
    assert length(surface, (10.0, 20.0), (130.0, 100.0)) == pytest.approx(math.hypot(30.0, 20.0), abs=0.05)


@pytest.mark.parametrize("recipe", [bent(), bent(angle_deg=37.0), bent("stretched", view=View.parse("anterior"))])
def test_what_a_pixel_shows_lies_at_that_pixel(recipe: CurvedReformat) -> None:
    surface = one(recipe)
    for at in ((0.0, 0.0), (13.4, 71.8), (100.0, 60.0), (187.5, 5.25), (47.0, 120.4)):
        place = surface.at(*at)
        assert place is not None
        row, column, beside = surface.pixel(place)
        assert (row, column) == pytest.approx(at, abs=2e-2) and beside < 5e-3


def test_the_value_of_a_pixel_is_that_of_its_place() -> None:
    """Values that tell x, y and z apart: a picture that were turned or mirrored would have others."""
    k, j, i = np.meshgrid(np.arange(90), np.arange(80), np.arange(70), indexing="ij")
    affine = np.array([[0, 0, 1.0, -25], [0, 1.0, 0, -45], [1.0, 0, 0, -40], [0, 0, 0, 1]])
    volume = Volume((20 * i + 3 * j - 7 * k).astype(np.int16), affine, "HU")
    recipe = bent(angle_deg=25.0)
    pixels, surface = draw(volume, recipe).pixels[0], one(recipe)
    for row, column in ((5, 30), (100, 60), (160, 90), (120, 12)):
        place = surface.at(row, column)
        assert place is not None
        x, y, z = place
        assert pixels[row, column] == pytest.approx(20 * (x + 25) + 3 * (y + 45) - 7 * (z + 40), abs=1.0)


def test_beside_picture_and_path_is_nothing() -> None:
    surface = one(bent())
    last = RADIUS_MM * math.pi / 2.0 / 0.25
    assert surface.at(last - 1.0, 60.0) is not None and surface.at(last + 2.0, 60.0) is None
    assert surface.at(-1.0, 60.0) is None and surface.at(20.0, 121.0) is None
    assert surface.way((20.0, 60.0), (20.0, 140.0)) is None
    inside = surface.at(50.0, 40.0)
    assert inside is not None and surface.shows((inside,), 0.1)
    assert not surface.shows(((60.0, 0.0, 0.0),), 2.0)
    ends = [surface.at(row, 60.0) for row in (0.0, 180.0)]
    assert ends[0] is not None and ends[1] is not None
    assert not surface.shows((ends[0], ends[1]), 2.0)  # the chord leaves the arc between its ends


def test_each_picture_of_a_turn_has_its_own() -> None:
    first, second = surfaces(bent(count=2))
    place = second.at(50.0, 100.0)
    assert place is not None and second.shows((place,), 1e-3) and not first.shows((place,), 2.0)
