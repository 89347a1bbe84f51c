"""Keys: those that ship, and a reader's own on top."""

from pathlib import Path

import pytest

from workstation.desktop.keys import ACTIONS, KeysError, load_keys


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
