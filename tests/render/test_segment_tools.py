"""The automatic tools and the lesion tool on phantoms of known truth, and where they have to decline."""

import math

import numpy as np
import pytest
from scipy import ndimage

from render import Automatic, Lesion, StepError, Volume
from render.geometry import Vector, affine_from
from render.mask import Mask
from render.mask_steps import Structure
from render.segment import distances_mm, find, made, measure_lesion, region, volume_ml
from render.segment.lesion_search import FoundLesion, check_again
from render.segment.star import sphere
from tests.accuracy.phantoms import ball, chest, nodule


@pytest.fixture(scope="module")
def trunk() -> Volume:
    return chest()


def shares(volume: Volume, found: np.ndarray, value_low: float, value_high: float) -> float:
    """The share of the voxels between two values that a region takes."""
    there = (volume.voxels >= value_low) & (volume.voxels <= value_high)
    return float(np.count_nonzero(found[there])) / float(np.count_nonzero(there))


def test_the_body_is_found_without_the_table(trunk: Volume) -> None:
    found = find(trunk, "body")
    assert found.confidence > 0.9
    assert not found.region[:, -3:].any(), "the table"
    assert shares(trunk, found.region, -860, -840) > 0.97, "lungs are inside"


def test_lungs_are_found_with_their_vessels(trunk: Volume) -> None:
    found = find(trunk, "lungs")
    assert not found.declined
    assert shares(trunk, found.region, -860, -840) > 0.97
    assert volume_ml(trunk, found.region) == pytest.approx(2 * 4 / 3 * math.pi * 35 * 45 * 60 / 1000 * 0.8, rel=0.25)


def test_bone_is_found_and_the_aorta_as_bright_as_bone_is_left(trunk: Volume) -> None:
    found = find(trunk, "bone")
    assert shares(trunk, found.region, 600, 900) > 0.9
    assert shares(trunk, found.region, 345, 355) == 0.0


@pytest.mark.parametrize("structure", ["body", "lungs", "airways", "bone"])
def test_a_volume_without_hounsfield_units_is_declined(structure: Structure) -> None:
    volume = Volume(np.zeros((4, 4, 4), np.int16), np.eye(4), "1")
    found = find(volume, structure)
    assert "HU" in found.declined
    assert found.confidence == 0.0
    with pytest.raises(StepError, match="HU"):
        made(volume, (Automatic(structure),))


def test_what_is_not_there_is_declined(trunk: Volume) -> None:
    assert "no brain" in find(trunk, "brain").declined
    assert "no trachea" in find(trunk, "airways").declined
    head = Volume(np.full((8, 30, 30), -1000, np.int16), np.eye(4), "HU")
    assert "no lung" in find(head, "lungs").declined
    assert "no body" in find(head, "body").declined
    assert find(head, "bone").declined


@pytest.mark.slow
def test_a_brain_on_mr_is_told_from_the_scalp() -> None:
    """A ball of brain in a dark rim, and fat about it."""
    k, j, i = np.indices((66, 72, 72)).astype(np.float64) * 3.0
    far = np.sqrt((k - 99) ** 2 + (j - 108) ** 2 + (i - 108) ** 2)
    values = np.where(far < 70, 100.0, np.where(far < 76, 10.0, np.where(far < 84, 160.0, 0.0)))
    soft = ndimage.gaussian_filter(values, 0.5)
    affine = affine_from((0, 0, 0), (0, 0, 3), (0, 3, 0), (3, 0, 0))
    volume = Volume(np.rint(soft).astype(np.int16), affine, "1")
    found = find(volume, "brain")
    assert not found.declined
    brain = far < 71.5
    both = np.count_nonzero((found.region == 1) & brain)
    assert 2 * both / (np.count_nonzero(found.region) + np.count_nonzero(brain)) > 0.95


@pytest.mark.parametrize("wall", [False, True])
@pytest.mark.parametrize(("inside", "outside", "noise"), [(40.0, -850.0, 20.0), (76.0, 112.0, 12.0)])
def test_a_lesion_is_measured(inside: float, outside: float, noise: float, wall: bool) -> None:
    volume, centre, truth = ball((10.0, 10.0, 10.0), (1.0, 0.8, 0.8), inside, outside, noise, 9.5 if wall else None)
    found = measure_lesion(volume, (centre[0] - 2.0, centre[1] + 1.0, centre[2]))
    assert found.declined == ""
    assert found.volume_ml == pytest.approx(truth, rel=0.03)
    assert found.longest_mm == pytest.approx(20.0, abs=1.3)
    assert found.recist_mm == pytest.approx(20.0, abs=1.1)
    assert found.short_axis_mm == pytest.approx(20.0, abs=1.1)
    assert found.mean == pytest.approx(inside, abs=0.12 * abs(outside - inside))
    mask = region(volume, Lesion((centre[0] - 2.0, centre[1] + 1.0, centre[2])))
    assert volume_ml(volume, mask) == pytest.approx(truth, rel=0.04)


