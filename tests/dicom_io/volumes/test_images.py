"""Reading in 2D: every image of a series, in order and where it lies, also where they make no volume."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from dicom_io.files.headers import _quickly
from dicom_io.files.series import open_series
from dicom_io.volumes import stack_of
from tests.dicom_io.synthetic import MR, grid, image, ramp, rotation, save, write_series


def test_images_lie_where_they_are_and_in_order(tmp_path: Path) -> None:
    affine = grid(rotation(0.3, 0.2, 0.1))

    def change(ds: Dataset, k: int) -> None:
        ds.RescaleSlope, ds.RescaleIntercept = "2", "-10"
        ds.WindowCenter, ds.WindowWidth, ds.InstanceNumber = ["40", "300"], ["400", "1500"], 9 - k

    stored = ramp((4, 5, 6))
    found = stack_of(write_series(tmp_path, stored, affine, change=change))
    assert [i.instance.instance_number for i in found.images] == [9, 8, 7, 6] and not found.left_out
    for k, one in enumerate(found.images):
        assert one.plane is not None and one.window == (40.0, 400.0)
        np.testing.assert_allclose((one.plane @ [2, 3, 1])[:3], (affine @ [k, 2, 3, 1])[:3], atol=1e-6)
        np.testing.assert_array_equal(one.values(), stored[k] * 2.0 - 10.0)


def test_what_makes_no_volume_is_read_by_number(tmp_path: Path) -> None:
    def change(ds: Dataset, k: int) -> None:
        ds.InstanceNumber = 4 - k
        if k == 1:
            del ds.ImagePositionPatient
        if k == 3:
            ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
            ds.BitsAllocated = ds.BitsStored = 8
            ds.HighBit, ds.PixelData = 7, bytes(int(ds.Rows) * int(ds.Columns) * 3)

    found = stack_of(write_series(tmp_path, ramp((4, 4, 4)), grid(), change=change))
    assert [i.instance.instance_number for i in found.images] == [2, 3, 4]
    assert [i.plane is None for i in found.images] == [False, True, False]
    assert found.left_out == (("colour pixels", 1),)


def test_a_mapping_of_undefined_length_is_read_without_pydicom(tmp_path: Path) -> None:
    """As Philips writes it into classic MR images."""
    ds = image(ramp((1, 4, 4))[0], grid(), 0, sop_class=MR)
    mapping = Dataset()
    mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = 1.5, 0.0
    ds.RealWorldValueMappingSequence = [mapping]
    ds["RealWorldValueMappingSequence"].is_undefined_length = True
    ds.private_block(0x2001, "Philips Imaging DD 001", create=True).add_new(0x08, "IS", "3")
    found = _quickly(save(ds, tmp_path / "1.dcm"))
    assert found is not None and dict(found.frames[0].traits)["phase number"] == "3"
    assert found == open_series(tmp_path)[0].instances[0]
