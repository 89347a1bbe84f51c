"""Flights through a hollow organ: a way along its middle, and the eyes of a recipe that flies along it.

The way stays in the middle of the lumen as the distance to its wall tells it. The observer looks a little ahead, and
the picture turns about the line of sight as little as possible. Sources: Wang et al. 2008 (double reflection); Bitter
et al. 2001, 'Penalized-distance volumetric skeleton algorithm'; Hong et al. 1997, 'Virtual voyage'.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import scipy
from numpy.typing import NDArray

from render.curved import Points, frames_along
from render.errors import RenderError
from render.geometry import Vector, View
from render.presets import load_preset
from render.recipe import ControlPoint, FlightEye, Shading, TransferFunction, VolumeRendering
from render.segment import find
from render.vessels.centreline import follow
from render.vessels.lumen import Levels
from render.volume import Volume
from render.ways import Ways

Lumen = Literal["airways", "air", "vessel"]
LUMENS: tuple[Lumen, ...] = ("airways", "air", "vessel")
_AIR_HU = -800.0  # gas in bowel and trachea is below, also beside a wall in thick slices
# Above, a warning. The second: of CT colonography. Source: ACR-SAR-SCBT-MR practice parameter, 2019.
_FINE_MM, _POLYPS_MM = 2.0, 3.0
_END_MM = 5.0
_LEAST_MM = 10.0  # of a way
_NARROWEST_MM, _NARROWEST = 1.5, 2.0  # a bronchus of a smaller radius, in mm and in voxels, is not flown into by itself
_AHEAD = 1.5  # radii of the lumen: so far ahead the observer looks
_MOST_EYES = 2000
_ROUND = 3


class FlightError(RenderError):
    """No way leads through there; the message says why, where, and what to do."""


@dataclass(frozen=True, slots=True)
class LumenWay:
    """A way through a lumen. path_mm : (N, 3) LPS mm at even distances. radii_mm : (N,) to the nearest wall.
    levels : of the dye, in a vessel. slice_mm : the longest side of a voxel."""

    lumen: Lumen
    path_mm: Points
    radii_mm: Points
    levels: Levels | None
    slice_mm: float

    @property
    def length_mm(self) -> float:
        """Along the way."""
        return float(np.linalg.norm(np.diff(self.path_mm, axis=0), axis=1).sum())

    @property
    def narrowest_mm(self) -> float:
        """The least width of the lumen, but for the ends of the way, where it is cut off. In air it is that of pure
        air, which blur makes narrower than the lumen by about a voxel on each side."""
        end = min(_END_MM, 0.1 * self.length_mm)
        at = np.linspace(0.0, self.length_mm, len(self.path_mm))
        return 2.0 * float(self.radii_mm[(at >= end) & (at <= self.length_mm - end)].min())

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the observer has to know of the quality."""
        said = []
        if self.slice_mm > _FINE_MM:
            said.append(f"Voxels are {self.slice_mm:.1f} mm long: what is smaller than about twice that is not seen.")
        if self.lumen == "air" and self.slice_mm > _POLYPS_MM:
            said.append(
                f"Finding polyps takes slices of {_POLYPS_MM:g} mm at most; these folds and walls are not fit for it."
            )
        if self.narrowest_mm < 3.0 * self.slice_mm:
            said.append(f"The lumen is {self.narrowest_mm:.1f} mm wide at its narrowest: a few voxels.")
        return tuple(said)


