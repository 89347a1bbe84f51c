"""Lesions of earlier studies: read from their records, or measured in what is compared. Knows no Qt."""

from collections.abc import Callable

from dicom_io.errors import NotReadable
from dicom_io.files.series import read_dataset
from dicom_io.sr.evidence_sr import COMPREHENSIVE_3D_SR, read_sr
from render.geometry import Vector, point
from render.mask_steps import StepError
from render.segment import measure_lesion
from render.volume import Volume
from workstation.desktop.model.identity import SeriesIdentity, day
from workstation.desktop.model.screen import Compared, PriorLesion
from workstation.desktop.model.studies import Opened
from workstation.site import Site


def recorded_before(
    opened: Opened, site: Site, identity_of: Callable[[str], SeriesIdentity]
) -> tuple[PriorLesion, ...]:
    """Returns the lesions in the records of the patient's earlier studies, newest study first; of a study with several
    records those of the newest. identity_of : by a series UID. A study whose headers name somebody else under the same
    ID is none of theirs."""
    first = opened.series.first
    accessions = {
        row.accession
        for row in opened.others
        if row.study_uid != first.study_uid
        and row.accession
        and not opened.identity.differs_from(identity_of(row.series_uid))
    }
    newest: dict[str, tuple[str, tuple[PriorLesion, ...]]] = {}
    for accession in sorted(accessions):
        for sr in site.archive.instances_of(COMPREHENSIVE_3D_SR, accession):
            try:
                evidence = read_sr(read_dataset(sr.path))
            except NotReadable:
                continue  # another program's
            same_patient = evidence.patient_id == first.patient_id and evidence.study_uid != first.study_uid
            if not same_patient or evidence.study_date > first.study_date:
                continue
            lesions = tuple(
                PriorLesion(sizes["long_axis"], day(evidence.study_date), measurement.name, sizes.get("short_axis"))
                for measurement in evidence.measurements
                if measurement.kind == "lesion"
                and "long_axis" in (sizes := {each.name: each.value for each in measurement.quantities})
            )
            at = max((act.at.isoformat() for act in evidence.acts), default="")
            if lesions and at >= newest.get(evidence.session_uid, ("", ()))[0]:
                newest[evidence.session_uid] = (at, lesions)
    found = [lesion for _, lesions in newest.values() for lesion in lesions]
    return tuple(sorted(found, key=lambda lesion: lesion.date, reverse=True))


def measured_beside(place_mm: Vector, compared: Compared, other: Volume, date: str) -> PriorLesion:
    """Measures the lesion at the same place of the compared volume. place_mm : in the open one, LPS mm. date : of the
    compared study. Raises StepError where no lesion is found there."""
    found = measure_lesion(other, point(compared.to_other, place_mm))
    if found.declined:
        raise StepError(found.declined)
    return PriorLesion(found.recist_mm, date, short_axis_mm=found.short_axis_mm)
