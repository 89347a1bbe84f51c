"""Volume renderings of two volumes on the same rays, each with its own grid and transfer function.

Sample by sample; what shows nothing is leapt over by bricks, which changes no byte.
"""

import itertools
import math
import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from render.engine import framing
from render.engine.cpu.body import voxels_without_table
from render.engine.cpu.bricks import BRICK, SHIFT, Segments, bricks
from render.engine.cpu.frames import _RIND_VOXELS, _away, _clips, _crop, _in_both, _outer, _span
from render.engine.cpu.front_light import finish, in_patient, left_of_opacity, light_up
from render.engine.cpu.jit import kernel
from render.engine.cpu.label_looks import fade_at, tinted
from render.engine.cpu.sampling import cell, gradient, linear, mask_gradient, unmasked
from render.engine.cpu.tables import entry, transfer_table
from render.engine.framing import views
from render.engine.tiles import Tile, bands, run_tiles
from render.geometry import Plane
from render.mask import Mask
from render.progress import PartDone
from render.recipe import ControlPoint, FusedRendering, Shading, TransferFunction, VolumeRendering
from render.volume import Volume

_ENOUGH = np.float32(0.998)  # opacity of a ray beyond which nothing more is seen
_NEVER = 1 << 30
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


class SeenVolume(NamedTuple):
    """A volume as a fused ray sees it. colours : (N, 4) float32, as in `TransferTables`. start, down, right, step :
    (3,) float64 in its index coordinates. to_lps : (3, 3) float32. terms : (4,) float32 and squarings, as in `Light`.
    gradient_range : (2,) float32, both below 0 for none. has_mask, labels, shown, tints, opacities : the mask, as in
    `bricks.Segments`. distances : as of `Bricks.seen_through`. samples_per_brick : float64, how many samples surely lie
    in the width of a brick."""

    voxels: Any
    colours: Any
    first_value: Any
    entries_per_unit: Any
    start: Any
    down: Any
    right: Any
    step: Any
    to_lps: Any
    terms: Any
    squarings: Any
    gradient_range: Any
    has_mask: Any
    labels: Any
    shown: Any
    tints: Any
    opacities: Any
    distances: Any
    samples_per_brick: Any


@kernel
def _empty(one: Any, row: int, column: int, n: int) -> Any:
    """Returns how many samples, this one first, surely show nothing of a volume."""
    last, away = (one.voxels.shape[0] - 1, one.voxels.shape[1] - 1, one.voxels.shape[2] - 1), 0
    for axis in range(3):
        step = one.step[axis]
        p = one.start[axis] + row * one.down[axis] + column * one.right[axis] + n * step
        beyond = -p if p < 0.0 else p - last[axis]
        if beyond > 0.0:
            nears = step > 0.0 if p < 0.0 else step < 0.0
            away = max(away, max(int(beyond / abs(step)), 1) if nears else _NEVER)
    if away > 0:
        return away
    pk = one.start[0] + row * one.down[0] + column * one.right[0] + n * one.step[0]
    pj = one.start[1] + row * one.down[1] + column * one.right[1] + n * one.step[1]
    pi = one.start[2] + row * one.down[2] + column * one.right[2] + n * one.step[2]
    at = (
        min(int(pk) >> SHIFT, one.distances.shape[0] - 1),
        min(int(pj) >> SHIFT, one.distances.shape[1] - 1),
        min(int(pi) >> SHIFT, one.distances.shape[2] - 1),
    )
    bricks_away = one.distances[at[0], at[1], at[2]]
    if bricks_away == 0:
        return 0
    return max(int((bricks_away - 1) * one.samples_per_brick), 1)


