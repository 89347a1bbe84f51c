"""Draws the pictures of a protocol, a recipe or a recorded SR as files in a folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import dcmread, dcmwrite

from dicom_io.archive import Archive
from dicom_io.errors import NotReadable
from dicom_io.files.series import Series, read_dataset, read_instance
from dicom_io.objects.burn_in import BurnIn, banner, burned
from dicom_io.objects.derived import derive
from dicom_io.sr.evidence_sr import COMPREHENSIVE_3D_SR, read_sr
from dicom_io.uids import derived
from dicom_io.volumes import build_volume
from render import protocols
from render.annotate import annotated
from render.draw import draw
from render.engine.choice import choose
from render.picture import Picture, to_rgb
from render.progress import Progress
from render.recipe import Recipe, RecipeError, read_recipe
from render.volume import Volume
from workstation.config import load_config
from workstation.export import contact_sheet, movies
from workstation.export.fusing import fused_recipes
from workstation.export.inspect import one_series
from workstation.export.labelled import with_labels
from workstation.records.remake import recorded_series, remake
from workstation.site import open_site


@dataclass(frozen=True, slots=True)
class PicturesWanted:
    """The pictures to draw: of a protocol or a recipe; without either, those that an SR records.

    which : number of the volume in a series with several. sources : folder of an SR's images, if not the archive.
    bridge_gaps : missing slices are interpolated, with a warning. fuse : a second series for the reformats. move : the
    file that says how it lies on the first; None takes the shared frame of reference, or registers the two. labels :
    a file of segments that are shown in colour.
    """

    protocol: str = ""
    recipe: Path | None = None
    sources: Path | None = None
    which: int | None = None
    bridge_gaps: bool = False
    fuse: str = ""
    move: Path | None = None
    labels: Path | None = None


@dataclass(frozen=True, slots=True)
class FilesWanted:
    """The files to write besides PNG files and the contact sheet.

    annotate : letters, cube, scale and view on PNG, GIF and MP4. banner : patient and study too, so that the files
    identify the patient. burn_in : for the DICOM files; None takes the setting.
    """

    annotate: bool = False
    banner: bool = False
    gif: bool = False
    mp4: bool = False
    dicom: bool = False
    burn_in: BurnIn | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """Pictures, and the series they were drawn from."""

    pictures: tuple[Picture, ...]
    series: Series
    warnings: tuple[str, ...]
    fused: tuple[Series, ...] = ()


def render(source: str, root: Path, wanted: PicturesWanted, progress: Progress) -> Drawn:
    """Draws the wanted pictures from a folder, a file, a series of the archive or the sources of an SR.

    Raises RecipeError, NotFound, VolumeRefused, DrawError.
    """
    recipes = _recipes(wanted)
    if is_sr(source):
        evidence, sources = read_sr(dcmread(source)), wanted.sources or Archive(root)
        series = recorded_series(evidence, sources)
        if not recipes:
            pictures = tuple(r.picture for r in remake(evidence, sources, progress))
            return Drawn(pictures, series, tuple(dict.fromkeys(w for p in pictures for w in p.provenance.warnings)))
    else:
        series = one_series(source, root)
    building = lambda part: progress("building the volume", part)  # noqa: E731
    volume = build_volume(series, wanted.which, building, bridge_gaps=wanted.bridge_gaps)
    left_out: tuple[str, ...] = ()
    if wanted.protocol:
        recipes, left_out = protocols.drawable(volume, protocols.load_protocol(wanted.protocol))
    engine, drawn = choose(load_config(root).engine), []
    second: Volume | None = None
    fused: tuple[Series, ...] = ()
    if wanted.fuse:
        other = one_series(wanted.fuse, root)
        second, fused = build_volume(other, bridge_gaps=wanted.bridge_gaps), (other,)
        recipes = fused_recipes(recipes, volume, second, wanted.move, progress)
    if wanted.labels is not None:
        recipes = with_labels(recipes, wanted.labels, volume)
    for number, recipe in enumerate(recipes):

        def tell(part: float, number: int = number, what: str = recipe.name or recipe.kind) -> None:
            progress(f"drawing {what}", (number + part) / len(recipes))

        drawn.append(draw(volume, recipe, second=second, engine=engine.for_recipe(recipe), progress=tell))
    warnings = (*(w for p in drawn for w in p.provenance.warnings), *left_out)
    return Drawn(tuple(drawn), series, tuple(dict.fromkeys(warnings)), fused)


def check_can_write(files: FilesWanted) -> None:
    """Checks, before anything is drawn, that this machine can write the files. Raises VideoError."""
    if files.mp4:
        movies.encoder()


def write(drawn: Drawn, output: Path, files: FilesWanted, root: Path, progress: Progress) -> dict[str, Any]:
    """Writes PNG files, a contact sheet and the other wanted files. Returns a list of them.

    Raises BannerError for a patient whose name cannot be written, VideoError.
    """
    config, pictures = load_config(root), drawn.pictures
    lines = banner(read_dataset(drawn.series.first.path), config.font_file) if files.banner else ()

    def dressed(picture: Picture, frame: int) -> movies.RgbFrame:
        if files.annotate or files.banner:
            return annotated(picture, frame, lines, config.font_file)
        return to_rgb(picture, frame)

    written: list[Path] = []
    for number, picture in enumerate(pictures, start=1):
        # Each frame is annotated once, for all files that show it.
        frames = [dressed(picture, frame) for frame in range(len(picture.pixels))]
        written += contact_sheet.save_pngs(number, picture, output, frames)
        moving = output / contact_sheet.stem(number, picture)
        if len(frames) > 1 and files.gif:
            written.append(movies.save_gif(frames, moving.with_suffix(".gif")))
        if len(frames) > 1 and files.mp4:
            written.append(movies.save_mp4(frames, moving.with_suffix(".mp4")))
        progress("writing files", number / len(pictures))
    if files.dicom:
        written += save_dicom(drawn, output, root, files.burn_in or config.burn_in, progress)
    overview = contact_sheet.contact_sheet(pictures, output / "contact_sheet.png")
    return {
        "contact_sheet": str(overview),
        "files": [str(f) for f in written],
        "digests": {p.recipe.name or p.recipe.kind: p.digest for p in pictures},
        "engines": sorted({f"{p.provenance.engine} {p.provenance.device}".strip() for p in pictures}),
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


def _recipes(wanted: PicturesWanted) -> tuple[Recipe, ...]:
    if wanted.protocol:
        return protocols.load_protocol(wanted.protocol).recipes
    if wanted.recipe is None:
        return ()
    try:
        return (read_recipe(wanted.recipe.read_text(encoding="utf-8")),)
    except (UnicodeDecodeError, ValueError) as error:
        raise RecipeError(f"{wanted.recipe}: {error}") from error


def save_dicom(drawn: Drawn, output: Path, root: Path, burn_in: BurnIn, progress: Progress) -> list[Path]:
    """Writes the objects that `run` would store, but with UIDs of this output alone, as it is no case."""
    site = open_site(root)
    marks = burned(burn_in, read_dataset(drawn.series.first.path), site.config.font_file)
    digests = (p.digest for p in drawn.pictures)
    stamp = site.stamp(derived("render", burn_in, drawn.series.uid, *digests), site.clock())
    files = []
    datasets = derive(drawn.pictures, drawn.series, stamp, marks, fused=drawn.fused)
    for number, ds in enumerate(datasets, start=1):
        files.append(output / f"{number:04d}.dcm")
        dcmwrite(files[-1], ds, enforce_file_format=True)
        progress("writing DICOM files", number / len(datasets))
    return files
