"""Volume renderings in which parts of a mask stand elsewhere, as in an exploded view.

Each part is seen through its transform: a sample is taken where the part's own voxels are, and nothing is resampled
before. Sample by sample: for pictures, not for turning by hand.
"""

import math
import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from render.engine import framing
from render.engine.cpu.bricks import BRICK, SHIFT, Bricks, bricks
from render.engine.cpu.frames import _away, _crop, _in_both, _outer, _span
from render.engine.cpu.front_light import finish, in_patient, left_of_opacity, light_up
from render.engine.cpu.jit import kernel
from render.engine.cpu.kernel_records import Light, TransferTables
from render.engine.cpu.label_looks import tinted
from render.engine.cpu.sampling import cell, gradient, linear, mask_gradient, unmasked
from render.engine.cpu.tables import entry
from render.engine.framing import views
from render.engine.tiles import Tile, bands, run_tiles
from render.geometry import Matrix, Plane, composed
from render.mask import Mask
from render.progress import PartDone
from render.recipe import ControlPoint, LabelRule, Move, Shading, TransferFunction, VolumeRendering
from render.volume import Volume

_ENOUGH = np.float32(0.998)  # opacity of a ray beyond which nothing more is seen
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
_FINER = 0.5  # of the recipe's step: surfaces are found between samples, and there are no smaller steps near them
_RIND = 3  # samples behind a mask's border that are shaded by it


class Poses(NamedTuple):
    """Where the parts stand. start, down, right, step : (P, 3) float64 rays in the index coordinates of each. to_lps :
    (P, 3, 3) float32. shown : (P, 256) uint8. distances : (P, BK, BJ, BI) uint8, as `brick_distances`."""

    start: Any
    down: Any
    right: Any
    step: Any
    to_lps: Any
    shown: Any
    distances: Any


@kernel
def _within(start: Any, step: Any, low: float, high: float, first: float, last: float) -> Any:
    """Returns the part of first…last in which start + n · step is from low to high."""
    if abs(step) < 1e-12:
        return (first, last) if low <= start <= high else (1.0, 0.0)
    a, b = (low - start) / step, (high - start) / step
    return max(first, min(a, b)), min(last, max(a, b))


@kernel
def _opacity(voxels: Any, labels: Any, look: Any, shown: Any, pk: float, pj: float, pi: float) -> Any:
    """Returns (opacity, entry, whether the mask shows anything) at a place within the grid."""
    is_open, v = unmasked(voxels, labels, shown, pk, pj, pi, linear(voxels, pk, pj, pi))
    if not is_open:
        return _ZERO, 0, False
    at = entry(v, look.first_value, look.entries_per_unit, look.opacities.shape[0])
    return look.opacities[at], at, True


@kernel
def _shaded(
    voxels: Any,
    labels: Any,
    look: Any,
    light: Any,
    tints: Any,
    shown: Any,
    to_lps: Any,
    at: int,
    bordered: bool,
    pk: float,
    pj: float,
    pi: float,
    out: Any,
) -> Any:
    """Fills out with the shaded red, green, blue at a place, and returns how much of its opacity is left."""
    out[0], out[1], out[2] = tinted(
        labels, shown, tints, pk, pj, pi, look.colours[at, 0], look.colours[at, 1], look.colours[at, 2]
    )
    faded = look.gradient_range[1] >= _ZERO
    if light.terms[3] <= _ZERO and not faded:
        return _ONE
    k, fk = cell(pk, voxels.shape[0])
    j, fj = cell(pj, voxels.shape[1])
    i, fi = cell(pi, voxels.shape[2])
    gk, gj, gi = gradient(voxels, k, j, i, fk, fj, fi)
    left = _ONE
    if faded:
        _, _, _, steepness = in_patient(to_lps, gk, gj, gi)
        left = left_of_opacity(steepness, look.gradient_range)
    if light.terms[3] > _ZERO:
        if bordered:
            gk, gj, gi = mask_gradient(labels, shown, k, j, i, fk, fj, fi)
        gx, gy, gz, steepness = in_patient(to_lps, gk, gj, gi)
        light_up(out, gx, gy, gz, steepness, light.towards, light.terms, light.squarings)
    return left


