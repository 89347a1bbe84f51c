"""The acceptance cases, and combinations they do not show."""

import copy
from typing import Any

import pytest

from tests.workstation.charge.strategies import CASES, FIRST_CASES, RELEASING, STUDY
from workstation.charge import Policy, PolicyError, decide, decision_to_json, load_policy, read_facts
from workstation.charge.facts import as_first_edition
from workstation.charge.reasons import REASONS

GUIDE, CPT = load_policy("guide"), load_policy("cpt")
POLICIES = {"guide": GUIDE, "cpt": CPT}


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("case", CASES, ids=[str(case["id"]) for case in CASES])
def test_acceptance_case(case: dict[str, Any], policy: Policy) -> None:
    decision = decision_to_json(decide(read_facts(case["facts"]), policy))
    expected = case["expect"][policy.name]
    assert {key: decision[key] for key in expected} == expected


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("case", FIRST_CASES, ids=[str(case["id"]) for case in FIRST_CASES])
def test_facts_of_the_first_edition_decide_as_they_did(case: dict[str, Any], policy: Policy) -> None:
    decision = decision_to_json(decide(read_facts(case["facts"], 1), policy))
    expected = case["expect"][policy.name]
    assert {key: decision[key] for key in expected} == expected


def test_the_cases_give_every_reason_there_is() -> None:
    seen = {
        (reason.code, reason.severity)
        for case in CASES
        for policy in POLICIES.values()
        for reason in decide(read_facts(case["facts"]), policy).reasons
    }
    assert seen == {(kind.code, kind.severity) for kind in REASONS if kind.rule}


def base(code: str, status: str = "performed", study: str = STUDY) -> dict[str, Any]:
    return {"code": code, "status": status, "study_instance_uid": study}


def rendering(technique: str = "volume_rendering", region: str = "FACE", **changes: Any) -> dict[str, Any]:
    plain = {"laterality": None, "base_procedure": None, "performed_here": True, "prepared": False, "archived": True}
    return {"technique": technique, "region": region, **plain, "purpose": "diagnosis", **changes}


def charge(code: str, state: str = "sent", accession: str = "ACC1", *regions: str, **changes: Any) -> dict[str, Any]:
    """A charge of the face on the same day, unless something else is said."""
    plain = {"key": "K", "base": "70486", "sr_uid": "1.2", "date_of_service": "2026-03-02"}
    known = {"code": code, "accession": accession, "state": state, "regions": list(regions or ["FACE"])}
    return {**plain, **known, **changes}


def outcome(policy: Policy = GUIDE, **changes: Any) -> dict[str, Any]:
    """Decide on the releasing case with some keys changed; `report__status` means `report.status`."""
    facts = copy.deepcopy(RELEASING)
    for path, value in changes.items():
        *parents, key = path.split("__")
        place = facts
        for parent in parents:
            place = place[parent]
        assert key in place
        place[key] = value
    return decision_to_json(decide(read_facts(facts), policy))


def first_outcome(policy: Policy = GUIDE, **changes: Any) -> dict[str, Any]:
    """Decide the same as facts that were written down under the first edition of the contract."""
    facts = as_first_edition({**copy.deepcopy(RELEASING), **changes})
    return decision_to_json(decide(read_facts(facts, 1), policy))


def billed(decision: dict[str, Any], which: str = "lines") -> list[tuple[str, str]]:
    return [(line["code"], line["base"]) for line in decision[which]]