@kernel
def _sample(one: Any, towards: Any, face: Any, at_border: bool, row: int, column: int, n: int, out: Any) -> Any:
    """Fills out with the shaded red, green, blue of a sample, and 1 where the mask hides it, else 0; returns its
    opacity, 0 outside the volume.

    face : (4,) float64, the clip whose cut face the sample lies behind, as it is shaded by that plane; or zeros.
    at_border : whether a hidden sample lies a little before it: it is shaded by the mask's border.
    """
    out[3] = _ZERO
    pk = one.start[0] + row * one.down[0] + column * one.right[0] + n * one.step[0]
    pj = one.start[1] + row * one.down[1] + column * one.right[1] + n * one.step[1]
    pi = one.start[2] + row * one.down[2] + column * one.right[2] + n * one.step[2]
    nk, nj, ni = one.voxels.shape
    if not (0.0 <= pk <= nk - 1 and 0.0 <= pj <= nj - 1 and 0.0 <= pi <= ni - 1):
        return _ZERO
    value = linear(one.voxels, pk, pj, pi)
    if one.has_mask:
        is_open, value = unmasked(one.voxels, one.labels, one.shown, pk, pj, pi, value)
        if not is_open:
            out[3] = _ONE
            return _ZERO
    at = entry(value, one.first_value, one.entries_per_unit, one.colours.shape[0])
    opacity = one.colours[at, 3]
    if opacity <= _ZERO:
        return _ZERO
    for c in range(3):
        out[c] = one.colours[at, c]
    if one.has_mask:
        opacity = opacity * fade_at(one.labels, one.shown, one.opacities, pk, pj, pi)
        if opacity <= _ZERO:
            return _ZERO
        out[0], out[1], out[2] = tinted(one.labels, one.shown, one.tints, pk, pj, pi, out[0], out[1], out[2])
    faded = one.gradient_range[1] >= _ZERO
    if one.terms[3] <= _ZERO and not faded:
        return opacity
    k, fk = cell(pk, nk)
    j, fj = cell(pj, nj)
    i, fi = cell(pi, ni)
    gk, gj, gi = gradient(one.voxels, k, j, i, fk, fj, fi)
    gx, gy, gz, steepness = in_patient(one.to_lps, gk, gj, gi)
    if faded:
        opacity = opacity * left_of_opacity(steepness, one.gradient_range)
        if opacity <= _ZERO:
            return _ZERO
    if one.terms[3] > _ZERO:
        if face[0] != 0.0 or face[1] != 0.0 or face[2] != 0.0:
            gx, gy, gz, steepness = np.float32(face[0]), np.float32(face[1]), np.float32(face[2]), _ONE
        elif at_border:
            mk, mj, mi = mask_gradient(one.labels, one.shown, k, j, i, fk, fj, fi)
            mx, my, mz, edge = in_patient(one.to_lps, mk, mj, mi)
            if edge > _ZERO:
                gx, gy, gz, steepness = mx, my, mz, edge
        light_up(out, gx, gy, gz, steepness, towards, one.terms, one.squarings)
    return opacity


@kernel
def fused_rows(
    a: Any,
    b: Any,
    lps: Any,
    lower: Any,
    upper: Any,
    clips: Any,
    towards: Any,
    background: Any,
    first: int,
    last: int,
    rind: int,
    scratch: Any,
    row0: int,
    row1: int,
    out: Any,
) -> None:
    """Draws rows row0…row1−1. Where both volumes show something, their colours mix by their opacities.

    a, b : `SeenVolume`. clips : (N + 1, 4) as in `rays.clip_planes`, then zeros. lps : (4, 3) float64 start, down,
    right, step in LPS mm. first, last : steps of the samples. rind : how many samples behind a clip are shaded by its
    plane, or behind the border of the mask by that. scratch : (3, 4) float32.
    """
    one, other, sums = scratch[0], scratch[1], scratch[2]
    for row in range(row0, row1):
        for column in range(out.shape[1]):
            seen, cut, since, hidden = _ZERO, clips.shape[0] - 1, rind + 1, rind + 1
            for c in range(3):
                sums[c] = _ZERO
            n, known_a, known_b = first - 1, first, first  # up to where a volume shows nothing
            while n < last:
                n += 1
                if n >= known_a:
                    known_a = n + _empty(a, row, column, n)
                if n >= known_b:
                    known_b = n + _empty(b, row, column, n)
                leap = min(known_a, known_b) - n
                if leap > rind + 1:
                    # To a little before there, so that what is behind a cut is known as such.
                    n, since, hidden = n + leap - rind - 1, rind + 1, rind + 1
                    if n > last:
                        break
                drawn = True
                for c in range(3):
                    place = lps[0, c] + row * lps[1, c] + column * lps[2, c] + n * lps[3, c]
                    drawn = drawn and lower[c] <= place <= upper[c]
                since += 1
                for plane in range(clips.shape[0] - 1):  # the last is none
                    beyond = -clips[plane, 3]
                    for c in range(3):
                        place = lps[0, c] + row * lps[1, c] + column * lps[2, c] + n * lps[3, c]
                        beyond += clips[plane, c] * place
                    if beyond > 0.0:
                        drawn, cut, since = False, plane, 0
                if not drawn:
                    continue
                face = clips[cut if since <= rind else clips.shape[0] - 1]
                hidden += 1
                p, q = _ZERO, _ZERO
                if n >= known_a:
                    p = _sample(a, towards, face, hidden <= rind, row, column, n, one)
                    if one[3] > _ZERO:
                        hidden = 0
                if n >= known_b:
                    q = _sample(b, towards, face, False, row, column, n, other)
                if p + q <= _ZERO:
                    continue
                covers = _ONE - (_ONE - p) * (_ONE - q)
                weight = (_ONE - seen) * covers / (p + q)
                for c in range(3):
                    sums[c] += weight * ((p * one[c] if p > _ZERO else _ZERO) + (q * other[c] if q > _ZERO else _ZERO))
                seen += (_ONE - seen) * covers
                if seen > _ENOUGH:
                    break
            finish(sums, seen, background, out[row, column])


