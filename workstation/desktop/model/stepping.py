"""Scrolling by images: a click of the wheel shows the next one, as it was acquired, and none beyond the last."""

import math

import numpy as np

from render.geometry import View, corners_mm, inverse, point, vector
from render.volume import Volume
from workstation.desktop.model.edits import at_cursor
from workstation.desktop.model.screen import Screen, SliceName

OBLIQUE_DEG = 0.5  # what is tilted by more is oblique
_SAME = 1e-6  # of a step


def stack_axis(volume: Volume, view: View) -> int | None:
    """Returns the index axis (0 : slices, 1 : rows, 2 : columns) that a plane lies across; None for a tilted one."""
    for axis in range(3):
        column = volume.affine[:3, axis]
        length = math.hypot(*(float(v) for v in column))
        along = abs(sum(float(a) * b for a, b in zip(column, view.towards_observer, strict=True))) / length
        if along > math.cos(math.radians(OBLIQUE_DEG)):
            return axis
    return None


def stepped(screen: Screen, pane: SliceName, steps: float, volume: Volume, other: Volume | None = None) -> Screen:
    """Moves the plane of a pane away from the observer (steps > 0) or towards it, as far as there is something to see.

    A plane that lies as the images do goes by whole images to the middle of one, for a part of a click by that part; a
    tilted one by the smallest voxel spacing. other : the compared volume, which may reach further.
    """
    view = screen.slice(pane).view
    away = tuple(-v for v in view.towards_observer)
    corners = corners_mm(volume.shape, volume.affine)
    if other is not None and screen.compared is not None:
        back = inverse(screen.compared.to_other)
        beside = [point(back, corner) for corner in corners_mm(other.shape, other.affine)]
        corners = np.concatenate((corners, beside))
    axis = stack_axis(volume, view)
    if axis is None:
        along, size = away, min(volume.spacing_mm)
        depths = [float(depth) for depth in corners @ np.array(away)]
        at = sum(c * a for c, a in zip(screen.cursor_mm, away, strict=True))
        to, first, last = at + steps * size, min(depths), max(depths)
    else:
        along = tuple(float(v) for v in volume.affine[:3, axis])
        at = point(volume.to_index, screen.cursor_mm)[axis]
        way = 1.0 if sum(a * b for a, b in zip(along, away, strict=True)) > 0.0 else -1.0
        places = [point(volume.to_index, corner)[axis] for corner in corners]
        # Whole images of this volume, also where the other one reaches further.
        to, first, last = at + way * steps, math.ceil(min(places) - _SAME), math.floor(max(places) + _SAME)
        if float(steps).is_integer():
            to = float(round(to))
    to = min(max(to, first), last)
    if abs(to - at) < _SAME:
        return screen
    return at_cursor(screen, vector(c + (to - at) * a for c, a in zip(screen.cursor_mm, along, strict=True)))
