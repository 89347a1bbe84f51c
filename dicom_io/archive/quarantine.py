"""Instances that came with the UID of another instance: the archive puts them aside for a person to look at.


Each is a file below the archive's `quarantine` folder, named after its UID and the start of its digest. While one is
being released, a file `.release` beside it names the file that it replaces. If a crash interrupts the release, the next
process that opens the site completes it.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter
from pydicom.datadict import keyword_for_tag

from dicom_io.archive.archive import Archive
from dicom_io.archive.durable import flush, flush_folders, place
from dicom_io.errors import Busy, NotFound, NotReadable
from dicom_io.files.digests import file_digest
from dicom_io.files.instance import Instance
from dicom_io.files.same_content import differing
from dicom_io.files.series import read_instance
from render.progress import CountDone

_NAME = re.compile(r"[0-9.]+\.[0-9a-f]{12}")
_INTENT = ".release"
_WAITS, _WAIT_S = 600, 0.1
# Compared with the kept instance: the same content, other content, or no instance of this UID is kept any more.
Comparison = Literal["same", "other", "alone"]


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A file in quarantine, without patient data. name : the one that the functions here take."""

    name: str
    sop_instance_uid: str
    series_uid: str
    accession: str
    modality: str
    transfer_syntax_uid: str
    came_at: datetime
    size: int


@dataclass(frozen=True, slots=True)
class Differences:
    """How a file in quarantine differs from the instance that is kept.

    keywords : attributes whose values differ or that only one of the two has. pixels : whether the decoded pixels
    differ. kept_transfer_syntax_uid : of the kept instance.
    """

    quarantined: Quarantined
    keywords: tuple[str, ...]
    pixels: bool
    kept_transfer_syntax_uid: str

    @property
    def same(self) -> bool:
        """Whether both hold the same content, encoded in two ways."""
        return not (self.keywords or self.pixels)


@dataclass(frozen=True, slots=True)
class _Release:
    """A release that is under way: the file at `out` goes into quarantine (none if empty), the released one comes to
    `to`. Paths are relative to the archive's files."""

    out: str
    out_digest: str
    to: str
    to_digest: str


_RELEASES = TypeAdapter(_Release)


def quarantined(archive: Archive) -> tuple[Quarantined, ...]:
    """Lists everything in quarantine, oldest first."""
    files = sorted((archive.root / "quarantine").glob("*.dcm"), key=lambda path: path.stat().st_mtime)
    return tuple(_describe(file) for file in files)


def header_of(archive: Archive, name: str) -> Instance:
    """Returns the header of a file in quarantine. Raises NotFound, NotReadable."""
    return read_instance(_path(archive, name))


def differences(archive: Archive, name: str) -> Differences:
    """Compares a file in quarantine with the kept instance, however each is encoded.

    Raises NotFound, also when no instance of this UID is kept, and NotReadable.
    """
    path = _path(archive, name)
    found = _describe(path)
    kept = archive.instance(found.sop_instance_uid)
    tags, pixels = differing(Path(kept.path), path)
    keywords = tuple(keyword_for_tag(t) or f"({t >> 16:04X},{t & 0xFFFF:04X})" for t in tags)
    return Differences(found, keywords, pixels, kept.transfer_syntax_uid)


def compared(archive: Archive, progress: CountDone | None = None) -> Iterator[tuple[Quarantined, Comparison]]:
    """Yields everything in quarantine, oldest first, with how it compares with the kept instance.

    Slow: both files are read and decoded. progress : called with how many are done, and how many there are.
    """
    found = quarantined(archive)
    for count, quarantined_file in enumerate(found, start=1):
        try:
            yield quarantined_file, "same" if differences(archive, quarantined_file.name).same else "other"
        except NotFound:
            yield quarantined_file, "alone"
        except NotReadable:
            yield quarantined_file, "other"
        if progress is not None:
            progress(count, len(found))


