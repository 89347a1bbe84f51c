"""Deciding recorded cases again: what a new edition, new edits, or facts that came in the meantime change."""

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import date

from workstation.billing.filing import file_new_records
from workstation.billing.gather_facts import PoliciesByDay
from workstation.billing.reconcile import DECIDED
from workstation.billing.settle import settle_accession
from workstation.charge import Decision, Policy, decide, decision_to_json, read_facts
from workstation.charge.reasons import OURS
from workstation.orders.sr_reports import REPORT_CLASSES
from workstation.site import Site
from workstation.store.cases import Ruling


def changed_decisions(
    rulings: Iterable[Ruling], policy_on: Callable[[date | None], Policy]
) -> Iterator[tuple[Ruling, Decision]]:
    """Yield those that come out differently under the policy of their date of service, with the new decision.

    Reasons that no rule gives (what people decided, what our own record lacks) are not looked at: a ruling with one is
    yielded only when the rules themselves say something else than they did.
    """
    for ruling in rulings:
        if ruling.facts == "{}":
            continue
        facts = read_facts({**json.loads(ruling.facts), "previous_charges": []}, ruling.contract)
        decision = decide(facts, policy_on(facts.date_of_service))
        made = decision_to_json(decision)
        if any(made[key] != ruling.content["rules"][key] for key in DECIDED):
            yield ruling, decision


def recheck(site: Site, everything: bool = False) -> dict[str, int]:
    """Decide what is due, and every open case again. Returns how many cases were looked at, and how many changed.

    everything : also cases that are charged or denied, and read all that is on file again, as after a change of the
    settings or of imported edits.
    """
    forgotten = file_new_records(site)
    before = {ruling.session: ruling for ruling in site.casebook.newest()}
    due = site.casebook.due()
    for accession in due:
        settle_accession(accession, site, "")
    rulings = site.casebook.newest()
    open_ones = [each for each in rulings if everything or each.state in ("held", "correction")]
    policies = PoliciesByDay(site.config, site.root)
    if everything:
        again = {each.accession for each in open_ones}
    else:
        again = {ruling.accession for ruling, _ in changed_decisions(open_ones, policies.on)}
        # These rest on what no message tells of: our archive, our journal and our settings.
        again |= {each.accession for each in open_ones if OURS & set(each.content["reasons"])}
        # A report SR that came while nobody was there to see it.
        reported = {sr.accession for kind in REPORT_CLASSES for sr in site.archive.instances_of(kind)}
        again |= {e.accession for e in open_ones if "REPORT_NOT_FINAL" in e.content["reasons"]} & reported
    for accession in sorted(again):
        settle_accession(accession, site, "re-check")
    after = {ruling.session: ruling for ruling in site.casebook.newest()}
    changed = sum(before.get(s) is None or before[s].content != r.content for s, r in after.items())
    return {"forgotten": forgotten, "due": len(due), "looked_at": len(open_ones), "changed": changed}
