"""A lesion from one click: a closed surface about its middle, where its edge is, on CT and MR.

Rays run from the middle in all directions. Where along each the edge lies is weighed against what its neighbours say,
so that a wall, a vessel or the pleura of the same brightness, where a ray meets no edge, is bridged and not followed.
What has no closed edge is no lesion that can be measured, and is declined.
"""

import math
import threading
import weakref
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from render.geometry import Vector, vector
from render.mask_steps import Lesion, StepError
from render.segment.edges import CLEAR, Edge, Profiles, Rays, edges_along, mean_around, summed
from render.segment.grid import VoxelMask, place_in_words, seed_of, wider
from render.segment.measured import Axes, longest_mm, scan_plane_axes
from render.segment.star import Floats3, enclosed_mm3, moved, normals_of, sphere, within
from render.volume import Volume

_TIMES = 3  # 642 rays
# Deviations of the smoothing that are tried, in mm; the first with a clear edge is taken.
_SMOOTHINGS = (0.6, 1.2, 2.0)
_CLOSED = 0.7  # the share of rays that have to meet a clear edge
# How far flat triangles lie within a round surface, in squares of their sides times its curvature.
_SAG = 0.1277
_LONGEST_SHAPE = 2.5  # length to width; beyond it is a vessel or a bowel
_ROUGH = 0.2
_SMALLEST_MM = 2.0
_HOPELESS = 0.5  # the share of rays, of the fewer, below which no more are tried
_OPEN_BOTH_WAYS = 0.08
# Of the solid part of a nodule, of the ground glass around it, and how far the blur of its edge reaches.
_SOLID_HU = -300.0
_GROUND_GLASS_HU = (-780.0, -300.0)
_BLUR_MM = 2.0
_BESIDE_MM, _LEAST_SOLID_MM3 = 15.0, 20.0  # how far from a click into ground glass a solid part is sought, how large
_MORE = 1.3  # times the solid part: less is its own blur
_STANDS_OUT = 2.5  # the edge against the spread within


