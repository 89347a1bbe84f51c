"""The measures by which an aortic stent graft is chosen (EVAR), from points that the user gives.

Sources: Chaikof et al. 2002, 'Identifying and grading factors that modify the outcome of endovascular aortic aneurysm
XX
et al. 2019, 'ESVS guidelines on the management of abdominal aorto-iliac artery aneurysms' (landing zones, access);
van Keulen et al. 2011 (the neck ends where it is a tenth wider than below the renal artery).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from render.curved import Points
from render.geometry import Vector
from render.vessels.aneurysm import Aneurysm, axis_between, sac_between
from render.vessels.centreline import Vessel, follow
from render.vessels.lumen import VesselError
from render.vessels.measures import judged_sections
from render.volume import Volume

NECK_MM = (0.0, 5.0, 10.0, 15.0)  # below the lowest renal artery
SIDES = ("right", "left")
EVAR_POINTS = ("lowest_renal", "bifurcation", "right_iliac_end", "left_iliac_end")
EVAR_OPTIONAL = ("suprarenal", "right_access", "left_access")
_AT_MM = 3.0  # a diameter at a place is the median over so much of the vessel
_LANDING = 0.1  # a landing zone is no more than so much wider or narrower than its end
_END_MM = 5.0  # the end of an iliac artery, whose diameter is that of its landing zone
_TAPER = 0.1  # a neck that widens by more than this share over its first 15 mm is conical


@dataclass(frozen=True, slots=True)
class Diameters:
    """A section across a vessel. at_mm : along it. position_mm : LPS mm. Least, greatest and mean diameter in mm."""

    at_mm: float
    position_mm: Vector
    least_mm: float
    greatest_mm: float
    mean_mm: float


@dataclass(frozen=True, slots=True)
class IliacAxis:
    """One side. vessel : from above through the bifurcation to the iliac end, and on to the access.

    renal_to_end_mm, bifurcation_to_end_mm : along the centreline. end : at the iliac end. widest : of the common iliac
    artery. landing_mm : how far back from the end the diameter stays within a tenth of that at the end.
    access : the narrowest section from the bifurcation down to the access, or to the iliac end where none is given.
    """

    side: str
    vessel: Vessel
    renal_to_end_mm: float
    bifurcation_to_end_mm: float
    end: Diameters
    widest: Diameters
    landing_mm: float
    access: Diameters


@dataclass(frozen=True, slots=True)
class EvarSheet:
    """neck : at 0, 5, 10 and 15 mm below the lowest renal artery, those that lie above the bifurcation.

    neck_mm : its length, to where it is a tenth wider than at its beginning; to the bifurcation where it never is.
    conical : it widens by more than a tenth over its first 15 mm. alpha_deg, beta_deg : 0 where in line; None where no
    point above the renal arteries was given, and where there is no sac. sac : of the lumen. bifurcation : the narrowest
    section of the last 20 mm above it, without the last radius, where the lumens part. warnings : what to know
    besides.
    """

    neck: tuple[Diameters, ...]
    neck_mm: float
    conical: bool
    alpha_deg: float | None
    beta_deg: float | None
    sac: Aneurysm
    bifurcation: Diameters
    renal_to_bifurcation_mm: float
    iliacs: tuple[IliacAxis, ...]
    warnings: tuple[str, ...]


def measure_evar(volume: Volume, points: Mapping[str, Vector]) -> EvarSheet:
    """Measures an abdominal aorta for a stent graft.

    points : LPS mm within the lumen, by the names of EVAR_POINTS (one iliac end is enough) and EVAR_OPTIONAL.
    lowest_renal : in the aorta, at the lower edge of the lowest renal artery. *_iliac_end : where the internal iliac
    artery leaves. suprarenal : in the aorta some 30 mm above. *_access : in the femoral artery.

    Raises VesselError for a name that is unknown or missing, and as `follow`.
    """
    check_names(points, EVAR_POINTS, EVAR_OPTIONAL)
    sides = [side for side in SIDES if f"{side}_iliac_end" in points]
    needed = [name for name in EVAR_POINTS[:2] if name not in points]
    if needed or not sides:
        missing = needed or ["right_iliac_end or left_iliac_end"]
        raise VesselError(f"The EVAR sheet needs the point {', '.join(missing)}: --point NAME=X,Y,Z.")
    above = 1 if "suprarenal" in points else 0
    paths = {side: _path(volume, points, side) for side in sides}
    vessel = paths[sides[0]]
    along = vessel.along_mm
    renal, fork = vessel.at_points_mm[above : above + 2]
    if fork - renal < 10.0:
        raise VesselError(f"From lowest_renal to bifurcation there are {fork - renal:.0f} mm: give them in that order.")
    begin = _at(vessel, renal, beyond=True)
    healthy = np.full(len(along), begin.mean_mm)
    sac = sac_between(vessel, renal, fork, healthy)
    end = fork if sac.declined else sac.begin_mm
    alpha = None
    if above:
        upper, neck = axis_between(vessel, 0.0, renal), axis_between(vessel, renal, end)
        alpha = None if upper is None or neck is None else _between(upper, neck)
    neck_at = tuple(_at(vessel, renal + way, beyond=True) for way in NECK_MM if renal + way < fork)
    within = [one.mean_mm for one, way in zip(neck_at, NECK_MM, strict=False) if way <= max(end - renal, 5.0)]
    warnings = ["The lumen alone is measured: thrombus and wall are no part of any diameter."]
    if sac.declined:
        warnings.append(f"No sac: {sac.declined}")
    warnings += sac.warnings
    iliacs = tuple(_iliac(side, paths[side], above) for side in sides)
    unseen = [one.side for one in iliacs if one.vessel.sections.closed.mean() < 0.8]
    if unseen:
        warnings.append(f"The edge is badly seen on the way to the {' and '.join(unseen)} iliac artery.")
    return EvarSheet(
        neck_at,
        end - renal,
        max(within) > (1.0 + _TAPER) * begin.mean_mm,
        alpha,
        None if sac.declined or sac.proximal is None else sac.proximal.angulation_deg,
        sac,
        _least(vessel, max(renal, fork - 20.0), fork - 0.5 * begin.mean_mm),
        fork - renal,
        iliacs,
        tuple(warnings),
    )


def check_names(points: Mapping[str, Vector], needed: tuple[str, ...], optional: tuple[str, ...]) -> None:
    """Raises VesselError for a point whose name means nothing on a sheet."""
    for name in points:
        if name not in (*needed, *optional):
            raise VesselError(f"The point {name!r} is unknown; there are {', '.join((*needed, *optional))}.")


def _path(volume: Volume, points: Mapping[str, Vector], side: str) -> Vessel:
    names = ["suprarenal", *EVAR_POINTS[:2], f"{side}_iliac_end", f"{side}_access"]
    return follow(volume, [points[name] for name in names if name in points])


def _iliac(side: str, vessel: Vessel, above: int) -> IliacAxis:
    renal, fork, end = vessel.at_points_mm[above : above + 3]
    last = vessel.at_points_mm[-1]
    at_end = _at(vessel, end - 0.5 * _END_MM, reach_mm=_END_MM)
    along, mean, judged = vessel.along_mm, vessel.sections.diameters_mm[2], judged_sections(vessel)
    # At the fork both lumens are one: an iliac artery's own sections begin about its diameter further on.
    own = min(fork + max(at_end.mean_mm, 4.0), 0.5 * (fork + end))
    there = judged & (along >= own) & (along <= end)
    alike = np.abs(mean / at_end.mean_mm - 1.0) <= _LANDING
    back = np.flatnonzero(there & ~alike & (along < at_end.at_mm))
    landing = end - (float(along[back[-1]]) if len(back) else own)
    greatest = np.where(there, vessel.sections.diameters_mm[2], -np.inf)
    widest = _at(vessel, float(along[int(np.argmax(greatest))])) if there.any() else at_end
    return IliacAxis(side, vessel, end - renal, end - fork, at_end, widest, landing, _least(vessel, own, last))


def diameters_at(vessel: Vessel, at_mm: float) -> Diameters:
    """Returns the diameters of the sections about a place: their medians over three millimetres."""
    return _at(vessel, at_mm)


def _at(vessel: Vessel, at_mm: float, reach_mm: float = _AT_MM, beyond: bool = False) -> Diameters:
    """Returns the diameters about a place; `beyond`: from there on, because a branch leaves just before it."""
    along = vessel.along_mm
    near = (along >= at_mm) & (along <= at_mm + reach_mm) if beyond else np.abs(along - at_mm) <= 0.5 * reach_mm
    near &= judged_sections(vessel)
    number = int(np.argmin(np.abs(along - at_mm)))
    if not near.any():
        raise VesselError(f"At {at_mm:.0f} mm along the vessel no section is closed: its edge is not seen there.")
    least, greatest, mean = (float(np.median(one[near])) for one in vessel.sections.diameters_mm)
    # Widths are of the outline's hull: a dent, as of noise, makes its area smaller and no width.
    ends = min(least, mean), max(greatest, mean)
    return Diameters(float(along[number]), _place(vessel.centreline_mm[number]), *ends, mean)


def _least(vessel: Vessel, first_mm: float, last_mm: float) -> Diameters:
    along = vessel.along_mm
    some = judged_sections(vessel) & (along >= first_mm) & (along <= last_mm)
    if not some.any():
        raise VesselError(f"From {first_mm:.0f} to {last_mm:.0f} mm along the vessel no section is closed.")
    number = int(np.argmin(np.where(some, vessel.sections.diameters_mm[2], np.inf)))
    return _at(vessel, float(along[number]))


def _between(a: Points, b: Points) -> float:
    return float(np.degrees(np.arccos(np.clip(float(a @ b), -1.0, 1.0))))


def _place(place: Points) -> Vector:
    x, y, z = (float(value) for value in place)
    return (x, y, z)
