"""Independent readers of DICOM series: SimpleITK, and dcm2niix where SimpleITK does not read rightly."""

import shutil
import struct
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dicom_io.volumes.build import Stack
from render.volume import Volume


@dataclass(frozen=True)
class Seen:
    """voxels : (K, J, I) as another reader has them. affine : (4, 4), (k, j, i) to LPS mm."""

    voxels: NDArray[Any]
    affine: NDArray[np.float64]


def by_itk(stack: Stack) -> Seen:
    """The same files, in our order where there are several."""
    sitk = pytest.importorskip("SimpleITK")
    files = list(dict.fromkeys(s.instance.path for s in stack.slices))
    if len(files) == 1:
        image = sitk.ReadImage(files[0])
    else:
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(files)
        image = reader.Execute()
    affine = np.eye(4)
    steps = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, :3] = steps[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    return Seen(sitk.GetArrayFromImage(image), affine)


def by_dcm2niix(files: Iterable[str], folder: Path) -> list[Seen]:
    """Every volume that dcm2niix makes of the files, those of a time series one by one. Skips where it is missing."""
    program = shutil.which("dcm2niix")
    if program is None:
        pytest.skip("dcm2niix is not installed (Debian's package of that name)")
    source, target = folder / "in", folder / "out"
    source.mkdir()
    target.mkdir()
    for n, file in enumerate(dict.fromkeys(files)):
        shutil.copy(file, source / f"{n}.dcm")
    subprocess.run(
        [program, "-z", "n", "-b", "n", "-m", "n", "-p", "n", "-f", "%s_%d_%e", "-o", target, source],
        capture_output=True,
        check=True,
        timeout=120,
    )
    return [seen for file in sorted(target.glob("*.nii")) for seen in _nifti(file.read_bytes())]


_TYPES = {2: "u1", 4: "<i2", 8: "<i4", 16: "<f4", 64: "<f8", 256: "i1", 512: "<u2", 768: "<u4"}


def _nifti(data: bytes) -> list[Seen]:
    """NIfTI-1 with an sform. Source: nifti1.h."""
    dims = struct.unpack("<8h", data[40:56])
    (code,) = struct.unpack("<h", data[70:72])
    offset, slope, intercept = struct.unpack("<3f", data[108:120])
    rows = np.array(struct.unpack("<12f", data[280:328]), np.float64).reshape(3, 4)
    i, j, k, times = dims[1], dims[2], dims[3], max(1, dims[4])
    stored = np.frombuffer(data, _TYPES[code], times * k * j * i, int(offset)).reshape(times, k, j, i)
    voxels = stored.astype(np.float64) * slope + intercept if slope not in (0.0, 1.0) or intercept else stored
    ras = np.eye(4)
    ras[:3] = rows[:, [2, 1, 0, 3]]
    return [Seen(one, np.diag([-1.0, -1.0, 1.0, 1.0]) @ ras) for one in voxels]


def same_places(volume: Volume, seen: Seen, within_mm: float = 1e-4) -> NDArray[Any] | None:
    """Their voxels in our order, where their grid is ours, flipped axes and all; None where it is another one.

    within_mm : how far a voxel of theirs may be from ours, at every corner.
    """
    if seen.voxels.shape != volume.shape:
        return None
    to_theirs = np.linalg.inv(seen.affine) @ volume.affine
    axes = np.rint(to_theirs[:3, :3])
    flips = [bool(axes[n, n] < 0) for n in range(3)]
    if not np.array_equal(np.abs(axes), np.eye(3)):
        return None
    last = np.array(volume.shape) - 1
    for corner in np.ndindex(2, 2, 2):
        ours = np.array(corner) * last
        theirs = [last[n] - ours[n] if flips[n] else ours[n] for n in range(3)]
        apart = (volume.affine @ [*ours, 1.0] - seen.affine @ [*theirs, 1.0])[:3]
        if np.abs(apart).max() > within_mm:
            return None
    return seen.voxels[tuple(slice(None, None, -1) if flip else slice(None) for flip in flips)]
