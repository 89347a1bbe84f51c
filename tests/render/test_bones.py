"""Bones in parts, the heads of their joints, and measures between them, on phantoms of known truth."""

import math
from dataclasses import replace

import numpy as np
import pytest

from render import Automatic, Fragments, StepError, Values, Volume
from render.geometry import affine_from
from render.segment import made, region
from render.segment.ball_joint import fit_ball
from render.segment.bone_measures import angle_deg, line_through, measure_femur, part_axis, shaft_axis
from tests.accuracy.bones import RADIUS, Hip, balls, hip, measured, sizes_ml

STEP = Fragments(of=254, label=1)
COARSE = (2.0, 1.5, 1.5)


@pytest.fixture(scope="module")
def femur() -> Hip:
    return hip(1, COARSE, 135.0, 25.0, 2.0)


@pytest.mark.parametrize(("neck", "parts"), [(0.0, 2), (4.0, 2), (9.0, 1)])
def test_bones_are_told_apart_by_a_neck_and_not_where_they_are_about_as_wide(neck: float, parts: int) -> None:
    found = sizes_ml(balls(neck, COARSE, 1), STEP)
    assert len(found) == parts
    if parts == 2:
        assert found == pytest.approx([11.5, 5.6], rel=0.06), "the largest first"


def test_how_narrow_a_neck_is_and_how_small_a_part_may_be_said() -> None:
    joined = balls(4.0, COARSE)
    assert len(sizes_ml(joined, replace(STEP, neck=0.2))) == 1
    assert len(sizes_ml(joined, replace(STEP, least_ml=8.0))) == 1
    assert len(sizes_ml(joined, replace(STEP, most=1))) == 1
    rest = made(joined, (Values(300.0, 3000.0, label=254), replace(STEP, least_ml=8.0))).labels
    assert np.count_nonzero(rest == 254) > 100, "what is too small stays what it was"
    with pytest.raises(StepError, match="No part of label 254 is as large as 90 ml"):
        sizes_ml(joined, replace(STEP, least_ml=90.0))
    with pytest.raises(StepError, match="Label 254 is empty"):
        sizes_ml(joined, STEP, 2900.0)


def test_a_plate_of_metal_is_a_part_of_its_own_and_its_streaks_are_none() -> None:
    plain = balls(9.0, COARSE)
    voxels = plain.voxels.copy()
    voxels[20:24, 12:14, 20:36] = 3000
    voxels[28, 18, 10:40] = 2200  # a streak
    voxels[28, 30, 30] = 3000  # one voxel of noise
    labels = made(Volume(voxels, plain.affine, "HU"), (Values(300.0, 4000.0, label=254), STEP)).labels
    metal = labels == 255
    assert metal[20:24, 12:14, 20:36].all()
    assert np.count_nonzero(metal) == 4 * 2 * 16
    whole = made(
        Volume(voxels, plain.affine, "HU"), (Values(300.0, 4000.0, label=254), replace(STEP, metal=None))
    ).labels
    assert not (whole == 255).any()


def test_a_head_is_told_from_its_socket(femur: Hip) -> None:
    """The sphere takes the femur's whole head out, though the joint space is no wider than two voxels."""
    steps = (Values(180.0, 3000.0, label=254), replace(STEP, heads_mm=(femur.head_mm,)))
    labels = made(femur.volume, steps).labels
    k, j, i = np.indices(labels.shape).astype(np.float64)
    at = np.stack([k, j, i], axis=-1) @ femur.volume.affine[:3, :3].T + femur.volume.affine[:3, 3]
    away = np.sqrt(((at - np.array(femur.head_mm)) ** 2).sum(axis=-1))
    bone = femur.volume.voxels >= 180
    assert set(np.unique(labels[bone & (away < RADIUS - 1.5)])) == {1}
    axis = np.array(femur.head_mm) - np.array(femur.neck_mm)
    socket = bone & (away > RADIUS + 3.5) & (away < RADIUS + 7.0) & ((at - np.array(femur.head_mm)) @ axis > 200.0)
    assert set(np.unique(labels[socket])) == {2}


