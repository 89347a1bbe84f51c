"""Files that people and other programs write: what cannot be read rightly is said to be so, whichever reader."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workstation.config import ConfigError, load_config
from workstation.desktop.model.keys import KeysError, load_keys
from workstation.peers.known import PeersError, load_peers
from workstation.store.papers import PapersError, read_papers
from workstation.strict import StrictError, json_in, toml_in

HOSTILE_JSON = [
    (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "too deeply"),
    (b'{"a": ' + b"9" * 5000 + b"}", "no JSON: Exceeds the limit"),
    (b'{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' is there twice"),
    (b"", "no JSON: Expecting value"),
    (b'{"a": 1} {', "no JSON: Extra data"),
    (b'{"a": "\xff"}', "byte 7 is no UTF-8"),
]
HOSTILE_TOML = [
    (b"a=" + b"[" * 100_000 + b"]" * 100_000, "too deeply"),
    (b"a=" + b"9" * 5000, "no TOML: Exceeds the limit"),
    (b"a=1\na=2", "no TOML: Cannot overwrite a value"),
    (b"[[[", "no TOML"),
    (b"a='\xff'", "byte 3 is no UTF-8"),
]


@pytest.mark.parametrize(("content", "words"), HOSTILE_JSON)
def test_json_that_cannot_be_read_rightly_is_refused(content: bytes, words: str, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(content)
    with pytest.raises(StrictError, match=words):
        json_in(file)
    with pytest.raises(PapersError, match=rf"a\.json: .*{words}"):
        read_papers(file)


@pytest.mark.parametrize(("content", "words"), HOSTILE_TOML)
def test_toml_that_cannot_be_read_rightly_is_refused(content: bytes, words: str, tmp_path: Path) -> None:
    readers: list[tuple[str, type[Exception], Callable[[], Any]]] = [
        ("config.toml", ConfigError, lambda: load_config(tmp_path, {})),
        ("peers.toml", PeersError, lambda: load_peers(tmp_path)),
        ("keys.toml", KeysError, lambda: load_keys(tmp_path / "keys.toml")),
    ]
    for name, wanted, read in readers:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(StrictError, match=words):
            toml_in(tmp_path / name)
        with pytest.raises(wanted, match=rf"{name}: .*{words}"):
            read()


def test_a_setting_of_the_environment_that_is_no_toml_is_text(tmp_path: Path) -> None:
    assert load_config(tmp_path, {"WORKSTATION_SET_SITE": "hospital"}).site == "hospital"
    for text in ("9" * 5000, "[" * 100_000):
        with pytest.raises(ConfigError, match=r"SITE: site: .* is not one of hospital, office"):
            load_config(tmp_path, {"WORKSTATION_SET_SITE": text})
