"""Edits of a screen: each returns a new screen, or the same one where nothing changes. Knows no Qt."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from render.geometry import Box, Matrix, Vector, View, cross, vector
from render.mask_steps import Automatic, Bone, MaskStep
from render.recipe import Clip, ControlPoint, ProjectionMode, Recipe, Rotation, TransferFunction
from render.recipe import Solid as Turning
from render.recipe import Window as ValueWindow
from workstation.desktop.model.screen import (
    CUT_AWAY,
    LAYOUTS,
    SLICES,
    Capture,
    Compared,
    CurveForm,
    Layout,
    PaneName,
    Screen,
    SliceName,
    SlicePane,
    SolidPane,
    Style,
    VolumeKey,
    is_fused,
    is_slice,
    main_pane,
    plane_name,
    recipe_of,
    view_through,
)

# The limits of zoom: smaller than any structure, larger than any patient.
_LEAST_MM, _MOST_MM = 5.0, 3000.0


def at_cursor(screen: Screen, place_mm: Vector) -> Screen:
    """Moves the crosshair; all planes follow."""
    return replace(screen, cursor_mm=vector(place_mm))


def windowed(screen: Screen, window: ValueWindow) -> Screen:
    return replace(screen, window=window)


def panned(screen: Screen, pane: PaneName, right_mm: float, down_mm: float) -> Screen:
    """Moves the picture of a pane to the right and down: its middle moves the other way."""
    if main_pane(pane) == "solid":
        return replace(screen, solid=replace(screen.solid, centre_mm=_pushed(screen.solid, right_mm, down_mm)))
    if not is_slice(pane):
        return screen  # a curved picture always shows its whole path
    plane = screen.slice(plane_name(pane))
    return _with_slice(screen, plane_name(pane), replace(plane, centre_mm=_pushed(plane, right_mm, down_mm)))


def _pushed(pane: SlicePane | SolidPane, right_mm: float, down_mm: float) -> Vector:
    right, up = pane.view.right, pane.view.up
    return vector(c - right_mm * r + down_mm * u for c, r, u in zip(pane.centre_mm, right, up, strict=True))


def zoomed(screen: Screen, pane: PaneName, factor: float) -> Screen:
    """Zooms a pane. factor : above 1 magnifies."""
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
    """Turns the patient in the 3D pane: the side that faces the observer moves to the right and down."""
    view = screen.solid.view
    elevation = min(max(view.elevation_deg + down_deg, -90.0), 90.0)
    turned = View(view.azimuth_deg - right_deg, elevation, view.roll_deg)
    return replace(screen, solid=replace(screen.solid, view=turned))


def seen_from(screen: Screen, view: View) -> Screen:
    return replace(screen, solid=replace(screen.solid, view=view))


def tilted(screen: Screen, pane: SliceName, clockwise_deg: float) -> Screen:
    """Turns the crosshair of a pane: the two other planes turn about this pane's line of sight."""
    axis = tuple(-v for v in screen.slice(pane).view.towards_observer)
    for name in SLICES:
        if name != pane:
            plane = screen.slice(name)
            towards, up = (_turned(v, axis, clockwise_deg) for v in (plane.view.towards_observer, plane.view.up))
            screen = _with_slice(screen, name, replace(plane, view=View.facing(towards, up)))
    return screen


def faced(screen: Screen, pane: SliceName, view: View) -> Screen:
    """Turns a plane so that it is seen from `view`, the two others with it, about the crosshair in the middle."""
    before = screen.slice(pane).view
    old, new = ((v.right, v.up, v.towards_observer) for v in (before, view))
    for name in SLICES:
        plane = screen.slice(name)
        towards, up = (_carried(v, old, new) for v in (plane.view.towards_observer, plane.view.up))
        turned = view if name == pane else View.facing(towards, up)
        screen = _with_slice(screen, name, replace(plane, view=turned, centre_mm=screen.cursor_mm))
    return screen


def _carried(v: Vector, old: Sequence[Vector], new: Sequence[Vector]) -> Vector:
    """Returns the vector that lies to the axes `new` as v does to `old`; both are of length 1 and at right angles."""
    parts = [sum(a * b for a, b in zip(v, axis, strict=True)) for axis in old]
    return vector(sum(part * axis[n] for part, axis in zip(parts, new, strict=True)) for n in range(3))


def _turned(v: Vector, axis: tuple[float, ...], degrees: float) -> Vector:
    """Turns v about a unit axis, right-handed. Source: Rodrigues 1840."""
    a = vector(axis)
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    along = sum(p * q for p, q in zip(a, v, strict=True)) * (1.0 - c)
    return vector(p * c + q * s + along * r for p, q, r in zip(v, cross(a, v), a, strict=True))


