"""Proposals as folders below `prepared` in the state folder: the recipes, their pictures, and what they are of.

A proposal is whole or not there: it is written under another name, and has its own only when the last file is on the
disk. The row of the database says which folder counts; what no row names is removed.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from PIL import Image
from pydantic import ConfigDict

from dicom_io.archive.durable import flush_folders
from render.errors import RenderError
from render.geometry import Matrix
from render.picture import Picture, to_rgb
from render.recipe import Recipe, Reformat, canonical_json, read_recipe
from workstation.preparing import Tool
from workstation.site import Site
from workstation.store.preparation_rows import Preparation, PreparationProgress
from workstation.strict import StrictError, adapter, json_in, read_strictly

_CONTENT = "proposal.json"
_PART = ".part"
_PROGRESS = "progress.json"
# The steps of a preparation, as whoever makes it tells them; `begun` until it tells anything.
STEPS = ("begun", "prior", "volume", *get_args(Tool), "registration", "pictures")


@dataclass(frozen=True, slots=True)
class PreparedPicture:
    """A picture of a proposal. recipe : as it was drawn, JSON, still without what the volume fills in. digest : of its
    pixels. file : its name without ending: PNG of one frame, NPZ of all pixels."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)
    name: str
    recipe: dict[str, Any]
    digest: str
    file: str


@dataclass(frozen=True, slots=True)
class PreparedPrior:
    """A prior that was registered. which : its volume, None where it has one. study_date : YYYYMMDD. sources : digest
    of its instances. matrix : rows of the (4, 4) map of the volume's LPS mm to the prior's. quality, overlap,
    sharpness, warning : as `render.registration.Registration` has them."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)
    series_uid: str
    which: int | None
    study_date: str
    sources: str
    matrix: Matrix
    quality: float
    overlap: float
    sharpness: float
    warning: str = ""


@dataclass(frozen=True, slots=True)
class PreparedProposal:
    """What was prepared of a volume.

    which : its number in the series, None where there is only one. sources : digest of the instances it was built of,
    in their order. notes : pictures that could not be made, and why; what tools found.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)
    form: Literal[1]
    series_uid: str
    which: int | None
    rule: str
    protocol: str
    revision: int
    sources: str
    volume_digest: str
    engine_version: str
    notes: tuple[str, ...]
    pictures: tuple[PreparedPicture, ...]
    prior: PreparedPrior | None = None


def digest_of_sources(source_uids: Sequence[str]) -> str:
    """Returns the sha256 (hex) of the instances of a volume."""
    return hashlib.sha256("\n".join(source_uids).encode()).hexdigest()


def folder_of(root: Path) -> Path:
    """Returns where the proposals of a state folder lie."""
    return root / "prepared"


def part_of(claimed: Preparation) -> str:
    """Returns the name of the folder in which a claim is worked on."""
    return f"{claimed.place}-{claimed.owner}{_PART}"


def write_picture(picture: Picture, recipe: Recipe, folder: Path, number: int) -> PreparedPicture:
    """Writes a picture's files. recipe : as it was asked for."""
    name = f"{number:02}"
    with (folder / f"{name}.npz").open("wb") as stream:
        np.savez_compressed(stream, pixels=picture.pixels)
        _flushed(stream)
    with (folder / f"{name}.png").open("wb") as stream:
        # Of a stack the middle, as the tray shows it; of a rotation the first.
        frame = len(picture.pixels) // 2 if isinstance(recipe, Reformat) else 0
        Image.fromarray(to_rgb(picture, frame)).save(stream, format="PNG")
        _flushed(stream)
    return PreparedPicture(recipe.name, json.loads(canonical_json(recipe)), picture.digest, name)


def write_progress(folder: Path, doing: str, total: int = 0) -> None:
    """Tells what is being made in a folder, for `progress_of`. total : of pictures; how many there are is seen."""
    with suppress(OSError):  # it is only told
        (folder / _PROGRESS).write_text(json.dumps({"doing": doing, "total": total}))


def progress_of(part: Path) -> PreparationProgress | None:
    """Returns how far the newest attempt at a claim is, wherever it is made; None where nothing is told yet.

    A file beside what is made, rather than messages: it needs no way back from a worker, is as old as the attempt, and
    goes with it.
    """
    try:
        files = [(file.stat().st_mtime_ns, file) for file in part.parent.glob(f"{part.name}-*/{_PROGRESS}")]
        _, newest = max(files)
        said = json.loads(newest.read_bytes())
        total = int(said["total"])
        done = sum(1 for _ in newest.parent.glob("*.png")) if total else 0
        return PreparationProgress(str(said["doing"])[:64], min(done, total), total)
    except (OSError, ValueError, LookupError, TypeError):  # it is just being written, or gone
        return None


