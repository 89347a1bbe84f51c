"""Spatial Registration objects: how one series lies on another, written, and read from anyone.

Sources: PS3.3 A.39.1 (Spatial Registration IOD), C.20.1 (Spatial Registration Series), C.20.2 (Spatial Registration).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from dicom_io import codes
from dicom_io.errors import NotReadable
from dicom_io.files.digests import seal
from dicom_io.files.series import Series, read_dataset
from dicom_io.objects import functional_groups as groups_of
from dicom_io.objects.common import body_part, contributing, decimal, new_object, new_series
from dicom_io.stamp import Stamp
from render.geometry import IDENTITY, Affine, Matrix
from render.registration import Registration
from render.volume import Volume

SPATIAL_REGISTRATION = "1.2.840.10008.5.1.4.1.1.66.1"
# PS3.3 C.20.2.1.1: what a matrix may do.
_KINDS = ("RIGID", "RIGID_SCALE", "AFFINE")


@dataclass(frozen=True, slots=True)
class RegisteredPart:
    """One item of a Spatial Registration: where images lie in the frame of reference of the object.

    frame_of_reference : theirs, empty where the item names images alone. source_uids : the images it names; () for all
    of that frame. matrix : rows of (4, 4), theirs to the object's, LPS mm. kind : RIGID, RIGID_SCALE or AFFINE.
    """

    frame_of_reference: str
    source_uids: tuple[str, ...]
    matrix: Matrix
    kind: str


@dataclass(frozen=True, slots=True)
class SpatialRegistration:
    """A Spatial Registration object as read. frame_of_reference : into which every part is mapped."""

    sop_instance_uid: str
    frame_of_reference: str
    parts: tuple[RegisteredPart, ...]

    def move(self, moving: Volume, fixed: Volume) -> Matrix:
        """Returns the map of `moving` to `fixed`, LPS mm: the way over the frame of reference of the object.

        Raises NotReadable where it says nothing of one of them.
        """
        to_frame, from_frame = (np.array(self._of(v).matrix) for v in (moving, fixed))
        rows = (np.linalg.inv(from_frame) @ to_frame).tolist()
        one, two, three, _ = ((a, b, c, d) for a, b, c, d in rows)
        return (one, two, three, IDENTITY[3])

    def _of(self, volume: Volume) -> RegisteredPart:
        named = [part for part in self.parts if set(part.source_uids) & set(volume.source_uids)]
        framed = [part for part in self.parts if part.frame_of_reference == volume.frame_of_reference]
        if named or framed:
            return (named or framed)[0]
        if volume.frame_of_reference == self.frame_of_reference:
            return RegisteredPart(self.frame_of_reference, (), IDENTITY, "RIGID")
        raise NotReadable(
            f"Spatial Registration {self.sop_instance_uid}: neither the frame of reference {volume.frame_of_reference} "
            "nor any image of the volume is in it. Give the registration made for this series."
        )


def spatial_registration(
    found: Registration,
    fixed: tuple[Volume, Series],
    moving: tuple[Volume, Series],
    stamp: Stamp,
    number: int = 1,
) -> Dataset:
    """Makes the object of a registration that was not declined, in the patient, study and frame of the fixed series.

    The same arguments give the same bytes. Raises ValueError for one that was declined.
    """
    if found.declined:
        raise ValueError(f"A registration that was declined is not stored: {found.declined}")
    volume, series = fixed
    source = read_dataset(series.first.path)
    ds = new_object(SPATIAL_REGISTRATION, "", source, stamp)
    new_series(ds, "REG", 9800 + number, "Registration", stamp, "registration", series.uid, moving[1].uid, str(number))
    body_part(ds, source)
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = volume.frame_of_reference, ""
    ds.InstanceNumber = 1
    ds.ContentDate, ds.ContentTime = stamp.date, stamp.time
    ds.ContentLabel = "REGISTRATION"
    ds.ContentDescription = f"{moving[1].modality} series onto {series.modality} series"
    ds.ContentCreatorName = ""
    kind = "RIGID" if found.model == "rigid" else "AFFINE"
    words = f"mutual information {found.metric:g}, overlap {found.overlap:g}, quality {found.quality:g}"
    ds.RegistrationSequence = DicomSequence(
        [_item(*fixed, IDENTITY, "RIGID", "fixed"), _item(*moving, found.matrix, kind, words)]
    )
    _references(ds, str(source.StudyInstanceUID), (fixed, moving))
    ds.ContributingEquipmentSequence = contributing(source, stamp)
    seal(ds)
    return ds


def _item(volume: Volume, series: Series, matrix: Matrix, kind: str, words: str) -> Dataset:
    item = Dataset()
    item.FrameOfReferenceUID = volume.frame_of_reference
    item.ReferencedImageSequence = DicomSequence(
        groups_of.one(ReferencedSOPClassUID=sop_class, ReferencedSOPInstanceUID=uid)[0]
        for uid, sop_class in _instances(volume, series)
    )
    numbers = [decimal(v) for row in matrix for v in row]
    step = groups_of.one(FrameOfReferenceTransformationMatrix=numbers, FrameOfReferenceTransformationMatrixType=kind)
    item.MatrixRegistrationSequence = groups_of.one(
        FrameOfReferenceTransformationComment=words,
        RegistrationTypeCodeSequence=codes.CONTENT_ALIGNMENT.sequence() if matrix != IDENTITY else DicomSequence(),
        MatrixSequence=step,
    )
    return item


def _instances(volume: Volume, series: Series) -> list[tuple[str, str]]:
    classes = {i.sop_instance_uid: i.sop_class_uid for i in series.instances}
    return [(uid, classes[uid]) for uid in dict.fromkeys(volume.source_uids)]


def _references(ds: Dataset, study_uid: str, both: Sequence[tuple[Volume, Series]]) -> None:
    """Names the images by series and, where they are of another study, by study. Source: PS3.3 C.12.2."""
    here: dict[str, DicomSequence] = {}
    elsewhere: dict[str, DicomSequence] = {}
    for volume, series in both:
        study = series.first.study_uid
        group = here if study == study_uid else elsewhere
        named = groups_of.referenced_series(series.uid, _instances(volume, series))
        group.setdefault(study, DicomSequence()).extend(named)
    for listed in here.values():
        ds.ReferencedSeriesSequence = listed
    if elsewhere:
        ds.StudiesContainingOtherReferencedInstancesSequence = DicomSequence(
            groups_of.one(StudyInstanceUID=study, ReferencedSeriesSequence=listed)[0]
            for study, listed in elsewhere.items()
        )


def read_spatial_registration(ds: Dataset) -> SpatialRegistration:
    """Reads a Spatial Registration, ours or anyone's. Several matrices of an item are applied one after the other.

    Raises NotReadable for another class, an item without matrix, or a matrix that is none.
    """
    uid = str(ds.get("SOPInstanceUID") or "")
    if str(ds.get("SOPClassUID") or "") != SPATIAL_REGISTRATION:
        raise NotReadable(f"{uid}: no Spatial Registration, but of class {ds.get('SOPClassUID')}.")
    parts = tuple(_part(item, uid, number) for number, item in enumerate(ds.get("RegistrationSequence") or (), start=1))
    if not parts:
        raise NotReadable(f"Spatial Registration {uid}: its Registration Sequence (0070,0308) has no item.")
    return SpatialRegistration(uid, str(ds.get("FrameOfReferenceUID") or ""), parts)


def _part(item: Dataset, uid: str, number: int) -> RegisteredPart:
    where = f"Spatial Registration {uid}, item {number}"
    steps = [
        step
        for registration in item.get("MatrixRegistrationSequence") or ()
        for step in registration.get("MatrixSequence") or ()
    ]
    if not steps:
        raise NotReadable(f"{where}: no matrix in Matrix Sequence (0070,030A).")
    whole, kinds = np.eye(4), []
    for step in steps:
        whole = _matrix(step, where) @ whole
        kinds.append(str(step.get("FrameOfReferenceTransformationMatrixType") or "AFFINE"))
    named = tuple(str(image.get("ReferencedSOPInstanceUID")) for image in item.get("ReferencedImageSequence") or ())
    one, two, three, _ = ((a, b, c, d) for a, b, c, d in whole.tolist())
    kind = max(kinds, key=lambda k: _KINDS.index(k) if k in _KINDS else len(_KINDS))
    return RegisteredPart(str(item.get("FrameOfReferenceUID") or ""), named, (one, two, three, IDENTITY[3]), kind)


def _matrix(step: Dataset, where: str) -> Affine:
    values = [float(v) for v in step.get("FrameOfReferenceTransformationMatrix") or ()]
    if len(values) != 16:
        raise NotReadable(f"{where}: {len(values)} numbers in the matrix (3006,00C6), 16 needed.")
    made = np.array(values, dtype=np.float64).reshape(4, 4)
    if not np.isfinite(made).all() or np.abs(made[3] - (0, 0, 0, 1)).max() > 1e-6 or abs(np.linalg.det(made)) < 1e-9:
        raise NotReadable(f"{where}: the matrix (3006,00C6) maps no space: {values}.")
    return made
