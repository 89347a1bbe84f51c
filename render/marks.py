"""Measures drawn on a copy of a plane's picture; the pixels that are digested and made again never carry them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from render import fonts
from render.curved_surface import NEAR_MM, CurvedSurface, surfaces
from render.geometry import Plane, Vector, letters
from render.measure import place_on
from render.picture import Picture
from render.recipe import CurvedReformat, Solid

_COLOUR, _EDGE = (255, 210, 80), (0, 0, 0)
_FINE = 3  # lines are drawn so much larger, and smoothed
# What a picture shows of the patient: a plane, or the surface of a curved reformat. A rendering or projection has a
# plane at right angles to the line of sight; all that lies along a line of sight is at one place of it.
ShownSurface = Plane | CurvedSurface


@dataclass(frozen=True, slots=True)
class DrawnMark:
    """A measure as lines. lines : of points, LPS mm. text : its numbers, a line each. arrow : whether its first line
    has a head at its first point. in_space : whether it lies in no plane; it is drawn on renderings and projections
    too. by_points : whether it is on a curved picture where its points are, and between them drawn straight: arrows and
    angles."""

    lines: tuple[tuple[Vector, ...], ...]
    text: tuple[str, ...]
    arrow: bool = False
    in_space: bool = False
    by_points: bool = False


@dataclass(frozen=True, slots=True)
class PixelDrawing:
    """Lines and words on a picture. lines : of (column, row), pixel centres. text : a line each, beside `at`."""

    lines: tuple[tuple[tuple[float, float], ...], ...]
    text: tuple[str, ...]
    at: tuple[float, float]


def shown_by(picture: Picture) -> tuple[ShownSurface, ...]:
    """Returns what each frame of a picture shows; none for one in perspective."""
    return surfaces(picture.recipe) if isinstance(picture.recipe, CurvedReformat) else picture.planes


def pixel_of(shown: ShownSurface, at_mm: Vector) -> tuple[float, float]:
    """Returns (row, column) where a point of the patient is, LPS mm; (0, 0) is the middle of the first pixel."""
    return shown.pixel(at_mm)[:2] if isinstance(shown, CurvedSurface) else place_on(shown, at_mm)


def marks_on(picture: Picture, frame: int, pixels: NDArray[np.uint8], marks: Iterable[DrawnMark]) -> NDArray[np.uint8]:
    """Returns (rows, columns, 3) uint8, a frame with the marks that belong on it: on a plane or a curved picture those
    that lie on it, on renderings and projections those in space. The same pixels where there are none."""
    shown = shown_by(picture)
    if not shown:
        return pixels
    if isinstance(picture.recipe, Solid):
        return with_marks(pixels, shown[frame], [mark for mark in marks if mark.in_space], math.inf)
    return with_marks(pixels, shown[frame], marks)


def with_marks(
    pixels: NDArray[np.uint8], shown: ShownSurface, marks: Iterable[DrawnMark], near_mm: float = NEAR_MM
) -> NDArray[np.uint8]:
    """Returns (rows, columns, 3) uint8 with the marks that lie on what a picture shows; the same pixels where none
    does."""
    there = [mark for mark in marks if _on(shown, mark, near_mm)]
    width = _line_px(pixels)
    placed = [_placed(shown, mark, 5.0 * width) for mark in there]
    return with_drawings(
        pixels,
        [
            PixelDrawing(tuple(map(tuple, places)), mark.text, places[0][-1] if mark.arrow else places[-1][-1])
            for mark, places in zip(there, placed, strict=True)
        ],
    )


def _line_px(pixels: NDArray[np.uint8]) -> float:
    return max(1.5, float(min(pixels.shape[:2])) / 350.0)


def with_drawings(pixels: NDArray[np.uint8], drawings: Sequence[PixelDrawing]) -> NDArray[np.uint8]:
    """Returns (rows, columns, 3) uint8 with lines and words on them; the same pixels where there are none."""
    if not drawings:
        return pixels
    image = Image.fromarray(pixels)
    size, width = max(10, min(image.size) // 40), _line_px(pixels)
    layer = Image.new("RGBA", (image.width * _FINE, image.height * _FINE))
    lines = ImageDraw.Draw(layer)
    for colour, wide in ((_EDGE, width + 1.5), (_COLOUR, width)):
        for line in (line for drawing in drawings for line in drawing.lines):
            fine = [((x + 0.5) * _FINE, (y + 0.5) * _FINE) for x, y in line]
            lines.line(fine, (*colour, 255), round(wide * _FINE), joint="curve")
    smooth = layer.resize(image.size, Image.Resampling.BOX)
    image.paste(smooth, (0, 0), smooth.getchannel("A"))
    draw = ImageDraw.Draw(image)
    for drawing in drawings:
        _write(draw, drawing.text, drawing.at, image.size, size)
    return np.asarray(image, dtype=np.uint8)


def with_sides(pixels: NDArray[np.uint8], plane: Plane) -> NDArray[np.uint8]:
    """Returns (rows, columns, 3) uint8 with the letters of the patient's sides at the edges."""
    image = Image.fromarray(pixels)
    draw, size = ImageDraw.Draw(image), max(10, min(image.size) // 32)
    (width, height), (right, down) = image.size, (plane.right_mm, plane.down_mm)
    for way, x, y in (
        ([-v for v in right], size / 2, (height - size) / 2),
        (right, width - 2.5 * size, (height - size) / 2),
        ([-v for v in down], (width - size) / 2, size / 2),
        (down, (width - size) / 2, height - 2.0 * size),
    ):
        fonts.write(draw, (x, y), fonts.nearly(letters(way), size), _COLOUR, _EDGE)
    return np.asarray(image, dtype=np.uint8)


def _write(
    draw: ImageDraw.ImageDraw, lines: Sequence[str], at: tuple[float, float], size_px: tuple[int, int], size: int
) -> None:
    """Writes the numbers beside the end of a mark, within the picture."""
    pieces = [fonts.nearly(line, size) for line in lines if line]
    wide = max((fonts.length(piece) for piece in pieces), default=0.0)
    x = min(max(at[0] + size / 2, 2.0), max(size_px[0] - wide - 2.0, 2.0))
    y = min(max(at[1] - size / 2, 2.0), max(size_px[1] - len(pieces) * (size + 3) - 2.0, 2.0))
    for number, piece in enumerate(pieces):
        fonts.write(draw, (x, y + number * (size + 3)), piece, _COLOUR, _EDGE)


def _on(shown: ShownSurface, mark: DrawnMark, near_mm: float) -> bool:
    if isinstance(shown, CurvedSurface):
        parts = [(at,) for line in mark.lines for at in line] if mark.by_points else mark.lines
        return all(shown.shows(part, near_mm) for part in parts)
    origin, normal = shown.origin_mm, shown.normal
    points = [at for line in mark.lines for at in line]
    return bool(points) and all(
        abs(sum((a - o) * n for a, o, n in zip(at, origin, normal, strict=True))) <= near_mm for at in points
    )


def _placed(shown: ShownSurface, mark: DrawnMark, head_px: float) -> list[list[tuple[float, float]]]:
    """Returns the lines of a mark in pixels, an arrow's with its head."""
    lines = [[pixel_of(shown, at)[::-1] for at in line] for line in mark.lines]
    if mark.arrow and lines[0][0] != lines[0][1]:
        (x, y), (end_x, end_y) = lines[0][:2]
        long = math.hypot(end_x - x, end_y - y)
        u, v = (end_x - x) / long * head_px, (end_y - y) / long * head_px
        lines.append([(x + u - v / 2, y + v + u / 2), (x, y), (x + u + v / 2, y + v - u / 2)])
    return lines
