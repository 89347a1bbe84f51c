"""Steps that grow, paint, outline, divide, shape and combine, on a grid small enough to say what they have to give."""

import math
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from render import (
    Boolean,
    Brush,
    Grown,
    KeptParts,
    MaskStep,
    Outlines,
    Projection,
    Shaped,
    StepError,
    Strokes,
    Values,
    View,
    Volume,
    Window,
    read_recipe,
)
from render.geometry import Vector, affine_from
from render.recipe import LabelRule, canonical_json
from render.segment import made, region, volume_ml
from tests.thorough import slowly

SPACING = (1.5, 1.0, 1.0)


def two_balls() -> Volume:
    """Two balls of 100 joined by a thin bridge, one with a darker rim of 60, in a room of 0; a crumb apart."""
    k, j, i = np.indices((28, 40, 60)).astype(np.float64)
    z, y, x = k * SPACING[0], j * SPACING[1], i * SPACING[2]
    values = np.zeros(k.shape)
    first = np.sqrt((z - 20) ** 2 + (y - 20) ** 2 + (x - 16) ** 2)
    values[first < 11] = 60
    values[first < 9] = 100
    values[np.sqrt((z - 20) ** 2 + (y - 20) ** 2 + (x - 44) ** 2) < 9] = 100
    values[(np.hypot(z - 20, y - 20) < 1.6) & (x > 16) & (x < 44)] = 100
    values[2:4, 2:4, 2:4] = 100
    affine = affine_from((-30.0, -20.0, 5.0), (0, 0, SPACING[0]), (0, SPACING[1], 0), (SPACING[2], 0, 0))
    return Volume(values.astype(np.int16), affine, "HU")


@pytest.fixture(scope="module")
def volume() -> Volume:
    return two_balls()


def at(x: float, y: float = 20.0, z: float = 20.0) -> Vector:
    return (x - 30.0, y - 20.0, z + 5.0)


def ball_ml(radius: float) -> float:
    return 4.0 / 3.0 * math.pi * radius**3 / 1000.0


def test_growing_crosses_a_bridge_unless_a_neck_is_said(volume: Volume) -> None:
    both = volume_ml(volume, region(volume, Grown((at(16),), 90, 110)))
    one = volume_ml(volume, region(volume, Grown((at(16),), 90, 110, neck_mm=5.0)))
    assert both > 1.9 * ball_ml(9)
    assert one == pytest.approx(ball_ml(9), rel=0.06)


def test_a_leak_is_refused(volume: Volume) -> None:
    with pytest.raises(StepError, match="it leaks"):
        region(volume, Grown((at(16),), 90, 110, most_ml=4.0))
    with pytest.raises(StepError, match="thinner than neck_mm"):
        region(volume, Grown((at(30),), 90, 110, neck_mm=6.0))


def test_hysteresis_takes_the_rim_of_a_core(volume: Volume) -> None:
    rim = Grown((at(16),), 50, 110, 90, 110, reach_mm=2.5, within_mm=12.0)
    assert volume_ml(volume, region(volume, rim)) == pytest.approx(ball_ml(11), rel=0.06)
    every = region(volume, Grown((), 50, 110, 90, 110))
    assert np.array_equal(every == 1, volume.voxels >= 50)


def test_parts_keep_the_largest(volume: Volume) -> None:
    every = Values(50, 110)
    assert made(volume, (every, KeptParts(largest=1))).labels[2, 2, 2] == 0
    assert made(volume, (every, KeptParts(least_ml=0.001))).labels[2, 2, 2] == 1
    assert made(volume, (every, KeptParts(largest=1, label=2))).labels[2, 2, 2] == 1


@pytest.mark.parametrize(
    ("operation", "radius"), [("grow", 11.0), ("shrink", 7.0), ("open", 9.0), ("close", 9.0), ("smooth", 8.5)]
)
def test_a_ball_in_another_shape_is_a_ball(volume: Volume, operation: str, radius: float) -> None:
    one = (Grown((at(44),), 90, 110, neck_mm=5.0), Shaped(operation, 2.0))  # type: ignore[arg-type]
    found = (made(volume, one).labels == 1).view(np.uint8)
    assert volume_ml(volume, found) == pytest.approx(ball_ml(radius), rel=0.13)


