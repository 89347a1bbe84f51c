"""Projections: the maximum, the minimum or the average along packets of rays."""

from typing import Any

import numpy as np
from numba import types

from render.engine.cpu import rays
from render.engine.cpu.bricks import BLOCK_SHIFT, SHIFT
from render.engine.cpu.jit import helper, kernel
from render.engine.cpu.rays import FAR, PACKET
from render.engine.cpu.sampling import HIDDEN, cell_of, linear_at, linear_in_cells, unmasked_lanes, within
from render.engine.cpu.simd import (
    LANES,
    bits,
    double,
    doubles,
    gather,
    greatest,
    least,
    load,
    prefetch,
    real,
    reals,
    scratch,
    select,
    store,
    whole,
    wholes,
)

_NONE = np.float32(-3.0e38)
_BORDER = 1e-3  # how far, in samples, rounding may push the end of a slab past a sample
_ROUNDER = np.float32(1.5 * 2.0**23)  # float32 values near it are whole numbers only
_AHEAD = 6.0
_lane, _lane_triples = scratch(types.float32, LANES), scratch(types.float32, 3, LANES)
_lane_marks, _three_places = scratch(types.int32, LANES), scratch(types.float64, 3, 3)


@helper
def rounded(v: Any) -> Any:
    """Rounds to whole numbers, half to even (exact below 2²², so for all of int16)."""
    return (v + _ROUNDER) - _ROUNDER


