"""Writes a volume as one file with its geometry, for Slicer, ITK-SNAP and other readers of NRRD, MetaImage or NIfTI."""

import gzip
import os
import struct
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from render.volume import Volume
from workstation.errors import WorkstationError


class ExportError(WorkstationError):
    """A format cannot hold the volume, or is unknown; the message says what to choose instead."""


def export(volume: Volume, path: Path) -> Path:
    """Writes the volume in the format of the file's ending, whole or not at all.

    Raises ExportError, OSError.
    """
    write = _FORMATS.get("".join(path.suffixes[-2:]).lower()) or _FORMATS.get(path.suffix.lower())
    if write is None:
        raise ExportError(f"{path}: the ending says no format that is known; there are {', '.join(_FORMATS)}.")
    data = write(volume)
    handle, name = tempfile.mkstemp(dir=path.parent or Path(), prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path


def _raw(volume: Volume) -> bytes:
    """Returns the voxels with i fastest, little endian."""
    return np.ascontiguousarray(volume.voxels, dtype=volume.voxels.dtype.newbyteorder("<")).tobytes()


def _vector(values: object) -> str:
    return "(" + ",".join(repr(float(v)) for v in np.asarray(values)) + ")"


def _nrrd(volume: Volume) -> bytes:
    """Writes NRRD, which allows sheared grids. Source: 'Definition of NRRD File Format',
    teem.sourceforge.net/nrrd/format.html."""
    k, j, i = volume.shape
    steps = [volume.affine[:3, axis] for axis in (2, 1, 0)]
    header = [
        "NRRD0004",
        f"type: {'int16' if volume.voxels.dtype == np.int16 else 'float'}",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {i} {j} {k}",
        f"space directions: {' '.join(_vector(s) for s in steps)}",
        "kinds: domain domain domain",
        "endian: little",
        "encoding: gzip",
        f"space origin: {_vector(volume.affine[:3, 3])}",
    ]
    return ("\n".join(header) + "\n\n").encode("ascii") + gzip.compress(_raw(volume), mtime=0)


def _mha(volume: Volume) -> bytes:
    """Writes MetaImage. Its axes are unit vectors at right angles, so a tilted gantry does not fit. Source: MetaIO
    documentation (ITK). Raises ExportError."""
    k, j, i = volume.shape
    unit = volume.affine[:3, :3] / np.array(volume.spacing_mm)
    if np.abs(unit.T @ unit - np.eye(3)).max() > 1e-4:
        raise ExportError("MetaImage holds no sheared grid (tilted gantry); export to .nrrd or .nii.gz instead.")
    data = zlib.compress(_raw(volume))
    numbers = " ".join(repr(float(v)) for axis in (2, 1, 0) for v in unit[:, axis])
    header = [
        "ObjectType = Image",
        "NDims = 3",
        "BinaryData = True",
        "BinaryDataByteOrderMSB = False",
        "CompressedData = True",
        f"CompressedDataSize = {len(data)}",
        f"TransformMatrix = {numbers}",
        f"Offset = {' '.join(repr(float(v)) for v in volume.affine[:3, 3])}",
        f"ElementSpacing = {' '.join(repr(s) for s in volume.spacing_mm[::-1])}",
        f"DimSize = {i} {j} {k}",
        f"ElementType = {'MET_SHORT' if volume.voxels.dtype == np.int16 else 'MET_FLOAT'}",
        "ElementDataFile = LOCAL",
    ]
    return ("\n".join(header) + "\n").encode("ascii") + data


def _nifti(volume: Volume) -> bytes:
    """Writes NIfTI-1 with an sform in RAS mm. Source: nifti1.h (NIMH), which also defines each of the 348 bytes."""
    k, j, i = volume.shape
    short = volume.voxels.dtype == np.int16
    ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.affine
    rows = [[float(ras[row, column]) for column in (2, 1, 0, 3)] for row in range(3)]
    spacing = [float(s) for s in volume.spacing_mm[::-1]]
    header = struct.pack("<i35xB", 348, 0)
    header += struct.pack("<8h", 3, i, j, k, 1, 1, 1, 1)
    header += struct.pack("<3f4h", 0.0, 0.0, 0.0, 0, 4 if short else 16, 16 if short else 32, 0)
    header += struct.pack("<8f", 1.0, *spacing, 0.0, 0.0, 0.0, 0.0)
    header += struct.pack("<3f", 352.0, 1.0, 0.0)
    header += struct.pack("<hBB", 0, 0, 2)  # lengths in mm
    header += struct.pack("<4f2i", 0.0, 0.0, 0.0, 0.0, 0, 0)
    header += struct.pack("<80s24s", volume.unit.encode("ascii", "replace"), b"")
    header += struct.pack("<2h", 0, 1)  # no qform; sform is scanner coordinates
    header += struct.pack("<6f", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    header += struct.pack("<12f", *(v for row in rows for v in row))
    header += struct.pack("<16s4s4x", b"", b"n+1\0")
    assert len(header) == 352, "header of 348 bytes and an empty extension flag"
    return header + _raw(volume)


_FORMATS: dict[str, Callable[[Volume], bytes]] = {
    ".nrrd": _nrrd,
    ".mha": _mha,
    ".nii": _nifti,
    ".nii.gz": lambda volume: gzip.compress(_nifti(volume), mtime=0),
}
