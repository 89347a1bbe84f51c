"""The target lesions of a screen, with their diameters: for the list, the report and the record. Knows no Qt."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import dist

from dicom_io.evidence import Measurement
from render import View
from render.volume import Volume
from workstation.desktop.model.measuring import MEASURING, Measuring, names_of
from workstation.desktop.model.screen import Measure, Screen, Target
from workstation.records import recist
from workstation.records.measurements import measure_targets
from workstation.records.recist import TargetLesion, TargetLesions, TreatmentCourse

NAME = "Target lesions"
# A record has places in single precision.
_SAME_MM = 0.01
# Of a lesion, by its number among the measures: (longest diameter in the scan plane, short axis) in mm, or None.
SizesOf = Callable[[int], tuple[float, float] | None]


def targets_shown(screen: Screen, measuring: Measuring, names: Sequence[str]) -> TargetLesions:
    """Returns the target lesions as they are measured on the screen. names : of its measures, as the reader sees
    them."""

    def diameters(number: int) -> tuple[float, float] | None:
        found = measuring.found(screen.measures[number])
        return None if found is None or found.declined else (found.long_axis_mm, found.short_axis_mm)

    return _targets(screen, diameters, names)


def being_measured(screen: Screen, measuring: Measuring) -> bool:
    """Whether a target is still being measured: until then nothing is known of the sum."""
    targets = (m for m in screen.measures if m.target is not None and m.target.seen == "measured")
    return any(measuring.found(measure) is None for measure in targets)


def targets_said(
    screen: Screen, measuring: Measuring, names: Sequence[str], tr: Callable[[str], str]
) -> tuple[str, ...]:
    """Returns what the target lesions of a screen say, a line each: of each target, then of all. tr : into the language
    of the window."""
    if being_measured(screen, measuring):
        return (tr(MEASURING),)
    return tuple(map(tr, recist.in_words(targets_shown(screen, measuring, names))))


def targets_recorded(screen: Screen, taken: Sequence[Measurement], volume: Volume) -> tuple[Measurement, ...]:
    """Returns the sum of the target lesions for the record, from the lesions that were `taken` into it; none without
    targets, or where a diameter is not known."""
    sizes = {one.name: {each.name: each.value for each in one.quantities} for one in taken if one.kind == "lesion"}
    names = names_of(screen.measures)

    def diameters(number: int) -> tuple[float, float] | None:
        found = sizes.get(names[number])
        return None if found is None else (found["long_axis"], found["short_axis"])

    lesions = _targets(screen, diameters, names)
    return (measure_targets(NAME, lesions, volume),) if recist.quantities(lesions) else ()


def with_targets_of(measures: Sequence[Measure], recorded: Sequence[Measurement]) -> tuple[Measure, ...]:
    """Returns measures of a record with what it says of target lesions; those that were gone then are added."""
    found = list(measures)
    for lesion in _read(recorded).targets:
        target = Target(lesion.organ, lesion.lymph_node, lesion.seen)
        near = (n for n, m in enumerate(found) if m.kind == "lesion" and dist(m.points_mm[0], lesion.at_mm) < _SAME_MM)
        at = next(near, None)
        if at is None:
            name = "" if re.fullmatch(r"lesion \d+", lesion.name) else lesion.name
            found.append(Measure("lesion", (lesion.at_mm,), View(), name=name, target=target))
        else:
            prior = found[at].prior
            if prior is not None and lesion.lymph_node:
                prior = replace(prior, short_axis_mm=lesion.prior_mm)
            found[at] = replace(found[at], target=target, prior=prior)
    return tuple(found)


def course_of(recorded: Sequence[Measurement]) -> TreatmentCourse:
    """Returns what a record says of the course of treatment."""
    return _read(recorded).course


def _read(recorded: Sequence[Measurement]) -> TargetLesions:
    written = next((one.steps for one in recorded if one.kind == "targets"), "")
    return recist.read(written) if written else TargetLesions(())


def _targets(screen: Screen, diameters: SizesOf, names: Sequence[str]) -> TargetLesions:
    found = []
    for number, (measure, name) in enumerate(zip(screen.measures, names, strict=True)):
        target, prior = measure.target, measure.prior
        if target is None or measure.kind != "lesion":
            continue
        sizes, before = diameters(number), None
        now = sizes[1 if target.lymph_node else 0] if sizes is not None else None
        if prior is not None:
            before = prior.short_axis_mm if target.lymph_node else prior.long_axis_mm
        found.append(
            TargetLesion(
                name,
                target.organ,
                measure.points_mm[0],
                target.lymph_node,
                recist.SAID_MM.get(target.seen, now),
                before,
                prior.date if prior is not None else "",
                target.seen,
            )
        )
    return TargetLesions(tuple(found), screen.course)
