"""The point in the patient that one pixel of a rendering or projection shows."""

import math
from itertools import pairwise

import numpy as np
import scipy
from numpy.typing import NDArray

from render.engine import cpu, framing
from render.geometry import Vector, direction, point, unit_vector, vector
from render.recipe import Projection, Solid, VolumeRendering
from render.resolve import settled
from render.segment import made
from render.volume import Volume

Floats = NDArray[np.float64]
_OPAQUE = 0.5  # the visible surface is where half of the light is absorbed


def first_seen(volume: Volume, recipe: Solid, row: float, column: float) -> Vector | None:
    """Returns the point, LPS mm, that (row, column) of a parallel picture shows; None where it shows nothing, and in
    perspective.

    For a rendering it is where the opacity passes a half, or else grows most; for a maximum or minimum where that value
    is; for an average the middle of the volume along the line of sight.
    """
    settled_recipe = settled(volume, recipe)
    assert isinstance(settled_recipe, Solid)
    planes = framing.planes(volume, settled_recipe)
    if not planes:
        return None
    step_mm = min(volume.spacing_mm) / 2.0
    start, away = planes[0].at(row, column), planes[0].normal
    corners = framing.outer_corners(volume)
    depths = [sum((c - s) * a for c, s, a in zip(corner, start, away, strict=True)) for corner in corners]
    along = np.arange(min(depths), max(depths), step_mm)
    at = np.array(start) + along[:, None] * np.array(away)
    seen = _inside(volume, settled_recipe, at)
    if not seen.any():
        return None
    shown = (
        volume
        if settled_recipe.body_above is None
        else cpu.body.voxels_without_table(volume, settled_recipe.body_above)
    )
    index = np.array(point(volume.to_index, start)) + along[:, None] * np.array(direction(volume.to_index, away))
    values = scipy.ndimage.map_coordinates(shown.voxels, index[seen].T, output=np.float64, order=1, mode="nearest")
    number = _chosen(settled_recipe, values, step_mm)
    return None if number is None else vector(at[seen][number])


def _chosen(recipe: Solid, values: Floats, step_mm: float) -> int | None:
    if isinstance(recipe, Projection):
        if recipe.mode == "average":
            return len(values) // 2
        return int(values.argmax() if recipe.mode == "mip" else values.argmin())
    assert isinstance(recipe, VolumeRendering)
    points = recipe.transfer.points
    opacity = np.interp(values, [p.value for p in points], [p.opacity for p in points])
    kept = (1.0 - np.minimum(opacity, 1.0 - 1e-9)) ** (step_mm / recipe.transfer.opacity_unit_mm)
    through = np.cumprod(kept)
    if through[-1] > 0.99:
        return None
    passed = np.flatnonzero(through <= _OPAQUE)
    if len(passed):
        return int(passed[0])
    before = np.concatenate([[1.0], through[:-1]])
    return int((before - through).argmax())


def _inside(volume: Volume, recipe: Solid, at: Floats) -> NDArray[np.bool_]:
    """Returns (N,) bool: whether points are in the volume and not cropped, clipped or masked away."""
    rows = volume.to_index
    index = at @ rows[:3, :3].T + rows[:3, 3]
    nearest = np.rint(index).astype(np.int64)
    kept = ((nearest >= 0) & (nearest < np.array(volume.shape))).all(axis=1)
    if recipe.crop is not None:
        kept &= ((at >= recipe.crop.lower_mm) & (at <= recipe.crop.upper_mm)).all(axis=1)
    for clip in recipe.clips:
        kept &= (at - np.array(clip.point_mm)) @ np.array(unit_vector(clip.normal)) <= 0.0
    if recipe.segments:
        labels = made(volume, recipe.segments).labels
        k, j, i = np.clip(nearest, 0, np.array(volume.shape) - 1).T
        found = labels[k, j, i]
        included = [rule.label for rule in recipe.masking if rule.action == "include"]
        hidden = [rule.label for rule in recipe.masking if rule.action == "exclude"]
        kept &= ~np.isin(found, hidden)
        if included:
            kept &= np.isin(found, included)
    return np.asarray(kept)


def visible_from(recipe: VolumeRendering, opacity: float = 0.02) -> float:
    """Returns the least value that a rendering shows with at least that opacity per mm; infinite where none is."""
    points = recipe.transfer.points
    if points[0].opacity >= opacity:
        return points[0].value
    for a, b in pairwise(points):
        if b.opacity >= opacity > a.opacity:
            return a.value + (b.value - a.value) * (opacity - a.opacity) / (b.opacity - a.opacity)
    return math.inf
