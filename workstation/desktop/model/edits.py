"""Edits of a screen: each returns another one, or the same where nothing changes. Knows no Qt."""

import math
from collections.abc import Sequence
from dataclasses import replace

from render.geometry import Box, Vector, View, cross, vector
from render.mask_steps import Bone, MaskStep
from render.recipe import Clip, ControlPoint, ProjectionMode, Recipe, Rotation, TransferFunction
from render.recipe import Solid as Turning
from render.recipe import Window as ValueWindow
from workstation.desktop.model.screen import (
    LAYOUTS,
    SLICES,
    Capture,
    Compared,
    CurveForm,
    Layout,
    Measure,
    PaneName,
    Screen,
    SliceName,
    SlicePane,
    SolidPane,
    Style,
    is_slice,
    main_pane,
    plane_name,
    recipe_of,
)

# Smaller than any structure and larger than any patient: what zoom stops at.
_LEAST_MM, _MOST_MM = 5.0, 3000.0


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
    if main_pane(pane) == "solid":
        return replace(screen, solid=replace(screen.solid, centre_mm=_pushed(screen.solid, right_mm, down_mm)))
    if not is_slice(pane):
        return screen  # a curved picture shows all of its path
    plane = screen.slice(plane_name(pane))
    return _with_slice(screen, plane_name(pane), replace(plane, centre_mm=_pushed(plane, right_mm, down_mm)))


def _pushed(pane: SlicePane | SolidPane, right_mm: float, down_mm: float) -> Vector:
    right, up = pane.view.right, pane.view.up
    return vector(c - right_mm * r + down_mm * u for c, r, u in zip(pane.centre_mm, right, up, strict=True))


def zoomed(screen: Screen, pane: PaneName, factor: float) -> Screen:
    """factor above 1: nearer."""
    if main_pane(pane) == "solid":
        height = min(max(screen.solid.height_mm / factor, _LEAST_MM), _MOST_MM)
        return replace(screen, solid=replace(screen.solid, height_mm=height))
    if not is_slice(pane):
        return screen
    plane = screen.slice(plane_name(pane))
    height = min(max(plane.height_mm / factor, _LEAST_MM), _MOST_MM)
    return _with_slice(screen, plane_name(pane), replace(plane, height_mm=height))


def _with_slice(screen: Screen, name: SliceName, plane: SlicePane) -> Screen:
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


def thickened(screen: Screen, pane: PaneName, slab_mm: float) -> Screen:
    """The slab of a plane or of the curved pane; the 3D pane has none."""
    slab = min(max(slab_mm, 0.0), 500.0)
    if is_slice(pane):
        return _with_slice(screen, plane_name(pane), replace(screen.slice(plane_name(pane)), slab_mm=slab))
    return replace(screen, curve=replace(screen.curve, slab_mm=slab)) if pane == "curved" else screen


def slab_of(screen: Screen, pane: PaneName) -> float:
    """mm of the slab of a pane; 0 where it has none."""
    if is_slice(pane):
        return screen.slice(plane_name(pane)).slab_mm
    return screen.curve.slab_mm if pane == "curved" else 0.0


def mode_of(screen: Screen, pane: PaneName) -> ProjectionMode:
    """How the slab of a plane or of the curved pane is made."""
    return screen.slice(plane_name(pane)).mode if is_slice(pane) else screen.curve.mode


def with_mode(screen: Screen, pane: PaneName, mode: ProjectionMode) -> Screen:
    if is_slice(pane):
        return _with_slice(screen, plane_name(pane), replace(screen.slice(plane_name(pane)), mode=mode))
    return replace(screen, curve=replace(screen.curve, mode=mode)) if pane == "curved" else screen


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


def crop_moved(screen: Screen, whole: Box, axis: int, upper: bool, at_mm: float) -> Screen:
    """One face of the crop box elsewhere, but never past the opposite one. whole : the box that crops nothing away;
    back at it the box is gone."""
    box, ends = screen.solid.crop or whole, (whole.lower_mm[axis], whole.upper_mm[axis])
    least = (ends[1] - ends[0]) * 0.02
    lower, upper_mm = list(box.lower_mm), list(box.upper_mm)
    if upper:
        upper_mm[axis] = min(max(at_mm, lower[axis] + least), ends[1])
    else:
        lower[axis] = max(min(at_mm, upper_mm[axis] - least), ends[0])
    made = Box(vector(lower), vector(upper_mm))
    return cropped(screen, None if made == whole else made)


