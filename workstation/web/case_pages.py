"""A case in the browser: what is on file, what is decided and why, and every act that a person may do with it."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.responses import Response

from workstation.audit.trail import Moved, late
from workstation.billing.charged_line import read_billed
from workstation.charge.reasons import RELEASABLE
from workstation.coder import acts, denials, queries
from workstation.coder.assigning import assign
from workstation.coder.case_papers import case_papers
from workstation.coder.case_view import view
from workstation.coder.edits_in_force import keep
from workstation.coder.queue_rows import QueueRow, open_queries
from workstation.coder.what_if import corrections
from workstation.coder.work_list import WorkError
from workstation.errors import WorkstationError
from workstation.site import Site
from workstation.store.cases import Ruling
from workstation.web.call import Call, NotThere, Roles, get, post
from workstation.web.case_pictures import picture_of, pictures_of_case
from workstation.web.coder_pages import CODERS, READERS, filter_of, query_of
from workstation.web.uploads import checked_document

# How long after its last sign of life a page counts as open.
_OPEN_S = 45.0
CODER: Roles = frozenset({"coder"})


@dataclass(frozen=True, slots=True)
class CaseOfPage:
    """The case that an address names. version : what was known of it, to see whether it has changed since."""

    row: QueueRow
    ruling: Ruling
    version: str


def case_of(call: Call) -> CaseOfPage:
    """The case of the address, which is shown: the audit trail says so, once for a call. Raises NotThere."""
    case = case_named(call)
    note_shown(call, case)
    return case


def note_shown(call: Call, case: CaseOfPage, document: str = "") -> None:
    """Notes in the audit trail that somebody sees a case, or takes a document of it away."""
    console, now = call.console, call.site.clock()
    uid = json.loads(case.ruling.facts).get("study_instance_uid", "")
    moved = Moved(uid, case.row.accession, case.row.patient_id, {})
    console.shown_to(call.token, case.row.key)
    with late():
        if document:
            console.trail.exported(call.who.id, moved, f"urn:document:{document}", now, address=call.address)
        elif not call.noted:
            call.noted = True
            console.trail.accessed(call.who.id, moved, "R", now, address=call.address)


def case_named(call: Call) -> CaseOfPage:
    """The case of the address, for what does not show it. Raises NotThere."""
    try:
        row = call.console.queue.find(call.path("key"))
    except WorkError as error:
        raise NotThere(str(error)) from None
    ruling = call.site.casebook.newest_of(row.session)
    if ruling is None:
        raise NotThere(call.tr("No case has this address."))
    return CaseOfPage(row, ruling, _version(call, row.session))


def _version(call: Call, session: str) -> str:
    book = call.site.casebook
    # An assignment changes nothing that an act rests on.
    done = sum(1 for act in book.acts(session) if act.kind != "assign")
    return f"{len(book.history(session))}.{done}"


def _show(call: Call) -> Response:
    return _page(call, case_named(call))


# What only some acts say.
_SAID_BY_SOME: dict[str, Any] = {
    "called": "",
    "facts": {},
    "to": "",
    "modifiers": (),
    "base": "",
    "lines": (),
    "document": "",
    "sha256": "",
}


# A case whose record is incomplete has no facts, and is looked at all the same.
_NO_FACTS: dict[str, Any] = {
    "base_procedures": (),
    "other_procedures": (),
    "diagnoses": (),
    "renderings": (),
    "independent_workstation_required": None,
    "payer": {"id": "", "prior_authorization_required": False, "prior_authorization": None},
    "order": {"three_d_ordered": False, "radiologist_rationale": False, "urgent": False},
    "supervision": {"physician": None, "acts": ()},
    "operator": {"id": "", "role": ""},
    "report": {"status": "none"},
}


def _page(call: Call, case: CaseOfPage, why: str = "", status: int = 200) -> Response:
    """The case. why : why what was just sent was not done; its fields are shown again."""
    site, row, ruling = call.site, case.row, case.ruling
    note_shown(call, case)
    seen = view(site, ruling)
    seen["acts"] = [{**_SAID_BY_SOME, **each} for each in seen["acts"]]
    decision = seen["decision"]
    reasons = [{**each, "releasable": each["code"] in RELEASABLE} for each in decision["explanations"]]
    others = site.console.look_at(row.key, call.who.id, site.clock(), _OPEN_S)
    proposed = acts.numbered(decision["proposed"])
    facts = {**_NO_FACTS, **json.loads(ruling.facts)}
    people = site.people.all()
    names = {each.id: each.name for each in people}
    billed = _billed(site, ruling)
    made = Counter(_rendering_words(call, each) for each in facts["renderings"])
    return call.page(
        "coder/case.html",
        status,
        row=row,
        seen=seen,
        decision=decision,
        reasons=reasons,
        proposed=proposed,
        facts=facts,
        renderings=list(made.items()),
        papers=case_papers(site, ruling),
        pictures=pictures_of_case(site, ruling),
        corrections=corrections(site, row.session) if seen["correction_of"] else (),
        offers_what_if=call.who.role in CODERS,
        offers_links=call.who.role in ("physician", "compliance"),
        billed=billed,
        others=[names.get(each, each) for each in others],
        names=names,
        offers=_offers(call, case, seen, reasons, billed),
        answers=[(path, kind) for path, (kind, roles) in acts.ANSWERS.items() if call.who.role in roles],
        modifiers=acts.RELEASE_MODIFIERS,
        physicians=[each for each in people if each.role == "physician"],
        coders=[each.id for each in people if each.role in CODERS],
        asked=open_queries(site.casebook.acts(row.session)),
        version=case.version,
        query=query_of(call),
        why=why,
        form=call.form if why else {},
        chosen_lines=call.lists.get("line", ()) if why else tuple(str(n) for n in proposed),
        chosen_modifiers=call.lists.get("modifier", ()) if why else (),
    )


def _rendering_words(call: Call, made: dict[str, Any]) -> str:
    words = [f"{call.tr(made['technique'])}, {call.tr(made['region'])}"]
    words += [] if made["archived"] else [call.tr("not archived")]
    words += [call.tr("prepared, unchanged")] if made.get("prepared") else []
    words += [] if made["performed_here"] else [call.tr("not made here")]
    return ", ".join(words)


def _billed(site: Site, ruling: Ruling) -> list[dict[str, Any]]:
    """What went to billing for the case, for people."""
    return [
        {"known": known, "line": read_billed(known.charge.billed).line if known.charge.billed else None}
        for known in acts.own_charges(site, ruling)
    ]


def _offers(
    call: Call,
    case: CaseOfPage,
    seen: dict[str, Any],
    reasons: Sequence[dict[str, Any]],
    billed: Sequence[dict[str, Any]],
) -> frozenset[str]:
    """What this person may do with the case now, by the names of the acts. What is not offered is refused as well."""
    state, role = case.ruling.state, call.who.role
    found = {"note"} if role in ("coder", "compliance", "physician") else set[str]()
    if role not in CODERS:
        return frozenset(found)
    found |= {"assign", "query"}
    decided = any(each["kind"] in ("release", "deny", "credit") for each in seen["acts"])
    out = [each for each in seen["charges"] if each["state"] in ("queued", "sent", "acknowledged")]
    stands_denied = any(known["known"].stands_at_billing for known in billed)
    if state in ("held", "denied") and not out:
        found.add("deny")
    if decided:
        found.add("reopen")
    if out or stands_denied:
        found.add("write-off" if stands_denied else "credit")
    if any(each["breaks_edits"] for each in seen["charges"]):
        found.add("keep")
    if role == "coder":
        if state == "held" and reasons and all(each["releasable"] for each in reasons) and seen["decision"]["proposed"]:
            found.add("rebill" if stands_denied else "release")
        if state == "held" and stands_denied and "appeal" not in _since_denied(seen):
            found.add("appeal")
        if state == "correction":
            found.add("correct")
        if any(each["state"] in ("sent", "acknowledged") for each in seen["charges"]):
            found.add("denied")
        if state in ("held", "denied", "correction"):
            found.add("answer")
    return frozenset(found - ({"deny"} if case.row.state == "credited" else set()))


def _since_denied(seen: dict[str, Any]) -> list[str]:
    """The kinds of acts since the payer's last denial."""
    kinds: list[str] = []
    for act in seen["acts"]:
        kinds = [] if act["kind"] == "note" and act["why"].startswith("denied by the payer") else [*kinds, act["kind"]]
    return kinds


