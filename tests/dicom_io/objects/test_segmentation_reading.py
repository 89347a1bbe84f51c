"""Segmentations of anyone: by highdicom, by us, on a grid of their own, and hostile ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
from highdicom.seg import SegmentationTypeValues as Kind
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from dicom_io.errors import NotReadable
from dicom_io.files.series import Series, open_series
from dicom_io.objects.segmentation import segmentation
from dicom_io.objects.segmentation_reading import read_segmentation
from dicom_io.volumes import build_volume
from render.mask import Mask
from render.mask_steps import Given
from render.volume import Volume
from tests.dicom_io.sr.test_evidence_sr import STAMP
from tests.workstation.samples import SLICES


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> tuple[Volume, Series, list[Dataset]]:
    folder = tmp_path_factory.mktemp("slices")
    for file in SLICES:
        (folder / file.name).write_bytes(file.read_bytes())
    (series,) = open_series(folder)
    volume = build_volume(series)
    images = [pydicom.dcmread(i.path) for i in series.instances]
    return volume, series, sorted(images, key=lambda ds: volume.source_uids.index(ds.SOPInstanceUID))


def wedges(volume: Volume) -> NDArray[np.uint8]:
    """Labels 1 and 2, nowhere alike under a flip, and slices without any."""
    k, j, i = np.indices(volume.shape)
    labels = np.where((i > j + 20) & (k > 0), 1, 0)
    labels[(j > 2 * i) & (k < volume.shape[0] - 1)] = 2
    return labels.astype(np.uint8)


def by_highdicom(images: list[Dataset], pixels: NDArray[Any], kind: Kind, **other: Any) -> Dataset:
    def described(number: int) -> hd.seg.SegmentDescription:
        return hd.seg.SegmentDescription(
            number,
            f"part {number}",
            codes.SCT.Tissue,
            codes.SCT.Liver,
            hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            hd.AlgorithmIdentificationSequence("Nets", codes.DCM.ArtificialIntelligence, "2.1"),
        )

    return hd.seg.Segmentation(
        images,
        pixels,
        kind,
        [described(1), described(2)],
        series_instance_uid=hd.UID(),
        series_number=9,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="Somebody",
        manufacturer_model_name="Else",
        software_versions="1",
        device_serial_number="1",
        **other,
    )


@pytest.mark.parametrize("kind", [Kind.BINARY, Kind.FRACTIONAL, Kind.LABELMAP])
def test_what_highdicom_writes_is_read_on_the_grid_of_the_volume(
    opened: tuple[Volume, Series, list[Dataset]], tmp_path: Path, kind: Kind
) -> None:
    volume, _, images = opened
    labels, file = wedges(volume), tmp_path / "seg.dcm"
    pixels: NDArray[Any] = np.stack([labels == 1, labels == 2], axis=-1) * 0.9 if kind is Kind.FRACTIONAL else labels
    by_highdicom(images, pixels, kind).save_as(file)
    found = read_segmentation(file, volume)
    assert np.array_equal(found.mask.labels, labels)
    assert found.names == {1: "part 1", 2: "part 2"}
    assert found.made_by == "Nets 2.1"
    assert found.overlap == 0


def test_segments_that_overlap_are_counted(opened: tuple[Volume, Series, list[Dataset]], tmp_path: Path) -> None:
    volume, _, images = opened
    both, file = np.zeros((*volume.shape, 2), dtype=np.uint8), tmp_path / "seg.dcm"
    both[:, 10:30, 10:30, 0] = both[:, 20:40, 20:40, 1] = 1
    by_highdicom(images, both, Kind.BINARY).save_as(file)
    found = read_segmentation(file, volume)
    assert found.overlap == 100 * volume.shape[0]
    assert found.mask.labels[0, 25, 25] == 2


def test_a_grid_of_its_own_is_brought_onto_the_volume(
    opened: tuple[Volume, Series, list[Dataset]], tmp_path: Path
) -> None:
    """Every second row and column, in coronal planes: where voxels meet, the labels are the same."""
    volume, _, images = opened
    labels, file = wedges(volume), tmp_path / "seg.dcm"
    # Half the voxels along rows and columns, and planes that lie across the images.
    coarse = labels[:, ::2, ::2]
    steps = volume.affine[:3, :3] * [1, 2, 2]
    turned = coarse.transpose(1, 0, 2)
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = steps[:, [1, 0, 2]], volume.affine[:3, 3]
    own = hd.Volume(turned, affine, "PATIENT", frame_of_reference_uid=volume.frame_of_reference)
    by_highdicom(images, own, Kind.BINARY).save_as(file)
    found = read_segmentation(file, volume)
    assert np.array_equal(found.mask.labels[:, ::2, ::2], coarse)
    same = float((found.mask.labels == labels).mean())
    assert same > 0.985, same


def test_a_mask_that_was_given_to_us_comes_back_with_its_labels(
    opened: tuple[Volume, Series, list[Dataset]], tmp_path: Path
) -> None:
    volume, series, _ = opened
    mask, file = Mask(wedges(volume) * np.uint8(90)), tmp_path / "seg.dcm"
    steps = [Given(mask.digest, "Nets 2.1", label, label) for label in (90, 180)]
    made = segmentation(mask, steps, volume, series, STAMP, names={90: "left", 180: "right"})
    assert made is not None
    made.save_as(file, enforce_file_format=True)
    found = read_segmentation(file, volume)
    assert found.mask.digest == mask.digest
    assert (found.names, found.made_by) == ({90: "left", 180: "right"}, "Nets 2.1")


def another_frame(ds: Dataset) -> None:
    ds.FrameOfReferenceUID = "1.2.3"


def beside(ds: Dataset) -> None:
    for frame in ds.PerFrameFunctionalGroupsSequence:
        position = frame.PlanePositionSequence[0]
        position.ImagePositionPatient = [v + 5000 for v in position.ImagePositionPatient]


def no_place(ds: Dataset) -> None:
    del ds.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence


def cut_short(ds: Dataset) -> None:
    ds.PixelData = ds.PixelData[:100]


def many_frames(ds: Dataset) -> None:
    ds.NumberOfFrames = 2_000_000_000


def unknown_segment(ds: Dataset) -> None:
    ds.PerFrameFunctionalGroupsSequence[0].SegmentIdentificationSequence[0].ReferencedSegmentNumber = 7


def another_class(ds: Dataset) -> None:
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (another_frame, "frame of reference 1.2.3"),
        (beside, "beside the volume"),
        (no_place, "no PlanePositionSequence"),
        (cut_short, "damaged segmentation"),
        (many_frames, "more than can be read"),
        (unknown_segment, "damaged segmentation"),
        (another_class, "no DICOM Segmentation"),
    ],
)
def test_what_cannot_be_read_says_why(
    opened: tuple[Volume, Series, list[Dataset]], tmp_path: Path, change: Callable[[Dataset], None], says: str
) -> None:
    volume, series, _ = opened
    mask, file = Mask(wedges(volume)), tmp_path / "seg.dcm"
    made = segmentation(mask, (), volume, series, STAMP)
    assert made is not None
    change(made)
    made.save_as(file, enforce_file_format=True)
    with pytest.raises(NotReadable, match=says):
        read_segmentation(file, volume)


def test_no_dicom_at_all(opened: tuple[Volume, Series, list[Dataset]], tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("nothing", encoding="utf-8")
    with pytest.raises(NotReadable, match=r"notes\.txt"):
        read_segmentation(file, opened[0])
