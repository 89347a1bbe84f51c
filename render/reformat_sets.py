"""Sets of reformats: the three orthogonal stacks, a stack in any direction, planes about an axis.

Each function takes a `Reformat` as template (window, thickness, mode, pixel size …) and returns recipes for `draw`.
"""

import math
from dataclasses import replace

from render.engine import framing
from render.geometry import Vector, View, cross, unit_vector, vector
from render.recipe import RecipeError, Reformat
from render.volume import Volume

# The views in which radiologists read them. Sources: PS3.3 C.7.6.1.1.1 (letters), usual hanging of CT and MR.
_ORTHOGONAL = (("Axial", "foot"), ("Coronal", "anterior"), ("Sagittal", "left"))


def orthogonal(volume: Volume, like: Reformat) -> tuple[Reformat, ...]:
    """Returns axial, coronal and sagittal stacks of the whole volume."""
    return tuple(
        parallel(volume, replace(like, view=View.parse(side), name=f"{like.name} {name}".strip()))
        for name, side in _ORTHOGONAL
    )


def parallel(volume: Volume, like: Reformat) -> Reformat:
    """Returns the stack in the direction of `like.view` that just holds the volume, centred on `like.centre_mm` if
    given.

    Distance and pixel size are those of `like`, else the smallest voxel spacing.
    Raises RecipeError when that takes more planes or pixels than a recipe can have.
    """
    smallest = min(volume.spacing_mm)
    spacing, pixel = like.spacing_mm or smallest, like.pixel_mm or smallest
    centre = framing.centre_mm(volume, like)
    half_depth, half_height, half_width = (
        max(abs(_dot(_between(centre, corner), axis)) for corner in framing.outer_corners(volume))
        for axis in (like.view.towards_observer, like.view.up, like.view.right)
    )
    return replace(
        like,
        count=_cells(2.0 * half_depth / spacing),
        rows=_cells(2.0 * half_height / pixel),
        columns=_cells(2.0 * half_width / pixel),
        spacing_mm=spacing,
        pixel_mm=pixel,
        centre_mm=centre,
    )


def radial(like: Reformat, axis: Vector, planes: int, arc_deg: float = 180.0) -> tuple[Reformat, ...]:
    """Returns `planes` recipes of one plane each, all through `axis` (an LPS direction) at `like.centre_mm`.

    The first faces the observer of `like.view` as far as the axis allows; each next one is turned by
    `arc_deg` / `planes` about the axis (right-handed). The axis is upright in all of them.
    Raises RecipeError for no planes, or when `like.view` looks along the axis.
    """
    if not 1 <= planes <= 720:
        raise RecipeError(f"{planes} radial planes; 1 to 720 are possible.")
    up = unit_vector(axis)
    if _dot(up, like.view.up) < -1e-9:
        up = vector(-v for v in up)
    towards = like.view.towards_observer
    along = _dot(towards, up)
    facing = vector(t - along * u for t, u in zip(towards, up, strict=True))
    if _dot(facing, facing) < 1e-6:
        raise RecipeError(f"Radial planes about {tuple(axis)}: {like.view.words} looks along that axis.")
    facing = unit_vector(facing)
    aside = cross(up, facing)
    found = []
    for number in range(planes):
        angle = math.radians(arc_deg * number / planes)
        side = vector(math.cos(angle) * f + math.sin(angle) * a for f, a in zip(facing, aside, strict=True))
        name = f"{like.name} {number + 1}/{planes}".strip()
        found.append(replace(like, view=View.facing(side, up), count=1, name=name))
    return tuple(found)


def _cells(length: float) -> int:
    """Returns how many cells hold a length; up to a millionth more than a whole number counts as that number."""
    return max(1, math.ceil(length - 1e-6))


def _between(a: Vector, b: Vector) -> Vector:
    return (b[0] - a[0], b[1] - a[1], b[2] - a[2])


def _dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
