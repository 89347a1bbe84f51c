"""Edits of the tray: each takes a screen and returns another. Knows no Qt."""

from collections.abc import Sequence
from dataclasses import replace

from render.recipe import CurvedReformat, Recipe, Reformat
from workstation.desktop.model import edits
from workstation.desktop.model.screen import SLICES, Capture, Origin, PaneName, Screen, SliceName, recipe_of


def from_protocol(screen: Screen, recipes: Sequence[Recipe], origin: Origin = "protocol") -> Screen:
    """Captures the pictures of a protocol, and notes that they are the protocol's, or of another origin."""
    count = len(screen.captures)
    after = edits.collected(screen, recipes)
    coming = (replace(capture, origin=origin) for capture in after.captures[count:])
    return replace(after, captures=(*after.captures[:count], *coming))


def renamed(screen: Screen, number: int, name: str) -> Screen:
    """Gives a captured picture another name; a name that is taken gets a number. An empty one changes nothing."""
    capture, name = screen.captures[number], " ".join(name.split())[:64]
    if not name or name == capture.recipe.name:
        return screen
    return _with(screen, number, replace(capture, recipe=replace(capture.recipe, name=_free(screen, number, name))))


def moved(screen: Screen, number: int, to: int) -> Screen:
    """Moves a captured picture to another place among them."""
    to = min(max(to, 0), len(screen.captures) - 1)
    captures = list(screen.captures)
    captures.insert(to, captures.pop(number))
    return replace(screen, captures=tuple(captures))


def retaken(screen: Screen, number: int) -> Screen:
    """Takes a captured picture anew as its pane is now; name, tick and size stay. What a protocol made is adjusted
    then."""
    capture, pane = screen.captures[number], pane_of(screen, number)
    taken = recipe_of(screen, pane, capture.recipe.rows, capture.recipe.columns)
    rotation = getattr(capture.recipe, "rotation", None)
    if taken is None:
        return screen
    taken = replace(taken, name=capture.recipe.name, **({"rotation": rotation} if rotation is not None else {}))
    if taken == capture.recipe:
        return screen
    origin: Origin = "mine" if capture.origin == "mine" else "adjusted"
    second = edits.second_of(screen, taken)
    return _with(screen, number, replace(capture, recipe=taken, origin=origin, second=second))


def pane_of(screen: Screen, number: int) -> PaneName:
    """Returns the pane that shows what a captured picture is of: of planes, the one that looks most alike."""
    return _pane_for(screen, screen.captures[number].recipe)


def _pane_for(screen: Screen, recipe: Recipe) -> PaneName:
    if isinstance(recipe, CurvedReformat):
        return "curved"
    if not isinstance(recipe, Reformat):
        return "solid"
    towards = recipe.view.towards_observer

    def alike(name: SliceName) -> float:
        return abs(sum(a * b for a, b in zip(towards, screen.slice(name).view.towards_observer, strict=True)))

    return max(SLICES, key=alike)


def adjusted(screen: Screen, first: Screen, recipe: Recipe) -> bool:
    """Whether a captured picture differs from what its pane showed when the study was opened. first : the screen as it
    was then."""
    pane = _pane_for(screen, recipe)
    before = recipe_of(first, pane, recipe.rows, recipe.columns)
    if before is None or before.kind != recipe.kind:
        return True
    rotation = getattr(recipe, "rotation", None)
    return replace(before, name=recipe.name, **({"rotation": rotation} if rotation is not None else {})) != recipe


def _with(screen: Screen, number: int, capture: Capture) -> Screen:
    captures = list(screen.captures)
    captures[number] = capture
    return replace(screen, captures=tuple(captures))


def _free(screen: Screen, number: int, name: str) -> str:
    taken = {capture.recipe.name for n, capture in enumerate(screen.captures) if n != number}
    found, count = name, 2
    while found in taken:
        found, count = f"{name} ({count})", count + 1
    return found
