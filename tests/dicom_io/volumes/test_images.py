"""Reading in 2D: every image of a series, in order and where it lies, also where they make no volume."""

from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import convert_color_space

from dicom_io.capabilities import EXPLICIT_LITTLE
from dicom_io.errors import NotReadable
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
            ds.BitsAllocated, ds.BitsStored, ds.PixelRepresentation = 8, 8, 0
            ds.HighBit, ds.PixelData = 7, bytes(range(int(ds.Rows) * int(ds.Columns) * 3))

    found = stack_of(write_series(tmp_path, ramp((4, 4, 4)), grid(), change=change))
    assert [i.instance.instance_number for i in found.images] == [1, 2, 3, 4]
    assert [i.plane is None for i in found.images] == [False, False, True, False] and not found.left_out
    assert [i.in_colour for i in found.images] == [True, False, False, False]
    np.testing.assert_array_equal(found.images[0].colours(), np.arange(48).reshape(4, 4, 3))


def test_colours_are_red_green_blue_however_they_are_encoded(tmp_path: Path) -> None:
    j, i = np.indices((16, 24))
    rgb = np.stack([10 * j, 240 - 9 * i, 5 * (i + j)], axis=-1).astype(np.uint8)
    luma = convert_color_space(rgb, "RGB", "YBR_FULL")
    ways: dict[str, tuple[str, str, bytes | bytearray]] = {
        "pixels": (EXPLICIT_LITTLE, "RGB", rgb.tobytes()),
        "luma": (EXPLICIT_LITTLE, "YBR_FULL", luma.tobytes()),
        "jpeg": ("1.2.840.10008.1.2.4.50", "YBR_FULL_422", imagecodecs.jpeg8_encode(rgb, level=98)),
        "jpeg 2000": ("1.2.840.10008.1.2.4.90", "YBR_RCT", imagecodecs.jpeg2k_encode(rgb, level=0, codecformat="J2K")),
        "jpeg-ls": ("1.2.840.10008.1.2.4.80", "RGB", imagecodecs.jpegls_encode(rgb)),
    }
    for name, (syntax, photometric, data) in ways.items():
        ds = image(ramp((1, 16, 24))[0], grid(), 0, sop_class=MR)
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, photometric, 0
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
        native = syntax == EXPLICIT_LITTLE
        ds.PixelData = data if native else encapsulate([bytes(data)])
        ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", not native
        ds.file_meta.TransferSyntaxUID = syntax
        (tmp_path / name).mkdir()
        ds.save_as(tmp_path / name / "1.dcm", enforce_file_format=True)
        found = stack_of(open_series(tmp_path / name)[0]).images[0].colours()
        assert np.abs(found.astype(int) - rgb).max() <= (0 if name in ("pixels", "jpeg 2000", "jpeg-ls") else 12), name


def plain_colour(rgb: NDArray[np.uint8]) -> Dataset:
    ds = image(ramp((1, *rgb.shape[:2]))[0], grid(), 0, sop_class=MR)
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.PixelData = rgb.tobytes()
    ds["PixelData"].VR = "OB"
    return ds


def shown(ds: Dataset, folder: Path) -> NDArray[np.uint8]:
    ds.save_as(folder / "one.dcm", enforce_file_format=True)
    return stack_of(open_series(folder)[0]).images[0].colours()


DOWN, ACROSS = np.indices((16, 24))
RGB = np.stack([10 * DOWN, 240 - 9 * ACROSS, DOWN + ACROSS], axis=-1).astype(np.uint8)


def test_run_lengths_and_planes_of_colour_are_read(tmp_path: Path) -> None:
    run_lengths, planes = plain_colour(RGB), plain_colour(RGB)
    run_lengths.compress("1.2.840.10008.1.2.5", generate_instance_uid=False)
    planes.PlanarConfiguration = 1
    planes.PixelData = np.moveaxis(RGB, -1, 0).tobytes()
    for name, ds in (("rle", run_lengths), ("planes", planes)):
        (tmp_path / name).mkdir()
        np.testing.assert_array_equal(shown(ds, tmp_path / name), RGB)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_palette_gives_the_colours_of_its_tables(tmp_path: Path, bits: int) -> None:
    """256 entries; the tables of 16 bits hold the colour in their upper byte."""
    ds = plain_colour(RGB)
    stored = (np.indices((16, 24)).sum(0) * 5 % 256).astype(np.uint8)
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "PALETTE COLOR"
    del ds.PlanarConfiguration
    ds.PixelData = stored.tobytes()
    rising = np.arange(256)
    tables = {"Red": rising, "Green": 255 - rising, "Blue": rising * 3 % 256}
    for colour, table in tables.items():
        entries = table.astype("<u2") << 8 if bits == 16 else table.astype(np.uint8)
        setattr(ds, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, bits])
        setattr(ds, f"{colour}PaletteColorLookupTableData", entries.tobytes())
    wanted = np.stack([table[stored] for table in tables.values()], axis=-1).astype(np.uint8)
    np.testing.assert_array_equal(shown(ds, tmp_path), wanted)


def short_palette(ds: Dataset) -> None:
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "PALETTE COLOR"
    ds.PixelData = bytes(16 * 24)  # and no table


def cut(ds: Dataset) -> None:
    ds.PixelData = ds.PixelData[:100]


@pytest.mark.parametrize("change", [short_palette, cut])
def test_colours_that_cannot_be_read_say_why(tmp_path: Path, change: Callable[[Dataset], None]) -> None:
    ds = plain_colour(RGB)
    change(ds)
    with pytest.raises(NotReadable, match=r"Instance|colour"):
        shown(ds, tmp_path)


def test_colours_of_twelve_bits_are_left_out_with_the_reason(tmp_path: Path) -> None:
    ds = plain_colour(RGB)
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelData = 16, 12, 11, ds.PixelData * 2
    ds.save_as(tmp_path / "one.dcm", enforce_file_format=True)
    found = stack_of(open_series(tmp_path)[0])
    assert not found.images and "3 x 16 bits" in str(found.left_out)


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
