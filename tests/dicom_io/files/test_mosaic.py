"""Siemens mosaics: tiles become slices where they lie, or the mosaic is refused by name."""

import math
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from dicom_io.errors import VolumeRefused
from dicom_io.files.mosaic import csa
from dicom_io.files.series import Series, open_series
from dicom_io.volumes.build import build_volume, find_stacks
from render.geometry import Affine
from tests.dicom_io.real import real_set
from tests.dicom_io.synthetic import MR, decimal, grid, image, rotation, save
from tests.thorough import examples


def csa_header(values: dict[str, list[str]], version: int = 2) -> bytes:
    """A CSA header of the makers' layout. Source: NiBabel, "Siemens format DICOM with CSA header"."""
    first = len(next(iter(values.values())))
    data = (b"SV10\4\3\2\1" if version == 2 else b"") + struct.pack("<2I", len(values), 77)
    for name, items in values.items():
        data += name.encode().ljust(64, b"\0") + struct.pack("<i4s3i", 1, b"FD", 0, len(items), 77)
        for item in items:
            value = item.encode() + b"\0"
            size = len(value)
            data += struct.pack("<4i", size if version == 2 else size + first, size, 77, size)
            data += value.ljust((size + 3) // 4 * 4, b"\0")
    return data


def mosaic(
    slices: np.ndarray, affine: Affine, *, version: int = 2, protocol: bool = True, shift: float = 0.0
) -> Dataset:
    """One mosaic of (K, J, I) values on a grid, as a Siemens scanner writes it."""
    count, rows, columns = slices.shape
    side = math.ceil(math.sqrt(count))
    whole = np.zeros((side * rows, side * columns), slices.dtype)
    for n, tile in enumerate(slices):
        y, x = n // side * rows, n % side * columns
        whole[y : y + rows, x : x + columns] = tile
    ds = image(whole, affine, 0, sop_class=MR)
    step, down, along = (affine[:3, n] for n in range(3))
    start = affine[:3, 3]
    corner = start - down * (whole.shape[0] - rows) / 2 - along * (whole.shape[1] - columns) / 2
    ds.ImagePositionPatient = [decimal(v) for v in corner]
    ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
    distance = float(np.linalg.norm(step))
    ds.SpacingBetweenSlices = decimal(distance)
    ds.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0A, "US", count)
    block = ds.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    normal = [f"{v:.8f}" for v in step / distance]
    block.add_new(0x10, "OB", csa_header({"EchoLinePosition": ["1"], "SliceNormalVector": normal}, version))
    if protocol:
        lines = []
        for n in range(count):
            centre = start + n * step + down * rows / 2 + along * columns / 2 + shift
            lines += [
                f"sSliceArray.asSlice[{n}].sPosition.d{axis}\t = \t{v:.8f}"
                for axis, v in zip(("Sag", "Cor", "Tra"), centre, strict=True)
                if abs(v) > 1e-9
            ]
        block.add_new(0x20, "OB", "\n".join(lines).encode())
    return ds


def opened(folder: Path, ds: Dataset) -> Series:
    save(ds, folder / "mosaic.dcm")
    (series,) = open_series(folder)
    return series


@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    count=st.integers(2, 17),
    turn=st.tuples(*[st.floats(-3, 3)] * 3),
    backwards=st.booleans(),
    version=st.sampled_from([1, 2]),
)
def test_tiles_become_slices_where_they_lie(
    tmp_path: Path, count: int, turn: tuple[float, float, float], backwards: bool, version: int
) -> None:
    affine = grid(rotation(*turn), (-3.6 if backwards else 3.6, 3.25, 3.0))
    slices = np.random.default_rng(count).integers(0, 4000, (count, 6, 8), dtype="uint16")
    volume = build_volume(opened(tmp_path, mosaic(slices, affine, version=version)))
    assert volume.shape == (count, 6, 8)
    # k runs along row × column: backwards where the scanner counts against it.
    order = slice(None) if np.linalg.det(affine[:3, :3]) < 0 else slice(None, None, -1)
    np.testing.assert_array_equal(volume.voxels, slices[order])
    ours = volume.affine @ [0, 2, 3, 1]
    theirs = affine @ [0 if order == slice(None) else count - 1, 2, 3, 1]
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_without_the_protocol_the_image_header_has_to_do(tmp_path: Path) -> None:
    slices = np.arange(5 * 4 * 4, dtype="uint16").reshape(5, 4, 4)
    volume = build_volume(opened(tmp_path, mosaic(slices, grid(spacing_mm=(-3.0, 2.0, 2.0)), protocol=False)))
    assert volume.shape == (5, 4, 4)


def test_a_protocol_that_says_other_places_refuses_the_mosaic(tmp_path: Path) -> None:
    slices = np.arange(5 * 4 * 4, dtype="uint16").reshape(5, 4, 4)
    with pytest.raises(
        VolumeRefused, match=r"Siemens mosaic that cannot be unfolded: its slice 1 would lie .* protocol"
    ):
        build_volume(opened(tmp_path, mosaic(slices, grid(spacing_mm=(3.0, 2.0, 2.0)), shift=7.0)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda ds: ds.private_block(0x0029, "SIEMENS CSA HEADER").__delitem__(0x10), "how its slices follow"),
        (lambda ds: ds.private_block(0x0019, "SIEMENS MR HEADER").__delitem__(0x0A), "how many slices it holds"),
        (lambda ds: setattr(ds, "SpacingBetweenSlices", "0"), "how its slices follow"),
        (lambda ds: delattr(ds, "ImagePositionPatient"), "no Image Position"),
        (
            lambda ds: setattr(ds.private_block(0x0019, "SIEMENS MR HEADER")[0x0A], "value", 20),
            "no grid of 5 x 5 tiles",
        ),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, change: object, words: str) -> None:
    assert callable(change)
    ds = mosaic(np.zeros((5, 4, 4), "uint16"), grid())
    change(ds)
    with pytest.raises(VolumeRefused, match=words):
        build_volume(opened(tmp_path, ds))


@given(st.binary(max_size=300), st.booleans())
def test_a_damaged_private_header_is_nothing(noise: bytes, marked: bool) -> None:
    assert isinstance(csa(b"SV10\4\3\2\1" + noise if marked else noise), dict)


def test_time_points_are_kept_apart() -> None:
    (series,) = open_series(real_set("mr_siemens_mosaic_oblique"))
    stacks = find_stacks(series)
    assert [s.label for s in stacks] == [f"acquisition number {n}" for n in range(1, 7)]
    assert all(len({s.instance.path for s in stack.slices}) == 1 for stack in stacks if hasattr(stack, "slices"))
