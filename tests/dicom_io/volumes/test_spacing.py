"""Slices that are not evenly spaced: what is one spacing, what is several, what is missing, and what is two passes."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from dicom_io.errors import VolumeRefused
from dicom_io.files.series import Series, open_series
from dicom_io.volumes.build import RefusedImages, Stack, build_volume, find_stacks
from dicom_io.volumes.spacing import Hints, regular_places, spacing_of
from render.geometry import Affine, point
from tests.dicom_io.synthetic import MR, Change, decimal, grid, ramp, rotation, write_series

Z = np.array([0.0, 0.0, 1.0])


def at(places: list[float]) -> np.ndarray:
    return np.array([[0.0, 0.0, z] for z in places])


@pytest.mark.parametrize(
    ("places", "kind"),
    [
        ([0, 2.5, 5, 7.5, 10], "even"),
        ([0, 2.5, 5.02, 7.49, 10], "even"),
        ([0, 2.5, 5, 10, 12.5, 15], "gap"),
        ([0, 2.5, 5, 10, 15, 17.5, 20, 22.5], "gap"),  # two missing, one after the other
        ([0, 5, 7.5, 10], "gap"),
        ([0, 2.5, 5, 10], "gap"),
        ([0, 2.5, 7.5], "gap"),
        ([0, 2.5, 5, 7.5, 10, 15, 20, 25, 30], "uneven"),  # fine in the skull base, coarse above
        ([0, 1, 2.1, 3.3, 4.6, 6.0, 7.5], "uneven"),
        ([0, 1.2, 2.5, 3.7, 5.0, 6.2, 7.5, 8.7, 10], "double"),
        ([0, 0.1, 2.5, 2.6, 5.0, 5.1], "double"),
        ([0, 0.1, 5, 10, 15], "double"),  # one slice again, a little off
        ([0, 202.5, 203.75, 205], "gap"),
        ([0, 1.25, 202.5, 203.75], "gap"),
        ([0, 202.5, 203.75], "gap"),
        ([0, 1, 2, 3, 5, 7, 9, 11, 12, 13, 14], "gap"),  # regular on both sides of the stretch
    ],
)
def test_kinds(places: list[float], kind: str) -> None:
    assert spacing_of(at(places), Z).kind == kind


NOTHING = (np.nan, np.nan, 0, 0)
UNEVEN = [0, 1, 2, 3, 4, 6, 8, 10, 12]
MULTIPLES = [1, 2, 3, 4, 5, 7, 9, 11, 13]


def hints(thickness: object, between: object, in_stack: object, numbers: object) -> Hints:
    def full(value: object, kind: type) -> np.ndarray:
        return np.broadcast_to(np.asarray(value, kind), (len(UNEVEN),))

    return Hints(full(thickness, float), full(between, float), full(in_stack, int), full(numbers, int))


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        (NOTHING, "uneven", "1 to 2 mm"),
        ((1.0, np.nan, 0, 0), "gap", "all slices are 1 mm thick"),
        ((2.0, np.nan, 0, 0), "uneven", "1 to 2 mm"),  # thick slices touch everywhere
        (([1.0] * 5 + [2.0] * 4, np.nan, 0, 0), "uneven", "1 to 2 mm"),
        ((np.nan, 1.0, 0, 0), "gap", "Spacing Between Slices is 1 mm"),
        ((1.0, [1.0] * 5 + [2.0] * 4, 0, 0), "uneven", "1 to 2 mm"),
        ((np.nan, np.nan, MULTIPLES, 0), "gap", "In-Stack Positions 6, 8, 10, 12 are missing"),
        ((1.0, 1.0, range(1, 10), 0), "uneven", "1 to 2 mm"),  # the scanner counts them all
        ((np.nan, np.nan, 0, [14 - n for n in MULTIPLES]), "gap", "instance numbers are missing"),
        ((np.nan, np.nan, 0, range(1, 10)), "uneven", "1 to 2 mm"),
    ],
)
def test_a_longer_step_is_a_gap_where_the_slices_say_so(
    said: tuple[object, object, object, object], kind: str, words: str
) -> None:
    found = spacing_of(at([float(z) for z in UNEVEN]), Z, hints(*said))
    assert (found.kind, words in found.words + found.more) == (kind, True), found
    if kind == "gap":
        assert (found.at, found.words, found.expected) == (4, "2 mm", "1 ± 0.03 mm")


@pytest.mark.parametrize(
    ("said", "note"),
    [
        ((5.0, 5.0, 0, 0), "their Spacing Between Slices is 5 mm: every other slice may be missing"),
        ((5.0, 3.33, 0, 0), "2 of 3 slices may be missing"),
        ((5.0, 10.0, 0, 0), ""),
        ((8.0, 2.0, 0, 0), ""),  # written as the gap between the slices
        ((5.0, 7.0, 0, 0), ""),
        ((np.nan, np.nan, range(1, 18, 2), 0), "In-Stack Positions are 2 apart"),
        ((np.nan, np.nan, range(1, 10), range(1, 18, 2)), ""),
        (NOTHING, ""),
    ],
)
def test_even_slices_that_say_there_ought_to_be_more(said: tuple[object, object, object, object], note: str) -> None:
    found = spacing_of(at([10.0 * k for k in range(9)]), Z, hints(*said))
    assert found.kind == "even"
    assert (note in found.note) if note else not found.note


def test_a_drift_that_no_single_step_shows_is_no_even_spacing() -> None:
    steps = np.repeat([2.45, 2.55], 60)
    assert spacing_of(at([0.0, *np.cumsum(steps)]), Z).kind == "uneven"


@given(st.integers(2, 60), st.floats(0.3, 10.0), st.randoms(use_true_random=False))
def test_what_is_rounded_as_scanners_round_is_even(count: int, step: float, random: object) -> None:
    assert spacing_of(at([round(n * step, 2) for n in range(count)]), Z).kind == "even"


def test_places_are_even_and_keep_both_ends() -> None:
    along = np.array([1.0, 3.5, 6.0, 11.0, 16.0])
    places = regular_places(along)
    assert (places[0], places[-1]) == (1.0, 16.0)
    np.testing.assert_allclose(np.diff(places), 2.5)


def placed(affine: Affine, places: list[float]) -> Change:
    """Puts slice k where `places[k]` steps of the affine lead."""

    def change(ds: Dataset, k: int) -> None:
        ds.ImagePositionPatient = [decimal(v) for v in affine[:3, 3] + places[k] * affine[:3, 0]]

    return change


def test_a_tilted_volume_that_was_resampled_does_not_say_that_nothing_was(tmp_path: Path) -> None:
    affine, places = grid(tilt_mm=(0.6, 0.0)), [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 12.0]
    series = write_series(tmp_path, ramp((9, 4, 4)), affine, change=placed(affine, places))
    warnings = build_volume(series).warnings
    assert any("sheared accordingly." in w for w in warnings) and not any(
        "nothing was resampled" in w for w in warnings
    )


@pytest.mark.parametrize("tilt", [(0.0, 0.0), (0.6, 0.0)])
def test_uneven_slices_are_resampled_where_they_belong(tmp_path: Path, tilt: tuple[float, float]) -> None:
    """Values that grow along the slices grow as evenly afterwards, and lie where the patient has them."""
    affine = grid(rotation(0.4, 0.3, 0.2), (2.0, 0.8, 0.7), tilt_mm=tilt)
    places = [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 12.0]
    stored = np.zeros((9, 5, 6), np.int16)
    stored += (100 * np.array(places)).astype(np.int16)[:, None, None]
    series = write_series(tmp_path, stored, affine, change=placed(affine, places))
    volume = build_volume(series)
    assert volume.shape == (13, 5, 6)
    np.testing.assert_array_equal(volume.voxels[:, 0, 0], np.arange(13) * 100)
    for k in (0, 5, 12):
        assert point(volume.affine, (k, 2, 3)) == pytest.approx(point(affine, (k, 2, 3)), abs=1e-4)
    assert any("2 to 4 mm apart; the volume was resampled" in w and "from 9 to 13" in w for w in volume.warnings)
    assert volume.source_uids == tuple(i.sop_instance_uid for i in series.instances)


def test_floats_are_interpolated_as_floats(tmp_path: Path) -> None:
    affine, places = grid(), [0.0, 1.0, 2.0, 3.5, 5.0, 6.5]
    stored = np.zeros((6, 4, 4), np.int16) + np.array([0, 10, 20, 35, 50, 65], np.int16)[:, None, None]

    def change(ds: Dataset, k: int) -> None:
        placed(affine, places)(ds, k)
        ds.RescaleSlope = "0.1"

    volume = build_volume(write_series(tmp_path, stored, affine, change=change))
    assert volume.voxels.dtype == np.float32
    np.testing.assert_allclose(np.diff(volume.voxels[:, 0, 0]), 6.5 / (len(volume.voxels) - 1), rtol=1e-4)


def gapped(folder: Path) -> Series:
    write_series(folder, ramp((9, 4, 4)) * np.int16(3), grid())
    (folder / "0004.dcm").unlink()
    return open_series(folder)[0]


def test_a_gap_is_bridged_only_when_asked(tmp_path: Path) -> None:
    series = gapped(tmp_path)
    with pytest.raises(VolumeRefused, match=r"gap of 4 mm between instances 4 and 6.*--bridge-gaps"):
        build_volume(series)
    (refused,) = find_stacks(series)
    assert isinstance(refused, RefusedImages) and refused.bridgeable
    volume = build_volume(series, bridge_gaps=True)
    np.testing.assert_array_equal(volume.voxels, ramp((9, 4, 4)) * np.int16(3))
    assert any("Slices are missing (4 mm between instances 4 and 6)" in w and "bridged" in w for w in volume.warnings)


def test_bridging_changes_nothing_where_nothing_is_missing(tmp_path: Path) -> None:
    series = write_series(tmp_path, ramp((5, 4, 4)), grid())
    assert build_volume(series, bridge_gaps=True).digest == build_volume(series).digest


def test_two_passes_are_not_mixed_even_when_gaps_are_bridged(tmp_path: Path) -> None:
    affine = grid()
    places = [0.0, 0.1, 1.0, 1.1, 2.0, 2.1, 3.0, 3.1]
    series = write_series(tmp_path, ramp((8, 4, 4)), affine, change=placed(affine, places))
    with pytest.raises(VolumeRefused, match="two passes over the same place"):
        build_volume(series, bridge_gaps=True)


@pytest.mark.parametrize("offset", [0.5, 0.2])
def test_phases_that_lie_between_each_other_are_kept_apart(tmp_path: Path, offset: float) -> None:
    """The second pass is a part of a step beside the first: no place is imaged twice, and yet these are two volumes."""
    affine = grid()
    places = [float(k) for k in range(5)] + [k + offset for k in range(5)]

    def change(ds: Dataset, k: int) -> None:
        placed(affine, places)(ds, k)
        ds.ContrastBolusAgentPhase = "arterial" if k < 5 else "venous"
        ds.InstanceNumber = 1 + k % 5 * 2 + k // 5

    series = write_series(tmp_path, ramp((10, 4, 4)), affine, sop_class=MR, change=change)
    stacks = find_stacks(series)
    assert [s.label for s in stacks] == ["contrast phase arterial", "contrast phase venous"]
    assert all(isinstance(s, Stack) and "differ in contrast phase lie between each other" in s.reason for s in stacks)
    np.testing.assert_array_equal(build_volume(series, 1).voxels, ramp((10, 4, 4))[5:])


def test_parts_that_follow_each_other_are_one_volume(tmp_path: Path) -> None:
    def change(ds: Dataset, k: int) -> None:
        ds.ConvolutionKernel = "A" if k < 3 else "B"

    assert build_volume(write_series(tmp_path, ramp((6, 4, 4)), grid(), change=change)).shape == (6, 4, 4)
