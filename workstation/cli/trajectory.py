"""The command that plans a straight way to a target: `trajectory`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workstation.cli.clinical import point_mm
from workstation.cli.pictures import BridgeGaps
from workstation.cli.shared import Json, example, exporting, progress_bar, root, show

if TYPE_CHECKING:
    from render.recipe import Window
    from render.trajectory import HeadAxes


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(trajectory)


@example("workstation trajectory SERIES --entry 40,-60,90 --target 12,5,30 --avoid vessels -o plan")
def trajectory(
    series: Annotated[str, typer.Argument(metavar="SERIES|PATH", help="A Series Instance UID, a file or a folder.")],
    entry: Annotated[str, typer.Option(metavar="X,Y,Z", help="Where the probe enters, LPS mm.")],
    target: Annotated[str, typer.Option(metavar="X,Y,Z", help="Where it has to arrive.")],
    avoid: Annotated[
        list[str], typer.Option(metavar="[NAME=]MASK", help="A mask file, or a structure such as vessels or bone.")
    ] = [],  # noqa: B006
    radius: Annotated[float, typer.Option(metavar="MM", help="Radius of the probe.")] = 0.0,
    commissures: Annotated[
        list[str],
        typer.Option(metavar="X,Y,Z", help="Anterior, posterior commissure and a midline point: the head's axes."),
    ] = [],  # noqa: B006
    window: Annotated[str, typer.Option(metavar="CENTRE,WIDTH", help="Of the pictures; else by modality.")] = "",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="A folder for pictures and page.")
    ] = None,
    volume: Annotated[int | None, typer.Option(help="Which volume, where the series holds several.")] = None,
    bridge_gaps: BridgeGaps = False,
    as_json: Json = False,
) -> None:
    """Measure a straight way from an entry to a target: length, angles to the head's axes, and the least distance to
    what it has to avoid, with where that is. Not cleared for guiding a probe."""
    from dicom_io.volumes import build_volume
    from render.trajectory import measure_trajectory, trajectory_pictures
    from workstation.export import inspect, recipe_files, trajectory_files

    ends = point_mm(entry, "--entry"), point_mm(target, "--target")
    axes, shown = _axes(commissures), _window(window)
    found = inspect.one_series(series, root())
    built = build_volume(found, volume, bridge_gaps=bridge_gaps)
    regions = dict(trajectory_files.avoided_region(text, built) for text in avoid)
    measures = measure_trajectory(built, *ends, regions, radius_mm=radius, axes=axes)
    way = trajectory_files.PlannedWay(*ends, radius, measures)
    result, text = trajectory_files.trajectory_json(way), trajectory_files.trajectory_in_words(way)
    if output is not None:
        recipes = trajectory_pictures(built, *ends, shown or _usual(built.unit))
        with exporting(found.instances, output):
            written = recipe_files.write_pictures(recipes, built, found, output, root(), progress_bar())
            named = {one.recipe.name: one for one in written.pictures}
            page = trajectory_files.trajectory_page(way, named, output / "trajectory.png")
        result["files"] = [*written.files, str(page)]
        text.append(f"{len(result['files'])} files; page: {page}")
    result["warnings"] = list(built.warnings)
    show(as_json, result, "\n".join([*text, *(f"warning: {words}" for words in built.warnings)]))


def _axes(texts: list[str]) -> "HeadAxes | None":
    from render.trajectory import HeadAxes

    if not texts:
        return None
    if len(texts) != 3:
        raise typer.BadParameter(
            "three points are needed: both commissures, and the midline", param_hint="--commissures"
        )
    return HeadAxes.by_commissures(*(point_mm(text, "--commissures") for text in texts))


def _window(text: str) -> "Window | None":
    from render.recipe import RecipeError, Window

    if not text:
        return None
    try:
        centre, width = (float(part) for part in text.split(","))
        return Window(centre, width)
    except (ValueError, RecipeError):
        raise typer.BadParameter(f"{text!r} is not CENTRE,WIDTH", param_hint="--window") from None


def _usual(unit: str) -> "Window":
    """Soft tissue in CT; in other modalities the volume's own range."""
    from render.recipe import Window

    return Window(40.0, 400.0) if unit == "HU" else Window(0.5, 1.0, relative=True)
