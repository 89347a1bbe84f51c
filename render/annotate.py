"""Annotation of a picture: orientation letters and cube, scale bar, view, window or preset, slab.

It is drawn on a copy of the RGB picture; the pixels that are digested and re-made never carry it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from render import fonts
from render.curved import pixel_mm as curved_pixel_mm
from render.engine.framing import views
from render.errors import RenderError
from render.geometry import Vector, View, letters
from render.picture import Picture, to_rgb
from render.recipe import CurvedReformat, Projection, Reformat, Solid, VolumeRendering

_TEXT, _LETTER, _SHADOW = (225, 225, 225), (255, 210, 80), (0, 0, 0)
# The six faces of the cube: outward LPS direction and the face's letter.
_FACES: tuple[tuple[Vector, str], ...] = (
    ((1.0, 0.0, 0.0), "L"),
    ((-1.0, 0.0, 0.0), "R"),
    ((0.0, 1.0, 0.0), "P"),
    ((0.0, -1.0, 0.0), "A"),
    ((0.0, 0.0, 1.0), "H"),
    ((0.0, 0.0, -1.0), "F"),
)
_LEAST_PX = 8
_SCALES_MM = (200, 100, 50, 20, 10, 5, 2, 1)


class AnnotationError(RenderError):
    """The annotation does not fit on a picture; the message says why and what to do."""


def annotated(
    picture: Picture, frame: int = 0, banner: Sequence[str] = (), font: Path | None = None
) -> NDArray[np.uint8]:
    """Returns (rows, columns, 3) uint8: the frame with its annotation.

    banner : lines for the upper right corner, e.g. patient and study; the caller protects them.
    font : a font file to try first for their letters.

    Raises FontError when the banner cannot be written as it is, AnnotationError when the picture is too small for it.
    """
    image = Image.fromarray(to_rgb(picture, frame))
    draw = ImageDraw.Draw(image)
    view = views(picture.recipe)[frame]
    size = max(9, min(image.size) // 36)
    if isinstance(picture.recipe, CurvedReformat):  # its edges are no sides of the patient
        _scale_bar(draw, curved_pixel_mm(picture.recipe), image.size, size)
    else:
        _edge_letters(draw, view, image.size, size)
        _cube(draw, view, (image.width - 3 * size, image.height - 5 * size), 1.6 * size, size)
    if picture.planes:
        _scale_bar(draw, picture.planes[frame].pixel_spacing_mm[1], image.size, size)
    lines = [part for line in description(picture, frame) for part in _wrapped(line, image.width - size, size)]
    for number, line in enumerate(lines):
        _text(draw, line, (size // 2, size // 2 + number * (size + 2)), _TEXT, size)
    if banner:
        taken = max(fonts.length(fonts.nearly(line, size)) for line in lines)
        _banner(draw, banner, font, image.size, taken, len(lines), size)
    return np.asarray(image, dtype=np.uint8)


def _wrapped(line: str, width: int, size: int) -> list[str]:
    """Breaks a line after commas so that each part is at most `width` pixels wide, as far as commas allow."""
    parts: list[str] = []
    for piece in line.split(", "):
        if parts and fonts.length(fonts.nearly(f"{parts[-1]}, {piece}", size)) <= width:
            parts[-1] += f", {piece}"
        else:
            parts.append(piece)
    return parts


def _banner(
    draw: ImageDraw.ImageDraw,
    lines: Sequence[str],
    font: Path | None,
    size_px: tuple[int, int],
    taken: float,
    taken_lines: int,
    size: int,
) -> None:
    """Writes lines that end at the right edge, below those on the left (`taken` pixels wide) where both do not fit in a
    row.

    A line too long for the picture is written smaller, never shortened: half a name is another name.
    """
    (width, height), longest = size_px, max(fonts.length(fonts.runs(line, size, font)) for line in lines)
    top = size // 2 if taken + longest + 3 * size <= width else size // 2 + (taken_lines + 1) * (size + 2)
    size = max(_LEAST_PX, min(size, int(size * (width - size) / max(longest, 1.0))))
    placed = [fonts.runs(line, size, font) for line in lines]
    if top + len(lines) * (size + 3) > height or max(map(fonts.length, placed)) > width:
        raise AnnotationError(
            f"A picture of {height} x {width} pixels is too small for {len(lines)} lines that say whose it is. Nothing "
            "was written on it; draw it larger, or leave patient and study out."
        )
    for number, pieces in enumerate(placed):
        at = (width - fonts.length(pieces) - size // 2, top + number * (size + 3))
        fonts.write(draw, at, pieces, _TEXT, _SHADOW)


def description(picture: Picture, frame: int = 0) -> list[str]:
    """Returns name, view, and window or preset as lines; no patient data."""
    recipe = picture.recipe
    count = len(picture.pixels)
    lines = [recipe.name or recipe.kind.replace("_", " ")]
    if count > 1:
        lines[0] += f" {frame + 1}/{count}"
    view = views(recipe)[frame]
    # Readers need no more than a tenth of a degree; turned and radial views have more digits.
    view = View(round(view.azimuth_deg, 1), round(view.elevation_deg, 1), round(view.roll_deg, 1))
    lines.append(recipe.form if isinstance(recipe, CurvedReformat) else f"seen from {view.words}")
    if isinstance(recipe, VolumeRendering):
        lines.append(f"preset {recipe.transfer.name}")
        if recipe.field_of_view_deg is not None:
            lines.append(f"perspective of {recipe.field_of_view_deg:g}°, no scale")
    else:
        unit = picture.provenance.volume.unit if picture.unit == "RGB" else picture.unit
        lines.append(f"C {recipe.window.centre:g} W {recipe.window.width:g} {unit}")
    if isinstance(recipe, Reformat) and recipe.fusion is not None:
        over = recipe.fusion.window
        lines.append(f"fused C {over.centre:g} W {over.width:g}")
    if isinstance(recipe, Projection):
        slab = f"{recipe.slab_mm:g} mm" if recipe.slab_mm is not None else "whole volume"
        lines.append(f"{recipe.mode.upper()} of {slab}")
    elif isinstance(recipe, Reformat | CurvedReformat) and recipe.thickness_mm > 0:
        lines.append(f"{recipe.mode.upper()} of {recipe.thickness_mm:g} mm")
    if isinstance(recipe, Solid):
        cuts = [f"{len(recipe.clips)} clipped" if recipe.clips else "", "segments" if recipe.masking else ""]
        if any(cuts):
            lines.append(", ".join(cut for cut in cuts if cut))
    return lines


def _edge_letters(draw: ImageDraw.ImageDraw, view: View, size_px: tuple[int, int], size: int) -> None:
    width, height = size_px
    left, down = tuple(-v for v in view.right), tuple(-v for v in view.up)
    for direction, at in (
        (left, (size // 2, (height - size) / 2)),
        (view.right, (width - 2 * size, (height - size) / 2)),
        (view.up, (width / 2 - size / 2, size // 2)),
        (down, (width / 2 - size / 2, height - 2 * size)),
    ):
        _text(draw, letters(direction), at, _LETTER, size)


def _scale_bar(draw: ImageDraw.ImageDraw, pixel_mm: float, size_px: tuple[int, int], size: int) -> None:
    """Draws the scale bar: the longest round length that takes at most a quarter of the picture's width."""
    width, height = size_px
    length = next((mm for mm in _SCALES_MM if mm / pixel_mm <= width / 4), None)
    if length is None:
        return
    x0, x1, y = size, size + length / pixel_mm, height - size
    for colour, widths in ((_SHADOW, 4), (_TEXT, 2)):
        draw.line([(x0, y), (x1, y)], colour, widths)
        for x in (x0, x1):
            draw.line([(x, y - size / 2), (x, y)], colour, widths)
    label = f"{length // 10} cm" if length >= 10 else f"{length} mm"
    _text(draw, label, (x0, y - 2 * size), _TEXT, size)


