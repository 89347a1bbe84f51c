"""The command that measures vessels: `vessel`."""

from pathlib import Path
from typing import Annotated

import typer

from workstation.cli.clinical import point_mm
from workstation.cli.pictures import BridgeGaps
from workstation.cli.shared import Json, example, exporting, progress_bar, root, show


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(vessel)


@example("workstation vessel SERIES --through 150,120,40 --through 148,126,180 -o vessel")
def vessel(
    series: Annotated[str, typer.Argument(metavar="SERIES|PATH", help="A Series Instance UID, a file or a folder.")],
    through: Annotated[
        list[str], typer.Option(metavar="X,Y,Z", help="A point in the lumen, LPS mm; two or more, in order.")
    ] = [],  # noqa: B006
    reference: Annotated[
        list[str] | None, typer.Option(metavar="X,Y,Z", help="A point where the vessel is healthy; the last is beyond.")
    ] = None,
    aneurysm: Annotated[
        bool, typer.Option("--aneurysm", help="Measure an aneurysm between the references, else between the ends.")
    ] = False,
    tree: Annotated[
        bool, typer.Option("--tree", help="Pictures of all vessels instead: alone, and behind see-through bones.")
    ] = False,
    sheet: Annotated[
        str, typer.Option(metavar="NAME", help="A planning sheet instead: evar or tavi, from --point.")
    ] = "",
    point: Annotated[
        list[str], typer.Option(metavar="NAME=X,Y,Z", help="A point of a sheet, such as lowest_renal=150,120,40.")
    ] = [],  # noqa: B006
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="A folder for pictures, curve and table.")
    ] = None,
    volume: Annotated[int | None, typer.Option(help="Which volume, where the series holds several.")] = None,
    bridge_gaps: BridgeGaps = False,
    as_json: Json = False,
) -> None:
    """Follow a vessel through points and measure it: length, diameters, stenosis, the widest place, angles.
    An aneurysm that is plain to see is measured too; `--aneurysm` asks for one, or for the reason why
    there is none (exit 1)."""
    from dicom_io.volumes import build_volume
    from workstation.export import inspect, vessel_files

    if tree:
        _tree(series, [*through, *point, sheet], output, volume, bridge_gaps, as_json)
        return
    if sheet or point:
        _sheet(series, sheet, through, point, output, volume, bridge_gaps, as_json)
        return
    points = [point_mm(text, "--through") for text in through]
    references = [point_mm(text, "--reference") for text in reference or ()]
    if len(points) < 2:
        raise typer.BadParameter("a vessel needs two points at least", param_hint="--through")
    found = inspect.one_series(series, root())
    built = build_volume(found, volume, bridge_gaps=bridge_gaps)
    measured = vessel_files.measure(built, points, references, wants_aneurysm=aneurysm)
    result, text = vessel_files.as_json(measured), [vessel_files.in_words(measured)]
    if output is not None:
        with exporting(found.instances, output):
            files = vessel_files.write(measured, built, output)
        result["files"] = [str(file) for file in files]
        text.append(f"{len(files)} files; overview: {output / 'contact_sheet.png'}")
    show(
        as_json,
        {**result, "warnings": list(built.warnings)},
        "\n".join([*text, *(f"warning: {w}" for w in built.warnings)]),
    )
    if aneurysm and measured.aneurysm is not None and measured.aneurysm.declined:
        raise typer.Exit(1)


def _tree(
    series: str, others: list[str], output: Path | None, volume: int | None, bridge_gaps: bool, as_json: bool
) -> None:
    from dicom_io.volumes import build_volume
    from render.vessel_tree import tree_pictures
    from workstation.export import inspect, recipe_files

    if any(others):
        raise typer.BadParameter("--tree takes no points and no sheet", param_hint="--tree")
    if output is None:
        raise typer.BadParameter("--tree draws pictures: say where to with -o", param_hint="-o")
    found = inspect.one_series(series, root())
    built = build_volume(found, volume, bridge_gaps=bridge_gaps)
    recipes = tree_pictures(built)
    with exporting(found.instances, output):
        written = recipe_files.write_pictures(recipes, built, found, output, root(), progress_bar())
    text = f"{len(recipes)} pictures; overview: {written.overview}"
    result = {"digests": written.digests, "files": list(written.files), "warnings": list(built.warnings)}
    show(as_json, result, "\n".join([text, *(f"warning: {words}" for words in built.warnings)]))


def _sheet(
    series: str,
    kind: str,
    through: list[str],
    point: list[str],
    output: Path | None,
    volume: int | None,
    bridge_gaps: bool,
    as_json: bool,
) -> None:
    from dicom_io.volumes import build_volume
    from workstation.export import inspect, vessel_sheets

    known = {name: name for name in vessel_sheets.SHEETS}
    if kind not in known:
        raise typer.BadParameter(f"{kind!r} is no sheet: there are {', '.join(known)}", param_hint="--sheet")
    if through:
        raise typer.BadParameter("a sheet takes named points: --point NAME=X,Y,Z", param_hint="--through")
    points = {}
    for said in point:
        name, equals, place = said.partition("=")
        if not (name and equals):
            raise typer.BadParameter(f"{said!r} is not NAME=X,Y,Z", param_hint="--point")
        if name in points:
            raise typer.BadParameter(f"the point {name!r} is given twice", param_hint="--point")
        points[name] = point_mm(place, "--point")
    found = inspect.one_series(series, root())
    built = build_volume(found, volume, bridge_gaps=bridge_gaps)
    made = vessel_sheets.planning_sheet(known[kind], built, points)
    result, text = vessel_sheets.sheet_json(made), [vessel_sheets.sheet_in_words(made)]
    if output is not None:
        with exporting(found.instances, output):
            files = vessel_sheets.write_sheet(made, built, output)
        result["files"] = [str(file) for file in files]
        text.append(f"{len(files)} files; page: {files[0]}")
    result["warnings"] += list(built.warnings)
    show(as_json, result, "\n".join([*text, *(f"warning: {words}" for words in built.warnings)]))
