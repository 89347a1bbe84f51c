"""Surfaces of masks as triangles in patient space, and as STL. Source: Lewiner et al. 2003, marching cubes."""

from dataclasses import dataclass

import numpy as np
import skimage
from numpy.typing import NDArray

from render.mask import Mask
from render.volume import Volume

_VOXELS_AT_ONCE = 300_000
_HEADER = b"Surface in LPS millimetres"


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """A surface of triangles.

    vertices_mm : (N, 3) float32 LPS mm. triangles : (M, 3) int32 indices, anticlockwise seen from outside.
    """

    vertices_mm: NDArray[np.float32]
    triangles: NDArray[np.int32]


def surface(mask: Mask, label: int, volume: Volume) -> Surface | None:
    """Makes the closed surface halfway between the voxels of a label and the others; None where no voxel has it."""
    inside = mask.labels == label
    if not inside.any():
        return None
    box = tuple(_ends(inside.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1)))
    # A border of zeros closes the surface where the label reaches the end of the volume.
    indices, triangles = _marched(np.pad(inside[tuple(slice(a, b) for a, b in box)], 1))
    affine, corner = volume.affine, np.array([a for a, _ in box], dtype=np.float64)
    vertices = (indices.astype(np.float64) + (corner - 1.0)) @ affine[:3, :3].T + affine[:3, 3]
    # A mirroring affine turns the triangles inside out.
    if np.linalg.det(affine[:3, :3]) < 0:
        triangles = triangles[:, ::-1]
    return Surface(vertices.astype(np.float32), np.ascontiguousarray(triangles))


def _ends(there: NDArray[np.bool_]) -> tuple[int, int]:
    found = np.flatnonzero(there)
    return int(found[0]), int(found[-1]) + 1


def _marched(inside: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Returns vertices (N, 3) as indices and triangles (M, 3) of the surface of a mask.

    Slices are marched a few at a time, as scikit-image keeps the interpreter meanwhile, and a window with it. The
    vertices on the slice between two parts are made by both, and kept once; the result is that of all slices at once.
    """
    cells = max(_VOXELS_AT_ONCE // (inside.shape[1] * inside.shape[2]), 1)
    vertices, triangles, count = [np.empty((0, 3), np.float32)], [np.empty((0, 3), np.int32)], 0
    before: tuple[NDArray[np.int64], NDArray[np.int32]] = (np.empty(0, np.int64), np.empty(0, np.int32))
    for k in range(0, len(inside) - 1, cells):
        part = inside[k : k + cells + 1]
        if part.any() and not part.all():
            found, faces, _, _ = skimage.measure.marching_cubes(
                part.astype(np.float32), 0.5, gradient_direction="ascent", allow_degenerate=False
            )
            known, last = found[:, 0] == 0.0, found[:, 0] == len(part) - 1
            numbers = np.empty(len(found), dtype=np.int32)
            numbers[~known] = count + np.arange(len(found) - np.count_nonzero(known), dtype=np.int32)
            places, names = before
            numbers[known] = names[np.searchsorted(places, _places(found[known], inside.shape[2]))]
            count += int(np.count_nonzero(~known))
            vertices.append(found[~known] + np.array([k, 0, 0], dtype=np.float32))
            triangles.append(numbers[faces])
            places = _places(found[last], inside.shape[2])
            order = np.argsort(places)
            before = places[order], numbers[last][order]
    return np.concatenate(vertices), np.concatenate(triangles)


def _places(vertices: NDArray[np.float32], columns: int) -> NDArray[np.int64]:
    """Returns a number for each place in a slice; vertices lie on voxels and halfway between them."""
    halves = np.rint(2.0 * vertices[:, 1:]).astype(np.int64)
    return np.asarray(halves[:, 0] * (2 * columns) + halves[:, 1])


def volume_mm3(found: Surface) -> float:
    """Returns the volume that a closed surface encloses; negative if it is inside out."""
    a, b, c = (found.vertices_mm[found.triangles[:, n]].astype(np.float64) for n in range(3))
    return float((a * np.cross(b, c)).sum() / 6.0)


def as_stl(found: Surface) -> bytes:
    """Writes binary STL, little endian, each triangle with its outward normal. Unit and frame: LPS mm."""
    corners = found.vertices_mm[found.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0)
    rows = np.zeros(len(corners), dtype=[("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("more", "<u2")])
    rows["normal"], rows["corners"] = normals, corners
    return _HEADER.ljust(80, b"\0") + len(rows).to_bytes(4, "little") + rows.tobytes()
