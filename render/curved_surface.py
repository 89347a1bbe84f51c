"""Where the pixels of a curved picture are in the patient, and where a point of the patient is in the picture."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from render import curved
from render.curved import Points
from render.geometry import Vector, vector
from render.recipe import CurvedReformat

_STEP_MM = 1.0  # a line on the picture is followed through the patient in steps of this length at most
_STRAIGHT_MM = 0.01  # a line that leaves its chord by no more is straight
NEAR_MM = 0.5  # a point so near to a surface is on it
_SAMPLES = 4096  # of one line at most


@dataclass(frozen=True, slots=True, eq=False)
class CurvedSurface:
    """The surface that one curved picture shows; of a slab, its middle.

    starts, right : (rows, 3) float64, LPS mm: the middle of the leftmost pixel of each row, and the step of a pixel to
    the right; as many rows as the path is long for. columns : of the picture. pixel_mm : side of a pixel.
    """

    starts: Points
    right: Points
    columns: int
    pixel_mm: float

    def at(self, row: float, column: float) -> Vector | None:
        """Returns the point, LPS mm, that (row, column) shows, 0 the middle of the first pixel; None beside the picture
        and beyond the end of the path."""
        last = len(self.starts) - 1
        if not (-0.5 <= row <= last + 0.5 and -0.5 <= column <= self.columns - 0.5):
            return None
        return vector(self._between(min(max(row, 0.0), float(last)), column))

    def _between(self, row: float, column: float) -> Points:
        first = min(int(row), max(len(self.starts) - 2, 0))
        second, part = min(first + 1, len(self.starts) - 1), row - first
        above, below = (self.starts[n] + column * self.right[n] for n in (first, second))
        return np.asarray(above + part * (below - above))

    def pixel(self, place_mm: Vector) -> tuple[float, float, float]:
        """Returns (row, column) of the point of the surface that is nearest to a place, LPS mm, and how far that is in
        mm. Where the surface comes near itself, one of the two points is returned."""
        away = np.array(place_mm, dtype=np.float64) - self.starts
        columns = (away * self.right).sum(axis=1) / self.pixel_mm**2
        beside = away - np.clip(columns, -0.5, self.columns - 0.5)[:, None] * self.right
        row = float(int(np.argmin((beside * beside).sum(axis=1))))
        column = float(columns[int(row)])
        last = len(self.starts) - 1
        for _ in range(2):  # between the rows: along the surface to where the place is at right angles to it
            low, high = max(math.ceil(row) - 1, 0), min(math.floor(row) + 1, last)
            if high > low:
                below, above = self._between(float(low), column), self._between(float(high), column)
                along = (above - below) / (high - low)
                here = np.array(place_mm) - self._between(row, column)
                row += float(here @ along) / max(float(along @ along), 1e-18)
                row = min(max(row, 0.0), float(last))
            here = np.array(place_mm) - self._between(row, column)
            column += float(here @ self.right[round(row)]) / self.pixel_mm**2
        found = self._between(row, min(max(column, -0.5), self.columns - 0.5))
        return row, column, float(np.linalg.norm(np.array(place_mm) - found))

    def way(self, start: tuple[float, float], end: tuple[float, float]) -> tuple[Vector, ...] | None:
        """Returns the points, LPS mm, through which the straight line on the picture between two (row, column) goes in
        the patient, its ends included, each part straight to a hundredth of a millimetre; None where it leaves the
        picture or the path."""
        long = math.hypot(end[0] - start[0], end[1] - start[1]) * self.pixel_mm
        count = min(max(math.ceil(long / _STEP_MM), 1), _SAMPLES)
        found: list[Vector] = []
        for n in range(count + 1):
            part = n / count
            place = self.at(start[0] + part * (end[0] - start[0]), start[1] + part * (end[1] - start[1]))
            if place is None:
                return None
            found.append(place)
        return _without_straight(found)

    def way_between(self, start_mm: Vector, end_mm: Vector) -> tuple[Vector, ...] | None:
        """Returns the `way` of the line between two points of the surface, LPS mm; None where one is not on it."""
        if not (self.shows((start_mm,), NEAR_MM) and self.shows((end_mm,), NEAR_MM)):
            return None
        return self.way(self.pixel(start_mm)[:2], self.pixel(end_mm)[:2])

    def moved(self, points_mm: Sequence[Vector], from_mm: Vector, to_mm: Vector) -> list[Vector] | None:
        """Returns points of the surface moved as far on the picture as from one point to another; None where one is not
        on it, or leaves it."""
        if not all(self.shows((at,), NEAR_MM) for at in points_mm):
            return None
        (row, column, _), (to_row, to_column, _) = self.pixel(from_mm), self.pixel(to_mm)
        places = [self.pixel(at) for at in points_mm]
        moved = [self.at(r + to_row - row, c + to_column - column) for r, c, _ in places]
        found = [at for at in moved if at is not None]
        return found if len(found) == len(moved) else None

    def shows(self, points_mm: Sequence[Vector], near_mm: float) -> bool:
        """Whether a line through points lies on the surface: every point, and the middle of every part."""
        middles = [vector((p + q) / 2.0 for p, q in zip(a, b, strict=True)) for a, b in pairwise(points_mm)]
        for place in (*points_mm, *middles):
            _, column, beside = self.pixel(place)
            if beside > near_mm or not -0.5 <= column <= self.columns - 0.5:
                return False
        return bool(points_mm)


@functools.lru_cache(maxsize=32)
def surfaces(recipe: CurvedReformat) -> tuple[CurvedSurface, ...]:
    """Returns the surface of each picture of a recipe, in order. Raises GeometryError as `curved.rows`."""
    side, found = curved.pixel_mm(recipe), []
    for each in curved.rows(recipe):
        long = int(np.count_nonzero(~np.isnan(each.starts[:, 0])))
        found.append(CurvedSurface(each.starts[:long], each.right[:long], recipe.columns, side))
    return tuple(found)


def _without_straight(points: list[Vector]) -> tuple[Vector, ...]:
    """Returns the points of a line without those that its chords come near enough to. Source: Douglas and Peucker
    1973."""
    if len(points) < 3:
        return tuple(points)
    a, b = np.array(points[0]), np.array(points[-1])
    inner, chord = np.array(points[1:-1]) - a, b - a
    part = np.clip(inner @ chord / max(float(chord @ chord), 1e-18), 0.0, 1.0)
    beside = np.linalg.norm(inner - part[:, None] * chord, axis=1)
    number = int(np.argmax(beside))
    if float(beside[number]) <= _STRAIGHT_MM:
        return points[0], points[-1]
    first, second = _without_straight(points[: number + 2]), _without_straight(points[number + 1 :])
    return (*first[:-1], *second)
