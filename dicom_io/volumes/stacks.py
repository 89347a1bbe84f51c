"""Sorts the frames of a series into volumes by their place, or gives the reason why they make none.

Geometry comes from Image Position and Image Orientation alone, never from file order, instance number or slice
location. Source: PS3.3 C.7.6.2.1.1. No pixels are read here.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dicom_io.capabilities import CLASS_BY_UID, class_name
from dicom_io.files.instance import Frame, Instance
from dicom_io.files.series import Series
from dicom_io.volumes.spacing import Spacing, spacing_of
from render.geometry import cross, unit_vector

_ORIENTATION_TOLERANCE = 1e-3
# Traits that must be equal in all slices of a volume: images that differ in them have different content.
_CONTENT = ("image type", "component", "echo time", "echo number", "b-value", "inversion time", "flip angle",
            "contrast phase", "labelling", "reconstruction kernel", "tube voltage")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Slice:
    """One frame of one instance."""

    instance: Instance
    index: int

    @property
    def frame(self) -> Frame:
        return self.instance.frames[self.index]


@dataclass(frozen=True, slots=True)
class Stack:
    """Slices of one volume in ascending order along their normal (row × column).

    label : what sets it apart from the other volumes of its series. reason : why the series was split, in a sentence.
    uneven : the spacing in words where it is uneven, so that the slices have to be resampled; else empty.
    """

    slices: tuple[Slice, ...]
    label: str
    reason: str = ""
    uneven: str = ""


@dataclass(frozen=True, slots=True)
class RefusedImages:
    """Images of a series that make no volume, and why. bridgeable : they would make one if their gaps were bridged."""

    count: int
    label: str
    reason: str
    bridgeable: bool = False


def find_stacks(series: Series, *, bridge_gaps: bool = False) -> tuple[Stack | RefusedImages, ...]:
    """Returns the volumes that a series holds by its geometry, and the images that make none.

    bridge_gaps : missing slices are interpolated from their neighbours, with a warning in the volume.
    """
    slices: list[Slice] = []
    found: list[Stack | RefusedImages] = []
    unfit: Counter[str] = Counter()
    for instance in series.instances:
        reason = _why_no_source(instance)
        if reason:
            unfit[reason] += 1
            continue
        slices += [Slice(instance, index) for index in range(len(instance.frames))]
    found += [RefusedImages(count, "", reason) for reason, count in unfit.items()]
    groups = _by_grid(slices)
    for group in groups:
        label = _describe(group) if len(groups) > 1 else ""
        why = "its images differ in orientation, matrix or pixel spacing" if len(groups) > 1 else ""
        found += _split(group, label, why, bridge_gaps)
    return tuple(found)


def _why_no_source(instance: Instance) -> str:
    """Returns the reason why an instance cannot be part of a volume, or nothing."""
    known = CLASS_BY_UID.get(instance.sop_class_uid)
    name = class_name(instance.sop_class_uid)
    if instance.refusal:
        return f"{name}: {instance.refusal}"
    if not instance.is_image:
        return f"{name} holds no image pixels."
    if known is None or known.role != "source":
        return f"{name} is none of the SOP classes that volumes are built from."
    if instance.samples != 1:
        return "colour pixels; a volume has one value a voxel."
    if any("MOSAIC" in value for value in instance.image_type) and not instance.mosaic:
        return "a Siemens mosaic that was received before mosaics were unfolded; import it again."
    if len(instance.frames) == 0:
        return "a multi-frame image without functional groups for its frames."
    if min(instance.plane) < 2:
        rows, columns = instance.plane
        return f"images of {rows} x {columns} are one pixel wide; a volume needs two each way."
    if any(f.position_mm is None or f.orientation is None for f in instance.frames):
        return f"{name}: no Image Position and Orientation, so nobody knows where it is in the patient."
    if not all(_perpendicular(f.orientation) for f in instance.frames if f.orientation):
        return f"{name}: Image Orientation is not two perpendicular unit directions; its place is not known."
    if any(f.spacing_mm is None or min(f.spacing_mm) <= 0.0 for f in instance.frames):
        return f"{name}: no Pixel Spacing, so nobody knows how large it is."
    return ""


def _perpendicular(orientation: Sequence[float]) -> bool:
    """Whether row and column directions have length 1 and a right angle, to 1 %. Source: PS3.3 C.7.6.2.1.1."""
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    lengths = abs(float(row @ row) - 1.0) < 0.02 and abs(float(column @ column) - 1.0) < 0.02
    return lengths and abs(float(row @ column)) < 0.01


def _by_grid(slices: list[Slice]) -> list[list[Slice]]:
    """Groups slices by orientation, matrix and pixel spacing, so that each group can lie in one grid."""
    groups: list[list[Slice]] = []
    for item in slices:
        for group in groups:
            if _same_grid(group[0], item):
                group.append(item)
                break
        else:
            groups.append([item])
    return groups


def _same_grid(a: Slice, b: Slice) -> bool:
    fa, fb = a.frame, b.frame
    assert fa.orientation and fb.orientation and fa.spacing_mm and fb.spacing_mm
    return (
        a.instance.plane == b.instance.plane
        and all(abs(x - y) < _ORIENTATION_TOLERANCE for x, y in zip(fa.orientation, fb.orientation, strict=True))
        and all(abs(x - y) < 1e-4 * x for x, y in zip(fa.spacing_mm, fb.spacing_mm, strict=True))
    )


def _describe(group: Sequence[Slice]) -> str:
    item = group[0]
    orientation, spacing = item.frame.orientation, item.frame.spacing_mm
    assert orientation and spacing
    axis = int(np.argmax(np.abs(cross(orientation[:3], orientation[3:]))))
    name = ("sagittal", "coronal", "axial")[axis]
    rows, columns = item.instance.plane
    return f"{name} {rows} x {columns} at {spacing[0]:.3g} mm"


def _split(group: list[Slice], label: str, why: str, bridge_gaps: bool) -> list[Stack | RefusedImages]:
    """Splits a group in one grid, which may hold several volumes, by the first trait that sets them apart."""
    duplicates = _duplicates(group)
    for name in _trait_names(group):
        parts: dict[str, list[Slice]] = {}
        for item in group:
            parts.setdefault(dict(item.frame.traits).get(name, ""), []).append(item)
        # A trait that merely numbers the slices (acquisition time) leaves one slice in each part: it is no use.
        if len(parts) < 2 or max(len(p) for p in parts.values()) < 2:
            continue
        if duplicates and _resolves(parts, duplicates):
            reason = f"{duplicates} places are imaged more than once, and the images differ in {name}"
        elif not duplicates and _interleaved(parts) and _sets_apart(name, group, parts):
            reason = f"images that differ in {name} lie between each other"
        else:
            continue
        found: list[Stack | RefusedImages] = []
        for value in sorted(parts, key=_natural):
            found += _split(
                parts[value],
                _joined(label, f"{name} {value or 'none'}"),
                "; ".join(filter(None, (why, reason))),
                bridge_gaps,
            )
        return found
    if not duplicates:
        return [_checked(group, label, why, bridge_gaps)]
    runs = _runs(group, len(group) - duplicates)
    reason = f"{duplicates} places are imaged more than once"
    if runs:
        why = "; ".join(filter(None, (why, f"{reason}, and instance numbers count one volume after the other")))
        return [_checked(run, _joined(label, _numbers_of(run)), why, bridge_gaps) for run in runs]
    return [
        RefusedImages(
            len(group),
            label,
            f"{reason} and nothing known sets the images apart; they were not mixed into one volume.",
        )
    ]


def _interleaved(parts: dict[str, list[Slice]]) -> bool:
    """Whether the parts overlap along the normal; parts that follow each other may be one volume."""
    reaches = sorted((float(p.min()), float(p.max())) for p in map(_along, parts.values()))
    return any(later[0] < earlier[1] for earlier, later in pairwise(reaches))


def _sets_apart(name: str, group: list[Slice], parts: dict[str, list[Slice]]) -> bool:
    """Whether a trait marks different content, or each part is evenly spaced while all together are not."""
    if min(len(p) for p in parts.values()) < 2 or not all(_spacing(p).kind == "even" for p in parts.values()):
        return False
    return name in _CONTENT or _spacing(group).kind != "even"


def _runs(group: list[Slice], places: int) -> list[list[Slice]]:
    """Returns consecutive runs of `places` instance numbers, each of which images every place once; else nothing.

    Some scanners number several volumes of a series in this way, with no attribute to tell them apart. A less regular
    numbering is not used: one image more or less in a run would shift all that follow.
    """
    ordered = sorted(group, key=lambda item: item.instance.instance_number)
    numbers = [item.instance.instance_number for item in ordered]
    if places < 2 or len(group) % places or len(set(numbers)) < len(numbers):
        return []
    runs = [ordered[n : n + places] for n in range(0, len(ordered), places)]
    return [] if any(_duplicates(run) for run in runs) else runs


def _numbers_of(run: Sequence[Slice]) -> str:
    return f"instances {run[0].instance.instance_number} to {run[-1].instance.instance_number}"


def _joined(*words: str) -> str:
    return ", ".join(filter(None, words))


def _resolves(parts: dict[str, list[Slice]], duplicates: int) -> bool:
    return sum(_duplicates(part) for part in parts.values()) < duplicates


def _trait_names(group: list[Slice]) -> list[str]:
    return list(dict.fromkeys(name for item in group for name, _ in item.frame.traits))


def _natural(value: str) -> tuple[float, str]:
    try:
        return (float(value), "")
    except ValueError:
        return (float("inf"), value)


def normal_of(item: Slice) -> tuple[float, float, float]:
    orientation = item.frame.orientation
    assert orientation
    return unit_vector(cross(orientation[:3], orientation[3:]))


def positions_of(slices: Sequence[Slice]) -> NDArray[np.float64]:
    return np.array([s.frame.position_mm for s in slices], dtype=np.float64)


def _along(slices: Sequence[Slice]) -> NDArray[np.float64]:
    """Returns the distance of each slice along the common normal in mm."""
    return np.asarray(positions_of(slices) @ np.array(normal_of(slices[0])), dtype=np.float64)


def _duplicates(group: Sequence[Slice]) -> int:
    """Counts the slices that lie where another one lies already (within 0.01 mm)."""
    places = np.sort(_along(group))
    return int((np.diff(places) < 0.01).sum())


def _spacing(group: Sequence[Slice]) -> Spacing:
    """Returns the spacing of the slices. group : at least two slices at different places, in any order."""
    order = np.argsort(_along(group), kind="stable")
    return spacing_of(positions_of(group)[order], np.array(normal_of(group[0])))


def _checked(group: list[Slice], label: str, why: str, bridge_gaps: bool) -> Stack | RefusedImages:
    """Makes a stack of slices at different places if they lie on a straight line without gaps."""
    if len(group) < 2:
        return RefusedImages(1, label, "a single image is no volume (a localizer, scout or reformat).")
    order = np.argsort(_along(group), kind="stable")
    slices = tuple(group[n] for n in order)
    spacing = _spacing(slices)
    stack = Stack(slices, label, why)
    if spacing.kind == "even":
        return stack
    if spacing.kind == "crooked":
        return RefusedImages(len(group), label, f"the slices do not lie on a straight line ({spacing.words}).")
    if spacing.kind == "double":
        reason = (
            f"the slices are {spacing.words} apart in turn, as two passes over the same place are; they were not mixed."
        )
        return RefusedImages(len(group), label, reason)
    a, b = slices[spacing.at].instance, slices[spacing.at + 1].instance
    where = f"between instances {a.instance_number} and {b.instance_number}"
    if a is b:
        where = f"between frames {slices[spacing.at].index + 1} and {slices[spacing.at + 1].index + 1}"
    if spacing.kind == "uneven":
        return replace(stack, uneven=f"The slices are {spacing.words} apart")
    if bridge_gaps:
        return replace(
            stack, uneven=f"Slices are missing ({spacing.words} {where}{spacing.more}); the gaps were bridged"
        )
    return RefusedImages(
        len(group),
        label,
        f"gap of {spacing.words} {where}, expected {spacing.expected}{spacing.more}. Ask the modality to send the "
        "series again, or have the gap bridged (--bridge-gaps).",
        bridgeable=True,
    )