class TestHistory:
    @pytest.mark.parametrize("state", ["queued", "sent", "acknowledged"])
    def test_a_live_charge_is_not_repeated(self, state: str) -> None:
        assert outcome(previous_charges=[charge("76377", state)])["reasons"] == ["DUPLICATE"]

    @pytest.mark.parametrize("earlier", [charge("76377", "denied"), charge("76376", "credited")])
    def test_a_dead_charge_does_not_block(self, earlier: dict[str, Any]) -> None:
        assert outcome(previous_charges=[earlier])["disposition"] == "release"

    def test_a_charge_of_the_same_accession_touches_by_its_regions(self) -> None:
        assert outcome(previous_charges=[charge("76377", "sent", "ACC1", "NECK")])["reasons"] == ["DUPLICATE"]
        assert outcome(previous_charges=[charge("76376", "sent", "ACC1", "NECK")])["reasons"] == ["MUTUALLY_EXCLUSIVE"]
        for code in ("76376", "76377"):
            decision = outcome(previous_charges=[charge(code, "sent", "ACC1", "CHEST")])
            assert decision["reasons"] == ["NONCONTIGUOUS_REVIEW"]
            assert billed(decision, "proposed") == [("76377", "70486")]

    def test_one_region_that_touches_is_enough(self) -> None:
        earlier = charge("76377", "sent", "ACC1", "PELVIS", "HEAD")
        assert outcome(previous_charges=[earlier])["reasons"] == ["DUPLICATE"]
        made = [rendering(region="FACE"), rendering(region="CHEST")]
        earlier = charge("76377", "sent", "ACC1", "CHEST")
        assert outcome(renderings=made, previous_charges=[earlier])["reasons"] == ["DUPLICATE"]

    @pytest.mark.parametrize(("accession", "reason"), [("ACC1", "DUPLICATE"), ("ACC9", "SAME_DAY_REVIEW")])
    def test_a_charge_of_unknown_regions_touches_everything(self, accession: str, reason: str) -> None:
        earlier = {**charge("76377", "sent", accession), "regions": []}
        assert outcome(previous_charges=[earlier])["reasons"] == [reason]

    @pytest.mark.parametrize("state", ["queued", "sent", "acknowledged"])
    @pytest.mark.parametrize("code", ["76376", "76377"])
    def test_a_touching_charge_of_the_day_under_another_accession_waits(self, code: str, state: str) -> None:
        decision = outcome(previous_charges=[charge(code, state, "ACC9", "NECK")])
        assert decision["reasons"] == ["SAME_DAY_REVIEW"]
        assert billed(decision, "proposed") == [("76377", "70486")]

    @pytest.mark.parametrize(
        "earlier",
        [
            charge("76377", "denied", "ACC9"),
            charge("76377", "credited", "ACC9"),
            charge("70486", "sent", "ACC9"),
            charge("76377", "sent", "ACC9", "CHEST"),
            charge("76377", "sent", "ACC9", date_of_service="2026-03-01"),
            charge("76377", "sent", "ACC9", date_of_service="2026-03-03"),
        ],
    )
    def test_any_other_charge_under_another_accession_does_not_matter(self, earlier: dict[str, Any]) -> None:
        assert outcome(previous_charges=[earlier])["disposition"] == "release"

    @pytest.mark.parametrize("earlier", [charge("70486"), charge("76377", "denied", "ACC1", "CHEST")])
    def test_what_is_no_live_charge_of_the_pair_is_no_other_work(self, earlier: dict[str, Any]) -> None:
        earlier = {**earlier, "regions": ["CHEST"]}
        assert outcome(previous_charges=[earlier])["disposition"] == "release"

    def test_reviews_of_earlier_charges_rest_on_their_keys(self) -> None:
        earlier = [charge("76377", "sent", "ACC9", key=key) for key in ("K2", "K1")]
        (found,) = outcome(previous_charges=earlier)["explanations"]
        assert found["fact"] == "previous_charges[key=K1], previous_charges[key=K2]"
        earlier = [charge("76377", "sent", "ACC1", "CHEST"), charge("76376", "sent", "ACC1", "CHEST", "PELVIS")]
        (found,) = outcome(previous_charges=earlier)["explanations"]
        assert "Other work of this accession, CHEST, PELVIS, is" in found["sentence"]
        assert found["fact"] == "previous_charges[key=K], previous_charges[key=K]"

    def test_where_nothing_can_be_charged_no_earlier_charge_is_reviewed(self) -> None:
        for accession in ("ACC1", "ACC9"):
            earlier = [charge("76376", "sent", accession, "CHEST" if accession == "ACC1" else "FACE")]
            decision = outcome(GUIDE.with_reformats("deny"), renderings=[rendering("mpr")], previous_charges=earlier)
            assert decision["reasons"] == ["TWO_D_ONLY"]

    def test_the_first_edition_knew_the_accession_alone(self) -> None:
        assert first_outcome(previous_charges=[charge("76377", "sent", "ACC9")])["disposition"] == "release"
        assert first_outcome(previous_charges=[charge("76377")])["reasons"] == ["DUPLICATE"]

    @pytest.mark.parametrize("code", ["76376", "76377"])
    def test_any_of_the_pair_holds_while_the_code_is_open(self, code: str) -> None:
        decision = outcome(CPT, independent_workstation_required=None, previous_charges=[charge(code)])
        assert decision["reasons"] == ["MUTUALLY_EXCLUSIVE", "IW_REQUIREMENT_UNSTATED"]
        assert decision["proposed"] == []

    def test_both_of_the_pair_deny_whatever_the_code(self) -> None:
        earlier = [charge("76376"), charge("76377")]
        assert outcome(CPT, independent_workstation_required=None, previous_charges=earlier)["reasons"] == ["DUPLICATE"]

    def test_the_other_code_is_proposed_as_the_replacement(self) -> None:
        decision = outcome(previous_charges=[charge("76376")])
        assert billed(decision, "proposed") == [("76377", "70486")]

    def test_the_pair_among_the_other_procedures_holds(self) -> None:
        assert outcome(other_procedures=["76376"])["reasons"] == ["MUTUALLY_EXCLUSIVE"]


