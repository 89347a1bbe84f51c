"""Work cut in tiles: run on a few threads, reported and given up between two of them."""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

Tile = Callable[[], None]


class Cancelled(Exception):  # noqa: N818  (it is no error)
    """Drawing was given up because the caller asked for it; no picture was made."""


def bands(rows: int, height: int = 16) -> list[tuple[int, int]]:
    """(first, past the last) row of each band. The cut never depends on the number of threads."""
    return [(row, min(row + height, rows)) for row in range(0, rows, height)]


def run(
    tiles: Sequence[Tile],
    threads: int | None = None,
    progress: Callable[[float], None] | None = None,
    cancel: threading.Event | None = None,
) -> None:
    """Runs every tile, on `threads` threads (None: one a processor).

    progress : called on the caller's thread with the part done, 0…1, never decreasing.
    Raises Cancelled once `cancel` is set, after the tiles then running have ended; whatever a tile raises.
    """
    count = max(1, threads if threads is not None else len(os.sched_getaffinity(0)))
    stop = threading.Event()

    def one(tile: Tile) -> None:
        if stop.is_set() or (cancel is not None and cancel.is_set()):
            raise Cancelled("Drawing was cancelled; no picture was made.")
        tile()

    if count == 1:
        for done, tile in enumerate(tiles, 1):
            one(tile)
            if progress is not None:
                progress(done / len(tiles))
        return
    with ThreadPoolExecutor(count, thread_name_prefix="draw") as pool:
        futures = [pool.submit(one, tile) for tile in tiles]
        try:
            for done, future in enumerate(as_completed(futures), 1):
                future.result()
                if progress is not None:
                    progress(done / len(tiles))
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
