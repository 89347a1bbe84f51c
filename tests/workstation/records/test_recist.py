"""Sums of target lesions against worked examples of the rules of RECIST 1.1 (Eisenhauer et al. 2009)."""

import json
from itertools import product
from typing import get_args

import pytest

from workstation.records.recist import (
    NewLesions,
    NonTargets,
    TargetLesion,
    TargetLesions,
    TreatmentCourse,
    in_words,
    quantities,
    read,
    written,
)
from workstation.translation import recognised

AT = (0.0, 0.0, 0.0)


def target(now: float | None, prior: float | None = None, node: bool = False, organ: str = "") -> TargetLesion:
    date = "2025-03-01" if prior is not None else ""
    return TargetLesion(f"Target {now}", organ or f"organ {now}", AT, node, now, prior, date)


def lesions(*now: float | None, baseline: float | None = None, nadir: float | None = None) -> TargetLesions:
    return TargetLesions(tuple(map(target, now)), TreatmentCourse(baseline, nadir))


@pytest.mark.parametrize(
    ("now", "baseline", "nadir", "response"),
    [
        ((70.0,), 100.0, 100.0, "PR"),  # at least 30 % less than at baseline
        ((70.1,), 100.0, 100.0, "SD"),
        ((40.0, 30.0), 100.0, 70.0, "PR"),
        ((119.9,), 100.0, 100.0, "SD"),
        ((120.0,), 100.0, 100.0, "PD"),  # at least 20 % more than the least sum
        ((60.0,), 100.0, 50.0, "PD"),  # though it is 40 % less than at baseline: progress goes by the least sum
        ((59.9,), 100.0, 50.0, "PR"),
        ((14.9,), 30.0, 10.0, "PR"),  # 49 % more, and less than 5 mm
        ((15.0,), 30.0, 10.0, "PD"),  # 5 mm
        ((0.0, 0.0), 60.0, 20.0, "CR"),
        ((5.0,), 60.0, 20.0, "PR"),  # too small to measure is not gone
        ((5.0,), 60.0, 0.0, "PD"),  # back after all was gone
        ((3.0,), 60.0, 0.0, "PR"),
        ((0.1 + 0.2, 0.3, 119.4), 100.0, 100.0, "PD"),  # as tenths are added on paper
        ((40.04, 40.04, 39.96), 100.0, 100.0, "PD"),  # each as it is written: 40.0
        # What is not said.
        ((120.0,), 100.0, None, "PD"),  # whatever the least sum is
        ((119.0,), 100.0, None, ""),
        ((70.0,), 100.0, None, ""),
        ((70.0,), None, 100.0, ""),
        ((125.0,), None, 100.0, "PD"),
        ((0.0,), None, None, "CR"),
        ((50.0,), None, None, ""),
        ((None, 5.0), 100.0, 100.0, ""),
        ((), 100.0, 100.0, ""),
    ],
)
def test_the_response_of_the_targets(
    now: tuple[float | None, ...], baseline: float | None, nadir: float | None, response: str
) -> None:
    found = lesions(*now, baseline=baseline, nadir=nadir)
    assert found.response == response and bool(found.untold) is not bool(response)


def test_lymph_nodes_count_by_their_short_axis_and_are_gone_below_10_mm() -> None:
    node, lesion = target(9.9, node=True), target(0.0)
    assert TargetLesions((node, lesion), TreatmentCourse(60.0, 60.0)).response == "CR"  # though the sum is not 0
    assert TargetLesions((target(10.0, node=True), lesion), TreatmentCourse(60.0, 60.0)).response == "PR"
    assert TargetLesions((node, lesion)).sum_mm == 9.9


def test_the_prior_is_one_study_of_all_targets() -> None:
    both = TargetLesions((target(20.0, 25.0), target(10.0, 15.0)))
    assert (both.prior_mm, both.prior_date, both.sum_mm) == (40.0, "2025-03-01", 30.0)
    assert TargetLesions((target(20.0, 25.0), target(10.0))).prior_mm is None
    # It is no baseline and no least sum, but growth since it is progress.
    assert both.response == "" and "progress cannot be excluded" in both.untold
    assert TargetLesions((target(36.0, 30.0),)).response == "PD"
    assert (
        TargetLesions((target(36.0, 30.0),), TreatmentCourse(90.0, 40.0)).response == "PD"
    )  # the prior is less than what was said


def test_what_recist_would_not_have_chosen_is_said() -> None:
    six = TargetLesions(tuple(target(20.0 + n) for n in range(6)))
    assert six.doubts == ("6 targets; RECIST 1.1 has 5 at most.",)
    three = TargetLesions(tuple(target(20.0, organ=organ) for organ in ("Liver", "liver ", "liver", "lung")))
    assert three.doubts == ("3 targets in liver; RECIST 1.1 has 2 at most of an organ.",)
    small = TargetLesions((target(9.0), target(14.0, node=True), target(10.0), target(15.0, node=True)))
    assert len(small.doubts) == 2 and "short axis of 15 mm" in small.doubts[1]
    assert (
        TargetLesions((target(9.0),), TreatmentCourse(20.0, 20.0)).doubts == ()
    )  # small now, which is what is hoped for
    assert "one of 30.0 mm is known" in TargetLesions((target(20.0, 30.0),), TreatmentCourse(90.0, 40.0)).doubts[0]
    with pytest.raises(ValueError, match="is none"):
        TreatmentCourse(-1.0)


