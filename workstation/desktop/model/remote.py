"""Finds and fetches studies of other nodes. Knows no Qt."""

from dataclasses import dataclass

from dicom_io.network.query import FoundStudy
from dicom_io.person_names import listed
from render.progress import Progress
from workstation.desktop.model.identity import day
from workstation.peers.ask import PeerQuestions
from workstation.peers.ask import questions_to as asked_peer
from workstation.peers.known import PeersError, load_peers
from workstation.site import Site


@dataclass(frozen=True, slots=True)
class Found:
    """A study that a node has."""

    study: FoundStudy

    @property
    def cells(self) -> tuple[str, ...]:
        s = self.study
        count = "" if s.instances is None else str(s.instances)
        modalities = ", ".join(s.modalities)
        return (
            listed(s.patient_name),
            s.patient_id,
            s.accession,
            day(s.study_date),
            modalities,
            s.description,
            count,
        )


@dataclass(frozen=True, slots=True)
class Remote:
    """The nodes that a site knows. person_id : in whose name they are queried."""

    site: Site
    person_id: str

    def peers(self) -> tuple[tuple[str, ...], str]:
        """Returns (names, why there are none as a sentence)."""
        try:
            return tuple(peer.name for peer in load_peers(self.site.root)), ""
        except PeersError as error:
            return (), str(error)

    def find(self, name: str, asked: dict[str, str]) -> tuple[Found, ...]:
        """Finds studies that match all conditions that are not empty. Raises PeersError and the query's errors."""
        given = {key: value for key, value in asked.items() if value}
        return tuple(Found(study) for study in self._peer(name).studies(**given))

    def fetch(self, name: str, found: Found, tell: Progress) -> str:
        """Fetches a study into the archive. Returns the result as a sentence. Raises as `find`."""
        stopped: list[BaseException] = []

        def progress(count: int, total: int) -> None:
            try:
                tell(f"retrieving {count} of {total}", count / total if total else 0.0)
            except Exception as stop:  # noqa: BLE001 - raised again below, after the peer was asked to stop
                stopped.append(stop)

        done = self._peer(name).fetch(
            self.site.archive,
            found.study.study_uid,
            patient_id=found.study.patient_id,
            progress=progress,
            cancelled=lambda: bool(stopped),
        )
        if stopped:
            raise stopped[0]
        if done.whole:
            self.site.arrivals.whole(self.site.archive.series_of(found.study.study_uid), self.site.clock())
        wrong = f", {done.failed} failed: {'; '.join(done.problems)}" if done.failed else ""
        return f"{found.study.description or found.study.study_uid}: {done.completed} instances retrieved{wrong}."

    def _peer(self, name: str) -> PeerQuestions:
        site = self.site
        return asked_peer(site.root, site.config, name, site.clock, person_id=self.person_id)
