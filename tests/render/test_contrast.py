"""Angiography by CT: levels of dye, what is placed by them, vessels without bone, and pictures that they fill."""

import math
from dataclasses import replace
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from render import Projection, RecipeError, Reformat, View, Volume, VolumeRendering, Window, contrast, draw, load_preset
from render.contrast import ContrastLevels, contrast_levels
from render.draw import DrawError
from render.geometry import affine_from
from render.mask_steps import Automatic
from render.presets import load_window
from render.protocols import drawable, load_protocol, protocol_names
from render.recipe import LabelRule, canonical_json, read_recipe
from render.resolve import settled
from render.segment import find
from tests.thorough import examples

TISSUE, DYE = 45.0, 320.0
SHAPE, STEP = (50, 70, 80), 2.0
VESSELS = (Automatic("vessels"),)
ONLY = (LabelRule(1, "include"),)


@cache
def trunk(dye: float = DYE, seed: int = 3) -> Volume:
    """A body with an aorta and a branch, a spine of cortex and uneven marrow behind, ribs, and a table with metal."""
    rng = np.random.default_rng(seed)
    k, j, i = np.indices(SHAPE) * STEP
    values = np.full(SHAPE, -1000.0)
    body = ((j - 66) / 50) ** 2 + ((i - 80) / 66) ** 2 < 1
    values[body] = TISSUE
    spine = np.hypot(j - 92, i - 80)
    values[spine < 15] = 170.0 + rng.normal(0.0, 60.0, SHAPE)[spine < 15]
    values[(spine >= 11) & (spine < 15)] = 750.0
    ribs = (np.abs(((j - 66) / 46) ** 2 + ((i - 80) / 62) ** 2 - 1.0) < 0.07) & (k % 26 < 9)
    values[ribs] = 800.0
    values[np.hypot(j - 64, i - 72) < 11] = dye
    values[(np.hypot(j - 60, k - 50) < 5) & (i > 72) & (i < 118)] = dye
    values[(np.abs(j - 126) < 4) & (np.abs(i - 80) < 60)] = 500.0
    noise = rng.normal(0.0, 10.0, SHAPE)
    return Volume(
        np.rint(values + noise).astype(np.int16),
        affine_from((0, 0, 0), (0, 0, STEP), (0, STEP, 0), (STEP, 0, 0)),
        "HU",
    )


def test_levels_are_those_of_tissue_and_dye() -> None:
    found = contrast_levels(trunk())
    assert isinstance(found, ContrastLevels)
    assert found.tissue == pytest.approx(TISSUE, abs=5)
    assert found.lumen == pytest.approx(DYE, abs=8)
    assert found.filled_ml > 20
    real = Volume(trunk().voxels.astype(np.float32), trunk().affine, "HU")
    assert contrast_levels(real) == found


@pytest.mark.parametrize("dye", [200.0, 450.0])
def test_presets_and_windows_follow_the_dye(dye: float) -> None:
    volume = trunk(dye)
    levels = contrast_levels(volume)
    assert levels is not None and levels.lumen == pytest.approx(dye, abs=8)
    made = settled(volume, VolumeRendering(load_preset("ct_angio")))
    assert isinstance(made, VolumeRendering) and made.transfer.unit == "HU"
    step = levels.lumen - levels.tissue
    wanted = [levels.tissue + step * point.value for point in load_preset("ct_angio").points]
    assert [point.value for point in made.transfer.points] == pytest.approx(wanted)
    plane = settled(volume, Reformat(load_window("angio_projection")))
    assert isinstance(plane, Reformat) and plane.window.is_placed
    assert plane.window.centre == pytest.approx(levels.tissue + 0.85 * step)


def test_without_dye_it_declines_and_says_so() -> None:
    for volume in (trunk(TISSUE), Volume(trunk().voxels, trunk().affine, "1")):
        assert contrast_levels(volume) is None
        with pytest.raises(RecipeError, match="No vessel filled with dye is seen"):
            draw(volume, VolumeRendering(load_preset("ct_angio")))
    assert "filled with dye" in find(trunk(TISSUE), "vessels").declined
    with pytest.raises(DrawError, match="dye"):
        draw(trunk(TISSUE), Projection("mip", Window(300, 600), segments=VESSELS, masking=ONLY))


def test_vessels_are_found_without_bone_and_table() -> None:
    volume = trunk()
    found = find(volume, "vessels")
    true = np.abs(volume.voxels - DYE) < 40
    k, j, i = np.indices(SHAPE) * STEP
    vessel = (np.hypot(j - 64, i - 72) < 11) | ((np.hypot(j - 60, k - 50) < 5) & (i > 72) & (i < 118))
    marked = found.region == 1
    assert (marked & vessel).sum() / vessel.sum() > 0.97
    assert not marked[(j > 118) | (np.hypot(j - 92, i - 80) < 13)].any()
    assert 2.0 * (marked & vessel & true).sum() / (marked.sum() + vessel.sum()) > 0.75
    assert 0.3 < found.confidence <= 1.0


