"""Curved reformats: the place in the patient of each row of a picture along a path.

Sources: Kanitsar et al. 2002, 'CPR: curved planar reformation' (stretched and straightened); Wang et al. 2008,
'Computation of rotation minimizing frames' (double reflection); Catmull and Rom 1974, with centripetal parameters
after Yuksel et al. 2011, which make neither loops nor cusps.
"""

import functools
import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.geometry import GeometryError, Vector
from render.recipe import CurvedReformat

Points = NDArray[np.float64]
_FINE_MM = 0.25  # distance of the points at which the length along a path is measured
_LEAST_ACROSS_MM = 1.0  # a path that is shorter than this down the picture cannot be drawn


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one picture, from top to bottom, all in LPS mm.

    starts : (rows, 3) middle of the leftmost pixel, NaN beyond the end of the path. right, away : (rows, 3) steps of a
    pixel to the right, and of a millimetre away from the observer.
    """

    starts: Points
    right: Points
    away: Points


def along(path_mm: tuple[Vector, ...]) -> Points:
    """Returns (N, 3) LPS mm, close together on a smooth curve through all points of a path, from first to last."""
    points = np.array(path_mm, dtype=np.float64)
    ends = (2.0 * points[0] - points[1], 2.0 * points[-1] - points[-2])
    padded = np.concatenate([ends[0][None], points, ends[1][None]])
    # Square roots give the same bits on every machine, powers do not.
    knots = [np.sqrt(_length(b - a)) for a, b in pairwise(padded)]
    pieces = []
    for n in range(len(points) - 1):
        count = max(8, math.ceil(float(_length(points[n + 1] - points[n])) / _FINE_MM))
        part = np.arange(count, dtype=np.float64)[:, None] / count
        pieces.append(_segment(padded[n : n + 4], knots[n : n + 3], part))
    return np.concatenate([*pieces, points[-1:]])


def _segment(p: Points, knots: list[Any], part: Points) -> Points:
    """Returns points between p[1] and p[2] by the pyramid of Barry and Goldman 1988."""
    t0, t1 = 0.0, float(knots[0])
    t2 = t1 + float(knots[1])
    t3 = t2 + float(knots[2])
    t = t1 + (t2 - t1) * part
    a1 = p[0] * ((t1 - t) / (t1 - t0)) + p[1] * ((t - t0) / (t1 - t0))
    a2 = p[1] * ((t2 - t) / (t2 - t1)) + p[2] * ((t - t1) / (t2 - t1))
    a3 = p[2] * ((t3 - t) / (t3 - t2)) + p[3] * ((t - t2) / (t3 - t2))
    b1 = a1 * ((t2 - t) / (t2 - t0)) + a2 * ((t - t0) / (t2 - t0))
    b2 = a2 * ((t3 - t) / (t3 - t1)) + a3 * ((t - t1) / (t3 - t1))
    return np.asarray(b1 * ((t2 - t) / (t2 - t1)) + b2 * ((t - t1) / (t2 - t1)))


def _length(v: Points) -> Points:
    return np.asarray(np.sqrt(v[..., 0] * v[..., 0] + v[..., 1] * v[..., 1] + v[..., 2] * v[..., 2]))


def _dot(a: Points, b: Points) -> Points:
    return np.asarray(a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1] + a[..., 2] * b[..., 2])


def length_mm(path_mm: tuple[Vector, ...]) -> float:
    """Returns the length of the smooth curve through a path."""
    fine = along(path_mm)
    return float(_measured(_length(fine[1:] - fine[:-1]))[-1])


def places(path_mm: tuple[Vector, ...], distances_mm: Points) -> tuple[Points, Points]:
    """Returns ((N, 3) LPS mm, (N, 3) unit tangents) at distances from the beginning, along the smooth curve."""
    fine = along(path_mm)
    return _at(fine, _measured(_length(fine[1:] - fine[:-1])), distances_mm)


def _measured(steps: Points) -> Points:
    return np.concatenate([np.zeros(1), np.cumsum(steps)])


def _at(fine: Points, measured: Points, wanted: Points) -> tuple[Points, Points]:
    found = np.stack([np.interp(wanted, measured, fine[:, axis]) for axis in range(3)], axis=1)
    reach = max(2.0 * _FINE_MM, float(measured[-1]) * 1e-3)
    ends = [np.clip(wanted + way, 0.0, measured[-1]) for way in (-reach, reach)]
    before, after = (np.stack([np.interp(e, measured, fine[:, axis]) for axis in range(3)], axis=1) for e in ends)
    way = after - before
    return found, way / np.maximum(_length(way), 1e-9)[:, None]


def pixel_mm(recipe: CurvedReformat) -> float:
    """Returns the side of a pixel: the recipe's, else such that the path goes from the first row to the last."""
    if recipe.pixel_mm is not None:
        return recipe.pixel_mm
    return round(float(_measured_path(recipe)[1][-1]) / max(recipe.rows - 1, 1), 9)


