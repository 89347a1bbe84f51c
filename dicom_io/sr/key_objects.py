"""The pictures chosen for the report as a Key Object Selection by TID 2010.

Sources: PS3.3 A.35.4 (Key Object Selection Document IOD), C.17.6; PS3.16 TID 2010.
"""

from collections.abc import Mapping, Sequence

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from dicom_io import codes as c
from dicom_io.evidence import ImageReference, Person
from dicom_io.files.digests import seal
from dicom_io.objects.common import new_object, new_series, step_reference, study_references
from dicom_io.sr import content as sr
from dicom_io.stamp import Stamp

_WORDS = {True: "Pictures chosen for the report", False: "Images of interest"}
KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"


def write_key_objects(
    images: Sequence[ImageReference],
    chosen_by: Person,
    source: Dataset,
    study_uid: str,
    stamp: Stamp,
    frames: Mapping[str, Sequence[int]] = {},
    of_report: bool = True,
) -> Dataset:
    """Writes the selection of one or more images. source : the header of a source instance, for patient and study.
    frames : of multi-frame images by SOP Instance UID, numbers from 1. of_report : whether they are of a report, or of
    interest by themselves.

    The same arguments give the same bytes and UID. Raises ValueError without images.
    """
    if not images:
        raise ValueError("A key object selection needs an image.")
    ds = new_object(KEY_OBJECT_SELECTION, "", source, stamp)
    new_series(ds, "KO", 9902, "Key images", stamp, "key objects")
    ds.ReferencedPerformedProcedureStepSequence = step_reference(stamp)
    ds.InstanceNumber = 1
    ds.ContentDate, ds.ContentTime = stamp.date, stamp.time
    ds.CurrentRequestedProcedureEvidenceSequence = DicomSequence([study_references(study_uid, images)])
    relation = "HAS OBS CONTEXT"
    root = sr.container(
        "",
        c.FOR_REPORT_ATTACHMENT if of_report else c.OF_INTEREST,
        sr.code(relation, c.OBSERVER_TYPE, c.PERSON),
        sr.person_name(relation, c.PERSON_NAME, chosen_by.name),
        sr.text("CONTAINS", c.KEY_OBJECT_DESCRIPTION, _WORDS[of_report]),
        *(sr.image("CONTAINS", None, i.sop_class_uid, uid := i.sop_instance_uid, frames.get(uid, ())) for i in images),
        template="2010",
    )
    for element in root:
        ds.add(element)
    seal(ds)
    return ds


def key_images(ds: Dataset) -> tuple[str, ...]:
    """Returns the SOP Instance UIDs of the images of a selection, in their order."""
    items = sr.children(ds, value_type="IMAGE")
    return tuple(str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID) for item in items)
