"""What is on the screen, as a value: every edit makes another one, so that undo is keeping the old ones.

Knows no Qt. A pane's picture is `draw` of the recipe that `recipe_of` gives for it, and nothing else.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, get_args

from pydantic import ConfigDict

from render.geometry import Box, Vector, View, cross, vector
from render.recipe import (
    Clip,
    ControlPoint,
    Projection,
    ProjectionMode,
    Recipe,
    Reformat,
    Rotation,
    TransferFunction,
    VolumeRendering,
)
from render.recipe import (
    Solid as Turning,
)
from render.recipe import Window as ValueWindow
from render.volume import Volume

SliceName = Literal["axial", "coronal", "sagittal"]
PaneName = Literal["axial", "coronal", "sagittal", "solid"]
Layout = Literal["four", "axial", "coronal", "sagittal", "solid"]
Style = Literal["rendering", "mip", "minip", "average"]
MeasureKind = Literal["distance", "angle", "cobb", "ellipse", "polygon"]
SLICES: tuple[SliceName, ...] = get_args(SliceName)
PANES: tuple[PaneName, ...] = get_args(PaneName)
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
STYLES: tuple[Style, ...] = get_args(Style)
MODES: tuple[ProjectionMode, ...] = get_args(ProjectionMode)

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
# Smaller than any structure and larger than any patient: what zoom stops at.
_LEAST_MM, _MOST_MM = 5.0, 3000.0
_VIEWS: dict[SliceName, View] = {
    "axial": View.parse("foot"),
    "coronal": View.parse("anterior"),
    "sagittal": View.parse("left"),
}


@dataclass(frozen=True, slots=True)
class Slice:
    """A plane pane. centre_mm : LPS place in the middle of the pane; its plane goes through the crosshair.
    height_mm : of the pane in the patient. slab_mm : 0 for the plane itself."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    view: View
    centre_mm: Vector
    height_mm: float
    slab_mm: float = 0.0
    mode: ProjectionMode = "mip"


@dataclass(frozen=True, slots=True)
class Solid:
    """The 3D pane. crop, clips, body_above : as in `render.recipe.VolumeRendering`."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    view: View
    centre_mm: Vector
    height_mm: float
    transfer: TransferFunction
    style: Style = "rendering"
    crop: Box | None = None
    clips: tuple[Clip, ...] = ()
    body_above: float | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """points_mm : two for a distance, three for an angle (vertex second), four for Cobb's (two lines), two corners for
    an ellipse, three or more for a polygon. view : from which side it was drawn; an outline lies in its plane."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    kind: MeasureKind
    points_mm: tuple[Vector, ...]
    view: View


# How many places each kind needs; None: as many as one likes, from three.
POINTS: dict[MeasureKind, int | None] = {"distance": 2, "angle": 3, "cobb": 4, "ellipse": 2, "polygon": None}


@dataclass(frozen=True, slots=True)
class Capture:
    """A picture that was chosen: its recipe, which is drawn anew when it is kept. key : for the report."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    recipe: Recipe
    key: bool = False


@dataclass(frozen=True, slots=True)
class Screen:
    """cursor_mm : the crosshair, LPS. window : of the planes and of projections."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    cursor_mm: Vector
    window: ValueWindow
    axial: Slice
    coronal: Slice
    sagittal: Slice
    solid: Solid
    layout: Layout = "four"
    measures: tuple[Measure, ...] = ()
    captures: tuple[Capture, ...] = ()

    def slice(self, name: SliceName) -> Slice:
        found = getattr(self, name)
        assert isinstance(found, Slice)
        return found


def opened(volume: Volume, window: ValueWindow, transfer: TransferFunction, body_above: float | None = None) -> Screen:
    """The first screen: three planes through the middle, and the patient from the front."""
    extents = [n * s for n, s in zip(volume.shape, volume.spacing_mm, strict=True)]
    middle, height = volume.centre_mm, max(extents)
    axial, coronal, sagittal = (Slice(_VIEWS[name], middle, height) for name in SLICES)
    solid = Solid(View(), middle, math.hypot(*extents) * 0.8, transfer, body_above=body_above)
    return Screen(middle, window, axial, coronal, sagittal, solid)


# ---------------------------------------------------------------------------------------------------- recipes


def recipe_of(screen: Screen, pane: PaneName, rows: int, columns: int) -> Recipe:
    """The recipe of what a pane shows, at that size."""
    if pane == "solid":
        return _solid_recipe(screen, rows, columns)
    plane = screen.slice(pane)
    return Reformat(
        screen.window,
        plane.view,
        rows=rows,
        columns=columns,
        pixel_mm=plane.height_mm / rows,
        centre_mm=through_cursor(screen, plane),
        thickness_mm=plane.slab_mm,
        mode=plane.mode,
        name=pane.capitalize() if plane.slab_mm == 0.0 else f"{pane.capitalize()}, {plane.mode} {plane.slab_mm:g} mm",
    )


