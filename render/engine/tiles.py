"""Work divided into tiles, run on a few threads; progress and cancelling happen between two tiles."""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from render.progress import PartDone

Tile = Callable[[], None]


class Cancelled(Exception):  # noqa: N818  (it is no error)
    """The caller cancelled the drawing; no picture was made."""


def bands(rows: int, height: int = 16) -> list[tuple[int, int]]:
    """Returns (first, past the last) row of each band. The bands never depend on the number of threads."""
    return [(row, min(row + height, rows)) for row in range(0, rows, height)]


def run_tiles(
    tiles: Sequence[Tile],
    threads: int | None = None,
    progress: PartDone | None = None,
    cancel: threading.Event | None = None,
) -> None:
    """Runs every tile on `threads` threads (None: one for each processor), the caller's included.

    progress : called on the caller's thread with the part done, 0…1, never decreasing, last with 1.
    Raises Cancelled once `cancel` is set and the running tiles have ended, and any error of a tile.
    """
    count = max(1, min(threads if threads is not None else len(os.sched_getaffinity(0)), len(tiles)))
    waiting, done = iter(tiles), [0] * count
    turn, stop = threading.Lock(), threading.Event()

    def work(worker: int) -> None:
        """Takes tiles until none is left; a plain loop, because a future for each tile costs more than a tile."""
        try:
            while True:
                if stop.is_set():
                    return  # a tile of another thread has failed, and its error will be raised
                if cancel is not None and cancel.is_set():
                    raise Cancelled("Drawing was cancelled; no picture was made.")
                with turn:
                    tile = next(waiting, None)
                if tile is None:
                    return
                tile()
                done[worker] += 1
                if progress is not None and worker == 0:
                    progress(sum(done) / len(tiles))
        except BaseException:
            stop.set()
            raise

    if count == 1:
        work(0)
        if progress is not None:
            progress(1.0)
        return
    with ThreadPoolExecutor(max(1, count - 1), thread_name_prefix="draw") as pool:
        others = [pool.submit(work, worker) for worker in range(1, count)]
        try:
            work(0)
        finally:
            failures = [error for error in (other.exception() for other in others) if error is not None]
        for error in failures:
            raise error
    if progress is not None:
        progress(1.0)
