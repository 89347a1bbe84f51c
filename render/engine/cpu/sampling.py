"""Values, gradients and colours at places between the voxels.

Coordinates are voxel indices in (k, j, i) order, voxel centres at whole numbers. Values are float32. A packet is
sixteen places in vectors; functions for one place take plain numbers.
"""

from typing import Any

import numpy as np

from render.engine.cpu.jit import helper, kernel
from render.engine.cpu.simd import (
    LANES,
    across_rows,
    along_rows,
    bits,
    cells,
    flags,
    four_rows,
    greatest,
    least,
    load,
    lowest,
    real,
    store,
    totals,
    whole,
)

ZERO, HALF, ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)
_TWO, _THREE_HALVES, _FIVE_HALVES = np.float32(2.0), np.float32(1.5), np.float32(2.5)
_SIXTH, _TWO_THIRDS = np.float32(1.0 / 6.0), np.float32(2.0 / 3.0)

SHOWN, HIDDEN, TINTED = 1, 2, 4


# ---------------------------------------------------------------------------------------------------- packets


@helper
def within(v: Any, top: Any) -> Any:
    """Limits v to 0…top; 0 for NaN."""
    return least(greatest(v, ZERO), top)


@helper
def cell_of(p: Any, n: int) -> Any:
    """Returns (first voxel, fraction) of the cells that hold p, on an axis of n voxels; p lies in 0…n − 1."""
    first = least(whole(p), n - 2)
    return first, p - real(first)


@helper
def linear_in_cells(voxels: Any, at: Any, fk: Any, fj: Any, fi: Any, m: Any) -> Any:
    """Returns trilinear values where m: in the cells whose first voxels have the flat indices `at`."""
    row = voxels.shape[2]
    a, a_next, b, b_next, c, c_next, e, e_next = cells(voxels, at, row, voxels.shape[1] * row, m)
    a = a + (a_next - a) * fi
    b = b + (b_next - b) * fi
    c = c + (c_next - c) * fi
    e = e + (e_next - e) * fi
    a = a + (b - a) * fj
    c = c + (e - c) * fj
    return a + (c - a) * fk


@helper
def linear_at(voxels: Any, pk: Any, pj: Any, pi: Any, m: Any) -> Any:
    """Returns trilinear values at places within the grid, where m."""
    nk, nj, ni = voxels.shape
    k, fk = cell_of(pk, nk)
    j, fj = cell_of(pj, nj)
    i, fi = cell_of(pi, ni)
    return linear_in_cells(voxels, (k * nj + j) * ni + i, fk, fj, fi, m)


# ---------------------------------------------------------------------------------------------------- one place


@helper
def cell(p: float, n: int) -> Any:
    """Returns (first voxel, fraction) of the cell that holds coordinate p, on an axis of n voxels; outside, of the
    border."""
    if p <= 0.0:
        return 0, ZERO
    c = int(p)
    if c > n - 2:
        return n - 2, np.float32(min(p - (n - 2), 1.0))
    return c, np.float32(p - c)


@kernel
def linear(voxels: Any, pk: float, pj: float, pi: float) -> Any:
    """Returns the trilinear value at a place."""
    k, fk = cell(pk, voxels.shape[0])
    j, fj = cell(pj, voxels.shape[1])
    i, fi = cell(pi, voxels.shape[2])
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
def nearest(voxels: Any, pk: float, pj: float, pi: float) -> Any:
    """Returns the value of the voxel nearest to a place."""
    k = min(max(int(np.floor(pk + 0.5)), 0), voxels.shape[0] - 1)
    j = min(max(int(np.floor(pj + 0.5)), 0), voxels.shape[1] - 1)
    i = min(max(int(np.floor(pi + 0.5)), 0), voxels.shape[2] - 1)
    return np.float32(voxels[k, j, i])


