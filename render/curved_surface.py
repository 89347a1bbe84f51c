"""Where the pixels of a curved picture are in the patient, and where a point of the patient is in the picture."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

from render import curved
from render.curved import Points
from render.geometry import Vector, View, vector
from render.recipe import CurvedReformat

_STEP_MM = 1.0  # a line on the picture is followed through the patient in steps of this length at most
_STRAIGHT_MM = 0.01  # a line that leaves its chord by no more is straight
NEAR_MM = 0.5  # a point so near to a surface is on it
_SAME_MM = 2.0  # places of a picture that are further from each other are two
_SAMPLES = 4096  # of one line at most


@dataclass(frozen=True, slots=True)
class CurvedShape:
    """What a curved picture shows of the patient, whatever its size. path_mm, form, view, angle_deg : as in
    `CurvedReformat`."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)
    path_mm: tuple[Vector, ...]
    form: Literal["straightened", "stretched"] = "straightened"
    view: View = View()
    angle_deg: float = 0.0


def shape_of(recipe: CurvedReformat) -> CurvedShape:
    """Returns what the first picture of a recipe shows."""
    return CurvedShape(recipe.path_mm, recipe.form, recipe.view, recipe.angle_deg)


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
    # What was found already: a mark is painted more often than it changes.
    _known: dict[Vector, tuple[float, float, float]] = field(default_factory=dict, repr=False)

    def at(self, row: float, column: float) -> Vector | None:
        """Returns the point, LPS mm, that (row, column) shows, 0 the middle of the first pixel; None beside the picture
        and beyond the end of the path."""
        found = self._at(np.array([row]), np.array([column]))
        return None if found is None else vector(found[0])

    def _at(self, rows: Points, columns: Points) -> Points | None:
        """Returns (N, 3) LPS mm of (N,) rows and columns; None where one is beside the picture or the path."""
        last = len(self.starts) - 1
        inside = (rows >= -0.5) & (rows <= last + 0.5) & (columns >= -0.5) & (columns <= self.columns - 0.5)
        return self._between(np.clip(rows, 0.0, last), columns) if inside.all() else None

    def _between(self, rows: Points, columns: Points) -> Points:
        """Returns (N, 3) LPS mm at (N,) rows and columns, straight from each row to the next."""
        first = np.minimum(rows.astype(np.intp), max(len(self.starts) - 2, 0))
        second, part = np.minimum(first + 1, len(self.starts) - 1), (rows - first)[:, None]
        above, below = (self.starts[n] + columns[:, None] * self.right[n] for n in (first, second))
        return np.asarray(above + part * (below - above))

    def pixel(self, place_mm: Vector) -> tuple[float, float, float]:
        """Returns (row, column) of the point of the surface that is nearest to a place, LPS mm, and how far that is in
        mm. Where the surface comes near itself, one of the two points is returned."""
        if place_mm not in self._known:
            self._find([place_mm])
        return self._known[place_mm]

    def _find(self, places_mm: Sequence[Vector]) -> None:
        """Finds the pixels of places, all at once."""
        places, square, last = np.array(places_mm, dtype=np.float64), self.pixel_mm**2, len(self.starts) - 1
        # As products of matrices: of a hundred places and a thousand rows no differences are kept.
        columns = (places @ self.right.T - (self.starts * self.right).sum(axis=1)) / square
        away = (places**2).sum(axis=1)[:, None] - 2.0 * places @ self.starts.T + (self.starts**2).sum(axis=1)
        within = np.clip(columns, -0.5, self.columns - 0.5)
        row = np.argmin(away + (within**2 - 2.0 * within * columns) * square, axis=1).astype(np.float64)
        column = columns[np.arange(len(places)), row.astype(np.intp)]
        for _ in range(2):  # between the rows: along the surface to where the place is at right angles to it
            low, high = np.maximum(np.ceil(row) - 1, 0), np.minimum(np.floor(row) + 1, last)
            along = self._between(high, column) - self._between(low, column)
            along /= np.maximum(high - low, 1.0)[:, None]
            here = places - self._between(row, column)
            row = np.clip(row + (here * along).sum(axis=1) / np.maximum((along**2).sum(axis=1), 1e-18), 0.0, last)
            here = places - self._between(row, column)
            column += (here * self.right[np.rint(row).astype(np.intp)]).sum(axis=1) / square
        found = self._between(row, np.clip(column, -0.5, self.columns - 0.5))
        beside = np.linalg.norm(places - found, axis=1)
        for place, *pixel in zip(places_mm, row.tolist(), column.tolist(), beside.tolist(), strict=True):
            self._known[place] = (pixel[0], pixel[1], pixel[2])

    def stretch(self, rows: NDArray[np.intp], columns: Points) -> tuple[Points, NDArray[np.bool_]]:
        """Returns (N,) mm² of the patient in a pixel between a row and the next, and whether the surface goes the way
        of its path there. Where not, beyond the middle of a bend, it has folded over and shows the patient mirrored."""
        first = np.minimum(rows, max(len(self.starts) - 2, 0))
        second = np.minimum(first + 1, len(self.starts) - 1)
        down, wider = self.starts[second] - self.starts[first], self.right[second] - self.right[first]
        here, path = down + wider * columns[:, None], down + wider * (self.columns - 1) / 2.0
        right = (self.right[first] + self.right[second]) / 2.0
        return np.linalg.norm(np.cross(here, right), axis=1), np.einsum("ij,ij->i", here, path) > 0.0

    def is_folded(self, row: float, column: float) -> bool:
        """Whether the surface has folded over at (row, column), or shows the same place elsewhere too."""
        place = self.at(row, column)
        if place is None:
            return False
        _, onward = self.stretch(np.array([max(int(row), 0)]), np.array([column]))
        elsewhere = math.dist((row, column), self.pixel(place)[:2]) * self.pixel_mm
        return not onward[0] or elsewhere > _SAME_MM

    def way(self, start: tuple[float, float], end: tuple[float, float]) -> tuple[Vector, ...] | None:
        """Returns the points, LPS mm, through which the straight line on the picture between two (row, column) goes in
        the patient, its ends included, each part straight to a hundredth of a millimetre; None where it leaves the
        picture or the path."""
        long = math.hypot(end[0] - start[0], end[1] - start[1]) * self.pixel_mm
        count = min(max(math.ceil(long / _STEP_MM), 1), _SAMPLES)
        rows, columns = (np.linspace(a, b, count + 1) for a, b in zip(start, end, strict=True))
        found = self._at(rows, columns)
        return None if found is None else _without_straight([vector(place) for place in found])

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
        middles = (vector((p + q) / 2.0 for p, q in zip(a, b, strict=True)) for a, b in pairwise(points_mm))
        places = [*points_mm, *middles]
        if unknown := [place for place in places if place not in self._known]:
            self._find(unknown)
        found = (self._known[place] for place in places)
        lies = all(beside <= near_mm and -0.5 <= column <= self.columns - 0.5 for _, column, beside in found)
        return bool(places) and lies


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
