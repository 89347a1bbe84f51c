"""The files of `docs/services`: systemd understands the units, and commands, options and settings in them are there."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from tests.rules.mentions import problems
from workstation.cli.main import app
from workstation.config import load_config

SERVICES = Path(__file__).parents[2] / "docs" / "services"
UNITS = sorted([*SERVICES.glob("*.service"), *SERVICES.glob("*.timer")])
COMMAND = get_command(app)
PROGRAM = "/opt/workstation/bin/workstation"
COMPOSE: dict[str, Any] = yaml.safe_load((SERVICES / "compose.yaml").read_text(encoding="utf-8"))
OURS = {name: service for name, service in COMPOSE["services"].items() if service["image"] == "workstation"}


def said_to_run(file: Path) -> list[str]:
    found = re.findall(rf"^ExecStart={re.escape(PROGRAM)} (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return [f"workstation {words}" for words in found]


def test_systemd_understands_the_units(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    for unit in UNITS:
        name = unit.name.replace("@.", "@deliver.")
        text = unit.read_text(encoding="utf-8").replace(PROGRAM, shutil.which("true") or "")
        (tmp_path / name).write_text(text.replace("EnvironmentFile=/", "EnvironmentFile=-/"), encoding="utf-8")
    ran = subprocess.run(
        [analyze, "verify", "--man=no", *sorted(map(str, tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )
    ours = [line for line in ran.stderr.splitlines() if "workstation" in line]
    assert not ours, "\n".join(ours)


@pytest.mark.parametrize("unit", [unit for unit in UNITS if unit.suffix == ".service"], ids=lambda unit: unit.name)
def test_a_unit_runs_commands_that_are_there_with_settings_that_are_there(unit: Path, tmp_path: Path) -> None:
    commands = said_to_run(unit)
    assert commands and [p for each in commands for p in problems(COMMAND, f"`{each}`")] == []
    text = unit.read_text(encoding="utf-8")
    quoted = re.findall(r"^Environment='(WORKSTATION_SET_\w+)=(.*)'$", text, re.MULTILINE)
    load_config(tmp_path, {name: value.replace("%i", "deliver") for name, value in quoted})
    assert f"WORKSTATION_ROOT={'/var/lib/workstation'}" in text and "StateDirectoryMode=0700" in text
    # What the remarks show is read as well.
    shown = dict(re.findall(r"^#\s+(WORKSTATION_SET_\w+)=(\S+)$", text, re.MULTILINE))
    if shown:
        load_config(
            tmp_path, {n: v.replace("910N", "9101") for n, v in shown.items()} | {"WORKSTATION_SET_STORE": "/s"}
        )


@pytest.mark.parametrize("name", OURS)
def test_a_container_runs_a_command_that_is_there_with_settings_that_are_there(name: str, tmp_path: Path) -> None:
    service = OURS[name]
    words = service.get("command", ["serve", "--json"])
    assert problems(COMMAND, f"`workstation {' '.join(words)}`") == []
    settings = {key: value for key, value in service["environment"].items() if key.startswith("WORKSTATION_SET_")}
    config = load_config(tmp_path, settings)
    if "command" not in service:
        assert config.roles == (name,) and f"workstation_{name}@" in config.database
    mounted = {volume.split(":")[0] for volume in service["volumes"] if not volume.startswith((".", "/"))}
    assert mounted <= COMPOSE["volumes"].keys() and set(service["secrets"]) <= COMPOSE["secrets"].keys()


def test_each_role_has_a_container_and_a_user() -> None:
    roles = {"receive", "decide", "deliver", "prepare", "web"}
    assert roles <= OURS.keys()
    sql = (SERVICES / "roles.sql").read_text(encoding="utf-8")
    users = {
        name.split("@")[0].split("//")[1]
        for name in (s["environment"]["WORKSTATION_SET_DATABASE"] for s in OURS.values())
    }
    assert users == {"workstation", *(f"workstation_{role}" for role in (*roles, "backup"))}
    assert all(user in sql for user in users)


def test_the_image_runs_serve_and_is_asked_for_its_health(tmp_path: Path) -> None:
    text = (SERVICES / "Containerfile").read_text(encoding="utf-8")
    entry = re.findall(r"^(?:ENTRYPOINT|CMD) \[(.*)\]$", text, re.MULTILINE)
    words = [word.strip().strip('"') for line in entry for word in line.split(",")]
    assert problems(COMMAND, f"`{' '.join(words)}`") == [] and words[:2] == ["workstation", "serve"]
    settings = dict(re.findall(r"(WORKSTATION_SET_\w+)=(\S+)", text))
    assert f":{load_config(tmp_path, settings).monitor_port}/health" in text
    assert re.search(r"^USER workstation$", text, re.MULTILINE)
