"""Sums of diameters of target lesions, and the response by RECIST 1.1: of the targets, and of all lesions. Pure.

The sum is computed from the lesions. Baseline and least sum are of studies that a record does not know: they are what
the reader says, as are lesions that are no targets, and new ones. Where something is not said, no response is told but
what holds whatever it is.
Source: Eisenhauer et al., Eur J Cancer 2009; 45: 228-247 (RECIST 1.1), 3.1 to 4.4 and table 1.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar, Literal, cast

from pydantic import ConfigDict
from pydantic_core import from_json

from dicom_io.evidence import Quantity, QuantityName, Response
from render.geometry import Vector
from workstation.strict import STRICT, adapter

# Of the targets, and of all lesions.
ResponseCategory = Literal["CR", "PR", "SD", "PD"]
# Whether a target is measured, or what the reader says: gone (0 mm), or seen but too small to measure (5 mm: 4.2.2).
Seen = Literal["measured", "gone", "too small"]
SAID_MM: dict[Seen, float] = {"gone": 0.0, "too small": 5.0}
MOST_TARGETS, MOST_OF_AN_ORGAN = 5, 2
LEAST_MM, LEAST_NODE_MM, HEALTHY_NODE_MM = 10.0, 15.0, 10.0
PROGRESS_PERCENT, PROGRESS_MM, PARTIAL_PERCENT = 20.0, 5.0, -30.0
# What the reader says of all lesions that are no targets (4.3.3), none for a patient without; and of new ones (4.3.5).
NonTargets = Literal["", "none", "gone", "present", "progress", "not all seen"]
NewLesions = Literal["", "none", "found"]
NON_TARGET_WORDS: dict[NonTargets, str] = {
    "none": "none",
    "gone": "all gone, lymph nodes below 10 mm (CR)",
    "present": "still there, no clear progress (non-CR/non-PD)",
    "progress": "clear progress (PD)",
    "not all seen": "not all can be judged",
}
NEW_WORDS: dict[NewLesions, str] = {"none": "none", "found": "found"}
RESPONSE_WORDS: dict[ResponseCategory, str] = {
    "CR": "complete response (CR)",
    "PR": "partial response (PR)",
    "SD": "stable disease (SD)",
    "PD": "progressive disease (PD)",
}
_DECIMALS = 3
# Sums of tenths that are equal may differ in their last bit.
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class TargetLesion:
    """A target. at_mm : where it was clicked, LPS mm. lymph_node : its short axis counts. now_mm : the diameter that
    counts, longest in the plane of the scan or short axis; None where the tool has declined it. prior_mm : the same in
    the earlier study, None for not known. prior_date : of that study. seen : as the reader says."""

    name: str
    organ: str
    at_mm: Vector
    lymph_node: bool = False
    now_mm: float | None = None
    prior_mm: float | None = None
    prior_date: str = ""
    seen: Seen = "measured"


@dataclass(frozen=True, slots=True)
class TreatmentCourse:
    """What the reader says beside the targets. baseline_mm, nadir_mm : their sum at baseline, and the least since
    treatment began; None for not said. non_targets, new_lesions : of all other lesions; empty for not said.
    non_targets_named, new_lesions_named : which they are, in the reader's words."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    baseline_mm: float | None = None
    nadir_mm: float | None = None
    non_targets: NonTargets = ""
    non_targets_named: str = ""
    new_lesions: NewLesions = ""
    new_lesions_named: str = ""

    def __post_init__(self) -> None:
        for said in (self.baseline_mm, self.nadir_mm):
            if said is not None and not 0.0 <= said < 10_000.0:
                raise ValueError(f"A sum of diameters of {said:g} mm is none.")


NOTHING_SAID = TreatmentCourse()


