"""What a physician has signed and is being stored: a file of its own, so that the screen is free at once and a crash
loses no signature.

The file says what to do and signs nothing: an entry of the journal, made when the physician gave their secret, names
its digest. Without that entry, or with other content, it is nobody's signature.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import ConfigDict, ValidationError

from dicom_io.archive.durable import flush_folders
from dicom_io.evidence import Person
from dicom_io.uids import derived
from render.protocols import Protocol
from render.volume import Volume
from workstation.case import Case
from workstation.desktop.model.screen import Screen, VolumeKey
from workstation.desktop.model.session import (
    Draft,
    ReadingSession,
    RecoveryError,
    left_in,
    session_file,
)
from workstation.site import Site
from workstation.store.journal import doubt_of_chain
from workstation.strict import adapter

# What this program has signed itself: the journal has it a moment later.
_KEPT_HERE: set[str] = set()
PROTOCOL = "desktop"  # the name of the protocol as which captures are recorded


@dataclass(frozen=True, slots=True)
class SignedStudy:
    """A study as it was signed. session_uid : under which it is recorded. region : as the reader chose it, or the
    desktop was started with. bridged : whether missing slices of its volume were interpolated."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    form: Literal[1]
    series_uid: str
    which: int | None
    session_uid: str
    region: str
    screen: Screen
    draft: Draft
    operator: Person | None
    person: Person
    bridged: bool = False

    @property
    def key(self) -> VolumeKey:
        """Which volume it is of."""
        return (self.series_uid, self.which, self.bridged)

    def file(self, site: Site) -> Path:
        """Returns where it lies until all of it is stored."""
        return signing_file(site, *self.key)

    def session(self, volume: Volume) -> ReadingSession:
        """Returns the session that was signed, without a file: nothing that happens on the screen changes it."""
        return ReadingSession(
            volume, self.series_uid, self.screen, self.which, self.draft, None, self.operator, bridged=self.bridged
        )

    def keep(self, site: Site) -> bytes:
        """Writes its file, on the disk when this returns. Returns what was written."""
        content, file = adapter(SignedStudy).dump_json(self), self.file(site)
        file.parent.mkdir(exist_ok=True)
        part = file.with_suffix(".part")
        with part.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(file)
        flush_folders(file.parent, site.root)
        _KEPT_HERE.add(_words(content))
        return content

    def done(self, site: Site) -> None:
        """Puts its file aside, and removes the reader's session where that still holds what was signed and no more."""
        file = session_file(site.root, *self.key)
        with contextlib.suppress(RecoveryError):
            left = left_in(file)
            if left is not None and (
                left.screen.captures, left.screen.measures, left.screen.segments, left.draft,
            ) == (
                self.screen.captures, self.screen.measures, self.screen.segments, self.draft,
            ):  # fmt: skip
                file.unlink(missing_ok=True)
        kept = _signed_file(site, *self.key)
        kept.parent.mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # finished by another window
            self.file(site).replace(kept)


def session_uid_of(series_uid: str, which: int | None, bridged: bool = False) -> str:
    """Returns the UID of the session as which the desktop's work on a volume is recorded."""
    protocol = Protocol(PROTOCOL, "", "", "", "", "", "", ())
    return Case(series_uid, protocol, which, bridge_gaps=bridged).session_uid


def signing_file(site: Site, series_uid: str, which: int | None, bridged: bool = False) -> Path:
    """Returns where what was signed of a volume lies until all of it is stored."""
    return site.root / "signing" / session_file(site.root, series_uid, which, bridged).name


def being_stored(site: Site, series_uid: str, which: int | None, bridged: bool = False) -> SignedStudy | None:
    """Returns what was signed of a volume and is not stored yet; None where nothing waits, and for a file that nobody
    has signed or that is of another volume. It is only to be shown: whether it counts, `unfinished` says."""
    return _genuine(site, signing_file(site, series_uid, which, bridged))


def series_being_stored(site: Site) -> Iterator[str]:
    """Yields the series of which something was signed and is not stored yet."""
    for file in (site.root / "signing").glob("*.json"):
        if (signing := _genuine(site, file)) is not None:
            yield signing.series_uid


def _genuine(site: Site, file: Path) -> SignedStudy | None:
    """Returns what a file says was signed, where the journal has its digest and the file the name of its volume."""
    try:
        content = file.read_bytes()
        signing = adapter(SignedStudy).validate_json(content)
    except (FileNotFoundError, ValidationError):
        return None
    if file.name != session_file(site.root, *signing.key).name:
        return None
    known = _words(content) in _KEPT_HERE or _noted(site, signing, content)
    return signing if known and signing.session_uid == session_uid_of(*signing.key) else None


def _signed_file(site: Site, series_uid: str, which: int | None, bridged: bool = False) -> Path:
    return site.root / "signed" / session_file(site.root, series_uid, which, bridged).name


def last_signed(site: Site, series_uid: str, which: int | None, bridged: bool = False) -> SignedStudy | None:
    """Returns what was signed of a volume last, whole as the reader left it, where the journal has its digest: it tells
    what no SR does, such as segments, arrows and words on pictures. None where there is none of this version."""
    return _genuine(site, _signed_file(site, series_uid, which, bridged))


def note_signature(site: Site, signing: SignedStudy, content: bytes) -> None:
    """Enters a signature in the journal. Only to be called when the person has just given their secret."""
    site.journal.record(_chain(signing), signing.person, "approval", site.clock(), _words(content))


def unfinished(site: Site) -> Iterator[SignedStudy]:
    """Yields what was signed here and is not stored yet. A file that is nobody's signature is removed: the reader's
    session still holds the work."""
    for file in sorted((site.root / "signing").glob("*.json")):
        content = file.read_bytes()
        try:
            signing = adapter(SignedStudy).validate_json(content)
        except ValidationError:
            continue  # of another version: that one finishes it
        if _signed(site, signing, content):
            yield signing
        else:
            file.unlink()


def _signed(site: Site, signing: SignedStudy, content: bytes) -> bool:
    """Whether the journal, unchanged, has the person's signature on this content, and they still may sign."""
    chain, person = _chain(signing), signing.person
    if person not in site.people.all() or person.role != "physician":
        return False
    if doubt_of_chain(site.journal, chain) or site.ledger.doubt({chain}):
        return False
    return _noted(site, signing, content)


def _noted(site: Site, signing: SignedStudy, content: bytes) -> bool:
    """Whether the journal has the person's signature on this content."""
    wanted = (signing.person.id, signing.person.role, "approval", _words(content))
    acts = site.journal.acts(_chain(signing))
    return any((act.person_id, act.role, act.kind, act.detail) == wanted for act in acts)


def _chain(signing: SignedStudy) -> str:
    """A session of its own in the journal: that of the study goes into the record as it is."""
    return derived("signing", signing.session_uid)


def _words(content: bytes) -> str:
    return f"signing sha256 {hashlib.sha256(content).hexdigest()}"
