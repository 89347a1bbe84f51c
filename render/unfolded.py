"""The wall of a lumen laid flat: as if a bowel were cut open along its length.

Each place of the way looks at the wall all round, in sectors of a perspective picture that is a few rows high; these
strips lie below each other. Lengths along the way are true; what stands nearer than most of it is drawn larger.
Source: Vos et al. 2003, 'Three-dimensional display modes for CT colonography' (strips of views all round).
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from render.curved import Points, frames_along
from render.flight import FlightError, LumenWay, wall_of
from render.geometry import View, vector
from render.picture import Picture
from render.recipe import FlightEye, VolumeRendering
from render.volume import Volume

SECTORS = 24  # narrow enough that the light of each is nearly that of its neighbours
_PLACES = 2000 // SECTORS  # of a recipe, which may have 2000 eyes
_PIXEL_MM = 0.3  # on the wall
_NARROW = math.tan(math.pi / SECTORS)


def unfolded(way: LumenWay, volume: Volume, name: str = "Unfolded") -> tuple[VolumeRendering, ...]:
    """Returns the recipes of the strips, one after another along the way: `SECTORS` pictures for each of its places.
    `laid_flat` puts what is drawn of them together.

    Raises FlightError for a way of fewer than two places.
    """
    path = way.path_mm
    if len(path) < 2:
        raise FlightError("The way has one place only; there is nothing to lay flat. Choose points farther apart.")
    tangents = np.gradient(path, axis=0)
    tangents /= np.maximum(np.linalg.norm(tangents, axis=1, keepdims=True), 1e-9)
    step, radius = way.length_mm / (len(path) - 1), max(float(np.median(way.radii_mm)), 0.5)
    columns = min(max(round(2.0 * radius * _NARROW / _PIXEL_MM), 3), 64)
    rows = min(max(round(step * columns / (2.0 * radius * _NARROW)), 1), 64)
    angle = max(1.0, round(math.degrees(2.0 * math.atan(_NARROW * rows / columns)), 3))
    eyes = [
        FlightEye(vector(np.round(place, 2)), _sector(tangent, side, sector))
        for place, tangent, side in zip(path, tangents, frames_along(path, tangents), strict=True)
        for sector in range(SECTORS)
    ]
    each, wall = _PLACES * SECTORS, wall_of(volume, way.levels)
    return tuple(
        VolumeRendering(
            wall,
            rows=rows,
            columns=columns,
            step_voxels=0.7,
            projection="perspective",
            field_of_view_deg=angle,
            flight=tuple(eyes[first : first + each]),
            name=f"{name}, part {first // each + 1}",
        )
        for first in range(0, len(eyes), each)
    )


def _sector(tangent: Points, side: Points, sector: int) -> View:
    """Returns the view at the middle of a sector, the way running down the picture."""
    turn = 2.0 * math.pi * (sector + 0.5) / SECTORS
    look = math.cos(turn) * side - math.sin(turn) * np.cross(tangent, side)
    view = View.facing([-value for value in look], [-value for value in tangent])
    return View(round(view.azimuth_deg, 2), round(view.elevation_deg, 2), round(view.roll_deg, 2))


def laid_flat(pictures: Sequence[Picture]) -> NDArray[np.uint8]:
    """Returns (places × rows, SECTORS × columns, 3) uint8: the drawn strips beside and below each other. The way runs
    from the top to the bottom, the wall once around from the left to the right."""
    strips = np.concatenate([np.asarray(picture.pixels, dtype=np.uint8) for picture in pictures])
    count, rows, columns, _ = strips.shape
    grid = strips.reshape(count // SECTORS, SECTORS, rows, columns, 3).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(grid.reshape(count // SECTORS * rows, SECTORS * columns, 3))
