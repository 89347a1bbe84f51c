"""Pictures that the patient fills: without table and air, and a stack as deep as the body is."""

import math
import weakref
from dataclasses import replace

import numpy as np
import scipy

from render.engine.framing import outer_corners
from render.geometry import Box, Vector, vector
from render.recipe import Recipe, Reformat, Solid
from render.registration_grids import coarse_grid
from render.volume import Volume

_STEP_MM = 4.0
_AROUND_MM = 4.0  # the box is as sharp as the coarse grid
_MARGIN = 1.02  # of the picture around the body
MOST_PLANES = 600
_known: "weakref.WeakKeyDictionary[Volume, tuple[Box | None]]" = weakref.WeakKeyDictionary()


def body_box(volume: Volume) -> Box | None:
    """Returns the box, LPS mm, around the largest thing in the volume that is no air; None where there is none."""
    known = _known.get(volume)
    if known is None:
        known = _known.setdefault(volume, (_box_of_body(volume),))
    return known[0]


def _box_of_body(volume: Volume) -> Box | None:
    grid = coarse_grid(volume, _STEP_MM)
    parts, count = scipy.ndimage.label(grid.body)
    if not count:
        return None
    largest = 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    places = grid.positions(parts == largest)
    # Whole millimetres: nothing hangs on the last bit of a coarse grid.
    lower, upper = np.floor(places.min(axis=0) - _AROUND_MM), np.ceil(places.max(axis=0) + _AROUND_MM)
    corners = np.array(outer_corners(volume))
    lower, upper = np.maximum(lower, corners.min(axis=0)), np.minimum(upper, corners.max(axis=0))
    return Box(vector(lower.round(3)), vector(upper.round(3))) if (lower < upper).all() else None


def filled_by_body(volume: Volume, recipe: Recipe) -> Recipe:
    """Returns a recipe of `fit` `body` with its place and scale said in numbers; without a body, as the volume fits.

    A reformat with `spacing_mm` gets as many planes as the body is deep, one without it has its planes spread over the
    body. What a recipe says itself (`centre_mm`, `pixel_mm`, `field_of_view_mm`, `crop`) stays.
    """
    box = body_box(volume)
    if isinstance(recipe, Solid):
        return replace(recipe, fit="volume", crop=recipe.crop or box)
    if not isinstance(recipe, Reformat):
        return recipe
    if box is None:
        return replace(recipe, fit="volume")
    view = recipe.view
    width, height, depth = (_extent(box, way) for way in (view.right, view.up, view.towards_observer))
    centre = recipe.centre_mm or vector((a + b) / 2.0 for a, b in zip(box.lower_mm, box.upper_mm, strict=True))
    pixel = recipe.pixel_mm or math.ceil(_MARGIN * max(width / recipe.columns, height / recipe.rows) * 1000.0) / 1000.0
    count, spacing = recipe.count, recipe.spacing_mm
    if spacing is not None:
        count = max(1, min(math.ceil(depth / spacing), MOST_PLANES))
    elif count > 1:
        spacing = round(depth / count, 3)
    return replace(recipe, fit="volume", centre_mm=centre, pixel_mm=pixel, count=count, spacing_mm=spacing)


def _extent(box: Box, way: Vector) -> float:
    """Returns the length of the shadow of a box along a direction."""
    return sum(abs(w) * (b - a) for w, a, b in zip(way, box.lower_mm, box.upper_mm, strict=True))
