"""Occlusion and shadows: the share of light that arrives at each cell of a coarse grid over the volume, from all around
and from the lamp."""

import math
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.engine.cpu.bricks import Bricks
from render.engine.cpu.jit import kernel
from render.engine.cpu.sampling import ONE, ZERO
from render.engine.cpu.tables import entry, transfer_table
from render.engine.tiles import run_tiles
from render.geometry import View, direction, unit_vector
from render.recipe import VolumeRendering
from render.volume import Volume

# The width of a cell, about that of the folds that occlusion should show, and how many cells far light comes from.
CELL_MM, _REACH = 2.5, 8
_REMEMBERED = 2
_FAINT, _WAYS = np.float32(0.004), np.float32(26.0)


# A lamp of this radius, as seen from the patient: four places on its rim, and its middle.
_LAMP_DEG = 6.0


@dataclass(frozen=True, slots=True, eq=False)
class ArrivingLight:
    """The light at each cell. around, direct : (CK, CJ, CI) float32 shares, see `cell_openness` and `cell_lit`; a
    single cell where the recipe does not need them. edges : voxels along k, j, i of a cell."""

    around: NDArray[np.float32]
    direct: NDArray[np.float32]
    edges: tuple[int, int, int]


def arriving(volume: Volume, recipe: VolumeRendering, found: Bricks, threads: int | None) -> ArrivingLight:
    """Returns the light in the volume that the recipe leaves: tissue removed by mask, clips or crop casts no shadow.

    The last results are cached as long as the volume lives.
    """
    segments = found.segments
    left = (recipe.clips, recipe.crop, None if segments is None else segments.key)
    key = (recipe.transfer, *left, recipe.ambient_occlusion > 0.0, recipe.light if recipe.shadows > 0.0 else None)
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


_known: "weakref.WeakKeyDictionary[Volume, OrderedDict[tuple[object, ...], ArrivingLight]]" = (
    weakref.WeakKeyDictionary()
)
_lock = threading.Lock()
_ALL = np.ones((2, 2, 2), dtype=np.float32)


def _made(volume: Volume, recipe: VolumeRendering, found: Bricks, threads: int | None) -> ArrivingLight:
    k, j, i = (max(1, round(CELL_MM / spacing)) for spacing in volume.spacing_mm)
    edges = (k, j, i)
    # Two cells at least, so that there is something to interpolate between.
    shape = tuple(max(2, -(-n // edge)) for n, edge in zip(volume.shape, edges, strict=True))
    opacities = np.zeros(shape, dtype=np.float32)
    seen = transfer_table(recipe.transfer, CELL_MM)
    masked, labels, _, shown, _ = found.masking()
    steps = np.array(edges, dtype=np.int64)

    def opacity(c: int) -> None:
        cell_opacities(
            volume.voxels, seen.colours, seen.first, seen.scale, labels, shown, masked, steps, c, c + 1, opacities
        )

    def of_layers(work: Callable[[int], None]) -> None:
        run_tiles([partial(work, c) for c in range(shape[0])], threads)

    of_layers(opacity)
    _clear(volume, recipe, edges, opacities)
    around = direct = _ALL
    if recipe.ambient_occlusion > 0.0:
        around = np.empty(shape, dtype=np.float32)
        of_layers(lambda c: cell_openness(opacities, _REACH, c, c + 1, around))
    if recipe.shadows > 0.0 and recipe.light is not None:
        direct, ways = np.empty(shape, dtype=np.float32), _lamp_ways(volume, recipe.light, edges)
        of_layers(lambda c: cell_lit(opacities, ways, c, c + 1, direct))
    return ArrivingLight(around, direct, edges)


def _lamp_ways(volume: Volume, light: View, edges: tuple[int, int, int]) -> NDArray[np.float32]:
    """Returns (5, 3) steps of about a cell towards the middle and the rim of the lamp, in cells along k, j, i."""
    rim = [(0.0, 0.0), (_LAMP_DEG, 0.0), (-_LAMP_DEG, 0.0), (0.0, _LAMP_DEG), (0.0, -_LAMP_DEG)]
    ways = []
    for aside, up in rim:
        # Rounded: the last bits of a tangent differ between C libraries.
        a, b = (round(math.tan(math.radians(angle)), 9) for angle in (aside, up))
        towards = tuple(
            t + a * r + b * u for t, r, u in zip(light.towards_observer, light.right, light.up, strict=True)
        )
        way = [v / edge for v, edge in zip(direction(volume.to_index, unit_vector(towards)), edges, strict=True)]
        ways.append([v / max(abs(v) for v in way) for v in way])
    return np.array(ways, dtype=np.float32)


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
    """Writes the mean opacity of the voxels of each cell, layers c0…c1−1. edges : voxels along k, j, i of a cell.

    out : (CK, CJ, CI) float32. table, first, scale : as in `kernel_records.TransferTables`, for a cell.
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
                out[ck, cj, ci] = total / max(count, ONE)


@kernel
def cell_openness(opacities: Any, reach: int, c0: int, c1: int, out: Any) -> None:
    """Writes the share of light that arrives at each cell from all around, layers c0…c1−1: the mean, over the 26
    directions to the neighbours, of the light that `reach` cells in that direction let through. Outside the grid
    nothing absorbs light."""
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


@kernel
def cell_lit(opacities: Any, ways: Any, c0: int, c1: int, out: Any) -> None:
    """Writes the share of the lamp's light that arrives at each cell, layers c0…c1−1: the mean over `ways` of the light
    that the cells on the way let through, without the first one, which is the surface's own.

    ways : (N, 3) float32 steps of at most one cell. out : (CK, CJ, CI) float32.
    """
    nk, nj, ni = opacities.shape
    for k in range(c0, c1):
        for j in range(nj):
            for i in range(ni):
                total = ZERO
                for way in range(ways.shape[0]):
                    light = ONE
                    pk = np.float32(k) + ways[way, 0]
                    pj = np.float32(j) + ways[way, 1]
                    pi = np.float32(i) + ways[way, 2]
                    while light >= _FAINT:
                        pk, pj, pi = pk + ways[way, 0], pj + ways[way, 1], pi + ways[way, 2]
                        a = int(np.floor(pk + np.float32(0.5)))
                        b = int(np.floor(pj + np.float32(0.5)))
                        c = int(np.floor(pi + np.float32(0.5)))
                        if a < 0 or b < 0 or c < 0 or a >= nk or b >= nj or c >= ni:
                            break
                        light *= ONE - opacities[a, b, c]
                    if light >= _FAINT:
                        total += light
                out[k, j, i] = total / np.float32(ways.shape[0])
