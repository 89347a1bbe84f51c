"""Which classes hold the settings, and where the page of settings says what their keys are."""

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints


def kinds_of(kind: type, place: str = "") -> Iterator[tuple[str, type]]:
    """A class of settings and every one that its fields hold, however deep: in tuples, dicts, unions, optionals.

    Yields each with the key of the outermost table that it is read from, "" for the first. One that has a table of its
    own is looked for there, and not again where another table may hold it too.
    """
    yield place, kind
    hints = get_type_hints(kind)
    own = {field.name: list(_dataclasses_in(hints[field.name])) for field in fields(kind)}
    for name, kinds in own.items():
        for inner in kinds:
            elsewhere = {each for other, several in own.items() if other != name for each in several}
            for where, found in kinds_of(inner, place or name):
                if place or found is inner or found not in elsewhere:
                    yield where, found


def key_of(kind: type, name: str) -> str:
    """How a field is written in the file: its alias where it has one."""
    for each in get_args(get_type_hints(kind, include_extras=True)[name]):
        if getattr(each, "alias", None):
            return str(each.alias)
    return name


def _dataclasses_in(hint: Any) -> Iterator[type]:
    if isinstance(hint, type) and is_dataclass(hint):
        yield hint
    for inner in get_args(hint):
        yield from _dataclasses_in(inner)


def undocumented(page: str, kind: type, where: str = "") -> list[str]:
    """The keys of `kind`, and of all that it holds, that a page does not name.

    where : the table that `kind` itself is read from; "" for the top level of the file. Keys of a table have to stand
    in the part of the page about that table: `host` of one is not explained by `host` of another.
    """
    found = []
    for place, one in kinds_of(kind, where):
        part = part_about(page, place) if place else page
        if not part:
            found.append(f"nothing is about [{place}], which {one.__name__} is read from")
        spans = " ".join(re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", part, flags=re.DOTALL)))
        for field in fields(one):
            key = key_of(one, field.name)
            said = re.search(rf"`(\[\[?)?{key}[`.\]]", part) if not place else re.search(rf"(?<!\w){key}(?!\w)", spans)
            if part and not said:
                found.append(f"{one.__name__}.{key} is not named" + (f" in the part about [{place}]" if place else ""))
    return found


_BEGINS = r"(?:\A|Each |\. |\()`\[\[?{}(?:\.\w+)?\]\]?`"


def part_about(page: str, table: str) -> str:
    """The part of the page about a table of settings: from the paragraph that begins with `[table]`, or that has
    "Each `[[table]]`" or "(`[[table]]`)", up to the next heading or table of settings; without one, the row that
    explains the key."""
    parts, within = [], False
    for block in re.split(r"\n\s*\n", page):
        if re.search(_BEGINS.format(table), block):
            within = True
        elif block.startswith("#") or re.search(_BEGINS.format(r"\w+"), block):
            within = False
        if within:
            parts.append(block)
    row = re.search(rf"^\| `{table}` \|.*", page, re.MULTILINE)
    return "\n\n".join(parts) or (row[0] if row else "")
