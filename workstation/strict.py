"""Strict reading of JSON-like values into frozen dataclasses, with errors that name the key at fault."""

import json
import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from workstation.errors import WorkstationError

# Set as `__pydantic_config__` of every dataclass that is read: no unknown key, and no 1 for true.
STRICT = ConfigDict(extra="forbid", strict=True)

_Value = TypeVar("_Value")


_ADAPTERS: dict[type, TypeAdapter[Any]] = {}


def adapter(kind: type[_Value]) -> TypeAdapter[_Value]:
    """Returns what reads and writes a type, made when it is first needed: for settings or facts that takes long."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def _iso_date(found: Any) -> Any:
    # pydantic also reads a number of seconds as a date; ISO and nothing else is meant.
    if not isinstance(found, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", found):
        raise ValueError("not a date written as YYYY-MM-DD")
    return found


IsoDate = Annotated[date, Field(strict=False), BeforeValidator(_iso_date)]


class StrictError(WorkstationError):
    """The value does not fit. The message has one line for every problem, each beginning with the full key path."""


def json_in(file: Path) -> Any:
    """Returns what the JSON of a file says. Raises StrictError, also for a key said twice, and OSError."""
    try:
        return json.loads(file.read_text(encoding="utf-8"), object_pairs_hook=_said_once)
    except UnicodeDecodeError as error:
        raise StrictError(f"byte {error.start} is no UTF-8; save it as that.") from None
    except RecursionError:
        raise StrictError(_TOO_DEEP) from None
    except ValueError as error:  # no JSON, or a number of thousands of digits
        raise StrictError(f"no JSON: {error}") from None


def toml_in(file: Path) -> dict[str, Any]:
    """Returns what the TOML of a file says. Raises StrictError, and OSError."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise StrictError(f"byte {error.start} is no UTF-8; save it as that.") from None
    except RecursionError:
        raise StrictError(_TOO_DEEP) from None
    except ValueError as error:
        raise StrictError(f"no TOML: {error}") from None


_TOO_DEEP = "lists or objects stand in each other too deeply to be read."


def _said_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Readers differ in which of the two they believe.
    said = dict(pairs)
    if len(said) < len(pairs):
        keys = [key for key, _ in pairs]
        raise StrictError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is there twice; leave one.")
    return said


def read_strictly(kind: type[_Value], obj: object, whole: str) -> _Value:
    """Read `obj`, as `json.loads` returns it (dates may be dates); `whole` names it where no key can.

    Raises
    ------
    StrictError
        A key is missing or unknown, or a value is not allowed.
    """
    # Validated as JSON text: only there do strict types let an array be a tuple and an ISO string be a date.
    try:
        text = json.dumps(obj, allow_nan=False, ensure_ascii=False, default=_plain).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise StrictError(f"{whole}: this is not JSON: {error}") from None
    try:
        return adapter(kind).validate_json(text)
    except ValidationError as error:
        raise StrictError("\n".join(_sentence(each, whole, obj) for each in error.errors(include_url=False))) from None


def _plain(value: object) -> str:
    # `datetime` is a date to isinstance; a time of day is not.
    if type(value) is date:
        return value.isoformat()
    raise TypeError(f"a {type(value).__name__} has no place in JSON")


_WANTED = {
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "an object",
    "dataclass_type": "an object",
}


def _path(steps: tuple[int | str, ...], obj: Any) -> str:
    """Where in `obj` an error is, without what pydantic adds: the class that `kind` has chosen."""
    path, here, chosen = "", obj, False
    for step in steps:
        # Once for a value: a destination of kind folder has a key of that name too.
        if isinstance(here, dict) and here.get("kind") == step and not chosen:
            chosen = True
            continue
        chosen = False
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
        try:
            here = here[step]
        except (LookupError, TypeError):
            here = None
    return path


def _sentence(detail: ErrorDetails, whole: str, obj: object) -> str:
    kind, found = detail["type"], json.dumps(detail["input"], ensure_ascii=False)
    found = found if len(found) <= 60 else found[:57] + "..."
    path = _path(detail["loc"], obj)
    if kind == "union_tag_invalid":
        allowed = ", ".join(re.findall(r"'([^']*)'", detail["ctx"]["expected_tags"]))
        return f"{path}.kind: {detail['ctx']['tag']!r} is not one of {allowed}"
    if kind == "union_tag_not_found":
        path, kind = f"{path}.kind", "missing"
    path = path or whole
    if kind == "missing":
        return f"{path}: this key is missing; nothing is assumed for it"
    if kind == "unexpected_keyword_argument":
        return f"{path}: this key is not known; remove it or correct its spelling"
    if kind == "literal_error":
        allowed = ", ".join(re.findall(r"[^', ]+", detail["ctx"]["expected"].replace(" or ", ", ")))
        value = f"'{detail['input']}'" if isinstance(detail["input"], str) else found
        return f"{path}: {value} is not one of {allowed}"
    if kind == "string_pattern_mismatch":
        return f"{path}: {found} is empty, has a blank at an end, or has a control character"
    if kind in _WANTED:
        return f"{path}: found {found}, expected {_WANTED[kind]}"
    message = detail["msg"].removeprefix("Value error, ")
    return f"{path}: {found}: {message[:1].lower()}{message[1:]}"
