"""Two volumes in one picture: the second where its transform puts it, in colour, from its own voxels."""

from dataclasses import replace

import numpy as np
import pytest

from render import View, draw, read_recipe, to_rgb
from render.draw import DrawError
from render.fusion import COLOUR_MAPS, moved
from render.geometry import IDENTITY, affine_from
from render.mask import Mask
from render.recipe import (
    Clip,
    ControlPoint,
    FusedRendering,
    Fusion,
    LabelRule,
    RecipeError,
    Reformat,
    TransferFunction,
    VolumeRendering,
    Window,
    canonical_json,
    digest,
)
from render.volume import Volume
from tests.render.heads import head, matrix_of, move_of

MOVE = move_of((6.0, -8.0, 10.0), (12.0, -7.0, 15.0))
PLAIN = Reformat(Window(500.0, 1000.0), View.parse("foot"), count=2, spacing_mm=9.0, rows=60, columns=50, pixel_mm=3.0)


def over(transform: object = IDENTITY, **changed: object) -> Reformat:
    fusion = Fusion(transform, Window(500.0, 1000.0), COLOUR_MAPS["grey"], blend=1.0)  # type: ignore[arg-type]
    return replace(PLAIN, fusion=replace(fusion, **changed))  # type: ignore[arg-type]


def test_the_second_volume_is_drawn_where_its_transform_puts_it() -> None:
    """Covered wholly by a grey map, the picture is that of the second volume alone, on a moved affine."""
    first, second = head(), head(seed=2)
    fused = draw(first, over(matrix_of(MOVE)), second=second)
    there = moved(second, matrix_of(MOVE))
    assert np.allclose(there.affine, MOVE @ second.affine)
    centred = replace(PLAIN, centre_mm=first.centre_mm)
    alone = draw(there, centred)
    assert fused.pixels.shape == (2, 60, 50, 3) and fused.pixels.dtype == np.uint8 and fused.unit == "RGB"
    for frame in range(2):
        assert np.abs(to_rgb(fused, frame).astype(int) - to_rgb(alone, frame).astype(int)).max() <= 1
    assert int(np.ptp(fused.pixels)) > 100


def test_what_has_no_second_volume_stays_as_it_is() -> None:
    first = head()
    corner = Volume(
        np.full((2, 2, 2), 1000, dtype=np.int16), affine_from((5, -20, 100), (0, 0, 9), (0, 9, 0), (9, 0, 0)), "1"
    )
    fused, plain = draw(first, over(colours=COLOUR_MAPS["red"]), second=corner), draw(first, PLAIN)
    changed = (fused.pixels[1].astype(int) - to_rgb(plain, 1)).any(axis=-1)
    assert 36 <= changed.sum() <= 49  # 18 mm both ways, pixels of 3 mm
    assert (fused.pixels[1][changed] == (255, 0, 0)).all()


def test_the_record_says_how_and_which_volume() -> None:
    first, second = head(), head(seed=2)
    relative = over(matrix_of(MOVE), window=Window(0.5, 1.0, relative=True), blend=0.4)
    picture = draw(first, relative, second=second)
    assert picture.recipe.fusion is not None  # type: ignore[union-attr]
    assert picture.recipe.fusion.volume_digest == second.digest  # type: ignore[union-attr]
    again = draw(first, read_recipe(canonical_json(picture.recipe)), second=second, threads=1)
    assert again.digest == picture.digest and again.recipe == picture.recipe
    with pytest.raises(DrawError, match="not the one that the recipe fuses"):
        draw(first, picture.recipe, second=first)
    with pytest.raises(DrawError, match="none was given"):
        draw(first, picture.recipe)


