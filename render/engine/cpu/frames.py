"""Runs the kernels for a recipe, on tiles of a picture.

Rays are mapped through `Volume.to_index`, so no affine, not even a sheared one, needs resampling.
"""

import math
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from render import curved
from render.engine import framing
from render.engine.cpu import reslice
from render.engine.cpu.body import voxels_without_table
from render.engine.cpu.bricks import Bricks, bricks
from render.engine.cpu.kernel_records import Light, OptionalParts, RayGrid, TransferTables
from render.engine.cpu.occlusion import CELL_MM, arriving
from render.engine.cpu.project import project_rows
from render.engine.cpu.rays import PACKET
from render.engine.cpu.shade import shade_rows
from render.engine.cpu.simd import LANES
from render.engine.cpu.slab import through_slab
from render.engine.tiles import Tile, bands, run_tiles
from render.geometry import Plane, Vector, View, corners_mm, direction, point, unit_vector, vector
from render.mask import Mask
from render.picture import Pixels
from render.progress import PartDone
from render.recipe import (
    Clip,
    ControlPoint,
    CurvedReformat,
    Interpolation,
    LabelRule,
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

_MODES: dict[ProjectionMode, int] = {"mip": reslice.MIP, "minip": reslice.MINIP, "average": reslice.AVERAGE}
_INTERPOLATIONS: dict[Interpolation, int] = {
    "linear": reslice.LINEAR,
    "nearest": reslice.NEAREST,
    "cubic": reslice.CUBIC,
}
_EVERYWHERE_MM = 1e8

Floats = NDArray[np.float64]


def draw_frames(
    volume: Volume,
    recipe: Recipe,
    planes: Sequence[Plane],
    threads: int | None = None,
    progress: PartDone | None = None,
    cancel: threading.Event | None = None,
    mask: Mask | None = None,
) -> Pixels:
    """Draws the pixels of `Picture.pixels`, one frame for each plane of `framing.planes(volume, recipe)`, or in
    perspective for each of its `pinholes`. mask : only where the recipe has rules for it.

    Raises Cancelled when `cancel` was set before the last tile.
    """
    if isinstance(recipe, VolumeRendering | Projection) and recipe.body_above is not None:
        volume = voxels_without_table(volume, recipe.body_above)
    if isinstance(recipe, VolumeRendering) and recipe.moves and mask is not None:
        # With the first such picture, as every kernel.
        from render.engine.cpu.moved_parts import moved_rendering

        return moved_rendering(volume, recipe, planes, mask, threads, progress, cancel)
    if isinstance(recipe, VolumeRendering):
        return _volume_rendering(volume, recipe, planes, threads, progress, cancel, mask)
    count = len(framing.views(recipe))
    values = np.empty((count, recipe.rows, recipe.columns), dtype=volume.voxels.dtype)
    if isinstance(recipe, Projection):
        tiles = _projection(volume, recipe, planes, values, threads, mask)
    elif isinstance(recipe, Reformat):
        tiles = _reformat(volume, recipe, planes, values)
    else:
        tiles = _curved(volume, recipe, values)
    run_tiles(tiles, threads, progress, cancel)
    return values


def _array(values: Sequence[float]) -> Floats:
    return np.array(values, dtype=np.float64)


def _in_both(volume: Volume, plane: Plane, ray_mm: Vector) -> tuple[RayGrid, RayGrid]:
    """Returns the plane's rays in index coordinates, and in LPS mm."""
    to_index, lps = volume.to_index, (plane.origin_mm, plane.down_mm, plane.right_mm, ray_mm)
    start = _array(point(to_index, plane.origin_mm))
    return RayGrid(start, *(_array(direction(to_index, v)) for v in lps[1:])), RayGrid(*(_array(v) for v in lps))


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
    progress: PartDone | None,
    cancel: threading.Event | None,
    mask: Mask | None,
) -> NDArray[np.uint8]:
    transfer, shading = recipe.transfer, recipe.transfer.shading
    step_mm = recipe.step_voxels * min(volume.spacing_mm)
    found = _bricks(volume, threads, recipe, mask)
    table, distances = found.seen_through(transfer, step_mm)
    lower_mm, upper_mm = _crop(recipe)
    terms = shading or Shading()
    gradient_range = np.array(transfer.gradient_opacity or (-1.0, -1.0), dtype=np.float32)
    look = TransferTables(
        table.colours, table.opacities, table.edges, table.first, table.scale, table.span, gradient_range
    )  # fmt: skip
    views = framing.views(recipe)
    out = np.empty((len(views), recipe.rows, recipe.columns, 3), dtype=np.uint8)
    tiles: list[Tile] = []

    def frame(number: int, index: RayGrid, lps: RayGrid, more: OptionalParts | None) -> None:
        light = Light(
            terms=np.array([terms.ambient, terms.diffuse, terms.specular, shading is not None], dtype=np.float32),
            squarings=terms.specular_power.bit_length() - 1,
            towards=np.array(views[number].towards_observer, dtype=np.float32),
            to_lps=np.ascontiguousarray(volume.to_index[:3, :3].T.astype(np.float32)),
            background=np.array(recipe.background, dtype=np.float32),
        )
        fixed = (volume.voxels, distances, look, index, lps, lower_mm, upper_mm, light, more)
        tiles.extend(_tiles(shade_rows, fixed, out[number]))

    if recipe.projection == "perspective":
        for number, pinhole in enumerate(framing.pinholes(volume, recipe)):
            near, far = _distances(volume, recipe, pinhole.eye_mm)
            span = (near / step_mm, far / step_mm)
            frame(number, *_rays(volume, pinhole), _more(volume, recipe, found, threads, span, pinhole.eye_mm, step_mm))
    else:
        for number, (plane, view) in enumerate(zip(planes, views, strict=True)):
            ray_mm = _away(view, step_mm)
            extras = (recipe.clips, recipe.masking, recipe.light, recipe.depth_cue, recipe.ambient_occlusion)
            plain = not any(extras)  # shadows go with a light
            more = None if plain else _more(volume, recipe, found, threads, _drawn_depth(volume, recipe, plane, ray_mm))
            frame(number, *_in_both(volume, plane, ray_mm), more)
    run_tiles(tiles, threads, progress, cancel)
    return out


