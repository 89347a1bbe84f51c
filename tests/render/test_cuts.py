"""Clip planes and masks take away what they say, on the side they say, and nothing else."""

import importlib
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from render import (
    DrawError,
    GeometryError,
    Projection,
    RecipeError,
    TransferFunction,
    View,
    Volume,
    VolumeRendering,
    Window,
    draw,
    load_preset,
    read_recipe,
)
from render.engine.cpu import sampling
from render.geometry import vector
from render.mask import Mask
from render.recipe import Clip, ControlPoint, LabelRule, canonical_json, digest
from tests.render.phantom import CENTRE_MM, GRIDS, MARKERS, marker_mm, phantom
from tests.render.test_sides import COLOURED, place

WINDOW = Window(500.0, 3000.0)
SIZE = 120
OUTWARD = {side: tuple(v / max(abs(w) for w in offset) for v in offset) for side, (offset, _, _) in MARKERS.items()}


@pytest.fixture(scope="module", params=list(GRIDS))
def volume(request: pytest.FixtureRequest) -> Volume:
    return phantom(request.param)


def labelled(volume: Volume) -> Mask:
    """Label 1 the body; 2 … 7 a ball about each marker, in the order of MARKERS."""
    at = np.einsum("rc,ckji->rkji", volume.affine[:3, :3], np.indices(volume.shape).astype(np.float64))
    at += volume.affine[:3, 3][:, None, None, None]
    labels = np.zeros(volume.shape, np.uint8)
    labels[np.sqrt(((at - np.array(CENTRE_MM)[:, None, None, None]) ** 2).sum(axis=0)) < 32.0] = 1
    for number, side in enumerate(MARKERS, 2):
        offset = at - np.array(marker_mm(side))[:, None, None, None]
        labels[np.sqrt((offset**2).sum(axis=0)) < MARKERS[side][1] + 3.0] = number
    return Mask(labels)


def shown(volume: Volume, side: str, marker: str, **keys: object) -> tuple[NDArray[np.uint8], float]:
    """The colour where the marker must be, and its brightest value in a MIP; seen from `side`."""
    mask = keys.pop("mask", None)
    common = {"rows": SIZE, "columns": SIZE, "field_of_view_mm": 120.0, "centre_mm": CENTRE_MM}
    assert mask is None or isinstance(mask, Mask)
    recipe = VolumeRendering(COLOURED, View.parse(side), **common, **keys)  # type: ignore[arg-type]
    picture = draw(volume, recipe, mask=mask)
    row, column = (round(v) for v in place(picture.planes[0], marker_mm(marker)))
    rules = tuple(rule for rule in recipe.masking if rule.action != "tint")
    keys["masking"] = rules
    values = draw(volume, Projection("mip", WINDOW, View.parse(side), **common, **keys), mask=mask).pixels[0]  # type: ignore[arg-type]
    return np.asarray(picture.pixels[0, row, column]), float(values[row - 3 : row + 4, column - 3 : column + 4].max())


SIDE_OF = {"L": "anterior", "R": "anterior", "H": "anterior", "F": "anterior", "A": "left", "P": "left"}


@pytest.mark.parametrize("marker", list(MARKERS))
def test_a_clip_takes_the_side_its_normal_points_to(volume: Volume, marker: str) -> None:
    """A plane between the middle and a marker takes that marker or all the others away; its length is no matter."""
    outward = np.array(OUTWARD[marker])
    point = vector(np.array(CENTRE_MM) + 15.0 * outward)
    opposite = {"L": "R", "R": "L", "A": "P", "P": "A", "H": "F", "F": "H"}[marker]
    for normal, gone, left in ((7.0 * outward, marker, opposite), (-outward, opposite, marker)):
        clips = (Clip(point, vector(normal)),)
        colour, value = shown(volume, SIDE_OF[marker], gone, clips=clips)
        assert (colour.max(), value < 100.0) == (0, True)
        colour, value = shown(volume, SIDE_OF[marker], left, clips=clips)
        assert colour[0] > 0 and value > 800.0