def write_content(proposal: PreparedProposal, folder: Path) -> int:
    """Writes what a proposal says, after its pictures. Returns how many bytes its folder takes."""
    (folder / _PROGRESS).unlink(missing_ok=True)
    with (folder / _CONTENT).open("wb") as stream:
        stream.write(adapter(PreparedProposal).dump_json(proposal))
        _flushed(stream)
    return sum(file.stat().st_size for file in folder.iterdir())


def _flushed(stream: Any) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def give_name(root: Path, claimed: Preparation) -> str:
    """Gives a written proposal its own name, durably. Returns that."""
    part, top = part_of(claimed), folder_of(root)
    name = part.removesuffix(_PART)
    (top / part).replace(top / name)
    flush_folders(top, root)
    return name


def proposal_in(root: Path, preparation: Preparation) -> PreparedProposal | None:
    """Reads a proposal; None where there is none, or none of this version that can be read."""
    if preparation.state != "ready":
        return None
    try:
        said = json_in(folder_of(root) / preparation.folder / _CONTENT)
        found = read_strictly(PreparedProposal, said, "the proposal")
        for picture in found.pictures:
            read_recipe(picture.recipe)
    except (OSError, StrictError, RenderError):
        return None
    return found


def still_of(root: Path, preparation: Preparation, picture: PreparedPicture) -> Path:
    """Returns the PNG of a picture, of a rotation or stack that of one frame."""
    return folder_of(root) / preparation.folder / f"{picture.file}.png"


def remove_folders(root: Path, names: Iterable[str]) -> None:
    """Removes folders of proposals; one that is gone, or has no name, is none."""
    for name in names:
        if name and "/" not in name:
            attempts = folder_of(root).glob(f"{name}-*") if name.endswith(_PART) else ()
            for folder in (folder_of(root) / name, *attempts):
                shutil.rmtree(folder, ignore_errors=True)


def drop(site: Site, outdated: Iterable[Preparation]) -> None:
    """Removes what was made of preparations that are of no use any more, and what is being made of them."""
    for each in outdated:
        remove_folders(site.archive.root, (each.folder, part_of(each) if each.owner else ""))


def take(site: Site, series_uid: str, which: int | None) -> None:
    """Notes that a person has signed a volume: proposals of it have done their work, and none need be made any more."""

    def is_of_it(row: Preparation) -> bool:
        if row.state in ("waiting", "running"):
            return which is None  # of several volumes nobody knows yet which one it is of
        proposal = proposal_in(site.archive.root, row)
        return proposal is not None and proposal.which == which

    rows = [row.place for row in site.preparations.of_series(series_uid) if is_of_it(row)]
    if rows:
        drop(site, site.preparations.end(rows, "taken", "", site.clock().timestamp()))


def sweep(site: Site) -> None:
    """Removes folders that no row names, and those of proposals of series that are gone or that need the space."""
    preparations, now_s = site.preparations, site.clock().timestamp()
    rows = preparations.list("waiting", "ready")
    here = site.archive.counts({row.series_uid for row in rows}) if rows else {}
    gone = [row.place for row in rows if row.series_uid not in here]
    if gone:
        drop(site, preparations.end(gone, "cancelled", "The series is no longer in the archive.", now_s))
    make_room(site)
    known = set(_known(preparations.list("running", "ready")))
    with suppress(FileNotFoundError):
        for folder in folder_of(site.archive.root).iterdir():
            # A claim is in the database before its folder is there, and these are read before those.
            name = _claim_of(folder.name)
            if name not in known and not _claimed(site, name):
                shutil.rmtree(folder, ignore_errors=True)


def attempt_at(part: Path) -> Path:
    """Returns a folder for one attempt at a claim: on a farm two workers may be at it, when one is believed dead."""
    return part.with_name(f"{part.name}-{uuid.uuid4().hex[:8]}")


def _claim_of(folder: str) -> str:
    """Returns the name of the claim's folder for that of an attempt at it; any other name as it is."""
    before, part, _ = folder.partition(f"{_PART}-")
    return f"{before}{_PART}" if part else folder


def _known(rows: Iterable[Preparation]) -> Iterator[str]:
    for row in rows:
        yield from (row.folder, part_of(row), part_of(row).removesuffix(_PART))


def _claimed(site: Site, name: str) -> bool:
    """Whether a folder has been claimed or finished since the rows were read."""
    return name in set(_known(site.preparations.list("running", "ready")))


def make_room(site: Site) -> None:
    """Removes the oldest proposals that nobody has taken where all of them take more space than the settings allow."""
    limit = site.config.preparation.disk_mb
    going = [row.place for row in site.preparations.over(limit << 20)]
    if going:
        why = f"It had to go: proposals together may take {limit} MB (disk_mb). It can be made again."
        drop(site, site.preparations.end(going, "cancelled", why, site.clock().timestamp()))