@kernel
def project_rows(
    voxels: Any,
    bounds: Any,
    block_bounds: Any,
    sign: Any,
    average: Any,
    ray: Any,
    ray_mm: Any,
    axis: Any,
    parts: Any,
    lower_mm: Any,
    upper_mm: Any,
    half_slab: Any,
    outside: Any,
    integer: Any,
    more: Any,
    hints: Any,
    row0: Any,
    row1: Any,
    out: Any,
) -> None:
    """Draws rows row0…row1−1 of a projection.

    bounds, block_bounds : (BK, BJ, BI) float32 of bricks and of blocks of bricks: their greatest values for a maximum,
        with sign +1, or their least ones for a minimum, with sign −1.
    average : the mean instead; bounds are then not used.
    ray, ray_mm : `kernel_records.RayGrid`; step is that of 1 mm along the ray away from the observer.
    axis : the index axis the rays run along most steeply. Samples lie on its slices and `parts` − 1 evenly between
        two of them, so that a ray along an axis meets every voxel in its way exactly.
    half_slab : in mm, 0 at the centre plane. outside : written where a ray meets no voxel. integer : out is int16.
    more : None, or (clips, masked, labels, states, shown): see `kernel_records.OptionalParts`.
    hints : (packets, 16) float32 scratch, a row for each four columns.
    """
    nk, nj, ni = voxels.shape
    top_k, top_j, top_i = float(nk - 1), float(nj - 1), float(ni - 1)
    along = ray.step[axis]
    length = voxels.shape[axis]
    # Steps from sample to sample, towards higher indices along the axis.
    dt = 1.0 / (along * parts)
    step = (ray.step[0] * dt, ray.step[1] * dt, ray.step[2] * dt)
    ek, ej, ei = reals(step[0]), reals(step[1]), reals(step[2])
    rk, rj, ri = rays.reciprocal(ek), rays.reciprocal(ej), rays.reciprocal(ei)
    ahead = (int(_AHEAD * step[0]) * nj + int(_AHEAD * step[1])) * ni + int(_AHEAD * step[2])
    d = (reals(ray.step[0]), reals(ray.step[1]), reals(ray.step[2]))
    d_mm = (reals(ray_mm.step[0]), reals(ray_mm.step[1]), reals(ray_mm.step[2]))
    # Sample 0 of the ray through pixel (0, 0), and how it moves with rows and columns: exact along the axis.
    zero = _three_places()
    for n in range(3):
        zero[0, n] = ray.start[n] - ray.start[axis] / along * ray.step[n]
        zero[1, n] = ray.down[n] - ray.down[axis] / along * ray.step[n]
        zero[2, n] = ray.right[n] - ray.right[axis] / along * ray.step[n]
    zero[:, axis] = 0.0
    packets = (out.shape[1] + PACKET - 1) // PACKET
    # The samples where the packet above found its extreme: ours is likely near. Found first, it lets us skip bricks.
    hints[:] = -FAR
    line, places, values, opened = _lane(), _lane_triples(), _lane(), _lane_marks()
    for row in range(row0, row1, PACKET):
        left = reals(-FAR)
        for packet in range(packets):
            column = packet * PACKET
            o = rays.origin(ray.start, ray.down, ray.right, row, column)
            o_mm = rays.origin(ray_mm.start, ray_mm.down, ray_mm.right, row, column)
            here = rays.inside_picture(row1, out.shape[1], row, column)
            t0, t1 = reals(-half_slab), select(here, half_slab, reals(-2.0 * FAR))
            t0, t1 = rays.clip_box(o, d, (-0.5, -0.5, -0.5), (nk - 0.5, nj - 0.5, ni - 0.5), t0, t1)
            t0, t1 = rays.clip_box(o_mm, d_mm, lower_mm, upper_mm, t0, t1)
            if more is not None:
                t0, t1, _ = rays.clip_planes(more[0], o_mm, d_mm, t0, t1)
            met = t0 <= t1
            t0, t1 = select(met, t0, 0.0), select(met, t1, 0.0)
            steep = o[axis]
            c0, c1 = steep + t0 * along, steep + t1 * along
            c0, c1 = least(c0, c1), greatest(c0, c1)
            m = rays.ceiling(greatest(c0, 0.0) * parts - _BORDER)
            last = real(whole(greatest(least(c1, length - 1.0) * parts + _BORDER, -1.0)))
            # A slab thinner than the distance between samples, or half a voxel of border, is sampled in its middle.
            thin = met & (m > last)
            m, last = select(thin, (c0 + c1) * (0.5 * parts), m), select(thin, FAR, last)
            zk, zj, zi = rays.origin(zero[0], zero[1], zero[2], row, column)
            active = met
            if average:
                sums, count = doubles(0.0), reals(0.0)
                while bits(active) != 0:
                    pk, pj, pi = within(zk + m * ek, top_k), within(zj + m * ej, top_j), within(zi + m * ei, top_i)
                    v, seen = linear_at(voxels, pk, pj, pi, active), active
                    if more is not None and more[1]:
                        v, is_open = unmasked_lanes(
                            voxels, more[2], more[4], pk, pj, pi, v, seen, places, values, opened
                        )
                        seen = seen & is_open
                    sums = select(seen, sums + double(v), sums)
                    count = select(seen, count + 1.0, count)
                    m = m + 1.0
                    active = active & (m <= last) & ~thin
                none = count < 1.0
                result = select(none, outside, real(sums / double(select(none, 1.0, count))))
            else:
                best, where = reals(_NONE), reals(-FAR)
                for guess in (left, load(hints, packet * LANES)):
                    known = active & (guess >= m) & (guess <= last) & ~thin
                    if bits(known) != 0:
                        pk, pj, pi = _place(zk + guess * ek, zj + guess * ej, zi + guess * ei, top_k, top_j, top_i)
                        v, seen = linear_at(voxels, pk, pj, pi, known), known
                        if more is not None and more[1]:
                            v, is_open = unmasked_lanes(
                                voxels, more[2], more[4], pk, pj, pi, v, seen, places, values, opened
                            )
                            seen = seen & is_open
                        v = v * sign
                        better = seen & (v > best)
                        best, where = select(better, v, best), select(better, guess, where)
                while bits(active) != 0:
                    pk, pj, pi = _place(zk + m * ek, zj + m * ej, zi + m * ei, top_k, top_j, top_i)
                    k, fk = cell_of(pk, nk)
                    j, fj = cell_of(pj, nj)
                    i, fi = cell_of(pi, ni)
                    bk, bj, bi = k >> SHIFT, j >> SHIFT, i >> SHIFT
                    brick = (bk * bounds.shape[1] + bj) * bounds.shape[2] + bi
                    useless = active & (gather(bounds, brick, active) * sign <= best)
                    useful = active & ~useless
                    if bits(useless) != 0:
                        # Leap past the brick, or past the whole block around it: most of a ray is a few long leaps.
                        ck, cj, ci = bk >> BLOCK_SHIFT, bj >> BLOCK_SHIFT, bi >> BLOCK_SHIFT
                        block = (ck * block_bounds.shape[1] + cj) * block_bounds.shape[2] + ci
                        long = useless & (gather(block_bounds, block, useless) * sign <= best)
                        e = _ahead(pk, rk, bk, ck, long)
                        e = least(e, _ahead(pj, rj, bj, cj, long))
                        e = least(e, _ahead(pi, ri, bi, ci, long))
                        m = select(useless, m + (rays.whole_steps(e) + 1.0), m)
                        active = active & (m <= last) & (useful | ~thin)
                        if bits(useful) == 0:
                            continue
                    at = (k * nj + j) * ni + i
                    prefetch(voxels, at + ahead)
                    v, seen = linear_in_cells(voxels, at, fk, fj, fi, useful), useful
                    if more is not None and more[1]:
                        mixed = seen & ((gather(more[3], brick, seen) & HIDDEN) > 0)
                        v, is_open = unmasked_lanes(
                            voxels, more[2], more[4], pk, pj, pi, v, mixed, places, values, opened
                        )
                        seen = seen & is_open
                    v = v * sign
                    better = seen & (v > best)
                    best, where = select(better, v, best), select(better, m, where)
                    m = select(useful, m + 1.0, m)
                    active = active & (m <= last) & (~useful | ~thin)
                left = where
                store(hints, packet * LANES, where)
                result = select(best <= _NONE, outside, best * sign)
            result = select(met, result, outside)
            if integer:
                result = rounded(result)
            store(line, 0, result)
            for q in range(LANES):
                r, c = row + (q >> 2), column + (q & 3)
                if r < row1 and c < out.shape[1]:
                    out[r, c] = line[q]


@helper
def _place(pk: Any, pj: Any, pi: Any, top_k: float, top_j: float, top_i: float) -> Any:
    return within(pk, top_k), within(pj, top_j), within(pi, top_i)


@helper
def _ahead(p: Any, r: Any, brick: Any, block: Any, long: Any) -> Any:
    """Returns the steps from p to the far edge, along one axis, of its brick, or of its block where `long`."""
    lower, edge = select(long, block << BLOCK_SHIFT, brick), select(long, wholes(1 << BLOCK_SHIFT), 1)
    return rays.to_edge(p, r, lower, lower + edge, SHIFT)
