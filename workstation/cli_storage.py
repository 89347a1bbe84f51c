"""`workstation storage …` and `workstation quarantine …`."""

from typing import Annotated, Any

import typer

from workstation.cli_shared import Json, example, progress_bar, root, show, table

Name = Annotated[str, typer.Argument(metavar="NAME", help="As `workstation quarantine list` shows it.")]


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    storage = typer.Typer(no_args_is_help=True, help="Look after the archive.")
    app.add_typer(storage, name="storage")
    storage.command("status")(status)
    storage.command("verify")(verify)
    storage.command("rebuild-index")(rebuild_index)
    storage.command("prune")(prune)
    quarantine = typer.Typer(no_args_is_help=True, help="Instances that came with the UID of another one.")
    app.add_typer(quarantine, name="quarantine")
    quarantine.command("list")(list_quarantined)
    quarantine.command("show")(show_quarantined)
    quarantine.command("release")(release)
    quarantine.command("discard")(discard)


@example("workstation storage status")
def status(as_json: Json = False) -> None:
    """Show what the archive holds, what waits in quarantine, and how much of the disk is free."""
    from dataclasses import asdict

    from dicom_io.upkeep import status as look
    from workstation.site import open_site

    found = asdict(look(open_site(root()).archive))
    words = {**found, "size": f"{found['size'] / 1e9:.2f} GB", "free": f"{found['free'] / 1e9:.2f} GB"}
    show(as_json, found, "\n".join(f"{name:12} {value}" for name, value in words.items()))


@example("workstation storage verify")
def verify(as_json: Json = False) -> None:
    """Read every file and compare it with the index. Exit 1 when something is not as it should be."""
    from dicom_io.upkeep import verify as look
    from workstation.site import open_site

    bar = progress_bar()
    faults = list(look(open_site(root()).archive, lambda done, of: bar(f"{done} of {of} instances", done / of)))
    rows = [{"path": fault.path, "fault": fault.words} for fault in faults]
    show(as_json, rows, "\n".join(f"{f.path}: {f.words}." for f in faults) or "Every instance is as it was received.")
    if faults:
        raise typer.Exit(1)


@example("workstation storage rebuild-index")
def rebuild_index(as_json: Json = False) -> None:
    """Make the index anew from the files alone. Exit 1 when a file is no whole instance."""
    from workstation.site import open_site

    found = open_site(root()).archive.rebuild_index()
    count = sum(len(series.instances) for series in found.series)
    rows = [{"path": bad.path, "reason": bad.reason} for bad in found.unreadable]
    text = [
        f"{count} instances of {len(found.series)} series are in the index.",
        *(bad.reason for bad in found.unreadable),
    ]
    show(as_json, {"instances": count, "series": len(found.series), "unreadable": rows}, "\n".join(text))
    if found.unreadable:
        raise typer.Exit(1)


@example("workstation storage prune --keep-days 90 --dry-run")
def prune(
    keep_days: Annotated[float, typer.Option(help="What came within so many days stays.", min=0)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Remove nothing; say what would go.")] = False,
    as_json: Json = False,
) -> None:
    """Remove old source images: never what an open case or a message on its way needs, and nothing that we made."""
    from dicom_io.upkeep import prune as remove
    from workstation.site import open_site
    from workstation.storage import may_go

    site, bar = open_site(root()), progress_bar()
    found = may_go(site, keep_days)
    studies = sorted({one.study_uid for one in found})
    size = sum(one.size for one in found)
    if not dry_run:
        remove(site.archive, found, lambda done, of: bar(f"{done} of {of} instances", done / of))
    result = {"instances": len(found), "studies": studies, "bytes": size, "removed": not dry_run}
    verb = "would go" if dry_run else "are gone"
    show(as_json, result, f"{len(found)} instances of {len(studies)} studies {verb}, {size / 1e9:.2f} GB.")


def _row(one: Any) -> dict[str, Any]:
    return {
        "name": one.name,
        "came_at": one.came_at.isoformat(),
        "modality": one.modality,
        "accession": one.accession,
        "series_uid": one.series_uid,
        "sop_instance_uid": one.sop_instance_uid,
        "size": one.size,
    }


@example("workstation quarantine list")
def list_quarantined(as_json: Json = False) -> None:
    """List what came with the UID of a kept instance and other content."""
    from dicom_io.quarantine import quarantined
    from workstation.site import open_site

    rows = [_row(one) for one in quarantined(open_site(root()).archive)]
    columns = ["came_at", "modality", "accession", "size", "name"]
    show(as_json, rows, table([[str(row[c]) for c in columns] for row in rows], columns))


@example("workstation quarantine show 1.2.840.113619.2.1.5.0f3a9c21b4de")
def show_quarantined(name: Name, as_json: Json = False) -> None:
    """Show in which attributes one differs from the instance that is kept, without their values."""
    from dicom_io.quarantine import differences
    from workstation.site import open_site

    found = differences(open_site(root()).archive, name)
    result = {**_row(found.quarantined), "attributes": list(found.keywords), "pixels_differ": found.pixels}
    show(as_json, result, "\n".join(f"{key:17} {value}" for key, value in result.items()))


@example("workstation quarantine release 1.2.840.113619.2.1.5.0f3a9c21b4de")
def release(name: Name, as_json: Json = False) -> None:
    """Keep this one instead: the instance that was kept so far goes into quarantine."""
    from dicom_io.quarantine import release as let_in
    from workstation.site import open_site

    kept = let_in(open_site(root()).archive, name)
    show(
        as_json,
        {"sop_instance_uid": kept.sop_instance_uid},
        f"{kept.sop_instance_uid} is kept with the content of {name}.",
    )


@example("workstation quarantine discard 1.2.840.113619.2.1.5.0f3a9c21b4de")
def discard(name: Name, as_json: Json = False) -> None:
    """Delete one for good."""
    from dicom_io.quarantine import discard as delete
    from workstation.site import open_site

    delete(open_site(root()).archive, name)
    show(as_json, {"name": name}, f"{name} is deleted.")
