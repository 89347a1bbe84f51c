"""Flights through lumens of known course: the way is in the middle, the eyes see what is ahead, and wrong points."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from render import Volume, draw
from render.flight import FlightError, LumenWay, flight, lumen_way
from render.geometry import Vector, vector
from render.recipe import canonical_json, digest, read_recipe
from tests.render.vessels.phantoms import Tube, bow, tube


@cache
def known(seed: int = 1) -> tuple[Tube, Volume]:
    """A tube of 8 mm, and the same filled with air in tissue."""
    rng = np.random.default_rng(seed)
    made = tube(bow(rng, 50.0, 14.0), np.full(2001, 4.0), (1.0, 0.8, 0.8), rng=rng, noise=10.0)
    share = (made.volume.voxels.astype(np.float64) - 50.0) / 300.0
    air = np.round(40.0 - 1040.0 * share).astype(np.int16)
    return made, Volume(np.maximum(air, -1024), made.volume.affine, "HU")


@cache
def through() -> LumenWay:
    made, air = known()
    aside = vector(np.array(made.at(100)) + np.array([0.5, -0.4, 0.6]))
    return lumen_way(air, "air", [aside, made.at(1900)])


def test_the_way_is_in_the_middle() -> None:
    made, _ = known()
    way = through()
    away, numbers = made.nearest(way.path_mm[5:-5])
    assert away.max() < 0.8
    true = np.linalg.norm(np.diff(made.curve[100:1901], axis=0), axis=1).sum()
    assert way.length_mm == pytest.approx(true, rel=0.05)
    assert np.linalg.norm(np.diff(way.path_mm, axis=0), axis=1) == pytest.approx(1.0, abs=0.1)
    assert 5.0 < way.narrowest_mm < 8.5  # of pure air: blur takes a voxel on each side
    assert not way.warnings or "a few voxels" not in way.warnings[0]
    assert (np.diff(numbers) > 0).all()  # never back


def test_the_eyes_look_ahead_and_turn_slowly() -> None:
    made, air = known()
    recipe = flight(through(), air, size=48)
    assert read_recipe(canonical_json(recipe)) == recipe
    looks = -np.array([eye.view.towards_observer for eye in recipe.flight])
    ups = np.array([eye.view.up for eye in recipe.flight])
    for ways in (looks, ups):
        turns = np.degrees(np.arccos(np.clip((ways[1:] * ways[:-1]).sum(axis=1), -1.0, 1.0)))
        assert turns.max() < 8.0
    _, numbers = made.nearest(np.array([eye.eye_mm for eye in recipe.flight]))
    tangents = np.gradient(made.curve, axis=0)[numbers]
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    assert (looks * tangents).sum(axis=1)[3:-3].min() > 0.8


@pytest.mark.parametrize("lumen", ["air", "vessel"])
def test_from_within_the_wall_is_all_around(lumen: str) -> None:
    made, air = known()
    volume = air if lumen == "air" else made.volume
    way = through() if lumen == "air" else lumen_way(made.volume, "vessel", [made.at(100), made.at(1900)])
    recipe = flight(way, volume, size=48)
    some = replace(recipe, flight=recipe.flight[5:40:17])
    drawn = draw(volume, some, threads=1)
    assert drawn.pixels.shape == (len(some.flight), 48, 48, 3)
    assert (drawn.pixels.max(axis=-1) > 25).mean() > 0.9  # no background, and no eye within the wall
    assert drawn.pixels.std(axis=(1, 2)).min() > 4.0  # nor a plain surface before it
    assert draw(volume, some, threads=2).digest == drawn.digest
    assert digest(some) != digest(replace(some, flight=some.flight[::-1]))


def test_thick_slices_are_said_to_be_thick() -> None:
    way = through()
    assert any("not fit for it" in words for words in replace(way, slice_mm=5.0).warnings)
    assert not any("polyps" in words for words in replace(way, slice_mm=5.0, lumen="airways").warnings)
    assert any("a few voxels" in words for words in replace(way, slice_mm=4.0).warnings)


def outside() -> list[Vector]:
    made, _ = known()
    return [made.at(100), (9e3, 0.0, 0.0)]


def test_points_in_no_lumen() -> None:
    made, air = known()
    ends = [made.at(100), made.at(1900)]
    with pytest.raises(FlightError, match="is outside the volume"):
        lumen_way(air, "air", outside())
    aside = np.cross(made.curve[1010] - made.curve[990], [0.3, 0.5, 0.8])
    wall = vector(np.array(made.at(1000)) + 8.5 * aside / np.linalg.norm(aside))
    with pytest.raises(FlightError, match="is in no lumen"):
        lumen_way(air, "air", [ends[0], wall])
    with pytest.raises(FlightError, match="two points at least"):
        lumen_way(air, "air", ends[:1])
    with pytest.raises(FlightError, match="shorter than 10 mm"):
        lumen_way(air, "air", [made.at(900), made.at(1000)])
    with pytest.raises(FlightError, match=r"0\.1 to 20 are possible"):
        lumen_way(air, "air", ends, step_mm=0.0)
    with pytest.raises(FlightError, match="this volume is in 1"):
        lumen_way(Volume(air.voxels, air.affine, "1"), "air", ends)
    with pytest.raises(FlightError, match="There is no trachea"):
        lumen_way(air, "airways", [])


def test_a_lumen_that_is_closed_between_the_points() -> None:
    made, air = known()
    grid = np.moveaxis(np.indices(air.shape), 0, -1) @ air.affine[:3, :3].T + air.affine[:3, 3]
    voxels = np.where(np.linalg.norm(grid - made.curve[1000], axis=-1) < 7.0, 40, air.voxels).astype(np.int16)
    with pytest.raises(FlightError, match="No lumen joins the points"):
        lumen_way(Volume(voxels, air.affine, "HU"), "air", [made.at(100), made.at(1900)])
