"""Builds a volume from slices: voxels, affine, unit and warnings; or refuses with the reason."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicom_io.capabilities import LOSSY_SYNTAXES, NATIVE_SYNTAXES
from dicom_io.errors import VolumeRefused
from dicom_io.files.decode import Reader, open_pixels, read_into
from dicom_io.files.instance import Instance
from dicom_io.files.scanning import batches
from dicom_io.files.series import Series
from dicom_io.uids import derived
from dicom_io.volumes.spacing import regular_places
from dicom_io.volumes.stacks import RefusedImages, Slice, Stack, find_stacks, normal_of, positions_of
from render.geometry import GeometryError, affine_from, unit_vector
from render.progress import PartDone
from render.volume import Volume
from render.voxel_memory import new_voxels

__all__ = ["RefusedImages", "Slice", "Stack", "assemble", "build_volume", "find_stacks", "stacks_of"]

_TOGETHER = 16  # uncompressed files that one task reads


def build_volume(
    series: Series, which: int | None = None, progress: PartDone | None = None, *, bridge_gaps: bool = False
) -> Volume:
    """Builds the volume of a series. which : the number of one (from 0, in the order of `find_stacks`) of several.

    bridge_gaps : missing slices are interpolated from their neighbours; the volume's warnings say so.

    Raises VolumeRefused with the reason when there is no volume, when a slice is missing, or when there are several and
    `which` is None; NotReadable when pixels cannot be decoded.
    """
    stacks = stacks_of(series, bridge_gaps=bridge_gaps)
    if which is None and len(stacks) > 1:
        names = "; ".join(f"{n}: {s.label} ({len(s.slices)} slices)" for n, s in enumerate(stacks))
        raise VolumeRefused(f"Series {series.uid} holds {len(stacks)} volumes; say which: {names}.")
    if which is not None and not 0 <= which < len(stacks):
        raise VolumeRefused(f"Series {series.uid} has volumes 0 to {len(stacks) - 1}, not {which}.")
    return assemble(stacks[which or 0], progress)


def stacks_of(series: Series, *, bridge_gaps: bool = False) -> list[Stack]:
    """Returns the stacks of slices of a series, one for each volume. Raises VolumeRefused when there is none, with the
    reasons."""
    found = find_stacks(series, bridge_gaps=bridge_gaps)
    stacks = [s for s in found if isinstance(s, Stack)]
    if not stacks:
        reasons = (
            "; ".join(dict.fromkeys(r.reason for r in found if isinstance(r, RefusedImages))) or "it holds no images"
        )
        raise VolumeRefused(f"Series {series.uid}: no volume was built: {reasons}")
    return stacks


def assemble(stack: Stack, progress: PartDone | None = None) -> Volume:
    """Reads and rescales the pixels of a stack, on all cores: codecs release the GIL.

    Raises NotReadable when pixels cannot be decoded, VolumeRefused when the slices make no grid or do not fit into
    memory.
    """
    first = stack.slices[0].instance
    rows, columns = first.plane
    affine, warnings = _affine(stack), []
    try:
        filled = _voxels(stack, progress)
        voxels = filled.voxels
        if stack.uneven:
            voxels, affine = _evened(voxels, stack)
            step = float(np.linalg.norm(affine[:3, 0]))
            warnings.append(
                f"{stack.uneven}; the volume was resampled along them, linearly, from {len(stack.slices)} to "
                f"{len(voxels)} slices {step:.4g} mm apart."
            )
    except MemoryError as error:
        raise VolumeRefused(
            f"Series {first.series_uid}: {len(stack.slices)} slices of {rows} x {columns} do not fit into the memory "
            "of this machine."
        ) from error
    try:
        return Volume(
            voxels=voxels,
            affine=affine,
            unit=_unit(first),
            frame_of_reference=first.frame_of_reference or derived("frame of reference", first.series_uid),
            source_uids=tuple(dict.fromkeys(s.instance.sop_instance_uid for s in stack.slices)),
            warnings=(*warnings, *stack.notes, *_warnings(stack, affine, filled)),
        )
    except GeometryError as error:
        raise VolumeRefused(f"Series {first.series_uid}: no volume was built: {error}") from error


@dataclass(frozen=True, slots=True)
class _Filled:
    """Rescaled voxels. voxels : (K, rows, columns). rounded : float32 does not hold some values exactly. infinite : NaN
    or infinite values were replaced by the lowest finite one of their slice."""

    voxels: NDArray[Any]
    rounded: bool = False
    infinite: bool = False


def _voxels(stack: Stack, progress: PartDone | None) -> _Filled:
    # int16 wherever it is exact: with whole slopes and intercepts, if the rescaled values fit.
    whole = all(s.frame.slope.is_integer() and s.frame.intercept.is_integer() for s in stack.slices)
    integers = whole and stack.slices[0].instance.pixel_keyword == "PixelData"
    filled = _read(stack, np.int16, progress) if integers else None
    if filled is None:
        filled = _read(stack, np.float32, progress)
    assert filled is not None, "every value fits float32"
    return filled


def _read(stack: Stack, dtype: type[np.generic], progress: PartDone | None) -> _Filled | None:
    """Returns rescaled values, or None when they do not fit `dtype`.

    A task is one compressed file, several uncompressed ones, or a run of frames of a multi-frame file: so all cores
    have work for any series, and reads of a tenth of a millisecond are not tasks of their own.
    """
    rows, columns = stack.slices[0].instance.plane
    voxels = new_voxels((len(stack.slices), rows, columns), dtype)
    by_instance: dict[str, list[int]] = {}
    for k, item in enumerate(stack.slices):
        by_instance.setdefault(item.instance.sop_instance_uid, []).append(k)
    fits, rounded, infinite = True, False, False
    workers = os.cpu_count() or 1

    def fill(members: list[int], read: Reader | None = None) -> list[_Outcome]:
        """Fills slices: of one instance, whose frames `read` reads, or without `read` of several."""
        outcomes, opened = [], ""
        for k in members:
            item = stack.slices[k]
            values = read_into(item.instance, item.index, voxels[k]) if dtype == np.int16 else None
            if values is None:
                if read is None or opened not in ("", item.instance.sop_instance_uid):
                    read = open_pixels(item.instance)
                opened = item.instance.sop_instance_uid
                values = read(item.index)
            outcomes.append(_fill_slice(voxels[k], values, item))
        return outcomes

    def native(members: list[int]) -> bool:
        return stack.slices[members[0]].instance.transfer_syntax_uid in NATIVE_SYNTAXES

    with ThreadPoolExecutor(workers) as pool:
        tasks = []
        plain = [members[0] for members in by_instance.values() if len(members) == 1 and native(members)]
        tasks += [pool.submit(fill, run) for run in batches(plain, _TOGETHER)]
        for members in by_instance.values():
            if len(members) == 1:
                tasks += [] if native(members) else [pool.submit(fill, members)]
                continue
            read = None if native(members) else open_pixels(stack.slices[members[0]].instance)
            tasks += [pool.submit(fill, run, read) for run in batches(members, -(-len(members) // (2 * workers)))]
        try:
            for done, task in enumerate(tasks, start=1):
                for outcome in task.result():
                    fits, rounded = fits and outcome.fits, rounded or outcome.rounded
                    infinite = infinite or outcome.infinite
                if not fits:
                    break
                if progress is not None:
                    progress(done / len(tasks))
        finally:
            pool.shutdown(cancel_futures=True)
    return _Filled(voxels, rounded, infinite) if fits else None


@dataclass(frozen=True, slots=True)
class _Outcome:
    fits: bool = True
    rounded: bool = False
    infinite: bool = False


def _fill_slice(target: NDArray[Any], values: NDArray[Any], item: Slice) -> _Outcome:
    """Rescales one slice into `target`, which may share memory with its stored values. Source: PS3.3 C.11.1.1.2."""
    slope, intercept = item.frame.slope, item.frame.intercept
    outcome, padded = _Outcome(), _padded(values, item.instance)
    if target.dtype == np.int16:
        possible = _possible(values, item.instance)
        if not _fits(*possible, slope, intercept) and not _fits(values.min(), values.max(), slope, intercept):
            return _Outcome(fits=False)
        # The result is known to fit, so intermediate values may overflow: sums and products are exact modulo 2^16.
        short = values.astype(np.int16) if values.dtype.itemsize != 2 else values.view(np.int16)
        if int(slope) == 1:
            np.add(short, _modulo(intercept), out=target)
        else:
            np.multiply(short, _modulo(slope), out=target)
            np.add(target, _modulo(intercept), out=target)
    else:
        rescaled = values.astype(np.float64) * slope + intercept
        finite = np.isfinite(rescaled) & (np.abs(rescaled) <= np.finfo(np.float32).max)
        if not finite.all():
            rescaled[~finite] = rescaled[finite].min() if finite.any() else 0.0
        target[...] = rescaled
        # Only stored integers and float64 can lose digits beyond those that the rescale loses anyway.
        low, high = values.min(), values.max()
        exact = values.dtype.kind in "iu" and slope.is_integer() and intercept.is_integer()
        lost = (exact and max(abs(float(low)), abs(float(high))) * abs(slope) + abs(intercept) > 2**24) or (
            values.dtype == np.float64 and bool((target != rescaled).any())
        )
        outcome = _Outcome(rounded=lost, infinite=not bool(finite.all()))
    if padded is not None:
        # Padding must not be drawn: it gets the slice's lowest real value, or air where the slice is all padding.
        air = -1024 if item.instance.modality == "CT" else 0
        target[padded] = air if padded.all() else target[~padded].min()
    return outcome


def _possible(values: NDArray[Any], instance: Instance) -> tuple[int, int]:
    """Returns the lowest and highest value that the stored bits can hold; for 12 bits without a look at the pixels."""
    bits = min(instance.bits_stored, values.dtype.itemsize * 8)
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if values.dtype.kind == "i" else (0, (1 << bits) - 1)


def _fits(low: int, high: int, slope: float, intercept: float) -> bool:
    ends = (int(low) * int(slope) + int(intercept), int(high) * int(slope) + int(intercept))
    return min(ends) >= -32768 and max(ends) <= 32767


def _modulo(value: float) -> np.int16:
    return np.int16((int(value) + 32768) % 65536 - 32768)


def _padded(values: NDArray[Any], instance: Instance) -> NDArray[np.bool_] | None:
    """Returns a mask of the padding; None where there is none."""
    if instance.padding is None:
        return None
    low, high = instance.padding
    if values.dtype.kind in "iu":
        limits = np.iinfo(values.dtype)
        low, high = max(int(np.ceil(low)), limits.min), min(int(np.floor(high)), limits.max)
    if low > values.max() or high < values.min():
        return None
    padded: NDArray[np.bool_] = (values >= low) & (values <= high)
    return padded if padded.any() else None


def _evened(voxels: NDArray[Any], stack: Stack) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Resamples to even spacing along the slices, linearly between neighbours. Returns (voxels, affine).

    int16 stays int16, rounded to the nearest: half a Hounsfield unit is far below any noise.
    """
    positions = positions_of(stack.slices)
    along = positions @ np.array(normal_of(stack.slices[0]))
    places = regular_places(along)
    evened = new_voxels((len(places), *voxels.shape[1:]), voxels.dtype)
    after = np.clip(np.searchsorted(along, places, side="right"), 1, len(along) - 1)
    for k, (place, n) in enumerate(zip(places, after, strict=True)):
        part = np.float32((place - along[n - 1]) / (along[n] - along[n - 1]))
        between = voxels[n - 1] * (np.float32(1) - part) + voxels[n] * part
        evened[k] = np.rint(between) if voxels.dtype == np.int16 else between
    affine = _affine(stack)
    affine[:3, 0] *= (len(along) - 1) / (len(places) - 1)
    return evened, affine


