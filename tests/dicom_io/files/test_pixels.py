"""Pixels in every encoding: what was stored comes back, or the reason why it does not."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended

from dicom_io.capabilities import EXPLICIT_BIG, EXPLICIT_LITTLE
from dicom_io.errors import NotReadable, VolumeRefused
from dicom_io.files.decode import stored_values
from dicom_io.files.series import open_series, read_instance
from dicom_io.volumes.build import build_volume, find_stacks
from tests.dicom_io.files import jpeg_lossless
from tests.dicom_io.real import real_set
from tests.dicom_io.synthetic import (
    JPEG_BASELINE,
    JPEG_EXTENDED,
    JPEG_LOSSLESS,
    JPEG_SV1,
    MR,
    encapsulated,
    grid,
    image,
    jpeg,
    ramp,
    save,
    write_series,
)
from tests.thorough import examples


def written(folder: Path, ds: Dataset, syntax: str = EXPLICIT_LITTLE) -> Any:
    """The stored values of one data set that was saved as it is."""
    path = folder / "one.dcm"
    ds.file_meta.TransferSyntaxUID = syntax
    ds.save_as(path, enforce_file_format=True)
    return stored_values(read_instance(path))[0]


@pytest.mark.parametrize("shape", [(4, 6), (3, 5)])
@pytest.mark.parametrize("signed", [False, True])
def test_twelve_bits_packed(tmp_path: Path, shape: tuple[int, int], signed: bool) -> None:
    """The bits of all cells one after the other, the least significant first. Source: PS3.5 D.1."""
    random = np.random.default_rng(5)
    values = random.integers(-2048, 2048, shape) if signed else random.integers(0, 4096, shape)
    bits = (values.reshape(-1, 1) >> np.arange(12)) & 1
    data = np.packbits(bits.astype(np.uint8).ravel(), bitorder="little").tobytes()
    ds = image(np.zeros(shape, "uint16"), grid(), 0)
    ds.BitsAllocated = ds.BitsStored = 12
    ds.HighBit, ds.PixelRepresentation = 11, int(signed)
    ds.PixelData = data + b"\0" * (len(data) % 2)
    np.testing.assert_array_equal(written(tmp_path, ds), values)


def test_twelve_bits_packed_agree_with_an_independent_reader(tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    values = np.random.default_rng(6).integers(0, 4096, (8, 10))
    bits = (values.reshape(-1, 1) >> np.arange(12)) & 1
    ds = image(np.zeros((8, 10), "uint16"), grid(), 0, sop_class=MR)
    ds.BitsAllocated = ds.BitsStored = 12
    ds.HighBit = 11
    ds.PixelData = np.packbits(bits.astype(np.uint8).ravel(), bitorder="little").tobytes()
    ours = written(tmp_path, ds)
    theirs = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "one.dcm")))[0]
    np.testing.assert_array_equal(ours, theirs)


def test_values_in_the_high_bits(tmp_path: Path) -> None:
    values = np.arange(24, dtype=np.uint16).reshape(4, 6) * 150
    ds = image(values << 4, grid(), 0)
    ds.BitsStored, ds.HighBit = 12, 15
    np.testing.assert_array_equal(written(tmp_path, ds), values)


@pytest.mark.parametrize(("keyword", "dtype"), [("FloatPixelData", "<f4"), ("DoubleFloatPixelData", "<f8")])
@pytest.mark.parametrize("syntax", [EXPLICIT_LITTLE, EXPLICIT_BIG])
def test_float_pixels(tmp_path: Path, keyword: str, dtype: str, syntax: str) -> None:
    stored = (np.random.default_rng(2).normal(size=(3, 4, 6)) * 1e5).astype(dtype)
    stored[1, 2, 3] = np.nan
    stored[0, 0, 0] = -9e9

    def change(ds: Dataset, k: int) -> None:
        del ds.PixelData, ds.PixelRepresentation, ds.BitsStored, ds.HighBit
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.30"
        ds.BitsAllocated = stored.dtype.itemsize * 8
        order = dtype.replace("<", ">") if syntax == EXPLICIT_BIG else dtype
        setattr(ds, keyword, stored[k].astype(order).tobytes())
        setattr(ds, keyword.replace("Data", "PaddingValue"), -9e9)

    series = write_series(tmp_path, np.zeros((3, 4, 6), "uint16"), grid(), sop_class=MR, syntax=syntax, change=change)
    volume = build_volume(series)
    assert volume.voxels.dtype == np.float32
    expected = stored.astype(np.float32)
    expected[1, 2, 3] = np.nanmin(stored[1])
    expected[0, 0, 0] = stored[0].ravel()[1:].min()
    np.testing.assert_array_equal(volume.voxels, expected)
    assert any("NaN" in w for w in volume.warnings)
    assert any("rounded" in w for w in volume.warnings) == (keyword == "DoubleFloatPixelData")


def test_whole_numbers_that_float32_rounds_are_said(tmp_path: Path) -> None:
    stored = np.full((2, 4, 4), 2**24, "uint32")
    stored[1, 1, 1] += 1

    def change(ds: Dataset, k: int) -> None:
        ds.PixelData = stored[k].tobytes()
        ds.BitsAllocated = ds.BitsStored = 32
        ds.HighBit = 31

    volume = build_volume(write_series(tmp_path, np.zeros((2, 4, 4), "uint16"), grid(), sop_class=MR, change=change))
    assert any("rounded" in w for w in volume.warnings)
    assert volume.voxels[0, 0, 0] == 2**24


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    predictor=st.integers(1, 7),
    top=st.sampled_from([255, 4095, 32767]),
    seed=st.integers(0, 2**16),
)
def test_jpeg_lossless_by_the_letter_of_the_standard(tmp_path: Path, predictor: int, top: int, seed: int) -> None:
    plane = np.random.default_rng(seed).integers(0, top, (7, 9), dtype="uint16", endpoint=True)
    stream = jpeg(plane, lossless=True, predictor=predictor)
    ds = image(plane, grid(), 0)
    encapsulated(ds, [stream], JPEG_LOSSLESS)
    np.testing.assert_array_equal(jpeg_lossless.decode(stream), plane)
    np.testing.assert_array_equal(written(tmp_path, ds, JPEG_LOSSLESS), plane)


@pytest.mark.parametrize("name", ["MR1", "MR3", "MR4"])
def test_jpeg_extended_of_twelve_bits_agrees_with_dcmtk(tmp_path: Path, name: str) -> None:
    """Not with SimpleITK: GDCM gives noise for MR4 without an error."""
    program = shutil.which("dcmdjpeg")
    if program is None:
        pytest.skip("DCMTK's dcmdjpeg is not installed")
    path = real_set("codec_wg04_ct_mr") / f"{name}_JPLY"
    subprocess.run([program, path, tmp_path / "plain.dcm"], check=True, timeout=60)
    ours = stored_values(read_instance(path))[0].astype(int)
    theirs = stored_values(read_instance(tmp_path / "plain.dcm"))[0].astype(int)
    # Two inverse cosine transforms may round to neighbouring values. Source: ISO 10918-2.
    assert np.abs(ours - theirs).max() <= 1
    assert ours.max() > 1000


@pytest.mark.parametrize(("syntax", "dtype"), [(JPEG_BASELINE, "uint8"), (JPEG_EXTENDED, "uint16")])
def test_lossy_jpeg_is_near_and_said(tmp_path: Path, syntax: str, dtype: str) -> None:
    y, x = np.mgrid[0:32, 0:32]
    stored = np.stack([x * 3 + y + 10 * k for k in range(2)]).astype(dtype)

    def change(ds: Dataset, k: int) -> None:
        ds.BitsStored, ds.HighBit = (8, 7) if dtype == "uint8" else (12, 11)

    volume = build_volume(write_series(tmp_path, stored, grid(), syntax=syntax, change=change))
    assert np.abs(volume.voxels.astype(int) - stored).max() < 8
    assert any("compressed with loss" in w for w in volume.warnings)


@pytest.mark.parametrize("syntax", [JPEG_SV1, JPEG_LOSSLESS, JPEG_EXTENDED])
@pytest.mark.parametrize("part", [0.5, 0.9])
def test_a_jpeg_stream_that_breaks_off_is_refused(tmp_path: Path, syntax: str, part: float) -> None:
    """libjpeg would fill it up with grey and say nothing."""
    plane = np.random.default_rng(0).integers(0, 4096, (32, 32), dtype="uint16")
    extended = syntax == JPEG_EXTENDED
    stream = jpeg(plane, level=95, bitspersample=12) if extended else jpeg(plane, lossless=True, predictor=1)
    ds = image(plane, grid(), 0)
    encapsulated(ds, [stream[: int(len(stream) * part)]], syntax)
    with pytest.raises(NotReadable, match="breaks off without its end marker"):
        written(tmp_path, ds, syntax)


def multiframe(frames: int, streams: list[bytes]) -> Dataset:
    ds = image(np.zeros((32, 32), "uint16"), grid(), 0)
    ds.NumberOfFrames = frames
    ds.BitsStored, ds.HighBit = 12, 11
    encapsulated(ds, streams, JPEG_SV1)
    return ds


@pytest.mark.parametrize("how", ["one each", "basic table", "extended table", "fragments, no table"])
def test_frames_are_found_by_fragments_and_offset_tables(tmp_path: Path, how: str) -> None:
    planes = np.random.default_rng(1).integers(0, 4096, (3, 32, 32), dtype="uint16")
    streams = [jpeg(p, lossless=True, predictor=1) for p in planes]
    ds = multiframe(3, streams)
    if how == "basic table":
        ds.PixelData = encapsulate(streams, fragments_per_frame=3, has_bot=True)
    elif how == "extended table":
        ds.PixelData, ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = encapsulate_extended(streams)
    elif how == "fragments, no table":
        ds.PixelData = encapsulate(streams, fragments_per_frame=2, has_bot=False)
    path = tmp_path / "frames.dcm"
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    ds.save_as(path, enforce_file_format=True)
    np.testing.assert_array_equal(stored_values(read_instance(path)), planes)


def test_an_offset_table_that_points_nowhere_is_refused(tmp_path: Path) -> None:
    planes = np.random.default_rng(1).integers(0, 4096, (3, 32, 32), dtype="uint16")
    ds = multiframe(3, [jpeg(p, lossless=True, predictor=1) for p in planes])
    data = bytearray(encapsulate([jpeg(p, lossless=True, predictor=1) for p in planes], fragments_per_frame=2))
    data[12:16] = b"\xff\xff\xff\x7f"
    ds.PixelData = bytes(data)
    path = tmp_path / "frames.dcm"
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    ds.save_as(path, enforce_file_format=True)
    with pytest.raises(NotReadable, match="cannot be decoded"):
        stored_values(read_instance(path))


def test_a_damaged_item_chain_is_found_with_the_header(tmp_path: Path) -> None:
    plane = np.zeros((32, 32), "uint16")
    path = save(image(plane, grid(), 0), tmp_path / "x.dcm", JPEG_SV1)
    offset = read_instance(path).pixel_offset
    data = bytearray(path.read_bytes())
    data[offset + 8 : offset + 12] = b"\0\0\0\0"  # the tag of the first fragment
    path.write_bytes(data)
    with pytest.raises(NotReadable, match="the compressed pixel data has no end"):
        read_instance(path)


def test_padding_written_as_unsigned_for_signed_pixels(tmp_path: Path) -> None:
    stored = np.full((2, 4, 4), 50, "int16")
    stored[:, 0] = -2000

    def change(ds: Dataset, k: int) -> None:
        ds.add_new(0x00280120, "US", 65536 - 2000)

    volume = build_volume(write_series(tmp_path, stored, grid(), change=change))
    assert volume.voxels.min() == 50


@pytest.mark.parametrize("kind", ["palette", "lookup table"])
def test_values_that_are_no_measurements_are_refused_by_name(tmp_path: Path, kind: str) -> None:
    def change(ds: Dataset, k: int) -> None:
        if kind == "palette":
            ds.PhotometricInterpretation = "PALETTE COLOR"
        else:
            ds.ModalityLUTSequence = [Dataset()]
            ds.ModalityLUTSequence[0].LUTDescriptor = [4, 0, 16]

    series = write_series(tmp_path, ramp((3, 4, 4)), grid(), change=change)
    with pytest.raises(VolumeRefused, match="palette colours" if kind == "palette" else "a Modality LUT"):
        build_volume(series)


@pytest.mark.parametrize("units", ["BQML", "CNTS"])
def test_pet_keeps_each_slices_own_scale_and_its_unit(tmp_path: Path, units: str) -> None:
    def change(ds: Dataset, k: int) -> None:
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.128"
        ds.Modality, ds.Units = "PT", units
        ds.RescaleSlope, ds.RescaleIntercept = f"{0.37 * (k + 1):.4f}", "0"

    stored = ramp((4, 5, 6), "uint16")
    volume = build_volume(write_series(tmp_path, stored, grid(), change=change))
    assert volume.unit == units
    for k in range(4):
        np.testing.assert_allclose(volume.voxels[k], stored[k] * round(0.37 * (k + 1), 4), rtol=1e-6)


def test_ct_without_a_rescale_is_not_called_hounsfield(tmp_path: Path) -> None:
    def change(ds: Dataset, k: int) -> None:
        del ds.RescaleSlope, ds.RescaleIntercept

    assert build_volume(write_series(tmp_path, ramp((2, 4, 4)), grid(), change=change)).unit == "1"


def test_the_frames_of_one_file_are_decoded_side_by_side(tmp_path: Path) -> None:
    """Many frames, one file, each at its own place and with its own scale."""
    planes = np.random.default_rng(3).integers(0, 4096, (9, 32, 32), dtype="uint16")
    ds = multiframe(9, [jpeg(p, lossless=True, predictor=1) for p in planes])
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4.1"
    shared, ds.PerFrameFunctionalGroupsSequence = Dataset(), []
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [Dataset()], [Dataset()]
    shared.PixelMeasuresSequence[0].PixelSpacing = ["0.7", "0.7"]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    ds.SharedFunctionalGroupsSequence = [shared]
    for n in range(9):
        own = Dataset()
        own.PlanePositionSequence, own.PixelValueTransformationSequence = [Dataset()], [Dataset()]
        own.PlanePositionSequence[0].ImagePositionPatient = ["0", "0", str(2 * (8 - n))]
        own.PixelValueTransformationSequence[0].RescaleSlope = f"{0.5 + n}"
        own.PixelValueTransformationSequence[0].RescaleIntercept = f"{-n}"
        own.PixelValueTransformationSequence[0].RescaleType = "US"
        ds.PerFrameFunctionalGroupsSequence.append(own)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(ds, keyword)
    ds.save_as(tmp_path / "enhanced.dcm", enforce_file_format=True)
    (series,) = open_series(tmp_path)
    volume = build_volume(series)
    for k in range(9):
        n = 8 - k
        np.testing.assert_array_equal(volume.voxels[k], (planes[n] * (0.5 + n) - n).astype(np.float32))


def test_functional_groups_for_some_frames_only_are_refused(tmp_path: Path) -> None:
    ds = multiframe(3, [jpeg(np.zeros((32, 32), "uint16"), lossless=True, predictor=1)] * 3)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4.1"
    ds.SharedFunctionalGroupsSequence = [Dataset()]
    ds.PerFrameFunctionalGroupsSequence = [Dataset(), Dataset()]
    ds.save_as(tmp_path / "enhanced.dcm", enforce_file_format=True)
    (refused,) = find_stacks(open_series(tmp_path)[0])
    assert "functional groups for 2 of its 3 frames only" in getattr(refused, "reason", "")
