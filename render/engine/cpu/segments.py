"""Kernels that label voxels: within an outline, within a range of values, near and between others."""

from typing import Any

import numpy as np

from render.engine.cpu.jit import kernel


@kernel
def within_outline(
    corners: Any, start: Any, step_k: Any, step_j: Any, step_i: Any, k0: int, k1: int, crossings: Any, out: Any
) -> None:
    """Writes 1 in slices k0…k1−1 where a voxel's middle, projected onto a plane, lies within an outline (even-odd),
    else 0.

    corners : (N, 2) float64 on the plane. start, step_k, step_j, step_i : (2,) projection of voxel (0, 0, 0), and the
    steps from voxel to voxel. crossings : (N,) float64, scratch. out : (K, J, I) uint8.
    """
    count = corners.shape[0]
    nj, ni = out.shape[1], out.shape[2]
    along = step_i[0] * step_i[0] + step_i[1] * step_i[1]
    for k in range(k0, k1):
        for j in range(nj):
            u = start[0] + k * step_k[0] + j * step_j[0]
            v = start[1] + k * step_k[1] + j * step_j[1]
            # Where the line of voxels crosses the outline, counted in voxels; a line seen end-on is one point.
            du, dv = (step_i[0], step_i[1]) if along > 1e-18 else (1.0, 0.0)
            square = du * du + dv * dv
            found = 0
            for n in range(count):
                m = n + 1 if n + 1 < count else 0
                au, av = corners[n, 0] - u, corners[n, 1] - v
                bu, bv = corners[m, 0] - u, corners[m, 1] - v
                a, b = du * av - dv * au, du * bv - dv * bu
                if (a >= 0.0) != (b >= 0.0):
                    at = ((du * au + dv * av) * b - (du * bu + dv * bv) * a) / ((b - a) * square)
                    place = found
                    while place > 0 and crossings[place - 1] > at:
                        crossings[place] = crossings[place - 1]
                        place -= 1
                    crossings[place] = at
                    found += 1
            for i in range(ni):
                out[k, j, i] = 0
            if along > 1e-18:
                for n in range(0, found - 1, 2):
                    first = max(np.ceil(crossings[n]), 0.0)
                    last = min(np.ceil(crossings[n + 1]), float(ni))
                    for i in range(int(first), int(max(last, first))):
                        out[k, j, i] = 1
            else:
                before = 0
                for n in range(found):
                    before += 1 if crossings[n] < 0.0 else 0
                if before % 2 == 1:
                    for i in range(ni):
                        out[k, j, i] = 1


@kernel
def within_range(voxels: Any, low: Any, high: Any, k0: int, k1: int, out: Any) -> None:
    """Writes 1 for the voxels of slices k0…k1−1 from low to high, both included, else 0."""
    for k in range(k0, k1):
        for j in range(voxels.shape[1]):
            for i in range(voxels.shape[2]):
                v = np.float32(voxels[k, j, i])
                out[k, j, i] = 1 if (v >= low) & (v <= high) else 0


@kernel
def beyond(start: Any, step_k: Any, step_j: Any, step_i: Any, square: Any, k0: int, k1: int, out: Any) -> None:
    """Writes 0 for the voxels of slices k0…k1−1 farther from a point than the root of `square`. start : (3,) from that
    point to voxel (0, 0, 0) in mm. step_k, step_j, step_i : (3,) from voxel to voxel in mm."""
    for k in range(k0, k1):
        for j in range(out.shape[1]):
            x = start[0] + k * step_k[0] + j * step_j[0]
            y = start[1] + k * step_k[1] + j * step_j[1]
            z = start[2] + k * step_k[2] + j * step_j[2]
            for i in range(out.shape[2]):
                a, b, c = x + i * step_i[0], y + i * step_i[1], z + i * step_i[2]
                if a * a + b * b + c * c > square:
                    out[k, j, i] = 0


@kernel
def fill_runs(runs: Any, chosen: Any, value: Any, out: Any) -> None:
    """Writes a value to the chosen runs. runs : (N, 4), see `body.body_runs`. chosen : (N,) bool."""
    for n in range(runs.shape[0]):
        if chosen[n]:
            for i in range(runs[n, 2], runs[n, 3]):
                out[runs[n, 0], runs[n, 1], i] = value


@kernel
def spread(allowed: Any, every: Any, marked: Any, axis: int, k0: int, k1: int, out: Any) -> None:
    """Writes `marked` grown by one voxel along an axis in slices k0…k1−1, into allowed voxels, or any if `every`."""
    nk, nj, ni = marked.shape
    for k in range(k0, k1):
        for j in range(nj):
            for i in range(ni):
                value = marked[k, j, i]
                if value == 0 and (every or allowed[k, j, i] != 0):
                    if axis == 0:
                        value = max(marked[max(k - 1, 0), j, i], marked[min(k + 1, nk - 1), j, i])
                    elif axis == 1:
                        value = max(marked[k, max(j - 1, 0), i], marked[k, min(j + 1, nj - 1), i])
                    else:
                        value = max(marked[k, j, max(i - 1, 0)], marked[k, j, min(i + 1, ni - 1)])
                out[k, j, i] = value


