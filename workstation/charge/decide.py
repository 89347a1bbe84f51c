"""Facts in, decision out. Pure: the same facts under the same policy give the same decision, whenever it is asked."""

from dataclasses import dataclass
from typing import Any, Literal

from .facts import Facts
from .lines import Line, lines_of
from .policy import Policy, PolicyName
from .reasons import Reason
from .rules import identity, no_edition, rules_of
from .work import WorkTier, work_of, work_tier

Disposition = Literal["release", "hold", "deny"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a charge, and why.

    lines : what goes out now; only for `release`.
    proposed : what would go out once the holds are cleared; only for `hold`, and empty while it cannot be told.
    reasons : every reason of the severity that won: all denials of a `deny`, all holds of a `hold`.
    policy, edition : what it was decided by; edition is None when none covers the date of service.
    """

    disposition: Disposition
    work_tier: WorkTier
    lines: tuple[Line, ...]
    proposed: tuple[Line, ...]
    reasons: tuple[Reason, ...]
    policy: PolicyName
    edition: str | None


def decide(facts: Facts, policy: Policy) -> Decision:
    """Decide one charge. Deny beats hold beats release."""
    tier = work_tier(facts, policy)
    edition = policy.edition_on(facts.date_of_service, facts.contract)
    if edition is None:
        # Nothing but identity can be judged without rules, and a denial is a judgement.
        reasons = (no_edition(facts), *identity(facts))
        return Decision("hold", tier, (), (), reasons, policy.name, None)
    work = work_of(facts, policy, edition)
    found = [*identity(facts), *(reason for rule in rules_of(facts.contract) for reason in rule(work))]
    denials = tuple(reason for reason in found if reason.severity == "deny")
    if denials:
        return Decision("deny", tier, (), (), denials, policy.name, edition.name)
    if found:
        return Decision("hold", tier, (), lines_of(work), tuple(found), policy.name, edition.name)
    return Decision("release", tier, lines_of(work), (), (), policy.name, edition.name)


def decision_to_json(decision: Decision) -> dict[str, Any]:
    """Return the decision as JSON-ready dicts and lists: `reasons` are codes, `explanations` the whole reasons."""
    return {
        "disposition": decision.disposition,
        "work_tier": decision.work_tier,
        "lines": [_line(line) for line in decision.lines],
        "proposed": [_line(line) for line in decision.proposed],
        "reasons": [reason.code for reason in decision.reasons],
        "explanations": [
            {"code": each.code, "sentence": each.sentence, "fact": each.fact, "resolver": each.resolver}
            for each in decision.reasons
        ],
        "policy": decision.policy,
        "edition": decision.edition,
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "code": line.code,
        "modifiers": list(line.modifiers),
        "units": line.units,
        "base": line.base,
        "entity": line.entity,
    }
