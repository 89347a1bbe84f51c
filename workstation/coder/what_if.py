"""What a decision would be if a fact were another one, and what a correction changes. Nothing is written."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from workstation.billing.accession import read
from workstation.billing.charged_line import Billed, read_billed
from workstation.billing.gather_facts import decide_facts, site_policy
from workstation.billing.human_decisions import overlaid
from workstation.billing.reconcile import billed_of
from workstation.billing.settle import DecidedRecord, decide_record
from workstation.charge import Decision, Facts, FactsError, decision_to_json, facts_to_json, read_facts
from workstation.coder.site_amounts import SiteAmounts
from workstation.coder.work_list import WorkError, find
from workstation.site import Site
from workstation.store.cases import Record, Ruling


@dataclass(frozen=True, slots=True)
class Difference:
    """One value before and after, JSON-ready. field : its path."""

    field: str
    before: Any
    after: Any


def what_if(site: Site, word: str, changes: Sequence[str]) -> dict[str, Any]:
    """Return the decision on a case as it is, and as it would be with facts changed, JSON-ready.

    changes : `path=value` of any fact, as `renderings[0].technique=mpr`; a list or object as JSON, or words parted by
    commas. What the site's settings say goes by the date of service, which may be among the changes.

    Raises WorkError for a path that is no fact, a value that cannot be, or a case whose record is incomplete.
    """
    ruling, record, decided = _decided(site, word)
    facts = decided.facts
    if facts is None:
        raise WorkError(f"{word}: the record of this case is incomplete, so it has no facts to change.")
    plain = facts_to_json(facts)
    for change in changes:
        _set(plain, change)
    try:
        other = read_facts(plain, facts.contract)
    except FactsError as error:
        raise WorkError(f"{word}: {error}") from None
    after = _decide(site, record, other, decided)
    before, now = decision_to_json(decided.decision), decision_to_json(after)
    return {
        "accession": ruling.accession,
        "session": ruling.session,
        "changes": [asdict(each) for each in differences(facts_to_json(facts), facts_to_json(other))],
        "before": {**before, "expected": _expected(site, decided.decision, facts)},
        "after": {**now, "expected": _expected(site, after, other)},
        "differences": [asdict(each) for each in differences(before, now)],
    }


def corrections(site: Site, word: str) -> list[dict[str, Any]]:
    """Return what was billed beside what would be, field by field, JSON-ready: one entry for each charge that is out
    and no longer borne by the facts, and for each that would come anew.

    charge : the key of what is out, empty where nothing is. fields : `field`, `billed`, `now` and whether they differ;
    None where there is nothing on that side. The patient is in it by number alone.

    Raises WorkError when no correction is due.
    """
    ruling, record, decided = _decided(site, word)
    stale = set(ruling.content["stale"])
    if ruling.state != "correction" or not stale:
        raise WorkError(f"{word}: what is out is what the facts bear; no correction is due.")
    known = site.outbox.charges(ruling.accession)
    out = [each for each in known if each.charge.key in stale]
    config = site.config.on(record.date_of_service)
    wanted = billed_of(record, decided.decision.lines, decided.file, known, config)
    borne = {
        read_billed(each.charge.billed).essence
        for each in known
        if each.charge.billed and each.is_out and each.charge.key not in stale
    }
    wanted = [each for each in wanted if each.essence not in borne]
    rows = []
    for each in out:
        was = read_billed(each.charge.billed) if each.charge.billed else None
        line = was.line if was is not None else None
        # The nearest one: of the same code and entity, else whichever is left.
        match = next((w for w in wanted if line and (w.line.code, w.line.entity) == (line.code, line.entity)), None)
        match = match or next(iter(wanted), None)
        if match is not None:
            wanted.remove(match)
        rows.append({"charge": each.charge.key, "state": each.state, "fields": _beside(was, match)})
    return [*rows, *({"charge": "", "state": "", "fields": _beside(None, each)} for each in wanted)]


def differences(before: Any, after: Any, path: str = "") -> list[Difference]:
    """Return where two JSON values differ, by path. Lists of objects are compared one by one, others as a whole."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        keys = dict.fromkeys([*before, *after])
        parts = [(f"{path}.{key}" if path else str(key), before.get(key), after.get(key)) for key in keys]
        return [each for name, old, new in parts for each in differences(old, new, name)]
    if isinstance(before, list) and isinstance(after, list) and any(isinstance(e, dict) for e in (*before, *after)):
        longest = max(len(before), len(after))
        old, new = ([*side, *[None] * (longest - len(side))] for side in (before, after))
        return [each for n in range(longest) for each in differences(old[n], new[n], f"{path}[{n}]")]
    return [] if before == after else [Difference(path, before, after)]


