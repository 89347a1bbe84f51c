"""The physician's report as a Basic Text SR by TID 2000.

Sources: PS3.16 TID 2000 (Basic Diagnostic Imaging Report), TID 2002 (Report Elements); PS3.3 A.35.1, C.17.2.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom_io import codes as c
from dicom_io.dates import da, dt, time_of, tm
from dicom_io.errors import NotReadable
from dicom_io.evidence import ImageReference, Person
from dicom_io.objects.common import study_references
from dicom_io.sr import content as sr
from dicom_io.sr.evidence_sr import sr_object, verifying_observer
from dicom_io.stamp import Stamp

BASIC_TEXT_SR = "1.2.840.10008.5.1.4.1.1.88.11"
# DT with offset. Source: PS3.5 6.2.


@dataclass(frozen=True, slots=True)
class WrittenReport:
    """A report that its physician has signed. Empty texts are left out.

    statements : its statements as written, by the names of the charge facts (`codes.REPORT_FACTS`).
    key_images : the pictures chosen for it.
    """

    physician: Person
    signed_at: datetime
    indication: str
    findings: str
    impression: str
    statements: tuple[tuple[str, str], ...]
    key_images: tuple[ImageReference, ...]


def write_report(
    report: WrittenReport, source: Dataset, study_uid: str, stamp: Stamp, predecessor: ImageReference | None = None
) -> Dataset:
    """Writes the SR of a report, verified by its physician.

    source : the header of a source instance, for patient and study. predecessor : the report that it amends.
    The SOP Instance UID follows from the content: another report is another instance. The same arguments give the same
    bytes.
    """
    ds = sr_object(BASIC_TEXT_SR, stamp.uid("report", repr(report)), source, stamp)
    ds.SeriesInstanceUID = report_series(stamp)
    ds.SeriesNumber = 9901
    ds.SeriesDescription = "Report"
    ds.InstanceNumber = 1
    ds.ContentDate, ds.ContentTime = da(report.signed_at), tm(report.signed_at)
    ds.CompletionFlag, ds.VerificationFlag = "COMPLETE", "VERIFIED"
    ds.VerifyingObserverSequence = verifying_observer(report.physician.name, dt(report.signed_at), stamp)
    ds.PerformedProcedureCodeSequence = Sequence()
    if predecessor is not None:
        ds.PredecessorDocumentsSequence = Sequence([study_references(study_uid, [predecessor])])
    if report.key_images:
        ds.CurrentRequestedProcedureEvidenceSequence = Sequence([study_references(study_uid, report.key_images)])
    for element in _root(report):
        ds.add(element)
    return ds


def report_series(stamp: Stamp) -> str:
    """Returns the Series Instance UID of all reports of a session."""
    return stamp.uid("series", "report")


def _root(report: WrittenReport) -> Dataset:
    relation, physician = "HAS OBS CONTEXT", report.physician
    sections = [
        (c.INDICATIONS, [(c.INDICATIONS, report.indication)]),
        (c.FINDINGS, [(c.FINDING, report.findings)]),
        (c.IMPRESSIONS, [(c.IMPRESSION, report.impression)]),
        (c.CONCLUSIONS, [(c.REPORT_FACTS[fact], text) for fact, text in report.statements]),
    ]
    containers = [
        sr.container("CONTAINS", heading, *items)
        for heading, texts in sections
        if (items := [sr.text("CONTAINS", name, text) for name, text in texts if text.strip()])
    ]
    if report.key_images:
        images = [sr.image("CONTAINS", None, i.sop_class_uid, i.sop_instance_uid) for i in report.key_images]
        containers.append(sr.container("CONTAINS", c.KEY_IMAGES, *images))
    return sr.container(
        "",
        c.DIAGNOSTIC_REPORT,
        sr.code("HAS CONCEPT MOD", c.LANGUAGE, c.ENGLISH),
        sr.code(relation, c.OBSERVER_TYPE, c.PERSON),
        sr.person_name(relation, c.PERSON_NAME, physician.name),
        sr.code(relation, c.PERSON_ORGANIZATION_ROLE, c.ROLES[physician.role]),
        *containers,
        template="2000",
    )


def words_of(report: WrittenReport) -> str:
    """Returns a digest of what a report says and shows, whenever it was signed."""
    chosen = [image.sop_instance_uid for image in report.key_images]
    return _words(report.indication, report.findings, report.impression, report.statements, chosen)


def words_in(ds: Dataset) -> str:
    """Returns the same digest of a report's SR. Texts that end in spaces are written without them, and differ."""
    told = read_report(ds)
    return _words(told.indication, told.findings, told.impression, told.statements, list(told.key_images))


@dataclass(frozen=True, slots=True)
class FiledReport:
    """What the SR of a report of ours says.

    signed_by, signed_at : of its first verifying observer. statements : as in `WrittenReport`. key_images : SOP
    Instance UIDs. predecessor : SOP Instance UID of the report that it amends, empty for none.
    """

    sop_instance_uid: str
    signed_by: str
    signed_at: datetime
    indication: str
    findings: str
    impression: str
    statements: tuple[tuple[str, str], ...]
    key_images: tuple[str, ...]
    predecessor: str = ""


def read_report(ds: Dataset) -> FiledReport:
    """Reads the SR of a report of ours. Source: PS3.3 C.17.2 (verification, Predecessor Documents Sequence).

    Raises NotReadable for one that nobody verified.
    """
    observers = ds.get("VerifyingObserverSequence")
    if not observers:
        raise NotReadable(f"Report SR {ds.get('SOPInstanceUID')}: nobody has verified it. It is no signed report.")
    sections = ((c.INDICATIONS, c.INDICATIONS), (c.FINDINGS, c.FINDING), (c.IMPRESSIONS, c.IMPRESSION))
    indication, findings, impression = (
        sr.text_of(heading, name) if (heading := sr.first(ds, title)) else "" for title, name in sections
    )
    stated, keys = sr.first(ds, c.CONCLUSIONS), sr.first(ds, c.KEY_IMAGES)
    facts = {} if stated is None else {fact: sr.text_of(stated, code) for fact, code in c.REPORT_FACTS.items()}
    chosen = () if keys is None else sr.children(keys)
    amended = ds.get("PredecessorDocumentsSequence")
    return FiledReport(
        str(ds.SOPInstanceUID),
        str(observers[0].get("VerifyingObserverName") or ""),
        time_of(observers[0].VerificationDateTime),
        indication,
        findings,
        impression,
        tuple((fact, text) for fact, text in facts.items() if text),
        tuple(str(image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID) for image in chosen),
        str(amended[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        if amended
        else "",
    )


def _words(
    indication: str, findings: str, impression: str, statements: tuple[tuple[str, str], ...], chosen: list[str]
) -> str:
    return hashlib.sha256(repr(((indication, findings, impression, statements), chosen)).encode()).hexdigest()[:16]


def stated_facts(ds: Dataset) -> frozenset[str]:
    """Returns the charge facts that a report of ours states, by its coded statements."""
    conclusions = sr.first(ds, c.CONCLUSIONS)
    if conclusions is None:
        return frozenset()
    return frozenset(fact for fact, code in c.REPORT_FACTS.items() if sr.text_of(conclusions, code).strip())