@kernel
def moved_rows(
    voxels: Any,
    labels: Any,
    look: Any,
    light: Any,
    tints: Any,
    poses: Any,
    lps: Any,
    lower: Any,
    upper: Any,
    first: float,
    last: float,
    ends: Any,
    since: Any,
    scratch: Any,
    row0: int,
    row1: int,
    out: Any,
) -> None:
    """Draws rows row0…row1−1. Where several parts show something at one place, their colours mix by their opacities.

    look : TransferTables. light : Light. tints : (256, 4) float32. poses : Poses. lps : (4, 3) float64 start, down,
    right, step in LPS mm. lower, upper : the crop box, in which parts are seen where they stand. first, last : steps of
    the samples. ends : (P, 2) float64, since : (P, 2) int64, scratch : (3, 3) float32, all scratch.
    """
    count = poses.start.shape[0]
    size = (voxels.shape[0] - 1.0, voxels.shape[1] - 1.0, voxels.shape[2] - 1.0)
    colour, sums, mixed = scratch[0], scratch[1], scratch[2]
    for row in range(row0, row1):
        for column in range(out.shape[1]):
            near, far = first, last
            for c in range(3):
                origin = lps[0, c] + row * lps[1, c] + column * lps[2, c]
                near, far = _within(origin, lps[3, c], lower[c], upper[c], near, far)
            for p in range(count):
                a, b = near, far
                for c in range(3):
                    origin = poses.start[p, c] + row * poses.down[p, c] + column * poses.right[p, c]
                    a, b = _within(origin, poses.step[p, c], 0.0, size[c], a, b)
                ends[p, 0], ends[p, 1] = np.ceil(a), np.floor(b)
                since[p, 0], since[p, 1] = -10, -10
            seen = _ZERO
            for c in range(3):
                sums[c] = _ZERO
            n = int(np.ceil(near))
            while n <= far and seen <= _ENOUGH:
                ahead, total, through = 1 << 20, _ZERO, _ONE
                for c in range(3):
                    mixed[c] = _ZERO
                for p in range(count):
                    if n > ends[p, 1] or ends[p, 1] < ends[p, 0]:
                        continue
                    if n < ends[p, 0]:
                        ahead = min(ahead, int(ends[p, 0]) - n)
                        continue
                    origin_k = poses.start[p, 0] + row * poses.down[p, 0] + column * poses.right[p, 0]
                    origin_j = poses.start[p, 1] + row * poses.down[p, 1] + column * poses.right[p, 1]
                    origin_i = poses.start[p, 2] + row * poses.down[p, 2] + column * poses.right[p, 2]
                    pk = min(max(origin_k + n * poses.step[p, 0], 0.0), size[0])
                    pj = min(max(origin_j + n * poses.step[p, 1], 0.0), size[1])
                    pi = min(max(origin_i + n * poses.step[p, 2], 0.0), size[2])
                    bk = min(int(pk) >> SHIFT, poses.distances.shape[1] - 1)
                    bj = min(int(pj) >> SHIFT, poses.distances.shape[2] - 1)
                    bi = min(int(pi) >> SHIFT, poses.distances.shape[3] - 1)
                    away = int(poses.distances[p, bk, bj, bi])
                    if away > 0:
                        longest = max(abs(poses.step[p, 0]), abs(poses.step[p, 1]), abs(poses.step[p, 2]))
                        ahead = min(ahead, max(1, int((away - 1) * BRICK / longest)))
                        continue
                    ahead = 1
                    opacity, at, is_open = _opacity(voxels, labels, look, poses.shown[p], pk, pj, pi)
                    if not is_open:
                        since[p, 1] = n
                    if opacity <= _ZERO:
                        continue
                    if since[p, 0] != n - 1 and n > ends[p, 0]:
                        # A surface lies within the last step: it is found to a sixteenth of it.
                        clear, found = n - 1.0, float(n)
                        for _ in range(4):
                            middle = 0.5 * (clear + found)
                            qk = min(max(origin_k + middle * poses.step[p, 0], 0.0), size[0])
                            qj = min(max(origin_j + middle * poses.step[p, 1], 0.0), size[1])
                            qi = min(max(origin_i + middle * poses.step[p, 2], 0.0), size[2])
                            there, entry_there, _ = _opacity(voxels, labels, look, poses.shown[p], qk, qj, qi)
                            if there > _ZERO:
                                found, pk, pj, pi, at = middle, qk, qj, qi, entry_there
                            else:
                                clear = middle
                    since[p, 0] = n
                    bordered = n - since[p, 1] <= _RIND
                    opacity *= _shaded(
                        voxels,
                        labels,
                        look,
                        light,
                        tints,
                        poses.shown[p],
                        poses.to_lps[p],
                        at,
                        bordered,
                        pk,
                        pj,
                        pi,
                        colour,
                    )
                    total += opacity
                    through *= _ONE - opacity
                    for c in range(3):
                        mixed[c] += opacity * colour[c]
                if total > _ZERO:
                    weight = (_ONE - seen) * (_ONE - through) / total
                    for c in range(3):
                        sums[c] += weight * mixed[c]
                    seen += (_ONE - seen) * (_ONE - through)
                n += ahead
            finish(sums, seen, light.background, out[row, column])


