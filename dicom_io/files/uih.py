"""UIH grids: one image (Image Type VFRAME) whose tiles are the slices of a volume, left to right and top to bottom.

The image has an orientation but no position; a private sequence has an item for each tile, with its Image Position.

Source: UIH's DICOM conformance statements; the layout as dcm2niix reads it, checked against it in tests.
"""

import math
from dataclasses import replace

import numpy as np
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_sequence
from pydicom.sequence import Sequence

from dicom_io.files.instance import Frame
from dicom_io.files.mosaic import NotUnfolded
from dicom_io.files.values import many, numbers, private, private_numbers
from render.geometry import cross, unit_vector

_CREATOR, _GROUP, _COUNT, _PLANES = "Image Private Header", 0x0065, 0x50, 0x51


def is_grid(ds: Dataset) -> bool:
    return any(str(value).strip() == "VFRAME" for value in many(ds.get("ImageType")))


def unfold(ds: Dataset, whole: Frame) -> tuple[tuple[int, int], tuple[Frame, ...]]:
    """Returns ((tiles down, tiles along), a frame for each slice) of a grid whose own frame is `whole`.

    Raises NotUnfolded.
    """
    said = private_numbers(ds, _GROUP, _CREATOR, _COUNT, 1)
    if said is None or not said[0].is_integer() or not 2 <= said[0] <= 4096:
        raise NotUnfolded("nothing says how many slices it holds")
    count = int(said[0])
    along = math.ceil(math.sqrt(count))
    down = math.ceil(count / along)
    rows, columns = int(ds.Rows), int(ds.Columns)
    if rows % down or columns % along:
        raise NotUnfolded(f"{rows} x {columns} pixels are no grid of {down} x {along} tiles for {count} slices")
    planes = _planes(ds)
    if len(planes) != count:
        raise NotUnfolded(f"its private header places {len(planes)} of {count} slices")
    if whole.orientation is None or whole.spacing_mm is None:
        raise NotUnfolded("it has no Image Orientation or Pixel Spacing")
    normal = np.array(unit_vector(cross(whole.orientation[:3], whole.orientation[3:])))
    # Every grid is a volume by itself, so these traits set it apart from all others.
    own = (("mosaic", str(ds.get("InstanceNumber") or "")), ("mosaic instance", str(ds.get("SOPInstanceUID") or "")))
    found = []
    for n, plane in enumerate(planes):
        position = numbers(plane, "ImagePositionPatient", 3)
        if position is None:
            raise NotUnfolded(f"its private header does not place slice {n + 1}")
        found.append(replace(whole, position_mm=position, traits=(*whole.traits, *own)))  # type: ignore[arg-type]
    steps = np.diff(np.array([f.position_mm for f in found]) @ normal)
    if not (np.all(steps > 0.0) or np.all(steps < 0.0)):
        raise NotUnfolded("its slices do not follow each other along their normal")
    return (down, along), tuple(found)


def _planes(ds: Dataset) -> list[Dataset]:
    """Returns the items of the private sequence; implicit VR leaves it as bytes."""
    value = private(ds, _GROUP, _CREATOR, _PLANES)
    if isinstance(value, bytes):
        try:
            value = read_sequence(DicomBytesIO(value), True, True, len(value), "latin-1")
        except Exception:  # noqa: BLE001 - a damaged private value is as good as none
            return []
    return list(value) if isinstance(value, Sequence) else []
