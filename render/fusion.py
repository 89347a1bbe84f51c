"""Fused pictures: a second volume with the first, through its transform; over its planes, or on the same rays.

Both are sampled where the pixels are, each from its own voxels: the second one's affine is moved, its voxels are not.
"""

import threading
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from render.engine import cpu
from render.geometry import Matrix, Plane, composed
from render.mask import Mask
from render.picture import Pixels
from render.progress import PartDone
from render.recipe import ControlPoint, Fusion, Reformat, VolumeRendering, Window
from render.volume import Volume

_ENTRIES = 1024  # of a colour map


def _ramp(*points: tuple[float, float, float, float, float]) -> tuple[ControlPoint, ...]:
    return tuple(ControlPoint(*point) for point in points)


# Value, red, green, blue, opacity. Nothing covers at the lower end, so that what has no second volume stays as it is.
COLOUR_MAPS: dict[str, tuple[ControlPoint, ...]] = {
    # PS3.6 Annex B.1.1: red to half, then green, blue from the last quarter on.
    "hot_iron": _ramp(
        (0.0, 0.0, 0.0, 0.0, 0.0), (0.5, 1.0, 0.0, 0.0, 1.0), (0.75, 1.0, 0.5, 0.0, 1.0), (1.0, 1.0, 1.0, 1.0, 1.0)
    ),
    "red": _ramp((0.0, 1.0, 0.0, 0.0, 0.0), (1.0, 1.0, 0.0, 0.0, 1.0)),
    "green": _ramp((0.0, 0.0, 1.0, 0.0, 0.0), (1.0, 0.0, 1.0, 0.0, 1.0)),
    "cool": _ramp((0.0, 0.0, 0.0, 1.0, 0.0), (0.5, 0.0, 0.8, 1.0, 1.0), (1.0, 1.0, 1.0, 1.0, 1.0)),
    "grey": _ramp((0.0, 0.0, 0.0, 0.0, 1.0), (1.0, 1.0, 1.0, 1.0, 1.0)),
}


def moved(volume: Volume, transform: Matrix, frame_of_reference: str = "") -> Volume:
    """Returns the same voxels where `transform` (rows of (4, 4), LPS mm to LPS mm) puts them."""
    affine = composed(volume.affine, np.array(transform, dtype=np.float64))
    return replace(volume, affine=affine, frame_of_reference=frame_of_reference)


def fused_frames(
    volume: Volume,
    recipe: Reformat | VolumeRendering,
    second: Volume,
    planes: Sequence[Plane],
    threads: int | None = None,
    progress: PartDone | None = None,
    cancel: threading.Event | None = None,
    mask: Mask | None = None,
) -> NDArray[np.uint8]:
    """Draws (F, rows, columns, 3) uint8 RGB. recipe : settled, with a fusion. mask : of the first volume, where the
    recipe has rules for it. Raises Cancelled."""
    fusion = recipe.fusion
    assert fusion is not None
    if isinstance(recipe, VolumeRendering):
        # With the first such picture, as every kernel.
        from render.engine.cpu.fused_rays import fused_rendering

        there = moved(second, fusion.transform, volume.frame_of_reference)
        return fused_rendering(volume, recipe, there, second, planes, threads, progress, cancel, mask)
    assert isinstance(fusion, Fusion)
    plain = replace(recipe, fusion=None)
    over = replace(plain, window=fusion.window)
    there = moved(second, fusion.transform, volume.frame_of_reference)
    halves = (None, None) if progress is None else (lambda d: progress(d / 2.0), lambda d: progress(0.5 + d / 2.0))
    below = cpu.frames.draw_frames(volume, plain, planes, threads, halves[0], cancel)
    above = cpu.frames.draw_frames(there, over, planes, threads, halves[1], cancel)
    out = np.empty((*below.shape, 3), dtype=np.uint8)
    table = colour_table(fusion)
    for frame in range(len(out)):
        out[frame] = blended(below[frame], recipe.window, above[frame], fusion.window, table)
    return out


def colour_table(fusion: Fusion) -> NDArray[np.float64]:
    """Returns (1024, 4) float64: red, green, blue from 0 to 255, and how much they cover, 0…1, over the window."""
    at = np.arange(_ENTRIES) / (_ENTRIES - 1)
    values = [p.value for p in fusion.colours]
    parts = [[p.red * 255.0, p.green * 255.0, p.blue * 255.0, p.opacity * fusion.blend] for p in fusion.colours]
    return np.stack([np.interp(at, values, column) for column in zip(*parts, strict=True)], axis=1)


def blended(
    below: Pixels, below_window: Window, above: Pixels, above_window: Window, table: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Returns (rows, columns, 3) uint8: values below as grey, values above over them by the table.

    Sources: PS3.3 C.11.2.1.2.1 (LINEAR) below, as for every reformat; C.11.2.1.3.2 (LINEAR_EXACT) above, as uptake may
    have a window of a few units.
    """
    span = max(below_window.width - 1.0, 1e-6)
    grey = _part(below, below_window.centre - 0.5 - span / 2.0, span) * 255.0
    low = above_window.centre - above_window.width / 2.0
    entries = table[np.rint(_part(above, low, above_window.width) * (_ENTRIES - 1)).astype(np.intp)]
    cover = entries[..., 3:]
    return np.asarray(np.rint(grey[..., None] * (1.0 - cover) + entries[..., :3] * cover), dtype=np.uint8)


def _part(values: Pixels, low: float, width: float) -> NDArray[np.float64]:
    return np.asarray(np.clip((values.astype(np.float64) - low) / width, 0.0, 1.0))