def _bricks(volume: Volume, threads: int | None, recipe: VolumeRendering | Projection, mask: Mask | None) -> Bricks:
    found = bricks(volume, threads)
    return found if mask is None else found.under(mask, recipe.masking)


def _clips(recipe: VolumeRendering | Projection) -> Floats:
    """Returns (N, 4) normal and offset of each clip, in LPS."""
    rows = []
    for clip in recipe.clips:
        x, y, z = unit_vector(clip.normal)
        rows.append((x, y, z, x * clip.point_mm[0] + y * clip.point_mm[1] + z * clip.point_mm[2]))
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


# The depth, in steps of a voxel, in which samples behind a cut or a mask's border take their shading from it.
_RIND_VOXELS = 1.5


def _more(
    volume: Volume,
    recipe: VolumeRendering,
    found: Bricks,
    threads: int | None,
    span: tuple[float, float],
    eye_mm: Vector | None = None,
    pace_mm: float = 1.0,
) -> OptionalParts:
    """Makes the optional parts of a recipe. span : first and last drawn step, for the depth cue."""
    eye = eye_mm or (0.0, 0.0, 0.0)
    masked, labels, states, shown, tints = found.masking()
    fades, label_opacities = found.fading()
    cells = None
    if recipe.ambient_occlusion > 0.0 or recipe.shadows > 0.0:
        cells = arriving(volume, recipe, found, threads)
    per_voxel = [1.0 / edge for edge in cells.edges] if cells else [0.0] * 3
    return OptionalParts(
        clips=_clips(recipe),
        has_mask=masked,
        mask_labels=labels,
        brick_states=states,
        label_is_drawn=shown,
        label_tints=tints,
        has_fades=fades,
        label_opacities=label_opacities,
        is_perspective=eye_mm is not None,
        eye_index=_array(point(volume.to_index, eye)),
        eye_mm=_array(eye),
        sample_distance_mm=pace_mm,
        light_is_placed=recipe.light is not None,
        towards_light=np.array((recipe.light or recipe.view).towards_observer, dtype=np.float32),
        depth_cue=np.array([recipe.depth_cue, span[0], 1.0 / max(span[1] - span[0], 1e-6)], dtype=np.float32),
        occlusion_terms=np.array([recipe.ambient_occlusion, *per_voxel, CELL_MM], dtype=np.float32),
        cell_openness=cells.around if cells else _NO_CELLS,
        shadow_strength=np.float32(recipe.shadows),
        cell_lit=cells.direct if cells else _NO_CELLS,
        border_steps=np.float32(_RIND_VOXELS / recipe.step_voxels),
    )


_NO_CELLS = np.ones((2, 2, 2), dtype=np.float32)


