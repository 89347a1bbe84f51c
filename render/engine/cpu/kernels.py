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
_FIVE_HALVES = np.float32(2.5)
_SIXTH, _TWO_THIRDS = np.float32(1.0 / 6.0), np.float32(2.0 / 3.0)
_FAINT, _WAYS, _OPEN = np.float32(0.004), np.float32(26.0), np.float32(1.0 / 0.6)
_FAR = np.float32(3.0e38)
_WHITE = np.float32(255.0)
_LEAST, _GREATEST = np.float32(-32768.0), np.float32(32767.0)
_ROUNDER = np.float32(1.5 * 2.0**23)  # float32 near it hold whole numbers only

MIP, MINIP, AVERAGE = 0, 1, 2
LINEAR, NEAREST, CUBIC = 0, 1, 2
SHOWN, HIDDEN, TINTED = 1, 2, 4

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
def _catmull_rom(f: Any) -> Any:
    """Weights of the four voxels around at fraction f. Source: Catmull and Rom 1974; Keys 1981, with a = −1/2."""
    g = _ONE - f
    a, d = -_HALF * f * g * g, -_HALF * g * f * f
    b = _ONE - f * f * (_FIVE_HALVES - _THREE_HALVES * f)
    c = _ONE - g * g * (_FIVE_HALVES - _THREE_HALVES * g)
    return a, b, c, d


@kernel
def _cubic(voxels: Any, pk: float, pj: float, pi: float) -> Any:
    """Value of the Catmull-Rom cubic through the 64 voxels around."""
    k, fk = _cell(pk, voxels.shape[0])
    j, fj = _cell(pj, voxels.shape[1])
    i, fi = _cell(pi, voxels.shape[2])
    wk, wj, wi = _catmull_rom(fk), _catmull_rom(fj), _catmull_rom(fi)
    ks, js = _four(k, voxels.shape[0]), _four(j, voxels.shape[1])
    i0, i1, i2, i3 = _four(i, voxels.shape[2])
    value = _ZERO
    for a in range(4):
        layer = _ZERO
        for b in range(4):
            v0, v1 = np.float32(voxels[ks[a], js[b], i0]), np.float32(voxels[ks[a], js[b], i1])
            v2, v3 = np.float32(voxels[ks[a], js[b], i2]), np.float32(voxels[ks[a], js[b], i3])
            layer += wj[b] * ((wi[0] * v0 + wi[1] * v1) + (wi[2] * v2 + wi[3] * v3))
        value += wk[a] * layer
    return value


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
def _clip_planes(clips: Any, o: Any, d: Any, t0: float, t1: float) -> Any:
    """The part of [t0, t1] that no clip takes away, and the clip that cuts its beginning, −1 for none.

    clips : (N, 4) float64, normal and offset in LPS mm: what lies at normal · p > offset is taken away.
    """
    cut = -1
    for n in range(clips.shape[0]):
        beyond = clips[n, 0] * o[0] + clips[n, 1] * o[1] + clips[n, 2] * o[2] - clips[n, 3]
        rate = clips[n, 0] * d[0] + clips[n, 1] * d[1] + clips[n, 2] * d[2]
        if abs(rate) < 1e-12:
            if beyond > 0.0:
                return 1.0, 0.0, -1
        elif rate > 0.0:
            t1 = min(t1, -beyond / rate)
        elif -beyond / rate > t0:
            t0, cut = -beyond / rate, n
    return t0, t1, cut


@kernel
def _unmasked(voxels: Any, labels: Any, shown: Any, p: Any, v: Any) -> Any:
    """(whether a sample at p is shown, its value from shown voxels alone); v is its value from all eight.

    Shown is where shown voxels have half of the trilinear weight or more: so a label of a single voxel does not
    vanish, and values of what is hidden do not seep over its border.
    """
    k, fk = _cell(p[0], voxels.shape[0])
    j, fj = _cell(p[1], voxels.shape[1])
    i, fi = _cell(p[2], voxels.shape[2])
    total, weighted, count = _ZERO, _ZERO, 0
    for corner in range(8):
        a, b, c = corner >> 2, (corner >> 1) & 1, corner & 1
        if shown[labels[k + a, j + b, i + c]]:
            w = (fk if a else _ONE - fk) * (fj if b else _ONE - fj) * (fi if c else _ONE - fi)
            total += w
            weighted += w * np.float32(voxels[k + a, j + b, i + c])
            count += 1
    if count == 8:
        return True, v
    if total < _HALF:
        return False, v
    return True, weighted / total


