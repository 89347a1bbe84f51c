"""Nuclear medicine, X-ray 3D, legacy PET, private ultrasound: opened where geometry allows, else refused by name."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dicom_io.errors import VolumeRefused
from dicom_io.files.series import open_series
from dicom_io.volumes.build import RefusedImages, Stack, build_volume, find_stacks
from tests.dicom_io.synthetic import MR, grid, image, ramp, rotation, save, write_series


def nuclear(stored: np.ndarray, spacing: float, kind: str = "RECON TOMO", gates: int = 1) -> Dataset:
    """A reconstructed NM image: all slices of each gate, one after the other. Source: PS3.3 A.5 and C.8.4."""
    frames = stored.reshape(-1, *stored.shape[-2:])
    ds = image(frames[0], grid(rotation(0.2, 0.1, 0.3)), 0, sop_class=MR)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.20"
    ds.Modality, ds.ImageType = "NM", ["ORIGINAL", "PRIMARY", kind, "EMISSION"]
    ds.NumberOfFrames, ds.SpacingBetweenSlices = len(frames), str(spacing)
    detector = Dataset()
    detector.ImagePositionPatient, detector.ImageOrientationPatient = (
        ds.ImagePositionPatient,
        ds.ImageOrientationPatient,
    )
    del ds.ImagePositionPatient, ds.ImageOrientationPatient
    ds.DetectorInformationSequence = [detector]
    count = len(frames) // gates
    ds.SliceVector = [1 + n % count for n in range(len(frames))]
    ds.TimeSlotVector = [1 + n // count for n in range(len(frames))]
    ds.PixelData = frames.astype("<u2").tobytes()
    return ds


@pytest.mark.parametrize("spacing", [4.4, -4.4])
def test_a_reconstructed_tomogram_is_a_volume(tmp_path: Path, spacing: float) -> None:
    """The sign of the spacing says on which side of the first slice the others are. Source: PS3.3 C.8.4.15."""
    stored = ramp((5, 6, 7), "uint16")
    save(nuclear(stored, spacing), tmp_path / "nm.dcm")
    volume = build_volume(open_series(tmp_path)[0])
    np.testing.assert_array_equal(volume.voxels, stored if spacing > 0 else stored[::-1])
    assert volume.spacing_mm[0] == pytest.approx(4.4)
    first = volume.affine @ [0 if spacing > 0 else 4, 0, 0, 1]
    np.testing.assert_allclose(first[:3], [-20.0, 11.0, 35.0], atol=1e-6)


def test_gates_are_kept_apart(tmp_path: Path) -> None:
    stored = np.arange(2 * 5 * 6 * 7, dtype="uint16").reshape(2, 5, 6, 7)
    save(nuclear(stored, 4.4, gates=2), tmp_path / "nm.dcm")
    (series,) = open_series(tmp_path)
    assert [s.label for s in find_stacks(series)] == ["time slot 1", "time slot 2"]
    np.testing.assert_array_equal(build_volume(series, 1).voxels, stored[1])


def test_projections_are_refused_by_name(tmp_path: Path) -> None:
    save(nuclear(ramp((5, 6, 7), "uint16"), 4.4, kind="TOMO"), tmp_path / "nm.dcm")
    with pytest.raises(VolumeRefused, match="not a reconstructed tomogram"):
        build_volume(open_series(tmp_path)[0])


@pytest.mark.parametrize(
    ("creator", "group", "maker"),
    [
        ("KRETZ_US", 0x7FE1, "GE Voluson"),
        ("GEMS_Ultrasound_MovieGroup_001", 0x7FE1, "GE Vivid"),
        ("Philips US Imaging DD 033", 0x200D, "Philips"),
    ],
)
def test_private_ultrasound_volumes_are_refused_by_name(tmp_path: Path, creator: str, group: int, maker: str) -> None:
    ds = image(ramp((1, 8, 8), "uint8")[0], grid(), 0)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.6.1"
    ds.Modality = "US"
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(ds, keyword)
    ds.private_block(group, creator, create=True).add_new(1, "OB", b"\1\2\3\4")
    save(ds, tmp_path / "us.dcm")
    with pytest.raises(
        VolumeRefused, match=rf"private 3D ultrasound format \({maker}\); ask the scanner for Enhanced US"
    ):
        build_volume(open_series(tmp_path)[0])


def test_a_cine_loop_of_ultrasound_is_refused_by_name(tmp_path: Path) -> None:
    ds = image(ramp((1, 8, 8), "uint8")[0], grid(), 0)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.3.1"
    ds.Modality, ds.NumberOfFrames, ds.PixelData = "US", 4, bytes(256)
    save(ds, tmp_path / "us.dcm")
    with pytest.raises(VolumeRefused, match="cine loop"):
        build_volume(open_series(tmp_path)[0])


def apart(folder: Path, change: Any) -> list[Stack | RefusedImages]:
    """What becomes of two images at each of four places, told apart by `change(ds, turn)`."""

    def both(ds: Dataset, k: int) -> None:
        turn, place = divmod(k, 4)
        ds.ImagePositionPatient = ["0", "0", str(2 * place)]
        ds.InstanceNumber = 1 + 2 * place + turn
        change(ds, turn)

    return list(find_stacks(write_series(folder, ramp((8, 4, 4)), grid(), sop_class=MR, change=both)))


def siemens_b(ds: Dataset, turn: int) -> None:
    ds.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", str(1000 * turn))


def siemens_direction(ds: Dataset, turn: int) -> None:
    block = ds.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0C, "IS", "1000")
    block.add_new(0x0E, "FD", [0.0, float(turn), 1.0 - turn])


def ge_b(ds: Dataset, turn: int) -> None:
    ds.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x39, "IS", [1000000000 + 700 * turn, 8, 0, 0])


def philips_b(ds: Dataset, turn: int) -> None:
    ds.private_block(0x2001, "Philips Imaging DD 001", create=True).add_new(0x03, "FL", 800.0 * turn)


def of(keyword: str, *values: Any) -> Any:
    return lambda ds, turn: setattr(ds, keyword, values[turn])


@pytest.mark.parametrize(
    ("change", "labels"),
    [
        (siemens_b, ["b-value 0", "b-value 1000"]),
        (ge_b, ["b-value 0", "b-value 700"]),
        (philips_b, ["b-value 0", "b-value 800"]),
        (siemens_direction, ["gradient direction 0 0 1", "gradient direction 0 1 0"]),
        (of("EchoTime", "5.19", "7.650"), ["echo time 5.19", "echo time 7.65"]),
        (of("TriggerTime", "10", "200"), ["trigger time 10", "trigger time 200"]),
        (of("InversionTime", "100", "900"), ["inversion time 100", "inversion time 900"]),
        (of("FlipAngle", "5", "20"), ["flip angle 5", "flip angle 20"]),
        (of("ConvolutionKernel", "B30f", "B70f"), ["reconstruction kernel B30f", "reconstruction kernel B70f"]),
        (of("KVP", "80", "140"), ["tube voltage 80", "tube voltage 140"]),
        (
            of("ImageType", ["DERIVED", "PRIMARY", "DIXON", "WATER"], ["DERIVED", "PRIMARY", "DIXON", "FAT"]),
            ["image type DIXON\\FAT", "image type DIXON\\WATER"],
        ),
        (of("NominalPercentageOfCardiacPhase", 30.0, 75.0), ["cardiac phase 30", "cardiac phase 75"]),
    ],
)
def test_what_sets_two_volumes_apart_is_their_name(tmp_path: Path, change: Any, labels: list[str]) -> None:
    found = apart(tmp_path, change)
    assert [s.label for s in found] == labels
    for stack in found:
        assert isinstance(stack, Stack)
        assert "4 places are imaged more than once, and the images differ in" in stack.reason


def test_the_same_echo_written_in_two_ways_is_the_same(tmp_path: Path) -> None:
    def unnumbered(ds: Dataset, turn: int) -> None:
        of("EchoTime", "5.19", "5.190")(ds, turn)
        ds.InstanceNumber = 1

    (refused,) = apart(tmp_path, unnumbered)
    assert isinstance(refused, RefusedImages) and "imaged more than once" in refused.reason


def test_a_dimension_of_the_scanners_own_sets_frames_apart(tmp_path: Path) -> None:
    """An attribute that we do not know by name; the dimension index says that frames differ. Source: PS3.3 C.7.6.17."""
    stored = ramp((8, 4, 4), "uint16")
    ds = image(stored[0], grid(), 0, sop_class=MR)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4.1"
    ds.NumberOfFrames, ds.PixelData = 8, stored.tobytes()
    shared = Dataset()
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [Dataset()], [Dataset()]
    shared.PixelMeasuresSequence[0].PixelSpacing = ["0.7", "0.7"]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    ds.SharedFunctionalGroupsSequence, ds.PerFrameFunctionalGroupsSequence = [shared], []
    place, other = Dataset(), Dataset()
    place.DimensionIndexPointer, other.DimensionIndexPointer = (
        0x00209057,
        0x00189075,
    )  # in-stack position, directionality
    ds.DimensionIndexSequence = [place, other]
    for n in range(8):
        own = Dataset()
        own.PlanePositionSequence, own.FrameContentSequence = [Dataset()], [Dataset()]
        own.PlanePositionSequence[0].ImagePositionPatient = ["0", "0", str(2 * (n // 2))]
        own.FrameContentSequence[0].DimensionIndexValues = [1 + n // 2, 1 + n % 2]
        ds.PerFrameFunctionalGroupsSequence.append(own)
    save(ds, tmp_path / "enhanced.dcm")
    (series,) = open_series(tmp_path)
    assert [s.label for s in find_stacks(series)] == [f"dimension DiffusionDirectionality {n}" for n in (1, 2)]
    np.testing.assert_array_equal(build_volume(series, 0).voxels, stored[0::2])
