"""Where the samples through the thickness of a slab lie.

Between two voxels linear interpolation never goes beyond both, so the greatest and the least value of a slab lie where
it crosses slices of the grid, or at its ends. A sample at each of them is the true maximum and minimum of a plane that
is parallel to the slices: it holds the voxels' own values, and that of a thicker slab is never less than that of one
inside it. Rays of any other plane cross the grid elsewhere at each pixel: there the samples are equally far apart, no
farther than the slices, and counted from the plane itself, so that a thicker slab has every sample of a thinner one.
"""

import math

import numpy as np
from numpy.typing import NDArray

from render.recipe import CurvedReformat, Reformat
from render.volume import Volume

Floats = NDArray[np.float64]

# A direction whose other components are less than this part of its length runs along an axis of the grid.
_ALONG = 1e-9


def through_slab(
    volume: Volume, recipe: Reformat | CurvedReformat, starts: Floats, down: Floats, right: Floats, through_mm: Floats
) -> tuple[Floats, Floats, Floats]:
    """Returns (starts, steps through the thickness, (P, S) places of the samples in these steps) of P planes.

    starts, down, right, through_mm : (P, 3) index coordinates of pixel (0, 0), the steps to the next row and column,
    and that of 1 mm through the thickness. Planes with NaN are drawn nowhere.
    """
    thickness = recipe.thickness_mm
    if thickness == 0.0:
        return starts, through_mm, np.zeros((len(starts), 1))
    if recipe.mode == "average":
        # Evenly spaced in the middles of equal layers: a mean, and no extreme.
        count = max(2, math.ceil(thickness / min(volume.spacing_mm)))
        steps = through_mm * (thickness / count)
        places = np.tile(np.arange(count, dtype=np.float64), (len(starts), 1))
        return starts - steps * ((count - 1) / 2.0), steps, places
    rows: list[Floats] = []
    known: dict[tuple[float, ...], Floats] = {}
    for start, plane, step in zip(starts, np.concatenate([down, right], axis=1), through_mm, strict=True):
        key = (float(start[int(np.argmax(np.abs(step)))]), *plane.tolist(), *step.tolist())
        if key not in known:
            known[key] = _places(start, plane.reshape(2, 3), step, thickness / 2.0, min(volume.spacing_mm))
        rows.append(known[key])
    places = np.empty((len(rows), max(map(len, rows), default=1)))
    for place, row in zip(places, rows, strict=True):
        place[:] = row[0]  # a sample twice changes no extreme
        place[: len(row)] = row
    return starts, through_mm, places


def _places(start: Floats, plane: Floats, step: Floats, half_mm: float, finest_mm: float) -> Floats:
    """Returns where the samples of one plane lie, in mm from it. plane : (2, 3) steps down and right."""
    if not (np.isfinite(start).all() and np.isfinite(step).all() and np.isfinite(plane).all()):
        return np.zeros(1)
    axis = int(np.argmax(np.abs(step)))
    along = float(step[axis])
    others = np.delete(np.abs(step), axis).max()
    is_parallel = np.abs(plane[:, axis]).max() <= _ALONG * np.abs(plane).max()
    if is_parallel and others <= _ALONG * abs(along):
        ends = sorted((float(start[axis]) - half_mm * along, float(start[axis]) + half_mm * along))
        slices = np.arange(math.ceil(ends[0] - _ALONG), math.floor(ends[1] + _ALONG) + 1, dtype=np.float64)
        return np.unique(np.concatenate([[-half_mm, half_mm], (slices - float(start[axis])) / along]))
    # Sheared slices: samples lie on each of them. Elsewhere no distance is better than another.
    parts = math.ceil(1.0 / (abs(along) * finest_mm) - 1e-6)
    gap_mm = 1.0 / (abs(along) * parts) if is_parallel else finest_mm
    count = math.floor(half_mm / gap_mm + 1e-9)
    return np.arange(-count, count + 1, dtype=np.float64) * gap_mm
