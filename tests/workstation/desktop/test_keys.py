"""Keys: those that ship, and a reader's own on top."""

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from workstation.desktop.model.keys import ACTIONS, KeysError, load_keys
from workstation.desktop.viewer import Viewer
from workstation.desktop.window import MainWindow


def test_every_action_has_a_key_of_its_own_and_a_line_of_help() -> None:
    keys = load_keys()
    assert set(keys.keys) == set(ACTIONS)
    assert len(set(keys.keys.values())) == len(keys.keys)


def test_a_reader_changes_some(tmp_path: Path) -> None:
    own = tmp_path / "keys.toml"
    own.write_text('[keys]\nundo = "F12"\n[buttons]\nmiddle = "window"\n')
    keys = load_keys(own)
    assert keys.keys["undo"] == "F12" and keys.keys["redo"] == load_keys().keys["redo"]
    assert keys.buttons == {"middle": "window", "right": "zoom"}
    assert load_keys(tmp_path / "none.toml") == load_keys()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[keys]\nfly = "F"', "unknown 'fly'"),
        ('[buttons]\nleft = "pan"', "unknown 'left'"),
        ('[buttons]\nright = "fly"', "cannot do 'fly'"),
        ('[keys]\nundo = "W"', "Key W is given to"),
        ("[mouse]", "unknown table 'mouse'"),
        ("keys", r"keys\.toml: "),
    ],
)
def test_a_wrong_file_is_named(text: str, sentence: str, tmp_path: Path) -> None:
    own = tmp_path / "keys.toml"
    own.write_text(text)
    with pytest.raises(KeysError, match=sentence):
        load_keys(own)


def test_lists_and_boxes_keep_their_keys(viewer: Viewer, window: MainWindow, qtbot: QtBot) -> None:
    """Down in a box chooses, it does not scroll the planes; Space on a button presses it."""
    window.activateWindow()
    window.show_panel(3)
    assert window.report is not None
    before = viewer.session.screen
    window.report.required.setFocus()
    qtbot.waitUntil(window.report.required.hasFocus)
    qtbot.keyClick(window.report.required, Qt.Key.Key_Down)
    assert viewer.session.draft.required is True and viewer.session.screen == before
    window.menus.actions["next"].trigger()
    assert viewer.session.screen != before
