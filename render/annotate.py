"""What a reader needs on a picture: orientation letters and cube, scale bar, view, window or preset, slab.

Annotation is drawn on a copy of the RGB picture; the pixels that are digested and re-made never carry it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from render.geometry import Plane, Vector, View, letters
from render.picture import Picture, to_rgb
from render.recipe import Projection, Recipe, Reformat, VolumeRendering

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
_SCALES_MM = (200, 100, 50, 20, 10, 5, 2, 1)


def annotated(picture: Picture, frame: int = 0, banner: Sequence[str] = ()) -> NDArray[np.uint8]:
    """(rows, columns, 3) uint8: the frame with its annotation.

    banner : lines for the upper right corner, e.g. patient and study; they are the caller's to protect.
    """
    image = Image.fromarray(to_rgb(picture, frame))
    draw = ImageDraw.Draw(image)
    view = _view(picture.recipe, frame, len(picture.pixels))
    size = max(9, min(image.size) // 36)
    font = ImageFont.load_default(size)
    _edge_letters(draw, font, view, image.size, size)
    _cube(draw, view, (image.width - 3 * size, image.height - 5 * size), 1.6 * size, size)
    if picture.planes:
        _scale_bar(draw, font, picture.planes[frame], image.size, size)
    _lines(draw, font, description(picture, frame), (size // 2, size // 2), size)
    for number, line in enumerate(banner):
        width = draw.textlength(line, font=font)
        _text(draw, font, line, (image.width - width - size // 2, size // 2 + number * (size + 2)), _TEXT)
    return np.asarray(image, dtype=np.uint8)


def description(picture: Picture, frame: int = 0) -> list[str]:
    """Name, view, and what the values were shown with; no patient data."""
    recipe = picture.recipe
    count = len(picture.pixels)
    lines = [recipe.name or recipe.kind.replace("_", " ")]
    if count > 1:
        lines[0] += f" {frame + 1}/{count}"
    view = _view(recipe, frame, count)
    # A tenth of a degree is what a reader can use; turned and radial views have more digits than that.
    view = View(round(view.azimuth_deg, 1), round(view.elevation_deg, 1), round(view.roll_deg, 1))
    lines.append(f"seen from {view.words}")
    if isinstance(recipe, VolumeRendering):
        lines.append(f"preset {recipe.transfer.name}")
        if recipe.field_of_view_deg is not None:
            lines.append(f"perspective of {recipe.field_of_view_deg:g}°, no scale")
    else:
        lines.append(f"C {recipe.window.centre:g} W {recipe.window.width:g} {picture.unit}")
    if isinstance(recipe, Projection):
        slab = f"{recipe.slab_mm:g} mm" if recipe.slab_mm is not None else "whole volume"
        lines.append(f"{recipe.mode.upper()} of {slab}")
    elif isinstance(recipe, Reformat) and recipe.thickness_mm > 0:
        lines.append(f"{recipe.mode.upper()} of {recipe.thickness_mm:g} mm")
    if not isinstance(recipe, Reformat):
        cuts = [f"{len(recipe.clips)} clipped" if recipe.clips else "", "segments" if recipe.masking else ""]
        if any(cuts):
            lines.append(", ".join(cut for cut in cuts if cut))
    return lines


def _view(recipe: Recipe, frame: int, count: int) -> View:
    if isinstance(recipe, Reformat) or recipe.rotation is None:
        return recipe.view
    arc = recipe.rotation.arc_deg
    return recipe.view.turned(arc * frame / (count if abs(arc) >= 360.0 else count - 1))


def _edge_letters(draw: ImageDraw.ImageDraw, font: object, view: View, size_px: tuple[int, int], size: int) -> None:
    width, height = size_px
    left, down = tuple(-v for v in view.right), tuple(-v for v in view.up)
    for direction, at in (
        (left, (size // 2, (height - size) / 2)),
        (view.right, (width - 2 * size, (height - size) / 2)),
        (view.up, (width / 2 - size / 2, size // 2)),
        (down, (width / 2 - size / 2, height - 2 * size)),
    ):
        _text(draw, font, letters(direction), at, _LETTER)


def _scale_bar(draw: ImageDraw.ImageDraw, font: object, plane: Plane, size_px: tuple[int, int], size: int) -> None:
    """The longest round length that takes at most a quarter of the picture's width."""
    width, height = size_px
    pixel_mm = plane.pixel_spacing_mm[1]
    length = next((mm for mm in _SCALES_MM if mm / pixel_mm <= width / 4), None)
    if length is None:
        return
    x0, x1, y = size, size + length / pixel_mm, height - size
    for colour, widths in ((_SHADOW, 4), (_TEXT, 2)):
        draw.line([(x0, y), (x1, y)], colour, widths)
        for x in (x0, x1):
            draw.line([(x, y - size / 2), (x, y)], colour, widths)
    label = f"{length // 10} cm" if length >= 10 else f"{length} mm"
    _text(draw, font, label, (x0, y - 2 * size), _TEXT)


def _cube(draw: ImageDraw.ImageDraw, view: View, centre: tuple[float, float], half: float, size: int) -> None:
    """A cube that turns with the patient; each visible face carries the letter of the side that faces the reader."""
    right, down, toward = view.right, tuple(-v for v in view.up), view.towards_observer
    font = ImageFont.load_default(size)

    def on_picture(point: Sequence[float]) -> tuple[float, float]:
        x = sum(a * b for a, b in zip(point, right, strict=True))
        y = sum(a * b for a, b in zip(point, down, strict=True))
        return (centre[0] + half * x * 0.8, centre[1] + half * y * 0.8)

    for normal, letter in _FACES:
        facing = sum(a * b for a, b in zip(normal, toward, strict=True))
        if facing < 0.05:
            continue
        axis = max(range(3), key=lambda n: abs(normal[n]))
        others = [n for n in range(3) if n != axis]
        corners = []
        for a, b in ((-1, -1), (-1, 1), (1, 1), (1, -1)):
            corner = list(normal)
            corner[others[0]], corner[others[1]] = float(a), float(b)
            corners.append(on_picture(corner))
        shade = int(60 + 100 * facing)
        draw.polygon(corners, fill=(shade, shade, shade + 15), outline=_LETTER)
        if facing > 0.35:
            x, y = on_picture(normal)
            width = draw.textlength(letter, font=font)
            _text(draw, font, letter, (x - width / 2, y - size * 0.6), _LETTER)


def _lines(draw: ImageDraw.ImageDraw, font: object, lines: Sequence[str], at: tuple[float, float], size: int) -> None:
    for number, line in enumerate(lines):
        _text(draw, font, line, (at[0], at[1] + number * (size + 2)), _TEXT)


def _text(
    draw: ImageDraw.ImageDraw, font: object, text: str, at: tuple[float, float], colour: tuple[int, int, int]
) -> None:
    """Light text with a dark edge: readable on bone and on air."""
    draw.text(at, text, colour, font, stroke_width=1, stroke_fill=_SHADOW)  # type: ignore[arg-type]
