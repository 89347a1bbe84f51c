"""A lumen laid flat: a bump on its wall is where it should be, and the wall goes on across the borders of sectors."""

import math
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from render import Volume, draw
from render.flight import FlightError, LumenWay, lumen_way
from render.geometry import affine_from
from render.recipe import VolumeRendering, canonical_json, read_recipe
from render.unfolded import SECTORS, laid_flat, unfolded

RADIUS, LENGTH = 9.0, 50
BUMP_AT, BUMP_TURN = 25.0, 1.9  # along z in mm, and around the tube in radians


@cache
def scene(bump: bool) -> tuple[Volume, LumenWay]:
    """A straight tube of air along z, with a bump of 3 mm on its wall or without."""
    k, j, i = np.meshgrid(np.arange(LENGTH), np.arange(40), np.arange(40), indexing="ij")
    z, y, x = (np.asarray(axis, dtype=np.float64) for axis in (k, j - 20, i - 20))
    air = np.clip(RADIUS - np.hypot(x, y) + 0.5, 0.0, 1.0)
    if bump:
        cx, cy = RADIUS * math.cos(BUMP_TURN), RADIUS * math.sin(BUMP_TURN)
        ball = np.sqrt((x - cx) ** 2 + (y - cy) ** 2 + (z - BUMP_AT) ** 2)
        air = np.minimum(air, np.clip(ball - 3.0 + 0.5, 0.0, 1.0))
    voxels = np.round(40.0 - 1040.0 * air).astype(np.int16)
    affine = affine_from((-20.0, -20.0, 0.0), (0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
    volume = Volume(voxels, affine, "HU")
    return volume, lumen_way(volume, "air", [(0.0, 0.0, 4.0), (0.0, 0.0, 46.0)])


def flat(bump: bool) -> tuple[VolumeRendering, NDArray[np.uint8]]:
    volume, (_, way) = scene(bump)[0], scene(False)
    (recipe,) = unfolded(way, volume)
    return recipe, laid_flat([draw(volume, recipe)])


def test_a_bump_is_at_its_place_along_and_around() -> None:
    recipe, with_it = flat(True)
    _, without = flat(False)
    assert with_it.shape == without.shape
    changed = np.abs(with_it.astype(int) - without.astype(int)).sum(axis=2) > 60
    rows, columns = np.nonzero(changed)
    assert 20 < changed.sum() < changed.size / 8
    # Where the eyes look there: the sector and the place nearest to the bump.
    bump = np.array([RADIUS * math.cos(BUMP_TURN), RADIUS * math.sin(BUMP_TURN), BUMP_AT])
    eyes = np.array([eye.eye_mm for eye in recipe.flight])
    looks = -np.array([eye.view.towards_observer for eye in recipe.flight])
    towards = bump - eyes
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    best = int(np.argmax((towards * looks).sum(axis=1)))
    place, sector = divmod(best, SECTORS)
    assert np.median(rows) == pytest.approx((place + 0.5) * recipe.rows, abs=2.5 * recipe.rows)
    assert np.median(columns) == pytest.approx((sector + 0.5) * recipe.columns, abs=1.5 * recipe.columns)


def test_the_wall_goes_on_across_the_borders_of_sectors() -> None:
    recipe, pixels = flat(True)
    grey = pixels.astype(float).mean(axis=2)
    steps = np.abs(np.diff(grey, axis=1)).mean(axis=0)
    borders = np.arange(1, SECTORS) * recipe.columns - 1
    inside = np.delete(steps, borders)
    assert steps[borders].mean() < inside.mean() + 3.0


def test_lengths_along_the_way_are_true() -> None:
    recipe, pixels = flat(False)
    _, way = scene(False)
    assert recipe.field_of_view_deg is not None
    at_the_wall = 2.0 * RADIUS * math.tan(math.radians(recipe.field_of_view_deg) / 2.0)  # a strip's height there
    assert at_the_wall * len(recipe.flight) / SECTORS == pytest.approx(way.length_mm, rel=0.25)
    assert pixels.shape[1] == SECTORS * recipe.columns


def test_the_recipe_is_one_that_records_hold() -> None:
    volume, way = scene(False)
    for recipe in unfolded(way, volume):
        assert read_recipe(canonical_json(recipe)) == recipe


@pytest.mark.slow
def test_a_long_way_is_drawn_in_parts_that_fit_together() -> None:
    volume, way = scene(False)
    fine = np.stack([np.interp(np.linspace(0, 1, 120), np.linspace(0, 1, len(c)), c) for c in way.path_mm.T], axis=1)
    longer = LumenWay(way.lumen, fine, np.full(120, RADIUS), way.levels, way.slice_mm)
    parts = unfolded(longer, volume)
    assert len(parts) == 2 and sum(len(part.flight) for part in parts) == 120 * SECTORS
    pixels = laid_flat([draw(volume, part) for part in parts])
    assert pixels.shape == (120 * parts[0].rows, SECTORS * parts[0].columns, 3)


def test_one_place_cannot_be_laid_flat() -> None:
    volume, way = scene(False)
    alone = LumenWay(way.lumen, way.path_mm[:1], way.radii_mm[:1], way.levels, way.slice_mm)
    with pytest.raises(FlightError, match="farther apart"):
        unfolded(alone, volume)
