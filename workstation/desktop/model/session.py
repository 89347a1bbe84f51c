"""A reading session: the screen with its undo and redo, and the draft of the report.

Knows no Qt. Every change of the work is on the disk before the next one: a crash loses at most the last. Where the
planes stand and how they look follows within a second: waiting for the disk would keep the wheel from turning.
"""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from pydantic import ConfigDict

from dicom_io.evidence import Person
from render.recipe import Recipe
from render.volume import Volume
from workstation.desktop.model.screen import PANES, Screen, VolumeKey, recipe_of
from workstation.errors import WorkstationError
from workstation.strict import adapter

_KEPT = 500  # screens to go back to
_SOON_S = 0.5
_FORM = 2

ClinicalUse = Literal["vascular", "oncology", "orthopaedics", "neurosurgery"]
CLINICAL_USES: tuple[ClinicalUse, ...] = get_args(ClinicalUse)


@dataclass(frozen=True, slots=True)
class Draft:
    """The draft of the report. required : the physician's answer whether an independent workstation was needed.
    region : of the body, as the reader chose it, empty for the one that the images name."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    clinical_use: ClinicalUse | None = None
    indication: str = ""
    findings: str = ""
    impression: str = ""
    necessity: str = ""
    utility: str = ""
    workstation: str = ""
    required: bool | None = None
    concurrent: bool | None = None
    region: str = ""


class RecoveryError(WorkstationError):
    """A session file cannot be read; the message names it and says what to do."""


@dataclass(slots=True)
class ReadingSession:
    """One volume being read. Only `change` sets another screen.

    file : the session's file, for recovery after a crash; None for none. operator : who captured the pictures last,
    None if no person was signed in. Acts of people are in the journal, not here. sealed : what was signed: it can be
    looked at in every way, and its captures, measures, segments and report stay as they are until it is amended;
    nothing of it is written to the file. refused : told when an edit was refused for that. bridged : whether missing
    slices of the volume were interpolated. stills : files with the pictures that were prepared, by their recipe without
    its name, to be shown before they are drawn.
    """

    volume: Volume
    series_uid: str
    screen: Screen
    which: int | None = None
    draft: Draft = Draft()
    file: Path | None = None
    operator: Person | None = None
    sealed: bool = False
    refused: Callable[[], None] = field(default=lambda: None, repr=False)
    bridged: bool = False
    stills: dict[Recipe, Path] = field(default_factory=dict, repr=False)
    _undo: list[Screen] = field(default_factory=list, repr=False)
    _redo: list[Screen] = field(default_factory=list, repr=False)
    _dragging: Screen | None = field(default=None, repr=False)
    _writing: threading.RLock = field(default_factory=threading.RLock, repr=False, compare=False)
    _soon: threading.Timer | None = field(default=None, repr=False, compare=False)

    @property
    def key(self) -> VolumeKey:
        """Which volume it is."""
        return (self.series_uid, self.which, self.bridged)

    def change(self, edit: Callable[..., Screen], *arguments: Any) -> bool:
        """Sets the screen to `edit(screen, …)`. Returns whether it has changed.

        All changes between `begin` and `end`, such as those of a drag, are one step to undo.
        """
        after = edit(self.screen, *arguments)
        if after == self.screen:
            return False
        if self.sealed and _recorded(after) != _recorded(self.screen):
            self.refused()
            return False
        before, self.screen = self.screen, after
        if self._dragging is None:
            self._remember(before)
            self._keep_after(before)
        return True

    def begin(self) -> None:
        """Begins a drag."""
        if self._dragging is None:
            self._dragging = self.screen

    def end(self) -> None:
        """Ends a drag: undo goes back to its beginning."""
        before, self._dragging = self._dragging, None
        if before is not None and before != self.screen:
            self._remember(before)
            self._keep_after(before)

    @property
    def is_dragging(self) -> bool:
        """Whether edits are being gathered into one step."""
        return self._dragging is not None

    def _remember(self, screen: Screen) -> None:
        self._undo.append(screen)
        del self._undo[:-_KEPT]
        self._redo.clear()

    @property
    def can_undo(self) -> bool:
        return bool(self._undo)

    @property
    def can_redo(self) -> bool:
        return bool(self._redo)

    def undo(self) -> bool:
        return self._step(self._undo, self._redo)

    def redo(self) -> bool:
        return self._step(self._redo, self._undo)

    def _step(self, source: list[Screen], target: list[Screen]) -> bool:
        self.end()
        if not source:
            return False
        if self.sealed and _recorded(source[-1]) != _recorded(self.screen):
            self.refused()
            return False
        before = self.screen
        target.append(before)
        self.screen = source.pop()
        self._keep_after(before)
        return True

    def write(self, **fields: Any) -> None:
        """Changes the draft of the report."""
        after = replace(self.draft, **fields)
        if after != self.draft and self.sealed:
            self.refused()
        elif after != self.draft:
            self.draft = after
            self.keep()

    def amend(self) -> None:
        """Opens what was signed for an amended report, which is on the disk from now on like any work."""
        self.sealed = False
        self.keep()

    def captured_by(self, person: Person | None) -> None:
        """Notes who captured the pictures: the operator stays the operator, whoever signs."""
        if person is not None and person != self.operator:
            self.operator = person
            self.keep()

    def _keep_after(self, before: Screen) -> None:
        """Writes the session at once where work has changed, and soon where only the view has."""
        if _work(before) != _work(self.screen):
            self.keep()
            return
        with self._writing:
            if self._soon is None and self.file is not None and not self.sealed:
                self._soon = threading.Timer(_SOON_S, self.settle)
                self._soon.daemon = True
                self._soon.start()

    def settle(self) -> None:
        """Writes what was to be written soon: the session is closed now, or its time has come."""
        with self._writing:
            if self._soon is not None:
                self.keep()

    def keep(self) -> None:
        """Writes the session to its file, whole or not at all; not what is signed, which the archive has."""
        with self._writing:
            self._end_soon()
            if self.file is not None and not self.sealed:
                self._put_on_disk(self.file)

    def _end_soon(self) -> None:
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None

    def _put_on_disk(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        kept = _Kept(_FORM, self.series_uid, self.which, self.screen, self.draft, self.operator, self.bridged)
        with part.open("wb") as stream:
            stream.write(adapter(_Kept).dump_json(kept))
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(file)

    @property
    def content(self) -> tuple[Any, ...]:
        """What a signature would sign: it has to be what the signer was shown."""
        return *_work(self.screen), self.draft

    def forget(self) -> None:
        """Removes the session's file after it was delivered or given up."""
        with self._writing:
            self._end_soon()
            if self.file is not None:
                self.file.unlink(missing_ok=True)


