"""Volume rendering: packets of rays, composited front to back.

Sources: Levoy 1988, 'Display of surfaces from volume data' (compositing, shading); Zuiderveld, Koning and Viergever
1992, 'Acceleration of ray-casting using 3D distance transforms' (leaping over empty bricks).

A packet moves step by step: lanes in empty bricks leap, the others take a sample. Visible samples are queued with their
weights and shaded sixteen at a time, whichever lanes they came from, because few lanes see something at the same step.
"""

from typing import Any

import numpy as np
from numba import types

from render.engine.cpu import rays
from render.engine.cpu.bricks import SHIFT
from render.engine.cpu.jit import helper, kernel
from render.engine.cpu.label_looks import fade_at, tinted
from render.engine.cpu.rays import FAR, PACKET
from render.engine.cpu.sampling import (
    HALF,
    HIDDEN,
    ONE,
    ZERO,
    cell,
    cell_of,
    gradient,
    gradient_from,
    linear,
    linear_at,
    linear_in_cells,
    mask_gradient,
    spline,
    unmasked,
    unmasked_lanes,
    within,
)
from render.engine.cpu.simd import (
    LANES,
    bits,
    flags,
    gather,
    greatest,
    lanes,
    least,
    load,
    lowest,
    prefetch,
    reals,
    root,
    scratch,
    select,
    size,
    store,
    whole,
)
from render.engine.cpu.tables import entry

_OPAQUE = np.float32(0.995)
_WHITE, _OPEN = np.float32(255.0), np.float32(1.0 / 0.6)
# Near surfaces samples stand half a step apart, for so many steps; then the way to the first one that is whole again.
_CLOSE, _NEAR, _AFTER = np.float32(0.5), np.float32(1.6), np.float32(0.75)
# What counts as a whole step, and the change in what a step adds from which on half steps are taken.
_WHOLE, _MUCH = np.float32(0.7), np.float32(0.08)
_QUEUE, _FULL = 64, 48
_lane, _lane_triples = scratch(types.float32, LANES), scratch(types.float32, 3, LANES)
_lane_pairs, _lane_eights = scratch(types.float32, 2, LANES), scratch(types.float32, 8, LANES)
_lane_sixes, _lane_marks = scratch(types.float32, 6, LANES), scratch(types.int32, LANES)
_queue, _queue_marks = scratch(types.float32, 8, _QUEUE), scratch(types.int32, 4, _QUEUE)
_AHEAD = 6.0  # steps between a sample and the one whose voxels are prefetched


@helper
def _entry(v: Any, look: Any) -> Any:
    """Returns the table's entries for values; beyond the ends, and for NaN, the end."""
    return whole(within((v - look.first_value) * look.entries_per_unit + HALF, look.opacities.shape[0] - 1))


@helper
def _byte(v: Any) -> int:
    return int(min(max(v, ZERO), ONE) * _WHITE + HALF)


