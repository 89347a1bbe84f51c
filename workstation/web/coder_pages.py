"""The work list of coders and compliance officers: cases in pages, filtered, sorted, assigned."""

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.responses import Response

from workstation.coder.assigning import assign, one_by_one
from workstation.coder.queue import SORTS
from workstation.coder.queue_rows import NOBODY, QueueFilter, QueueRow
from workstation.errors import WorkstationError
from workstation.text_table import csv_line
from workstation.web.call import Call, Roles, get, post

READERS: Roles = frozenset({"coder", "compliance", "physician"})
CODERS: Roles = frozenset({"coder", "compliance"})
_SIZE, _MOST_VIEWS = 50, 50
# Keys of an address that say which cases are shown. What is searched for names patients, and is in no address.
_FILTERS = (
    "scope",
    "state",
    "reason",
    "who",
    "payer",
    "owner",
    "physician",
    "technique",
    "base",
    "older",
    "month",
    "due",
)
COLUMNS = (
    ("", "state", "State"),
    ("patient", "patient", "Patient"),
    ("day", "day", "Service"),
    ("examination", "examination", "Examination"),
    ("payer", "payer", "Payer"),
    ("expected", "expected", "Expected"),
    ("reason", "reason", "Reasons"),
    ("since", "age", "Age"),
    ("filing", "filing", "File by"),
    ("owner", "owner", "Owner"),
)


def filter_of(call: Call) -> QueueFilter:
    """The filter that an address says, with what the session searches for."""
    text = call.session.search if call.session is not None else ""
    older, due = call.query("older"), call.query("due")
    return QueueFilter(
        state=call.query("state"),
        reason=call.query("reason"),
        who=call.query("who"),
        payer=call.query("payer"),
        owner=call.who.id if call.query("owner") == "me" else call.query("owner"),
        physician=call.query("physician"),
        technique=call.query("technique"),
        base=call.query("base"),
        older_than_days=int(older) if older.isdecimal() and len(older) < 6 else 0,
        month=call.query("month"),
        text=text,
        due_within_days=int(due) if due.isdecimal() and len(due) < 6 else None,
        # Who looks for a patient means all of them.
        open_only=call.query("scope", "open") == "open" and not call.query("state") and not text,
    )


def _address(call: Call, **changes: str) -> str:
    """The address of this list with other values; ends so that a page can be added."""
    said = {key: call.query(key) for key in (*_FILTERS, "sort") if call.query(key)}
    said = {key: value for key, value in (said | changes).items() if value}
    return f"/cases?{urlencode(said)}{'&' if said else ''}"


def query_of(call: Call) -> str:
    """What the address says of the list: a case that is opened from it keeps it, for the way back and the next one."""
    return _address(call).removeprefix("/cases?").rstrip("&")


def _queue(call: Call) -> Response:
    wanted, sort = filter_of(call), call.query("sort", "since")
    if sort.removeprefix("-") not in SORTS:
        sort = "since"
    page = call.console.queue.page(wanted, sort, call.number("page", 1), _SIZE)
    chosen = {key: call.query(key) for key in _FILTERS}
    values: dict[str, Any] = {
        "found": page,
        "wanted": wanted,
        "chosen": chosen,
        "sort": sort,
        "columns": COLUMNS,
        "address": lambda **changes: _address(call, **changes),
        "views": call.site.console.views(call.who.id),
        "query": query_of(call),
        "coders": _coders(call),
        "may_assign": call.who.role in CODERS,
        "facets": (("state", "State"), ("reason", "Reason"), ("owner", "Owner"), ("payer", "Payer")),
        "nobody": NOBODY,
    }
    narrowed = " ".join(filter(None, (call.session.search if call.session else "", query_of(call))))
    call.console.note_list(call, "work list", len(page.rows), narrowed)
    part = call.request.headers.get("hx-target") == "list"
    return call.page("coder/list.html" if part else "coder/queue.html", **values)


def _coders(call: Call) -> list[str]:
    return [each.id for each in call.site.people.all() if each.role in CODERS]


def _search(call: Call) -> Response:
    """What is searched for is kept with the session: the address of a page shows no patient."""
    assert call.session is not None
    call.session = replace(call.session, search=call.said("text", 200))
    call.site.console.seen(call.token, call.session)
    return call.go(_back_to_list(call))


def _back_to_list(call: Call) -> str:
    said = [(key, value) for key, value in parse_qsl(call.said("query", 2000)) if key in (*_FILTERS, "sort")]
    return f"/cases?{urlencode(said)}" if said else "/cases"


def _assign(call: Call) -> Response:
    """Each case by itself: one that cannot be stops no other."""
    to, why = call.said("to", 64), call.said("why", 500)
    queue, keys = call.console.queue, call.lists.get("case", ())[:500]
    done = one_by_one(keys, lambda key: assign(call.site, queue.session_of(key), call.who, to, why))
    refused = [each.refused for each in done if each.refused]
    if not done:
        return call.go(_back_to_list(call), call.tr("No case was chosen."))
    said = call.tr("{n} cases assigned.", n=len(done) - len(refused))
    if refused:
        said += " " + call.tr("{n} were not: {why}", n=len(refused), why=" ".join(dict.fromkeys(refused)))
    return call.go(_back_to_list(call), said)


def _save_view(call: Call) -> Response:
    name, query = call.said("name", 40), _back_to_list(call).partition("?")[2]
    if not name:
        raise WorkstationError(call.tr("A view needs a name."))
    known = call.site.console.views(call.who.id)
    if name not in known and len(known) >= _MOST_VIEWS:
        raise WorkstationError(call.tr("You have {n} views; remove one first.", n=len(known)))
    call.site.console.save_view(call.who.id, name, query)
    return call.go(_back_to_list(call), call.tr("The view {name} is kept.", name=name))


def _remove_view(call: Call) -> Response:
    call.site.console.remove_view(call.who.id, call.said("name", 40))
    return call.go("/cases", call.tr("The view is gone."))


def _csv(call: Call) -> Response:
    rows = call.console.queue.rows(filter_of(call), "since")
    call.console.note_export(call, "work list", len(rows))
    return call.download("work_list.csv", _as_csv(rows), "text/csv; charset=utf-8")


def _as_csv(rows: tuple[QueueRow, ...]) -> bytes:
    heads = ("state", "accession", "patient_id", "patient", "day", "examination", "bases", "payer", "codes")
    more = ("expected_low", "expected_high", "reasons", "who", "age_days", "file_until", "owner")
    lines = [
        [
            row.state,
            row.accession,
            row.patient_id,
            row.patient,
            row.day.isoformat() if row.day else "",
            row.examination,
            " ".join(row.bases),
            row.payer,
            " ".join(row.codes),
            float(row.expected.low) if row.expected else "",
            float(row.expected.high) if row.expected else "",
            " ".join(row.reasons),
            " ".join(row.who),
            row.age_days,
            row.file_until.isoformat() if row.file_until else "",
            row.owner,
        ]
        for row in rows
    ]
    return b"".join(csv_line(each) for each in [(*heads, *more), *lines])


ROUTES = (
    get("/cases", _queue, READERS),
    get("/cases.csv", _csv, CODERS),
    post("/cases/search", _search, READERS),
    post("/cases/assign", _assign, CODERS),
    post("/views/save", _save_view, READERS),
    post("/views/remove", _remove_view, READERS),
)
