"""Bytes that no sender meant: whatever comes in, only our own errors come out, and soon."""

import contextlib
import functools
import tempfile
import time
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from dicom_io.capabilities import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE
from dicom_io.errors import NotReadable, VolumeRefused
from dicom_io.files.series import group, read_dataset, read_instance, scan
from dicom_io.objects.inherit import copy_patient_and_study
from dicom_io.volumes.build import build_volume, find_stacks
from tests.dicom_io.synthetic import J2K, JPEG_BASELINE, JPEG_EXTENDED, JPEG_LS, RLE, SYNTAXES, grid, image, ramp, save
from tests.thorough import examples

# Processor time that no step may exceed for a picture of 32 x 32; a codec that believes a flipped size takes minutes.
LONGEST_S = 5.0


@functools.cache
def valid(syntax: str) -> tuple[bytes, bytes]:
    """Two files of one series."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.dcm"
        dtype = {JPEG_BASELINE: "uint8", JPEG_EXTENDED: "uint16"}.get(syntax, "int16")
        stored = ramp((2, 32, 32), dtype)
        one, two = (save(image(p, grid(), k), path, syntax).read_bytes() for k, p in enumerate(stored))
        return one, two


def _read_all(folder: Path) -> None:
    for file in folder.iterdir():
        with contextlib.suppress(NotReadable):
            read_instance(file)
            copy_patient_and_study(read_dataset(file))
    for series in scan(folder).series:
        find_stacks(series)
        with contextlib.suppress(NotReadable, VolumeRefused):
            build_volume(series)


def _bounded(data: bytes, other: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # in the field a warning is no exception, and must not hide one here
        (Path(folder) / "a.dcm").write_bytes(data)
        (Path(folder) / "b.dcm").write_bytes(other)
        start = time.process_time()
        _read_all(Path(folder))
        assert time.process_time() - start < LONGEST_S


FLIPS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6)
QUIET = settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("syntax", [*SYNTAXES, JPEG_BASELINE, JPEG_EXTENDED])
@QUIET
@given(flips=FLIPS, header_only=st.booleans(), cut=st.one_of(st.none(), st.floats(0, 1)))
def test_flipped_and_cut_files(
    syntax: str, flips: list[tuple[float, int]], header_only: bool, cut: float | None
) -> None:
    data, other = bytearray(valid(syntax)[0]), valid(syntax)[1]
    reach = min(len(data), 900) if header_only else len(data)
    for place, value in flips:
        data[int(place * reach)] = value
    if cut is not None:
        del data[int(cut * len(data)) :]
    _bounded(bytes(data), other)


@QUIET
@given(st.binary(max_size=400), st.booleans())
def test_noise(noise: bytes, prefixed: bool) -> None:
    _bounded(b"\0" * 128 + b"DICM" + noise if prefixed else noise, valid(EXPLICIT_LITTLE)[1])


NUMBERS = st.one_of(
    st.sampled_from(
        ["", "0", "-1", "1e300", "nan", "inf", "abc", "1\\2", "99999999999999", "2147483647", "0.00000001"]
    ),
    st.floats().map(str).map(lambda s: s[:16]),
)


@settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    keyword=st.sampled_from(
        "ImagePositionPatient ImageOrientationPatient PixelSpacing RescaleSlope RescaleIntercept NumberOfFrames "
        "InstanceNumber PatientWeight".split()
    ),
    values=st.lists(NUMBERS, min_size=1, max_size=6),
    syntax=st.sampled_from([EXPLICIT_LITTLE, DEFLATED, RLE]),
)
def test_any_value_in_a_number(keyword: str, values: list[str], syntax: str) -> None:
    files = []
    with tempfile.TemporaryDirectory() as folder:
        for k, plane in enumerate(ramp((2, 32, 32))):
            path = save(image(plane, grid(), k), Path(folder) / f"{k}.dcm", syntax)
            ds = dcmread(path)
            # As a text element: pydicom itself would not take these for numbers.
            ds.add_new(keyword, "LO", "\\".join(values))
            ds.save_as(path)
            files.append(path.read_bytes())
    _bounded(files[0], files[1])


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("Rows", 65535), ("Columns", 65535), ("Rows", 0), ("BitsAllocated", 65535), ("BitsAllocated", 1),
     ("BitsStored", 0), ("BitsStored", 40), ("SamplesPerPixel", 0), ("PixelRepresentation", 9)],
)  # fmt: skip
@pytest.mark.parametrize("syntax", [EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED, RLE, JPEG_LS, J2K])
def test_sizes_that_cannot_be(tmp_path: Path, keyword: str, value: int, syntax: str) -> None:
    for k, plane in enumerate(ramp((2, 32, 32))):
        path = save(image(plane, grid(), k), tmp_path / f"{k}.dcm", syntax)
        ds = dcmread(path)
        setattr(ds, keyword, value)
        ds.save_as(path)
    _read_all(tmp_path)


def test_the_valid_files_are_valid(tmp_path: Path) -> None:
    for number, data in enumerate(valid(J2K)):
        (tmp_path / f"{number}.dcm").write_bytes(data)
    (series,) = group([read_instance(p) for p in tmp_path.iterdir()])
    assert build_volume(series).shape == (2, 32, 32)
