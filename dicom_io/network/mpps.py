"""The post-processing as a performed procedure step: reported to a peer when it begins and when it ends.

Source: PS3.4 Annex F (Modality Performed Procedure Step SOP class; Table F.7.2-1 says what each message holds).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

from pydicom.dataset import Dataset

from dicom_io.capabilities import CLASS_BY_UID, PERFORMED_STEP
from dicom_io.dates import da, tm
from dicom_io.evidence import Evidence, ImageReference
from dicom_io.files.values import first, text
from dicom_io.network.commands import N_CREATE, N_SET
from dicom_io.network.requestor import Peer, Proposal, associate

# PS3.7 C.5.7: duplicate SOP instance; PS3.4 Table F.7.2-2: an ended step may no longer be updated (Error ID 0xA506).
_THERE_ALREADY, _NOT_THERE, _MAY_NO_LONGER_BE_UPDATED = 0x0111, 0x0112, 0xA506

StepAnswer = Literal["taken", "known already", "unknown there", "refused"]


def begun(evidence: Evidence, header: Dataset, source: Dataset | None, started: datetime, ae_title: str) -> Dataset:
    """Makes the data set of the step in progress (N-CREATE).

    header : a data set with patient and study, such as the record. source : the header of a source image, which names
    the request for the images; None where it is not known. ae_title : ours.
    """
    ds = Dataset()
    for keyword in ("SpecificCharacterSet", "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyID"):
        setattr(ds, keyword, header.get(keyword) or "")
    if not ds.SpecificCharacterSet:
        del ds.SpecificCharacterSet
    if header.get("IssuerOfPatientID"):
        ds.IssuerOfPatientID = header.IssuerOfPatientID
    ds.ReferencedPatientSequence = []
    ds.ScheduledStepAttributesSequence = [_scheduled(evidence, source)]
    ds.PerformedProcedureStepID = f"3D{_digits(evidence)[-14:]}"
    ds.PerformedStationAETitle = ae_title
    ds.PerformedStationName, ds.PerformedLocation = evidence.station_name[:16], ""
    ds.PerformedProcedureStepStartDate, ds.PerformedProcedureStepStartTime = da(started), tm(started)
    ds.PerformedProcedureStepEndDate = ds.PerformedProcedureStepEndTime = ""
    ds.PerformedProcedureStepStatus = "IN PROGRESS"
    ds.PerformedProcedureStepDescription = "3D post-processing"
    ds.PerformedProcedureTypeDescription = ""
    ds.ProcedureCodeSequence = []
    ds.Modality = evidence.modality
    ds.PerformedProtocolCodeSequence = []
    ds.PerformedSeriesSequence = []
    return ds


def ended(evidence: Evidence, record: ImageReference, ended_at: datetime, billed: Sequence[tuple[str, str]]) -> Dataset:
    """Makes the data set of the completed step (N-SET): the objects that it made, and the codes it is billed as.

    record : its SR. billed : CPT codes with our own words for them; empty where nothing is billed, or not yet.
    """
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PerformedProcedureStepStatus = "COMPLETED"
    ds.PerformedProcedureStepEndDate, ds.PerformedProcedureStepEndTime = da(ended_at), tm(ended_at)
    ds.PerformedProtocolCodeSequence = []
    images = [*(image for product in evidence.products for image in product.images), *evidence.objects, record]
    # Several pictures of one kind are in one series.
    held: dict[str, dict[str, None]] = {}
    for product in evidence.products:
        for image in product.images:
            held.setdefault(image.series_uid, {})[product.name] = None
    names = {uid: "; ".join(found) for uid, found in held.items()}
    ds.PerformedSeriesSequence = [
        _series(uid, [i for i in images if i.series_uid == uid], names.get(uid, "3D record"), evidence)
        for uid in dict.fromkeys(image.series_uid for image in images)
    ]
    if billed:
        ds.BillingProcedureStepSequence = [_billing(code, words) for code, words in billed]
    return ds


def reach(peer: Peer, calling: str) -> None:
    """Opens an association for steps and ends it, as a test: a RIS that takes steps need not answer C-ECHO.

    Raises PeerUnreachable; its NotOffered where the peer takes no steps.
    """
    with associate(peer, calling, [Proposal(PERFORMED_STEP)]):
        pass


def create(peer: Peer, uid: str, ds: Dataset, calling: str) -> tuple[StepAnswer, str]:
    """Sends N-CREATE. Returns the outcome and the peer's comment. Raises PeerUnreachable."""
    return _send(peer, N_CREATE, uid, ds, calling)


