"""Files that are whole, have their name and are still there after a power cut."""

import errno
import hashlib
import os
import platform
import re
import shutil
import time
from pathlib import Path

from pydicom import dcmread, dcmwrite
from pydicom.dataset import FileDataset

from dicom_io.errors import NotReadable
from dicom_io.files.digests import file_digest
from dicom_io.files.headers import read_instance


def place(spooled: Path, target: Path) -> bool:
    """Gives a spooled file its name. Returns False when the name is taken.

    It makes a link, which fails where a rename would overwrite: of two files at once, the first stays.
    """
    if not target.parent.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(spooled, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP):
            raise
        if target.exists():
            return False
        spooled.replace(target)  # a file system without links
    return True


def held_by(target: Path, spooled: Path) -> str:
    """Returns the digest of a named file that the index lacks.

    A crash between naming and indexing leaves such a file, and it is whole: a file is named after all of it is written.
    Only a power cut leaves half a file; the spooled one then replaces it.
    """
    try:
        return file_digest(target, read_instance(target).transfer_syntax_uid)
    except NotReadable:
        spooled.replace(target)
        return file_digest(target, read_instance(target).transfer_syntax_uid)


def copy_part10(source: Path, target: Path) -> bool:
    """Copies a file: byte for byte, returning True, where it is Part 10; else with preamble and file meta added."""
    with source.open("rb") as file:
        prefixed = file.read(132)[128:] == b"DICM"
    if prefixed:
        shutil.copyfile(source, target)
    else:
        ds: FileDataset = dcmread(source, force=True)
        dcmwrite(target, ds, enforce_file_format=True)
    return prefixed


def flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def flush_folders(folder: Path, top: Path) -> None:
    """Flushes `folder` and its parents up to `top`: a new name is durable only once its folder is. Source: fsync(2)."""
    while True:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        if folder in (top, folder.parent):
            return
        folder = folder.parent


def names_with_files(folder: Path) -> bool:
    """Whether flushing a file on this file system also writes its name: link(2) changes file and folder in one
    transaction, and the file's fsync waits for it. Elsewhere the folder needs a flush of its own, a second disk access.

    Source: fs/ext4/namei.c and fs/xfs/xfs_inode.c of Linux (`ext4_link`, `xfs_link`).
    """
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return False
    folder, depth, kind = folder.resolve(), 0, ""
    for mount in mounts:
        before, _, after = mount.partition(" - ")
        at = Path(re.sub(r"\\(\d{3})", lambda escaped: chr(int(escaped[1], 8)), before.split()[4]))
        # Of several mounts on one path the last is on top. Source: proc(5).
        if len(at.parts) >= depth and folder.is_relative_to(at):
            depth, kind = len(at.parts), after.split()[0]
    return kind in ("ext4", "xfs")


def host() -> str:
    """Returns a word for this machine, fit for a file name."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def alive(spool: Path) -> bool:
    """Whether the process that a spool folder is named after (`PID-LIFE-HOST`) still runs. An earlier process with this
    process's ID does not; one of another host is believed to for a day after it last wrote there."""
    pid, _, rest = spool.name.partition("-")
    if not pid.isdigit():
        return True
    if rest.partition("-")[2] not in ("", host()):
        try:
            return time.time() - spool.stat().st_mtime < 86400.0
        except FileNotFoundError:
            return True  # removed meanwhile, by its own host
    return int(pid) != os.getpid() and runs(int(pid))


def runs(pid: int) -> bool:
    """Whether a process of this machine runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def boot() -> str:
    """Returns a word that changes with every start of the machine; empty where there is none. Source: random(4)."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
