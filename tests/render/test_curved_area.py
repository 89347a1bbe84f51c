"""Areas on curved pictures: against arcs, a helix and a cylinder, whose areas are known, and values that say it."""

import math

import numpy as np
import pytest

from render import Volume
from render.curved_area import OutlineKind, area_within, outline_on
from render.curved_surface import CurvedShape, CurvedSurface, shape_of, surfaces
from render.geometry import Vector, View, affine_from
from render.measure import within
from render.recipe import CurvedReformat, Window

RADIUS_MM = 30.0


def arc(degrees: float = 90.0) -> tuple[Vector, ...]:
    """A path around the patient's left-right axis through (7, -4, 11)."""
    turns = np.radians(np.linspace(0.0, degrees, 31))
    return tuple((7.0, -4.0 - RADIUS_MM * math.cos(t), 11.0 - RADIUS_MM * math.sin(t)) for t in turns)


def volume(slope: float = 0.0) -> Volume:
    """(120, 120, 120) int16, 1 mm: 1000 HU, and `slope` more for each mm away from the axis of the arc."""
    k, j, i = np.meshgrid(*(np.arange(120),) * 3, indexing="ij")
    away = np.hypot(j - 60.0 + 4.0, k - 60.0 - 11.0)
    voxels = (1000.0 + slope * away + 0.0 * i).astype(np.int16)
    return Volume(voxels, affine_from((-60, -60, -60), (0, 0, 1), (0, 1, 0), (1, 0, 0)), "HU")


def on(recipe: CurvedReformat, *pixels: tuple[float, float]) -> tuple[Vector, ...]:
    found = tuple(surfaces(recipe)[0].at(*at) for at in pixels)
    assert all(found)
    return found  # type: ignore[return-value]


def straightened(angle_deg: float = 90.0) -> CurvedReformat:
    """90° has the bend in the plane of the picture, its middle to the right; 0° the bend along the line of sight."""
    return CurvedReformat(Window(0.0, 1.0), arc(), rows=180, columns=201, pixel_mm=0.25, angle_deg=angle_deg)


def box(recipe: CurvedReformat, low: float, high: float, left_mm: float, right_mm: float) -> tuple[Vector, ...]:
    middle = (recipe.columns - 1) / 2.0
    left, right = middle + left_mm / 0.25, middle + right_mm / 0.25
    return on(recipe, (low, left), (low, right), (high, right), (high, left))


@pytest.mark.parametrize(("angle", "inwards"), [(90.0, 1.0), (-90.0, -1.0), (0.0, 0.0)])
def test_a_part_of_a_ring_is_as_large_as_in_the_patient(angle: float, inwards: float) -> None:
    """On the picture each of these is 40 mm long and 10 mm wide."""
    recipe = straightened(angle)
    found = area_within(volume(), shape_of(recipe), "polygon", box(recipe, 10.0, 170.0, 4.0, 14.0))
    near, far = RADIUS_MM - inwards * 14.0, RADIUS_MM - inwards * 4.0
    expected = 400.0 if inwards == 0.0 else 40.0 / RADIUS_MM * abs(far**2 - near**2) / 2.0
    assert found.area_mm2 == pytest.approx(expected, rel=2e-3)
    assert (found.mean, found.deviation) == pytest.approx((1000.0, 0.0), abs=1e-6)
    assert (found.least, found.greatest) == (1000.0, 1000.0)


def test_values_count_by_the_area_that_they_stand_for() -> None:
    """On the inside of a bend a pixel of the picture is less of the patient: it counts less."""
    recipe = straightened()
    found = area_within(volume(10.0), shape_of(recipe), "polygon", box(recipe, 10.0, 170.0, -9.5, 20.5))
    # The mean distance from the middle of a ring between 9.5 and 39.5 mm, each weighted by its circumference: 27.6 mm;
    # over the picture it would be 24.5 mm.
    ring = (39.5**3 - 9.5**3) / 3.0 / ((39.5**2 - 9.5**2) / 2.0)
    assert found.mean == pytest.approx(1000.0 + 10.0 * ring, abs=3.0)


def test_an_ellipse_and_its_outline_in_the_patient() -> None:
    recipe = straightened(0.0)
    corners = (box(recipe, 20.0, 120.0, -8.0, 8.0)[0], box(recipe, 20.0, 120.0, -8.0, 8.0)[2])
    found = area_within(volume(), shape_of(recipe), "ellipse", corners)
    assert found.area_mm2 == pytest.approx(math.pi * 12.5 * 8.0, rel=2e-3)
    outline = outline_on(shape_of(recipe), "ellipse", corners)
    away = [math.hypot(y + 4.0, z - 11.0) for _, y, z in outline]
    assert away == pytest.approx([RADIUS_MM] * len(outline), abs=0.02)
    assert max(x for x, _, _ in outline) - min(x for x, _, _ in outline) == pytest.approx(16.0, abs=0.05)


