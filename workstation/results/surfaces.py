"""The surfaces of a session as one model for viewers: archived STL and OBJ objects, and the surfaces of its masks.

Made once and kept in the state folder by what it was made of; thinned out so that a tablet can turn it.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_io.objects.encapsulated_obj import ENCAPSULATED_OBJ
from dicom_io.objects.encapsulated_stl import ENCAPSULATED_STL
from render.geometry import Vector
from render.mask import Mask
from render.palette import part_colour
from render.surface import Surface, surface
from render.surface_files import as_glb, merged_stl
from render.surface_model import MadePart, SurfacePart, smoothed, thinned, without_unused
from render.volume import Volume
from workstation.results.contents import ArchivedFile, ResultsError, unchanged

# Raised when the same objects give another model.
_FORM = "2"
# Of all parts together: about 15 MB.
MOST_TRIANGLES = 600_000
_SMOOTHING = 20
_BONE: Vector = (0.9, 0.85, 0.74)
_MOST_BYTES = 512 << 20
_LOCK = Lock()
# Of the state folder; what lies there is made again when it is gone.
SHOWN = "shown"


@dataclass(frozen=True, slots=True)
class ShownModel:
    """A model as files. glb : thinned out where it is large. stl : whole. parts : name, colour (0…1) and triangles in
    `glb` of each. whole : triangles in `stl`."""

    glb: Path
    stl: Path
    parts: tuple[tuple[str, Vector, int], ...]
    whole: int

    @property
    def triangles(self) -> int:
        """How many triangles `glb` has."""
        return sum(count for _, _, count in self.parts)


class ModelComing(ResultsError):  # noqa: N818 - reads as a sentence where it is raised
    """The model is being made; whoever asks again later has it."""


def model_soon(surfaces: Sequence[ArchivedFile], folder: Path) -> ShownModel | None:
    """Returns the model as `model_of` where it is made already; else has it made beside this call, once however many
    ask.

    Raises ModelComing while it is being made. ResultsError as `model_of`, once: the next call tries again.
    """
    made = folder / f"{_name(surfaces)}.json"
    if not surfaces or made.is_file():
        return model_of(surfaces, folder)
    with _STARTING:
        failed = _FAILED.pop(made, "")
        if failed:
            raise ResultsError(failed)
        if made not in _UNDER_WAY:
            _UNDER_WAY[made] = Thread(target=_make_beside, args=(tuple(surfaces), folder, made), name="surfaces")
            _UNDER_WAY[made].start()
    raise ModelComing("The 3D surface is being made. Load this page again in half a minute.")


_STARTING = Lock()
_UNDER_WAY: dict[Path, Thread] = {}
_FAILED: dict[Path, str] = {}


def _make_beside(surfaces: Sequence[ArchivedFile], folder: Path, made: Path) -> None:
    failed = ""
    try:
        model_of(surfaces, folder)
    except Exception as error:  # noqa: BLE001 - told to whoever asks next; a thread has nobody to tell
        failed = (
            str(error) if isinstance(error, ResultsError) else f"The surface cannot be made ({type(error).__name__})."
        )
    with _STARTING:
        if failed:
            _FAILED[made] = failed
        del _UNDER_WAY[made]


def _name(surfaces: Sequence[ArchivedFile]) -> str:
    return hashlib.sha256("\n".join([_FORM, *(file.digest for file in surfaces)]).encode()).hexdigest()


def model_of(surfaces: Sequence[ArchivedFile], folder: Path) -> ShownModel | None:
    """Returns the model of a session's surfaces; None where there is nothing to show.

    folder : where models are kept. Raises ResultsError where an object is not what was recorded, or cannot be read.
    """
    if not surfaces:
        return None
    name = _name(surfaces)
    told, glb, stl = (folder / f"{name}{end}" for end in (".json", ".glb", ".stl"))
    if not told.is_file():
        with _LOCK:  # it takes seconds: of two who ask at once, the second finds it done
            _make(surfaces, folder, told, glb, stl)
    found = json.loads(told.read_text(encoding="utf-8"))
    shown = tuple((name, (c[0], c[1], c[2]), count) for name, c, count in found["parts"])
    return ShownModel(glb, stl, shown, int(found["whole"])) if shown else None


def _make(surfaces: Sequence[ArchivedFile], folder: Path, told: Path, glb: Path, stl: Path) -> None:
    """Makes the files of a model, the list of its parts last."""
    if told.is_file():
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    whole_parts = _made(surfaces)
    whole = sum(len(one.surface.triangles) for one in whole_parts)
    parts = tuple(_thin(one, whole) for one in whole_parts)
    if parts:
        _write(glb, as_glb(parts))
        _write(stl, merged_stl(whole_parts))
    rows = [[one.part.name, list(one.part.colour), len(one.surface.triangles)] for one in parts]
    _forget(folder)
    _write(told, json.dumps({"parts": rows, "whole": whole}).encode())


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(content)
    part.replace(path)


def _thin(one: MadePart, whole: int) -> MadePart:
    if whole <= MOST_TRIANGLES:
        return one
    return replace(one, surface=thinned(one.surface, max(2000, MOST_TRIANGLES * len(one.surface.triangles) // whole)))


def _made(surfaces: Sequence[ArchivedFile]) -> tuple[MadePart, ...]:
    found: list[tuple[str, Vector | None, Surface]] = []
    for file in surfaces:
        uid = file.instance.sop_instance_uid
        if not unchanged(file):
            raise ResultsError(f"Instance {uid} is not what was recorded: its file was changed. It is not shown.")
        try:
            found += _read(dcmread(file.instance.path))
        except ResultsError:
            raise
        except Exception as error:  # a damaged object fails anywhere
            raise ResultsError(
                f"Instance {uid}: its surface cannot be read ({type(error).__name__}: {error})."
            ) from error
    parts = []
    for number, (name, colour, shape) in enumerate(found, start=1):
        if colour is None:
            colour = (
                _BONE if len(found) == 1 or (name.startswith("bone") and ", part" not in name) else part_colour(number)
            )
        x, y, z = (float(v) for v in np.ptp(shape.vertices_mm, axis=0))
        parts.append(MadePart(SurfacePart(min(number, 255), name, colour), shape, 0, 0.0, 0.0, (x, y, z)))
    return tuple(parts)


def _read(ds: Dataset) -> Iterator[tuple[str, Vector | None, Surface]]:
    """Yields the surfaces of an object: name, colour where it has one, triangles in LPS mm."""
    if ds.SOPClassUID in (ENCAPSULATED_STL, ENCAPSULATED_OBJ):
        data = bytes(ds.EncapsulatedDocument)[: int(ds.get("EncapsulatedDocumentLength") or _MOST_BYTES)]
        title = str(ds.get("DocumentTitle") or "surface")
        if ds.SOPClassUID == ENCAPSULATED_STL:
            yield title, None, read_stl(data)
        else:
            yield from read_obj(data, title)
    else:
        yield from _of_masks(ds)


def read_stl(data: bytes) -> Surface:
    """Reads binary STL; corners at the same place become one. Raises ValueError for anything else."""
    count = int.from_bytes(data[80:84], "little")
    if len(data) < 84 + 50 * count or not count:
        raise ValueError(f"no binary STL: {len(data)} bytes, and {count} triangles are announced")
    rows = np.frombuffer(data, np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("more", "<u2")]), count, 84)
    return _joined(np.ascontiguousarray(rows["corners"]).reshape(-1, 3))


def _joined(corners: NDArray[np.float32]) -> Surface:
    """Returns triangles of (3 N, 3) corners, those at the same place made one."""
    if not np.isfinite(corners).all():
        raise ValueError("corners that are no places")
    order = np.lexsort(corners.T)
    first = np.ones(len(corners), dtype=bool)
    first[1:] = (corners[order][1:] != corners[order][:-1]).any(axis=1)
    numbers = np.empty(len(corners), dtype=np.int32)
    numbers[order] = np.cumsum(first) - 1
    return Surface(corners[order][first], numbers.reshape(-1, 3))


def read_obj(data: bytes, title: str = "surface") -> Iterator[tuple[str, Vector | None, Surface]]:
    """Yields the objects of an OBJ file, with the colour of their first vertex. Polygons are taken apart into
    triangles. Raises ValueError for indices that name no vertex."""
    places: list[tuple[float, float, float]] = []
    colours: list[Vector | None] = []
    groups: dict[str, list[tuple[int, int, int]]] = {}
    name = title
    for line in data.decode("utf-8", "replace").splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "v":
            values = [float(word) for word in rest.split()]
            places.append((values[0], values[1], values[2]))
            colours.append((values[3], values[4], values[5]) if len(values) >= 6 else None)
        elif kind == "f":
            corners = [int(word.split("/")[0]) for word in rest.split()]
            corners = [n - 1 if n > 0 else len(places) + n for n in corners]
            into = groups.setdefault(name, [])
            into += [(corners[0], b, c) for b, c in pairwise(corners[1:])]
        elif kind == "o":
            name = rest.strip().replace("_", " ") or title
    vertices = np.array(places, dtype=np.float32).reshape(-1, 3)
    for each, faces in groups.items():
        triangles = np.array(faces, dtype=np.int64).reshape(-1, 3)
        if not len(triangles) or triangles.min() < 0 or triangles.max() >= len(vertices):
            raise ValueError("faces that name no vertex")
        yield each, colours[int(triangles[0, 0])], without_unused(vertices, triangles)


def _of_masks(ds: Dataset) -> Iterator[tuple[str, Vector | None, Surface]]:
    """Yields the surface of each segment of a Segmentation of ours. Source: PS3.3 C.8.20.2, C.8.20.4."""
    shared = ds.SharedFunctionalGroupsSequence[0]
    along = np.array([float(v) for v in shared.PlaneOrientationSequence[0].ImageOrientationPatient]).reshape(2, 3)
    down, right = (float(v) for v in shared.PixelMeasuresSequence[0].PixelSpacing)
    rows, columns, count = int(ds.Rows), int(ds.Columns), int(ds.NumberOfFrames)
    if rows * columns * count > _MOST_BYTES << 1:
        raise ValueError(f"{count} frames of {rows} x {columns} are more than can be read")
    own = ds.PerFrameFunctionalGroupsSequence
    at = np.array([[float(v) for v in f.PlanePositionSequence[0].ImagePositionPatient] for f in own])
    segments = np.array([int(f.SegmentIdentificationSequence[0].ReferencedSegmentNumber) for f in own])
    slices = np.array([int(f.FrameContentSequence[0].DimensionIndexValues[-1]) - 1 for f in own])
    pixels = np.asarray(ds.pixel_array).reshape(count, rows, columns)
    low, high = int(slices.argmin()), int(slices.argmax())
    apart = float(shared.PixelMeasuresSequence[0].get("SpacingBetweenSlices") or 1.0)
    if slices[high] > slices[low]:
        step = (at[high] - at[low]) / float(slices[high] - slices[low])  # a tilted gantry's slices are not square to it
    else:
        step = np.cross(along[0], along[1]) * apart
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = step, along[1] * down, along[0] * right
    for item in ds.SegmentSequence:
        which = np.flatnonzero(segments == int(item.SegmentNumber))
        if not len(which):
            continue
        box = pixels[which].max(axis=0)
        j, i = np.flatnonzero(box.max(axis=1)), np.flatnonzero(box.max(axis=0))
        begin = np.array([slices[which].min(), j[0], i[0]])
        size = np.maximum(np.array([slices[which].max(), j[-1], i[-1]]) - begin + 1, 2)
        labels = np.zeros(size, dtype=np.uint8)
        for n in which:
            part = pixels[n, begin[1] : begin[1] + size[1], begin[2] : begin[2] + size[2]]
            labels[slices[n] - begin[0], : part.shape[0], : part.shape[1]] = part
        placed = affine.copy()
        placed[:3, 3] = at[low] + affine[:3, :3] @ (begin - [slices[low], 0, 0])
        grid = Volume(np.broadcast_to(np.int16(0), tuple(size)).astype(np.int16), placed, "1")
        shape = surface(Mask(labels), 1, grid)
        if shape is not None:
            # A surface that is thinned out many times over is smooth by that.
            times = _SMOOTHING if len(shape.triangles) <= 5 * MOST_TRIANGLES else 0
            yield str(item.get("SegmentLabel") or "segment"), _colour(item), smoothed(shape, times)


def _colour(item: Dataset) -> Vector | None:
    """Returns a segment's recommended colour as sRGB 0…1. Sources: PS3.3 C.10.7.1.1 (encoding); IEC 61966-2-1."""
    lab = item.get("RecommendedDisplayCIELabValue")
    if not lab or len(lab) != 3:
        return None
    lightness, a, b = lab[0] / 655.35, lab[1] / 257.0 - 128.0, lab[2] / 257.0 - 128.0
    fy = (lightness + 16.0) / 116.0
    x, y, z = (
        white * (f**3 if f > 6.0 / 29.0 else 3.0 * (6.0 / 29.0) ** 2 * (f - 4.0 / 29.0))
        for white, f in ((0.96422, fy + a / 500.0), (1.0, fy), (0.82521, fy - b / 200.0))
    )
    linear = (
        3.1338561 * x - 1.6168667 * y - 0.4906146 * z,
        -0.9787684 * x + 1.9161415 * y + 0.0334540 * z,
        0.0719453 * x - 0.2289914 * y + 1.4052427 * z,
    )
    red, green, blue = (
        round(min(max(12.92 * v if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055, 0.0), 1.0), 4) for v in linear
    )
    return red, green, blue


def _forget(folder: Path, most_bytes: int = 2 << 30) -> None:
    """Removes the oldest models, until the others take no more than so many bytes."""
    kept = 0
    for told in sorted(folder.glob("*.json"), key=lambda each: -each.stat().st_mtime):
        files = [told, *folder.glob(f"{told.stem}.[gs][lt][bl]")]
        kept += sum(each.stat().st_size for each in files)
        if kept > most_bytes:
            for each in files:  # the list first: without it there is no model
                each.unlink(missing_ok=True)


def parts_as_json(model: ShownModel) -> list[dict[str, Any]]:
    """What the viewer is told of each part."""
    return [{"name": name, "colour": list(colour), "triangles": count} for name, colour, count in model.parts]
