"""What was read of sessions lately, for pages that ask again for each picture."""

from collections import OrderedDict
from pathlib import Path
from threading import Lock

from dicom_io.errors import DicomIOError
from dicom_io.files.series import read_dataset
from dicom_io.sr.evidence_sr import read_sr
from workstation.results.contents import (
    ArchivedFile,
    ResultPicture,
    SessionResults,
    pictures_of,
    results_of,
    unchanged,
)
from workstation.site import Site


class SeenResults:
    """The contents of the sessions that were looked at last, by the state of their journal: each picture of a page is
    a request of its own. And which files were found unchanged. Several threads may use it."""

    def __init__(self, most: int = 16) -> None:
        self._most, self._lock = most, Lock()
        self._found: OrderedDict[tuple[str, str], SessionResults] = OrderedDict()
        self._same: OrderedDict[tuple[str, int, int], bool] = OrderedDict()
        self._pictures: OrderedDict[tuple[str, int], tuple[tuple[ResultPicture, ...], int]] = OrderedDict()

    def results(self, session: str, site: Site) -> SessionResults:
        """Raises ResultsError."""
        entries = site.journal.entries(session)
        key = (f"{site.root} {session}", entries[-1].hash if entries else "")
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                return self._found[key]
        found = results_of(session, site)
        with self._lock:
            self._found[key] = found
            while len(self._found) > self._most:
                self._found.popitem(last=False)
        return found

    def same(self, file: ArchivedFile) -> bool:
        """Whether a file is what was recorded; looked at again when it was written to."""
        try:
            stat = Path(file.instance.path).stat()
        except OSError:
            return False
        key = (f"{file.instance.path} {file.digest}", stat.st_mtime_ns, stat.st_size)
        with self._lock:
            if key in self._same:
                return self._same[key]
        found = unchanged(file)
        with self._lock:
            self._same[key] = found
            while len(self._same) > 4096:
                self._same.popitem(last=False)
        return found

    def pictures(self, record: Path, site: Site) -> tuple[tuple[ResultPicture, ...], int]:
        """The pictures of a record, signed or not, and how many the archive does not have; none where the record cannot
        be read. Raises OSError where it is gone."""
        stat = record.stat()
        key = (str(record), stat.st_mtime_ns)
        with self._lock:
            if key in self._pictures:
                self._pictures.move_to_end(key)
                return self._pictures[key]
        try:
            found = pictures_of(read_sr(read_dataset(record)), frozenset(), site)
        except DicomIOError:  # damaged; `storage verify` says so
            found = (), 0
        if found[1]:
            return found  # what is not there yet may come
        with self._lock:
            self._pictures[key] = found
            while len(self._pictures) > self._most:
                self._pictures.popitem(last=False)
        return found