@pytest.mark.parametrize("marker", list(MARKERS))
def test_labels_are_excluded_included_and_tinted(volume: Volume, marker: str) -> None:
    mask, number = labelled(volume), 2 + list(MARKERS).index(marker)
    side = SIDE_OF[marker]
    opposite = {"L": "R", "R": "L", "A": "P", "P": "A", "H": "F", "F": "H"}[marker]
    # What is hidden leaves no rim of values between its own and those beside it.
    colour, value = shown(volume, side, marker, masking=(LabelRule(number, "exclude"),), mask=mask)
    assert (colour.max(), value < 100.0) == (0, True)
    colour, value = shown(volume, side, opposite, masking=(LabelRule(number, "exclude"),), mask=mask)
    assert colour[0] > 0 and value > 800.0
    only = (LabelRule(number, "include"), LabelRule(number, "tint", (0.0, 1.0, 0.0)))
    colour, value = shown(volume, side, marker, masking=only, mask=mask)
    assert colour.tolist() == [0, 255, 0] and value > 800.0
    colour, value = shown(volume, side, opposite, masking=only, mask=mask)
    assert (colour.max(), value < 100.0) == (0, True)


GLASS = TransferFunction(
    "glass", "HU", (ControlPoint(-2000.0, 1, 1, 1, 0.02), ControlPoint(2000.0, 1, 1, 1, 0.02)), shading=None
)


def test_a_faded_label_lets_through_what_its_opacity_leaves() -> None:
    volume = Volume(np.zeros((24, 24, 24), np.int16), np.diag([2.0, 2.0, 2.0, 1.0])[[2, 1, 0, 3]], "HU")
    labels = np.ones(volume.shape, dtype=np.uint8)
    labels[:, :, 12:] = 2  # the patient's left, on the right of the picture
    recipe = VolumeRendering(GLASS, rows=24, columns=24, field_of_view_mm=40.0)

    def seen(*rules: LabelRule) -> NDArray[np.float64]:
        return draw(volume, replace(recipe, masking=rules), mask=Mask(labels)).pixels[0, :, :, 0].astype(float)

    whole, faded = seen(), seen(LabelRule(2, "fade", opacity=0.5))
    points = tuple(replace(p, opacity=p.opacity / 2) for p in GLASS.points)
    half = draw(volume, replace(recipe, transfer=replace(GLASS, points=points)))
    assert (faded[:, :10] == whole[:, :10]).all()
    assert np.abs(faded[:, 14:] - half.pixels[0, :, 14:, 0]).max() <= 2.0
    assert seen(LabelRule(2, "fade", opacity=0.0))[:, 14:].max() == 0.0
    assert (seen(LabelRule(2, "fade", opacity=1.0)) == whole).all()
    included = canonical_json(VolumeRendering(GLASS, masking=(LabelRule(2, "include"),)))
    assert '"masking":[{"action":"include","colour":null,"label":2}]' in included  # as it was before
    faint = (LabelRule(2, "fade", opacity=0.5),)
    with pytest.raises(RecipeError, match="fade with ambient_occlusion"):
        replace(recipe, transfer=load_preset("ct_bone"), masking=faint, ambient_occlusion=0.5)


@settings(deadline=None)  # the first picture of a process loads the kernels, or compiles them
@given(st.floats(-20.0, 20.0), st.tuples(*[st.floats(-1.0, 1.0)] * 3).filter(lambda n: sum(v * v for v in n) > 0.05))
def test_the_two_sides_of_a_clip_make_up_the_whole(distance: float, normal: tuple[float, float, float]) -> None:
    """Through even glass, what two opposite clips let through multiplies to what the whole lets through."""
    volume = Volume(np.zeros((24, 24, 24), np.int16), np.diag([2.0, 2.0, 2.0, 1.0])[[2, 1, 0, 3]], "HU")
    unit = np.array(normal) / np.sqrt((np.array(normal) ** 2).sum())
    point = vector(np.array(volume.centre_mm) + distance * unit)
    one, other = Clip(point, normal), Clip(point, vector(-np.array(normal)))
    view = View(33.0, 21.0)
    through = [
        1.0 - draw(volume, VolumeRendering(GLASS, view, rows=24, columns=24, clips=clips)).pixels[0, :, :, 0] / 255.0
        for clips in ((), (one,), (other,))
    ]
    # One sample of 4 % more or less at either end of either part, and the rounding to bytes.
    np.testing.assert_allclose(through[1] * through[2], through[0], atol=0.09)
    assert draw(volume, VolumeRendering(GLASS, view, rows=24, columns=24, clips=(one, other))).pixels.max() <= 11


