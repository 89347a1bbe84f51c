"""Ambient occlusion: how much light from all around arrives at each cell of a coarse grid over the volume."""

import threading
import weakref
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.engine.cpu.bricks import Bricks
from render.engine.cpu.jit import kernel
from render.engine.cpu.sampling import ONE, ZERO
from render.engine.cpu.tables import entry, table
from render.engine.tiles import run
from render.recipe import VolumeRendering
from render.volume import Volume

# Cells about as wide as the folds and seams that occlusion is to show; light comes from this far.
CELL_MM, _REACH = 2.5, 8
_REMEMBERED = 2
_FAINT, _WAYS = np.float32(0.004), np.float32(26.0)


@dataclass(frozen=True, slots=True, eq=False)
class Openness:
    """shares : (CK, CJ, CI) float32, see `cell_openness`. edges : voxels along k, j, i of a cell."""

    shares: NDArray[np.float32]
    edges: tuple[int, int, int]


def openness(volume: Volume, recipe: VolumeRendering, found: Bricks, threads: int | None) -> Openness:
    """For what the recipe leaves of the volume: its mask, clips and crop box keep light out of nothing they removed.

    The last ones are kept as long as the volume lives.
    """
    segments = found.segments
    key = (recipe.transfer, recipe.clips, recipe.crop, None if segments is None else segments.key)
    with _lock:
        known = _known.setdefault(volume, OrderedDict())
        if key in known:
            known.move_to_end(key)
            return known[key]
    made = _made(volume, recipe, found, threads)
    with _lock:
        known[key] = made
        while len(known) > _REMEMBERED:
            known.popitem(last=False)
    return made


_known: "weakref.WeakKeyDictionary[Volume, OrderedDict[tuple[object, ...], Openness]]" = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def _made(volume: Volume, recipe: VolumeRendering, found: Bricks, threads: int | None) -> Openness:
    k, j, i = (max(1, round(CELL_MM / spacing)) for spacing in volume.spacing_mm)
    edges = (k, j, i)
    shape = tuple(-(-n // edge) for n, edge in zip(volume.shape, edges, strict=True))
    opacities, shares = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.float32)
    seen = table(recipe.transfer, CELL_MM)
    masked, labels, _, shown, _ = found.masking()
    steps = np.array(edges, dtype=np.int64)

    def opacity(c: int) -> None:
        cell_opacities(
            volume.voxels, seen.colours, seen.first, seen.scale, labels, shown, masked, steps, c, c + 1, opacities
        )

    def share(c: int) -> None:
        cell_openness(opacities, _REACH, c, c + 1, shares)

    run([lambda c=c: opacity(c) for c in range(shape[0])], threads)  # type: ignore[misc]
    _clear(volume, recipe, edges, opacities)
    run([lambda c=c: share(c) for c in range(shape[0])], threads)  # type: ignore[misc]
    return Openness(shares, edges)


def _clear(
    volume: Volume, recipe: VolumeRendering, edges: tuple[int, int, int], opacities: NDArray[np.float32]
) -> None:
    """Empties the cells whose middle a clip or the crop box removes."""
    if recipe.crop is None and not recipe.clips:
        return
    k, j, i = (
        (np.arange(n, dtype=np.float64) + 0.5) * edge - 0.5 for n, edge in zip(opacities.shape, edges, strict=True)
    )
    rows = volume.affine.tolist()
    x, y, z = (
        a * k[:, None, None] + b * j[None, :, None] + c * i[None, None, :] + origin for a, b, c, origin in rows[:3]
    )
    for clip in recipe.clips:
        (px, py, pz), (nx, ny, nz) = clip.point_mm, clip.normal
        opacities[(x - px) * nx + (y - py) * ny + (z - pz) * nz > 0.0] = 0.0
    if recipe.crop is not None:
        for at, lower, upper in zip((x, y, z), recipe.crop.lower_mm, recipe.crop.upper_mm, strict=True):
            opacities[(at < lower) | (at > upper)] = 0.0


@kernel
def cell_opacities(
    voxels: Any,
    table: Any,
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

    out : (CK, CJ, CI) float32. table, first, scale : as in `shade.Look`, opacity for the width of a cell.
    """
    nk, nj, ni = voxels.shape
    size = table.shape[0]
    for ck in range(c0, c1):
        for cj in range(out.shape[1]):
            for ci in range(out.shape[2]):
                total, count = ZERO, ZERO
                for k in range(ck * edges[0], min((ck + 1) * edges[0], nk)):
                    for j in range(cj * edges[1], min((cj + 1) * edges[1], nj)):
                        for i in range(ci * edges[2], min((ci + 1) * edges[2], ni)):
                            count += ONE
                            if masked and not shown[labels[k, j, i]]:
                                continue
                            total += table[entry(np.float32(voxels[k, j, i]), first, scale, size), 3]
                out[ck, cj, ci] = total / count


@kernel
def cell_openness(opacities: Any, reach: int, c0: int, c1: int, out: Any) -> None:
    """Share of light that arrives at each cell from all around, layers c0…c1−1: the mean over the 26 directions to
    the neighbours of what `reach` cells that way let through. Outside the grid nothing is in the way."""
    nk, nj, ni = opacities.shape
    for k in range(c0, c1):
        for j in range(nj):
            for i in range(ni):
                total = ZERO
                for way in range(27):
                    dk, dj, di = way // 9 - 1, way // 3 % 3 - 1, way % 3 - 1
                    if way == 13:
                        continue
                    light = ONE
                    a, b, c = k, j, i
                    for _ in range(reach):
                        a, b, c = a + dk, b + dj, c + di
                        if a < 0 or b < 0 or c < 0 or a >= nk or b >= nj or c >= ni or light < _FAINT:
                            break
                        light *= ONE - opacities[a, b, c]
                    total += light
                out[k, j, i] = total / _WAYS
