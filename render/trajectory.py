"""A straight way from an entry to a target, as of a biopsy needle or a probe: its length, its angles, and how far it
stays from what it has to avoid.

All points are LPS mm. Distances are to the surface of a mask's voxels, and so as fine as these. Angles are those of
stereotaxy: against the axes of the patient as scanned, or of the head by the line through both commissures (Talairach
and Tournoux 1988).
"""

import math
import weakref
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from render.errors import RenderError
from render.geometry import Affine, GeometryError, Vector, View, cross, unit_vector, vector
from render.recipe import Recipe, Reformat, Window
from render.volume import Volume

Spots = NDArray[np.float64]
_STEP_MM = 0.25  # along the way
_SIDE_PX = 512
_ROUND = 3


class TrajectoryError(RenderError):
    """A trajectory is impossible; the message says why, and what to do."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class AvoidedRegion:
    """What a trajectory has to stay away from. inside : (K, J, I) bool. affine : its own grid's, to LPS mm. Its surface
    is remembered: a trajectory that is moved is measured against it again and again."""

    inside: NDArray[np.bool_]
    affine: Affine


@dataclass(frozen=True, slots=True)
class HeadAxes:
    """Unit vectors towards the patient's left, back and head."""

    left: Vector = (1.0, 0.0, 0.0)
    posterior: Vector = (0.0, 1.0, 0.0)
    head: Vector = (0.0, 0.0, 1.0)

    @classmethod
    def by_commissures(cls, anterior_mm: Vector, posterior_mm: Vector, midline_mm: Vector) -> "HeadAxes":
        """Returns the axes of a head by its anterior and posterior commissure, and a point of the midline above them.

        Raises TrajectoryError where the three lie on a line.
        """
        back = _away(posterior_mm, anterior_mm)
        left = cross(back, _away(midline_mm, anterior_mm))
        if math.hypot(*left) < 1.0:
            raise TrajectoryError("Both commissures and the midline point lie on a line. Give a point far above them.")
        posterior, side = unit_vector(back), unit_vector(left)
        return cls(side, posterior, cross(side, posterior))


@dataclass(frozen=True, slots=True)
class Clearance:
    """How far a trajectory stays from a region.

    least_mm : from the probe's surface to the region's; 0 where it goes through. depth_mm : where that is, from the
    entry; where it goes through, where it enters. position_mm : LPS mm on the axis there. through_mm : length of the
    axis within the region. empty : the region has no voxel.
    """

    least_mm: float
    depth_mm: float
    position_mm: Vector
    through_mm: float
    empty: bool = False


@dataclass(frozen=True, slots=True)
class TrajectoryMeasures:
    """A trajectory measured.

    length_mm : from entry to target. to_axes_deg : between the way and the left-right, front-back and head-foot axes,
    0…90. coronal_deg : from the head-foot axis as seen from the front, positive where the entry lies to the patient's
    left; sagittal_deg : as seen from the side, positive where the entry lies in front. clearances : by a region's name.
    """

    length_mm: float
    to_axes_deg: tuple[float, float, float]
    coronal_deg: float
    sagittal_deg: float
    clearances: dict[str, Clearance]


def measure_trajectory(
    volume: Volume,
    entry_mm: Vector,
    target_mm: Vector,
    avoid: Mapping[str, AvoidedRegion],
    *,
    radius_mm: float = 0.0,
    axes: HeadAxes | None = None,
) -> TrajectoryMeasures:
    """Measures a trajectory. radius_mm : of the probe. axes : of the head; those of the patient as scanned by default.

    Raises TrajectoryError where a point lies outside the volume, or entry and target are at one place.
    """
    for name, place in (("entry", entry_mm), ("target", target_mm)):
        at = volume.to_index[:3, :3] @ np.array(place) + volume.to_index[:3, 3]
        if not (np.all(at >= -0.5) and np.all(at <= np.array(volume.shape) - 0.5)):
            raise TrajectoryError(f"The {name} {_words(place)} is outside the volume. Choose one within it.")
    way = _away(entry_mm, target_mm)
    length = math.hypot(*way)
    if length < 1.0:
        raise TrajectoryError("Entry and target are less than 1 mm apart; a trajectory needs both.")
    if not 0.0 <= radius_mm <= 20.0:
        raise TrajectoryError(f"A probe of {radius_mm:g} mm radius; 0 to 20 are possible.")
    head = axes or HeadAxes()
    left, back, up = (_dot(way, axis) for axis in (head.left, head.posterior, head.head))
    return TrajectoryMeasures(
        length,
        tuple(math.degrees(math.acos(min(1.0, abs(part) / length))) for part in (left, back, up)),  # type: ignore[arg-type]
        math.degrees(math.atan2(left, abs(up))),
        math.degrees(math.atan2(-back, abs(up))),
        {name: _clearance(region, entry_mm, target_mm, radius_mm) for name, region in avoid.items()},
    )


