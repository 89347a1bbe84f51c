"""Presets and windows for a volume, with values in its unit: those that ship, and a reader's own. Knows no Qt."""

import json
import re
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from render import (
    Protocol,
    RecipeError,
    TransferFunction,
    Volume,
    VolumeRendering,
    Window,
    load_preset,
    load_protocol,
    preset_names,
    protocol_names,
)
from render.contrast import contrast_levels
from render.presets import NamedPreset, NamedWindow, named_preset, preset_from, windows
from render.recipe import Reformat
from render.resolve import settled
from workstation.strict import StrictError, toml_in

TABLE_ABOVE_HU = -300.0


@dataclass(frozen=True, slots=True)
class Looks:
    """The presets of a site. own : folder of TOML files like those in `render/presets`, made here or by hand."""

    own: Path | None = None

    def presets_for(self, unit: str, modality: str = "") -> list[str]:
        """Returns the names of the presets for values in that unit: those that ship, for the modality where one is
        given, then a reader's own."""
        kind = {"CT": "ct_", "MR": "mr_", "US": "us_"}.get(modality, "")
        names = [name for name in preset_names() if name.startswith(kind) and load_preset(name).unit in (unit, "range")]
        return names + [name for name in self._own_names() if self.preset(name).transfer.unit in (unit, "range")]

    def preset(self, name: str) -> NamedPreset:
        """Returns the preset of that name. Raises RecipeError, with the file's name for a reader's own preset."""
        if name in preset_names() or self.own is None:
            return named_preset(name)
        file = self.own / f"{name}.toml"
        try:
            data = toml_in(file)
            return NamedPreset(data.get("title", name), data.get("source", ""), preset_from(name, data))
        except (OSError, StrictError, RecipeError) as error:
            raise RecipeError(f"{file}: {error}") from error

    def title_of(self, name: str) -> str:
        """Returns the title of a preset; of one that is not there, its name with spaces."""
        return _title(self, name)

    def transfer_of(self, volume: Volume, name: str) -> TransferFunction:
        """Returns a preset with values in the unit of the volume."""
        recipe = settled(volume, VolumeRendering(self.preset(name).transfer))
        assert isinstance(recipe, VolumeRendering)
        return recipe.transfer

    def save(self, title: str, transfer: TransferFunction) -> str:
        """Saves a transfer function as a preset. Returns its name. Raises RecipeError for a title without letter or
        digit, or with the name of a preset that ships."""
        name = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")
        if not name:
            raise RecipeError(f"{title!r} has no letter or digit; a preset needs a name.")
        if name in preset_names():
            raise RecipeError(f"A preset called {name!r} ships with the program; choose another name.")
        if self.own is None:
            raise RecipeError("There is no folder for presets of your own.")
        self.own.mkdir(parents=True, exist_ok=True)
        part = self.own / f"{name}.part"
        part.write_text(_as_toml(title, transfer), encoding="utf-8")
        part.replace(self.own / f"{name}.toml")
        _title.cache_clear()
        return name

    def _own_names(self) -> list[str]:
        """Returns the names of the readable ones: one damaged file must not hide the others."""
        found = []
        for file in sorted(self.own.glob("*.toml")) if self.own is not None else []:
            try:
                self.preset(file.stem)
            except RecipeError:
                continue
            found.append(file.stem)
        return found


@lru_cache
def _title(looks: Looks, name: str) -> str:
    """Kept, as a corner of a pane asks for it at every move of the mouse."""
    try:
        title = looks.preset(name).title
    except RecipeError:
        title = ""
    return title or name.replace("_", " ")


def _as_toml(title: str, transfer: TransferFunction) -> str:
    """Writes a preset file. Strings and numbers of JSON are valid TOML too."""
    rows = ",\n".join(f"    {json.dumps([p.value, p.red, p.green, p.blue, p.opacity])}" for p in transfer.points)
    lines = [
        f"title = {json.dumps(title)}",
        f"unit = {json.dumps(transfer.unit)}",
        f'source = "A reader\'s own, from {transfer.name}"',
        f"points = [\n{rows},\n]",
        f"opacity_unit_mm = {transfer.opacity_unit_mm}",
    ]
    if transfer.shading is not None:
        terms = ", ".join(f"{key} = {value}" for key, value in asdict(transfer.shading).items())
        lines.append(f"shading = {{ {terms} }}")
    if transfer.gradient_opacity is not None:
        lines.append(f"gradient_opacity = {list(transfer.gradient_opacity)}")
    return "\n".join(lines) + "\n"


def windows_for(unit: str) -> list[NamedWindow]:
    """Returns the windows for values in that unit, those with a key first."""
    return [window for window in windows() if window.unit in (unit, "range")]


def window_of(volume: Volume, window: Window) -> Window:
    """Returns a window with values in the unit of the volume."""
    recipe = settled(volume, Reformat(window))
    assert isinstance(recipe, Reformat)
    return recipe.window


def protocols_for(volume: Volume, modality: str) -> list[Protocol]:
    """Returns the protocols that suit the volume, by title."""
    found = [load_protocol(name) for name in protocol_names()]
    fitting = [p for p in found if p.modality == modality and p.unit in (volume.unit, "range")]
    if any(p.needs_dye for p in fitting) and contrast_levels(volume) is None:
        fitting = [p for p in fitting if not p.needs_dye]
    return sorted(fitting, key=lambda protocol: protocol.title)


def unit_words(unit: str) -> str:
    """Returns a unit of values as it stands behind a number; empty for values without one, whose unit is 1 (UCUM)."""
    return "" if unit == "1" else unit
