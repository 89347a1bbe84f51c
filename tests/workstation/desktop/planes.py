"""Moves planes by millimetres, as no key and no wheel does: to where a test wants them."""

from render.geometry import vector
from workstation.desktop.model.edits import at_cursor
from workstation.desktop.model.screen import Screen, SliceName


def moved_away(screen: Screen, pane: SliceName, steps: float, step_mm: float) -> Screen:
    """Moves the plane of a pane away from the observer (steps > 0) or towards it, in the volume or beyond."""
    n = screen.slice(pane).view.towards_observer
    return at_cursor(screen, vector(c - steps * step_mm * a for c, a in zip(screen.cursor_mm, n, strict=True)))
