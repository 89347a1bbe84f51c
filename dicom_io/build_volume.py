"""From a series to volumes: which frames belong together, where they are, and the voxels, or the reason why not.

Geometry comes from Image Position and Image Orientation alone, never from file order, instance number or slice
location. Source: PS3.3 C.7.6.2.1.1.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicom_io.capabilities import CLASS_BY_UID, LOSSY_SYNTAXES, class_name
from dicom_io.decode import stored_values
from dicom_io.errors import VolumeRefused
from dicom_io.series import Frame, Instance, Series
from render.geometry import GeometryError, affine_from, cross, unit_vector
from render.volume import Volume

# A slice may be this far from where the line through all slices puts it: 3 % of the slice distance, as position is
# often written with two or three decimals, but never less than 0.03 mm.
_PLACE_TOLERANCE = 0.03
_ORIENTATION_TOLERANCE = 1e-3


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
    """Slices of one volume in ascending order along their normal (row × column), and what sets it apart."""

    slices: tuple[Slice, ...]
    label: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Images of a series that make no volume, and why."""

    count: int
    label: str
    reason: str


def find_stacks(series: Series) -> tuple[Stack | Refused, ...]:
    """The volumes a series holds by geometry, and what of it cannot be one. Reads no pixels."""
    slices: list[Slice] = []
    found: list[Stack | Refused] = []
    unfit: dict[str, int] = {}
    for instance in series.instances:
        reason = _why_no_source(instance)
        if reason:
            unfit[reason] = unfit.get(reason, 0) + 1
            continue
        slices += [Slice(instance, index) for index in range(len(instance.frames))]
    found += [Refused(count, "", reason) for reason, count in unfit.items()]
    groups = _by_grid(slices)
    for group in groups:
        label = _describe(group) if len(groups) > 1 else ""
        found += _split(group, label)
    return tuple(found)


def build_volume(series: Series, which: int | None = None, progress: Callable[[float], None] | None = None) -> Volume:
    """The volume of a series; `which` picks one (0-based, in the order of `find_stacks`) where there are several.

    Raises VolumeRefused with the reason when there is none, when a slice is missing, or when there are several and
    none was named; NotReadable when pixels cannot be decoded.
    """
    found = find_stacks(series)
    stacks = [s for s in found if isinstance(s, Stack)]
    refused = [s for s in found if isinstance(s, Refused)]
    if not stacks:
        reasons = "; ".join(dict.fromkeys(r.reason for r in refused)) or "it holds no images"
        raise VolumeRefused(f"Series {series.uid}: no volume was built: {reasons}")
    if which is None and len(stacks) > 1:
        names = "; ".join(f"{n}: {s.label} ({len(s.slices)} slices)" for n, s in enumerate(stacks))
        raise VolumeRefused(f"Series {series.uid} holds {len(stacks)} volumes; say which: {names}.")
    if which is not None and not 0 <= which < len(stacks):
        raise VolumeRefused(f"Series {series.uid} has volumes 0 to {len(stacks) - 1}, not {which}.")
    return assemble(stacks[which or 0], progress)


def assemble(stack: Stack, progress: Callable[[float], None] | None = None) -> Volume:
    """Reads and rescales the pixels of a stack. Decodes on all cores; codecs release the GIL.

    Raises NotReadable when pixels cannot be decoded, VolumeRefused when they make no grid or do not fit the memory.
    """
    first = stack.slices[0].instance
    affine = _affine(stack)
    try:
        voxels = _voxels(stack, progress)
    except MemoryError as error:
        raise VolumeRefused(
            f"Series {first.series_uid}: {len(stack.slices)} slices of {first.rows} x {first.columns} do not fit into "
            "the memory of this machine."
        ) from error
    try:
        return Volume(
            voxels=voxels,
            affine=affine,
            unit=_unit(first),
            frame_of_reference=first.frame_of_reference,
            source_uids=tuple(dict.fromkeys(s.instance.sop_instance_uid for s in stack.slices)),
            warnings=tuple(_warnings(stack, affine)),
        )
    except GeometryError as error:
        raise VolumeRefused(f"Series {first.series_uid}: no volume was built: {error}") from error


def _voxels(stack: Stack, progress: Callable[[float], None] | None) -> NDArray[Any]:
    # int16 wherever exact: whole slopes and intercepts, and values that fit once they are there.
    whole = all(s.frame.slope.is_integer() and s.frame.intercept.is_integer() for s in stack.slices)
    voxels = (
        _read(stack, np.int16, progress) if whole and stack.slices[0].instance.pixel_keyword == "PixelData" else None
    )
    if voxels is None:
        voxels = _read(stack, np.float32, progress)
    assert voxels is not None, "every value fits float32"
    return voxels