class TestRenderings:
    def test_what_was_not_made_here_counts_for_nothing(self) -> None:
        foreign = rendering("mip", "LOWER_EXTREMITY", performed_here=False, archived=False, purpose="needle_mapping")
        assert billed(outcome(renderings=[foreign, rendering()])) == [("76377", "70486")]

    def test_one_needle_mapping_among_others_denies(self) -> None:
        made = [rendering(), rendering(purpose="needle_mapping")]
        assert outcome(renderings=made)["reasons"] == ["NEEDLE_MAPPING"]

    def test_a_reformat_beside_a_projection_adds_nothing(self) -> None:
        decision = outcome(renderings=[rendering("curved_mpr"), rendering("average_ip")])
        assert (decision["work_tier"], billed(decision)) == ("T1", [("76376", "70486")])

    def test_a_projection_on_a_device_that_is_not_independent_is_never_76377(self) -> None:
        decision = outcome(CPT, renderings=[rendering("mip")], independent_workstation=False)
        assert billed(decision) == [("76376", "70486")]

    def test_cpt_wants_no_statement_for_volumetric_work_on_a_device_that_is_not_independent(self) -> None:
        decision = outcome(CPT, independent_workstation=False, independent_workstation_required=None)
        assert billed(decision) == [("76376", "70486")]

    def test_no_workstation_statement_is_wanted_for_76376(self) -> None:
        assert outcome(renderings=[rendering("mip")], report__workstation_statement=False)["disposition"] == "release"

    def test_all_holds_are_listed(self) -> None:
        decision = outcome(sr__verified=False, report__three_d_findings=False, report__clinical_utility=False)
        assert decision["reasons"] == ["SR_NOT_VERIFIED", "NO_3D_INTERPRETATION", "UTILITY_MISSING"]

    def test_all_denials_are_listed_and_no_hold(self) -> None:
        decision = outcome(
            renderings=[], base_procedures=[base("71275")], operator__role="automatic", sr__verified=False
        )
        assert decision["reasons"] == ["NO_RENDERING", "BASE_INCLUDES_3D", "NO_CONCURRENT_SUPERVISION"]


class TestWords:
    """Codes are for programs; a coder reads the sentence, and looks at the fact it names."""

    def explained(self, code: str, policy: Policy = GUIDE, **changes: Any) -> tuple[str, str]:
        found = next(each for each in outcome(policy, **changes)["explanations"] if each["code"] == code)
        return found["sentence"], found["fact"]

    def test_reformats_alone(self) -> None:
        made = [rendering("mpr"), rendering("curved_mpr")]
        sentence, fact = self.explained("TWO_D_ONLY", renderings=made)
        assert sentence.endswith("; a coder has to look.")
        assert fact == "renderings[0].technique, renderings[1].technique"
        assert not self.explained("TWO_D_ONLY", CPT, renderings=made)[0].endswith("; a coder has to look.")

    @pytest.mark.parametrize(
        ("changes", "fact"),
        [
            ({"operator__role": "automatic"}, "operator.role"),
            ({"supervision__concurrent": False}, "supervision.concurrent"),
        ],
    )
    def test_no_supervision(self, changes: dict[str, Any], fact: str) -> None:
        assert self.explained("NO_CONCURRENT_SUPERVISION", **changes)[1] == fact

    @pytest.mark.parametrize(
        ("status", "words"), [("none", "There is no report yet"), ("preliminary", "is preliminary")]
    )
    def test_a_report_that_is_not_final(self, status: str, words: str) -> None:
        assert words in self.explained("REPORT_NOT_FINAL", report__status=status)[0]

    def test_a_pet_base_is_not_of_another_modality(self) -> None:
        changes = {
            "study__modality": "PT",
            "base_procedures": [base("78815"), base("70486")],
            "renderings": [rendering(base_procedure="70486")],
        }
        assert self.explained("BASE_MODALITY_MISMATCH", GUIDE, **changes)[0].startswith("70486 is not")

    def test_the_codes_at_fault_are_named_once(self) -> None:
        bases = [base("70486", study="1.9"), base("70488", study="1.9"), base("70486", study="1.8")]
        sentence, _ = self.explained("BASE_NOT_SAME_SESSION", base_procedures=bases)
        assert sentence.startswith("70486 and 70488 was performed")