def update(peer: Peer, uid: str, ds: Dataset, calling: str) -> tuple[StepAnswer, str]:
    """Sends N-SET. Returns the outcome and the peer's comment. Raises PeerUnreachable."""
    return _send(peer, N_SET, uid, ds, calling)


def _send(peer: Peer, field: int, uid: str, ds: Dataset, calling: str) -> tuple[StepAnswer, str]:
    with associate(peer, calling, [Proposal(PERFORMED_STEP)]) as association:
        answer = association.ask_once(field, PERFORMED_STEP, sop_instance_uid=uid, data=ds)
    # Success, or a warning: the peer has stored the step, perhaps with a changed value (PS3.7 10.1.5.1.6).
    if answer.status == 0 or answer.status >> 12 == 0xB or answer.status in (0x0001, 0x0107, 0x0116):
        return "taken", str(answer)
    if field == N_CREATE and answer.status == _THERE_ALREADY:
        return "known already", str(answer)
    if field == N_SET and answer.command.error_id == _MAY_NO_LONGER_BE_UPDATED:
        return "known already", str(answer)
    return "unknown there" if answer.status == _NOT_THERE else "refused", str(answer)


def _scheduled(evidence: Evidence, source: Dataset | None) -> Dataset:
    """Returns the request that the step belongs to. The post-processing itself was not scheduled: it is one more step
    of the request for the images, and the standard leaves such a step without a Scheduled Procedure Step ID."""
    asked = first(source, "RequestAttributesSequence")
    item = Dataset()
    item.StudyInstanceUID = evidence.study_uid
    item.ReferencedStudySequence = []
    item.AccessionNumber = evidence.accession
    item.RequestedProcedureID = text(asked, "RequestedProcedureID")
    item.RequestedProcedureDescription = text(asked, "RequestedProcedureDescription")
    item.ScheduledProcedureStepID = item.ScheduledProcedureStepDescription = ""
    item.ScheduledProtocolCodeSequence = []
    return item


def _series(uid: str, made: Iterable[ImageReference], name: str, evidence: Evidence) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID = uid
    item.SeriesDescription = item.ProtocolName = name[:64]
    item.RetrieveAETitle = ""
    item.PerformingPhysicianName = evidence.supervisor.name if evidence.supervisor else ""
    item.OperatorsName = evidence.operator.name
    item.ReferencedImageSequence, item.ReferencedNonImageCompositeSOPInstanceSequence = [], []
    for reference in made:
        known = CLASS_BY_UID.get(reference.sop_class_uid)
        images = known is None or known.role != "document"
        referenced = Dataset()
        referenced.ReferencedSOPClassUID = reference.sop_class_uid
        referenced.ReferencedSOPInstanceUID = reference.sop_instance_uid
        (item.ReferencedImageSequence if images else item.ReferencedNonImageCompositeSOPInstanceSequence).append(
            referenced
        )
    return item


def _billing(code: str, words: str) -> Dataset:
    """Returns a billing code item. Source: PS3.3 Table 10-1 (code sequence macro), C.4.17; PS3.16 Table 8-1 (C4:
    CPT-4)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "C4", words
    return item


def _digits(evidence: Evidence) -> str:
    return evidence.session_uid.replace(".", "") or evidence.sop_instance_uid.replace(".", "")