def test_a_femur_is_measured_from_clicks_beside_the_truth(femur: Hip) -> None:
    found = measured(femur)
    assert math.dist(found.head_mm, femur.head_mm) < 0.5
    assert found.radius_mm == pytest.approx(RADIUS, abs=0.5)
    assert found.neck_shaft_deg == pytest.approx(femur.neck_shaft_deg, abs=1.0)
    assert found.version_deg == pytest.approx(femur.version_deg, abs=1.0)
    assert found.offset_mm == pytest.approx(femur.offset_mm, abs=0.7)


def test_what_is_not_there_is_declined(femur: Hip) -> None:
    x, y, z = femur.head_mm
    assert "No head" in fit_ball(femur.volume, (x + 40.0, y, z)).declined
    assert "HU" in fit_ball(replace(femur.volume, unit="1"), femur.head_mm).declined
    with pytest.raises(StepError, match="No head"):
        measure_femur(femur.volume, (x + 40.0, y, z))
    with pytest.raises(StepError, match="its axis needs 30 mm"):
        shaft_axis(femur.volume, femur.shaft_mm[0], (femur.shaft_mm[0][0], *femur.shaft_mm[0][1:2], z - 60.0))
    with pytest.raises(StepError, match="No shaft"):
        shaft_axis(femur.volume, (x + 40.0, y, z), (x + 40.0, y, z - 50.0))
    with pytest.raises(StepError, match="outside the volume"):
        fit_ball(femur.volume, (9999.0, y, z))
    with pytest.raises(StepError, match="No head"):
        made(femur.volume, (Values(180.0, 3000.0, label=254), replace(STEP, heads_mm=((x + 40.0, y, z),))))


def test_the_angle_between_two_lines_in_space_and_as_seen() -> None:
    level, rising = line_through((0, 0, 0), (10, 0, 0)), line_through((0, 0, 0), (10, 10, 10 * math.sqrt(2)))
    assert angle_deg(level, rising) == pytest.approx(60.0)
    assert angle_deg(level, rising, (0.0, 0.0, 1.0)) == pytest.approx(45.0)
    with pytest.raises(StepError, match="end-on"):
        angle_deg(level, rising, (1.0, 0.0, 0.0))
    with pytest.raises(StepError, match="less than 1 mm"):
        line_through((0, 0, 0), (0.2, 0, 0))


def test_the_axis_of_a_part_is_its_long_one() -> None:
    part = np.zeros((30, 20, 20), np.uint8)
    for n in range(30):
        part[n, 8:11, (n // 3) : (n // 3) + 3] = 1
    volume = Volume(np.zeros(part.shape, np.int16), affine_from((0, 0, 0), (0, 0, 2), (0, 1, 0), (1.5, 0, 0)), "HU")
    axis = part_axis(volume, part)
    assert angle_deg(axis, line_through((0, 0, 0), (0.5, 0, 2.0))) < 1.0
    assert axis.direction[2] > 0.0, "upwards"
    with pytest.raises(StepError, match="about as wide as long"):
        part_axis(volume, np.ones((10, 20, 13), np.uint8))
    with pytest.raises(StepError, match="empty"):
        part_axis(volume, np.zeros_like(part))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"neck": 0.0}, "neck 0"),
        ({"least_ml": -1.0}, "least_ml"),
        ({"most": 255}, "labels 1 to 255"),
        ({"of": 5}, "label 5, which is divided"),
        ({"metal_label": 7}, "metal_label 7"),
        ({"heads_mm": ((0.0, 0.0, 0.0),) * 9}, "8 clicks"),
    ],
)
def test_a_step_that_cannot_be_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(StepError, match=said):
        replace(STEP, **wrong)  # type: ignore[arg-type]


def test_bones_are_found_before_they_are_divided() -> None:
    volume = Volume(np.full((4, 4, 4), 300, np.int16), np.eye(4), "HU")
    with pytest.raises(StepError, match="changes what an earlier step"):
        region(volume, STEP)
    with pytest.raises(StepError, match="There is no bone"):
        made(volume, (Automatic("bone", label=254), STEP))