@kernel
def shade_rows(
    voxels: Any,
    distances: Any,
    look: Any,
    ray: Any,
    ray_mm: Any,
    lower_mm: Any,
    upper_mm: Any,
    light: Any,
    more: Any,
    row0: Any,
    row1: Any,
    out: Any,
) -> None:
    """Draws rows row0…row1−1 of one shaded picture.

    distances : `brick_distances`. look : TransferTables. ray, ray_mm : RayGrid by index and by LPS mm; samples lie on
    planes that face the observer. lower_mm, upper_mm : the crop box. light : Light. more : OptionalParts, or None, for
    which numba compiles the kernel without them. out : (rows, columns, 3) uint8.
    """
    nk, nj, ni = voxels.shape
    bricks_j, bricks_i = distances.shape[1], distances.shape[2]
    top_k, top_j, top_i = float(nk - 1), float(nj - 1), float(ni - 1)
    faded = look.gradient_range[1] >= ZERO
    d = (reals(ray.step[0]), reals(ray.step[1]), reals(ray.step[2]))
    d_mm = (reals(ray_mm.step[0]), reals(ray_mm.step[1]), reals(ray_mm.step[2]))
    ahead = (int(_AHEAD * ray.step[0]) * nj + int(_AHEAD * ray.step[1])) * ni + int(_AHEAD * ray.step[2])
    # Scratch for work that is done lane by lane.
    places, towards, rgb, weights, opacities = _lane_triples(), _lane_triples(), _lane_triples(), _lane(), _lane()
    # The queue: place along k, j, i, step, weight, gradient; the table's entry, lane, clip, under a mask's border.
    seen, which, entries = _queue(), _queue_marks(), _lane_marks()
    if more is not None:
        # Values, whether shown, step where the mask last began to show, first step, clip that cuts there.
        v_, open_, veil_, here_, t0_, cut_ = _lane(), _lane_marks(), _lane(), _lane(), _lane(), _lane_marks()
    for n in range(LANES):
        towards[0, n], towards[1, n], towards[2, n] = light.towards[0], light.towards[1], light.towards[2]
    for row in range(row0, row1, PACKET):
        for column in range(0, out.shape[1], PACKET):
            o = rays.origin(ray.start, ray.down, ray.right, row, column)
            o_mm = rays.origin(ray_mm.start, ray_mm.down, ray_mm.right, row, column)
            t0, t1 = reals(-FAR), select(rays.inside_picture(row1, out.shape[1], row, column), FAR, reals(-2.0 * FAR))
            if more is not None and more.is_perspective:
                length = root(o_mm[0] * o_mm[0] + o_mm[1] * o_mm[1] + o_mm[2] * o_mm[2])
                pace = reals(more.sample_distance_mm) / length
                d = (o[0] * pace, o[1] * pace, o[2] * pace)
                d_mm = (o_mm[0] * pace, o_mm[1] * pace, o_mm[2] * pace)
                store(towards, 0, reals(0.0) - o_mm[0] / length)
                store(towards, LANES, reals(0.0) - o_mm[1] / length)
                store(towards, 2 * LANES, reals(0.0) - o_mm[2] / length)
                o = (reals(more.eye_index[0]), reals(more.eye_index[1]), reals(more.eye_index[2]))
                o_mm = (reals(more.eye_mm[0]), reals(more.eye_mm[1]), reals(more.eye_mm[2]))
                t0 = reals(0.0)
            dk, dj, di = d
            ok, oj, oi = o
            rk, rj, ri = rays.reciprocal(dk), rays.reciprocal(dj), rays.reciprocal(di)
            t0, t1 = rays.clip_box(o, d, (0.0, 0.0, 0.0), (top_k, top_j, top_i), t0, t1)
            t0, t1 = rays.clip_box(o_mm, d_mm, lower_mm, upper_mm, t0, t1)
            t = rays.ceiling(t0)
            if more is not None:
                t0, t1, cut = rays.clip_planes(more.clips, o_mm, d_mm, t0, t1)
                # A cut face is sampled on the cutting plane itself, else the planes of samples would show on it.
                t = select(cut >= 0, t0, rays.ceiling(t0))
                store(t0_, 0, t0)
                store(cut_, 0, cut)
                veil_[:] = -FAR
            rgb[:] = ZERO
            queued = 0
            through, last, before_opacity = reals(1.0), reals(0.0), reals(0.0)
            # The way from the sample before, and where samples stand a whole step apart again.
            stride, near_end = reals(1.0), reals(-FAR)
            # Whether the sample before was visible, and whether `last` is its value.
            before, known = flags(False), flags(False)
            active = t <= t1
            while bits(active) != 0:
                pk, pj, pi = within(ok + t * dk, top_k), within(oj + t * dj, top_j), within(oi + t * di, top_i)
                k, fk = cell_of(pk, nk)
                j, fj = cell_of(pj, nj)
                i, fi = cell_of(pi, ni)
                bk, bj, bi = k >> SHIFT, j >> SHIFT, i >> SHIFT
                brick = (bk * bricks_j + bj) * bricks_i + bi
                away = gather(distances, brick, active)
                full, empty = active & (away == 0), active & (away > 0)
                if bits(empty) != 0:
                    # All bricks nearer than `away` are empty too: leap to the far side of that cube of bricks.
                    reach = away - 1
                    e = rays.to_edge(pk, rk, bk - reach, bk + away, SHIFT)
                    e = least(e, rays.to_edge(pj, rj, bj - reach, bj + away, SHIFT))
                    e = least(e, rays.to_edge(pi, ri, bi - reach, bi + away, SHIFT))
                    t = select(empty, t + (rays.whole_steps(e) + 1.0), t)
                    before, known = before & ~empty, known & ~empty
                    active = active & (t <= t1)
                    if bits(full) == 0:
                        continue
                at = (k * nj + j) * ni + i
                prefetch(voxels, at + ahead)
                v = linear_in_cells(voxels, at, fk, fj, fi, full)
                mixed, is_open = flags(False), flags(True)
                if more is not None and more.has_mask:
                    states = gather(more.brick_states, brick, full)
                    mixed = full & ((states & HIDDEN) > 0)
                    v, is_open = unmasked_lanes(
                        voxels, more.mask_labels, more.label_is_drawn, pk, pj, pi, v, mixed, places, v_, open_
                    )
                visible = full & is_open & (v >= look.visible_range[0]) & (v <= look.visible_range[1])
                if bits(visible) == 0:
                    before = before & ~full
                else:
                    found = _entry(v, look)
                    opacity = gather(look.opacities, found, visible)
                    visible = visible & (opacity > ZERO)
                    before = before & (visible | ~full)
                    if bits(visible) != 0:
                        # A surface lies within the last step. Sampling starts on it, else the planes of samples would
                        # show on it like the rings of a tree.
                        fresh = visible & ~before & (t - stride >= t0)
                        close = t < near_end
                        if more is not None and more.has_mask and bits(fresh & mixed) != 0:
                            store(here_, 0, t)
                            store(entries, 0, found)
                            _to_border(voxels, look, more, o, d, t, bits(fresh & mixed), here_, entries, veil_)
                            t = load(here_, 0)
                            found = load(entries, 0)
                            fresh = fresh & ~mixed
                        if bits(fresh) != 0:
                            unknown = fresh & ~known
                            if bits(unknown) != 0:
                                sk, sj, si = _place(o, d, t - stride, top_k, top_j, top_i)
                                last = select(unknown, linear_at(voxels, sk, sj, si, unknown), last)
                            rises = whole(v > last)
                            edge = gather(look.first_seen, _entry(last, look) + rises * look.opacities.shape[0], fresh)
                            # False position: values are taken as linear between two samples. A sample stands for a
                            # quarter of a step either way, so the first one lies that far behind the edge; if nothing
                            # is visible there, the visible sample is used.
                            part = within((edge - last) / (v - last), ONE)
                            inner = t - stride * (ONE - part) + _CLOSE * HALF
                            pk, pj, pi = _place(o, d, inner, top_k, top_j, top_i)
                            at_inner = _entry(linear_at(voxels, pk, pj, pi, fresh), look)
                            fresh = fresh & (gather(look.opacities, at_inner, fresh) > ZERO)
                            t, found = select(fresh, inner, t), select(fresh, at_inner, found)
                            near_end = select(fresh, inner + _NEAR, near_end)
                            close = close | fresh
                        opacity = gather(look.opacities, found, visible)
                        # Where much changes within a whole step, half steps are taken instead: back to the first one.
                        again = visible & before & ~close & (stride > _WHOLE)
                        again = again & (size(opacity - before_opacity) * through > _MUCH)
                        visible = visible & ~again
                        before_opacity = select(visible, opacity, before_opacity)
                        opacity = select(close, ONE - root(ONE - opacity), opacity)
                        t = select(again, t - _AFTER, t)
                        near_end = select(again, t + _NEAR + _CLOSE, near_end)
                        before = before | visible
                        pk, pj, pi = _place(o, d, t, top_k, top_j, top_i)
                        store(places, 0, pk)
                        store(places, LANES, pj)
                        store(places, 2 * LANES, pi)
                        store(entries, 0, found)
                        if faded:
                            store(opacities, 0, opacity)
                            _fade(voxels, look, light, places, bits(visible), opacities, seen, queued)
                            opacity = load(opacities, 0)
                        if more is not None and more.has_fades:
                            store(opacities, 0, opacity)
                            _fade_labels(more, places, bits(visible), opacities)
                            opacity = load(opacities, 0)
                        store(weights, 0, opacity * through)
                        if more is not None:
                            store(here_, 0, t)
                        todo = bits(visible)
                        while todo != 0:
                            q = lowest(todo)
                            todo &= todo - 1
                            seen[0, queued], seen[1, queued] = places[0, q], places[1, q]
                            seen[2, queued], seen[4, queued] = places[2, q], weights[q]
                            which[0, queued], which[1, queued] = entries[q], q
                            if more is not None:
                                seen[3, queued] = here_[q]
                                which[2, queued] = cut_[q] if here_[q] - t0_[q] <= more.border_steps else -1
                                which[3, queued] = 1 if here_[q] - veil_[q] <= more.border_steps else 0
                            queued += 1
                        through = select(visible, through * (reals(1.0) - opacity), through)
                        active = active & (through > ONE - _OPAQUE)
                        if queued > _FULL:
                            _shade_queue(voxels, look, light, more, seen, which, towards, queued, faded, rgb)
                            queued = 0
                last, known = select(full, v, last), known | full
                # Between the last half step and the first whole one lies half of each.
                stride = select(t + _CLOSE < near_end, _CLOSE, select(t < near_end, _AFTER, reals(1.0)))
                stride = select(full, stride, reals(1.0))
                t = select(full, t + stride, t)
                active = active & (t <= t1)
            if queued > 0:
                _shade_queue(voxels, look, light, more, seen, which, towards, queued, faded, rgb)
            _blend_in(rgb, through, light.background, row, column, row1, out)


