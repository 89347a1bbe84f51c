"""Ways to divide images of one grid into volumes: by a trait, by time, by number, by the order at each place.

`stacks.py` tries them in turn. None of them places a slice: that is done by position alone.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dicom_io.volumes.slices import Slice, by_place, count_duplicates, find_spacing, places_along
from dicom_io.volumes.spacing import on_lattice

Parts = dict[str, list[Slice]]

# Traits that must be equal in all slices of a volume: images that differ in them have different content.
_CONTENT = ("image type", "component", "echo time", "echo number", "b-value", "inversion time", "flip angle",
            "contrast phase", "labelling", "reconstruction kernel", "tube voltage")  # fmt: skip
# Traits that tell one pass of the scanner over the patient from another.
_PASS = ("contrast agent", "irradiation event", "acquisition number", "acquisition time")
# Traits that may differ from slice to slice in one volume (a modulated tube current): they never set images of one
# place apart unless each of their values images a whole volume.
_VARYING = ("exposure",)
# Traits that follow the time within a heart beat, a breath or a series: their order at each place may tell the volumes.
_IN_TIME = ("trigger time", "temporal position", "phase number", "frame reference time", "acquisition time")
# So many evenly spaced slices are a volume that a few foreign images cannot stop.
_WHOLE = 5
# So many images at most are a few beside a volume of this many times as many.
_FEW, _MANY_TIMES = 3, 5
# Two passes are so far apart in time, in s, and in times of the usual pause between two images.
_PAUSE_S, _PAUSES = 2.0, 8.0


def trait_names(group: Sequence[Slice]) -> list[str]:
    return list(dict.fromkeys(name for item in group for name, _ in item.frame.traits))


def parts_by(name: str, group: Sequence[Slice]) -> Parts:
    """Groups slices by the value of a trait."""
    parts: Parts = {}
    for item in group:
        parts.setdefault(item.trait(name), []).append(item)
    return dict(sorted(parts.items(), key=lambda pair: _natural(pair[0])))


def divisions(group: Sequence[Slice]) -> Iterator[tuple[str, Parts]]:
    """Yields (name of what they differ in, parts) for each trait, then for times with a pause between them."""
    for name in trait_names(group):
        parts = parts_by(name, group)
        # A trait that merely numbers the slices leaves one slice, or all images of one place, in each part.
        if len(parts) > 1 and max(len(p) for p in parts.values()) > 1:
            yield name, parts
    passes = _passes(group)
    if passes:
        yield "acquisition time", passes


def _natural(value: str) -> tuple[float, str]:
    try:
        return (float(value), "")
    except ValueError:
        return (float("inf"), value)


# ------------------------------------------------------------------------------------- images at one place


def tells_volumes_apart(name: str, parts: Parts, places: int, duplicates: int) -> bool:
    """Whether a trait sets images at one place apart, and most of them lie in parts that image at least half of the
    places: not one that numbers slices as well, as a trigger time may."""
    if not _resolves(parts, duplicates):
        return False
    count = {value: len(by_place(part)) for value, part in parts.items()}
    within = sum(len(part) for value, part in parts.items() if 2 * count[value] >= places)
    return 2 * within > sum(map(len, parts.values()))


def tells_some_apart(name: str, parts: Parts, duplicates: int) -> bool:
    """Whether a trait sets images at one place apart, in parts of several places, though of few."""
    if name in _VARYING or not _resolves(parts, duplicates):
        return False
    count = {value: len(by_place(part)) for value, part in parts.items()}
    within = sum(len(part) for value, part in parts.items() if count[value] > 1)
    return 2 * within > sum(map(len, parts.values()))


def _resolves(parts: Parts, duplicates: int) -> bool:
    return sum(count_duplicates(part) for part in parts.values()) < duplicates


def runs(group: Sequence[Slice], places: int) -> list[list[Slice]]:
    """Returns consecutive runs of `places` instance numbers, each of which images every place once; else nothing.

    Some scanners number several volumes of a series in this way, with no attribute to tell them apart. A less regular
    numbering is not used: one image more or less in a run would shift all that follow.
    """
    ordered = sorted(group, key=lambda item: item.instance.instance_number)
    numbers = [item.instance.instance_number for item in ordered]
    if places < 2 or len(group) % places or len(set(numbers)) < len(numbers):
        return []
    found = [ordered[n : n + places] for n in range(0, len(ordered), places)]
    return [] if any(count_duplicates(run) for run in found) else found


def ranks(group: Sequence[Slice]) -> tuple[str, list[list[Slice]]]:
    """Returns (what orders them, volumes) where the images of every place follow each other alike: volume n has the
    n-th image of each place. Returns nothing where they do not.

    A trigger time may count from the first slice, and some scanners number all time points of a slice before the next
    slice; the order at each place is the same.
    """
    places = by_place(group)
    many = len(places[0])
    if len(places) < 2 or many < 2 or any(len(place) != many for place in places):
        return "", []
    for name in (*_IN_TIME, "instance number"):
        values = np.array([[_order_of(item, name) for item in place] for place in places])
        if np.isnan(values).any():
            continue
        order = np.argsort(values, axis=1, kind="stable")
        values = np.take_along_axis(values, order, axis=1)
        if _numbered_by_slice(values) if name == "instance number" else _follow_alike(values):
            return name, [[place[row[n]] for place, row in zip(places, order, strict=True)] for n in range(many)]
    return "", []


def _order_of(item: Slice, name: str) -> float:
    if name == "instance number":
        number = item.instance.instance_number
        return float(number) if len(item.instance.frames) == 1 and number > 0 else np.nan
    value = item.trait(name)
    if name == "acquisition time":
        return _seconds(value)
    try:
        return float(value)
    except ValueError:
        return np.nan


def _follow_alike(values: NDArray[np.float64]) -> bool:
    """Whether, counted from the first image of its place, every n-th image comes before every next one. values :
    (places, images), ascending along a row."""
    since = values - values[:, :1]
    return bool((since[:, 1:].min(axis=0) > since[:, :-1].max(axis=0)).all())


def _numbered_by_slice(values: NDArray[np.float64]) -> bool:
    """Whether the numbers of each place are consecutive, and those of no other place lie between them."""
    return bool((np.diff(values, axis=1) == 1).all()) and len(np.unique(values)) == values.size


# ------------------------------------------------------------------------------------- images between each other


def set_apart(name: str, group: Sequence[Slice], parts: Parts) -> bool:
    """Whether parts without common places are several volumes, or a volume and foreign images, and no single volume.

    Parts of a CT that lie between each other are several, however even they are together: a scanner does not come back
    to fill gaps. MR does (concatenations, interleaved packages).
    """
    even = {value: len(p) > 1 and find_spacing(p).kind == "even" for value, p in parts.items()}
    smallest, between = min(len(p) for p in parts.values()), _interleaved(parts)
    is_ct = group[0].instance.modality == "CT"
    least = 2 if name in _CONTENT else _WHOLE if name in _VARYING else 3
    all_even = smallest >= least and all(even.values())
    if find_spacing(group).kind == "even":
        return all_even and between and (name in _CONTENT or (is_ct and name in (*_PASS, *_VARYING)))
    if all_even and between:
        return True
    if name not in (*_CONTENT, *_PASS):
        return False
    whole = [value for value, p in parts.items() if even[value] and len(p) >= _WHOLE]
    foreign = sum(len(p) for value, p in parts.items() if value not in whole)
    if not whole or (not is_ct and on_lattice(np.sort(places_along(group)))):
        return False  # one interleaved volume that lacks slices
    return between or (len(whole) == 1 and foreign <= min(_FEW, len(parts[whole[0]]) // _MANY_TIMES))


def counted_passes(group: Sequence[Slice]) -> list[list[Slice]]:
    """Returns the passes of a CT over the same part of the patient where nothing but instance numbers tells them: each
    counts its slices along the patient, and the next begins anew among them. Returns nothing where there is one pass.
    """
    ordered = sorted(group, key=lambda item: item.instance.instance_number)
    numbers = [item.instance.instance_number for item in ordered]
    if group[0].instance.modality != "CT" or len(set(numbers)) < len(numbers) or len(group) < 2 * _WHOLE:
        return []
    along = places_along(ordered)
    steps = np.diff(along)
    back = np.flatnonzero(np.sign(steps) != np.sign(np.median(steps)))
    found = [ordered[a:b] for a, b in pairwise([0, *(back + 1).tolist(), len(ordered)])]
    if not 2 <= len(found) <= 4 or min(map(len, found)) < _WHOLE:
        return []
    parts = {str(n): part for n, part in enumerate(found)}
    alike = all(find_spacing(part).kind == "even" for part in found) and _interleaved(parts)
    return found if alike else []


def is_foreign(count: int, step_mm: float, others: int, other_step_mm: float) -> bool:
    """Whether a few images beside a volume are no volume of their own: too far apart. count, others : images of both.
    step_mm, other_step_mm : their usual distances."""
    return count <= _FEW and others >= _MANY_TIMES * count and step_mm > 1.5 * other_step_mm


def _interleaved(parts: Parts) -> bool:
    """Whether the parts overlap along the normal; parts that follow each other may be one volume."""
    reaches = sorted((float(p.min()), float(p.max())) for p in map(places_along, parts.values()))
    furthest = reaches[0][1]
    for low, high in reaches[1:]:
        if low < furthest:
            return True
        furthest = max(furthest, high)
    return False


def _passes(group: Sequence[Slice]) -> Parts:
    """Divides images where the scanner paused; each has a time of its own, so no two share a value. Nothing where it
    did not pause, or paused all the time."""
    times = [(_seconds(item.trait("acquisition time")), n) for n, item in enumerate(group)]
    if len(group) < 2 * _WHOLE or np.isnan([t for t, _ in times]).any():
        return {}
    times.sort()
    waits = np.diff([t for t, _ in times])
    pauses = np.flatnonzero(waits > max(_PAUSE_S, _PAUSES * float(np.median(waits))))
    if not 1 <= len(pauses) <= 5:
        return {}
    bounds = [0, *(pauses + 1).tolist(), len(times)]
    return {
        group[times[a][1]].trait("acquisition time"): [group[n] for _, n in times[a:b]] for a, b in pairwise(bounds)
    }


def _seconds(value: str) -> float:
    """Returns a DICOM time in seconds since midnight; NaN for none. Source: PS3.5 6.2 (TM)."""
    whole, _, fraction = value.partition(".")
    # The traits write numbers without leading zeros.
    whole = whole.zfill(6)
    if not (whole.isdecimal() and len(whole) == 6 and (fraction.isdecimal() or not fraction)):
        return float("nan")
    return int(whole[:2]) * 3600 + int(whole[2:4]) * 60 + int(whole[4:]) + float(f"0.{fraction or 0}")
