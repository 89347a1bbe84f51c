"""Volumes from series of known truth: every voxel where it was, or a refusal that says why."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom_io.errors import NotReadable, VolumeRefused
from dicom_io.files.series import Series, open_series
from dicom_io.uids import derived
from dicom_io.volumes.build import RefusedImages, Stack, assemble, build_volume, find_stacks
from render.geometry import Affine, point
from render.volume import Volume
from tests.dicom_io.synthetic import (
    CT,
    HTJ2K,
    J2K,
    JPEG_LS,
    MR,
    RLE,
    SYNTAXES,
    grid,
    image,
    ramp,
    rotation,
    save,
    write_series,
)
from tests.thorough import examples

ANGLES = st.floats(-3.14, 3.14)
SPACINGS = st.floats(0.2, 8.0)


@st.composite
def grids(draw: st.DrawFn) -> Affine:
    turn = rotation(draw(ANGLES), draw(ANGLES), draw(ANGLES))
    spacing = (draw(st.sampled_from([1.0, -1.0])) * draw(SPACINGS), draw(SPACINGS), draw(SPACINGS))
    tilt = draw(st.sampled_from([0.0, 0.4, -0.4])) * abs(spacing[0])
    origin = (draw(st.floats(-500, 500)), draw(st.floats(-500, 500)), draw(st.floats(-2000, 2000)))
    return grid(turn, spacing, origin, (tilt, -tilt / 2))


def values_at(volume: Volume, affine: Affine, shape: tuple[int, ...]) -> NDArray[Any]:
    """The volume's values at the LPS positions of the voxels of another grid."""
    index = np.indices(shape).reshape(3, -1)
    positions = affine[:3, :3] @ index + affine[:3, 3:]
    found = volume.to_index[:3, :3] @ positions + volume.to_index[:3, 3:]
    nearest = np.rint(found).astype(int)
    assert np.abs(found - nearest).max() < 1e-2
    return np.asarray(volume.voxels[tuple(nearest)].reshape(shape))


@settings(max_examples=examples(90), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    affine=grids(),
    shape=st.tuples(st.integers(2, 5), st.integers(2, 7), st.integers(2, 7)),
    dtype=st.sampled_from(["int16", "uint16", "uint8"]),
    scale=st.sampled_from([(1.0, 0.0), (1.0, -1024.0), (2.0, 3.0), (0.5, 0.0), (1.37, -7.25), (0.000244, 1.0)]),
    syntax=st.sampled_from(SYNTAXES),
    order=st.randoms(use_true_random=False),
    data=st.data(),
)
def test_every_voxel_comes_back_where_it_was(
    affine: Affine,
    shape: tuple[int, int, int],
    dtype: str,
    scale: tuple[float, float],
    syntax: str,
    order: Any,
    data: st.DataObject,
) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    if syntax in (J2K, JPEG_LS, HTJ2K):
        # J2K's five levels need 32 pixels, and the JPEG-LS encoder gives up where noise would grow.
        shape = (shape[0], shape[1] + 30, shape[2] + 30)
        low = int(random.integers(low, high - 15))
        high = low + 15
    stored = random.integers(low, high, shape, dtype=dtype, endpoint=True)
    names = [f"{n}.dcm" for n in range(shape[0])]
    order.shuffle(names)

    def change(ds: Dataset, k: int) -> None:
        ds.RescaleSlope, ds.RescaleIntercept = f"{scale[0]:g}", f"{scale[1]:g}"
        ds.InstanceNumber = int(names[k].removesuffix(".dcm"))  # as meaningless as the name

    with tempfile.TemporaryDirectory() as folder:
        volume = build_volume(write_series(Path(folder), stored, affine, syntax=syntax, names=names, change=change))

    expected = stored.astype(np.float64) * scale[0] + scale[1]
    fits = scale[0].is_integer() and np.abs(expected + 0.5).max() < 32768
    assert volume.voxels.dtype == (np.int16 if fits else np.float32)
    np.testing.assert_array_equal(values_at(volume, affine, shape), expected.astype(volume.voxels.dtype))
    # k runs along row × column whatever the order of acquisition: (i, j, k) is right-handed.
    i, j, k = (volume.affine[:3, column] for column in (2, 1, 0))
    assert float(np.dot(np.cross(i, j), k)) > 0
    truth = np.array(affine)
    if np.linalg.det(affine[:3, :3]) > 0:  # (k, j, i) right-handed is (i, j, k) left-handed: the slices run backwards
        truth[:3, 3] += truth[:3, 0] * (shape[0] - 1)
        truth[:3, 0] *= -1
    np.testing.assert_allclose(volume.affine, truth, atol=1e-4)
    assert any("gantry" in w for w in volume.warnings) == (
        abs(affine[:3, 0] @ np.cross(i, j)) < 0.99 * np.prod(volume.spacing_mm)
    )
    for corner in ((0, 0, 0), (shape[0] - 1, shape[1] - 1, 0), (1.5, 0.25, 1.0)):
        assert point(volume.to_index, point(volume.affine, corner)) == pytest.approx(corner, abs=1e-8)


