"""Procedure code numbers and what each means for a 3D charge, by date of service.

The table is data (`base_codes.csv`): numbers only, because descriptors are licensed text. A site adds rows in a file
of its own, in the same columns; it never edits ours. Facts of the first edition of the contract are decided by the
table as it was then (`base_codes_first_edition.csv`).
"""

import csv
import io
import re
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal, cast, get_args

from workstation.errors import WorkstationError

from .facts import Contract, Modality, Region

CodeClass = Literal["eligible", "includes_3d", "review", "procedure_includes_3d"]

_COLUMNS = ("code", "class", "modality", "region", "effective_from", "effective_to", "basis", "verified")
_CODE = re.compile(r"[0-9A-Z][0-9]{3}[0-9A-Z]")


class CodesError(WorkstationError):
    """A code table is not usable. The message names the file, the line and the column."""


@dataclass(frozen=True, slots=True)
class CodeEntry:
    """One row: the codes `first` to `last` and what is known of them from `effective_from` to `effective_to`.

    modality and region are DICOM modality and body region, None where the row gives none; `effective_to` is the last
    day, None while open. An entry that is not `verified` is believed, not known: it may hold a charge, never release
    or deny one.
    """

    first: str
    last: str
    code_class: CodeClass
    modality: Modality | None
    region: Region | None
    effective_from: date
    effective_to: date | None
    basis: str
    verified: bool

    def covers(self, code: str, day: date) -> bool:
        """Tell whether this row speaks of `code` on `day`. Both ends of both ranges are included."""
        in_range = len(code) == len(self.first) and self.first <= code <= self.last
        return in_range and self.effective_from <= day and (self.effective_to is None or day <= self.effective_to)

    def overlaps(self, other: "CodeEntry") -> bool:
        """Tell whether some code on some day is covered by both rows."""
        codes = self.first <= other.last and other.first <= self.last
        starts_before_end = other.effective_to is None or self.effective_from <= other.effective_to
        ends_after_start = self.effective_to is None or other.effective_from <= self.effective_to
        return codes and starts_before_end and ends_after_start


@dataclass(frozen=True, slots=True)
class CodeTable:
    """The rows in force. At most one row speaks of a code on a day, except that an edit of CMS that the site has
    imported goes before a site's row, and that before ours.

    first_edition : our rows as they were under the first edition of the contract.
    """

    entries: tuple[CodeEntry, ...]
    site_entries: tuple[CodeEntry, ...] = ()
    imported_entries: tuple[CodeEntry, ...] = ()
    first_edition: tuple[CodeEntry, ...] = ()

    def lookup(self, code: str, day: date, contract: Contract = 2) -> CodeEntry | None:
        """Return the row for `code` on `day` under an edition of the contract, or None where no list has it."""
        ours = self.entries if contract == 2 else self.first_edition
        for entry in (*self.imported_entries, *self.site_entries, *ours):
            if entry.covers(code, day):
                return entry
        return None

    def with_imported(self, entries: tuple[CodeEntry, ...]) -> "CodeTable":
        """Return a copy that also has rows made from edits of CMS (see `edits.py`)."""
        return replace(self, imported_entries=entries)

    def with_site_rows(self, path: Path) -> "CodeTable":
        """Return a copy that also has the rows of a site's file (UTF-8 CSV, the columns of `base_codes.csv`).

        A site may list a code we have not listed, and settle one we list as `review` or as not verified. It may not
        contradict a verified row.

        Raises
        ------
        CodesError
            A row is not valid, overlaps another row of the file, or contradicts a verified row of ours.
        """
        added = read_code_rows(path.read_text(encoding="utf-8"), path.name)
        for row in added:
            for ours in self.entries:
                if ours.verified and ours.code_class != "review" and row.overlaps(ours):
                    raise CodesError(
                        f"{path.name}: {row.first} is listed as {row.code_class}, but the shipped table has it as "
                        f"{ours.code_class}, verified. Remove the row; a correction belongs in a new release."
                    )
        return replace(self, site_entries=added)


@cache
def shipped_codes() -> CodeTable:
    """Return the table shipped with this package."""
    return CodeTable(_shipped("base_codes.csv"), first_edition=_shipped("base_codes_first_edition.csv"))


def _shipped(name: str) -> tuple[CodeEntry, ...]:
    return read_code_rows((resources.files(__package__) / name).read_text(encoding="utf-8"), name)


def read_code_rows(text: str, name: str) -> tuple[CodeEntry, ...]:
    """Read CSV `text` with the columns of `base_codes.csv`; `name` is the file's name for messages.

    Raises
    ------
    CodesError
        A column is missing or unknown, a value is not allowed, or two rows speak of one code on one day.
    """
    reader = csv.DictReader(io.StringIO(text))
    if tuple(reader.fieldnames or ()) != _COLUMNS:
        raise CodesError(f"{name}: the columns are {reader.fieldnames}, expected {','.join(_COLUMNS)}.")
    entries: list[CodeEntry] = []
    for row in reader:
        entry = _entry(row, f"{name} line {reader.line_num}")
        for earlier in entries:
            if entry.overlaps(earlier):
                raise CodesError(
                    f"{name} line {reader.line_num}: {entry.first} from {entry.effective_from} overlaps the row "
                    f"{earlier.first} from {earlier.effective_from}. Give one of them an end date."
                )
        entries.append(entry)
    return tuple(entries)


def _entry(row: dict[str, str], place: str) -> CodeEntry:
    if None in row or None in row.values():
        raise CodesError(f"{place}: the row does not have {len(_COLUMNS)} columns.")
    first, _, last = row["code"].partition("-")
    last = last or first
    if not (_CODE.fullmatch(first) and _CODE.fullmatch(last) and first <= last):
        raise CodesError(f"{place}: code {row['code']!r} is neither a code of five characters nor a range of them.")
    start = _day(row["effective_from"], "effective_from", place)
    if start is None:
        raise CodesError(f"{place}: effective_from is empty; every row says from when it holds.")
    end = _day(row["effective_to"], "effective_to", place)
    if end is not None and end < start:
        raise CodesError(f"{place}: effective_to {end} is before effective_from {start}.")
    if not row["basis"]:
        raise CodesError(f"{place}: basis is empty; say where the row comes from.")
    code_class = cast(CodeClass, _one_of(row["class"], get_args(CodeClass), "class", place))
    modality = cast(Modality | None, _one_of(row["modality"], ("", *get_args(Modality)), "modality", place) or None)
    if code_class == "eligible" and modality is None:
        raise CodesError(f"{place}: an eligible base needs its modality, else nothing tells it from another order's.")
    return CodeEntry(
        first=first,
        last=last,
        code_class=code_class,
        modality=modality,
        region=cast(Region | None, _one_of(row["region"], ("", *get_args(Region)), "region", place) or None),
        effective_from=start,
        effective_to=end,
        basis=row["basis"],
        verified=_one_of(row["verified"], ("yes", "no"), "verified", place) == "yes",
    )


def _one_of(found: str, allowed: tuple[str, ...], column: str, place: str) -> str:
    if found not in allowed:
        raise CodesError(f"{place}: {column} {found!r} is not one of {', '.join(a for a in allowed if a)}.")
    return found


def _day(text: str, column: str, place: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CodesError(f"{place}: {column} {text!r} is not a date written as YYYY-MM-DD.") from None
