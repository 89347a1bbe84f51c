"""Translations: with the places of the English sentences, and whole for those who do not work here every day."""

import re
from pathlib import Path

from workstation.web.admin_pages import AREA
from workstation.web.words import sentences

WEB = Path(__file__).parents[3] / "workstation" / "web"
# Areas that are translated whole.
WHOLE = ("results", "admin")


def said_in(text: str) -> set[str]:
    """The sentences that a template or module says."""
    return {one or other for one, other in re.findall(r"""\btr\(\s*(?:"([^"]*)"|'([^']*)')""", text)}


def test_a_translation_has_the_places_of_its_sentence() -> None:
    for english, german in sentences("de").items():
        assert set(re.findall(r"\{(\w+)", english)) == set(re.findall(r"\{(\w+)", german)), english


def test_the_pages_of_links_and_administrators_are_german_as_a_whole() -> None:
    files = [file for area in WHOLE for file in (WEB / "templates" / area).glob("*.html")]
    files += [WEB / name for name in ("admin_pages.py", "people_pages.py", "results_pages.py", "link_pages.py")]
    said = {title for _, title in AREA}.union(*(said_in(file.read_text(encoding="utf-8")) for file in files))
    assert len(said) > 150
    assert sorted(said - sentences("de").keys()) == []
