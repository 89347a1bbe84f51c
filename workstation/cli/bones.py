"""The commands for bones: `explode`, `bones`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workstation.cli.clinical import Source, WhichVolume, parameters_of, point_mm
from workstation.cli.pictures import BridgeGaps
from workstation.cli.shared import Json, example, root, show

if TYPE_CHECKING:
    from render.geometry import Vector

Parameters = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="A parameter of the tool fragments, such as neck=0.4.")
]
Heads = Annotated[
    list[str], typer.Option("--at", metavar="X,Y,Z", help="A point in the head of a ball joint, LPS mm; any number.")
]


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(explode)
    app.command()(bones)


@example("workstation explode SERIES --at -100,-186,-382 --spread 0.4 -o hips.json")
def explode(
    source: Source,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The recipe, .json.")],
    at: Heads = [],  # noqa: B006
    spread: Annotated[
        float, typer.Option(min=0.0, max=5.0, help="How far apart, in shares of the way from the middle; 0 in place.")
    ] = 0.4,
    without: Annotated[
        list[int], typer.Option(metavar="N", help="A part that is left out, by its number; any number of them.")
    ] = [],  # noqa: B006
    stay: Annotated[int | None, typer.Option(metavar="N", help="The part that stays where it is.")] = None,
    shown: Annotated[int, typer.Option(metavar="N", min=1, help="How many parts, the largest first.")] = 12,
    view: Annotated[str, typer.Option(help="From where, such as 'anterior' or 'left'.")] = "anterior",
    parameters: Parameters = [],  # noqa: B006
    volume: WhichVolume = None,
    bridge_gaps: BridgeGaps = False,
    as_json: Json = False,
) -> None:
    """Write a recipe that draws the bones in parts, each in its colour, pulled apart or some left out; `render`
    draws it."""
    from dicom_io.volumes import build_volume
    from render.geometry import View
    from render.recipe import canonical_json
    from workstation.export import bone_files, inspect, mask_files

    step = mask_files.fragments_step([point_mm(text) for text in at], parameters_of(parameters))
    built = build_volume(inspect.one_series(source, root()), volume, bridge_gaps=bridge_gaps)
    recipe, names = bone_files.exploded_recipe(built, step, spread, shown, without, stay, View.parse(view))
    output.write_text(canonical_json(recipe) + "\n", encoding="utf-8")
    text = f"{output}: {', '.join(names)}; draw it with: workstation render {source} --recipe {output} -o DIR"
    show(as_json, {"recipe": str(output), "parts": names, "moved": len(recipe.moves)}, text)


@example("workstation bones SERIES --head 61,-183,-393 --shaft 88,-185,-430 --shaft 90,-186,-445")
def bones(
    source: Source,
    head: Annotated[str, typer.Option(metavar="X,Y,Z", help="A point in the head of the femur, LPS mm.")] = "",
    neck: Annotated[
        str, typer.Option(metavar="X,Y,Z", help="The middle of its neck; without it, its narrowest section.")
    ] = "",
    shaft: Annotated[list[str], typer.Option(metavar="X,Y,Z", help="A point in the shaft; two, above and below.")] = [],  # noqa: B006
    condyle: Annotated[
        list[str], typer.Option(metavar="X,Y,Z", help="A point on the back of a condyle; two, for the version.")
    ] = [],  # noqa: B006
    line: Annotated[
        list[str], typer.Option(metavar="X,Y,Z:X,Y,Z", help="A line, from one point to another, for an angle.")
    ] = [],  # noqa: B006
    part: Annotated[
        list[int], typer.Option(metavar="N", help="A part of the tool fragments, whose long axis makes the angle.")
    ] = [],  # noqa: B006
    seen_from: Annotated[str, typer.Option(metavar="VIEW", help="The angle as seen from here, not in space.")] = "",
    at: Heads = [],  # noqa: B006
    parameters: Parameters = [],  # noqa: B006
    volume: WhichVolume = None,
    bridge_gaps: BridgeGaps = False,
    as_json: Json = False,
) -> None:
    """Measure a femur from points (head, neck-shaft angle, offset, version), or the angle between two lines or bones.
    What is not found is declined with the reason (exit 1)."""
    from dicom_io.volumes import build_volume
    from render.geometry import View
    from workstation.export import bone_files, inspect, mask_files

    if bool(head) == bool(line or part):
        raise typer.BadParameter("say --head, or two of --line and --part", param_hint="--head")
    shafts, condyles = _two(shaft, "--shaft"), _two(condyle, "--condyle")
    if condyles is not None and shafts is None:
        raise typer.BadParameter("the version is seen along the shaft: say --shaft twice", param_hint="--condyle")
    lines = [_line(text) for text in line]
    step = mask_files.fragments_step([point_mm(text) for text in at], parameters_of(parameters))
    built = build_volume(inspect.one_series(source, root()), volume, bridge_gaps=bridge_gaps)
    if head:
        middle = point_mm(neck, "--neck") if neck else None
        found = bone_files.measure_femur(built, point_mm(head, "--head"), shafts, middle, condyles)
        show(as_json, bone_files.femur_as_json(found), bone_files.femur_in_words(found))
        return
    first, second = bone_files.axes(built, lines, part, step)
    across = View.parse(seen_from).towards_observer if seen_from else None
    angle = round(bone_files.angle_deg(first, second, across), 2)
    result: dict[str, Any] = {"angle_deg": angle, "directions": [list(first.direction), list(second.direction)]}
    show(as_json, result, f"{angle:.1f}° ({180.0 - angle:.1f}° the other way)")


def _two(texts: list[str], option: str) -> "tuple[Vector, Vector] | None":
    if not texts:
        return None
    if len(texts) != 2:
        raise typer.BadParameter(f"takes two points, and {len(texts)} were given", param_hint=option)
    return point_mm(texts[0], option), point_mm(texts[1], option)


def _line(text: str) -> "tuple[Vector, Vector]":
    first, colon, second = text.partition(":")
    if not colon:
        raise typer.BadParameter(f"{text!r} is no line: write X,Y,Z:X,Y,Z in LPS mm", param_hint="--line")
    return point_mm(first, "--line"), point_mm(second, "--line")
