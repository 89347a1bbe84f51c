"""What `inspect` tells of a series: its volumes with their geometry, or why there is none."""

from pathlib import Path
from typing import Any

import numpy as np

from dicom_io.archive import Archive
from dicom_io.build_volume import Refused, assemble, find_stacks
from dicom_io.errors import NotReadable, VolumeRefused
from dicom_io.series import Series, open_series
from render.volume import Volume


class NothingFound(ValueError):  # noqa: N818
    """No series where one was expected; the message says where."""


def one_series(name: str, root: Path) -> Series:
    """A series by UID from the archive in `root`, or the only one below a path."""
    if not Path(name).exists():
        return Archive(root).series(name)
    found = open_series(Path(name))
    volumes = [s for s in found if not all(isinstance(x, Refused) for x in find_stacks(s))] or found
    if len(volumes) > 1:
        listing = "; ".join(f"{s.uid} ({s.description or s.modality})" for s in volumes)
        raise NothingFound(f"{name} holds {len(volumes)} series; import it and name one: {listing}.")
    return volumes[0]


def describe(series: Series) -> dict[str, Any]:
    """As printed by `inspect --json`."""
    return {
        "series_uid": series.uid,
        "modality": series.modality,
        "description": series.description,
        "instances": len(series.instances),
        "volumes": [_describe(part) for part in find_stacks(series)],
    }


def _describe(part: Any) -> dict[str, Any]:
    if isinstance(part, Refused):
        return {"label": part.label, "images": part.count, "refused": part.reason}
    try:
        return {"label": part.label, **geometry(assemble(part))}
    except (NotReadable, VolumeRefused) as error:
        return {"label": part.label, "images": len(part.slices), "refused": str(error)}


def geometry(volume: Volume) -> dict[str, Any]:
    """shape [K, J, I], spacing_mm [k, j, i], origin_mm LPS, direction: rows x, y, z; columns the unit steps i, j, k.

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
        "minimum": float(volume.voxels.min()),
        "maximum": float(volume.voxels.max()),
        "warnings": list(volume.warnings),
    }


def in_words(seen: dict[str, Any]) -> str:
    lines = [f"{seen['modality']} {seen['description']!r}, {seen['instances']} instances, series {seen['series_uid']}"]
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
    return "\n".join(lines)
