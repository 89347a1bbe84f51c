"""Reading every file of the archive against its index, in the background of the process that was asked to."""

from dataclasses import dataclass, replace
from datetime import datetime
from threading import Lock, Thread

from dicom_io.archive.upkeep import Fault, verify
from workstation.site import Site

_MOST_TOLD = 200


@dataclass(frozen=True, slots=True)
class CheckState:
    """done, total : instances. ended_at : None while it runs. faults : the first of them. failed : why it ended."""

    started_at: datetime
    by: str
    done: int = 0
    total: int = 0
    faults: tuple[Fault, ...] = ()
    ended_at: datetime | None = None
    failed: str = ""


class StorageCheck:
    """The check of one archive: one at a time, the last result kept in memory. thread : that runs it, or ran it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._state: CheckState | None = None
        self.thread: Thread | None = None

    @property
    def state(self) -> CheckState | None:
        """How far it is, or what the last one found; None before the first."""
        return self._state

    def begin(self, site: Site, person_id: str) -> bool:
        """Begins a check. Returns False where one runs already."""
        with self._lock:
            if self._state is not None and self._state.ended_at is None:
                return False
            self._state = CheckState(site.clock(), person_id)
        self.thread = Thread(target=self._run, args=(site,), name="storage check", daemon=True)
        self.thread.start()
        return True

    def _run(self, site: Site) -> None:
        faults: list[Fault] = []
        failed = ""
        try:
            for fault in verify(site.archive, self._tell):
                faults.append(fault)
                if len(faults) <= _MOST_TOLD:
                    self._change(faults=tuple(faults))
        except Exception as error:  # noqa: BLE001 - whoever looks later has to learn that it ended
            failed = f"{type(error).__name__}: {error}"
        self._change(ended_at=site.clock(), failed=failed)

    def _tell(self, done: int, total: int) -> None:
        self._change(done=done, total=total)

    def _change(self, **values: object) -> None:
        with self._lock:
            assert self._state is not None, "it was begun"
            self._state = replace(self._state, **values)  # type: ignore[arg-type]