def cut_out(screen: Screen, step: MaskStep) -> Screen:
    """One thing more cut away from the 3D pane."""
    return replace(screen, solid=replace(screen.solid, steps=(*screen.solid.steps, step)))


def made_whole(screen: Screen) -> Screen:
    """All that was cut away is back: pieces, scissors, bone, clips and crop."""
    return replace(screen, solid=replace(screen.solid, steps=(), clips=(), crop=None))


def without_bone(screen: Screen) -> Screen:
    """Bone away, and back. Unlike other steps it can be taken back from between them."""
    others = tuple(step for step in screen.solid.steps if not isinstance(step, Bone))
    steps = others if len(others) < len(screen.solid.steps) else (*others, Bone())
    return replace(screen, solid=replace(screen.solid, steps=steps))


def path_added(screen: Screen, place_mm: Vector) -> Screen:
    """One place more at the end of the path; the same place twice is one."""
    path = screen.curve.path_mm
    if path and math.dist(path[-1], place_mm) < 0.5:
        return screen
    rounded = vector(round(v, 3) for v in place_mm)
    return replace(screen, curve=replace(screen.curve, path_mm=(*path, rounded)))


def path_shortened(screen: Screen) -> Screen:
    """Without the last place of the path."""
    return replace(screen, curve=replace(screen.curve, path_mm=screen.curve.path_mm[:-1]))


def path_cleared(screen: Screen) -> Screen:
    return replace(screen, curve=replace(screen.curve, path_mm=()))


def curve_turned(screen: Screen, by_deg: float) -> Screen:
    """A straightened picture turned about its path."""
    angle = (screen.curve.angle_deg + by_deg + 180.0) % 360.0 - 180.0
    return replace(screen, curve=replace(screen.curve, angle_deg=angle))


def curve_formed(screen: Screen, form: CurveForm, view: View | None = None) -> Screen:
    """Straightened, or stretched and seen from a side."""
    return replace(screen, curve=replace(screen.curve, form=form, view=view or screen.curve.view))


def compared_with(screen: Screen, compared: Compared) -> Screen:
    """Another volume beside this one."""
    return replace(screen, compared=compared, layout="compare")


def compared_no_more(screen: Screen) -> Screen:
    layout: Layout = "four" if screen.layout.startswith("compare") else screen.layout
    return replace(screen, compared=None, layout=layout)


def other_moved(screen: Screen, pane: PaneName, right_mm: float, down_mm: float) -> Screen:
    """The other volume pushed to the right and down under the crosshair, to bring it over this one."""
    if screen.compared is None:
        return screen
    view = screen.slice(plane_name(pane)).view if is_slice(pane) else screen.solid.view
    moved = vector(
        o - right_mm * r + down_mm * u for o, r, u in zip(screen.compared.offset_mm, view.right, view.up, strict=True)
    )
    return replace(screen, compared=replace(screen.compared, offset_mm=moved))


def without_table(screen: Screen, above: float | None) -> Screen:
    return replace(screen, solid=replace(screen.solid, body_above=above))


def laid_out(screen: Screen, layout: Layout) -> Screen:
    """Another layout; one for a comparison needs something to compare with."""
    if layout.startswith("compare") and screen.compared is None:
        return screen
    return replace(screen, layout=layout)


def next_layout(screen: Screen) -> Screen:
    """The one after it of those that can be shown."""
    names = [name for name in LAYOUTS if screen.compared is not None or not name.startswith("compare")]
    return laid_out(screen, names[(names.index(screen.layout) + 1) % len(names)])


def measured(screen: Screen, measure: Measure) -> Screen:
    return replace(screen, measures=(*screen.measures, measure))


def unmeasured(screen: Screen, number: int) -> Screen:
    return replace(screen, measures=screen.measures[:number] + screen.measures[number + 1 :])


def captured(screen: Screen, pane: PaneName, pixels: int = 512, frames: int = 1) -> Screen:
    """The picture of a pane into the tray, square, under a name of its own; of the 3D pane also as a rotation."""
    recipe = recipe_of(screen, main_pane(pane), pixels, pixels)
    if recipe is None:
        return screen
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
