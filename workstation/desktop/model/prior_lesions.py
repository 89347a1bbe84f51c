"""Lesions of earlier studies, and sums of targets: by their records, or measured in what is compared. Knows no Qt."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dicom_io.errors import NotReadable
from dicom_io.evidence import Evidence, MeasurementKind
from dicom_io.files.series import read_dataset
from dicom_io.sr.evidence_sr import COMPREHENSIVE_3D_SR, read_sr
from render.geometry import Vector, point
from render.mask_steps import StepError
from render.segment import measure_lesion
from render.volume import Volume
from workstation.desktop.model.identity import SeriesIdentity, day
from workstation.desktop.model.screen import Compared, PriorLesion
from workstation.desktop.model.studies import Opened
from workstation.desktop.model.target_lesions import course_of
from workstation.records.recist import NOTHING_SAID, TreatmentCourse
from workstation.site import Site

# By a series UID.
IdentityOf = Callable[[str], SeriesIdentity]


@dataclass(frozen=True, slots=True)
class EarlierSum:
    """The sum of target lesions in the record of an earlier study. date : of the study, as people write it. course :
    what its reader said of the studies before it."""

    date: str
    sum_mm: float
    course: TreatmentCourse


def recorded_before(opened: Opened, site: Site, identity_of: IdentityOf) -> tuple[PriorLesion, ...]:
    """Returns the lesions in the records of the patient's earlier studies, newest study first."""
    found = [
        PriorLesion(sizes["long_axis"], day(evidence.study_date), measurement.name, sizes.get("short_axis"))
        for evidence in _earlier_records(opened, site, identity_of, "lesion")
        for measurement in evidence.measurements
        if measurement.kind == "lesion"
        and "long_axis" in (sizes := {each.name: each.value for each in measurement.quantities})
    ]
    return tuple(sorted(found, key=lambda lesion: lesion.date, reverse=True))


def sums_before(opened: Opened, site: Site, identity_of: IdentityOf) -> tuple[EarlierSum, ...]:
    """Returns the sums of target lesions in the records of the patient's earlier studies, oldest study first."""
    found = [
        EarlierSum(day(evidence.study_date), quantity.value, course_of((measurement,)))
        for evidence in _earlier_records(opened, site, identity_of, "targets")
        for measurement in evidence.measurements
        if measurement.kind == "targets"
        for quantity in measurement.quantities
        if quantity.name == "target_sum"
    ]
    return tuple(sorted(found, key=lambda one: one.date))


def course_by(sums: tuple[EarlierSum, ...]) -> TreatmentCourse:
    """Returns baseline and least sum by the records of earlier studies, oldest first: the baseline as the newest of
    them says, else the oldest sum; nothing said where there are none."""
    if not sums:
        return NOTHING_SAID
    said = [one.course.baseline_mm for one in sums if one.course.baseline_mm is not None]
    least = [one.course.nadir_mm for one in sums if one.course.nadir_mm is not None]
    baseline = said[-1] if said else sums[0].sum_mm
    return TreatmentCourse(baseline, min(baseline, *least, *(one.sum_mm for one in sums)))


def _earlier_records(opened: Opened, site: Site, identity_of: IdentityOf, kind: MeasurementKind) -> Iterator[Evidence]:
    """Yields the records of the patient's earlier studies that hold measurements of a kind, of a session the newest. A
    study whose headers name somebody else under the same ID is none of theirs."""
    first = opened.series.first
    accessions = {
        row.accession
        for row in opened.others
        if row.study_uid != first.study_uid
        and row.accession
        and not opened.identity.differs_from(identity_of(row.series_uid))
    }
    newest: dict[str, tuple[str, Evidence]] = {}
    for accession in sorted(accessions):
        for sr in site.archive.instances_of(COMPREHENSIVE_3D_SR, accession):
            try:
                evidence = read_sr(read_dataset(sr.path))
            except NotReadable:
                continue  # another program's
            same_patient = evidence.patient_id == first.patient_id and evidence.study_uid != first.study_uid
            if not same_patient or evidence.study_date > first.study_date:
                continue
            at = max((act.at.isoformat() for act in evidence.acts), default="")
            before = newest.get(evidence.session_uid)
            if any(one.kind == kind for one in evidence.measurements) and (before is None or at >= before[0]):
                newest[evidence.session_uid] = (at, evidence)
    yield from (evidence for _, evidence in newest.values())


def measured_beside(place_mm: Vector, compared: Compared, other: Volume, date: str) -> PriorLesion:
    """Measures the lesion at the same place of the compared volume. place_mm : in the open one, LPS mm. date : of the
    compared study. Raises StepError where no lesion is found there."""
    found = measure_lesion(other, point(compared.to_other, place_mm))
    if found.declined:
        raise StepError(found.declined)
    return PriorLesion(found.recist_mm, date, short_axis_mm=found.short_axis_mm)