def test_a_recipe_without_a_second_volume_keeps_its_digest() -> None:
    assert "fusion" not in canonical_json(PLAIN)
    assert digest(PLAIN) == "3701e204aa3d22552c586e6341a81f2665b85d364b141ece2378e35bf54e1ef6"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"transform": IDENTITY[:3]}, "no map of space"),
        ({"transform": (IDENTITY[0], IDENTITY[0], *IDENTITY[2:])}, "flattens space"),
        ({"colours": COLOUR_MAPS["red"][:1]}, "colours need two"),
        ({"blend": 1.5}, "blend 1.5 is outside"),
    ],
)
def test_an_impossible_fusion_is_refused(changed: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        over(**changed)


def _transfer(red: float, blue: float, opacity: float = 0.2) -> TransferFunction:
    points = (ControlPoint(300.0, red, 0.2, blue, 0.0), ControlPoint(700.0, red, 0.2, blue, opacity))
    return TransferFunction("plain", "1", points)


RENDERING = VolumeRendering(_transfer(1.0, 0.0), View.parse("anterior, 20 towards left"), rows=48, columns=48)


def _fused(**changed: object) -> VolumeRendering:
    return replace(RENDERING, fusion=replace(FusedRendering(IDENTITY, _transfer(0.0, 1.0)), **changed))  # type: ignore[arg-type]


def test_a_second_volume_that_shows_nothing_leaves_the_rendering_as_it_is() -> None:
    """The same samples as the other kernel takes, but for its half steps at surfaces."""
    nothing = _fused(transfer=_transfer(0.0, 1.0, opacity=0.0))
    alone, fused = draw(head(), RENDERING), draw(head(), nothing, second=head(seed=2))
    difference = np.abs(fused.pixels.astype(int) - alone.pixels.astype(int))
    assert difference.mean() < 1.0 and np.percentile(difference, 99) < 12
    assert int(alone.pixels.max()) > 100


def test_two_volumes_hide_each_other_on_the_same_ray() -> None:
    """A blue head beside the red one, and the same one before it and behind it."""
    first, second = head(), head(seed=2)
    beside = draw(first, _fused(transform=matrix_of(move_of((0, 0, 0), (90.0, 0, 0)))), second=second)
    red, blue = (beside.pixels[0, ..., c].astype(int) for c in (0, 2))
    assert (red > blue + 40).sum() > 100 and (blue > red + 40).sum() > 100
    solid = {"transfer": _transfer(0.0, 1.0, opacity=1.0)}
    before, behind = (
        draw(first, _fused(transform=matrix_of(move_of((0, 0, 0), (0, y, 0))), **solid), second=second)
        for y in (-120.0, 120.0)
    )
    blue_seen = [
        (p.pixels[0, 20:28, 20:28, 2].astype(int) > p.pixels[0, 20:28, 20:28, 0]).mean() for p in (before, behind)
    ]
    assert blue_seen[0] > 0.9 and blue_seen[1] < 0.1


def test_a_fused_rendering_is_the_same_from_its_record_and_on_other_threads() -> None:
    second = head(MOVE, seed=2)
    cut = replace(_fused(transform=matrix_of(MOVE)), clips=(Clip((5.0, -20.0, 100.0), (0.0, -1.0, 0.0)),))
    whole = draw(head(), _fused(transform=matrix_of(MOVE)), second=second)
    picture = draw(head(), cut, second=second, threads=3)
    again = draw(head(), read_recipe(canonical_json(picture.recipe)), second=second, threads=1)
    assert again.digest == picture.digest != whole.digest
    with pytest.raises(RecipeError, match="no depth_cue"):
        replace(cut, depth_cue=0.5)
    with pytest.raises(DrawError, match="for values in 'HU'"):
        draw(head(), _fused(transfer=replace(_transfer(0, 1), unit="HU")), second=second)


def test_table_and_mask_take_from_the_first_volume_alone() -> None:
    """With a second volume that shows nothing it is the picture that the other kernel draws under the same mask."""
    labels = np.zeros(head().shape, dtype=np.uint8)
    labels[:, :, : labels.shape[2] // 2] = 1
    labels[: labels.shape[0] // 3] = 2
    mask = Mask(labels)
    rules = (LabelRule(1, "exclude"), LabelRule(2, "tint", (0.0, 1.0, 0.0)), LabelRule(2, "fade", opacity=0.5))
    masked = replace(RENDERING, masking=rules, body_above=300.0)
    nothing = replace(masked, fusion=FusedRendering(IDENTITY, _transfer(0.0, 1.0, opacity=0.0)))
    alone = draw(head(), masked, mask=mask)
    fused = draw(head(), nothing, second=head(seed=2), mask=mask)
    difference = np.abs(fused.pixels.astype(int) - alone.pixels.astype(int))
    assert difference.mean() < 1.0 and np.percentile(difference, 99) < 12
    assert int(alone.pixels[..., 1].max()) > 60
    # The second one is whole: where the first was taken away, it is seen.
    both = draw(head(), replace(masked, fusion=FusedRendering(IDENTITY, _transfer(0.0, 1.0))), second=head(), mask=mask)
    hidden = (alone.pixels.sum(axis=-1) < 10) & (draw(head(), RENDERING).pixels.sum(axis=-1) > 100)
    assert hidden.sum() > 50 and both.pixels[hidden][:, 2].mean() > 60
