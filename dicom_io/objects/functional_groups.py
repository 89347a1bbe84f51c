"""Functional groups: the attributes of each frame of a multi-frame object. Source: PS3.3 C.7.6.16."""

from collections.abc import Iterable, Sequence

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from dicom_io import codes
from dicom_io.objects.common import decimal
from render.geometry import Vector, unit_vector


def one(**values: object) -> DicomSequence:
    """Makes a sequence of one item with these attributes."""
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return DicomSequence([item])


def orientation(right: Vector, down: Vector) -> DicomSequence:
    """Makes a Plane Orientation Sequence. right, down : LPS directions of any length. Source: C.7.6.16.2.4."""
    directions = (*unit_vector(right), *unit_vector(down))
    return one(ImageOrientationPatient=[decimal(v) for v in directions])


def measures(spacing_mm: tuple[float, float], apart_mm: float | None, thickness_mm: float) -> DicomSequence:
    """Makes a Pixel Measures Sequence. spacing_mm : between rows, between columns. Source: C.7.6.16.2.1."""
    found = one(PixelSpacing=[decimal(v) for v in spacing_mm], SliceThickness=decimal(thickness_mm))
    if apart_mm is not None:
        found[0].SpacingBetweenSlices = decimal(apart_mm)
    return found


def position(at_mm: Vector) -> DicomSequence:
    """Makes a Plane Position Sequence. Source: C.7.6.16.2.3."""
    return one(ImagePositionPatient=[decimal(v) for v in at_mm])


def dimensions(ds: Dataset, uid: str, indices: Iterable[tuple[int, int, str]]) -> None:
    """Adds Dimension Organization and Index. indices : pointer, functional group and label of each. Source:
    C.7.6.17."""
    ds.DimensionOrganizationSequence = one(DimensionOrganizationUID=uid)
    ds.DimensionIndexSequence = DicomSequence(
        one(
            DimensionOrganizationUID=uid,
            DimensionIndexPointer=pointer,
            FunctionalGroupPointer=group,
            DimensionDescriptionLabel=words,
        )[0]
        for pointer, group, words in indices
    )


def source_item(uid: str, sop_class_uid: str, *, preserved: bool = False) -> Dataset:
    """Makes a Source Image Sequence item. preserved : pixels keep their places. Source: C.7.6.16.2.6."""
    source = Dataset()
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = sop_class_uid, uid
    source.PurposeOfReferenceCodeSequence = codes.SOURCE_FOR_PROCESSING.sequence()
    if preserved:
        source.SpatialLocationsPreserved = "YES"
    return source


def derivation(sources: Sequence[Dataset], kind: codes.Code) -> DicomSequence:
    """Makes a Derivation Image Sequence."""
    return one(SourceImageSequence=DicomSequence(sources), DerivationCodeSequence=kind.sequence())


def referenced_series(series_uid: str, instances: Iterable[tuple[str, str]]) -> DicomSequence:
    """Makes a Referenced Series Sequence of (UID, class) pairs. Source: C.12.2 (Common Instance Reference)."""
    items = (one(ReferencedSOPClassUID=kind, ReferencedSOPInstanceUID=uid)[0] for uid, kind in instances)
    return one(SeriesInstanceUID=series_uid, ReferencedInstanceSequence=DicomSequence(items))
