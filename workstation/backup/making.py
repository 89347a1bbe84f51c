"""Backups of a site: a folder of snapshots, each of them whole. Made while everything runs; restored into nothing.

A snapshot is `state` (the state folder), `store` where hosts share one, `database.dump` where that is on PostgreSQL,
`SHA256SUMS` of all of it, and `manifest.json`, written last. Files that are as they were in the snapshot before are
links to it. The database is copied first: whatever it names was on the disk before, and nothing of that is removed
while the copy is made. Nothing is linked to the site's own files: what damages them must not damage the backup.
"""

import hashlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from dicom_io.archive import Archive
from dicom_io.archive.archive import Shelved
from dicom_io.archive.durable import flush, flush_folders
from dicom_io.archive.upkeep import alone
from dicom_io.errors import NotReadable
from dicom_io.files.digests import file_digest
from render.progress import CountDone
from workstation import DISTRIBUTION
from workstation.backup.snapshot import (
    COPIERS,
    DUMP,
    MANIFEST,
    PART,
    SUMS,
    BackupError,
    Manifest,
    read_manifest,
    sha256_of,
    snapshots,
    sum_line,
    sums_of,
)
from workstation.config import Config
from workstation.hosts import note_host, other_hosts, this_host
from workstation.site import RESTORING, Site
from workstation.store import dump, schema
from workstation.strict import adapter, toml_in