@helper
def _place(o: Any, d: Any, t: Any, top_k: float, top_j: float, top_i: float) -> Any:
    """Returns places on the rays, limited to the grid."""
    return within(o[0] + t * d[0], top_k), within(o[1] + t * d[1], top_j), within(o[2] + t * d[2], top_i)


@helper
def _blend_in(rgb: Any, through: Any, background: Any, row: int, column: int, row1: int, out: Any) -> None:
    """Writes a packet's colours, blended with the background where light comes through."""
    for c in range(3):
        store(rgb, c * LANES, load(rgb, c * LANES) + through * background[c])
    for q in range(LANES):
        r, c = row + (q >> 2), column + (q & 3)
        if r < row1 and c < out.shape[1]:
            out[r, c, 0], out[r, c, 1], out[r, c, 2] = _byte(rgb[0, q]), _byte(rgb[1, q]), _byte(rgb[2, q])


@kernel
def _to_border(
    voxels: Any,
    look: Any,
    more: Any,
    o: Any,
    d: Any,
    t: Any,
    todo: int,
    here: Any,
    entries: Any,
    veil: Any,
) -> None:
    """Finds where the visible part under a mask begins within the step before t, to a sixteenth of a step, by halving:
    the mask may begin there, or the visible values may. Fills here, entries, and veil where it is the mask."""
    ends, steps = _lane_sixes(), _lane()
    for axis in range(3):
        store(ends, axis * LANES, o[axis])
        store(ends, (3 + axis) * LANES, d[axis])
    store(steps, 0, t)
    count = look.opacities.shape[0]
    while todo != 0:
        q = lowest(todo)
        todo &= todo - 1
        clear, found = steps[q] - ONE, steps[q]
        for _ in range(4):
            middle = HALF * (clear + found)
            pk = ends[0, q] + middle * ends[3, q]
            pj = ends[1, q] + middle * ends[4, q]
            pi = ends[2, q] + middle * ends[5, q]
            is_open, v = unmasked(voxels, more.mask_labels, more.label_is_drawn, pk, pj, pi, linear(voxels, pk, pj, pi))
            at = entry(v, look.first_value, look.entries_per_unit, count)
            if is_open and look.opacities[at] > ZERO:
                found, entries[q] = middle, at
            else:
                clear = middle
        here[q] = found
        pk = ends[0, q] + clear * ends[3, q]
        pj = ends[1, q] + clear * ends[4, q]
        pi = ends[2, q] + clear * ends[5, q]
        is_open, _ = unmasked(voxels, more.mask_labels, more.label_is_drawn, pk, pj, pi, ZERO)
        if not is_open:
            veil[q] = found


