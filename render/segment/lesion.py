"""A lesion from one click: a closed surface about its middle, where its edge is, on CT and MR.

Rays run from the middle in all directions. Where along each the edge lies is weighed against what its neighbours say,
so that a wall, a vessel or the pleura of the same brightness, where a ray meets no edge, is bridged and not followed.
What has no closed edge is no lesion that can be measured, and is declined.
"""

import math
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy

from render.geometry import Vector, vector
from render.mask import Mask
from render.mask_steps import Lesion, StepError
from render.segment.grid import Block, VoxelMask, box_of, seed_of, wider
from render.segment.lesion_search import FoundLesion, search_lesion
from render.segment.measured import Axes, longest_mm, scan_plane_axes
from render.segment.star import enclosed_mm3, moved, within
from render.volume import Volume

# Of the solid part of a nodule, of the ground glass around it, and how far the blur of its edge reaches.
_SOLID_HU = -300.0
_GROUND_GLASS_HU = (-780.0, -300.0)
_BLUR_MM = 2.0
_BESIDE_MM, _LEAST_SOLID_MM3 = 15.0, 20.0  # how far from a click into ground glass a solid part is sought, how large
_MORE = 1.3  # times the solid part: less is its own blur


@dataclass(frozen=True, slots=True)
class LesionMeasures:
    """A measured lesion, or the reason why there is none. Lengths in mm, values in the unit of the volume.

    volume_ml : within its surface. longest_mm : its longest diameter in any direction. recist_mm, short_axis_mm : the
    longest diameter in a plane of the scan, and the longest perpendicular to it in that plane. mean, sd, minimum,
    maximum : of its voxels. density : on CT `solid`, `part-solid` or `ground-glass`; solid_ml, solid_mm : of the
    solid part of a part-solid nodule, its longest diameter in a plane of the scan. axes_mm : LPS mm, the ends of
    recist_mm, then of short_axis_mm. declined : empty where it was
    measured. Sources: Eisenhauer et al. 2009, RECIST 1.1; MacMahon et al. 2017, Fleischner Society (kinds of nodules).
    """

    volume_ml: float = 0.0
    longest_mm: float = 0.0
    recist_mm: float = 0.0
    short_axis_mm: float = 0.0
    mean: float = 0.0
    sd: float = 0.0
    minimum: float = 0.0
    maximum: float = 0.0
    density: str = ""
    solid_ml: float = 0.0
    solid_mm: float = 0.0
    confidence: float = 0.0
    declined: str = ""
    axes_mm: tuple[Vector, ...] = ()


_known: "weakref.WeakKeyDictionary[Volume, dict[Lesion, FoundLesion]]" = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def lesion_region(volume: Volume, step: Lesion) -> VoxelMask:
    """Carries out the step. Raises StepError where it declines."""
    found = _found(volume, step)
    return within(volume, found.corners_mm, found.triangles)


def measure_lesion(volume: Volume, at_mm: Vector, most_mm: float = 50.0) -> LesionMeasures:
    """Measures the lesion about a click at LPS mm. It declines by a reason, not by an error."""
    step = Lesion(vector(at_mm), most_mm)
    try:
        found = _found(volume, step)
        part = _part(volume, _box_about(volume, found))
        region = within(part, found.corners_mm, found.triangles)
        if not region.any():
            raise StepError("The lesion is smaller than a voxel. Nothing was marked.")
    except StepError as error:
        return LesionMeasures(declined=str(error))
    values = part.voxels[region == 1].astype(np.float64)
    axes: Axes = scan_plane_axes(volume, found.corners_mm, found.triangles)
    density, solid = "", found.solid
    if volume.unit == "HU":
        density = "part-solid" if solid else "ground-glass" if float(values.mean()) < _SOLID_HU else "solid"
    return LesionMeasures(
        enclosed_mm3(found.corners_mm, found.triangles) / 1000.0,
        longest_mm(found.corners_mm),
        axes.long_mm,
        axes.short_mm,
        float(values.mean()),
        float(values.std()),
        float(values.min()),
        float(values.max()),
        density,
        enclosed_mm3(solid.corners_mm, solid.triangles) / 1000.0 if solid else 0.0,
        scan_plane_axes(volume, solid.corners_mm, solid.triangles).long_mm if solid else 0.0,
        found.confidence,
        axes_mm=axes.ends_mm,
    )


def _box_about(volume: Volume, found: FoundLesion) -> Block:
    index = moved(volume.to_index, found.corners_mm)
    lower, upper = np.floor(index.min(axis=0)).astype(int), np.ceil(index.max(axis=0)).astype(int) + 1
    k, j, i = (slice(max(int(a), 0), min(int(b), n)) for a, b, n in zip(lower, upper, volume.shape, strict=True))
    return k, j, i


def _part(volume: Volume, box: Block) -> Volume:
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [part.start for part in box]
    return Volume(volume.voxels[box], affine, volume.unit)


