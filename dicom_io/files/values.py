"""Reads attributes as scanners send them: missing, empty, malformed or private. No function here raises for them."""

import math
from collections.abc import Iterable
from struct import unpack
from typing import Any

from pydicom.dataset import Dataset

from dicom_io.files.elements import Header


def text(ds: Dataset | None, keyword: str) -> str:
    value = ds.get(keyword) if ds is not None else None
    return "" if value is None else str(value).strip()


def integer(ds: Dataset, keyword: str) -> int:
    try:
        return int(ds.get(keyword) or 0)
    except (TypeError, ValueError):
        return 0


def many(value: Any) -> tuple[Any, ...]:
    """Returns no value, one value or several as a tuple."""
    if value is None or value == "":
        return ()
    return (value,) if isinstance(value, str | bytes) or not hasattr(value, "__iter__") else tuple(value)


def first(ds: Dataset | None, keyword: str) -> Dataset | None:
    """Returns the first item of a sequence, None where there is none."""
    sequence = ds.get(keyword) if ds is not None else None
    item = sequence[0] if sequence and not isinstance(sequence, str | bytes) else None
    return item if isinstance(item, Dataset) else None


def numbers(ds: Dataset | None, keyword: str, count: int) -> tuple[float, ...] | None:
    """Returns `count` finite numbers, or None when the attribute is missing, empty or malformed."""
    return _checked(many(ds.get(keyword)), count) if ds is not None else None


def number(ds: Dataset | None, keyword: str) -> float | None:
    found = numbers(ds, keyword, 1)
    return found[0] if found else None


def _checked(values: Iterable[Any], count: int, limit: float = 1e9) -> tuple[float, ...] | None:
    try:
        found = tuple(float(v) for v in values)
    except (TypeError, ValueError):
        return None
    return found if len(found) == count and all(abs(v) < limit for v in found) else None


def private(ds: Dataset, group: int, creator: str, element: int) -> Any:
    """Returns the value of a private attribute, None where its creator reserved no block. Source: PS3.5 7.8.1."""
    if isinstance(ds, Header):
        return ds.private_value(group, creator, element)
    try:
        return ds.private_block(group, creator)[element].value
    except (KeyError, ValueError):
        return None


def private_numbers(ds: Dataset, group: int, creator: str, element: int, count: int) -> tuple[float, ...] | None:
    """Returns `count` numbers of a private attribute, even where implicit VR left it as bytes (FD, FL or text)."""
    value = private(ds, group, creator, element)
    if isinstance(value, bytes):
        for size, code in ((8, "d"), (4, "f")):
            if len(value) == size * count:
                found = unpack(f"<{count}{code}", value)
                if all(math.isfinite(v) and (v == 0 or 1e-6 < abs(v) < 1e6) for v in found):
                    return found
        value = value.decode("ascii", "replace").strip("\0 ").split("\\")
    return _checked(many(value), count, limit=1e10)  # GE adds 10⁹ to its b-values


def private_text(ds: Dataset, group: int, creator: str, element: int) -> str:
    """Returns a private attribute as text, also where implicit VR left it as bytes; empty where there is none."""
    value = private(ds, group, creator, element)
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace").strip("\0 ")
    return "" if value is None else str(value).strip()


def plain(value: Any) -> str:
    """Writes a value as a trait: numbers in one format, so that 5.19 and 5.190 are the same echo time."""
    words = [str(v).strip() for v in many(value)]
    try:
        return "\\".join(f"{float(w):.12g}" for w in words)
    except ValueError:
        return "\\".join(words)
