"""Recipes relative to the volume's own range, and annotation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from render import Projection, Reformat, View, Volume, VolumeRendering, Window, draw, load_preset
from render.annotate import annotated, description
from render.picture import to_rgb
from render.recipe import canonical_json, read_recipe
from render.resolve import settled, value_range


def mr(scale: float = 1.0, dtype: type[np.generic] = np.float32) -> Volume:
    values = np.random.default_rng(7).gamma(2.0, 100.0, (12, 14, 16)) * scale
    return Volume(values.astype(dtype), np.diag([2.0, 1.0, 1.0, 1.0]), "1")


def test_range_is_the_stated_percentiles() -> None:
    volume = mr()
    low, high = value_range(volume)
    assert np.mean(volume.voxels <= low) == pytest.approx(0.02, abs=0.001)
    assert np.mean(volume.voxels <= high) == pytest.approx(0.997, abs=0.001)


@settings(deadline=None)  # the first picture of a process loads the kernels, or compiles them
@given(st.floats(1.0, 50.0))
def test_the_picture_does_not_depend_on_the_scanner_s_scale(scale: float) -> None:
    recipe = Reformat(Window(0.5, 1.0, relative=True), View.parse("foot"), rows=16, columns=16)
    a, b = draw(mr(), recipe), draw(mr(scale), recipe)
    # Rounding, and PS3.3's width − 1, which weighs more on a narrow window.
    assert np.abs(to_rgb(a).astype(int) - to_rgb(b)).max() <= 3


def test_provenance_holds_the_settled_recipe_which_draws_the_same() -> None:
    volume = mr()
    for recipe in (
        Projection("mip", Window(0.5, 1.0, relative=True), rows=16, columns=16),
        VolumeRendering(load_preset("mr_default"), rows=16, columns=16),
    ):
        picture = draw(volume, recipe)
        assert picture.recipe == settled(volume, recipe) != recipe
        again = draw(volume, read_recipe(canonical_json(picture.recipe)))
        assert again.digest == picture.digest
        assert again.provenance.recipe_digest == picture.provenance.recipe_digest


def test_a_relative_preset_suits_any_unit_and_an_absolute_one_its_own() -> None:
    assert draw(mr(), VolumeRendering(load_preset("us_volume"), rows=8, columns=8)).pixels.shape == (1, 8, 8, 3)
    with pytest.raises(ValueError, match="is for values in 'HU', the volume is in '1'"):
        draw(mr(), VolumeRendering(load_preset("ct_bone"), rows=8, columns=8))


def test_a_flat_volume_still_has_a_range() -> None:
    flat = Volume(np.full((2, 2, 2), 5, dtype=np.int16), np.eye(4), "1")
    assert value_range(flat) == (5.0, 6.0)


def test_annotation_is_drawn_on_a_copy_and_says_what_was_done() -> None:
    recipe = Reformat(Window(300.0, 1500.0), View.parse("foot"), rows=200, columns=200, thickness_mm=5.0, name="Axial")
    picture = draw(mr(), recipe)
    before = picture.digest
    plain, marked = to_rgb(picture), annotated(picture, banner=["one line"])
    assert marked.shape == plain.shape
    assert picture.digest == before
    changed = (marked != plain).any(axis=-1)
    # Letters at four edges, the banner in the upper right corner; the middle stays the picture's.
    assert changed[:, :12].any() and changed[:, -12:].any() and changed[:12].any() and changed[-12:].any()
    assert not changed[80:120, 80:120].any()
    assert description(picture) == ["Axial", "seen from foot", "C 300 W 1500 1", "AVERAGE of 5 mm"]
