"""Pictures along a vessel, as recipes: stretched and straightened curved reformats, and sections across it."""

import math

import numpy as np

from render.curved import Points, frames_along
from render.geometry import Vector, View
from render.recipe import CurvedReformat, Recipe, Reformat, Window
from render.vessels.centreline import Vessel
from render.vessels.lumen import Levels

_MOST_PLACES = 400  # of a path in a recipe
_ROUND = 3  # decimals of mm: no finer than a micrometre
_SIDE_MM = 40.0  # of a section, where the vessel is not wider


def window_for(levels: Levels) -> Window:
    """Returns the window in which lumen, wall and calcium are told apart."""
    return Window(round(levels.background + 0.75 * levels.contrast, 1), round(2.6 * levels.contrast, 1))


def path_of(vessel: Vessel) -> tuple[Vector, ...]:
    """Returns the centreline as the path of a recipe."""
    curve = vessel.centreline_mm
    chosen = np.unique(np.linspace(0, len(curve) - 1, min(len(curve), _MOST_PLACES)).round().astype(int))
    return tuple(_rounded(place) for place in curve[chosen])


def curved_pictures(vessel: Vessel) -> tuple[CurvedReformat, ...]:
    """Returns the recipes of the curved reformats: stretched, with the head on top, seen from the front and the left,
    and straightened, with the beginning on top, seen from four sides."""
    window, path = window_for(vessel.levels), path_of(vessel)
    upright = path if path[0][2] >= path[-1][2] else path[::-1]
    made = [
        CurvedReformat(window, upright, "stretched", view, name=f"Stretched, from {view.words}")
        for view in (View.parse("anterior"), View.parse("left"))
        if _is_seen_from(vessel, view)
    ]
    side = max(_SIDE_MM, 2.5 * float(vessel.sections.diameters_mm[1].max()))
    rows = 512
    pixel = round(vessel.length_mm / (rows - 1), 4)
    columns = int(min(max(64, math.ceil(side / pixel)), 512))
    straight = CurvedReformat(
        window, path, view=_beside(vessel), count=4, rows=rows, columns=columns, pixel_mm=pixel, name="Straightened"
    )
    return (*made, straight)


def section_at(vessel: Vessel, along_mm: float, name: str) -> Reformat:
    """Returns the recipe of a section across the vessel, seen from the feet where it can be."""
    at = int(np.argmin(np.abs(vessel.along_mm - along_mm)))
    side = max(_SIDE_MM, 2.5 * float(vessel.sections.diameters_mm[1][at]))
    return plane_across(vessel.centreline_mm[at], vessel.sections.tangents[at], side, vessel.levels, name)


def plane_across(centre_mm: Points, normal: Points, side_mm: float, levels: Levels, name: str) -> Reformat:
    """Returns the recipe of a square plane at right angles to `normal`, seen from the feet where it can be."""
    x, y, z = (float(value) for value in normal)
    if z > 0:
        x, y, z = -x, -y, -z
    # To the nearest tenth: nobody sees the difference, and the words of the record stay short.
    view = View(round(math.degrees(math.atan2(x, -y)), 1), round(math.degrees(math.asin(max(-1.0, min(1.0, z)))), 1))
    return Reformat(
        window_for(levels),
        view,
        rows=256,
        columns=256,
        pixel_mm=round(side_mm / 255.0, 4),
        centre_mm=_rounded(centre_mm),
        interpolation="cubic",
        name=name,
    )


def _rounded(place: Points) -> Vector:
    x, y, z = (round(float(value), _ROUND) for value in place)
    return (x, y, z)


def _is_seen_from(vessel: Vessel, view: View) -> bool:
    """Whether the vessel runs down the picture there, and not along its rows."""
    run = vessel.centreline_mm[-1] - vessel.centreline_mm[0]
    across = float(np.dot(run, view.right))
    return abs(across) < 0.9 * float(np.linalg.norm(run))


def _beside(vessel: Vessel) -> View:
    """A view at right angles to the beginning of the vessel, as near to the front as can be."""
    tangent = vessel.sections.tangents[0]
    front = np.array([0.0, -1.0, 0.0])
    facing = front - tangent * float(front @ tangent)
    if float(np.linalg.norm(facing)) < 0.2:
        facing = frames_along(vessel.centreline_mm[:1], vessel.sections.tangents[:1])[0]
    x, y, z = (float(value) for value in facing / np.linalg.norm(facing))
    return View(round(math.degrees(math.atan2(x, -y)), 1), round(math.degrees(math.asin(max(-1.0, min(1.0, z)))), 1))


def vessel_pictures(vessel: Vessel, places: dict[str, float]) -> tuple[Recipe, ...]:
    """Returns the curved reformats and the sections at named places along the vessel."""
    return (*curved_pictures(vessel), *(section_at(vessel, at, name) for name, at in places.items()))
