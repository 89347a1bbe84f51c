"""What a person may do with a case, and who may: release, deny, credit, correct, answer, note.

That a person is who they say, the caller has made sure of (`people.People`); what they may do stands here. An act is
written into the casebook with the person and the reason before anything follows from it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, Literal

from dicom_io.evidence import Person
from workstation.billing.accession import read
from workstation.billing.human_decisions import basis_of
from workstation.billing.reconcile import LIVE
from workstation.billing.settle import SettledCase, settle_accession, touch_same_day
from workstation.charge.cms_imports import imported
from workstation.charge.reasons import RELEASABLE
from workstation.coder.units_out import UnitsOf, units_out
from workstation.coder.work_list import WorkError, find
from workstation.site import Site
from workstation.store.cases import CaseAct, CaseActKind, Overtaken, Ruling
from workstation.store.messages import Known
from workstation.transports.folder import write_file

ActingRole = Literal["coder", "physician", "technologist", "compliance"]

# Which answer a member of the staff may give, and what kind of value it is. What a physician states nobody else can:
# what the report says, why 3D was done without an order, and whether an independent workstation was required. That a
# physician supervised is stated in a signed SR, and by no answer at all.
_BOOL, _WORD, _WORDS = "true or false", "one word", "words parted by commas"
ANSWERS: dict[str, tuple[str, frozenset[ActingRole]]] = {
    "payer.prior_authorization": (_WORD, frozenset({"coder", "technologist"})),
    "diagnoses": (_WORDS, frozenset({"coder"})),
    "base_procedures": (_WORD, frozenset({"coder"})),
    "order.three_d_ordered": (_BOOL, frozenset({"coder", "technologist"})),
    "order.urgent_documented": (_BOOL, frozenset({"coder", "physician"})),
    "order.radiologist_rationale": (_BOOL, frozenset({"physician"})),
    "report.three_d_findings": (_BOOL, frozenset({"physician"})),
    "report.workstation_statement": (_BOOL, frozenset({"physician"})),
    "report.medical_necessity": (_BOOL, frozenset({"physician"})),
    "report.clinical_utility": (_BOOL, frozenset({"physician"})),
    "independent_workstation_required": (_BOOL, frozenset({"physician"})),
}
_MAY: dict[CaseActKind, frozenset[ActingRole]] = {
    "release": frozenset({"coder"}),
    "deny": frozenset({"coder", "compliance"}),
    "reopen": frozenset({"coder", "compliance"}),
    "credit": frozenset({"coder", "compliance"}),
    "correct": frozenset({"coder"}),
    "note": frozenset({"coder", "compliance", "physician", "technologist"}),
    "accept": frozenset({"coder", "compliance"}),
    "keep": frozenset({"coder", "compliance"}),
    "assign": frozenset({"coder", "compliance"}),
    "query": frozenset({"coder", "compliance"}),
    "reply": frozenset({"physician"}),
    "attach": frozenset({"coder", "compliance"}),
    "detach": frozenset({"coder", "compliance"}),
    "dismiss": frozenset({"coder", "compliance"}),
    "appeal": frozenset({"coder"}),
    "sample": frozenset({"compliance"}),
    "review": frozenset({"compliance"}),
}
_DOCUMENTS = "documents"
# Modifiers that a coder may add to what is released: distinct services, repeats, sides, and notices to the patient.
# Those of the component (26, TC) come from the settings. Source: CMS, NCCI Policy Manual, chapter I; MLN1783722.
RELEASE_MODIFIERS = ("59", "XE", "XS", "XP", "XU", "76", "77", "LT", "RT", "GA", "GX", "GY", "GZ")


def release(
    site: Site,
    word: str,
    by: Person,
    why: str,
    modifiers: Sequence[str] = (),
    base: str = "",
    lines: Sequence[int] = (),
) -> list[SettledCase]:
    """A coder releases a hold that is a matter of judgement; what is proposed is charged.

    What the payer has denied before is taken back by the same release, so that billing never has two debits.
    modifiers : further ones for each line, behind those of the component. base : the performed base procedure to link
    to, in the place of the proposed one. lines : which of the proposed lines are charged, as `numbered` counts them;
    all where none is given.

    Raises WorkError when it is not held, waits for something that a coder cannot decide, or is released with a modifier
    or base that it cannot have.
    """
    who, ruling = may(by, "release", why), fresh_case(site, word)
    content = ruling.content
    if ruling.state != "held":
        raise WorkError(f"{word}: the case is {ruling.state}, not held; there is nothing to release.")
    beyond = [each for each in content["explanations"] if each["code"] not in RELEASABLE]
    if beyond:
        listed = "; ".join(f"{each['code']} (can be resolved by: {each['resolver']})" for each in beyond)
        raise WorkError(f"{word}: a coder cannot decide {listed}. Nothing was released.")
    if not content["proposed"]:
        raise WorkError(f"{word}: it cannot be told what would be charged; nothing was released.")
    wanted = _lines(lines, content["proposed"], word)
    _check_units(site, wanted, ruling)
    if base and len({(each["code"], each["entity"]) for each in wanted}) < len(wanted):
        raise WorkError(f"{word}: several lines would be one charge beside {base}; choose one. Nothing was released.")
    facts = json.loads(ruling.facts)
    answered = [[each["code"], basis_of(each["fact"], facts)] for each in content["explanations"]]
    earlier = _last_release(site, ruling)
    chosen = {
        "modifiers": list(_modifiers(site, modifiers, facts)),
        "base": _base(base, facts),
        "lines": [[each["code"], each["base"], each["entity"]] for each in wanted] if lines else [],
    }
    said = {key: value for key, value in chosen.items() if value}
    return write_act(site, ruling, who, "release", why, {"answered": [*earlier, *answered], **said})


def numbered(lines: Sequence[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Return the lines of a decision's JSON by the numbers that a release names them with, from 1. Two of the same
    code, base and entity are one: they would be one charge twice."""
    once: dict[tuple[str, str, str], dict[str, Any]] = {}
    for line in lines:
        once.setdefault((line["code"], line["base"], line["entity"]), line)
    return dict(enumerate(once.values(), 1))


