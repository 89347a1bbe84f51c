"""Writes pictures as PNG files, and a contact sheet with names and orientation letters."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from render import fonts
from render.engine.framing import views
from render.geometry import letters
from render.picture import Picture, to_rgb
from render.recipe import CurvedReformat
from workstation.export.movies import RgbFrame

_TILE, _CAPTION = 320, 22

# (rows, columns, 3) uint8 RGB


def save_pngs(number: int, picture: Picture, folder: Path, frames: Sequence[RgbFrame] | None = None) -> list[Path]:
    """The frames of the picture of that number as PNG files, in order; plain where none are given."""
    if frames is None:
        frames = [to_rgb(picture, frame) for frame in range(len(picture.pixels))]
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for place, frame in enumerate(frames, start=1):
        suffix = f"-{place:03d}" if len(frames) > 1 else ""
        files.append(folder / f"{stem(number, picture)}{suffix}.png")
        Image.fromarray(frame).save(files[-1])
    return files


def stem(number: int, picture: Picture) -> str:
    """Returns the beginning of the file names of a picture."""
    name = re.sub(r"[^a-z0-9]+", "-", picture.recipe.name.lower()).strip("-")[:80].strip("-")  # file systems end at 255
    return f"{number:02d}-{name or picture.recipe.kind}"


def contact_sheet(pictures: Sequence[Picture], path: Path, columns: int = 4) -> Path:
    """Writes one PNG with a tile for each picture; of a rotation or stack the middle frame."""
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * _TILE, rows * (_TILE + _CAPTION)), (16, 16, 16))
    draw = ImageDraw.Draw(sheet)
    for number, picture in enumerate(pictures):
        x, y = number % columns * _TILE, number // columns * (_TILE + _CAPTION)
        frame = len(picture.pixels) // 2 if picture.recipe.kind == "reformat" else 0
        tile = Image.fromarray(_square(to_rgb(picture, frame))).resize((_TILE - 4, _TILE - 4), Image.Resampling.LANCZOS)
        sheet.paste(tile, (x + 2, y + _CAPTION))
        count = f" ({len(picture.pixels)} frames)" if len(picture.pixels) > 1 else ""
        title = _shortened(f"{number + 1:02d} {picture.recipe.name or picture.recipe.kind}", count)
        fonts.write(draw, (x + 6, y + 3), title, (230, 230, 230))
        _letters(draw, picture, frame, x, y + _CAPTION)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
    return path


def _shortened(name: str, count: str) -> fonts.Runs:
    """Shortens a title to fit its tile."""
    title = fonts.nearly(name + count, 13)
    while name and fonts.length(title) > _TILE - 12:
        name = name[:-1]
        title = fonts.nearly(f"{name}...{count}", 13)
    return title


def _letters(draw: ImageDraw.ImageDraw, picture: Picture, frame: int, x: int, y: int) -> None:
    """Draws the orientation letters at the edges of a tile; none on a curved picture, whose edges are no sides of the
    patient."""
    if isinstance(picture.recipe, CurvedReformat):
        return
    view = views(picture.recipe)[frame]  # not the plane, which a perspective picture lacks
    left, down = [-v for v in view.right], [-v for v in view.up]
    middle, end = _TILE // 2 - 6, _TILE - 24
    for at, direction in (
        ((x + 8, y + middle), left),
        ((x + end, y + middle), view.right),
        ((x + middle, y + 6), view.up),
        ((x + middle, y + end), down),
    ):
        fonts.write(draw, at, fonts.nearly(letters(direction), 13), (255, 210, 80), (0, 0, 0))


def _square(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pads a picture with black bars to a square."""
    rows, columns = pixels.shape[:2]
    size = max(rows, columns)
    square = np.zeros((size, size, 3), dtype=np.uint8)
    top, left = (size - rows) // 2, (size - columns) // 2
    square[top : top + rows, left : left + columns] = pixels
    return square