def _read(stack: Stack, dtype: type[np.generic], progress: Callable[[float], None] | None) -> NDArray[Any] | None:
    """(K, rows, columns) rescaled values, or None when they do not fit `dtype`."""
    first = stack.slices[0].instance
    voxels: NDArray[Any] = np.empty((len(stack.slices), first.rows, first.columns), dtype=dtype)
    by_instance: dict[str, list[tuple[int, Slice]]] = {}
    for k, item in enumerate(stack.slices):
        by_instance.setdefault(item.instance.sop_instance_uid, []).append((k, item))

    def fill(members: list[tuple[int, Slice]]) -> bool:
        pixels = stored_values(members[0][1].instance)
        return all(_fill_slice(voxels[k], pixels[item.index], item) for k, item in members)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for done, fits in enumerate(pool.map(fill, by_instance.values()), start=1):
            if not fits:
                return None
            if progress is not None:
                progress(done / len(by_instance))
    return voxels


def _fill_slice(target: NDArray[Any], values: NDArray[Any], item: Slice) -> bool:
    """Rescales one slice into its place; False when a value does not fit. Source: PS3.3 C.11.1.1.2."""
    slope, intercept = item.frame.slope, item.frame.intercept
    rescaled: NDArray[Any]
    if target.dtype == np.int16:
        rescaled = values.astype(np.int64) * int(slope) + int(intercept)
        if rescaled.min() < -32768 or rescaled.max() > 32767:
            return False
    else:
        rescaled = values.astype(np.float64) * slope + intercept
    target[...] = rescaled
    if item.instance.padding is not None:
        low, high = item.instance.padding
        padded = (values >= low) & (values <= high)
        if padded.any():
            # Padding must not be drawn: it gets the slice's lowest true value, in CT the air around the patient.
            air = -1024 if item.instance.modality == "CT" else 0
            target[padded] = air if padded.all() else rescaled[~padded].min()
    return True


def _why_no_source(instance: Instance) -> str:
    """A reason why an instance cannot be part of a volume, or nothing."""
    known = CLASS_BY_UID.get(instance.sop_class_uid)
    if not instance.is_image:
        return f"{class_name(instance.sop_class_uid)} holds no image pixels."
    if known is None or known.role != "source":
        return f"{class_name(instance.sop_class_uid)} is none of the SOP classes that volumes are built from."
    if instance.samples != 1:
        return "colour pixels; a volume has one value a voxel."
    if any("MOSAIC" in value for value in instance.image_type):
        return "Siemens mosaic images hold many slices in one plane; ask for them unfolded (or as enhanced MR)."
    if len(instance.frames) == 0:
        return "a multi-frame image without functional groups for its frames."
    if min(instance.rows, instance.columns) < 2:
        return f"images of {instance.rows} x {instance.columns} are one pixel wide; a volume needs two each way."
    if any(f.position_mm is None or f.orientation is None for f in instance.frames):
        return f"{known.name}: no Image Position and Orientation, so nobody knows where it is in the patient."
    if not all(_perpendicular(f.orientation) for f in instance.frames if f.orientation):
        return f"{known.name}: Image Orientation is not two perpendicular unit directions; its place is not known."
    if any(f.spacing_mm is None or min(f.spacing_mm) <= 0.0 for f in instance.frames):
        return f"{known.name}: no Pixel Spacing, so nobody knows how large it is."
    return ""


def _perpendicular(orientation: Sequence[float]) -> bool:
    """Row and column directions of length 1 at a right angle, to 1 %. Source: PS3.3 C.7.6.2.1.1."""
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    lengths = abs(float(row @ row) - 1.0) < 0.02 and abs(float(column @ column) - 1.0) < 0.02
    return lengths and abs(float(row @ column)) < 0.01


def _by_grid(slices: list[Slice]) -> list[list[Slice]]:
    """Groups of equal orientation, matrix and pixel spacing; all members can lie in one grid."""
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
        (a.instance.rows, a.instance.columns) == (b.instance.rows, b.instance.columns)
        and all(abs(x - y) < _ORIENTATION_TOLERANCE for x, y in zip(fa.orientation, fb.orientation, strict=True))
        and all(abs(x - y) < 1e-4 * x for x, y in zip(fa.spacing_mm, fb.spacing_mm, strict=True))
    )


def _describe(group: Sequence[Slice]) -> str:
    item = group[0]
    orientation, spacing = item.frame.orientation, item.frame.spacing_mm
    assert orientation and spacing
    axis = int(np.argmax(np.abs(cross(orientation[:3], orientation[3:]))))
    name = ("sagittal", "coronal", "axial")[axis]
    return f"{name} {item.instance.rows} x {item.instance.columns} at {spacing[0]:.3g} mm"


def _split(group: list[Slice], label: str) -> list[Stack | Refused]:
    """A group in one grid may still hold several volumes: whatever trait resolves the duplicated places."""
    duplicates = _duplicates(group)
    if not duplicates:
        return [_checked(group, label)]
    for name in _trait_names(group):
        parts: dict[str, list[Slice]] = {}
        for item in group:
            parts.setdefault(dict(item.frame.traits).get(name, ""), []).append(item)
        # A trait that merely numbers the slices (acquisition time) leaves one slice a part: it sets nothing apart.
        if len(parts) > 1 and max(len(p) for p in parts.values()) > 1 and _resolves(parts, duplicates):
            found: list[Stack | Refused] = []
            for value in sorted(parts, key=_natural):
                found += _split(parts[value], _joined(label, f"{name} {value or 'none'}"))
            return found
    runs = _runs(group, len(group) - duplicates)
    if runs:
        return [_checked(run, _joined(label, _numbers_of(run))) for run in runs]
    reason = (
        f"{duplicates} places are imaged more than once and nothing known sets the images apart; "
        "they were not mixed into one volume."
    )
    return [Refused(len(group), label, reason)]