@dataclass(frozen=True, slots=True)
class LesionMeasures:
    """A measured lesion, or the reason why there is none. Lengths in mm, values in the unit of the volume.

    volume_ml : within its surface. longest_mm : its longest diameter in any direction. recist_mm, short_axis_mm : the
    longest diameter in a plane of the scan, and the longest perpendicular to it in that plane. mean, sd, minimum,
    maximum : of its voxels. density : on CT `solid`, `part-solid` or `ground-glass`; solid_ml, solid_mm : of the
    solid part of a part-solid nodule, its longest diameter in a plane of the scan. declined : empty where it was
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


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    corners_mm: Floats3
    triangles: NDArray[np.int32]
    confidence: float
    solid: "_Found | None" = None  # of a part-solid nodule


_known: "weakref.WeakKeyDictionary[Volume, dict[Lesion, _Found]]" = weakref.WeakKeyDictionary()
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
        region = within(volume, found.corners_mm, found.triangles)
        if not region.any():
            raise StepError("The lesion is smaller than a voxel. Nothing was marked.")
    except StepError as error:
        return LesionMeasures(declined=str(error))
    values = volume.voxels[region == 1].astype(np.float64)
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
    )


def _found(volume: Volume, step: Lesion) -> _Found:
    with _lock:
        known = _known.setdefault(volume, {}).get(step)
    if known is None:
        known = _nodule(volume, step)
        with _lock:
            _known.setdefault(volume, {})[step] = known
    return known


def _search(volume: Volume, step: Lesion) -> _Found:
    seed = seed_of(volume, step.seed_mm)
    around = wider(
        (slice(seed[0], seed[0] + 1), slice(seed[1], seed[1] + 1), slice(seed[2], seed[2] + 1)),
        1.3 * step.most_mm,
        volume,
    )
    raw = volume.voxels[around].astype(np.float32)
    # The noise, by what a voxel differs from its neighbours along a row, in the middle of the box.
    near = tuple(slice(max(s - b.start - 12, 0), s - b.start + 13) for s, b in zip(seed, around, strict=True))
    rows = np.abs(np.diff(raw[near], axis=2))
    noise = max(float(np.median(rows)) / 0.954, 1e-3 * float(raw.max() - raw.min()), 1e-6)
    reasons = []
    for smoothing in _SMOOTHINGS:
        widths = [smoothing / spacing for spacing in volume.spacing_mm]
        soft = ndimage.gaussian_filter(raw, widths, truncate=3.0, mode="nearest")
        # White noise after a Gauss function; voxels of a scanner hang together, so it falls less than that.
        left = 1.0
        for width in widths:
            left *= min(1.0, (1.0 / (2.0 * np.sqrt(np.pi) * width)) ** 0.5) if width > 0.3 else 1.0
        rays = Rays(
            volume, soft, (around[0].start, around[1].start, around[2].start), smoothing, max(noise * left, 1e-6)
        )
        for sign in _signs(rays, step.seed_mm):
            try:
                return _about(rays, step, sign)
            except StepError as error:
                reasons.append(str(error))
    raise StepError(reasons[0] if reasons else f"Nothing stands out at {place_in_words(step.seed_mm)} mm.")


def _nodule(volume: Volume, step: Lesion) -> _Found:
    """Returns the lesion, with the ground glass around it. A click into that looks for the solid part beside it.

    Raises StepError where there is none.
    """
    try:
        core = _search(volume, step)
    except StepError:
        beside = _solid_beside(volume, step)
        if beside is None:
            raise
        core = _search(volume, replace(step, seed_mm=beside))
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
    soft = ndimage.gaussian_filter(values, [0.8 / s for s in volume.spacing_mm], mode="nearest")
    at = (k - box[0].start, j - box[1].start, i - box[2].start)
    if volume.unit != "HU" or not _GROUND_GLASS_HU[0] < float(soft[at]) < _GROUND_GLASS_HU[1]:
        return None
    parts, count = ndimage.label(soft > _SOLID_HU)
    sizes = np.bincount(parts.ravel(), minlength=count + 1) * math.prod(volume.spacing_mm)
    z, y, x = ((np.arange(n) - a) * s for n, a, s in zip(parts.shape, at, volume.spacing_mm, strict=True))
    away = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2
    wanted = [n for n in range(1, count + 1) if sizes[n] >= _LEAST_SOLID_MM3]
    if not wanted:
        return None
    nearest = min(wanted, key=lambda n: float(away[parts == n].min()))
    middle = np.argwhere(parts == nearest).mean(axis=0) + [part.start for part in box]
    return vector(volume.affine[:3, :3] @ middle + volume.affine[:3, 3])


def _with_ground_glass(volume: Volume, step: Lesion, core: _Found) -> _Found | None:
    """Returns the whole of a part-solid nodule whose solid part was found; None where no ground glass is around it.

    The solid part is painted over with what is around it, and the lesion is sought again.
    """
    if volume.unit != "HU":
        return None
    index = moved(volume.to_index, core.corners_mm)
    lower, upper = np.floor(index.min(axis=0)).astype(int), np.ceil(index.max(axis=0)).astype(int) + 1
    about = [slice(max(int(a), 0), min(int(b), n)) for a, b, n in zip(lower, upper, volume.shape, strict=True)]
    box = wider((about[0], about[1], about[2]), 1.3 * step.most_mm, volume)
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [part.start for part in box]
    part = Volume(volume.voxels[box].copy(), affine, volume.unit)
    inner = within(part, core.corners_mm, core.triangles) == 1
    if not inner.any() or float(part.voxels[inner].mean()) < _SOLID_HU:
        return None
    away = ndimage.distance_transform_edt(~inner, sampling=part.spacing_mm)
    around = float(np.median(part.voxels[(away > _BLUR_MM) & (away <= 2.0 * _BLUR_MM)]))
    if not _GROUND_GLASS_HU[0] < around < _GROUND_GLASS_HU[1]:
        return None
    voxels = part.voxels.copy()
    voxels[away <= _BLUR_MM] = round(around)
    try:
        whole = _search(replace(part, voxels=voxels), step)
    except StepError:
        return None
    sizes = [enclosed_mm3(one.corners_mm, one.triangles) for one in (whole, core)]
    return replace(whole, solid=core) if sizes[0] > _MORE * sizes[1] else None


def _signs(rays: Rays, seed: Vector) -> tuple[int, ...]:
    """Returns whether the place is brighter (1) or darker (−1) than most of what is around it, the likelier first."""
    directions, _, _ = sphere(1)
    middle = float(rays.at(np.array([seed]))[0])
    far = rays.at(np.array(seed) + directions[:, None] * np.array([6.0, 10.0, 15.0, 20.0])[None, :, None])
    return (1, -1) if float(np.median(far)) < middle else (-1, 1)


def _about(rays: Rays, step: Lesion, sign: int) -> _Found:
    """Returns the surface about the click. Raises StepError where there is none."""
    centre = np.array(step.seed_mm, dtype=np.float64)
    directions, triangles, neighbours = sphere(_TIMES)
    reach = step.most_mm
    scale = _scale(rays, centre, reach, sign)
    for _ in range(4):
        # Short rays where the lesion is small, so that their places lie close together.
        edge = edges_along(rays, Profiles(rays, centre, directions, reach, sign), neighbours, scale)
        radii = edge.radii_mm
        cubes, fourths = radii**3, radii**4
        shift = np.array([math.fsum((fourths * directions[:, n]).tolist()) for n in range(3)]) * 0.75 / math.fsum(cubes)
        wanted = min(max(2.2 * float(radii.max()), 8.0), step.most_mm)
        if float(np.abs(shift).max()) < 0.3 and wanted > 0.7 * reach:
            break
        centre, reach = centre + shift, wanted
    else:
        edge = edges_along(rays, Profiles(rays, centre, directions, reach, sign), neighbours, scale)
    _check(rays, step, edge, centre, directions, neighbours, sign)
    corners = _where_it_is(rays, centre + directions * edge.radii_mm[:, None], triangles, neighbours)
    return _Found(corners, triangles, round(0.95 * edge.share, 2))


def _scale(rays: Rays, centre: Floats3, reach: float, sign: int) -> float:
    """Returns, from fewer rays, how strong the lesion's own edge is: the strongest that closes about the click.

    Edges farther away, of bone or lung, may be many times stronger.
    """
    directions, _, neighbours = sphere(2)
    profiles = Profiles(rays, centre, directions, reach, sign)
    scale, least = float(np.median(profiles.drop.max(axis=1))), CLEAR * rays.noise
    best, most = max(scale, least), -1.0
    for _ in range(5):
        edge = edges_along(rays, profiles, neighbours, max(scale, least))
        if edge.share >= 0.85:
            return max(scale, least)
        if edge.share > most:
            best, most = max(scale, least), edge.share
        if scale <= least:
            break
        scale *= 0.5
    if most < _HOPELESS:
        raise StepError(_open_in_words(centre, most))
    return best


def _where_it_is(rays: Rays, corners: Floats3, triangles: NDArray[np.int32], neighbours: NDArray[np.int64]) -> Floats3:
    """Returns the corners moved outwards to where the edge is rather than where it seems: a curved edge that is blurred
    seems to lie further inside, by half its curvature times the variance of the blur along it.

    Blur is the smoothing, and voxels of their size. Flat triangles also enclose less than the surface through their
    corners.
    """
    normals = normals_of(corners, triangles)
    gap = corners[neighbours] - corners[:, None]
    squares = gap[..., 0] ** 2 + gap[..., 1] ** 2 + gap[..., 2] ** 2
    sunk = -(gap[..., 0] * normals[:, None, 0] + gap[..., 1] * normals[:, None, 1] + gap[..., 2] * normals[:, None, 2])
    curved = 2.0 * summed(sunk) / summed(squares)
    for _ in range(2):
        curved = (curved + mean_around(curved, neighbours)) / 2.0
    curved = np.clip(curved, 0.0, 0.4)
    total, across = 2.0 * rays.smoothing_mm**2, np.zeros(len(corners))
    for axis, spacing in zip(rays.volume.affine[:3, :3].T.tolist(), rays.volume.spacing_mm, strict=True):
        cosine = (normals[:, 0] * axis[0] + normals[:, 1] * axis[1] + normals[:, 2] * axis[2]) / spacing
        across += (1.0 - cosine * cosine) * spacing * spacing / 4.0
    out = (0.5 * (total + across) + _SAG * summed(squares) / 6.0) * curved
    return np.asarray(corners + out[:, None] * normals)


def _open_in_words(at: Vector | Floats3, share: float) -> str:
    return (
        f"No closed edge at {place_in_words(vector(at))} mm: only {share:.0%} of the directions meet one. Nothing was "
        "marked; click into the middle, or draw it with strokes."
    )


def _check(
    rays: Rays,
    step: Lesion,
    edge: Edge,
    centre: Floats3,
    directions: Floats3,
    neighbours: NDArray[np.int64],
    sign: int,
) -> None:
    """Raises StepError for what is no lesion that can be measured."""
    where = f"at {place_in_words(step.seed_mm)} mm"
    radii = edge.radii_mm
    if edge.share < _CLOSED:
        raise StepError(_open_in_words(step.seed_mm, edge.share))
    both_ways = ~edge.clear & ~edge.clear[(directions @ directions.T).argmin(axis=1)]
    if float(np.count_nonzero(both_ways)) > _OPEN_BOTH_WAYS * len(radii):
        raise StepError(f"What is {where} goes on in two opposite directions, as a vessel does. Nothing was marked.")
    if float(np.median(radii)) < _SMALLEST_MM:
        raise StepError(f"What is {where} is too small to be measured. Nothing was marked; draw it with strokes.")
    if float(np.sort(radii)[-7]) > 0.93 * step.most_mm:
        raise StepError(
            f"What is {where} reaches farther than {step.most_mm:g} mm: it leaks. Nothing was marked; say a larger "
            "most_mm, or draw it with strokes."
        )
    offset = np.array(step.seed_mm) - centre
    if float(np.sqrt((offset**2).sum())) > float(radii.max()):
        raise StepError(f"The click {where} does not lie within what was found. Nothing was marked.")
    width = (radii[:, None] * np.abs(directions @ directions.T)).max(axis=0)
    if float(width.max()) > _LONGEST_SHAPE * float(width.min()):
        raise StepError(
            f"What is {where} is {width.max() / width.min():.1f} times as long as wide, as a vessel is, or a bowel. "
            "Nothing was marked; draw it with strokes if it is a lesion."
        )
    if edge.drop < _STANDS_OUT * edge.spread:
        raise StepError(
            f"What is {where} hardly differs from what is around it: by {edge.drop:.0f} where it varies by "
            f"{edge.spread:.0f} itself. Nothing was marked; draw it with strokes."
        )
    rough = np.abs(radii - radii[neighbours].mean(axis=1)) / radii
    if float(np.median(rough)) > _ROUGH:
        raise StepError(f"What is {where} has no smooth edge. Nothing was marked; draw it with strokes.")
    inside = float(rays.at(centre[None])[0])
    if rays.volume.unit == "HU" and inside < -300.0 and sign < 0:
        raise StepError(f"There is air {where} ({inside:.0f} HU). Nothing was marked.")
