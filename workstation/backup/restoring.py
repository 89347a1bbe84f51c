"""Restoring a snapshot: into an empty state folder, after all of it was read back."""

import shutil
from pathlib import Path

from dicom_io.archive.durable import flush, flush_folders
from render.progress import CountDone
from workstation.backup.snapshot import DUMP, BackupError, Manifest, read_manifest, snapshot_in, verify
from workstation.config import load_config
from workstation.site import RESTORING, store_of
from workstation.store import dump, schema
from workstation.store.restored import start_anew


def restore(folder: Path, root: Path, progress: CountDone | None = None) -> tuple[Path, Manifest, str]:
    """Restores a snapshot, or the newest one of a folder, into an empty state folder; with a shared store and a
    PostgreSQL database as the settings in it, or the environment, name them, both empty too. One of a host alone fills
    its state folder, and asks nothing of these.

    Returns the snapshot, what it says, and what is left to do, empty for nothing.

    All digests are compared before anything is written. Until everything is there, nothing opens the folder.

    Raises BackupError, ConfigError, DumpError, OSError.
    """
    snapshot, root = snapshot_in(folder), root.absolute()
    manifest = read_manifest(snapshot)
    if manifest.schema > schema.NEWEST:
        raise BackupError(
            f"{snapshot} holds a database of version {manifest.schema}; this program knows {schema.NEWEST} at most. "
            f"Install {manifest.program}, or a newer one. Nothing was restored."
        )
    config = load_config(snapshot / "state")
    whole = manifest.kind == "site"
    if whole and (manifest.database == "sqlite") == bool(config.database):
        raise BackupError(f"The backup holds a {manifest.database} database, and the settings in it name another kind.")
    store = store_of(root, config)
    engine = schema.database_of(root, config.database) if config.database and whole else None
    places = {"state": root, **({"store": store} if store != root and whole else {})}
    for place in places.values():
        if place.exists() and any(place.iterdir()):
            raise BackupError(f"{place} is not empty; nothing was restored. Move what is there away, or name another.")
        disk = next(each for each in (place, *place.parents) if each.exists())
        if shutil.disk_usage(disk).free < manifest.size:
            raise BackupError(f"{place} has no room for {manifest.size >> 20} MB; nothing was restored.")
    if engine is not None and schema.version_of(engine) is not None:
        raise BackupError("The database that the settings name has tables already; restore into an empty one.")
    if faults := list(verify(snapshot, progress)):
        raise BackupError(f"{snapshot} is damaged, nothing was restored: {faults[0]} ({len(faults)} in all)")
    for top, place in places.items():
        (place / RESTORING).mkdir(mode=0o700, parents=True)
        _copy_back(snapshot / top, place / RESTORING)
    for place in reversed(places.values()):
        for entry in sorted((place / RESTORING).iterdir()):
            entry.rename(place / entry.name)
        flush_folders(place, place)
    left = ""
    if whole:
        if engine is not None:
            dump.load(engine, snapshot / DUMP)
        else:
            engine = schema.database_of(root, "")
        left = start_anew(engine)
        engine.dispose()
    for place in reversed(places.values()):
        (place / RESTORING).rmdir()
        flush_folders(place, place)
    return snapshot, manifest, left


def _copy_back(source: Path, target: Path) -> None:
    """Copies a tree, durably. Never links: the backup stays as it is, whatever becomes of the site."""
    if not source.exists():
        return
    shutil.copytree(source, target, dirs_exist_ok=True)
    for made in target.rglob("*"):
        if made.is_dir():
            flush_folders(made, made)
        else:
            flush(made)
