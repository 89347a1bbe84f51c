"""The settings as they are in force: each value, where it comes from, and whether the file says another one by now."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from workstation.config import Config, ConfigError, load_config
from workstation.strict import StrictError, toml_in

_PREFIX = "WORKSTATION_SET_"
_HIDDEN = "•••"
# Names of values that nobody reads from a page. Files that hold secrets are named by their path, which is none.
_SECRET = re.compile(r"(^|_)(password|secret|token|pin)$")
# What an entry of a list is called by.
_NAMES = ("name", "application", "begins")
_IN_URL = re.compile(r"(?<=://)[^/@\s]+@")


@dataclass(frozen=True, slots=True)
class ShownSetting:
    """key : as settings.md has it, `receiver.port`; of a list with the name of its entry, `destinations.pacs.port`.
    value : in force in this process, as text. source : `default`, `file` or the name of an environment variable.
    changed : what file and environment say by now, where that is something else, empty where it is gone: it
    holds after a restart."""

    key: str
    value: str
    source: str
    changed: str | None = None


def settings_of(
    root: Path, running: Config, environment: Mapping[str, str] | None = None
) -> tuple[tuple[ShownSetting, ...], str]:
    """Returns every setting, and why what the file says by now cannot be read; empty where it can."""
    environment = os.environ if environment is None else environment
    why, now = "", running
    try:
        now = load_config(root, environment)
    except ConfigError as error:
        why = str(error)
    said = _in_file(root)
    later = dict(_flat(now))
    found = []
    for key, value in _flat(running):
        coming = later.pop(key, "")
        source = _source(key, said, environment)
        found.append(ShownSetting(key, value, source, coming if coming != value else None))
    found += [ShownSetting(key, "", _source(key, said, environment), value) for key, value in later.items()]
    return tuple(found), why


def _in_file(root: Path) -> dict[str, Any]:
    try:
        return toml_in(root / "config.toml")
    except (OSError, StrictError):
        return {}


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yields every value below, by its dotted key, as text without secrets."""
    if is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            yield from _flat(getattr(value, each.name), f"{key}.{each.name}" if key else each.name)
    elif isinstance(value, dict) and value:
        for name, each in value.items():
            yield from _flat(each, f"{key}.{name}")
    elif isinstance(value, tuple) and value and all(is_dataclass(each) for each in value):
        for number, each in enumerate(value, start=1):
            name = next(filter(None, (getattr(each, word, "") for word in _NAMES)), number)
            yield from _flat(each, f"{key}.{name}")
    else:
        yield key, _text(key.rpartition(".")[2], value)


def _text(name: str, value: Any) -> str:
    if value in (None, "", (), {}):
        return ""
    if _SECRET.search(name):
        return _HIDDEN
    if isinstance(value, bool):
        return "true" if value else "false"
    text = ", ".join(map(str, value)) if isinstance(value, tuple | frozenset | list) else str(value)
    return _IN_URL.sub(f"{_HIDDEN}@", text)


def _source(key: str, said: dict[str, Any], environment: Mapping[str, str]) -> str:
    parts = key.split(".")
    for count in range(len(parts), 0, -1):
        name = _PREFIX + "__".join(parts[:count]).upper()
        if name in environment:
            return name
    here: Any = said
    for part in parts:
        if isinstance(here, list):
            named = [each for each in here if isinstance(each, dict) and part in map(str, _names(each))]
            here = named[0] if named else here[int(part) - 1] if part.isdigit() and int(part) <= len(here) else None
        elif isinstance(here, dict) and part in here:
            here = here[part]
        else:
            return "default"
    return "default" if here is None else "file"


def _names(entry: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(entry.get(key, "") for key in _NAMES)