@helper
def _slope(voxels: Any, pk: Any, pj: Any, pi: Any) -> Any:
    """Returns the gradient at a place within the grid, in unit per voxel along k, j, i."""
    nk, nj, ni = voxels.shape
    k, j, i = min(int(pk), nk - 2), min(int(pj), nj - 2), min(int(pi), ni - 2)
    return gradient(voxels, k, j, i, pk - np.float32(k), pj - np.float32(j), pi - np.float32(i))


@kernel
def _slopes(voxels: Any, seen: Any, first: int, number: int) -> None:
    """Computes `_slope` for entries of the queue, into its rows 5 to 7; sixteen at once where possible."""
    nk, nj, ni = voxels.shape
    row, layer = ni, nj * ni
    starts, fractions, weights = _lane_marks(), _lane_pairs(), _lane_eights()
    k, fk = cell_of(load(seen, first), nk)
    j, fj = cell_of(load(seen, _QUEUE + first), nj)
    i, fi = cell_of(load(seen, 2 * _QUEUE + first), ni)
    store(starts, 0, ((k - 1) * nj + (j - 1)) * ni + (i - 1))
    store(fractions, 0, fj)
    store(fractions, LANES, fi)
    w, slope = spline(fk)
    for n in range(4):
        store(weights, n * LANES, w[n])
        store(weights, (4 + n) * LANES, slope[n])
    deep = bits((k > 0) & (j > 0) & (i > 0) & (k < nk - 2) & (j < nj - 2) & (i < ni - 2))
    for n in range(number):
        q = first + n
        if (deep >> n) & 1:
            wk = (weights[0, n], weights[1, n], weights[2, n], weights[3, n])
            sk = (weights[4, n], weights[5, n], weights[6, n], weights[7, n])
            g = gradient_from(voxels, np.int64(starts[n]), row, layer, wk, sk, fractions[0, n], fractions[1, n])
        else:
            g = _slope(voxels, seen[0, q], seen[1, q], seen[2, q])
        seen[5, q], seen[6, q], seen[7, q] = g


