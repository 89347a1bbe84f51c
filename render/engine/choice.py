"""Chooses the engine once, with the reason; the choice is recorded with every picture.

The cpu engine draws stored pictures, as its bytes are the same everywhere, unless a site asks for vtk. A graphics
processor, where there is one, draws pictures that follow the mouse. Software OpenGL does not count as one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from render.engine import vtk
from render.recipe import Recipe, VolumeRendering

EngineName = Literal["cpu", "vtk"]
DrawingPurpose = Literal["stored", "interactive"]


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


def choose(purpose: DrawingPurpose, wish: EngineName = "cpu", device: Callable[[], str] = vtk.device) -> Choice:
    """Chooses an engine. wish : the setting for stored pictures; ignored for interaction.

    device : returns the name of the OpenGL renderer; called only if needed, because it starts a process.
    """
    if purpose == "stored" and wish == "cpu":
        return Choice("cpu", "stored pictures have the same bytes on every machine (setting `engine` can say vtk)")
    name = device()
    asked = "the setting `engine` asks for vtk" if purpose == "stored" else "interaction takes a graphics processor"
    if vtk.is_hardware(name):
        return Choice("vtk", f"{asked}, and there is one: {name}; projections and reformats stay with cpu")
    found = f"software OpenGL alone ({name}), which is slower than the cpu engine" if name else "no OpenGL"
    return Choice("cpu", f"{asked}, but this machine has {found}")
