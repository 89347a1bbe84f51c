"""Makes relative recipes absolute before drawing: fills in values from the volume's range (MR, ultrasound) or from the
levels of soft tissue and of blood with dye (CT angiography).

A picture's provenance holds the settled recipe, so that it can be made again without the volume's range.
"""

import weakref
from dataclasses import replace

import numpy as np

from render.recipe import Recipe, RecipeError, Reformat, TransferFunction, VolumeRendering, Window
from render.volume import Volume

RANGE = "range"
LUMEN = "lumen"
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
    """Returns the same recipe with every value in the unit of the volume, and those of a fusion in that of `second`.

    Raises RecipeError where the recipe is placed by dye and the volume shows none.
    """
    if second is not None and isinstance(recipe, Reformat) and recipe.fusion is not None:
        over = replace(recipe.fusion, window=_window(recipe.fusion.window, second), volume_digest=second.digest)
        recipe = replace(recipe, fusion=over)
    if isinstance(recipe, VolumeRendering) and recipe.fusion is not None and second is not None:
        fused = recipe.fusion
        recipe = replace(
            recipe,
            fusion=replace(fused, transfer=_transfer(fused.transfer, second), volume_digest=second.digest),
        )
    if isinstance(recipe, VolumeRendering):
        made = _transfer(recipe.transfer, volume)
        return recipe if made is recipe.transfer else replace(recipe, transfer=made)
    return recipe if recipe.window.is_placed else replace(recipe, window=_window(recipe.window, volume))


def _window(window: Window, volume: Volume) -> Window:
    if window.is_placed:
        return window
    low, step = _scale(volume, LUMEN if window.of_lumen else RANGE)
    return Window(low + step * window.centre, max(step * window.width, 1.0))


def _scale(volume: Volume, unit: str) -> tuple[float, float]:
    """The values of 0, and of the way from 0 to 1."""
    if unit == RANGE:
        low, high = value_range(volume)
        return low, high - low
    from render.contrast import contrast_levels  # as late as any mask: see `draw`

    levels = contrast_levels(volume)
    if levels is None:
        raise RecipeError(
            "No vessel filled with dye is seen, by which this picture is placed. Nothing was drawn; choose a protocol, "
            "preset or window that is not for angiography."
        )
    return levels.tissue, levels.lumen - levels.tissue


def _transfer(transfer: TransferFunction, volume: Volume) -> TransferFunction:
    if transfer.unit not in (RANGE, LUMEN):
        return transfer
    low, step = _scale(volume, transfer.unit)
    points = tuple(replace(point, value=low + step * point.value) for point in transfer.points)
    fade = transfer.gradient_opacity
    return replace(
        transfer,
        unit=volume.unit,
        points=points,
        gradient_opacity=None if fade is None else (fade[0] * step, fade[1] * step),
    )