@functools.lru_cache(maxsize=16)  # the picture is drawn by them, and then what lies on it is placed by them
def rows(recipe: CurvedReformat) -> tuple[Rows, ...]:
    """Returns the Rows of each picture of the recipe, read-only.

    Raises GeometryError for a path along the line of sight, or along the rows of a stretched picture.
    """
    fine, measured = _measured_path(recipe)
    side = pixel_mm(recipe)
    wanted = np.arange(recipe.rows, dtype=np.float64) * side
    middle, tangents = _at(fine, measured, np.minimum(wanted, measured[-1]))
    middle[wanted > measured[-1] + 1e-6] = np.nan
    half = (recipe.columns - 1) / 2.0 * side
    if recipe.form == "stretched":
        right = np.tile(np.array(recipe.view.right), (recipe.rows, 1))
        # All rows begin on one plane across the path, so that a bend to the side shows as one.
        across = _dot(fine, np.array(recipe.view.right))
        left = (float(across.min()) + float(across.max())) / 2.0 - half
        starts = middle + right * (left - _dot(middle, right))[:, None]
        down = tangents - right * _dot(tangents, right)[:, None]
        return (_kept(starts, right * side, _crossed(right, _unit(down))),)
    right = frames_along(middle, tangents, np.array(recipe.view.towards_observer))
    away = _crossed(right, tangents)
    found = []
    for number in range(recipe.count):
        turn = math.radians(recipe.angle_deg + 180.0 * number / recipe.count)
        # The last bits of sine and cosine differ between C libraries.
        c, s = round(math.cos(turn), 12), round(math.sin(turn), 12)
        aside, deep = right * c + away * s, away * c - right * s
        found.append(_kept(middle - aside * half, aside * side, deep))
    return tuple(found)


def _kept(*parts: Points) -> Rows:
    for part in parts:
        part.setflags(write=False)
    return Rows(*parts)


def _measured_path(recipe: CurvedReformat) -> tuple[Points, Points]:
    """Returns the smooth curve, and how far down the picture each of its points is in mm."""
    fine = along(recipe.path_mm)
    steps = fine[1:] - fine[:-1]
    if recipe.form == "stretched":
        right = np.array(recipe.view.right)
        steps = steps - right * _dot(steps, right)[:, None]
    measured = _measured(_length(steps))
    if measured[-1] < _LEAST_ACROSS_MM:
        raise GeometryError(
            f"Curved reformat {recipe.name!r}: the path runs along the rows of the picture, seen from "
            f"{recipe.view.words}. Nothing was drawn; look from another side."
        )
    return fine, measured


def _unit(v: Points) -> Points:
    return np.asarray(v / np.maximum(_length(v), 1e-9)[..., None])


def _crossed(a: Points, b: Points) -> Points:
    return np.stack(
        [
            a[..., 1] * b[..., 2] - a[..., 2] * b[..., 1],
            a[..., 2] * b[..., 0] - a[..., 0] * b[..., 2],
            a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0],
        ],
        axis=-1,
    )


def frames_along(middle: Points, tangents: Points, towards: Points | None = None) -> Points:
    """Returns (N, 3) unit vectors to the right at each place of a path, across its (N, 3) unit tangents, which turn
    about the path as little as possible.

    towards : at the beginning the observer stands as near to it as a path that runs down the picture allows; None for
    the side of the patient that lies best.

    Raises GeometryError when the path begins along `towards`.
    """
    if towards is None:
        towards = np.eye(3)[int(np.argmin(np.abs(tangents[0])))]
    facing = towards - tangents[0] * _dot(towards, tangents[0])
    if float(_length(facing)) < 1e-3:
        raise GeometryError("The path begins along the line of sight. Nothing was drawn; look from another side.")
    found = np.empty_like(middle)
    found[0] = _crossed(_unit(facing), tangents[0])
    for n in range(1, len(middle)):
        step = middle[n] - middle[n - 1]
        square = float(_dot(step, step))
        if not square > 1e-18:  # the path has ended: NaN, or no step
            found[n:] = found[n - 1]
            break
        mirrored = found[n - 1] - step * (2.0 / square * float(_dot(step, found[n - 1])))
        tangent = tangents[n - 1] - step * (2.0 / square * float(_dot(step, tangents[n - 1])))
        over = tangents[n] - tangent
        square = float(_dot(over, over))
        if square > 1e-18:
            mirrored = mirrored - over * (2.0 / square * float(_dot(over, mirrored)))
        found[n] = _unit(mirrored)
    return found
