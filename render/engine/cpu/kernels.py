"""Compiled loops over rays, planes and bricks. Everything here is pure arithmetic on arrays.

Coordinates are voxel indices in (k, j, i) order, voxel centres at whole numbers, float64. Values are float32.
No exponentials, powers or sines: what needs them arrives in tables. Helpers and loops share this one module because
numba's disk cache looks only at the file a loop is in: a helper changed elsewhere would go unnoticed.

Sources: Levoy 1988, 'Display of surfaces from volume data' (compositing, shading); Zuiderveld, Koning and Viergever
1992, 'Acceleration of ray-casting using 3D distance transforms' (leaping over empty bricks).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.engine.cpu.jit import first_of_pair, kernel, pair, second_of_pair

BRICK = 8  # cells along the edge of a brick
_SHIFT = 3
BLOCK = 32  # cells along the edge of a block of bricks
_BLOCK_SHIFT = 2  # bricks to blocks
TILE = 8  # pixels along the edge of a group of rays that look for their first brick together
RUN = 16  # samples evaluated together: enough for the widest vectors, and about what a brick holds of a ray
_OPAQUE = np.float32(0.995)
_ZERO, _HALF, _ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)
_TWO, _THREE_HALVES = np.float32(2.0), np.float32(1.5)
_SIXTH, _TWO_THIRDS = np.float32(1.0 / 6.0), np.float32(2.0 / 3.0)
_FAR = np.float32(3.0e38)
_WHITE = np.float32(255.0)
_ROUNDER = np.float32(1.5 * 2.0**23)  # float32 near it hold whole numbers only

MIP, MINIP, AVERAGE = 0, 1, 2

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]


# ---------------------------------------------------------------------------------------------------- one sample


@kernel
def _cell(p: float, n: int) -> Any:
    """(first voxel, fraction) of the cell that holds coordinate p of an axis of n voxels; outside, the border."""
    if p <= 0.0:
        return 0, _ZERO
    c = int(p)
    if c > n - 2:
        return n - 2, np.float32(min(p - (n - 2), 1.0))
    return c, np.float32(p - c)


@kernel
def _eight(voxels: Any, k: int, j: int, i: int, fk: Any, fj: Any, fi: Any) -> Any:
    """Trilinear value in the cell whose first voxel is (k, j, i)."""
    uk, uj, ui = np.uintp(k), np.uintp(j), np.uintp(i)
    vk, vj, vi = np.uintp(k + 1), np.uintp(j + 1), np.uintp(i + 1)
    a = np.float32(voxels[uk, uj, ui])
    b = np.float32(voxels[uk, vj, ui])
    c = np.float32(voxels[vk, uj, ui])
    d = np.float32(voxels[vk, vj, ui])
    a += (np.float32(voxels[uk, uj, vi]) - a) * fi
    b += (np.float32(voxels[uk, vj, vi]) - b) * fi
    c += (np.float32(voxels[vk, uj, vi]) - c) * fi
    d += (np.float32(voxels[vk, vj, vi]) - d) * fi
    a += (b - a) * fj
    c += (d - c) * fj
    return a + (c - a) * fk


@kernel
def _linear(voxels: Any, pk: float, pj: float, pi: float) -> Any:
    k, fk = _cell(pk, voxels.shape[0])
    j, fj = _cell(pj, voxels.shape[1])
    i, fi = _cell(pi, voxels.shape[2])
    return _eight(voxels, k, j, i, fk, fj, fi)


@kernel
def _nearest(voxels: Any, pk: float, pj: float, pi: float) -> Any:
    k = min(max(int(np.floor(pk + 0.5)), 0), voxels.shape[0] - 1)
    j = min(max(int(np.floor(pj + 0.5)), 0), voxels.shape[1] - 1)
    i = min(max(int(np.floor(pi + 0.5)), 0), voxels.shape[2] - 1)
    return np.float32(voxels[k, j, i])


@kernel
def _buffers() -> Any:
    """What `_run` works in: cell starts, fractions along k, j, i, the pairs of voxels loaded, and the values."""
    return (
        np.empty(RUN, np.int64),
        np.empty(RUN, np.float32),
        np.empty(RUN, np.float32),
        np.empty(RUN, np.float32),
        np.empty((4, RUN), np.int64),
        np.empty(RUN, np.float32),
    )


@kernel
def _run(voxels: Any, o: Any, d: Any, first: float, count: int, buffers: Any) -> None:
    """Trilinear values at o + (first + n)·d for n < count ≤ RUN, into the last buffer; the same as `_linear` there.

    In three loops, so that the arithmetic of the first and the last is done on vectors and only the loads are single.
    A row of two neighbours along i comes with one load.
    """
    at, fk, fj, fi, pairs, values = buffers
    nk, nj, ni = voxels.shape
    lk, lj, li = float(nk - 1), float(nj - 1), float(ni - 1)
    stride_j, stride_k = np.int64(ni), np.int64(ni) * np.int64(nj)
    ok, oj, oi = o[0], o[1], o[2]
    dk, dj, di = d[0], d[1], d[2]
    for n in range(RUN):
        m = first + n
        pk = min(max(ok + m * dk, 0.0), lk)
        pj = min(max(oj + m * dj, 0.0), lj)
        pi = min(max(oi + m * di, 0.0), li)
        k = min(np.int32(pk), np.int32(nk - 2))
        j = min(np.int32(pj), np.int32(nj - 2))
        i = min(np.int32(pi), np.int32(ni - 2))
        fk[n] = np.float32(pk - k)
        fj[n] = np.float32(pj - j)
        fi[n] = np.float32(pi - i)
        at[n] = np.int64(k) * stride_k + np.int64(j) * stride_j + np.int64(i)
    for n in range(count):
        p = at[n]
        pairs[0, n] = pair(voxels, p)
        pairs[1, n] = pair(voxels, p + stride_j)
        pairs[2, n] = pair(voxels, p + stride_k)
        pairs[3, n] = pair(voxels, p + stride_k + stride_j)
    for n in range(RUN):
        a, b = first_of_pair(voxels, pairs[0, n]), first_of_pair(voxels, pairs[1, n])
        c, e = first_of_pair(voxels, pairs[2, n]), first_of_pair(voxels, pairs[3, n])
        a += (second_of_pair(voxels, pairs[0, n]) - a) * fi[n]
        b += (second_of_pair(voxels, pairs[1, n]) - b) * fi[n]
        c += (second_of_pair(voxels, pairs[2, n]) - c) * fi[n]
        e += (second_of_pair(voxels, pairs[3, n]) - e) * fi[n]
        a += (b - a) * fj[n]
        c += (e - c) * fj[n]
        values[n] = a + (c - a) * fk[n]


@kernel
def _spline(f: Any) -> Any:
    """Weights of a cubic B-spline at fraction f for the four voxels around, then the weights of its derivative."""
    g = _ONE - f
    a, d = g * g * g * _SIXTH, f * f * f * _SIXTH
    b = _TWO_THIRDS - f * f * (_ONE - _HALF * f)
    c = _TWO_THIRDS - g * g * (_ONE - _HALF * g)
    da, dd = -_HALF * g * g, _HALF * f * f
    db = f * (_THREE_HALVES * f - _TWO)
    dc = g * (_TWO - _THREE_HALVES * g)
    return (a, b, c, d), (da, db, dc, dd)


@kernel
def _four(c: int, n: int) -> Any:
    """The four voxels around a cell whose first is c; the border is repeated."""
    return np.uintp(max(c - 1, 0)), np.uintp(c), np.uintp(c + 1), np.uintp(min(c + 2, n - 1))


@kernel
def _gradient(voxels: Any, k: int, j: int, i: int, fk: Any, fj: Any, fi: Any) -> Any:
    """Gradient per voxel step along k, j, i, of the cubic B-spline through the 64 voxels around: smooth from cell to
    cell, so that slices do not show as steps in the shading. Source: Sigg and Hadwiger 2005, 'Fast third-order
    texture filtering'."""
    wk, sk = _spline(fk)
    wj, sj = _spline(fj)
    wi, si = _spline(fi)
    ks, js = _four(k, voxels.shape[0]), _four(j, voxels.shape[1])
    i0, i1, i2, i3 = _four(i, voxels.shape[2])
    gk, gj, gi = _ZERO, _ZERO, _ZERO
    for a in range(4):
        value, slope_j, slope_i = _ZERO, _ZERO, _ZERO
        for b in range(4):
            v0, v1 = np.float32(voxels[ks[a], js[b], i0]), np.float32(voxels[ks[a], js[b], i1])
            v2, v3 = np.float32(voxels[ks[a], js[b], i2]), np.float32(voxels[ks[a], js[b], i3])
            line = (wi[0] * v0 + wi[1] * v1) + (wi[2] * v2 + wi[3] * v3)
            slope = (si[0] * v0 + si[1] * v1) + (si[2] * v2 + si[3] * v3)
            value += wj[b] * line
            slope_j += sj[b] * line
            slope_i += wj[b] * slope
        gk += sk[a] * value
        gj += wk[a] * slope_j
        gi += wk[a] * slope_i
    return gk, gj, gi


