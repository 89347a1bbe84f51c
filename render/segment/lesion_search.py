"""Searches the surface of a lesion about a click: rays from its middle, and where along each its edge is."""

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from render.geometry import Vector, vector
from render.mask_steps import Lesion, StepError
from render.segment.edges import CLEAR, Edge, Profiles, Rays, edges_along, mean_around, summed
from render.segment.grid import place_in_words, seed_of, wider
from render.segment.star import Floats3, enclosed_mm3, normals_of, sphere
from render.volume import Volume

_TIMES = 3  # 642 rays
# Deviations of the smoothing that are tried, in mm; the first with a clear edge is taken.
_SMOOTHINGS = (0.6, 1.2, 2.0)
_TO_COMPARE = 3.0  # only to see whether one that was found with the last of them is still there
_CLOSED = 0.7  # the share of rays that have to meet a clear edge
# How far flat triangles lie within a round surface, in squares of their sides times its curvature.
_SAG = 0.1277
_LONGEST_SHAPE = 2.5  # length to width; beyond it is a vessel or a bowel
_ROUGH = 0.2
_SMALLEST_MM = 2.0
# A lesion of this confidence is taken as it is; one of less has to be there in the next smoother picture, within this
# many times its size, and one below the second figure is declined if it is not.
_PLAIN, _UNSURE, _STEADY = 0.9, 0.8, 1.5
_HOPELESS = 0.5  # the share of rays, of the fewer, below which no more are tried
_OPEN_BOTH_WAYS = 0.08
_STANDS_OUT = 2.5  # the edge against the spread within


@dataclass(frozen=True, slots=True, eq=False)
class FoundLesion:
    """A closed surface: (N, 3) LPS mm corners and (M, 3) triangles. confidence : 0…1. solid : of a nodule."""

    corners_mm: Floats3
    triangles: NDArray[np.int32]
    confidence: float
    solid: "FoundLesion | None" = None  # of a part-solid nodule


def search_lesion(volume: Volume, step: Lesion) -> FoundLesion:
    """Returns the surface of the lesion about the click. Raises StepError where there is none that can be measured."""
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
    reasons: list[str] = []
    found: FoundLesion | None = None
    for smoothing in (*_SMOOTHINGS, _TO_COMPARE):
        if smoothing == _TO_COMPARE and found is None:
            break
        widths = [smoothing / spacing for spacing in volume.spacing_mm]
        soft = scipy.ndimage.gaussian_filter(raw, widths, truncate=3.0, mode="nearest")
        # White noise after a Gauss function; voxels of a scanner hang together, so it falls less than that.
        left = 1.0
        for width in widths:
            left *= min(1.0, (1.0 / (2.0 * np.sqrt(np.pi) * width)) ** 0.5) if width > 0.3 else 1.0
        rays = Rays(
            volume, soft, (around[0].start, around[1].start, around[2].start), smoothing, max(noise * left, 1e-6)
        )
        again = _first(rays, step, reasons)
        if found is not None:
            check_again(found, again, step)
            return found
        found = again
        if found is not None and found.confidence >= _PLAIN:
            return found
    if found is not None:
        return found
    raise StepError(reasons[0] if reasons else f"Nothing stands out at {place_in_words(step.seed_mm)} mm.")


def _first(rays: Rays, step: Lesion, reasons: list[str]) -> FoundLesion | None:
    """Returns the lesion, brighter or darker than what is around it; None with a reason where there is none."""
    for sign in _signs(rays, step.seed_mm):
        try:
            return _about(rays, step, sign)
        except StepError as error:
            reasons.append(str(error))
    return None


def check_again(found: FoundLesion, again: FoundLesion | None, step: Lesion) -> None:
    """Raises StepError where a lesion of no plain edge is not there in the next smoother picture, or has another
    size: then it is a part of something, or noise."""
    sizes = [enclosed_mm3(one.corners_mm, one.triangles) / 1000.0 for one in (found, again) if one is not None]
    where = f"at {place_in_words(step.seed_mm)} mm"
    if again is None and found.confidence < _UNSURE:
        raise StepError(
            f"What is {where} ({sizes[0]:.2f} ml) is no longer there when the picture is smoothed: it hardly has an "
            "edge. Nothing was marked; draw it with strokes."
        )
    if again is not None and max(sizes) > _STEADY * min(sizes):
        raise StepError(
            f"What is {where} is {sizes[0]:.2f} ml or, smoothed, {sizes[1]:.2f} ml: where it ends cannot be told. "
            "Nothing was marked; draw it with strokes."
        )


def _signs(rays: Rays, seed: Vector) -> tuple[int, ...]:
    """Returns whether the place is brighter (1) or darker (−1) than most of what is around it, the likelier first."""
    directions, _, _ = sphere(1)
    middle = float(rays.at(np.array([seed]))[0])
    far = rays.at(np.array(seed) + directions[:, None] * np.array([6.0, 10.0, 15.0, 20.0])[None, :, None])
    return (1, -1) if float(np.median(far)) < middle else (-1, 1)


def _about(rays: Rays, step: Lesion, sign: int) -> FoundLesion:
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
    return FoundLesion(corners, triangles, round(0.95 * edge.share, 2))


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
    cosines = directions @ directions.T
    both_ways = ~edge.clear & ~edge.clear[cosines.argmin(axis=1)]
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
    width = (radii[:, None] * np.abs(cosines)).max(axis=0)
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
