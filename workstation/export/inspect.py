"""Describes a series for `inspect`: its volumes with their geometry, or why there is none."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dicom_io.archive import Archive
from dicom_io.capabilities import TRANSFER_SYNTAXES
from dicom_io.errors import NotReadable, VolumeRefused
from dicom_io.files.series import Scan, Series, open_series, scan
from dicom_io.volumes import build_volume
from dicom_io.volumes.build import RefusedImages, Stack, assemble, find_stacks
from dicom_io.volumes.images import stack_of
from render.progress import Progress
from render.volume import Volume
from workstation.errors import WorkstationError
from workstation.export.thumbnails import save_thumbnail


class NothingFound(WorkstationError):  # noqa: N818
    """There is no series where one was expected; the message says where."""


def one_series(name: str, root: Path) -> Series:
    """Returns a series by UID from the archive in `root`, or the only one below a path."""
    if not Path(name).exists():
        return Archive(root).series(name)
    found = open_series(Path(name))
    volumes = [s for s in found if not all(isinstance(x, RefusedImages) for x in find_stacks(s))] or found
    if len(volumes) > 1:
        listing = "; ".join(f"{s.uid} ({s.description or s.modality})" for s in volumes)
        raise NothingFound(f"{name} holds {len(volumes)} series; import it and name one: {listing}.")
    return volumes[0]


def open_volume(
    name: str,
    root: Path,
    which: int | None = None,
    progress: Progress = lambda what, part: None,
    *,
    bridge_gaps: bool = False,
) -> tuple[Volume, Series]:
    """Opens a series of the archive by its UID, or the only one below a path, and builds its volume, or that of number
    `which`.

    Raises NothingFound, NotFound, VolumeRefused.
    """
    series = one_series(name, root)
    told = partial(progress, "building the volumes")
    return build_volume(series, which, told, bridge_gaps=bridge_gaps), series


def sr_file(name: str, root: Path) -> Path:
    """Returns the file of an SR, named by its path or by its SOP Instance UID in the archive in `root`.

    Raises NothingFound, NotFound.
    """
    if Path(name).exists():
        return Path(name)
    if not name.replace(".", "").isdigit():
        raise NothingFound(f"{name}: no such file, and no SOP Instance UID.")
    return Path(Archive(root).instance(name).path)


def found_at(name: str, root: Path) -> Scan:
    """Scans a path, or returns one series by its UID from the archive in `root`. Raises NothingFound, NotFound."""
    found = scan(Path(name)) if Path(name).exists() else None
    if found is None and ("/" in name or not name.replace(".", "").isdigit()):
        raise NothingFound(f"{name}: no such file or folder, and no Series Instance UID.")
    return found or Scan((Archive(root).series(name),), ())


def describe(series: Series, *, bridge_gaps: bool = False, thumbnails: Path | None = None) -> dict[str, Any]:
    """Describes a series, as `inspect --json` prints it. thumbnails : a folder that gets a PNG of each volume."""
    parts = find_stacks(series, bridge_gaps=bridge_gaps)
    volumes = [part for part in parts if isinstance(part, Stack)]
    return {
        "series_uid": series.uid,
        "modality": series.modality,
        "description": series.description,
        "instances": len(series.instances),
        "transfer_syntaxes": sorted(
            {TRANSFER_SYNTAXES.get(i.transfer_syntax_uid, i.transfer_syntax_uid) for i in series.instances}
        ),
        "volumes": [
            _describe(part, thumbnails and thumbnails / f"{series.uid}-{volumes.index(part)}.png")
            if isinstance(part, Stack)
            else {"label": part.label, "images": part.count, "refused": part.reason, "bridgeable": part.bridgeable}
            for part in parts
        ],
        "possible": _possible(series, parts, volumes),
    }


def _possible(series: Series, parts: Sequence[Stack | RefusedImages], volumes: Sequence[Stack]) -> list[str]:
    """Returns what can be done with a series that is not one whole volume, a sentence each."""
    found: list[str] = []
    if len(volumes) > 1:
        found.append(f"draw one part: --volume 0 to --volume {len(volumes) - 1}, in the order of this list")
    if any(isinstance(part, RefusedImages) and part.bridgeable for part in parts):
        found.append("have missing slices interpolated: --bridge-gaps")
    images = stack_of(series).images
    if not volumes and images:
        placed = sum(image.plane is not None for image in images)
        where = "all with a known place" if placed == len(images) else f"{placed} of them with a known place"
        found.append(f"read its {len(images)} images in 2D, {where}")
    return found


def _describe(part: Stack, thumbnail: Path | None) -> dict[str, Any]:
    try:
        volume = assemble(part)
        seen = {"label": part.label, "split_because": part.reason, **geometry(volume)}
        return seen | {"thumbnail": str(save_thumbnail(volume, thumbnail))} if thumbnail else seen
    except (NotReadable, VolumeRefused) as error:
        return {"label": part.label, "images": len(part.slices), "refused": str(error), "bridgeable": False}


def geometry(volume: Volume) -> dict[str, Any]:
    """Returns shape [K, J, I], spacing_mm [k, j, i], origin_mm LPS, direction: rows x, y, z, columns unit step i, j, k.

    The column order of `direction` is that of ITK and NRRD readers, which count i first.
    """
    steps = volume.affine[:3, :3]
    unit = steps / np.linalg.norm(steps, axis=0)
    return {
        "shape": list(volume.shape),
        "spacing_mm": [round(v, 6) for v in volume.spacing_mm],
        "origin_mm": [round(float(v), 6) for v in volume.affine[:3, 3]],
        "direction": [[round(float(v), 9) for v in row[::-1]] for row in unit],
        "unit": volume.unit,
        "minimum": volume.ends[0],
        "maximum": volume.ends[1],
        "warnings": list(volume.warnings),
    }


def in_words(seen: dict[str, Any]) -> str:
    lines = [f"{seen['modality']} {seen['description']!r}, {seen['instances']} instances, series {seen['series_uid']}"]
    for reason in dict.fromkeys(v["split_because"] for v in seen["volumes"] if v.get("split_because")):
        lines.append(f"  split: {reason}")
    for volume in seen["volumes"]:
        label = f"{volume['label']}: " if volume["label"] else ""
        if "refused" in volume:
            lines.append(f"  refused: {label}{volume['refused']} ({volume['images']} images)")
            continue
        shape = " x ".join(map(str, volume["shape"]))
        spacing = " x ".join(f"{v:.4g}" for v in volume["spacing_mm"])
        lines.append(
            f"  volume: {label}{shape} voxels of {spacing} mm, "
            f"{volume['minimum']:g} to {volume['maximum']:g} {volume['unit']}"
        )
        lines += [f"    warning: {w}" for w in volume["warnings"]]
        if "thumbnail" in volume:
            lines.append(f"    thumbnail: {volume['thumbnail']}")
    lines += [f"  possible: {what}" for what in seen["possible"]]
    return "\n".join(lines)