def test_on_a_helix_it_is_the_band_beside_it() -> None:
    """A stretched picture, seen along the helix's axis: a part of a cylinder's wall, wherever the helix goes on it."""
    turns = np.linspace(0.0, math.pi / 2.0, 61)
    path = tuple((20.0 * math.cos(t), 20.0 * math.sin(t), 8.0 * float(t)) for t in turns)
    recipe = CurvedReformat(
        Window(0.0, 1.0), path, "stretched", View.parse("anterior, rolled 90 clockwise"), rows=120, columns=121,
        pixel_mm=0.25,
    )  # fmt: skip
    corners = on(recipe, (10.0, 30.0), (10.0, 90.0), (100.0, 90.0), (100.0, 30.0))
    found = area_within(volume(), shape_of(recipe), "polygon", corners)
    assert found.area_mm2 == pytest.approx(90.0 * 0.25 * 60.0 * 0.25, rel=3e-3)


def test_of_a_straight_path_it_is_that_of_the_plane() -> None:
    path = ((0.0, 0.0, 30.0), (0.0, 0.0, -30.0))
    recipe = CurvedReformat(Window(0.0, 1.0), path, rows=120, columns=161, pixel_mm=0.5)
    corners = on(recipe, (20.0, 30.0), (25.0, 110.0), (100.0, 130.0), (90.0, 40.0), (60.0, 70.0))
    bent, flat = area_within(volume(7.0), shape_of(recipe), "polygon", corners), within(volume(7.0), corners, View())
    assert bent.area_mm2 == pytest.approx(flat.area_mm2, rel=1e-3)
    assert bent.mean == pytest.approx(flat.mean, abs=1.5) and bent.deviation == pytest.approx(flat.deviation, abs=1.5)


def test_what_folds_over_lies_elsewhere_or_holds_nothing_is_declined() -> None:
    recipe, shape = straightened(), shape_of(straightened())
    wide = CurvedReformat(Window(0.0, 1.0), arc(), rows=180, columns=321, pixel_mm=0.25, angle_deg=90.0)
    refused: list[tuple[CurvedShape, OutlineKind, tuple[Vector, ...], str]] = [
        (shape, "polygon", box(wide, 10.0, 170.0, 5.0, 38.0), "folds over"),
        (shape, "polygon", ((60.0, 0.0, 0.0), (61.0, 0.0, 0.0), (60.0, 5.0, 0.0)), "not on the curved surface"),
        (shape, "polygon", box(recipe, 41.0, 41.4, 1.3, 1.4), "smaller than a voxel"),
    ]
    for of, kind, corners, words in refused:
        with pytest.raises(ValueError, match=words):
            area_within(volume(), of, kind, corners)
    far = Volume(np.zeros((5, 5, 5), np.int16), affine_from((200, 200, 200), (0, 0, 1), (0, 1, 0), (1, 0, 0)), "HU")
    with pytest.raises(ValueError, match="outside the volume"):
        area_within(far, shape, "polygon", box(recipe, 10.0, 170.0, 4.0, 14.0))
    assert outline_on(shape, "polygon", ((60.0, 0.0, 0.0), (61.0, 0.0, 0.0), (60.0, 5.0, 0.0))) == ()


def test_it_does_not_depend_on_the_picture_that_it_was_drawn_on() -> None:
    """The same places, found on a coarse picture of the same path, as while it is being turned."""
    coarse = CurvedReformat(Window(0.0, 1.0), arc(), rows=25, columns=31, pixel_mm=2.0, angle_deg=90.0)
    surface: CurvedSurface = surfaces(coarse)[0]
    corners = tuple(surface.at(r, c) for r, c in ((3.0, 11.0), (3.0, 19.0), (19.0, 19.0), (19.0, 11.0)))
    assert all(corners)
    found = area_within(volume(), shape_of(coarse), "polygon", corners)  # type: ignore[arg-type]
    assert found.area_mm2 == pytest.approx(32.0 * 16.0, rel=3e-3)


def test_beyond_the_middle_of_a_bend_a_picture_has_folded_over() -> None:
    wide = CurvedReformat(Window(0.0, 1.0), arc(), rows=180, columns=321, pixel_mm=0.25, angle_deg=90.0)
    surface = surfaces(wide)[0]
    beyond = {inwards: surface.is_folded(90.0, 160.0 + inwards / 0.25) for inwards in (-35.0, 0.0, 20.0, 35.0)}
    assert beyond == {-35.0: False, 0.0: False, 20.0: False, 35.0: True}
