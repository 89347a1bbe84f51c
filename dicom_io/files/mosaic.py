"""Siemens mosaics: one image whose tiles are the slices of a volume, left to right and top to bottom.

The image's own position is that of a plane as large as the whole mosaic, centred where the first slice is. Only the
scanner's private header tells how many slices there are and in which direction they follow each other. Where the
protocol in that header gives the place of each slice, the unfolded slices must lie there, or the mosaic is refused.

Sources: Siemens' CSA header as described by NiBabel ("Siemens format DICOM with CSA header") and its mosaic geometry
("DICOM mosaic images"); checked against dcm2niix in tests.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from struct import error as StructError  # noqa: N812 - a class, in spite of its name
from struct import unpack_from

import numpy as np
from pydicom.dataset import Dataset

from dicom_io.files.instance import Frame
from dicom_io.files.values import many, number, private, private_numbers
from render.geometry import cross, unit_vector

# A tile's centre may be off the protocol's place by this fraction of the slice distance.
_AGREEMENT = 0.1
_POSITION = re.compile(rb"sSliceArray\.asSlice\[(\d+)\]\.sPosition\.d(Sag|Cor|Tra)\s*=\s*([-+.\deE]+)")


class NotUnfolded(ValueError):  # noqa: N818
    """A mosaic whose slices cannot be placed with certainty; the message is the reason."""


def is_mosaic(ds: Dataset) -> bool:
    return any("MOSAIC" in str(value) for value in many(ds.get("ImageType")))


def unfold(ds: Dataset, whole: Frame) -> tuple[int, tuple[Frame, ...]]:
    """Returns (tiles along each side, a frame for each slice) of a mosaic whose own frame is `whole`.

    Raises NotUnfolded.
    """
    if whole.position_mm is None or whole.orientation is None or whole.spacing_mm is None:
        raise NotUnfolded("it has no Image Position, Orientation or Pixel Spacing")
    header = csa(private(ds, 0x0029, "SIEMENS CSA HEADER", 0x10))
    count = _count(ds, header)
    side = math.ceil(math.sqrt(count))
    rows, columns = int(ds.Rows), int(ds.Columns)
    if rows % side or columns % side:
        raise NotUnfolded(f"{rows} x {columns} pixels are no grid of {side} x {side} tiles for {count} slices")
    normal = _numbers(header, "SliceNormalVector", 3)
    distance = number(ds, "SpacingBetweenSlices") or number(ds, "SliceThickness")
    if normal is None or distance is None or distance <= 0.0:
        raise NotUnfolded("its private header does not say how its slices follow each other")
    row, column = np.array(whole.orientation[:3]), np.array(whole.orientation[3:])
    across = np.array(unit_vector(cross(whole.orientation[:3], whole.orientation[3:])))
    towards = float(across @ np.array(normal))
    if abs(abs(towards) - 1.0) > 1e-3:
        raise NotUnfolded("the slice normal of its private header is not at right angles to its rows and columns")
    step = math.copysign(distance, towards) * across
    tile_rows, tile_columns = rows // side, columns // side
    down, along = column * whole.spacing_mm[0], row * whole.spacing_mm[1]
    start = np.array(whole.position_mm) + down * (rows - tile_rows) / 2 + along * (columns - tile_columns) / 2
    centre = start + down * tile_rows / 2 + along * tile_columns / 2
    _check(private(ds, 0x0029, "SIEMENS CSA HEADER", 0x20), centre, step, count)

    # Every mosaic is a volume by itself, so these traits set it apart from all others.
    own = (("mosaic", str(ds.get("InstanceNumber") or "")), ("mosaic instance", str(ds.get("SOPInstanceUID") or "")))

    def placed(n: int) -> Frame:
        x, y, z = (float(v) for v in start + n * step)
        return replace(whole, position_mm=(x, y, z), traits=(*whole.traits, *own))

    return side, tuple(placed(n) for n in range(count))


def _count(ds: Dataset, header: Mapping[str, tuple[str, ...]]) -> int:
    said = private_numbers(ds, 0x0019, "SIEMENS MR HEADER", 0x0A, 1) or _numbers(header, "NumberOfImagesInMosaic", 1)
    if said is None or not 2 <= said[0] <= 4096 or not said[0].is_integer():
        raise NotUnfolded("nothing says how many slices it holds")
    return int(said[0])


def _numbers(header: Mapping[str, tuple[str, ...]], name: str, count: int) -> tuple[float, ...] | None:
    try:
        values = tuple(float(v) for v in header.get(name, ()))
    except ValueError:
        return None
    return values if len(values) == count and all(map(math.isfinite, values)) else None


def _check(series_header: object, centre: np.ndarray, step: np.ndarray, count: int) -> None:
    """Checks that our slice centres are those of the protocol, if it gives them; its order may differ.

    Raises NotUnfolded.
    """
    centres: dict[int, dict[bytes, float]] = {}
    for slice_number, axis, value in _POSITION.findall(series_header if isinstance(series_header, bytes) else b""):
        centres.setdefault(int(slice_number), {})[axis] = float(value)
    if len(centres) != count:
        return  # an older or stripped header; the image header alone has to do
    places = np.array([[p.get(axis, 0.0) for axis in (b"Sag", b"Cor", b"Tra")] for p in centres.values()])
    for n in (0, count - 1):
        off = float(np.linalg.norm(places - (centre + n * step), axis=1).min())
        if off > max(0.5, _AGREEMENT * float(np.linalg.norm(step))):
            raise NotUnfolded(f"its slice {n + 1} would lie {off:.2g} mm from every slice of the scanner's protocol")


def csa(data: object) -> dict[str, tuple[str, ...]]:
    """Returns the named values of a CSA header (both versions); empty when it is none or is damaged.

    Source: NiBabel, "Siemens format DICOM with CSA header": tags of 84 bytes, then their items with 16 bytes each
    before a value that is padded to a multiple of four.
    """
    if not isinstance(data, bytes) or len(data) < 16:
        return {}
    second = data[:4] == b"SV10"
    at = 8 if second else 0
    try:
        (tags,) = unpack_from("<I", data, at)
        at += 8
        found: dict[str, tuple[str, ...]] = {}
        base = None  # in version 1 lengths are counted from the number of items of the first tag
        for _ in range(min(tags, 1000)):
            name, items = data[at : at + 64].split(b"\0")[0].decode("latin-1"), unpack_from("<i", data, at + 76)[0]
            at += 84
            base = items if base is None else base
            values = []
            for _ in range(min(items, 10000)):
                lengths = unpack_from("<4i", data, at)
                size = lengths[1] if second else lengths[0] - base
                at += 16
                if not 0 <= size <= len(data) - at:
                    return found
                values.append(data[at : at + size].split(b"\0")[0].decode("latin-1").strip())
                at += (size + 3) // 4 * 4
            found[name] = tuple(v for v in values if v)
    except StructError:
        return {}
    return found
