"""Measurements in patient space: lengths, angles, and statistics of a volume's values within an outline.

All points are LPS mm. No measurement depends on pixels, so it holds in every picture of the patient.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import skimage

from render.draw import draw
from render.geometry import Plane, Vector, View, vector
from render.recipe import Reformat, Window
from render.volume import Volume

# Corners of the polygon for an ellipse: its area is then exact to a thousandth.
_CORNERS = 96


def distance_mm(a: Vector, b: Vector) -> float:
    """Returns the length of the straight line from a to b."""
    return math.dist(a, b)


def polyline_mm(points_mm: Sequence[Vector]) -> float:
    """Returns the length of the straight parts from each point to the next, together."""
    return sum(math.dist(a, b) for a, b in pairwise(points_mm))


def angle_deg(a: Vector, vertex: Vector, b: Vector) -> float:
    """Returns the angle at `vertex` between the lines to a and b, 0…180. Raises ValueError when one has no length."""
    return _between(_from(vertex, a), _from(vertex, b))


def cobb_deg(a: Vector, b: Vector, c: Vector, d: Vector) -> float:
    """Returns the angle between the lines ab and cd, 0…90, whatever their direction. Source: Cobb 1948, 'Outline for
    the study of scoliosis'. Raises ValueError when one has no length."""
    angle = _between(_from(a, b), _from(c, d))
    return min(angle, 180.0 - angle)


def _from(a: Vector, b: Vector) -> Vector:
    return (b[0] - a[0], b[1] - a[1], b[2] - a[2])


def _between(u: Vector, v: Vector) -> float:
    lengths = math.hypot(*u) * math.hypot(*v)
    if lengths < 1e-12:
        raise ValueError("An angle between lines of which one has no length.")
    # Not the arc cosine, which is inexact for small angles.
    across = (u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0])
    return math.degrees(math.atan2(math.hypot(*across), u[0] * v[0] + u[1] * v[1] + u[2] * v[2]))


@dataclass(frozen=True, slots=True)
class Statistics:
    """The area of an outline in mm², and statistics of the volume's values within it, in its unit. samples : count."""

    area_mm2: float
    mean: float
    deviation: float
    least: float
    greatest: float
    samples: int


def axes(corner: Vector, opposite: Vector, view: View) -> tuple[Vector, ...]:
    """Returns the ends of the longer, then of the shorter axis of the ellipse in the rectangle that two corners span
    along rows and columns of a picture seen from `view`."""
    offset = [b - a for a, b in zip(corner, opposite, strict=True)]
    centre = [a + b / 2.0 for a, b in zip(corner, offset, strict=True)]
    # Both corners were set on one picture, so a difference along the line of sight is rounding.
    deep = sum(o * v for o, v in zip(offset, view.towards_observer, strict=True)) / 2.0
    centre = [c - deep * v for c, v in zip(centre, view.towards_observer, strict=True)]
    halves = []
    for along in (view.right, view.up):
        length = abs(sum(o * a for o, a in zip(offset, along, strict=True))) / 2.0
        halves.append((length, along))
    halves.sort(key=lambda half: -half[0])
    return tuple(
        vector(c + sign * length * a for c, a in zip(centre, along, strict=True))
        for length, along in halves
        for sign in (-1.0, 1.0)
    )


def ellipse(ends: Sequence[Vector]) -> tuple[Vector, ...]:
    """Returns the outline of an ellipse from the ends of its axes."""
    a0, a1, b0, b1 = ends
    centre = [(p + q) / 2.0 for p, q in zip(a0, a1, strict=True)]
    u, v = ([(q - p) / 2.0 for p, q in zip(*pair, strict=True)] for pair in ((a0, a1), (b0, b1)))
    turns = (2.0 * math.pi * n / _CORNERS for n in range(_CORNERS))
    return tuple(
        vector(c + math.cos(t) * p + math.sin(t) * q for c, p, q in zip(centre, u, v, strict=True)) for t in turns
    )


def place_on(plane: Plane, at_mm: Vector) -> tuple[float, float]:
    """Returns (row, column) of the point on a plane that is nearest to `at_mm`."""
    offset = _from(plane.origin_mm, at_mm)
    row, column = (
        sum(o * s for o, s in zip(offset, step, strict=True)) / sum(s * s for s in step)
        for step in (plane.down_mm, plane.right_mm)
    )
    return row, column


def within(volume: Volume, outline: Sequence[Vector], view: View) -> Statistics:
    """Returns statistics within a flat outline, seen from `view`; the plane goes through its first corner.

    Values are sampled at the smallest voxel spacing, where the volume is: of an outline that reaches beyond it, what
    lies outside has no value, and counts in the area alone. Raises ValueError for an outline of fewer than three
    corners, one that holds no sample, and one outside the volume.
    """
    if len(outline) < 3:
        raise ValueError(f"An outline of {len(outline)} corners has no inside.")
    step = min(volume.spacing_mm)
    right, up = view.right, view.up
    across = [sum(p * r for p, r in zip(corner, right, strict=True)) for corner in outline]
    along = [-sum(p * u for p, u in zip(corner, up, strict=True)) for corner in outline]
    rows = min(max(2, math.ceil((max(along) - min(along)) / step) + 2), 8192)
    columns = min(max(2, math.ceil((max(across) - min(across)) / step) + 2), 8192)
    middle_r, middle_d = (max(across) + min(across)) / 2.0, (max(along) + min(along)) / 2.0
    first = outline[0]
    aside = (middle_r - across[0], middle_d - along[0])
    centre = vector(p + aside[0] * r - aside[1] * u for p, r, u in zip(first, right, up, strict=True))
    recipe = Reformat(Window(0.0, 1.0), view, rows=rows, columns=columns, pixel_mm=step, centre_mm=centre)
    picture, other = (draw(volume, replace(recipe, window=Window(at, 1.0))).pixels[0] for at in (0.0, 2.0))
    values = picture.astype(np.float64)
    # Outside the volume a picture has the lower end of its window as its value; there, and only there, the two differ.
    in_volume = picture == other
    corners = [
        ((d - middle_d) / step + (rows - 1) / 2.0, (a - middle_r) / step + (columns - 1) / 2.0)
        for a, d in zip(across, along, strict=True)
    ]
    within_it = skimage.draw.polygon2mask(values.shape, corners)
    if not within_it.any():
        raise ValueError("The outline is smaller than a voxel; draw it larger.")
    inside = values[within_it & in_volume]
    if inside.size == 0:
        raise ValueError("The outline lies outside the volume; there is nothing to measure.")
    return Statistics(
        area_mm2=_area(across, along),
        mean=float(inside.mean()),
        deviation=float(inside.std()),
        least=float(inside.min()),
        greatest=float(inside.max()),
        samples=int(inside.size),
    )


def _area(x: Sequence[float], y: Sequence[float]) -> float:
    """Returns the area of a polygon, by the shoelace formula."""
    return abs(sum(x[n - 1] * y[n] - x[n] * y[n - 1] for n in range(len(x)))) / 2.0