def thickened(screen: Screen, pane: PaneName, slab_mm: float) -> Screen:
    """Sets the slab of a plane or of the curved pane; the 3D pane has none."""
    slab = min(max(slab_mm, 0.0), 500.0)
    if is_slice(pane):
        return _with_slice(screen, plane_name(pane), replace(screen.slice(plane_name(pane)), slab_mm=slab))
    return replace(screen, curve=replace(screen.curve, slab_mm=slab)) if pane == "curved" else screen


def slab_of(screen: Screen, pane: PaneName) -> float:
    """Returns the slab of a pane in mm; 0 where it has none."""
    if is_slice(pane):
        return screen.slice(plane_name(pane)).slab_mm
    return screen.curve.slab_mm if pane == "curved" else 0.0


def mode_of(screen: Screen, pane: PaneName) -> ProjectionMode:
    """Returns how the slab of a plane or of the curved pane is combined."""
    return screen.slice(plane_name(pane)).mode if is_slice(pane) else screen.curve.mode


def with_mode(screen: Screen, pane: PaneName, mode: ProjectionMode) -> Screen:
    if is_slice(pane):
        return _with_slice(screen, plane_name(pane), replace(screen.slice(plane_name(pane)), mode=mode))
    return replace(screen, curve=replace(screen.curve, mode=mode)) if pane == "curved" else screen


def with_transfer(screen: Screen, transfer: TransferFunction) -> Screen:
    return replace(screen, solid=replace(screen.solid, transfer=transfer, style="rendering"))


def shifted(screen: Screen, by: float) -> Screen:
    """Moves the transfer function along the values, like a window's centre."""
    transfer = screen.solid.transfer
    points = tuple(replace(point, value=point.value + by) for point in transfer.points)
    return with_transfer(screen, replace(transfer, points=points))


def point_moved(screen: Screen, number: int, value: float, opacity: float) -> Screen:
    """Moves a point of the transfer function, but never past its neighbours."""
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
    """Adds a point, in the colour that the function has there."""
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
    """Removes a point; at least two stay."""
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
    """Clips away everything between the observer and the crosshair; when clipped already, removes all clips."""
    if screen.solid.clips:
        return replace(screen, solid=replace(screen.solid, clips=()))
    clip = Clip(screen.cursor_mm, screen.solid.view.towards_observer)
    return replace(screen, solid=replace(screen.solid, clips=(clip,)))


def crop_moved(screen: Screen, whole: Box, axis: int, upper: bool, at_mm: float) -> Screen:
    """Moves one face of the crop box, but never past the opposite one. whole : the box that crops nothing; a crop box
    as large as it is removed."""
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
    """Adds a step that cuts something from the 3D pane."""
    return replace(screen, solid=replace(screen.solid, steps=(*screen.solid.steps, step)))


def made_whole(screen: Screen) -> Screen:
    """Brings back everything that was cut away: pieces, scissors, bone, clips and crop. Segments stay."""
    steps = tuple(step for step in screen.solid.steps if step.label != CUT_AWAY)
    return replace(screen, solid=replace(screen.solid, steps=steps, clips=(), crop=None))


def has_no_bone(screen: Screen) -> bool:
    """Whether bone was taken away."""
    return any(_takes_bone(step) for step in screen.solid.steps)


def with_bone(screen: Screen) -> Screen:
    """Brings bone back. Unlike other steps it can be undone when others followed."""
    steps = tuple(step for step in screen.solid.steps if not _takes_bone(step))
    return replace(screen, solid=replace(screen.solid, steps=steps))


def _takes_bone(step: MaskStep) -> bool:
    automatic = isinstance(step, Automatic) and step.structure == "bone"
    return step.label == CUT_AWAY and (automatic or isinstance(step, Bone))


def path_added(screen: Screen, place_mm: Vector) -> Screen:
    """Adds a point at the end of the path; the same point twice counts once."""
    path = screen.curve.path_mm
    if path and math.dist(path[-1], place_mm) < 0.5:
        return screen
    rounded = vector(round(v, 3) for v in place_mm)
    return replace(screen, curve=replace(screen.curve, path_mm=(*path, rounded)))


def path_laid(screen: Screen, path_mm: Sequence[Vector]) -> Screen:
    """Sets the whole path, such as a centreline, and shows it laid flat."""
    return replace(screen, curve=replace(screen.curve, path_mm=tuple(path_mm)), layout="curved")