class TestEntities:
    @pytest.mark.parametrize(
        ("entity", "lines"),
        [
            ("professional", [("professional", ["26"])]),
            ("technical", [("technical", ["TC"])]),
            ("global", [("global", [])]),
            ("facility", [("facility", [])]),
            ("split", [("technical", ["TC"]), ("professional", ["26"])]),
        ],
    )
    def test_each_entity_claims_its_part(self, entity: str, lines: list[Any]) -> None:
        decision = outcome(setting__entity=entity, setting__site="office")
        assert [(line["entity"], line["modifiers"]) for line in decision["lines"]] == lines
        assert all(line["units"] == 1 for line in decision["lines"])

    @pytest.mark.parametrize("entity", ["technical", "global", "split"])
    def test_what_a_hospital_does_not_bill_is_proposed_and_waits(self, entity: str) -> None:
        decision = outcome(setting__entity=entity)
        assert decision["reasons"] == ["ENTITY_NOT_FOR_SITE"]
        assert decision["proposed"] == outcome(setting__entity=entity, setting__site="office")["lines"]
        first = first_outcome(setting={"site": "hospital", "entity": entity})
        assert first["disposition"] == "release"

    @pytest.mark.parametrize("entity", ["professional", "facility"])
    def test_what_a_hospital_bills(self, entity: str) -> None:
        assert outcome(setting__entity=entity)["disposition"] == "release"

    def test_a_sites_modifiers_take_the_place_of_ours(self) -> None:
        policy = GUIDE.with_modifiers({"professional": ("26", "GC")})
        decision = outcome(policy)
        assert decision["lines"][0]["modifiers"] == ["26", "GC"]
        assert decision["edition"] == "guide-2006.2+modifiers-professional26GC"
        assert GUIDE.with_modifiers({}) is GUIDE
        for wrong in (("1",), ("26",) * 5, ("x1",)):
            with pytest.raises(PolicyError, match="at most four modifiers"):
                GUIDE.with_modifiers({"professional": wrong})


class TestLinks:
    def test_an_eligible_base_goes_before_one_that_is_not(self) -> None:
        decision = outcome(base_procedures=[base("79998"), base("70486")])
        assert decision["reasons"] == ["BASE_UNCLASSIFIED"]
        assert billed(decision, "proposed") == [("76377", "70486")]

    def test_a_tie_goes_before_that(self) -> None:
        made = [rendering(base_procedure="79998"), rendering(base_procedure="70486")]
        decision = outcome(base_procedures=[base("79998"), base("70486")], renderings=made)
        assert billed(decision, "proposed") == [("76377", "79998")]


class TestReformatsAlone:
    def test_where_they_are_never_charged_no_earlier_charge_is_repeated(self) -> None:
        decision = outcome(CPT, renderings=[rendering("mpr")], previous_charges=[charge("76376")])
        assert decision["reasons"] == ["TWO_D_ONLY"]

    made = (rendering("mpr"), rendering("curved_mpr"))

    def test_a_site_may_release_them_under_guide(self) -> None:
        decision = outcome(GUIDE.with_reformats("release"), renderings=list(self.made))
        assert billed(decision) == [("76376", "70486")]
        assert decision["edition"] == "guide-2006.2+reformats-release"

    def test_a_site_may_deny_them_under_guide(self) -> None:
        assert outcome(GUIDE.with_reformats("deny"), renderings=list(self.made))["reasons"] == ["TWO_D_ONLY"]

    def test_a_site_that_releases_them_still_needs_everything_else(self) -> None:
        decision = outcome(GUIDE.with_reformats("release"), renderings=list(self.made), report__status="none")
        assert decision["reasons"] == ["REPORT_NOT_FINAL"]


