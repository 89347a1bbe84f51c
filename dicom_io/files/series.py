"""Series, and the search for them below a path."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from dicom_io.errors import NotReadable
from dicom_io.files.headers import read_dataset, read_instance
from dicom_io.files.instance import Frame, Instance
from dicom_io.files.scanning import Unreadable, read_all

__all__ = [
    "Frame",
    "Instance",
    "Scan",
    "Series",
    "Shelf",
    "Unreadable",
    "files_below",
    "group",
    "open_series",
    "read_dataset",
    "read_instance",
    "scan",
]


@dataclass(frozen=True, slots=True)
class Series:
    """Instances of one Series Instance UID; no caller may rely on their order."""

    uid: str
    instances: tuple[Instance, ...]

    @property
    def modality(self) -> str:
        return self.instances[0].modality

    @property
    def description(self) -> str:
        return self.instances[0].series_description

    @property
    def first(self) -> Instance:
        """The one of the lowest instance number; derived objects copy its patient and study modules."""
        return min(self.instances, key=lambda i: (i.instance_number, i.sop_instance_uid))


@dataclass(frozen=True, slots=True)
class Scan:
    """Everything found below a path.

    repeated : files with the UID of another file; of each such set the first path was taken.
    """

    series: tuple[Series, ...]
    unreadable: tuple[Unreadable, ...]
    repeated: tuple[Unreadable, ...] = ()


class Shelf(Protocol):
    """A place that keeps series, such as the archive."""

    def all_series(self) -> tuple[Series, ...]: ...


def open_series(place: Path | Shelf) -> list[Series]:
    """Returns every series in a file, below a folder, or in an archive, by UID. Skips files that are not DICOM.

    Raises NotReadable with the first reason when nothing at all can be read.
    """
    if not isinstance(place, Path):
        return list(place.all_series())
    found = scan(place)
    if not found.series:
        why = found.unreadable[0].reason if found.unreadable else "the folder holds no files"
        raise NotReadable(f"{place}: no DICOM series found. {why}")
    return list(found.series)


def scan(path: Path) -> Scan:
    """Reads every header below `path`, in parallel; never raises for the content of a file.

    Raises NotReadable when there is no such path.
    """
    if not path.exists():
        raise NotReadable(f"{path}: no such file or folder.")
    instances: dict[str, Instance] = {}
    unreadable: list[Unreadable] = []
    repeated: list[Unreadable] = []
    for found in read_all(list(files_below(path))):
        if isinstance(found, Unreadable):
            unreadable.append(found)
            continue
        taken = instances.setdefault(found.sop_instance_uid, found)
        if taken is not found:
            same = replace(taken, path=found.path) == found
            relation = "a copy of" if same else "another file that says it is the instance of"
            repeated.append(Unreadable(found.path, f"{found.path}: {relation} {taken.path}, which was taken."))
    return Scan(group(instances.values()), tuple(unreadable), tuple(repeated))


def files_below(path: Path) -> Iterator[Path]:
    """Yields the files below `path` in a fixed order, without DICOMDIR, which only lists the others."""
    if path.is_file() and path.name.upper() == "DICOMDIR":
        path = path.parent
    if path.is_file():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            if name.upper() != "DICOMDIR" and not name.startswith("."):
                yield Path(folder) / name


def group(instances: Iterable[Instance]) -> tuple[Series, ...]:
    """Groups instances by Series Instance UID, sorted, so that the order of files does not matter."""
    by_uid: dict[str, list[Instance]] = {}
    for instance in instances:
        by_uid.setdefault(instance.series_uid, []).append(instance)
    return tuple(
        Series(uid, tuple(sorted(members, key=lambda i: (i.instance_number, i.sop_instance_uid))))
        for uid, members in sorted(by_uid.items())
    )
