"""Months and days of service in the browser: money charged, held and lost, by physician, payer, technique, reason."""

import calendar
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from workstation.billing import day_sheet
from workstation.coder import exports, month_report
from workstation.coder.queue_rows import YEARS, QueueFilter, QueueRow, month_bounds
from workstation.web import charts
from workstation.web.call import Call, NotThere, Roles, get
from workstation.web.compliance_pages import month_said

COUNTERS: Roles = frozenset({"coder", "compliance", "administrator"})
# Who may see cases: an administrator sees what they come to, and no patient.
CASES: Roles = frozenset({"coder", "compliance"})
_OUTCOMES = {
    **dict.fromkeys(("queued", "sent", "acknowledged", "operator"), "charged"),
    **dict.fromkeys(("held", "correction"), "held"),
    **dict.fromkeys(("denied", "credited"), "denied"),
}
# Columns of the report, with the key of the work list's address that shows their cases.
_PANELS = (
    ("Physician", "by_physician", "physician", "physician"),
    ("Payer", "by_payer", "payer", "payer"),
    ("Technique", "by_technique", "techniques", "technique"),
    ("Reason", "by_reason", "reasons", "reason"),
    ("State", "states", "state", "state"),
)


def _month(call: Call) -> Response:
    month = month_said(call)
    rows = call.console.queue.rows(QueueFilter(month=month), named=False)
    found = month_report.report(call.site, month, {row.accession for row in rows})
    first, end = month_bounds(month)
    keys = {row.accession: row.key for row in rows}
    call.console.note_list(call, "charges lost", len(found["lost"]), month)
    return call.page(
        "money/month.html",
        month=month,
        before=f"{first - timedelta(days=1):%Y-%m}",
        after=f"{end:%Y-%m}",
        found=found,
        dollars=month_report.dollars,
        panels=[_panel(call, month, *panel, found) for panel in _PANELS],
        ages=charts.bars([(call.tr(name), (("held", n),), "") for name, n in found["hold_ageing"].items()]),
        days=charts.columns(_days(call, month, rows)),
        shares=[("", found["share"]), *found["share"]["by_modality"].items()],
        above=found["share"]["above_limit"] or any(e["above_limit"] for e in found["share"]["by_modality"].values()),
        sees_cases=call.who.role in CASES,
        lost=[{**each, "key": keys.get(each["accession"], "")} for each in found["lost"]],
    )


def _panel(
    call: Call, month: str, title: str, key: str, column: str, filtered: str, found: Mapping[str, Any]
) -> dict[str, Any]:
    rows = found[key]

    def link(value: str) -> str:
        if call.who.role not in CASES or not value or value.startswith("("):
            return ""
        return f"/cases?{urlencode({'scope': 'all', 'month': month, filtered: value})}"

    def words(value: str) -> str:
        if key == "states":
            return call.tr(call.console.state_words(value))
        return call.tr(value) if key in ("by_reason", "by_technique") else value

    drawn = [
        (
            words(str(row[column])),
            (("charged", row["charged"]), ("other", row["cases"] - row["charged"])),
            link(row[column]),
        )
        for row in rows
    ]
    return {"title": title, "bars": charts.bars(drawn), "more": max(len(rows) - 10, 0)}


def _days(call: Call, month: str, rows: Sequence[QueueRow]) -> list[charts.BarRow]:
    """The days of a month, each with its cases by outcome."""
    first, _ = month_bounds(month)
    counted: dict[date, Counter[str]] = {}
    for row in rows:
        if row.day is not None:
            counted.setdefault(row.day, Counter())[_OUTCOMES[row.state]] += 1
    days = [first.replace(day=n + 1) for n in range(calendar.monthrange(first.year, first.month)[1])]
    link = call.who.role in CASES
    return [
        (
            f"{day.day}",
            tuple((kind, counted.get(day, Counter())[kind]) for kind in ("charged", "held", "denied")),
            f"/money/days/{day}" if link and day in counted else "",
        )
        for day in days
    ]


def _month_file(call: Call) -> Response:
    month = month_said(call)
    accessions = {row.accession for row in call.console.queue.rows(QueueFilter(month=month), named=False)}
    rows = month_report.report(call.site, month, accessions)["cases"]
    call.console.note_export(call, f"cases of {month}", len(rows))
    content = exports.as_csv(month_report.CASE_COLUMNS, rows)
    return call.download(f"month-{month}.csv", content, "text/csv; charset=utf-8")


def _day_of(call: Call) -> date:
    try:
        day = date.fromisoformat(call.path("day"))
    except ValueError:
        day = date.min
    if day.year not in YEARS:
        raise NotThere(call.tr("There is no such day."))
    return day


def _rows_of(call: Call, day: date) -> list[QueueRow]:
    return [row for row in call.console.queue.rows(QueueFilter(month=f"{day:%Y-%m}")) if row.day == day]


def _day(call: Call) -> Response:
    day = _day_of(call)
    rows = _rows_of(call, day)
    counted = Counter(_OUTCOMES[row.state] for row in rows)
    call.console.note_list(call, "cases of a day", len(rows), f"{day}")
    return call.page("money/day.html", day=day, rows=rows, counted=counted, month=f"{day:%Y-%m}")


def _day_file(call: Call) -> Response:
    """The day sheet: every charge and credit of the day, as destinations of that kind get it."""
    day = _day_of(call)
    accessions = sorted({row.accession for row in _rows_of(call, day)})
    charges = call.site.outbox.charges(*accessions) if accessions else ()
    content, count = day_sheet.sheet(charges, day)
    call.console.note_export(call, f"day sheet of {day}", count)
    return call.download(f"charges-{day:%Y%m%d}.csv", content, "text/csv; charset=utf-8")


ROUTES = (
    get("/money", _month, COUNTERS),
    get("/money/month-file", _month_file, CASES),
    get("/money/days/{day}", _day, CASES),
    get("/money/days/{day}/file", _day_file, CASES),
)