class TestBases:
    def test_scheduled_and_cancelled_bases_are_nothing(self) -> None:
        bases = [base("71275", "scheduled"), base("36224", "cancelled", "1.2.3.4")]
        assert outcome(base_procedures=bases)["reasons"] == ["BASE_MISSING"]
        assert billed(outcome(base_procedures=[*bases, base("70486")])) == [("76377", "70486")]

    @pytest.mark.parametrize(
        ("second", "reason"),
        [
            (base("70554"), ["BASE_MODALITY_MISMATCH", "BASE_UNCLASSIFIED"]),
            (base("71271"), ["BASE_UNCLASSIFIED"]),
            (base("99999"), ["BASE_UNCLASSIFIED"]),
            (base("72148"), ["BASE_MODALITY_MISMATCH"]),
            (base("71275"), ["BASE_INCLUDES_3D"]),
            (base("31627"), ["INCLUDED_IN_PROCEDURE"]),
            (base("34839"), ["BASE_UNCLASSIFIED", "INCLUSION_UNVERIFIED"]),
        ],
        ids=lambda value: value["code"] if isinstance(value, dict) else "+".join(value),
    )
    def test_one_wrong_base_among_several_is_found(self, second: dict[str, Any], reason: list[str]) -> None:
        assert outcome(base_procedures=[base("70486"), second])["reasons"] == reason
        assert outcome(base_procedures=[second, base("70486")])["reasons"] == reason

    @pytest.mark.parametrize("code", ["71250", "71275", "72148", "99999", "31627", "34839"])
    def test_a_base_of_another_study_beside_one_of_this_counts_for_nothing(self, code: str) -> None:
        other = base(code, study="1.2.3.4")
        for bases in ([base("70486"), other], [other, base("70486")]):
            assert billed(outcome(base_procedures=bases)) == [("76377", "70486")]

    def test_without_one_of_this_study_it_is_judged(self) -> None:
        other = base("71275", study="1.2.3.4")
        assert outcome(base_procedures=[other])["reasons"] == ["BASE_INCLUDES_3D"]
        assert outcome(base_procedures=[base("70486", study="1.2.3.4")])["reasons"] == ["BASE_NOT_SAME_SESSION"]

    def test_a_tie_to_a_base_of_another_study_holds(self) -> None:
        bases = [base("70486"), base("70490", study="1.2.3.4")]
        made = [rendering(), rendering(base_procedure="70490")]
        decision = outcome(base_procedures=bases, renderings=made)
        assert decision["reasons"] == ["BASE_NOT_SAME_SESSION"]
        assert decision["explanations"][0]["fact"] == "renderings[1].base_procedure"
        assert billed(decision, "proposed") == [("76377", "70486")]

    def test_a_code_of_both_studies_is_of_this_one(self) -> None:
        bases = [base("70486", study="1.2.3.4"), base("70486")]
        assert outcome(base_procedures=bases, renderings=[rendering(base_procedure="70486")])["reasons"] == []

    def test_the_first_edition_held_for_any_base_of_another_study(self) -> None:
        bases = [base("70486"), base("71250", study="1.2.3.4")]
        assert first_outcome(base_procedures=bases)["reasons"] == ["BASE_NOT_SAME_SESSION"]

    def test_the_first_edition_has_its_own_code_table(self) -> None:
        changes: dict[str, Any] = {"date_of_service": "2015-06-01", "other_procedures": ["0159T"]}
        assert outcome(**changes)["reasons"] == ["INCLUDED_IN_PROCEDURE"]
        assert first_outcome(**changes)["disposition"] == "release"
        early: dict[str, Any] = {"date_of_service": "2010-06-01", "base_procedures": [base("74176")]}
        made = [rendering(region="ABDOMEN")]
        assert outcome(**early, renderings=made)["reasons"] == ["BASE_UNCLASSIFIED"]
        assert first_outcome(**early, renderings=made)["disposition"] == "release"

    @pytest.mark.parametrize(
        ("region", "code", "fits"),
        [
            ("FACE", "70486", True),
            ("NECK", "70486", True),
            ("CSPINE", "70486", False),
            ("CHEST", "70486", False),
            ("LOWER_EXTREMITY", "73700", True),
            ("EXTREMITY", "73700", True),
            ("UPPER_EXTREMITY", "73700", False),
            ("EXTREMITY", "73200", True),
            ("EXTREMITY", "70486", False),
        ],
    )
    def test_what_is_rendered_lies_in_its_base_or_next_to_it(self, region: str, code: str, fits: bool) -> None:
        decision = outcome(base_procedures=[base(code)], renderings=[rendering(region=region)])
        assert decision["reasons"] == ([] if fits else ["REGION_MISMATCH"])
        tied = [rendering(region=region, base_procedure=code)]
        assert outcome(base_procedures=[base(code)], renderings=tied)["reasons"] == decision["reasons"]
        assert first_outcome(base_procedures=[base(code)], renderings=tied)["disposition"] == "release"

    def test_untied_it_may_lie_in_any_base_of_this_study(self) -> None:
        bases = [base("73700"), base("70486")]
        assert outcome(base_procedures=bases)["disposition"] == "release"
        bases = [base("73700"), base("70486", study="1.2.3.4")]
        assert outcome(base_procedures=bases)["reasons"] == ["REGION_MISMATCH"]

    def test_a_tie_says_which_base_it_has_to_lie_in(self) -> None:
        bases = [base("73700"), base("70486")]
        made = [rendering(base_procedure="73700"), rendering(), rendering(region="HEART", base_procedure="70486")]
        decision = outcome(base_procedures=bases, renderings=made)
        assert decision["reasons"] == ["REGION_MISMATCH", "NONCONTIGUOUS_REVIEW"]
        assert decision["explanations"][0]["fact"] == "renderings[0].region, renderings[2].region"
        assert decision["explanations"][0]["sentence"].startswith("FACE and HEART was rendered")

    def test_where_the_region_of_a_base_is_not_known_nothing_is_said_of_it(self) -> None:
        assert outcome(base_procedures=[base("99999")])["reasons"] == ["BASE_UNCLASSIFIED"]
        assert outcome(base_procedures=[base("73700"), base("99999")])["reasons"] == ["BASE_UNCLASSIFIED"]

    def test_a_rendering_made_elsewhere_lies_where_it_likes(self) -> None:
        made = [rendering(), rendering(region="PELVIS", performed_here=False)]
        assert outcome(renderings=made)["disposition"] == "release"

    def test_an_including_base_is_set_aside_only_if_every_rendering_is_tied_elsewhere(self) -> None:
        bases = [base("71275"), base("72192")]
        tied, loose = rendering(base_procedure="72192", region="PELVIS"), rendering(region="PELVIS")
        decision = outcome(base_procedures=bases, renderings=[tied, tied])
        assert decision["reasons"] == ["PTP_REVIEW"]
        assert billed(decision, "proposed") == [("76377", "72192")]
        assert outcome(base_procedures=bases, renderings=[tied, loose])["reasons"] == ["BASE_INCLUDES_3D"]

    @pytest.mark.parametrize("other", ["71271", "71275", "72190"])
    def test_a_tie_to_a_base_that_is_not_eligible_saves_nothing(self, other: str) -> None:
        decision = outcome(base_procedures=[base("71275"), base(other)], renderings=[rendering(base_procedure=other)])
        assert decision["reasons"] == ["BASE_INCLUDES_3D"]

    def test_an_inclusion_before_it_was_in_force_is_not_known(self) -> None:
        assert outcome(base_procedures=[base("71275")], date_of_service="2012-12-31")["reasons"] == [
            "BASE_UNCLASSIFIED"
        ]

    def test_a_tie_to_a_base_that_was_not_performed_holds(self) -> None:
        decision = outcome(
            base_procedures=[base("70486", "cancelled"), base("73700")],
            renderings=[rendering(base_procedure="70486")],
        )
        assert decision["reasons"] == ["BASE_MISSING"]

    def test_an_including_examination_filed_among_other_procedures_holds(self) -> None:
        assert outcome(other_procedures=["71275"])["reasons"] == ["PTP_REVIEW"]

    def test_pet_is_nuclear_medicine_to_the_table(self) -> None:
        assert outcome(base_procedures=[base("78815")], study__modality="PT")["reasons"] == ["BASE_INCLUDES_3D"]