@kernel
def between(
    allowed: Any, marked: Any, far_j: Any, far_i: Any, k0: int, k1: int, last: Any, below: Any, out: Any
) -> None:
    """Writes 1 for marked voxels and for allowed ones with a marked voxel on all four sides within their slice.

    far_j, far_i : the greatest distance to it in voxels. last, below : (J, I) int32, scratch: the last marked voxel
    above, and the next one below.
    """
    nj, ni = marked.shape[1], marked.shape[2]
    nowhere = -(1 << 20)
    for k in range(k0, k1):
        for i in range(ni):
            seen = nowhere
            for j in range(nj):
                seen = j if marked[k, j, i] != 0 else seen
                last[j, i] = seen
            seen = -nowhere
            for j in range(nj - 1, -1, -1):
                seen = j if marked[k, j, i] != 0 else seen
                below[j, i] = seen
        for j in range(nj):
            left = nowhere
            for i in range(ni):
                left = i if marked[k, j, i] != 0 else left
                near = (i - left <= far_i) & (j - last[j, i] <= far_j) & (below[j, i] - j <= far_j)
                out[k, j, i] = 1 if marked[k, j, i] != 0 or (near and allowed[k, j, i] != 0) else 0
            right = -nowhere
            for i in range(ni - 1, -1, -1):
                right = i if marked[k, j, i] != 0 else right
                if right - i > far_i:
                    out[k, j, i] = 0


@kernel
def left_over(allowed: Any, marked: Any, k0: int, k1: int, out: Any) -> None:
    """Writes 1 for the allowed voxels of slices k0…k1−1 that are not marked, else 0."""
    for k in range(k0, k1):
        for j in range(out.shape[1]):
            for i in range(out.shape[2]):
                out[k, j, i] = 1 if (allowed[k, j, i] != 0) & (marked[k, j, i] == 0) else 0


@kernel
def label_voxels(region: Any, wanted: Any, label: Any, k0: int, k1: int, labels: Any) -> None:
    """Writes a label where the region has the value `wanted`."""
    for k in range(k0, k1):
        for j in range(region.shape[1]):
            for i in range(region.shape[2]):
                if region[k, j, i] == wanted:
                    labels[k, j, i] = label


@kernel
def _side(points: Any, a: int, b: int, k: Any, j: Any) -> float:
    """Returns on which side of the line through corners a and b a place lies, seen along i; the opposite of (b, a)
    to the last bit, so that no place between two triangles is lost or counted twice."""
    low, high = min(a, b), max(a, b)
    dk, dj = points[high, 0] - points[low, 0], points[high, 1] - points[low, 1]
    value = dk * (j - points[low, 1]) - dj * (k - points[low, 0])
    return float(value) if a < b else -float(value)


@kernel
def surface_crossings(points: Any, triangles: Any, changes: Any) -> None:
    """Adds to `changes` +1 where a line of voxels enters a closed surface of triangles, −1 where it leaves it, or the
    other way round; the sums along i are then not 0 inside.

    points : (N, 3) float64 (k, j, i), no coordinate a whole number. triangles : (M, 3) int32. changes : (K, J, I + 1)
    int16 zeros.
    """
    nk, nj, ni = changes.shape[0], changes.shape[1], changes.shape[2] - 1
    for n in range(triangles.shape[0]):
        a, b, c = triangles[n, 0], triangles[n, 1], triangles[n, 2]
        k0 = max(int(np.ceil(min(points[a, 0], points[b, 0], points[c, 0]))), 0)
        k1 = min(int(np.floor(max(points[a, 0], points[b, 0], points[c, 0]))), nk - 1)
        j0 = max(int(np.ceil(min(points[a, 1], points[b, 1], points[c, 1]))), 0)
        j1 = min(int(np.floor(max(points[a, 1], points[b, 1], points[c, 1]))), nj - 1)
        for k in range(k0, k1 + 1):
            for j in range(j0, j1 + 1):
                u = _side(points, b, c, float(k), float(j))
                v = _side(points, c, a, float(k), float(j))
                w = _side(points, a, b, float(k), float(j))
                inside = (u > 0.0 and v > 0.0 and w > 0.0) or (u < 0.0 and v < 0.0 and w < 0.0)
                if not inside:
                    continue
                at = (u * points[a, 2] + v * points[b, 2] + w * points[c, 2]) / (u + v + w)
                place = int(min(max(np.ceil(at), 0.0), float(ni)))
                changes[k, j, place] += 1 if u > 0.0 else -1
