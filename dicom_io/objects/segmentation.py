"""A mask as a binary Segmentation object, with a frame for each slice of each segment.

Sources: PS3.3 A.51 (Segmentation IOD), C.8.20 (its modules), C.7.6.16, C.7.6.17 (multi-frame).
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from dicom_io import codes
from dicom_io.files.digests import seal
from dicom_io.files.series import Series, read_dataset
from dicom_io.objects import functional_groups as groups_of
from dicom_io.objects.common import contributing, lossy_history, new_object, new_series
from dicom_io.objects.inherit import inherit
from dicom_io.stamp import Stamp
from render.geometry import Vector, cross, point, unit_vector, vector
from render.mask import Mask
from render.mask_steps import Automatic, Bone, Fragments, Given, Lesion, MaskStep
from render.palette import METAL, part_colour, part_name
from render.volume import Volume

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
# Frames are ordered by segment, then by position.
_DIMENSIONS = (
    (0x0062000B, 0x0062000A, "Referenced Segment Number"),
    (0x00200032, 0x00209113, "Image Position (Patient)"),
)


def segmentation(
    mask: Mask,
    steps: Sequence[MaskStep],
    volume: Volume,
    series: Series,
    stamp: Stamp,
    number: int = 1,
    name: str = "Segmentation",
    names: Mapping[int, str] = MappingProxyType({}),
) -> Dataset | None:
    """Makes the object of a mask on the grid of `volume`; None where no voxel has a label.

    steps : how the mask was made. number : of the series, after those of pictures. names : of its labels, where others
    gave them. The same arguments give the same bytes.
    """
    labels = [int(label) for label in np.unique(mask.labels) if label]
    if not labels:
        return None
    source = read_dataset(series.first.path)
    ds = new_object(SEGMENTATION, "", source, stamp)
    new_series(ds, "SEG", 9500 + number, name, stamp, "SEG", mask.digest)
    inherit(ds, source, "BodyPartExamined")
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = volume.frame_of_reference, ""
    ds.InstanceNumber = 1
    ds.ContentDate, ds.ContentTime = stamp.date, stamp.time
    ds.ImageType = ["DERIVED", "PRIMARY"]
    ds.ContentLabel, ds.ContentDescription, ds.ContentCreatorName = "SEGMENTATION", name[:64], None
    ds.SegmentationType, ds.SegmentsOverlap = "BINARY", "NO"
    lossy_history(ds, source, series)
    inherit(ds, source, "RecognizableVisualFeatures")
    ds.ContributingEquipmentSequence = contributing(source, stamp)
    ds.SegmentSequence = DicomSequence(
        _segment(place, label, steps, mask, names.get(label, "")) for place, label in enumerate(labels, start=1)
    )
    groups_of.dimensions(ds, stamp.uid("dimensions", mask.digest), _DIMENSIONS)
    _frames(ds, mask, labels, volume, series)
    classes = {i.sop_instance_uid: i.sop_class_uid for i in series.instances}
    ds.ReferencedSeriesSequence = groups_of.referenced_series(series.uid, [(u, classes[u]) for u in volume.source_uids])
    seal(ds)
    return ds


def _segment(place: int, label: int, steps: Sequence[MaskStep], mask: Mask, named: str) -> Dataset:
    """Describes a segment: the steps that gave it its label tell whether it is bone, and who made it elsewhere."""
    divided = next((step for step in steps if isinstance(step, Fragments) and part_name(label, step)), None)
    if divided is not None:
        return _part(place, label, divided, mask)
    elsewhere = [step for step in steps if isinstance(step, Given) and step.digest == mask.digest]
    made_by = [step for step in steps if step.label == label]
    names = {_structure(step) for step in made_by}
    name = names.pop() if len(names) == 1 else ""
    bone = name == "bone"
    ds = Dataset()
    ds.SegmentNumber = place
    ds.SegmentLabel = (named or f"{name or 'label'} {label}")[:64]
    ds.SegmentDescription = f"mask sha256 {mask.digest}" + (f", label {label}" if elsewhere else "")
    ds.SegmentAlgorithmType = "AUTOMATIC" if elsewhere else "SEMIAUTOMATIC"
    kinds = ", ".join(dict.fromkeys(step.kind for step in made_by))[:64] or "mask"
    ds.SegmentAlgorithmName = elsewhere[0].made_by if elsewhere else kinds
    ds.SegmentedPropertyCategoryCodeSequence = (codes.ANATOMY if bone else codes.TISSUE).sequence()
    ds.SegmentedPropertyTypeCodeSequence = (codes.BONE if bone else codes.TISSUE).sequence()
    return ds


def _part(place: int, label: int, step: Fragments, mask: Mask) -> Dataset:
    """Describes a part of divided bones, in a colour of its own."""
    metal = label == step.metal_label
    ds = Dataset()
    ds.SegmentNumber = place
    ds.SegmentLabel = "metal" if metal else f"bone, {part_name(label, step)}"
    ds.SegmentDescription = f"mask sha256 {mask.digest}"
    ds.SegmentAlgorithmType, ds.SegmentAlgorithmName = "SEMIAUTOMATIC", step.kind
    ds.RecommendedDisplayCIELabValue = _lab(METAL if metal else part_colour(label - step.label + 1))
    ds.SegmentedPropertyCategoryCodeSequence = (codes.PHYSICAL_OBJECT if metal else codes.ANATOMY).sequence()
    ds.SegmentedPropertyTypeCodeSequence = (codes.IMPLANT if metal else codes.BONE).sequence()
    return ds


def _lab(colour: Vector) -> list[int]:
    """Returns a colour of sRGB as 16-bit CIELab values. Sources: PS3.3 C.10.7.1.1 (encoding); IEC 61966-2-1 (sRGB),
    with the matrix of its white adapted to D50, as ICC profiles have it."""
    r, g, b = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in colour)
    x = (0.4360747 * r + 0.3850649 * g + 0.1430804 * b) / 0.96422
    y = 0.2225045 * r + 0.7168786 * g + 0.0606169 * b
    z = (0.0139322 * r + 0.0971045 * g + 0.7141733 * b) / 0.82521
    fx, fy, fz = (t ** (1.0 / 3.0) if t > 216.0 / 24389.0 else (24389.0 / 27.0 * t + 16.0) / 116.0 for t in (x, y, z))
    lightness, a, b_star = 116.0 * fy - 16.0, 500.0 * (fx - fy), 200.0 * (fy - fz)
    return [round(lightness * 655.35), round((a + 128.0) * 257.0), round((b_star + 128.0) * 257.0)]


def _structure(step: MaskStep) -> str:
    """Returns what a step marks, by its name; empty where only a person knows."""
    if isinstance(step, Automatic):
        return step.structure
    return "bone" if isinstance(step, Bone) else "lesion" if isinstance(step, Lesion) else ""


def _frames(ds: Dataset, mask: Mask, labels: Sequence[int], volume: Volume, series: Series) -> None:
    classes = {i.sop_instance_uid: i.sop_class_uid for i in series.instances}
    # Where each slice of the volume is one instance, a frame names its own; else every frame names all instances.
    single = all(i.stored_frames == 1 for i in series.instances if i.sop_instance_uid in volume.source_uids)
    own = volume.source_uids if single and len(volume.source_uids) == volume.shape[0] else ()
    if not own:
        ds.SourceImageSequence = DicomSequence(groups_of.source_item(uid, classes[uid]) for uid in volume.source_uids)
    planes, per_frame = [], []
    for place, label in enumerate(labels, start=1):
        for k in range(volume.shape[0]):
            plane = mask.labels[k] == label
            if not plane.any():
                continue
            planes.append(plane)
            frame = Dataset()
            frame.FrameContentSequence = groups_of.one(DimensionIndexValues=[place, k + 1])
            frame.PlanePositionSequence = groups_of.position(point(volume.affine, (k, 0, 0)))
            frame.SegmentIdentificationSequence = groups_of.one(ReferencedSegmentNumber=place)
            if own:
                made_of = groups_of.source_item(own[k], classes[own[k]], preserved=True)
                kind = codes.DERIVATIONS["segmentation_volumetry"]
                frame.DerivationImageSequence = groups_of.derivation([made_of], kind)
            per_frame.append(frame)
    ds.NumberOfFrames = len(planes)
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = volume.shape[1:]
    ds.BitsAllocated = ds.BitsStored = 1
    ds.HighBit = ds.PixelRepresentation = 0
    ds.SharedFunctionalGroupsSequence = DicomSequence([_plane_groups(volume)])
    ds.PerFrameFunctionalGroupsSequence = DicomSequence(per_frame)
    # One stream of bits over all frames, the first pixel in the lowest bit. Source: PS3.5 8.1.1.
    packed = np.packbits(np.stack(planes).reshape(-1), bitorder="little").tobytes()
    ds.PixelData = packed + b"\0" * (len(packed) % 2)
    ds["PixelData"].VR = "OB"


def _plane_groups(volume: Volume) -> Dataset:
    k, j, i = (vector(step) for step in volume.affine[:3, :3].T)
    normal = unit_vector(cross(i, j))
    apart = abs(sum(a * b for a, b in zip(k, normal, strict=True)))
    groups = Dataset()
    groups.PlaneOrientationSequence = groups_of.orientation(i, j)
    groups.PixelMeasuresSequence = groups_of.measures(volume.spacing_mm[1:], apart, apart)
    return groups
