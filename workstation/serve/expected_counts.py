"""Asks a peer how many instances a series will have, in the background, once for each series."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from dicom_io.archive import Archive
from dicom_io.errors import DicomIOError
from workstation.config import Config
from workstation.peers.ask import questions_to
from workstation.peers.known import PeersError


class ExpectedCounts:
    """Called with a Series Instance UID, returns the number; None while it is unknown, or where no peer is asked."""

    def __init__(self, root: Path, config: Config, clock: Callable[[], datetime]) -> None:
        self._root, self._config, self._clock = root, config, clock
        self._asked: dict[str, Future[int | None]] = {}
        self._pool = ThreadPoolExecutor(1, "expected")

    def __call__(self, series_uid: str) -> int | None:
        if not self._config.receiver.expected_from:
            return None
        answer = self._asked.get(series_uid)
        if answer is None:
            answer = self._asked[series_uid] = self._pool.submit(self._ask, series_uid)
        return answer.result() if answer.done() else None

    def _ask(self, series_uid: str) -> int | None:
        try:
            study = Archive(self._root).series(series_uid).first.study_uid
            peer = questions_to(self._root, self._config, self._config.receiver.expected_from, self._clock)
            found = [s for s in peer.series(study) if s.series_uid == series_uid]
        except (DicomIOError, PeersError):
            return None  # then the series is complete after the quiet time
        return found[0].instances if found else None
