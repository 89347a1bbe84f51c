"""Transfer functions and windows by name, from the TOML files beside this module.

A recipe holds a preset's values, not its name, so that editing a file changes no stored picture.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from render.recipe import ControlPoint, RecipeError, Shading, TransferFunction, Window

_WINDOWS = "windows"
_PRESET_KEYS = {"title", "unit", "source", "points"}
_PRESET_OPTIONS = {"shading", "gradient_opacity", "opacity_unit_mm"}
_WINDOW_KEYS = {"title", "unit", "source", "centre", "width"}
_WINDOW_OPTIONS = {"key"}


@dataclass(frozen=True, slots=True)
class NamedWindow:
    """A window with its name. unit : that of the volume it is for; `range` for fractions of the volume's own range.
    key : on the keyboard, empty for none. source : where the values come from."""

    name: str
    title: str
    unit: str
    key: str
    source: str
    window: Window


@dataclass(frozen=True, slots=True)
class NamedPreset:
    """A transfer function with its title and the source of its values."""

    title: str
    source: str
    transfer: TransferFunction


@cache
def preset_names() -> tuple[str, ...]:
    """Returns the names of the transfer functions, in alphabetical order."""
    names = (entry.name.removesuffix(".toml") for entry in files(__name__).iterdir() if entry.name.endswith(".toml"))
    return tuple(sorted(name for name in names if name != _WINDOWS))


@cache
def named_preset(name: str) -> NamedPreset:
    """Returns the preset of that name. Raises RecipeError for an unknown name or key."""
    if name not in preset_names():
        raise RecipeError(f"Preset {name!r} is not known; there are {', '.join(preset_names())}.")
    data = tomllib.loads((files(__name__) / f"{name}.toml").read_text(encoding="utf-8"))
    return NamedPreset(data.get("title", ""), data.get("source", ""), preset_from(name, data))


def load_preset(name: str) -> TransferFunction:
    """Returns the transfer function of that name. Raises RecipeError for an unknown name or key."""
    return named_preset(name).transfer


def preset_from(name: str, data: dict[str, Any]) -> TransferFunction:
    """Makes a transfer function from the keys of a preset file.

    points : lists of value, red, green, blue, opacity. Raises RecipeError that names the wrong key.
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
    """Returns the window of that name. Raises RecipeError for an unknown name or key."""
    found = next((named.window for named in windows() if named.name == name), None)
    if found is None:
        raise RecipeError(f"Window {name!r} is not known; there are {', '.join(named.name for named in windows())}.")
    return found


@cache
def windows() -> tuple[NamedWindow, ...]:
    """Returns all windows, first those with a keyboard key, by key. Raises RecipeError for an unknown key of the
    file."""
    return windows_from(tomllib.loads((files(__name__) / f"{_WINDOWS}.toml").read_text(encoding="utf-8")))


def windows_from(data: dict[str, Any]) -> tuple[NamedWindow, ...]:
    """Makes windows from the tables of a file. Raises RecipeError that names the window and the error."""
    found: list[NamedWindow] = []
    for name, fields in data.items():
        check_keys(f"Window {name!r}", fields, _WINDOW_KEYS, _WINDOW_OPTIONS)
        window = Window(
            float(fields["centre"]), float(fields["width"]), fields["unit"] == "range", fields["unit"] == "lumen"
        )
        key = str(fields.get("key", ""))
        if taken := next((named.name for named in found if key and named.key == key), None):
            raise RecipeError(f"Window {name!r}: key {key!r} is that of {taken!r}.")
        found.append(NamedWindow(name, fields["title"], fields["unit"], key, fields["source"], window))
    return tuple(sorted(found, key=lambda named: (not named.key, named.key)))


def check_keys(what: str, data: dict[str, Any], needed: set[str], allowed: set[str]) -> None:
    """Checks the keys of a data file. what : the file or entry, for the message. Raises RecipeError that names missing
    or unknown keys."""
    if missing := sorted(needed - data.keys()):
        raise RecipeError(f"{what}: {', '.join(missing)} missing.")
    if unknown := sorted(data.keys() - needed - allowed):
        raise RecipeError(f"{what}: unknown key {', '.join(unknown)}; known are {', '.join(sorted(needed | allowed))}.")