@helper
def _in_lps(to_lps: Any, g: Any) -> Any:
    """Returns a gradient in unit/mm along LPS, of one place or of sixteen."""
    return (
        g[0] * to_lps[0, 0] + g[1] * to_lps[0, 1] + g[2] * to_lps[0, 2],
        g[0] * to_lps[1, 0] + g[1] * to_lps[1, 1] + g[2] * to_lps[1, 2],
        g[0] * to_lps[2, 0] + g[1] * to_lps[2, 1] + g[2] * to_lps[2, 2],
    )


@kernel
def _fade(voxels: Any, look: Any, light: Any, places: Any, todo: int, opacities: Any, seen: Any, queued: int) -> None:
    """Scales opacities by the gradient. Places and gradients stay in the queue, for shading."""
    lane, number, factors = todo, 0, _lane()
    while lane != 0:
        q = lowest(lane)
        lane &= lane - 1
        seen[0, queued + number], seen[1, queued + number] = places[0, q], places[1, q]
        seen[2, queued + number] = places[2, q]
        number += 1
    _slopes(voxels, seen, queued, number)
    g = (load(seen, 5 * _QUEUE + queued), load(seen, 6 * _QUEUE + queued), load(seen, 7 * _QUEUE + queued))
    gx, gy, gz = _in_lps(light.to_lps, g)
    low, high = look.gradient_range[0], look.gradient_range[1]
    steepness = root(gx * gx + gy * gy + gz * gz)
    part = within((steepness - low) / (high - low), ONE)
    store(factors, 0, select(steepness <= low, ZERO, select(steepness < high, part, ONE)))
    lane, number = todo, 0
    while lane != 0:
        q = lowest(lane)
        lane &= lane - 1
        opacities[q] *= factors[number]
        number += 1