def _runs(group: list[Slice], places: int) -> list[list[Slice]]:
    """Runs of `places` instance numbers, one after the other, each of which images every place once; else nothing.

    So some scanners number a series of several volumes that no attribute tells apart. Anything less regular is no
    ground to stand on: an image more or less in one run would shift all that follow.
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


def _normal(item: Slice) -> tuple[float, float, float]:
    orientation = item.frame.orientation
    assert orientation
    return unit_vector(cross(orientation[:3], orientation[3:]))


def _positions(slices: Sequence[Slice]) -> NDArray[np.float64]:
    return np.array([s.frame.position_mm for s in slices], dtype=np.float64)


def _along(slices: Sequence[Slice]) -> NDArray[np.float64]:
    """Distance of each slice along the common normal in mm."""
    return np.asarray(_positions(slices) @ np.array(_normal(slices[0])), dtype=np.float64)


def _duplicates(group: Sequence[Slice]) -> int:
    """Slices that lie where another one lies already (within 0.01 mm)."""
    places = np.sort(_along(group))
    return int((np.diff(places) < 0.01).sum())


def _checked(group: list[Slice], label: str) -> Stack | Refused:
    """Slices at different places: one volume if they are evenly spaced on a straight line."""
    if len(group) < 2:
        return Refused(1, label, "a single image is no volume (a localizer, scout or reformat).")
    order = np.argsort(_along(group), kind="stable")
    slices = [group[n] for n in order]
    gaps = np.diff(_along(slices))
    usual = float(np.median(gaps))
    tolerance = max(0.03, _PLACE_TOLERANCE * usual)
    wide = np.flatnonzero(np.abs(gaps - usual) > tolerance)
    if wide.size:
        n = int(wide[0])
        a, b = slices[n].instance, slices[n + 1].instance
        what = "gap" if gaps[n] > usual else "step"
        return Refused(
            len(group),
            label,
            f"{what} of {gaps[n]:.3g} mm between instances {a.instance_number} and {b.instance_number}, "
            f"expected {usual:.3g} ± {tolerance:.2g} mm"
            + (f" ({wide.size} such places)" if wide.size > 1 else "")
            + ". Ask the modality to send the series again.",
        )
    positions = _positions(slices)
    line = positions[0] + np.outer(np.arange(len(slices)), (positions[-1] - positions[0]) / (len(slices) - 1))
    off = float(np.abs(positions - line).max())
    if off > max(tolerance, 0.1):
        return Refused(len(group), label, f"the slices do not lie on a straight line (off by {off:.2g} mm).")
    return Stack(tuple(slices), label)


def _affine(stack: Stack) -> NDArray[np.float64]:
    """Columns: step to the next slice (sheared when the gantry is tilted), down a column, along a row."""
    positions = _positions(stack.slices)
    frame = stack.slices[0].frame
    assert frame.orientation and frame.spacing_mm
    row, column = np.array(frame.orientation[:3]), np.array(frame.orientation[3:])
    step = (positions[-1] - positions[0]) / (len(positions) - 1)
    return affine_from(positions[0], step, column * frame.spacing_mm[0], row * frame.spacing_mm[1])


def _unit(instance: Instance) -> str:
    """Hounsfield where CT says so or says nothing; otherwise what the image says. Source: PS3.3 C.11.1.1.2."""
    if instance.rescale_type in ("", "US"):  # US: unspecified
        return "HU" if instance.modality == "CT" and not instance.rescale_type else "1"
    return instance.rescale_type


def _warnings(stack: Stack, affine: NDArray[np.float64]) -> list[str]:
    found: list[str] = []
    lossy = [s for s in stack.slices if s.instance.lossy or s.instance.transfer_syntax_uid in LOSSY_SYNTAXES]
    if lossy:
        found.append(f"{len(lossy)} of {len(stack.slices)} slices were compressed with loss before they came here.")
    step = affine[:3, 0]
    tilt = float(np.degrees(np.arccos(min(1.0, abs(float(unit_vector(step) @ np.array(_normal(stack.slices[0]))))))))
    if tilt > 0.1:
        found.append(f"The gantry was tilted by {tilt:.1f}°; the volume is sheared accordingly, nothing was resampled.")
    if any(s.instance.photometric == "MONOCHROME1" for s in stack.slices):
        found.append("MONOCHROME1: low values are meant to be shown bright.")
    if len({s.instance.frame_of_reference for s in stack.slices}) > 1:
        found.append("The slices name different frames of reference; their positions fit one grid, so one was taken.")
    if stack.slices[0].instance.modality == "US":
        found.append("Ultrasound: directions are those of the ultrasound volume, not of the patient.")
    return found
