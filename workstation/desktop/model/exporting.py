"""Captures of the open study as files in a folder. Knows no Qt."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from render.progress import Progress
from render.volume import Volume
from workstation.desktop.model.notes import marks_of
from workstation.desktop.model.printing import exporting
from workstation.desktop.model.screen import Capture, Measure, VolumeKey
from workstation.desktop.model.studies import Opened
from workstation.export.captures import EXPORT_FORMATS, ExportFormat, draw_captures, write_captures
from workstation.export.movies import encoder
from workstation.export.render_files import Drawn, save_dicom
from workstation.site import Site

# What each format is called.
FORMAT_TITLES: dict[ExportFormat, str] = {
    "png": "PNG pictures",
    "jpeg": "JPEG pictures",
    "mp4": "MP4 films of rotations and stacks",
    "gif": "GIF films of rotations and stacks",
    "slides": "Slides, 16:9 with a title (1920 x 1080)",
    "pdf": "One PDF with six pictures a page",
    "dicom": "DICOM files (their headers name the patient)",
}
assert tuple(FORMAT_TITLES) == EXPORT_FORMATS


@dataclass(frozen=True, slots=True)
class ExportWanted:
    """What is to be written. captures : of the tray. identity : whether patient and study are written into pictures."""

    captures: tuple[Capture, ...]
    formats: tuple[ExportFormat, ...]
    folder: Path
    identity: bool = False


def export(
    opened: Opened,
    measures: Sequence[Measure],
    wanted: ExportWanted,
    site: Site,
    who: str,
    tell: Progress,
    build: Callable[[VolumeKey], Volume],
) -> int:
    """Draws captures and writes their files. who : the ID of the person who asks. build : builds a second volume.
    Returns how many files there are.

    Raises VideoError before anything is drawn; BannerError, DrawError, OSError.
    """
    if "mp4" in wanted.formats:
        encoder()
    volume, series = opened.session.volume, opened.series
    marks = marks_of(measures, volume)
    recipes = [capture.recipe for capture in wanted.captures]
    keys = {capture.recipe.name: capture.second for capture in wanted.captures if capture.second is not None}
    built = {key: build(key) for key in dict.fromkeys(keys.values())}
    seconds = {name: built[key] for name, key in keys.items()}
    drawn = draw_captures(recipes, volume, series, marks, site.config, wanted.identity, tell, seconds)
    with exporting(series.instances, site, who, wanted.folder):
        files = write_captures(drawn, [each for each in wanted.formats if each != "dicom"], wanted.folder, tell)
        if "dicom" in wanted.formats:
            others = tuple(site.archive.series(uid) for uid in dict.fromkeys(uid for uid, _, _ in built))
            pictures = Drawn(tuple(each.picture for each in drawn), series, (), others)
            burn_in = "patient" if wanted.identity else site.config.burn_in
            files += save_dicom(pictures, wanted.folder, site.root, burn_in, tell)
    return len(files)
