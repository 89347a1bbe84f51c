"""Recipes survive JSON; presets and protocols say what is wrong with them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from render import (
    CurvedReformat,
    Projection,
    RecipeError,
    Reformat,
    Rotation,
    View,
    VolumeRendering,
    Window,
    load_preset,
    load_protocol,
    load_window,
    preset_names,
    presets,
    protocol_names,
    read_recipe,
)
from render.presets import named_preset, preset_from, windows_from
from render.protocols import protocol_from
from render.recipe import Recipe, Solid, canonical_json, digest, frames

finite = st.floats(-1000.0, 1000.0)
positive = st.floats(1.0, 500.0)
sizes = st.integers(1, 512)
views = st.builds(View, st.floats(0.0, 360.0), st.floats(-90.0, 90.0))
windows = st.builds(Window, finite, positive)
modes = st.sampled_from(["mip", "minip", "average"])
rotations = st.one_of(st.none(), st.builds(Rotation, st.integers(2, 90), st.floats(1.0, 360.0)))
centres = st.one_of(st.none(), st.tuples(finite, finite, finite))
recipes: st.SearchStrategy[Recipe] = st.one_of(
    st.builds(
        VolumeRendering,
        st.sampled_from(preset_names()).map(load_preset),
        views,
        rotations,
        sizes,
        sizes,
        st.one_of(st.none(), positive),
        centres,
        body_above=st.one_of(st.none(), finite),
    ),
    st.builds(Projection, modes, windows, views, rotations, sizes, sizes, slab_mm=st.one_of(st.none(), positive)),
    st.builds(Reformat, windows, views, st.integers(1, 99), rows=sizes, columns=sizes, centre_mm=centres, mode=modes),
    st.builds(
        CurvedReformat,
        windows,
        st.lists(st.tuples(*[st.integers(-900, 900).map(float)] * 3), min_size=2, max_size=9, unique=True).map(tuple),
        view=views,
        angle_deg=finite,
        count=st.integers(1, 9),
        rows=sizes,
        columns=sizes,
        mode=modes,
    ),
)


@given(recipes)
def test_json_round_trip(recipe: Recipe) -> None:
    again = read_recipe(canonical_json(recipe))
    assert again == recipe
    assert digest(again) == digest(recipe)


@given(recipes)
def test_a_rotation_is_its_frames(recipe: Recipe) -> None:
    single = frames(recipe)
    if not isinstance(recipe, Solid) or recipe.rotation is None:
        assert single == (recipe,)
        return
    assert len(single) == recipe.rotation.frames
    assert len({frame.view.azimuth_deg for frame in single}) == len(single)


def test_a_key_added_later_leaves_older_digests_alone() -> None:
    recipe = Projection("mip", Window(40, 400))
    assert "body_above" not in json.loads(canonical_json(recipe))
    assert digest(recipe) == "52e211bddcab208403bcfac884ec5ad3ff2f02f385973e520a1dd745713d4e55"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"kind": "film"}, "Recipe kind 'film' is not one of"),
        ({"colour": 1}, "colour: Unexpected keyword argument"),
        ({"rows": 0}, "Picture of 0 x 512 pixels"),
        ({"slab_mm": -1}, "slab_mm -1 must be positive"),
        ({"view": "upside down"}, "View 'upside down' is not understood"),
        ({"mode": "maximum"}, "mode: Input should be"),
    ],
)
def test_recipes_that_are_not_understood(change: dict[str, Any], sentence: str) -> None:
    fields = {"kind": "projection", "mode": "mip", "window": {"centre": 40, "width": 400}} | change
    with pytest.raises((RecipeError, ValueError), match=sentence):
        read_recipe(fields)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "The recipe is not JSON"),
        ('{"a":' * 100_000, "The recipe is not JSON: maximum recursion"),
        ('{"rows": ' + "9" * 5000 + "}", "The recipe is not JSON: Exceeds the limit"),
        ("[]", "The recipe is a list; expected an object with `kind`"),
        ('{"kind": ["projection"]}', "is not one of"),
    ],
)
def test_text_that_is_no_recipe(text: str, sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        read_recipe(text)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


@given(recipes, st.data())
def test_a_recipe_with_any_value_anywhere_is_read_or_refused_by_name(recipe: Recipe, data: st.DataObject) -> None:
    fields = json.loads(canonical_json(recipe))
    fields[data.draw(st.sampled_from(sorted(fields)))] = data.draw(values)
    try:
        again = read_recipe(json.dumps(fields))
    except RecipeError:
        return
    assert read_recipe(canonical_json(again)) == again


def test_every_preset_and_window_loads() -> None:
    assert {"ct_bone", "ct_soft_tissue", "ct_skin", "ct_vessels", "ct_lung", "ct_airways"} <= set(preset_names())
    for name in preset_names():
        placed = "lumen" if name == "ct_angio" else "HU"
        assert load_preset(name).unit == (placed if name.startswith("ct_") else "range")
    assert {"bone", "brain", "lung", "soft_tissue", "mediastinum", "abdomen", "angio"} <= {
        one.name for one in presets.windows()
    }
    assert load_window("brain") == Window(40.0, 80.0)


def test_every_preset_and_window_says_title_unit_and_source() -> None:
    for name in preset_names():
        made = named_preset(name)
        assert made.title and made.source and made.transfer.name == name
    for one in presets.windows():
        assert one.title and one.source
        assert (one.window.relative, one.window.of_lumen) == (one.unit == "range", one.unit == "lumen")


def test_windows_are_on_the_usual_keys() -> None:
    keys = {one.key: one.name for one in presets.windows() if one.key}
    assert keys == {
        "2": "full", "3": "brain", "4": "abdomen", "5": "mediastinum", "6": "bone", "7": "lung", "8": "angio",
        "9": "soft_tissue",
    }  # fmt: skip
    table = {"title": "t", "unit": "HU", "source": "s", "centre": 1, "width": 2, "key": "3"}
    with pytest.raises(RecipeError, match="Window 'b': key '3' is that of 'a'"):
        windows_from({"a": table, "b": table})
    with pytest.raises(RecipeError, match="Window 'a': title missing"):
        windows_from({"a": {key: value for key, value in table.items() if key != "title"}})


def test_the_four_clinical_uses_are_complete() -> None:
    uses = {
        "vascular": ("ct_aneurysm", "ct_stenosis", "ct_malformation", "mr_angio", "mr_angio_contrast"),
        "oncology": ("ct_oncology",),
        "orthopaedics": ("ct_fracture", "ct_joint"),
        "neurosurgery": ("ct_neurosurgery", "mr_neurosurgery"),
    }
    for names in uses.values():
        for name in names:
            recipes = load_protocol(name).recipes
            stills = [r for r in recipes if isinstance(r, VolumeRendering) and r.rotation is None]
            turns = [r for r in recipes if isinstance(r, Solid) and r.rotation is not None]
            planes = [r.view for r in recipes if isinstance(r, Reformat)]
            assert len(stills) >= 4, name
            assert turns, name
            assert {View.parse("foot"), View.parse("anterior"), View.parse("left")} <= set(planes), name


POINTS = [[0.0, 0.0, 0.0, 0.0, 0.0], [100.0, 1.0, 1.0, 1.0, 1.0]]
PRESET = {"title": "t", "unit": "HU", "source": "s", "points": POINTS}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"gamma": 2}, "Preset 'mine': unknown key gamma; known are"),
        ({"shading": {"shiny": 1}}, "Preset 'mine', shading: unknown key shiny"),
        ({"points": POINTS[::-1]}, "ascending order"),
        ({"points": [[0.0, 2.0, 0.0, 0.0, 0.0], POINTS[1]]}, "Control point at 0: red 2 is outside 0…1"),
        ({"points": [[0.0, 1.0], POINTS[1]]}, "Preset 'mine'"),
    ],
)
def test_presets_that_are_not_understood(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        preset_from("mine", PRESET | change)


def test_missing_keys_and_unknown_names_are_named() -> None:
    with pytest.raises(RecipeError, match="Preset 'mine': source missing"):
        preset_from("mine", {key: value for key, value in PRESET.items() if key != "source"})
    with pytest.raises(RecipeError, match="Preset 'ct_hair' is not known; there are ct_airways"):
        load_preset("ct_hair")
    with pytest.raises(RecipeError, match="Window 'dark' is not known; there are"):
        load_window("dark")
    with pytest.raises(RecipeError, match="Protocol 'ct_toe' is not known; there are"):
        load_protocol("ct_toe")


def test_every_protocol_loads_and_holds_its_presets_by_value() -> None:
    assert {"ct_head_trauma", "ct_chest", "ct_vascular", "ct_generic"} <= set(protocol_names())
    for name in protocol_names():
        protocol = load_protocol(name)
        assert protocol.source
        assert protocol.clinical_use
        for recipe in protocol.recipes:
            assert read_recipe(canonical_json(recipe)) == recipe
    head = load_protocol("ct_head_trauma").recipes
    assert isinstance(head[0], VolumeRendering)
    assert head[0].transfer == load_preset("ct_bone")


PROTOCOL = {"title": "t", "clinical_use": "c", "region": "r", "modality": "CT", "unit": "HU", "source": "s"}
MIP = {"kind": "projection", "name": "MIP", "mode": "mip", "window": "bone"}


@pytest.mark.parametrize(
    ("recipes", "sentence"),
    [
        ([MIP | {"window": "dark"}], "Protocol 'mine', recipe 1: Window 'dark' is not known"),
        ([MIP | {"depth": 3}], "Protocol 'mine', recipe 1: Recipe 'MIP': depth: Unexpected"),
        ([MIP, MIP], "every recipe needs a name of its own"),
    ],
)
def test_protocols_that_are_not_understood(recipes: list[dict[str, Any]], sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        protocol_from("mine", PROTOCOL | {"recipes": recipes})


def test_a_tumble_goes_over_the_top_and_comes_back() -> None:
    recipe = VolumeRendering(load_preset("ct_bone"), View.parse("anterior"), rotation=Rotation(4, 360.0, "across"))
    assert [frame.view.words for frame in frames(recipe)] == [
        "anterior", "head", "posterior, rolled 180 anticlockwise", "foot",
    ]  # fmt: skip
    assert [frame.view.right for frame in frames(recipe)] == [View.parse("anterior").right] * 4
    plain = VolumeRendering(load_preset("ct_bone"), rotation=Rotation(4))
    assert '"axis"' not in canonical_json(plain)  # the digests of older recipes hold
    assert read_recipe(canonical_json(recipe)) == recipe


@given(st.floats(0.0, 359.0), st.floats(-80.0, 80.0), st.floats(-360.0, 360.0))
def test_a_tumble_keeps_the_horizontal(azimuth: float, elevation: float, angle: float) -> None:
    view = View(round(azimuth, 3), round(elevation, 3))
    assert view.tumbled(round(angle, 3)).right == pytest.approx(view.right, abs=1e-6)
