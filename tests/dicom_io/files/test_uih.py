"""UIH grids: tiles become slices where the private header places them, or the grid is refused by name."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom_io.capabilities import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from dicom_io.errors import VolumeRefused
from dicom_io.files.series import open_series
from dicom_io.volumes.build import build_volume
from render.geometry import Affine
from render.volume import Volume
from tests.dicom_io.synthetic import MR, decimal, grid, image, rotation, save


def uih(slices: np.ndarray, affine: Affine) -> Dataset:
    """One grid of (K, J, I) values, as a UIH scanner writes it."""
    count, rows, columns = slices.shape
    along = math.ceil(math.sqrt(count))
    whole = np.zeros((math.ceil(count / along) * rows, along * columns), slices.dtype)
    for n, tile in enumerate(slices):
        y, x = n // along * rows, n % along * columns
        whole[y : y + rows, x : x + columns] = tile
    ds = image(whole, affine, 0, sop_class=MR)
    del ds.ImagePositionPatient
    ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "VFRAME"]
    block = ds.private_block(0x0065, "Image Private Header", create=True)
    block.add_new(0x50, "DS", str(count))
    planes = []
    for n in range(count):
        plane = Dataset()
        plane.ImagePositionPatient = [decimal(v) for v in affine[:3, 3] + n * affine[:3, 0]]
        planes.append(plane)
    block.add_new(0x51, "SQ", Sequence(planes))
    return ds


def opened(folder: Path, ds: Dataset, syntax: str = EXPLICIT_LITTLE) -> Volume:
    save(ds, folder / "grid.dcm", syntax)
    return build_volume(open_series(folder)[0])


@pytest.mark.parametrize("syntax", [EXPLICIT_LITTLE, IMPLICIT_LITTLE])
@pytest.mark.parametrize(("count", "undefined"), [(3, False), (5, True), (9, False)])
def test_tiles_become_slices_where_they_lie(tmp_path: Path, syntax: str, count: int, undefined: bool) -> None:
    affine = grid(rotation(0.3, -0.2, 0.5), (4.2, 3.5, 3.0))
    slices = np.random.default_rng(count).integers(0, 4000, (count, 6, 8), dtype="uint16")
    ds = uih(slices, affine)
    ds.private_block(0x0065, "Image Private Header")[0x51].is_undefined_length = undefined
    volume = opened(tmp_path, ds, syntax)
    np.testing.assert_array_equal(volume.voxels, slices)
    np.testing.assert_allclose(volume.affine, affine, atol=1e-5)


def few(ds: Dataset) -> None:
    ds.private_block(0x0065, "Image Private Header")[0x51].value.pop()


def unplaced(ds: Dataset) -> None:
    del ds.private_block(0x0065, "Image Private Header")[0x51].value[2].ImagePositionPatient


def swapped(ds: Dataset) -> None:
    planes = ds.private_block(0x0065, "Image Private Header")[0x51].value
    planes[1].ImagePositionPatient, planes[2].ImagePositionPatient = (
        planes[2].ImagePositionPatient,
        planes[1].ImagePositionPatient,
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (few, "places 4 of 5 slices"),
        (unplaced, "does not place slice 3"),
        (swapped, "do not follow each other"),
        (lambda ds: ds.private_block(0x0065, "Image Private Header").__delitem__(0x50), "how many slices it holds"),
        (lambda ds: setattr(ds.private_block(0x0065, "Image Private Header")[0x50], "value", "17"), "no grid of 4 x 5"),
        (lambda ds: delattr(ds, "ImageOrientationPatient"), "no Image Orientation"),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, change: Any, words: str) -> None:
    ds = uih(np.zeros((5, 4, 4), "uint16"), grid())
    change(ds)
    with pytest.raises(VolumeRefused, match=rf"UIH grid \(VFRAME\) that cannot be unfolded: .*{words}"):
        opened(tmp_path, ds)