class TestProcedures:
    @pytest.mark.parametrize(
        ("code", "reasons"),
        [
            ("0944T", ["PROCEDURE_UNCLASSIFIED"]),
            ("70009", []),
            ("70010", ["PROCEDURE_UNCLASSIFIED"]),
            ("79999", ["PROCEDURE_UNCLASSIFIED"]),
            ("80000", []),
            ("99213", []),
            ("0944", []),
            ("0944t", []),
            ("09440T", []),
            ("7100A", []),
            ("710000", []),
            ("0944F", []),
            ("A9579", []),
            ("70486", []),
            ("76376", ["MUTUALLY_EXCLUSIVE"]),
            ("76377", ["MUTUALLY_EXCLUSIVE"]),
            ("0559T", ["INCLUSION_UNVERIFIED"]),
        ],
    )
    def test_an_unlisted_code_that_may_include_3d_waits(self, code: str, reasons: list[str]) -> None:
        assert outcome(other_procedures=[code])["reasons"] == reasons

    def test_they_are_named(self) -> None:
        (found,) = outcome(other_procedures=["99213", "0944T", "79999", "0944T"])["explanations"]
        assert found["sentence"].startswith("Whether 0944T and 79999 of the same session")
        assert found["fact"] == "other_procedures[1], other_procedures[2], other_procedures[3]"

    def test_what_is_listed_later_is_not_known_yet(self) -> None:
        earlier = outcome(other_procedures=["0559T"], date_of_service="2019-06-30")
        assert earlier["reasons"] == ["PROCEDURE_UNCLASSIFIED"]

    def test_the_first_edition_did_not_ask(self) -> None:
        assert first_outcome(other_procedures=["0944T"])["disposition"] == "release"


class TestModalities:
    @pytest.mark.parametrize("modality", ["NM", "PT", "MG"])
    def test_what_the_guide_does_not_name_waits_for_a_coder(self, modality: str) -> None:
        bases = [base("79999")]
        assert outcome(GUIDE, study__modality=modality, base_procedures=bases)["reasons"] == ["OTHER_MODALITY_REVIEW"]
        assert outcome(CPT, study__modality=modality, base_procedures=bases)["reasons"] == ["BASE_UNCLASSIFIED"]
        first = first_outcome(study={"modality": modality, "region": "FACE"}, base_procedures=bases)
        assert first["reasons"] == ["BASE_UNCLASSIFIED"]

    def test_a_base_that_is_listed_as_unclear_stays_unclear(self) -> None:
        found = outcome(study__modality="PT", base_procedures=[base("70554")])["reasons"]
        assert found == ["OTHER_MODALITY_REVIEW", "BASE_MODALITY_MISMATCH", "BASE_UNCLASSIFIED"]


