"""Queries a peer: C-FIND by the Study Root model, and its modality worklist.

Sources: PS3.4 Annex C (query/retrieve) and Annex K (modality worklist).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from pydicom.dataset import Dataset

from dicom_io.capabilities import MODALITY_WORKLIST_FIND, STUDY_ROOT_FIND
from dicom_io.errors import ConnectionBroke, NotOffered, QueryFailed
from dicom_io.files.values import first, many, text
from dicom_io.network.commands import C_FIND, CANCELLED, SUCCESS
from dicom_io.network.requestor import Peer, Proposal, associate
from dicom_io.uids import checked


@dataclass(frozen=True, slots=True)
class FoundStudy:
    """A study as a peer lists it. Values that it does not give are empty; numbers None. Source: PS3.4 C.6.2.1.2."""

    study_uid: str
    study_date: str
    study_time: str
    accession: str
    description: str
    modalities: tuple[str, ...]
    patient_id: str
    patient_name: str
    birth_date: str
    series: int | None
    instances: int | None


@dataclass(frozen=True, slots=True)
class FoundSeries:
    """A series as a peer lists it. Source: PS3.4 C.6.2.1.3."""

    study_uid: str
    series_uid: str
    modality: str
    number: int | None
    description: str
    body_part: str
    instances: int | None


@dataclass(frozen=True, slots=True)
class FoundInstance:
    """An instance as a peer lists it. Source: PS3.4 C.6.2.1.4."""

    study_uid: str
    series_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    number: int | None


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A scheduled procedure step of a modality worklist. Source: PS3.4 Table K.6-1."""

    accession: str
    study_uid: str
    requested_procedure_id: str
    procedure_code: str
    procedure_description: str
    step_id: str
    modality: str
    station_ae_title: str
    start_date: str
    start_time: str
    patient_id: str
    patient_name: str
    birth_date: str
    sex: str
    referring_physician: str


def find_studies(
    peer: Peer,
    calling: str = "WORKSTATION",
    *,
    patient_id: str = "",
    patient_name: str = "",
    accession: str = "",
    study_uid: str = "",
    dates: str = "",
    modality: str = "",
    description: str = "",
    limit: int = 500,
) -> list[FoundStudy]:
    """Finds the studies that match. Empty conditions match everything; `*` and `?` are wildcards where the standard
    has them.

    dates : YYYYMMDD, or a range with a hyphen, open at either end. limit : asks the peer to stop after so many.

    Raises PeerUnreachable, QueryFailed.
    """
    keys = _keys(
        "STUDY",
        StudyInstanceUID=study_uid,
        StudyDate=dates,
        StudyTime="",
        AccessionNumber=accession,
        StudyDescription=description,
        ModalitiesInStudy=modality,
        PatientID=patient_id,
        PatientName=patient_name,
        PatientBirthDate="",
        NumberOfStudyRelatedSeries=None,
        NumberOfStudyRelatedInstances=None,
    )
    with _asking(peer, calling, STUDY_ROOT_FIND) as find:
        found = [study_of(ds) for ds in find(keys, limit)]
        if modality:
            # Modalities in Study is an optional key: a peer may answer as if it had not been asked for it.
            found = [s if s.modalities else replace(s, modalities=_modalities(find, s.study_uid)) for s in found]
            found = [s for s in found if modality in s.modalities]
    return sorted(found, key=lambda s: (s.study_date, s.study_time, s.study_uid), reverse=True)


def study_of(ds: Dataset) -> FoundStudy:
    """Reads an answer at study level."""
    return FoundStudy(
        study_uid=text(ds, "StudyInstanceUID"),
        study_date=text(ds, "StudyDate"),
        study_time=text(ds, "StudyTime"),
        accession=text(ds, "AccessionNumber"),
        description=text(ds, "StudyDescription"),
        modalities=tuple(str(m) for m in many(ds.get("ModalitiesInStudy"))),
        patient_id=text(ds, "PatientID"),
        patient_name=text(ds, "PatientName"),
        birth_date=text(ds, "PatientBirthDate"),
        series=_count(ds, "NumberOfStudyRelatedSeries"),
        instances=_count(ds, "NumberOfStudyRelatedInstances"),
    )


def _modalities(find: Callable[..., Iterator[Dataset]], study_uid: str) -> tuple[str, ...]:
    keys = _keys("SERIES", StudyInstanceUID=study_uid, SeriesInstanceUID="", Modality="")
    return tuple(dict.fromkeys(text(ds, "Modality") for ds in find(keys)))


def find_series(peer: Peer, study_uid: str, calling: str = "WORKSTATION") -> list[FoundSeries]:
    """Finds the series of a study, sorted by number. Raises PeerUnreachable, QueryFailed, UidError."""
    keys = _keys(
        "SERIES",
        StudyInstanceUID=checked(study_uid, "Study Instance UID"),
        SeriesInstanceUID="",
        Modality="",
        SeriesNumber=None,
        SeriesDescription="",
        BodyPartExamined="",
        NumberOfSeriesRelatedInstances=None,
    )
    found = [series_of(ds, study_uid) for ds in _found(peer, calling, STUDY_ROOT_FIND, keys)]
    return sorted(found, key=lambda s: (s.number or 0, s.series_uid))


