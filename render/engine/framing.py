"""The planes of a recipe's pictures in the patient; every engine draws on these and no others."""

import math
from dataclasses import dataclass

from render.geometry import Box, Plane, Vector, View, point
from render.recipe import CurvedReformat, Projection, Recipe, Reformat, VolumeRendering, frames
from render.volume import Volume


def planes(volume: Volume, recipe: Recipe) -> tuple[Plane, ...]:
    """Returns one plane for each frame, in order; none for perspective and curved pictures. See `Picture.planes`."""
    if isinstance(recipe, Reformat):
        return _stack(volume, recipe)
    if isinstance(recipe, CurvedReformat) or (
        isinstance(recipe, VolumeRendering) and recipe.projection == "perspective"
    ):
        return ()
    centre = centre_mm(volume, recipe)
    views = [frame.view for frame in frames(recipe)]
    # One scale for all frames of a rotation, else the patient would seem to breathe.
    fits = [_fit_mm(volume, recipe, centre, view) for view in views] if recipe.field_of_view_mm is None else []
    pixel_mm = (recipe.field_of_view_mm or max(fits)) / recipe.rows
    return tuple(_plane(centre, view, recipe.rows, recipe.columns, pixel_mm) for view in views)


@dataclass(frozen=True, slots=True)
class Pinhole:
    """The rays of a perspective picture: start and directions.

    eye_mm : LPS mm of the observer. forward_mm : step from there to pixel (row 0, column 0) of a picture one
        millimetre away; right_mm, down_mm : steps to its next column, to its next row.
    """

    eye_mm: Vector
    forward_mm: Vector
    right_mm: Vector
    down_mm: Vector


def pinholes(volume: Volume, recipe: VolumeRendering) -> tuple[Pinhole, ...]:
    """Returns one Pinhole for each frame of a perspective picture, in order."""
    # The last bits of sine and tangent differ between C libraries.
    half = round(math.tan(math.radians((recipe.field_of_view_deg or 0.0) / 2.0)), 12)
    pixel = 2.0 * half / recipe.rows
    found = []
    seen_from = views(recipe)
    eyes: list[Vector | None] = [one.eye_mm for one in recipe.flight]
    eyes = eyes or [recipe.eye_mm] * len(seen_from)
    for view, eye in zip(seen_from, eyes, strict=True):
        if eye is None:
            narrow = half * min(1.0, recipe.columns / recipe.rows)
            centre, radius = sphere(volume, recipe)
            eye = _moved(centre, view.towards_observer, radius * math.sqrt(1.0 + narrow * narrow) / narrow)
        right, down = _scaled(view.right, pixel), _scaled(view.up, -pixel)
        corner = _moved(_scaled(view.towards_observer, -1.0), right, -(recipe.columns - 1) / 2.0)
        found.append(Pinhole(eye, _moved(corner, down, -(recipe.rows - 1) / 2.0), right, down))
    return tuple(found)


def sphere(volume: Volume, recipe: VolumeRendering) -> tuple[Vector, float]:
    """Returns (centre in LPS mm, radius in mm) of a sphere around the picture's middle that holds all that is drawn."""
    centre = centre_mm(volume, recipe)
    offsets = [_moved(corner, centre, -1.0) for corner in drawn_corners(volume, recipe)]
    return centre, math.sqrt(max(_dot(offset, offset) for offset in offsets))


def drawn_corners(volume: Volume, recipe: VolumeRendering | Projection) -> list[Vector]:
    """Returns the eight corners, LPS mm, of the crop box, else of the volume to the outer faces of its voxels."""
    return _box_corners(recipe.crop) if recipe.crop is not None else outer_corners(volume)


def views(recipe: Recipe) -> tuple[View, ...]:
    """Returns the view of each frame."""
    if isinstance(recipe, Reformat | CurvedReformat):
        return (recipe.view,) * recipe.count
    return tuple(frame.view for frame in frames(recipe))


def centre_mm(volume: Volume, recipe: VolumeRendering | Projection | Reformat) -> Vector:
    """Returns the middle of the picture in LPS mm: the recipe's, else of the crop box, else of the volume."""
    if recipe.centre_mm is not None:
        return recipe.centre_mm
    crop = None if isinstance(recipe, Reformat) else recipe.crop
    if crop is not None:
        x, y, z = ((a + b) / 2.0 for a, b in zip(crop.lower_mm, crop.upper_mm, strict=True))
        return (x, y, z)
    return volume.centre_mm


def _plane(centre: Vector, view: View, rows: int, columns: int, pixel_mm: float) -> Plane:
    right = _scaled(view.right, pixel_mm)
    down = _scaled(view.up, -pixel_mm)
    origin = _moved(_moved(centre, right, -(columns - 1) / 2.0), down, -(rows - 1) / 2.0)
    return Plane(origin, right, down)


def _stack(volume: Volume, recipe: Reformat) -> tuple[Plane, ...]:
    smallest = min(volume.spacing_mm)
    spacing = recipe.spacing_mm or smallest
    centre = centre_mm(volume, recipe)
    return tuple(
        _plane(
            _moved(centre, recipe.view.towards_observer, ((recipe.count - 1) / 2.0 - n) * spacing),
            recipe.view,
            recipe.rows,
            recipe.columns,
            recipe.pixel_mm or smallest,
        )
        for n in range(recipe.count)
    )


def _fit_mm(volume: Volume, recipe: VolumeRendering | Projection, centre: Vector, view: View) -> float:
    """Returns the height of a picture that just holds the crop box, else the volume to the outer faces of its
    voxels."""
    offsets = [_moved(corner, centre, -1.0) for corner in drawn_corners(volume, recipe)]
    half_height = max(abs(_dot(offset, view.up)) for offset in offsets)
    half_width = max(abs(_dot(offset, view.right)) for offset in offsets)
    return 2.0 * max(half_height, half_width * recipe.rows / recipe.columns)


def outer_corners(volume: Volume) -> list[Vector]:
    """Returns the eight corners of the volume, LPS mm, to the outer faces of its voxels."""
    k, j, i = (n - 0.5 for n in volume.shape)
    return [point(volume.affine, (a, b, c)) for a in (-0.5, k) for b in (-0.5, j) for c in (-0.5, i)]


def _box_corners(box: Box) -> list[Vector]:
    (x0, y0, z0), (x1, y1, z1) = box.lower_mm, box.upper_mm
    return [(x, y, z) for x in (x0, x1) for y in (y0, y1) for z in (z0, z1)]


def _dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _scaled(a: Vector, by: float) -> Vector:
    return (a[0] * by, a[1] * by, a[2] * by)


def _moved(a: Vector, along: Vector, by: float) -> Vector:
    return (a[0] + along[0] * by, a[1] + along[1] * by, a[2] + along[2] * by)
