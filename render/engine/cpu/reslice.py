"""Reformats: planes through the grid, sixteen neighbouring pixels of a row at a time."""

from typing import Any

import numpy as np
from numba import types

from render.engine.cpu.jit import helper, kernel
from render.engine.cpu.project import rounded
from render.engine.cpu.sampling import cubic, linear_in_cells, nearest
from render.engine.cpu.simd import (
    LANES,
    bits,
    double,
    doubles,
    greatest,
    lanes,
    least,
    load,
    lowest,
    prefetch,
    real,
    reals,
    scratch,
    select,
    store,
    whole,
)

MIP, MINIP, AVERAGE = 0, 1, 2
LINEAR, NEAREST, CUBIC = 0, 1, 2
_LEAST, _GREATEST = np.float32(-32768.0), np.float32(32767.0)
_FAR = np.float32(3.0e38)
# Within half a voxel of the outermost voxel centres the border is repeated; rounding may push a pixel this far out.
_REACH = 0.5 + 1e-5
_AHEAD = 28.0  # pixels between a sample and the one whose voxels are prefetched
_lane = scratch(types.float32, LANES)


@helper
def _axis(p: float, offsets: Any, n: int) -> Any:
    """Returns (first voxel, fraction, whether inside) of sixteen places p + offsets along an axis of n voxels.

    The whole part of p is split off before any value becomes a float32, so places at voxel 2000 are as exact as at
    voxel 0.
    """
    base = int(np.floor(p))
    at = offsets + (p - base)
    inside = (at >= -_REACH - base) & (at <= n - 1 + _REACH - base)
    at = least(greatest(at, float(-base)), float(n - 1 - base))
    down = whole(at)
    down = select(real(down) > at, down - 1, down)
    first = least(down, n - 2 - base)
    return first + base, at - real(first), inside


@kernel
def reslice_rows(
    voxels: Any,
    mode: Any,
    interpolation: Any,
    starts: Any,
    down: Any,
    right: Any,
    through: Any,
    places: Any,
    outside: Any,
    integer: Any,
    plane0: Any,
    plane1: Any,
    row0: Any,
    row1: Any,
    out: Any,
) -> None:
    """Draws rows row0…row1−1 of planes plane0…plane1−1, each combined from samples through its thickness by mode.

    starts : (P, 3) float64 index coordinates of pixel (0, 0) of each plane; down, right, through : (P, 3) the steps to
    the next row and column, and of 1 through the thickness. places : (P, S) float64, how many steps through the
    thickness from its start each sample of a plane lies. out : (P, rows, columns) int16 if `integer`, else
    float32.
    Beyond the outermost voxels a sample does not count; a pixel without any sample gets the value `outside`.
    """
    nk, nj, ni = voxels.shape
    columns, samples = out.shape[2], places.shape[1]
    line = _lane()
    for number in range((plane1 - plane0) * (row1 - row0)):
        plane, row = plane0 + number % (plane1 - plane0), row0 + number // (plane1 - plane0)
        start, step_down, step, deeper = starts[plane], down[plane], right[plane], through[plane]
        offset_k, offset_j, offset_i = (real(lanes()) * step[0], real(lanes()) * step[1], real(lanes()) * step[2])
        ahead = (int(_AHEAD * step[0]) * nj + int(_AHEAD * step[1])) * ni + int(_AHEAD * step[2])
        for column in range(0, columns, LANES):
            here = lanes() < columns - column
            sums, count = doubles(0.0), reals(0.0)
            small, great, v = reals(_FAR), reals(-_FAR), reals(0.0)
            for sample in range(samples):
                depth = places[plane, sample]
                pk = start[0] + row * step_down[0] + column * step[0] + depth * deeper[0]
                pj = start[1] + row * step_down[1] + column * step[1] + depth * deeper[1]
                pi = start[2] + row * step_down[2] + column * step[2] + depth * deeper[2]
                k, fk, in_k = _axis(pk, offset_k, nk)
                j, fj, in_j = _axis(pj, offset_j, nj)
                i, fi, in_i = _axis(pi, offset_i, ni)
                inside = here & in_k & in_j & in_i
                todo = bits(inside)
                if todo == 0:
                    continue
                if interpolation == LINEAR:
                    at = (k * nj + j) * ni + i
                    prefetch(voxels, at + ahead)
                    v = linear_in_cells(voxels, at, fk, fj, fi, inside)
                else:
                    while todo != 0:
                        n = lowest(todo)
                        todo &= todo - 1
                        qk, qj, qi = pk + n * step[0], pj + n * step[1], pi + n * step[2]
                        if interpolation == NEAREST:
                            line[n] = nearest(voxels, qk, qj, qi)
                        else:
                            line[n] = cubic(voxels, qk, qj, qi)
                    v = load(line, 0)
                    if integer:
                        # A cubic overshoots; int16 must not wrap round.
                        v = least(greatest(v, _LEAST), _GREATEST)
                count = select(inside, count + 1.0, count)
                if samples > 1:
                    if mode == AVERAGE:
                        sums = select(inside, sums + double(v), sums)
                    elif mode == MIP:
                        great = select(inside, greatest(v, great), great)
                    else:
                        small = select(inside, least(v, small), small)
            if samples > 1:
                if mode == MIP:
                    v = great
                elif mode == MINIP:
                    v = small
                else:
                    v = real(sums / double(greatest(count, 1.0)))
            v = select(count > 0.0, v, outside)
            if integer:
                v = rounded(v)
            store(line, 0, v)
            for n in range(min(LANES, columns - column)):
                out[plane, row, column + n] = line[n]
