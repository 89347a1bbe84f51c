"""Packets of sixteen neighbouring rays: where they start, and the part of each that is drawn.

A packet is a square of 4 x 4 pixels, lane 4·row + column. Its vectors are float32: a place within a volume of 2048
voxels an edge is then known to 0.0001 voxel.
"""

from typing import Any

import numpy as np

from render.engine.cpu.jit import helper
from render.engine.cpu.simd import greatest, lanes, least, real, reals, select, size, whole, wholes

PACKET = 4  # pixels along the edge of a packet
FAR = np.float32(1e9)
FLAT = 1e-12  # a smaller step counts as no movement along its axis


@helper
def origin(start: Any, down: Any, right: Any, row: int, column: int) -> Any:
    """Returns start + row·down + column·right, three vectors, for the packet whose first pixel is (row, column)."""
    n = lanes()
    r, c = real(n >> 2), real(n & 3)
    return (
        reals(start[0] + row * down[0] + column * right[0]) + (r * down[0] + c * right[0]),
        reals(start[1] + row * down[1] + column * right[1]) + (r * down[1] + c * right[1]),
        reals(start[2] + row * down[2] + column * right[2]) + (r * down[2] + c * right[2]),
    )


@helper
def inside_picture(rows: int, columns: int, row: int, column: int) -> Any:
    """Returns which pixels of a packet are in the picture."""
    n = lanes()
    return ((n >> 2) < rows - row) & ((n & 3) < columns - column)


@helper
def _clip(o: Any, d: Any, lower: float, upper: float, t0: Any, t1: Any) -> Any:
    """Returns the part of [t0, t1] where o + t·d lies in [lower, upper]; empty when t0 > t1."""
    flat = size(d) < FLAT
    step = select(flat, 1.0, d)
    a, b = (reals(lower) - o) / step, (reals(upper) - o) / step
    missed = flat & ((o < lower) | (o > upper))
    t0 = select(flat, t0, greatest(t0, least(a, b)))
    t1 = select(missed, -2.0 * FAR, select(flat, t1, least(t1, greatest(a, b))))
    return t0, t1


@helper
def clip_box(o: Any, d: Any, lower: Any, upper: Any, t0: Any, t1: Any) -> Any:
    """Returns the part of [t0, t1] in which the rays are in a box."""
    t0, t1 = _clip(o[0], d[0], lower[0], upper[0], t0, t1)
    t0, t1 = _clip(o[1], d[1], lower[1], upper[1], t0, t1)
    return _clip(o[2], d[2], lower[2], upper[2], t0, t1)


@helper
def clip_planes(clips: Any, o: Any, d: Any, t0: Any, t1: Any) -> Any:
    """Returns the part of [t0, t1] that no clip removes, and the clip that cuts its beginning, −1 for none.

    clips : (N, 4) float64, normal and offset in LPS mm; points p with normal · p > offset are removed.
    """
    cut = wholes(-1)
    for n in range(clips.shape[0]):
        beyond = o[0] * clips[n, 0] + o[1] * clips[n, 1] + o[2] * clips[n, 2] - clips[n, 3]
        rate = d[0] * clips[n, 0] + d[1] * clips[n, 1] + d[2] * clips[n, 2]
        flat = size(rate) < FLAT
        at = (reals(0.0) - beyond) / select(flat, 1.0, rate)
        t1 = select(flat & (beyond > 0.0), -2.0 * FAR, t1)
        t1 = select(flat, t1, select(rate > 0.0, least(t1, at), t1))
        later = (rate < 0.0) & (at > t0) & ~flat
        t0 = select(later, at, t0)
        cut = select(later, n, cut)
    return t0, t1, cut


@helper
def reciprocal(d: Any) -> Any:
    """Returns 1 / d, and a large number where a ray does not move along this axis and so never leaves there."""
    flat = size(d) < FLAT
    return select(flat, 1e18, reals(1.0) / select(flat, 1.0, d))


@helper
def to_edge(p: Any, r: Any, lower: Any, upper: Any, shift: int) -> Any:
    """Returns the steps from p to the edge of [lower, upper] · 2^shift that the ray points to. r : `reciprocal` of its
    step."""
    return (real(select(r > 0.0, upper, lower) << shift) - p) * r


@helper
def whole_steps(e: Any) -> Any:
    """Returns the whole steps in e, at least 0."""
    return real(whole(least(greatest(e, 0.0), 1e6)))


@helper
def ceiling(t: Any) -> Any:
    """Returns the least whole number at or above t, for |t| up to a million."""
    down = real(whole(least(greatest(t, -1e6), 1e6)))
    return select(down < t, down + 1.0, down)
