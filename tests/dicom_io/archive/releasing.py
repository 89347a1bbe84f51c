"""Releases from quarantine that are killed: before each line of ours that runs, one after the other.

Run as a program: `releasing.py FOLDER NAME act`; act is release, or finish for what an earlier kill left. For each line
it copies FOLDER to FOLDER-0, FOLDER-1 and so on, and kills a process of its own in the copy just before that line. It
prints how many copies there are, the last of which was not killed.
"""

import os
import shutil
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from dicom_io.archive import Archive, archive, durable, quarantine
from dicom_io.archive.quarantine import finish_releases, release

OURS = {module.__file__ for module in (archive, durable, quarantine)}


def act(root: Path, name: str, what: str, line: int) -> None:
    """Release or finish, and die before the given line."""
    opened, count = Archive(root), 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if frame.f_code.co_filename not in OURS:
            return None
        if event == "line":
            if count == line:
                os.kill(os.getpid(), signal.SIGKILL)
            count += 1
        return trace

    sys.settrace(trace)
    if what == "release":
        release(opened, name)
    else:
        finish_releases(opened)


def main(folder: Path, name: str, what: str) -> int:
    line = 0
    while True:
        copy = folder.with_name(f"{folder.name}-{line}")
        shutil.copytree(folder, copy)
        child = os.fork()
        if child == 0:
            act(copy, name, what, line)
            os._exit(0)
        line += 1
        if os.waitpid(child, 0)[1] == 0:
            return line


if __name__ == "__main__":
    print(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
