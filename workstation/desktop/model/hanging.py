"""How a series is hung when it is opened: by rules in `hanging.toml`, a site's own first. Knows no Qt."""

import re
import tomllib
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, ValidationError

from dicom_io.volumes.build import Stack, assemble
from render import Picture, Reformat, View, Volume, draw, preset_names
from render.geometry import cross, vector
from render.presets import NamedWindow, named_preset, windows
from workstation.desktop.model.edits import thickened
from workstation.desktop.model.identity import SeriesIdentity
from workstation.desktop.model.looks import TABLE_ABOVE_HU, Looks, window_of
from workstation.desktop.model.screen import SLICES, Layout, Screen, opening_screen
from workstation.errors import WorkstationError
from workstation.strict import StrictError, adapter, toml_in


class HangingError(WorkstationError):
    """A file of hanging rules is invalid; the message names the file, the rule and what is wrong."""


@dataclass(frozen=True, slots=True)
class HangingRule:
    """A rule. modality, words, contrast : what it fits; empty or None fits everything. The rest : what it does."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    title: str
    window: str
    preset: str
    modality: str = ""
    words: tuple[str, ...] = ()
    contrast: bool | None = None
    layout: Layout = "four"
    slab_mm: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 0.0

    def fits(self, identity: SeriesIdentity, unit: str) -> bool:
        """Whether the rule fits a series, and its window and preset the unit of its values."""
        if self.modality and self.modality != identity.modality:
            return False
        if self.contrast is not None and self.contrast != bool(identity.contrast):
            return False
        said = set(re.findall(r"\w+", identity.described.upper().replace("_", " ")))
        if self.words and not said & {word.upper() for word in self.words}:
            return False
        units = (_windows()[self.window].unit, named_preset(self.preset).transfer.unit)
        return all(one in (unit, "range") for one in units)


@cache
def _windows() -> dict[str, NamedWindow]:
    return {window.name: window for window in windows()}


def load_hanging(own: Path | None = None) -> tuple[HangingRule, ...]:
    """Reads the rules, a site's own first. Raises HangingError."""
    shipped = tomllib.loads((files(__package__) / "hanging.toml").read_text(encoding="utf-8"))
    rules = tuple(adapter(HangingRule).validate_python(rule) for rule in shipped["hanging"])
    if own is None or not own.exists():
        return rules
    try:
        given = toml_in(own)
        if unknown := sorted(given.keys() - {"hanging"}):
            raise HangingError(f"{own}: unknown table {unknown[0]!r}; there is [[hanging]].")
        if not isinstance(given.get("hanging", []), list):
            raise HangingError(f"{own}: a rule is a table [[hanging]]. Nothing was taken from it.")
        first = tuple(adapter(HangingRule).validate_python(rule) for rule in given.get("hanging", []))
    except (StrictError, OSError) as error:
        what = "cannot be read: " if isinstance(error, OSError) else ""
        raise HangingError(f"{own}: {what}{str(error).rstrip('.')}. Nothing was taken from it.") from error
    except ValidationError as error:
        wrong = error.errors()[0]
        where = ".".join(str(part) for part in wrong["loc"])
        raise HangingError(f"{own}: {where}: {wrong['msg']}. Nothing was taken from it.") from error
    names, presets = set(_windows()), set(preset_names())
    for rule in first:
        if rule.window not in names:
            known = ", ".join(sorted(names))
            raise HangingError(f"{own}, {rule.title!r}: no window {rule.window!r}; there are {known}.")
        if rule.preset not in presets:
            known = ", ".join(sorted(presets))
            raise HangingError(f"{own}, {rule.title!r}: no preset {rule.preset!r}; there are {known}.")
    return (*first, *rules)


def hung(volume: Volume, identity: SeriesIdentity, rules: tuple[HangingRule, ...]) -> Screen:
    """Returns the first screen of a volume: as the first rule that fits says."""
    rule = next(rule for rule in rules if rule.fits(identity, volume.unit))
    looks = Looks()
    window = window_of(volume, _windows()[rule.window].window)
    above = TABLE_ABOVE_HU if volume.unit == "HU" else None
    screen = opening_screen(volume, window, looks.transfer_of(volume, rule.preset), above)
    for name in SLICES:
        screen = thickened(screen, name, rule.slab_mm)
    return replace(screen, layout=rule.layout)


def middle_image(stack: Stack, identity: SeriesIdentity, rules: tuple[HangingRule, ...], side_px: int) -> Picture:
    """Returns the middle image of a stack in its first window, with so many rows and columns; reads only the slices
    around it. Raises NotReadable and VolumeRefused."""
    middle = max(len(stack.slices) // 2, 1)
    volume = assemble(replace(stack, slices=stack.slices[middle - 1 : middle + 1], uneven=""))
    right, down = (vector(volume.affine[:3, axis]) for axis in (2, 1))
    view = View.facing([-v for v in cross(right, down)], [-v for v in down])
    pixel = max(n * s for n, s in zip(volume.shape[1:], volume.spacing_mm[1:], strict=True)) / side_px
    window = hung(volume, identity, rules).window
    return draw(volume, Reformat(window, view, rows=side_px, columns=side_px, pixel_mm=pixel, name="preview"))