def _rays(volume: Volume, pinhole: framing.Pinhole) -> tuple[RayGrid, RayGrid]:
    """Returns the rays of a pinhole, all as directions, in index coordinates and in LPS mm."""
    to_index, lps = volume.to_index, (pinhole.forward_mm, pinhole.down_mm, pinhole.right_mm, (0.0, 0.0, 0.0))
    return RayGrid(*(_array(direction(to_index, v)) for v in lps)), RayGrid(*(_array(v) for v in lps))


def _distances(volume: Volume, recipe: VolumeRendering, eye_mm: Vector) -> tuple[float, float]:
    """Returns the nearest and farthest distance from the eye, in mm, of anything that is drawn."""
    (x, y, z), radius = framing.sphere(volume, recipe)
    away = math.sqrt((x - eye_mm[0]) ** 2 + (y - eye_mm[1]) ** 2 + (z - eye_mm[2]) ** 2)
    return max(away - radius, 0.0), away + radius


def _drawn_depth(volume: Volume, recipe: VolumeRendering, plane: Plane, step_mm: Vector) -> tuple[float, float]:
    """Returns the first and last step at which a ray can be in the volume and in the crop box."""
    spans = [_span(corners, plane, step_mm) for corners in (_outer(volume), framing.drawn_corners(volume, recipe))]
    return max(first for first, _ in spans), min(last for _, last in spans)


def _outer(volume: Volume) -> list[Vector]:
    return [vector(corner) for corner in corners_mm(volume.shape, volume.affine).tolist()]


def _span(corners: Sequence[Vector], plane: Plane, step_mm: Vector) -> tuple[float, float]:
    """Returns the steps from the plane to the nearest and to the farthest of the corners."""
    square = sum(v * v for v in step_mm)
    steps = [
        sum((c - o) * v for c, o, v in zip(corner, plane.origin_mm, step_mm, strict=True)) / square
        for corner in corners
    ]
    return min(steps), max(steps)


def _tiles(kernel: Callable[..., None], fixed: tuple[object, ...], out: Pixels, height: int = 16) -> list[Tile]:
    """Makes tiles that run a kernel on bands of a picture. fixed : the arguments before the rows and the picture."""
    return [partial(kernel, *fixed, row0, row1, out) for row0, row1 in bands(out.shape[0], height)]


def _whole(volume: Volume) -> bool:
    """Whether the volume's voxels, and so the values of its pictures, are integers."""
    return volume.voxels.dtype == np.int16


def _outside(volume: Volume, window: Window) -> np.float32:
    """Returns the window's lower end, which shows as black; for integers the whole number at or below it."""
    lower = window.centre - window.width / 2.0
    if volume.voxels.dtype == np.int16:
        lower = float(min(max(math.floor(lower), -32768), 32767))
    return np.float32(lower)


def _projection(
    volume: Volume,
    recipe: Projection,
    planes: Sequence[Plane],
    out: Pixels,
    threads: int | None,
    mask: Mask | None,
) -> list[Tile]:
    found = _bricks(volume, threads, recipe, mask)
    masked, labels, states, shown, _ = found.masking()
    more = (_clips(recipe), masked, labels, states, shown) if recipe.clips or recipe.masking else None
    lower_mm, upper_mm = _crop(recipe)
    step_mm = recipe.step_voxels * min(volume.spacing_mm)
    half_slab = _EVERYWHERE_MM if recipe.slab_mm is None else recipe.slab_mm / 2.0
    tiles: list[Tile] = []
    lowest = recipe.mode == "minip"
    bounds = (found.low, found.block_low) if lowest else (found.high, found.block_high)
    sign = np.float32(-1.0 if lowest else 1.0)
    for frame, (plane, view) in enumerate(zip(planes, framing.views(recipe), strict=True)):
        index, lps = _in_both(volume, plane, _away(view, 1.0))
        steps = [abs(float(v)) for v in index.step]
        axis = steps.index(max(steps))
        parts = max(1, math.ceil(1.0 / (steps[axis] * step_mm) - 1e-6))
        fixed = (volume.voxels, *bounds, sign, recipe.mode == "average", index, lps, axis, parts)
        rest = (lower_mm, upper_mm, half_slab, _outside(volume, recipe.window), _whole(volume), more)
        tiles += [partial(_project, (*fixed, *rest), row0, row1, out[frame]) for row0, row1 in bands(recipe.rows)]
    return tiles


