"""What people decided, laid over what the rules decide: pure.

A coder may release a hold that is a matter of judgement, or deny it. A release answers the reasons it was given for, as
they stood then: when the facts under a reason change, it has to be answered again. A charge that a receiver or a payer
turned down is not sent again by itself.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from workstation.charge import Decision, Facts, Line, Reason, facts_to_json
from workstation.charge.reasons import RELEASABLE, deny, hold
from workstation.store.cases import CaseAct
from workstation.store.messages import Known

_DECISIVE = ("release", "deny", "reopen", "credit")


def overlaid(
    decision: Decision, facts: Facts | None, session: str, known: Sequence[Known], acts: Sequence[CaseAct]
) -> Decision:
    """Return the decision on a session after what people did.

    known, acts : the charges and the acts of the whole accession. What was turned down or taken back in one session
    must not go out by itself in another one of the same accession.
    """
    decisive = {each.session: each for each in acts if each.kind in _DECISIVE}
    last = decisive.pop(session, None)
    if last is not None and last.kind in ("deny", "credit"):
        code = "DENIED_BY_CODER" if last.kind == "deny" else "CREDITED_BY_CODER"
        reason = deny(code, f"{last.person}: {last.why}", "acts")
        return replace(decision, disposition="deny", lines=(), proposed=(), reasons=(reason,))
    if decision.disposition != "deny":
        decision = _turned_down(decision, [each.charge.key for each in known if each.state == "denied"], decisive)
    if last is None or last.kind != "release":
        return decision
    plain = facts_to_json(facts) if facts is not None else {}
    if decision.disposition == "release":
        return _as_released(decision, decision.lines, last.detail, plain)
    if decision.disposition != "hold":
        return decision
    answered = {(code, basis) for code, basis in last.detail["answered"]}
    left = tuple(
        reason
        for reason in decision.reasons
        if reason.code not in RELEASABLE or (reason.code, basis_of(reason.fact, plain)) not in answered
    )
    if left:
        return replace(decision, reasons=left)
    return _as_released(decision, decision.proposed, last.detail, plain)


def _as_released(
    decision: Decision, lines: Sequence[Line], detail: Mapping[str, Any], facts: Mapping[str, Any]
) -> Decision:
    """The release as the coder chose it: the lines, further modifiers, and the base."""
    offered = {name_of_line(each): each for each in _one_each(lines)}
    chosen = [tuple(each) for each in detail.get("lines", offered)]
    if not offered.keys() >= set(chosen):
        words = "The lines that a coder chose are no longer those that are proposed; choose anew."
        changed = hold("CHOSEN_LINES_CHANGED", words, ", ".join(" ".join(each) for each in chosen))
        return replace(decision, disposition="hold", lines=(), proposed=tuple(offered.values()), reasons=(changed,))
    kept = tuple(_as_chosen(offered[each], detail, facts) for each in chosen)
    return replace(decision, disposition="release", lines=kept, proposed=(), reasons=())


def name_of_line(line: Line) -> tuple[str, str, str]:
    """Return what tells a line of a decision from its others: code, base and entity."""
    return line.code, line.base, line.entity


def _as_chosen(line: Line, detail: Mapping[str, Any], facts: Mapping[str, Any]) -> Line:
    """A line with the further modifiers that the coder chose at release, and the base while it is performed."""
    added = tuple(each for each in detail.get("modifiers", ()) if each not in line.modifiers)
    performed = {each["code"] for each in facts.get("base_procedures", ()) if each["status"] == "performed"}
    base = detail["base"] if detail.get("base") in performed else line.base
    return replace(line, modifiers=(*line.modifiers, *added), base=base)


def _turned_down(decision: Decision, turned_down: Sequence[str], elsewhere: Mapping[str, CaseAct]) -> Decision:
    found: list[Reason] = []
    if turned_down:
        found.append(
            hold(
                "CHARGE_TURNED_DOWN",
                "A charge of this accession was withdrawn by an operator or denied by the payer; a coder has to decide "
                "whether it is charged again.",
                f"charge {', '.join(turned_down)}",
            )
        )
    credited = [key for act in elsewhere.values() if act.kind == "credit" for key in act.detail["keys"]]
    if credited:
        found.append(
            hold(
                "CREDITED_ELSEWHERE",
                "A coder has credited the charge of another session of this accession; a coder has to decide whether "
                "this one is charged in its place.",
                f"charge {', '.join(credited)}",
            )
        )
    return held(decision, *found)


def held(decision: Decision, *reasons: Reason) -> Decision:
    """Return the decision with further reasons to wait; a denial stands."""
    if decision.disposition == "deny" or not reasons:
        return decision
    proposed = decision.lines or decision.proposed
    return replace(decision, disposition="hold", lines=(), proposed=proposed, reasons=(*decision.reasons, *reasons))


def basis_of(fact: str, facts: dict[str, Any]) -> str:
    """Return the values that a reason rests on, as text; where its `fact` is no path into the facts, that itself."""
    values = []
    for path in fact.split(", "):
        try:
            found: Any = facts
            for step in re.findall(r"[a-z0-9_]+", path):
                found = found[int(step) if step.isdigit() else step]
        except (LookupError, TypeError, ValueError):
            found = path
        values.append(json.dumps(found, sort_keys=True))
    return "; ".join(sorted(values))


def _one_each(lines: Sequence[Line]) -> tuple[Line, ...]:
    """One line for a base, code and entity: two would be one charge twice."""
    found: dict[tuple[str, str, str], Line] = {}
    for line in lines:
        found.setdefault(name_of_line(line), line)
    return tuple(found.values())