_DATABASE = "workstation.db"
# What is made again by itself, or is of processes that run; `instances` is copied by what the database names.
_NOT_COPIED = {"instances", "spool", "prepared", "shown", "backups", "index.boot", "last_backup", RESTORING}
_DATABASE_FILES = {f"{_DATABASE}{end}" for end in ("", "-wal", "-shm", "-journal")}


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A file to copy. name : in the snapshot. named : what the index says of it, where the database names it."""

    name: str
    source: Path
    named: Shelved | None = None


def make(
    site: Site, folder: Path, progress: CountDone | None = None, *, this_host_only: bool = False
) -> tuple[Path, Manifest]:
    """Makes a snapshot below `folder` and returns it. this_host_only : of the state folder alone, where several hosts
    share database and store, and another one backs these up.

    Raises BackupError where the folder is part of the site, or another backup is being made there; Busy while files
    are removed or released from quarantine; DumpError; OSError. What was written so far is then gone.
    """
    folder = folder.absolute()
    store = site.archive.root
    if any(folder.resolve().is_relative_to(each.resolve()) for each in (site.root, store)):
        raise BackupError(f"{folder} is in the site's own folder: it would be lost with it. Name one on another disk.")
    if this_host_only and (not site.config.database or store == site.root):
        raise BackupError("Its database or its files are in the state folder itself; make a whole backup.")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(FileLock(folder / ".lock", timeout=0))
        except Timeout:
            raise BackupError(f"Another backup is being made in {folder}.") from None
        names = () if this_host_only else ("upkeep", "quarantine")
        claims = [stack.enter_context(alone(site.archive, name)) for name in names]
        for left in folder.glob(f"*{PART}"):  # of one that was interrupted
            shutil.rmtree(left)
        before = _before(folder, "host" if this_host_only else "site", this_host(site.root))
        name = _name(folder, f"{site.clock():%Y%m%dT%H%M%S}")
        part = folder / f"{name}{PART}"
        part.mkdir(mode=0o700)
        try:
            manifest = _fill(site, part, before, progress, this_host_only=this_host_only)
            if any(claim.lost.is_set() for claim in claims):
                raise BackupError("The database could not be reached for a while, and files may have gone. Try again.")
            part.rename(folder / name)
            flush_folders(folder, folder)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    (site.root / "last_backup").write_text(manifest.made_at, encoding="ascii")
    if site.config.database and store != site.root:
        note_host(store, site.root, site.clock(), backed_up=True)
    return folder / name, manifest


def _before(folder: Path, kind: Literal["site", "host"], host: str) -> Path | None:
    """The snapshot to link to: the newest one, if it is of the same host; what has the same name, size and time on
    another one may be another file. Raises BackupError where backups of the other kind lie there."""
    for newest in snapshots(folder)[-1:]:
        said = read_manifest(newest)
        if said.kind != kind:
            whose = "of a whole site" if said.kind == "site" else f"of the state folder {said.host} alone"
            raise BackupError(f"{folder} holds backups {whose}; name another folder for these.")
        return newest if said.host in ("", host) else None
    return None


def _name(folder: Path, wanted: str) -> str:
    """A name that sorts behind all others of its second."""
    return next(name for n in range(100) if not (folder / (name := f"{wanted}-{n}" if n else wanted)).exists())


def _fill(site: Site, part: Path, before: Path | None, progress: CountDone | None, *, this_host_only: bool) -> Manifest:
    """Writes everything of a snapshot, durably; the manifest last."""
    store = site.archive.root
    state = part / "state"
    state.mkdir(mode=0o700)
    engine = schema.database_of(site.root, site.config.database)
    sqlite = not site.config.database
    shelved: tuple[Shelved, ...] = ()
    documents = set[str]()
    if this_host_only:
        pass  # the database and what it names are in the whole backup
    elif sqlite:
        schema.copy_of(engine, state / _DATABASE)
        copied = schema.database_of(state, "")
        shelved = Archive(state, copied).shelved()
        copied.dispose()  # it is one file again
    else:
        dump.dump(engine, part / DUMP)
        shelved = site.archive.shelved()  # more than the dump has, where something came meanwhile
    engine.dispose()
    if not this_host_only:
        documents = {str(act.detail.get("sha256", "")) for act in site.casebook.acts(kinds=["answer"])} - {""}
    files, top = site.archive.files, "state" if store == site.root else "store"
    wanted = [_Wanted(f"{top}/instances/{one.path.relative_to(state / 'instances' if sqlite else files)}",
                      files / one.path.relative_to(state / "instances" if sqlite else files), one)
              for one in shelved]  # fmt: skip
    apart = _apart(site)
    wanted += _others(site.root, "state", apart)
    if store != site.root and not this_host_only:
        wanted += _others(store, "store", apart)
    earlier = sums_of(before) if before is not None else {}
    sums: dict[str, str] = {}
    faults, keys, copied_bytes, total = list[str](), list[str](), 0, 0

    def take(one: _Wanted) -> tuple[_Wanted, str, bool, str]:
        return one, *_taken(one, part, before, earlier)

    with ThreadPoolExecutor(COPIERS) as pool:
        for count, (one, digest, new, fault) in enumerate(pool.map(take, wanted), start=1):
            if digest:
                sums[one.name] = digest
                size = (part / one.name).stat().st_size
                total += size
                copied_bytes += size if new else 0
                if one.named is None and _is_key(part / one.name, one.name, site.config):
                    keys.append(one.name)
            faults += [fault] if fault else []
            if progress is not None:
                progress(count, len(wanted))
    there = {digest for name, digest in sums.items() if name.startswith(f"{top}/documents/")}
    faults += [
        f"The document {digest} that an answer names is not on the disk." for digest in sorted(documents - there)
    ]
    for own in (f"state/{_DATABASE}", DUMP):
        if (part / own).exists():
            flush(part / own)
            sums[own] = sha256_of(part / own)
            total += (size := (part / own).stat().st_size)
            copied_bytes += size
    text = "".join(sum_line(digest, name) for name, digest in sorted(sums.items())).encode()
    (part / SUMS).write_bytes(text)
    shared = not this_host_only and store != site.root
    others = other_hosts(store, site.root, site.clock()) if shared else ()
    manifest = Manifest(
        form=1,
        made_at=site.clock().isoformat(),
        program=f"{DISTRIBUTION} {version(DISTRIBUTION)}",
        schema=schema.NEWEST,
        database="none" if this_host_only else "sqlite" if sqlite else "postgresql",
        sums=hashlib.sha256(text).hexdigest(),
        files=len(sums),
        size=total,
        copied=copied_bytes,
        keys=tuple(sorted(keys)),
        outside=tuple(_outside(site)),
        left_out=tuple(sorted(str(folder) for folder in apart if folder.exists() and folder != store)),
        faults=tuple(faults),
        kind="host" if this_host_only else "site",
        host=this_host(site.root),
        other_hosts=tuple(one.words for one in others),
    )
    (part / MANIFEST).write_bytes(adapter(Manifest).dump_json(manifest, indent=1))
    for made in (SUMS, MANIFEST):
        flush(part / made)
    for inner in sorted((each for each in part.rglob("*") if each.is_dir()), reverse=True):
        flush_folders(inner, inner)
    flush_folders(part, part)
    return manifest


def _taken(one: _Wanted, part: Path, before: Path | None, earlier: Mapping[str, str]) -> tuple[str, bool, str]:
    """Copies a file, or links it to the snapshot before. Returns its sha256 (empty where there is none), whether it was
    copied, and what is wrong with it, in words."""
    target = part / one.name
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        found = one.source.stat()
        if not stat.S_ISREG(found.st_mode):
            return "", False, ""  # a pipe or socket has nothing to copy, and reading it never ends
        if before is not None and one.name in earlier:
            with suppress(OSError):  # no links here, or too many: then it is copied
                last = (before / one.name).stat()
                if (last.st_size, last.st_mtime_ns) == (found.st_size, found.st_mtime_ns):
                    os.link(before / one.name, target)
                    return earlier[one.name], False, ""
        digest = hashlib.sha256()
        with one.source.open("rb") as stream, target.open("wb") as out:
            while block := stream.read(1 << 20):
                digest.update(block)
                out.write(block)
            out.flush()
            os.fsync(out.fileno())
        os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
    except FileNotFoundError:
        # A session that was just signed, an audit file that was just full: nothing of the database rests on it.
        return "", False, f"{one.source} is in the index and not on the disk." if one.named is not None else ""
    if one.named is not None:
        try:
            same = file_digest(target, one.named.transfer_syntax_uid) == one.named.sha256
        except (NotReadable, OSError):
            same = False
        if not same:
            return digest.hexdigest(), True, f"{one.source} holds other bytes than were received; copied as it is."
    return digest.hexdigest(), True, ""


def _others(folder: Path, top: str, apart: Iterable[Path]) -> Iterator[_Wanted]:
    """Everything else of a folder: settings, peers, keys, sessions, signed reports, documents, quarantine, audit."""
    for place, folders, names in os.walk(folder, followlinks=True):
        here = Path(place)
        at_top = here == folder
        folders[:] = sorted(f for f in folders if here / f not in apart and not (at_top and f in _NOT_COPIED))
        for name in sorted(names):
            ours = at_top and (name in _NOT_COPIED or name in _DATABASE_FILES)
            if not ours and not name.endswith((".lock", PART)):
                yield _Wanted(f"{top}/{(here / name).relative_to(folder).as_posix()}", here / name)


def _apart(site: Site) -> set[Path]:
    """Folders in the site's own that are not copied with the rest: the shared store, and those that others fetch from.
    What lies there has been handed over; brought back, it would be fetched a second time."""
    names = [str(getattr(destination, "folder", "") or "") for destination in site.config.destinations]
    return {site.archive.root, *(site.root / Path(name).expanduser() for name in names if name)} - {site.root}


def _is_key(file: Path, name: str, config: Config) -> bool:
    """Whether a file is a secret of this site."""
    tokens = {str(getattr(destination, "token_file", "") or "") for destination in config.destinations} - {""}
    if name.removeprefix("state/") in tokens:
        return True
    with file.open("rb") as stream:
        return b"PRIVATE KEY-----" in stream.read(4096)


def _outside(site: Site) -> list[str]:
    """Files that settings and peers name and that do not lie in the state folder."""
    found = set[str]()

    def look(value: object) -> None:
        if isinstance(value, Mapping):
            value = list(value.values())
        if isinstance(value, list | tuple):
            for each in value:
                look(each)
        elif isinstance(value, str) and value.startswith(("/", "~")):
            path = Path(value).expanduser()
            if path.is_file() and not path.is_relative_to(site.root):
                found.add(str(path))

    for name in ("config.toml", "peers.toml"):
        if (site.root / name).exists():
            look(toml_in(site.root / name))
    return sorted(found)
