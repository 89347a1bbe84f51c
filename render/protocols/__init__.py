"""Protocols: named lists of recipes for a clinical question, from the TOML files beside this module.

A recipe in a protocol file may give `preset` (a transfer function) and `window` by name; loading the protocol replaces
both by their values.
"""

import tomllib
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from render.mask_steps import StepError
from render.presets import check_keys, load_preset, load_window
from render.recipe import Recipe, RecipeError, Solid, VolumeRendering, read_recipe
from render.resolve import LUMEN
from render.volume import Volume

_KEYS = {"title", "clinical_use", "region", "modality", "unit", "source", "recipes"}


@dataclass(frozen=True, slots=True)
class Protocol:
    """A named list of recipes. name : of the file. clinical_use : the question it answers. region : body region in
    words. modality : `CT` … unit : of the volumes it is for. source : of the choice of pictures."""

    name: str
    title: str
    clinical_use: str
    region: str
    modality: str
    unit: str
    source: str
    recipes: tuple[Recipe, ...]

    @property
    def needs_dye(self) -> bool:
        """Whether it is placed by blood with dye, and cannot be drawn where none is seen."""
        return any(
            recipe.transfer.unit == LUMEN if isinstance(recipe, VolumeRendering) else recipe.window.of_lumen
            for recipe in self.recipes
        )


def protocol_names() -> tuple[str, ...]:
    """Returns the names of the protocols, in alphabetical order."""
    names = (entry.name for entry in files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


@cache
@cache
def load_protocol(name: str) -> Protocol:
    """Returns the protocol of that name. Raises RecipeError for an unknown name or key."""
    if name not in protocol_names():
        raise RecipeError(f"Protocol {name!r} is not known; there are {', '.join(protocol_names())}.")
    return protocol_from(name, tomllib.loads((files(__name__) / f"{name}.toml").read_text(encoding="utf-8")))


def protocol_from(name: str, data: dict[str, Any]) -> Protocol:
    """Makes a protocol from the keys of a protocol file. Raises RecipeError that names the recipe and the wrong
    key."""
    check_keys(f"Protocol {name!r}", data, _KEYS, set())
    recipes = []
    for number, fields in enumerate(data["recipes"], 1):
        try:
            recipes.append(_recipe(dict(fields)))
        except RecipeError as error:
            raise RecipeError(f"Protocol {name!r}, recipe {number}: {error}") from error
    if len({recipe.name for recipe in recipes}) < len(recipes) or not all(recipe.name for recipe in recipes):
        raise RecipeError(f"Protocol {name!r}: every recipe needs a name of its own.")
    return Protocol(name=name, **{key: data[key] for key in _KEYS - {"recipes"}}, recipes=tuple(recipes))


def drawable(volume: Volume, protocol: Protocol) -> tuple[tuple[Recipe, ...], tuple[str, ...]]:
    """Returns the recipes that can be drawn of the volume, and of each other one its name and why: a tool that its mask
    needs declines. Others need no mask, and are not held up by it.

    Raises RecipeError where nothing is left, with the first reason.
    """
    from render.segment import made  # as late as any mask: see `draw`

    found: list[Recipe] = []
    left_out: list[str] = []
    for recipe in protocol.recipes:
        try:
            if isinstance(recipe, Solid) and recipe.masking:
                made(volume, recipe.segments)
            found.append(recipe)
        except StepError as error:
            left_out.append(f"{recipe.name} is left out: {error}")
    if not found:
        raise RecipeError(f"Protocol {protocol.name!r}: {left_out[0]}")
    return tuple(found), tuple(left_out)


def _recipe(fields: dict[str, Any]) -> Recipe:
    if "preset" in fields:
        fields["transfer"] = asdict(load_preset(fields.pop("preset")))
    if isinstance(fields.get("window"), str):
        fields["window"] = asdict(load_window(fields["window"]))
    return read_recipe(fields)
