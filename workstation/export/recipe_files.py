"""Pictures of recipes as files: PNG, an overview, films where they move, DICOM objects, and the recipes themselves."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from dicom_io.files.series import Series
from render import draw
from render.flight import LumenWay
from render.picture import Picture
from render.progress import Progress
from render.recipe import Recipe, canonical_json
from render.unfolded import laid_flat, unfolded
from render.volume import Volume
from workstation.export.render_files import Drawn, FilesWanted, check_can_write, write


@dataclass(frozen=True, slots=True)
class RecipeFiles:
    """What `write_pictures` wrote: the overview, and all files with it."""

    overview: str
    files: tuple[str, ...]
    digests: dict[str, str]
    pictures: tuple[Picture, ...]


def write_pictures(
    recipes: Sequence[Recipe],
    volume: Volume,
    series: Series,
    output: Path,
    root: Path,
    progress: Progress,
    wanted: FilesWanted | None = None,
) -> RecipeFiles:
    """Draws recipes and writes what `render` would, and `recipes.json`: each of them is a recipe for `render`."""
    wanted = wanted or FilesWanted()
    check_can_write(wanted)
    pictures = []
    for number, recipe in enumerate(recipes):
        name = recipe.name or recipe.kind

        def tell(part: float, number: int = number, name: str = name) -> None:
            progress(f"drawing {name}", (number + part) / len(recipes))

        pictures.append(draw(volume, recipe, progress=tell))
    written = write(Drawn(tuple(pictures), series, ()), output, wanted, root, progress)
    kept = output / "recipes.json"
    plain = [json.loads(canonical_json(picture.recipe)) for picture in pictures]
    kept.write_text(json.dumps(plain, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    files = (*written["files"], written["contact_sheet"], str(kept))
    return RecipeFiles(written["contact_sheet"], files, written["digests"], tuple(pictures))


def write_unfolded(way: LumenWay, volume: Volume, file: Path) -> dict[str, str]:
    """Writes the wall of a lumen laid flat as a PNG, and its recipes beside it as .json, whose pictures are the strips.

    Returns `unfolded` and `unfolded_sha256`, for JSON. Raises FlightError; OSError.
    """
    pictures = [draw(volume, recipe) for recipe in unfolded(way, volume)]
    pixels = laid_flat(pictures)
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.part")
    Image.fromarray(pixels).save(part, "PNG")
    part.replace(file)
    recipes = ",\n".join(canonical_json(picture.recipe) for picture in pictures)
    file.with_suffix(".json").write_text(f"[{recipes}]\n", encoding="utf-8")
    return {"unfolded": str(file), "unfolded_sha256": hashlib.sha256(pixels.tobytes()).hexdigest()}