@dataclass(frozen=True, slots=True)
class TargetLesions:
    """The targets of a study. course : what the reader says beside them."""

    targets: tuple[TargetLesion, ...]
    course: TreatmentCourse = NOTHING_SAID

    @property
    def sum_mm(self) -> float | None:
        """The sum of diameters now; None where one of them is not known."""
        return _sum(target.now_mm for target in self.targets)

    @property
    def prior_date(self) -> str:
        """Of the one study that all priors are of; empty where there is no such study."""
        dates = {target.prior_date for target in self.targets}
        return dates.pop() if len(dates) == 1 else ""

    @property
    def prior_mm(self) -> float | None:
        """The sum at the earlier study; None where it is not one study for all, or a diameter is not known."""
        return _sum(target.prior_mm for target in self.targets) if self.prior_date else None

    @property
    def least_mm(self) -> float | None:
        """The least sum of those that are known, the one now left out; None for none."""
        sums = (self.course.nadir_mm, self.course.baseline_mm, self.prior_mm)
        return min((said for said in sums if said is not None), default=None)

    @property
    def response(self) -> ResponseCategory | Literal[""]:
        """What the targets say; empty where it cannot be told."""
        return self._judged[0]

    @property
    def untold(self) -> str:
        """Why the targets say nothing, as a sentence; empty where they do."""
        return self._judged[1]

    @property
    def overall(self) -> ResponseCategory | Literal[""]:
        """What all lesions say together (table 1); empty where it cannot be told, and without targets."""
        return self._judged_with_others[0]

    @property
    def overall_untold(self) -> str:
        """Why all lesions together say nothing, as a sentence; empty where they do."""
        return self._judged_with_others[1]

    @property
    def responses(self) -> tuple[Response, ...]:
        """All that is told, for the record."""
        others = {"gone": "CR", "present": "NN", "progress": "PD"}.get(self.course.non_targets, "")
        said = (("target", self.response), ("non-target", others), ("overall", self.overall))
        return tuple(cast(Response, f"{of} {told}") for of, told in said if told and self.targets)

    @property
    def _judged_with_others(self) -> tuple[ResponseCategory | Literal[""], str]:
        others, new = self.course.non_targets, self.course.new_lesions
        if not self.targets:
            return "", self.untold
        if self.response == "PD" or others == "progress" or new == "found":
            return "PD", ""  # whatever is not said
        if not new:
            return "", "Whether there are new lesions is not said."
        if not others:
            return "", "How the lesions are that are no targets is not said."
        if self.response == "CR" and others not in ("none", "gone"):
            return "PR", ""
        return self.response, self.untold

    @property
    def _judged(self) -> tuple[ResponseCategory | Literal[""], str]:
        now, least, course = self.sum_mm, self.least_mm, self.course
        if not self.targets:
            return "", "No lesion is a target."
        if now is None:
            missing = next(target for target in self.targets if target.now_mm is None)
            return "", f"{missing.name} is not measured; say whether it is gone."
        if all(_is_gone(target) for target in self.targets):
            return "CR", ""
        if least is not None and _has_progressed(now, least):
            return "PD", ""  # an even smaller sum that is not known would make it more
        if course.nadir_mm is None:
            return "", "The least sum since treatment began is not known, so that progress cannot be excluded."
        if course.baseline_mm is None:
            return "", "The sum at baseline is not known."
        shrunk = course.baseline_mm > 0.0 and _percent(now, course.baseline_mm) <= PARTIAL_PERCENT + _TINY
        return ("PR" if shrunk else "SD"), ""

    @property
    def doubts(self) -> tuple[str, ...]:
        """What RECIST 1.1 would not have chosen, or what does not fit, as sentences."""
        found = []
        if len(self.targets) > MOST_TARGETS:
            found.append(f"{len(self.targets)} targets; RECIST 1.1 has {MOST_TARGETS} at most.")
        organs = Counter("lymph nodes" if one.lymph_node else one.organ.strip().lower() for one in self.targets)
        for organ, count in organs.items():
            if organ and count > MOST_OF_AN_ORGAN:
                found.append(f"{count} targets in {organ}; RECIST 1.1 has {MOST_OF_AN_ORGAN} at most of an organ.")
        baseline, nadir = self.course.baseline_mm, self.course.nadir_mm
        if baseline is None and nadir is None and all(one.prior_mm is None for one in self.targets):
            # Nothing is known of an earlier study, so that this one may be the baseline.
            for one in self.targets:
                least = LEAST_NODE_MM if one.lymph_node else LEAST_MM
                if one.now_mm is not None and one.now_mm < least:
                    axis = "short axis" if one.lymph_node else "longest diameter"
                    found.append(
                        f"{one.name} has {one.now_mm:.1f} mm; at baseline a target has a {axis} of {least:g} mm."
                    )
        if nadir is not None and self.least_mm is not None and self.least_mm < nadir - _TINY:
            found.append(
                f"The least sum is said to be {nadir:.1f} mm, and one of {self.least_mm:.1f} mm is known; it was taken."
            )
        return tuple(found)


