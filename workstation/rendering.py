"""Drawing for people: pictures of a protocol, a recipe or a recorded SR, as files in a folder."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import dcmread, dcmwrite

from dicom_io.archive import Archive
from dicom_io.build_volume import build_volume
from dicom_io.derived import derive
from dicom_io.errors import NotReadable
from dicom_io.evidence_sr import COMPREHENSIVE_3D_SR, read_sr
from dicom_io.series import Series, read_instance
from dicom_io.uids import derived
from render import protocols
from render.draw import draw
from render.picture import Picture
from render.recipe import Recipe, RecipeError, read_recipe
from workstation import sheet
from workstation.inspection import one_series
from workstation.remake import remake
from workstation.site import open_site

Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Drawn:
    """Pictures, and the series they were drawn from (None when they were made again from an SR)."""

    pictures: tuple[Picture, ...]
    series: Series | None
    warnings: tuple[str, ...]


def render(
    source: str,
    root: Path,
    protocol: str,
    recipe: Path | None,
    sources: Path | None,
    which: int | None,
    progress: Progress,
) -> Drawn:
    """Draws what a source and either a protocol or a recipe say; an SR needs neither.

    Raises RecipeError, NotFound, VolumeRefused, DrawError.
    """
    if is_sr(source):
        evidence = read_sr(dcmread(source))
        pictures = tuple(r.picture for r in remake(evidence, sources or Archive(root), progress))
        return Drawn(pictures, None, ())
    recipes = _recipes(protocol, recipe)
    series = one_series(source, root)
    volume = build_volume(series, which, lambda part: progress("building the volume", part))
    drawn = []
    for number, wanted in enumerate(recipes, start=1):
        drawn.append(draw(volume, wanted))
        progress(f"drawing {wanted.name or wanted.kind}", number / len(recipes))
    return Drawn(tuple(drawn), series, volume.warnings)


def write(drawn: Drawn, output: Path, annotate: bool, gif: bool, dicom: bool, root: Path) -> dict[str, Any]:
    """PNG files and a contact sheet; GIF and DICOM files where asked for. Returns what was written."""
    files = sheet.save_pngs(drawn.pictures, output, annotate)
    if gif:
        files += sheet.save_gifs(drawn.pictures, output, annotate)
    if dicom:
        files += _save_dicom(drawn, output, root)
    overview = sheet.contact_sheet(drawn.pictures, output / "contact_sheet.png")
    return {
        "contact_sheet": str(overview),
        "files": [str(f) for f in files],
        "digests": {p.recipe.name or p.recipe.kind: p.digest for p in drawn.pictures},
        "warnings": list(drawn.warnings),
    }


def is_sr(source: str) -> bool:
    """Whether a source names an SR file rather than images."""
    if not Path(source).is_file():
        return False
    try:
        return read_instance(Path(source)).sop_class_uid == COMPREHENSIVE_3D_SR
    except NotReadable:
        return False


def _recipes(protocol: str, recipe: Path | None) -> tuple[Recipe, ...]:
    if recipe is None:
        return protocols.load_protocol(protocol).recipes
    try:
        return (read_recipe(recipe.read_text(encoding="utf-8")),)
    except (UnicodeDecodeError, ValueError) as error:
        raise RecipeError(f"{recipe}: {error}") from error


def _save_dicom(drawn: Drawn, output: Path, root: Path) -> list[Path]:
    """The objects that `run` would store. Their UIDs belong to this output alone: it is no case."""
    if drawn.series is None:
        raise RecipeError("The DICOM objects of an SR are those it names; --dicom draws from a series.")
    site = open_site(root)
    stamp = site.stamp(derived("render", drawn.series.uid, *(p.digest for p in drawn.pictures)), site.clock())
    files = []
    for number, ds in enumerate(derive(drawn.pictures, drawn.series, stamp), start=1):
        files.append(output / f"{number:04d}.dcm")
        dcmwrite(files[-1], ds, enforce_file_format=True)
    return files