@dataclass(frozen=True, slots=True)
class Face:
    """A visible face of the orientation cube. corners, middle : (x, y) in half edges from the middle of the cube, x to
    the right, y down. light : 0…1, how squarely it faces the reader. letter : of the side, empty where too slanted."""

    corners: tuple[tuple[float, float], ...]
    middle: tuple[float, float]
    light: float
    letter: str


def cube(view: View) -> list[Face]:
    """Returns the visible faces of a cube that turns with the patient, each with the letter of its side."""
    right, down, toward = view.right, tuple(-v for v in view.up), view.towards_observer

    def on_picture(at: Sequence[float]) -> tuple[float, float]:
        x, y = (sum(a * b for a, b in zip(at, axis, strict=True)) for axis in (right, down))
        return (0.8 * x, 0.8 * y)

    faces = []
    for normal, letter in _FACES:
        light = sum(a * b for a, b in zip(normal, toward, strict=True))
        if light < 0.05:
            continue
        axis = max(range(3), key=lambda n: abs(normal[n]))
        others = [n for n in range(3) if n != axis]
        corners = []
        for a, b in ((-1, -1), (-1, 1), (1, 1), (1, -1)):
            corner = list(normal)
            corner[others[0]], corner[others[1]] = float(a), float(b)
            corners.append(on_picture(corner))
        faces.append(Face(tuple(corners), on_picture(normal), light, letter if light > 0.35 else ""))
    return faces


def _cube(draw: ImageDraw.ImageDraw, view: View, centre: tuple[float, float], half: float, size: int) -> None:
    def placed(at: tuple[float, float]) -> tuple[float, float]:
        return (centre[0] + half * at[0], centre[1] + half * at[1])

    for face in cube(view):
        shade = int(60 + 100 * face.light)
        draw.polygon([placed(c) for c in face.corners], fill=(shade, shade, shade + 15), outline=_LETTER)
        if face.letter:
            x, y = placed(face.middle)
            width = fonts.length(fonts.nearly(face.letter, size))
            _text(draw, face.letter, (x - width / 2, y - size * 0.6), _LETTER, size)


def _text(
    draw: ImageDraw.ImageDraw, text: str, at: tuple[float, float], colour: tuple[int, int, int], size: int
) -> None:
    """Writes light text with a dark edge, readable on bone and on air."""
    fonts.write(draw, at, fonts.nearly(text, size), colour, _SHADOW)
