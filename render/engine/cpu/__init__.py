"""The cpu engine: our own kernels on tiles of a picture. Same volume, recipe and version: same bytes, everywhere.

Parallel rays are mapped through `Volume.to_index`, so that any affine, sheared ones too, needs no resampling.
"""

import math
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from render.engine import framing
from render.engine.cpu import kernels
from render.engine.cpu.body import without_table
from render.engine.cpu.bricks import bricks
from render.engine.tiles import Tile, bands, run
from render.geometry import Plane, Vector, View, corners_mm, direction, point
from render.picture import Pixels
from render.recipe import (
    ControlPoint,
    Projection,
    ProjectionMode,
    Recipe,
    Reformat,
    Shading,
    TransferFunction,
    VolumeRendering,
    Window,
)
from render.volume import Volume

# Raised whenever the bytes of any picture change; part of every picture's provenance.
ENGINE_VERSION = "0.1.0"

_MODES: dict[ProjectionMode, int] = {"mip": kernels.MIP, "minip": kernels.MINIP, "average": kernels.AVERAGE}
_EVERYWHERE_MM = 1e12

Progress = Callable[[float], None]
Floats = NDArray[np.float64]


def draw_frames(
    volume: Volume,
    recipe: Recipe,
    planes: Sequence[Plane],
    threads: int | None = None,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Pixels:
    """Pixels as `Picture.pixels` says, one frame for each plane of `framing.planes(volume, recipe)`.

    Raises Cancelled when `cancel` was set before the last tile.
    """
    if not isinstance(recipe, Reformat) and recipe.body_above is not None:
        volume = without_table(volume, recipe.body_above)
    if isinstance(recipe, VolumeRendering):
        return _volume_rendering(volume, recipe, planes, threads, progress, cancel)
    values = np.empty((len(planes), recipe.rows, recipe.columns), dtype=volume.voxels.dtype)
    if isinstance(recipe, Projection):
        tiles = _projection(volume, recipe, planes, values, threads)
    else:
        tiles = _reformat(volume, recipe, planes, values)
    run(tiles, threads, progress, cancel)
    return values


def _array(values: Sequence[float]) -> Floats:
    return np.array(values, dtype=np.float64)


def _in_both(volume: Volume, plane: Plane, ray_mm: Vector) -> tuple[tuple[Floats, ...], tuple[Floats, ...]]:
    """(start, down, right, step) of the plane's rays in index coordinates, and the same in LPS mm."""
    to_index = volume.to_index
    index = (
        _array(point(to_index, plane.origin_mm)),
        *(_array(direction(to_index, v)) for v in (plane.down_mm, plane.right_mm, ray_mm)),
    )
    return index, tuple(_array(v) for v in (plane.origin_mm, plane.down_mm, plane.right_mm, ray_mm))


def _away(view: View, length_mm: float) -> Vector:
    x, y, z = view.towards_observer
    return (-x * length_mm, -y * length_mm, -z * length_mm)


def _crop(recipe: VolumeRendering | Projection) -> tuple[Floats, Floats]:
    if recipe.crop is None:
        return _array([-_EVERYWHERE_MM] * 3), _array([_EVERYWHERE_MM] * 3)
    return _array(recipe.crop.lower_mm), _array(recipe.crop.upper_mm)


def _volume_rendering(
    volume: Volume,
    recipe: VolumeRendering,
    planes: Sequence[Plane],
    threads: int | None,
    progress: Progress | None,
    cancel: threading.Event | None,
) -> NDArray[np.uint8]:
    transfer, shading = recipe.transfer, recipe.transfer.shading
    step_mm = recipe.step_voxels * min(volume.spacing_mm)
    table, distances = bricks(volume, threads).seen_through(transfer, step_mm)
    lower_mm, upper_mm = _crop(recipe)
    terms = shading or Shading()
    light = np.array([terms.ambient, terms.diffuse, terms.specular, shading is not None], dtype=np.float32)
    squarings = terms.specular_power.bit_length() - 1
    to_lps = np.ascontiguousarray(volume.to_index[:3, :3].T.astype(np.float32))
    gradient_range = np.array(transfer.gradient_opacity or (-1.0, -1.0), dtype=np.float32)
    background = np.array(recipe.background, dtype=np.float32)
    out = np.empty((len(planes), recipe.rows, recipe.columns, 3), dtype=np.uint8)
    tiles: list[Tile] = []
    for frame, (plane, view) in enumerate(zip(planes, framing.views(recipe), strict=True)):
        index, lps = _in_both(volume, plane, _away(view, step_mm))
        towards = np.array(view.towards_observer, dtype=np.float32)
        fixed = (volume.voxels, distances, table.colours, table.first, table.scale, *index, *lps)
        depth = _depth(volume, plane, _away(view, step_mm))
        rest = (table.span, depth, lower_mm, upper_mm, to_lps, towards, light, squarings, gradient_range, background)
        tiles += _tiles(kernels.shade_rows, (*fixed, *rest), out[frame])
    run(tiles, threads, progress, cancel)
    return out


def _depth(volume: Volume, plane: Plane, step_mm: Vector) -> Floats:
    """First and last step along the rays of a plane at which any of them can be in the volume, with one to spare."""
    square = sum(v * v for v in step_mm)
    steps = [
        sum((c - o) * v for c, o, v in zip(corner, plane.origin_mm, step_mm, strict=True)) / square
        for corner in corners_mm(volume.shape, volume.affine).tolist()
    ]
    return _array([math.floor(min(steps)) - 1.0, math.ceil(max(steps)) + 1.0])


def _tiles(kernel: Callable[..., None], fixed: tuple[object, ...], out: Pixels, height: int = 16) -> list[Tile]:
    """A kernel on bands of a picture; `fixed` is what comes before the rows and the picture."""
    return [partial(kernel, *fixed, row0, row1, out) for row0, row1 in bands(out.shape[0], height)]


def _whole(volume: Volume) -> bool:
    """Whether pictures in the volume's unit are whole numbers, as its voxels are."""
    return volume.voxels.dtype == np.int16


def _outside(volume: Volume, window: Window) -> np.float32:
    """The window's lower end, which shows as black; for integers the whole number at or below it."""
    lower = window.centre - window.width / 2.0
    if volume.voxels.dtype == np.int16:
        lower = float(min(max(math.floor(lower), -32768), 32767))
    return np.float32(lower)


def _projection(
    volume: Volume, recipe: Projection, planes: Sequence[Plane], out: Pixels, threads: int | None
) -> list[Tile]:
    found = bricks(volume, threads)
    lower_mm, upper_mm = _crop(recipe)
    step_mm = recipe.step_voxels * min(volume.spacing_mm)
    half_slab = _EVERYWHERE_MM if recipe.slab_mm is None else recipe.slab_mm / 2.0
    tiles: list[Tile] = []
    for frame, (plane, view) in enumerate(zip(planes, framing.views(recipe), strict=True)):
        index, lps = _in_both(volume, plane, _away(view, 1.0))
        steps = [abs(float(v)) for v in index[3]]
        axis = steps.index(max(steps))
        parts = max(1, math.ceil(1.0 / (steps[axis] * step_mm) - 1e-6))
        ranges = (found.low, found.high, found.block_low, found.block_high)
        fixed = (volume.voxels, *ranges, _MODES[recipe.mode], *index, axis, parts, *lps)
        rest = (lower_mm, upper_mm, half_slab, _outside(volume, recipe.window), _whole(volume))
        tiles += _tiles(kernels.project_rows, (*fixed, *rest), out[frame])
    return tiles


def _reformat(volume: Volume, recipe: Reformat, planes: Sequence[Plane], out: Pixels) -> list[Tile]:
    samples = 1 if recipe.thickness_mm == 0.0 else max(2, math.ceil(recipe.thickness_mm / min(volume.spacing_mm)))
    gap_mm = recipe.thickness_mm / samples
    tiles: list[Tile] = []
    for frame, plane in enumerate(planes):
        (start, down, right, through), _ = _in_both(volume, plane, _away(recipe.view, gap_mm))
        start = start - through * ((samples - 1) / 2.0)
        fixed = (volume.voxels, _MODES[recipe.mode], recipe.interpolation == "nearest")
        rest = (start, down, right, through, samples, _outside(volume, recipe.window), _whole(volume))
        tiles += _tiles(kernels.reformat_rows, (*fixed, *rest), out[frame], height=64)
    return tiles


def warm() -> float:
    """Compiles every kernel for both kinds of voxels, or loads it from the disk cache. Returns the seconds it took."""
    began = time.perf_counter()
    points = (ControlPoint(0.0, 1.0, 1.0, 1.0, 0.0), ControlPoint(1.0, 1.0, 1.0, 1.0, 1.0))
    window = Window(0.0, 1.0)
    recipes: list[Recipe] = [
        VolumeRendering(TransferFunction("warm", "1", points), rows=2, columns=2),
        Projection("mip", window, rows=2, columns=2, body_above=0.0),
        Reformat(window, rows=2, columns=2),
    ]
    grid = np.ones((2, 2, 2), dtype=np.int16)
    for voxels in (grid, grid.astype(np.float32)):
        volume = Volume(voxels, np.eye(4), "1")
        for recipe in recipes:
            draw_frames(volume, recipe, framing.planes(volume, recipe), threads=1)
    return time.perf_counter() - began