def _affine(stack: Stack) -> NDArray[np.float64]:
    """Returns the affine. Columns: step to the next slice (sheared when the gantry is tilted), down a column, along a
    row, position of the first voxel."""
    positions = positions_of(stack.slices)
    frame = stack.slices[0].frame
    assert frame.orientation and frame.spacing_mm
    row, column = np.array(frame.orientation[:3]), np.array(frame.orientation[3:])
    step = (positions[-1] - positions[0]) / (len(positions) - 1)
    return affine_from(positions[0], step, column * frame.spacing_mm[0], row * frame.spacing_mm[1])


def _unit(instance: Instance) -> str:
    """Returns the unit: HU where a CT says so or says nothing; otherwise as the image says. Source: PS3.3
    C.11.1.1.2."""
    if instance.rescale_type in ("", "US"):  # US: unspecified
        return "HU" if instance.modality == "CT" and not instance.rescale_type else "1"
    return instance.rescale_type


def _warnings(stack: Stack, affine: NDArray[np.float64], filled: _Filled) -> list[str]:
    found: list[str] = []
    lossy = [s for s in stack.slices if s.instance.lossy or s.instance.transfer_syntax_uid in LOSSY_SYNTAXES]
    if lossy:
        found.append(f"{len(lossy)} of {len(stack.slices)} slices were compressed with loss before they came here.")
    step = affine[:3, 0]
    tilt = float(np.degrees(np.arccos(min(1.0, abs(float(unit_vector(step) @ np.array(normal_of(stack.slices[0]))))))))
    if tilt > 0.1:
        # Slices of uneven spacing are resampled along them, and another warning says so.
        kept = "" if stack.uneven else ", nothing was resampled"
        found.append(f"The gantry was tilted by {tilt:.1f}°; the volume is sheared accordingly{kept}.")
    if any(s.instance.photometric == "MONOCHROME1" for s in stack.slices):
        found.append("MONOCHROME1: low values are meant to be shown bright.")
    if len({s.instance.frame_of_reference for s in stack.slices}) > 1:
        found.append("The slices name different frames of reference; their positions fit one grid, so one was taken.")
    if stack.slices[0].instance.modality == "US":
        found.append("Ultrasound: directions are those of the ultrasound volume, not of the patient.")
    if filled.rounded:
        found.append("Some stored values have more digits than float32 holds; they were rounded to it.")
    if filled.infinite:
        found.append("Some values are no numbers (NaN or infinite); they were drawn as the lowest of their slice.")
    return found
