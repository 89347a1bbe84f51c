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

SpacingKind = Literal["even", "uneven", "gap", "double", "crooked"]


@dataclass(frozen=True, slots=True)
class Spacing:
    """The kind of spacing. at : the step with a gap (0 is that from the first slice to the second). words : the lengths
    found. expected : the length without a gap, with the tolerance. more : how many gaps, if several.
    """

    kind: SpacingKind
    at: int = 0
    words: str = ""
    expected: str = ""
    more: str = ""


def spacing_of(positions: NDArray[np.float64], normal: NDArray[np.float64]) -> Spacing:
    """Finds the spacing. positions : (K, 3) LPS mm in ascending order along `normal`, K at least 2."""
    along = positions @ normal
    steps = np.diff(along)
    usual = float(np.median(steps))
    tolerance = max(0.03, _PLACE_TOLERANCE * usual)
    part = (along - along[0]) / (along[-1] - along[0])
    line = positions[0] + np.outer(part, positions[-1] - positions[0])
    off = float(np.abs(positions - line).max())
    if off > max(tolerance, 0.1):
        return Spacing("crooked", words=f"off by {off:.2g} mm")
    even = along[0] + np.arange(len(along)) * (along[-1] - along[0]) / (len(along) - 1)
    drift = float(np.abs(along - even).max())
    if np.abs(steps - usual).max() <= tolerance and drift <= max(tolerance, 0.1):
        return Spacing("even")
    if steps.min() < _LEAST * steps.mean() or _two_in_turn(along):
        return Spacing("double", words=f"{steps.min():.3g} and {steps.max():.3g} mm")
    gaps = _gaps(steps)
    if gaps:
        n = gaps[0]
        around = _usual_at(steps, n)
        return Spacing(
            "gap",
            at=n,
            words=f"{steps[n]:.3g} mm",
            expected=f"{around:.3g} ± {max(0.03, _PLACE_TOLERANCE * around):.2g} mm",
            more=f" ({len(gaps)} such places)" if len(gaps) > 1 else "",
        )
    return Spacing("uneven", words=f"{steps.min():.3g} to {steps.max():.3g} mm")


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