def test_growing_spares_other_labels_and_filling_fills(volume: Volume) -> None:
    shell = Values(60, 60, label=2)
    labels = made(volume, (Values(100, 100), shell, Shaped("grow", 5.0))).labels
    assert np.array_equal(labels == 2, volume.voxels == 60)
    filled = made(volume, (Values(60, 60), Shaped("fill"))).labels
    assert filled[13, 20, 16] == 0, "the bridge leads out of the shell"
    closed = made(volume, (Values(60, 60), Brush((at(25.5),), 3.0), Shaped("fill"))).labels
    assert closed[13, 20, 16] == 1


@pytest.mark.parametrize(
    ("operation", "wanted"), [("union", 50), ("intersection", 100), ("difference", 60), ("either", 60)]
)
def test_masks_are_combined(volume: Volume, operation: str, wanted: int) -> None:
    steps: tuple[MaskStep, ...] = (Values(50, 110), Boolean(operation, (Values(90, 110, label=7),)))  # type: ignore[arg-type]
    expected = volume.voxels >= 50 if wanted == 50 else volume.voxels == wanted
    assert np.array_equal(made(volume, steps).labels == 1, expected)


def test_a_brush_paints_and_erases(volume: Volume) -> None:
    painted = made(volume, (Brush((at(20), at(40)), 4.0),)).labels
    length, disc = 20.0, math.pi * 16.0
    assert volume_ml(volume, painted) == pytest.approx((disc * length + 4 / 3 * math.pi * 64) / 1000, rel=0.06)
    flat = made(volume, (Brush((at(30),), 6.0, "disc", View.parse("foot"), 1.0),)).labels
    assert set(np.nonzero(flat)[0]) == {13}
    erased = made(volume, (Brush((at(20), at(40)), 4.0), Brush((at(30),), 50.0, label=0))).labels
    assert not erased.any()


def test_outlines_are_interpolated(volume: Volume) -> None:
    def circle(z: float, radius: float) -> tuple[Vector, ...]:
        turns = np.linspace(0, 2 * math.pi, 40, endpoint=False)
        return tuple(at(30 + radius * math.cos(t), 20 + radius * math.sin(t), z) for t in turns)

    step = Outlines((circle(6.0, 6.0), circle(34.5, 12.0)), View.parse("head"))
    found = region(volume, step)
    cone = math.pi * 28.5 / 3 * (36 + 72 + 144) / 1000
    # The planes themselves are within it: half a slice more at either end.
    assert volume_ml(volume, found) == pytest.approx(cone + math.pi * (36 + 144) * 0.75 / 1000, rel=0.04)
    with pytest.raises(StepError, match="one plane"):
        region(volume, replace(step, outlines_mm=(circle(6.0, 6.0), circle(6.0, 3.0))))


@pytest.mark.parametrize("method", ["watershed", *slowly("random_walker")])
def test_strokes_divide_what_growing_would_not(volume: Volume, method: Literal["watershed", "random_walker"]) -> None:
    step = Strokes(((at(12), at(20)),), ((at(40), at(48)),), margin_mm=14.0, method=method)
    found = region(volume, step)
    assert found[13, 20, 16] == 1
    assert found[13, 20, 44] == 0
    assert ball_ml(9) < volume_ml(volume, found) < ball_ml(11)


def test_steps_are_the_same_on_one_thread(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: tuple[MaskStep, ...] = (
        Grown((at(16),), 90, 110, neck_mm=5.0),
        Shaped("grow", 3.0),
        Boolean("union", (Brush((at(30),), 4.0),)),
    )
    several = made(volume, steps).digest
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    assert made(replace(volume), steps).digest == several


def test_a_recipe_with_them_is_read_again() -> None:
    steps: tuple[MaskStep, ...] = (
        Grown(((1.0, 2.0, 3.0),), 0.0, 5.0),
        KeptParts(largest=2),
        Shaped("open", 1.0),
        Boolean("difference", (Boolean("union", (Values(0.0, 1.0),)), Brush(((0.0, 0.0, 0.0),), 2.0))),
        Strokes((((0.0, 0.0, 0.0),),)),
    )
    recipe = Projection("mip", Window(40.0, 400.0), masking=(LabelRule(1, "exclude"),), segments=steps)
    assert read_recipe(canonical_json(recipe)) == recipe


def test_what_cannot_be_said_is_refused() -> None:
    for wrong in (
        lambda: Grown((), 0, 1),
        lambda: Grown(((0, 0, 0),), 0, 1, 2, 3),
        lambda: Shaped("grow", 99.0),
        lambda: Boolean("union", ()),
        lambda: Brush((), 1.0),
        lambda: KeptParts(of=300),
    ):
        with pytest.raises(StepError):
            wrong()
    with pytest.raises(StepError, match="marks nothing by itself"):
        region(two_balls(), KeptParts())
