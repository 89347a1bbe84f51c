"""The one way to make a picture: a volume and a recipe go in, a Picture comes out. Pure and repeatable."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from render.engine import cpu, framing, vtk
from render.engine.tiles import Cancelled
from render.errors import RenderError
from render.fusion import fused_frames
from render.geometry import IDENTITY, Box, Plane, Vector, composed, point
from render.mask import Mask
from render.mask_steps import StepError
from render.picture import Picture, Pixels, Provenance
from render.progress import PartDone
from render.recipe import Recipe, Reformat, Solid, TransferFunction, VolumeRendering, in_colour
from render.resolve import settled
from render.volume import Volume

__all__ = ["ENGINES", "Cancelled", "DrawError", "draw"]

ENGINES = ("cpu", "vtk")
_AROUND_MM = 4.0  # of what fills the picture


class DrawError(RenderError):
    """A recipe cannot be drawn from this volume; the message says why and what to do."""


def draw(
    volume: Volume,
    recipe: Recipe,
    *,
    mask: Mask | None = None,
    second: Volume | None = None,
    engine: str = "cpu",
    threads: int | None = None,
    progress: PartDone | None = None,
    cancel: threading.Event | None = None,
) -> Picture:
    """Draws one recipe. Values that it leaves to the volume are filled in first (`settled`), and recorded.

    Every frame of a rotation and every plane of a stack is a frame of the one picture.

    engine : `cpu`, the same bytes everywhere, or `vtk`, volume renderings on a graphics processor.
    mask : the labels for the recipe's `masking`, where its `segments` make none; a recipe without rules ignores it.
    second : the volume that the recipe's `fusion` draws over the first; a recipe without one ignores it.
    threads : None takes one for each processor; the pixels do not depend on it.
    progress : called on this thread with the part done, 0…1.
    cancel : once set, drawing stops between two tiles.

    Raises DrawError when the recipe does not suit the volume or the engine is unknown, Cancelled after `cancel`.
    """
    if engine not in ENGINES:
        raise DrawError(f"Engine {engine!r} is not known; there is {', '.join(ENGINES)}.")
    over = _second(recipe, second)
    recipe = settled(volume, recipe, over)
    if isinstance(recipe, VolumeRendering):
        _check_unit(recipe.transfer, volume)
    for drawn in (volume, over):
        if drawn is not None and engine == "cpu" and drawn.voxels.size > cpu.MOST_VOXELS:
            raise DrawError(
                f"The volume has {drawn.voxels.size} voxels; the cpu engine takes {cpu.MOST_VOXELS} at most. Nothing "
                "was drawn; build it from fewer slices."
            )
    mask = _needed(volume, recipe, mask)
    if isinstance(recipe, Solid) and recipe.fit == "shown":
        recipe = replace(recipe, fit="volume", crop=recipe.crop or _box_of_shown(volume, recipe, mask))
    if isinstance(recipe, Solid | Reformat) and recipe.fit == "body":
        from render.body_frame import filled_by_body  # as late as any mask

        recipe = filled_by_body(volume, recipe)
    planes = framing.planes(volume, recipe)
    if over is not None and isinstance(recipe, VolumeRendering) and recipe.fusion is not None:
        _check_unit(recipe.fusion.transfer, over)
    if engine == "vtk":
        pixels: Pixels = _by_vtk(volume, recipe, planes, progress, cancel)
        version, device = vtk.version(), vtk.device()
    elif over is not None and isinstance(recipe, Reformat | VolumeRendering):
        pixels = fused_frames(volume, recipe, over, planes, threads, progress, cancel, mask)
        version, device = cpu.ENGINE_VERSION, ""
    else:
        pixels = cpu.frames.draw_frames(volume, recipe, planes, threads, progress, cancel, mask)
        version, device = cpu.ENGINE_VERSION, ""
    pixels.setflags(write=False)
    provenance = Provenance(
        recipe=recipe,
        engine=engine,
        engine_version=version,
        device=device,
        volume=volume,
        mask_digest=mask.digest if mask is not None else "",
        second=over,
    )
    unit = "RGB" if in_colour(recipe) else volume.unit
    return Picture(pixels, planes, unit, provenance)


def _check_unit(transfer: TransferFunction, volume: Volume) -> None:
    if transfer.unit != volume.unit:
        raise DrawError(
            f"Transfer function {transfer.name!r} is for values in {transfer.unit!r}, the volume is in "
            f"{volume.unit!r}. Nothing was drawn; choose a preset with the volume's unit."
        )


def _second(recipe: Recipe, second: Volume | None) -> Volume | None:
    """Returns the second volume if the recipe fuses one. Raises DrawError when it is missing, or another one."""
    if not isinstance(recipe, Reformat | VolumeRendering) or recipe.fusion is None:
        return None
    if second is None:
        raise DrawError(
            f"Recipe {recipe.name or recipe.kind!r} fuses a second volume, and none was given. Nothing was drawn; give "
            "the one it was registered for, or take its fusion out."
        )
    if recipe.fusion.volume_digest not in ("", second.digest):
        raise DrawError(
            "The second volume is not the one that the recipe fuses: its digest is another. Nothing was drawn; give "
            "the one it was made for."
        )
    return second


def _by_vtk(
    volume: Volume,
    recipe: Recipe,
    planes: Sequence[Plane],
    progress: PartDone | None,
    cancel: threading.Event | None,
) -> Pixels:
    """Draws with the vtk engine. Raises DrawError for recipes that it does not support, and without a graphics
    processor."""
    if not isinstance(recipe, VolumeRendering):
        raise DrawError(f"The vtk engine draws volume renderings, not a {recipe.kind}; draw it with the cpu engine.")
    if missing := vtk.cannot(recipe):
        raise DrawError(f"The vtk engine does not draw {', '.join(missing)}; draw it with the cpu engine.")
    if not vtk.is_hardware(vtk.device()):
        found = f"only software OpenGL ({vtk.device()})" if vtk.device() else "no OpenGL"
        raise DrawError(f"The vtk engine needs a graphics processor, and there is {found} here; use the cpu engine.")
    return vtk.draw_frames(volume, recipe, planes, progress, cancel)


def _box_of_shown(volume: Volume, recipe: Solid, mask: Mask | None) -> Box | None:
    """Returns the box, LPS mm, around the labels that are drawn; None where no rule includes any."""
    from render.segment.grid import box_of

    wanted = [rule.label for rule in recipe.masking if rule.action == "include"]
    if mask is None or not wanted:
        return None
    moves = {move.label: move.transform for move in recipe.moves} if isinstance(recipe, VolumeRendering) else {}
    staying = [label for label in wanted if label not in moves]
    groups = [(staying, IDENTITY), *(([label], moves[label]) for label in wanted if label in moves)]
    corners: list[Vector] = []
    for labels, transform in groups:
        shown = np.zeros(256, dtype=np.uint8)  # by label: six times as quick as `np.isin`
        shown[labels] = 1
        block = box_of(shown[mask.labels]) if labels else None
        if block is not None:
            affine = volume.affine if transform is IDENTITY else composed(volume.affine, np.array(transform))
            corners += [point(affine, at) for at in product(*[(float(s.start), float(s.stop - 1)) for s in block])]
    if not corners:
        return None
    low, high = ([edge(corner[axis] for corner in corners) for axis in range(3)] for edge in (min, max))
    return Box(tuple(round(v - _AROUND_MM, 1) for v in low), tuple(round(v + _AROUND_MM, 1) for v in high))  # type: ignore[arg-type]


def _needed(volume: Volume, recipe: Recipe, mask: Mask | None) -> Mask | None:
    """Returns the mask if the recipe has rules for it. Raises DrawError when it is missing, of another grid, or cannot
    be made from the recipe's steps."""
    if not isinstance(recipe, Solid) or not recipe.masking:
        return None
    if recipe.segments:
        if mask is not None:
            raise DrawError(
                "A mask was given, and the recipe says how to make one. Nothing was drawn; drop one of them."
            )
        # Loaded with the first mask: its libraries take longer than many a command.
        from render.segment import made

        try:
            return made(volume, recipe.segments)
        except StepError as error:
            raise DrawError(str(error)) from error
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
