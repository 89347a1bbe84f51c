"""Instances that came with the UID of another one: put aside by the archive, for a person to look at.

Each is a file below the archive's `quarantine` folder, named after its UID and the start of its digest. While it is
released, a file `.release` beside it says what it takes the place of: whatever cuts that short, whoever opens the site
next goes through with it.
"""

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock
from pydantic import TypeAdapter
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset

from dicom_io.archive import Archive
from dicom_io.errors import NotFound
from dicom_io.files import flush, flush_folders, place
from dicom_io.headers import read_dataset
from dicom_io.instance import Instance
from dicom_io.seal import file_digest
from dicom_io.series import read_instance

_NAME = re.compile(r"[0-9.]+\.[0-9a-f]{12}")
_INTENT = ".release"


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


@dataclass(frozen=True, slots=True)
class _Release:
    """What is to be done: the file at `out`, relative to the archive's, goes aside; another one comes to `to`."""

    out: str
    out_digest: str
    to: str
    to_digest: str


_RELEASES = TypeAdapter(_Release)


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


def release(archive: Archive, name: str) -> Instance:
    """Puts it in the place of the instance that is kept, which goes into quarantine. Returns what is kept now.

    A crash leaves it in quarantine, or released as soon as the archive is opened again. Raises NotFound.
    """
    finish_releases(archive)
    with _locked(archive):
        path = _path(archive, name)
        coming = read_instance(path)
        kept = archive.instance(coming.sop_instance_uid)
        release = _Release(
            out=archive.relative(Path(kept.path)),
            out_digest=archive.known_digest(kept.sop_instance_uid) or "",
            to=archive.relative(archive.place_of(coming)),
            to_digest=file_digest(path, coming.transfer_syntax_uid),
        )
        spooled = archive.spool(lambda part: part.write_bytes(_RELEASES.dump_json(release)))
        for file in (path, spooled):
            flush(file)
        intent = spooled.replace(path.with_suffix(_INTENT))
        flush_folders(intent.parent, archive.root)
        return _go_through(archive, intent)


def finish_releases(archive: Archive) -> int:
    """Goes through with releases whose process died. Returns how many that were."""
    if not any((archive.root / "quarantine").glob(f"*{_INTENT}")):
        return 0
    with _locked(archive):
        left = sorted((archive.root / "quarantine").glob(f"*{_INTENT}"))  # somebody else may just have done it
        for intent in left:
            _go_through(archive, intent)
    return len(left)


def _go_through(archive: Archive, intent: Path) -> Instance:
    """All that follows from an intent; doing any of it again changes nothing.

    Until it has its new row nobody finds the instance, and nobody ever finds one's file by the other's row. Whoever
    brings either by network meanwhile finds its place taken.
    """
    release, coming = _RELEASES.validate_json(intent.read_bytes()), intent.with_suffix(".dcm")
    uid = intent.name.removesuffix(_INTENT).rpartition(".")[0]
    old, new = archive.files / release.out, archive.files / release.to
    archive.forget([uid])
    if coming.exists():
        if old.exists():
            place(old, intent.with_name(f"{uid}.{release.out_digest[:12]}.dcm"))
            flush_folders(intent.parent, archive.root)
        new.parent.mkdir(parents=True, exist_ok=True)
        coming.replace(new)
        flush_folders(new.parent, archive.files)
    kept = archive.index_instead(read_instance(new), release.to_digest)
    if old != new:
        old.unlink(missing_ok=True)
    intent.unlink()
    return kept


def discard(archive: Archive, name: str) -> None:
    """Deletes it for good. Raises NotFound."""
    finish_releases(archive)
    with _locked(archive):
        _path(archive, name).unlink()


def _locked(archive: Archive) -> FileLock:
    archive.root.mkdir(parents=True, exist_ok=True)
    return FileLock(archive.root / "quarantine.lock")


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
