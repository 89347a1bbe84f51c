"""Closed surfaces about a point: a sphere of triangles whose corners move, and the voxels within it."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from render.engine import cpu
from render.segment.grid import VoxelMask
from render.volume import Volume

Floats3 = NDArray[np.float64]


@cache
def sphere(times: int) -> tuple[Floats3, NDArray[np.int32], NDArray[np.int64]]:
    """Returns an icosahedron divided `times` times: (N, 3) unit directions, (M, 3) int32 triangles, anticlockwise seen
    from outside, and (N, 6) int64 neighbours of each corner, where one of five is repeated."""
    golden = (1.0 + 5.0**0.5) / 2.0
    corners = [(-1, golden, 0), (1, golden, 0), (-1, -golden, 0), (1, -golden, 0), (0, -1, golden), (0, 1, golden)]
    corners += [(0, -1, -golden), (0, 1, -golden), (golden, 0, -1), (golden, 0, 1), (-golden, 0, -1), (-golden, 0, 1)]
    triangles = [(0, 11, 5), (0, 5, 1), (0, 1, 7), (0, 7, 10), (0, 10, 11), (1, 5, 9), (5, 11, 4), (11, 10, 2)]
    triangles += [(10, 7, 6), (7, 1, 8), (3, 9, 4), (3, 4, 2), (3, 2, 6), (3, 6, 8), (3, 8, 9), (4, 9, 5), (2, 4, 11)]
    triangles += [(6, 2, 10), (8, 6, 7), (9, 8, 1)]
    points = [_unit(corner) for corner in corners]
    for _ in range(times):
        points, triangles = _divided(points, triangles)
    near: list[dict[int, None]] = [{} for _ in points]
    for a, b, c in triangles:
        for x, y in ((a, b), (b, c), (c, a)):
            near[x][y] = near[y][x] = None
    neighbours = [(list(each) * 2)[:6] if len(each) < 6 else list(each) for each in near]
    return np.array(points), np.array(triangles, dtype=np.int32), np.array(neighbours, dtype=np.int64)


def _unit(at: tuple[float, float, float]) -> tuple[float, float, float]:
    x, y, z = at
    length = (x * x + y * y + z * z) ** 0.5
    return (x / length, y / length, z / length)


def _divided(
    points: list[tuple[float, float, float]], triangles: list[tuple[int, int, int]]
) -> tuple[list[tuple[float, float, float]], list[tuple[int, int, int]]]:
    points, middles, found = list(points), {}, []

    def middle(a: int, b: int) -> int:
        key = (min(a, b), max(a, b))
        if key not in middles:
            (x, y, z), (u, v, w) = points[a], points[b]
            middles[key] = len(points)
            points.append(_unit((x + u, y + v, z + w)))
        return int(middles[key])

    for a, b, c in triangles:
        ab, bc, ca = middle(a, b), middle(b, c), middle(c, a)
        found += [(a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca)]
    return points, found


def moved(affine: Floats3, at: Floats3) -> Floats3:
    """Applies a (4, 4) affine to points (…, 3), in a fixed order of operations."""
    x, y, z = at[..., 0], at[..., 1], at[..., 2]
    rows = affine.tolist()
    return np.stack([row[0] * x + row[1] * y + row[2] * z + row[3] for row in rows[:3]], axis=-1)


def within(volume: Volume, corners_mm: Floats3, triangles: NDArray[np.int32]) -> VoxelMask:
    """Returns the voxels whose middle lies within a closed surface of LPS mm corners."""
    # Half a millionth of a voxel and more, so that no corner lies on a line of voxels.
    points = np.round(moved(volume.to_index, corners_mm), 6) + 3.7e-7
    k, j, i = volume.shape
    changes = np.zeros((k, j, i + 1), dtype=np.int16)
    cpu.segments.surface_crossings(points, triangles, changes)
    return np.asarray(np.cumsum(changes[:, :, :-1], axis=2, dtype=np.int16) != 0).view(np.uint8)


def enclosed_mm3(corners_mm: Floats3, triangles: NDArray[np.int32]) -> float:
    """Returns the volume within a closed surface of LPS mm corners."""
    middle = corners_mm[0]
    a, b, c = (corners_mm[triangles[:, n]] - middle for n in range(3))
    each = (
        a[:, 0] * (b[:, 1] * c[:, 2] - b[:, 2] * c[:, 1])
        + a[:, 1] * (b[:, 2] * c[:, 0] - b[:, 0] * c[:, 2])
        + a[:, 2] * (b[:, 0] * c[:, 1] - b[:, 1] * c[:, 0])
    )
    return float(abs(sum(each.tolist()))) / 6.0


def normals_of(corners: Floats3, triangles: NDArray[np.int32]) -> Floats3:
    """Returns the unit normals at the corners, outwards, from the triangles about each by their areas."""
    a, b, c = (corners[triangles[:, n]] for n in range(3))
    u, v = b - a, c - a
    x = u[:, 1] * v[:, 2] - u[:, 2] * v[:, 1]
    y = u[:, 2] * v[:, 0] - u[:, 0] * v[:, 2]
    z = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    faces, normals = np.stack([x, y, z], axis=1), np.zeros_like(corners)
    for n in range(3):
        np.add.at(normals, triangles[:, n], faces)
    squares = normals[:, 0] ** 2 + normals[:, 1] ** 2 + normals[:, 2] ** 2
    return np.asarray(normals / np.sqrt(np.maximum(squares, 1e-12))[:, None])
