"""The languages of the pages: English in the source, others as data in `languages/*.toml`.

A sentence is looked up as a whole, with its {places}. One that comes from another room with its places filled in, an
error or a reason of a charge, is recognised by `workstation.translation`. Without a translation it stays English.
"""

import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files

from workstation.translation import translated

Translate = Callable[..., str]
ENGLISH = "en"


@cache
def sentences(language: str) -> Mapping[str, str]:
    """Returns the sentences of a language by the English ones; empty for English and for what is not known."""
    file = files(__package__) / "languages" / f"{language}.toml"
    if language == ENGLISH or not file.is_file():
        return {}
    found: dict[str, str] = tomllib.loads(file.read_text(encoding="utf-8"))["sentences"]
    return found


@cache
def languages() -> tuple[str, ...]:
    """Returns the names of the languages, English first."""
    found = (entry.name for entry in (files(__package__) / "languages").iterdir())
    return (ENGLISH, *sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml")))


def preferred(wanted: str, accepted: str) -> str:
    """Returns the language to speak: the one that was chosen, else the browser's first that there is, else English.

    accepted : the header Accept-Language. Source: RFC 9110, 12.5.4.
    """
    if wanted in languages():
        return wanted
    ranked = []
    for place, part in enumerate(accepted.split(",")[:20]):
        name, _, weight = part.strip().partition(";q=")
        try:
            ranked.append((-float(weight or 1), place, name.strip()[:2].lower()))
        except ValueError:
            continue
    return next((name for _, _, name in sorted(ranked) if name in languages()), ENGLISH)


def translator(language: str) -> Translate:
    """Returns the function that says a sentence in a language, with values in its {places}."""
    known = sentences(language)

    def tr(text: str, /, **values: object) -> str:
        said = known.get(text) or translated(text, language)
        return said.format_map(values) if values else said

    return tr
