"""Facts for property tests: drawn over the whole of what the contract allows, and drawn near a releasing case."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, get_args

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from workstation.charge import facts as f


def _cases(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((Path(__file__).parent / name).read_text(encoding="utf-8"))
    return found


# The acceptance cases of the contract, and those of its first edition, whose facts lack what came with the second.
CASES, FIRST_CASES = _cases("cases.json"), _cases("cases_first_edition.json")
RELEASING: dict[str, Any] = CASES[0]["facts"]

# A busy machine is slow, which says nothing about the rules.
steady = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

STUDY, OTHER_STUDY = RELEASING["study_instance_uid"], "1.2.3.4"
# Eligible, including, unclassified, unverified and unlisted codes, and one that is a procedure.
CODES = (
    "70486",
    "71260",
    "72192",
    "73700",
    "72148",
    "76856",
    "71275",
    "78815",
    "70554",
    "36224",
    "31627",
    "34839",
    "0944T",
)

texts = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=12)
codes = st.one_of(st.sampled_from(CODES), texts)
days = st.one_of(st.dates(date(2000, 1, 1), date(2040, 1, 1)), st.sampled_from([date(2005, 12, 31), date(2006, 1, 1)]))


def _one_of(kind: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(get_args(kind))


bases = st.builds(
    f.BaseProcedure,
    code=codes,
    status=_one_of(f.BaseStatus),
    study_instance_uid=st.sampled_from([STUDY, OTHER_STUDY]),
)
renderings = st.builds(
    f.Rendering,
    technique=_one_of(f.TechniqueName),
    region=_one_of(f.Region),
    laterality=st.sampled_from([None, "L", "R"]),
    base_procedure=st.one_of(st.none(), codes),
    performed_here=st.booleans(),
    prepared=st.booleans(),
    archived=st.booleans(),
    purpose=_one_of(f.Purpose),
)
previous_charges = st.builds(
    f.PreviousCharge,
    key=texts,
    code=st.one_of(st.sampled_from(["76376", "76377"]), texts),
    accession=st.sampled_from([RELEASING["accession"], "ACC9"]),
    base=codes,
    state=_one_of(f.ChargeState),
    sr_uid=texts,
    date_of_service=st.one_of(st.just(date.fromisoformat(RELEASING["date_of_service"])), days),
    regions=st.lists(_one_of(f.Region), max_size=2).map(tuple),
)


def _many(each: st.SearchStrategy[Any], most: int = 4) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(each, max_size=most).map(tuple)


PARTS: dict[str, st.SearchStrategy[Any]] = {
    "sr": st.builds(f.StructuredReport, sop_instance_uid=texts, verified=st.booleans()),
    "patient_id": st.one_of(st.just("PAT1"), texts),
    "accession": st.one_of(st.just("ACC1"), texts),
    "study_instance_uid": st.sampled_from([STUDY, OTHER_STUDY]),
    "date_of_service": days,
    "study": st.builds(
        f.Study,
        modality=st.one_of(st.sampled_from(["CT", "MR", "US", "NM", "PT", "MG", "XA"]), _one_of(f.Modality)),
        region=_one_of(f.Region),
    ),
    "base_procedures": _many(bases),
    "other_procedures": _many(codes),
    "renderings": _many(renderings),
    "independent_workstation": st.booleans(),
    "independent_workstation_required": st.sampled_from([True, False, None]),
    "supervision": st.builds(
        f.Supervision,
        physician=st.one_of(st.none(), st.builds(f.Supervisor, id=texts, role=_one_of(f.SupervisorRole))),
        concurrent=st.sampled_from([True, False, None]),
        acts=_many(_one_of(f.SupervisionAct)),
    ),
    "operator": st.builds(f.Operator, id=texts, role=_one_of(f.OperatorRole)),
    "report": st.builds(
        f.Report,
        status=_one_of(f.ReportStatus),
        patient_id=st.sampled_from(["PAT1", "PAT2", None]),
        three_d_findings=st.booleans(),
        workstation_statement=st.booleans(),
        medical_necessity=st.booleans(),
        clinical_utility=st.booleans(),
    ),
    "order": st.builds(
        f.Order,
        three_d_ordered=st.booleans(),
        radiologist_rationale=st.booleans(),
        urgent=st.booleans(),
        urgent_documented=st.booleans(),
    ),
    "setting": st.builds(f.Setting, site=_one_of(f.SiteKind), entity=_one_of(f.Entity)),
    "payer": st.builds(
        f.Payer,
        id=texts,
        prior_authorization_required=st.booleans(),
        prior_authorization=st.one_of(st.none(), texts),
        covered_diagnoses=st.one_of(st.none(), _many(st.sampled_from(["S02", "I71.4", "C34"]))),
    ),
    "diagnoses": _many(st.sampled_from(["S02.2XXA", "I71.40", "C34.11"])),
    "previous_charges": _many(previous_charges),
}

# Every fact drawn freely.
any_facts: st.SearchStrategy[f.Facts] = st.fixed_dictionaries(PARTS).map(lambda parts: f.Facts(**parts))


@st.composite
def near_release(draw: st.DrawFn) -> f.Facts:
    """Facts with at most three parts drawn freely, the others as in a case that releases somewhere."""
    starts = [case for case in CASES if case["expect"]["guide"]["disposition"] == "release"]
    facts = f.read_facts(draw(st.sampled_from(starts))["facts"])
    chosen = draw(st.lists(st.sampled_from(sorted(PARTS)), unique=True, max_size=3))
    return replace(facts, **{name: draw(PARTS[name]) for name in chosen})


facts_of_every_kind = st.one_of(any_facts, near_release())
# The same as they were written down under the first edition.
first_edition_facts = facts_of_every_kind.map(lambda facts: f.read_facts(f.as_first_edition(f.facts_to_json(facts)), 1))
