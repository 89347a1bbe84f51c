"""Captured pictures as files that other programs read: PNG, JPEG, MP4, GIF, slides, a PDF, DICOM.

Letters, scale and measures are drawn on copies; patient and study only where that is asked for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dicom_io.files.series import Series, read_dataset
from dicom_io.objects.burn_in import banner
from render import fonts
from render.annotate import annotated
from render.draw import draw
from render.marks import DrawnMark, marks_on
from render.picture import Picture
from render.progress import Progress
from render.recipe import Recipe, Reformat
from render.volume import Volume
from workstation.config import Config
from workstation.export import movies
from workstation.export.contact_sheet import save_pngs, stem

ExportFormat = Literal["png", "jpeg", "mp4", "gif", "slides", "pdf", "dicom"]
EXPORT_FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
_SLIDE_PX = (1920, 1080)  # 16:9, as presentation programs take it
_PAGE_PX, _PAGE_DPI = (1654, 2339), 200.0  # A4
_MARGIN_PX, _COLUMNS, _ROWS = 100, 2, 3  # of a page
_JPEG_QUALITY = 92


@dataclass(frozen=True, slots=True)
class DrawnCapture:
    """A picture to write. frames : its (rows, columns, 3) uint8, with letters, scale and measures."""

    number: int
    picture: Picture
    frames: tuple[NDArray[np.uint8], ...]

    @property
    def still(self) -> NDArray[np.uint8]:
        """The frame that stands for it: of a stack the middle one, else the first."""
        stack = isinstance(self.picture.recipe, Reformat)
        return self.frames[len(self.frames) // 2 if stack else 0]

    @property
    def title(self) -> str:
        """Its name."""
        return self.picture.recipe.name or self.picture.recipe.kind.replace("_", " ")


def draw_captures(
    recipes: Sequence[Recipe],
    volume: Volume,
    series: Series,
    marks: Sequence[DrawnMark],
    config: Config,
    identity: bool,
    progress: Progress,
    seconds: Mapping[str, Volume] = MappingProxyType({}),
) -> tuple[DrawnCapture, ...]:
    """Draws what is to be written. marks : measures, drawn on what they lie on. identity : whether patient and study
    are written into the pictures. seconds : by the name of a recipe, the volume of its fusion.

    Raises BannerError, AnnotationError, DrawError.
    """
    lines = banner(read_dataset(series.first.path), config.font_file) if identity else ()
    found = []
    for number, recipe in enumerate(recipes, start=1):

        def tell(part: float, number: int = number, name: str = recipe.name) -> None:
            progress(f"drawing {name}", (number - 1 + part) / len(recipes))

        picture = draw(volume, recipe, second=seconds.get(recipe.name), progress=tell)
        frames = []
        for place in range(len(picture.pixels)):
            pixels = annotated(picture, place, lines, config.font_file)
            frames.append(marks_on(picture, place, pixels, marks))
        found.append(DrawnCapture(number, picture, tuple(frames)))
    return tuple(found)


def write_captures(
    captures: Sequence[DrawnCapture], formats: Sequence[ExportFormat], folder: Path, progress: Progress
) -> list[Path]:
    """Writes every format but DICOM into a folder, which is made. Returns the files.

    Raises VideoError before anything is written, and OSError.
    """
    if "mp4" in formats:
        movies.encoder()
    folder.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    for done, capture in enumerate(captures):
        progress("writing files", done / len(captures))
        name = folder / stem(capture.number, capture.picture)
        moving = len(capture.frames) > 1
        if "png" in formats:
            files += save_pngs(capture.number, capture.picture, folder, capture.frames)
        if "jpeg" in formats:
            files.append(_saved(Image.fromarray(capture.still), name.with_suffix(".jpg"), quality=_JPEG_QUALITY))
        if "gif" in formats and moving:
            files.append(movies.save_gif(capture.frames, name.with_suffix(".gif")))
        if "mp4" in formats and moving:
            files.append(movies.save_mp4(capture.frames, name.with_suffix(".mp4")))
        if "slides" in formats:
            files.append(_saved(slide(capture), name.with_name(f"{name.name}-slide.png")))
    if "pdf" in formats and captures:
        first, *more = pages(captures)
        path = folder / "captures.pdf"
        files.append(_saved(first, path, save_all=True, append_images=more, resolution=_PAGE_DPI))
    progress("writing files", 1.0)
    return files


def _saved(image: Image.Image, path: Path, **how: object) -> Path:
    image.save(path, **how)  # type: ignore[arg-type]
    return path


def slide(capture: DrawnCapture) -> Image.Image:
    """Returns a slide of 1920 x 1080: the name above, the picture as large as there is room."""
    width, height = _SLIDE_PX
    image = Image.new("RGB", _SLIDE_PX, (0, 0, 0))
    title = _fitted(capture.title, 48, width - 120)
    fonts.write(ImageDraw.Draw(image), (60, 34), title, (235, 235, 235))
    shown = _scaled(capture.still, width - 120, height - 160)
    image.paste(shown, ((width - shown.width) // 2, 120 + (height - 160 - shown.height) // 2))
    return image


def pages(captures: Sequence[DrawnCapture]) -> list[Image.Image]:
    """Returns A4 pages with six pictures each, their names below them."""
    width, height = (_PAGE_PX[0] - 2 * _MARGIN_PX) // _COLUMNS, (_PAGE_PX[1] - 2 * _MARGIN_PX) // _ROWS
    found: list[Image.Image] = []
    for place, capture in enumerate(captures):
        row, column = divmod(place % (_COLUMNS * _ROWS), _COLUMNS)
        if place % (_COLUMNS * _ROWS) == 0:
            found.append(Image.new("RGB", _PAGE_PX, (255, 255, 255)))
        x, y = _MARGIN_PX + column * width, _MARGIN_PX + row * height
        shown = _scaled(capture.still, width - 30, height - 70)
        x += (width - 30 - shown.width) // 2
        found[-1].paste(shown, (x, y))
        title = _fitted(capture.title, 26, shown.width)
        fonts.write(ImageDraw.Draw(found[-1]), (x, y + shown.height + 10), title, (26, 29, 33))
    return found


def _scaled(pixels: NDArray[np.uint8], width: int, height: int) -> Image.Image:
    image = Image.fromarray(pixels)
    scale = min(width / image.width, height / image.height)
    size = (round(image.width * scale), round(image.height * scale))
    return image.resize(size, Image.Resampling.LANCZOS)


def _fitted(text: str, size: int, width: int) -> fonts.Runs:
    """Returns a line that fits: smaller first, and shortened where that is not enough."""
    smaller: Callable[[int], fonts.Runs] = lambda px: fonts.nearly(text, px)  # noqa: E731
    for px in range(size, size // 2, -2):
        if fonts.length(smaller(px)) <= width:
            return smaller(px)
    while text and fonts.length(fonts.nearly(f"{text}…", size // 2)) > width:
        text = text[:-1]
    return fonts.nearly(f"{text}…", size // 2)
