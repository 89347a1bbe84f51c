"""Chooses the engine once, with the reason; the choice is recorded with every picture.

The cpu engine draws what follows the mouse: the vtk engine sends the whole volume to the card for every picture, which
takes longer than drawing it (`docs/benchmarks.md`), and what is on screen is what will be stored. It draws stored
pictures too, as its bytes are the same everywhere, unless a site asks for vtk. Software OpenGL does not count as a
graphics processor.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from render.engine import vtk
from render.recipe import Recipe, VolumeRendering

EngineName = Literal["cpu", "vtk"]


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen engine. engine : for the recipes that it can draw. why : a sentence for people."""

    engine: EngineName
    why: str

    def for_recipe(self, recipe: Recipe) -> EngineName:
        """Returns the engine for one recipe: the vtk engine draws only volume renderings, and not all of them."""
        if self.engine == "vtk" and (not isinstance(recipe, VolumeRendering) or vtk.cannot(recipe)):
            return "cpu"
        return self.engine


def choose(wish: EngineName = "cpu", device: Callable[[], str] = vtk.device) -> Choice:
    """Chooses the engine of stored pictures. wish : the setting.

    device : returns the name of the OpenGL renderer; called only if needed, because it starts a process.
    """
    if wish == "cpu":
        return Choice("cpu", "stored pictures have the same bytes on every machine (setting `engine` can say vtk)")
    name, asked = device(), "the setting `engine` asks for vtk"
    if vtk.is_hardware(name):
        return Choice("vtk", f"{asked}, and there is one: {name}; projections and reformats stay with cpu")
    found = f"software OpenGL alone ({name}), which is slower than the cpu engine" if name else "no OpenGL"
    return Choice("cpu", f"{asked}, but this machine has {found}")
