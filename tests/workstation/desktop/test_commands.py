"""Commands by name, icons, and what Esc leaves."""

from collections.abc import Callable

import pytest
from PySide6.QtCore import QPoint, QSize, Qt, QTimer
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from tests.workstation.desktop.gestures import drag
from workstation.desktop.icons import ICONS, icon
from workstation.desktop.palette import CommandPalette, matched
from workstation.desktop.theme import COLOURS, Theme, style_sheet
from workstation.desktop.viewer import TOOLS, Viewer
from workstation.desktop.window import MainWindow


@pytest.mark.parametrize(
    ("text", "name", "rank"),
    [
        ("", "Undo", 0),
        ("un", "Undo", 0),
        ("abd", "Window › Abdomen", 0),
        ("bone rem", "3D: remove bone", 1),
        ("mea", "Panel: measures", 1),
        ("easure", "Panel: measures", 2),
        ("crt", "Capture a rotation", 3),
        ("xyz", "Undo", None),
    ],
)
def test_a_few_letters_find_a_command(text: str, name: str, rank: int | None) -> None:
    assert matched(text, name) == rank


def test_a_command_is_run_by_its_name(reading: Viewer, reading_window: MainWindow, qtbot: QtBot) -> None:
    def act() -> None:
        palette = QApplication.activeModalWidget()
        if not isinstance(palette, CommandPalette):
            QTimer.singleShot(20, act)
            return
        assert palette.list.count() > 60
        qtbot.keyClicks(palette.search, "three pl")
        first = palette.list.item(0)
        assert first is not None and "Three planes" in first.text()
        qtbot.keyClick(palette.search, Qt.Key.Key_Return)

    QTimer.singleShot(0, act)
    qtbot.keyClick(reading_window, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    assert reading.session.screen.layout == "planes"


def test_every_tool_and_button_has_an_icon_and_its_key_in_the_tooltip(
    reading: Viewer, reading_window: MainWindow
) -> None:
    shown = {*reading_window.menus.tools.actions(), *reading_window.menus.bar.actions()}
    for name, action in reading_window.menus.actions.items():
        if action in shown:
            assert name in ICONS and not action.icon().isNull(), name
            assert reading_window.keys.keys[name] in action.toolTip()
    assert set(TOOLS) <= set(ICONS)
    for name in ICONS:
        image = icon(name, "#ffffff", "#000000").pixmap(QSize(20, 20)).toImage()
        inked = sum(image.pixelColor(x, y).alpha() > 0 for x in range(20) for y in range(20))
        assert 12 < inked < 300, name


def test_esc_leaves_the_measure_the_selection_the_tool_and_never_the_study(
    reading: Viewer, reading_window: MainWindow, qtbot: QtBot
) -> None:
    def escape() -> None:
        qtbot.keyClick(reading_window, Qt.Key.Key_Escape)

    reading.choose_tool("distance")
    drag(qtbot, reading.panes["axial"], (100, 150), (160, 150))
    qtbot.mouseClick(reading.panes["axial"], Qt.MouseButton.LeftButton, pos=QPoint(100, 200))
    assert reading.gestures.hand.points
    escape()
    assert not reading.gestures.hand.points and reading.tool == "distance"
    reading.select(0)
    escape()
    assert reading.selected is None and reading.tool == "distance"
    escape()
    assert reading.tool == "window" and len(reading.session.screen.measures) == 1
    escape()
    assert reading_window.viewer is reading and reading.isVisible()
    qtbot.keyClick(reading_window, Qt.Key.Key_W, Qt.KeyboardModifier.ControlModifier)
    assert reading_window.viewer is None


def test_panels_fold_away_and_come_back(
    reading: Viewer, reading_window: MainWindow, qtbot: QtBot, settled: Callable[[Viewer], None]
) -> None:
    narrow = reading.width()
    qtbot.keyClick(reading_window, Qt.Key.Key_B, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: reading.width() > narrow + 200)
    settled(reading)
    qtbot.keyClick(reading_window, Qt.Key.Key_B, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: reading.width() == narrow)


@pytest.mark.parametrize("theme", COLOURS)
def test_words_stand_out_from_what_is_behind_them(theme: Theme) -> None:
    """Source: WCAG 2.2, 1.4.3 (AA): 4.5 to 1 for words."""

    def luminance(name: str) -> float:
        parts = [int(COLOURS[theme][name][n : n + 2], 16) / 255.0 for n in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    pairs = [(words, behind) for words in ("text", "dim", "bad") for behind in ("back", "raised")] + [
        ("back", "accent")
    ]
    for words, behind in pairs:
        low, high = sorted((luminance(words), luminance(behind)))
        assert (high + 0.05) / (low + 0.05) >= 4.5, (words, behind)
    sheet = style_sheet(theme)
    for rule in sheet.split("}"):
        assert "selection-background-color" not in rule or f"selection-color: {COLOURS[theme]['back']}" in rule


def test_bad_news_is_in_the_colour_of_the_theme(reading_window: MainWindow) -> None:
    for theme in COLOURS:
        reading_window.set_theme(theme)
        reading_window.say("Something is amiss.", bad=True)
        assert COLOURS[theme]["bad"] in reading_window.statusBar().styleSheet()
    reading_window.say("")
    reading_window.set_theme("dark")