def _solid_recipe(screen: Screen, rows: int, columns: int) -> Recipe:
    s = screen.solid
    shared: dict[str, Any] = {
        "view": s.view,
        "rows": rows,
        "columns": columns,
        "field_of_view_mm": s.height_mm,
        "centre_mm": s.centre_mm,
        "crop": s.crop,
        "clips": s.clips,
        "body_above": s.body_above,
    }
    if s.style == "rendering":
        return VolumeRendering(s.transfer, **shared, name=f"{s.transfer.name.replace('_', ' ')}, {s.view.words}")
    return Projection(s.style, screen.window, **shared, name=f"{s.style.upper()}, {s.view.words}")


def through_cursor(screen: Screen, plane: Slice) -> Vector:
    """The middle of a plane pane, moved along the line of sight until its plane holds the crosshair."""
    n = plane.view.towards_observer
    depth = sum((c - m) * a for c, m, a in zip(screen.cursor_mm, plane.centre_mm, n, strict=True))
    return vector(m + depth * a for m, a in zip(plane.centre_mm, n, strict=True))


# ---------------------------------------------------------------------------------------------------- edits


def at_cursor(screen: Screen, place_mm: Vector) -> Screen:
    """The crosshair elsewhere: all planes follow."""
    return replace(screen, cursor_mm=vector(place_mm))


def scrolled(screen: Screen, pane: SliceName, steps: float, step_mm: float) -> Screen:
    """The plane of a pane further from (steps > 0) or nearer to the observer."""
    n = screen.slice(pane).view.towards_observer
    return at_cursor(screen, vector(c - steps * step_mm * a for c, a in zip(screen.cursor_mm, n, strict=True)))


def windowed(screen: Screen, window: ValueWindow) -> Screen:
    return replace(screen, window=window)


def panned(screen: Screen, pane: PaneName, right_mm: float, down_mm: float) -> Screen:
    """The picture of a pane pushed to the right and down: its middle moves the other way."""
    if pane == "solid":
        return replace(screen, solid=replace(screen.solid, centre_mm=_pushed(screen.solid, right_mm, down_mm)))
    plane = screen.slice(pane)
    return _with_slice(screen, pane, replace(plane, centre_mm=_pushed(plane, right_mm, down_mm)))


def _pushed(pane: Slice | Solid, right_mm: float, down_mm: float) -> Vector:
    right, up = pane.view.right, pane.view.up
    return vector(c - right_mm * r + down_mm * u for c, r, u in zip(pane.centre_mm, right, up, strict=True))


def zoomed(screen: Screen, pane: PaneName, factor: float) -> Screen:
    """factor above 1: nearer."""
    if pane == "solid":
        height = min(max(screen.solid.height_mm / factor, _LEAST_MM), _MOST_MM)
        return replace(screen, solid=replace(screen.solid, height_mm=height))
    plane = screen.slice(pane)
    height = min(max(plane.height_mm / factor, _LEAST_MM), _MOST_MM)
    return _with_slice(screen, pane, replace(plane, height_mm=height))


def _with_slice(screen: Screen, name: SliceName, plane: Slice) -> Screen:
    if name == "axial":
        return replace(screen, axial=plane)
    return replace(screen, coronal=plane) if name == "coronal" else replace(screen, sagittal=plane)


def rotated(screen: Screen, right_deg: float, down_deg: float) -> Screen:
    """The patient in the 3D pane turned: what faces the observer moves to the right and down."""
    view = screen.solid.view
    elevation = min(max(view.elevation_deg + down_deg, -90.0), 90.0)
    turned = View(view.azimuth_deg - right_deg, elevation, view.roll_deg)
    return replace(screen, solid=replace(screen.solid, view=turned))


def seen_from(screen: Screen, view: View) -> Screen:
    return replace(screen, solid=replace(screen.solid, view=view))


def tilted(screen: Screen, pane: SliceName, clockwise_deg: float) -> Screen:
    """The crosshair of a pane turned: the two other planes turn with it about this pane's line of sight."""
    axis = tuple(-v for v in screen.slice(pane).view.towards_observer)
    for name in SLICES:
        if name != pane:
            plane = screen.slice(name)
            towards, up = (_turned(v, axis, clockwise_deg) for v in (plane.view.towards_observer, plane.view.up))
            screen = _with_slice(screen, name, replace(plane, view=View.facing(towards, up)))
    return screen


def _turned(v: Vector, axis: tuple[float, ...], degrees: float) -> Vector:
    """v turned about a unit axis, right-handed. Source: Rodrigues 1840."""
    a = vector(axis)
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    along = sum(p * q for p, q in zip(a, v, strict=True)) * (1.0 - c)
    return vector(p * c + q * s + along * r for p, q, r in zip(v, cross(a, v), a, strict=True))


def thickened(screen: Screen, pane: SliceName, slab_mm: float) -> Screen:
    return _with_slice(screen, pane, replace(screen.slice(pane), slab_mm=min(max(slab_mm, 0.0), 500.0)))


