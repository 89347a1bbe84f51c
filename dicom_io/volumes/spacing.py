"""The spacing of slices along their normal: even, uneven, with a gap, in two passes, or not on a line."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

# A slice may be this far from where the line through all slices puts it: 3 % of the slice distance, as position is
# often written with two or three decimals, but never less than 0.03 mm.
_PLACE_TOLERANCE = 0.03
# A step this much longer than the usual one around it means a missing slice, not another spacing.
_GAP = 1.5
# The usual step at a place is taken from this many steps before and after it.
_AROUND = 3
# Slices nearer to each other than this part of the mean step are two passes over the same place, not a spacing.
_LEAST = 0.1

# Steps are multiples of the shortest one within this part of a step.
_MULTIPLE = 0.06
# Two lengths that agree to this part are the same.
_SAME = 0.03

SpacingKind = Literal["even", "uneven", "gap", "double", "crooked"]
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Hints:
    """What the slices say beside their positions, in the order of their places. Positions alone place them; these tell
    whether a longer step is another spacing or a missing slice.

    thickness, between : (K,) Slice Thickness and Spacing Between Slices in mm, NaN where an image states none.
    in_stack, numbers : (K,) In-Stack Position and Instance Number, 0 where they say nothing.
    """

    thickness: Numbers
    between: Numbers
    in_stack: NDArray[np.int_]
    numbers: NDArray[np.int_]


@dataclass(frozen=True, slots=True)
class Spacing:
    """The kind of spacing. at : the step with a gap (0 is that from the first slice to the second). words : the lengths
    found. expected : the length without a gap, with the tolerance. more : how many gaps, if several, and what says that
    slices are missing, if not their distance alone. note : where the slices are even but say that they ought to be
    nearer to each other. step : the usual step in mm.
    """

    kind: SpacingKind
    at: int = 0
    words: str = ""
    expected: str = ""
    more: str = ""
    note: str = ""
    step: float = 0.0


def spacing_of(positions: Numbers, normal: Numbers, hints: Hints | None = None) -> Spacing:
    """Finds the spacing. positions : (K, 3) LPS mm in ascending order along `normal`, K at least 2."""
    along = positions @ normal
    steps = np.diff(along)
    usual = float(np.median(steps))
    tolerance = max(0.03, _PLACE_TOLERANCE * usual)
    part = (along - along[0]) / (along[-1] - along[0])
    line = positions[0] + np.outer(part, positions[-1] - positions[0])
    off = float(np.abs(positions - line).max())
    if off > max(tolerance, 0.1):
        return Spacing("crooked", words=f"off by {off:.2g} mm", step=usual)
    even = along[0] + np.arange(len(along)) * (along[-1] - along[0]) / (len(along) - 1)
    drift = float(np.abs(along - even).max())
    if np.abs(steps - usual).max() <= tolerance and drift <= max(tolerance, 0.1):
        return Spacing("even", note="" if hints is None else _doubt(usual, hints), step=usual)
    if _two_near(steps) or _two_in_turn(along):
        return Spacing("double", words=f"{steps.min():.3g} and {steps.max():.3g} mm", step=usual)
    gaps, why = _gaps(steps), ""
    missing, evidence = _missing(steps, hints)
    if len(missing) > len(gaps):
        gaps, why = missing, evidence
    if gaps:
        n = gaps[0]
        around = _shortest(steps) if why else _usual_at(steps, n)
        said = [f"{len(gaps)} such places"] * (len(gaps) > 1) + [why] * bool(why)
        return Spacing(
            "gap",
            at=n,
            words=f"{steps[n]:.3g} mm",
            expected=f"{around:.3g} ± {max(0.03, _PLACE_TOLERANCE * around):.2g} mm",
            more=f" ({'; '.join(said)})" if said else "",
            step=usual,
        )
    return Spacing("uneven", words=f"{steps.min():.3g} to {steps.max():.3g} mm", step=usual)


def on_lattice(along: Numbers) -> bool:
    """Whether all steps are multiples of the shortest: what is left of one even spacing when slices are missing.

    along : (K,) ascending places in mm.
    """
    steps = np.diff(along)
    return len(_multiples(steps)) > 0


def _two_near(steps: Numbers) -> bool:
    """Whether slices are far nearer to some neighbours than to others, as two passes a little apart are; several of
    them near to each other are a stretch of slices with a gap beside it."""
    near = steps < _LEAST * steps.mean()
    one_by_one = not bool((near[1:] & near[:-1]).any())
    few = len(steps) > 2 and not near[np.argsort(steps)[len(steps) // 2]]
    return bool(near.any() and one_by_one and (near.sum() > 2 or few))


def _shortest(steps: Numbers) -> float:
    """Returns the mean of the steps that are as long as the shortest one."""
    return float(steps[steps <= steps.min() + max(0.03, _MULTIPLE * steps.min())].mean())


def _multiples(steps: Numbers) -> NDArray[np.int_]:
    """Returns how many of the shortest step each step is; nothing where one is no multiple."""
    unit = _shortest(steps)
    found = np.rint(steps / unit).astype(np.int_)
    off = np.abs(steps - found * unit)
    return found if bool((off <= max(0.05, _MULTIPLE * unit)).all()) else found[:0]


def _missing(steps: Numbers, hints: Hints | None) -> tuple[list[int], str]:
    """Returns the steps within which slices are missing, where something says so, and what says it.

    Their distance alone does not tell a stretch without every other slice from a stretch of another spacing.
    """
    times = _multiples(steps)
    long = times > 1
    if not long.any() or long.all():
        return [], ""
    found = [int(n) for n in np.flatnonzero(long)]
    if hints is not None:
        counted = _counted(hints.in_stack)
        if counted is not None:
            if not (np.abs(counted) == times).all():
                return [], ""
            return found, _absent(hints.in_stack)
        between = np.minimum(hints.between[:-1], hints.between[1:])[long]
        if np.isfinite(between).all():
            agrees = np.abs(between - _shortest(steps)) <= _SAME * between
            if agrees.mean() <= 0.5:  # where the spacing changes, the first slice of a stretch says the other one
                return [], ""
            return found, f"Spacing Between Slices is {float(between[agrees][0]):.4g} mm"
        numbered = _counted(hints.numbers)
        if numbered is not None and (np.abs(numbered) == times).all():
            return found, "as many instance numbers are missing"
        thickness = hints.thickness
        same = np.isfinite(thickness).all() and np.ptp(thickness) <= _SAME * thickness.max()
        if same and thickness[0] <= (1.0 + _SAME) * _shortest(steps):
            return found, f"all slices are {thickness[0]:.4g} mm thick, so these do not touch"
    if len(found) > 1 and not long[:_AROUND].any() and not long[-_AROUND:].any():
        return found, "the slices on both sides are regular"
    return [], ""


def _counted(numbers: NDArray[np.int_]) -> NDArray[np.int_] | None:
    """Returns the steps of numbers that count the slices up or down; None where they do not."""
    if (numbers <= 0).any():
        return None
    steps = np.diff(numbers)
    return steps if bool((steps > 0).all() or (steps < 0).all()) else None


def _absent(in_stack: NDArray[np.int_]) -> str:
    there = set(in_stack.tolist())
    absent = [str(n) for n in range(min(there), max(there) + 1) if n not in there]
    more = f" and {len(absent) - 12} more" if len(absent) > 12 else ""
    return f"In-Stack Positions {', '.join(absent[:12])}{more} are missing"


def _doubt(usual: float, hints: Hints) -> str:
    """Returns a sentence where evenly spaced slices say themselves that there ought to be more of them."""
    between, thickness = hints.between, hints.thickness
    if np.isfinite(between).all() and np.ptp(between) <= _SAME * between.max():
        said = float(between[0])
        times = round(usual / said)
        # Some scanners write the gap between slices instead of the distance of their centres.
        thick = float(thickness[0])
        gap_instead = said < (1.0 - _SAME) * thick and abs(said + thick - usual) <= _SAME * usual
        if times > 1 and abs(usual - times * said) <= _SAME * usual and not gap_instead:
            lost = "every other slice" if times == 2 else f"{times - 1} of {times} slices"
            return (
                f"The slices are {usual:.4g} mm apart, but their Spacing Between Slices is {said:.4g} mm: {lost} may "
                "be missing."
            )
    counted = _counted(hints.in_stack)
    if counted is not None and np.ptp(counted) == 0 and abs(int(counted[0])) > 1:
        return (
            f"The slices are evenly spaced, but their In-Stack Positions are {abs(int(counted[0]))} apart: those "
            "between may be missing."
        )
    return ""


def _two_in_turn(along: NDArray[np.float64]) -> bool:
    """Whether every second slice is evenly spaced but all together are not: two passes, a little apart."""
    if len(along) < 8:
        return False
    steps = np.diff(along)
    inner = (np.diff(along[0::2]), np.diff(along[1::2]))
    unequal = abs(float(np.median(steps[0::2]) - np.median(steps[1::2]))) > max(
        0.03, _PLACE_TOLERANCE * np.median(steps)
    )
    return bool(unequal and all(np.ptp(d) <= max(0.03, _PLACE_TOLERANCE * np.median(d)) for d in inner))


def _gaps(steps: NDArray[np.float64]) -> list[int]:
    return [n for n in range(len(steps)) if steps[n] > _GAP * _usual_at(steps, n)]


def _usual_at(steps: NDArray[np.float64], n: int) -> float:
    """Returns the lower median of the steps around step `n`. Where the spacing changes for good, half of them are
    new."""
    around = np.sort(steps[max(0, n - _AROUND) : n + _AROUND + 1])
    return float(around[(len(around) - 1) // 2])


def regular_places(along: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns even places from the first to the last of `along`, as far apart as its nearest slices.

    Not closer than a quarter of the usual step, so that one odd slice does not multiply the volume.
    """
    steps = np.diff(along)
    step = max(float(steps.min()), float(np.median(steps)) / 4)
    count = max(2, round(float(along[-1] - along[0]) / step) + 1)
    return np.linspace(float(along[0]), float(along[-1]), count)
