"""`workstation register`: how one series lies on another."""

from pathlib import Path
from typing import Annotated

import typer

from workstation.cli.shared import Json, example, exporting, progress_bar, root, show


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(register)


@example("workstation register sample_data/ct_head sample_data/ct_head -o move.tfm")
def register(
    fixed: Annotated[str, typer.Argument(metavar="FIXED", help="The series that stays: UID, file or folder.")],
    moving: Annotated[str, typer.Argument(metavar="MOVING", help="The series that is brought onto it.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help=".dcm (Spatial Registration), .json or .tfm (ITK, Slicer)"),
    ] = None,
    affine: Annotated[
        bool, typer.Option("--affine", help="Let it stretch and shear too, not turn and shift alone.")
    ] = False,
    fixed_volume: Annotated[int | None, typer.Option(help="Which volume, where FIXED holds several.")] = None,
    moving_volume: Annotated[int | None, typer.Option(help="Which volume, where MOVING holds several.")] = None,
    as_json: Json = False,
) -> None:
    """Find the move that brings one series onto another of the same patient. Exit 1 where no place is good enough.

    The transform maps MOVING to FIXED in LPS mm. Nothing is stored, and a registration that is declined is not written.
    """
    from workstation.export import registration_files as files

    if output is not None:
        files.check_ending(output)
    found = files.register_series(
        fixed,
        moving,
        root(),
        progress_bar(),
        model="affine" if affine else "rigid",
        volumes=(fixed_volume, moving_volume),
    )
    if len({series.first.patient_id for _, series in (found.fixed, found.moving)}) > 1:
        typer.echo("warning: the two series name different patients.", err=True)
    result = found.found
    if result.declined:
        show(as_json, found.as_json(), f"declined: {result.declined}")
        raise typer.Exit(1)
    if result.warning:
        typer.echo(f"warning: {result.warning}", err=True)
    if output is not None:
        with exporting([*found.fixed[1].instances, *found.moving[1].instances], output):
            files.write_registration(found, output, root())
    rows = "\n".join("  ".join(f"{v:12.6f}" for v in row) for row in result.matrix)
    words = f"metric {result.metric:g}, overlap {result.overlap:.0%}, quality {result.quality:g}, "
    words += f"sharpness {result.sharpness:g}"
    show(as_json, found.as_json(), f"{rows}\n{words}" + (f"\n{output}" if output else ""))
