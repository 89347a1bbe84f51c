"""Deciding recorded cases again from the facts they were decided on: what a new edition or new edits change. Pure."""

import json
from collections.abc import Iterable, Iterator

from workstation.casebook import Ruling
from workstation.charge import Decision, Policy, decide, decision_to_json, read_facts

# What makes two decisions the same one. By which edition it was decided is recorded with it, and changes nothing.
DECIDED = ("disposition", "reasons", "lines", "proposed")


def changed_decisions(rulings: Iterable[Ruling], policy: Policy) -> Iterator[tuple[Ruling, Decision]]:
    """Yield those that come out differently under `policy`, with the new decision.

    Reasons that no rule gives (what people decided, what our own record lacks) are not looked at: a ruling with one is
    yielded only when the rules themselves say something else than they did.
    """
    for ruling in rulings:
        if ruling.facts == "{}":
            continue
        decision = decide(read_facts({**json.loads(ruling.facts), "previous_charges": []}), policy)
        made = decision_to_json(decision)
        if any(made[key] != ruling.content["rules"][key] for key in DECIDED):
            yield ruling, decision
