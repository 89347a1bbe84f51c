"""Parts drawn elsewhere: where their transform puts them, from their own voxels, on any number of threads."""

from dataclasses import replace

import numpy as np
import pytest

from render import Mask, Values, View, Volume, draw, read_recipe
from render.draw import DrawError
from render.exploded import exploded
from render.geometry import Box, Matrix, affine_from
from render.recipe import (
    Clip,
    ControlPoint,
    LabelRule,
    Move,
    RecipeError,
    Shading,
    TransferFunction,
    VolumeRendering,
    canonical_json,
    digest,
)
from tests.render.heads import matrix_of, move_of

SOLID = TransferFunction(
    "solid", "HU", (ControlPoint(100.0, 1.0, 1.0, 1.0, 0.0), ControlPoint(200.0, 1.0, 1.0, 1.0, 1.0)), Shading()
)
INCLUDED = (LabelRule(1, "include"), LabelRule(2, "include"))
BOX = Box((-60.0, -60.0, -60.0), (60.0, 60.0, 60.0))
MATRIX = matrix_of(move_of((0.0, 20.0, 0.0), (0.0, 0.0, 20.0)))


def shifted(x: float, y: float, z: float) -> Matrix:
    return ((1.0, 0.0, 0.0, x), (0.0, 1.0, 0.0, y), (0.0, 0.0, 1.0, z), (0.0, 0.0, 0.0, 1.0))


@pytest.fixture(scope="module")
def blocks() -> tuple[Volume, Mask]:
    """Two blocks beside each other, label 1 to the right, 2 to the left of the patient."""
    voxels = np.zeros((24, 24, 32), np.int16)
    voxels[8:16, 8:16, 4:14] = 400
    voxels[8:16, 8:16, 14:26] = 400
    labels = np.zeros(voxels.shape, np.uint8)
    labels[6:18, 6:18, 2:14], labels[6:18, 6:18, 14:28] = 1, 2
    affine = affine_from((-15.0, -12.0, -12.0), (0, 0, 1), (0, 1, 0), (1, 0, 0))
    return Volume(voxels, affine, "HU"), Mask(labels)


def recipe(*moves: Move, rules: tuple[LabelRule, ...] = INCLUDED) -> VolumeRendering:
    return VolumeRendering(
        SOLID, View(), rows=60, columns=60, field_of_view_mm=120.0, centre_mm=(0.0, 0.0, 0.0), crop=BOX,
        masking=rules, moves=moves,
    )  # fmt: skip


def columns_seen(pixels: np.ndarray) -> list[int]:
    return [int(c) for c in np.flatnonzero(pixels.any(axis=(0, 2)))]


def test_a_moved_part_is_seen_where_its_transform_puts_it(blocks: tuple[Volume, Mask]) -> None:
    volume, mask = blocks
    still = draw(volume, recipe(Move(1, shifted(0.0, 0.0, 0.0))), mask=mask).pixels[0]
    away = draw(volume, recipe(Move(1, shifted(-20.0, 0.0, 10.0))), mask=mask).pixels[0]
    # Pixels of 2 mm; the patient's right is on the left of the picture.
    assert columns_seen(still) == list(range(24, 35))
    assert columns_seen(away) == [*range(14, 19), *range(29, 35)]
    rows = np.flatnonzero(away[:, 14:19].any(axis=(1, 2)))
    assert rows.max() < np.flatnonzero(away[:, 29:36].any(axis=(1, 2))).max(), "up is towards the head"
    # A shift by whole pixels shows the same pixels elsewhere.
    assert np.array_equal(away[:-5, 14:18], still[5:, 24:28])


def test_it_is_not_resampled(blocks: tuple[Volume, Mask]) -> None:
    """A turned part is drawn as its volume on a turned affine is."""
    volume, mask = blocks
    part = (LabelRule(1, "include"),)
    moved = draw(volume, recipe(Move(1, MATRIX), rules=part), mask=mask)
    there = Volume(volume.voxels, np.array(MATRIX) @ volume.affine, "HU")
    alone = draw(there, recipe(Move(1, shifted(0.0, 0.0, 0.0)), rules=part), mask=mask)
    assert np.abs(moved.pixels.astype(int) - alone.pixels.astype(int)).max() <= 1
    assert len(columns_seen(moved.pixels[0])) > 3


