"""Public real series, their volumes, and reference masks on the same grid."""

import os
from functools import cache
from pathlib import Path

import numpy as np
import SimpleITK
from numpy.typing import NDArray
from scipy import ndimage

from dicom_io.volumes import build_volume
from render.volume import Volume
from workstation.export.inspect import one_series

_CACHE = Path(os.environ.get("WORKSTATION_TEST_DATA") or Path.home() / ".cache" / "workstation-test-data")


@cache
def volume_of(name: str) -> Volume | None:
    """The volume of a set; None where it is not on this machine."""
    folder = _CACHE / name
    if not folder.is_dir():
        return None
    images = folder / "images"
    return build_volume(one_series(str(images if images.is_dir() else folder), Path()))


def truth(name: str, structure: str, volume: Volume) -> NDArray[np.bool_]:
    """A reference mask, on the grid of `volume`, which may hold more slices than the mask."""
    image = SimpleITK.ReadImage(str(_CACHE / name / "truth" / f"{structure}.nrrd"))
    labels = SimpleITK.GetArrayFromImage(image)
    # Middles of the volume's voxels, in voxels of the mask, along each axis: both grids are straight.
    steps = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    start = np.linalg.inv(steps) @ (volume.affine[:3, 3] - np.array(image.GetOrigin()))
    index = np.linalg.inv(steps) @ volume.affine[:3, :3]
    found = np.zeros(volume.shape, dtype=np.bool_)
    places = []
    for axis, count in enumerate(volume.shape):
        at = np.rint(start[2 - axis] + index[2 - axis, axis] * np.arange(count)).astype(int)
        places.append((at, (at >= 0) & (at < labels.shape[axis])))
    found[np.ix_(*[inside for _, inside in places])] = labels[np.ix_(*[at[inside] for at, inside in places])] > 0
    return found


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return 2.0 * float(np.count_nonzero(a & b)) / max(float(np.count_nonzero(a) + np.count_nonzero(b)), 1.0)


def surface_mm(a: NDArray[np.bool_], b: NDArray[np.bool_], spacing: tuple[float, float, float]) -> float:
    """The mean distance between the surfaces of two regions, both ways."""
    both = np.argwhere(a | b)
    box = tuple(slice(max(low - 1, 0), high + 2) for low, high in zip(both.min(axis=0), both.max(axis=0), strict=True))
    first, second = a[box], b[box]
    rims = [one & ~ndimage.binary_erosion(one, border_value=1) for one in (first, second)]
    total, count = 0.0, 0
    for rim, other in ((rims[0], rims[1]), (rims[1], rims[0])):
        away = ndimage.distance_transform_edt(~other, sampling=spacing)[rim]
        total, count = total + float(away.sum()), count + away.size
    return total / max(count, 1)
