"""The text in the corners of a pane: which lines, in three levels, and what they say. Knows no Qt."""

import math
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal, get_args

from render.geometry import Vector, View, letters, point
from render.volume import Volume
from workstation.desktop.model import edits
from workstation.desktop.model.identity import SeriesIdentity
from workstation.desktop.model.looks import unit_words
from workstation.desktop.model.screen import (
    OTHERS,
    PaneName,
    Screen,
    is_slice,
    main_pane,
    plane_name,
    to_shown,
    view_through,
)
from workstation.desktop.model.stepping import OBLIQUE_DEG, stack_axis
from workstation.errors import WorkstationError
from workstation.strict import StrictError, toml_in

TextLevel = Literal["all", "few", "none"]
TEXT_LEVELS: tuple[TextLevel, ...] = get_args(TextLevel)
Corner = Literal["top_left", "top_right", "bottom_left", "bottom_right"]
CORNERS: tuple[Corner, ...] = get_args(Corner)
PANE_FIELDS = (
    "title", "compared", "look", "slice", "position", "thickness", "slab", "window", "zoom", "value", "place",
)  # fmt: skip
FIELDS = (*(name for name in SeriesIdentity.__dataclass_fields__ if name != "thickness_mm"), *PANE_FIELDS)
# The words of a view (`View.words`).
VIEW_WORDS = (
    *("anterior", "posterior", "left", "right", "head", "foot"),
    *("towards anterior", "towards posterior", "towards left", "towards right"),
    *("up", "down", "rolled", "clockwise", "anticlockwise"),
)
_FIELD = re.compile(r"{(\w*)}")
_AXIS: dict[str, Vector] = {"axial": (0.0, 0.0, 1.0), "coronal": (0.0, 1.0, 0.0), "sagittal": (1.0, 0.0, 0.0)}


class CornersError(WorkstationError):
    """A file of corner texts is invalid; the message names the file, the corner and the field."""