def fused_rendering(
    volume: Volume,
    recipe: VolumeRendering,
    second: Volume,
    unmoved: Volume,
    planes: Sequence[Plane],
    threads: int | None = None,
    progress: PartDone | None = None,
    cancel: threading.Event | None = None,
    mask: Mask | None = None,
) -> NDArray[np.uint8]:
    """Draws (F, rows, columns, 3) uint8 RGB. second : already where its transform puts it; unmoved : as it is. mask :
    of the first volume; it and `body_above` take nothing away from the second. Raises Cancelled."""
    fusion = recipe.fusion
    assert fusion is not None
    if recipe.body_above is not None:
        volume = voxels_without_table(volume, recipe.body_above)
    own = bricks(volume, threads)
    masks = (own.under(mask, recipe.masking).segments if mask is not None else None, None)
    found = (own, bricks(unmoved, threads))  # remembered by the volume: its voxels are the same wherever it is put
    step_mm = recipe.step_voxels * min(*volume.spacing_mm, *second.spacing_mm)
    looks = ((volume, recipe.transfer), (second, fusion.transfer))
    lower, upper = _crop(recipe)
    clips = np.concatenate([_clips(recipe), np.zeros((1, 4))])
    rind = round(_RIND_VOXELS / recipe.step_voxels)
    out = np.empty((len(planes), recipe.rows, recipe.columns, 3), dtype=np.uint8)
    tiles: list[Tile] = []
    for number, (plane, view) in enumerate(zip(planes, views(recipe), strict=True)):
        ray_mm = _away(view, step_mm)
        a, b = (
            _seen(each, transfer, plane, ray_mm, step_mm, segments, of.seen_through(transfer, step_mm)[1])
            for (each, transfer), segments, of in zip(looks, masks, found, strict=True)
        )
        lps = np.array([plane.origin_mm, plane.down_mm, plane.right_mm, ray_mm], dtype=np.float64)
        ends = [_span(_outer(each), plane, ray_mm) for each, _ in looks]
        first, last = math.ceil(min(e[0] for e in ends)), math.floor(max(e[1] for e in ends))
        towards = np.array(view.towards_observer, dtype=np.float32)
        background = np.array(recipe.background, dtype=np.float32)
        fixed = (a, b, lps, lower, upper, clips, towards, background, first, last, rind)
        tiles += [partial(_rows, fixed, row0, row1, out[number]) for row0, row1 in bands(recipe.rows, 16)]
    run_tiles(tiles, threads, progress, cancel)
    return out


def _rows(fixed: tuple[object, ...], row0: int, row1: int, out: NDArray[np.uint8]) -> None:
    fused_rows(*fixed, np.zeros((3, 4), dtype=np.float32), row0, row1, out)  # type: ignore[arg-type, call-arg]


def _seen(
    volume: Volume,
    transfer: TransferFunction,
    plane: Plane,
    ray_mm: tuple[float, float, float],
    step_mm: float,
    segments: Segments | None,
    distances: NDArray[np.uint8],
) -> SeenVolume:
    index, _ = _in_both(volume, plane, ray_mm)
    table, shading = transfer_table(transfer, step_mm), transfer.shading
    terms = shading or Shading()
    return SeenVolume(
        volume.voxels,
        table.colours,
        table.first,
        table.scale,
        *index,
        np.ascontiguousarray(volume.to_index[:3, :3].T.astype(np.float32)),
        np.array([terms.ambient, terms.diffuse, terms.specular, shading is not None], dtype=np.float32),
        terms.specular_power.bit_length() - 1,
        np.array(transfer.gradient_opacity or (-1.0, -1.0), dtype=np.float32),
        segments is not None,
        segments.labels if segments is not None else np.zeros((1, 1, 1), dtype=np.uint8),
        segments.shown if segments is not None else np.ones(256, dtype=np.uint8),
        segments.tints if segments is not None else np.zeros((256, 4), dtype=np.float32),
        segments.opacities if segments is not None else np.ones(256, dtype=np.float32),
        distances,
        BRICK / max(float(np.abs(index.step).max()), 1e-9),
    )


def warm_fused() -> float:
    """Compiles the kernel for every two kinds of voxels, or loads it from the disk cache. Returns the seconds it
    took."""
    began = time.perf_counter()
    points = (ControlPoint(0.0, 1.0, 1.0, 1.0, 0.0), ControlPoint(1.0, 1.0, 1.0, 1.0, 1.0))
    transfer, stays = TransferFunction("warm", "1", points), ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0))
    transform = (*stays, (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
    recipe = VolumeRendering(transfer, rows=2, columns=2, fusion=FusedRendering(transform, transfer))
    grid = np.ones((2, 2, 2), dtype=np.int16)
    volumes = [Volume(voxels, np.eye(4), "1") for voxels in (grid, grid.astype(np.float32))]
    for volume, second in itertools.product(volumes, volumes):
        fused_rendering(volume, recipe, second, second, framing.planes(volume, recipe), threads=1)
    return time.perf_counter() - began