def with_mode(screen: Screen, pane: SliceName, mode: ProjectionMode) -> Screen:
    return _with_slice(screen, pane, replace(screen.slice(pane), mode=mode))


def with_transfer(screen: Screen, transfer: TransferFunction) -> Screen:
    return replace(screen, solid=replace(screen.solid, transfer=transfer, style="rendering"))


def shifted(screen: Screen, by: float) -> Screen:
    """The transfer function moved along the values, as a window is: more or less shows."""
    transfer = screen.solid.transfer
    points = tuple(replace(point, value=point.value + by) for point in transfer.points)
    return with_transfer(screen, replace(transfer, points=points))


def point_moved(screen: Screen, number: int, value: float, opacity: float) -> Screen:
    """A point of the transfer function elsewhere, but never past its neighbours."""
    points = list(screen.solid.transfer.points)
    lowest = points[number - 1].value if number > 0 else -math.inf
    highest = points[number + 1].value if number + 1 < len(points) else math.inf
    at = min(max(value, lowest), highest)
    points[number] = replace(points[number], value=at, opacity=min(max(opacity, 0.0), 1.0))
    return _with_points(screen, points)


def point_coloured(screen: Screen, number: int, red: float, green: float, blue: float) -> Screen:
    points = list(screen.solid.transfer.points)
    points[number] = replace(points[number], red=red, green=green, blue=blue)
    return _with_points(screen, points)


def point_added(screen: Screen, value: float, opacity: float) -> Screen:
    """A new point, in the colour that the function has there."""
    points = list(screen.solid.transfer.points)
    number = sum(point.value <= value for point in points)
    near = [points[max(number - 1, 0)], points[min(number, len(points) - 1)]]
    gap = near[1].value - near[0].value
    part = (value - near[0].value) / gap if gap > 0.0 else 0.0
    red, green, blue = (
        getattr(near[0], c) + part * (getattr(near[1], c) - getattr(near[0], c)) for c in ("red", "green", "blue")
    )
    points.insert(number, ControlPoint(value, red, green, blue, min(max(opacity, 0.0), 1.0)))
    return _with_points(screen, points)


def point_removed(screen: Screen, number: int) -> Screen:
    """One point less; two stay."""
    points = list(screen.solid.transfer.points)
    if len(points) > 2:
        del points[number]
    return _with_points(screen, points)


def _with_points(screen: Screen, points: Sequence[ControlPoint]) -> Screen:
    return with_transfer(screen, replace(screen.solid.transfer, points=tuple(points)))


def with_style(screen: Screen, style: Style) -> Screen:
    return replace(screen, solid=replace(screen.solid, style=style))


def cropped(screen: Screen, crop: Box | None) -> Screen:
    return replace(screen, solid=replace(screen.solid, crop=crop))


def cut(screen: Screen) -> Screen:
    """Clips away what lies between the observer and the crosshair; once more takes all clips off again."""
    if screen.solid.clips:
        return replace(screen, solid=replace(screen.solid, clips=()))
    clip = Clip(screen.cursor_mm, screen.solid.view.towards_observer)
    return replace(screen, solid=replace(screen.solid, clips=(clip,)))


def without_table(screen: Screen, above: float | None) -> Screen:
    return replace(screen, solid=replace(screen.solid, body_above=above))


def laid_out(screen: Screen, layout: Layout) -> Screen:
    return replace(screen, layout=layout)


def measured(screen: Screen, measure: Measure) -> Screen:
    return replace(screen, measures=(*screen.measures, measure))


def unmeasured(screen: Screen, number: int) -> Screen:
    return replace(screen, measures=screen.measures[:number] + screen.measures[number + 1 :])


def captured(screen: Screen, pane: PaneName, pixels: int = 512, frames: int = 1) -> Screen:
    """The picture of a pane into the tray, square, under a name of its own; of the 3D pane also as a rotation."""
    recipe = recipe_of(screen, pane, pixels, pixels)
    if frames > 1 and isinstance(recipe, Turning):
        recipe = replace(recipe, rotation=Rotation(frames), name=f"{recipe.name}, rotation")
    return collected(screen, (recipe,))


def collected(screen: Screen, recipes: Sequence[Recipe]) -> Screen:
    """Recipes into the tray, each under a name of its own: those of a protocol, for one."""
    captures = list(screen.captures)
    for recipe in recipes:
        taken = {capture.recipe.name for capture in captures}
        name, number = recipe.name, 2
        while name in taken:
            name, number = f"{recipe.name} ({number})", number + 1
        captures.append(Capture(replace(recipe, name=name)))
    return replace(screen, captures=tuple(captures))


def uncaptured(screen: Screen, number: int) -> Screen:
    return replace(screen, captures=screen.captures[:number] + screen.captures[number + 1 :])


def chosen(screen: Screen, number: int, key: bool) -> Screen:
    """A captured picture chosen for the report, or not."""
    captures = list(screen.captures)
    captures[number] = replace(captures[number], key=key)
    return replace(screen, captures=tuple(captures))
