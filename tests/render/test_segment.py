"""Masks made from the steps of a recipe: the voxels they say, the same again, and pictures that follow."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import points_in_poly

from render import (
    Bone,
    DrawError,
    LabelRule,
    Mask,
    MaskStep,
    Piece,
    Projection,
    RecipeError,
    Scissors,
    StepError,
    Values,
    View,
    Volume,
    Window,
    draw,
    read_recipe,
)
from render.geometry import Vector, vector
from render.recipe import canonical_json
from render.segment import made, region, volume_ml
from tests.render.phantom import CENTRE_MM, GRIDS, MARKERS, marker_mm, phantom
from tests.thorough import examples

OUTSIDE = LabelRule(1, "exclude")
WINDOW = Window(500.0, 3000.0)


@pytest.fixture(scope="module", params=list(GRIDS))
def volume(request: pytest.FixtureRequest) -> Volume:
    return phantom(request.param)


def places(volume: Volume) -> NDArray[np.float64]:
    """(K, J, I, 3) LPS mm of every voxel."""
    index = np.moveaxis(np.indices(volume.shape), 0, -1)
    return np.asarray(index @ volume.affine[:3, :3].T + volume.affine[:3, 3])


def star(view: View, corners: int = 9) -> tuple[Vector, ...]:
    """An outline with notches about the phantom's middle, seen from `view`."""
    turns = np.linspace(0.0, 2.0 * math.pi, corners, endpoint=False)
    right, up = np.array(view.right), np.array(view.up)
    return tuple(
        vector(np.array(CENTRE_MM) + (30.3 if n % 2 else 14.7) * (math.cos(t) * right + math.sin(t) * up))
        for n, t in enumerate(turns)
    )


@pytest.mark.parametrize("words", ["anterior", "foot", "left", "anterior, 23 towards left, 11 up"])
def test_scissors_cut_what_is_seen_within_the_outline(volume: Volume, words: str) -> None:
    view = View.parse(words)
    outline, at = np.array(star(view)), places(volume).reshape(-1, 3)
    seen = [np.stack([p @ np.array(view.right), p @ np.array(view.up)], axis=1) for p in (outline, at)]
    expected = points_in_poly(seen[1], seen[0])
    found = region(volume, Scissors(star(view), view)).reshape(-1).astype(bool)
    # A voxel on the outline itself is on neither side.
    assert np.count_nonzero(found != expected) <= len(at) * 1e-4
    assert 1000 < found.sum() < len(at)


@pytest.mark.parametrize("side", MARKERS)
def test_a_piece_is_what_hangs_together(volume: Volume, side: str) -> None:
    found = region(volume, Piece(marker_mm(side), 700.0, 3000.0))
    labels, _ = ndimage.label(volume.voxels >= 700)
    k, j, i = (round(v) for v in (np.linalg.inv(volume.affine) @ [*marker_mm(side), 1.0])[:3])
    assert np.array_equal(found.astype(bool), labels == labels[k, j, i])
    assert volume_ml(volume, found) == pytest.approx(4.0 / 3.0 * math.pi * (MARKERS[side][1] / 10.0) ** 3, rel=0.45)


def test_a_piece_ends_at_its_radius(volume: Volume) -> None:
    step = Piece(CENTRE_MM, 0.0, 3000.0, within_mm=12.0)
    near = np.linalg.norm(places(volume) - np.array(CENTRE_MM), axis=-1)
    assert np.array_equal(region(volume, step).astype(bool), (near <= 12.0) & (volume.voxels >= 0))


def test_a_rim_is_all_that_touches(volume: Volume) -> None:
    step = Piece(marker_mm("A"), 700.0, 3000.0)
    expected = ndimage.binary_dilation(region(volume, step).astype(bool), np.ones((3, 3, 3)))
    assert np.array_equal(region(volume, replace(step, rim=1)).astype(bool), expected)


def test_steps_go_over_one_another(volume: Volume) -> None:
    steps: tuple[MaskStep, ...] = (
        Values(0.0, 4000.0, label=1),
        Piece(marker_mm("L"), 700.0, 4000.0, label=2),
        Scissors(star(View()), View(), label=0),
    )
    expected = np.where(volume.voxels >= 0, 1, 0)
    expected[region(volume, steps[1]).astype(bool)] = 2
    expected[region(volume, steps[2]).astype(bool)] = 0
    assert np.array_equal(made(volume, steps).labels, expected)
    others = made(volume, (Piece(marker_mm("L"), 700.0, 4000.0, label=2, outside=True),)).labels
    assert np.array_equal(others == 2, region(volume, steps[1]) == 0)