def _project(fixed: tuple[object, ...], row0: int, row1: int, out: Pixels) -> None:
    hints = np.empty((-(-out.shape[1] // PACKET), LANES), dtype=np.float32)
    project_rows(*fixed, hints, row0, row1, out)  # type: ignore[call-arg]


def _reformat(volume: Volume, recipe: Reformat, planes: Sequence[Plane], out: Pixels) -> list[Tile]:
    starts = np.empty((len(planes), 3), dtype=np.float64)
    for number, plane in enumerate(planes):
        index, _ = _in_both(volume, plane, _away(recipe.view, 1.0))
        starts[number] = index.start
    down, right, through = (np.tile(step, (len(planes), 1)) for step in (index.down, index.right, index.step))
    starts, through, places = through_slab(volume, recipe, starts, down, right, through)
    fixed = (volume.voxels, _MODES[recipe.mode], _INTERPOLATIONS[recipe.interpolation], starts)
    rest = (down, right, through, places, _outside(volume, recipe.window), _whole(volume))
    height = max(32, math.ceil(_TILE_SAMPLES / (recipe.columns * places.shape[1] * min(len(planes), 64))))
    # Neighbouring planes read the same voxels, so the same rows of several planes follow each other, for the cache.
    return [
        partial(reslice.reslice_rows, *fixed, *rest, *some, *rows, out)
        for rows in bands(recipe.rows, height)
        for some in bands(len(planes), 64)
    ]


def _curved(volume: Volume, recipe: CurvedReformat, out: Pixels) -> list[Tile]:
    """Draws each row of a curved picture as a plane of one row."""
    lines = [
        np.concatenate(parts) for parts in zip(*((r.starts, r.right, r.away) for r in curved.rows(recipe)), strict=True)
    ]
    to_index = volume.to_index
    right, through = (_mapped(to_index, lps) for lps in (lines[1], lines[2]))
    starts = _mapped(to_index, lines[0], to_index[:3, 3])
    # A path that stays in a plane parallel to the slices is sampled as that plane is.
    down = np.diff(starts, axis=0, append=starts[-1:] * 2.0 - starts[-2:-1])
    starts, through, places = through_slab(volume, recipe, starts, down, right, through)
    starts = np.where(np.isnan(starts), _NOWHERE, starts)
    fixed = (volume.voxels, _MODES[recipe.mode], _INTERPOLATIONS[recipe.interpolation], starts)
    rest = (np.zeros_like(right), right, through, places, _outside(volume, recipe.window), _whole(volume))
    flat = out.reshape(-1, 1, recipe.columns)
    lines_of = bands(len(flat), 16)
    return [partial(reslice.reslice_rows, *fixed, *rest, *some, *row, flat) for some in lines_of for row in bands(1)]


# So many samples of planes make a tile at least: about a millisecond. After each a thread waits for the interpreter,
# which at the desktop is painting the picture before.
_TILE_SAMPLES = 1 << 18
# An index far outside every volume: where a path has ended.
_NOWHERE = -1e6


def _mapped(affine: Floats, lps: Floats, offset: Floats | None = None) -> Floats:
    """Maps (N, 3) LPS mm to index coordinates, summed in a fixed order as in `geometry.point`."""
    columns = [lps[:, 0] * row[0] + lps[:, 1] * row[1] + lps[:, 2] * row[2] for row in affine[:3]]
    found = np.stack(columns, axis=1)
    return np.ascontiguousarray(found if offset is None else found + offset)


def warm() -> float:
    """Compiles every kernel for both kinds of voxels, or loads it from the disk cache. Returns the seconds it took."""
    began = time.perf_counter()
    points = (ControlPoint(0.0, 1.0, 1.0, 1.0, 0.0), ControlPoint(1.0, 1.0, 1.0, 1.0, 1.0))
    window = Window(0.0, 1.0)
    transfer, clips = TransferFunction("warm", "1", points), (Clip((0.0, 0.0, 0.0), (0.0, 0.0, 1.0)),)
    rules, mask = (LabelRule(0, "include"),), Mask(np.zeros((2, 2, 2), dtype=np.uint8))
    recipes: list[Recipe] = [
        VolumeRendering(transfer, rows=2, columns=2),
        VolumeRendering(
            transfer, rows=2, columns=2, clips=clips, masking=rules, light=View(), shadows=1.0, ambient_occlusion=1.0
        ),
        Projection("mip", window, rows=2, columns=2, body_above=0.0),
        Projection("mip", window, rows=2, columns=2, clips=clips),
        Reformat(window, rows=2, columns=2),
    ]
    grid = np.ones((2, 2, 2), dtype=np.int16)
    for voxels in (grid, grid.astype(np.float32)):
        volume = Volume(voxels, np.eye(4), "1")
        for recipe in recipes:
            ruled = isinstance(recipe, VolumeRendering) and bool(recipe.masking)
            planes = framing.planes(volume, recipe)
            draw_frames(volume, recipe, planes, threads=1, mask=mask if ruled else None)
    return time.perf_counter() - began
