"""The languages of the pages: every sentence has its German one, with the same places."""

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from workstation.administration.overview import LEASE_WORDS
from workstation.administration.site_check import What
from workstation.charge.facts import Region, SupervisionAct, TechniqueName
from workstation.charge.reasons import REASONS
from workstation.coder.acts import ANSWERS
from workstation.preparation.proposals import STEPS
from workstation.records import plain_words
from workstation.web import admin_pages, app, case_pages, coder_pages, physician_pages, words
from workstation.web.words import languages, preferred, sentences, translator

ROOM = Path(words.__file__).parent
# A sentence in a call of `tr`: one literal, or several behind each other.
_SAID = re.compile(r"\btr\(\s*((?:\"(?:[^\"\\]|\\.)*\"\s*)+|'(?:[^'\\]|\\.)*')")


def said() -> Iterator[tuple[str, str]]:
    """Every sentence of the pages, with where it stands."""
    for file in sorted([*ROOM.rglob("*.html"), *ROOM.glob("*.py")]):
        for found in _SAID.finditer(file.read_text(encoding="utf-8")):
            yield ast.literal_eval(f"({found[1]})"), file.name
    yield from ((each.title, "app.py") for each in app.BAR)
    yield from ((title, "admin_pages.py") for _, title in admin_pages.AREA)
    yield from ((title, "coder_pages.py") for _, _, title in coder_pages.COLUMNS)
    yield from ((said, "case_pages.py") for _, _, said in case_pages.ACTS.values())
    yield from ((name, "case_pages.py") for name in case_pages.ACTS if name not in ("rebill", "denied"))
    yield from ((said, "physician_pages.py") for said in physician_pages.FACT_WORDS.values())
    yield from ((words, "overview.py") for words in LEASE_WORDS.values())
    yield from ((what, "site_check.py") for what in get_args(What))
    yield from ((step, "proposals.py") for step in STEPS)
    yield from ((kind, "acts.py") for kind, _ in ANSWERS.values())
    yield from ((each.code, "reasons.py") for each in REASONS)
    yield from ((each.resolver, "reasons.py") for each in REASONS)
    yield from ((each, "facts.py") for kind in (TechniqueName, Region, SupervisionAct) for each in get_args(kind))
    yield from ((each, "plain_words.py") for each in plain_words._ACTS)
    yield "CORRECTION_DUE", "work_list.py"
    yield from ((state, "cases.py") for state in ("held", "correction", "queued", "sent", "acknowledged", "operator"))


def places(sentence: str) -> list[str]:
    return sorted(name for _, name, _, _ in string.Formatter().parse(sentence) if name)


@pytest.mark.parametrize("language", [each for each in languages() if each != "en"])
def test_every_sentence_is_there_with_its_places(language: str) -> None:
    known = sentences(language)
    found = dict(said())
    assert len(found) > 500
    assert {text: where for text, where in found.items() if text not in known} == {}
    assert {text for text in found if places(known[text]) != places(text)} == set()


@pytest.mark.parametrize(
    ("wanted", "accepted", "spoken"),
    [
        ("", "", "en"),
        ("", "de-CH, fr;q=0.9", "de"),
        ("", "fr, en;q=0.5, de;q=0.4", "en"),
        ("", "fr;q=nonsense, de", "de"),
        ("en", "de", "en"),
        ("../../etc", "de", "de"),
        ("", "x" * 5000, "en"),
    ],
)
def test_what_a_browser_asks_for(wanted: str, accepted: str, spoken: str) -> None:
    assert preferred(wanted, accepted) == spoken


def test_what_nobody_has_translated_is_said_in_english() -> None:
    assert translator("de")("No such sentence, {name}", name="x") == "No such sentence, x"