def test_projections_of_the_two_sides_make_up_the_whole() -> None:
    volume = phantom("oblique")
    view, normal = View(33.0, 21.0), (0.3, -1.0, 0.5)
    one, other = Clip(CENTRE_MM, normal), Clip(CENTRE_MM, vector(-np.array(normal)))
    whole, a, b = (
        draw(volume, Projection("mip", WINDOW, view, rows=80, columns=80, clips=clips)).pixels[0]
        for clips in ((), (one,), (other,))
    )
    np.testing.assert_array_equal(np.maximum(a, b), whole)


@pytest.mark.parametrize(("mode", "along"), [("mip", np.max), ("minip", np.min), ("average", np.mean)])
def test_a_masked_projection_along_an_axis_is_numpy(mode: str, along: object) -> None:
    """Rays through voxel centres: exactly the voxels of the labels that are shown, lone ones too."""
    random = np.random.default_rng(5)
    voxels = random.integers(-1000, 2000, (21, 26, 31)).astype(np.int16)
    labels = random.integers(0, 4, voxels.shape).astype(np.uint8)
    labels[:, :, 4] = 2  # a column without any voxel shown
    volume = Volume(voxels, np.array([[0, 0, 2.0, 7], [0, 2.0, 0, 9], [2.0, 0, 0, 3], [0, 0, 0, 1]]), "HU")
    for rules, kept in (
        ((LabelRule(2, "exclude"),), labels != 2),
        ((LabelRule(3, "include"), LabelRule(1, "include")), (labels == 3) | (labels == 1)),
    ):
        recipe = Projection(mode, WINDOW, rows=21, columns=31, field_of_view_mm=42.0, masking=rules)  # type: ignore[arg-type]
        ours = draw(volume, recipe, mask=Mask(labels)).pixels[0]
        theirs = np.ma.array(voxels.astype(np.float64), mask=~kept)
        expected = getattr(theirs, along.__name__)(axis=1).filled(-1000.0)[::-1]  # type: ignore[attr-defined]
        np.testing.assert_allclose(ours, np.rint(expected), atol=0 if mode != "average" else 1)


def test_a_cut_face_is_flat() -> None:
    """Shaded by the plane: noise in the tissue does not show as relief, and the face is as bright as its angle says."""
    voxels = (300 + np.random.default_rng(3).normal(0, 80, (40, 40, 40))).astype(np.int16)
    volume = Volume(voxels, np.diag([1.0, 1.0, 1.0, 1.0])[[2, 1, 0, 3]], "HU")
    solid = TransferFunction("solid", "HU", (ControlPoint(-99, 1, 1, 1, 1), ControlPoint(999, 1, 1, 1, 1)))
    for normal in ((0.0, -1.0, 0.0), (0.5, -1.0, 0.2)):
        recipe = VolumeRendering(solid, rows=20, columns=20, field_of_view_mm=20, clips=(Clip((19, 19, 19), normal),))
        face = draw(volume, recipe).pixels[0, :, :, 0]
        cosine = 1.0 / math.sqrt(sum(v * v for v in normal))
        assert int(face.max()) - int(face.min()) <= 1
        assert face.mean() == pytest.approx(min(255 * (0.25 + 0.75 * cosine + 0.2 * cosine**16), 255), abs=1)


def test_rules_without_a_mask_and_masks_of_another_grid_are_refused() -> None:
    volume = phantom()
    recipe = VolumeRendering(
        load_preset("ct_bone"), rows=8, columns=8, masking=(LabelRule(4, "exclude"),), name="Skull"
    )
    with pytest.raises(
        DrawError, match=r"Recipe 'Skull' has rules for label 4, but no mask was given\. .* give the mask"
    ):
        draw(volume, recipe)
    with pytest.raises(DrawError, match=r"The mask has 2 x 3 x 4 voxels, the volume \d+ x \d+ x \d+\."):
        draw(volume, recipe, mask=Mask(np.zeros((2, 3, 4), np.uint8)))
    with pytest.raises(GeometryError, match="int16 with 3 axes; uint8"):
        Mask(np.zeros((2, 3, 4), np.int16))


