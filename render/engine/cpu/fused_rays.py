"""Volume renderings of two volumes on the same rays, each with its own grid and transfer function.

Sample by sample and without bricks: for pictures, not for turning by hand.
"""

import math
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from render.engine.cpu.frames import _RIND_VOXELS, _away, _clips, _crop, _in_both, _outer, _span
from render.engine.cpu.front_light import finish, in_patient, left_of_opacity, light_up
from render.engine.cpu.jit import kernel
from render.engine.cpu.sampling import cell, gradient, linear
from render.engine.cpu.tables import entry, transfer_table
from render.engine.framing import views
from render.engine.tiles import Tile, bands, run_tiles
from render.geometry import Plane
from render.progress import PartDone
from render.recipe import Shading, TransferFunction, VolumeRendering
from render.volume import Volume

_ENOUGH = np.float32(0.998)  # opacity of a ray beyond which nothing more is seen
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


class SeenVolume(NamedTuple):
    """A volume as a fused ray sees it. colours : (N, 4) float32, as in `TransferTables`. start, down, right, step :
    (3,) float64 in its index coordinates. to_lps : (3, 3) float32. terms : (4,) float32 and squarings, as in `Light`.
    gradient_range : (2,) float32, both below 0 for none."""

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


@kernel
def _sample(one: Any, towards: Any, face: Any, row: int, column: int, n: int, out: Any) -> Any:
    """Fills out with the shaded red, green, blue of a sample, and returns its opacity; 0 outside the volume.

    face : (4,) float64, the clip whose cut face the sample lies behind, as it is shaded by that plane; or zeros.
    """
    pk = one.start[0] + row * one.down[0] + column * one.right[0] + n * one.step[0]
    pj = one.start[1] + row * one.down[1] + column * one.right[1] + n * one.step[1]
    pi = one.start[2] + row * one.down[2] + column * one.right[2] + n * one.step[2]
    nk, nj, ni = one.voxels.shape
    if not (0.0 <= pk <= nk - 1 and 0.0 <= pj <= nj - 1 and 0.0 <= pi <= ni - 1):
        return _ZERO
    at = entry(linear(one.voxels, pk, pj, pi), one.first_value, one.entries_per_unit, one.colours.shape[0])
    opacity = one.colours[at, 3]
    if opacity <= _ZERO:
        return _ZERO
    for c in range(3):
        out[c] = one.colours[at, c]
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
    plane. scratch : (3, 3) float32.
    """
    one, other, sums = scratch[0], scratch[1], scratch[2]
    for row in range(row0, row1):
        for column in range(out.shape[1]):
            seen, cut, since = _ZERO, clips.shape[0] - 1, rind + 1
            for c in range(3):
                sums[c] = _ZERO
            for n in range(first, last + 1):
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
                p = _sample(a, towards, face, row, column, n, one)
                q = _sample(b, towards, face, row, column, n, other)
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
    planes: Sequence[Plane],
    threads: int | None = None,
    progress: PartDone | None = None,
    cancel: threading.Event | None = None,
) -> NDArray[np.uint8]:
    """Draws (F, rows, columns, 3) uint8 RGB. second : already where its transform puts it. Raises Cancelled."""
    fusion = recipe.fusion
    assert fusion is not None
    step_mm = recipe.step_voxels * min(*volume.spacing_mm, *second.spacing_mm)
    looks = ((volume, recipe.transfer), (second, fusion.transfer))
    lower, upper = _crop(recipe)
    clips = np.concatenate([_clips(recipe), np.zeros((1, 4))])
    rind = round(_RIND_VOXELS / recipe.step_voxels)
    out = np.empty((len(planes), recipe.rows, recipe.columns, 3), dtype=np.uint8)
    tiles: list[Tile] = []
    for number, (plane, view) in enumerate(zip(planes, views(recipe), strict=True)):
        ray_mm = _away(view, step_mm)
        a, b = (_seen(each, transfer, plane, ray_mm, step_mm) for each, transfer in looks)
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
    fused_rows(*fixed, np.zeros((3, 3), dtype=np.float32), row0, row1, out)  # type: ignore[arg-type, call-arg]


def _seen(
    volume: Volume, transfer: TransferFunction, plane: Plane, ray_mm: tuple[float, float, float], step_mm: float
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
    )
