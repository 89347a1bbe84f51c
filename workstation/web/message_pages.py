"""What came in and belongs to no case, in the browser: read, attached or dismissed; and report phrases tried."""

from collections import Counter
from typing import Any, get_args

from starlette.responses import Response

from workstation.coder.case_view import stated_in, stated_in_words
from workstation.coder.phrase_trial import try_apart
from workstation.coder.unmatched import UnmatchedRow, attach, attached, detach, dismiss, find_row, unmatched
from workstation.coder.work_list import WorkError
from workstation.errors import WorkstationError
from workstation.reading import ReportFact
from workstation.web.call import Call, NotThere, Roles, get, post
from workstation.web.coder_pages import CODERS

# Who may try phrases: those who code, and who keeps the settings.
TRIERS: Roles = CODERS | frozenset({"administrator"})
_SIZE = 50
# What a report can state, as people say it.
FACT_NAMES: dict[str, str] = {
    "three_d_findings": "What the 3D pictures show",
    "workstation_statement": "That an independent workstation was used",
    "medical_necessity": "Why 3D was medically necessary",
    "clinical_utility": "What 3D contributed",
    "radiologist_rationale": "Why the radiologist added 3D",
    "urgent_documented": "That it was urgent",
}
_MOST_REPORTS = 1000
# How long phrases may look through them.
LIMIT_S = 60.0
# So many messages of unknown accessions are listed; the command line has all.
_MOST_MESSAGES = 5000
_KNOWN = "known"


def _list(call: Call) -> Response:
    rows = unmatched(call.site, _MOST_MESSAGES)
    counts = Counter(row.what for row in rows)
    what = call.query("what")
    known = [row for row in rows if row.has_case]
    # An examination without 3D has messages of unknown accessions too. Those of a patient with a case are worth a look.
    what = what or (_KNOWN if known else "")
    shown = known if what == _KNOWN else [row for row in rows if what in ("", "all", row.what)]
    shown.sort(key=lambda row: row.at, reverse=True)
    number = call.number("page", 1)
    call.console.note_list(call, "unmatched messages", len(shown), what)
    return call.page(
        "messages/list.html",
        rows=shown[(number - 1) * _SIZE : number * _SIZE],
        total=len(shown),
        number=number,
        size=_SIZE,
        what=what,
        counts=counts.most_common(),
        known=len(known),
        known_key=_KNOWN,
        attached=attached(call.site),
        keys={row.session: row.key for row in call.console.queue.rows(named=False)},
        most=_MOST_MESSAGES if counts["unknown accession"] >= _MOST_MESSAGES else 0,
    )


def _row_of(call: Call) -> UnmatchedRow:
    try:
        return find_row(call.site, call.path("row"))
    except WorkError:
        raise NotThere(call.tr("Nothing unmatched has this address; it may be attached or dismissed by now.")) from None


def _show(call: Call) -> Response:
    return _shown(call, _row_of(call))


def _shown(call: Call, row: UnmatchedRow, wrong: str = "") -> Response:
    """A row with what its message states, and what may be done with it."""
    call.console.note_list(call, "unmatched message", 1, row.id)
    said: dict[str, Any] = {"answer": "", "states": []}
    for received in call.site.casebook.message(row.place) if row.place else ():
        said = stated_in(call.site, received.body, received.at.date())
    return call.page(
        "messages/one.html",
        422 if wrong else 200,
        row=row,
        words=stated_in_words(said) if said["states"] else "",
        wrong=wrong,
        form=call.form if wrong else {},
    )


def _attach(call: Call) -> Response:
    row = _row_of(call)
    try:
        settled = attach(call.site, row.id, call.said("word", 64), call.who, call.said("why"))
    except WorkstationError as error:
        return _shown(call, row, call.tr(str(error)))
    session = settled[0].record.session
    said = call.tr("The message is read for accession {accession} from now on.", accession=settled[0].record.accession)
    key = next(each.key for each in call.console.queue.rows(named=False) if each.session == session)
    return call.go(f"/cases/{key}", said)


def _dismiss(call: Call) -> Response:
    row = _row_of(call)
    try:
        dismiss(call.site, row.id, call.who, call.said("why"))
    except WorkstationError as error:
        return _shown(call, row, call.tr(str(error)))
    return call.go("/messages", call.tr("It is off the list."))


def _detach(call: Call) -> Response:
    detach(call.site, call.path("row"), call.who, call.said("why"))
    return call.go("/messages?what=attached", call.tr("It is attached no longer."))


# Phrases


def _phrases(call: Call) -> Response:
    return _phrases_page(call)


def _phrases_page(call: Call, found: dict[str, Any] | None = None, wrong: str = "") -> Response:
    reading = call.site.config.on(call.site.clock().date()).reading
    own = {fact: "\n".join(reading.phrases.get(fact, ())) for fact in get_args(ReportFact)}
    tried = {fact: call.form.get(fact, own[fact]) for fact in own}
    if found:
        call.console.note_list(call, "sentences of reports", len(found["sentences"]))
    keys = {row.session: row.key for row in call.console.queue.rows(named=False)} if found else {}
    return call.page(
        "messages/phrases.html",
        422 if wrong else 200,
        facts=FACT_NAMES,
        own=own,
        tried=tried,
        found=found,
        sentences=_together(found["sentences"]) if found else [],
        keys=keys,
        by_accession={row.accession: row.key for row in call.console.queue.rows(named=False)} if found else {},
        wrong=wrong,
        last=call.form.get("last", "200"),
        sees_cases=call.who.role in CODERS,
    )


def _together(sentences: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The sentences that change, each once with the accessions of all reports that say it; the most frequent first."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for each in sentences:
        key = each["text"], *each["before"], "→", *each["now"]
        found.setdefault(key, {**each, "accessions": []})["accessions"].append(each["accession"])
    return sorted(found.values(), key=lambda each: -len(each["accessions"]))


def _try(call: Call) -> Response:
    """Tries what the form says; nothing is put in force, whatever comes out."""
    last = call.said("last", 5)
    if not last.isdecimal() or not 0 < int(last) <= _MOST_REPORTS:
        return _phrases_page(call, wrong=call.tr("The number of reports is one of 1 to {most}.", most=_MOST_REPORTS))
    phrases = {
        fact: [line.strip() for line in call.said(fact, 4000).split("\n") if line.strip()] for fact in FACT_NAMES
    }
    if not call.console.heavy.acquire(timeout=1.0):
        return _phrases_page(call, wrong=call.tr("Another long work is being done. Try again in a moment."))
    try:
        return _phrases_page(call, try_apart(call.site, phrases, int(last), seconds=LIMIT_S))
    except WorkError as error:
        return _phrases_page(call, wrong=call.tr(str(error)))
    finally:
        call.console.heavy.release()


ROUTES = (
    get("/messages", _list, CODERS),
    get("/messages/{row}", _show, CODERS),
    post("/messages/{row}/attach", _attach, CODERS),
    post("/messages/{row}/dismiss", _dismiss, CODERS),
    post("/messages/{row}/detach", _detach, CODERS),
    get("/phrases", _phrases, TRIERS),
    post("/phrases", _try, TRIERS),
)
