"""The commands that find and measure structures: `segment`, `lesion`."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workstation.cli.pictures import BridgeGaps
from workstation.cli.shared import Json, example, exporting, root, show

if TYPE_CHECKING:
    from render.geometry import Vector

Source = Annotated[str, typer.Argument(metavar="SERIES|PATH", help="A Series Instance UID, a file or a folder.")]
WhichVolume = Annotated[int | None, typer.Option(help="Which volume, where the series holds several.")]


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(segment)
    app.command()(lesion)


def point_mm(text: str, option: str = "--at") -> "Vector":
    """Reads a point `X,Y,Z` in LPS mm; misuse otherwise."""
    parts = text.split(",")
    try:
        x, y, z = (float(part) for part in parts)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no point: write X,Y,Z in LPS mm", param_hint=option) from None
    if not all(abs(v) < 1e6 for v in (x, y, z)):
        raise typer.BadParameter(f"{text!r} lies nowhere in a patient", param_hint=option)
    return (x, y, z)


def parameters_of(texts: list[str]) -> dict[str, str]:
    """Reads parameters `KEY=VALUE`; misuse otherwise."""
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            raise typer.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--set")
        found[key] = value
    return found


@example("workstation segment sample_data/ct_head --tool bone -o bone.nrrd")
def segment(
    source: Source,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help=".nrrd, .nii.gz, .dcm (SEG) or .stl")],
    tool: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="body, lungs, airways, bone, fragments, brain, vessels, lesion, grown, piece, values or brush.",
        ),
    ],
    at: Annotated[
        list[str], typer.Option("--at", metavar="X,Y,Z", help="A point in LPS mm: a seed, a click, or of a stroke.")
    ] = [],  # noqa: B006
    parameters: Annotated[
        list[str], typer.Option("--set", metavar="KEY=VALUE", help="A parameter of the tool, such as low=150.")
    ] = [],  # noqa: B006
    volume: WhichVolume = None,
    bridge_gaps: BridgeGaps = False,
    as_json: Json = False,
) -> None:
    """Mark a structure and write it as a file. A tool that is not sure enough declines with the reason, and writes
    nothing (exit 1)."""
    from dicom_io.volumes import build_volume
    from workstation.export import inspect, mask_files

    mask_files.check_ending(output)
    step = mask_files.tool_step(tool, [point_mm(text) for text in at], parameters_of(parameters))
    series = inspect.one_series(source, root())
    built = build_volume(series, volume, bridge_gaps=bridge_gaps)
    mask, result = mask_files.segment(built, step)
    if mask is None:
        show(as_json, result, f"declined: {result['declined']}")
        raise typer.Exit(1)
    with exporting(series.instances, output):
        mask_files.write_mask(mask, step, built, series, output, root())
    sure = "" if result["confidence"] is None else f", confidence {result['confidence']:.2f}"
    parts = [f"  {one['label']}: {one['name']}, {one['volume_ml']:.1f} ml" for one in result.get("parts", ())]
    text = f"{output}: {result['volume_ml']:.1f} ml in {result['voxels']} voxels{sure}"
    show(as_json, result, "\n".join([text, *parts]))


@example("workstation lesion SERIES --at 56.4,86.3,-116.0")
def lesion(
    source: Source,
    at: Annotated[str, typer.Option("--at", metavar="X,Y,Z", help="A point in the lesion, LPS mm.")],
    volume: WhichVolume = None,
    bridge_gaps: BridgeGaps = False,
    as_json: Json = False,
) -> None:
    """Measure the lesion about a point: volume, longest diameter, RECIST axes in the scan plane, and its values. What
    has no closed edge is declined with the reason (exit 1)."""
    from dicom_io.volumes import build_volume
    from render.mask_steps import StepError
    from render.segment import measure_lesion
    from workstation.export import inspect

    where = point_mm(at)
    built = build_volume(inspect.one_series(source, root()), volume, bridge_gaps=bridge_gaps)
    found = measure_lesion(built, where)
    if found.declined:
        raise StepError(found.declined)
    wanted = ("volume_ml", "longest_mm", "recist_mm", "short_axis_mm", "mean", "sd", "minimum", "maximum")
    result: dict[str, Any] = {key: round(value, 3) for key, value in asdict(found).items() if key in wanted}
    text = (
        f"{found.volume_ml:.2f} ml, longest {found.longest_mm:.1f} mm; in the scan plane {found.recist_mm:.1f} x "
        f"{found.short_axis_mm:.1f} mm; {found.mean:.0f} ± {found.sd:.0f} {built.unit} ({found.minimum:.0f} to "
        f"{found.maximum:.0f})"
    )
    show(as_json, result, text)
