"""An aneurysm of a vessel that is followed: how wide, where it begins and ends, its necks, and what it holds.

Everything is of the lumen that dye fills: thrombus at the wall is no part of it. Sources: Johnston et al. 1991,
'Suggested standards for reporting on arterial aneurysms' (half as wide again as the healthy vessel); Chaikof et al.
2002, 'Identifying and grading factors that modify the outcome of endovascular aortic aneurysm repair' (neck, its length
and angle); van Keulen et al. 2011 (the neck ends where it is a tenth wider than at its beginning).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from render.curved import Points
from render.geometry import Vector
from render.vessels.centreline import Vessel
from render.vessels.lumen import VesselError
from render.vessels.measures import Judged, healthy_at, judged_sections, place_on
from render.vessels.sections import Sections

WIDENED = 1.5  # times the healthy diameter: an aneurysm
_ECTATIC = 1.2  # times: below it there is nothing to be measured
_ALIKE = 1.15  # times what most of the vessel beyond is: no sac, but narrowed beyond
_ONSET = 1.1  # times: here the neck ends and the sac begins
_NECK_MM = 15.0  # the neck's axis and diameter are those of so much of it, next to the sac
_SEEN = 0.85  # least share of the sac's edge
_LEAST_NECK_MM = 3.0  # a shorter one is not seen
_CORNER = 0.2  # of the sac at each end: there the centreline still turns into the necks
_ASIDE = 0.25  # of the radius: a centroid farther from the centreline is that of a section which is not across it
_CROSSING = 1.2  # turn of the sections per radius of the sac: they cross each other within it
_SHORT = 0.5  # of its width: a shorter sac has its widest place smoothed away
_GRID, _MOST_PLACES = 20.0, 1e6  # places of the grid that the volume is counted on: in a radius, and in all
_BRANCH_MM = 5.0  # a branch leaves over this length


@dataclass(frozen=True, slots=True)
class Neck:
    """The vessel between a reference and the sac.

    at_mm, position_mm : where the sac begins or ends, along the vessel and LPS mm. diameter_mm : mean over the 15 mm
    next to the sac. least_mm, greatest_mm : of the mean diameters along it. length_mm : along the centreline, from the
    reference to the sac. angulation_deg : between its axis and that of the sac, 0 where they are in line.
    """

    at_mm: float
    position_mm: Vector
    diameter_mm: float
    least_mm: float
    greatest_mm: float
    length_mm: float
    angulation_deg: float


@dataclass(frozen=True, slots=True)
class Aneurysm:
    """A sac and its necks. at_mm, position_mm : where it is widest. diameter_mm : the greatest diameter across the
    centreline there; across_mm : the least one of that section. healthy_mm : the diameter that the vessel would have
    there. begin_mm, end_mm : the sac along the vessel. sac_ml : the lumen between. proximal, distal : None where the
    vessel that was followed holds no neck there. confidence : 0…1; 0 with `declined`, the reason, where there is none.
    warnings : why the numbers may be wrong.
    """

    at_mm: float = 0.0
    position_mm: Vector = (0.0, 0.0, 0.0)
    diameter_mm: float = 0.0
    across_mm: float = 0.0
    healthy_mm: float = 0.0
    begin_mm: float = 0.0
    end_mm: float = 0.0
    sac_ml: float = 0.0
    proximal: Neck | None = None
    distal: Neck | None = None
    confidence: float = 0.0
    declined: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def ratio(self) -> float:
        """The greatest diameter over that of the healthy vessel."""
        return self.diameter_mm / max(self.healthy_mm, 1e-6)


def aneurysm(vessel: Vessel, references_mm: Sequence[float] = ()) -> Aneurysm:
    """Returns the aneurysm of a vessel, between its reference sections.

    references_mm : healthy places along the vessel, before and beyond the sac; by default its ends, and what is healthy
    is told by the narrower parts of the vessel. The sac is where the vessel is a tenth wider than that, about its
    widest place.

    Returns one that says `declined` where nothing is a fifth wider than the healthy vessel, too little of the edge is
    seen, or, without references, no healthy vessel is seen on both sides. Raises VesselError where no section is
    closed, or with a single reference.
    """
    if len(references_mm) == 1:
        raise VesselError("One healthy place is not enough for an aneurysm: give one before it and one beyond it.")
    along, mean, judged = vessel.along_mm, vessel.sections.diameters_mm[2], judged_sections(vessel)
    first, last = (min(references_mm), max(references_mm)) if references_mm else (float(along[0]), float(along[-1]))
    inside = judged & (along >= first - 1e-6) & (along <= last + 1e-6)
    healthy = healthy_at(vessel, references_mm) if references_mm else _unwidened(along, mean, inside)
    found = sac_between(vessel, first, last, healthy)
    beyond = inside & ((along < found.begin_mm) | (along > found.end_mm))
    if not (references_mm or found.declined) and beyond.any():
        typical = float(np.percentile(mean[beyond], 75.0))
        if typical * _ALIKE > found.diameter_mm:
            return Aneurysm(
                declined=f"Beyond the widest place, {found.diameter_mm:.1f} mm at {found.at_mm:.0f} mm, most of the "
                f"vessel is nearly as wide ({typical:.1f} mm): narrowed elsewhere, or give references beside the sac."
            )
    if not (references_mm or found.declined) and (found.proximal is None or found.distal is None):
        # An aorta tapers by a third from the chest to the pelvis: wide at one end is no sac.
        where = "before" if found.proximal is None else "beyond"
        return Aneurysm(
            declined=f"The widest part, {found.diameter_mm:.1f} mm at {found.at_mm:.0f} mm, runs to the end: no "
            f"healthy vessel is seen {where} it. Follow the vessel further, or give references."
        )
    return found


def sac_between(vessel: Vessel, first: float, last: float, healthy: Points) -> Aneurysm:
    """Returns the aneurysm between two places.

    healthy : (N,) the diameter that is expected. Raises VesselError where no section between is closed.
    """
    along, sections, judged = vessel.along_mm, vessel.sections, judged_sections(vessel)
    mean = sections.diameters_mm[2]
    inside = judged & (along >= first - 1e-6) & (along <= last + 1e-6)
    step = float(along[-1]) / max(len(along) - 1, 1)
    size = max(3, round(_BRANCH_MM / step) | 1)
    greatest = _greatest(sections, size)
    smooth = scipy.ndimage.median_filter(mean, size=size, mode="nearest")
    if not inside.any():
        raise VesselError("No section between the two places is closed. Give other points.")
    at = int(np.argmax(np.where(inside, greatest, -np.inf)))
    ratio = float(greatest[at] / max(healthy[at], 1e-6))
    if ratio < _ECTATIC:
        return Aneurysm(
            declined=f"The widest place, {greatest[at]:.1f} mm at {along[at]:.0f} mm, is {ratio:.2f} times as wide as "
            f"the healthy vessel ({healthy[at]:.1f} mm): no aneurysm. A sac on a stalk beside it is no part of it."
        )
    wide = (smooth > _ONSET * healthy) & (along >= first) & (along <= last)
    begin, end = _run(wide, at)
    seen = float(sections.found[begin : end + 1].mean())
    if seen < _SEEN:
        return Aneurysm(
            declined=f"Of the sac's edge {100 * seen:.0f} % is seen, too little to measure it: it may leave the volume."
        )
    edges = [_onset(along, smooth / (_ONSET * healthy), n, way) for n, way in ((begin, -1), (end, 1))]
    rounded = _CORNER * (edges[1] - edges[0])
    axis = axis_between(vessel, edges[0] + rounded, edges[1] - rounded)
    proximal = _neck(vessel, smooth, judged, first, edges[0], axis, edges[0])
    distal = _neck(vessel, smooth, judged, edges[1], last, axis, edges[1])
    necks = sum(neck is not None for neck in (proximal, distal)) / 2.0
    sure = min(1.0, (ratio - 1.0) / (WIDENED - 1.0)) * seen * (0.5 + 0.5 * necks)
    warnings = _doubts(vessel, begin, end, float(greatest[at]))
    if warnings:
        sure *= 0.5
    return Aneurysm(
        float(along[at]),
        place_on(vessel, at),
        float(greatest[at]),
        float(sections.diameters_mm[0][at]),
        float(healthy[at]),
        edges[0],
        edges[1],
        _volume_ml(vessel, begin, end, edges),
        proximal,
        distal,
        round(sure, 2),
        warnings=warnings,
    )


def _unwidened(along: Points, mean: Points, judged: Judged) -> Points:
    """Returns (N,) the diameter of the healthy vessel: a straight taper through the narrower parts at both ends."""
    middle = 0.5 * float(along[judged][0] + along[judged][-1])
    points = []
    for half in (judged & (along <= middle), judged & (along >= middle)):
        # A quarter of each half is healthy at least; a short narrowing is not taken for it.
        level = float(np.percentile(mean[half], 25.0))
        away = np.abs(mean - level)
        near = half & (away <= max(0.06 * level, float(away[half].min())))  # of few sections none may be near
        points.append((float(along[near].mean()), float(np.median(mean[near]))))
    (a, one), (b, other) = points
    # Beyond both, as beside them: a taper of two short necks must not run on.
    return np.asarray(np.interp(along, [a, b] if a < b else [b, a], [one, other] if a < b else [other, one]))


def _run(wide: Judged, at: int) -> tuple[int, int]:
    begin = end = at
    while begin > 0 and wide[begin - 1]:
        begin -= 1
    while end < len(wide) - 1 and wide[end + 1]:
        end += 1
    return begin, end


def _onset(along: Points, share: Points, number: int, way: int) -> float:
    """Returns where, between a section and the next one outside, the diameter passes the limit."""
    other = number + way
    if not 0 <= other < len(along) or share[number] <= share[other]:
        return float(along[number])
    part = float((share[number] - 1.0) / (share[number] - share[other]))
    return float(along[number] + np.clip(part, 0.0, 1.0) * (along[other] - along[number]))


def axis_between(vessel: Vessel, first_mm: float, last_mm: float) -> Points | None:
    """Returns the unit vector along the centreline between two places; None where there is too little of it."""
    some = (vessel.along_mm >= first_mm) & (vessel.along_mm <= last_mm)
    if some.sum() < 4:
        return None
    places = vessel.centreline_mm[some]
    _, _, ways = np.linalg.svd(places - places.mean(axis=0), full_matrices=False)
    way = ways[0] * np.sign(ways[0] @ (places[-1] - places[0]))
    return np.asarray(way)


def _neck(
    vessel: Vessel, mean: Points, judged: Judged, first_mm: float, last_mm: float, axis: Points | None, sac_mm: float
) -> Neck | None:
    """Returns the neck between two places, of which `sac_mm` is the one at the sac; None where none is seen."""
    along = vessel.along_mm
    if last_mm - first_mm < _LEAST_NECK_MM:
        return None
    near = (along >= first_mm) & (along <= last_mm)
    near_sac = near & (np.abs(along - sac_mm) <= _NECK_MM)
    # The centreline rounds the corner at the sac over about a radius: the neck's own way is what lies before.
    corner = min(0.5 * float(np.median(mean[near])), 0.5 * (last_mm - first_mm))
    own = (
        axis_between(vessel, first_mm, last_mm - corner)
        if sac_mm == last_mm
        else axis_between(vessel, first_mm + corner, last_mm)
    )
    if not (judged & near_sac).any() or own is None or axis is None:
        return None
    bent = float(np.degrees(np.arccos(np.clip(float(own @ axis), -1.0, 1.0))))
    diameters = mean[judged & near]
    return Neck(
        sac_mm,
        place_on(vessel, int(np.argmin(np.abs(along - sac_mm)))),
        float(mean[judged & near_sac].mean()),
        float(diameters.min()),
        float(diameters.max()),
        last_mm - first_mm,
        bent,
    )


def _greatest(sections: Sections, size: int) -> Points:
    """Returns (N,) greatest diameters, without single sections that reach into a branch: those are longer than wide,
    and what is next to them is not. A short sac keeps its peak."""
    least, greatest, _ = sections.diameters_mm
    longer = scipy.ndimage.median_filter(greatest / np.maximum(least, 1e-6), size=size, mode="nearest")
    return np.asarray(scipy.ndimage.median_filter(least, size=5, mode="nearest") * longer)


def _doubts(vessel: Vessel, begin: int, end: int, greatest_mm: float) -> tuple[str, ...]:
    """Returns why the sections of a sac may be wrong, as warnings; none where they are right."""
    sections, along, some = vessel.sections, vessel.along_mm, slice(begin, end + 1)
    radius = 0.5 * np.maximum(sections.diameters_mm[2][some], 1e-6)
    off = np.linalg.norm((sections.centroids - sections.middles)[some], axis=1) / radius
    bent = np.linalg.norm(np.diff(sections.tangents[some], axis=0), axis=1) / np.diff(along[some])
    warnings = []
    if (off > _ASIDE).any() or (bent * radius[1:] > _CROSSING).any():
        warnings.append(
            "The sac lies to one side, or bends within its own width: sections across its centreline cross each other. "
            "Its diameter and place are uncertain; look at the sections, and measure it in a plane chosen by eye."
        )
    if along[end] - along[begin] < _SHORT * greatest_mm:
        warnings.append(
            f"The sac is {along[end] - along[begin]:.0f} mm long and {greatest_mm:.0f} mm wide: of so short a one the "
            "diameter may be too small. Measure it in a plane chosen by eye."
        )
    return tuple(warnings)


def _volume_ml(vessel: Vessel, begin: int, end: int, edges_mm: Sequence[float]) -> float:
    """Returns what the vessel holds between two places, of which `begin` and `end` are the sections next to them.

    Places of a fine grid are counted, each once, in the section that it is nearest to: where a wide sac bends, or lies
    to one side, sections cross each other and adding them up would count what lies in two of them twice.
    """
    sections, along = vessel.sections, vessel.along_mm
    first, last = max(begin - 1, 0), min(end + 1, len(along) - 1)
    middles, radii = sections.middles[first : last + 1], sections.radii[first : last + 1]
    reach = float(radii.max())
    low, high = middles.min(axis=0) - reach, middles.max(axis=0) + reach
    step = max(reach / _GRID, float(np.prod(high - low) / _MOST_PLACES) ** (1.0 / 3.0))
    axes = [np.arange(a + 0.5 * step, b, step) for a, b in zip(low, high, strict=True)]
    places = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    # The sections beyond both ends take part, so that a place beyond is not counted for the nearest within.
    away, nearest = scipy.spatial.cKDTree(sections.middles).query(places, distance_upper_bound=1.01 * reach)
    near = np.flatnonzero(np.isfinite(away) & (nearest >= first) & (nearest <= last))
    number = nearest[near]
    aside = places[near] - sections.middles[number]
    x, y, ahead = ((aside * ways[number]).sum(axis=1) for ways in (sections.right, sections.down, sections.tangents))
    rays = sections.radii.shape[1]
    turn = (np.arctan2(y, x) / (2.0 * np.pi) * rays) % rays
    ray = np.floor(turn).astype(int) % rays
    part = turn - np.floor(turn)
    edge = (1.0 - part) * sections.radii[number, ray] + part * sections.radii[number, (ray + 1) % rays]
    at = along[number] + ahead
    inside = (np.hypot(x, y) < edge) & (at >= edges_mm[0]) & (at <= edges_mm[1])
    return float(inside.sum()) * float(step**3) / 1000.0
