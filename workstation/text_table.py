"""Rows as text in columns, for the command line and for pages of plain text, and as CSV for spreadsheets."""

import csv
import io
from collections.abc import Iterable


def table(rows: list[list[str]], header: list[str]) -> str:
    """Columns as wide as what stands in them."""
    widths = [max(len(str(row[n])) for row in [header, *rows]) for n in range(len(header))]
    lines = [
        "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [header, *rows]
    ]
    return "\n".join(line.rstrip() for line in lines)


def csv_line(values: Iterable[str | float]) -> bytes:
    """Returns one line of CSV. What a spreadsheet would take for a formula gets an apostrophe in front."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(
        f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
        for value in values
    )
    return out.getvalue().encode()
