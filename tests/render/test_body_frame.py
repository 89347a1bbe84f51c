"""Pictures that the patient fills, on a patient off the middle with a table below."""

from dataclasses import replace

import numpy as np
import pytest

from render import Projection, Reformat, View, Volume, VolumeRendering, Window, draw, load_preset
from render.body_frame import body_box, filled_by_body
from render.geometry import affine_from
from render.protocols import drawable, protocol_from
from render.recipe import RecipeError

WINDOW = Window(40.0, 400.0)
# 3 x 2 x 2 mm; the body is 120 mm wide, 80 mm deep, 90 mm long, about (−40, 10, 60) mm.
AFFINE = affine_from((-160.0, -100.0, 0.0), (0, 0, 3), (0, 2, 0), (2, 0, 0))
WIDE, DEEP, LONG, CENTRE = 120.0, 80.0, 90.0, (-40.0, 10.0, 60.0)


def patient() -> Volume:
    k, j, i = np.indices((40, 100, 160))
    x, y, z = i * 2.0 - 160.0, j * 2.0 - 100.0, k * 3.0
    inside = (2 * (x - CENTRE[0]) / WIDE) ** 2 + (2 * (y - CENTRE[1]) / DEEP) ** 2 + (
        2 * (z - CENTRE[2]) / LONG
    ) ** 2 <= 1
    voxels = np.where(inside, 40, -1000)
    voxels[(np.abs(y - 78.0) < 3.0) & (np.abs(x) < 150.0)] = 200  # the table
    return Volume(voxels.astype(np.int16), AFFINE, "HU")


PATIENT = patient()


def test_the_box_holds_the_patient_and_not_the_table() -> None:
    box = body_box(PATIENT)
    assert box is not None
    for axis, size in enumerate((WIDE, DEEP, LONG)):
        assert box.lower_mm[axis] == pytest.approx(CENTRE[axis] - size / 2.0, abs=9.0)
        assert box.upper_mm[axis] == pytest.approx(CENTRE[axis] + size / 2.0, abs=9.0)
    assert box.lower_mm[0] <= CENTRE[0] - WIDE / 2.0 and box.upper_mm[0] >= CENTRE[0] + WIDE / 2.0


@pytest.mark.parametrize(
    ("view", "across", "deep"), [("foot", WIDE, LONG), ("anterior", WIDE, DEEP), ("left", LONG, WIDE)]
)
def test_the_patient_fills_the_planes_and_the_stack_reaches_through(view: str, across: float, deep: float) -> None:
    asked = Reformat(WINDOW, View.parse(view), spacing_mm=5.0, rows=64, columns=64, fit="body")
    drawn = draw(PATIENT, asked)
    recipe = drawn.provenance.recipe
    assert isinstance(recipe, Reformat) and recipe.fit == "volume"
    assert len(drawn.pixels) == recipe.count == pytest.approx(deep / 5.0, abs=4.0)
    shown = drawn.pixels[recipe.count // 2] > -500
    assert np.ptp(np.flatnonzero(shown.any(axis=0))) + np.ptp(np.flatnonzero(shown.any(axis=1))) > 64
    assert recipe.pixel_mm == pytest.approx(across / 64.0, rel=0.2)
    # Nothing of it depends on the volume any more.
    assert draw(PATIENT, recipe).digest == drawn.digest


def test_planes_without_a_distance_are_spread_over_the_body() -> None:
    recipe = filled_by_body(PATIENT, Reformat(WINDOW, View.parse("foot"), count=10, rows=64, columns=64, fit="body"))
    assert isinstance(recipe, Reformat)
    assert recipe.count == 10 and recipe.spacing_mm == pytest.approx(LONG / 10.0, abs=1.5)


def test_what_a_recipe_says_itself_stays() -> None:
    asked = Reformat(WINDOW, centre_mm=(1.0, 2.0, 3.0), pixel_mm=0.5, rows=8, columns=8, fit="body")
    recipe = filled_by_body(PATIENT, asked)
    assert isinstance(recipe, Reformat)
    assert (recipe.centre_mm, recipe.pixel_mm, recipe.count) == ((1.0, 2.0, 3.0), 0.5, 1)


@pytest.mark.parametrize("kind", ["rendering", "projection"])
def test_renderings_and_projections_are_cropped_to_the_patient(kind: str) -> None:
    size = {"rows": 48, "columns": 48}
    asked = (
        VolumeRendering(load_preset("ct_skin"), View.parse("anterior"), **size, fit="body")  # type: ignore[arg-type]
        if kind == "rendering"
        else Projection("mip", WINDOW, View.parse("anterior"), **size, fit="body")  # type: ignore[arg-type]
    )
    drawn = draw(PATIENT, asked)
    recipe = drawn.provenance.recipe
    assert not isinstance(recipe, Reformat) and getattr(recipe, "crop", None) == body_box(PATIENT)
    assert draw(PATIENT, recipe).digest == drawn.digest


def test_without_a_body_it_is_as_the_volume_fits() -> None:
    empty = Volume(np.full((8, 8, 8), -1000, dtype=np.int16), AFFINE, "HU")
    asked = Reformat(WINDOW, rows=8, columns=8, fit="body")
    assert draw(empty, asked).digest == draw(empty, Reformat(WINDOW, rows=8, columns=8)).digest


HEAD = {"title": "T", "clinical_use": "t", "region": "any", "modality": "CT", "unit": "HU", "source": "t"}
LUNGS = {
    "segments": [{"kind": "automatic", "structure": "lungs"}],
    "masking": [{"label": 1, "action": "include"}],
}
MIP = {"kind": "projection", "mode": "mip", "window": "lung", "rows": 16, "columns": 16}


def test_a_picture_is_left_out_or_shows_the_whole_where_its_tool_declines() -> None:
    protocol = protocol_from(
        "p",
        {
            **HEAD,
            "recipes": [
                {**MIP, "name": "plain"},
                {**MIP, "name": "needs", "needs": "lungs"},
                {**MIP, **LUNGS, "name": "alone"},
                {**MIP, **LUNGS, "name": "or whole", "if_declined": "whole"},
            ],
        },
    )
    recipes, said = drawable(PATIENT, protocol)
    assert [recipe.name for recipe in recipes] == ["plain", "or whole"]
    plain, whole = recipes
    assert isinstance(plain, Projection)
    assert whole == replace(plain, fit="body", name="or whole")
    assert [words.split(":")[0] for words in said] == [
        "needs is left out",
        "alone is left out",
        "or whole shows the whole",
    ]


@pytest.mark.parametrize("wrong", [{"needs": "soul"}, {"if_declined": "guess"}])
def test_what_a_protocol_cannot_say_is_an_error(wrong: dict[str, str]) -> None:
    with pytest.raises(RecipeError, match=next(iter(wrong))):
        protocol_from("p", {**HEAD, "recipes": [{**MIP, "name": "a", **wrong}]})
