"""Settings as they are in force: from where, what changed since, and no secret among them."""

from dataclasses import replace
from pathlib import Path

from workstation.administration.settings_shown import ShownSetting, settings_of
from workstation.config import Config, load_config
from workstation.destinations import DicomDestination


def shown(root: Path, running: Config, **environment: str) -> dict[str, ShownSetting]:
    return {each.key: each for each in settings_of(root, running, environment)[0]}


def test_each_value_says_where_it_comes_from(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(
        'station_name = "A"\n[receiver]\nidle_s = 7.0\n[[destinations]]\nname = "pacs"\nkind = "dicom"\n'
        'takes = ["images"]\nport = 104\nae_title = "X"\n',
        encoding="utf-8",
    )
    environment = {"WORKSTATION_SET_RECEIVER__STALL_S": "9.0"}
    found = shown(tmp_path, load_config(tmp_path, environment), **environment)
    for key, value, source in (
        ("station_name", "A", "file"),
        ("receiver.idle_s", "7.0", "file"),
        ("receiver.stall_s", "9.0", "WORKSTATION_SET_RECEIVER__STALL_S"),
        ("receiver.query", "false", "default"),
        ("destinations.pacs.port", "104", "file"),
        ("destinations.pacs.host", "127.0.0.1", "default"),
        ("console", "", "default"),
    ):
        assert found[key] == ShownSetting(key, value, source), key


def test_what_the_file_says_by_now_holds_after_a_restart(tmp_path: Path) -> None:
    running = Config(
        station_name="OLD", destinations=(DicomDestination(name="a", takes=("images",), port=104, ae_title="A"),)
    )
    (tmp_path / "config.toml").write_text('station_name = "NEW"\n', encoding="utf-8")
    found = shown(tmp_path, running)
    assert found["station_name"].changed == "NEW"
    assert found["receiver.idle_s"].changed is None
    assert (found["destinations.a.ae_title"].changed, found["destinations.outgoing.name"].changed) == ("", "outgoing")
    (tmp_path / "config.toml").write_text("station_nam = 1\n", encoding="utf-8")
    assert "station_nam" in settings_of(tmp_path, running, {})[1]


def test_no_secret_is_shown(tmp_path: Path) -> None:
    url = "postgresql+psycopg://workstation:hunter2@db.example/site"
    running = replace(Config(), database=url, store=str(tmp_path))
    found = shown(tmp_path, running)
    assert found["database"].value == "postgresql+psycopg://•••@db.example/site"
    assert not [each for each in found.values() if "hunter2" in (each.value, each.changed or "")]