Lines = Mapping[Corner, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class CornerTexts:
    """The lines of each corner, by level."""

    levels: Mapping[str, Lines]

    def filled(self, level: TextLevel, values: Mapping[str, str]) -> dict[Corner, tuple[str, ...]]:
        """Returns the lines of each corner with their fields filled; lines of which every field is empty are left
        out."""
        lines = self.levels.get(level, {})
        return {
            corner: tuple(filter(None, (_line(one, values) for one in lines.get(corner, ())))) for corner in CORNERS
        }


def _line(template: str, values: Mapping[str, str]) -> str:
    names = _FIELD.findall(template)
    if names and not any(values.get(name) for name in names):
        return ""
    return _FIELD.sub(lambda found: values.get(found[1], ""), template).strip()


def load_corners(own: Path | None = None) -> CornerTexts:
    """Reads the corner texts; a level of a reader's own file takes the place of the one that ships.

    Raises CornersError for an unknown level, corner or field.
    """
    levels = tomllib.loads((files(__package__) / "corners.toml").read_text(encoding="utf-8"))
    if own is not None and own.exists():
        try:
            given = toml_in(own)
        except (StrictError, OSError) as error:
            what = "cannot be read: " if isinstance(error, OSError) else ""
            raise CornersError(f"{own}: {what}{str(error).rstrip('.')}. Nothing was taken from it.") from error
        for level, corners in given.items():
            _check(own, level, corners)
        levels.update(given)
    return CornerTexts({level: {c: tuple(lines) for c, lines in corners.items()} for level, corners in levels.items()})


def _check(own: Path, level: str, corners: object) -> None:
    if level not in ("all", "few") or not isinstance(corners, dict):
        raise CornersError(f"{own}: unknown level {level!r}; there are [all] and [few].")
    for corner, lines in corners.items():
        if corner not in CORNERS:
            raise CornersError(f"{own}, [{level}]: unknown corner {corner!r}; there are {', '.join(CORNERS)}.")
        if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
            raise CornersError(f"{own}, [{level}] {corner}: a list of lines in quotes is expected.")
        for stray in (found for line in lines for found in re.findall(r"{[^}]*}?|}", _FIELD.sub("", line))):
            raise CornersError(f"{own}, [{level}] {corner}: {stray!r} is no field; a field is written {{patient_id}}.")
        for name in (found for line in lines for found in _FIELD.findall(line)):
            if name not in FIELDS:
                raise CornersError(f"{own}, [{level}] {corner}: unknown field {name!r}; there are {', '.join(FIELDS)}.")


def pane_values(
    screen: Screen,
    pane: PaneName,
    volume: Volume,
    identity: SeriesIdentity,
    mm_per_point: float,
    tr: Callable[[str], str] = str,
    over: SeriesIdentity | None = None,
    look: str = "",
) -> dict[str, str]:
    """Returns the fields of a pane but those under the mouse, in words. over : what lies over its planes and in 3D.
    look : title of the preset in 3D, in the language of the window; empty for its name.

    volume : the one that the pane shows. mm_per_point : size of a point of the screen in the patient. tr : puts a word
    into the language of the window.
    """
    values = {name: str(value) for name, value in asdict(identity).items() if name != "thickness_mm"}
    values |= dict.fromkeys(PANE_FIELDS, "")
    if identity.series_date == identity.study_date:
        values["series_date"] = ""
    if pane in OTHERS:
        values["compared"] = f"{tr('compared')}, {identity.study_date}".rstrip(", ")
    elif over is not None and screen.compared is not None and _has_over(screen, pane):
        said = " ".join(filter(None, (over.study_date, over.modality, over.series)))
        values["compared"] = f"{tr('over it')} {screen.compared.blend:.0%}: {said}"
    window = f"C {screen.window.centre:g}  W {screen.window.width:g}"
    name = main_pane(pane)
    if name == "solid":
        solid = screen.solid
        values["title"] = f"3D, {view_said(solid.view, tr)}"
        named = look or solid.transfer.name.replace("_", " ")
        values["look"] = named if solid.style == "rendering" else solid.style.upper()
        if solid.style != "rendering":
            values["window"] = window
        return values
    slab = edits.slab_of(screen, pane)
    values["window"] = window
    values["slab"] = f"{edits.mode_of(screen, pane).upper()} {slab:g} mm" if slab else ""
    if name == "curved":
        values["title"] = f"{tr('Curved')}, {screen.curve.form}, {screen.curve.angle_deg:g}°"
        return values
    view = screen.slice(plane_name(pane)).view
    tilt = tilt_of(name, view)
    values["title"] = tr(name.capitalize()) + (f", {tr('oblique')} {tilt:.0f}°" if tilt else "")
    move = to_shown(screen, pane)
    cursor, view = point(move, screen.cursor_mm), view_through(move, view)
    values["position"] = _position(view, cursor)
    axis = stack_axis(volume, view)
    if axis is not None:
        at = round(point(volume.to_index, cursor)[axis]) + 1
        values["slice"] = f"{at} / {volume.shape[axis]}" if 1 <= at <= volume.shape[axis] else ""
        as_acquired = identity.thickness_mm if axis == 0 and identity.thickness_mm else volume.spacing_mm[axis]
        values["thickness"] = f"{tr('thick')} {as_acquired:.3g} mm"
    if mm_per_point > 0.0:
        values["zoom"] = f"{tr('zoom')} {100.0 * min(volume.spacing_mm[1:]) / mm_per_point:.0f} %"
    return values


def _has_over(screen: Screen, pane: PaneName) -> bool:
    """Whether the compared volume is in the picture of a pane of this one."""
    return is_slice(pane) or (pane == "solid" and screen.solid.style == "rendering")


def under_the_mouse(place_mm: Vector | None, value: float | None, unit: str) -> dict[str, str]:
    """Returns the fields `value` and `place`: of the picture as it is shown, and where, LPS mm."""
    unit = unit_words(unit)
    said = "" if value is None else f"{value:.4g} {unit}".strip() if abs(value) < 1e4 else f"{value:.0f} {unit}".strip()
    where = "" if place_mm is None else "L {:.1f}  P {:.1f}  H {:.1f}".format(*(round(v, 1) + 0.0 for v in place_mm))
    return {"value": said, "place": where}


def tilt_of(name: str, view: View) -> float:
    """Returns the angle in degrees between a plane and the one of the patient that it is named after; 0 below half a
    degree, so that what is called oblique is."""
    along = abs(sum(a * b for a, b in zip(view.towards_observer, _AXIS[name], strict=True)))
    tilt = math.degrees(math.acos(min(along, 1.0)))
    return tilt if tilt > OBLIQUE_DEG else 0.0


def rounded(view: View) -> View:
    """Returns a view in tenths of a degree, as it is said."""
    return View(round(view.azimuth_deg, 1), round(view.elevation_deg, 1), round(view.roll_deg, 1))


def view_said(view: View, tr: Callable[[str], str] = str) -> str:
    """Returns a view in patient terms, in tenths of a degree and in the language of the window."""
    return re.sub(r"towards \w+|[a-z]+", lambda found: tr(found[0]), rounded(view).words)


def _position(view: View, cursor_mm: tuple[float, ...]) -> str:
    """Writes the plane's distance from the origin along its normal, with the direction as a letter: `H 12.3 mm`."""
    n = view.towards_observer
    along = sum(a * b for a, b in zip(n, cursor_mm, strict=True))
    way = n if along >= 0.0 else tuple(-v for v in n)
    return f"{letters((way[0], way[1], way[2]))} {abs(along):.1f} mm"
