"""A receiver process to be killed or starved: `python -m tests.dicom_io.network.receiving FOLDER [HOW N]`.

Prints its port, then waits for lines: `free` lifts the limit on file sizes, anything else ends it.
HOW: the N-th instance kills the process `writing` (half of it is in the spool), `named` (not in the index yet) or
`indexed` (not answered yet); `starved` limits every file to N bytes, as a full disk would.
"""

import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

from dicom_io.archive import Archive
from dicom_io.network import dimse, receive


def _die_at(owner: Any, name: str, count: int, *, after: bool) -> None:
    """Lets the `count`-th call of `owner.name` end the process, with or without having done its work."""
    real, calls = getattr(owner, name), []

    def dying(*args: Any, **more: Any) -> Any:
        calls.append(name)
        result = real(*args, **more) if after or len(calls) < count else None
        if len(calls) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, dying)


def _half_written(count: int) -> None:
    real, calls = dimse.spool, []

    def write(path: Path, *how: Any) -> None:
        real(path, *how)
        calls.append(path)
        if len(calls) == count:
            os.truncate(path, path.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    dimse.spool = write  # type: ignore[assignment]


def main(folder: str, how: str = "", number: str = "0") -> None:
    archive = Archive(Path(folder))
    if how == "writing":
        _half_written(int(number))
    elif how == "named":
        _die_at(Archive, "_index", int(number), after=False)
    elif how == "indexed":
        _die_at(Archive, "_index", int(number), after=True)
    with receive.Receiver(archive) as receiver:
        if how == "starved":
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(number), hard))
        print(receiver.port, flush=True)
        for line in sys.stdin:
            if line.strip() != "free":
                break
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            print("freed", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
