"""The window in another language: nothing of it is left out, and every catalogue fits the sentences."""

import re
import tomllib
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QCoreApplication
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QAbstractButton, QApplication, QDockWidget, QGroupBox, QLineEdit, QMenu
from pytestqt.qtbot import QtBot

from tests.workstation.desktop.sentences import FOLDER, sentences
from workstation.desktop.app import make_window
from workstation.desktop.charge_panel import said_of_missing
from workstation.desktop.language import Catalogue, languages, speak, tr
from workstation.desktop.model.verdicts import Missing


class _Marked(Catalogue):
    """Every sentence between angle quotes: what has none was not looked up."""

    def __init__(self) -> None:
        super().__init__({"": ""})

    def translate(self, context: str, text: str, disambiguation: str | None = None, n: int = -1) -> str | None:
        return f"«{text}»" if context == "workstation" else None


@pytest.fixture
def marked(qapp: QApplication) -> Iterator[None]:
    catalogue = _Marked()
    QCoreApplication.installTranslator(catalogue)
    yield
    QCoreApplication.removeTranslator(catalogue)


@pytest.mark.usefixtures("marked")
def test_everything_that_can_be_read_is_looked_up(root: object, qtbot: QtBot) -> None:
    from pathlib import Path

    assert isinstance(root, Path)
    window = make_window(root)
    qtbot.addWidget(window)
    window.show()
    with qtbot.waitSignal(window.ready, timeout=60_000):
        window.open_series(window.desk.studies.rows()[0].series_uid)
    window.helping.show_guide()
    assert window.viewer is not None
    data = {action.text() for menu in (window.menus.protocols, window.menus.comparisons) for action in menu.actions()}
    data |= {action.text() for action in window.viewer.actions()}  # windows have titles of their own
    data.add(window.dock.windowTitle())
    said = {action.text() for action in window.findChildren(QAction)} - data
    said |= {menu.title() for menu in window.findChildren(QMenu)}
    said |= {button.text() for button in window.findChildren(QAbstractButton)}
    said |= {box.title() for box in window.findChildren(QGroupBox)}
    said |= {edit.placeholderText() for edit in window.findChildren(QLineEdit)}
    said |= {dock.windowTitle() for dock in window.findChildren(QDockWidget)} - data
    said |= {window.tabs.tabText(n) for n in range(window.tabs.count())}
    said |= {line.text()[3:] for line in window.helping.guide.lines} if window.helping.guide else set()
    plain = sorted(text for text in said if text.strip() and "«" not in text and re.search("[a-z]", text))
    assert plain == []
    window.close()


@pytest.mark.parametrize("language", [name for name in languages() if name != "en"])
def test_a_catalogue_has_every_sentence_with_its_places(language: str) -> None:
    catalogue = tomllib.loads((FOLDER / "languages" / f"{language}.toml").read_text(encoding="utf-8"))["sentences"]
    assert set(catalogue) == set(sentences())
    for sentence, said in catalogue.items():
        assert set(re.findall(r"\{\w+\}", sentence)) == set(re.findall(r"\{\w+\}", said)), sentence


def test_german_is_spoken_and_an_unknown_language_refused(qapp: QApplication) -> None:
    catalogue = speak("de")
    assert catalogue is not None
    try:
        assert tr("Distance") == "Strecke" and tr("{count} studies.", count=3) == "3 Studien."
        assert tr("No such sentence") == "No such sentence"
        assert QCoreApplication.translate("QFileDialog", "Cancel") == "Cancel"  # Qt's own words stay
        missing = Missing("70486 already includes 3D rendering.", "nobody")
        assert said_of_missing(missing).startswith("70486 enthält das 3D-Rendering schon.")
        assert said_of_missing(Missing("No picture is captured.", "technologist")).startswith("Kein Bild")
    finally:
        QCoreApplication.removeTranslator(catalogue)
    assert tr("Distance") == "Distance"
    with pytest.raises(ValueError, match="'tlh' is not known"):
        speak("tlh")