@kernel
def _tinted(labels: Any, shown: Any, tints: Any, p: Any, red: Any, green: Any, blue: Any) -> Any:
    """The colour at p: that of the tinted voxels around it and the given one of the others, by trilinear weight.

    tints : (256, 4) float32 red, green, blue, 1 where a label has a tint.
    """
    k, fk = _cell(p[0], labels.shape[0])
    j, fj = _cell(p[1], labels.shape[1])
    i, fi = _cell(p[2], labels.shape[2])
    total, r, g, b = _ZERO, _ZERO, _ZERO, _ZERO
    for corner in range(8):
        dk, dj, di = corner >> 2, (corner >> 1) & 1, corner & 1
        label = labels[k + dk, j + dj, i + di]
        if shown[label]:
            w = (fk if dk else _ONE - fk) * (fj if dj else _ONE - fj) * (fi if di else _ONE - fi)
            plain = tints[label, 3] <= _ZERO
            total += w
            r += w * (red if plain else tints[label, 0])
            g += w * (green if plain else tints[label, 1])
            b += w * (blue if plain else tints[label, 2])
    if total <= _ZERO:
        return red, green, blue
    return r / total, g / total, b / total


@kernel
def _mask_gradient(labels: Any, shown: Any, k: int, j: int, i: int, fk: Any, fj: Any, fi: Any) -> Any:
    """As `_gradient`, of the mask: 1 where a voxel is shown, else 0."""
    wk, sk = _spline(fk)
    wj, sj = _spline(fj)
    wi, si = _spline(fi)
    ks, js, ns = _four(k, labels.shape[0]), _four(j, labels.shape[1]), _four(i, labels.shape[2])
    gk, gj, gi = _ZERO, _ZERO, _ZERO
    for a in range(4):
        for b in range(4):
            for c in range(4):
                if shown[labels[ks[a], js[b], ns[c]]]:
                    gk += sk[a] * wj[b] * wi[c]
                    gj += wk[a] * sj[b] * wi[c]
                    gi += wk[a] * wj[b] * si[c]
    return gk, gj, gi


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
def brick_states(labels: Any, shown: Any, tints: Any, out: Any) -> None:
    """What the labels of each brick hold: the sum of SHOWN, HIDDEN and TINTED. out : (BK, BJ, BI) uint8."""
    nk, nj, ni = labels.shape
    for bk in range(out.shape[0]):
        for bj in range(out.shape[1]):
            for bi in range(out.shape[2]):
                state = 0
                for k in range(bk * BRICK, min(bk * BRICK + BRICK + 1, nk)):
                    for j in range(bj * BRICK, min(bj * BRICK + BRICK + 1, nj)):
                        for i in range(bi * BRICK, min(bi * BRICK + BRICK + 1, ni)):
                            label = labels[k, j, i]
                            if not shown[label]:
                                state |= HIDDEN
                            elif tints[label, 3] > _ZERO:
                                state |= SHOWN | TINTED
                            else:
                                state |= SHOWN
                out[bk, bj, bi] = state


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


# ---------------------------------------------------------------------------------------------------- occlusion