@kernel
def _fade_labels(more: Any, places: Any, todo: int, opacities: Any) -> None:
    """Scales opacities by what the mask's rules say of the labels there."""
    while todo != 0:
        q = lowest(todo)
        todo &= todo - 1
        opacities[q] *= fade_at(
            more.mask_labels, more.label_is_drawn, more.label_opacities, places[0, q], places[1, q], places[2, q]
        )


@kernel
def _shade_queue(
    voxels: Any,
    look: Any,
    light: Any,
    more: Any,
    seen: Any,
    which: Any,
    towards: Any,
    count: int,
    faded: bool,
    rgb: Any,
) -> None:
    """Shades the samples in the queue and adds them to their lanes, in the order of sampling."""
    shaded = light.terms[3] > ZERO
    colour, ways, shares, shadows = _lane_triples(), _lane_triples(), _lane(), _lane()
    for first in range(0, count, LANES):
        number = min(count - first, LANES)
        here = lanes() < number
        entries = load(which, first) << 2
        r, g, b = (
            gather(look.colours, entries, here),
            gather(look.colours, entries + 1, here),
            gather(look.colours, entries + 2, here),
        )
        if more is not None and more.has_mask:
            store(colour, 0, r)
            store(colour, LANES, g)
            store(colour, 2 * LANES, b)
            for n in range(number):
                q = first + n
                colour[0, n], colour[1, n], colour[2, n] = tinted(
                    more.mask_labels, more.label_is_drawn, more.label_tints, seen[0, q], seen[1, q], seen[2, q],
                    colour[0, n], colour[1, n], colour[2, n],
                )  # fmt: skip
            r, g, b = load(colour, 0), load(colour, LANES), load(colour, 2 * LANES)
        if shaded:
            if not faded:
                _slopes(voxels, seen, first, number)
            for n in range(number):
                q, lane = first + n, which[1, first + n]
                if more is not None:
                    seen[5, q], seen[6, q], seen[7, q] = _in_lps(light.to_lps, (seen[5, q], seen[6, q], seen[7, q]))
                    # On a face that a plane or a mask has cut, the tissue's own gradient is only noise.
                    if which[2, q] >= 0:
                        clip = which[2, q]
                        seen[5, q], seen[6, q] = np.float32(more.clips[clip, 0]), np.float32(more.clips[clip, 1])
                        seen[7, q] = np.float32(more.clips[clip, 2])
                    elif which[3, q] > 0:
                        seen[5, q], seen[6, q], seen[7, q] = _mask_slope(
                            light, more, seen[0, q], seen[1, q], seen[2, q]
                        )
                    shares[n], shadows[n] = _arriving(light, more, seen, q, towards, lane)
                ways[0, n], ways[1, n], ways[2, n] = towards[0, lane], towards[1, lane], towards[2, lane]
            gx, gy, gz = load(seen, 5 * _QUEUE + first), load(seen, 6 * _QUEUE + first), load(seen, 7 * _QUEUE + first)
            if more is None:
                gx, gy, gz = _in_lps(light.to_lps, (gx, gy, gz))
            tx, ty, tz = load(ways, 0), load(ways, LANES), load(ways, 2 * LANES)
            steepness = root(gx * gx + gy * gy + gz * gz)
            if more is not None and more.light_is_placed:
                facing, shine = _lit(gx, gy, gz, steepness, tx, ty, tz, more.towards_light)
            else:
                # With a headlight the half vector is the line of sight, so one cosine serves both terms.
                facing = size(gx * tx + gy * ty + gz * tz) / select(steepness > ZERO, steepness, ONE)
                shine = facing
            for _ in range(light.squarings):
                shine = shine * shine
            ambient, diffuse = reals(light.terms[0]), facing * light.terms[1]
            shine = shine * light.terms[2]
            if more is not None:
                direct = load(shadows, 0)
                shine = shine * direct
                body = (ambient + diffuse * direct) * load(shares, 0)
            else:
                body = ambient + diffuse
            r, g, b = least(r * body + shine, ONE), least(g * body + shine, ONE), least(b * body + shine, ONE)
        weight = load(seen, 4 * _QUEUE + first)
        if more is not None:
            depth = load(seen, 3 * _QUEUE + first)
            weight = weight * (
                reals(1.0) - within((depth - more.depth_cue[1]) * more.depth_cue[2], ONE) * more.depth_cue[0]
            )
        store(colour, 0, weight * r)
        store(colour, LANES, weight * g)
        store(colour, 2 * LANES, weight * b)
        for n in range(number):
            lane = which[1, first + n]
            for c in range(3):
                rgb[c, lane] += colour[c, n]


