"""Areas on curved pictures: of the surface in the patient that an outline on the picture bounds, and its values.

A curved picture shows a bent surface laid flat; beside its path a square millimetre there is more or less than one of
the patient. The area is summed up over the surface itself, the values are weighted by it.
"""

import functools
import math
from dataclasses import replace
from itertools import pairwise
from typing import Literal

import numpy as np
import skimage

from render import curved
from render.curved import Points
from render.curved_surface import NEAR_MM, CurvedShape, CurvedSurface, surfaces
from render.draw import draw
from render.geometry import Vector
from render.measure import Statistics
from render.recipe import CurvedReformat, Window
from render.volume import Volume

OutlineKind = Literal["ellipse", "polygon"]
_STEP_MM = 0.25  # rows of a surface that is summed up
_LINES = 4  # between two of them
_CORNERS = 96  # of an ellipse: its area is then exact to a thousandth
_WIDE_MM = 1000.0  # how far a surface goes at least to both sides of its path
_MOST_ROWS = 8192
# Gauss and Legendre: exact for what a surface's rows do between two edges of an outline.
_GAUSS = np.polynomial.legendre.leggauss(8)


def _recipe(shape: CurvedShape, step_mm: float, half_columns: int) -> CurvedReformat:
    """Returns the recipe of a shape in pixels of a size, its middle column the path."""
    blank = CurvedReformat(Window(0.0, 1.0), shape.path_mm, shape.form, shape.view, shape.angle_deg, rows=2)
    long_mm = curved.pixel_mm(blank)  # from the first row to the second
    side = max(step_mm, long_mm / (_MOST_ROWS - 2))
    rows = math.ceil(long_mm / side) + 1
    return replace(blank, rows=rows, columns=min(2 * half_columns + 1, _MOST_ROWS), pixel_mm=round(side, 9))


@functools.lru_cache(maxsize=16)
def _surface(shape: CurvedShape) -> CurvedSurface:
    """Returns the surface that is summed up, the same wherever a measure was drawn. Raises GeometryError as
    `curved.rows`."""
    return surfaces(_recipe(shape, _STEP_MM, round(_WIDE_MM / _STEP_MM)))[0]


def _pixels(surface: CurvedSurface, kind: OutlineKind, corners_mm: tuple[Vector, ...]) -> Points:
    """Returns (N, 2) row and column of the corners of an outline. Raises ValueError where it is not on the surface."""
    if not all(surface.shows((at,), NEAR_MM) for at in corners_mm):
        raise ValueError("The outline is not on the curved surface that it was drawn on.")
    places = np.array([surface.pixel(at)[:2] for at in corners_mm])
    if kind == "polygon":
        return places
    middle, half = (places[0] + places[1]) / 2.0, np.abs(places[1] - places[0]) / 2.0
    turns = 2.0 * np.pi * np.arange(_CORNERS) / _CORNERS
    return np.asarray(middle + np.stack([np.sin(turns), np.cos(turns)], axis=1) * half)


@functools.lru_cache(maxsize=256)  # it is painted more often than it changes
def outline_on(shape: CurvedShape, kind: OutlineKind, corners_mm: tuple[Vector, ...]) -> tuple[Vector, ...]:
    """Returns the outline as it goes through the patient, LPS mm, straight from each place to the next, the first not
    repeated; none where it is not on the surface.

    corners_mm : on the surface: of a polygon, or two opposite ones of the rectangle about an ellipse, whose sides run
    along the picture.
    """
    surface = _surface(shape)
    try:
        corners = _pixels(surface, kind, corners_mm).tolist()
    except ValueError:
        return ()
    found: list[Vector] = []
    for a, b in pairwise([*corners, corners[0]]):
        way = surface.way((a[0], a[1]), (b[0], b[1]))
        if way is None:
            return ()
        found += way[:-1]
    return tuple(found)


def area_within(volume: Volume, shape: CurvedShape, kind: OutlineKind, corners_mm: tuple[Vector, ...]) -> Statistics:
    """Returns the area of the surface within an outline, and statistics of the values there, each weighted by the area
    that it stands for.

    corners_mm : as in `outline_on`. Values are sampled at the smallest voxel spacing, where the volume is. Raises
    ValueError for an outline that is not on the surface, holds no sample, lies outside the volume, or reaches to where
    the picture folds over itself: beyond the centre of its path's bend it shows the patient mirrored, and again.
    """
    surface = _surface(shape)
    outline = _pixels(surface, kind, corners_mm)
    area = _area_mm2(surface, outline)
    step = min(volume.spacing_mm)
    middle = (surface.columns - 1) / 2.0
    reach = float(np.abs(outline[:, 1] - middle).max()) * surface.pixel_mm
    recipe = _recipe(shape, step, math.ceil(reach / step) + 1)
    side, (fine,) = curved.pixel_mm(recipe), surfaces(recipe)
    corners = outline * (surface.pixel_mm / side)
    corners[:, 1] += (recipe.columns - 1) / 2.0 - middle * surface.pixel_mm / side
    values, other = (draw(volume, replace(recipe, window=Window(at, 1.0))).pixels[0] for at in (0.0, 2.0))
    # Outside the volume a picture has the lower end of its window as its value; there, and only there, the two differ.
    inside = skimage.draw.polygon2mask(values.shape, corners)
    if not inside.any():
        raise ValueError("The outline is smaller than a voxel; draw it larger.")
    rows, columns = np.nonzero(inside & (values == other))
    if rows.size == 0:
        raise ValueError("The outline lies outside the volume; there is nothing to measure.")
    within, weights = values[rows, columns].astype(np.float64), fine.stretch(rows, columns.astype(np.float64))[0]
    mean = float(np.average(within, weights=weights))
    return Statistics(
        area_mm2=area,
        mean=mean,
        deviation=math.sqrt(float(np.average((within - mean) ** 2, weights=weights))),
        least=float(within.min()),
        greatest=float(within.max()),
        samples=int(within.size),
    )


def _area_mm2(surface: CurvedSurface, outline: Points) -> float:
    """Sums up the surface within an outline, (N, 2) row and column. Raises ValueError where it folds over itself."""
    low, high = float(outline[:, 0].min()), float(outline[:, 0].max())
    # As many lines as the outline is high for; one of a fraction of a row has some too.
    count = max(64, math.ceil((high - low) * _LINES))
    lines = low + (np.arange(count) + 0.5) * (high - low) / count
    starts, ends = outline, np.roll(outline, -1, axis=0)
    crosses = (starts[:, 0] <= lines[:, None]) != (ends[:, 0] <= lines[:, None])
    number, edge = np.nonzero(crosses)
    part = (lines[number] - starts[edge, 0]) / (ends[edge, 0] - starts[edge, 0])
    at = starts[edge, 1] + part * (ends[edge, 1] - starts[edge, 1])
    order = np.lexsort((at, number))  # every line crosses the outline an even number of times: in, out, in, out
    at, number = at[order], number[order]
    left, wide = at[0::2], at[1::2] - at[0::2]
    columns = left[:, None] + (np.asarray(_GAUSS[0]) + 1.0) / 2.0 * wide[:, None]
    rows = np.repeat(np.floor(lines[number[0::2]]).astype(np.intp), len(_GAUSS[0]))
    areas, onward = surface.stretch(np.maximum(rows, 0), columns.ravel())
    if not onward.all():
        raise ValueError("The picture folds over itself there: draw the outline nearer to the path.")
    weights = np.asarray(_GAUSS[1]) / 2.0 * wide[:, None] * (high - low) / count
    return float((areas.reshape(weights.shape) * weights).sum())