@settings(max_examples=examples(25), deadline=None)
@given(
    padding=st.sampled_from([-2000, -32768, 0]),
    width=st.sampled_from([None, 10]),
    seed=st.integers(0, 2**16),
    whole_slice=st.booleans(),
)
def test_padding_is_never_drawn(padding: int, width: int | None, seed: int, whole_slice: bool) -> None:
    random = np.random.default_rng(seed)
    stored = random.integers(100, 900, (3, 5, 6), dtype=np.int16)
    pad = random.random(stored.shape) < 0.3
    pad[:, 0, 0] = False
    if whole_slice:
        pad[1] = True
    stored[pad] = padding + (random.integers(0, width + 1, int(pad.sum())) if width else 0)

    def change(ds: Dataset, k: int) -> None:
        ds.add_new(0x00280120, "SS", padding)
        if width:
            ds.add_new(0x00280121, "SS", padding + width)
        ds.RescaleIntercept = "-24"

    with tempfile.TemporaryDirectory() as folder:
        volume = build_volume(write_series(Path(folder), stored, grid(), change=change))
    for k in range(3):
        low = -1024 if pad[k].all() else (stored[k] - 24)[~pad[k]].min()
        np.testing.assert_array_equal(volume.voxels[k], np.where(pad[k], low, stored[k] - 24))


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize(("dtype", "bits"), [("int16", 12), ("uint16", 12), ("uint16", 16), ("int16", 16)])
def test_bits_stored_below_allocated(tmp_path: Path, syntax: str, dtype: str, bits: int) -> None:
    top = 1 << (bits - 1)
    low, high = (-top, top - 1) if dtype == "int16" else (0, 2 * top - 1)
    stored = np.linspace(low, high, 2 * 32 * 32).astype(dtype).reshape(2, 32, 32)

    def change(ds: Dataset, k: int) -> None:
        ds.BitsStored, ds.HighBit = bits, bits - 1

    volume = build_volume(write_series(tmp_path, stored, grid(), syntax=syntax, change=change))
    np.testing.assert_array_equal(volume.voxels, stored)


def test_an_overlay_in_the_unused_bits_is_not_a_value(tmp_path: Path) -> None:
    stored = ramp((2, 4, 4), "uint16")

    def change(ds: Dataset, k: int) -> None:
        ds.BitsStored, ds.HighBit = 12, 11
        ds.PixelData = (stored[k] | 0xF000).astype("<u2").tobytes()

    np.testing.assert_array_equal(build_volume(write_series(tmp_path, stored, grid(), change=change)).voxels, stored)


def reason(series: Series) -> str:
    with pytest.raises(VolumeRefused) as caught:
        build_volume(series)
    assert series.uid in str(caught.value)
    return str(caught.value)


def drop(folder: Path, k: int) -> Series:
    (folder / f"{k:04}.dcm").unlink()
    return open_series(folder)[0]