@kernel
def _clip(o: float, d: float, lower: float, upper: float, t0: float, t1: float) -> Any:
    """The part of [t0, t1] where o + t·d lies in [lower, upper]; empty when t0 > t1."""
    if abs(d) < 1e-12:
        if o < lower or o > upper:
            return 1.0, 0.0
        return t0, t1
    a, b = (lower - o) / d, (upper - o) / d
    if a > b:
        a, b = b, a
    return max(t0, a), min(t1, b)


@kernel
def _clip_ray(o: Any, d: Any, lower: Any, upper: Any, t0: float, t1: float) -> Any:
    for axis in range(3):
        t0, t1 = _clip(o[axis], d[axis], lower[axis], upper[axis], t0, t1)
    return t0, t1


@kernel
def _store(line: Any, whole: bool, out: Any, row: int) -> None:
    """A row of float32 into a row of `out`, whole numbers half to even (exact below 2²²: what int16 can hold)."""
    if whole:
        for column in range(line.shape[0]):
            out[row, column] = (line[column] + _ROUNDER) - _ROUNDER
    else:
        for column in range(line.shape[0]):
            out[row, column] = line[column]


@kernel
def _inverse(d: float) -> float:
    """1 / d; 0 where a ray does not move along this axis."""
    return 1.0 / d if abs(d) > 1e-12 else 0.0