# Acts

Doing = Callable[[Call, CaseOfPage, str], Any]


def _release(call: Call, case: CaseOfPage, why: str) -> Any:
    return acts.release(call.site, case.row.session, call.who, why, *_chosen(call))


def _rebill(call: Call, case: CaseOfPage, why: str) -> Any:
    return denials.rebill(call.site, case.row.session, call.who, why, *_chosen(call))


def _chosen(call: Call) -> tuple[list[str], str, list[int]]:
    """Modifiers, base and lines of a release."""
    lines = [int(each) for each in call.lists.get("line", ()) if each.isdecimal() and len(each) < 6]
    if "lines_shown" in call.form and not lines:
        raise WorkError(call.tr("No line was chosen; a release charges one at least. Nothing was released."))
    everything = len(lines) == len(call.form.get("lines_shown", ""))
    modifiers = [each for each in call.lists.get("modifier", ()) if each]
    modifiers += call.said("more_modifiers", 40).upper().replace(",", " ").split()
    return modifiers, call.said("base", 20), [] if everything else lines


def _answer(call: Call, case: CaseOfPage, why: str) -> Any:
    path, value = call.said("fact", 80), call.said("value", 400)
    document = checked_document(call, "document")
    stated = [f"{path}={value}"] if path else []
    return acts.answer_with(call.site, case.row.session, call.who, why, stated, document.name, document.content)


