"""A surface as an Encapsulated STL object, for printing and planning.

Sources: PS3.3 A.85.1 (Encapsulated STL IOD), C.24.2 (Encapsulated Document), C.35.1 (Manufacturing 3D Model).
"""

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from dicom_io import codes
from dicom_io.files.digests import seal
from dicom_io.files.series import Series, read_dataset
from dicom_io.objects import functional_groups as groups_of
from dicom_io.objects.common import body_part, contributing, new_object, new_series
from dicom_io.objects.inherit import inherit
from dicom_io.stamp import Stamp
from render.surface import Surface, as_stl
from render.volume import Volume

ENCAPSULATED_STL = "1.2.840.10008.5.1.4.1.1.104.3"


def surface_object(
    found: Surface, title: str, volume: Volume, series: Series, stamp: Stamp, number: int = 1
) -> Dataset:
    """Makes the object of a surface in the volume's frame of reference. title : what it shows. number : of the series.

    The same arguments give the same bytes.
    """
    return encapsulated((ENCAPSULATED_STL, "model/stl"), as_stl(found), title, volume, series, stamp, number)


def encapsulated(
    kind: tuple[str, str], data: bytes, title: str, volume: Volume, series: Series, stamp: Stamp, number: int
) -> Dataset:
    """Makes the object of a surface file. kind : its SOP class and its MIME type, `model/…`."""
    source = read_dataset(series.first.path)
    sop_class, mime = kind
    ds = new_object(sop_class, "", source, stamp)
    new_series(ds, "M3D", 9700 + number, title, stamp, mime.removeprefix("model/").upper(), title, str(number))
    body_part(ds, source)
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = volume.frame_of_reference, ""
    ds.InstanceNumber = 1
    ds.ContentDate, ds.ContentTime = stamp.date, stamp.time
    ds.AcquisitionDateTime = None
    ds.BurnedInAnnotation = "NO"
    inherit(ds, source, "RecognizableVisualFeatures")
    ds.DocumentTitle = title
    ds.ConceptNameCodeSequence = DicomSequence()
    ds.MIMETypeOfEncapsulatedDocument = mime
    ds.EncapsulatedDocumentLength = len(data)
    ds.EncapsulatedDocument = data + b"\0" * (len(data) % 2)
    classes = {i.sop_instance_uid: i.sop_class_uid for i in series.instances}
    ds.SourceInstanceSequence = DicomSequence(groups_of.source_item(u, classes[u]) for u in volume.source_uids)
    ds.ReferencedSeriesSequence = groups_of.referenced_series(series.uid, [(u, classes[u]) for u in volume.source_uids])
    ds.MeasurementUnitsCodeSequence = codes.UNITS["mm"].sequence()
    ds.ModelModification, ds.ModelMirroring = "NO", "NO"
    ds.ContributingEquipmentSequence = contributing(source, stamp)
    seal(ds)
    return ds
