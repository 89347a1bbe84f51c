"""What must hold for every case, not only for the ones somebody thought of."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any, get_args

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.workstation.charge.strategies import (
    CASES,
    RELEASING,
    any_facts,
    days,
    facts_of_every_kind,
    first_edition_facts,
    near_release,
    steady,
)
from workstation.charge import Decision, Facts, Line, Policy, decide, decision_to_json, load_policy, read_facts
from workstation.charge.facts import BaseProcedure, PreviousCharge, Setting, facts_to_json
from workstation.charge.reasons import REASONS, Resolver

GUIDE, CPT = load_policy("guide"), load_policy("cpt")
policies = st.sampled_from([GUIDE, GUIDE.with_reformats("release"), GUIDE.with_reformats("deny"), CPT])


def units(lines: tuple[Line, ...]) -> int:
    return sum(line.units for line in lines)


@steady
@given(facts_of_every_kind)
def test_facts_survive_json(facts: Facts) -> None:
    assert read_facts(json.loads(json.dumps(facts_to_json(facts)))) == facts


@steady
@given(facts_of_every_kind, policies)
def test_a_decision_is_whole(facts: Facts, policy: Policy) -> None:
    decision = decide(facts, policy)
    if decision.disposition == "release":
        assert decision.lines
        assert not decision.reasons
        assert not decision.proposed
    else:
        assert decision.reasons
        assert not decision.lines
    if decision.disposition == "deny":
        assert not decision.proposed
    codes = [reason.code for reason in decision.reasons]
    assert len(codes) == len(set(codes))
    for reason in decision.reasons:
        assert reason.severity == decision.disposition
        assert reason.kind in REASONS and reason.kind.rule
        assert reason.resolver == reason.kind.resolver
        assert reason.resolver in get_args(Resolver)
        assert reason.sentence.endswith(".")
        assert reason.fact
    for line in (*decision.lines, *decision.proposed):
        assert line.units == 1
        assert line.base in {base.code for base in facts.base_procedures if base.status == "performed"}


@steady
@given(facts_of_every_kind, policies)
def test_the_two_codes_never_go_out_together(facts: Facts, policy: Policy) -> None:
    decision = decide(facts, policy)
    assert len({line.code for line in (*decision.lines, *decision.proposed)}) <= 1
    again = [line.base for line in decision.lines if line.entity != "technical"]
    assert len(again) == len(set(again))


@steady
@given(facts_of_every_kind, policies)
def test_the_same_facts_give_the_same_decision(facts: Facts, policy: Policy) -> None:
    first = decision_to_json(decide(facts, policy))
    assert decision_to_json(decide(read_facts(facts_to_json(facts)), policy)) == first
    assert json.loads(json.dumps(first)) == first


INCLUSIONS: list[Callable[[Facts], Facts]] = [
    lambda facts: replace(facts, other_procedures=(*facts.other_procedures, "31627")),
    lambda facts: replace(facts, other_procedures=(*facts.other_procedures, "34839")),
    lambda facts: replace(facts, base_procedures=(_including(facts), *facts.base_procedures)),
    lambda facts: replace(facts, base_procedures=(*facts.base_procedures, _including(facts))),
]


def _including(facts: Facts) -> BaseProcedure:
    return BaseProcedure("71275", "performed", facts.study_instance_uid)


@steady
@given(facts_of_every_kind, policies, st.sampled_from(INCLUSIONS))
def test_an_inclusion_never_raises_billed_units(facts: Facts, policy: Policy, add: Callable[[Facts], Facts]) -> None:
    assert units(decide(add(facts), policy).lines) <= units(decide(facts, policy).lines)


# What can be taken away from a released case, as (path, value in its absence).
REMOVALS: list[dict[str, Any]] = [
    {"sr": {"verified": False}},
    {"report": {"status": "none"}},
    {"report": {"status": "preliminary"}},
    {"report": {"patient_id": None}},
    {"report": {"three_d_findings": False}},
    {"report": {"medical_necessity": False}},
    {"report": {"clinical_utility": False}},
    {"supervision": {"physician": None}},
    {"supervision": {"concurrent": None}},
    {"supervision": {"acts": []}},
    {"order": {"three_d_ordered": False, "radiologist_rationale": False, "urgent_documented": False}},
    {"base_procedures": []},
    {"renderings": []},
]


@steady
@given(near_release(), policies, st.sampled_from(REMOVALS))
def test_nothing_required_can_be_removed(facts: Facts, policy: Policy, removal: dict[str, Any]) -> None:
    assume(decide(facts, policy).disposition == "release")
    plain = facts_to_json(facts)
    for key, value in removal.items():
        plain[key] = {**plain[key], **value} if isinstance(value, dict) else value
    assert decide(read_facts(plain), policy).disposition != "release"


@steady
@given(near_release(), policies, st.data())
def test_nothing_conditionally_required_can_be_removed(facts: Facts, policy: Policy, data: st.DataObject) -> None:
    decision = decide(facts, policy)
    assume(decision.disposition == "release")
    counted = [index for index, rendering in enumerate(facts.renderings) if rendering.performed_here]
    chosen = data.draw(st.sampled_from(counted))
    unarchived = list(facts.renderings)
    unarchived[chosen] = replace(unarchived[chosen], archived=False)
    gone = [
        replace(facts, renderings=tuple(unarchived)),
        replace(facts, renderings=tuple(replace(each, performed_here=False) for each in facts.renderings)),
    ]
    if decision.lines[0].code == "76377":
        gone.append(replace(facts, report=replace(facts.report, workstation_statement=False)))
        if policy is CPT:
            gone.append(replace(facts, independent_workstation_required=None))
    if facts.payer.prior_authorization_required:
        gone.append(replace(facts, payer=replace(facts.payer, prior_authorization=None)))
    if facts.payer.covered_diagnoses is not None:
        gone.append(replace(facts, diagnoses=()))
    for each in gone:
        assert decide(each, policy).disposition != "release"


@steady
@given(near_release(), policies)
def test_a_missing_paper_never_lowers_the_code(facts: Facts, policy: Policy) -> None:
    decision = decide(facts, policy)
    assume(decision.disposition == "release")
    less = replace(facts, report=replace(facts.report, workstation_statement=False))
    after = decide(less, policy)
    assert (after.lines or after.proposed) == decision.lines


@steady
@given(facts_of_every_kind, st.sampled_from([GUIDE, CPT]), days)
def test_a_newer_edition_never_reaches_back(facts: Facts, policy: Policy, begins: date) -> None:
    assume(begins > policy.editions[-1].effective_from)
    newest = replace(
        policy.editions[-1],
        name="made up",
        effective_from=begins,
        tomographic=frozenset({"XA"}),
        review_modalities=frozenset(),
        contiguous=frozenset(),
        reformats="release",
        projection=policy.editions[-1].volumetric,
    )
    extended = replace(policy, editions=(*policy.editions, newest))
    if facts.date_of_service < begins:
        assert decide(facts, extended) == decide(facts, policy)
    else:
        assert decide(facts, extended).edition == "made up"


@steady
@given(facts_of_every_kind)
def test_cpt_never_releases_reformats_alone(facts: Facts) -> None:
    flat = tuple(replace(each, technique="mpr") for each in facts.renderings)
    assert decide(replace(facts, renderings=flat), CPT).disposition != "release"


def _essence(decision: Decision) -> tuple[Any, ...]:
    # Fact paths carry positions; the order of regions may change the order of lines.
    lines = [sorted(map(repr, each)) for each in (decision.lines, decision.proposed)]
    return decision.disposition, decision.work_tier, [reason.code for reason in decision.reasons], lines


@steady
@given(facts_of_every_kind, policies, st.randoms(use_true_random=False))
def test_the_order_of_lists_does_not_matter(facts: Facts, policy: Policy, random: Any) -> None:
    def shuffled(items: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(random.sample(items, len(items)))

    other = replace(
        facts,
        renderings=shuffled(facts.renderings),
        other_procedures=shuffled(facts.other_procedures),
        diagnoses=shuffled(facts.diagnoses),
        previous_charges=shuffled(facts.previous_charges),
    )
    assert _essence(decide(other, policy)) == _essence(decide(facts, policy))


@steady
@given(facts_of_every_kind, policies)
def test_the_order_of_bases_only_chooses_the_base(facts: Facts, policy: Policy) -> None:
    other = decide(replace(facts, base_procedures=facts.base_procedures[::-1]), policy)
    this = decide(facts, policy)
    assert other.disposition == this.disposition
    assert [reason.code for reason in other.reasons] == [reason.code for reason in this.reasons]
    assert [line.code for line in other.lines] == [line.code for line in this.lines]


@steady
@given(facts_of_every_kind, policies)
def test_only_renderings_made_here_count(facts: Facts, policy: Policy) -> None:
    counted = tuple(each for each in facts.renderings if each.performed_here)
    assume(counted)
    assert _essence(decide(replace(facts, renderings=counted), policy)) == _essence(decide(facts, policy))


@steady
@given(facts_of_every_kind, policies, st.sampled_from(["scheduled", "cancelled"]))
def test_only_performed_bases_count(facts: Facts, policy: Policy, status: Any) -> None:
    more = (BaseProcedure("71275", status, "1.9"), *facts.base_procedures)
    assert _essence(decide(replace(facts, base_procedures=more), policy)) == _essence(decide(facts, policy))


@steady
@given(facts_of_every_kind, policies)
def test_dead_charges_and_those_of_other_days_do_not_count(facts: Facts, policy: Policy) -> None:
    live = tuple(
        each
        for each in facts.previous_charges
        if each.state not in ("denied", "credited")
        and (each.accession == facts.accession or each.date_of_service == facts.date_of_service)
    )
    assert _essence(decide(replace(facts, previous_charges=live), policy)) == _essence(decide(facts, policy))


@steady
@given(near_release(), policies, st.sampled_from(["queued", "sent", "acknowledged"]), st.data())
def test_what_touches_it_is_never_charged_twice_a_day(
    facts: Facts, policy: Policy, state: Any, data: st.DataObject
) -> None:
    first = decide(facts, policy)
    assume(first.disposition == "release")
    counted = [each.region for each in facts.renderings if each.performed_here]
    elsewhere = data.draw(st.sampled_from([facts.accession, "ACC8"]))
    charge = PreviousCharge(
        "K", first.lines[0].code, elsewhere, "70450", state, "1.2", facts.date_of_service,
        (data.draw(st.sampled_from(counted)),),
    )  # fmt: skip
    again = decide(replace(facts, previous_charges=(*facts.previous_charges, charge)), policy)
    assert [each.code for each in again.reasons] == ["DUPLICATE" if elsewhere == facts.accession else "SAME_DAY_REVIEW"]


@steady
@given(near_release(), policies)
def test_what_was_only_prepared_is_never_released(facts: Facts, policy: Policy) -> None:
    unattended = tuple(replace(each, prepared=True) for each in facts.renderings)
    assert decide(replace(facts, renderings=unattended), policy).disposition != "release"


@steady
@given(facts_of_every_kind, policies, st.sampled_from(["technical", "global", "split"]))
def test_a_hospital_never_releases_what_its_facility_bills(facts: Facts, policy: Policy, entity: Any) -> None:
    assert decide(replace(facts, setting=Setting("hospital", entity)), policy).disposition != "release"


@steady
@given(facts_of_every_kind, policies, st.booleans())
def test_a_base_of_another_study_changes_nothing_beside_one_of_this(
    facts: Facts, policy: Policy, including: bool
) -> None:
    here = {each.study_instance_uid for each in facts.base_procedures if each.status == "performed"}
    assume(facts.study_instance_uid in here)
    code = "71275" if including else "70450"
    # A tie to it would be one to a base that was performed after all.
    assume(code not in {each.base_procedure for each in facts.renderings})
    more = (BaseProcedure(code, "performed", "1.9"), *facts.base_procedures)
    assert _essence(decide(replace(facts, base_procedures=more), policy)) == _essence(decide(facts, policy))


@steady
@given(first_edition_facts)
def test_facts_of_the_first_edition_survive_json(facts: Facts) -> None:
    plain = json.loads(json.dumps(facts_to_json(facts)))
    assert read_facts(plain, 1) == facts
    assert "laterality" not in json.dumps(plain)


@steady
@given(first_edition_facts, policies)
def test_what_the_first_edition_did_not_ask_for_decides_nothing_under_it(facts: Facts, policy: Policy) -> None:
    decision = decide(facts, policy)
    changed = replace(
        facts,
        previous_charges=tuple(replace(each, date_of_service=date(2001, 1, 1)) for each in facts.previous_charges),
    )
    assert decision_to_json(decide(changed, policy)) == decision_to_json(decision)
    since = {"SAME_DAY_REVIEW", "OTHER_MODALITY_REVIEW", "REGION_MISMATCH", "PROCEDURE_UNCLASSIFIED",
             "PREPARED_UNCHANGED", "ENTITY_NOT_FOR_SITE"}  # fmt: skip
    assert not since & {reason.code for reason in decision.reasons}
    assert decision.edition is None or ".2" not in decision.edition


@steady
@given(near_release(), policies, policies, st.sampled_from(["queued", "sent", "acknowledged"]))
@example(read_facts(RELEASING), GUIDE, CPT, "queued")
def test_a_released_charge_is_never_released_again(facts: Facts, policy: Policy, later: Policy, state: Any) -> None:
    first = decide(facts, policy)
    assume(first.disposition == "release")
    charged = tuple(
        PreviousCharge(
            f"K{index}",
            line.code,
            facts.accession,
            line.base,
            state,
            facts.sr.sop_instance_uid,
            facts.date_of_service,
            tuple(dict.fromkeys(each.region for each in facts.renderings if each.performed_here)),
        )
        for index, line in enumerate(first.lines)
    )
    assert decide(replace(facts, previous_charges=charged), later).disposition != "release"
    assert [each.code for each in decide(replace(facts, previous_charges=charged), policy).reasons] == ["DUPLICATE"]


@steady
@given(any_facts, policies)
def test_the_tier_is_always_recorded(facts: Facts, policy: Policy) -> None:
    made = {each.technique for each in facts.renderings if each.performed_here}
    volumetric = {"volume_rendering", "surface_rendering", "segmentation_volumetry", "endoluminal"}
    expected = "T2" if made & volumetric else "T1" if made else "none"
    assert decide(facts, policy).work_tier == expected


@pytest.mark.parametrize("policy", [GUIDE, CPT], ids=["guide", "cpt"])
def test_sentences_name_no_patient(policy: Policy) -> None:
    for case in CASES:
        for reason in decide(read_facts(case["facts"]), policy).reasons:
            assert "PAT" not in reason.sentence
