"""`workstation storage …` and `workstation quarantine …`."""

from contextlib import suppress
from typing import Annotated, Any

import typer

from workstation.cli.shared import Json, account, example, progress_bar, root, show
from workstation.text_table import table

QuarantinedArgument = Annotated[str, typer.Argument(metavar="NAME", help="As `workstation quarantine list` shows it.")]


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

    from dicom_io.archive.upkeep import status as look
    from workstation.site import open_site

    found = asdict(look(open_site(root()).archive))
    words = {**found, "size": f"{found['size'] / 1e9:.2f} GB", "free": f"{found['free'] / 1e9:.2f} GB"}
    show(as_json, found, "\n".join(f"{name:12} {value}" for name, value in words.items()))


@example("workstation storage verify --repair")
def verify(
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            "--set-aside",
            help="Take what is damaged out of the archive, so that it can be sent again; enter what the index lacks.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Read every file and compare it with the index. Exit 1 when something is not as it should be.

    What is set aside lies in the folder `damaged` of the state folder. A record that is entered is filed by `serve`
    when it starts, as if it had just come.
    """
    from dicom_io.archive import upkeep
    from workstation.site import open_site

    archive, bar = open_site(root()).archive, progress_bar()
    faults = list(upkeep.verify(archive, lambda done, of: bar(f"{done} of {of} instances", done / of)))
    moved, entered = upkeep.repair(archive, faults) if repair and faults else ([], [])
    rows = [
        {"path": f.path, "fault": f.words, "damaged": f.damaged, "set_aside": f in moved, "indexed": f in entered}
        for f in faults
    ]
    text = [f"{f.path}: {f.words}." for f in faults] or ["Every instance is as it was received."]
    text += [f"{len(moved)} are set aside in {archive.root / 'damaged'}; send them again."] if moved else []
    text += [f"{len(entered)} are in the index now."] if entered else []
    show(as_json, rows, "\n".join(text))
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
    keep_days: Annotated[float, typer.Option(help="What came within so many days stays.", min=0, max=36500)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Remove nothing; say what would go.")] = False,
    as_json: Json = False,
) -> None:
    """Remove old source images: never what an open case or a message on its way needs, and nothing that we made."""
    from workstation.site import open_site
    from workstation.storage import may_go
    from workstation.storage import prune as remove

    site, bar = open_site(root()), progress_bar()
    found = may_go(site, keep_days)
    studies = sorted({one.study_uid for one in found})
    size = sum(one.size for one in found)
    if not dry_run:
        remove(site, found, account(), lambda done, of: bar(f"{done} of {of} instances", done / of))
    result = {"instances": len(found), "studies": studies, "bytes": size, "removed": not dry_run}
    verb = "would go" if dry_run else "are gone"
    show(as_json, result, f"{len(found)} instances of {len(studies)} studies {verb}, {size / 1e9:.2f} GB.")


def _row(one: Any) -> dict[str, Any]:
    from dicom_io.capabilities import TRANSFER_SYNTAXES

    return {
        "name": one.name,
        "came_at": one.came_at.isoformat(),
        "modality": one.modality,
        "accession": one.accession,
        "transfer_syntax": TRANSFER_SYNTAXES.get(one.transfer_syntax_uid, one.transfer_syntax_uid),
        "series_uid": one.series_uid,
        "sop_instance_uid": one.sop_instance_uid,
        "size": one.size,
    }


_COMPARED = {"same": "same content", "other": "other content", "alone": "none is kept"}


@example("workstation quarantine list --compare")
def list_quarantined(
    compare: Annotated[
        bool, typer.Option("--compare", help="Say which hold the same content as the kept one, encoded otherwise.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List what came with the UID of a kept instance and other content, or the same in another transfer syntax."""
    from dicom_io.archive.quarantine import compared, quarantined
    from workstation.site import open_site

    archive, bar = open_site(root()).archive, progress_bar()
    columns = ["came_at", "modality", "accession", "size", "transfer_syntax", "name"]
    if compare:
        found = compared(archive, lambda done, of: bar(f"{done} of {of} compared", done / of))
        rows = [{**_row(one), "compared": _COMPARED[how]} for one, how in found]
        columns.insert(-1, "compared")
    else:
        rows = [_row(one) for one in quarantined(archive)]
    show(as_json, rows, table([[str(row[c]) for c in columns] for row in rows], columns))


@example("workstation quarantine show 1.2.840.113619.2.1.5.0f3a9c21b4de")
def show_quarantined(name: QuarantinedArgument, as_json: Json = False) -> None:
    """Show in which attributes one differs from the instance that is kept, without their values."""
    from dicom_io.archive.quarantine import differences
    from dicom_io.capabilities import TRANSFER_SYNTAXES
    from workstation.site import open_site

    found = differences(open_site(root()).archive, name)
    kept = found.kept_transfer_syntax_uid
    result = {
        **_row(found.quarantined),
        "kept_transfer_syntax": TRANSFER_SYNTAXES.get(kept, kept),
        "same_content": found.same,
        "attributes": list(found.keywords),
        "pixels_differ": found.pixels,
    }
    show(as_json, result, "\n".join(f"{key:20} {value}" for key, value in result.items()))


@example("workstation quarantine release 1.2.840.113619.2.1.5.0f3a9c21b4de")
def release(name: QuarantinedArgument, as_json: Json = False) -> None:
    """Keep this one instead: the instance that was kept so far goes into quarantine."""
    from workstation.administration.quarantining import release as let_in
    from workstation.site import open_site

    kept = let_in(name, open_site(root()), account())
    show(
        as_json,
        {"sop_instance_uid": kept.sop_instance_uid},
        f"{kept.sop_instance_uid} is kept with the content of {name}.",
    )


@example("workstation quarantine discard --same --dry-run")
def discard(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `workstation quarantine list` shows it.")] = "",
    same: Annotated[
        bool, typer.Option("--same", help="All that hold the same content as the kept one, encoded otherwise.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Delete nothing; say what would go.")] = False,
    as_json: Json = False,
) -> None:
    """Delete one for good, or all that hold nothing that is not kept."""
    from dicom_io.archive.quarantine import compared, header_of
    from dicom_io.errors import NotReadable
    from workstation.administration.quarantining import discard as delete
    from workstation.site import open_site

    if bool(name) == same:
        raise typer.BadParameter("give a name, or --same", param_hint="NAME")
    site, bar = open_site(root()), progress_bar()
    archive, going = site.archive, [name]
    if same:
        found = compared(archive, lambda done, of: bar(f"{done} of {of} compared", done / of))
        going = [one.name for one, how in found if how == "same"]
    for one in going:
        if not dry_run:
            delete(one, site, account())
            continue
        with suppress(NotReadable):  # half a file is nobody's
            header_of(archive, one)
    verb = "would be deleted" if dry_run else "is deleted" if name else "are deleted"
    show(as_json, {"names": going, "deleted": not dry_run}, f"{name or len(going)} {verb}.")
