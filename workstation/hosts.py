"""Which hosts share a site: each notes itself in the shared store, so that a backup can say whose folders it lacks.

A host's state folder holds what is neither in the database nor in the store: settings, keys, sessions in work, what is
signed and not stored yet, its audit trail.
"""

import hashlib
import json
import platform
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict

from workstation.strict import StrictError, json_in, read_strictly

# A host that was not there for so long is not one of the site any more; its note is as old as a day at most.
_ID = "host_id"
GONE, _NEW = timedelta(days=60), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class HostNote:
    """A host of the site. seen_at : when somebody worked with its state folder last, to a day. backed_up_at : when that
    was backed up last, empty for never. Both ISO 8601."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)
    host: str
    state_folder: str
    seen_at: str
    backed_up_at: str = ""

    @property
    def words(self) -> str:
        """The host with its folder, and when that was backed up."""
        kept = f"last backed up {self.backed_up_at}" if self.backed_up_at else "never backed up"
        return f"{self.state_folder} of {self.host}, {kept}"


def this_host(root: Path) -> str:
    """Returns what tells this state folder from all others, made the first time: containers that share one are one
    host, whatever each is called. The name of the machine and the folder where that cannot be written."""
    file = root / _ID
    with suppress(OSError):
        with suppress(FileExistsError), file.open("x", encoding="ascii") as made:
            made.write(uuid.uuid4().hex)
        if known := file.read_text(encoding="ascii").strip():
            return known
    return f"{platform.node()}:{root.absolute()}"


def note_host(store: Path, root: Path, at: datetime, *, backed_up: bool = False) -> None:
    """Notes in the shared store that this host is one of the site, and that its state folder was just backed up. At
    most once a day without that. What cannot be written is left out: nothing rests on it."""
    file = _file(store, root)
    known = _read(file)
    if known is not None and not backed_up and at - datetime.fromisoformat(known.seen_at) < _NEW:
        return
    note = HostNote(platform.node(), str(root), at.isoformat(), known.backed_up_at if known is not None else "")
    if backed_up:
        note = replace(note, backed_up_at=at.isoformat())
    with suppress(OSError):
        file.parent.mkdir(mode=0o700, exist_ok=True)
        part = file.with_suffix(".part")
        part.write_text(json.dumps(asdict(note)), encoding="utf-8")
        part.replace(file)


def other_hosts(store: Path, root: Path, at: datetime) -> tuple[HostNote, ...]:
    """Returns the other hosts of the site, by name; not those that nobody has worked with for long."""
    found = [_read(file) for file in sorted((store / "hosts").glob("*.json")) if file != _file(store, root)]
    there = [one for one in found if one is not None and at - datetime.fromisoformat(one.seen_at) < GONE]
    return tuple(sorted(there, key=lambda one: (one.host, one.state_folder)))


def _file(store: Path, root: Path) -> Path:
    return store / "hosts" / f"{hashlib.sha256(this_host(root).encode()).hexdigest()[:16]}.json"


def _read(file: Path) -> HostNote | None:
    try:
        note = read_strictly(HostNote, json_in(file), "the note")
        return note if datetime.fromisoformat(note.seen_at).tzinfo is not None else None
    except (OSError, StrictError, ValueError):
        return None
