"""The archive: Part 10 files in folders by study and series, and an SQL index that can be rebuilt from them.

A file is complete on the disk, under its final name and in the index before a caller or a peer learns that it is kept.
"""

import contextlib
import errno
import functools
import itertools
import json
import os
import shutil
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter
from pydicom import dcmwrite
from pydicom.dataset import Dataset
from sqlalchemy import (
    JSON,
    Column,
    Engine,
    Integer,
    Select,
    String,
    Table,
    Text,
    cast,
    delete,
    func,
    insert,
    select,
    type_coerce,
)
from sqlalchemy.exc import IntegrityError, OperationalError

from dicom_io.archive import described
from dicom_io.archive.database import INDEX_TABLES, make_tables, open_database, unflushed
from dicom_io.archive.described import Summary
from dicom_io.archive.durable import (
    alive,
    boot,
    copy_part10,
    flush,
    flush_folders,
    held_by,
    host,
    names_with_files,
    place,
)
from dicom_io.archive.leases import Leases
from dicom_io.errors import ClassMismatch, InstanceConflict, NotFound, NotReadable
from dicom_io.files.digests import file_digest
from dicom_io.files.instance import Instance
from dicom_io.files.scanning import batches, read_all
from dicom_io.files.series import Scan, Series, Unreadable, files_below, group, read_instance
from dicom_io.uids import checked

_INSTANCE = Table(
    "instance",
    INDEX_TABLES,
    Column("sop_instance_uid", String(64), primary_key=True),
    Column("series_uid", String(64), index=True, nullable=False),
    Column("study_uid", String(64), index=True, nullable=False),
    Column("accession", String(64), index=True, nullable=False),
    Column("sop_class_uid", String(64), index=True, nullable=False),
    Column("path", Text, nullable=False),  # relative to the archive's folder
    Column("size", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),  # of transfer syntax and data set, without file meta information
    Column("header", Text, nullable=False),  # the Instance as JSON
)
_INSTANCES = TypeAdapter(Instance)
# A process ID is used again, in a container after every start; this word is not.
_LIFE = uuid.uuid4().hex[:12]
_SPOOLED = itertools.count()
# For an import: how many headers are read at a time, how many files are indexed at a time, how many threads copy.
_SCANNED, _BATCH, _COPIERS = 8192, 128, 4


@dataclass(frozen=True, slots=True)
class Kept:
    """An instance in the archive. news : `new` when this call added it, `same` when it was there already."""

    instance: Instance
    news: Literal["new", "same"]


@dataclass(frozen=True, slots=True)
class Shelved:
    """An instance as the index lists it, for the upkeep of the archive. derived : its Image Type says DERIVED."""

    sop_instance_uid: str
    series_uid: str
    study_uid: str
    accession: str
    sop_class_uid: str
    transfer_syntax_uid: str
    path: Path
    size: int
    sha256: str
    derived: bool


@dataclass(frozen=True, slots=True)
class _SpooledFile:
    """A file in the spool, its header and the digest of its content."""

    spooled: Path
    instance: Instance
    digest: str


