"""Releases from quarantine that are killed: before each line of ours that runs, one after the other.

Run as a program: `releasing.py FOLDER NAME act`; act is release, or finish for what an earlier kill left. It runs once,
in a copy of FOLDER. A process that is killed leaves the files as they are at that moment: so what a kill before a line
would leave is copied there, to FOLDER-0, FOLDER-1 and so on, wherever it is not what the line before left. The last is
the end. It prints how many lines there were, and how many copies.
"""

import os
import shutil
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from dicom_io.archive import Archive, archive, durable, quarantine
from dicom_io.archive.quarantine import finish_releases, release

OURS = {module.__file__ for module in (archive, durable, quarantine)}


def copy_as_it_is(folder: Path, to: Path) -> None:
    """Copies a folder; names of one file stay names of one file."""
    copied: dict[int, Path] = {}
    for at, _, names in os.walk(folder):
        there = to / Path(at).relative_to(folder)
        there.mkdir(parents=True)
        for name in names:
            file, inode = Path(at, name), Path(at, name).stat().st_ino
            if inode in copied:
                os.link(copied[inode], there / name)
            else:
                copied[inode] = there / name
                shutil.copy2(file, there / name)


def all_of(folder: Path) -> list[tuple[str, int, bytes]]:
    """Every file of a folder: its name, which names are of one file, its bytes."""
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return [(str(file), file.stat().st_ino, file.read_bytes()) for file in files]


def main(folder: Path, name: str, what: str) -> tuple[int, int]:
    root, lines, count = folder.with_name(f"{folder.name}-run"), 0, 0
    before: list[tuple[str, int, bytes]] = []
    copy_as_it_is(folder, root)
    opened = Archive(root)

    def kept() -> None:
        nonlocal lines, count, before
        lines += 1
        now = all_of(root)
        if now != before:
            copy_as_it_is(root, folder.with_name(f"{folder.name}-{count}"))
            count, before = count + 1, now

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename not in OURS:
            return None
        if event == "line":
            kept()
        return trace

    sys.settrace(trace)
    if what == "release":
        release(opened, name)
    else:
        finish_releases(opened)
    sys.settrace(None)
    kept()
    return lines, count


if __name__ == "__main__":
    print(*main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