def _lines(wanted: Sequence[int], proposed: Sequence[dict[str, Any]], word: str) -> list[dict[str, Any]]:
    offered = numbered(proposed)
    for number in wanted:
        if number not in offered:
            raise WorkError(
                f"{word}: there is no line {number}; {len(offered)} would be charged, numbered from 1 as `workstation "
                "charge show` has them. Nothing was released."
            )
    return [line for number, line in offered.items() if not wanted or number in wanted]


def _modifiers(site: Site, wanted: Sequence[str], facts: dict[str, Any]) -> tuple[str, ...]:
    payer = site.config.on(_day_of(facts)).payers.get(facts.get("payer", {}).get("id", ""))
    known = (*RELEASE_MODIFIERS, *(payer.modifiers if payer is not None else ()))
    for modifier in wanted:
        if modifier not in known:
            raise WorkError(
                f"{modifier!r} is no modifier that a release adds: {', '.join(known)}. A payer's own ones go into "
                "[payers.ID] of the settings. Nothing was released."
            )
    return tuple(dict.fromkeys(wanted))


def _day_of(facts: dict[str, Any]) -> date | None:
    try:
        return date.fromisoformat(facts.get("date_of_service", ""))
    except ValueError:
        return None


def _base(wanted: str, facts: dict[str, Any]) -> str:
    performed = [each["code"] for each in facts.get("base_procedures", ()) if each["status"] == "performed"]
    if wanted and wanted not in performed:
        raise WorkError(
            f"{wanted} is no performed base procedure of this case ({', '.join(performed) or 'it has none'}). Nothing "
            "was released."
        )
    return wanted


def deny(site: Site, word: str, by: Person, why: str) -> list[SettledCase]:
    """A coder decides that a held case is never charged.

    Raises WorkError when a charge of it is out: that is credited.
    """
    who, ruling = may(by, "deny", why), fresh_case(site, word)
    if ruling.state not in ("held", "denied"):
        raise WorkError(f"{word}: a charge of this case is out; use `workstation charge credit`.")
    return write_act(site, ruling, who, "deny", why, {})


def reopen(site: Site, word: str, by: Person, why: str) -> list[SettledCase]:
    """Take back what was decided by hand: the rules decide again.

    Raises WorkError when nothing was decided by hand.
    """
    who, ruling = may(by, "reopen", why), fresh_case(site, word)
    if not any(act.kind in ("release", "deny", "credit") for act in site.casebook.acts(ruling.session)):
        raise WorkError(f"{word}: nothing was decided by hand; the rules decide already.")
    return write_act(site, ruling, who, "reopen", why, {})


def answer(site: Site, word: str, by: Person, why: str, stated: Sequence[str], document: Path) -> list[SettledCase]:
    """Answer a hold with a document: facts as `path=value`, and the file that bears them out, which is kept.

    Raises WorkError when this person may not state the fact, or the value cannot be.
    """
    try:
        content = document.read_bytes()
    except OSError as error:
        raise WorkError(f"{document}: cannot be read ({error.strerror}); an answer needs its document.") from None
    return answer_with(site, word, by, why, stated, document.name, content)


