"""Instances that came with the UID of another one: put aside by the archive, for a person to look at.

Each is a file below the archive's `quarantine` folder, named after its UID and the start of its digest.
"""

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset

from dicom_io.archive import Archive, Kept
from dicom_io.errors import NotFound
from dicom_io.headers import read_dataset
from dicom_io.series import read_instance

_NAME = re.compile(r"[0-9.]+\.[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A file in quarantine. name : what it is asked for by. No patient data."""

    name: str
    sop_instance_uid: str
    series_uid: str
    accession: str
    modality: str
    came_at: datetime
    size: int


@dataclass(frozen=True, slots=True)
class Differences:
    """How it differs from the instance that is kept.

    keywords : attributes whose values differ or that only one of the two has. pixels : whether the pixel data differ.
    """

    quarantined: Quarantined
    keywords: tuple[str, ...]
    pixels: bool


def quarantined(archive: Archive) -> tuple[Quarantined, ...]:
    """Everything in quarantine, oldest first."""
    files = sorted((archive.root / "quarantine").glob("*.dcm"), key=lambda path: path.stat().st_mtime)
    return tuple(_describe(file) for file in files)


def differences(archive: Archive, name: str) -> Differences:
    """Raises NotFound."""
    path = _path(archive, name)
    found = _describe(path)
    kept = archive.instance(found.sop_instance_uid)
    ours, theirs = read_dataset(kept.path), read_dataset(path)
    tags = {*ours.keys(), *theirs.keys()}
    differ = sorted(t for t in tags if _value(ours, t) != _value(theirs, t))
    one, other = read_instance(Path(kept.path)), read_instance(path)
    same = _pixels(Path(one.path), one.pixel_offset) == _pixels(path, other.pixel_offset)
    return Differences(
        found, tuple(keyword_for_tag(t) or f"({t >> 16:04X},{t & 0xFFFF:04X})" for t in differ), not same
    )


def release(archive: Archive, name: str) -> Kept:
    """Puts it in the place of the instance that is kept, which goes into quarantine. Raises NotFound."""
    path = _path(archive, name)
    return archive.exchange(read_instance(path).sop_instance_uid, path)


def discard(archive: Archive, name: str) -> None:
    """Deletes it for good. Raises NotFound."""
    _path(archive, name).unlink()


def _describe(path: Path) -> Quarantined:
    instance, stat = read_instance(path), path.stat()
    return Quarantined(
        name=path.stem,
        sop_instance_uid=instance.sop_instance_uid,
        series_uid=instance.series_uid,
        accession=instance.accession,
        modality=instance.modality,
        came_at=datetime.fromtimestamp(round(stat.st_mtime), UTC),
        size=stat.st_size,
    )


def _path(archive: Archive, name: str) -> Path:
    path = archive.root / "quarantine" / f"{name}.dcm"
    if not _NAME.fullmatch(name) or not path.is_file():
        raise NotFound(f"Nothing named {name[:100]!r} is in quarantine; `workstation quarantine list` shows what is.")
    return path


def _value(ds: Dataset, tag: int) -> object:
    return ds[tag].value if tag in ds else None


def _pixels(path: Path, offset: int) -> bytes:
    if offset < 0:
        return b""
    with path.open("rb") as file:
        file.seek(offset, os.SEEK_SET)
        return file.read()
