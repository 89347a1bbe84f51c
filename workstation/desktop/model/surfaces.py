"""Segments of a screen as surfaces in a file, for printing, planning or another viewer. Knows no Qt."""

from pathlib import Path

from render.progress import Progress
from render.surface_model import SurfaceModel, SurfacePart, make_surfaces
from render.volume import Volume
from workstation.desktop.model.screen import Screen, colour_of, marked_labels
from workstation.export.surface_files import FORMATS, check_surface_ending

ENDINGS = ";;".join(f"{ending[1:].upper()} (*{ending})" for ending in FORMATS)


def save_surfaces(volume: Volume, screen: Screen, file: Path, tell: Progress) -> str:
    """Writes every segment that holds something as a part of its own. Returns what was written, as a sentence.

    Raises SurfaceFileError for an ending of no known format; SurfaceError; OSError.
    """
    check_surface_ending(file)
    labels = marked_labels(screen.solid.steps)
    parts = tuple(
        SurfacePart(each.label, each.name, colour_of(each.colour)) for each in screen.segments if each.label in labels
    )
    tell(file.name, 0.0)
    made = make_surfaces(volume, SurfaceModel(parts, screen.solid.steps, closed=False))
    part = file.with_name(f"{file.name}.part")
    part.write_bytes(FORMATS[file.suffix.lower()](made))
    part.replace(file)
    return f"{file}: {', '.join(f'{one.part.name} {one.volume_ml:.1f} ml' for one in made)}."
