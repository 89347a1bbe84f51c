"""What CMS publishes about the pair of codes: procedure-to-procedure edits (PTP), units (MUE) and fees, as dated rows.

A site downloads the files itself; none of them is shipped. Only rows that bear on 76376 and 76377 are kept, as numbers:
no descriptor and no rationale text.
Source: CMS, "National Correct Coding Initiative Policy Manual" chapter 1 (PTP, modifier indicators, MUE); CMS, Medicare
physician fee schedule, national payment amount file (PFALL).
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Literal

from workstation.errors import WorkstationError

from .codes import CodeClass, CodeEntry, CodeTable
from .policy import INDEPENDENT_CODE, PLAIN_CODE

PAIR = (PLAIN_CODE, INDEPENDENT_CODE)
_CODE = re.compile(r"[0-9A-Z][0-9]{3}[0-9A-Z]")


class EditsError(WorkstationError):
    """A CMS file that cannot be used. The message names the file, the line and what to do."""


@dataclass(frozen=True, slots=True)
class PairEdit:
    """A PTP edit: with `column_1` charged, `column_2` is not paid, from the one day to the other (None: still).

    indicator : 0, no modifier parts them; 1, a modifier may; 9, the edit never counted.
    """

    column_1: str
    column_2: str
    effective_from: date
    effective_to: date | None
    indicator: Literal["0", "1", "9"]

    @property
    def other(self) -> str:
        """The code that is edited against one of the pair."""
        return self.column_1 if self.column_2 in PAIR else self.column_2

    @property
    def text(self) -> str:
        """The edit in a line for people."""
        ends = self.effective_to or "now"
        return f"{self.column_1}/{self.column_2} from {self.effective_from} to {ends}, indicator {self.indicator}"


# Modifiers that part the two codes of an edit with indicator 1: anatomic, of the global period, and others.
# Source: CMS, NCCI Policy Manual, chapter I, section E (NCCI PTP-associated modifiers).
PARTING_MODIFIERS = frozenset(
    "E1 E2 E3 E4 FA F1 F2 F3 F4 F5 F6 F7 F8 F9 TA T1 T2 T3 T4 T5 T6 T7 T8 T9 LT RT LC LD RC LM RI "
    "24 25 57 58 78 79 27 59 91 XE XS XP XU".split()
)


@dataclass(frozen=True, slots=True)
class UnitEdit:
    """An MUE: at most `units` of `code` by one practitioner on one day."""

    code: str
    units: int
    effective_from: date
    effective_to: date | None


@dataclass(frozen=True, slots=True)
class Fee:
    """One row of a fee schedule: what Medicare allows for a code with a modifier (26, TC or none) in a locality.

    office, facility : US dollars, for the non-facility and the facility setting.
    """

    year: int
    carrier: str
    locality: str
    code: str
    modifier: str
    office: Decimal
    facility: Decimal


def violated(
    edits: Iterable[PairEdit], code: str, modifiers: Iterable[str], beside: Iterable[str], day: date
) -> tuple[PairEdit, ...]:
    """Return the edits that a charge of `code` breaks beside other codes of its day: those that no modifier parts, and
    those that want a modifier which it does not have."""
    parted = bool(PARTING_MODIFIERS & set(modifiers))
    others = set(beside)
    return tuple(
        edit
        for edit in edits
        if code in (edit.column_1, edit.column_2)
        and ({edit.column_1, edit.column_2} - {code}) & others
        and edit.effective_from <= day
        and (edit.effective_to is None or day <= edit.effective_to)
        and (edit.indicator == "0" or (edit.indicator == "1" and not parted))
    )


def read_pair_edits(text: str, name: str) -> tuple[tuple[PairEdit, ...], int]:
    """Read a PTP file (tab or comma separated); return the edits on the pair, and how many edits it has in all.

    Raises
    ------
    EditsError
        There is no edit in it, or a row is not one.
    """
    found: list[PairEdit] = []
    count = 0
    for number, fields in _rows(text):
        if len(fields) < 6 or not (_CODE.fullmatch(fields[0]) and _CODE.fullmatch(fields[1])):
            if count:
                raise EditsError(
                    f"{name} line {number}: not a row of two codes, dates and an indicator like those before."
                )
            continue  # the notice and the header at the top
        count += 1
        if fields[0] not in PAIR and fields[1] not in PAIR:
            continue
        place = f"{name} line {number}"
        start = _day(fields[3], place)
        end = None if fields[4] in ("*", "") else _day(fields[4], place)
        if start is None:
            raise EditsError(f"{place}: the effective date is empty.")
        if fields[5] not in ("0", "1", "9"):
            raise EditsError(f"{place}: modifier indicator {fields[5]!r} is not 0, 1 or 9.")
        if end is not None and end < start:
            raise EditsError(f"{place}: the deletion date {end} is before the effective date {start}.")
        found.append(PairEdit(fields[0], fields[1], start, end, fields[5]))  # type: ignore[arg-type]
    if not count:
        raise EditsError(f"{name}: no edit of two codes found; give the practitioner PTP file as CMS ships it.")
    return tuple(sorted(set(found), key=_pair_key)), count


def read_unit_edits(text: str, name: str, effective_from: date) -> tuple[tuple[UnitEdit, ...], int]:
    """Read an MUE file; return the values of the pair, and how many codes it has. It has no dates of its own.

    Raises
    ------
    EditsError
        There is no value in it, or a row is not one.
    """
    found: list[UnitEdit] = []
    count = 0
    for number, fields in _rows(text):
        if len(fields) < 2 or not _CODE.fullmatch(fields[0]):
            if count:
                raise EditsError(f"{name} line {number}: not a row of a code and its units like those before.")
            continue
        # A number with five digits is a code: this is a file of pairs.
        if not re.fullmatch(r"\d{1,4}", fields[1]):
            raise EditsError(f"{name} line {number}: {fields[1][:20]!r} is not a number of units.")
        count += 1
        if fields[0] in PAIR:
            found.append(UnitEdit(fields[0], int(fields[1]), effective_from, None))
    if not count:
        raise EditsError(f"{name}: no unit value found; give the practitioner MUE file as CMS ships it.")
    return tuple(sorted(found, key=lambda each: each.code)), count


def read_fees(text: str, name: str) -> tuple[tuple[Fee, ...], int]:
    """Read a fee file in the layout of PFALL; return the fees of the pair, and how many rows it has.

    Raises
    ------
    EditsError
        There is no fee in it, or a row is not one.
    """
    found: list[Fee] = []
    count = 0
    for number, fields in _rows(text):
        place = f"{name} line {number}"
        if len(fields) < 7 or not re.fullmatch(r"20\d\d", fields[0]) or not _CODE.fullmatch(fields[3]):
            # The file ends with a notice whose lines have fewer columns.
            if count and len(fields) >= 7:
                raise EditsError(f"{place}: not a row of year, carrier, locality, code, modifier and two amounts.")
            continue
        count += 1
        if fields[3] not in PAIR:
            continue
        try:
            office, facility = Decimal(fields[5]), Decimal(fields[6])
        except InvalidOperation:
            raise EditsError(f"{place}: {fields[5][:20]!r} and {fields[6][:20]!r} are not both amounts.") from None
        if not (Decimal(0) <= office < Decimal(100000) and Decimal(0) <= facility < Decimal(100000)):
            raise EditsError(f"{place}: {office} and {facility} are no amounts in dollars for one rendering.")
        found.append(Fee(int(fields[0]), fields[1], fields[2], fields[3], fields[4], office, facility))
    if not count:
        raise EditsError(f"{name}: no fee found; give the carrier file of the physician fee schedule (PFALL).")
    keys = [(fee.year, fee.carrier, fee.locality, fee.code, fee.modifier) for fee in found]
    if len(set(keys)) < len(keys):
        raise EditsError(f"{name}: two rows give a fee for the same year, carrier, locality, code and modifier.")
    return tuple(found), count


def with_units(old: Iterable[UnitEdit], new: Sequence[UnitEdit]) -> tuple[UnitEdit, ...]:
    """Return the values in force when a newer file begins: the old ones end the day before."""
    if not new:
        return tuple(old)
    begins = min(each.effective_from for each in new)
    kept = [
        replace(each, effective_to=begins - timedelta(days=1))
        if each.effective_to is None or each.effective_to >= begins
        else each
        for each in old
        if each.effective_from < begins
    ]
    return (*kept, *new)


def entries_of(edits: Iterable[PairEdit], table: CodeTable, source: str) -> tuple[CodeEntry, ...]:
    """Return what the edits say of each code as rows of a code table.

    Indicator 0 says that the code includes the rendering. Indicator 1 says that a modifier may part them, which a coder
    has to judge. Indicator 9 says nothing. What is known to be a procedure stays one; of a code in no list, one of the
    imaging range is taken for a base.
    """
    rows: dict[tuple[str, date, date | None], str] = {}
    for edit in edits:
        if edit.indicator == "9" or edit.other in PAIR:
            continue
        key = edit.other, edit.effective_from, edit.effective_to
        rows[key] = min(edit.indicator, rows.get(key, "9"))
    return tuple(
        CodeEntry(
            first=code,
            last=code,
            code_class=_class(table.lookup(code, start), code, indicator),
            modality=known.modality if (known := table.lookup(code, start)) else None,
            region=known.region if known else None,
            effective_from=start,
            effective_to=end,
            basis=f"{source}: PTP edit with modifier indicator {indicator}",
            verified=True,
        )
        for (code, start, end), indicator in sorted(rows.items(), key=lambda row: (row[1], row[0][0], row[0][1]))
    )


def _class(known: CodeEntry | None, code: str, indicator: str) -> CodeClass:
    procedure = known.code_class == "procedure_includes_3d" if known else not code.startswith("7")
    if indicator == "1":
        # A denial we know of is not softened by a modifier that may be had.
        if known is not None and known.verified and known.code_class in ("includes_3d", "procedure_includes_3d"):
            return known.code_class
        return "review"
    return "procedure_includes_3d" if procedure else "includes_3d"


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    delimiter = "\t" if "\t" in text else ","
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    try:
        for fields in reader:
            if fields:
                yield reader.line_num, [field.strip() for field in fields]
    except csv.Error as error:
        raise EditsError(f"line {reader.line_num}: not a table ({error}).") from None


def _day(text: str, place: str) -> date | None:
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y%m%d").date()
    except ValueError:
        raise EditsError(f"{place}: {text[:20]!r} is not a date written as YYYYMMDD.") from None


def _pair_key(edit: PairEdit) -> tuple[str, str, date, str]:
    return edit.column_1, edit.column_2, edit.effective_from, edit.indicator
