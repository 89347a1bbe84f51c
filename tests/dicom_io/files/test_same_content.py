"""The same content in another transfer syntax is told from other content, whatever the two are."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_io.archive import Archive
from dicom_io.archive.quarantine import compared, differences, quarantined
from dicom_io.capabilities import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from dicom_io.errors import InstanceConflict
from dicom_io.files.codecs import RLE
from tests.dicom_io.synthetic import HTJ2K, J2K, JPEG_BASELINE, JPEG_LOSSLESS, JPEG_LS, grid, image, ramp, save

SYNTAXES = [IMPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED, RLE, JPEG_LS, J2K, JPEG_LOSSLESS, HTJ2K]


def one(dtype: str = "int16") -> Dataset:
    """An image with a name that is not ASCII, a sequence, and private attributes that implicit VR does not explain."""
    ds = image(ramp((1, 32, 32), dtype)[0] * 7, grid(), 0)
    ds.SpecificCharacterSet, ds.PatientName = "ISO_IR 100", "Müller^Jörg"
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "T-D1100", "SRT", "Head"
    ds.AnatomicRegionSequence = [code]
    block = ds.private_block(0x0029, "A TEST", create=True)
    block.add_new(1, "DS", ["1.5", "2.5"])
    block.add_new(2, "FD", 0.1)
    block.add_new(3, "LO", "größer")
    return ds


def colours() -> Dataset:
    ds = image(ramp((1, 32, 32), "uint8")[0], grid(), 0, sop_class="1.2.840.10008.5.1.4.1.1.7")
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.PixelData = (np.arange(32 * 32 * 3) % 256).astype("uint8").tobytes()
    return ds


def both(folder: Path, first: Dataset, second: Dataset, syntax: str, kept: str = EXPLICIT_LITTLE) -> Archive:
    """An archive that keeps the one, and was brought the other."""
    archive = Archive(folder / "archive")
    archive.import_files(save(first, folder / "first.dcm", kept))
    path = save(second, folder / "second.dcm", syntax)
    with pytest.raises(InstanceConflict):
        archive.admit(archive.spool(lambda part: part.write_bytes(path.read_bytes())))
    return archive


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("dtype", ["int16", "uint16"])
def test_the_same_in_another_transfer_syntax(tmp_path: Path, syntax: str, dtype: str) -> None:
    archive = both(tmp_path, one(dtype), one(dtype), syntax)
    (aside,) = quarantined(archive)
    found = differences(archive, aside.name)
    assert (found.keywords, found.pixels, found.same) == ((), False, True)
    assert (found.quarantined.transfer_syntax_uid, found.kept_transfer_syntax_uid) == (syntax, EXPLICIT_LITTLE)
    assert [how for _, how in compared(archive)] == ["same"]


def test_between_two_compressed_ones(tmp_path: Path) -> None:
    archive = both(tmp_path, one(), one(), J2K, kept=JPEG_LS)
    assert [how for _, how in compared(archive)] == ["same"]


def _pixel(ds: Dataset) -> None:
    data = bytearray(ds.PixelData)
    data[100] ^= 1
    ds.PixelData = bytes(data)


def _code(ds: Dataset) -> None:
    ds.AnatomicRegionSequence[0].CodeValue = "T-11100"


def _private(ds: Dataset) -> None:
    ds.private_block(0x0029, "A TEST")[2].value = 0.2


def _name(ds: Dataset) -> None:
    ds.PatientName = "Müller^Jorg"


@pytest.mark.parametrize("syntax", [EXPLICIT_LITTLE, *SYNTAXES])
@pytest.mark.parametrize(
    ("change", "keywords", "pixels"),
    [
        (_pixel, (), True),
        (_code, ("AnatomicRegionSequence",), False),
        (_private, ("(0029,1002)",), False),
        (_name, ("PatientName",), False),
    ],
)
def test_what_differs_is_named_in_every_transfer_syntax(
    tmp_path: Path, syntax: str, change: Callable[[Dataset], None], keywords: tuple[str, ...], pixels: bool
) -> None:
    other = one()
    change(other)
    archive = both(tmp_path, one(), other, syntax)
    found = differences(archive, quarantined(archive)[0].name)
    assert (found.keywords, found.pixels, found.same) == (keywords, pixels, False)


def test_a_sequence_that_is_written_in_another_way_is_the_same(tmp_path: Path) -> None:
    other = one()
    other["AnatomicRegionSequence"].is_undefined_length = True
    archive = both(tmp_path, one(), other, EXPLICIT_LITTLE)
    assert [how for _, how in compared(archive)] == ["same"]


def test_what_was_lossy_once_is_the_same_as_what_it_decodes_to(tmp_path: Path) -> None:
    plane = ramp((1, 32, 32), "uint8")[0]
    save(image(plane, grid(), 0), tmp_path / "lossy.dcm", JPEG_BASELINE)
    decoded = dcmread(tmp_path / "lossy.dcm")
    decoded.decompress(generate_instance_uid=False)
    archive = both(tmp_path, image(plane, grid(), 0), decoded, EXPLICIT_LITTLE, kept=JPEG_BASELINE)
    assert [how for _, how in compared(archive)] == ["same"]


@pytest.mark.parametrize(("syntax", "planes"), [(RLE, 0), (IMPLICIT_LITTLE, 1), (EXPLICIT_BIG, 0)])
def test_colours_count_and_not_how_they_lie(tmp_path: Path, syntax: str, planes: int) -> None:
    other = colours()
    if planes:
        data = np.frombuffer(other.PixelData, "uint8").reshape(-1, 3)
        other.PlanarConfiguration, other.PixelData = planes, np.ascontiguousarray(data.T).tobytes()
    archive = both(tmp_path, colours(), other, syntax)
    assert [how for _, how in compared(archive)] == ["same"]


def test_other_colours_are_other(tmp_path: Path) -> None:
    other = colours()
    _pixel(other)
    archive = both(tmp_path, colours(), other, RLE)
    assert [how for _, how in compared(archive)] == ["other"]


def test_an_overlay_in_the_pixels_is_content(tmp_path: Path) -> None:
    first, other = one("uint16"), one("uint16")
    for ds in (first, other):
        ds.BitsStored, ds.HighBit = 12, 11
        ds.add_new(0x60000100, "US", 16)
        ds.add_new(0x60000102, "US", 15)
    data = np.frombuffer(other.PixelData, "<u2") | 0x8000
    other.PixelData = data.astype("<u2").tobytes()
    archive = both(tmp_path, first, other, IMPLICIT_LITTLE)
    assert differences(archive, quarantined(archive)[0].name).pixels


def test_a_stream_that_cannot_be_decoded_is_other(tmp_path: Path) -> None:
    archive = both(tmp_path, one(), one(), J2K)
    (aside,) = quarantined(archive)
    path = archive.root / "quarantine" / f"{aside.name}.dcm"
    data = bytearray(path.read_bytes())
    data[-200:-100] = b"\0" * 100
    path.write_bytes(data)
    found = differences(archive, aside.name)
    assert found.pixels and not found.same
