"""Compliance in the browser: searches, records verified, samples, rates of 3D, and what was decided by hand."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from dicom_io.errors import DicomIOError
from workstation.coder import audit_search, exports, rates, samples
from workstation.coder.queue_rows import YEARS, case_key, month_bounds
from workstation.coder.work_list import WorkError
from workstation.errors import WorkstationError
from workstation.records.verify import Check, holds, verify
from workstation.web.call import Call, NotThere, Roles, get, post
from workstation.web.case_pages import case_of

COMPLIANCE: Roles = frozenset({"compliance"})
# What there is, by the address below /compliance: the bar of these pages.
TABS = (
    ("", "Search"),
    ("/samples", "Samples"),
    ("/rates", "Rates"),
    ("/by-hand", "Decided by hand"),
)
_SIZE = 50
_SEARCHED = ("person", "case", "kind", "source", "since", "until")
_SEARCH_COLUMNS = ("at", "source", "kind", "person", "role", "accession", "text")
_SHEET_COLUMNS = (
    *("accession", "day", "physician", "examination", "codes", "state", "reasons", "finding", "text", "reviewer"),
    "reviewed_at",
)
_RATE_COLUMNS = ("modality", "physician", "charges", "examinations", "rate", "limit", "flagged")
_HAND_COLUMNS = ("at", "person", "role", "kind", "called", "accession", "why")
# Pictures are made again: one record at a time leaves the machine to others.


def _page(call: Call, template: str, tab: str, status: int = 200, **values: Any) -> Response:
    return call.page(f"compliance/{template}", status, tabs=TABS, tab=tab, **values)


def _file(
    call: Call, name: str, title: str, about: Sequence[str], columns: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> Response:
    """A list as CSV, or as PDF where the address says so; noted as an export."""
    call.console.note_export(call, title, len(rows))
    if call.query("as") == "pdf":
        content = exports.as_pdf(title, about, columns, rows, call.site.clock())
        return call.download(f"{name}.pdf", content, "application/pdf")
    return call.download(f"{name}.csv", exports.as_csv(columns, rows), "text/csv; charset=utf-8")


def day_said(call: Call, name: str) -> date | None:
    """A day of the address, None where it names none. Raises WorkstationError where it is no day."""
    text = call.query(name)
    try:
        day = date.fromisoformat(text) if text else None
    except ValueError:
        day = date.min
    if day is not None and day.year not in YEARS:
        raise WorkstationError(call.tr("{text} is no day written as YYYY-MM-DD.", text=text[:20]))
    return day


def month_said(call: Call) -> str:
    """The month of the address, else this one. Raises WorkError where it is none."""
    month = call.query("month") or f"{call.site.clock():%Y-%m}"
    month_bounds(month)
    return month


# The search


def _wanted(call: Call) -> audit_search.AuditFilter:
    """What an address searches for. A case is named by its key: an accession is in no address."""
    since = day_said(call, "since")
    if not any(call.query(name) for name in _SEARCHED):
        since = call.site.clock().date() - timedelta(days=30)
    case = call.query("case")
    source = call.query("source")
    return audit_search.AuditFilter(
        person=call.query("person"),
        case=call.console.queue.session_of(case) if case else "",
        kind=call.query("kind"),
        source=source if source in audit_search.SOURCES else "",
        since=since,
        until=day_said(call, "until"),
    )


def _search(call: Call) -> Response:
    wanted = _wanted(call)
    found = audit_search.search(call.site, wanted, call.number("page", 1), _SIZE)
    asked = {name: call.query(name) for name in _SEARCHED}
    asked["since"] = wanted.since.isoformat() if wanted.since else ""
    case = call.console.queue.find(asked["case"]) if asked["case"] else None
    narrowed = urlencode({key: value for key, value in asked.items() if value})
    call.console.note_list(call, "acts and decisions", len(found.rows), narrowed)
    return _page(
        call,
        "search.html",
        "",
        found=found,
        asked=asked,
        case=case,
        query=narrowed,
        sources=audit_search.SOURCES,
        people=[each.id for each in call.site.people.all()],
        key_of=case_key,
    )


def _search_case(call: Call) -> Response:
    """Looks a case up by what stands on paper; its key is what the address then says."""
    word = call.said("word", 64)
    if not word:
        return call.go("/compliance")
    named = dict(call.site.casebook.sessions(word))
    if not named:
        return call.go("/compliance", call.tr("No case has this accession, session or SR."))
    if len(named) > 1:
        said = call.tr("{n} cases have this accession; this is the first.", n=len(named))
        return call.go(f"/compliance?case={case_key(next(iter(named)))}", said)
    return call.go(f"/compliance?case={case_key(next(iter(named)))}")


def _search_file(call: Call) -> Response:
    rows = [row.as_json() for row in audit_search.everything(call.site, _wanted(call))]
    about = [", ".join(f"{name}: {call.query(name)}" for name in _SEARCHED if call.query(name))]
    return _file(call, "audit", call.tr("Audit search"), about, _SEARCH_COLUMNS, rows)


# Records


def _record(call: Call) -> Response:
    return _record_page(call, case_of(call).row.key)


def _record_page(call: Call, key: str, verified: str = "", checks: Sequence[Check] = (), wrong: str = "") -> Response:
    row = call.console.queue.find(key)
    records = call.site.casebook.records_of(row.session)
    return _page(
        call,
        "record.html",
        "-",
        row=row,
        records=records,
        counts=row.sr_uid,
        verified=verified,
        checks=checks,
        holds=holds(checks) if checks else None,
        wrong=wrong,
    )


def _verify(call: Call) -> Response:
    """Makes every picture of a record again and compares; it takes as long as drawing them did."""
    row, wanted = case_of(call).row, call.said("sr", 64)
    if wanted not in {record.sr_uid for record in call.site.casebook.records_of(row.session)}:
        raise NotThere(call.tr("This case has no such record."))
    if not call.console.heavy.acquire(timeout=1.0):
        return _record_page(call, row.key, wrong=call.tr("Another long work is being done. Try again in a moment."))
    try:
        file = call.site.archive.instance(wanted).path
        checks = list(verify(call.site.archive.root / file, call.site))
    except DicomIOError as error:
        return _record_page(call, row.key, wrong=call.tr(str(error)))
    finally:
        call.console.heavy.release()
    return _record_page(call, row.key, wanted, checks)


# Samples


def _samples(call: Call) -> Response:
    return _samples_page(call)


def _samples_page(call: Call, wrong: str = "") -> Response:
    found = samples.samples(call.site)
    return _page(
        call,
        "samples.html",
        "/samples",
        422 if wrong else 200,
        found=found,
        reviewed=samples.reviewed(call.site),
        wrong=wrong,
        form=call.form,
        month=f"{call.site.clock().date().replace(day=1) - timedelta(days=1):%Y-%m}",
    )


def _draw(call: Call) -> Response:
    count, seed, per = call.said("count", 6), call.said("seed", 12), call.said("per", 20)
    if not count.isdecimal() or (seed and not seed.isdecimal()):
        return _samples_page(call, call.tr("Number of cases and seed are whole numbers."))
    try:
        drawn = samples.draw(
            call.site,
            call.who,
            call.said("why"),
            call.said("month", 7),
            int(count),
            per,  # type: ignore[arg-type]  # checked there
            call.said("state", 20),
            int(seed) if seed else None,
            call.console.queue,
        )
    except WorkError as error:
        return _samples_page(call, call.tr(str(error)))
    said = call.tr("{n} of {all} cases were drawn.", n=len(drawn.sessions), all=drawn.population)
    return call.go(f"/compliance/samples/{drawn.number}", said)


def _number(call: Call) -> int:
    text = call.path("number")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise NotThere(call.tr("There is no such sample."))
    return int(text)


def _worksheet(call: Call) -> Response:
    number = _number(call)
    try:
        drawn = samples.sample(call.site, number)
    except WorkError as error:
        raise NotThere(str(error)) from None
    rows = samples.worksheet(call.site, number, call.console.queue)
    call.console.note_list(call, "sample", len(rows), str(number))
    return _page(
        call,
        "worksheet.html",
        "/samples",
        drawn=drawn,
        rows=rows,
        findings=samples.FINDINGS,
    )


def _review(call: Call) -> Response:
    number = _number(call)
    row = call.console.queue.find(call.said("case", 20))
    samples.review(call.site, number, row.session, call.who, call.said("finding", 20), call.said("text"))
    return call.go(f"/compliance/samples/{number}#{row.key}", call.tr("The review is written down."))


def _worksheet_file(call: Call) -> Response:
    number = _number(call)
    drawn = samples.sample(call.site, number)
    rows = [row.as_json() for row in samples.worksheet(call.site, number, call.console.queue)]
    about = [f"{drawn.month}, {len(rows)} of {drawn.population}, seed {drawn.seed}, {drawn.person}, {drawn.why}"]
    return _file(call, f"sample-{number}", f"{call.tr('Sample')} {number}", about, _SHEET_COLUMNS, rows)


# Rates, and what was done by hand


def _rates(call: Call) -> Response:
    month = month_said(call)
    return _page(
        call,
        "rates.html",
        "/rates",
        month=month,
        rows=rates.rates(call.site, month, call.console.queue),
        persons=rates.charges_by_person(call.site, month, call.console.queue),
        least=call.site.config.compliance.rate_least,
    )


def _rates_file(call: Call) -> Response:
    month = month_said(call)
    rows = [row.as_json() for row in rates.rates(call.site, month, call.console.queue)]
    return _file(call, f"rates-{month}", f"{call.tr('Rates of 3D')}, {month}", [], _RATE_COLUMNS, rows)


def _hand_rows(call: Call) -> tuple[rates.HandRow, ...]:
    since = day_said(call, "since") or call.site.clock().date() - timedelta(days=30)
    return rates.by_hand(call.site, since, day_said(call, "until"), call.query("person"))


def _by_hand(call: Call) -> Response:
    rows = _hand_rows(call)
    shown = rows[: 10 * _SIZE]
    call.console.note_list(call, "decided by hand", len(shown))
    counted: dict[tuple[str, str], int] = {}
    for row in rows:
        counted[row.person, row.called or row.kind] = counted.get((row.person, row.called or row.kind), 0) + 1
    asked = {name: call.query(name) for name in ("person", "since", "until")}
    asked["since"] = asked["since"] or f"{call.site.clock().date() - timedelta(days=30)}"
    return _page(
        call,
        "by_hand.html",
        "/by-hand",
        rows=shown,
        total=len(rows),
        counted=sorted(counted.items()),
        asked=asked,
        query=urlencode({key: value for key, value in asked.items() if value}),
        people=[each.id for each in call.site.people.all()],
        key_of=case_key,
    )


def _by_hand_file(call: Call) -> Response:
    rows = [row.as_json() for row in _hand_rows(call)]
    return _file(call, "by-hand", call.tr("Decided by hand"), [], _HAND_COLUMNS, rows)


ROUTES = (
    get("/compliance", _search, COMPLIANCE),
    post("/compliance/case", _search_case, COMPLIANCE),
    get("/compliance/search-file", _search_file, COMPLIANCE),
    get("/cases/{key}/record", _record, COMPLIANCE),
    post("/cases/{key}/record", _verify, COMPLIANCE),
    get("/compliance/samples", _samples, COMPLIANCE),
    post("/compliance/samples", _draw, COMPLIANCE),
    get("/compliance/samples/{number}", _worksheet, COMPLIANCE),
    get("/compliance/samples/{number}/file", _worksheet_file, COMPLIANCE),
    post("/compliance/samples/{number}/review", _review, COMPLIANCE),
    get("/compliance/rates", _rates, COMPLIANCE),
    get("/compliance/rates-file", _rates_file, COMPLIANCE),
    get("/compliance/by-hand", _by_hand, COMPLIANCE),
    get("/compliance/by-hand-file", _by_hand_file, COMPLIANCE),
)