class Archive:
    """Instances below `root/instances`, incoming files in `root/spool`, conflicting ones in `root/quarantine`.

    database : one that has the tables of `INDEX_TABLES`; without it a database of its own is made beside the files.
    """

    def __init__(self, root: Path, database: Engine | None = None) -> None:
        self.root = root
        self.files = root / "instances"
        self._quarantine = root / "quarantine"
        self._spool = root / "spool" / f"{os.getpid()}-{_LIFE}-{host()}"
        self._database = database or open_database(root / "workstation.db")
        if database is None:
            with self._database.begin() as connection:
                make_tables(connection, INDEX_TABLES)
        self.leases = Leases(self._database)
        self._rows = unflushed(self._database)
        self.catalogue = described.SeriesCatalogue(self._database, self._rows, _INSTANCE, self._indexed)
        self._flushed: set[Path] = set()

    @functools.cached_property
    def _names_with_files(self) -> bool:
        return names_with_files(self.root)

    # Adding

    def spool(self, write: Callable[[Path], object]) -> Path:
        """Has `write` make a new file in the spool and returns its path; a failure leaves no file behind."""
        self._spool.mkdir(parents=True, exist_ok=True)
        path = self._spool / f"{os.getpid()}.{next(_SPOOLED)}.part"
        try:
            write(path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path

    def admit(
        self, spooled: Path, expected_uid: str | None = None, expected_class: str = "", digest: str | None = None
    ) -> Kept:
        """Moves a spooled file into the archive: checks it, names it, indexes it. The spooled file is gone afterwards.

        expected_uid, expected_class : as the sender announced them, if it did. digest : of the spooled file, where the
        caller knows it already.

        Raises NotReadable when the file is no whole instance (or not `expected_uid`), ClassMismatch when it is of
        another SOP class, InstanceConflict when the same UID is kept with other bytes (the new file then waits in
        quarantine), OSError when the disk or the index cannot be written.
        """
        try:
            instance = read_instance(spooled)
            if expected_uid is not None and instance.sop_instance_uid != expected_uid:
                raise NotReadable(
                    f"{spooled}: instance {instance.sop_instance_uid}, but was announced as {expected_uid}."
                )
            if expected_class and instance.sop_class_uid != expected_class:
                raise ClassMismatch(
                    f"The instance is of SOP class {instance.sop_class_uid}, but was announced as {expected_class}."
                )
        except NotReadable as error:
            spooled.unlink(missing_ok=True)
            raise NotReadable(str(error).replace(f"{spooled}: ", "The instance is ")) from error
        except ClassMismatch:
            spooled.unlink(missing_ok=True)
            raise
        digest = digest or file_digest(spooled, instance.transfer_syntax_uid)
        (outcome,) = self._take([_SpooledFile(spooled, instance, digest)])
        if isinstance(outcome, InstanceConflict):
            raise outcome
        return outcome

    def _take(self, coming: Sequence[_SpooledFile]) -> list[Kept | InstanceConflict]:
        """Names the spooled files, flushes and indexes them, with one flush of each folder and one transaction.

        A file is flushed under its final name: a journaling file system then writes file and name together, and the
        flush of the folder has nothing left to do. A power cut before that may leave half a file with a name. No index
        has it, and `place` replaces it when the instance is sent again.
        """
        outcomes: list[Kept | InstanceConflict] = []
        fresh: list[tuple[int, Path, dict[str, object]]] = []
        try:
            for file in coming:
                uid = file.instance.sop_instance_uid
                relative = self._place_of(file.instance)
                target = self.files / relative
                known = None
                if not place(file.spooled, target):
                    known, size = self._as_kept(uid)
                    held = known or held_by(target, file.spooled)
                    if held != file.digest:
                        outcomes.append(self._conflict(file.spooled, uid, file.digest))
                        continue
                    if known is not None and target.stat().st_size != size:
                        # The kept file was damaged: the new file replaces it, as if it came for the first time.
                        file.spooled.replace(target)
                        self.forget([uid])
                        known = None
                if known is None:
                    fresh.append(
                        (len(outcomes), target, _row(file.instance, relative, target.stat().st_size, file.digest))
                    )
                outcomes.append(Kept(replace(file.instance, path=str(target)), "same" if known else "new"))
            for _, target, _ in fresh:
                flush(target)
            for folder in dict.fromkeys(target.parent for _, target, _ in fresh if not self._names_with_files):
                # Parent folders need one flush only: a process that adds another entry flushes it itself.
                flush_folders(folder, folder if folder in self._flushed else self.files)
                self._flushed.add(folder)
            indexed = self._index([row for _, _, row in fresh]) if fresh else []
        except OperationalError as error:
            raise OSError(errno.EIO, f"the index cannot be written: {error.orig}") from error
        finally:
            for file in coming:
                file.spooled.unlink(missing_ok=True)
        for (n, target, row), held in zip(fresh, indexed, strict=True):
            if held != row["sha256"]:  # another association indexed this UID first, in another series
                outcomes[n] = self._conflict(target, str(row["sop_instance_uid"]), str(row["sha256"]))
        return outcomes

    def _conflict(self, path: Path, uid: str, digest: str) -> InstanceConflict:
        """Moves a file into quarantine, outside the index, so that nothing that was sent is lost."""
        self._quarantine.mkdir(parents=True, exist_ok=True)
        path.replace(self._quarantine / f"{uid}.{digest[:12]}.dcm")
        return InstanceConflict(
            f"Instance {uid} is kept already with other content. The first one stays; the new one waits in "
            f"{self._quarantine}."
        )

    def keep(self, datasets: Iterable[Dataset]) -> tuple[Instance, ...]:
        """Writes our own data sets as Part 10 files. Keeping the same data set again changes nothing.

        Raises InstanceConflict as `admit` does, after the others were kept, and OSError when the disk or the index
        cannot be written.
        """
        kept: list[Kept | InstanceConflict] = []
        for batch in batches(datasets, _BATCH):
            spooled: list[Path] = []
            try:
                for ds in batch:
                    spooled.append(self.spool(lambda path, ds=ds: dcmwrite(path, ds, enforce_file_format=True)))  # type: ignore[misc]
                headers = [read_instance(file) for file in spooled]
                digests = [file_digest(file, i.transfer_syntax_uid) for file, i in zip(spooled, headers, strict=True)]
            except BaseException:
                for file in spooled:
                    file.unlink(missing_ok=True)
                raise
            coming = [_SpooledFile(*each) for each in zip(spooled, headers, digests, strict=True)]
            kept += self._take(coming)
        for outcome in kept:
            if isinstance(outcome, InstanceConflict):
                raise outcome
        return tuple(outcome.instance for outcome in kept if isinstance(outcome, Kept))

    def import_files(self, path: Path, progress: Callable[[int], None] | None = None) -> Scan:
        """Copies every DICOM instance below `path` into the archive; lists each file it cannot take, with the reason.

        Headers are read as `scan` reads them; files are copied and flushed in parallel, and indexed in batches.
        """
        taken: dict[str, Instance] = {}
        refused: list[Unreadable] = []
        count = 0
        with ThreadPoolExecutor(_COPIERS) as pool:
            for files in batches(files_below(path), _SCANNED):
                stats = [file.stat() for file in files]
                for batch in batches(zip(files, stats, read_all(files), strict=True), _BATCH):
                    copied = list(pool.map(self._copied, *zip(*batch, strict=True)))
                    coming = [c for c in copied if isinstance(c, _SpooledFile)]
                    outcomes = iter(self._take(coming))
                    for (file, _, _), copy in zip(batch, copied, strict=True):
                        outcome = copy if isinstance(copy, Unreadable) else next(outcomes)
                        if isinstance(outcome, Kept):
                            taken[outcome.instance.sop_instance_uid] = outcome.instance
                        elif isinstance(outcome, Unreadable):
                            refused.append(outcome)
                        else:
                            refused.append(Unreadable(str(file), str(outcome)))
                        count += 1
                        if progress is not None:
                            progress(count)
        return Scan(group(taken.values()), tuple(refused))

    def _copied(self, file: Path, before: os.stat_result, header: Instance | Unreadable) -> "_SpooledFile | Unreadable":
        """Copies `file` into the spool. Its header is read again if the file has changed since it was read."""
        if isinstance(header, Unreadable):
            return header
        unchanged = False

        def write(to: Path) -> None:
            nonlocal unchanged
            after = file.stat()
            unchanged = copy_part10(file, to) and (after.st_mtime_ns, after.st_size) == (
                before.st_mtime_ns,
                before.st_size,
            )

        spooled = self.spool(write)
        flush(spooled)
        try:
            instance = header if unchanged else read_instance(spooled)
            return _SpooledFile(spooled, instance, file_digest(spooled, instance.transfer_syntax_uid))
        except NotReadable as error:
            spooled.unlink(missing_ok=True)
            return Unreadable(str(file), str(error).replace(str(spooled), str(file)))

    def sweep(self) -> int:
        """Removes spooled files of processes that died; no sender was told that they are kept. Returns how many."""
        removed = 0
        for folder in (self.root / "spool").glob("*"):
            if folder != self._spool and not alive(folder):
                removed += sum(1 for _ in folder.iterdir())
                shutil.rmtree(folder)
        return removed

    # Looking up

    def series(self, uid: str) -> Series:
        """Returns a series. Raises NotFound."""
        instances = tuple(self._select(_INSTANCE.c.series_uid == checked(uid, "Series Instance UID")))
        if not instances:
            raise NotFound(f"Series {uid} is not in the archive {self.root}; `list` shows what is.")
        return group(instances)[0]

    def all_series(self) -> tuple[Series, ...]:
        return group(self._select())

    def counts(self, series_uids: Collection[str] | None = None) -> dict[str, int]:
        """Counts the instances of each series, or of the named ones."""
        query = select(_INSTANCE.c.series_uid, func.count()).group_by(_INSTANCE.c.series_uid)
        if series_uids is not None:
            query = query.where(_INSTANCE.c.series_uid.in_(series_uids))
        with self._database.connect() as connection:
            return {uid: int(count) for uid, count in connection.execute(query)}

    def sizes(self, series_uids: Collection[str]) -> dict[str, int]:
        """Returns the size of each of the named series' files, in bytes."""
        query = select(_INSTANCE.c.series_uid, func.sum(_INSTANCE.c.size)).group_by(_INSTANCE.c.series_uid)
        with self._database.connect() as connection:
            found = connection.execute(query.where(_INSTANCE.c.series_uid.in_(series_uids)))
            return {uid: int(size) for uid, size in found}

    def series_of(self, study_uid: str) -> tuple[str, ...]:
        """Returns the UIDs of the series of a study."""
        query = select(_INSTANCE.c.series_uid).where(_INSTANCE.c.study_uid == study_uid).distinct()
        with self._database.connect() as connection:
            return tuple(sorted(connection.execute(query).scalars()))

    def summaries(self, series_uids: Collection[str] | None = None) -> tuple[Summary, ...]:
        """Lists every series, or the named ones, by UID: from the catalogue, much faster than `all_series`."""
        return self.catalogue.summaries(series_uids)

    def _indexed(self, series_uids: Collection[str] | None) -> tuple[Summary, ...]:
        """Lists series by what the index says of their first instances."""
        query = _summaries(self._database.dialect.name, series_uids)
        with self._database.connect() as connection:
            found = connection.execute(query).all()
        return tuple(
            Summary(
                series, study, patient, accession, modality, description, day, count,
                rows > 0 and columns > 0 and bool(pixels), f"{self.files}{os.sep}{path}",
            )
            for series, study, patient, accession, modality, description, day, count, rows, columns, pixels, path
            in found
        )  # fmt: skip

    def instance(self, uid: str) -> Instance:
        """Returns an instance. Raises NotFound."""
        for instance in self._select(_INSTANCE.c.sop_instance_uid == checked(uid, "SOP Instance UID")):
            return instance
        raise NotFound(f"Instance {uid} is not in the archive {self.root}.")

    def instances_of(self, sop_class_uid: str, accession: str | None = None) -> tuple[Instance, ...]:
        """Returns every instance of a SOP class, only of one accession if given."""
        clauses = [_INSTANCE.c.sop_class_uid == sop_class_uid]
        if accession is not None:
            clauses.append(_INSTANCE.c.accession == accession)
        return tuple(self._select(*clauses))

    def uids_of(self, sop_class_uid: str) -> tuple[str, ...]:
        """Returns the SOP Instance UIDs of a SOP class, sorted. Reads no headers."""
        query = select(_INSTANCE.c.sop_instance_uid).where(_INSTANCE.c.sop_class_uid == sop_class_uid)
        with self._database.connect() as connection:
            return tuple(sorted(connection.execute(query).scalars()))

    def digests(self, series_uid: str) -> dict[str, str]:
        """Returns the `file_digest` that each instance of a series had when it was kept, by SOP Instance UID."""
        columns = select(_INSTANCE.c.sop_instance_uid, _INSTANCE.c.sha256)
        with self._database.connect() as connection:
            rows = connection.execute(columns.where(_INSTANCE.c.series_uid == series_uid)).all()
        return {row.sop_instance_uid: row.sha256 for row in rows}

    def rebuild_index(self) -> Scan:
        """Makes the index anew from the files alone. Returns its series, and the files that are no whole instance."""
        rows, bad = self._rows_of(files_below(self.files) if self.files.exists() else ())
        with self._database.begin() as connection:
            connection.execute(delete(_INSTANCE))
            if rows:
                connection.execute(insert(_INSTANCE), rows)
        self.catalogue.forget()
        return Scan(self.all_series(), tuple(bad))

    def after_power_cut(self) -> int:
        """Indexes files that have no row: only the files are flushed with every instance, the index is not.

        Does so only when the machine was started since the last call. Returns how many rows were missing.
        """
        mark, now = self.root / "index.boot", boot()
        if now and mark.exists() and mark.read_text(encoding="ascii") == now:
            return 0
        with self._database.connect() as connection:
            known = set(connection.execute(select(_INSTANCE.c.path)).scalars())
        files = files_below(self.files) if self.files.exists() else ()
        found = self.index_files(f for f in files if f.relative_to(self.files).as_posix() not in known)
        self.root.mkdir(parents=True, exist_ok=True)
        mark.write_text(now, encoding="ascii")
        return found

    def index_files(self, files: Iterable[Path]) -> int:
        """Indexes files at their place in the archive that have no row. Returns how many were whole instances."""
        rows, _ = self._rows_of(files)
        if rows:
            self._index(rows)
            self.catalogue.forget({str(row["series_uid"]) for row in rows})
        return len(rows)

    def extent(self) -> tuple[int, int, int, int]:
        """Returns how many studies, series and instances the index lists, and the size of their files in bytes."""
        columns = _INSTANCE.c
        # Each by itself: then the database counts in its indexes.
        counted = [select(func.count(column.distinct())) for column in (columns.study_uid, columns.series_uid)]
        counted += [select(func.count(columns.accession)), select(func.coalesce(func.sum(columns.size), 0))]
        query = select(*(each.scalar_subquery() for each in counted))
        with self._database.connect() as connection:
            studies, series, instances, size = connection.execute(query).one()
        return int(studies), int(series), int(instances), int(size)

    def shelved(self) -> tuple[Shelved, ...]:
        """Lists every instance of the index, by UID."""
        columns = _INSTANCE.c
        query = select(
            columns.sop_instance_uid, columns.series_uid, columns.study_uid, columns.accession, columns.sop_class_uid,
            columns.path, columns.size, columns.sha256, columns.header,
        ).order_by(columns.sop_instance_uid)  # fmt: skip
        with self._database.connect() as connection:
            rows = connection.execute(query).all()
        found = []
        for uid, series, study, accession, sop_class, path, size, held, header in rows:
            read = json.loads(header)
            derived = "DERIVED" in read["image_type"][:1]
            syntax = read["transfer_syntax_uid"]
            found.append(
                Shelved(uid, series, study, accession, sop_class, syntax, self.files / path, size, held, derived)
            )
        return tuple(found)

    def forget(self, uids: Collection[str]) -> None:
        """Removes instances from the index; their files stay where they are."""
        mine = _INSTANCE.c.sop_instance_uid.in_(uids)
        with self._database.connect() as connection:
            series = list(connection.execute(select(_INSTANCE.c.series_uid).where(mine).distinct()).scalars())
        self.catalogue.forget(series)
        with self._database.begin() as connection:
            connection.execute(delete(_INSTANCE).where(mine))

    def index_instead(self, instance: Instance, digest: str) -> Instance:
        """Replaces an instance's row by one for the file that is at its place now."""
        place = self.place_of(instance)
        row = _row(instance, place.relative_to(self.files), place.stat().st_size, digest)
        with self._database.begin() as connection:
            connection.execute(delete(_INSTANCE).where(_INSTANCE.c.sop_instance_uid == instance.sop_instance_uid))
            connection.execute(insert(_INSTANCE), row)
        self.catalogue.forget([instance.series_uid])
        return replace(instance, path=str(place))

    def place_of(self, instance: Instance) -> Path:
        """Returns the path under which the archive keeps an instance with these UIDs."""
        return self.files / self._place_of(instance)

    def relative(self, path: Path) -> str:
        """Returns a kept file's path as the index stores it."""
        return path.relative_to(self.files).as_posix()

    def _rows_of(self, files: Iterable[Path]) -> tuple[list[dict[str, object]], list[Unreadable]]:
        rows: dict[str, dict[str, object]] = {}
        bad: list[Unreadable] = []
        for batch in batches(files, _SCANNED):
            for path, found in zip(batch, read_all(batch), strict=True):
                if isinstance(found, Unreadable):
                    bad.append(found)
                    continue
                uid, relative = found.sop_instance_uid, path.relative_to(self.files)
                if relative != self._place_of(found):
                    bad.append(
                        Unreadable(str(path), f"{path}: its UIDs belong elsewhere; import it and remove it here.")
                    )
                elif uid in rows:
                    bad.append(Unreadable(str(path), f"{path}: the same UID as {rows[uid]['path']}, which was taken."))
                else:
                    held = file_digest(path, found.transfer_syntax_uid)
                    rows[uid] = _row(found, relative, path.stat().st_size, held)
        return list(rows.values()), bad

    @staticmethod
    def _place_of(instance: Instance) -> Path:
        return Path(instance.study_uid) / instance.series_uid / f"{instance.sop_instance_uid}.dcm"

    def known_digest(self, uid: str) -> str | None:
        """Returns the `file_digest` that an instance had when it was kept; None when the index does not have it."""
        return self._as_kept(uid)[0]

    def _as_kept(self, uid: str) -> tuple[str | None, int]:
        """Returns (digest, file size in bytes) of an instance when it was kept; (None, 0) when the index lacks it."""
        with self._database.connect() as connection:
            query = select(_INSTANCE.c.sha256, _INSTANCE.c.size).where(_INSTANCE.c.sop_instance_uid == uid)
            row = connection.execute(query).first()
        return (None, 0) if row is None else (row.sha256, row.size)

    def _index(self, rows: Sequence[dict[str, object]]) -> list[str]:
        """Adds rows. Returns the digest the index has for each: another process's where that one was faster."""
        with contextlib.suppress(IntegrityError), self._rows.begin() as connection:
            # Two associations may bring the same instance at once: for the second, a row that is there is success.
            connection.execute(insert(_INSTANCE), list(rows))
            return [str(row["sha256"]) for row in rows]
        if len(rows) > 1:
            return [held for row in rows for held in self._index([row])]
        return [self.known_digest(str(rows[0]["sop_instance_uid"])) or ""]

    def _select(self, *clauses: object) -> Iterator[Instance]:
        query = select(_INSTANCE.c.path, _INSTANCE.c.header).where(*clauses)  # type: ignore[arg-type]
        with self._database.connect() as connection:
            rows = connection.execute(query.order_by(_INSTANCE.c.sop_instance_uid)).all()
        for path, header in rows:
            instance = _INSTANCES.validate_json(header)
            object.__setattr__(
                instance, "path", f"{self.files}{os.sep}{path}"
            )  # frozen, but new and not yet handed out
            yield instance


def _summaries(dialect: str, series_uids: Collection[str] | None) -> Select[Any]:
    """The query for one row a series: its first instance, and how many instances it has."""
    columns = _INSTANCE.c
    # SQLite reads JSON from a text column; other databases need a cast.
    header = (type_coerce if dialect == "sqlite" else cast)(columns.header, JSON)
    order = header["instance_number"].as_integer(), columns.sop_instance_uid
    numbered = select(
        columns.sop_instance_uid.label("uid"),
        func.count().over(partition_by=columns.series_uid).label("instances"),
        func.row_number().over(partition_by=columns.series_uid, order_by=order).label("place"),
    )
    if series_uids is not None:
        numbered = numbered.where(columns.series_uid.in_(series_uids))
    firsts = numbered.subquery()
    described = [header[name].as_string() for name in ("modality", "series_description", "study_date")]
    pixels = [header["rows"].as_integer(), header["columns"].as_integer(), header["pixel_keyword"].as_string()]
    return (
        select(columns.series_uid, columns.study_uid, header["patient_id"].as_string(), columns.accession)
        .add_columns(*described, firsts.c.instances, *pixels, columns.path)
        .join(firsts, firsts.c.uid == columns.sop_instance_uid)
        .where(firsts.c.place == 1)
        .order_by(columns.series_uid)
    )


def _row(instance: Instance, relative: Path, size: int, held: str) -> dict[str, object]:
    return {
        "sop_instance_uid": instance.sop_instance_uid,
        "series_uid": instance.series_uid,
        "study_uid": instance.study_uid,
        "accession": instance.accession,
        "sop_class_uid": instance.sop_class_uid,
        "path": relative.as_posix(),
        "size": size,
        "sha256": held,
        "header": _INSTANCES.dump_json(replace(instance, path="")).decode(),
    }