def answer_with(
    site: Site,
    word: str,
    by: Person,
    why: str,
    stated: Sequence[str],
    name: str,
    content: bytes,
    more: Mapping[str, Any] | None = None,
    known: int | None = None,
) -> list[SettledCase]:
    """Answer as `answer` does, with the document's name and content. more : what else the act says. known : how many
    acts the case had when this was decided on; as it is now, where it is not given.

    Raises WorkError as `answer`.
    """
    facts = dict(stated_fact(each, by) for each in stated)
    if not facts:
        raise WorkError("An answer states at least one fact, as path=value.")
    check_said(why)
    ruling = fresh_case(site, word)
    ruling = ruling if known is None else replace(ruling, known_acts=known)
    if not content:
        raise WorkError(f"{name}: the file is empty; an answer needs its document.")
    digest = hashlib.sha256(content).hexdigest()
    folder = site.archive.root / _DOCUMENTS
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder, f"{digest}{Path(name).suffix}", content)
    # The sender's clock may be ahead of ours; an answer is later than all that was known when it was given.
    stated_at = [each.stated_at for each in read(ruling.accession, site).stated]
    after = max([site.clock(), *stated_at]).isoformat()
    detail = {**(more or {}), "facts": facts, "document": name, "sha256": digest, "after": after}
    return write_act(site, ruling, by, "answer", why, detail)


def credit(site: Site, word: str, by: Person, why: str, called: str = "") -> list[SettledCase]:
    """Take back every charge of a case that is out, and charge it no more until it is reopened. What the payer denied
    is written off in this way.

    called : another word for it, which is kept with the act.

    Raises WorkError when nothing is out.
    """
    who, ruling = may(by, "credit", why), fresh_case(site, word)
    keys = [known.charge.key for known in own_charges(site, ruling) if known.state in LIVE or known.stands_at_billing]
    if not keys:
        raise WorkError(f"{word}: no charge of this case is out; there is nothing to credit.")
    return write_act(site, ruling, who, "credit", why, {"keys": keys, **({"called": called} if called else {})})


def correct(site: Site, word: str, by: Person, why: str) -> list[SettledCase]:
    """Take back what is out and no longer borne by the facts, and charge what they bear now, if anything.

    Raises WorkError when no correction is due.
    """
    who, ruling = may(by, "correct", why), fresh_case(site, word)
    if ruling.state != "correction" or not ruling.content["stale"]:
        raise WorkError(f"{word}: what is out is what the facts bear; no correction is due.")
    return write_act(site, ruling, who, "correct", why, {"keys": ruling.content["stale"]})


def note(site: Site, word: str, by: Person, why: str) -> list[SettledCase]:
    """Write a note into the case. Nothing follows from it."""
    who, ruling = may(by, "note", why), fresh_case(site, word)
    return write_act(site, ruling, who, "note", why, {})


def payer_denied(site: Site, word: str, by: Person, why: str) -> list[SettledCase]:
    """Record that the payer turned the charges of a case down. A coder then decides whether it is charged again.

    Raises WorkError when nothing is out.
    """
    who, ruling = may(by, "release", why), fresh_case(site, word)
    out = [known for known in own_charges(site, ruling) if known.state in ("sent", "acknowledged")]
    if not out:
        raise WorkError(f"{word}: no charge of this case has been sent; the payer cannot have seen it.")
    # Due first: whatever happens after the denial is recorded, it is decided on.
    site.casebook.touch(ruling.accession, f"denied by the payer, {who.id}")
    for known in out:
        site.outbox.record_charge(known.charge.key, "denied", site.clock(), f"{who.id}: {why}")
    touch_same_day(read(ruling.accession, site), site)
    return write_act(site, ruling, who, "note", f"denied by the payer: {why}", {})


def may(who: Person, kind: CaseActKind, why: str) -> Person:
    """Return the person, who may do this for this reason. Raises WorkError."""
    if who.role not in _MAY[kind]:
        raise WorkError(
            f"{who.id} is a {who.role}; to {kind} takes a {' or '.join(sorted(_MAY[kind]))}. Nothing was done."
        )
    check_said(why)
    return who


def check_said(why: str) -> None:
    """Raise WorkError where no reason is given."""
    if not why.strip():
        raise WorkError("Say why; an act without a reason is not written down, and so not done.")


