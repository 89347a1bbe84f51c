"""Upkeep of an archive: how much it holds, whether it is whole, and which instances may be removed."""

import shutil
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

from dicom_io.archive.archive import Archive, Shelved
from dicom_io.archive.durable import flush_folders
from dicom_io.archive.leases import Lease
from dicom_io.capabilities import CLASS_BY_UID
from dicom_io.errors import Busy, NotReadable
from dicom_io.files.digests import file_digest
from dicom_io.files.series import files_below, read_instance
from dicom_io.stamp import MODEL_NAME
from render.progress import CountDone

_AGAIN = "set it aside and send it again"


@contextmanager
def alone(archive: Archive, what: str = "upkeep") -> Iterator[Lease]:
    """Around what removes files of the archive, or must not have them removed. Raises Busy."""
    with archive.leases.held(what) as lease:
        if lease is None:
            holder = archive.leases.holder(what) or "somebody"
            raise Busy(f"{holder} backs up, removes or releases files of the archive at this moment; try again.")
        yield lease


@dataclass(frozen=True, slots=True)
class Status:
    """How much an archive holds; sizes in bytes."""

    studies: int
    series: int
    instances: int
    size: int
    quarantined: int
    spooled: int
    free: int


@dataclass(frozen=True, slots=True)
class Fault:
    """A file or index row that is wrong, and what to do about it.

    sop_instance_uid : of its row in the index, empty where it has none. damaged : the file has to be sent again, and
    `set_aside` makes room for it; until then a sender is told that we have it, as the index says.
    """

    path: str
    words: str
    sop_instance_uid: str = ""
    damaged: bool = True


def status(archive: Archive) -> Status:
    studies, series, instances, size = archive.extent()
    return Status(
        studies=studies,
        series=series,
        instances=instances,
        size=size,
        quarantined=len(list((archive.root / "quarantine").glob("*.dcm"))),
        spooled=sum(1 for p in (archive.root / "spool").rglob("*") if p.is_file()),
        free=shutil.disk_usage(archive.root).free,
    )


def verify(archive: Archive, progress: CountDone | None = None) -> Iterator[Fault]:
    """Reads every file and compares it with the index: missing, changed, cut short, or in no index."""
    shelved = archive.shelved()

    def fault_of(instance: Shelved) -> Fault | None:
        try:
            if instance.path.stat().st_size != instance.size:
                words = f"has {instance.path.stat().st_size} bytes, not {instance.size}; {_AGAIN}"
            elif file_digest(instance.path, instance.transfer_syntax_uid) != instance.sha256:
                words = f"holds other bytes than were received; {_AGAIN}"
            else:
                return None
        except FileNotFoundError:
            words = f"is in the index and not on the disk; {_AGAIN}"
        except (OSError, NotReadable) as error:
            words = f"cannot be read ({error}); {_AGAIN}"
        return Fault(str(instance.path), words, instance.sop_instance_uid)

    with ThreadPoolExecutor(4) as pool:  # hashing releases the GIL
        for count, fault in enumerate(pool.map(fault_of, shelved), start=1):
            if fault is not None:
                yield fault
            if progress is not None:
                progress(count, len(shelved))
    known = {instance.path for instance in shelved}
    for file in files_below(archive.files) if archive.files.exists() else ():
        if file not in known:
            try:
                read_instance(file)
            except NotReadable:
                yield Fault(str(file), f"is no whole instance, and not in the index; {_AGAIN}")
            else:
                yield Fault(
                    str(file), "is on the disk and not in the index; `storage verify --repair` enters it", damaged=False
                )


def set_aside(archive: Archive, fault: Fault) -> None:
    """Takes a damaged instance out of the archive, so that it is kept when it is sent again.

    Its file moves into the folder `damaged`, as it may be the only copy. The file moves before its row goes: a crash in
    between leaves a row without a file, and not a damaged file that a rebuilt index would list as whole.
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


def repair(archive: Archive, faults: Iterable[Fault]) -> tuple[list[Fault], list[Fault]]:
    """Sets aside what is damaged, so that it can be sent again, and indexes what the index lacks. Returns both.

    Nobody else removes files meanwhile. Raises Busy.
    """
    with alone(archive):
        damaged, strays = list[Fault](), list[Fault]()
        for fault in faults:
            (damaged if fault.damaged else strays).append(fault)
        for fault in damaged:
            set_aside(archive, fault)
        archive.index_files(Path(fault.path) for fault in strays)
    return damaged, strays


def prunable(archive: Archive, before: datetime, held: Collection[str], held_uids: Collection[str]) -> list[Shelved]:
    """Lists the source images that came before a time and are no longer needed, oldest first.

    held : accessions, and study UIDs, that have to stay. held_uids : instances that have to stay. Our own objects and
    documents always stay: they are small, and the record rests on them. A study goes as a whole or not at all.
    """
    by_study: dict[str, list[Shelved]] = {}
    for instance in archive.shelved():
        by_study.setdefault(instance.study_uid, []).append(instance)
    found = []
    for study, members in by_study.items():
        if study in held or any(
            (m.accession in held and m.accession) or m.sop_instance_uid in held_uids for m in members
        ):
            continue
        if any(m.path.exists() and m.path.stat().st_mtime >= before.timestamp() for m in members):
            continue
        found += [m for m in members if _is_source(m)]
    return sorted(
        found,
        key=lambda instance: (
            instance.path.stat().st_mtime if instance.path.exists() else 0.0,
            instance.sop_instance_uid,
        ),
    )


def _is_source(instance: Shelved) -> bool:
    storage_class = CLASS_BY_UID.get(instance.sop_class_uid)
    return (
        storage_class is not None and storage_class.role == "source" and not (instance.derived and _ours(instance.path))
    )


def _ours(path: Path) -> bool:
    """Whether this workstation made a derived image; scanners derive too, and so does a PACS that compresses with
    loss. An image that cannot be read might be ours, so it counts as ours."""
    try:
        ds = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["ManufacturerModelName"])
    except (OSError, InvalidDicomError):
        return True
    return str(ds.get("ManufacturerModelName")) == MODEL_NAME


def prune(archive: Archive, instances: list[Shelved], progress: CountDone | None = None) -> int:
    """Removes instances, from the index first: a crash in between leaves files without a row, which `verify` names.

    Returns the bytes that are free now.
    """
    freed = 0
    for count, instance in enumerate(instances, start=1):
        archive.forget([instance.sop_instance_uid])
        instance.path.unlink(missing_ok=True)
        freed += instance.size
        if progress is not None:
            progress(count, len(instances))
    for folder in sorted({instance.path.parent for instance in instances}, reverse=True):
        _remove_empty(folder, archive.files)
    return freed


def _remove_empty(folder: Path, top: Path) -> None:
    while folder != top and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
