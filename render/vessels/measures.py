"""What is measured along a vessel: narrowing, widening, angles.

Sources: North American Symptomatic Carotid Endarterectomy Trial Collaborators 1991 (NASCET: against the healthy vessel
beyond); European Carotid Surgery Trialists 1991 (ECST: against what the lumen was at that place); Chaikof et al. 2018,
'SVS practice guidelines on the care of patients with an abdominal aortic aneurysm' (diameters across the centreline).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from render.curved import Points
from render.geometry import Vector
from render.vessels.centreline import Vessel
from render.vessels.lumen import VesselError

Judged = NDArray[np.bool_]

_HEALTHY = 0.95  # a diameter of at least this share of what is expected there counts as healthy
_AROUND_MM = 10.0  # an angle is measured between the ways of this length before and after a place
_BRANCH_MM = 5.0  # a branch leaves over this length
_END_MM = 2.0  # sections this near to an end are not judged: the vessel may begin in a wall or a branch there
_REFERENCE_MM = 4.0  # a reference is the mean of the sections so near to it


@dataclass(frozen=True, slots=True)
class Stenosis:
    """The narrowest place of a vessel.

    at_mm, position_mm : along the vessel, and LPS mm. least_mm, least_mm2 : its mean diameter and area. reference_mm,
    reference_mm2 : those of the healthy vessel beyond it. original_mm : the diameter that the vessel would have there.
    """

    at_mm: float
    position_mm: Vector
    least_mm: float
    least_mm2: float
    reference_mm: float
    reference_mm2: float
    original_mm: float

    @property
    def nascet_percent(self) -> float:
        """1 − narrowest over the healthy diameter beyond."""
        return _loss(self.least_mm, self.reference_mm)

    @property
    def ecst_percent(self) -> float:
        """1 − narrowest over the diameter that was there."""
        return _loss(self.least_mm, self.original_mm)

    @property
    def area_percent(self) -> float:
        """1 − least area over the healthy area beyond."""
        return _loss(self.least_mm2, self.reference_mm2)


@dataclass(frozen=True, slots=True)
class Widest:
    """The widest place: the greatest diameter across the centreline, where that is, and the typical one elsewhere."""

    at_mm: float
    position_mm: Vector
    diameter_mm: float
    elsewhere_mm: float


@dataclass(frozen=True, slots=True)
class Bend:
    """An angle of a vessel: 180 degrees where it runs straight."""

    at_mm: float
    angle_deg: float


def stenosis(vessel: Vessel, references_mm: Sequence[float] = ()) -> Stenosis:
    """Returns the narrowest place.

    references_mm : healthy places along the vessel; the last is the one beyond for NASCET, and all tell what the lumen
    was at the place. By default the healthy vessel is a straight taper through what is not narrowed.

    Raises VesselError where no section is closed.
    """
    along, mean, area = vessel.along_mm, vessel.sections.diameters_mm[2], vessel.sections.areas_mm2
    judged = judged_sections(vessel)
    expected = _expected(along, mean, judged, references_mm)
    ratio = np.where(judged, mean / np.maximum(expected, 1e-6), np.inf)
    at = int(np.argmin(ratio))
    if references_mm:
        beyond = [place for place in references_mm if place > along[at]] or [references_mm[-1]]
        reference = np.abs(along - beyond[-1]) <= _REFERENCE_MM / 2.0
    else:
        healthy = judged & (mean >= _HEALTHY * expected)
        reference = healthy & (along > along[at])
        if reference.sum() < 3:  # the vessel that was followed ends within the narrowing
            reference = healthy
        distance = np.abs(along - along[at])
        reference &= distance <= np.sort(distance[reference])[0] + 20.0 if reference.any() else judged
    reference &= judged
    if not reference.any():
        raise VesselError("No section is closed where the vessel should be healthy. Give other reference points.")
    return Stenosis(
        float(along[at]),
        place_on(vessel, at),
        float(mean[at]),
        float(area[at]),
        float(mean[reference].mean()),
        float(area[reference].mean()),
        float(expected[at]),
    )


def widest(vessel: Vessel) -> Widest:
    """Returns the widest place by the greatest diameter of a section. Raises VesselError where none is closed."""
    along, mean, judged = vessel.along_mm, vessel.sections.diameters_mm[2], judged_sections(vessel)
    # Where a branch leaves, single sections reach into it.
    step = float(along[-1]) / max(len(along) - 1, 1)
    greatest = scipy.ndimage.median_filter(vessel.sections.diameters_mm[1], size=max(3, round(_BRANCH_MM / step) | 1))
    at = int(np.argmax(np.where(judged, greatest, -np.inf)))
    apart = judged & (np.abs(along - along[at]) > greatest[at])
    elsewhere = mean[apart] if apart.any() else mean[judged]
    return Widest(float(along[at]), place_on(vessel, at), float(greatest[at]), float(np.median(elsewhere)))


def bends(vessel: Vessel) -> tuple[Bend, ...]:
    """Returns the angle at each point given between the ends, and that of the sharpest bend, along the vessel."""
    along = vessel.along_mm
    curve = vessel.centreline_mm
    reach = min(_AROUND_MM, float(along[-1]) / 3.0)
    angles = np.full(len(along), 180.0)
    inner = (along >= reach) & (along <= along[-1] - reach)
    for n in np.flatnonzero(inner):
        before, after = (_at(along, curve, float(along[n]) + way) for way in (-reach, reach))
        a, b = before - curve[n], after - curve[n]
        cosine = float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-9))
        angles[n] = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
    places = {int(np.argmin(np.abs(along - place))) for place in vessel.at_points_mm[1:-1]}
    if inner.any():
        places.add(int(np.argmin(np.where(inner, angles, np.inf))))
    return tuple(Bend(float(along[n]), float(angles[n])) for n in sorted(places))


def judged_sections(vessel: Vessel) -> Judged:
    """Returns (N,) the sections that are closed and not at an end. Raises VesselError where there is none."""
    along, sections = vessel.along_mm, vessel.sections
    end = min(_END_MM, float(along[-1]) / 10.0)
    judged = sections.closed & (along >= end) & (along <= along[-1] - end)
    if not judged.any():
        raise VesselError("No section across the vessel is closed: its edge is not seen. Give points further within.")
    return np.asarray(judged)


def healthy_at(vessel: Vessel, references_mm: Sequence[float]) -> Points:
    """Returns (N,) the diameter of the healthy vessel, by its references: straight between them."""
    return _expected(vessel.along_mm, vessel.sections.diameters_mm[2], judged_sections(vessel), references_mm)


def _expected(along: Points, mean: Points, judged: Judged, references_mm: Sequence[float]) -> Points:
    """Returns (N,) the diameter that a healthy vessel would have: a straight taper through what is not narrowed."""
    if references_mm:
        healthy = [
            float(mean[judged & (np.abs(along - place) <= _REFERENCE_MM / 2.0)].mean())
            if (judged & (np.abs(along - place) <= _REFERENCE_MM / 2.0)).any()
            else float(np.interp(place, along[judged], mean[judged]))
            for place in references_mm
        ]
        order = np.argsort(references_mm)
        return np.asarray(np.interp(along, np.array(references_mm)[order], np.array(healthy)[order]))
    used = judged.copy()
    taper = np.array([0.0, float(np.median(mean[judged]))])
    for least in (0.85, 0.9, 0.93, *(_HEALTHY,) * 5):
        taper = np.polyfit(along[used], mean[used], 1)
        fitted = np.polyval(taper, along)
        # Narrowed parts and widened ones are taken out of the fit, but never more than two thirds.
        off = mean / np.maximum(fitted, 1e-6)
        kept = judged & (off >= least) & (off <= 1.15)
        if kept.sum() < judged.sum() / 3.0 or (least == _HEALTHY and (kept == used).all()):
            break
        used = kept
    fitted = np.maximum(np.polyval(taper, along), 1e-3)
    # The shoulders of a narrowing pull the line down: the wider quarter of what is kept is on it.
    return np.asarray(fitted * np.percentile((mean / fitted)[used], 75.0))


def _at(along: Points, curve: Points, wanted: float) -> Points:
    return np.array([np.interp(wanted, along, curve[:, axis]) for axis in range(3)])


def place_on(vessel: Vessel, at: int) -> Vector:
    """Returns the LPS mm of a section's middle, by its number."""
    x, y, z = (float(value) for value in vessel.centreline_mm[at])
    return (x, y, z)


def _loss(now: float, before: float) -> float:
    return max(0.0, 100.0 * (1.0 - now / max(before, 1e-6)))