def warm_files() -> None:
    """Makes what writes and reads files of sessions, which takes as long as a few pictures."""
    adapter(_Kept)


def _recorded(screen: Screen) -> tuple[Any, ...]:
    """Returns what of a screen goes into the record."""
    return screen.captures, screen.measures, screen.segments, screen.course


def _work(screen: Screen) -> tuple[Any, ...]:
    """Returns what of a screen somebody would have to do again: what goes into the record, and how masks are made."""
    return *_recorded(screen), screen.solid.steps


@dataclass(frozen=True, slots=True)
class _Kept:
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    form: int
    series_uid: str
    which: int | None
    screen: Screen
    draft: Draft
    operator: Person | None = None
    bridged: bool = False


def session_file(root: Path, series_uid: str, which: int | None, bridged: bool = False) -> Path:
    """Returns the path of a session's file. Series UIDs hold digits and dots only, checked on arrival."""
    name = f"{series_uid}{'' if which is None else f'-{which}'}{'-bridged' if bridged else ''}"
    return root / "sessions" / f"{name}.json"


@dataclass(frozen=True, slots=True)
class LeftSession:
    """What a session's file holds."""

    series_uid: str
    which: int | None
    screen: Screen
    draft: Draft
    operator: Person | None
    bridged: bool = False


def left_in(file: Path) -> LeftSession | None:
    """Reads a session's file; None where there is none.

    Raises RecoveryError for a file of another version or a damaged one.
    """
    try:
        text = file.read_bytes()
    except FileNotFoundError:
        return None
    try:
        kept = adapter(_Kept).validate_json(text)
        for pane in PANES:  # what cannot be drawn would stop the window amid the opening
            recipe_of(kept.screen, pane, 64, 64)
    except ValueError as error:
        raise RecoveryError(
            f"{file}: not a session this version can read. It was left where it is; move it away to begin anew."
        ) from error
    return LeftSession(kept.series_uid, kept.which, kept.screen, kept.draft, kept.operator, kept.bridged)


def recovered(file: Path, volume: Volume, key: VolumeKey | None = None) -> ReadingSession | None:
    """Makes a session from its file, without its undo; None where there is no file. key : of the volume, None for the
    one in the file. Raises RecoveryError, also for the session of another volume."""
    left = left_in(file)
    if left is None:
        return None
    if key is not None and key != (left.series_uid, left.which, left.bridged):
        raise RecoveryError(f"{file}: the session of another volume. It was left where it is; move it to its place.")
    return ReadingSession(
        volume, left.series_uid, left.screen, left.which, left.draft, file, left.operator, bridged=left.bridged
    )
