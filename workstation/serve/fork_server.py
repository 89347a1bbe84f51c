"""Where the workers of `serve` are forked from: a process that has loaded their modules and does nothing else. So each
starts at once, and they share that memory; the supervisor itself has threads, and is not to be forked."""

import multiprocessing
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext  # which Windows lacks


@cache
def fork_server() -> "ForkServerContext":
    """Returns the context whose processes are forked from it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["workstation.serve.worker", "workstation.serve.shared_program"])
    return context


def start_fork_server() -> None:
    """Starts it, if it does not run: it loads modules while the caller loads its own. Nothing where there is none."""
    if "forkserver" in multiprocessing.get_all_start_methods():
        from multiprocessing.forkserver import ensure_running

        fork_server()
        ensure_running()
