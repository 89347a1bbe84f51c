"""Protocols: named lists of recipes for a clinical question, from the TOML files beside this module.

A recipe in a protocol file may give `preset` (a transfer function) and `window` by name; loading the protocol replaces
both by their values. It may say `needs`, a structure without which the picture shows nothing and is left out; and
`if_declined = "whole"`, that it is drawn without its mask where a tool of that declines.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, get_args

from render.mask_steps import StepError, Structure
from render.presets import check_keys, load_preset, load_window
from render.recipe import Recipe, RecipeError, Solid, VolumeRendering, read_recipe
from render.resolve import LUMEN
from render.volume import Volume

# What a protocol file says of a recipe that is not the recipe's own.
_OF_PROTOCOLS = ("needs", "if_declined")
_KEYS = {"title", "clinical_use", "region", "modality", "unit", "source", "recipes"}


@dataclass(frozen=True, slots=True)
class Protocol:
    """A named list of recipes. name : of the file. clinical_use : the question it answers. region : body region in
    words. modality : `CT` … unit : of the volumes it is for. source : of the choice of pictures. needs : of a recipe,
    by its name, the structure that has to be there. whole : names of recipes that are drawn without their mask where a
    tool of it declines."""

    name: str
    title: str
    clinical_use: str
    region: str
    modality: str
    unit: str
    source: str
    recipes: tuple[Recipe, ...]
    whole: frozenset[str] = frozenset()
    needs: Mapping[str, Structure] = field(default_factory=lambda: MappingProxyType({}), hash=False)

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
    recipes: list[Recipe] = []
    needs: dict[str, Structure] = {}
    whole: set[str] = set()
    for number, fields in enumerate(data["recipes"], 1):
        try:
            needed = fields.get("needs")
            if needed is not None and needed not in get_args(Structure):
                raise RecipeError(f"needs {needed!r}: there are {', '.join(get_args(Structure))}.")
            if fields.get("if_declined", "whole") != "whole":
                raise RecipeError(f"if_declined {fields['if_declined']!r}: only 'whole' is possible.")
            recipes.append(_recipe({key: value for key, value in fields.items() if key not in _OF_PROTOCOLS}))
            if "if_declined" in fields:
                whole.add(recipes[-1].name)
            if needed is not None:
                needs[recipes[-1].name] = needed
        except RecipeError as error:
            raise RecipeError(f"Protocol {name!r}, recipe {number}: {error}") from error
    if len({recipe.name for recipe in recipes}) < len(recipes) or not all(recipe.name for recipe in recipes):
        raise RecipeError(f"Protocol {name!r}: every recipe needs a name of its own.")
    said = {key: data[key] for key in _KEYS - {"recipes"}}
    return Protocol(name=name, **said, recipes=tuple(recipes), whole=frozenset(whole), needs=MappingProxyType(needs))


def drawable(volume: Volume, protocol: Protocol) -> tuple[tuple[Recipe, ...], tuple[str, ...]]:
    """Returns the recipes that can be drawn of the volume, and of each other one its name and why: a tool that it
    needs declines. Others need no mask, and are not held up by it.

    Raises RecipeError where nothing is left, with the first reason.
    """
    from render.segment import find, made  # as late as any mask: see `draw`

    found: list[Recipe] = []
    left_out: list[str] = []
    for recipe in protocol.recipes:
        try:
            if recipe.name in protocol.needs and (why := find(volume, protocol.needs[recipe.name]).declined):
                raise StepError(why)
            if isinstance(recipe, Solid) and recipe.masking:
                made(volume, recipe.segments)
            found.append(recipe)
        except StepError as error:
            if recipe.name in protocol.whole and isinstance(recipe, Solid):
                found.append(replace(recipe, segments=(), masking=(), fit="body"))
                left_out.append(f"{recipe.name} shows the whole: {error}")
            else:
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
