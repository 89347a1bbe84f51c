"""The one door to pictures: a volume and a recipe go in, a Picture comes out. Pure and repeatable."""

import threading
from collections.abc import Callable

from render.engine import cpu, framing
from render.engine.tiles import Cancelled
from render.mask import Mask
from render.picture import Picture, Provenance
from render.recipe import Recipe, Reformat, VolumeRendering
from render.settle import settled
from render.volume import Volume

__all__ = ["ENGINES", "Cancelled", "DrawError", "draw"]

ENGINES = ("cpu",)


class DrawError(ValueError):
    """A recipe that cannot be drawn from this volume; the message says why and what to do."""


def draw(
    volume: Volume,
    recipe: Recipe,
    *,
    mask: Mask | None = None,
    engine: str = "cpu",
    threads: int | None = None,
    progress: Callable[[float], None] | None = None,
    cancel: threading.Event | None = None,
) -> Picture:
    """Draws one recipe. What it leaves to the volume (`settled`) is put in first, and recorded.

    Every frame of a rotation and every plane of a stack is a frame of the one picture.

    mask : the segments that the recipe's `masking` speaks of; a recipe without rules does not look at it.
    threads : None takes one for each processor; the pixels do not depend on it.
    progress : called on this thread with the part done, 0…1.
    cancel : once set, drawing stops between two tiles.

    Raises DrawError when the recipe does not suit the volume or the engine is unknown, Cancelled when given up.
    """
    if engine not in ENGINES:
        raise DrawError(f"Engine {engine!r} is not known; there is {', '.join(ENGINES)}.")
    recipe = settled(volume, recipe)
    if isinstance(recipe, VolumeRendering) and recipe.transfer.unit != volume.unit:
        raise DrawError(
            f"Transfer function {recipe.transfer.name!r} is for values in {recipe.transfer.unit!r}, the volume is in "
            f"{volume.unit!r}. Nothing was drawn; choose a preset with the volume's unit."
        )
    mask = _needed(volume, recipe, mask)
    planes = framing.planes(volume, recipe)
    pixels = cpu.draw_frames(volume, recipe, planes, threads, progress, cancel, mask)
    pixels.setflags(write=False)
    provenance = Provenance(
        recipe=recipe,
        engine=engine,
        engine_version=cpu.ENGINE_VERSION,
        device="",
        volume_digest=volume.digest,
        source_uids=volume.source_uids,
        warnings=volume.warnings,
        mask_digest=mask.digest if mask is not None else "",
    )
    unit = "RGB" if isinstance(recipe, VolumeRendering) else volume.unit
    return Picture(pixels, planes, unit, provenance)


def _needed(volume: Volume, recipe: Recipe, mask: Mask | None) -> Mask | None:
    """The mask when the recipe has rules for it. Raises DrawError when it is missing or of another grid."""
    if isinstance(recipe, Reformat) or not recipe.masking:
        return None
    labels = ", ".join(str(rule.label) for rule in recipe.masking)
    if mask is None:
        raise DrawError(
            f"Recipe {recipe.name or recipe.kind!r} has rules for label {labels}, but no mask was given. Nothing was "
            "drawn; give the mask it was made for, or take its masking out."
        )
    if mask.shape != volume.shape:
        raise DrawError(
            f"The mask has {' x '.join(map(str, mask.shape))} voxels, the volume {' x '.join(map(str, volume.shape))}. "
            "Nothing was drawn; a mask lies on the grid of its volume."
        )
    return mask