def in_words(lesions: TargetLesions) -> tuple[str, ...]:
    """Says the targets, their sum, its changes, other lesions and the responses, a line each."""
    lines = [_target_in_words(target) for target in lesions.targets]
    now, prior, least, course = lesions.sum_mm, lesions.prior_mm, lesions.least_mm, lesions.course
    if now is not None and lesions.targets:
        lines.append(f"Sum of diameters of {_counted(lesions.targets)}: {now:.1f} mm")
        if prior is not None:
            lines.append(f"At {lesions.prior_date} {prior:.1f} mm: {_change(now, prior)}")
        if course.baseline_mm is not None:
            lines.append(f"Baseline {course.baseline_mm:.1f} mm: {_change(now, course.baseline_mm)}")
        if course.nadir_mm is not None and least is not None:
            lines.append(f"Least sum {least:.1f} mm: {_change(now, least)}")
    told = RESPONSE_WORDS[lesions.response] if lesions.response else f"not told. {lesions.untold}"
    lines.append(f"Target lesions by RECIST 1.1: {told}")
    if course.non_targets:
        lesions_named = _with(course.non_targets_named, "Non-target lesions")
        lines.append(f"{lesions_named}: {NON_TARGET_WORDS[course.non_targets]}")
    if course.new_lesions:
        lines.append(f"{_with(course.new_lesions_named, 'New lesions')}: {NEW_WORDS[course.new_lesions]}")
    if lesions.overall or course.non_targets or course.new_lesions:
        told = RESPONSE_WORDS[lesions.overall] if lesions.overall else f"not told. {lesions.overall_untold}"
        lines.append(f"Overall response by RECIST 1.1: {told}")
    return (*lines, *lesions.doubts)


def quantities(lesions: TargetLesions) -> tuple[Quantity, ...]:
    """The numbers for the record; none where the sum is not known."""
    now = lesions.sum_mm
    if now is None or not lesions.targets:
        return ()
    found = [_rounded("target_sum", now)]
    earlier: tuple[tuple[QuantityName, QuantityName, float | None], ...] = (
        ("prior_target_sum", "prior_target_change", lesions.prior_mm),
        ("baseline_target_sum", "baseline_target_change", lesions.course.baseline_mm),
        ("nadir_target_sum", "nadir_target_change", lesions.least_mm if lesions.course.nadir_mm is not None else None),
    )
    for sum_name, change_name, value in earlier:
        if value is not None:
            found.append(_rounded(sum_name, value))
            if value > 0.0:
                found.append(Quantity(change_name, round(_percent(now, value), _DECIMALS), "%"))
    return tuple(found)


def written(lesions: TargetLesions) -> str:
    """The targets as JSON, from which the record's numbers can be computed again."""
    return json.dumps(asdict(lesions), separators=(",", ":"), ensure_ascii=False)


def read(text: str) -> TargetLesions:
    """Reads what was written. Raises ValueError for anything else."""
    said = from_json(text)
    if isinstance(said, dict) and "baseline_mm" in said:  # as first records have it, with nothing of other lesions
        said["course"] = {name: said.pop(name, None) for name in ("baseline_mm", "nadir_mm")}
        text = json.dumps(said)
    return adapter(TargetLesions).validate_json(text)


def _sum(diameters: Iterable[float | None]) -> float | None:
    known = list(diameters)
    # In tenths, as they are written: what a reader adds up is what stands there.
    told = [round(one, 1) for one in known if one is not None]
    return round(sum(told), 1) if len(told) == len(known) else None


def _is_gone(target: TargetLesion) -> bool:
    """Whether it counts as gone: not there, or a lymph node of healthy size (4.3.1)."""
    assert target.now_mm is not None
    return target.now_mm < HEALTHY_NODE_MM if target.lymph_node else target.now_mm == 0.0


def _has_progressed(now: float, least: float) -> bool:
    """A growth by a fifth and by 5 mm. What has come back after all was gone has grown by any percentage."""
    far = now - least >= PROGRESS_MM - _TINY
    return far and (least == 0.0 or _percent(now, least) >= PROGRESS_PERCENT - _TINY)


def _percent(now: float, before: float) -> float:
    return 100.0 * (now / before - 1.0)


def _change(now: float, before: float) -> str:
    length = f"{now - before:+.1f} mm"
    return f"{_percent(now, before):+.0f} %, {length}" if before > 0.0 else length


def _rounded(name: QuantityName, value: float) -> Quantity:
    return Quantity(name, round(value, _DECIMALS), "mm")


def _counted(targets: Sequence[TargetLesion]) -> str:
    return "1 target lesion" if len(targets) == 1 else f"{len(targets)} target lesions"


def _with(which: str, of: str) -> str:
    """Returns a name with what says more of it, where something does."""
    return f"{of} ({which})" if which else of


def _target_in_words(target: TargetLesion) -> str:
    name = _with(target.organ, target.name)
    if target.seen != "measured":
        return f"{name}: {target.seen}, counted as {SAID_MM[target.seen]:g} mm"
    if target.now_mm is None:
        return f"{name}: not measured"
    axis = "short axis" if target.lymph_node else "longest diameter"
    return f"{name}: {axis} {target.now_mm:.1f} mm"
