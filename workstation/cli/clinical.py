"""The commands that find and measure structures: `segment`, `lesion`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workstation.cli.pictures import BridgeGaps
from workstation.cli.shared import Json, example, exporting, progress_bar, root, show

if TYPE_CHECKING:
    from render.geometry import Vector
    from workstation.case import MeasureRequest

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


def measure_request(text: str) -> "MeasureRequest":
    """Reads `KIND [TOOL] POINT … [/ REFERENCE …] [: FINDING]`; misuse otherwise."""
    from typing import get_args

    from dicom_io.evidence import MeasurementKind
    from render.mask_steps import Fragments
    from workstation.case import MeasureRequest
    from workstation.export.mask_files import ToolError, tool_step

    what, _, finding = text.partition(":")
    places, _, beside = what.partition("/")
    kind, *words = places.split() or [""]
    if kind not in get_args(MeasurementKind) or kind in ("ellipse", "polygon", "area", "targets"):
        raise typer.BadParameter(f"{text!r}: {kind!r} is no measure; {_MEASURES}", param_hint="--measure")
    tool = words.pop(0) if kind == "volume" and words else ""
    points, references = (tuple(point_mm(word, "--measure") for word in each) for each in (words, beside.split()))
    if kind != "volume":
        return MeasureRequest(kind, points, references, finding=finding.strip())  # type: ignore[arg-type]
    try:
        step = tool_step(tool, points, {})
        if isinstance(step, Fragments):
            raise ToolError("fragments are many; measure one of them with `segment`.")
        return MeasureRequest("volume", step=step, finding=finding.strip())
    except ToolError as error:
        raise typer.BadParameter(f"{text!r}: {error}", param_hint="--measure") from None


_MEASURES = (
    "there are distance P P, length P P …, angle P P P, cobb P P P P, lesion P, vessel P P … [/ P …], "
    "trajectory P P (entry, target) and volume TOOL [P …], each P a point X,Y,Z"
)


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
    ] = "",
    model: Annotated[str, typer.Option(metavar="NAME", help="A model of the settings, instead of a tool.")] = "",
    labels: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Labels made elsewhere (SEG, NIfTI, NRRD, MetaImage), instead of a tool."),
    ] = None,
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
    nothing (exit 1). A model of the site, or a file of labels, is brought onto the grid of the volume."""
    from dicom_io.volumes import build_volume
    from workstation.export import inspect, mask_files

    mask_files.check_ending(output)
    if sum([bool(tool), bool(model), labels is not None]) != 1:
        raise typer.BadParameter("say what marks it: one of --tool, --model and --labels", param_hint="--tool")
    if not tool:
        _from_elsewhere(source, output, model, labels, volume, bridge_gaps, as_json)
        return
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


def _from_elsewhere(
    source: str,
    output: Path,
    model: str,
    labels: Path | None,
    which: int | None,
    bridge_gaps: bool,
    as_json: bool,
) -> None:
    from workstation.config import load_config
    from workstation.export import inspect, label_files, mask_files, model_labels

    built, series = inspect.open_volume(source, root(), which, bridge_gaps=bridge_gaps)
    if labels is not None:
        found = label_files.read_labels(labels, built)
    else:
        known = {each.name: each for each in load_config(root()).models}
        if model not in known:
            raise model_labels.ModelError(
                f"Model {model!r} is not in the settings ([[models]]); there are {', '.join(known) or 'none'}."
            )
        found = model_labels.run_model(known[model], built, series.modality)
    if found.overlap:
        typer.echo(f"warning: {found.overlap} voxels are in several segments; the last one has them.", err=True)
    with exporting(series.instances, output):
        mask_files.write_labels(found, built, series, output, root())
    result = mask_files.labels_json(found, built)
    lines = [f"{one['label']:3d} {one['name']}: {one['volume_ml']:.1f} ml" for one in result["segments"]]
    head = f"{output}: {found.made_by}, mask sha256 {found.mask.digest}"
    show(as_json, result, "\n".join([head, *lines]))


@example("workstation lesion SERIES --at 56.4,86.3,-116.0")
def lesion(
    source: Source,
    at: Annotated[str, typer.Option("--at", metavar="X,Y,Z", help="A point in the lesion, LPS mm.")],
    prior: Annotated[
        str | None,
        typer.Option(metavar="SERIES|PATH", help="An earlier series: it is registered and the lesion found there."),
    ] = None,
    prior_at: Annotated[
        str | None, typer.Option(metavar="X,Y,Z", help="The lesion in the prior, LPS mm: nothing is registered.")
    ] = None,
    beside: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Segments (SEG, NIfTI, NRRD) whose distances are wanted.")
    ] = None,
    volume: WhichVolume = None,
    prior_volume: Annotated[int | None, typer.Option(help="Which volume of the prior.")] = None,
    bridge_gaps: BridgeGaps = False,
    as_json: Json = False,
) -> None:
    """Measure the lesion about a point: volume, longest diameter, RECIST axes in the scan plane, and its values;
    against a prior also change and doubling time. What has no closed edge is declined with the reason (exit 1)."""
    from render.mask_steps import StepError
    from workstation.export import inspect, lesion_files

    if prior_at and not prior:
        raise typer.BadParameter("say with --prior in which series that is", param_hint="--prior-at")
    where, there = point_mm(at), point_mm(prior_at, "--prior-at") if prior_at else None
    now = inspect.open_volume(source, root(), volume, bridge_gaps=bridge_gaps)
    if prior is None:
        found = lesion_files.measured(now, where, beside)
    else:
        before = inspect.open_volume(prior, root(), prior_volume, bridge_gaps=bridge_gaps)
        found = lesion_files.compared(now, where, before, there, progress_bar())
    for warning in found.warnings:
        typer.echo(f"warning: {warning}", err=True)
    if found.declined:
        raise StepError(found.declined)
    show(as_json, found.as_json, found.text)