def test_a_missing_slice_names_its_neighbours(tmp_path: Path) -> None:
    write_series(tmp_path, ramp((9, 4, 4)), grid(rotation(0.3, 0.2, 0.9), (2.5, 1.0, 1.0)))
    why = reason(drop(tmp_path, 4))
    assert "gap of 5 mm between instances 4 and 6, expected 2.5 ± 0.075 mm" in why
    assert "ask the modality" in why.lower()


@pytest.mark.parametrize("k", [0, 8])
def test_a_missing_end_only_makes_it_shorter(tmp_path: Path, k: int) -> None:
    write_series(tmp_path, ramp((9, 4, 4)), grid())
    assert build_volume(drop(tmp_path, k)).shape == (8, 4, 4)


def test_a_slice_off_the_line_is_refused(tmp_path: Path) -> None:
    def shifted(ds: Dataset, k: int) -> None:
        if k == 2:
            x, y, z = (float(v) for v in ds.ImagePositionPatient)
            ds.ImagePositionPatient = [x + 3.0, y, z]

    assert "straight line" in reason(write_series(tmp_path, ramp((5, 4, 4)), grid(), change=shifted))


def twice(folder: Path, change: Callable[[Dataset, int, int], None], *, sop_class: str = MR, count: int = 4) -> Series:
    """Two images at every place, instance numbers in place order, told apart by what `change(ds, k, turn)` writes."""
    for turn in (0, 1):
        for k, plane in enumerate(ramp((count, 4, 4)) + 1000 * turn):
            ds = image(plane.astype(np.int16), grid(), k, sop_class=sop_class)
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = derived("twice", str(turn), str(k))
            ds.InstanceNumber = 2 * k + turn
            change(ds, k, turn)
            save(ds, folder / f"{turn}{k}.dcm")
    return open_series(folder)[0]


def test_duplicates_that_nothing_sets_apart_are_refused(tmp_path: Path) -> None:
    why = reason(twice(tmp_path, lambda ds, k, turn: setattr(ds, "InstanceNumber", 1)))
    assert "4 places are imaged more than once and nothing known sets the images apart" in why


@pytest.mark.parametrize(
    ("keyword", "values", "label"),
    [
        ("EchoTime", ("5.19", "7.65"), "echo time"),
        ("TemporalPositionIdentifier", (1, 2), "temporal position"),
        ("AcquisitionNumber", (1, 2), "acquisition number"),
        ("ImageType", (["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"]), "image type"),
        ("DiffusionBValue", (0.0, 1000.0), "b-value"),
    ],
)
def test_two_volumes_in_one_series_are_kept_apart(tmp_path: Path, keyword: str, values: Any, label: str) -> None:
    series = twice(tmp_path, lambda ds, k, turn: setattr(ds, keyword, values[turn]))
    stacks = find_stacks(series)
    assert [type(s) for s in stacks] == [Stack, Stack]
    assert all(s.label.startswith(label) for s in stacks)
    assert "holds 2 volumes; say which: 0: " in reason(series)
    for which in (0, 1):
        np.testing.assert_array_equal(build_volume(series, which).voxels, ramp((4, 4, 4)) + 1000 * which)
    with pytest.raises(VolumeRefused, match="has volumes 0 to 1, not 2"):
        build_volume(series, 2)
    with pytest.raises(VolumeRefused, match="not -1"):
        build_volume(series, -1)


def test_runs_of_instance_numbers_set_volumes_apart_when_nothing_else_does(tmp_path: Path) -> None:
    def numbered(ds: Dataset, k: int, turn: int) -> None:
        ds.InstanceNumber = 1 + 4 * turn + k

    series = twice(tmp_path, numbered)
    stacks = find_stacks(series)
    assert [s.label for s in stacks] == ["instances 1 to 4", "instances 5 to 8"]
    np.testing.assert_array_equal(build_volume(series, 1).voxels, ramp((4, 4, 4)) + 1000)