def test_it_is_said_written_and_read_again() -> None:
    made = TargetLesions(
        (target(20.0, 25.0, organ="liver"), TargetLesion("N", "", AT, True, 5.0, 10.0, "2025-03-01", "too small")),
        TreatmentCourse(50.0, 30.0),
    )
    assert in_words(made) == (
        "Target 20.0 (liver): longest diameter 20.0 mm",
        "N: too small, counted as 5 mm",
        "Sum of diameters of 2 target lesions: 25.0 mm",
        "At 2025-03-01 35.0 mm: -29 %, -10.0 mm",
        "Baseline 50.0 mm: -50 %, -25.0 mm",
        "Least sum 30.0 mm: -17 %, -5.0 mm",
        "Target lesions by RECIST 1.1: partial response (PR)",
    )
    assert read(written(made)) == made
    numbers = {one.name: one.value for one in quantities(made)}
    assert numbers["target_sum"] == 25.0 and numbers["baseline_target_change"] == -50.0
    assert numbers["nadir_target_sum"] == 30.0 and numbers["prior_target_change"] == pytest.approx(-28.571)
    assert quantities(lesions(None, 5.0)) == () and quantities(lesions()) == ()


# Table 1 of RECIST 1.1, and what is not said.
@pytest.mark.parametrize(
    ("now", "non_targets", "new_lesions", "overall"),
    [
        ((0.0,), "gone", "none", "CR"),
        ((0.0,), "none", "none", "CR"),
        ((0.0,), "present", "none", "PR"),
        ((0.0,), "not all seen", "none", "PR"),
        ((70.0,), "gone", "none", "PR"),
        ((70.0,), "not all seen", "none", "PR"),
        ((90.0,), "present", "none", "SD"),
        ((120.0,), "gone", "none", "PD"),
        ((0.0,), "progress", "none", "PD"),
        ((0.0,), "gone", "found", "PD"),
        ((70.0,), "", "found", "PD"),
        ((None,), "", "found", "PD"),
        ((120.0,), "", "", "PD"),
        ((70.0,), "progress", "", "PD"),
        ((0.0,), "gone", "", ""),
        ((0.0,), "", "none", ""),
        ((None,), "gone", "none", ""),
        ((), "progress", "found", ""),
    ],
)
def test_the_response_of_all_lesions(
    now: tuple[float | None, ...], non_targets: NonTargets, new_lesions: NewLesions, overall: str
) -> None:
    course = TreatmentCourse(100.0, 100.0, non_targets, new_lesions=new_lesions)
    found = TargetLesions(tuple(map(target, now)), course)
    assert found.overall == overall and bool(found.overall_untold) is not bool(overall)
    assert read(written(found)) == found
    told = [one.split() for one in found.responses]
    assert (["overall", overall] in told) is bool(overall) and len({of for of, _ in told}) == len(told)
    assert bool(now) or not told


def test_a_first_record_which_knew_only_sums_is_read() -> None:
    made = TargetLesions((target(20.0, organ="liver"),), TreatmentCourse(50.0, 30.0))
    first = json.loads(written(made))
    first |= {name: first["course"][name] for name in ("baseline_mm", "nadir_mm")}
    del first["course"]
    assert read(json.dumps(first)) == made
    for hostile in ("no JSON", "[" * 100_000, "7"):
        with pytest.raises(ValueError, match=r"column|validation error"):
            read(hostile)


def test_other_lesions_are_said_with_their_names() -> None:
    course = TreatmentCourse(100.0, 100.0, "present", "pleural effusion", "none")
    assert in_words(TargetLesions((target(70.0),), course))[-4:] == (
        "Target lesions by RECIST 1.1: partial response (PR)",
        "Non-target lesions (pleural effusion): still there, no clear progress (non-CR/non-PD)",
        "New lesions: none",
        "Overall response by RECIST 1.1: partial response (PR)",
    )
    # Nothing is said of all where nothing was said of the others, unless it is progress whatever they are.
    assert not any("Overall" in line for line in in_words(lesions(70.0, baseline=100.0, nadir=100.0)))
    assert "Overall response by RECIST 1.1: progressive disease (PD)" in in_words(lesions(130.0, nadir=100.0))


def test_all_of_it_is_said_in_german() -> None:
    many = [lesions(20.0, baseline=b, nadir=n) for b in (None, 10.0, 30.0, 22.0) for n in (None, 0.0, 19.0)]
    many += [
        lesions(),
        lesions(None),
        lesions(0.0, 0.0),
        TargetLesions((target(36.0, 30.0, True),), TreatmentCourse(90.0, 40.0)),
    ]
    many += [TargetLesions(tuple(target(5.0, node=bool(n % 2), organ="Leber") for n in range(8)))]
    many += [TargetLesions((TargetLesion("N", "", AT, True, 0.0, None, "", "gone"),))]
    for others, new in product(get_args(NonTargets), get_args(NewLesions)):
        many += [
            TargetLesions((target(70.0),), TreatmentCourse(None, None, others, named, new, named))
            for named in ("", "Erguss")
        ]
    lines = {line for one in many for line in in_words(one)}
    assert [line for line in lines if recognised(line, "de") is None] == []