def lumen_way(volume: Volume, lumen: Lumen, through_mm: Sequence[Vector], step_mm: float = 1.0) -> LumenWay:
    """Returns the way through points in a lumen, in order.

    lumen : `airways` of a CT, where no points at all mean from the trachea's top to the farthest bronchus; `air`, what
    air fills, such as bowel; `vessel`, what dye fills. through_mm : LPS mm. step_mm : between the places of the way.

    Raises FlightError where a point lies in no lumen, or none joins them; as `follow` in a vessel.
    """
    if not 0.1 <= step_mm <= 20.0:
        raise FlightError(f"Steps of {step_mm:g} mm; 0.1 to 20 are possible.")
    longest = max(volume.spacing_mm)
    if lumen == "vessel":
        if len(through_mm) < 2:
            raise FlightError("A flight through a vessel needs two points at least: where it begins and where it ends.")
        vessel = follow(volume, through_mm)
        places = _even(vessel.centreline_mm, step_mm)
        radii = np.interp(
            np.linspace(0.0, 1.0, len(places)),
            np.linspace(0.0, 1.0, len(vessel.along_mm)),
            0.5 * vessel.sections.diameters_mm[0],
        )
        return LumenWay(lumen, places, radii, vessel.levels, longest)
    if volume.unit != "HU":
        raise FlightError(f"Air is known by its density in HU; this volume is in {volume.unit}. Fly through a vessel.")
    if lumen == "airways":
        found = find(volume, "airways")
        if found.declined:
            raise FlightError(found.declined)
        inside = found.region == 1
    else:
        if len(through_mm) < 2:
            raise FlightError("A flight through air needs two points at least: where it begins and where it ends.")
        inside = volume.voxels < _AIR_HU
    spots = [_spot(volume, inside, place) for place in through_mm]
    if len(spots) == 1:
        raise FlightError("One point is no way: give where it begins and where it ends, or none in airways.")
    inside, corner = _cropped(inside, spots)
    depth = scipy.ndimage.distance_transform_edt(inside, sampling=volume.spacing_mm)
    ends = [tuple(int(a - b) for a, b in zip(spot, corner, strict=True)) for spot in spots]
    cells = _traced(inside, depth, ends, volume)
    index = np.array(cells, dtype=np.float64) + corner
    way = index @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    path = _even(_smooth(way, longest), step_mm)
    at = (path - volume.affine[:3, 3]) @ np.linalg.inv(volume.affine[:3, :3]).T - corner
    radii = scipy.ndimage.map_coordinates(depth, at.T, order=1, mode="nearest")
    if not spots:
        # The last bronchi are no wider than a voxel: their walls are not seen, and there the flight ends.
        wide = np.flatnonzero(radii >= max(_NARROWEST_MM, _NARROWEST * min(volume.spacing_mm)))
        path = path[: int(wide[-1]) + 1] if len(wide) else path[:1]
    if float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum()) < _LEAST_MM:
        raise FlightError(f"The way is shorter than {_LEAST_MM:g} mm; give points farther apart.")
    at = (path - volume.affine[:3, 3]) @ np.linalg.inv(volume.affine[:3, :3]).T - corner
    radii = scipy.ndimage.map_coordinates(depth, at.T, order=1, mode="nearest")
    if bool((radii <= 0.0).any()):
        # Smoothing has cut a corner: there the cells themselves are the way.
        path = _even(_smooth(way, 0.4 * longest), step_mm)
        at = (path - volume.affine[:3, 3]) @ np.linalg.inv(volume.affine[:3, :3]).T - corner
        radii = scipy.ndimage.map_coordinates(depth, at.T, order=1, mode="nearest")
    return LumenWay(lumen, path, np.maximum(radii, 0.0), None, longest)


def flight(
    way: LumenWay, volume: Volume, field_of_view_deg: float = 90.0, size: int = 384, name: str = ""
) -> VolumeRendering:
    """Returns the recipe of a flight along a way, one picture for each of its places but the last ones.

    Raises FlightError for more than 2000 places.
    """
    count = len(way.path_mm)
    if count > _MOST_EYES:
        raise FlightError(f"{count} pictures; {_MOST_EYES} at most are possible. Take longer steps.")
    step = way.length_mm / max(count - 1, 1)
    ahead = np.maximum(
        2, np.rint(_AHEAD * scipy.ndimage.gaussian_filter1d(way.radii_mm, 5.0, mode="nearest") / step)
    ).astype(int)
    targets = np.minimum(np.arange(count) + ahead, count - 1)
    last = max(2, int(np.argmax(targets == count - 1)))  # from there on nothing lies ahead
    looks = way.path_mm[targets[:last]] - way.path_mm[:last]
    looks = scipy.ndimage.gaussian_filter1d(looks, 2.0, axis=0, mode="nearest")
    looks /= np.maximum(np.linalg.norm(looks, axis=1, keepdims=True), 1e-9)
    # Seen as a bronchoscopist or colonoscopist begins: what is in front of the patient is on top, else the head.
    top = np.array([0.0, -1.0, 0.0]) if abs(looks[0][1]) < 0.9 else np.array([0.0, 0.0, 1.0])
    right = frames_along(_even_places(looks, step), looks, top)
    eyes = []
    for place, look, side in zip(way.path_mm[:last], looks, right, strict=True):
        up = np.cross(side, look)
        view = View.facing([-value for value in look], up)
        turned = View(round(view.azimuth_deg, 2), round(view.elevation_deg, 2), round(view.roll_deg, 2))
        eyes.append(FlightEye(_rounded(place), turned))
    return VolumeRendering(
        wall_of(volume, way.levels),
        rows=size,
        columns=size,
        step_voxels=0.7,
        projection="perspective",
        field_of_view_deg=field_of_view_deg,
        flight=tuple(eyes),
        name=name or "Fly-through",
    )


def _even_places(looks: Points, step: float) -> Points:
    """Returns places along the looks, for frames that turn with the line of sight and not with the way."""
    return np.asarray(np.cumsum(looks * step, axis=0))


