"""Coarse pictures for the screen, while the mouse moves and until the full picture is there.

A coarse picture is the same recipe with fewer pixels over the same part of the patient. It is never stored: stored
pictures are drawn from the recipe itself.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

from render.curved import pixel_mm
from render.draw import draw
from render.engine import framing
from render.mask import Mask
from render.picture import Picture
from render.recipe import CurvedReformat, Recipe, Reformat, VolumeRendering
from render.volume import Volume


def coarser(volume: Volume, recipe: Recipe, factor: int) -> Recipe:
    """Returns the recipe with about 1 / factor of the rows and columns, over the same part of the patient.

    Raises ValueError for a factor below 1.
    """
    if factor < 1:
        raise ValueError(f"Factor {factor}: 1 or more is possible.")
    if factor == 1:
        return recipe
    rows, columns = max(1, recipe.rows // factor), max(1, recipe.columns // factor)
    if isinstance(recipe, VolumeRendering) and recipe.projection == "perspective":
        return replace(recipe, rows=rows, columns=columns)
    if isinstance(recipe, CurvedReformat):
        return replace(recipe, rows=rows, columns=columns, pixel_mm=pixel_mm(recipe) * recipe.rows / rows)
    height_mm = framing.planes(volume, recipe)[0].pixel_spacing_mm[0] * recipe.rows
    if isinstance(recipe, Reformat):
        return replace(recipe, rows=rows, columns=columns, pixel_mm=height_mm / rows)
    return replace(recipe, rows=rows, columns=columns, field_of_view_mm=height_mm)


def refined(
    volume: Volume,
    recipe: Recipe,
    *,
    factors: Sequence[int] = (4,),
    mask: Mask | None = None,
    engine: str = "cpu",
    threads: int | None = None,
    cancel: threading.Event | None = None,
) -> Iterator[Picture]:
    """Yields the picture from coarse to full: one for each factor, then the one that `draw` returns.

    Raises the errors of `draw`; Cancelled as soon as `cancel` is set, so that the next mouse move need not wait.
    """
    for factor in (*factors, 1):
        yield draw(volume, coarser(volume, recipe, factor), mask=mask, engine=engine, threads=threads, cancel=cancel)