def release(archive: Archive, name: str) -> Instance:
    """Replaces the kept instance by a file in quarantine; the replaced one goes into quarantine. Returns the new one.

    Where none is kept any more, the file simply becomes the kept one. After a crash it is still in quarantine, or its
    release is completed when the site is next opened. Raises NotFound.
    """
    finish_releases(archive)
    with _locked(archive):
        path = _path(archive, name)
        coming = read_instance(path)
        out, out_digest = _replaced_file(archive, coming)
        release = _Release(
            out=archive.relative(out) if out is not None else "",
            out_digest=out_digest,
            to=archive.relative(archive.place_of(coming)),
            to_digest=file_digest(path, coming.transfer_syntax_uid),
        )
        spooled = archive.spool(lambda part: part.write_bytes(_RELEASES.dump_json(release)))
        for file in (path, spooled):
            flush(file)
        intent = spooled.replace(path.with_suffix(_INTENT))
        flush_folders(intent.parent, archive.root)
        return _carry_out(archive, intent)


def _replaced_file(archive: Archive, coming: Instance) -> tuple[Path | None, str]:
    """Returns the file that has to give way, and its digest: the kept one, or one that the index lacks."""
    held = archive.known_digest(coming.sop_instance_uid)
    if held is not None:
        return Path(archive.instance(coming.sop_instance_uid).path), held
    try:
        stray = read_instance(archive.place_of(coming))
    except NotReadable:
        return None, ""  # nothing, or half a file that a power cut left
    return Path(stray.path), file_digest(Path(stray.path), stray.transfer_syntax_uid)


def finish_releases(archive: Archive) -> int:
    """Completes releases whose process died. Returns how many there were."""
    if not any((archive.root / "quarantine").glob(f"*{_INTENT}")):
        return 0
    with _locked(archive):
        left = sorted((archive.root / "quarantine").glob(f"*{_INTENT}"))  # another process may just have done it
        for intent in left:
            _carry_out(archive, intent)
    return len(left)


def _carry_out(archive: Archive, intent: Path) -> Instance:
    """Carries out a release from its `.release` file; repeating any step changes nothing.

    The index lacks the instance until its new row is there, so no row ever leads to the other file. A peer that sends
    either file meanwhile finds the place taken.
    """
    release, coming = _RELEASES.validate_json(intent.read_bytes()), intent.with_suffix(".dcm")
    uid = intent.name.removesuffix(_INTENT).rpartition(".")[0]
    old, new = archive.files / release.out, archive.files / release.to
    archive.forget([uid])
    if coming.exists():
        if release.out and old.exists():
            place(old, intent.with_name(f"{uid}.{release.out_digest[:12]}.dcm"))
            flush_folders(intent.parent, archive.root)
        new.parent.mkdir(parents=True, exist_ok=True)
        coming.replace(new)
        flush_folders(new.parent, archive.files)
    kept = archive.index_instead(read_instance(new), release.to_digest)
    if release.out and old != new:
        old.unlink(missing_ok=True)
    intent.unlink()
    return kept


def discard(archive: Archive, name: str) -> None:
    """Deletes a file in quarantine for good. Raises NotFound."""
    finish_releases(archive)
    with _locked(archive):
        _path(archive, name).unlink()


@contextmanager
def _locked(archive: Archive) -> Iterator[None]:
    """Waits until nobody else, on whatever host, moves files of the quarantine."""
    for _ in range(_WAITS):
        with archive.leases.held("quarantine") as lease:
            if lease is not None:
                yield
                return
        time.sleep(_WAIT_S)
    raise Busy(
        f"The quarantine is in use by {archive.leases.holder('quarantine') or 'somebody else'}; try again later."
    )


def _describe(path: Path) -> Quarantined:
    instance, stat = read_instance(path), path.stat()
    return Quarantined(
        name=path.stem,
        sop_instance_uid=instance.sop_instance_uid,
        series_uid=instance.series_uid,
        accession=instance.accession,
        modality=instance.modality,
        transfer_syntax_uid=instance.transfer_syntax_uid,
        came_at=datetime.fromtimestamp(round(stat.st_mtime), UTC),
        size=stat.st_size,
    )


def _path(archive: Archive, name: str) -> Path:
    path = archive.root / "quarantine" / f"{name}.dcm"
    if not _NAME.fullmatch(name) or not path.is_file():
        raise NotFound(f"Nothing named {name[:100]!r} is in quarantine; `workstation quarantine list` shows what is.")
    return path
