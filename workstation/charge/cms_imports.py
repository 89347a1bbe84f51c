"""CMS files that a site has downloaded, taken into the state folder: validated, compared with what is in force, and
only then, when asked, in force themselves."""

import os
import zipfile
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import ConfigDict

from workstation.charge.cms import (
    EditsError,
    Fee,
    PairEdit,
    UnitEdit,
    entries_of,
    read_fees,
    read_pair_edits,
    read_unit_edits,
    with_units,
)
from workstation.charge.codes import CodeTable
from workstation.strict import adapter

EDITS_FILE, FEES_FILE = "cms_edits.json", "cms_fees.json"
# A PTP file is some hundred megabytes; more is another file.
_MOST_BYTES = 1 << 30
_File = TypeVar("_File")


@dataclass(frozen=True, slots=True)
class Imported:
    """What is in force of CMS's edits, and from which files."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    pairs: tuple[PairEdit, ...] = ()
    pairs_source: str = ""
    units: tuple[UnitEdit, ...] = ()
    units_source: str = ""

    def units_allowed(self, code: str, day: date) -> int | None:
        """Return the MUE of a code on a day, None where no file says."""
        return next(
            (
                edit.units
                for edit in self.units
                if edit.code == code and edit.effective_from <= day <= (edit.effective_to or day)
            ),
            None,
        )


@dataclass(frozen=True, slots=True)
class ImportedFees:
    """What is in force of CMS's fees, and from which file."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    fees: tuple[Fee, ...] = ()
    source: str = ""


def imported(root: Path) -> Imported:
    """Return the edits in force. Raises EditsError when the file in the state folder is damaged."""
    return _load(root / EDITS_FILE, Imported) or Imported()


def imported_fees(root: Path) -> ImportedFees:
    """Return the fees in force. Raises EditsError when the file in the state folder is damaged."""
    return _load(root / FEES_FILE, ImportedFees) or ImportedFees()


def with_edits(table: CodeTable, root: Path) -> CodeTable:
    """Return the table with the rows of the edits in force."""
    path = root / EDITS_FILE
    if not path.exists():
        return table
    status = path.stat()
    return _with_edits(table, root, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)
def _with_edits(table: CodeTable, root: Path, _changed: int, _size: int) -> CodeTable:
    edits = imported(root)
    return table.with_imported(entries_of(edits.pairs, table, edits.pairs_source))


def import_edits(
    path: Path, root: Path, table: CodeTable, today: date, begins: date | None, accept: bool
) -> dict[str, Any]:
    """Read a PTP or an MUE file, compare it with what is in force, and put it in force if `accept`.

    begins : from when an MUE file holds; such a file has no dates. Returns what would change, JSON-ready.

    Raises EditsError when the file is not one, or an MUE file is given without `begins`.
    """
    new, found = compare_edits(path, root, table, today, begins)
    if accept:
        put_in_force(new, root)
    return {**found, "in_force": accept}


def put_in_force(edits: Imported, root: Path) -> None:
    """Keep the edits in the state folder, durable when this returns. Who accepted them, the caller has written down."""
    _store(root / EDITS_FILE, adapter(Imported).dump_json(edits, indent=1))


def compare_edits(
    path: Path, root: Path, table: CodeTable, today: date, begins: date | None
) -> tuple[Imported, dict[str, Any]]:
    """Read a PTP or an MUE file. Return what would be in force with it, and what that changes, JSON-ready.

    begins : from when an MUE file holds; such a file has no dates.

    Raises EditsError when the file is not one, or an MUE file is given without `begins`.
    """
    text = _text(path)
    now = imported(root)
    try:
        pairs, count = read_pair_edits(text, path.name)
    except EditsError as no_pairs:
        try:
            units, count = read_unit_edits(text, path.name, begins or date.min)
        except EditsError:
            raise no_pairs from None
        if begins is None:
            raise EditsError(f"{path.name}: an MUE file has no dates; say with --from from when it holds.") from None
        new = Imported(now.pairs, now.pairs_source, with_units(now.units, units), path.name)
        before, after = _unit_lines(now.units), _unit_lines(new.units)
        kind = "mue"
    else:
        new = Imported(pairs, path.name, now.units, now.units_source)
        before, after = _pair_lines(now.pairs), _pair_lines(new.pairs)
        kind = "ptp"
    return new, {
        "file": path.name,
        "kind": kind,
        "rows": count,
        "kept": len(after),
        "added": [line for line in after if line not in before],
        "removed": [line for line in before if line not in after],
        "codes": _class_changes(now, new, table, today),
    }


