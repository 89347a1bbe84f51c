"""Surfaces of masks as triangles in patient space, and as STL. Source: Lewiner et al. 2003, marching cubes."""

from dataclasses import dataclass

import numpy as np
import skimage
from numpy.typing import NDArray

from render.mask import Mask
from render.volume import Volume

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
    # A border of zeros closes the surface where the label reaches the end of the volume.
    padded = np.pad(inside, 1).astype(np.float32)
    indices, faces, _, _ = skimage.measure.marching_cubes(
        padded, 0.5, gradient_direction="ascent", allow_degenerate=False
    )
    affine = volume.affine
    vertices = (indices.astype(np.float64) - 1.0) @ affine[:3, :3].T + affine[:3, 3]
    triangles = np.asarray(faces, dtype=np.int32)
    # A mirroring affine turns the triangles inside out.
    if np.linalg.det(affine[:3, :3]) < 0:
        triangles = triangles[:, ::-1]
    return Surface(vertices.astype(np.float32), np.ascontiguousarray(triangles))


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
