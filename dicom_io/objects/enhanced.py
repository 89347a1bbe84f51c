"""A stack of reformats as one enhanced multi-frame CT or MR image, for sites that choose it.

Sources: PS3.3 A.38 (Enhanced CT), A.36 (Enhanced MR), C.8.15.2, C.8.13.1, C.7.6.16.
"""

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from dicom_io import codes
from dicom_io.evidence import ImageReference
from dicom_io.objects import functional_groups as groups_of
from dicom_io.objects.common import inherit_laterality, study_references
from dicom_io.objects.inherit import inherit
from dicom_io.uids import derived
from render.picture import Picture
from render.recipe import Reformat

ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
# Source: PS3.3 C.8.16.1
_TYPE = ["DERIVED", "PRIMARY", "VOLUME", "RESAMPLED"]
_DIMENSIONS = ((0x00200032, 0x00209113, "Image Position (Patient)"),)

# Body Part Examined to Anatomic Region. From PS3.16 Table L-1.
_REGIONS: dict[str, codes.Code] = {
    "HEAD": codes.Code("69536005", "SCT", "Head"),
    "SKULL": codes.Code("89546000", "SCT", "Skull"),
    "BRAIN": codes.Code("12738006", "SCT", "Brain"),
    "NECK": codes.Code("45048000", "SCT", "Neck"),
    "CHEST": codes.Code("816094009", "SCT", "Chest"),
    "HEART": codes.Code("80891009", "SCT", "Heart"),
    "ABDOMEN": codes.Code("818981001", "SCT", "Abdomen"),
    "PELVIS": codes.Code("816092008", "SCT", "Pelvis"),
    "SPINE": codes.Code("421060004", "SCT", "Spine"),
    "CSPINE": codes.Code("122494005", "SCT", "Cervical spine"),
    "TSPINE": codes.Code("122495006", "SCT", "Thoracic spine"),
    "LSPINE": codes.Code("122496007", "SCT", "Lumbar spine"),
    "SHOULDER": codes.Code("16982005", "SCT", "Shoulder"),
    "ELBOW": codes.Code("16953009", "SCT", "Elbow"),
    "WRIST": codes.Code("8205005", "SCT", "Wrist"),
    "HAND": codes.Code("85562004", "SCT", "Hand"),
    "HIP": codes.Code("24136001", "SCT", "Hip"),
    "KNEE": codes.Code("72696002", "SCT", "Knee"),
    "ANKLE": codes.Code("70258002", "SCT", "Ankle"),
    "FOOT": codes.Code("56459004", "SCT", "Foot"),
}
# For a source that names no body part: this is always true.
_SOMEWHERE = codes.Code("38266002", "SCT", "Entire body")


def make_enhanced(
    ds: Dataset, picture: Picture, source: Dataset, rescale: tuple[float, float, str], dimensions_uid: str
) -> None:
    """Turns an object with the pixels of all planes of a picture into an enhanced image.

    rescale : intercept, slope and type of the stored values.
    """
    recipe, planes = picture.recipe, picture.planes
    assert isinstance(recipe, Reformat)
    ct = ds.SOPClassUID == ENHANCED_CT
    ds.ImageType = _TYPE
    ds.NumberOfFrames = len(planes)
    ds.PixelPresentation, ds.VolumetricProperties = "MONOCHROME", "VOLUME"
    ds.VolumeBasedCalculationTechnique = "MPR"
    ds.PresentationLUTShape = "IDENTITY"
    ds.AcquisitionContextSequence = DicomSequence()
    # Not cleared for diagnosis. Source: PS3.3 C.8.13.2.1.1.
    ds.ContentQualification = "RESEARCH"
    inherit(ds, source, "PatientPosition")
    ds.setdefault("PatientPosition", None)
    if not ct:
        ds.ApplicableSafetyStandardAgency = "IEC"
        ds.ComplexImageComponent, ds.AcquisitionContrast = "MAGNITUDE", "UNKNOWN"
    groups_of.dimensions(ds, dimensions_uid, _DIMENSIONS)
    kind = codes.DERIVATIONS["mpr"]
    sources = list(ds.SourceImageSequence)
    shared = Dataset()
    shared.PlaneOrientationSequence = groups_of.orientation(planes[0].right_mm, planes[0].down_mm)
    apart = None
    if len(planes) > 1:
        pairs = zip(planes[0].origin_mm, planes[1].origin_mm, strict=True)
        apart = sum((b - a) ** 2 for a, b in pairs) ** 0.5
    thickness = recipe.thickness_mm or apart or min(planes[0].pixel_spacing_mm)
    shared.PixelMeasuresSequence = groups_of.measures(planes[0].pixel_spacing_mm, apart, thickness)
    shared.FrameAnatomySequence = groups_of.one(
        AnatomicRegionSequence=_REGIONS.get(str(source.get("BodyPartExamined") or ""), _SOMEWHERE).sequence(),
        FrameLaterality=inherit_laterality(source),
    )
    intercept, slope, unit = rescale
    shared.PixelValueTransformationSequence = groups_of.one(
        RescaleIntercept=f"{intercept:.10g}"[:16], RescaleSlope=f"{slope:.10g}"[:16], RescaleType=unit
    )
    shared.FrameVOILUTSequence = groups_of.one(
        WindowCenter=f"{recipe.window.centre:g}", WindowWidth=f"{recipe.window.width:g}"
    )
    frame_type = groups_of.one(
        FrameType=_TYPE,
        PixelPresentation="MONOCHROME",
        VolumetricProperties="VOLUME",
        VolumeBasedCalculationTechnique="MPR",
    )
    if ct:
        shared.CTImageFrameTypeSequence = frame_type
    else:
        frame_type[0].ComplexImageComponent, frame_type[0].AcquisitionContrast = "MAGNITUDE", "UNKNOWN"
        shared.MRImageFrameTypeSequence = frame_type
    if ct:
        # Where the source names no irradiation event, its series counts as one.
        event = source.get("IrradiationEventUID") or derived("irradiation event", str(source.SeriesInstanceUID))
        shared.IrradiationEventIdentificationSequence = groups_of.one(IrradiationEventUID=event)
    shared.DerivationImageSequence = groups_of.derivation(sources, kind)
    ds.SharedFunctionalGroupsSequence = DicomSequence([shared])
    frames = []
    for number, plane in enumerate(planes, start=1):
        frame = Dataset()
        frame.FrameContentSequence = groups_of.one(
            DimensionIndexValues=[number], StackID="1", InStackPositionNumber=number
        )
        frame.PlanePositionSequence = groups_of.position(plane.origin_mm)
        frames.append(frame)
    ds.PerFrameFunctionalGroupsSequence = DicomSequence(frames)
    referenced = [(str(item.ReferencedSOPInstanceUID), str(item.ReferencedSOPClassUID)) for item in sources]
    series_uid = str(source.SeriesInstanceUID)
    images = [ImageReference(kind, uid, series_uid) for uid, kind in referenced]
    ds.SourceImageEvidenceSequence = DicomSequence([study_references(str(source.StudyInstanceUID), images)])
    ds.ReferencedSeriesSequence = groups_of.referenced_series(series_uid, referenced)
