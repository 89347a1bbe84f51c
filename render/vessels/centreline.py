"""The centreline of a vessel: a smooth curve through the middles of its sections.

A way within the lumen is found first (`render.vessels.lumen`). Then sections are cut across it, and the curve is laid
through their centroids and smoothed over about half the radius of the vessel,
or of the sac; that is done again until it stays.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy

from render.curved import Points, along
from render.geometry import Vector, vector
from render.vessels.lumen import Levels, VesselError, box_around, inside, joined, levels_at, places
from render.vessels.sections import Sections, cut
from render.volume import Volume

_ROUNDS, _MOST_ROUNDS = 4, 10
_AT_REST = 0.2  # of the radius: no centroid is farther from the curve
_COARSE_RAYS = 24
_APART_MM = (4.0, 12.0)  # points of a line that is changed by hand are so far apart at least, and at most
_LEAST_APART_MM = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Vessel:
    """A vessel from one point to another.

    along_mm : (N,) distances along the centreline from its beginning. sections : at these places, across it.
    at_points_mm : for each point that was given, how far along it is. levels : what the series says of lumen and
    surroundings.
    """

    along_mm: Points
    sections: Sections
    at_points_mm: tuple[float, ...]
    levels: Levels

    @property
    def centreline_mm(self) -> Points:
        """(N, 3) LPS mm."""
        return self.sections.middles

    @property
    def length_mm(self) -> float:
        """Of the centreline."""
        return float(self.along_mm[-1])

    @property
    def tortuosity(self) -> float:
        """Length over the straight distance of the ends: 1 for a straight vessel."""
        straight = float(np.linalg.norm(self.centreline_mm[-1] - self.centreline_mm[0]))
        return self.length_mm / max(straight, 1e-6)

    def places_of(self, points_mm: Sequence[Vector]) -> tuple[float, ...]:
        """Returns how far along the centreline the place is that is nearest to each point."""
        curve = self.centreline_mm
        return tuple(
            float(self.along_mm[int(np.argmin(((curve - np.array(point)) ** 2).sum(axis=1)))]) for point in points_mm
        )


def follow(volume: Volume, through_mm: Sequence[Vector], step_mm: float | None = None) -> Vessel:
    """Returns the vessel through points within its lumen, in the order given.

    through_mm : two at least, LPS mm; they need not be in the middle. step_mm : distance of the sections; half the
    least spacing of the voxels by default, and half a millimetre at least.

    Raises VesselError when a point lies outside the volume or in no vessel, or when no lumen joins the points.
    """
    if len(through_mm) < 2:
        raise VesselError("A vessel needs two points at least: where it begins and where it ends.")
    at = inside(volume, through_mm)
    box = box_around(volume, at)
    levels = levels_at(volume, at)
    way = places(volume, joined(volume, box, at, levels))
    if float(np.linalg.norm(way[-1] - way[0])) < 2.0 * min(volume.spacing_mm) and len(way) < 4:
        raise VesselError("The points are at the same place; a vessel needs a beginning and an end.")
    step = max(0.5, 0.5 * min(volume.spacing_mm)) if step_mm is None else step_mm
    coarse = max(step, min(volume.spacing_mm))
    curve = _smooth(_even(way, coarse), 2.0 * min(volume.spacing_mm) / coarse)
    curve = _even(curve, coarse)
    reach = np.full(len(curve), _reach(volume, curve, levels))
    for turn in range(1, _MOST_ROUNDS + 1):
        found = cut(volume, curve, _tangents(curve), levels, reach, _COARSE_RAYS)
        radius = scipy.ndimage.median_filter(np.median(found.radii, axis=1), size=5, mode="nearest")
        middles = np.where(found.closed[:, None], found.centroids, curve)
        # A step of no more than a radius: beyond that it is another vessel.
        moved = middles - curve
        far = np.linalg.norm(moved, axis=1, keepdims=True)
        # In a steep or lopsided sac whole steps swing to and fro; half steps come to rest.
        share = 1.0 if turn <= _ROUNDS else 0.5
        middles = curve + share * moved * np.minimum(1.0, radius[:, None] / np.maximum(far, 1e-9))
        wide = np.maximum(radius, float(np.median(radius)))  # a narrow stretch of it bends no more than the vessel
        curve = _even(_smooth(*_by_width(middles, 0.5 * wide, coarse)), coarse)
        reach = np.interp(np.linspace(0, 1, len(curve)), np.linspace(0, 1, len(radius)), 1.8 * radius + 4.0)
        if turn >= _ROUNDS and bool((far[:, 0] <= _AT_REST * radius).all()):
            break
    fine = _even(curve, step)
    reach = np.interp(np.linspace(0, 1, len(fine)), np.linspace(0, 1, len(curve)), reach)
    return _cut_along(volume, fine, levels, reach, through_mm)


def follow_by_hand(volume: Volume, line_mm: Sequence[Vector], step_mm: float | None = None) -> Vessel:
    """Returns the vessel along a line that a person laid: the smooth curve through its points, as `render.curved` has
    it. It is not centred: sections are cut where the line is, also where the lumen is closed.

    line_mm, step_mm : as in `follow`. Raises VesselError for fewer than two points, points at one place, and one
    outside the volume.
    """
    if len(line_mm) < 2:
        raise VesselError("A vessel needs two points at least: where it begins and where it ends.")
    if any(math.dist(a, b) < _LEAST_APART_MM for a, b in pairwise(line_mm)):
        raise VesselError("Two points of the line that follow each other are at the same place.")
    levels = levels_at(volume, inside(volume, line_mm), all_within=False)
    step = max(0.5, 0.5 * min(volume.spacing_mm)) if step_mm is None else step_mm
    curve = along(tuple(line_mm))
    rough, fine = (_even(curve, each) for each in (max(step, min(volume.spacing_mm)), step))
    widest = np.full(len(rough), _reach(volume, rough, levels))
    found = cut(volume, rough, _tangents(rough), levels, widest, _COARSE_RAYS)
    radius = scipy.ndimage.median_filter(np.median(found.radii, axis=1), size=5, mode="nearest")
    reach = np.interp(np.linspace(0, 1, len(fine)), np.linspace(0, 1, len(rough)), 1.8 * radius + 4.0)
    return _cut_along(volume, fine, levels, reach, line_mm)


def points_of_line(vessel: Vessel) -> tuple[Vector, ...]:
    """Returns points of a centreline to be dragged by hand, LPS mm: about a diameter apart, so that a drag of one bends
    the line over a few diameters; the smooth curve through them is the centreline."""
    apart = min(max(float(np.median(vessel.sections.diameters_mm[2])), _APART_MM[0]), _APART_MM[1])
    count = max(round(vessel.length_mm / apart), 1) + 1
    wanted = np.linspace(0.0, vessel.length_mm, count)
    places_mm = np.stack([np.interp(wanted, vessel.along_mm, vessel.centreline_mm[:, n]) for n in range(3)], axis=1)
    return tuple(vector(round(float(v), 3) for v in place) for place in places_mm)


def _cut_along(volume: Volume, fine: Points, levels: Levels, reach_mm: Points, given_mm: Sequence[Vector]) -> Vessel:
    sections = cut(volume, fine, _tangents(fine), levels, reach_mm)
    distances = np.concatenate([np.zeros(1), np.cumsum(np.linalg.norm(np.diff(fine, axis=0), axis=1))])
    given = np.array(given_mm, dtype=np.float64)
    nearest = tuple(float(distances[int(np.argmin(((fine - point) ** 2).sum(axis=1)))]) for point in given)
    return Vessel(distances, sections, nearest, levels)


def _reach(volume: Volume, curve: Points, levels: Levels) -> float:
    """Returns how far the edge may be at most, before anything is known of the vessel: twice what a first look says."""
    some = slice(None, None, max(1, len(curve) // 20))
    few, tangents = curve[some], _tangents(curve)[some]
    reach = 12.0
    while reach < 60.0:
        found = cut(volume, few, tangents, levels, np.full(len(few), reach), _COARSE_RAYS)
        radius = float(np.percentile(np.median(found.radii, axis=1), 90))
        if found.found.mean() > 0.7 and radius < 0.6 * reach:
            return max(1.8 * radius + 4.0, 6.0)
        reach *= 1.6
    return reach


def _even(curve: Points, step: float) -> Points:
    """Returns the curve with points at even distances of about `step` mm, its ends kept."""
    lengths = np.concatenate([np.zeros(1), np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
    count = max(round(float(lengths[-1]) / step), 2) + 1
    wanted = np.linspace(0.0, float(lengths[-1]), count)
    return np.stack([np.interp(wanted, lengths, curve[:, axis]) for axis in range(3)], axis=1)


def _by_width(curve: Points, width_mm: Points, step: float) -> tuple[Points, float]:
    """Returns the curve with points at distances that grow with `width_mm`, (N,), and how many of them are a width.

    Smoothed over so many, a wide sac is smoothed over more millimetres than its necks. Over as few as its necks, the
    curve would never come to rest in it: a section that is tilted in a cone has its centroid aside, the curve through
    it turns, and tilts the next section more.
    """
    lengths = np.concatenate([np.zeros(1), np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
    width = np.maximum(scipy.ndimage.gaussian_filter1d(width_mm, 2.0, mode="nearest"), step)
    widths = np.concatenate([np.zeros(1), np.cumsum(np.diff(lengths) / (0.5 * (width[1:] + width[:-1])))])
    of_one = max(4.0, float(width.max()) / step)
    count = max(round(float(widths[-1]) * of_one), 4) + 1
    wanted = np.interp(np.linspace(0.0, float(widths[-1]), count), widths, lengths)
    return np.stack([np.interp(wanted, lengths, curve[:, axis]) for axis in range(3)], axis=1), of_one


def _smooth(curve: Points, sigma: float) -> Points:
    """Returns the curve smoothed over `sigma` points; mirrored through its ends, so that they stay."""
    n = min(len(curve) - 1, int(4 * sigma) + 1)
    before, after = 2.0 * curve[0] - curve[n:0:-1], 2.0 * curve[-1] - curve[-2 : -n - 2 : -1]
    padded = np.concatenate([before, curve, after])
    once = scipy.ndimage.gaussian_filter1d(padded, max(sigma, 0.5), axis=0, mode="nearest")
    # Smoothing pulls a bend inwards. What it took is smoothed too and given back: the bend stays, the noise does not.
    again = once + scipy.ndimage.gaussian_filter1d(padded - once, max(sigma, 0.5), axis=0, mode="nearest")
    return np.asarray(again[n : n + len(curve)])


def _tangents(curve: Points) -> Points:
    ways = np.gradient(curve, axis=0)
    return np.asarray(ways / np.maximum(np.linalg.norm(ways, axis=1, keepdims=True), 1e-12))