def _assign(call: Call, case: CaseOfPage, why: str) -> Any:
    assign(call.site, case.row.session, call.who, call.said("to", 64), why)


def _query(call: Call, case: CaseOfPage, why: str) -> Any:
    return queries.query(call.site, case.row.session, call.who, call.said("to", 64), why)


def _appeal(call: Call, case: CaseOfPage, why: str) -> Any:
    denials.appeal(call.site, case.row.session, call.who, why)


def _plainly(act: Callable[..., Any]) -> Doing:
    return lambda call, case, why: act(call.site, case.row.session, call.who, why)


# By the name in the address: what is done, who may, and what the page then says.
ACTS: dict[str, tuple[Doing, Roles, str]] = {
    "release": (_release, CODER, "Released."),
    "rebill": (_rebill, CODER, "Charged again."),
    "deny": (_plainly(acts.deny), CODERS, "Not billable, as you decided."),
    "reopen": (_plainly(acts.reopen), CODERS, "Open again: the rules decide."),
    "credit": (_plainly(acts.credit), CODERS, "Credited."),
    "write-off": (_plainly(denials.write_off), CODERS, "Written off."),
    "appeal": (_appeal, CODER, "The appeal is written down."),
    "correct": (_plainly(acts.correct), CODER, "Corrected."),
    "keep": (_plainly(keep), CODERS, "The charge stands."),
    "denied": (_plainly(acts.payer_denied), CODER, "The payer's denial is written down."),
    "note": (_plainly(acts.note), frozenset({"coder", "compliance", "physician"}), "The note is written down."),
    "answer": (_answer, CODER, "The answer is filed with its document."),
    "assign": (_assign, CODERS, "Assigned."),
    "query": (_query, CODERS, "The query is sent to the physician's inbox."),
}