corner = st.tuples(*[st.integers(-60, 60).map(float)] * 3)
steps = st.lists(
    st.one_of(
        st.builds(
            Scissors,
            st.lists(corner, min_size=3, max_size=6, unique=True).map(
                lambda cs: tuple(vector(np.add(c, CENTRE_MM)) for c in cs)
            ),
            st.builds(View, st.integers(0, 359), st.integers(-90, 90)),
            label=st.integers(0, 3),
            outside=st.booleans(),
        ),
        st.builds(lambda low, label: Values(low, low + 700.0, label), st.integers(-900, 900), st.integers(0, 3)),
        st.builds(Piece, st.just(CENTRE_MM), st.just(0.0), st.just(3000.0), label=st.integers(0, 3)),
    ),
    min_size=1,
    max_size=4,
).map(tuple)


@pytest.mark.slow
@given(steps)
@settings(max_examples=examples(25), deadline=None)
def test_one_step_more_is_the_same_as_all_at_once(taken: tuple[MaskStep, ...]) -> None:
    """What is remembered of the steps before changes nothing, nor does a way through a record."""
    volume = phantom()
    for n in range(1, len(taken) + 1):
        last = made(volume, taken[:n])
    assert made(replace(volume), taken).digest == last.digest
    recipe = Projection("mip", WINDOW, masking=(OUTSIDE,), segments=taken)
    again = read_recipe(canonical_json(recipe))
    assert again == recipe


def vertebra() -> Volume:
    """A shell of cortex about marrow, and a vessel as dense as contrast makes it, 5 mm away; voxels of 1 mm."""
    at = np.moveaxis(np.indices((24, 70, 70)), 0, -1).astype(np.float64)
    body = np.hypot(at[..., 1] - 40.0, at[..., 2] - 35.0)
    vessel = np.hypot(at[..., 1] - 14.0, at[..., 2] - 35.0)
    values = np.full(at.shape[:3], 40.0)
    values[body < 15.0] = 200.0
    values[(body >= 13.0) & (body < 15.0)] = 700.0
    values[vessel < 6.0] = 350.0
    return Volume(values.astype(np.int16), np.eye(4), "HU")


def test_bone_goes_with_its_marrow_and_the_vessel_stays() -> None:
    volume = vertebra()
    found = region(volume, Bone()).astype(bool)
    at = np.moveaxis(np.indices(volume.shape), 0, -1)
    assert found[np.hypot(at[..., 1] - 40, at[..., 2] - 35) < 15.0].all()
    assert not found[np.hypot(at[..., 1] - 14, at[..., 2] - 35) < 6.0].any()
    assert not found[volume.voxels == 40].any()


def test_a_picture_follows_its_steps(volume: Volume) -> None:
    cut = Projection(
        "mip",
        WINDOW,
        View.parse("foot"),
        masking=(OUTSIDE,),
        segments=(Piece(marker_mm("L"), 500.0, 4000.0),),
        rows=96,
        columns=96,
    )
    picture = draw(volume, cut)
    labels = Mask(region(volume, cut.segments[0]))
    given_one = draw(volume, replace(cut, segments=()), mask=labels)
    assert np.array_equal(picture.pixels, given_one.pixels)
    assert picture.provenance.mask_digest == labels.digest
    assert (picture.pixels != draw(volume, replace(cut, segments=(), masking=())).pixels).any()


def test_what_cannot_be_done_says_so(volume: Volume) -> None:
    with pytest.raises(StepError, match="3 to 2000"):
        Scissors((CENTRE_MM,), View())
    with pytest.raises(RecipeError, match="without masking"):
        Projection("mip", WINDOW, segments=(Bone(),))
    far = Projection("mip", WINDOW, masking=(OUTSIDE,), segments=(Piece((900.0, 0.0, 0.0), 0.0, 1.0),))
    with pytest.raises(DrawError, match="outside the volume"):
        draw(volume, far)
    air = replace(far, segments=(Piece(CENTRE_MM, 500.0, 600.0),))
    with pytest.raises(DrawError, match="not from 500 to 600"):
        draw(volume, air)
    with pytest.raises(DrawError, match="drop one"):
        draw(volume, air, mask=Mask(np.zeros(volume.shape, np.uint8)))
