"""Makes relative recipes, for MR and ultrasound, absolute: fills in values from the volume's range before drawing.

A picture's provenance holds the settled recipe, so that it can be made again without the volume's range.
"""

import weakref
from dataclasses import replace

import numpy as np

from render.recipe import Recipe, Reformat, TransferFunction, VolumeRendering, Window
from render.volume import Volume

RANGE = "range"
# Much of a volume is air, and a few very bright voxels would stretch the scale: both lie outside these fractions.
_LOW, _HIGH = 0.02, 0.997
_known: "weakref.WeakKeyDictionary[Volume, tuple[float, float]]" = weakref.WeakKeyDictionary()


def value_range(volume: Volume) -> tuple[float, float]:
    """Returns the values that 2 % and 99.7 % of the voxels do not exceed; exact, so the same everywhere."""
    found = _known.get(volume)
    if found is None:
        values = volume.voxels.reshape(-1)
        ranks = [int(_LOW * (values.size - 1)), int(_HIGH * (values.size - 1))]
        low, high = (float(v) for v in np.partition(values, ranks)[ranks])
        found = _known.setdefault(volume, (low, high if high > low else low + 1.0))
    return found


def settled(volume: Volume, recipe: Recipe, second: Volume | None = None) -> Recipe:
    """Returns the same recipe with every value in the unit of the volume, and those of a fusion in that of `second`."""
    if second is not None and isinstance(recipe, Reformat) and recipe.fusion is not None:
        over = replace(recipe.fusion, window=_window(recipe.fusion.window, second), volume_digest=second.digest)
        recipe = replace(recipe, fusion=over)
    if isinstance(recipe, VolumeRendering) and recipe.fusion is not None and second is not None:
        fused = recipe.fusion
        shown = _transfer(fused.transfer, second) if fused.transfer.unit == RANGE else fused.transfer
        recipe = replace(recipe, fusion=replace(fused, transfer=shown, volume_digest=second.digest))
    if isinstance(recipe, VolumeRendering):
        if recipe.transfer.unit != RANGE:
            return recipe
        return replace(recipe, transfer=_transfer(recipe.transfer, volume))
    return replace(recipe, window=_window(recipe.window, volume)) if recipe.window.relative else recipe


def _window(window: Window, volume: Volume) -> Window:
    if not window.relative:
        return window
    low, high = value_range(volume)
    return Window(low + (high - low) * window.centre, max((high - low) * window.width, 1.0))


def _transfer(transfer: TransferFunction, volume: Volume) -> TransferFunction:
    low, high = value_range(volume)
    scale = high - low
    points = tuple(replace(point, value=low + scale * point.value) for point in transfer.points)
    fade = transfer.gradient_opacity
    return replace(
        transfer,
        unit=volume.unit,
        points=points,
        gradient_opacity=None if fade is None else (fade[0] * scale, fade[1] * scale),
    )
