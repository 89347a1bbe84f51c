"""The measures by which a transcatheter aortic valve is chosen (TAVI), from points that the user gives.

Sources: Achenbach et al. 2012, 'SCCT expert consensus document on computed tomography imaging before TAVI/TAVR', and
Blanke et al. 2019, its update (annulus plane through the lowest points of the three cusps; area, perimeter, and the
diameters derived from them; coronary heights at right angles to the plane; sinus, sinotubular junction); Jilaihawi et
al. 2012 (angulation in the coronal plane); Tang et al. 2018 (cusp overlap view); Binder et al. 2012 (line of
perpendicularity).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy

from render.curved import Points
from render.geometry import Vector
from render.vessels.centreline import Vessel, follow
from render.vessels.evar import Diameters, check_names, diameters_at
from render.vessels.lumen import VesselError, inside, levels_at
from render.vessels.sections import Sections, cut
from render.volume import Volume

TAVI_POINTS = ("right_cusp", "left_cusp", "non_cusp", "ascending")
TAVI_OPTIONAL = ("right_coronary", "left_coronary", "stj", "access_1", "access_2", "access_3", "access_4")
_ROUNDS = 4
_CONVEX = 0.94  # least convexity of an annulus
_HARMONICS = 8  # of the outline, in which its perimeter is measured: noise makes an outline longer
_SINUS_MM = (3.0, 30.0)  # above the annulus the sinus is widest
_STJ_MM = 25.0  # beyond the widest sinus the junction lies so near at most
_LAO_DEG = tuple(range(-40, 41, 10))


@dataclass(frozen=True, slots=True)
class Annulus:
    """The annulus in the plane of the three hinge points.

    centre_mm : of its area. normal : towards the aorta. outline_mm : (RAYS, 3) LPS mm. seen : share of the edge that is
    seen. convexity : its area over that of its convex hull; the ring of an annulus has no dents. eccentricity : 1 −
    least over greatest diameter.
    """

    centre_mm: Vector
    normal: Vector
    outline_mm: Points
    area_mm2: float
    perimeter_mm: float
    least_mm: float
    greatest_mm: float
    seen: float
    convexity: float

    @property
    def is_ring(self) -> bool:
        """Whether its outline can be an annulus; else no measure of it is to be believed."""
        return self.convexity >= _CONVEX

    @property
    def area_diameter_mm(self) -> float:
        """Of a circle of the same area."""
        return float(2.0 * np.sqrt(self.area_mm2 / np.pi))

    @property
    def perimeter_diameter_mm(self) -> float:
        """Of a circle of the same perimeter."""
        return self.perimeter_mm / float(np.pi)

    @property
    def eccentricity(self) -> float:
        """0 for a circle."""
        return 1.0 - self.least_mm / max(self.greatest_mm, 1e-6)


@dataclass(frozen=True, slots=True)
class CArm:
    """Angles of a C-arm: lao_deg is negative for RAO, cran_deg negative for CAUD."""

    lao_deg: float
    cran_deg: float

    @property
    def words(self) -> str:
        side, tilt = ("LAO" if self.lao_deg >= 0 else "RAO"), ("CRAN" if self.cran_deg >= 0 else "CAUD")
        return f"{side} {abs(self.lao_deg):.0f}° {tilt} {abs(self.cran_deg):.0f}°"


@dataclass(frozen=True, slots=True)
class TaviSheet:
    """coronary_mm : heights of the coronary ostia above the annulus plane, by `right` and `left`, where given.

    sinus, stj : sections across the aorta, None where they are not found. angulation_deg : of the annulus against the
    horizontal, in the coronal plane; tilt_deg : in space. three_cusps : the view in which the right cusp is midway
    between the others; overlap : in which right and left cusp lie over each other. perpendicular : angles from which
    the annulus is a line. access : the narrowest section on the way through the access points. aorta : from the annulus
    to `ascending`.
    """

    annulus: Annulus
    coronary_mm: dict[str, float]
    sinus: Diameters | None
    stj: Diameters | None
    angulation_deg: float
    tilt_deg: float
    three_cusps: CArm
    overlap: CArm
    perpendicular: tuple[CArm, ...]
    access: Diameters | None
    access_vessel: Vessel | None
    aorta: Vessel
    warnings: tuple[str, ...]


def measure_tavi(volume: Volume, points: Mapping[str, Vector]) -> TaviSheet:
    """Measures the aortic root for a valve.

    points : LPS mm by the names of TAVI_POINTS and TAVI_OPTIONAL. *_cusp : the lowest point of each cusp (hinge point).
    ascending : in the middle of the ascending aorta. *_coronary : the lower edge of each coronary ostium. stj : in the
    lumen at the sinotubular junction, where it is not found by itself. access_1 … access_4 : in the lumen, from the
    aorta down to the femoral artery.

    Raises VesselError for a name that is unknown or missing, hinge points on a line, and as `follow`.
    """
    check_names(points, TAVI_POINTS, TAVI_OPTIONAL)
    if missing := [name for name in TAVI_POINTS if name not in points]:
        raise VesselError(f"The TAVI sheet needs the point {', '.join(missing)}: --point NAME=X,Y,Z.")
    right, left, non = (np.array(points[name]) for name in TAVI_POINTS[:3])
    above = np.array(points["ascending"])
    normal = np.cross(left - right, non - right)
    if float(np.linalg.norm(normal)) < 20.0:  # mm²: twice the area between the hinge points
        raise VesselError("The three hinge points lie nearly on a line: no plane goes through them. Give them again.")
    normal /= np.linalg.norm(normal)
    middle = (right + left + non) / 3.0
    if float(normal @ (above - middle)) < 0.0:
        normal = -normal
    annulus = _annulus(volume, middle, normal)
    aorta = follow(volume, [annulus.centre_mm, points["ascending"]])
    warnings = []
    if annulus.seen < 0.8:
        warnings.append(f"Of the annulus {100 * annulus.seen:.0f} % of the edge is seen; look at its picture.")
    if not annulus.is_ring:
        warnings.append(
            "The outline in the plane of the hinge points has dents: the plane cuts the cusps, or leaves the annulus. "
            "The annulus is not measured; give the lowest point of each cusp again."
        )
    height = (aorta.centreline_mm - np.array(annulus.centre_mm)) @ normal
    sinus, stj = _root(aorta, height)
    if "stj" in points:
        curve = aorta.centreline_mm
        number = int(np.argmin(((curve - np.array(points["stj"])) ** 2).sum(axis=1)))
        stj = diameters_at(aorta, float(aorta.along_mm[number]))
    if stj is None:
        warnings.append("The sinotubular junction is not found: the aorta does not narrow above the sinus. Give `stj`.")
    through = [points[name] for name in TAVI_OPTIONAL[3:] if name in points]
    way = follow(volume, through) if len(through) > 1 else None
    access = None if way is None else diameters_at(way, float(way.along_mm[_narrowest(way)]))
    if access is None:
        warnings.append("The access vessels are not measured: give access_1, access_2 … along them.")
    ostia = {side: f"{side}_coronary" for side in ("right", "left")}
    return TaviSheet(
        annulus,
        {side: float((np.array(points[name]) - middle) @ normal) for side, name in ostia.items() if name in points},
        sinus,
        stj,
        float(np.degrees(np.arctan2(abs(normal[0]), normal[2]))),
        float(np.degrees(np.arccos(np.clip(normal[2], -1.0, 1.0)))),
        _c_arm(right - 0.5 * (left + non), normal),
        _c_arm(right - left, normal),
        tuple(_perpendicular(normal, lao) for lao in _LAO_DEG),
        access,
        way,
        aorta,
        tuple(warnings),
    )


def _annulus(volume: Volume, middle: Points, normal: Points) -> Annulus:
    place = (float(middle[0]), float(middle[1]), float(middle[2]))
    at = inside(volume, [place])
    levels = levels_at(volume, at)
    # Three sections, alike: what is unlike its neighbours is smoothed along a vessel, and here there is one plane.
    found: Sections | None = None
    for _ in range(_ROUNDS):
        middles = middle + np.outer([-0.01, 0.0, 0.01], normal)
        found = cut(volume, middles, np.tile(normal, (3, 1)), levels, np.full(3, 25.0))
        middle = found.centroids[1]
    assert found is not None
    least, greatest, _ = (float(one[1]) for one in found.diameters_mm)
    x, y = found.corners[1, :, 0], found.corners[1, :, 1]
    outline = found.middles[1] + np.outer(x, found.right[1]) + np.outer(y, found.down[1])
    return Annulus(
        (float(middle[0]), float(middle[1]), float(middle[2])),
        (float(normal[0]), float(normal[1]), float(normal[2])),
        outline,
        float(found.areas_mm2[1]),
        _perimeter(x + 1j * y),
        least,
        greatest,
        float(found.found[1].mean()),
        float(found.areas_mm2[1]) / max(_hull_mm2(x, y), 1e-6),
    )


def _hull_mm2(x: Points, y: Points) -> float:
    """Returns the area of the convex hull of an outline."""
    return float(scipy.spatial.ConvexHull(np.column_stack([x, y])).volume)  # of two dimensions, `volume` is the area


def _perimeter(outline: np.ndarray[tuple[int], np.dtype[np.complex128]]) -> float:
    """Returns the length of a closed outline, smoothed to its first harmonics."""
    turns = np.fft.fftfreq(len(outline), 1.0 / len(outline))
    parts = np.where(np.abs(turns) <= _HARMONICS, np.fft.fft(outline), 0.0)
    fine = (
        np.fft.ifft(np.concatenate([parts[: len(parts) // 2], np.zeros(7 * len(parts)), parts[len(parts) // 2 :]]))
        * 8.0
    )
    return float(np.abs(np.diff(np.append(fine, fine[:1]))).sum())


def _root(aorta: Vessel, height: Points) -> tuple[Diameters | None, Diameters | None]:
    """Returns the widest section of the sinus and the junction above it; None for what is not there."""
    mean = scipy.ndimage.median_filter(aorta.sections.diameters_mm[2], size=5, mode="nearest")
    seen = aorta.sections.closed
    sinus = seen & (height >= _SINUS_MM[0]) & (height <= _SINUS_MM[1])
    if not sinus.any():
        return None, None
    at = int(np.argmax(np.where(sinus, mean, -np.inf)))
    widest = diameters_at(aorta, float(aorta.along_mm[at]))
    above = seen & (height > height[at]) & (height <= height[at] + _STJ_MM)
    if not above.any():
        return widest, None
    low = int(np.argmin(np.where(above, mean, np.inf)))
    if mean[low] > 0.97 * mean[at]:
        return widest, None
    return widest, diameters_at(aorta, float(aorta.along_mm[low]))


def _narrowest(vessel: Vessel) -> int:
    end = min(2.0, 0.1 * vessel.length_mm)
    inner = (vessel.along_mm >= end) & (vessel.along_mm <= vessel.length_mm - end) & vessel.sections.closed
    if not inner.any():
        raise VesselError("No section of the access vessel is closed: its edge is not seen. Give other points.")
    return int(np.argmin(np.where(inner, vessel.sections.diameters_mm[2], np.inf)))


def _c_arm(way: Points, normal: Points) -> CArm:
    """Returns the angles of a detector in the direction of `way`, within the plane; in front of the patient."""
    x, y, z = way - normal * float(way @ normal)
    if y > 0.0:
        x, y, z = -x, -y, -z
    return CArm(float(np.degrees(np.arctan2(x, -y))), float(np.degrees(np.arctan2(z, np.hypot(x, y)))))


def _perpendicular(normal: Points, lao_deg: float) -> CArm:
    turn = np.radians(lao_deg)
    level = float(normal[0] * np.sin(turn) - normal[1] * np.cos(turn))
    return CArm(float(lao_deg), float(np.degrees(np.arctan2(-level, float(normal[2])))))