def test_provenance_names_the_mask_only_when_it_was_used() -> None:
    volume = phantom()
    mask = labelled(volume)
    plain = VolumeRendering(load_preset("ct_bone"), rows=8, columns=8)
    ruled = VolumeRendering(load_preset("ct_bone"), rows=8, columns=8, masking=(LabelRule(4, "exclude"),))
    assert draw(volume, plain, mask=mask).provenance.mask_digest == ""
    assert draw(volume, ruled, mask=mask).provenance.mask_digest == mask.digest
    assert not mask.labels.flags.writeable
    assert Mask(np.zeros((2, 3, 4), np.uint8)).digest != Mask(np.zeros((4, 3, 2), np.uint8)).digest


@pytest.mark.parametrize("kind", ["rendering", "maximum"])
def test_leaping_over_hidden_bricks_changes_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    volume, rules = phantom("oblique"), (LabelRule(3, "include"), LabelRule(5, "include"))
    mask = labelled(volume)
    recipe = (
        VolumeRendering(load_preset("ct_bone"), View(33.0, 21.0), rows=64, columns=64, masking=rules)
        if kind == "rendering"
        else Projection("mip", WINDOW, View(33.0, 21.0), rows=64, columns=64, masking=rules)
    )
    leaping = draw(volume, recipe, mask=mask).digest
    everything = sampling.SHOWN | sampling.HIDDEN | sampling.TINTED
    module = importlib.import_module("render.engine.cpu.bricks")  # the package has a function of that name
    monkeypatch.setattr(module, "brick_states", lambda labels, shown, tints, b0, b1, out: out.fill(everything))
    assert draw(phantom("oblique"), recipe, mask=mask).digest == leaping


CLIPPED = VolumeRendering(
    load_preset("ct_bone"),
    clips=(Clip((1.0, 2.5, 3.0), (0.0, 0.0, 1.0)),),
    masking=(LabelRule(3, "include"), LabelRule(3, "tint", (0.5, 0.25, 1.0))),
)


def test_json_round_trip_and_old_digests() -> None:
    assert read_recipe(canonical_json(CLIPPED)) == CLIPPED
    plain = VolumeRendering(load_preset("ct_bone"))
    assert digest(CLIPPED) != digest(plain)
    assert not {"clips", "masking", "light"} & set(canonical_json(plain).split('"'))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"clips": [{"point_mm": [0, 0, 0], "normal": [0, 0, 0]}]}, "has no length"),
        ({"clips": [{"point_mm": [0, 0, 0], "normal": [0, 0, 1], "side": 1}]}, "side: Unexpected keyword"),
        ({"clips": [{"point_mm": [0, 0, 0], "normal": [0, 0, 1]}] * 17}, "17 clips; 16 at most"),
        ({"masking": [{"label": 256, "action": "exclude"}]}, "Label 256 is outside 0…255"),
        ({"masking": [{"label": 1, "action": "hide"}]}, "action: Input should be"),
        ({"masking": [{"label": 1, "action": "tint"}]}, "Label 1: a colour goes with tint"),
        ({"masking": [{"label": 1, "action": "exclude", "colour": [1, 1, 1]}]}, "Label 1: a colour goes with tint"),
        ({"masking": [{"label": 1, "action": "tint", "colour": [1, 1, 3]}]}, "Label 1: colour .* is outside 0…1"),
        ({"masking": [{"label": 1, "action": "fade"}]}, "Label 1: an opacity goes with fade"),
        ({"masking": [{"label": 1, "action": "include", "opacity": 0.5}]}, "Label 1: an opacity goes with fade"),
        ({"masking": [{"label": 1, "action": "fade", "opacity": 1.5}]}, "Label 1: opacity 1.5 is outside 0…1"),
        ({"masking": [{"label": 1, "action": a} for a in ("exclude", "include")]}, "exclude and include contradict"),
        ({"masking": [{"label": 1, "action": "exclude"}] * 2}, "exclude and exclude contradict"),
    ],
)
def test_nonsense_is_named(change: dict[str, object], sentence: str) -> None:
    fields = {"kind": "projection", "mode": "mip", "window": {"centre": 40, "width": 400}} | change
    with pytest.raises(RecipeError, match=sentence):
        read_recipe(fields)


def test_a_projection_cannot_be_tinted() -> None:
    with pytest.raises(RecipeError, match="a projection has values, not colours"):
        Projection("mip", WINDOW, masking=(LabelRule(1, "tint", (1.0, 0.0, 0.0)),))