def import_fees(path: Path, root: Path, accept: bool) -> dict[str, Any]:
    """Read a fee file, compare it with what is in force, and put it in force if `accept`. Other years are kept.

    Raises EditsError when the file is not one.
    """
    fees, count = read_fees(_text(path), path.name)
    now = imported_fees(root)
    years = {fee.year for fee in fees}
    kept = tuple(fee for fee in now.fees if fee.year not in years)
    new = ImportedFees((*kept, *fees), path.name)
    before, after = _fee_lines(now.fees), _fee_lines(new.fees)
    result = {
        "file": path.name,
        "kind": "fees",
        "rows": count,
        "kept": len(after),
        "added": [line for line in after if line not in before],
        "removed": [line for line in before if line not in after],
        "in_force": accept,
    }
    if accept:
        _store(root / FEES_FILE, adapter(ImportedFees).dump_json(new, indent=1))
    return result


def _pair_lines(pairs: tuple[PairEdit, ...]) -> list[str]:
    return [edit.text for edit in pairs]


def _unit_lines(units: tuple[UnitEdit, ...]) -> list[str]:
    return [f"{e.code}: {e.units} units from {e.effective_from} to {e.effective_to or 'now'}" for e in units]


def _fee_lines(fees: tuple[Fee, ...]) -> list[str]:
    return [
        f"{f.year} carrier {f.carrier} locality {f.locality}: {f.code}-{f.modifier or 'global'} "
        f"office {f.office}, facility {f.facility}"
        for f in fees
    ]


def _class_changes(now: Imported, new: Imported, table: CodeTable, today: date) -> list[str]:
    """The codes that stand otherwise today than they did."""
    before = table.with_imported(entries_of(now.pairs, table, now.pairs_source))
    after = table.with_imported(entries_of(new.pairs, table, new.pairs_source))
    found = []
    for code in sorted({edit.other for edit in (*now.pairs, *new.pairs)}):
        old, fresh = before.lookup(code, today), after.lookup(code, today)
        words = [entry.code_class if entry else "in no list" for entry in (old, fresh)]
        if words[0] != words[1]:
            found.append(f"{code}: {words[0]} → {words[1]}")
    return found


def _text(path: Path) -> str:
    try:
        if path.suffix.lower() == ".zip":
            return _zipped(path)
        if path.stat().st_size > _MOST_BYTES:
            raise EditsError(f"{path.name}: more than {_MOST_BYTES} bytes; this is no file of CMS.")
        content = path.read_bytes()
    except OSError as error:
        raise EditsError(f"{path}: cannot be read ({error.strerror}).") from None
    if content[:2] == b"PK":
        raise EditsError(f"{path.name}: a spreadsheet; give the text file (.txt or .csv) that CMS ships beside it.")
    return content.decode("utf-8-sig", "replace")


def _zipped(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            texts = [info for info in archive.infolist() if info.filename.lower().endswith((".txt", ".csv"))]
            if len(texts) != 1:
                raise EditsError(
                    f"{path.name}: holds {len(texts)} text files, expected one; unpack it and name the one."
                )
            if texts[0].file_size > _MOST_BYTES:
                raise EditsError(f"{path.name}: more than {_MOST_BYTES} bytes unpacked; this is no file of CMS.")
            return archive.read(texts[0]).decode("utf-8-sig", "replace")
    except zipfile.BadZipFile:
        raise EditsError(f"{path.name}: not a whole zip file; download it again.") from None


def _load(path: Path, kind: type[_File]) -> _File | None:
    if not path.exists():
        return None
    try:
        return adapter(kind).validate_json(path.read_bytes())
    except ValueError as error:
        raise EditsError(f"{path}: damaged ({type(error).__name__}); import the CMS file again.") from None


def _store(path: Path, content: bytes) -> None:
    """Whole or not at all, and durable."""
    part = path.with_name(f".{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
