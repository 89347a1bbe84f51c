"""The command that flies through a hollow organ: `fly`."""

from pathlib import Path
from typing import Annotated

import typer

from workstation.cli.clinical import point_mm
from workstation.cli.pictures import BridgeGaps
from workstation.cli.shared import Json, example, exporting, progress_bar, root, show


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(fly)


@example("workstation fly SERIES --lumen airways --mp4 -o bronchi")
def fly(
    series: Annotated[str, typer.Argument(metavar="SERIES|PATH", help="A Series Instance UID, a file or a folder.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="A folder for the pictures.")],
    lumen: Annotated[
        str, typer.Option(metavar="NAME", help="airways, air (as in bowel) or vessel (with dye).")
    ] = "airways",
    through: Annotated[
        list[str],
        typer.Option(metavar="X,Y,Z", help="A point in the lumen, LPS mm, in order; airways need none."),
    ] = [],  # noqa: B006
    step: Annotated[float, typer.Option(metavar="MM", help="From picture to picture.")] = 1.0,
    angle: Annotated[float, typer.Option(metavar="DEG", help="What the observer sees from top to bottom.")] = 90.0,
    size: Annotated[int, typer.Option(metavar="PIXELS", help="Of each picture.", min=32, max=2048)] = 384,
    gif: Annotated[bool, typer.Option("--gif", help="Also an animated GIF.")] = False,
    mp4: Annotated[bool, typer.Option("--mp4", help="Also an MP4 (H.264); needs the extra `video`.")] = False,
    dicom: Annotated[bool, typer.Option("--dicom", help="Also a multi-frame DICOM object.")] = False,
    unfold: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also the wall laid flat, as if it were cut open: .png."),
    ] = None,
    volume: Annotated[int | None, typer.Option(help="Which volume, where the series holds several.")] = None,
    bridge_gaps: BridgeGaps = False,
    as_json: Json = False,
) -> None:
    """Fly through airways, bowel or a vessel along the middle of its lumen, as pictures, film and DICOM object. It says
    where slices are too thick, and declines where no lumen joins the points (exit 1)."""
    from dicom_io.volumes import build_volume
    from render.flight import LUMENS, flight, lumen_way
    from workstation.export import inspect, recipe_files, render_files

    kind = next((one for one in LUMENS if one == lumen), None)
    if kind is None:
        raise typer.BadParameter(f"{lumen!r} is no lumen: there are {', '.join(LUMENS)}", param_hint="--lumen")
    points = [point_mm(text, "--through") for text in through]
    wanted = render_files.FilesWanted(gif=gif, mp4=mp4, dicom=dicom)
    render_files.check_can_write(wanted)
    if unfold is not None and unfold.suffix.lower() != ".png":
        raise typer.BadParameter(f"{unfold}: it is written as .png", param_hint="--unfold")
    found = inspect.one_series(series, root())
    built = build_volume(found, volume, bridge_gaps=bridge_gaps)
    way = lumen_way(built, kind, points, step)
    recipe = flight(way, built, angle, size)
    with exporting(found.instances, output):
        written = recipe_files.write_pictures([recipe], built, found, output, root(), progress_bar(), wanted)
        flat = recipe_files.write_unfolded(way, built, unfold) if unfold is not None else {}
    warnings = [*way.warnings, *built.warnings]
    result = {
        **flat,
        "length_mm": round(way.length_mm, 2),
        "pictures": len(recipe.flight),
        "narrowest_mm": round(way.narrowest_mm, 2),
        "path_mm": [[round(float(value), 2) for value in place] for place in way.path_mm],
        "radii_mm": [round(float(value), 2) for value in way.radii_mm],
        "digests": written.digests,
        "files": list(written.files),
        "warnings": warnings,
    }
    text = f"{len(recipe.flight)} pictures over {way.length_mm:.0f} mm; overview: {written.overview}"
    text += f"\nlaid flat: {unfold}" if unfold is not None else ""
    show(as_json, result, "\n".join([text, *(f"warning: {words}" for words in warnings)]))
