"""Which engine draws, and why. Asked once; the answer goes with every picture into its record.

Stored pictures are drawn by the cpu engine, whose bytes are the same everywhere, unless a site asks for vtk. What moves
under the mouse is drawn by a graphics processor where there is one. Software OpenGL counts as none.
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
    """engine : for the recipes it can draw. why : a sentence for people."""

    engine: EngineName
    why: str

    def for_recipe(self, recipe: Recipe) -> EngineName:
        """The engine of one recipe: the vtk engine draws volume renderings, and not all of them."""
        if self.engine == "vtk" and (not isinstance(recipe, VolumeRendering) or vtk.cannot(recipe)):
            return "cpu"
        return self.engine


def choose(purpose: DrawingPurpose, wish: EngineName = "cpu", device: Callable[[], str] = vtk.device) -> Choice:
    """wish : what the settings say of stored pictures; interaction does not ask.

    device : gives the name of the OpenGL renderer; called only where it matters, because asking starts a process.
    """
    if purpose == "stored" and wish == "cpu":
        return Choice("cpu", "stored pictures have the same bytes on every machine (setting `engine` can say vtk)")
    name = device()
    asked = "the setting `engine` asks for vtk" if purpose == "stored" else "interaction takes a graphics processor"
    if vtk.is_hardware(name):
        return Choice("vtk", f"{asked}, and there is one: {name}; projections and reformats stay with cpu")
    found = f"software OpenGL alone ({name}), which is slower than the cpu engine" if name else "no OpenGL"
    return Choice("cpu", f"{asked}, but this machine has {found}")
