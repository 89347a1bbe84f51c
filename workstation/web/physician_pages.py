"""A physician's inbox: queries of coders, and holds that only they can resolve; answered, and signed with a secret."""

from collections import Counter
from typing import Any

from starlette.responses import Response

from workstation.coder import queries
from workstation.coder.acts import answer_with, may
from workstation.coder.queries import InboxItem
from workstation.coder.queue_rows import QueueFilter
from workstation.errors import WorkstationError
from workstation.web.call import Call, Roles, get, post
from workstation.web.sign_in_pages import signed_by

_SIZE = 20
PHYSICIAN: Roles = frozenset({"physician"})
# What a physician may state, as they would say it.
FACT_WORDS: dict[str, str] = {
    "order.urgent_documented": "The urgency is documented",
    "order.radiologist_rationale": "I added 3D for a reason that I documented",
    "report.three_d_findings": "The report says what the 3D pictures show",
    "report.workstation_statement": "The report says that an independent workstation was used",
    "report.medical_necessity": "The report says why 3D was medically necessary",
    "report.clinical_utility": "The report says what 3D contributed",
    "independent_workstation_required": "An independent workstation was required",
}


def inbox_of(call: Call) -> tuple[InboxItem, ...]:
    return queries.queries(call.site, call.who, call.console.queue)


def _inbox(call: Call) -> Response:
    return _page(call)


def _page(call: Call, why: str = "", status: int = 200) -> Response:
    found = inbox_of(call)
    number = min(call.number("page", 1), max(-(-len(found) // _SIZE), 1))
    shown = found[(number - 1) * _SIZE : number * _SIZE]
    call.console.note_list(call, "inbox", len(shown))
    names = {each.id: each.name for each in call.site.people.all()}
    return call.page(
        "physician/inbox.html",
        status,
        found=shown,
        total=len(found),
        number=number,
        size=_SIZE,
        names=names,
        fact_words=FACT_WORDS,
        why=why,
        form=call.form if why else {},
        lists=call.lists if why else {},
    )


def _stated(call: Call) -> list[str]:
    """The facts of the form, of those that were chosen."""
    return [
        f"{path}={value}" for path in FACT_WORDS if (value := call.form.get(f"fact.{path}", "")) in ("true", "false")
    ]


def _reply(call: Call) -> Response:
    number, text = call.said("query", 12), call.said("text")
    try:
        if not number.isdecimal():
            raise WorkstationError(call.tr("The form names no query."))
        who = signed_by(call)
        queries.reply(call.site, int(number), who.id, call.form.get("secret", ""), text, _stated(call))
    except WorkstationError as error:
        return _page(call, call.tr(str(error)), 422)
    return call.go("/inbox", call.tr("Your reply is signed and on file."))


def _answer(call: Call) -> Response:
    """A hold that nobody has asked about: the physician states what is missing, and signs."""
    text, stated = call.said("text"), _stated(call)
    key = call.said("case", 40)
    with call.console.acting_on(key):
        return _answered(call, key, text, stated)


def _answered(call: Call, key: str, text: str, stated: list[str]) -> Response:
    try:
        # What another physician supervised, or says nothing of what was asked, is not stated here.
        item = next((each for each in inbox_of(call) if each.row.key == key and not each.query), None)
        if item is None:
            raise WorkstationError(call.tr("This case does not wait for you, or not any more. Nothing was done."))
        row, stated = item.row, [each for each in stated if each.partition("=")[0] in item.facts]
        if not stated:
            raise WorkstationError(call.tr("Choose what you state."))
        who = may(signed_by(call), "reply", text)
        words = f"{text}\n\n{', '.join(stated)}\n"
        answer_with(call.site, row.session, who, text, stated, "statement.txt", words.encode())
    except WorkstationError as error:
        return _page(call, call.tr(str(error)), 422)
    return call.go("/inbox", call.tr("Your statement is signed and on file."))


def _own(call: Call) -> Response:
    """What became of a physician's own 3D work."""
    rows = call.console.queue.rows(QueueFilter(physician=call.who.id))
    months: dict[str, Counter[str]] = {}
    for row in rows:
        month = f"{row.day:%Y-%m}" if row.day else "?"
        state = "charged" if row.state in ("queued", "sent", "acknowledged", "operator") else row.state
        months.setdefault(month, Counter())[state] += 1
    reasons = Counter(reason for row in rows if row.is_open for reason in row.reasons)
    values: dict[str, Any] = {
        "months": sorted(months.items(), reverse=True),
        "states": ("charged", "held", "correction", "denied", "credited"),
        "reasons": reasons.most_common(),
        "total": len(rows),
        "techniques": Counter(each for row in rows for each in row.techniques).most_common(),
    }
    return call.page("physician/own.html", **values)


def waiting(call: Call) -> int:
    """How many cases wait for a physician."""
    return queries.cases_waiting(call.who, call.console.queue) if call.who.role == "physician" else 0


ROUTES = (
    get("/inbox", _inbox, PHYSICIAN),
    get("/own", _own, PHYSICIAN),
    post("/inbox/reply", _reply, PHYSICIAN),
    post("/inbox/answer", _answer, PHYSICIAN),
)
