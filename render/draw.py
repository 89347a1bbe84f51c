"""The one door to pictures: a volume and a recipe go in, a Picture comes out. Pure and repeatable."""

import threading
from collections.abc import Callable

from render.engine import cpu, framing
from render.engine.tiles import Cancelled
from render.picture import Picture, Provenance
from render.recipe import Recipe, VolumeRendering
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
    engine: str = "cpu",
    threads: int | None = None,
    progress: Callable[[float], None] | None = None,
    cancel: threading.Event | None = None,
) -> Picture:
    """Draws one recipe. What it leaves to the volume (`settled`) is put in first, and recorded.

    Every frame of a rotation and every plane of a stack is a frame of the one picture.

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
    planes = framing.planes(volume, recipe)
    pixels = cpu.draw_frames(volume, recipe, planes, threads, progress, cancel)
    pixels.setflags(write=False)
    provenance = Provenance(
        recipe=recipe,
        engine=engine,
        engine_version=cpu.ENGINE_VERSION,
        device="",
        volume_digest=volume.digest,
        source_uids=volume.source_uids,
        warnings=volume.warnings,
    )
    unit = "RGB" if isinstance(recipe, VolumeRendering) else volume.unit
    return Picture(pixels, planes, unit, provenance)
