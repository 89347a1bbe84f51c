"""Asking a peer and fetching from it in the way that its entry names: DIMSE or DICOMweb, for whoever wants a study."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicom_io import dicomweb, query
from dicom_io import retrieve as dimse
from dicom_io.archive import Archive
from dicom_io.query import FoundInstance, FoundSeries, FoundStudy
from dicom_io.retrieve import Retrieved
from workstation.peers import KnownPeer, Way, find_peer


@dataclass(frozen=True, slots=True)
class Asked:
    """A peer of the site. All of its methods raise what `dicom_io.query` and `dicom_io.retrieve` raise."""

    known: KnownPeer
    root: Path
    calling: str
    way: Way

    def studies(self, **conditions: Any) -> list[FoundStudy]:
        """conditions : those of `dicom_io.query.find_studies`; a description is none of DICOMweb's."""
        if self.way == "web":
            return dicomweb.find_studies(self.known.web(self.root), **conditions)
        return query.find_studies(self.known.at(self.root), self.calling, **conditions)

    def series(self, study_uid: str) -> list[FoundSeries]:
        if self.way == "web":
            return dicomweb.find_series(self.known.web(self.root), study_uid)
        return query.find_series(self.known.at(self.root), study_uid, self.calling)

    def instances(self, study_uid: str, series_uid: str) -> list[FoundInstance]:
        if self.way == "web":
            return dicomweb.find_instances(self.known.web(self.root), study_uid, series_uid)
        return query.find_instances(self.known.at(self.root), study_uid, series_uid, self.calling)

    def fetch(
        self,
        archive: Archive,
        study_uid: str,
        series_uids: Sequence[str] = (),
        instance_uids: Sequence[str] = (),
        *,
        progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Retrieved:
        """Into the archive; by C-MOVE it comes to `serve`, which has to run."""
        wanted = (archive, study_uid, series_uids, instance_uids)
        if self.way == "web":
            return dicomweb.retrieve(self.known.web(self.root), *wanted, progress=progress, cancelled=cancelled)
        return dimse.retrieve(
            self.known.at(self.root),
            *wanted,
            calling=self.calling,
            how=self.way,
            progress=progress,
            cancelled=cancelled,
        )


def asked(root: Path, name: str, calling: str, way: Way | None = None) -> Asked:
    """way : instead of what the peer's entry says. Raises PeersError."""
    known = find_peer(root, name)
    return Asked(known, root, calling, way or known.retrieve)
