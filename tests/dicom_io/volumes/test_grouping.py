"""Series that hold several passes, foreign slices or several volumes at one place: split rightly, or not at all."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dicom_io.files.series import Series
from dicom_io.volumes.build import RefusedImages, Stack, assemble, find_stacks
from tests.dicom_io.synthetic import CT, MR, decimal, grid, write_series

Mark = Callable[[Dataset, int], None]


def passes(
    folder: Path, *places: Sequence[float], mark: Mark = lambda ds, turn: None, sop_class: str = CT, thick: float = 5.0
) -> Series:
    """A series of several passes. places : of each, in mm; its slices hold 100 times its number. mark(ds, turn) writes
    what tells it, and instance numbers count one pass after the other."""
    turns = [(turn, z) for turn, some in enumerate(places) for z in some]
    stored = np.zeros((len(turns), 4, 4), np.int16)
    stored += np.array([100 * (turn + 1) for turn, _ in turns], np.int16)[:, None, None]

    def change(ds: Dataset, k: int) -> None:
        turn, z = turns[k]
        ds.ImagePositionPatient = ["0", "0", decimal(z)]
        ds.SliceThickness = decimal(thick)
        mark(ds, turn)

    return write_series(folder, stored, grid(), sop_class=sop_class, change=change)


def number(ds: Dataset, turn: int) -> None:
    ds.AcquisitionNumber = turn + 1


def steps(count: int, step: float, start: float = 0.0) -> list[float]:
    return [start + step * k for k in range(count)]


def built(series: Series, *, bridge_gaps: bool = False) -> list[tuple[int, float, int]]:
    """(slices, step, value) of every volume; one value proves that no pass is mixed with another."""
    found = []
    for stack in find_stacks(series, bridge_gaps=bridge_gaps):
        if isinstance(stack, Stack):
            volume = assemble(stack)
            (value,) = np.unique(volume.voxels)
            found.append((volume.shape[0], round(volume.spacing_mm[0], 6), int(value)))
    return found


def refused(series: Series, *, bridge_gaps: bool = False) -> list[RefusedImages]:
    return [s for s in find_stacks(series, bridge_gaps=bridge_gaps) if isinstance(s, RefusedImages)]


def of(**values: Sequence[Any]) -> Mark:
    def mark(ds: Dataset, turn: int) -> None:
        for keyword, value in values.items():
            setattr(ds, keyword, value[turn])

    return mark


def time_of_each(ds: Dataset, turn: int) -> None:
    """Every slice has a time of its own; the second pass is a minute later."""
    ds.AcquisitionTime = f"1200{turn}{int(ds.InstanceNumber) % 10}.5" if turn == 0 else f"1201{ds.InstanceNumber:02}"


@pytest.mark.parametrize(
    "mark",
    [
        number,
        of(AcquisitionTime=["120000", "120100"]),
        of(ContrastBolusAgent=["NONE", "IOMERON"]),
        of(Exposure=["80", "220"]),
        of(IrradiationEventUID=["1.2.3", "1.2.4"]),
        time_of_each,
        lambda ds, turn: None,  # instance numbers alone
    ],
    ids=["number", "time", "contrast", "exposure", "event", "time of each slice", "instance numbers"],
)
def test_two_passes_of_a_ct_half_a_step_apart_are_two_volumes(tmp_path: Path, mark: Mark) -> None:
    series = passes(tmp_path, steps(8, 5.0), steps(8, 5.0, 2.5), mark=mark)
    assert sorted(built(series)) == [(8, 5.0, 100), (8, 5.0, 200)]


@pytest.mark.parametrize("mark", [number, of(AcquisitionTime=["120000", "120100"])])
def test_concatenations_of_an_mr_are_one_volume(tmp_path: Path, mark: Mark) -> None:
    series = passes(tmp_path, steps(6, 5.0), steps(6, 5.0, 2.5), mark=mark, sop_class=MR)
    (stack,) = find_stacks(series)
    assert isinstance(stack, Stack) and assemble(stack).shape[0] == 12


def test_concatenations_that_lack_a_slice_are_a_gap_and_no_two_volumes(tmp_path: Path) -> None:
    series = passes(tmp_path, steps(8, 5.0), [2.5, 7.5, 17.5, *steps(4, 5.0, 22.5)], mark=number, sop_class=MR)
    (gap,) = refused(series)
    assert "gap of 5 mm" in gap.reason and gap.bridgeable


def test_acquisitions_that_follow_each_other_are_one_volume(tmp_path: Path) -> None:
    series = passes(tmp_path, steps(6, 5.0), steps(6, 5.0, 30.0), mark=number)
    (stack,) = find_stacks(series)
    assert isinstance(stack, Stack) and len(stack.slices) == 12


def test_acquisitions_that_follow_each_other_with_a_gap_are_a_gap(tmp_path: Path) -> None:
    series = passes(tmp_path, steps(6, 5.0), steps(6, 5.0, 40.0), mark=number)
    (gap,) = refused(series)
    assert "gap of 15 mm" in gap.reason and gap.bridgeable


@pytest.mark.parametrize("bridge_gaps", [False, True])
@pytest.mark.parametrize(
    ("places", "volumes", "rest"),
    [
        ((steps(21, 5.0), steps(30, 5.0, 80.25), [65.8, 80.8, 135.8]), [(21, 5.0, 100), (30, 5.0, 200)], [3]),
        (([20.7], steps(20, 2.0)), [(20, 2.0, 200)], [1]),
        ((steps(20, 2.0), [60.0]), [(20, 2.0, 100)], [1]),  # beside the volume, not in it
        (([12.0, 12.0, 12.0], steps(20, 2.0)), [(20, 2.0, 200)], [3]),  # at a place of the volume, over and over
        (([9.0, 33.0], steps(20, 2.0)), [(20, 2.0, 200)], [2]),  # two are always evenly spaced
    ],
)
def test_foreign_slices_neither_stop_a_volume_nor_get_into_it(
    tmp_path: Path, places: Any, volumes: Any, rest: list[int], bridge_gaps: bool
) -> None:
    series = passes(tmp_path, *places, mark=number)
    assert built(series, bridge_gaps=bridge_gaps) == volumes
    out = refused(series, bridge_gaps=bridge_gaps)
    assert [r.count for r in out] == rest and not any(r.bridgeable for r in out)


def test_a_part_with_a_gap_is_refused_on_its_own(tmp_path: Path) -> None:
    series = passes(tmp_path, steps(20, 5.0), [*steps(8, 5.0, 2.5), *steps(9, 5.0, 52.5)], mark=number)
    assert built(series) == [(20, 5.0, 100)]
    (gap,) = refused(series)
    assert gap.label == "acquisition number 2" and gap.bridgeable and "gap of 15 mm" in gap.reason


# ------------------------------------------------------------------------------------ images at one place


def at_places(folder: Path, count: int, places: int, mark: Callable[[Dataset, int, int], None]) -> Series:
    """`count` images at each of several places. mark(ds, n, place) writes what orders them; image n holds n + 1."""
    stored = np.zeros((count * places, 4, 4), np.int16)
    stored += (1 + np.arange(count * places, dtype=np.int16) // places)[:, None, None]

    def change(ds: Dataset, k: int) -> None:
        n, place = divmod(k, places)
        ds.ImagePositionPatient = ["0", "0", decimal(3.0 * place)]
        ds.InstanceNumber = 1
        mark(ds, n, place)

    return write_series(folder, stored, grid(), sop_class=MR, change=change)


def philips(ds: Dataset, n: int, place: int) -> None:
    block = ds.private_block(0x2001, "Philips Imaging DD 001", create=True)
    block.add_new(0x08, "IS", str(1 + n // 2))
    block.add_new(0x0A, "IS", str(1 + place))
    ds.private_block(0x2005, "Philips MR Imaging DD 005", create=True).add_new(0x29, "CS", ["LABEL", "CONTROL"][n % 2])
    ds.TriggerTime = str(300 + 250 * (n // 2) + 21 * place)  # of the slice as well as of the phase


@pytest.mark.parametrize(
    ("mark", "label"),
    [
        (philips, "phase number 1, labelling CONTROL"),
        (lambda ds, n, place: setattr(ds, "TriggerTime", str(300 + 250 * n + 21.5 * place)), "trigger time 1 of 4"),
        (lambda ds, n, place: setattr(ds, "AcquisitionTime", f"1201{10 * n + place:02}.25"), "acquisition time 1 of 4"),
        (lambda ds, n, place: setattr(ds, "InstanceNumber", 50 + 200 * place + n), "instance number 1 of 4"),
        (lambda ds, n, place: setattr(ds, "InstanceNumber", 1 + 4 * place + n), "instance number 1 of 4"),
        (lambda ds, n, place: setattr(ds, "InstanceNumber", 1 + 6 * n + place), "instances 1 to 6"),
    ],
    ids=["Philips", "trigger", "time", "numbers far apart", "slice by slice", "volume by volume"],
)
def test_volumes_at_one_place_are_told_by_what_orders_them(tmp_path: Path, mark: Any, label: str) -> None:
    series = at_places(tmp_path, 4, 6, mark)
    stacks = [s for s in find_stacks(series) if isinstance(s, Stack)]
    assert stacks[0].label.startswith(label)
    assert sorted(built(series)) == [(6, 3.0, n) for n in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    "mark",
    [
        lambda ds, n, place: setattr(ds, "InstanceNumber", (7 * (4 * place + n)) % 24 + 1),
        lambda ds, n, place: setattr(ds, "TriggerTime", str(300 + 250 * n * (1 + place) + 21.5 * place)),
    ],
    ids=["numbers", "times"],
)
def test_what_orders_nothing_sets_nothing_apart(tmp_path: Path, mark: Any) -> None:
    (out,) = find_stacks(at_places(tmp_path, 4, 6, mark))
    assert isinstance(out, RefusedImages) and "nothing known sets the images apart" in out.reason


def test_many_parts_with_one_fault_are_told_in_one_sentence(tmp_path: Path) -> None:
    """Twelve stacks image two places each, twice."""
    (out,) = refused(at_places(tmp_path, 4, 12, lambda ds, n, place: setattr(ds, "StackID", f"{place // 2}{n // 2}")))
    assert (out.count, out.label) == (48, "12 parts that differ in stack, the first stack 0")


def test_a_slice_that_came_twice_is_one_slice_and_the_record_says_so(tmp_path: Path) -> None:
    def mark(ds: Dataset, n: int, place: int) -> None:
        ds.InstanceNumber = 1 + place
        ds.PixelData = bytes([place + 1, 0] * 16) if place != 2 or n == 0 else ds.PixelData

    def same(ds: Dataset, n: int, place: int) -> None:
        ds.InstanceNumber = 1 + place
        ds.PixelData = bytes([place + 1, 0] * 16)

    (stack,) = find_stacks(at_places(tmp_path / "same", 2, 6, same))
    assert isinstance(stack, Stack)
    volume = assemble(stack)
    np.testing.assert_array_equal(volume.voxels[:, 0, 0], np.arange(1, 7))
    assert volume.warnings == (
        "6 images are there twice, with the same pixels under another UID; one of each was taken.",
    )
    (out,) = find_stacks(at_places(tmp_path / "other", 2, 6, mark))  # one of them differs: nobody knows which is right
    assert isinstance(out, RefusedImages)
