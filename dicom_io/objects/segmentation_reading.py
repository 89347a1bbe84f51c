"""Reads a Segmentation object of anyone onto the grid of a volume.

Binary, fractional (half and more counts) and label map segmentations, on the grid of the images or on one of their own.
Sources: PS3.3 A.51, C.8.20.2 (Segmentation Image), C.8.20.3 (fractional), C.8.20.4 (label map).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from dicom_io.errors import NotReadable
from dicom_io.objects.segmentation import SEGMENTATION
from render.geometry import Affine
from render.mask import Mask
from render.mask_steps import StepError
from render.segment import onto
from render.volume import Volume

LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
# Of all frames: as many as fit into the memory of any machine that holds a volume.
_MOST_PIXELS = 1 << 30
_MOST_FRAMES = 50_000
# Of a voxel: frames that lie so near to a slice are on it.
_NEAR = 0.05
# As `segmentation` describes the segments of a mask that was given to us.
_KEPT = re.compile(r"mask sha256 [0-9a-f]{64}, label (\d{1,3})")


@dataclass(frozen=True, slots=True, eq=False)
class LabelledVolume:
    """Labels on the grid of a volume. names : of the labels. made_by : who or what made them, with its version.
    overlap : voxels that were in more than one segment; the last one has them."""

    mask: Mask
    names: Mapping[int, str]
    made_by: str
    overlap: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """A frame of a segment. steps : (3, 2) LPS mm to the next row and to the next column. at_mm : its first pixel."""

    label: int
    steps: NDArray[np.float64]
    at_mm: NDArray[np.float64]
    thick_mm: float
    number: int


def read_segmentation(path: Path, volume: Volume) -> LabelledVolume:
    """Reads the segments of a file.

    Raises NotReadable for a file that is no segmentation, is damaged, or lies in another frame of reference than the
    volume or beside it.
    """
    try:
        ds = dcmread(path)
        return _read(ds, volume, path.name)
    except NotReadable:
        raise
    except StepError as error:
        raise NotReadable(f"{path.name}: {error}") from error
    except (InvalidDicomError, OSError) as error:
        raise NotReadable(f"{path.name}: {error}") from error
    except Exception as error:  # a damaged object fails anywhere
        raise NotReadable(f"{path.name}: a damaged segmentation ({type(error).__name__}: {error}).") from error


def _read(ds: Dataset, volume: Volume, name: str) -> LabelledVolume:
    if str(ds.get("SOPClassUID")) not in (SEGMENTATION, LABEL_MAP):
        raise NotReadable(f"{name}: no DICOM Segmentation.")
    frame_of_reference = str(ds.get("FrameOfReferenceUID") or "")
    if frame_of_reference != volume.frame_of_reference:
        raise NotReadable(
            f"{name}: lies in frame of reference {frame_of_reference or '(none)'}, the volume in "
            f"{volume.frame_of_reference or '(none)'}. It was made on another scan; make it on this one."
        )
    count = int(ds.get("NumberOfFrames") or 1)
    if not 0 < count <= _MOST_FRAMES or count * int(ds.Rows) * int(ds.Columns) > _MOST_PIXELS:
        raise NotReadable(f"{name}: {count} frames of {ds.Rows} x {ds.Columns} are more than can be read.")
    # A label map describes its background too, as segment 0.
    segments = {int(item.SegmentNumber): item for item in ds.SegmentSequence if int(item.SegmentNumber) > 0}
    numbers = list(segments)
    if not numbers or len(numbers) > 255:
        raise NotReadable(f"{name}: {len(numbers)} segments; 1 to 255 can be read.")
    # Their own numbers where these fit, else their order; in a mask that was kept by us, the labels that it had.
    label_of = {n: n if max(numbers) <= 255 else order for order, n in enumerate(numbers, start=1)}
    kept = {n: _KEPT.fullmatch(str(item.get("SegmentDescription") or "")) for n, item in segments.items()}
    if all(kept.values()):
        label_of = {n: min(int(said[1]), 255) for n, said in kept.items() if said}
    pixels = np.asarray(ds.pixel_array).reshape(count, int(ds.Rows), int(ds.Columns))
    labels, overlap = _placed(ds, pixels, label_of, volume)
    named = {label_of[n]: str(item.get("SegmentLabel") or f"segment {n}") for n, item in segments.items()}
    return LabelledVolume(Mask(labels), named, _made_by(ds, segments), overlap)


def _made_by(ds: Dataset, segments: Mapping[int, Dataset]) -> str:
    names = []
    for item in segments.values():
        identified = item.get("SegmentationAlgorithmIdentificationSequence") or [Dataset()]
        version = str(identified[0].get("AlgorithmVersion") or "")
        names.append(f"{item.get('SegmentAlgorithmName') or ''} {version}".strip())
    known = ", ".join(filter(None, dict.fromkeys(names)))
    return (known or str(ds.get("ContentCreatorName") or ds.get("Manufacturer") or "unknown"))[:64]


def _placed(
    ds: Dataset, pixels: NDArray[Any], label_of: Mapping[int, int], volume: Volume
) -> tuple[NDArray[np.uint8], int]:
    frames = list(_frames(ds, label_of))
    if str(ds.get("SegmentationType")) == "FRACTIONAL":
        pixels = pixels >= max(int(ds.get("MaximumFractionalValue") or 1) / 2.0, 1.0)
    labels, overlap = np.zeros(volume.shape, dtype=np.uint8), 0
    for grid, affine, taken in _grids(frames, pixels, label_of, volume):
        found = onto(volume, grid, affine).labels if affine is not None else grid
        overlap += int(np.count_nonzero((found != 0) & (labels != 0))) + taken
        labels[found != 0] = found[found != 0]
    return labels, overlap


def _frames(ds: Dataset, label_of: Mapping[int, int]) -> Iterator[_Frame]:
    shared = (ds.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    for number, own in enumerate(ds.PerFrameFunctionalGroupsSequence):

        def group(keyword: str, own: Dataset = own) -> Dataset:
            found = own.get(keyword) or shared.get(keyword)
            if not found:
                raise NotReadable(f"A frame of the segmentation has no {keyword}.")
            first: Dataset = found[0]
            return first

        columns_way, rows_way = np.array(
            [float(v) for v in group("PlaneOrientationSequence").ImageOrientationPatient]
        ).reshape(2, 3)
        measures = group("PixelMeasuresSequence")
        down, right = (float(v) for v in measures.PixelSpacing)
        thick = float(measures.get("SpacingBetweenSlices") or measures.get("SliceThickness") or 0.0)
        at = np.array([float(v) for v in group("PlanePositionSequence").ImagePositionPatient])
        steps = np.stack([rows_way * down, columns_way * right], axis=1)
        if not (np.isfinite(steps).all() and np.isfinite(at).all() and down > 0 and right > 0):
            raise NotReadable("A frame of the segmentation lies nowhere.")
        identified = own.get("SegmentIdentificationSequence") or shared.get("SegmentIdentificationSequence")
        label = label_of[int(identified[0].ReferencedSegmentNumber)] if identified else 0
        yield _Frame(label, steps, at, thick, number)


def _grids(
    frames: list[_Frame], pixels: NDArray[Any], label_of: Mapping[int, int], volume: Volume
) -> Iterator[tuple[NDArray[np.uint8], Affine | None, int]]:
    """Yields labels on the grid of the volume (no affine), or on a grid of their own with its affine; and how many
    voxels of it were in more than one segment."""
    if all(_slice_of(frame, pixels.shape[1:], volume) is not None for frame in frames):
        labels, taken = np.zeros(volume.shape, dtype=np.uint8), 0
        for frame in frames:
            k = _slice_of(frame, pixels.shape[1:], volume)
            assert k is not None
            taken += _paint(labels[k], pixels[frame.number], frame.label, label_of)
        yield labels, None, taken
        return
    first = frames[0]
    normal = np.cross(first.steps[:, 0], first.steps[:, 1])
    normal /= np.linalg.norm(normal)
    if any(np.abs(frame.steps - first.steps).max() > 1e-3 for frame in frames):
        raise NotReadable("Frames of the segmentation lie in several directions. Export it on the grid of the images.")
    along = np.array([float(normal @ (frame.at_mm - first.at_mm)) for frame in frames])
    apart = np.diff(np.unique(along.round(3)))
    step = first.thick_mm or (float(apart.min()) if len(apart) else 1.0)
    places = (along - along.min()) / step
    if np.abs(places - places.round()).max() > 0.1:
        raise NotReadable("Frames of the segmentation lie at uneven distances. Export it on the grid of the images.")
    count = round(float(places.max())) + 1
    if count * pixels.shape[1] * pixels.shape[2] > _MOST_PIXELS:
        raise NotReadable(f"The segmentation reaches over {count} slices: more than can be read.")
    labels, taken = np.zeros((count, *pixels.shape[1:]), dtype=np.uint8), 0
    for frame, place in zip(frames, places.round().astype(int), strict=True):
        taken += _paint(labels[place], pixels[frame.number], frame.label, label_of)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1:3] = normal * step, first.steps
    affine[:3, 3] = frames[int(along.argmin())].at_mm
    yield labels, affine, taken


def _paint(plane: NDArray[np.uint8], frame: NDArray[Any], label: int, label_of: Mapping[int, int]) -> int:
    """Paints a frame; returns how many voxels had another label before. label 0 : its values are segment numbers."""
    if label:
        found = frame != 0
        taken = int(np.count_nonzero(plane[found]))
        plane[found] = label
        return taken
    for number, own in label_of.items():
        plane[frame == number] = own
    return 0


def _slice_of(frame: _Frame, shape: tuple[int, ...], volume: Volume) -> int | None:
    """Returns the slice of the volume that a frame covers exactly; None where it lies otherwise."""
    if shape != volume.shape[1:]:
        return None
    steps = volume.to_index[:3, :3] @ frame.steps
    if np.abs(steps - [[0, 0], [1, 0], [0, 1]]).max() * max(volume.shape[1:]) > 0.5:
        return None
    k, j, i = (float(v) for v in volume.to_index[:3, :3] @ frame.at_mm + volume.to_index[:3, 3])
    if max(abs(j), abs(i), abs(k - round(k))) > _NEAR or not 0 <= round(k) < volume.shape[0]:
        return None
    return round(k)