@kernel
def _brick(p: float, n: int) -> int:
    """The brick of the cell that `_cell` gives for p."""
    return min(max(int(p), 0), n - 2) >> _SHIFT


@kernel
def _to_edge(p: float, r: float, lower: float, upper: float) -> float:
    """Steps from p to the edge of [lower, upper] that the ray points to; r is the inverse of its step."""
    if r > 0.0:
        return (upper - p) * r
    if r < 0.0:
        return (lower - p) * r
    return 1e18


@kernel
def _ahead(p: float, r: float, number: int, edge: int) -> float:
    """Steps from p to the far edge, along one axis, of the brick or block of that number; edge : its cells."""
    return _to_edge(p, r, float(number * edge), float((number + 1) * edge))


@kernel
def _useless(low: Any, high: Any, k: int, j: int, i: int, mode: int, best: Any) -> bool:
    """Whether nothing in a brick or block can change the extreme found so far."""
    if mode == MIP:
        return bool(high[np.uintp(k), np.uintp(j), np.uintp(i)] <= best)
    return bool(low[np.uintp(k), np.uintp(j), np.uintp(i)] >= best)


@kernel
def _at(start: Any, down: Any, right: Any, row: int, column: int) -> Any:
    """start + row·down + column·right, as three numbers."""
    return (
        start[0] + row * down[0] + column * right[0],
        start[1] + row * down[1] + column * right[1],
        start[2] + row * down[2] + column * right[2],
    )


# ---------------------------------------------------------------------------------------------------- bricks


@kernel
def brick_ranges(voxels: Any, b0: int, b1: int, low: Singles, high: Singles) -> None:
    """Least and greatest value of brick layers b0…b1−1. A brick holds 8 cells an edge, hence 9 voxels, so that
    every interpolated value in it lies between the two. low, high : (BK, BJ, BI) float32. NaN is passed over."""
    nk, nj, ni = voxels.shape
    for bk in range(b0, b1):
        for bj in range(low.shape[1]):
            for bi in range(low.shape[2]):
                small, great = _FAR, -_FAR
                for k in range(bk * BRICK, min(bk * BRICK + BRICK + 1, nk)):
                    for j in range(bj * BRICK, min(bj * BRICK + BRICK + 1, nj)):
                        for i in range(bi * BRICK, min(bi * BRICK + BRICK + 1, ni)):
                            v = np.float32(voxels[k, j, i])
                            if v < small:
                                small = v
                            if v > great:
                                great = v
                low[bk, bj, bi] = small
                high[bk, bj, bi] = great


@kernel
def block_ranges(low: Singles, high: Singles, block_low: Singles, block_high: Singles) -> None:
    """Least and greatest value of blocks of bricks, from those of the bricks."""
    block_low[:], block_high[:] = _FAR, -_FAR
    for k in range(low.shape[0]):
        for j in range(low.shape[1]):
            for i in range(low.shape[2]):
                a, b, c = k >> _BLOCK_SHIFT, j >> _BLOCK_SHIFT, i >> _BLOCK_SHIFT
                block_low[a, b, c] = min(block_low[a, b, c], low[k, j, i])
                block_high[a, b, c] = max(block_high[a, b, c], high[k, j, i])


