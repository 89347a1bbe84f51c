"""Sentences of the program in another language: the reasons of a charge, errors, and why a series makes no volume.

They are made, stored and sent in English, by rooms that know no reader; decisions of earlier days are on file as
English text alone. So a screen recognises them by their form. `languages/LANGUAGE.toml` has the form, which is the
English sentence with {places} for what is filled in ({place:w} for one word), and what it is in that language. There
`{place!t}` says that what was filled in is itself a sentence, a word or a list, and is translated as well; `[words]`
are for these places alone.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from string import Formatter
from typing import Any

# In characters; what is longer was not said by this program alone, and would take long to compare.
_LONGEST = 4000


def translated(text: str, language: str) -> str:
    """Returns a sentence of the program in a language; as it is where no form fits it, as in English."""
    found = recognised(text, language)
    return text if found is None else found


@lru_cache(maxsize=4096)
def recognised(text: str, language: str) -> str | None:
    """Returns a sentence of the program in a language, or several, or one behind a name and a colon; None where no form
    fits any of it."""
    if len(text) > _LONGEST:
        return None
    phrases = _phrases(language)
    for form in phrases.forms:
        if form.longest in text and (found := form.pattern.fullmatch(text)):
            return phrases.vformat(form.said, (), found.groupdict())
    if not phrases.forms:
        return None
    for end in reversed([found.start() for found in _BETWEEN.finditer(text)]):
        first, rest = recognised(text[:end], language), recognised(text[end + 1 :], language)
        if first is not None or rest is not None:
            return f"{first or text[:end]} {rest or text[end + 1 :]}"
    name, mark, behind = text.partition(": ")
    said = recognised(behind, language) if mark else None
    return f"{name}: {said}" if said is not None else None


# Where one sentence ends and the next begins.
_BETWEEN = re.compile(r"(?<=[.!?]) (?=\S)")


@dataclass(frozen=True, slots=True)
class _Form:
    """longest : of the pieces between the places, to leave most texts out quickly. fixed : letters that are no place's.
    said : in the other language."""

    pattern: re.Pattern[str]
    longest: str
    fixed: int
    said: str


class _Phrases(Formatter):
    """The forms of a language, those with most letters of their own first, and its words."""

    def __init__(self, language: str, sentences: Mapping[str, str], words: Mapping[str, str]) -> None:
        forms = (_form(sentence, said) for sentence, said in sentences.items())
        self.forms = tuple(sorted(forms, key=lambda form: form.fixed, reverse=True))
        self.words, self.language = words, language

    def convert_field(self, value: Any, conversion: Any) -> Any:
        return self.filled_in(value) if conversion == "t" else super().convert_field(value, conversion)

    def filled_in(self, value: str) -> str:
        """What was filled in, translated: a word or a sentence; else a list of them, as far as its parts are known."""
        whole = self.words.get(value) or recognised(value, self.language)
        if whole is not None:
            return whole
        for mark in ("; ", ", ", " and ", " or ", " to "):
            if mark in value:
                # The longest beginning that is a sentence: sentences have commas and semicolons of their own.
                ends = [found.start() for found in re.finditer(re.escape(mark), value)]
                for end in reversed(ends):
                    first = value[:end]
                    begun = self.words.get(first) or recognised(first, self.language)
                    if begun is not None or end == ends[0]:
                        begun = self.filled_in(first) if begun is None else begun
                        return begun + self.words.get(mark, mark) + self.filled_in(value[end + len(mark) :])
        return value


@cache
def _phrases(language: str) -> _Phrases:
    file = files(__package__) / "languages" / f"{language}.toml"
    found = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return _Phrases(language, found.get("sentences", {}), found.get("words", {}))


def _form(sentence: str, said: str) -> _Form:
    fixed = re.split(r"\{\w+(?::w)?\}", sentence)
    pieces, seen = [re.escape(fixed[0])], set[str]()
    for (place, word), after in zip(re.findall(r"\{(\w+)(:w)?\}", sentence), fixed[1:], strict=True):
        anything = r"\S+?" if word else ".*?"
        pieces += [f"(?P={place})" if place in seen else f"(?P<{place}>{anything})", re.escape(after)]
        seen.add(place)
    return _Form(re.compile("".join(pieces), re.DOTALL), max(fixed, key=len), sum(map(len, fixed)), said)
