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

# In characters; what is longer was not said by this program alone, and would take long to compare.
_LONGEST = 4000
# So many sentences behind each other are told apart, so many parts of a list, and so many levels of what is filled in.
_MOST_SENTENCES, _MOST_PARTS, _DEEPEST = 12, 40, 5
# Where one sentence ends and the next begins.
_BETWEEN = re.compile(r"(?<=[.!?]) (?=\S)")
_PLACE, _SAID_PLACE = re.compile(r"\{(\w+)(:w)?\}"), re.compile(r"\{(\w+)(!t)?\}")
_MARKS = ("; ", ", ", " and ", " or ", " to ")


def translated(text: str, language: str) -> str:
    """Returns a sentence of the program in a language; as it is where no form fits it, as in English."""
    found = recognised(text, language)
    return text if found is None else found


@lru_cache(maxsize=4096)
def recognised(text: str, language: str) -> str | None:
    """Returns a sentence of the program in a language, or several, or one behind a name and a colon; None where no form
    fits any of it."""
    phrases = _phrases(language)
    return phrases.said(text, 0) if phrases.forms and len(text) <= _LONGEST else None


@dataclass(frozen=True, slots=True)
class _Form:
    """longest : of the pieces between the places, to leave most texts out quickly. fixed : letters that are no place's.
    said : in the other language."""

    pattern: re.Pattern[str]
    longest: str
    fixed: int
    said: str


class _Phrases:
    """The forms of a language, those with most letters of their own first, and its words."""

    def __init__(self, sentences: Mapping[str, str], words: Mapping[str, str]) -> None:
        forms = (_form(sentence, said) for sentence, said in sentences.items())
        self.forms = tuple(sorted(forms, key=lambda form: form.fixed, reverse=True))
        self.words = words

    def said(self, text: str, depth: int) -> str | None:
        """What a text is in the language. depth : how many sentences it is filled into."""
        whole = self._one(text, depth)
        pieces = _BETWEEN.split(text) if whole is None else []
        if not 1 < len(pieces) <= _MOST_SENTENCES:
            return whole
        found, known = [], False
        while pieces:  # the longest beginning that is a form: some have several sentences
            for count in range(len(pieces), 0, -1):
                first = " ".join(pieces[:count])
                said = self._one(first, depth)
                if said is not None or count == 1:
                    found.append(first if said is None else said)
                    known, pieces = known or said is not None, pieces[count:]
                    break
        return " ".join(found) if known else None

    def _one(self, text: str, depth: int) -> str | None:
        """One sentence, or one behind a name."""
        said = self._formed(text, depth)
        if said is not None:
            return said
        for mark in list(re.finditer(": ", text))[:3]:
            said = self._formed(text[mark.end() :], depth)
            if said is not None:
                return text[: mark.end()] + said
        return None

    def _formed(self, text: str, depth: int) -> str | None:
        for form in self.forms:
            if form.longest in text and (found := form.pattern.fullmatch(text)):
                return _SAID_PLACE.sub(
                    lambda place: self._filled_in(found[place[1]], depth + 1) if place[2] else found[place[1]],
                    form.said,
                )
        return None

    def _filled_in(self, value: str, depth: int) -> str:
        """What was filled in: a word or a sentence; else a list of them, as far as its parts are known."""
        if depth > _DEEPEST:
            return value
        whole = self.words.get(value) or self.said(value, depth)
        if whole is not None:
            return whole
        for mark in _MARKS:
            parts = value.split(mark)
            if 1 < len(parts) <= _MOST_PARTS:
                return self.words.get(mark, mark).join(self._listed(parts, mark, depth))
        return value

    def _listed(self, parts: list[str], mark: str, depth: int) -> list[str]:
        found = []
        while parts:  # the longest beginning that is known: sentences have commas and semicolons of their own
            for count in range(len(parts), 0, -1):
                first = mark.join(parts[:count])
                said = self.words.get(first) or self.said(first, depth)
                if said is not None or count == 1:
                    found.append(self._filled_in(first, depth + 1) if said is None else said)
                    parts = parts[count:]
                    break
        return found


@cache
def _phrases(language: str) -> _Phrases:
    file = files(__package__) / "languages" / f"{language}.toml"
    found = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return _Phrases(found.get("sentences", {}), found.get("words", {}))


def _form(sentence: str, said: str) -> _Form:
    parts = _PLACE.split(sentence)  # what is fixed, then a place's name and whether it is a word, and so on
    fixed, seen = parts[::3], set[str]()
    pieces = [re.escape(fixed[0])]
    for place, word, after in zip(parts[1::3], parts[2::3], fixed[1:], strict=True):
        anything = r"\S+?" if word else ".*?"
        pieces += [f"(?P={place})" if place in seen else f"(?P<{place}>{anything})", re.escape(after)]
        seen.add(place)
    return _Form(re.compile("".join(pieces), re.DOTALL), max(fixed, key=len), sum(map(len, fixed)), said)
