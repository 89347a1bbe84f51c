"""Pictures for people: PNG files, and one contact sheet with names and orientation letters."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from render.annotate import annotated
from render.engine.framing import views
from render.geometry import letters
from render.picture import Picture, to_rgb

_TILE, _CAPTION = 320, 22


def save_pngs(pictures: Sequence[Picture], folder: Path, annotate: bool = False) -> list[Path]:
    """Every frame as PNG, numbered in order. Returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number, picture in enumerate(pictures, start=1):
        for frame in range(len(picture.pixels)):
            suffix = f"-{frame + 1:03d}" if len(picture.pixels) > 1 else ""
            files.append(folder / f"{_stem(number, picture)}{suffix}.png")
            Image.fromarray(_shown(picture, frame, annotate)).save(files[-1])
    return files


def save_gifs(pictures: Sequence[Picture], folder: Path, annotate: bool = False, frame_ms: int = 100) -> list[Path]:
    """An endless animation of each picture with several frames. Returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number, picture in enumerate(pictures, start=1):
        if len(picture.pixels) > 1:
            first, *rest = (Image.fromarray(_shown(picture, n, annotate)) for n in range(len(picture.pixels)))
            files.append(folder / f"{_stem(number, picture)}.gif")
            first.save(files[-1], save_all=True, append_images=rest, duration=frame_ms, loop=0)
    return files


def _stem(number: int, picture: Picture) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", picture.recipe.name.lower()).strip("-")
    return f"{number:02d}-{name or picture.recipe.kind}"


def _shown(picture: Picture, frame: int, annotate: bool) -> NDArray[np.uint8]:
    return annotated(picture, frame) if annotate else to_rgb(picture, frame)


def contact_sheet(pictures: Sequence[Picture], path: Path, columns: int = 4) -> Path:
    """One PNG with a tile a picture; of a rotation or stack the middle frame."""
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * _TILE, rows * (_TILE + _CAPTION)), (16, 16, 16))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for number, picture in enumerate(pictures):
        x, y = number % columns * _TILE, number // columns * (_TILE + _CAPTION)
        frame = len(picture.pixels) // 2 if picture.recipe.kind == "reformat" else 0
        tile = Image.fromarray(_square(to_rgb(picture, frame))).resize((_TILE - 4, _TILE - 4), Image.Resampling.LANCZOS)
        sheet.paste(tile, (x + 2, y + _CAPTION))
        count = f" ({len(picture.pixels)} frames)" if len(picture.pixels) > 1 else ""
        draw.text((x + 6, y + 3), f"{picture.recipe.name}{count}", (230, 230, 230), font)
        _letters(draw, font, picture, frame, x, y + _CAPTION)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
    return path


def _letters(draw: ImageDraw.ImageDraw, font: object, picture: Picture, frame: int, x: int, y: int) -> None:
    """Orientation at the edges of a tile: which way the patient lies."""
    view = views(picture.recipe)[frame]  # a perspective picture has no plane, but a view
    left, down = [-v for v in view.right], [-v for v in view.up]
    middle, end = _TILE // 2 - 6, _TILE - 24
    for at, direction in (
        ((x + 8, y + middle), left),
        ((x + end, y + middle), view.right),
        ((x + middle, y + 6), view.up),
        ((x + middle, y + end), down),
    ):
        draw.text(at, letters(direction), (255, 210, 80), font)  # type: ignore[arg-type]


def _square(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Black bars so that no picture is stretched."""
    rows, columns = pixels.shape[:2]
    size = max(rows, columns)
    square = np.zeros((size, size, 3), dtype=np.uint8)
    top, left = (size - rows) // 2, (size - columns) // 2
    square[top : top + rows, left : left + columns] = pixels
    return square