@kernel
def _four(c: int, n: int) -> Any:
    """Returns the four voxels around a cell whose first is c; the border is repeated."""
    return np.uintp(max(c - 1, 0)), np.uintp(c), np.uintp(c + 1), np.uintp(min(c + 2, n - 1))


@helper
def _whole_rows(n: int, i: int) -> bool:
    """Whether all four voxels around a cell exist along i."""
    return 0 < i < n - 2


@helper
def _slices(voxels: Any, k: int, j: int, i: int) -> Any:
    """Returns the 64 voxels around a cell of `_whole_rows`: four vectors along k, see `four_rows`. Along k and j the
    border is repeated."""
    nk, nj, ni = voxels.shape
    layer = nj * ni
    at = k * layer + i - 1
    a, b, c, d = max(j - 1, 0) * ni, j * ni, (j + 1) * ni, min(j + 2, nj - 1) * ni
    before, behind = at - (layer if k > 0 else 0), at + (2 * layer if k < nk - 2 else layer)
    return (
        four_rows(voxels, before + a, before + b, before + c, before + d),
        four_rows(voxels, at + a, at + b, at + c, at + d),
        four_rows(voxels, at + layer + a, at + layer + b, at + layer + c, at + layer + d),
        four_rows(voxels, behind + a, behind + b, behind + c, behind + d),
    )


@helper
def _blend(slices: Any, w: Any) -> Any:
    return (slices[0] * w[0] + slices[1] * w[1]) + (slices[2] * w[2] + slices[3] * w[3])


# Cubic B-spline weights of the four voxels around as polynomials in the fraction, those of its derivative, and those of
# the Catmull-Rom spline. Sources: Sigg and Hadwiger 2005, 'Fast third-order texture filtering'; Catmull and Rom 1974.
_SPLINE = ((1 / 6, 2 / 3, 1 / 6, 0.0), (-0.5, 0.0, 0.5, 0.0), (0.5, -1.0, 0.5, 0.0), (-1 / 6, 0.5, -0.5, 1 / 6))
_SLOPE = ((-0.5, 0.0, 0.5, 0.0), (1.0, -2.0, 1.0, 0.0), (-0.5, 1.5, -1.5, 0.5))
_CATMULL = ((0.0, 1.0, 0.0, 0.0), (-0.5, 0.0, 0.5, 0.0), (1.0, -2.5, 2.0, -0.5), (-0.5, 1.5, -1.5, 0.5))
_spline_i = tuple(along_rows(c) for c in _SPLINE)
_spline_j = tuple(across_rows(c) for c in _SPLINE)
_slope_i = tuple(along_rows(c) for c in _SLOPE)
_slope_j = tuple(across_rows(c) for c in _SLOPE)
_catmull_i = tuple(along_rows(c) for c in _CATMULL)
_catmull_j = tuple(across_rows(c) for c in _CATMULL)
_WI0, _WI1, _WI2, _WI3 = _spline_i
_WJ0, _WJ1, _WJ2, _WJ3 = _spline_j
_SI0, _SI1, _SI2 = _slope_i
_SJ0, _SJ1, _SJ2 = _slope_j
_CI0, _CI1, _CI2, _CI3 = _catmull_i
_CJ0, _CJ1, _CJ2, _CJ3 = _catmull_j


@helper
def spline(f: Any) -> Any:
    """Returns the weights of a cubic B-spline at fraction f for the four voxels around, then those of its
    derivative."""
    g = ONE - f
    a, d = g * g * g * _SIXTH, f * f * f * _SIXTH
    b = _TWO_THIRDS - f * f * (ONE - HALF * f)
    c = _TWO_THIRDS - g * g * (ONE - HALF * g)
    da, dd = -HALF * g * g, HALF * f * f
    db = f * (_THREE_HALVES * f - _TWO)
    dc = g * (_TWO - _THREE_HALVES * g)
    return (a, b, c, d), (da, db, dc, dd)