class TestPrepared:
    def test_only_what_was_made_here_counts(self) -> None:
        made = [rendering(prepared=True), rendering(performed_here=False)]
        decision = outcome(renderings=made)
        assert decision["reasons"] == ["PREPARED_UNCHANGED"]
        assert decision["explanations"][0]["fact"] == "renderings[0].prepared"
        assert decision["explanations"][0]["resolver"] == "physician"

    def test_nothing_rendered_is_nothing_prepared(self) -> None:
        assert outcome(renderings=[rendering(performed_here=False)])["reasons"] == ["NOT_PERFORMED_HERE"]


class TestUnits:
    @pytest.mark.parametrize(
        ("regions", "groups"),
        [
            (("CSPINE", "TSPINE", "LSPINE"), 1),
            (("LSPINE", "CSPINE", "TSPINE"), 1),
            (("CSPINE", "LSPINE"), 2),
            (("HEAD", "ORBIT"), 1),
            (("FACE", "NECK", "HEAD"), 1),
            (("CHEST", "PELVIS"), 2),
            (("CHEST", "ABDOMEN_PELVIS"), 1),
            (("CHEST", "ABDOMEN", "PELVIS"), 1),
            (("HEART", "ABDOMEN"), 2),
            (("HEART", "CHEST", "BREAST"), 1),
            (("HEAD", "LOWER_EXTREMITY", "LSPINE"), 3),
            (("UPPER_EXTREMITY", "EXTREMITY"), 2),
        ],
    )
    def test_regions_group_by_contiguity(self, regions: tuple[str, ...], groups: int) -> None:
        decision = outcome(renderings=[rendering(region=region) for region in regions])
        assert ("NONCONTIGUOUS_REVIEW" in decision["reasons"]) is (groups > 1)
        # Where a region lies far from the base, that holds as well.
        assert [line["units"] for line in decision["lines"] or decision["proposed"]] == [1] * groups

    @pytest.mark.parametrize(
        ("sides", "groups"),
        [
            ("LR", 2), ("RL", 2), ("LL", 1), ("R", 1), ("-L", 1), ("L-", 1), ("L-R", 2), ("-LR", 2), ("--", 1),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize(
        ("region", "code"),
        [("LOWER_EXTREMITY", "73700"), ("UPPER_EXTREMITY", "73200"), ("EXTREMITY", "73700"),
         ("ORBIT", "70480"), ("BREAST", "71250")],
    )  # fmt: skip
    def test_two_limbs_are_two_areas(self, region: str, code: str, sides: str, groups: int) -> None:
        made = [rendering(region=region, laterality=None if side == "-" else side) for side in sides]
        decision = outcome(renderings=made, base_procedures=[base(code)])
        if groups == 1 or region in ("ORBIT", "BREAST"):
            assert billed(decision) == [("76377", code)]
        else:
            assert decision["reasons"] == ["NONCONTIGUOUS_REVIEW"]
            assert billed(decision, "proposed") == [("76377", code)] * 2
            assert f"{region} L" in decision["explanations"][0]["sentence"]
            assert f"{region} R" in decision["explanations"][0]["sentence"]
            assert "renderings[1].laterality" in decision["explanations"][0]["fact"]

    def test_one_side_is_enough_to_be_named(self) -> None:
        made = [rendering(region="FACE"), rendering(region="LOWER_EXTREMITY", laterality="L")]
        (found,) = outcome(renderings=made, base_procedures=[base("70486"), base("73700")])["explanations"]
        assert "FACE and LOWER_EXTREMITY L;" in found["sentence"]
        assert found["fact"].endswith("renderings[0].laterality, renderings[1].laterality")

    def test_without_a_side_none_is_named(self) -> None:
        made = [rendering(region="FACE"), rendering(region="LOWER_EXTREMITY")]
        (found,) = outcome(renderings=made, base_procedures=[base("70486"), base("73700")])["explanations"]
        assert "FACE and LOWER_EXTREMITY;" in found["sentence"]
        assert found["fact"] == "renderings[0].region, renderings[1].region"

    def test_each_side_is_proposed_on_the_base_it_is_tied_to(self) -> None:
        bases = [base("73700"), base("73721"), base("73702")]
        left = rendering(region="LOWER_EXTREMITY", laterality="L", base_procedure="73702")
        right = rendering(region="LOWER_EXTREMITY", laterality="R", base_procedure="73700")
        unknown = rendering(region="LOWER_EXTREMITY", base_procedure="73702")
        expected = [("76377", "73702"), ("76377", "73700")]
        assert billed(outcome(renderings=[left, right], base_procedures=bases), "proposed") == expected
        made = [left, right, unknown]
        assert billed(outcome(renderings=made, base_procedures=bases), "proposed") == expected

    def test_each_group_is_proposed_on_its_own_base(self) -> None:
        bases = [base("73700"), base("70486")]
        untied = [rendering(region="FACE"), rendering(region="LOWER_EXTREMITY")]
        tied = [
            rendering(region="FACE", base_procedure="70486"),
            rendering(region="LOWER_EXTREMITY", base_procedure="73700"),
        ]
        expected = [("76377", "70486"), ("76377", "73700")]
        assert billed(outcome(base_procedures=bases, renderings=untied), "proposed") == expected
        assert billed(outcome(base_procedures=bases, renderings=tied), "proposed") == expected

    def test_a_group_all_tied_to_one_base_is_linked_to_it(self) -> None:
        bases = [base("70450"), base("72125")]
        tied = rendering(region="CSPINE", base_procedure="72125")
        loose = rendering(region="CSPINE")
        assert billed(outcome(base_procedures=bases, renderings=[tied, tied])) == [("76377", "72125")]
        assert billed(outcome(base_procedures=bases, renderings=[tied, loose])) == [("76377", "70450")]

    def test_a_split_charge_of_two_groups_has_four_lines(self) -> None:
        made = [rendering(region="FACE"), rendering(region="LOWER_EXTREMITY")]
        bases = [base("70486"), base("73700")]
        decision = outcome(base_procedures=bases, renderings=made, setting__entity="split")
        assert [(line["base"], line["entity"], line["modifiers"]) for line in decision["proposed"]] == [
            ("70486", "technical", ["TC"]),
            ("70486", "professional", ["26"]),
            ("73700", "technical", ["TC"]),
            ("73700", "professional", ["26"]),
        ]


class TestPapers:
    def test_without_an_edition_only_identity_is_judged(self) -> None:
        decision = outcome(
            date_of_service="2005-12-31", sr__verified=False, report__patient_id="PAT2", operator__role="automatic"
        )
        assert decision["reasons"] == ["PACK_NOT_EFFECTIVE", "SR_NOT_VERIFIED", "PATIENT_MISMATCH"]
        assert (decision["work_tier"], decision["edition"], decision["proposed"]) == ("T2", None, [])

    def test_no_report_belongs_to_nobody(self) -> None:
        decision = outcome(report__status="none", report__patient_id=None)
        assert decision["reasons"] == ["REPORT_NOT_FINAL"]
        assert outcome(report__patient_id=None)["reasons"] == ["PATIENT_MISMATCH"]

    def test_a_rationale_counts_in_a_hospital_only(self) -> None:
        rationale: dict[str, Any] = {"order__three_d_ordered": False, "order__radiologist_rationale": True}
        assert outcome(**rationale)["disposition"] == "release"
        assert outcome(**rationale, setting__site="office")["reasons"] == ["ORDER_MISSING"]

    def test_a_site_may_take_away_what_stands_for_an_order(self) -> None:
        strict = GUIDE.with_order_grounds(["ordered"])
        unordered: dict[str, Any] = {"order__three_d_ordered": False, "order__radiologist_rationale": True}
        assert outcome(**unordered)["disposition"] == "release"
        assert outcome(strict, **unordered)["reasons"] == ["ORDER_MISSING"]
        assert outcome(strict)["edition"] == "guide-2006.2+order-ordered"
        assert GUIDE.with_order_grounds(["urgent", "ordered", "rationale"]) is GUIDE

    def test_one_covered_diagnosis_is_enough(self) -> None:
        assert outcome(payer__covered_diagnoses=["S02"], diagnoses=["Z99", "S02.2XXA"])["disposition"] == "release"

    def test_urgency_has_to_be_documented(self) -> None:
        assert outcome(order__three_d_ordered=False, order__urgent=True)["reasons"] == ["ORDER_MISSING"]

    @pytest.mark.parametrize(
        ("covered", "disposition"),
        [(["S02"], "release"), (["S022"], "release"), (["I71", "s02.2"], "release"), (["S03"], "hold"), ([], "hold")],
    )
    def test_diagnoses_match_by_prefix(self, covered: list[str], disposition: str) -> None:
        assert outcome(payer__covered_diagnoses=covered)["disposition"] == disposition

    @pytest.mark.parametrize("role", ["qualified_professional", "resident", "technologist", "coder"])
    def test_only_a_physician_supervises(self, role: str) -> None:
        decision = outcome(supervision__physician={"id": "P1", "role": role})
        assert decision["reasons"] == ["SUPERVISOR_NOT_QUALIFIED"]
        assert role.replace("_", " ") in decision["explanations"][0]["sentence"]

    @pytest.mark.parametrize("role", ["physician", "qualified_professional", "technologist"])
    def test_whoever_makes_the_renderings_may_be_supervised(self, role: str) -> None:
        assert outcome(operator__role=role)["disposition"] == "release"

    def test_a_named_resident_without_acts_is_two_holds(self) -> None:
        supervision = {"physician": {"id": "R1", "role": "resident"}, "concurrent": True, "acts": []}
        decision = outcome(supervision=supervision)
        assert decision["reasons"] == ["SUPERVISION_NOT_DOCUMENTED", "SUPERVISOR_NOT_QUALIFIED"]
