"""A process that draws one case at a time, behind `concurrent.futures.Executor`: an executor of another kind, such as
that of a farm, may take its place."""

import multiprocessing
import os
import signal
import threading
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import suppress
from multiprocessing.connection import wait

_NICE = 10  # receiving and the desktop go first


class CaseProcess(ProcessPoolExecutor):
    """One process. Where a case ends it, no other case goes with it: each slot has one of its own.

    memory_mb : how much memory it may take for data, 0 for any; not where the system has no such limit.
    """

    def __init__(self, memory_mb: int = 0) -> None:
        methods = multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
        super().__init__(1, mp_context=context, initializer=_begin, initargs=(memory_mb << 20,))
        self._pid: int | None = None

    def start(self) -> int:
        """Starts the process, where it does not run yet. Returns its ID."""
        if self._pid is None:
            self._pid = self.submit(os.getpid).result()
        return self._pid

    def kill(self) -> None:
        """Ends the process at once, and with it the case that it works on."""
        if self._pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        self.shutdown(wait=True, cancel_futures=True)


def end(executor: Executor) -> None:
    """Ends an executor and what it works on; one of another kind is only told not to begin anything more."""
    if isinstance(executor, CaseProcess):
        executor.kill()
    else:
        executor.shutdown(wait=False, cancel_futures=True)


def _begin(memory_bytes: int) -> None:
    """Makes the process a modest one that dies with its parent."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_die_with, args=(parent.sentinel,), daemon=True).start()
    with suppress(OSError, AttributeError):
        os.nice(_NICE)
    with suppress(ImportError, OSError, ValueError):
        import resource

        if memory_bytes:
            # Private memory that can be written (getrlimit(2), RLIMIT_DATA): not what is only mapped.
            resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _die_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