def moved_rendering(
    volume: Volume,
    recipe: VolumeRendering,
    planes: Sequence[Plane],
    mask: Mask,
    threads: int | None = None,
    progress: PartDone | None = None,
    cancel: threading.Event | None = None,
) -> NDArray[np.uint8]:
    """Draws (F, rows, columns, 3) uint8 RGB of a recipe with `moves`. Raises Cancelled."""
    step_mm = _FINER * recipe.step_voxels * min(volume.spacing_mm)
    parts = _parts(volume, recipe, mask, threads)
    seen = [found.seen_through(recipe.transfer, step_mm) for _, found in parts]
    moved = [volume if transform is None else _standing(volume, transform) for transform, _ in parts]
    table, terms = seen[0][0], recipe.transfer.shading or Shading()
    gradient_range = np.array(recipe.transfer.gradient_opacity or (-1.0, -1.0), dtype=np.float32)
    look = TransferTables(
        table.colours, table.opacities, table.edges, table.first, table.scale, table.span, gradient_range
    )  # fmt: skip
    k, j, i = parts[0][1].low.shape
    distances = np.stack([each[:k, :j, :i] for _, each in seen])
    shown = np.stack([found.masking()[3] for _, found in parts])
    tints = _bricks_of(volume, mask, recipe.masking, threads).masking()[4]
    to_lps = np.stack([np.ascontiguousarray(each.to_index[:3, :3].T.astype(np.float32)) for each in moved])
    lower, upper = _crop(recipe)
    out = np.empty((len(planes), recipe.rows, recipe.columns, 3), dtype=np.uint8)
    tiles: list[Tile] = []
    for number, (plane, view) in enumerate(zip(planes, views(recipe), strict=True)):
        ray_mm = _away(view, step_mm)
        grids = [_in_both(each, plane, ray_mm)[0] for each in moved]
        lines = [np.stack([grid[n] for grid in grids]) for n in range(4)]
        poses = Poses(lines[0], lines[1], lines[2], lines[3], to_lps, shown, distances)
        lps = np.array([plane.origin_mm, plane.down_mm, plane.right_mm, ray_mm], dtype=np.float64)
        spans = [_span(_outer(each), plane, ray_mm) for each in moved]
        first, last = math.ceil(min(s[0] for s in spans)), math.floor(max(s[1] for s in spans))
        light = Light(
            terms=np.array(
                [terms.ambient, terms.diffuse, terms.specular, recipe.transfer.shading is not None], dtype=np.float32
            ),
            squarings=terms.specular_power.bit_length() - 1,
            towards=np.array(view.towards_observer, dtype=np.float32),
            to_lps=to_lps[0],
            background=np.array(recipe.background, dtype=np.float32),
        )
        fixed = (volume.voxels, mask.labels, look, light, tints, poses, lps, lower, upper, float(first), float(last))
        tiles += [partial(_rows, fixed, row0, row1, out[number]) for row0, row1 in bands(recipe.rows, 8)]
    run_tiles(tiles, threads, progress, cancel)
    return out


def warm_moved() -> float:
    """Compiles the kernel for both kinds of voxels, or loads it from the disk cache. Returns the seconds it took."""
    began = time.perf_counter()
    points = (ControlPoint(0.0, 1.0, 1.0, 1.0, 0.0), ControlPoint(1.0, 1.0, 1.0, 1.0, 1.0))
    along: Matrix = ((1.0, 0.0, 0.0, 1.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
    recipe = VolumeRendering(
        TransferFunction("warm", "1", points), rows=2, columns=2, masking=(LabelRule(1, "include"),),
        moves=(Move(1, along),),
    )  # fmt: skip
    grid = np.ones((2, 2, 2), dtype=np.int16)
    mask = Mask(grid.astype(np.uint8))
    for voxels in (grid, grid.astype(np.float32)):
        volume = Volume(voxels, np.eye(4), "1")
        moved_rendering(volume, recipe, framing.planes(volume, recipe), mask, threads=1)
    return time.perf_counter() - began


def _rows(fixed: tuple[Any, ...], row0: int, row1: int, out: NDArray[np.uint8]) -> None:
    count = len(fixed[5].start)
    scratch = np.empty((count, 2)), np.empty((count, 2), dtype=np.int64), np.zeros((3, 3), dtype=np.float32)
    moved_rows(*fixed, *scratch, row0, row1, out)  # type: ignore[call-arg]


def _standing(volume: Volume, transform: Matrix) -> Volume:
    return Volume(volume.voxels, composed(volume.affine, np.array(transform, dtype=np.float64)), volume.unit)


def _bricks_of(volume: Volume, mask: Mask, rules: tuple[LabelRule, ...], threads: int | None) -> Bricks:
    return bricks(volume, threads).under(mask, rules)


def _parts(
    volume: Volume, recipe: VolumeRendering, mask: Mask, threads: int | None
) -> list[tuple[Matrix | None, Bricks]]:
    """Returns what stays (None), where anything does, and what stands elsewhere; labels with one transform together."""
    labels_by_transform: dict[Matrix, list[int]] = {}
    for move in recipe.moves:
        labels_by_transform.setdefault(move.transform, []).append(move.label)
    moved = {move.label for move in recipe.moves}
    parts: list[tuple[Matrix | None, Bricks]] = []
    rest = tuple(rule for rule in recipe.masking if rule.label not in moved)
    included = [rule for rule in recipe.masking if rule.action == "include"]
    if not included or any(rule.action == "include" for rule in rest):
        staying = rest if included else (*rest, *(LabelRule(label, "exclude") for label in sorted(moved)))
        parts.append((None, _bricks_of(volume, mask, staying, threads)))
    for transform, labels in labels_by_transform.items():
        rules = tuple(LabelRule(label, "include") for label in labels)
        parts.append((transform, _bricks_of(volume, mask, rules, threads)))
    return parts
