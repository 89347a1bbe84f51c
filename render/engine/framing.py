"""Where a recipe's pictures lie in the patient. Every engine draws on these planes and no others."""

from render.geometry import Box, Plane, Vector, View, point
from render.recipe import Projection, Recipe, Reformat, VolumeRendering, frames
from render.volume import Volume


def planes(volume: Volume, recipe: Recipe) -> tuple[Plane, ...]:
    """One plane a frame, in the order of the frames; see `Picture.planes`."""
    if isinstance(recipe, Reformat):
        return _stack(volume, recipe)
    centre = centre_mm(volume, recipe)
    views = [frame.view for frame in frames(recipe)]
    # One scale for all frames of a rotation, else the patient would seem to breathe.
    fits = [_fit_mm(volume, recipe, centre, view) for view in views] if recipe.field_of_view_mm is None else []
    pixel_mm = (recipe.field_of_view_mm or max(fits)) / recipe.rows
    return tuple(_plane(centre, view, recipe.rows, recipe.columns, pixel_mm) for view in views)


def views(recipe: Recipe) -> tuple[View, ...]:
    """The view of each frame."""
    if isinstance(recipe, Reformat):
        return (recipe.view,) * recipe.count
    return tuple(frame.view for frame in frames(recipe))


def centre_mm(volume: Volume, recipe: Recipe) -> Vector:
    """LPS mm in the middle of the picture: as said, else of the crop box, else of the volume."""
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
    """Height of a picture that just holds the crop box, or the volume to the outer faces of its voxels."""
    corners = _box_corners(recipe.crop) if recipe.crop is not None else _outer_corners(volume)
    offsets = [_moved(corner, centre, -1.0) for corner in corners]
    half_height = max(abs(_dot(offset, view.up)) for offset in offsets)
    half_width = max(abs(_dot(offset, view.right)) for offset in offsets)
    return 2.0 * max(half_height, half_width * recipe.rows / recipe.columns)


def _outer_corners(volume: Volume) -> list[Vector]:
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
