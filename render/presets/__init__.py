"""Transfer functions and windows by name, from the TOML files beside this module.

A preset is only a start: recipes hold its values, not its name, so that editing a file changes no stored picture.
"""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from render.recipe import ControlPoint, RecipeError, Shading, TransferFunction, Window

_WINDOWS = "windows"
_PRESET_KEYS = {"title", "unit", "source", "points"}
_PRESET_OPTIONS = {"shading", "gradient_opacity", "opacity_unit_mm"}
_WINDOW_KEYS = {"unit", "source", "centre", "width"}


def preset_names() -> tuple[str, ...]:
    """Names of the transfer functions, in alphabetical order."""
    names = (entry.name.removesuffix(".toml") for entry in files(__name__).iterdir() if entry.name.endswith(".toml"))
    return tuple(sorted(name for name in names if name != _WINDOWS))


def window_names() -> tuple[str, ...]:
    return tuple(_windows())


@cache
def load_preset(name: str) -> TransferFunction:
    """The transfer function of that name. Raises RecipeError for an unknown name or key."""
    if name not in preset_names():
        raise RecipeError(f"Preset {name!r} is not known; there are {', '.join(preset_names())}.")
    return preset_from(name, tomllib.loads((files(__name__) / f"{name}.toml").read_text(encoding="utf-8")))


def preset_from(name: str, data: dict[str, Any]) -> TransferFunction:
    """A transfer function from the keys of a preset file.

    points : lists of value, red, green, blue, opacity. Raises RecipeError naming the key that is wrong.
    """
    check_keys(f"Preset {name!r}", data, _PRESET_KEYS, _PRESET_OPTIONS)
    options: dict[str, Any] = {key: data[key] for key in _PRESET_OPTIONS & data.keys()}
    try:
        points = tuple(ControlPoint(*(float(v) for v in point)) for point in data["points"])
        if "shading" in options:
            check_keys(f"Preset {name!r}, shading", options["shading"], set(), set(Shading.__dataclass_fields__))
            options["shading"] = Shading(**options["shading"])
        if "gradient_opacity" in options:
            low, high = options["gradient_opacity"]
            options["gradient_opacity"] = (float(low), float(high))
        return TransferFunction(name, data["unit"], points, **options)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"Preset {name!r}: {error}") from error


def load_window(name: str) -> Window:
    """The window of that name. Raises RecipeError for an unknown name or key."""
    if name not in _windows():
        raise RecipeError(f"Window {name!r} is not known; there are {', '.join(_windows())}.")
    return _windows()[name]


@cache
def _windows() -> dict[str, Window]:
    found: dict[str, Window] = {}
    data = tomllib.loads((files(__name__) / f"{_WINDOWS}.toml").read_text(encoding="utf-8"))
    for name, fields in data.items():
        check_keys(f"Window {name!r}", fields, _WINDOW_KEYS, set())
        found[name] = Window(float(fields["centre"]), float(fields["width"]), relative=fields["unit"] == "range")
    return found


def check_keys(what: str, data: dict[str, Any], needed: set[str], allowed: set[str]) -> None:
    """Raises RecipeError naming what is missing or unknown among the keys of a data file."""
    if missing := sorted(needed - data.keys()):
        raise RecipeError(f"{what}: {', '.join(missing)} missing.")
    if unknown := sorted(data.keys() - needed - allowed):
        raise RecipeError(f"{what}: unknown key {', '.join(unknown)}; known are {', '.join(sorted(needed | allowed))}.")
