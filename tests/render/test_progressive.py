"""Coarse to full: the same part of the patient with fewer pixels, and at last the picture itself."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.transform import resize

from render import Cancelled, Projection, Reformat, View, VolumeRendering, Window, coarser, draw, load_preset, refined
from render.engine import framing
from render.picture import to_rgb
from render.recipe import Recipe
from tests.render.phantom import phantom
from tests.thorough import examples

WINDOW = Window(300.0, 2000.0)
VIEW = View(33.0, 21.0)
RECIPES: tuple[Recipe, ...] = (
    VolumeRendering(load_preset("ct_bone"), VIEW, rows=120, columns=96),
    VolumeRendering(
        load_preset("ct_bone"), VIEW, rows=120, columns=96, projection="perspective", field_of_view_deg=40.0
    ),
    Projection("mip", WINDOW, VIEW, rows=120, columns=96),
    Reformat(WINDOW, VIEW, rows=120, columns=96, pixel_mm=1.0),
)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: f"{recipe.kind} {getattr(recipe, 'projection', '')}")
def test_pictures_become_finer_and_end_with_the_picture_itself(recipe: Recipe) -> None:
    volume = phantom("oblique")
    pictures = list(refined(volume, recipe, factors=(6, 2)))
    assert [picture.pixels.shape[1:3] for picture in pictures] == [(20, 16), (60, 48), (120, 96)]
    full = to_rgb(draw(volume, recipe)).astype(float)
    assert np.array_equal(to_rgb(pictures[-1]), full)
    coarse = [resize(to_rgb(picture).astype(float), full.shape, order=1) for picture in pictures]
    errors = [float(np.abs(one - full).mean()) for one in coarse]
    assert errors[0] > errors[1] > errors[2] == 0.0
    assert errors[1] < 12.0


@pytest.mark.slow
@given(rows=st.integers(8, 300), columns=st.integers(8, 300), factor=st.integers(1, 9))
@settings(deadline=None, max_examples=examples(60))
def test_a_coarse_picture_shows_the_same_part_of_the_patient(rows: int, columns: int, factor: int) -> None:
    volume = phantom("oblique")
    recipe = Projection("mip", WINDOW, VIEW, rows=rows, columns=columns)
    coarse = coarser(volume, recipe, factor)
    for picture in (recipe, coarse):
        plane = framing.planes(volume, picture)[0]
        middle = plane.at((picture.rows - 1) / 2.0, (picture.columns - 1) / 2.0)
        assert np.allclose(middle, volume.centre_mm, atol=1e-6)
        assert plane.pixel_spacing_mm[0] * picture.rows == pytest.approx(
            framing.planes(volume, recipe)[0].pixel_spacing_mm[0] * rows
        )


def test_a_factor_below_one_and_a_hand_that_moves_on() -> None:
    volume = phantom("oblique")
    with pytest.raises(ValueError, match="Factor 0"):
        coarser(volume, RECIPES[0], 0)
    cancel = threading.Event()
    pictures = refined(volume, RECIPES[0], cancel=cancel)
    next(pictures)
    cancel.set()
    with pytest.raises(Cancelled):
        next(pictures)