def test_a_run_that_lacks_a_place_sets_nothing_apart(tmp_path: Path) -> None:
    def numbered(ds: Dataset, k: int, turn: int) -> None:
        ds.InstanceNumber = 1 + 4 * turn + k

    twice(tmp_path, numbered)
    (tmp_path / "12.dcm").unlink()
    assert "imaged more than once" in reason(open_series(tmp_path)[0])


def test_two_orientations_are_two_stacks(tmp_path: Path) -> None:
    axial, sagittal = grid(), grid(rotation(0.0, 1.5708, 0.0))
    write_series(tmp_path, ramp((4, 5, 6)), axial)

    def other(ds: Dataset, k: int) -> None:
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = derived("other", str(k))

    series = write_series(tmp_path, ramp((3, 5, 6)), sagittal, names=["a", "b", "c"], change=other)
    labels = {s.label.split()[0]: len(s.slices) for s in find_stacks(series) if isinstance(s, Stack)}
    assert labels == {"axial": 4, "sagittal": 3}


def test_two_matrices_are_two_stacks(tmp_path: Path) -> None:
    write_series(tmp_path, ramp((4, 5, 6)), grid())

    def other(ds: Dataset, k: int) -> None:
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = derived("other", str(k))

    series = write_series(tmp_path, ramp((3, 8, 6)), grid(), names=["a", "b", "c"], change=other)
    assert sorted(len(s.slices) for s in find_stacks(series) if isinstance(s, Stack)) == [3, 4]


def test_a_localizer_beside_the_volume_does_not_stop_it(tmp_path: Path) -> None:
    write_series(tmp_path, ramp((4, 5, 6)), grid())

    def scout(ds: Dataset, k: int) -> None:
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = derived("scout")

    series = write_series(tmp_path, ramp((1, 5, 6)), grid(rotation(0, 1.57, 0)), names=["scout"], change=scout)
    assert build_volume(series).shape == (4, 5, 6)
    assert [s.reason for s in find_stacks(series) if isinstance(s, RefusedImages)] == [
        "a single image is no volume (a localizer, scout or reformat)."
    ]


def colour(ds: Dataset, k: int) -> None:
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit = 7
    ds.PixelData = bytes(int(ds.Rows) * int(ds.Columns) * 3)


def without(keyword: str) -> Callable[[Dataset, int], None]:
    return lambda ds, k: delattr(ds, keyword)


def having(**values: Any) -> Callable[[Dataset, int], None]:
    def change(ds: Dataset, k: int) -> None:
        for keyword, value in values.items():
            setattr(ds, keyword, value)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (colour, "colour pixels"),
        (without("ImagePositionPatient"), "no Image Position and Orientation"),
        (without("ImageOrientationPatient"), "no Image Position and Orientation"),
        (without("PixelSpacing"), "no Pixel Spacing"),
        (having(PixelSpacing=["0", "0"]), "no Pixel Spacing"),
        (having(ImageOrientationPatient=["0"] * 6), "Image Orientation"),
        (having(ImageOrientationPatient=["1", "0", "0", "1", "0", "0"]), "Image Orientation"),
        (having(ImageOrientationPatient=["1", "0", "0", "0.3", "0.954", "0"]), "Image Orientation"),
        (having(ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"]), "mosaic"),
        (having(SOPClassUID="1.2.840.10008.5.1.4.1.1.12.1"), "none of the SOP classes that volumes are built from"),
        (having(SOPClassUID="1.2.840.10008.5.1.4.1.1.1"), "Computed Radiography Image is none of the SOP classes"),
        (having(SOPClassUID="1.2.840.10008.5.1.4.1.1.66"), "Raw Data is none of the SOP classes"),
        (having(SOPClassUID="1.2.840.10008.5.1.4.1.1.77.1.6"), "VL Whole Slide Microscopy Image is none"),
        (having(SOPClassUID="1.2.3.4"), r"An unknown SOP class (1.2.3.4) is none of the SOP classes"),
        (having(SOPClassUID="1.2.840.10008.5.1.4.1.1.7"), "Secondary Capture Image is none of the SOP classes"),
    ],
)
def test_what_is_no_source_is_refused_by_name(tmp_path: Path, change: Any, words: str) -> None:
    assert words in reason(write_series(tmp_path, ramp((3, 4, 4)), grid(), change=change))