@helper
def _lit(gx: Any, gy: Any, gz: Any, steepness: Any, tx: Any, ty: Any, tz: Any, lamp: Any) -> Any:
    """Returns the cosines of the surface's visible side with the light, and with the half vector; 0 if behind.

    Source: Blinn 1977, 'Models of light reflection for computer synthesized pictures' (half vector).
    """
    side = select(gx * tx + gy * ty + gz * tz < ZERO, -1.0, reals(1.0))
    flat = steepness <= ZERO
    slope = select(flat, ONE, steepness)
    facing = side * (gx * lamp[0] + gy * lamp[1] + gz * lamp[2]) / slope
    hx, hy, hz = tx + lamp[0], ty + lamp[1], tz + lamp[2]
    length = root(hx * hx + hy * hy + hz * hz)
    shine = greatest(side * (gx * hx + gy * hy + gz * hz) / (slope * select(length > ZERO, length, ONE)), ZERO)
    dark = flat | (facing <= ZERO)
    return select(dark, ZERO, facing), select(dark | (length <= ZERO), ZERO, shine)


@kernel
def _mask_slope(light: Any, more: Any, pk: float, pj: float, pi: float) -> Any:
    """Returns the `_slope` of the mask."""
    k, fk = cell(pk, more.mask_labels.shape[0])
    j, fj = cell(pj, more.mask_labels.shape[1])
    i, fi = cell(pi, more.mask_labels.shape[2])
    return _in_lps(light.to_lps, mask_gradient(more.mask_labels, more.label_is_drawn, k, j, i, fk, fj, fi))


@kernel
def _arriving(light: Any, more: Any, seen: Any, q: int, towards: Any, lane: int) -> Any:
    """Returns the shares of light that arrive at entry q of the queue, from all around and from the lamp; read one cell
    in front of the surface, on the observer's side."""
    if more.occlusion_terms[0] <= ZERO and more.shadow_strength <= ZERO:
        return ONE, ONE
    gx, gy, gz = seen[5, q], seen[6, q], seen[7, q]
    steepness = np.sqrt(gx * gx + gy * gy + gz * gz)
    if steepness <= ZERO:
        return ONE, ONE
    faces = gx * towards[0, lane] + gy * towards[1, lane] + gz * towards[2, lane] >= ZERO
    way = (more.occlusion_terms[4] if faces else -more.occlusion_terms[4]) / steepness
    gx, gy, gz = gx * way, gy * way, gz * way
    # To index coordinates by the transpose of to_lps, then to those of the cells.
    m = light.to_lps
    ck = (seen[0, q] + (m[0, 0] * gx + m[1, 0] * gy + m[2, 0] * gz) + HALF) * more.occlusion_terms[1] - HALF
    cj = (seen[1, q] + (m[0, 1] * gx + m[1, 1] * gy + m[2, 1] * gz) + HALF) * more.occlusion_terms[2] - HALF
    ci = (seen[2, q] + (m[0, 2] * gx + m[1, 2] * gy + m[2, 2] * gz) + HALF) * more.occlusion_terms[3] - HALF
    around, direct = ONE, ONE
    if more.occlusion_terms[0] > ZERO:
        around -= more.occlusion_terms[0] * (ONE - min(linear(more.cell_openness, ck, cj, ci) * _OPEN, ONE))
    if more.shadow_strength > ZERO:
        direct -= more.shadow_strength * (ONE - linear(more.cell_lit, ck, cj, ci))
    return around, direct
