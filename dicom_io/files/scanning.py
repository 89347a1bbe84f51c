"""Reads many headers: a few in this process alone, many in one process for each core.

Parsing a header holds the GIL, so threads would wait for each other. The helpers are plain child processes that run
this module; `multiprocessing` would run the caller's own script again, which no caller expects.
"""

import os
import pickle
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from dicom_io.errors import NotReadable
from dicom_io.files.headers import read_instance
from dicom_io.files.instance import Instance

# A helper takes half a second to start; meanwhile this process reads some 2500 headers.
_FEW = 4000


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that could not be taken, and why."""

    path: str
    reason: str


def read_all(files: Sequence[Path], *, few: int = _FEW, helpers: int | None = None) -> list[Instance | Unreadable]:
    """Reads the header of each file, or the reason why it cannot be read, in the order of `files`.

    few : up to so many are read in this process alone. helpers : child processes; by default one for each further
    core.
    """
    count = (os.cpu_count() or 1) - 1 if helpers is None else helpers
    if len(files) <= few or count < 1:
        return [_read(f) for f in files]
    share = -(-len(files) // (count + 1))
    own_share, *helper_shares = (files[at : at + share] for at in range(0, len(files), share))
    with ThreadPoolExecutor(len(helper_shares) or 1) as pool:
        elsewhere = [pool.submit(_ask, part) for part in helper_shares]
        found = [_read(f) for f in own_share]
        for part in elsewhere:
            found += part.result()
    return found


Scanned = TypeVar("Scanned")


def batches(items: Iterable[Scanned], size: int) -> Iterator[list[Scanned]]:
    """Yields lists of `size` items, the last one shorter; itertools has this from Python 3.12 on."""
    left = iter(items)
    while batch := list(islice(left, size)):
        yield batch


def _read(file: Path) -> Instance | Unreadable:
    try:
        return read_instance(file)
    except NotReadable as error:
        return Unreadable(str(file), str(error))


def _ask(files: Sequence[Path]) -> list[Instance | Unreadable]:
    """Has a helper read the headers; reads them here if it fails."""
    try:
        answer = subprocess.run(
            [sys.executable, "-m", "dicom_io.files.scanning"],
            input=pickle.dumps(list(files)),
            stdout=subprocess.PIPE,
            check=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        ).stdout
        found: list[Instance | Unreadable] = pickle.loads(answer)
    except (OSError, subprocess.CalledProcessError, pickle.UnpicklingError, EOFError):
        return [_read(f) for f in files]
    return found


def _helper() -> None:
    files: list[Path] = pickle.load(sys.stdin.buffer)
    sys.stdout.buffer.write(pickle.dumps([_read(f) for f in files]))


if __name__ == "__main__":
    # Imported by name, not as `__main__`, so that the pickled classes are those that the parent process knows.
    from dicom_io.files import scanning

    scanning._helper()