def fresh_case(site: Site, word: str) -> Ruling:
    """Return the case as it is now, with everything decided that was due, to act on it."""
    ruling = find(site, word)
    known = site.casebook.count_acts(ruling.session)
    settle_accession(ruling.accession, site, "")
    return replace(site.casebook.newest_of(ruling.session) or ruling, known_acts=known)


def own_charges(site: Site, ruling: Ruling) -> list[Known]:
    """Return the charges of a case, oldest first."""
    uids = {record.sr_uid for record in site.casebook.records_of(ruling.session)}
    return [known for known in site.outbox.charges(ruling.accession) if known.charge.sr_uid in uids]


def write_act(
    site: Site, ruling: Ruling, who: Person, kind: CaseActKind, why: str, detail: dict[str, Any]
) -> list[SettledCase]:
    """Write an act into the casebook, and decide its accession anew. Return what its case has become.

    Raises WorkError where somebody else has acted on the case since it was read.
    """
    file_act(site, ruling, who, kind, why, detail)
    settled = settle_accession(ruling.accession, site, "")
    return [each for each in settled if each.record.session == ruling.session]


def file_act(
    site: Site, ruling: Ruling, who: Person, kind: CaseActKind, why: str, detail: dict[str, Any], *, due: bool = True
) -> int:
    """Write an act into the casebook, and return its place. Two people who act at once do not both: what the second
    one decided on is no longer so. A note stands beside everything.

    Raises WorkError where somebody else has acted on the case since it was read.
    """
    known = None if kind == "note" else ruling.known_acts
    at = site.clock()
    try:
        return site.casebook.act(
            ruling.session, ruling.accession, at, who.id, who.role, kind, why, detail, due=due, known=known
        )
    except Overtaken:
        last = [act for act in site.casebook.acts(ruling.session) if act.kind != "assign"][-1]
        raise WorkError(
            f"{ruling.accession}: {last.person} acted on this case meanwhile ({last.kind}). Nothing was done; look at "
            "the case again."
        ) from None


def _last_release(site: Site, ruling: Ruling) -> list[list[str]]:
    """What was answered before and still stands: a second release adds to the first."""
    acts: tuple[CaseAct, ...] = site.casebook.acts(ruling.session)
    decisive = [act for act in acts if act.kind in ("release", "deny", "reopen", "credit")]
    if not decisive or decisive[-1].kind != "release":
        return []
    found: list[list[str]] = decisive[-1].detail["answered"]
    return found


def _check_units(site: Site, lines: Sequence[dict[str, Any]], ruling: Ruling) -> None:
    """No release goes over the units that the site's MUE file allows for a code, a patient and a day, with what is out
    under the patient's other accessions."""
    facts, edits = json.loads(ruling.facts), imported(site.root)
    if not edits.units or not facts.get("date_of_service"):
        return
    patient, day, out = facts["patient_id"], date.fromisoformat(facts["date_of_service"]), units_out(site)
    one_each = {(line["code"], line["base"], line["entity"]): line["units"] for line in lines}
    for code, entity in sorted({(code, entity) for code, _, entity in one_each}):
        here = sum(n for (c, _, e), n in one_each.items() if (c, e) == (code, entity))
        others = [
            (known.charge.accession, n)
            for known, n in out.get(UnitsOf(patient, day, code, entity), ())
            if known.charge.accession != ruling.accession
        ]
        units, most = here + sum(n for _, n in others), edits.units_allowed(code, day)
        if most is not None and units > most:
            beside = f", with {', '.join(sorted({a for a, _ in others}))}" if others else ""
            raise WorkError(
                f"{units} units of {code} would be charged{beside}; the MUE file allows {most} on {day}. "
                "Nothing was done."
            )


def stated_fact(text: str, who: Person) -> tuple[str, Any]:
    """Return path and value of `path=value`. Raises WorkError where this person may not state it, or it is no value."""
    path, equals, value = text.partition("=")
    if not equals or path not in ANSWERS:
        raise WorkError(f"{path}: no answer states this; one of {', '.join(ANSWERS)}, as path=value.")
    kind, roles = ANSWERS[path]
    if who.role not in roles:
        raise WorkError(
            f"{path}: only a {' or '.join(sorted(roles))} can state this; {who.id} is a {who.role}. Nothing was filed."
        )
    if kind == _BOOL:
        if value not in ("true", "false"):
            raise WorkError(f"{path}: {value!r} is not true or false.")
        return path, value == "true"
    words = value.split(",") if kind == _WORDS else [value]
    if not all(word and word == word.strip() and word.isprintable() and " " not in word for word in words):
        raise WorkError(f"{path}: {value!r} is not {kind}.")
    return path, words if kind == _WORDS else value