def distances_mm(
    volume: Volume, at_mm: Vector, mask: Mask, labels: Sequence[int], most_mm: float = 50.0
) -> dict[int, float | None]:
    """Returns how far each label of a mask is from the lesion about LPS mm: 0 where they touch or overlap, None where
    it is farther than 100 mm. Between the outer faces of voxels, so to a voxel.

    Raises StepError where there is no lesion.
    """
    found = _found(volume, Lesion(vector(at_mm), most_mm))
    inside = within(volume, found.corners_mm, found.triangles)
    about = box_of(inside)
    if about is None:
        raise StepError("The lesion is smaller than a voxel. Nothing was measured.")
    box = wider(about, 100.0, volume)
    away = scipy.ndimage.distance_transform_edt(inside[box] == 0, sampling=volume.spacing_mm)
    near, apart = mask.labels[box], min(volume.spacing_mm)
    shares = {label: near == label for label in labels}
    # Middles of voxels that touch are one spacing apart.
    return {
        label: max(0.0, float(away[share].min()) - apart) if share.any() else None for label, share in shares.items()
    }


def _found(volume: Volume, step: Lesion) -> FoundLesion:
    with _lock:
        known = _known.setdefault(volume, {}).get(step)
    if known is None:
        known = _nodule(volume, step)
        with _lock:
            _known.setdefault(volume, {})[step] = known
    return known


def _nodule(volume: Volume, step: Lesion) -> FoundLesion:
    """Returns the lesion, with the ground glass around it. A click into that looks for the solid part beside it.

    Raises StepError where there is none.
    """
    try:
        core = search_lesion(volume, step)
    except StepError:
        beside = _solid_beside(volume, step)
        if beside is None:
            raise
        core = search_lesion(volume, replace(step, seed_mm=beside))
        whole = _with_ground_glass(volume, replace(step, seed_mm=beside), core)
        k, j, i = seed_of(volume, step.seed_mm)
        if whole is None or within(volume, whole.corners_mm, whole.triangles)[k, j, i] != 1:
            raise
        return whole
    return _with_ground_glass(volume, step, core) or core


def _solid_beside(volume: Volume, step: Lesion) -> Vector | None:
    """Returns the middle of the nearest solid part of some size, LPS mm, for a click into ground glass."""
    k, j, i = seed_of(volume, step.seed_mm)
    box = wider((slice(k, k + 1), slice(j, j + 1), slice(i, i + 1)), _BESIDE_MM, volume)
    values = volume.voxels[box].astype(np.float32)
    soft = scipy.ndimage.gaussian_filter(values, [0.8 / s for s in volume.spacing_mm], mode="nearest")
    at = (k - box[0].start, j - box[1].start, i - box[2].start)
    if volume.unit != "HU" or not _GROUND_GLASS_HU[0] < float(soft[at]) < _GROUND_GLASS_HU[1]:
        return None
    parts, count = scipy.ndimage.label(soft > _SOLID_HU)
    sizes = np.bincount(parts.ravel(), minlength=count + 1) * math.prod(volume.spacing_mm)
    z, y, x = ((np.arange(n) - a) * s for n, a, s in zip(parts.shape, at, volume.spacing_mm, strict=True))
    away = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2
    wanted = [n for n in range(1, count + 1) if sizes[n] >= _LEAST_SOLID_MM3]
    if not wanted:
        return None
    nearest = min(wanted, key=lambda n: float(away[parts == n].min()))
    middle = np.argwhere(parts == nearest).mean(axis=0) + [part.start for part in box]
    return vector(volume.affine[:3, :3] @ middle + volume.affine[:3, 3])


def _with_ground_glass(volume: Volume, step: Lesion, core: FoundLesion) -> FoundLesion | None:
    """Returns the whole of a part-solid nodule whose solid part was found; None where no ground glass is around it.

    The solid part is painted over with what is around it, and the lesion is sought again.
    """
    if volume.unit != "HU":
        return None
    near = wider(_box_about(volume, core), 2.0 * _BLUR_MM, volume)
    close = _part(volume, near)
    inner = within(close, core.corners_mm, core.triangles) == 1
    if not inner.any() or float(close.voxels[inner].mean()) < _SOLID_HU:
        return None
    away = scipy.ndimage.distance_transform_edt(~inner, sampling=close.spacing_mm)
    around = float(np.median(close.voxels[(away > _BLUR_MM) & (away <= 2.0 * _BLUR_MM)]))
    if not _GROUND_GLASS_HU[0] < around < _GROUND_GLASS_HU[1]:
        return None
    box = wider(near, 1.3 * step.most_mm, volume)
    part = _part(volume, box)
    voxels = part.voxels.copy()
    inside = tuple(slice(n.start - b.start, n.stop - b.start) for n, b in zip(near, box, strict=True))
    voxels[inside][away <= _BLUR_MM] = round(around)
    try:
        whole = search_lesion(replace(part, voxels=voxels), step)
    except StepError:
        return None
    sizes = [enclosed_mm3(one.corners_mm, one.triangles) for one in (whole, core)]
    return replace(whole, solid=core) if sizes[0] > _MORE * sizes[1] else None