def _clearance(region: AvoidedRegion, entry_mm: Vector, target_mm: Vector, radius_mm: float) -> Clearance:
    entry, way = np.array(entry_mm), np.array(_away(target_mm, entry_mm))
    length = float(np.linalg.norm(way))
    if not region.inside.any():
        return Clearance(math.inf, 0.0, entry_mm, 0.0, True)
    count = max(2, math.ceil(length / _STEP_MM) + 1)
    depths = np.linspace(0.0, length, count)
    at = entry + depths[:, None] * (way / length)
    index = np.rint((at - region.affine[:3, 3]) @ np.linalg.inv(region.affine[:3, :3]).T).astype(int)
    within = ((index >= 0) & (index < np.array(region.inside.shape))).all(axis=1)
    hit = np.zeros(count, dtype=np.bool_)
    hit[within] = region.inside[tuple(index[within].T)]
    if hit.any():
        first = int(np.argmax(hit))
        share = float(hit.mean()) * length
        return Clearance(0.0, float(depths[first]), vector(at[first]), share)
    faces = _faces(region)
    along = np.clip((faces - entry) @ way / length, 0.0, length)
    off = np.linalg.norm(faces - entry - along[:, None] * (way / length), axis=1)
    nearest = int(np.argmin(off))
    depth = float(along[nearest])
    return Clearance(max(0.0, float(off[nearest]) - radius_mm), depth, vector(entry + depth * way / length), 0.0)


_known: "weakref.WeakKeyDictionary[AvoidedRegion, Spots]" = weakref.WeakKeyDictionary()


def _faces(region: AvoidedRegion) -> Spots:
    """Returns (N, 3) LPS mm of the middles of the faces between voxels within a region and those without."""
    if region not in _known:
        _known[region] = _found_faces(region)
    return _known[region]


def _found_faces(region: AvoidedRegion) -> Spots:
    found = []
    padded = np.pad(region.inside, 1)
    for axis in range(3):
        before = [slice(1, -1)] * 3
        before[axis] = slice(0, -1)
        after = list(before)
        after[axis] = slice(1, None)
        at = np.argwhere(padded[tuple(before)] != padded[tuple(after)]).astype(np.float64)
        at[:, axis] -= 0.5
        found.append(at)
    index = np.concatenate(found)
    return np.asarray(index @ region.affine[:3, :3].T + region.affine[:3, 3])


def trajectory_pictures(
    volume: Volume, entry_mm: Vector, target_mm: Vector, window: Window, spacing_mm: float = 2.0
) -> tuple[Recipe, ...]:
    """Returns the recipes: two planes that hold the trajectory, entry on top, at right angles to each other; and the
    probe's-eye view, planes across it from the entry to the target, seen from the entry."""
    way = unit_vector(_away(entry_mm, target_mm))
    length = math.dist(entry_mm, target_mm)
    middle = _between(entry_mm, target_mm)
    # The first is as near to a view from the front as a plane that holds the line can be.
    front = (0.0, -1.0, 0.0) if abs(way[1]) < 0.9 else (0.0, 0.0, 1.0)
    across = unit_vector([f - w * _dot(front, way) for f, w in zip(front, way, strict=True)])
    other = cross(way, across)
    pixel = round(1.5 * max(length, 40.0) / _SIDE_PX, 4)
    planes = [
        Reformat(
            window,
            View.facing(side, way),
            rows=_SIDE_PX,
            columns=_SIDE_PX,
            pixel_mm=pixel,
            centre_mm=middle,
            interpolation="cubic",
            name=f"In line with the trajectory, {number}",
        )
        for number, side in ((1, across), (2, other))
    ]
    try:
        view = View.facing(way, across)
    except GeometryError:
        view = View.facing(way, other)
    eye = Reformat(
        window,
        view,
        count=max(2, min(400, round(length / spacing_mm) + 1)),
        spacing_mm=round(length / max(1, min(399, round(length / spacing_mm))), 4),
        rows=256,
        columns=256,
        pixel_mm=round(80.0 / 256.0, 4),
        centre_mm=middle,
        interpolation="cubic",
        name="Probe's eye",
    )
    return (*planes, eye)


def _between(a: Vector, b: Vector) -> Vector:
    return vector([round(0.5 * (p + q), _ROUND) for p, q in zip(a, b, strict=True)])


def _away(a: Vector, b: Vector) -> Vector:
    return (a[0] - b[0], a[1] - b[1], a[2] - b[2])


def _dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _words(place: Vector) -> str:
    return ",".join(f"{value:g}" for value in place)
