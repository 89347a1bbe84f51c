"""Telling a RIS of the post-processing (MPPS): which messages a case's decision makes, and how they are delivered.

One step a session. It is in progress when its record is kept; whether it is completed then or only when its charge is
decided, the destination says. Once completed it can no longer change: later corrections go to billing alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from pydicom.dataset import Dataset

from dicom_io.capabilities import EXPLICIT_LITTLE
from dicom_io.evidence import ImageReference
from dicom_io.files.encoding import encoded
from dicom_io.network.mpps import begun, ended
from dicom_io.sr.evidence_sr import COMPREHENSIVE_3D_SR
from dicom_io.uids import performed_step
from workstation.charge import Decision
from workstation.config import Config
from workstation.destinations import MppsDestination
from workstation.store.cases import CaseState, Record
from workstation.store.messages import Message

BEGUN, ENDED = "begun", "ended"
# Our own words: a code needs a meaning, and the descriptors belong to others.
_WORDS = {"76376": "3D post-processing", "76377": "3D post-processing on an independent workstation"}


def step_messages(
    record: Record,
    decision: Decision,
    state: CaseState,
    config: Config,
    queued: Callable[[str], bool],
    header: Callable[[], Dataset],
    source: Callable[[Dataset], Dataset | None],
) -> tuple[Message, ...]:
    """What is to be told of a case that has not been told yet.

    queued : whether a message of that key is in the outbox. header : the record's data set; source : that of one of the
    images that it was made from. Both are read only where something is to be told.
    """
    evidence = record.evidence
    uid = performed_step(evidence.session_uid or record.session)
    times = [act.at for act in evidence.acts] or [record.at]
    messages: list[Message] = []

    def tell(destination: str, what: str, make: Callable[[], Dataset]) -> None:
        message = Message(destination, "step", f"{uid} {what}", evidence.accession)
        if not queued(message.key):
            messages.append(replace(message, body=encoded(make(), EXPLICIT_LITTLE)))

    for destination in config.destinations:
        if not isinstance(destination, MppsDestination):
            continue
        tell(destination.name, BEGUN, lambda: begun(evidence, header(), source(header()), min(times), config.ae_title))
        if destination.completed_when == "recorded" or state in ("charged", "denied"):
            tell(destination.name, ENDED, lambda: ended(evidence, _itself(record), max(times), _billed(decision)))
    return tuple(messages)


def source_of(header: Dataset) -> str:
    """The SOP Instance UID of the first image that a record names, the source of all; empty without one."""
    for study in header.get("CurrentRequestedProcedureEvidenceSequence") or ():
        for series in study.get("ReferencedSeriesSequence") or ():
            for image in series.get("ReferencedSOPSequence") or ():
                return str(image.ReferencedSOPInstanceUID)
    return ""


def _itself(record: Record) -> ImageReference:
    return ImageReference(COMPREHENSIVE_3D_SR, record.sr_uid, record.session)


def _billed(decision: Decision) -> Sequence[tuple[str, str]]:
    codes = dict.fromkeys(line.code for line in decision.lines) if decision.disposition == "release" else ()
    return [(code, _WORDS.get(code, "3D post-processing")) for code in codes]
