"""A snapshot: what it says of itself, and reading it back."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import ConfigDict

from render.progress import CountDone
from workstation.errors import WorkstationError
from workstation.strict import StrictError, json_in, read_strictly

MANIFEST, SUMS, DUMP = "manifest.json", "SHA256SUMS", "database.dump"
PART = ".part"
COPIERS = 4


class BackupError(WorkstationError):
    """A backup cannot be made, is not whole, or cannot be restored here; the message says why."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot says of itself.

    schema : version of the tables. sums : sha256 of the list of digests. files, size : how many, and their bytes.
    copied : bytes that were not there in the snapshot before. keys : private keys and tokens in it. outside : files
    that the settings name and that lie elsewhere, which are not in it. left_out : folders of the state folder that are
    not. faults : what the site itself had damaged or lost, in words. kind : of the whole site, or of one host's state
    folder alone. host : whose state folder is in it, as `HOST:FOLDER`; empty in older ones. other_hosts : whose are
    not, in words.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)
    form: Literal[1]
    made_at: str
    program: str
    schema: str
    database: Literal["sqlite", "postgresql", "none"]
    sums: str
    files: int
    size: int
    copied: int
    keys: tuple[str, ...]
    outside: tuple[str, ...]
    left_out: tuple[str, ...]
    faults: tuple[str, ...]
    kind: Literal["site", "host"] = "site"
    host: str = ""
    other_hosts: tuple[str, ...] = ()


def snapshots(folder: Path) -> list[Path]:
    """Returns the whole snapshots below a folder, oldest first."""
    return sorted(each.parent for each in folder.glob(f"*/{MANIFEST}") if not each.parent.name.endswith(PART))


def snapshot_in(folder: Path) -> Path:
    """Returns the folder where it is a snapshot, else the newest one below it. Raises BackupError."""
    if (folder / MANIFEST).exists() and not folder.name.endswith(PART):
        return folder
    if found := snapshots(folder):
        return found[-1]
    raise BackupError(f"{folder} holds no whole backup: no {MANIFEST} is in it, or in a folder of it.")


def read_manifest(snapshot: Path) -> Manifest:
    """Raises BackupError."""
    try:
        return read_strictly(Manifest, json_in(snapshot / MANIFEST), "the manifest")
    except (OSError, StrictError) as error:
        raise BackupError(f"{snapshot / MANIFEST} cannot be read: {error}") from error


def verify(snapshot: Path, progress: CountDone | None = None) -> Iterator[str]:
    """Reads all of a snapshot and yields what is not as it was written. Raises BackupError."""
    manifest = read_manifest(snapshot)
    try:
        if sha256_of(snapshot / SUMS) != manifest.sums:
            raise BackupError(f"{snapshot / SUMS} was changed; nothing says any more what the files ought to be.")
    except FileNotFoundError as error:
        raise BackupError(f"{snapshot / SUMS} is missing.") from error
    sums = sums_of(snapshot)

    def look(name: str) -> str:
        try:
            held = sha256_of(snapshot / name)
        except OSError as error:
            return f"{snapshot / name} cannot be read: {error.strerror}."
        return "" if held == sums[name] else f"{snapshot / name} holds other bytes than were written."

    with ThreadPoolExecutor(COPIERS) as pool:
        for count, fault in enumerate(pool.map(look, sums), start=1):
            if fault:
                yield fault
            if progress is not None:
                progress(count, len(sums))


def sums_of(snapshot: Path) -> dict[str, str]:
    found = {}
    for line in (snapshot / SUMS).read_text(encoding="utf-8").split("\n")[:-1]:
        digest, name = line.lstrip("\\").split("  ", 1)
        found[name.replace("\\n", "\n").replace("\\\\", "\\") if line[0] == "\\" else name] = digest
    return found


def sum_line(digest: str, name: str) -> str:
    """A line as `sha256sum --check` reads it."""
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n")
    return f"{'' if escaped == name else chr(92)}{digest}  {escaped}\n"


def sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
