"""What it takes that a file is whole, has its name and is still there after a power cut."""

import errno
import os
import re
import shutil
from pathlib import Path

from pydicom import dcmread, dcmwrite
from pydicom.dataset import FileDataset

from dicom_io.errors import NotReadable
from dicom_io.files.digests import file_digest
from dicom_io.files.headers import read_instance


def place(spooled: Path, target: Path) -> bool:
    """Gives the file its name; False when that is taken.

    A link, because it fails where a rename overwrites: of two that come at once, the first stays.
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
    """The digest of a named file that is in no index.

    A crash between name and index left it, as good as new; but for half a file, which only a power cut leaves,
    since a file gets its name when all of it is written. What was spooled takes the place of that.
    """
    try:
        return file_digest(target, read_instance(target).transfer_syntax_uid)
    except NotReadable:
        spooled.replace(target)
        return file_digest(target, read_instance(target).transfer_syntax_uid)


def copy_part10(source: Path, target: Path) -> bool:
    """Byte for byte where the file is Part 10 already, which is True; else with the preamble and file meta it lacks."""
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
    """A new name is durable only once its folder is; source: fsync(2)."""
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
    """Whether flushing a file writes its name, too: link(2) changes file and folder in one transaction there, and the
    file's fsync waits for it. Everywhere else a folder is flushed for its names, which asks the disk a second time.

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
        # Of those on one path the last is on top. Source: proc(5).
        if len(at.parts) >= depth and folder.is_relative_to(at):
            depth, kind = len(at.parts), after.split()[0]
    return kind in ("ext4", "xfs")


def alive(spool: str) -> bool:
    """Whether the process that a spool folder is named after still runs; this process is not its earlier life."""
    pid = spool.partition("-")[0]
    if not pid.isdigit() or int(pid) == os.getpid():
        return not pid.isdigit()
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def boot() -> str:
    """What is another word after every start of the machine; empty where nobody knows. Source: random(4)."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