def test_a_single_image_is_refused(tmp_path: Path) -> None:
    assert "a single image is no volume" in reason(write_series(tmp_path, ramp((1, 4, 4)), grid()))


def test_a_grid_one_pixel_wide_is_refused(tmp_path: Path) -> None:
    assert "one pixel" in reason(write_series(tmp_path, ramp((3, 4, 1)), grid()))


@pytest.mark.parametrize(
    ("sop_class", "rescale_type", "unit"),
    [(CT, None, "HU"), (CT, "HU", "HU"), (CT, "US", "1"), (CT, "HU_MOD", "HU_MOD"), (MR, None, "1"), (MR, "US", "1")],
)
def test_units(tmp_path: Path, sop_class: str, rescale_type: str | None, unit: str) -> None:
    change = having(RescaleType=rescale_type) if rescale_type else having()
    assert (
        build_volume(write_series(tmp_path, ramp((2, 4, 4)), grid(), sop_class=sop_class, change=change)).unit == unit
    )


def test_a_fractional_slope_gives_floats_and_each_slice_its_own(tmp_path: Path) -> None:
    def change(ds: Dataset, k: int) -> None:
        ds.RescaleSlope, ds.RescaleIntercept = str(0.25 * (k + 1)), str(10 * k)

    stored = ramp((3, 4, 4))
    volume = build_volume(write_series(tmp_path, stored, grid(), change=change))
    assert volume.voxels.dtype == np.float32
    for k in range(3):
        np.testing.assert_array_equal(volume.voxels[k], stored[k] * 0.25 * (k + 1) + 10 * k)


def test_values_beyond_int16_give_floats(tmp_path: Path) -> None:
    stored = ramp((2, 4, 4), "uint16") + np.uint16(40000)
    volume = build_volume(write_series(tmp_path, stored, grid()))
    assert volume.voxels.dtype == np.float32
    np.testing.assert_array_equal(volume.voxels, stored)


@pytest.mark.parametrize("syntax", [RLE, JPEG_LS, J2K, HTJ2K])
def test_a_damaged_stream_is_not_readable(tmp_path: Path, syntax: str) -> None:
    series = write_series(tmp_path, ramp((2, 32, 32)), grid(), syntax=syntax)
    damaged = Path(series.instances[0].path)
    data = bytearray(damaged.read_bytes())
    start = series.instances[0].pixel_offset + 24  # behind the item's header
    data[start : start + 40] = bytes(40)
    damaged.write_bytes(data)
    with pytest.raises(NotReadable, match=r"(cannot be decoded|the compressed stream says) .*Ask the sender"):
        build_volume(open_series(tmp_path)[0])


def test_pixels_gone_since_the_header_was_read(tmp_path: Path) -> None:
    series = write_series(tmp_path, ramp((2, 16, 16)), grid())
    path = Path(series.instances[0].path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(NotReadable, match="206 of 256 pixels on disk"):
        build_volume(series)
    path.unlink()
    with pytest.raises(NotReadable, match="No such file"):
        build_volume(series)


def test_progress_ends_at_one(tmp_path: Path) -> None:
    parts: list[float] = []
    build_volume(write_series(tmp_path, ramp((40, 4, 4)), grid()), progress=parts.append)
    assert len(parts) > 1 and parts == sorted(parts) and parts[-1] == 1.0


def test_source_uids_are_in_slice_order(tmp_path: Path) -> None:
    stack = find_stacks(write_series(tmp_path, ramp((4, 4, 4)), grid(spacing_mm=(-2.0, 1.0, 1.0))))[0]
    assert isinstance(stack, Stack)
    assert assemble(stack).source_uids == tuple(derived("series", "instance", str(k)) for k in (3, 2, 1, 0))