@kernel
def brick_distances(low: Singles, high: Singles, first: Any, scale: Any, visible: Any, out: Any) -> None:
    """Chebyshev distance, in bricks, to the nearest brick in which something may be seen; 0 is such a brick.

    visible : (N + 1,) int64, how many of the table's entries before each have any opacity.
    out : (BK, BJ, BI) uint8, at most 255.
    """
    nk, nj, ni = low.shape
    size = visible.shape[0] - 1
    for k in range(nk):
        for j in range(nj):
            for i in range(ni):
                a = _entry(low[k, j, i], first, scale, size)
                b = _entry(high[k, j, i], first, scale, size)
                empty = low[k, j, i] > high[k, j, i] or visible[b + 1] == visible[a]
                out[k, j, i] = 255 if empty else 0
    for k in range(nk):
        for j in range(nj):
            for i in range(ni):
                _nearer(out, k, j, i, -1)
    for k in range(nk - 1, -1, -1):
        for j in range(nj - 1, -1, -1):
            for i in range(ni - 1, -1, -1):
                _nearer(out, k, j, i, 1)


@kernel
def _nearer(out: Any, k: int, j: int, i: int, side: int) -> None:
    """One step of the two-pass chamfer: looks at the 13 neighbours already visited."""
    nk, nj, ni = out.shape
    best = int(out[k, j, i])
    for n in range(13):
        dk, dj, di = n // 9 - 1, n // 3 % 3 - 1, n % 3 - 1
        a, b, c = k - side * dk, j - side * dj, i - side * di
        if 0 <= a < nk and 0 <= b < nj and 0 <= c < ni:
            best = min(best, int(out[a, b, c]) + 1)
    out[k, j, i] = best


@kernel
def _entry(v: Any, first: Any, scale: Any, size: int) -> int:
    """The table's entry for value v; beyond the ends, and for NaN, the end."""
    x = (v - first) * scale + _HALF
    if x >= np.float32(size - 1):
        return size - 1
    if x > _ZERO:
        return int(x)
    return 0


# ---------------------------------------------------------------------------------------------------- the body


@kernel
def body_runs(voxels: Any, above: Any, runs: Any) -> int:
    """Runs of values greater than `above` along i. runs : (N, 4) int32 rows of k, j, first i, past the last i, filled
    in that order; pass (0, 4) to only count them. Returns their number."""
    nk, nj, ni = voxels.shape
    count = 0
    for k in range(nk):
        for j in range(nj):
            inside = False
            for i in range(ni):
                v = np.float32(voxels[k, j, i]) > above
                if v and not inside and count < runs.shape[0]:
                    runs[count, 0], runs[count, 1], runs[count, 2] = k, j, i
                if inside and not v:
                    if count < runs.shape[0]:
                        runs[count, 3] = i
                    count += 1
                inside = v
            if inside:
                if count < runs.shape[0]:
                    runs[count, 3] = ni
                count += 1
    return count


@kernel
def _root(parents: Any, n: int) -> int:
    while parents[n] != n:
        parents[n] = parents[parents[n]]
        n = parents[n]
    return n


@kernel
def body_pieces(runs: Any, nk: int, nj: int, parents: Any) -> None:
    """Joins runs that share a face of a voxel; afterwards parents[n] is the first run of n's piece. (N,) int64."""
    starts = np.zeros(nk * nj + 1, dtype=np.int64)
    for n in range(runs.shape[0]):
        starts[runs[n, 0] * nj + runs[n, 1] + 1] += 1
        parents[n] = n
    for n in range(nk * nj):
        starts[n + 1] += starts[n]
    for n in range(runs.shape[0]):
        k, j = runs[n, 0], runs[n, 1]
        for neighbour in range(2):
            if (neighbour == 0 and j == 0) or (neighbour == 1 and k == 0):
                continue
            line = k * nj + j - (1 if neighbour == 0 else nj)
            for other in range(starts[line], starts[line + 1]):
                if runs[other, 2] < runs[n, 3] and runs[n, 2] < runs[other, 3]:
                    a, b = _root(parents, n), _root(parents, other)
                    parents[max(a, b)] = min(a, b)
    for n in range(runs.shape[0]):
        parents[n] = _root(parents, n)


@kernel
def body_clear(runs: Any, kept: Any, reach: int, air: Any, voxels: Any, out: Any) -> None:
    """Writes `air` to out at the runs not kept and `reach` voxels around them, but never over a kept run."""
    nk, nj, ni = voxels.shape
    for n in range(runs.shape[0]):
        if kept[n]:
            continue
        for k in range(max(runs[n, 0] - reach, 0), min(runs[n, 0] + reach + 1, nk)):
            for j in range(max(runs[n, 1] - reach, 0), min(runs[n, 1] + reach + 1, nj)):
                for i in range(max(runs[n, 2] - reach, 0), min(runs[n, 3] + reach, ni)):
                    out[k, j, i] = air
    for n in range(runs.shape[0]):
        if kept[n]:
            for i in range(runs[n, 2], runs[n, 3]):
                out[runs[n, 0], runs[n, 1], i] = voxels[runs[n, 0], runs[n, 1], i]