def find_instances(peer: Peer, study_uid: str, series_uid: str, calling: str = "WORKSTATION") -> list[FoundInstance]:
    """Finds the instances of a series, sorted by number. Raises PeerUnreachable, QueryFailed, UidError."""
    keys = _keys(
        "IMAGE",
        StudyInstanceUID=checked(study_uid, "Study Instance UID"),
        SeriesInstanceUID=checked(series_uid, "Series Instance UID"),
        SOPInstanceUID="",
        SOPClassUID="",
        InstanceNumber=None,
    )
    found = [instance_of(ds, study_uid, series_uid) for ds in _found(peer, calling, STUDY_ROOT_FIND, keys)]
    return sorted(found, key=lambda i: (i.number or 0, i.sop_instance_uid))


def series_of(ds: Dataset, study_uid: str) -> FoundSeries:
    """Reads an answer at series level."""
    return FoundSeries(
        study_uid=study_uid,
        series_uid=text(ds, "SeriesInstanceUID"),
        modality=text(ds, "Modality"),
        number=_count(ds, "SeriesNumber"),
        description=text(ds, "SeriesDescription"),
        body_part=text(ds, "BodyPartExamined"),
        instances=_count(ds, "NumberOfSeriesRelatedInstances"),
    )


def instance_of(ds: Dataset, study_uid: str, series_uid: str) -> FoundInstance:
    """Reads an answer at image level."""
    return FoundInstance(
        study_uid=study_uid,
        series_uid=series_uid,
        sop_instance_uid=text(ds, "SOPInstanceUID"),
        sop_class_uid=text(ds, "SOPClassUID"),
        number=_count(ds, "InstanceNumber"),
    )


def find_scheduled(
    peer: Peer,
    calling: str = "WORKSTATION",
    *,
    dates: str = "",
    modality: str = "",
    station_ae_title: str = "",
    accession: str = "",
    patient_id: str = "",
) -> list[Scheduled]:
    """Finds the scheduled procedure steps of a modality worklist. Raises PeerUnreachable, QueryFailed."""
    step = Dataset()
    step.ScheduledStationAETitle = station_ae_title
    step.ScheduledProcedureStepStartDate = dates
    step.Modality = modality
    for keyword in ("ScheduledProcedureStepStartTime", "ScheduledProcedureStepID", "ScheduledProcedureStepDescription"):
        setattr(step, keyword, "")
    code = Dataset()
    code.CodeValue = code.CodingSchemeDesignator = code.CodeMeaning = ""
    keys = _keys(
        "",
        AccessionNumber=accession,
        PatientID=patient_id,
        PatientName="",
        PatientBirthDate="",
        PatientSex="",
        ReferringPhysicianName="",
        StudyInstanceUID="",
        RequestedProcedureID="",
        RequestedProcedureDescription="",
        RequestedProcedureCodeSequence=[code],
        ScheduledProcedureStepSequence=[step],
    )
    found = []
    for ds in _found(peer, calling, MODALITY_WORKLIST_FIND, keys):
        own, asked = first(ds, "ScheduledProcedureStepSequence"), first(ds, "RequestedProcedureCodeSequence")
        found.append(
            Scheduled(
                accession=text(ds, "AccessionNumber"),
                study_uid=text(ds, "StudyInstanceUID"),
                requested_procedure_id=text(ds, "RequestedProcedureID"),
                procedure_code=text(asked, "CodeValue"),
                procedure_description=text(ds, "RequestedProcedureDescription"),
                step_id=text(own, "ScheduledProcedureStepID"),
                modality=text(own, "Modality"),
                station_ae_title=text(own, "ScheduledStationAETitle"),
                start_date=text(own, "ScheduledProcedureStepStartDate"),
                start_time=text(own, "ScheduledProcedureStepStartTime"),
                patient_id=text(ds, "PatientID"),
                patient_name=text(ds, "PatientName"),
                birth_date=text(ds, "PatientBirthDate"),
                sex=text(ds, "PatientSex"),
                referring_physician=text(ds, "ReferringPhysicianName"),
            )
        )
    return sorted(found, key=lambda s: (s.start_date, s.start_time, s.accession))


def _keys(level: str, **keys: Any) -> Dataset:
    ds = Dataset()
    if any(isinstance(value, str) and not value.isascii() for value in keys.values()):
        ds.SpecificCharacterSet = "ISO_IR 192"
    if level:
        ds.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(ds, keyword, value)
    return ds


@contextmanager
def _asking(peer: Peer, calling: str, model: str) -> Iterator[Callable[..., Iterator[Dataset]]]:
    """Opens an association for queries. Yields a function of keys (and a limit) that yields the matches."""
    try:
        association = associate(peer, calling, [Proposal(model)])
    except NotOffered as error:
        raise QueryFailed(f"{peer} does not offer this kind of query; ask its administrator.") from error

    def find(keys: Dataset, limit: int | None = None) -> Iterator[Dataset]:
        count = 0
        for answer in association.ask(C_FIND, model, data=keys):
            if answer.pending and answer.data_set is not None and (limit is None or count < limit):
                count += 1
                yield answer.data_set
                if count == limit:
                    association.cancel()
            elif not answer.pending and answer.status not in (SUCCESS, CANCELLED):
                raise QueryFailed(f"{peer} refused C-FIND: {answer}.")

    try:
        with association:
            yield find
    except ConnectionBroke as error:
        raise QueryFailed(str(error)) from error


def _found(peer: Peer, calling: str, model: str, keys: Dataset) -> list[Dataset]:
    with _asking(peer, calling, model) as find:
        return list(find(keys))


def _count(ds: Dataset, keyword: str) -> int | None:
    try:
        return int(ds.get(keyword))
    except (TypeError, ValueError):
        return None