def _decided(site: Site, word: str) -> tuple[Ruling, Record, DecidedRecord]:
    ruling = find(site, word)
    view = read(ruling.accession, site)
    (record,) = [each for each in view.snapshot.records if each.sr_uid == ruling.sr_uid]
    return ruling, record, decide_record(record, view, site)


def _decide(site: Site, record: Record, facts: Facts, was: DecidedRecord) -> Decision:
    """The decision on other facts, with what surrounds the rules as it is."""
    day = facts.date_of_service
    policy = was.policy if day == record.date_of_service else site_policy(site.config.on(day), site.root)
    further = [reason for reason in was.rules.reasons if reason.code == "JOURNAL_TAMPERED"]
    rules = decide_facts(facts, policy, was.file.unread, further)
    view = read(record.accession, site)
    return overlaid(rules, facts, record.session, view.known, view.snapshot.acts)


def _expected(site: Site, decision: Decision, facts: Facts) -> dict[str, str] | None:
    plain = decision_to_json(decision)
    lines = plain["lines"] or plain["proposed"]
    money = SiteAmounts(site).of(lines, facts.payer.id, facts.date_of_service)
    return {"low": f"{money.low:.2f}", "high": f"{money.high:.2f}", "basis": money.basis} if money else None


def _set(facts: dict[str, Any], change: str) -> None:
    path, equals, text = change.partition("=")
    steps = [int(step) if step.isdigit() else step for step in re.findall(r"[a-z0-9_]+", path)]
    if not equals or not steps:
        raise WorkError(f"{change!r} is no change; write a fact's path, =, and its value.")
    here: Any = facts
    try:
        for step in steps[:-1]:
            here = here[step]
        present = here[steps[-1]]
    except (LookupError, TypeError):
        raise WorkError(f"{path}: this case has no such fact; its facts are those of `charge show --json`.") from None
    here[steps[-1]] = _value(text, present)


def _value(text: str, present: Any) -> Any:
    """A value as text, read as what stands there now is."""
    if text == "null":
        return None
    if isinstance(present, str):
        return text
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = text
    if isinstance(present, list) and not isinstance(found, list):
        return [word for word in text.split(",") if word]
    # A number of a code is text as well: no fact is a number.
    return text if isinstance(found, int | float) and not isinstance(found, bool) else found


def _beside(was: Billed | None, now: Billed | None) -> list[dict[str, Any]]:
    before, after = _fields(was), _fields(now)
    return [
        {
            "field": name,
            "billed": before.get(name),
            "now": after.get(name),
            "differs": before.get(name) != after.get(name),
        }
        for name in dict.fromkeys([*before, *after])
    ]


def _fields(billed: Billed | None) -> dict[str, Any]:
    """What a biller and a payer see of a charge, by name, in the order in which a coder reads it."""
    if billed is None:
        return {}
    line, subject = asdict(billed.line), asdict(billed.subject)
    own = dict(_named(line, ("code", "modifiers", "units", "base", "entity")))
    wanted = ("diagnoses", "payer", "plan", "prior_authorization", "date_of_service", "place_of_service", "department",
              "location", "performing_physician_id", "ordering_physician_id", "attending_physician_id", "patient_id",
              "account_number", "visit_number", "patient_class")  # fmt: skip
    codes = {f"site_{name}": value for name, value in asdict(billed.codes).items() if value}
    return {**own, **dict(_named(subject, wanted)), **codes}


def _named(values: Mapping[str, Any], names: Sequence[str]) -> Iterator[tuple[str, Any]]:
    for name in names:
        value = values[name]
        yield name, value.isoformat() if isinstance(value, date) else list(value) if isinstance(value, tuple) else value