def wall_of(volume: Volume, levels: Levels | None) -> TransferFunction:
    """Returns a wall that is opaque, and a lumen that is clear."""
    if levels is None:
        return load_preset("ct_colon")
    low, high = levels.background + 0.35 * levels.contrast, levels.background + 0.65 * levels.contrast
    bright = levels.too_bright
    points = (
        ControlPoint(round(low, 1), 0.80, 0.38, 0.30, 0.95),
        ControlPoint(round(0.5 * (low + high), 1), 0.86, 0.50, 0.40, 0.6),
        ControlPoint(round(high, 1), 0.9, 0.6, 0.5, 0.0),
        ControlPoint(round(bright, 1), 0.95, 0.92, 0.85, 0.0),
        ControlPoint(round(bright + 0.2 * levels.contrast, 1), 0.95, 0.92, 0.85, 0.95),  # calcium at the wall
    )
    return TransferFunction("wall of a vessel from within", volume.unit, points, Shading(0.16, 0.78, 0.18, 16))


def _spot(volume: Volume, inside: NDArray[np.bool_], place: Vector) -> tuple[int, int, int]:
    """Returns the voxel of a lumen at a point, or the nearest within three millimetres."""
    words = ",".join(f"{value:g}" for value in place)
    index = np.linalg.inv(volume.affine[:3, :3]) @ (np.array(place) - volume.affine[:3, 3])
    middle = np.rint(index).astype(int)
    if not ((middle >= 0) & (middle < np.array(volume.shape))).all():
        raise FlightError(f"The point {words} is outside the volume. Choose one within it.")
    reach = np.ceil(3.0 / np.array(volume.spacing_mm)).astype(int)
    low = np.maximum(middle - reach, 0)
    near = inside[tuple(slice(int(a), int(b)) for a, b in zip(low, middle + reach + 1, strict=True))]
    spots = np.argwhere(near)
    if not len(spots):
        raise FlightError(f"The point {words} is in no lumen. Choose one within it.")
    away = (((spots + low - index) * np.array(volume.spacing_mm)) ** 2).sum(axis=1)
    k, j, i = (int(value) for value in spots[int(np.argmin(away))] + low)
    return k, j, i


def _cropped(
    inside: NDArray[np.bool_], spots: Sequence[tuple[int, int, int]]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Returns the piece of the lumen that holds the points, in its box with a voxel of margin, and that box's corner.

    Raises FlightError where the points lie in several pieces.
    """
    labels, _ = scipy.ndimage.label(inside, structure=np.ones((3, 3, 3)))
    if spots:
        names = [int(labels[spot]) for spot in spots]
        if len(set(names)) > 1:
            raise FlightError(
                "No lumen joins the points: it is collapsed, or fluid fills it, between them. Give points on one side."
            )
        chosen = names[0]
    else:
        chosen = int(np.argmax(np.bincount(labels.ravel())[1:])) + 1
    box = scipy.ndimage.find_objects(labels)[chosen - 1]
    corner = np.array([part.start - 1 for part in box], dtype=np.int64)
    return np.pad(labels[box] == chosen, 1), corner


def _traced(
    inside: NDArray[np.bool_], depth: Points, ends: list[tuple[int, ...]], volume: Volume
) -> list[tuple[int, ...]]:
    spacing = tuple(float(value) for value in volume.spacing_mm)
    cost = np.where(inside, 1.0 / (0.3 * min(spacing) + depth) ** 2, -1.0)
    if not ends:
        # From the lumen's end nearest the head to where the way within it is longest.
        heights = np.argwhere(inside) @ volume.affine[2, :3]
        rim = np.argwhere(inside)[heights > heights.max() - 2.0 * max(spacing)]
        start = tuple(int(v) for v in rim[int(np.argmax(depth[tuple(rim.T)]))])
        lengths = Ways(np.where(inside, 1.0, -1.0), spacing).costs_from(start)
        lengths = np.where(inside & np.isfinite(lengths), lengths, -1.0)
        ends = [start, tuple(int(v) for v in np.unravel_index(int(np.argmax(lengths)), inside.shape))]
    found: list[tuple[int, ...]] = []
    search = Ways(cost, spacing)
    for start, end in pairwise(ends):
        piece = search.between(start, end)
        found += piece[1:] if found else piece
    return found


def _even(curve: Points, step: float) -> Points:
    lengths = np.concatenate([np.zeros(1), np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
    wanted = np.linspace(0.0, float(lengths[-1]), max(math.ceil(float(lengths[-1]) / step), 2) + 1)
    return np.stack([np.interp(wanted, lengths, curve[:, axis]) for axis in range(3)], axis=1)


def _smooth(way: Points, longest_mm: float) -> Points:
    """Returns a way without the steps of its voxels."""
    fine = _even(way, 0.5)
    return np.asarray(scipy.ndimage.gaussian_filter1d(fine, 3.0 * longest_mm / 0.5, axis=0, mode="nearest"))


def _rounded(place: Points) -> Vector:
    x, y, z = (round(float(value), _ROUND) for value in place)
    return (x, y, z)
