"""The day sheet: charges as rows of a CSV file, for billing that is done by hand or reads files."""

from collections.abc import Iterable
from datetime import date

from workstation.billing.charged_line import Billed, read_billed
from workstation.store.messages import Known
from workstation.text_table import csv_line

COLUMNS = (
    "date_of_service",
    "accession",
    "patient_id",
    "account",
    "visit",
    "action",
    "code",
    "modifiers",
    "units",
    "base",
    "entity",
    "diagnoses",
    "ordering_physician",
    "performing_physician",
    "key",
)


def row(billed: Billed, credit: bool) -> tuple[str, bytes]:
    """Return the identity of a row, `FILE.csv/KEY-action`, and the row itself as UTF-8 CSV with its end of line."""
    subject, line = billed.subject, billed.line
    action = "credit" if credit else "charge"
    values = (
        subject.date_of_service.isoformat(),
        subject.accession,
        subject.patient_id,
        subject.account_number,
        subject.visit_number,
        action,
        line.code,
        " ".join(line.modifiers),
        str(line.units),
        line.base,
        line.entity,
        " ".join(subject.diagnoses),
        subject.ordering_physician_id,
        subject.performing_physician_id,
        billed.key,
    )
    name = f"charges-{subject.date_of_service:%Y%m%d}.csv"
    return f"{name}/{billed.key}-{action}", csv_line(values)


def header_line() -> bytes:
    """Return the first line of a sheet."""
    return csv_line(COLUMNS)


def sheet(charges: Iterable[Known], day: date) -> tuple[bytes, int]:
    """Return every charge and credit of a date of service as CSV, and how many rows that is.

    What was withdrawn before it was sent is in no sheet: billing never had it.
    """
    rows = []
    for known in charges:
        if not known.charge.billed or known.message_state == "withdrawn":
            continue
        billed = read_billed(known.charge.billed)
        if billed.subject.date_of_service == day:
            rows.append(row(billed, credit=False)[1])
            if known.state == "credited":
                rows.append(row(billed, credit=True)[1])
    return header_line() + b"".join(rows), len(rows)