@pytest.mark.parametrize(
    ("radius", "glass", "core", "off", "density"),
    [
        (6.0, -650.0, 0.0, 0.0, "ground-glass"),
        pytest.param(10.0, -600.0, 4.0, 0.0, "part-solid", marks=pytest.mark.slow),
        (10.0, -500.0, 3.0, 6.0, "part-solid"),  # clicked beside its solid part
        (6.0, 30.0, 0.0, 2.0, "solid"),
    ],
)
def test_nodules_of_ground_glass_are_measured_whole(
    radius: float, glass: float, core: float, off: float, density: str
) -> None:
    volume, (x, y, z) = nodule(radius, glass, core)
    found = measure_lesion(volume, (x + off, y, z))
    assert not found.declined and found.density == density
    assert found.volume_ml == pytest.approx(4.0 / 3.0 * np.pi * radius**3 / 1000.0, rel=0.04)
    assert found.solid_ml == pytest.approx(4.0 / 3.0 * np.pi * core**3 / 1000.0, rel=0.08)
    assert found.solid_mm == pytest.approx(2.0 * core, abs=0.6)


def test_the_distance_to_another_structure_is_between_their_surfaces() -> None:
    volume, (x, y, z) = nodule(6.0, 30.0, 0.0)
    k, j, i = np.indices(volume.shape)
    labels = np.where((i * 0.7 > x + 16.0), 1, 0)  # a wall 10 mm from the ball
    labels[(np.abs(j * 0.7 - y) < 2.0) & (np.abs(i * 0.7 - x) < 3.0) & (np.abs(k * 1.25 - z) < 2.0)] = 2  # within it
    found = distances_mm(volume, (x, y, z), Mask(labels.astype(np.uint8)), (1, 2, 3))
    assert found[1] == pytest.approx(10.0, abs=1.0)
    assert (found[2], found[3]) == (0.0, None)


def test_the_axes_of_a_lesion_are_those_of_the_scan_plane() -> None:
    volume, centre, truth = ball((16.0, 12.0, 8.0), (1.0, 0.8, 0.8), 40.0, -850.0, 10.0)
    found = measure_lesion(volume, centre)
    assert found.volume_ml == pytest.approx(truth, rel=0.03)
    # Longest along the slices' normal, which no plane of the scan shows.
    assert found.longest_mm == pytest.approx(32.0, abs=1.0)
    assert found.recist_mm == pytest.approx(24.0, abs=0.8)
    assert found.short_axis_mm == pytest.approx(16.0, abs=0.8)


def test_a_click_elsewhere_is_declined() -> None:
    volume, centre, _ = ball((10.0, 10.0, 10.0), (1.0, 0.8, 0.8), 40.0, -850.0, 20.0)
    air: Vector = (centre[0] + 20.0, centre[1] + 18.0, centre[2] + 18.0)
    assert measure_lesion(volume, air).declined
    assert "outside the volume" in measure_lesion(volume, (900.0, 0.0, 0.0)).declined


def test_a_vessel_is_declined() -> None:
    j, i = np.indices((75, 75)) * 0.8
    tube = np.where(np.hypot(j - 30, i - 30) < 6, 300.0, 40.0)[None].repeat(60, axis=0)
    noisy = tube + np.random.default_rng(1).normal(0, 10, tube.shape)
    affine = affine_from((0, 0, 0), (0, 0, 1), (0, 0.8, 0), (0.8, 0, 0))
    found = measure_lesion(Volume(np.rint(noisy).astype(np.int16), affine, "HU"), (30.0, 30.0, 30.0))
    assert found.declined


def as_found(radius_mm: float, confidence: float) -> FoundLesion:
    corners, triangles, _ = sphere(2)
    return FoundLesion(corners * radius_mm, triangles, confidence)


@pytest.mark.parametrize(
    ("again", "confidence", "says"),
    [
        (None, 0.7, "no longer there when the picture is smoothed"),
        (as_found(9.0, 0.9), 0.85, "where it ends cannot be told"),
        (None, 0.85, ""),
        (as_found(6.3, 0.7), 0.7, ""),
    ],
)
def test_a_lesion_without_a_plain_edge_has_to_be_there_again(
    again: FoundLesion | None, confidence: float, says: str
) -> None:
    """A tumour of liver of 84 ml once was 0.13 ml of its own noise."""
    found = as_found(6.0, confidence)
    if says:
        with pytest.raises(StepError, match=says):
            check_again(found, again, Lesion((0, 0, 0)))
    else:
        check_again(found, again, Lesion((0, 0, 0)))