# ---------------------------------------------------------------------------------------------------- volume rendering


@kernel
def _occupied(
    distances: Any,
    shape: Any,
    start: Any,
    down: Any,
    right: Any,
    step: Any,
    depth: Any,
    row: int,
    column: int,
    rows: int,
    columns: int,
) -> Any:
    """Steps between which a tile of rays may meet anything; the first behind the last when it meets nothing.

    The middle ray walks for all of them: where the nearest brick with anything in it is farther away than the tile is
    wide, none of the rays can be in it. Beyond the volume the nearest brick of its border tells: it is farther still.
    """
    o = (
        start[0] + (row + 0.5 * (rows - 1)) * down[0] + (column + 0.5 * (columns - 1)) * right[0],
        start[1] + (row + 0.5 * (rows - 1)) * down[1] + (column + 0.5 * (columns - 1)) * right[1],
        start[2] + (row + 0.5 * (rows - 1)) * down[2] + (column + 0.5 * (columns - 1)) * right[2],
    )
    wide, fast = 0.0, 0.0
    for axis in range(3):
        wide = max(wide, 0.5 * ((rows - 1) * abs(down[axis]) + (columns - 1) * abs(right[axis])))
        fast = max(fast, abs(step[axis]))
    entry, leave = depth[0], depth[1]
    while entry <= leave:
        t = _leap(distances, shape, o, step, entry, wide, fast)
        if t < 1.0:
            break
        entry += t
    while entry <= leave:
        t = _leap(distances, shape, o, step, leave, wide, fast)
        if t < 1.0:
            break
        leave -= t
    return entry, leave


@kernel
def _leap(distances: Any, shape: Any, o: Any, step: Any, t: float, wide: float, fast: float) -> float:
    """Whole steps from t, either way, within which no ray at most `wide` cells aside meets anything."""
    bk = _brick(o[0] + t * step[0], shape[0])
    bj = _brick(o[1] + t * step[1], shape[1])
    bi = _brick(o[2] + t * step[2], shape[2])
    # Bricks nearer than the distance are empty, so the way is free for a brick's edge less for each of them.
    free = (float(distances[np.uintp(bk), np.uintp(bj), np.uintp(bi)]) - 1.0) * BRICK - wide
    return float(np.floor(free / fast))