def _doing(name: str) -> Callable[[Call], Response]:
    do, _, words = ACTS[name]

    def answer(call: Call) -> Response:
        with call.console.acting_on(call.path("key")):
            return act(call)

    def act(call: Call) -> Response:
        case = case_named(call)
        if name != "assign" and call.form.get("version", case.version) != case.version:
            return _page(call, case, _what_changed(call, case), 409)
        try:
            do(call, case, call.said("why"))
        except WorkstationError as error:
            return _page(call, case_named(call), call.tr(str(error)), 422)
        query = query_of(call)
        where = f"/cases/{case.row.key}{'/next' if call.said('next', 4) else ''}"
        return call.go(f"{where}?{query}" if query else where, _what_became(call, case.row, words))

    return answer


def _what_changed(call: Call, case: CaseOfPage) -> str:
    book = call.site.casebook
    done = [act for act in book.acts(case.row.session) if act.kind != "assign"]
    last = done[-1] if done else None
    ruling = case.ruling
    if last is not None and last.at >= ruling.at and last.person != call.who.id:
        said = call.tr("{who} did this meanwhile: {act}.", who=last.person, act=f"{last.kind}, {last.why}")
    else:
        said = call.tr("It was decided anew meanwhile, because: {cause}.", cause=ruling.cause)
    return f"{said} {call.tr('Nothing of yours was done; look at the case as it is now, and send it again.')}"


def _what_became(call: Call, row: QueueRow, words: str) -> str:
    now = call.console.queue.find(row.key)
    state = call.tr(call.console.state_words(now.state))
    now_words = call.tr("The case of accession {accession} is now: {state}.", accession=row.accession, state=state)
    return f"{call.tr(words)} {now_words}"


def _others(call: Call) -> Response:
    row, who = case_named(call), call.who.id
    others = call.site.console.look_at(row.row.key, who, call.site.clock(), _OPEN_S)
    changed = call.query("version") not in ("", row.version)
    names = {each.id: each.name for each in call.site.people.all()}
    return call.page(
        "coder/others.html",
        others=[names.get(each, each) for each in others],
        changed=changed,
        row=row.row,
        version=row.version,
    )


def _document(call: Call) -> Response:
    """A document that an answer rests on, as it came. It is never shown by the browser: it is somebody else's file."""
    case, wanted = case_named(call), call.path("digest")
    for act in call.site.casebook.acts(case.row.session):
        if act.kind == "answer" and act.detail.get("sha256") == wanted:
            name = Path(str(act.detail["document"])).name
            file = call.site.archive.root / "documents" / f"{wanted}{Path(name).suffix}"
            try:
                content = file.read_bytes()
            except OSError:
                raise NotThere(call.tr("The document is not in the store; a backup has it.")) from None
            note_shown(call, case, wanted)
            return call.download(name, content, "application/octet-stream")
    raise NotThere(call.tr("This case has no such document."))


def _picture(call: Call) -> Response:
    """A picture of a case; whoever asks for it without the page that it stands on is noted as well."""
    case = case_named(call)
    response = picture_of(call, case.ruling)
    if not call.console.was_shown(call.token, case.row.key):
        note_shown(call, case)
    return response


def _next(call: Call) -> Response:
    """The next open case of the list that this one was opened from, or the list when there is none."""
    rows = [row.key for row in call.console.queue.rows(filter_of(call), call.query("sort", "since"))]
    here = call.path("key")
    behind = rows[rows.index(here) + 1 :] if here in rows else rows
    query = query_of(call)
    where = f"/cases/{behind[0]}" if behind else "/cases"
    return call.go(f"{where}?{query}" if query else where, "" if behind else call.tr("That was the last case."))


ROUTES = (
    get("/cases/{key}", _show, READERS),
    get("/cases/{key}/others", _others, READERS),
    get("/cases/{key}/next", _next, READERS),
    get("/cases/{key}/documents/{digest}", _document, READERS),
    get("/cases/{key}/pictures/{picture}/{name}", _picture, READERS),
    *(post(f"/cases/{{key}}/{name}", _doing(name), roles) for name, (_, roles, _) in ACTS.items()),
)