def test_what_is_shown_fills_the_picture_and_the_record_holds_the_box() -> None:
    recipe = VolumeRendering(
        load_preset("ct_angio"), View(), rows=64, columns=64, segments=VESSELS, masking=ONLY, fit="shown"
    )
    assert read_recipe(canonical_json(recipe)) == recipe
    whole, close = draw(trunk(), replace(recipe, fit="volume")), draw(trunk(), recipe)
    assert (close.pixels > 40).mean() > 1.5 * (whole.pixels > 40).mean()
    made = close.provenance.recipe
    assert isinstance(made, VolumeRendering) and made.crop is not None and made.fit == "volume"
    assert (draw(trunk(), made).pixels == close.pixels).all()
    nothing = draw(trunk(), replace(recipe, masking=(LabelRule(1, "exclude"),)))
    assert isinstance(nothing.provenance.recipe, VolumeRendering) and nothing.provenance.recipe.crop is None


def test_protocols_of_angiography_need_dye() -> None:
    needing = {name for name in protocol_names() if load_protocol(name).needs_dye}
    assert needing == {"ct_aneurysm", "ct_malformation", "ct_stenosis", "ct_vascular"}


def test_a_window_is_relative_to_one_thing() -> None:
    with pytest.raises(RecipeError, match="not to both"):
        Window(0.5, 1.0, relative=True, of_lumen=True)
    with pytest.raises(RecipeError, match="must be positive"):
        Window(0.5, 0.0, of_lumen=True)


@pytest.mark.slow
def test_a_picture_whose_tool_declines_is_left_out_and_the_others_are_drawn() -> None:
    head = load_protocol("mr_neurosurgery")
    body = Volume(trunk().voxels, trunk().affine, "1")  # no brain is in it
    drawn, left_out = drawable(body, head)
    assert {recipe.name for recipe in head.recipes} - {recipe.name for recipe in drawn} == {
        words.partition(" is left out: ")[0] for words in left_out
    }
    assert len(left_out) == 6 and all(name.startswith("Brain surface") for name in left_out)
    only = replace(head, recipes=tuple(recipe for recipe in head.recipes if recipe not in drawn))
    with pytest.raises(RecipeError, match="'mr_neurosurgery': Brain surface, left is left out"):
        drawable(body, only)
    assert drawable(trunk(), load_protocol("ct_aneurysm")) == (load_protocol("ct_aneurysm").recipes, ())


grids = npst.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=6)


@settings(deadline=None, max_examples=examples(150))
@given(
    npst.arrays(np.int16, grids, elements=st.integers(-6000, 6000))
    | npst.arrays(np.float32, grids, elements=st.floats(-5000, 5000, width=32)),
    st.tuples(*[st.integers(1, 3)] * 3),
)
def test_blocks_have_the_mean_of_their_voxels_rounded_down(
    voxels: NDArray[np.generic], factor: tuple[int, int, int]
) -> None:
    factor = (min(factor[0], voxels.shape[0]), min(factor[1], voxels.shape[1]), min(factor[2], voxels.shape[2]))
    found = contrast._blocks(voxels, factor)
    a, b, c = factor
    assert found.shape == tuple(n // f for n, f in zip(voxels.shape, factor, strict=True))
    for k, j, i in np.ndindex(found.shape):
        some = voxels[k * a : (k + 1) * a, j * b : (j + 1) * b, i * c : (i + 1) * c]
        whole = np.rint(some.astype(np.float64)).astype(int)
        assert found[k, j, i] == min(max(math.floor(Fraction(int(whole.sum()), whole.size)), -4000), 4000)


@settings(deadline=None, max_examples=examples(150))
@given(npst.arrays(np.int16, grids, elements=st.sampled_from([0, 10, 25, 60, -4000, 4000])))
def test_blocks_are_even_where_their_deviation_is_small(blocks: NDArray[np.int16]) -> None:
    near = np.pad(blocks.astype(np.float64), 1, mode="edge")
    about = np.lib.stride_tricks.sliding_window_view(near, (3, 3, 3)).reshape(*blocks.shape, 27)
    # Ours is in whole numbers, so only what lies on the limit itself may differ.
    sure = np.abs(about.std(axis=-1) - 20.0) > 1e-9
    assert (contrast._even(blocks) == (about.std(axis=-1) < 20.0))[sure].all()


@settings(deadline=None, max_examples=examples(150))
@given(
    npst.arrays(
        np.int16,
        npst.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=9),
        elements=st.sampled_from([-1000, 0, 40]),
    )
)
def test_the_patient_is_the_largest_thing_as_another_library_finds_it(blocks: NDArray[np.int16]) -> None:
    labels, count = scipy.ndimage.label(scipy.ndimage.binary_erosion(blocks > -300))
    sizes = np.bincount(labels.reshape(-1), minlength=2)[1:]
    wanted = (
        scipy.ndimage.binary_dilation(labels == 1 + np.argmax(sizes), iterations=2)
        if count
        else np.ones(blocks.shape, dtype=bool)
    )
    np.testing.assert_array_equal(contrast._of_the_patient(blocks), wanted)
