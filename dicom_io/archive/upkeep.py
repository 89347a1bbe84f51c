"""Looking after an archive: what it holds, whether it is whole, and what may go."""

import shutil
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

from dicom_io.archive.archive import Archive, Shelved
from dicom_io.archive.durable import flush_folders
from dicom_io.capabilities import CLASS_BY_UID
from dicom_io.errors import NotReadable
from dicom_io.files.digests import file_digest
from dicom_io.files.series import files_below, read_instance
from dicom_io.stamp import MODEL_NAME
from render.progress import CountDone

_AGAIN = "set it aside and send it again"


@dataclass(frozen=True, slots=True)
class Status:
    """What an archive holds, in numbers; sizes in bytes."""

    studies: int
    series: int
    instances: int
    size: int
    quarantined: int
    spooled: int
    free: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as it should be, and what helps.

    sop_instance_uid : of its row in the index, empty where it has none. damaged : whether `set_aside` makes room for
    what is sent again: until then a sender is told that we have it, as the index says.
    """

    path: str
    words: str
    sop_instance_uid: str = ""
    damaged: bool = True


def status(archive: Archive) -> Status:
    shelved = archive.shelved()
    return Status(
        studies=len({s.study_uid for s in shelved}),
        series=len({s.series_uid for s in shelved}),
        instances=len(shelved),
        size=sum(s.size for s in shelved),
        quarantined=len(list((archive.root / "quarantine").glob("*.dcm"))),
        spooled=sum(1 for p in (archive.root / "spool").rglob("*") if p.is_file()),
        free=shutil.disk_usage(archive.root).free,
    )


def verify(archive: Archive, progress: CountDone | None = None) -> Iterator[Fault]:
    """Reads every file and compares it with the index: missing, changed, cut short, or in no index."""
    shelved = archive.shelved()

    def look(one: Shelved) -> Fault | None:
        try:
            if one.path.stat().st_size != one.size:
                words = f"has {one.path.stat().st_size} bytes, not {one.size}; {_AGAIN}"
            elif file_digest(one.path, one.transfer_syntax_uid) != one.sha256:
                words = f"holds other bytes than were received; {_AGAIN}"
            else:
                return None
        except FileNotFoundError:
            words = f"is in the index and not on the disk; {_AGAIN}"
        except (OSError, NotReadable) as error:
            words = f"cannot be read ({error}); {_AGAIN}"
        return Fault(str(one.path), words, one.sop_instance_uid)

    with ThreadPoolExecutor(4) as pool:  # hashing releases the GIL
        for count, fault in enumerate(pool.map(look, shelved), start=1):
            if fault is not None:
                yield fault
            if progress is not None:
                progress(count, len(shelved))
    known = {one.path for one in shelved}
    for file in files_below(archive.files) if archive.files.exists() else ():
        if file not in known:
            try:
                read_instance(file)
            except NotReadable:
                yield Fault(str(file), f"is no whole instance, and not in the index; {_AGAIN}")
            else:
                yield Fault(str(file), "is on the disk and not in the index; rebuild the index", damaged=False)


def set_aside(archive: Archive, fault: Fault) -> None:
    """Takes what is damaged out of the archive, so that it is kept when it is sent again.

    Its file goes into the folder `damaged`: what is left of it may be all that there is. It goes first, so that a crash
    leaves a row without a file, and nothing that an index made anew would take for good.
    """
    path, folder = Path(fault.path), archive.root / "damaged"
    if path.exists():
        folder.mkdir(exist_ok=True)
        taken = sum(1 for _ in folder.glob(f"{path.stem}*"))  # once before, and damaged again
        path.replace(folder / (f"{path.stem}.{taken}{path.suffix}" if taken else path.name))
        flush_folders(folder, archive.root)
        flush_folders(path.parent, archive.files)
    if fault.sop_instance_uid:
        archive.forget([fault.sop_instance_uid])


def prunable(archive: Archive, before: datetime, held: Collection[str], held_uids: Collection[str]) -> list[Shelved]:
    """Source images that came before a moment and that nobody needs any more, oldest first.

    held : accessions, and study UIDs, that have to stay. held_uids : instances that have to stay. What we made, and
    documents, always stay: they are small, and the record rests on them. A study goes as a whole or not at all.
    """
    by_study: dict[str, list[Shelved]] = {}
    for one in archive.shelved():
        by_study.setdefault(one.study_uid, []).append(one)
    found = []
    for study, members in by_study.items():
        if study in held or any(
            (m.accession in held and m.accession) or m.sop_instance_uid in held_uids for m in members
        ):
            continue
        if any(m.path.exists() and m.path.stat().st_mtime >= before.timestamp() for m in members):
            continue
        found += [m for m in members if _is_source(m)]
    return sorted(found, key=lambda one: (one.path.stat().st_mtime if one.path.exists() else 0.0, one.sop_instance_uid))


def _is_source(one: Shelved) -> bool:
    known = CLASS_BY_UID.get(one.sop_class_uid)
    return known is not None and known.role == "source" and not (one.derived and _ours(one.path))


def _ours(path: Path) -> bool:
    """Whether a derived image is of our making; scanners derive too, and so does a PACS that compresses with loss.
    One that cannot be read might be."""
    try:
        ds = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["ManufacturerModelName"])
    except (OSError, InvalidDicomError):
        return True
    return str(ds.get("ManufacturerModelName")) == MODEL_NAME


def prune(archive: Archive, what: list[Shelved], progress: CountDone | None = None) -> int:
    """Removes instances, from the index first: a crash in between leaves files without a row, which `verify` names.

    Returns the bytes that are free now.
    """
    freed = 0
    for count, one in enumerate(what, start=1):
        archive.forget([one.sop_instance_uid])
        one.path.unlink(missing_ok=True)
        freed += one.size
        if progress is not None:
            progress(count, len(what))
    for folder in sorted({one.path.parent for one in what}, reverse=True):
        _remove_empty(folder, archive.files)
    return freed


def _remove_empty(folder: Path, top: Path) -> None:
    while folder != top and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
