"""Sorts the frames of a series into volumes by their place, or gives the reason why they make none.

Geometry comes from Image Position and Image Orientation alone, never from file order, instance number or slice
location. Source: PS3.3 C.7.6.2.1.1. Pixels are read only where nothing but they can tell whether an image came twice.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dicom_io.capabilities import CLASS_BY_UID, class_name
from dicom_io.files.instance import Instance
from dicom_io.files.series import Series
from dicom_io.volumes import splitting
from dicom_io.volumes.copies import without_copies
from dicom_io.volumes.slices import (
    RefusedImages,
    Slice,
    Stack,
    count_duplicates,
    find_spacing,
    in_order,
    normal_of,
    positions_of,
)
from render.geometry import cross

__all__ = ["RefusedImages", "Slice", "Stack", "find_stacks", "normal_of", "positions_of"]

_ORIENTATION_TOLERANCE = 1e-3
# More parts than this that are refused for the same reason are told in one sentence.
_MOST_ALIKE = 4


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
    if "VFRAME" in instance.image_type and not instance.mosaic and len(instance.frames) == 1:
        return "a UIH grid (VFRAME) that was received before grids were unfolded; import it again."
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
    duplicates = count_duplicates(group)
    places = len(group) - duplicates
    if not duplicates:
        return _split_between(group, label, why, bridge_gaps)
    repeated = f"{duplicates} places are imaged more than once"
    found = list(splitting.divisions(group))
    for name, parts in found:
        if splitting.tells_volumes_apart(name, parts, places, duplicates):
            return _each(name, parts, label, _joined(why, f"{repeated}, and the images differ in {name}"), bridge_gaps)
    fewer, note = without_copies(group)
    whole = _split(fewer, label, why, bridge_gaps) if note else []
    if any(isinstance(part, Stack) for part in whole):
        return [_noted(part, note) for part in whole]
    runs = splitting.runs(group, places)
    if runs:
        why = _joined(why, f"{repeated}, and instance numbers count one volume after the other")
        return [_checked(run, _labelled(label, _numbers_of(run)), why, bridge_gaps) for run in runs]
    name, ranked = splitting.ranks(group)
    if ranked:
        why = _joined(why, f"{repeated}, and by {name} the images of every place follow each other alike")
        count = len(ranked)
        return [
            _checked(part, _labelled(label, f"{name} {n} of {count} at each place"), why, bridge_gaps)
            for n, part in enumerate(ranked, start=1)
        ]
    for name, parts in found:
        if splitting.tells_some_apart(name, parts, duplicates):
            return _each(name, parts, label, _joined(why, f"{repeated}, and the images differ in {name}"), bridge_gaps)
    reason = f"{repeated} and nothing known sets the images apart; they were not mixed into one volume."
    return [RefusedImages(len(group), label, reason)]


def _split_between(group: list[Slice], label: str, why: str, bridge_gaps: bool) -> list[Stack | RefusedImages]:
    """Splits a group whose slices all lie at places of their own."""
    for name, parts in splitting.divisions(group) if len(group) > 2 else ():
        if splitting.set_apart(name, group, parts):
            reason = f"images that differ in {name} lie between each other or make no volume together"
            return _each(name, parts, label, _joined(why, reason), bridge_gaps)
    passes = splitting.counted_passes(group)
    if passes:
        why = _joined(why, "instance numbers count one pass after the other over the same part of the patient")
        return [_checked(part, _labelled(label, _numbers_of(part)), why, bridge_gaps) for part in passes]
    return [_checked(group, label, why, bridge_gaps)]


def _each(name: str, parts: splitting.Parts, label: str, why: str, bridge_gaps: bool) -> list[Stack | RefusedImages]:
    """Splits each part further. Foreign images beside a volume are refused, also where a gap is their only fault."""
    found: list[Stack | RefusedImages] = []
    for value, part in parts.items():
        found += _split(part, _labelled(label, f"{name} {value or 'none'}"), why, bridge_gaps)
    largest = max((s for s in found if isinstance(s, Stack)), key=lambda s: len(s.slices), default=None)
    if largest is not None:
        step = find_spacing(largest.slices).step
        found = [_unless_foreign(part, len(largest.slices), step) for part in found]
    return _told_together(name, found)


def _unless_foreign(part: Stack | RefusedImages, others: int, step_mm: float) -> Stack | RefusedImages:
    if isinstance(part, Stack) and splitting.is_foreign(
        len(part.slices), find_spacing(part.slices).step, others, step_mm
    ):
        return RefusedImages(len(part.slices), part.label, _FOREIGN)
    if isinstance(part, RefusedImages) and part.bridgeable and splitting.is_foreign(part.count, np.inf, others, 0.0):
        return RefusedImages(part.count, part.label, _FOREIGN)
    return part


_FOREIGN = (
    "a few images beside a volume that are too far from each other to make one (bolus tracking, a test or a repeated "
    "scout)."
)


def _told_together(name: str, found: list[Stack | RefusedImages]) -> list[Stack | RefusedImages]:
    """Puts many parts that are refused for the same reason into one refusal."""
    alike = Counter(part.reason for part in found if isinstance(part, RefusedImages))
    kept: list[Stack | RefusedImages] = []
    for part in found:
        if not isinstance(part, RefusedImages) or alike[part.reason] <= _MOST_ALIKE:
            kept.append(part)
    for reason, count in alike.items():
        if count > _MOST_ALIKE:
            same = [part for part in found if isinstance(part, RefusedImages) and part.reason == reason]
            bridgeable = any(part.bridgeable for part in same)
            label = f"{count} parts that differ in {name}, the first {same[0].label}"
            kept.append(RefusedImages(sum(part.count for part in same), label, reason, bridgeable))
    return kept


def _noted(part: Stack | RefusedImages, note: str) -> Stack | RefusedImages:
    return replace(part, notes=(*part.notes, note)) if isinstance(part, Stack) else part


def _numbers_of(run: Sequence[Slice]) -> str:
    return f"instances {run[0].instance.instance_number} to {run[-1].instance.instance_number}"


def _labelled(*words: str) -> str:
    return ", ".join(filter(None, words))


def _joined(*sentences: str) -> str:
    return "; ".join(filter(None, sentences))


def _checked(group: list[Slice], label: str, why: str, bridge_gaps: bool) -> Stack | RefusedImages:
    """Makes a stack of slices at different places if they lie on a straight line without gaps."""
    if len(group) < 2:
        return RefusedImages(1, label, "a single image is no volume (a localizer, scout or reformat).")
    slices = tuple(in_order(group))
    spacing = find_spacing(slices)
    stack = Stack(slices, label, why, notes=(spacing.note,) if spacing.note else ())
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
