"""What a work list and C-FIND look at: one row a series, with the header of its first instance and the values asked for
most.

Made when somebody asks, from the index and the files, and kept for the next time: a series is read once, however often
a PACS asks and a desktop starts. Only rows of series that have come, grown or changed since are made anew.
"""

import contextlib
import io
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pydicom
from pydantic import TypeAdapter
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

_SERIES = Table(
    "catalogue",
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
    Column("summary", Text, nullable=False),  # the Summary as JSON
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


@dataclass(frozen=True, slots=True)
class Summary:
    """One line of a series list: how many instances the series has, and the header values and path of the first.

    The first instance is the one that `Series.first` gives. patient_name, manufacturer : empty where its file has
    become unreadable.
    """

    series_uid: str
    study_uid: str
    patient_id: str
    accession: str
    modality: str
    description: str
    study_date: str
    instances: int
    is_image: bool
    path: str
    patient_name: str = ""
    manufacturer: str = ""


_SUMMARIES = TypeAdapter(Summary)


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
    """The rows in a database. counted : a table with a row for each instance and its `series_uid`. indexed : lists the
    named series, or all, by what the index says."""

    def __init__(
        self,
        database: Engine,
        rows: Engine,
        counted: Table,
        indexed: Callable[[Collection[str] | None], Sequence[Summary]],
    ) -> None:
        self._database, self._rows, self._counted, self._indexed = database, rows, counted, indexed

    def forget(self, series_uids: Iterable[str] | None = None) -> None:
        """Removes the rows of series, or all, because files have changed under the same UIDs."""
        with self._rows.begin() as connection:
            if series_uids is None:
                connection.execute(delete(_SERIES))
            for some in batches(series_uids or (), _AT_ONCE):
                connection.execute(delete(_SERIES).where(_SERIES.c.series_uid.in_(some)))

    def summaries(self, series_uids: Collection[str] | None = None) -> tuple[Summary, ...]:
        """Lists every series, or the named ones, by UID. Opens no file of a series that was described before, but for
        one that could not be read then."""
        unsaved = self._bring_up_to_date(series_uids)
        few = series_uids if series_uids is not None and len(series_uids) <= _AT_ONCE else None
        found = self._read(*([] if few is None else [_SERIES.c.series_uid.in_(few)])) | unsaved
        wanted = found if series_uids is None else set(series_uids)
        listed = (found[uid] for uid in sorted(found) if uid in wanted)
        return tuple(one if one.patient_name or one.manufacturer else _named(one, _header(one, None)) for one in listed)

    def candidates(self, keys: Dataset) -> list[Summary]:
        """Returns all series of every study that may match the keys of a query, by study and series. None that matches
        is missing; the caller looks at each. Opens no file of a series that was described before."""
        unsaved = self._bring_up_to_date()
        found = self._read(*([] if unsaved else self._conditions(keys))) | unsaved
        return sorted(found.values(), key=lambda one: (one.study_uid, one.series_uid))

    def datasets(self, series: Iterable[Summary]) -> Iterator[tuple[Summary, Dataset]]:
        """Yields series with the header of their first instance, without those whose file has become unreadable."""
        for some in batches(series, _AT_ONCE):
            query = select(_SERIES.c.series_uid, _SERIES.c.header)
            with self._database.connect() as connection:
                rows = connection.execute(query.where(_SERIES.c.series_uid.in_([one.series_uid for one in some])))
                held = {row.series_uid: row.header for row in rows}
            for one in some:
                ds = _header(one, held.get(one.series_uid))
                if ds is not None:
                    yield one, ds

    def _read(self, *conditions: ColumnElement[bool]) -> dict[str, Summary]:
        """Returns the series whose rows fulfil the conditions, by UID."""
        query = select(_SERIES.c.series_uid, _SERIES.c.instances, _SERIES.c.summary).where(*conditions)
        with self._database.connect() as connection:
            rows = connection.execute(query).all()
        return {uid: replace(_SUMMARIES.validate_json(summary), instances=count) for uid, count, summary in rows}

    def _bring_up_to_date(self, series_uids: Collection[str] | None = None) -> dict[str, Summary]:
        """Describes the series, or the named ones, that have come or grown. Returns those that could not be written:
        another process has just done it, or the disk is full."""
        counted, columns = self._counted.c.series_uid, _SERIES.c
        now = select(counted, func.count().label("instances")).group_by(counted)
        there = select(columns.series_uid, columns.instances)
        if series_uids is not None and len(series_uids) <= _AT_ONCE:
            now = now.where(counted.in_(series_uids))
            there = there.where(columns.series_uid.in_(series_uids))
        gone = there.where(~select(counted).where(counted == columns.series_uid).exists())
        with self._database.connect() as connection:
            changed = set(connection.execute(now.except_(there)).scalars())
            lost = list(connection.execute(gone).scalars())
            if not changed and not lost:
                return {}
            places = select(columns.series_uid, columns.path)
            if len(changed) <= _AT_ONCE:
                places = places.where(columns.series_uid.in_(changed))
            paths = {row.series_uid: row.path for row in connection.execute(places)}
        indexed = [
            one for one in self._indexed(None if len(changed) > _AT_ONCE else changed) if one.series_uid in changed
        ]
        grown = [one for one in indexed if paths.get(one.series_uid) == one.path]
        fresh = [_described(one) for one in indexed if paths.get(one.series_uid) != one.path]
        again = [uid for one in fresh if (uid := str(one["series_uid"])) in paths]
        try:
            with self._rows.begin() as connection:
                for some in batches((*lost, *again), _AT_ONCE):
                    connection.execute(delete(_SERIES).where(columns.series_uid.in_(some)))
                for one in grown:
                    mine = update(_SERIES).where(columns.series_uid == one.series_uid)
                    connection.execute(mine.values(instances=one.instances))
                if fresh:
                    connection.execute(insert(_SERIES), fresh)
        except DBAPIError:
            made = {str(row["series_uid"]): _SUMMARIES.validate_json(str(row["summary"])) for row in fresh}
            known = self._read(columns.series_uid.in_([one.series_uid for one in grown])) if grown else {}
            return made | {
                one.series_uid: replace(known.get(one.series_uid, one), instances=one.instances) for one in grown
            }
        return {}

    def _conditions(self, keys: Dataset) -> Iterator[ColumnElement[bool]]:
        """Yields what a series of a study has to fulfil so that the study may match."""
        columns, mine = _SERIES.c, list[ColumnElement[bool]]()
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


def _header(one: Summary, held: bytes | None) -> Dataset | None:
    """Returns the header of a series' first instance; None when its file has become unreadable. held : that file up to
    its pixels, where it is at hand."""
    if held is not None:
        with contextlib.suppress(Exception):
            return pydicom.dcmread(io.BytesIO(held), stop_before_pixels=True)
    try:
        return read_dataset(one.path)
    except (NotReadable, OSError):
        return None


def _described(one: Summary) -> dict[str, object]:
    """Reads the first instance of a series. An unreadable one is described without values, and is no answer."""
    row: dict[str, object] = {
        "series_uid": one.series_uid, "study_uid": one.study_uid, "instances": one.instances, "path": one.path,
        "modality": one.modality, "header": None, **{column: None for column, _ in _COLUMNS.values()},
    }  # fmt: skip
    with contextlib.suppress(NotReadable, OSError):
        end = read_instance(Path(one.path)).pixel_offset
        with Path(one.path).open("rb") as file:
            start = file.read(end if end >= 0 else _LONGEST_HEADER + 1)
        held = start if len(start) <= _LONGEST_HEADER else None
        ds = _header(one, held)
        if ds is not None:
            row |= {"header": held, **{column: _held(ds, keyword, vr) for keyword, (column, vr) in _COLUMNS.items()}}
            one = _named(one, ds)
    return row | {"summary": _SUMMARIES.dump_json(one).decode()}


def _named(one: Summary, ds: Dataset | None) -> Summary:
    """Returns a summary with what the index does not have of a header; as it is without one."""
    if ds is None:
        return one
    return replace(one, patient_name=_shown(ds, "PatientName"), manufacturer=_shown(ds, "Manufacturer"))


def _shown(ds: Dataset, keyword: str) -> str:
    """Returns a value as text that any database takes; nothing for one that pydicom cannot convert."""
    try:
        return str(ds.get(keyword) or "").encode("utf-8", "replace").decode()
    except Exception:  # noqa: BLE001 - it cannot be shown
        return ""


def _held(ds: Dataset, keyword: str, vr: str) -> str | None:
    """Returns a value for its column."""
    try:
        several = values_of(ds[keyword]) if keyword in ds else [""]
    except Exception:  # noqa: BLE001 - a value that pydicom cannot convert is none to compare
        return None
    value = comparable(several[0], vr)
    return value if len(several) == 1 and len(value) <= _LONGEST_VALUE and "\0" not in value else None
