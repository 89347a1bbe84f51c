"""The language of the window: English in the source, others as data in `languages/*.toml`.

A sentence is looked up as a whole, with its {places}. One that comes from another room with its places filled in, an
error or a reason of a charge, is recognised by `workstation.translation`. Without a translation it stays English.
"""

import tomllib
from importlib.resources import files

from PySide6.QtCore import QCoreApplication, QTranslator

from workstation.translation import recognised

_CONTEXT = "workstation"


def tr(text: str, /, **values: object) -> str:
    """Returns the text in the language of the window, with values in its {places}."""
    said = QCoreApplication.translate(_CONTEXT, text) or text
    return said.format_map(values) if values else said


def languages() -> list[str]:
    """Returns the names of the languages, English included."""
    found = (entry.name for entry in (files(__package__) / "languages").iterdir())
    return ["en", *sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml"))]


class Catalogue(QTranslator):
    """A translator over a mapping of sentences, and over those of other rooms in a language."""

    def __init__(self, sentences: dict[str, str], language: str = "en") -> None:
        super().__init__()
        self._sentences, self._language = sentences, language

    def translate(self, context: str, text: str, disambiguation: str | None = None, n: int = -1) -> str | None:
        # None, for Qt's own words too: an empty text would take their place.
        if context != _CONTEXT:
            return None
        return self._sentences.get(text) or recognised(text, self._language)

    def isEmpty(self) -> bool:  # noqa: N802
        return not self._sentences


def speak(language: str) -> Catalogue | None:
    """Installs a language in the application; returns None for English. Raises ValueError for an unknown language.

    Widgets read it when they are made, so call this before the first window.
    """
    if language == "en":
        return None
    if language not in languages():
        raise ValueError(f"Language {language!r} is not known; there are {', '.join(languages())}.")
    text = (files(__package__) / "languages" / f"{language}.toml").read_text(encoding="utf-8")
    catalogue = Catalogue(tomllib.loads(text)["sentences"], language)
    application = QCoreApplication.instance()
    assert application is not None
    application.installTranslator(catalogue)
    return catalogue
