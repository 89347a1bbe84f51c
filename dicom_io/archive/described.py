"""What C-FIND looks at: one row a series, with the header of its first instance and the values asked for most.

Made when somebody asks, from the index and the files, and kept for the next time: a series is read once, however often
a PACS asks. Only rows of series that have come, grown or changed since are made anew.
"""

import contextlib
import io
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from sqlalchemy import (
    Column,
    ColumnElement,
    Engine,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    and_,
    collate,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError

from dicom_io.archive.database import INDEX_TABLES
from dicom_io.errors import NotReadable
from dicom_io.files.headers import read_dataset, read_instance
from dicom_io.files.scanning import batches

_DESCRIBED = Table(
    "described",
    INDEX_TABLES,
    Column("series_uid", String(64), primary_key=True),
    Column("study_uid", String(64), index=True, nullable=False),
    Column("instances", Integer, nullable=False),
    Column("path", Text, nullable=False),  # of the first instance
    # As `comparable` gives them; null where a value is none that the database could compare.
    Column("patient_id", Text, index=True),
    Column("patient_name", Text, index=True),
    Column("study_date", Text, index=True),
    Column("accession", Text, index=True),
    Column("modality", Text, index=True),
    Column("header", LargeBinary),  # the file up to its pixels; null where that is long
)
# The column of a key, and the value representation by which it is compared.
_COLUMNS = {
    "PatientID": ("patient_id", "LO"),
    "PatientName": ("patient_name", "PN"),
    "StudyDate": ("study_date", "DA"),
    "AccessionNumber": ("accession", "SH"),
    "Modality": ("modality", "CS"),
}
_LONGEST_HEADER, _LONGEST_VALUE, _AT_ONCE, _STARS = 1 << 16, 256, 100, 3


class _Listed(Protocol):
    """What `Archive.summaries` gives of a series."""

    @property
    def series_uid(self) -> str: ...
    @property
    def study_uid(self) -> str: ...
    @property
    def instances(self) -> int: ...
    @property
    def modality(self) -> str: ...
    @property
    def path(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Described:
    """A series for C-FIND. path : of its first instance. header : that file up to its pixels, None where it is not at
    hand."""

    series_uid: str
    study_uid: str
    instances: int
    modality: str
    path: str
    header: bytes | None = None

    def dataset(self) -> Dataset | None:
        """Returns the header of the first instance; None when its file has become unreadable."""
        if self.header is not None:
            with contextlib.suppress(Exception):
                return pydicom.dcmread(io.BytesIO(self.header), stop_before_pixels=True)
        try:
            return read_dataset(self.path)
        except (NotReadable, OSError):
            return None


def values_of(element: DataElement) -> list[str]:
    """Returns an element's values as text; one empty text for an empty element."""
    several = element.value if element.VM > 1 else [element.value]
    return ["" if value is None else str(value) for value in several]


def comparable(value: str, vr: str) -> str:
    """Returns a value as it is compared: without spaces around it; of a name, case and empty components at the end do
    not matter. Source: PS3.4 C.2.2.2.1."""
    value = value.strip()
    return value.casefold().rstrip("^") if vr == "PN" else value


class SeriesCatalogue:
    """The rows in a database. counted : a table with a row for each instance and its `series_uid`. summaries : lists
    the named series, or all."""

    def __init__(
        self,
        database: Engine,
        rows: Engine,
        counted: Table,
        summaries: Callable[[Collection[str] | None], Sequence[_Listed]],
    ) -> None:
        self._database, self._rows, self._counted, self._summaries = database, rows, counted, summaries

    def forget(self) -> None:
        """Removes all rows, because files have changed under the same UIDs."""
        with self._rows.begin() as connection:
            connection.execute(delete(_DESCRIBED))

    def candidates(self, keys: Dataset) -> list[Described]:
        """Returns all series of every study that may match the keys of a query, by study and series. None that matches
        is missing; the caller looks at each. Opens no file of a series that was described before."""
        unsaved = self._bring_up_to_date()
        columns = _DESCRIBED.c
        query = select(columns.series_uid, columns.study_uid, columns.instances, columns.modality, columns.path)
        if not unsaved:
            query = query.where(*self._conditions(keys))
        with self._database.connect() as connection:
            found = {row.series_uid: Described(*row) for row in connection.execute(query)}
        found |= unsaved
        return sorted(found.values(), key=lambda one: (one.study_uid, one.series_uid))

    def datasets(self, series: Iterable[Described]) -> Iterator[tuple[Described, Dataset]]:
        """Yields series with the header of their first instance, without those whose file has become unreadable."""
        for some in batches(series, _AT_ONCE):
            query = select(_DESCRIBED.c.series_uid, _DESCRIBED.c.header)
            wanted = [one.series_uid for one in some if one.header is None]
            with self._database.connect() as connection:
                rows = connection.execute(query.where(_DESCRIBED.c.series_uid.in_(wanted))).all() if wanted else ()
            held = {row.series_uid: row.header for row in rows}
            for one in some:
                ds = (one if one.header is not None else replace(one, header=held.get(one.series_uid))).dataset()
                if ds is not None:
                    yield one, ds

    def _bring_up_to_date(self) -> dict[str, Described]:
        """Describes the series that have come or grown. Returns those that could not be written: another process has
        just done it, or the disk is full."""
        counted, columns = self._counted.c.series_uid, _DESCRIBED.c
        now = select(counted, func.count().label("instances")).group_by(counted)
        there = select(columns.series_uid, columns.instances)
        gone = there.where(~select(counted).where(counted == columns.series_uid).exists())
        with self._database.connect() as connection:
            changed = set(connection.execute(now.except_(there)).scalars())
            lost = list(connection.execute(gone).scalars())
            if not changed and not lost:
                return {}
            paths = {row.series_uid: row.path for row in connection.execute(select(columns.series_uid, columns.path))}
        summaries = [
            one for one in self._summaries(None if len(changed) > _AT_ONCE else changed) if one.series_uid in changed
        ]
        grown = [one for one in summaries if paths.get(one.series_uid) == one.path]
        fresh = [_described(one) for one in summaries if paths.get(one.series_uid) != one.path]
        again = [uid for one in fresh if (uid := str(one["series_uid"])) in paths]
        try:
            with self._rows.begin() as connection:
                for some in batches((*lost, *again), _AT_ONCE):
                    connection.execute(delete(_DESCRIBED).where(columns.series_uid.in_(some)))
                for one in grown:
                    mine = update(_DESCRIBED).where(columns.series_uid == one.series_uid)
                    connection.execute(mine.values(instances=one.instances))
                if fresh:
                    connection.execute(insert(_DESCRIBED), fresh)
        except DBAPIError:
            return {
                one.series_uid: Described(one.series_uid, one.study_uid, one.instances, one.modality, one.path)
                for one in summaries
            }
        return {}

    def _conditions(self, keys: Dataset) -> Iterator[ColumnElement[bool]]:
        """Yields what a series of a study has to fulfil so that the study may match."""
        columns, mine = _DESCRIBED.c, list[ColumnElement[bool]]()
        for element in keys:
            keyword = "Modality" if element.keyword == "ModalitiesInStudy" else element.keyword
            if element.is_empty:
                continue
            if keyword == "StudyInstanceUID":
                yield columns.study_uid.in_(values_of(element))
            elif keyword in _COLUMNS and _COLUMNS[keyword][1] == element.VR:
                column = columns[_COLUMNS[keyword][0]]
                likes = [self._is_like(column, comparable(one, element.VR), element.VR) for one in values_of(element)]
                condition = or_(column.is_(None), *likes)
                if element.keyword == "ModalitiesInStudy":  # of any series, not of the one that matches the rest
                    yield columns.study_uid.in_(select(columns.study_uid).where(condition))
                else:
                    mine.append(condition)
        if mine:
            yield columns.study_uid.in_(select(columns.study_uid).where(and_(*mine)))

    def _is_like(self, column: ColumnElement[str], wanted: str, vr: str) -> ColumnElement[bool]:
        """A condition that every value fulfils which matches what is wanted; a few others do too."""
        by_code = "C" if self._database.dialect.name == "postgresql" else "BINARY"
        if len(wanted) > _LONGEST_VALUE or "\0" in wanted:
            return column.is_not(None)
        if vr == "DA" and "-" in wanted:
            first, _, last = wanted.partition("-")
            bounds = [column != ""]
            bounds += [collate(column, by_code) >= first] if first else []
            bounds += [collate(func.substr(column, 1, len(last)), by_code) <= last] if last else []
            return and_(*bounds)
        if "*" not in wanted and "?" not in wanted:
            return column == wanted
        # Databases take long over many stars, which a caller can send: the first few are enough.
        pieces = wanted.split("*")
        pattern = wanted if len(pieces) <= _STARS else "*".join((*pieces[:_STARS], ""))
        for sign, instead in (("\\", "\\\\"), ("%", "\\%"), ("_", "\\_"), ("*", "%"), ("?", "_")):
            pattern = pattern.replace(sign, instead)
        return column.like(pattern, escape="\\")


def _described(one: _Listed) -> dict[str, object]:
    """Reads the first instance of a series. An unreadable one is described without values, and is no answer."""
    row: dict[str, object] = {
        "series_uid": one.series_uid, "study_uid": one.study_uid, "instances": one.instances, "path": one.path,
        "modality": one.modality, "header": None, **{column: None for column, _ in _COLUMNS.values()},
    }  # fmt: skip
    with contextlib.suppress(NotReadable, OSError):
        end = read_instance(Path(one.path)).pixel_offset
        with Path(one.path).open("rb") as file:
            start = file.read(end if end >= 0 else _LONGEST_HEADER + 1)
        row["header"] = start if len(start) <= _LONGEST_HEADER else None
        ds = read_dataset(one.path)
        row |= {column: _held(ds, keyword, vr) for keyword, (column, vr) in _COLUMNS.items()}
    return row


def _held(ds: Dataset, keyword: str, vr: str) -> str | None:
    """Returns a value for its column."""
    try:
        several = values_of(ds[keyword]) if keyword in ds else [""]
    except Exception:  # noqa: BLE001 - a value that pydicom cannot convert is none to compare
        return None
    value = comparable(several[0], vr)
    return value if len(several) == 1 and len(value) <= _LONGEST_VALUE and "\0" not in value else None
