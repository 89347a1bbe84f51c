"""Queries a peer, fetches from it by the way that its entry names (DIMSE or DICOMweb), and sends to it.

Every query and every transfer writes its audit messages here, whoever asked and whatever the outcome.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from dicom_io.archive.archive import Archive, Kept
from dicom_io.capabilities import EXPLICIT_LITTLE, MODALITY_WORKLIST_FIND, STUDY_ROOT_FIND
from dicom_io.files.encoding import encoded
from dicom_io.files.instance import Instance
from dicom_io.network import dicomweb, query
from dicom_io.network import retrieve as dimse
from dicom_io.network.query import FoundInstance, FoundSeries, FoundStudy, Scheduled
from dicom_io.network.retrieve import Retrieved
from dicom_io.network.send import Sent, send
from render.progress import CountDone
from workstation.audit.trail import AuditOutcome, Moved, Party, Question, Trail, by_study, this_machine, trail_of
from workstation.config import Config
from workstation.peers.known import KnownPeer, PeersError, Way, find_peer

# The attribute of each condition of `dicom_io.network.query` in an identifier. Source: PS3.4 C.6.2.1, K.6.1.2.
_KEYWORDS = {
    "patient_id": "PatientID",
    "patient_name": "PatientName",
    "accession": "AccessionNumber",
    "study_uid": "StudyInstanceUID",
    "series_uid": "SeriesInstanceUID",
    "dates": "StudyDate",
    "modality": "ModalitiesInStudy",
    "description": "StudyDescription",
}
_OF_THE_STEP = {
    "dates": "ScheduledProcedureStepStartDate",
    "modality": "Modality",
    "station_ae_title": "ScheduledStationAETitle",
}


@dataclass(frozen=True, slots=True)
class PeerQuestions:
    """A peer of the site. Its methods raise the errors of `dicom_io.network.query` and `dicom_io.network.retrieve`.

    person_id : who asked for it, for the audit trail; empty where the workstation acts by itself.
    """

    known: KnownPeer
    root: Path
    calling: str
    way: Way
    trail: Trail
    clock: Callable[[], datetime]
    person_id: str = ""

    def studies(self, **conditions: Any) -> list[FoundStudy]:
        """Finds studies. conditions : those of `dicom_io.network.query.find_studies`; DICOMweb has no description."""
        with self._asking("STUDY", conditions):
            if self.way == "web":
                return dicomweb.find_studies(self.known.web(self.root), **conditions)
            return query.find_studies(self.known.at(self.root), self.calling, **conditions)

    def series(self, study_uid: str) -> list[FoundSeries]:
        with self._asking("SERIES", {"study_uid": study_uid}):
            if self.way == "web":
                return dicomweb.find_series(self.known.web(self.root), study_uid)
            return query.find_series(self.known.at(self.root), study_uid, self.calling)

    def instances(self, study_uid: str, series_uid: str) -> list[FoundInstance]:
        with self._asking("IMAGE", {"study_uid": study_uid, "series_uid": series_uid}):
            if self.way == "web":
                return dicomweb.find_instances(self.known.web(self.root), study_uid, series_uid)
            return query.find_instances(self.known.at(self.root), study_uid, series_uid, self.calling)

    def scheduled(self, **conditions: str) -> list[Scheduled]:
        """Queries its modality worklist, by DIMSE only. conditions : as `dicom_io.network.query.find_scheduled`."""
        with self._asking("", conditions):
            return query.find_scheduled(self.known.at(self.root), self.calling, **conditions)

    def fetch(
        self,
        archive: Archive,
        study_uid: str,
        series_uids: Sequence[str] = (),
        instance_uids: Sequence[str] = (),
        *,
        patient_id: str = "",
        progress: CountDone | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Retrieved:
        """Fetches into the archive; by C-MOVE to `serve`, which must run. patient_id : if known, for the audit."""
        wanted = (archive, study_uid, series_uids, instance_uids)
        arrived: list[Kept] = []
        with self._fetching(Moved(study_uid, "", patient_id, {}), arrived) as ended:
            if self.way == "web":
                done = dicomweb.retrieve(
                    self.known.web(self.root), *wanted, progress=progress, cancelled=cancelled, on_kept=arrived.append
                )
            else:
                done = dimse.retrieve(
                    self.known.at(self.root),
                    *wanted,
                    calling=self.calling,
                    how=self.way,
                    progress=progress,
                    cancelled=cancelled,
                    on_kept=arrived.append,
                )
            ended.append(done)
            return done

    def give(
        self, instances: Sequence[Instance], associations: int = 1, progress: Callable[[Sent], None] | None = None
    ) -> list[Sent]:
        """Sends instances by C-STORE, whatever its way of retrieval. Raises the errors of `dicom_io.network.send`."""
        us, them = self._us(), Party(self.known.ae_title, self.known.host, requestor=False)
        for study in by_study(instances):
            self.trail.begins(us, them, study, self.clock(), self.person_id)
        taken: set[str] = set()

        def note(sent: Sent) -> None:
            if sent.accepted:
                taken.add(sent.sop_instance_uid)
            if progress is not None:
                progress(sent)

        try:
            return send(instances, self.known.at(self.root), self.calling, note, associations)
        finally:
            sent_studies = {s.study_uid: s for s in by_study(i for i in instances if i.sop_instance_uid in taken)}
            for study in by_study(instances):
                moved = sent_studies.get(study.study_uid, replace(study, classes={}))
                outcome: AuditOutcome = "0" if moved == study else "4"
                self.trail.transferred(us, them, moved, self.clock(), outcome, action="R", person_id=self.person_id)

    def _us(self) -> Party:
        return Party(self.calling, this_machine(), requestor=True)

    def _them(self) -> Party:
        name = self.known.url if self.way == "web" else self.known.ae_title
        return Party(name, self.known.host, requestor=False)

    @contextmanager
    def _asking(self, level: str, conditions: dict[str, Any]) -> Iterator[None]:
        """Writes the query to the audit trail, even if it could not be sent or was refused."""
        question = Question(
            STUDY_ROOT_FIND if level else MODALITY_WORKLIST_FIND, _identifier(level, conditions), EXPLICIT_LITTLE
        )
        outcome: AuditOutcome = "4"
        try:
            yield
            outcome = "0"
        finally:
            self.trail.queried(self._us(), self._them(), question, self.clock(), outcome, self.person_id)

    @contextmanager
    def _fetching(self, wanted: Moved, arrived: list[Kept]) -> Iterator[list[Retrieved]]:
        """Writes to the audit trail that a retrieval began and which instances it brought, or that it failed.

        After a C-MOVE, `serve` receives the instances and writes them; here only a failure is written.
        """
        ends = (self._them(), self._us())
        self.trail.begins(*ends, wanted, self.clock(), self.person_id)
        ended: list[Retrieved] = []
        try:
            yield ended
        finally:
            outcome: AuditOutcome = "0" if ended and ended[0].whole else "4"
            brought = by_study(kept.instance for kept in arrived)
            for moved in brought or ([] if outcome == "0" else [wanted]):
                new = any(kept.news == "new" and kept.instance.study_uid == moved.study_uid for kept in arrived)
                self.trail.transferred(
                    *ends, moved, self.clock(), outcome, action="C" if new else "R", person_id=self.person_id
                )


def questions_to(
    root: Path,
    config: Config,
    name: str,
    clock: Callable[[], datetime],
    *,
    way: Way | None = None,
    person_id: str = "",
) -> PeerQuestions:
    """Makes the questions to a peer. way : overrides that of the peer's entry. Raises PeersError, also for DICOMweb
    without a url."""
    known = find_peer(root, name)
    if way == "web" and not known.url:
        raise PeersError(f"Peer {name!r} has no url of DICOMweb services; `workstation peers add --url` gives it one.")
    return PeerQuestions(known, root, config.ae_title, way or known.retrieve, trail_of(config, root), clock, person_id)


def _identifier(level: str, conditions: dict[str, Any]) -> bytes:
    """Encodes the query as a data set: its level and its conditions, without keys that only ask for a value."""
    given = {name: str(value) for name, value in conditions.items() if value and name != "limit"}
    ds = Dataset()
    if any(not value.isascii() for value in given.values()):
        ds.SpecificCharacterSet = "ISO_IR 192"
    if level:
        ds.QueryRetrieveLevel = level
    else:
        step = Dataset()
        for name in given.keys() & _OF_THE_STEP.keys():
            setattr(step, _OF_THE_STEP[name], given.pop(name))
        ds.ScheduledProcedureStepSequence = [step]
    for name, value in given.items():
        setattr(ds, _KEYWORDS[name], value)
    return encoded(ds, EXPLICIT_LITTLE)
