"""The modules that every object of ours begins with: patient and study, this workstation, and the sources."""

from collections.abc import Iterable

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence

from dicom_io import codes
from dicom_io.capabilities import EXPLICIT_LITTLE, LOSSY_SYNTAXES, PERFORMED_STEP
from dicom_io.evidence import ImageReference
from dicom_io.files.series import Series
from dicom_io.objects.inherit import copy_patient_and_study, inherit
from dicom_io.stamp import Stamp
from dicom_io.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION

# Body parts that have no side. From PS3.16 Table L-1 (Body Part Examined values).
_UNPAIRED = frozenset(
    "ABDOMEN ABDOMENPELVIS AORTA BLADDER BRAIN CERVIX CHEST CHESTABDOMEN CHESTABDPELVIS CIRCLEOFWILLIS COCCYX COLON "
    "CSPINE CTSPINE DUODENUM ESOPHAGUS FACE GALLBLADDER HEAD HEADNECK HEART JAW LARYNX LIVER LSPINE LSSPINE NECK "
    "PANCREAS PELVIS PROSTATE RECTUM SKULL SPINE SPLEEN SSPINE STERNUM STOMACH THYMUS TLSPINE TRACHEA TSPINE UTERUS "
    "WHOLEBODY".split()
)


def new_object(sop_class_uid: str, sop_instance_uid: str, source: Dataset, stamp: Stamp) -> Dataset:
    """Makes an object with the patient and study of the source and this workstation, still without series and content.

    Sources: PS3.3 C.7.1, C.7.2, C.7.5.1, C.12.1.
    """
    ds = copy_patient_and_study(source)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = sop_class_uid
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = sop_instance_uid
    ds.file_meta.TransferSyntaxUID = EXPLICIT_LITTLE
    ds.file_meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    ds.file_meta.ImplementationVersionName = IMPLEMENTATION_VERSION
    ds.InstanceCreationDate, ds.InstanceCreationTime = stamp.date, stamp.time
    ds.CodingSchemeIdentificationSequence = codes.own_scheme()
    equipment(ds, stamp)
    if stamp.performed_step:
        ds.ReferencedPerformedProcedureStepSequence = step_reference(stamp)
    return ds


def step_reference(stamp: Stamp) -> DicomSequence:
    """Refers to the performed procedure step of an object; no item where steps are not reported. Source: PS3.3 C.7.3.1,
    C.17.1."""
    if not stamp.performed_step:
        return DicomSequence()
    step = Dataset()
    step.ReferencedSOPClassUID, step.ReferencedSOPInstanceUID = PERFORMED_STEP, stamp.performed_step
    return DicomSequence([step])


def new_series(ds: Dataset, modality: str, number: int, description: str, stamp: Stamp, *identity: str) -> None:
    """Puts an object into a new series. identity : words that set it apart from other series of the session. Source:
    PS3.3 C.7.3.1."""
    ds.Modality = modality
    ds.SeriesInstanceUID = stamp.uid("series", *identity)
    ds.SeriesNumber = number
    ds.SeriesDescription = description[:64]
    ds.SeriesDate, ds.SeriesTime = stamp.date, stamp.time


def body_part(ds: Dataset, source: Dataset) -> None:
    """Sets Body Part Examined and Laterality. Source: PS3.3 C.7.3.1."""
    inherit(ds, source, "BodyPartExamined")
    if ds.get("BodyPartExamined") not in _UNPAIRED:  # type 2C: empty where the side is not known
        ds.Laterality = ""
        inherit(ds, source, "Laterality")


def inherit_laterality(source: Dataset) -> str:
    """Returns R, L, or U for a body part without a side or of unknown side. Source: PS3.3 C.11.25."""
    side = str(source.get("Laterality") or "")
    return side if side in ("R", "L") else "U"


def equipment(ds: Dataset, stamp: Stamp) -> None:
    """Sets General Equipment: this workstation made the instance. Source: PS3.3 C.7.5.1."""
    ds.Manufacturer = stamp.manufacturer
    ds.ManufacturerModelName = stamp.model_name
    ds.DeviceUID = stamp.device_uid
    ds.DeviceSerialNumber = stamp.device_uid[-16:]
    ds.SoftwareVersions = list(stamp.software_versions)
    ds.StationName = stamp.station_name
    if stamp.institution:
        ds.InstitutionName = stamp.institution


def contributing(source: Dataset, stamp: Stamp) -> DicomSequence:
    """Names the devices that acquired and processed the images.

    Source: PS3.3 C.12.1.1.5 (Contributing Equipment Sequence).
    """
    scanner, ours = Dataset(), Dataset()
    scanner.PurposeOfReferenceCodeSequence = codes.ACQUISITION_EQUIPMENT.sequence()
    scanner.Manufacturer = source.get("Manufacturer") or "unknown"
    for keyword in ("ManufacturerModelName", "StationName", "DeviceSerialNumber", "SoftwareVersions"):
        if source.get(keyword):
            setattr(scanner, keyword, source.get(keyword))
    ours.PurposeOfReferenceCodeSequence = codes.PROCESSING_EQUIPMENT.sequence()
    equipment(ours, stamp)
    ours.ContributionDateTime = stamp.date_time
    ours.ContributionDescription = "3D post-processing on an independent workstation"
    return DicomSequence([scanner, ours])


def lossy_history(ds: Dataset, source: Dataset, series: Series) -> None:
    """Copies the lossy history of the source: once lossy, always lossy. Source: PS3.3 C.7.6.1.1.5."""
    lossy = any(i.lossy or i.transfer_syntax_uid in LOSSY_SYNTAXES for i in series.instances)
    ds.LossyImageCompression = "01" if lossy else "00"
    for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        if lossy:
            inherit(ds, source, keyword)


def decimal(value: float) -> str:
    """Writes a decimal string of at most 16 characters. Source: PS3.5 6.2 (VR DS). Raises ValueError."""
    for digits in range(12, 0, -1):
        text = f"{round(value, 9) + 0.0:.{digits}g}"
        if len(text) <= 16:
            return text
    raise ValueError(f"{value} does not fit a DICOM decimal string.")


def study_references(study_uid: str, images: Iterable[ImageReference]) -> Dataset:
    """Makes a Hierarchical SOP Instance Reference. Source: PS3.3 C.17.2.1."""
    by_series: dict[str, dict[str, str]] = {}
    for image in images:
        by_series.setdefault(image.series_uid, {})[image.sop_instance_uid] = image.sop_class_uid
    study = Dataset()
    study.StudyInstanceUID = study_uid
    study.ReferencedSeriesSequence = DicomSequence()
    for series_uid, members in by_series.items():
        series = Dataset()
        series.SeriesInstanceUID = series_uid
        series.ReferencedSOPSequence = DicomSequence()
        for uid, sop_class in members.items():
            referenced = Dataset()
            referenced.ReferencedSOPClassUID = sop_class
            referenced.ReferencedSOPInstanceUID = uid
            series.ReferencedSOPSequence.append(referenced)
        study.ReferencedSeriesSequence.append(series)
    return study
