"""Presets and windows for a volume, with their values in its unit. Knows no Qt."""

from render import (
    Protocol,
    TransferFunction,
    Volume,
    VolumeRendering,
    Window,
    load_preset,
    load_protocol,
    load_window,
    preset_names,
    protocol_names,
)
from render.presets import NamedWindow, windows
from render.recipe import Reformat
from render.settle import settled
from workstation.desktop.screen import Screen, opened

TABLE_ABOVE_HU = -300.0


def presets_for(unit: str) -> list[str]:
    """Names of the presets that suit values in that unit."""
    return [name for name in preset_names() if load_preset(name).unit in (unit, "range")]


def windows_for(unit: str) -> list[NamedWindow]:
    """Windows that suit values in that unit, those with a key first."""
    return [window for window in windows() if window.unit in (unit, "range")]


def transfer_of(volume: Volume, name: str) -> TransferFunction:
    """A preset with values in the unit of the volume."""
    recipe = settled(volume, VolumeRendering(load_preset(name)))
    assert isinstance(recipe, VolumeRendering)
    return recipe.transfer


def window_of(volume: Volume, window: Window) -> Window:
    """A window with values in the unit of the volume."""
    recipe = settled(volume, Reformat(window))
    assert isinstance(recipe, Reformat)
    return recipe.window


def protocols_for(volume: Volume, modality: str) -> list[Protocol]:
    """Protocols that suit the volume, by title."""
    found = [load_protocol(name) for name in protocol_names()]
    fitting = (p for p in found if p.modality == modality and p.unit in (volume.unit, "range"))
    return sorted(fitting, key=lambda protocol: protocol.title)


def first_screen(volume: Volume, modality: str) -> Screen:
    """The first screen, with window and preset that suit the modality."""
    if volume.unit == "HU":
        return opened(volume, Window(50.0, 400.0), transfer_of(volume, "ct_bone"), TABLE_ABOVE_HU)
    preset = "us_volume" if modality == "US" else "mr_default"
    return opened(volume, window_of(volume, load_window("full")), transfer_of(volume, preset))