@kernel
def shade_rows(
    voxels: Any,
    distances: Any,
    table: Singles,
    first: Any,
    scale: Any,
    start: Any,
    down: Any,
    right: Any,
    step: Any,
    start_mm: Any,
    down_mm: Any,
    right_mm: Any,
    step_mm: Any,
    span: Singles,
    depth: Any,
    lower_mm: Any,
    upper_mm: Any,
    to_lps: Any,
    towards: Any,
    light: Any,
    power: int,
    gradient_range: Any,
    background: Any,
    row0: int,
    row1: int,
    out: Any,
) -> None:
    """Rows row0…row1−1 of one shaded picture, composited front to back.

    table : (N, 4) float32 red, green, blue, opacity per step; entry 0 stands for value `first`, `scale` per unit.
    start, down, right, step : index coordinates of pixel (0, 0) and the steps to the next row, column and sample;
        the same in LPS mm with the suffix _mm. Samples lie on planes that face the observer.
    span : values below the first and above the second have no opacity.
    depth : first and last step that may lie in the volume, for any ray. lower_mm, upper_mm : the crop box.
    to_lps : (3, 3) inverse transpose of the affine, index gradient to unit/mm.
    towards : unit LPS vector to the observer, where the light is too.
    light : ambient, diffuse, specular, shaded or not (1 or 0). gradient_range : low, high; both < 0 for none.
    out : (rows, columns, 3) uint8.
    """
    nk, nj, ni = voxels.shape
    size = table.shape[0]
    lower = (0.0, 0.0, 0.0)
    upper = (nk - 1.0, nj - 1.0, ni - 1.0)
    sk, sj, si = step[0], step[1], step[2]
    ambient, diffuse, specular = light[0], light[1], light[2]
    shaded, faded = light[3] > _ZERO, gradient_range[1] >= _ZERO
    rk, rj, ri = _inverse(sk), _inverse(sj), _inverse(si)
    buffers = _buffers()
    values = buffers[5]
    for tile in range(((row1 - row0 + TILE - 1) // TILE) * ((out.shape[1] + TILE - 1) // TILE)):
        across = (out.shape[1] + TILE - 1) // TILE
        tile_row, tile_column = row0 + tile // across * TILE, tile % across * TILE
        rows, columns = min(TILE, row1 - tile_row), min(TILE, out.shape[1] - tile_column)
        entry, leave = _occupied(
            distances, voxels.shape, start, down, right, step, depth, tile_row, tile_column, rows, columns
        )
        for pixel in range(rows * columns):
            row, column = tile_row + pixel // columns, tile_column + pixel % columns
            o = _at(start, down, right, row, column)
            t0, t1 = _clip_ray(o, step, lower, upper, -1e9, 1e9)
            t0, t1 = _clip_ray(_at(start_mm, down_mm, right_mm, row, column), step_mm, lower_mm, upper_mm, t0, t1)
            t1 = min(t1, leave)
            red, green, blue, through = _ZERO, _ZERO, _ZERO, _ONE
            if t0 <= t1:
                t = np.ceil(max(t0, entry))
                before = False  # whether the sample before this one was seen
                while t <= t1 and _ONE - through < _OPAQUE:
                    pk, pj, pi = o[0] + t * sk, o[1] + t * sj, o[2] + t * si
                    bk, bj, bi = _brick(pk, nk), _brick(pj, nj), _brick(pi, ni)
                    empty = int(distances[np.uintp(bk), np.uintp(bj), np.uintp(bi)])
                    # All bricks nearer than `empty` are empty too: leap to the far side of that cube of bricks. In a
                    # brick that is not, sample up to its far side.
                    reach = max(empty - 1, 0)
                    e = _to_edge(pk, rk, float((bk - reach) * BRICK), float((bk + reach + 1) * BRICK))
                    e = min(e, _to_edge(pj, rj, float((bj - reach) * BRICK), float((bj + reach + 1) * BRICK)))
                    e = min(e, _to_edge(pi, ri, float((bi - reach) * BRICK), float((bi + reach + 1) * BRICK)))
                    inside = 1.0 + np.floor(max(min(e, 1e6), 0.0))
                    if empty > 0:
                        t += inside
                        before = False
                        continue
                    count = int(min(min(inside, float(RUN)), np.floor(t1 - t) + 1.0))
                    _run(voxels, o, step, t, count, buffers)
                    shown = np.int32(0)
                    for n in range(RUN):
                        shown |= np.int32(values[n] >= span[0]) & np.int32(values[n] <= span[1]) & np.int32(n < count)
                    if shown == 0:
                        # Most bricks that may show something do not, on most rays: noise.
                        t += count
                        before = False
                        continue
                    sample = 0
                    while sample < count:
                        at = np.uintp(_entry(values[sample], first, scale, size))
                        opacity = table[at, 3]
                        if opacity <= _ZERO:
                            before = False
                            sample += 1
                            continue
                        here = t + sample
                        if not before and here - 1.0 >= t0:
                            # A surface lies within the last step. Sampling starts there, at a sixteenth of a step, or
                            # else the planes of samples would show on it like the rings of a tree.
                            clear, seen = here - 1.0, here
                            for _ in range(4):
                                here = 0.5 * (clear + seen)
                                v = _linear(voxels, o[0] + here * sk, o[1] + here * sj, o[2] + here * si)
                                n = _entry(v, first, scale, size)
                                if table[np.uintp(n), 3] > _ZERO:
                                    seen, at = here, np.uintp(n)
                                else:
                                    clear = here
                            here = seen
                            opacity = table[at, 3]
                        before = True
                        sample += 1
                        r, g, b = table[at, 0], table[at, 1], table[at, 2]
                        if shaded or faded:
                            k, fk = _cell(o[0] + here * sk, nk)
                            j, fj = _cell(o[1] + here * sj, nj)
                            i, fi = _cell(o[2] + here * si, ni)
                            gk, gj, gi = _gradient(voxels, k, j, i, fk, fj, fi)
                            gx = to_lps[0, 0] * gk + to_lps[0, 1] * gj + to_lps[0, 2] * gi
                            gy = to_lps[1, 0] * gk + to_lps[1, 1] * gj + to_lps[1, 2] * gi
                            gz = to_lps[2, 0] * gk + to_lps[2, 1] * gj + to_lps[2, 2] * gi
                            steepness = np.sqrt(gx * gx + gy * gy + gz * gz)
                            if faded:
                                low, high = gradient_range[0], gradient_range[1]
                                if steepness <= low:
                                    opacity = _ZERO
                                elif steepness < high:
                                    opacity *= (steepness - low) / (high - low)
                            if shaded:
                                facing, shine = _ZERO, _ZERO
                                if steepness > _ZERO:
                                    # Headlight: the half vector is the line of sight too; one cosine serves both terms.
                                    facing = abs(gx * towards[0] + gy * towards[1] + gz * towards[2]) / steepness
                                    shine = facing
                                    for _ in range(power):
                                        shine *= shine
                                body = ambient + diffuse * facing
                                shine *= specular
                                r, g, b = (
                                    min(r * body + shine, _ONE),
                                    min(g * body + shine, _ONE),
                                    min(b * body + shine, _ONE),
                                )
                        weight = opacity * through
                        red += weight * r
                        green += weight * g
                        blue += weight * b
                        through *= _ONE - opacity
                        if _ONE - through >= _OPAQUE:
                            break
                        if here < t + (sample - 1):
                            # The surface moved the samples behind it forward: they are taken anew from there.
                            break
                    t = here + 1.0 if before and sample > 0 and here < t + (sample - 1) else t + sample
            out[row, column, 0] = _byte(red + through * background[0])
            out[row, column, 1] = _byte(green + through * background[1])
            out[row, column, 2] = _byte(blue + through * background[2])


@kernel
def _byte(v: Any) -> int:
    return int(min(max(v, _ZERO), _ONE) * _WHITE + _HALF)


# ---------------------------------------------------------------------------------------------------- projections


@kernel
def project_rows(
    voxels: Any,
    low: Singles,
    high: Singles,
    block_low: Singles,
    block_high: Singles,
    mode: int,
    start: Any,
    down: Any,
    right: Any,
    step: Any,
    axis: int,
    parts: int,
    start_mm: Any,
    down_mm: Any,
    right_mm: Any,
    step_mm: Any,
    lower_mm: Any,
    upper_mm: Any,
    half_slab: float,
    outside: Any,
    whole: bool,
    row0: int,
    row1: int,
    out: Any,
) -> None:
    """Rows row0…row1−1 of a maximum, minimum or average along rays.

    axis : the index axis the rays run along most steeply. Samples lie on its slices and `parts` − 1 evenly between
        two of them, so that a ray along an axis meets every voxel in its way exactly.
    step : index step of 1 mm along the ray away from the observer; half_slab in the same mm, 0 at the centre plane.
    low, high : brick ranges; block_low, block_high : those of blocks of bricks.
    out : (rows, columns) int16 if `whole`, else float32; `outside` where a ray meets no voxel.
    """
    nk, nj, ni = voxels.shape
    lower = (-0.5, -0.5, -0.5)
    upper = (nk - 0.5, nj - 0.5, ni - 0.5)
    length = voxels.shape[axis]
    along = step[axis]
    dt = 1.0 / (along * parts)  # mm for one sample towards higher indices, negative when the ray runs down
    ek, ej, ei = step[0] * dt, step[1] * dt, step[2] * dt
    rk, rj, ri = _inverse(ek), _inverse(ej), _inverse(ei)
    buffers = _buffers()
    line = np.empty(out.shape[1], np.float32)
    values = buffers[5]
    hints = np.full(out.shape[1], -1, np.int64)
    for row in range(row0, row1):
        hint = -1
        for column in range(out.shape[1]):
            o = _at(start, down, right, row, column)
            t0, t1 = _clip_ray(o, step, lower, upper, -half_slab, half_slab)
            t0, t1 = _clip_ray(_at(start_mm, down_mm, right_mm, row, column), step_mm, lower_mm, upper_mm, t0, t1)
            if t0 > t1:
                line[column] = outside
                continue
            c0, c1 = o[axis] + t0 * along, o[axis] + t1 * along
            if c0 > c1:
                c0, c1 = c1, c0
            m = int(np.ceil(max(c0, 0.0) * parts - 1e-6))
            last = int(np.floor(min(c1, length - 1.0) * parts + 1e-6))
            if m > last:
                # A slab thinner than the distance between samples, or half a voxel of border: its middle stands for it.
                t = 0.5 * (t0 + t1)
                line[column] = _linear(voxels, o[0] + t * step[0], o[1] + t * step[1], o[2] + t * step[2])
                continue
            # Where sample 0 of this ray lies, in index coordinates.
            zero = -o[axis] / along
            zk, zj, zi = o[0] + zero * step[0], o[1] + zero * step[1], o[2] + zero * step[2]
            zero_at, step_at = (zk, zj, zi), (ek, ej, ei)
            if mode == AVERAGE:
                total, all_samples = 0.0, last - m + 1
                while m <= last:
                    count = min(RUN, last - m + 1)
                    _run(voxels, zero_at, step_at, float(m), count, buffers)
                    for n in range(count):
                        total += float(values[n])
                    m += count
                line[column] = np.float32(total / all_samples)
                continue
            best = -_FAR if mode == MIP else _FAR
            # The neighbours' extremes are likely near ours; knowing them first lets more bricks be passed over.
            above = hints[column]
            if m <= hint <= last:
                best = _linear(voxels, zk + hint * ek, zj + hint * ej, zi + hint * ei)
            if m <= above <= last:
                v = _linear(voxels, zk + above * ek, zj + above * ej, zi + above * ei)
                if (mode == MIP and v > best) or (mode == MINIP and v < best):
                    best, hint = v, above
            while m <= last:
                pk, pj, pi = zk + m * ek, zj + m * ej, zi + m * ei
                bk, bj, bi = _brick(pk, nk), _brick(pj, nj), _brick(pi, ni)
                # A block of bricks first: most of a ray is passed over in a few long leaps.
                ck, cj, ci = bk >> _BLOCK_SHIFT, bj >> _BLOCK_SHIFT, bi >> _BLOCK_SHIFT
                if _useless(block_low, block_high, ck, cj, ci, mode, best):
                    ahead = _ahead(pk, rk, ck, BLOCK)
                    ahead = min(ahead, _ahead(pj, rj, cj, BLOCK))
                    m += 1 + int(max(min(min(ahead, _ahead(pi, ri, ci, BLOCK)), 1e6), 0.0))
                    continue
                ahead = _ahead(pk, rk, bk, BRICK)
                ahead = min(ahead, _ahead(pj, rj, bj, BRICK))
                # Samples up to the far side of the brick, this one included.
                inside = 1 + int(max(min(min(ahead, _ahead(pi, ri, bi, BRICK)), 1e6), 0.0))
                if _useless(low, high, bk, bj, bi, mode, best):
                    m += inside
                    continue
                count = min(min(inside, RUN), last - m + 1)
                _run(voxels, zero_at, step_at, float(m), count, buffers)
                for n in range(count):
                    v = values[n]
                    if (mode == MIP and v > best) or (mode == MINIP and v < best):
                        best = v
                        hint = m + n
                m += count
            hints[column] = hint
            line[column] = outside if abs(best) >= _FAR else best
        _store(line, whole, out, row)


@kernel
def reformat_rows(
    voxels: Any,
    mode: int,
    nearest: bool,
    start: Any,
    down: Any,
    right: Any,
    through: Any,
    samples: int,
    outside: Any,
    whole: bool,
    row0: int,
    row1: int,
    out: Any,
) -> None:
    """Rows row0…row1−1 of one plane, or of `samples` planes combined by mode.

    start : index coordinates of pixel (0, 0) in the first of the planes; through : the step to the next of them.
    out : (rows, columns) int16 if `whole`, else float32. Within half a voxel of the outermost voxel centres the
    border is repeated; beyond them a sample is outside and does not count, and a pixel without any sample is `outside`.
    """
    nk, nj, ni = voxels.shape
    lower = (-0.5, -0.5, -0.5)
    upper = (nk - 0.5, nj - 0.5, ni - 0.5)
    columns = out.shape[1]
    buffers = _buffers()
    line = np.empty(out.shape[1], np.float32)
    values = buffers[5]
    total, counted = np.zeros(columns, np.float64), np.zeros(columns, np.int64)
    small, great = np.zeros(columns, np.float32), np.zeros(columns, np.float32)
    for row in range(row0, row1):
        line[:] = outside
        if samples > 1:
            total[:], counted[:] = 0.0, 0
            small[:], great[:] = _FAR, -_FAR
        for sample in range(samples):
            o = (
                start[0] + row * down[0] + sample * through[0],
                start[1] + row * down[1] + sample * through[1],
                start[2] + row * down[2] + sample * through[2],
            )
            t0, t1 = _clip_ray(o, right, lower, upper, 0.0, columns - 1.0)
            if t0 > t1:
                continue
            c0, c1 = int(np.ceil(t0 - 1e-9)), int(np.floor(t1 + 1e-9))
            for column in range(c0, c1 + 1, RUN):
                count = min(RUN, c1 + 1 - column)
                if nearest:
                    for n in range(count):
                        m = column + n
                        values[n] = _nearest(voxels, o[0] + m * right[0], o[1] + m * right[1], o[2] + m * right[2])
                else:
                    _run(voxels, o, right, float(column), count, buffers)
                if samples == 1:
                    for n in range(count):
                        line[column + n] = values[n]
                    continue
                for n in range(count):
                    v = values[n]
                    total[column + n] += np.float64(v)
                    counted[column + n] += 1
                    small[column + n] = min(small[column + n], v)
                    great[column + n] = max(great[column + n], v)
        for column in range(columns if samples > 1 else 0):
            if counted[column] == 0:
                continue
            if mode == MIP:
                line[column] = great[column]
            elif mode == MINIP:
                line[column] = small[column]
            else:
                line[column] = np.float32(total[column] / counted[column])
        _store(line, whole, out, row)