@kernel
def cell_opacities(
    voxels: Any,
    table: Singles,
    first: Any,
    scale: Any,
    labels: Any,
    shown: Any,
    masked: bool,
    edges: Any,
    c0: int,
    c1: int,
    out: Any,
) -> None:
    """Mean opacity of the voxels of each cell, layers c0…c1−1. edges : voxels along k, j, i of a cell.

    out : (CK, CJ, CI) float32. table, first, scale : as in `shade_rows`, opacity for the width of a cell.
    """
    nk, nj, ni = voxels.shape
    size = table.shape[0]
    for ck in range(c0, c1):
        for cj in range(out.shape[1]):
            for ci in range(out.shape[2]):
                total, count = _ZERO, _ZERO
                for k in range(ck * edges[0], min((ck + 1) * edges[0], nk)):
                    for j in range(cj * edges[1], min((cj + 1) * edges[1], nj)):
                        for i in range(ci * edges[2], min((ci + 1) * edges[2], ni)):
                            count += _ONE
                            if masked and not shown[labels[k, j, i]]:
                                continue
                            total += table[_entry(np.float32(voxels[k, j, i]), first, scale, size), 3]
                out[ck, cj, ci] = total / count


@kernel
def cell_openness(opacities: Singles, reach: int, c0: int, c1: int, out: Any) -> None:
    """Share of light that arrives at each cell from all around, layers c0…c1−1: the mean over the 26 directions to
    the neighbours of what `reach` cells that way let through. Outside the grid nothing is in the way."""
    nk, nj, ni = opacities.shape
    for k in range(c0, c1):
        for j in range(nj):
            for i in range(ni):
                total = _ZERO
                for way in range(27):
                    dk, dj, di = way // 9 - 1, way // 3 % 3 - 1, way % 3 - 1
                    if way == 13:
                        continue
                    light = _ONE
                    a, b, c = k, j, i
                    for _ in range(reach):
                        a, b, c = a + dk, b + dj, c + di
                        if a < 0 or b < 0 or c < 0 or a >= nk or b >= nj or c >= ni or light < _FAINT:
                            break
                        light *= _ONE - opacities[a, b, c]
                    total += light
                out[k, j, i] = total / _WAYS


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
def _lit(gx: Any, gy: Any, gz: Any, steepness: Any, tx: Any, ty: Any, tz: Any, lamp: Any) -> Any:
    """Cosines of the side of a surface that the observer sees: with the light, and with the half vector; 0 if behind.

    Source: Blinn 1977, 'Models of light reflection for computer synthesized pictures' (half vector).
    """
    side = -_ONE if gx * tx + gy * ty + gz * tz < _ZERO else _ONE
    facing = side * (gx * lamp[0] + gy * lamp[1] + gz * lamp[2]) / steepness
    if facing <= _ZERO:
        return _ZERO, _ZERO
    hx, hy, hz = tx + lamp[0], ty + lamp[1], tz + lamp[2]
    length = np.sqrt(hx * hx + hy * hy + hz * hz)
    if length <= _ZERO:
        return facing, _ZERO
    return facing, max(side * (gx * hx + gy * hy + gz * hz) / (steepness * length), _ZERO)


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
    more: Any,
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
    more : None for the plain case, which numba then compiles without a trace of the rest, or a tuple of
        clips : (N, 4) float64, as `_clip_planes` takes them.
        masked, labels, states, shown, tints : whether there is a mask; (K, J, I) uint8; `brick_states`; (256,) uint8
            whether a label is drawn; (256, 4) float32 red, green, blue, 1 where a label has a tint.
        pinhole, eye, eye_mm, pace_mm : whether rays start at one point, where in index and LPS coordinates, and the
            distance between samples. start, down and right are directions from there then, step is not used.
        placed, lamp : whether the light is not the observer's, (3,) float32 unit LPS vector towards it.
        cue : (3,) float64 strength, first step, 1 / number of steps over which it grows.
        occlusion : (5,) float32 strength, cells per voxel along k, j, i, width of a cell in mm.
        openness : (CK, CJ, CI) float32, see `cell_openness`, asked one cell before the surface; before a flat one 0.6
            of the light arrives.
        rind : how many steps behind a cut or a mask's border the shading is theirs.
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
    tx, ty, tz = towards[0], towards[1], towards[2]
    buffers = _buffers()
    values = buffers[5]
    if more is not None:
        (
            clips,
            masked,
            labels,
            states,
            shown,
            tints,
            pinhole,
            eye,
            eye_mm,
            pace_mm,
            placed,
            lamp,
            cue,
            occlusion,
            openness,
            rind,
        ) = more
        seen = np.empty(RUN, np.bool_)
    for tile in range(((row1 - row0 + TILE - 1) // TILE) * ((out.shape[1] + TILE - 1) // TILE)):
        across = (out.shape[1] + TILE - 1) // TILE
        tile_row, tile_column = row0 + tile // across * TILE, tile % across * TILE
        rows, columns = min(TILE, row1 - tile_row), min(TILE, out.shape[1] - tile_column)
        entry, leave = _occupied(
            distances, voxels.shape, start, down, right, step, depth, tile_row, tile_column, rows, columns
        )
        if more is not None and pinhole:
            entry, leave = 0.0, 1e9
        for pixel in range(rows * columns):
            row, column = tile_row + pixel // columns, tile_column + pixel % columns
            o, d = _at(start, down, right, row, column), (sk, sj, si)
            o_mm, d_mm = _at(start_mm, down_mm, right_mm, row, column), (step_mm[0], step_mm[1], step_mm[2])
            before_all = -1e9
            if more is not None and pinhole:
                pace = pace_mm / np.sqrt(o_mm[0] * o_mm[0] + o_mm[1] * o_mm[1] + o_mm[2] * o_mm[2])
                d, o = (o[0] * pace, o[1] * pace, o[2] * pace), (eye[0], eye[1], eye[2])
                d_mm, o_mm = (o_mm[0] * pace, o_mm[1] * pace, o_mm[2] * pace), (eye_mm[0], eye_mm[1], eye_mm[2])
                sk, sj, si = d
                rk, rj, ri = _inverse(sk), _inverse(sj), _inverse(si)
                tx, ty, tz = (
                    np.float32(-d_mm[0] / pace_mm),
                    np.float32(-d_mm[1] / pace_mm),
                    np.float32(-d_mm[2] / pace_mm),
                )
                before_all = 0.0
            t0, t1 = _clip_ray(o, d, lower, upper, before_all, 1e9)
            t0, t1 = _clip_ray(o_mm, d_mm, lower_mm, upper_mm, t0, t1)
            if more is not None:
                t0, t1, cut = _clip_planes(clips, o_mm, d_mm, t0, t1)
                veil = -1e9  # where the mask last uncovered something
            t1 = min(t1, leave)
            red, green, blue, through = _ZERO, _ZERO, _ZERO, _ONE
            if t0 <= t1:
                t = np.ceil(max(t0, entry))
                if more is not None and cut >= 0 and t0 >= entry:
                    t = t0  # a cut face is sampled on the plane itself, else it would show the planes of samples
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
                    _run(voxels, o, d, t, count, buffers)
                    if more is not None:
                        state = states[np.uintp(bk), np.uintp(bj), np.uintp(bi)] if masked else np.uint8(SHOWN)
                        if state & HIDDEN:
                            for q in range(count):
                                p = (o[0] + (t + q) * sk, o[1] + (t + q) * sj, o[2] + (t + q) * si)
                                seen[q], values[q] = _unmasked(voxels, labels, shown, p, values[q])
                    visible = np.int32(0)
                    for n in range(RUN):
                        visible |= np.int32(values[n] >= span[0]) & np.int32(values[n] <= span[1]) & np.int32(n < count)
                    if visible == 0:
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
                        if more is not None and state & HIDDEN and not seen[sample]:
                            before = False
                            sample += 1
                            continue
                        here = t + sample
                        if not before and here - 1.0 >= t0:
                            # A surface lies within the last step. Sampling starts there, at a sixteenth of a step, or
                            # else the planes of samples would show on it like the rings of a tree.
                            clear, found = here - 1.0, here
                            for _ in range(4):
                                here = 0.5 * (clear + found)
                                v = _linear(voxels, o[0] + here * sk, o[1] + here * sj, o[2] + here * si)
                                open_here = True
                                if more is not None and masked:
                                    p = (o[0] + here * sk, o[1] + here * sj, o[2] + here * si)
                                    open_here, v = _unmasked(voxels, labels, shown, p, v)
                                entry_here = np.uintp(_entry(v, first, scale, size))
                                if open_here and table[entry_here, 3] > _ZERO:
                                    found, at = here, entry_here
                                else:
                                    clear = here
                            here = found
                            opacity = table[at, 3]
                            if more is not None and masked:
                                p = (o[0] + clear * sk, o[1] + clear * sj, o[2] + clear * si)
                                open_here, v = _unmasked(voxels, labels, shown, p, _ZERO)
                                if not open_here:
                                    veil = here
                        before = True
                        sample += 1
                        r, g, b = table[at, 0], table[at, 1], table[at, 2]
                        if more is not None and state & TINTED:
                            p = (o[0] + here * sk, o[1] + here * sj, o[2] + here * si)
                            r, g, b = _tinted(labels, shown, tints, p, r, g, b)
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
                            if more is not None:
                                # On a face that a plane or a mask has cut, the tissue's own gradient is mere noise.
                                if here - veil <= rind:
                                    gk, gj, gi = _mask_gradient(labels, shown, k, j, i, fk, fj, fi)
                                    gx = to_lps[0, 0] * gk + to_lps[0, 1] * gj + to_lps[0, 2] * gi
                                    gy = to_lps[1, 0] * gk + to_lps[1, 1] * gj + to_lps[1, 2] * gi
                                    gz = to_lps[2, 0] * gk + to_lps[2, 1] * gj + to_lps[2, 2] * gi
                                    steepness = np.sqrt(gx * gx + gy * gy + gz * gz)
                                if cut >= 0 and here - t0 <= rind:
                                    gx, gy = np.float32(clips[cut, 0]), np.float32(clips[cut, 1])
                                    gz, steepness = np.float32(clips[cut, 2]), _ONE
                            if shaded:
                                facing, shine = _ZERO, _ZERO
                                if more is not None and placed:
                                    if steepness > _ZERO:
                                        facing, shine = _lit(gx, gy, gz, steepness, tx, ty, tz, lamp)
                                        for _ in range(power):
                                            shine *= shine
                                elif steepness > _ZERO:
                                    # Headlight: the half vector is the line of sight too; one cosine serves both terms.
                                    facing = abs(gx * tx + gy * ty + gz * tz) / steepness
                                    shine = facing
                                    for _ in range(power):
                                        shine *= shine
                                body = ambient + diffuse * facing
                                if more is not None and occlusion[0] > _ZERO and steepness > _ZERO:
                                    way = (_ONE if gx * tx + gy * ty + gz * tz >= _ZERO else -_ONE) / steepness
                                    gx, gy, gz = gx * way, gy * way, gz * way
                                    # One cell along the normal, in index coordinates by the transpose of to_lps.
                                    ck = (to_lps[0, 0] * gx + to_lps[1, 0] * gy + to_lps[2, 0] * gz) * occlusion[4]
                                    cj = (to_lps[0, 1] * gx + to_lps[1, 1] * gy + to_lps[2, 1] * gz) * occlusion[4]
                                    ci = (to_lps[0, 2] * gx + to_lps[1, 2] * gy + to_lps[2, 2] * gz) * occlusion[4]
                                    open_share = _linear(
                                        openness,
                                        (o[0] + here * sk + ck + 0.5) * occlusion[1] - 0.5,
                                        (o[1] + here * sj + cj + 0.5) * occlusion[2] - 0.5,
                                        (o[2] + here * si + ci + 0.5) * occlusion[3] - 0.5,
                                    )
                                    body *= _ONE - occlusion[0] * (_ONE - min(open_share * _OPEN, _ONE))
                                shine *= specular
                                r, g, b = (
                                    min(r * body + shine, _ONE),
                                    min(g * body + shine, _ONE),
                                    min(b * body + shine, _ONE),
                                )
                        if more is not None:
                            dim = _ONE - np.float32(cue[0] * min(max((here - cue[1]) * cue[2], 0.0), 1.0))
                            r, g, b = r * dim, g * dim, b * dim
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
    more: Any,
    row0: int,
    row1: int,
    out: Any,
) -> None:
    """Rows row0…row1−1 of a maximum, minimum or average along rays.

    axis : the index axis the rays run along most steeply. Samples lie on its slices and `parts` − 1 evenly between
        two of them, so that a ray along an axis meets every voxel in its way exactly.
    step : index step of 1 mm along the ray away from the observer; half_slab in the same mm, 0 at the centre plane.
    low, high : brick ranges; block_low, block_high : those of blocks of bricks.
    more : None, or (clips, masked, labels, states, shown): see `shade_rows`.
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
    if more is not None:
        clips, masked, labels, states, shown = more
    hints = np.full(out.shape[1], -1, np.int64)
    for row in range(row0, row1):
        hint = -1
        for column in range(out.shape[1]):
            o = _at(start, down, right, row, column)
            o_mm = _at(start_mm, down_mm, right_mm, row, column)
            t0, t1 = _clip_ray(o, step, lower, upper, -half_slab, half_slab)
            t0, t1 = _clip_ray(o_mm, step_mm, lower_mm, upper_mm, t0, t1)
            if more is not None:
                t0, t1, _ = _clip_planes(clips, o_mm, step_mm, t0, t1)
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
                if more is not None and masked:
                    p = (o[0] + t * step[0], o[1] + t * step[1], o[2] + t * step[2])
                    seen, v = _unmasked(voxels, labels, shown, p, line[column])
                    line[column] = v if seen else outside
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
                    if more is not None and masked:
                        for n in range(count):
                            p = (zk + (m + n) * ek, zj + (m + n) * ej, zi + (m + n) * ei)
                            bk, bj, bi = _brick(p[0], nk), _brick(p[1], nj), _brick(p[2], ni)
                            seen, v = True, values[n]
                            if states[np.uintp(bk), np.uintp(bj), np.uintp(bi)] & HIDDEN:
                                seen, v = _unmasked(voxels, labels, shown, p, v)
                            if seen:
                                total += float(v)
                            else:
                                all_samples -= 1
                    else:
                        for n in range(count):
                            total += float(values[n])
                    m += count
                line[column] = np.float32(total / all_samples)
                if more is not None and all_samples == 0:
                    line[column] = outside
                continue
            best = -_FAR if mode == MIP else _FAR
            # The neighbours' extremes are likely near ours; knowing them first lets more bricks be passed over.
            above = hints[column]
            if more is not None and masked:
                # The same with a look at the mask.
                for known in (hint, above):
                    if m <= known <= last:
                        p = (zk + known * ek, zj + known * ej, zi + known * ei)
                        seen, v = _unmasked(voxels, labels, shown, p, _linear(voxels, p[0], p[1], p[2]))
                        if seen and ((mode == MIP and v > best) or (mode == MINIP and v < best)):
                            best, hint = v, known
                above = m - 1
            elif m <= hint <= last:
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
                if more is not None:
                    mixed = masked and states[np.uintp(bk), np.uintp(bj), np.uintp(bi)] & HIDDEN != 0
                for n in range(count):
                    v = values[n]
                    if more is not None and mixed:
                        p = (zk + (m + n) * ek, zj + (m + n) * ej, zi + (m + n) * ei)
                        seen, v = _unmasked(voxels, labels, shown, p, v)
                        if not seen:
                            continue
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
    interpolation: int,
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
                if interpolation == NEAREST:
                    for n in range(count):
                        m = column + n
                        values[n] = _nearest(voxels, o[0] + m * right[0], o[1] + m * right[1], o[2] + m * right[2])
                elif interpolation == CUBIC:
                    for n in range(count):
                        m = column + n
                        v = _cubic(voxels, o[0] + m * right[0], o[1] + m * right[1], o[2] + m * right[2])
                        # A cubic overshoots; int16 must not wrap round.
                        values[n] = min(max(v, _LEAST), _GREATEST) if whole else v
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
