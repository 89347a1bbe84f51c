"""`workstation surface`: models for printing, planning and viewers."""

from pathlib import Path
from typing import Annotated

import typer

from workstation.cli.shared import Json, example, exporting, progress_bar, root, show
from workstation.text_table import table


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(surface)


@example("workstation surface sample_data/ct_head --model model.json -o head.3mf")
def surface(
    series: Annotated[str, typer.Argument(metavar="SERIES|PATH", help="A Series Instance UID, a file or a folder.")],
    model: Annotated[
        Path, typer.Option(help="A JSON file: parts, the steps of their mask, smoothing, reduction (docs/recipes.md).")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help=".stl, .obj, .ply, .glb, .3mf or .dcm (OBJ within)")
    ],
    volume: Annotated[int | None, typer.Option(help="Which volume, where the series holds several.")] = None,
    as_json: Json = False,
) -> None:
    """Make surfaces of a mask's labels, smooth and thin them out, check that they are closed and true to scale."""
    from dicom_io.volumes import build_volume
    from render.surface_model import make_surfaces, read_surface_model
    from workstation.export import inspect, surface_files

    surface_files.check_surface_ending(output)
    wanted = read_surface_model(model.read_text(encoding="utf-8"))
    found, progress = inspect.one_series(series, root()), progress_bar()
    built = build_volume(found, volume, lambda part: progress("building the volume", part))
    parts = make_surfaces(built, wanted)
    with exporting(found.instances, output):
        surface_files.write_surfaces(parts, built, found, output, root())
    rows = surface_files.surfaces_as_json(parts)
    columns = ["name", "triangles", "watertight", "volume_ml", "mask_ml"]
    text = table([[str(row[c]) for c in columns] for row in rows], columns)
    show(as_json, {"file": str(output), "parts": rows}, f"{text}\n{output}")