@helper
def gradient(voxels: Any, k: int, j: int, i: int, fk: Any, fj: Any, fi: Any) -> Any:
    """Returns the gradient per voxel step along k, j, i, of the cubic B-spline through the 64 voxels around. It is
    smooth from cell to cell, so slices do not show as steps in the shading. Source: Sigg and Hadwiger 2005."""
    if not _whole_rows(voxels.shape[2], i):
        return gradient_at_border(voxels, k, j, i, fk, fj, fi)
    wk, sk = spline(fk)
    return _slope_of(_slices(voxels, k, j, i), wk, sk, fj, fi)


@helper
def _slope_of(slices: Any, wk: Any, sk: Any, fj: Any, fi: Any) -> Any:
    """Returns the gradient from the 64 voxels around, four vectors along k. wk, sk : `spline` of the fraction along
    k."""
    wi = _WI0() + (_WI1() + (_WI2() + _WI3() * fi) * fi) * fi
    wj = _WJ0() + (_WJ1() + (_WJ2() + _WJ3() * fj) * fj) * fj
    si = _SI0() + (_SI1() + _SI2() * fi) * fi
    sj = _SJ0() + (_SJ1() + _SJ2() * fj) * fj
    value = _blend(slices, wk)
    return totals(_blend(slices, sk) * (wj * wi), value * (sj * wi), value * (wj * si))


@helper
def gradient_from(voxels: Any, at: Any, row: int, layer: int, wk: Any, sk: Any, fj: Any, fi: Any) -> Any:
    """Returns `gradient` where all 64 voxels exist. at : flat index of the first. wk, sk : `spline(fk)`."""
    a = four_rows(voxels, at, at + row, at + 2 * row, at + 3 * row)
    at += layer
    b = four_rows(voxels, at, at + row, at + 2 * row, at + 3 * row)
    at += layer
    c = four_rows(voxels, at, at + row, at + 2 * row, at + 3 * row)
    at += layer
    return _slope_of((a, b, c, four_rows(voxels, at, at + row, at + 2 * row, at + 3 * row)), wk, sk, fj, fi)


@kernel
def gradient_at_border(voxels: Any, k: int, j: int, i: int, fk: Any, fj: Any, fi: Any) -> Any:
    """Returns `gradient` where the border is repeated."""
    wk, sk = spline(fk)
    wj, sj = spline(fj)
    wi, si = spline(fi)
    ks, js, ns = _four(k, voxels.shape[0]), _four(j, voxels.shape[1]), _four(i, voxels.shape[2])
    gk, gj, gi = ZERO, ZERO, ZERO
    for a in range(4):
        value, slope_j, slope_i = ZERO, ZERO, ZERO
        for b in range(4):
            v0, v1 = np.float32(voxels[ks[a], js[b], ns[0]]), np.float32(voxels[ks[a], js[b], ns[1]])
            v2, v3 = np.float32(voxels[ks[a], js[b], ns[2]]), np.float32(voxels[ks[a], js[b], ns[3]])
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
    """Returns the weights of the four voxels around at fraction f. Source: Catmull and Rom 1974; Keys 1981, a = −½."""
    g = ONE - f
    a, d = -HALF * f * g * g, -HALF * g * f * f
    b = ONE - f * f * (_FIVE_HALVES - _THREE_HALVES * f)
    c = ONE - g * g * (_FIVE_HALVES - _THREE_HALVES * g)
    return a, b, c, d


@helper
def cubic(voxels: Any, pk: float, pj: float, pi: float) -> Any:
    """Returns the value at a place of the Catmull-Rom cubic through the 64 voxels around."""
    k, fk = cell(pk, voxels.shape[0])
    j, fj = cell(pj, voxels.shape[1])
    i, fi = cell(pi, voxels.shape[2])
    if not _whole_rows(voxels.shape[2], i):
        return _cubic_at_border(voxels, k, j, i, fk, fj, fi)
    wi = _CI0() + (_CI1() + (_CI2() + _CI3() * fi) * fi) * fi
    wj = _CJ0() + (_CJ1() + (_CJ2() + _CJ3() * fj) * fj) * fj
    value = _blend(_slices(voxels, k, j, i), _catmull_rom(fk)) * (wj * wi)
    return totals(value, value, value)[0]


