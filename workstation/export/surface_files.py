"""Writes a surface model as a file for printing, planning or viewing."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydicom import dcmwrite

from dicom_io.files.series import Series
from dicom_io.objects.encapsulated_obj import model_object
from dicom_io.uids import derived
from render.surface_files import as_3mf, as_glb, as_obj, as_ply, merged_stl
from render.surface_model import MadePart
from render.volume import Volume
from workstation.errors import WorkstationError
from workstation.site import open_site


class SurfaceFileError(WorkstationError):
    """The ending of a file says no format that is known."""


FORMATS: dict[str, Callable[[Sequence[MadePart]], bytes]] = {
    ".stl": merged_stl,
    ".obj": as_obj,
    ".ply": as_ply,
    ".glb": as_glb,
    ".3mf": as_3mf,
}


def check_surface_ending(path: Path) -> None:
    """Raises SurfaceFileError for an ending that says no format that is known."""
    if path.suffix.lower() not in (*FORMATS, ".dcm"):
        endings = ", ".join((*FORMATS, ".dcm"))
        raise SurfaceFileError(f"{path}: the ending says no format that is known; there are {endings}.")


def write_surfaces(parts: Sequence[MadePart], volume: Volume, series: Series, path: Path, root: Path) -> None:
    """Writes the parts in the format of the file's ending, .dcm as Encapsulated OBJ. Raises SurfaceFileError."""
    check_surface_ending(path)
    if path.suffix.lower() != ".dcm":
        path.write_bytes(FORMATS[path.suffix.lower()](parts))
        return
    site = open_site(root)
    stamp = site.stamp(derived("surface", series.uid, path.name, repr([p.part for p in parts])), site.clock())
    title = ", ".join(p.part.name for p in parts)[:64]
    dcmwrite(path, model_object(parts, title, volume, series, stamp), enforce_file_format=True)


def surfaces_as_json(parts: Sequence[MadePart]) -> list[dict[str, Any]]:
    """What `workstation surface --json` prints of each part."""
    return [
        {
            "name": one.part.name,
            "label": one.part.label,
            "triangles": len(one.surface.triangles),
            "watertight": one.open_edges == 0,
            "volume_ml": round(one.volume_ml, 4),
            "mask_ml": round(one.mask_ml, 4),
            "size_mm": [round(v, 3) for v in one.size_mm],
        }
        for one in parts
    ]
