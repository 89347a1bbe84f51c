"""Pictures as DICOM instances, which any PACS shows and which state how they were made.

Reformats of CT and MR become derived CT and MR images with their own geometry; projections and renderings become
secondary captures, rotations multi-frame ones. Annotation may be burned into captures, never into CT and MR images:
from their values and geometry every viewer writes letters and scale itself.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset

from dicom_io import codes
from dicom_io.capabilities import LOSSY_SYNTAXES
from dicom_io.evidence import ImageReference, Product, Side
from dicom_io.files.encoding import encoded_sequence, ready_for_encoded
from dicom_io.files.series import Series, read_dataset
from dicom_io.objects.burn_in import Burned, on_picture
from dicom_io.objects.common import body_part, contributing, decimal, lossy_history, new_object
from dicom_io.objects.enhanced import ENHANCED_CT, ENHANCED_MR, make_enhanced
from dicom_io.objects.functional_groups import source_item
from dicom_io.objects.identifying import mark_identifying
from dicom_io.objects.inherit import inherit
from dicom_io.objects.placing import Place, place_of, technique
from dicom_io.stamp import Stamp
from render.annotate import annotated
from render.geometry import Plane, cross, letters
from render.picture import Picture, window_8bit
from render.recipe import (
    Reformat,
    VolumeRendering,
    canonical_json,
    in_colour,
    seen_in_words,
)

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
GRAYSCALE_BYTE_CAPTURE = "1.2.840.10008.5.1.4.1.1.7.2"
TRUE_COLOR_CAPTURE = "1.2.840.10008.5.1.4.1.1.7.4"

# What remains true for a reformat. Sources: PS3.3 C.8.2.1 (CT Image), C.8.3.1 (MR Image).
_CT_KEPT = "KVP AcquisitionNumber ContrastBolusAgent ContrastBolusRoute PatientPosition".split()
_MR_KEPT = (
    "ScanningSequence SequenceVariant ScanOptions MRAcquisitionType RepetitionTime EchoTime EchoTrainLength "
    "InversionTime MagneticFieldStrength FlipAngle SequenceName AcquisitionNumber ContrastBolusAgent "
    "PatientPosition"
).split()


# Image Type value 3 of each technique. Source: PS3.3 C.8.16.1.3 (volumetric types); C.8.6 has none of its own.
IMAGE_TYPES = {
    "volume_rendering": "VOLREN",
    "mip": "MAX_IP",
    "minip": "MIN_IP",
    "average_ip": "AVERAGE", "mpr": "MPR", "curved_mpr": "MPR",
}  # fmt: skip
# Classes for pictures that are no planes of the patient: colour renderings, projections, rotations of either.
CAPTURE_CLASSES = (SECONDARY_CAPTURE, TRUE_COLOR_CAPTURE, GRAYSCALE_BYTE_CAPTURE)


def derive(
    pictures: Iterable[Picture],
    series: Series,
    stamp: Stamp,
    burned: Burned | None = None,
    *,
    multiframe: bool = False,
    fused: Sequence[Series] = (),
) -> list[Dataset]:
    """Makes DICOM instances of pictures, an instance for each plane of a reformat. Pictures of one kind are in one
    series of the session; a stack of planes is a series of its own.

    multiframe : the planes of a reformat become the frames of one enhanced image.
    fused : the series of second volumes, where pictures have any; they are named as sources too.
    burned : the annotation for captures, None for none. `Picture.digest` stays that of the pixels without it.
    The same pictures, stamp and burned give the same data sets, byte for byte, with the same fonts and Pillow.
    """
    origin = _Origin(read_dataset(series.first.path), series, stamp, tuple(fused))
    datasets: list[Dataset] = []
    taken: Counter[str] = Counter()
    for number, picture in enumerate(pictures, start=1):
        recipe, place = picture.recipe, place_of(picture, number, stamp)
        taken[place.series_uid] += 1
        place = replace(place, instance=taken[place.series_uid])
        if isinstance(recipe, Reformat) and not in_colour(recipe) and series.modality in ("CT", "MR"):
            make = _enhanced if multiframe and not _untold_loss(series, origin.source) else _reformat
            datasets += make(picture, origin, place)
        else:
            datasets.append(_capture(picture, origin, place, on_picture(burned, recipe)))
    return datasets


@dataclass(frozen=True, slots=True)
class _Origin:
    """What all objects of one call are made from. source : the header of the first image of the series."""

    source: Dataset
    series: Series
    stamp: Stamp
    fused: tuple[Series, ...] = ()
    _encoded: dict[tuple[str, ...], RawDataElement] = field(default_factory=dict)

    def source_images(self, uids: tuple[str, ...]) -> RawDataElement:
        """Makes the Source Image Sequence, once for all objects. Source: PS3.3 C.7.6.1.1.4 (purpose of reference)."""
        if uids not in self._encoded:
            both = (self.series, *self.fused)
            classes = {i.sop_instance_uid: i.sop_class_uid for one in both for i in one.instances}
            items = [source_item(uid, classes[uid]) for uid in uids]
            self._encoded[uids] = encoded_sequence("SourceImageSequence", items)
        return self._encoded[uids]


def _untold_loss(series: Series, source: Dataset) -> bool:
    """Whether the series is lossy and the source does not say how, which an enhanced image would have to."""
    lossy = any(i.lossy or i.transfer_syntax_uid in LOSSY_SYNTAXES for i in series.instances)
    return lossy and not (source.get("LossyImageCompressionRatio") and source.get("LossyImageCompressionMethod"))


def _common(picture: Picture, origin: _Origin, place: Place, sop_class: str) -> Dataset:
    """Makes everything but the pixels. Sources: PS3.3 C.7.3.1, C.7.5.1, C.7.6.1, C.12.1."""
    recipe, source, series, stamp = picture.recipe, origin.source, origin.series, origin.stamp
    ds = new_object(sop_class, "", source, stamp)
    _instance(ds, picture, stamp, place)
    ds.SeriesInstanceUID, ds.SeriesNumber, ds.SeriesDescription = place.series_uid, place.number, place.description
    ds.Modality = series.modality
    ds.SeriesDate, ds.SeriesTime = stamp.date, stamp.time
    ds.ImageComments = recipe.name or codes.DERIVATIONS[technique(recipe)].meaning
    body_part(ds, source)
    ds.ContentDate, ds.ContentTime = stamp.date, stamp.time
    for keyword in ("AcquisitionDate", "AcquisitionTime"):
        inherit(ds, source, keyword)
    ds.DerivationDescription = _description(picture)[:1024]
    ds.DerivationCodeSequence = codes.DERIVATIONS[technique(recipe)].sequence()
    ready_for_encoded(ds)
    ds.add(origin.source_images(picture.provenance.source_uids))
    ds.ContributingEquipmentSequence = contributing(source, stamp)
    lossy_history(ds, source, series)
    mark_identifying(ds, recipe, source, series.modality)
    return ds


def _instance(ds: Dataset, picture: Picture, stamp: Stamp, place: Place, index: int = 0) -> None:
    """Sets what differs between the instances of a picture beside their pixels and places. index : of the plane."""
    number = place.instance + index
    whole = " frames" if ds.SOPClassUID in (ENHANCED_CT, ENHANCED_MR) else ""
    which = f"{place.number} {number}{whole}"
    ds.SOPInstanceUID = stamp.uid("image", picture.provenance.recipe_digest, picture.digest, which)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.InstanceNumber = number
    plane = picture.planes[index] if len(picture.planes) > index else None
    # Type 2C: empty for curved and perspective pictures, whose rows and columns have no single direction.
    ds.PatientOrientation = [letters(plane.right_mm), letters(plane.down_mm)] if plane is not None else ""


def _description(picture: Picture) -> str:
    p, recipe = picture.provenance, picture.recipe
    device = f" on {p.device}" if p.device else ""
    return (
        f"{codes.DERIVATIONS[technique(recipe)].meaning}, {seen_in_words(recipe)}; engine {p.engine} "
        f"{p.engine_version}{device}; recipe sha256 {p.recipe_digest}; pixels sha256 {picture.digest}"
    )


def _reformat(picture: Picture, origin: _Origin, place: Place) -> list[Dataset]:
    """Makes one CT or MR image for each plane. Sources: PS3.3 A.3 (CT), A.4 (MR), C.7.6.2 (Image Plane)."""
    recipe, source, series = picture.recipe, origin.source, origin.series
    assert isinstance(recipe, Reformat)
    sop_class = CT_IMAGE if series.modality == "CT" else MR_IMAGE
    stored, slope, intercept = _as_int16(picture.pixels)
    alike = _common(picture, origin, place, sop_class)
    # Value 3 of a CT image can only be AXIAL or LOCALIZER, so MPR stands in value 4. PS3.3 C.8.2.1.1.1.
    alike.ImageType = ["DERIVED", "SECONDARY", "AXIAL", "MPR"] if series.modality == "CT" else _MR_TYPE
    for keyword in _CT_KEPT if series.modality == "CT" else _MR_KEPT:
        inherit(alike, source, keyword)
    alike.setdefault("PatientPosition", None)
    if series.modality == "CT":
        alike.setdefault("KVP", None)
        alike.setdefault("AcquisitionNumber", None)
    else:
        _complete_mr(alike)
    alike.FrameOfReferenceUID = picture.provenance.volume.frame_of_reference
    alike.PositionReferenceIndicator = ""
    alike.RescaleIntercept, alike.RescaleSlope = f"{intercept:.10g}"[:16], f"{slope:.10g}"[:16]
    alike.RescaleType = picture.unit if picture.unit != "1" else "US"
    alike.WindowCenter, alike.WindowWidth = f"{recipe.window.centre:g}", f"{recipe.window.width:g}"
    for element in list(alike.elements()):
        if element.VR == "SQ" and not element.is_raw:
            alike.add(encoded_sequence(element.keyword, element.value))
    datasets = []
    for index, plane in enumerate(picture.planes):
        ds = _copied(alike)
        _instance(ds, picture, origin.stamp, place, index)
        _image_plane(ds, plane, picture, recipe)
        _grey(ds, stored[index])
        datasets.append(ds)
    return datasets


def _copied(ds: Dataset) -> Dataset:
    """Copies a data set of encoded sequences and plain values for the next plane of a stack."""
    found = Dataset({element.tag: copy(element) for element in ds.elements()})
    found.file_meta = FileMetaDataset({element.tag: copy(element) for element in ds.file_meta.elements()})
    ready_for_encoded(found)
    return found


def _enhanced(picture: Picture, origin: _Origin, place: Place) -> list[Dataset]:
    """Makes one enhanced CT or MR image of all planes."""
    sop_class = ENHANCED_CT if origin.series.modality == "CT" else ENHANCED_MR
    ds = _common(picture, origin, place, sop_class)
    for keyword in ("Laterality", "PatientOrientation"):  # given for each frame
        ds.pop(keyword, None)
    ds.FrameOfReferenceUID = picture.provenance.volume.frame_of_reference
    ds.PositionReferenceIndicator = ""
    stored, slope, intercept = _as_int16(picture.pixels)
    _grey(ds, stored)
    rescale = (intercept, slope, picture.unit if picture.unit != "1" else "US")
    make_enhanced(ds, picture, origin.source, rescale, origin.stamp.uid("dimensions", str(ds.SeriesInstanceUID)))
    return [ds]


_MR_TYPE = ["DERIVED", "SECONDARY", "MPR"]


def _complete_mr(ds: Dataset) -> None:
    """Adds type 1 and 2 attributes of the MR Image module that a source may lack. Source: PS3.3 C.8.3.1."""
    if "InversionTime" in ds and "IR" not in (ds.get("ScanningSequence") or ()):
        del ds.InversionTime  # 2C: present with IR alone
    for keyword, fallback in (("ScanningSequence", "RM"), ("SequenceVariant", "NONE")):
        if not ds.get(keyword):
            setattr(ds, keyword, fallback)
    for keyword in ("ScanOptions", "MRAcquisitionType", "RepetitionTime", "EchoTime", "EchoTrainLength"):
        if keyword not in ds:
            setattr(ds, keyword, None)


def _image_plane(ds: Dataset, plane: Plane, picture: Picture, recipe: Reformat) -> None:
    rows_mm, columns_mm = plane.pixel_spacing_mm
    ds.PixelSpacing = [decimal(rows_mm), decimal(columns_mm)]
    ds.ImageOrientationPatient = [
        decimal(v) for v in (*(c / columns_mm for c in plane.right_mm), *(c / rows_mm for c in plane.down_mm))
    ]
    ds.ImagePositionPatient = [decimal(v) for v in plane.origin_mm]
    ds.SliceThickness = decimal(recipe.thickness_mm) if recipe.thickness_mm > 0 else None
    normal = cross(plane.right_mm, plane.down_mm)
    area = rows_mm * columns_mm
    ds.SliceLocation = decimal(sum(n * o for n, o in zip(normal, plane.origin_mm, strict=True)) / area)
    if len(picture.planes) > 1:
        a, b = picture.planes[0].origin_mm, picture.planes[1].origin_mm
        ds.SpacingBetweenSlices = decimal(sum((y - x) ** 2 for x, y in zip(a, b, strict=True)) ** 0.5)


def _as_int16(values: NDArray[np.generic]) -> tuple[NDArray[np.int16], float, float]:
    """Returns (stored, slope, intercept): exact for int16, 65,535 steps over the range of the whole picture for
    floats."""
    if values.dtype == np.int16:
        return np.asarray(values, dtype=np.int16), 1.0, 0.0
    floats = np.asarray(values, dtype=np.float64)
    low, high = float(floats.min()), float(floats.max())
    slope = (high - low) / 65535.0 or 1.0
    # Readers compute with the rounded decimal strings, so we do too.
    slope, intercept = float(f"{slope:.9e}"), float(f"{low + 32768.0 * slope:.9e}")
    stored = np.clip(np.rint((floats - intercept) / slope), -32768, 32767)
    return stored.astype(np.int16), slope, intercept


def _capture(picture: Picture, origin: _Origin, place: Place, burned: Burned | None) -> Dataset:
    """Makes a secondary capture, multi-frame for a rotation. Sources: PS3.3 A.8.1, A.8.3, A.8.5, C.8.6."""
    frames, stamp = len(picture.pixels), origin.stamp
    if in_colour(picture.recipe) or burned is not None:
        sop_class = SECONDARY_CAPTURE if frames == 1 else TRUE_COLOR_CAPTURE
    else:
        sop_class = SECONDARY_CAPTURE if frames == 1 else GRAYSCALE_BYTE_CAPTURE
    ds = _common(picture, origin, place, sop_class)
    ds.ImageType = ["DERIVED", "SECONDARY", IMAGE_TYPES.get(technique(picture.recipe), "OTHER")]
    ds.ConversionType = "WSD"
    ds.SecondaryCaptureDeviceManufacturer = stamp.manufacturer
    ds.SecondaryCaptureDeviceManufacturerModelName = stamp.model_name
    ds.SecondaryCaptureDeviceSoftwareVersions = list(stamp.software_versions)
    ds.DateOfSecondaryCapture, ds.TimeOfSecondaryCapture = stamp.date, stamp.time
    if picture.planes:
        # Parallel projection: the scale holds everywhere in the picture. PS3.3 C.8.6.2 (SC Image).
        ds.PixelSpacing = [decimal(v) for v in picture.planes[0].pixel_spacing_mm]
        ds.PixelSpacingCalibrationType = "GEOMETRY"
        ds.PixelSpacingCalibrationDescription = "parallel projection"
    if burned is not None:
        _burn_in(ds, picture, stamp, burned)
    elif isinstance(picture.recipe, VolumeRendering) or in_colour(picture.recipe):
        _colour(ds, picture.pixels)
    elif frames == 1:
        window = picture.recipe.window
        stored, slope, intercept = _as_int16(picture.pixels)
        _grey(ds, stored[0])
        ds.RescaleIntercept, ds.RescaleSlope = f"{intercept:.10g}"[:16], f"{slope:.10g}"[:16]
        ds.RescaleType = picture.unit if picture.unit != "1" else "US"
        ds.WindowCenter, ds.WindowWidth = f"{window.centre:g}", f"{window.width:g}"
    else:
        window = picture.recipe.window
        _grey(ds, window_8bit(picture.pixels, window.centre, window.width))
        ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "0", "1", "US"
        ds.PresentationLUTShape = "IDENTITY"
    if frames > 1:
        ds.NumberOfFrames = frames
        ds.FrameIncrementPointer = 0x00181063
        ds.FrameTime = "100"
    return ds


def _burn_in(ds: Dataset, picture: Picture, stamp: Stamp, burned: Burned) -> None:
    """Writes lossless RGB pixels with the annotation. Burned In Annotation is YES where they identify the patient.

    Source: PS3.3 C.7.6.1.1 ("sufficient burned in annotation to identify the patient and date").
    """
    frames = [annotated(picture, n, burned.banner, burned.font) for n in range(len(picture.pixels))]
    pixels = np.stack(frames)
    what = "patient, study, orientation, scale and view" if burned.banner else "orientation, scale and view"
    ds.DerivationDescription = f"{ds.DerivationDescription} before {what} were burned in"[:1024]
    if burned.banner:
        ds.BurnedInAnnotation = "YES"
    # Another font makes other pixels, so the UID follows from them.
    ds.SOPInstanceUID = stamp.uid("image", str(ds.SOPInstanceUID), hashlib.sha256(pixels.tobytes()).hexdigest())
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    _colour(ds, pixels)


def _grey(ds: Dataset, stored: NDArray[np.generic]) -> None:
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = stored.shape[-2:]
    bits = stored.dtype.itemsize * 8
    ds.BitsAllocated = ds.BitsStored = bits
    ds.HighBit = bits - 1
    ds.PixelRepresentation = int(stored.dtype.kind == "i")
    _pixels(ds, stored)


def _colour(ds: Dataset, pixels: NDArray[np.generic]) -> None:
    ds.SamplesPerPixel = 3
    ds.PhotometricInterpretation = "RGB"
    ds.PlanarConfiguration = 0
    ds.Rows, ds.Columns = pixels.shape[1:3]
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit = 7
    ds.PixelRepresentation = 0
    _pixels(ds, pixels)


def _pixels(ds: Dataset, values: NDArray[np.generic]) -> None:
    data = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
    ds.PixelData = data + b"\0" * (len(data) % 2)
    ds["PixelData"].VR = "OW" if values.dtype.itemsize == 2 else "OB"


def products(
    pictures: Sequence[Picture], datasets: Sequence[Dataset], region: str, laterality: Side = ""
) -> tuple[Product, ...]:
    """Describes the pictures for the SR, each with its own of the `datasets`: all that `derive` made of them, in order.

    region, laterality : named as in the charge facts; no laterality where the region has no side, or it is not known.
    """
    found, left = [], list(datasets)
    for picture in pictures:
        count = len(picture.planes) if left[0].SOPClassUID in (CT_IMAGE, MR_IMAGE) else 1
        found.append(_product(picture, left[:count], region, laterality))
        del left[:count]
    return tuple(found)


def _product(picture: Picture, images: Sequence[Dataset], region: str, laterality: Side) -> Product:
    p = picture.provenance
    return Product(
        technique=technique(p.recipe),
        region=region,
        purpose="diagnosis",
        base_procedure="",
        name=p.recipe.name,
        recipe=canonical_json(p.recipe),
        recipe_digest=p.recipe_digest,
        pixel_digest=picture.digest,
        volume_digest=p.volume_digest,
        engine=p.engine,
        engine_version=p.engine_version,
        graphics_device=p.device,
        performed_here=True,
        images=tuple(
            ImageReference(str(ds.SOPClassUID), str(ds.SOPInstanceUID), str(ds.SeriesInstanceUID)) for ds in images
        ),
        warnings=p.warnings,
        laterality=laterality,
    )
