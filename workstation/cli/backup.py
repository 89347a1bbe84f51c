"""`workstation backup` and `workstation restore`."""

from pathlib import Path
from typing import Annotated

import typer

from workstation.cli.shared import Json, example, progress_bar, root, show

FolderArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="On another disk; one for all backups.")]


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("backup")(backup)
    app.command("restore")(restore)


@example("workstation backup /mnt/backup/workstation")
def backup(
    folder: FolderArgument,
    read_back: Annotated[
        bool, typer.Option("--verify", help="Make none; read the newest one back and compare every file.")
    ] = False,
    this_host: Annotated[
        bool,
        typer.Option(
            "--this-host", help="This host's state folder alone, where several hosts share database and store."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Back up everything that cannot be made again, while `serve` runs. Exit 1 when something was damaged or missing.

    Each backup is whole in a folder of its own, named after its time; what has not changed since the one before is a
    link to it, so remove old ones as you like. It holds patients' data, and private keys where those lie in the state
    folder: guard it like the state folder itself.
    """
    from dataclasses import asdict

    from workstation.backup.making import make
    from workstation.backup.snapshot import read_manifest, snapshot_in, verify
    from workstation.site import open_site

    bar = progress_bar()
    faults: list[str] = []
    if read_back:
        snapshot = snapshot_in(folder)
        manifest = read_manifest(snapshot)
        faults = list(verify(snapshot, lambda done, of: bar(f"{done} of {of} files", done / of)))
        text = [f"{snapshot}: {manifest.files} files, {manifest.size / 1e9:.2f} GB, of {manifest.made_at}."]
        text += faults or ["Every file is as it was written."]
    else:
        snapshot, manifest = make(
            open_site(root()),
            folder,
            lambda done, of: bar(f"{done} of {of} files", done / of),
            this_host_only=this_host,
        )
        sizes = f"{manifest.size / 1e9:.2f} GB, {manifest.copied / 1e9:.2f} GB of them new"
        text = [f"{snapshot}: {manifest.files} files, {sizes}."]
        text += [f"It holds a private key or token: {key}." for key in manifest.keys]
        text += [f"Not in it, since it lies elsewhere: {path}." for path in manifest.outside]
        text += [f"Not in it: {one}. There: `workstation backup FOLDER --this-host`." for one in manifest.other_hosts]
        text += [f"Not in it, since it was handed over: {path}." for path in manifest.left_out]
    text += manifest.faults
    result = {"backup": str(snapshot), **asdict(manifest), "damaged": faults}
    show(as_json, result, "\n".join(text))
    if faults or manifest.faults:
        raise typer.Exit(1)


@example("workstation restore /mnt/backup/workstation")
def restore(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A backup, or the folder of all: then the newest.")],
    as_json: Json = False,
) -> None:
    """Restore a backup into an empty state folder. Every digest is compared before anything is written.

    A shared store and a PostgreSQL database are filled as well where the settings of the backup name them; they have to
    be empty, and `WORKSTATION_SET_DATABASE` and `WORKSTATION_SET_STORE` name others.
    """
    from workstation.backup.restoring import restore as bring_back

    bar = progress_bar()
    snapshot, manifest, left = bring_back(
        folder, root(), lambda done, of: bar(f"{done} of {of} files compared", done / of)
    )
    text = [f"{manifest.files} files of {manifest.made_at} are restored from {snapshot} into {root()}."]
    text += [f"Put back by hand, since it lay elsewhere: {path}." for path in manifest.outside]
    text += [f"Restore by itself, from a backup of its own: {one}." for one in manifest.other_hosts]
    text += [
        *manifest.faults,
        *([left] if left else []),
        "Read `docs/operations.md` before you start `serve`: what came since is not in it.",
    ]
    show(
        as_json,
        {"backup": str(snapshot), "files": manifest.files, "made_at": manifest.made_at, "left": left},
        "\n".join(text),
    )
