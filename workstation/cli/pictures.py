"""The commands that look at series and draw them: `inspect`, `render`, `export`, `presets`, `protocols`, `warm`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workstation.cli.shared import Json, example, exporting, progress_bar, root, show
from workstation.text_table import table

if TYPE_CHECKING:
    from dicom_io.objects.burn_in import BurnIn

BridgeGaps = Annotated[
    bool, typer.Option("--bridge-gaps", help="Interpolate missing slices; a warning goes into every record.")
]


def _burn_in(text: str) -> "BurnIn | None":
    """The choice in words, None where nothing was said and the settings hold."""
    from dicom_io.objects.burn_in import BURN_IN

    if not text:
        return None
    for choice in BURN_IN:
        if text == choice:
            return choice
    raise typer.BadParameter(f"{text!r} is not one of {', '.join(BURN_IN)}", param_hint="--burn-in")


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(inspect)
    app.command()(render)
    app.command()(export)
    app.command()(presets)
    app.command()(protocols)
    app.command()(warm)


@example("workstation inspect sample_data/ct_head --thumbnails thumbnails")
def inspect(
    source: Annotated[str, typer.Argument(metavar="SERIES|PATH", help="A file, a folder or a Series Instance UID.")],
    thumbnails: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A folder that gets a small PNG of each volume's middle planes.")
    ] = None,
    bridge_gaps: BridgeGaps = False,
    as_json: Json = False,
) -> None:
    """Show every series below a path, the volumes it makes, or the reason why it makes none."""
    from workstation.export import inspect

    found = inspect.found_at(source, root())
    for item in (*found.unreadable, *found.repeated):
        typer.echo(f"passed over: {item.reason}", err=True)
    if not found.series:
        raise inspect.NothingFound(f"{source}: no DICOM series found.")
    seen = [inspect.describe(s, bridge_gaps=bridge_gaps, thumbnails=thumbnails) for s in found.series]
    show(as_json, seen, "\n\n".join(inspect.in_words(s) for s in seen))


@example("workstation render sample_data/ct_head --protocol ct_head_trauma -o pictures")
def render(
    source: Annotated[
        str, typer.Argument(metavar="SERIES|PATH", help="A Series Instance UID, a file or folder, or an SR of ours.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where the files go.")],
    protocol: Annotated[
        str, typer.Option(help="Its name, from the list that `protocols` prints. For an SR: instead of its own.")
    ] = "",
    recipe: Annotated[Path | None, typer.Option(help="A JSON file with one recipe, instead of a protocol.")] = None,
    sources: Annotated[
        Path | None, typer.Option(help="For an SR: where its sources lie, if not in the archive.")
    ] = None,
    volume: Annotated[int | None, typer.Option(help="Which volume, where the series holds several.")] = None,
    fuse: Annotated[
        str, typer.Option(metavar="SERIES|PATH", help="A second series, in colour over the reformats of the first.")
    ] = "",
    move: Annotated[
        Path | None, typer.Option(metavar="FILE", help="How it lies on the first: .json or .dcm, as `register` writes.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Segments in colour in the renderings: SEG, NIfTI, NRRD.")
    ] = None,
    bridge_gaps: BridgeGaps = False,
    annotate: Annotated[
        bool, typer.Option("--annotate", help="Letters, cube, scale and view on PNG, GIF and MP4 files.")
    ] = False,
    banner: Annotated[
        bool, typer.Option("--banner", help="As --annotate, with patient and study: the files then say who it is.")
    ] = False,
    gif: Annotated[bool, typer.Option("--gif", help="Also an animated GIF of each rotation and stack.")] = False,
    mp4: Annotated[
        bool, typer.Option("--mp4", help="Also an MP4 (H.264) of each rotation and stack; needs the extra `video`.")
    ] = False,
    dicom: Annotated[bool, typer.Option("--dicom", help="Also DICOM files, as `run` would store them.")] = False,
    burn_in: Annotated[str, typer.Option(help="none, letters, view or patient: burned into DICOM captures.")] = "",
    as_json: Json = False,
) -> None:
    """Draw a protocol, a recipe, or the pictures of an SR as PNG files and a contact sheet. Nothing is stored."""
    from workstation.export import render_files

    if (not render_files.is_sr(source) or protocol) and bool(protocol) == (recipe is not None):
        raise typer.BadParameter("say what to draw: either --protocol NAME or --recipe FILE", param_hint="--protocol")
    if move is not None and not fuse:
        raise typer.BadParameter("says how a second series lies: name it with --fuse", param_hint="--move")
    files = render_files.FilesWanted(annotate, banner, gif, mp4, dicom, _burn_in(burn_in))
    render_files.check_can_write(files)
    progress = progress_bar()
    drawn = render_files.render(
        source,
        root(),
        render_files.PicturesWanted(protocol, recipe, sources, volume, bridge_gaps, fuse, move, labels),
        progress,
    )
    with exporting([i for one in (drawn.series, *drawn.fused) for i in one.instances], output):
        result = render_files.write(drawn, output, files, root(), progress)
    text = [f"{len(drawn.pictures)} pictures, {len(result['files'])} files; overview: {result['contact_sheet']}"]
    show(as_json, result, "\n".join([*text, *(f"warning: {w}" for w in result["warnings"])]))


@example("workstation export sample_data/ct_head -o head.nrrd")
def export(
    series: Annotated[str, typer.Argument(metavar="SERIES|PATH", help="A Series Instance UID, a file or a folder.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help=".nrrd, .mha, .nii or .nii.gz")],
    volume: Annotated[int | None, typer.Option(help="Which volume, where the series holds several.")] = None,
    bridge_gaps: BridgeGaps = False,
    as_json: Json = False,
) -> None:
    """Write a volume with its geometry for Slicer, ITK-SNAP and others."""
    from dicom_io.volumes import build_volume
    from workstation.export import inspect
    from workstation.export.volume_files import export as write

    found = inspect.one_series(series, root())
    built = build_volume(found, volume, bridge_gaps=bridge_gaps)
    with exporting(found.instances, output):
        write(built, output)
    text = [f"{output}: {' x '.join(map(str, built.shape))} voxels in {built.unit}"]
    result = {"file": str(output), **inspect.geometry(built)}
    show(as_json, result, "\n".join([*text, *(f"warning: {w}" for w in built.warnings)]))


@example("workstation presets")
def presets(as_json: Json = False) -> None:
    """List the transfer-function presets and the windows, with unit, key and source."""
    from render.presets import named_preset, preset_names, windows

    rows: list[dict[str, Any]] = []
    for name in preset_names():
        made = named_preset(name)
        known = {"kind": "preset", "key": "", "unit": made.transfer.unit, "title": made.title, "source": made.source}
        rows.append({"name": name, **known, "points": len(made.transfer.points)})
    for one in windows():
        known = {"kind": "window", "key": one.key, "unit": one.unit, "title": one.title, "source": one.source}
        rows.append({"name": one.name, **known, "centre": one.window.centre, "width": one.window.width})
    columns = ["kind", "name", "key", "unit", "title"]
    show(as_json, rows, table([[str(r[c]) for c in columns] for r in rows], columns))


@example("workstation protocols")
def protocols(as_json: Json = False) -> None:
    """List the protocols: named lists of recipes for a clinical question."""
    from render.protocols import load_protocol, protocol_names

    loaded = [load_protocol(n) for n in protocol_names()]
    rows = [
        {
            "name": p.name,
            "region": p.region,
            "pictures": len(p.recipes),
            "title": p.title,
            "clinical_use": p.clinical_use,
            "recipes": [r.name for r in p.recipes],
        }
        for p in loaded
    ]
    columns = ["name", "region", "pictures", "title", "clinical_use"]
    show(as_json, rows, table([[str(r[c]) for c in columns] for r in rows], columns))


@example("workstation warm")
def warm(as_json: Json = False) -> None:
    """Compile the kernels of pictures and tools into the user's cache, so that the first of them does not wait."""
    from render.engine.cpu.frames import warm as compile_kernels
    from render.engine.cpu.fused_rays import warm_fused
    from render.engine.cpu.moved_parts import warm_moved
    from render.segment.warm import warm_tools

    seconds = compile_kernels() + warm_fused() + warm_moved() + warm_tools()
    show(as_json, {"seconds": round(seconds, 1)}, f"Kernels are compiled ({seconds:.1f} s).")