@kernel
def _cubic_at_border(voxels: Any, k: int, j: int, i: int, fk: Any, fj: Any, fi: Any) -> Any:
    wk, wj, wi = _catmull_rom(fk), _catmull_rom(fj), _catmull_rom(fi)
    ks, js, ns = _four(k, voxels.shape[0]), _four(j, voxels.shape[1]), _four(i, voxels.shape[2])
    value = ZERO
    for a in range(4):
        for b in range(4):
            for c in range(4):
                value += wk[a] * wj[b] * wi[c] * np.float32(voxels[ks[a], js[b], ns[c]])
    return value


# ---------------------------------------------------------------------------------------------------- under a mask


@kernel
def unmasked(voxels: Any, labels: Any, shown: Any, pk: float, pj: float, pi: float, v: Any) -> Any:
    """Returns (whether a sample at a place is shown, its value from shown voxels alone). v : its value from all eight.

    A sample is shown if shown voxels have at least half of the trilinear weight. So a label of a single voxel does not
    vanish, and values of hidden voxels do not leak across the border.
    """
    k, fk = cell(pk, voxels.shape[0])
    j, fj = cell(pj, voxels.shape[1])
    i, fi = cell(pi, voxels.shape[2])
    whole_weight, weighted, count = ZERO, ZERO, 0
    for corner in range(8):
        a, b, c = corner >> 2, (corner >> 1) & 1, corner & 1
        if shown[labels[k + a, j + b, i + c]]:
            w = (fk if a else ONE - fk) * (fj if b else ONE - fj) * (fi if c else ONE - fi)
            whole_weight += w
            weighted += w * np.float32(voxels[k + a, j + b, i + c])
            count += 1
    if count == 8:
        return True, v
    if whole_weight < HALF:
        return False, v
    return True, weighted / whole_weight


@helper
def unmasked_lanes(
    voxels: Any,
    labels: Any,
    shown: Any,
    pk: Any,
    pj: Any,
    pi: Any,
    v: Any,
    mixed: Any,
    places: Any,
    values: Any,
    opened: Any,
) -> Any:
    """Returns (values, which lanes are shown) of a packet's samples, with the mask applied in the lanes `mixed`.

    places : (3, 16), values, opened : (16,) scratch.
    """
    is_open, todo = flags(True), bits(mixed)
    if todo != 0:
        store(places, 0, pk)
        store(places, LANES, pj)
        store(places, 2 * LANES, pi)
        store(values, 0, v)
        opened[:] = 1
        while todo != 0:
            q = lowest(todo)
            todo &= todo - 1
            lane_open, values[q] = unmasked(voxels, labels, shown, places[0, q], places[1, q], places[2, q], values[q])
            opened[q] = 1 if lane_open else 0
        v, is_open = load(values, 0), load(opened, 0) > 0
    return v, is_open


@kernel
def mask_gradient(labels: Any, shown: Any, k: int, j: int, i: int, fk: Any, fj: Any, fi: Any) -> Any:
    """Returns the `gradient` of the mask, with 1 for a shown voxel, else 0."""
    wk, sk = spline(fk)
    wj, sj = spline(fj)
    wi, si = spline(fi)
    ks, js, ns = _four(k, labels.shape[0]), _four(j, labels.shape[1]), _four(i, labels.shape[2])
    gk, gj, gi = ZERO, ZERO, ZERO
    for a in range(4):
        for b in range(4):
            for c in range(4):
                if shown[labels[ks[a], js[b], ns[c]]]:
                    gk += sk[a] * wj[b] * wi[c]
                    gj += wk[a] * sj[b] * wi[c]
                    gi += wk[a] * wj[b] * si[c]
    return gk, gj, gi