def path_shortened(screen: Screen) -> Screen:
    """Removes the last point of the path."""
    return replace(screen, curve=replace(screen.curve, path_mm=screen.curve.path_mm[:-1]))


def path_cleared(screen: Screen) -> Screen:
    return replace(screen, curve=replace(screen.curve, path_mm=()))


def curve_turned(screen: Screen, by_deg: float) -> Screen:
    """Turns a straightened picture about its path."""
    angle = (screen.curve.angle_deg + by_deg + 180.0) % 360.0 - 180.0
    return replace(screen, curve=replace(screen.curve, angle_deg=angle))


def curve_formed(screen: Screen, form: CurveForm, view: View | None = None) -> Screen:
    """Sets the form of the curved picture: straightened, or stretched and seen from a side."""
    return replace(screen, curve=replace(screen.curve, form=form, view=view or screen.curve.view))


def compared_with(screen: Screen, compared: Compared) -> Screen:
    """Shows another volume beside this one."""
    return replace(screen, compared=compared, layout="compare")


def compared_no_more(screen: Screen) -> Screen:
    layout: Layout = "four" if screen.layout.startswith("compare") else screen.layout
    return replace(screen, compared=None, layout=layout)


def other_moved(screen: Screen, pane: PaneName, right_mm: float, down_mm: float) -> Screen:
    """Moves the other volume to the right and down under the crosshair, to align it with this one."""
    if screen.compared is None:
        return screen
    shown = screen.slice(plane_name(pane)).view if is_slice(pane) else screen.solid.view
    view, before = view_through(screen.compared.to_other, shown), screen.compared.offset_mm
    moved = vector(o - right_mm * r + down_mm * u for o, r, u in zip(before, view.right, view.up, strict=True))
    return _with_compared(screen, offset_mm=moved)


def registered(screen: Screen, matrix: Matrix) -> Screen:
    """Lays the other volume over this one as registration found: this volume's LPS mm to the other's."""
    return _with_compared(screen, matrix=matrix, offset_mm=(0.0, 0.0, 0.0))


def blended(screen: Screen, blend: float) -> Screen:
    """Sets how much of the other volume lies over the planes of this one, and in its 3D."""
    return _with_compared(screen, blend=min(max(round(blend, 2), 0.0), 1.0))


def other_looks(screen: Screen, transfer: TransferFunction | None) -> Screen:
    """Sets how the other volume looks in this one's 3D; None for the colours that it has over planes."""
    return _with_compared(screen, transfer=transfer)


def _with_compared(screen: Screen, **changes: Any) -> Screen:
    return screen if screen.compared is None else replace(screen, compared=replace(screen.compared, **changes))


def without_table(screen: Screen, above: float | None) -> Screen:
    return replace(screen, solid=replace(screen.solid, body_above=above))


def laid_out(screen: Screen, layout: Layout) -> Screen:
    """Sets the layout; a comparison layout needs another volume."""
    if layout.startswith("compare") and screen.compared is None:
        return screen
    return replace(screen, layout=layout)


def next_layout(screen: Screen) -> Screen:
    """Sets the next layout that can be shown."""
    names = [name for name in LAYOUTS if screen.compared is not None or not name.startswith("compare")]
    return laid_out(screen, names[(names.index(screen.layout) + 1) % len(names)])


def captured(screen: Screen, pane: PaneName, pixels: int = 512, frames: int = 1) -> Screen:
    """Puts the picture of a pane into the tray, square, under a unique name; of the 3D pane also as a rotation."""
    recipe = recipe_of(screen, main_pane(pane), pixels, pixels)
    if recipe is None:
        return screen
    if frames > 1 and isinstance(recipe, Turning):
        recipe = replace(recipe, rotation=Rotation(frames), name=f"{recipe.name}, rotation")
    after = collected(screen, (recipe,))
    taken = replace(after.captures[-1], second=second_of(screen, recipe))
    return replace(after, captures=(*screen.captures, taken))


def second_of(screen: Screen, recipe: Recipe) -> VolumeKey | None:
    """Returns the volume that a pane's recipe lays over the first; None where it lays none."""
    return screen.compared.key if is_fused(recipe) and screen.compared is not None else None


def collected(screen: Screen, recipes: Sequence[Recipe]) -> Screen:
    """Puts recipes into the tray, such as those of a protocol, each under a unique name."""
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
    """Chooses a captured picture for the report, or not."""
    captures = list(screen.captures)
    captures[number] = replace(captures[number], key=key)
    return replace(screen, captures=tuple(captures))