def test_a_part_that_does_not_move_looks_as_without_moves(blocks: tuple[Volume, Mask]) -> None:
    volume, mask = blocks
    still = draw(volume, recipe(Move(1, shifted(0.0, 0.0, 0.0))), mask=mask).pixels.astype(int)
    plain = draw(volume, recipe(), mask=mask).pixels.astype(int)
    inner = np.s_[0, 27:33, 26:34]
    assert np.abs(still[inner] - plain[inner]).max() <= 6


def test_the_record_repeats_it_on_any_number_of_threads(blocks: tuple[Volume, Mask]) -> None:
    volume, _ = blocks
    steps = (Values(300.0, 500.0),)
    tints = (LabelRule(1, "include"), LabelRule(1, "tint", (1.0, 0.2, 0.1)))
    first = draw(volume, replace(recipe(Move(1, MATRIX), rules=tints), segments=steps), threads=1)
    again = draw(volume, read_recipe(canonical_json(first.recipe)), threads=2)
    assert again.digest == first.digest
    assert int(first.pixels[..., 0].max()) > 3 * int(first.pixels[..., 2].max()) > 0, "in its colour"
    assert "moves" not in canonical_json(recipe()) and digest(recipe()) != digest(recipe(Move(1, MATRIX)))


def test_what_is_shown_fills_the_picture_where_it_stands(blocks: tuple[Volume, Mask]) -> None:
    volume, mask = blocks
    far = replace(
        recipe(Move(2, shifted(60.0, 0.0, 0.0))), crop=None, centre_mm=None, field_of_view_mm=None, fit="shown"
    )
    drawn = draw(volume, far, mask=mask)
    assert drawn.recipe.crop is not None  # type: ignore[union-attr]
    assert drawn.recipe.crop.upper_mm[0] == pytest.approx(76.0)  # type: ignore[union-attr]
    assert columns_seen(drawn.pixels[0])[-1] > 50


def test_an_exploded_view_moves_each_part_away_from_the_middle(blocks: tuple[Volume, Mask]) -> None:
    volume, mask = blocks
    one, two = exploded(volume, mask, (1, 2, 9), 1.0)
    assert one.label == 1 and one.transform == shifted(-6.5, 0.0, 0.0)
    assert two.transform == shifted(6.5, 0.0, 0.0)
    (alone,) = exploded(volume, mask, (1, 2), 1.0, staying=2)
    assert alone.transform == shifted(-13.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"moves": (Move(3, shifted(1.0, 0.0, 0.0)),)}, "moved and not drawn"),
        ({"moves": (Move(1, shifted(1.0, 0.0, 0.0)),) * 2}, "moved twice"),
        ({"masking": ()}, "without masking"),
        ({"depth_cue": 0.5}, "no depth_cue"),
        ({"clips": (Clip((0.0, 0.0, 0.0), (0.0, 0.0, 1.0)),)}, "no clips"),
        ({"projection": "perspective", "field_of_view_mm": None, "field_of_view_deg": 40.0}, "no perspective"),
    ],
)
def test_what_moves_cannot_be_with_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        replace(recipe(Move(1, shifted(1.0, 0.0, 0.0))), **change)  # type: ignore[arg-type]


def test_a_move_turns_and_shifts_and_does_nothing_else(blocks: tuple[Volume, Mask]) -> None:
    mirrored = ((-1.0, 0.0, 0.0, 0.0), *shifted(0.0, 0.0, 0.0)[1:])
    with pytest.raises(RecipeError, match="mirrors"):
        Move(1, mirrored)
    with pytest.raises(RecipeError, match="stretches"):
        Move(1, ((2.0, 0.0, 0.0, 0.0), *shifted(0.0, 0.0, 0.0)[1:]))
    with pytest.raises(RecipeError, match="no map of space"):
        Move(1, shifted(0.0, 0.0, 0.0)[:3])
    with pytest.raises(DrawError, match="vtk"):
        draw(blocks[0], recipe(Move(1, MATRIX)), mask=blocks[1], engine="vtk")
