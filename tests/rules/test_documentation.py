"""What a user can call or set is documented, data files say where they come from, and nothing private is here."""

import re
import subprocess
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from typer.core import TyperGroup
from typer.main import get_command

from render.presets import preset_names, windows
from render.protocols import protocol_names
from render.recipe import KINDS, read_recipe
from workstation.cli.main import app
from workstation.config import (
    Config,
    Fees,
    Listener,
    PayerRule,
    Reading,
    ReceiverSettings,
    WorklistSettings,
)
from workstation.conformance import statement
from workstation.destinations import AnyDestination
from workstation.peers.known import KnownPeer
from workstation.store.papers import OnFile, Papers, SupervisorStatement, WorkedSession

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
SETTINGS = ROOT / "docs" / "settings.md"
PAPERS = ROOT / "docs" / "papers.md"
SETTINGS_KINDS = (
    Config,
    *get_args(get_args(AnyDestination)[0]),
    Listener,
    Reading,
    PayerRule,
    Fees,
    KnownPeer,
    ReceiverSettings,
    WorklistSettings,
)


def commands() -> dict[str, Any]:
    """Every command by its words after `workstation`, those of groups too."""

    def walk(command: Any, words: tuple[str, ...]) -> dict[str, Any]:
        if not isinstance(command, TyperGroup):
            return {" ".join(words): command}
        found: dict[str, Any] = {}
        for name, child in command.commands.items():
            found |= walk(child, (*words, name))
        return found

    return walk(get_command(app), ())


def help_of(command: Any, name: str) -> str:
    return str(command.get_help(typer.Context(command, info_name=f"workstation {name}")))


def test_the_walk_finds_the_commands() -> None:
    assert {"inspect", "run", "charge decide", "outbox send"} <= set(commands())


@pytest.mark.parametrize("name", commands())
def test_a_command_is_in_the_readme(name: str) -> None:
    text = README.read_text(encoding="utf-8")
    assert re.search(rf"\bworkstation {re.escape(name)}\b", text), f"README.md does not name `workstation {name}`"


@pytest.mark.parametrize("name", commands())
def test_a_command_has_an_example(name: str) -> None:
    text = help_of(commands()[name], name)
    assert f"Example: workstation {name}" in text, f"`workstation {name} --help` has no example of it"


# A window prints nothing.
@pytest.mark.parametrize("name", sorted(commands().keys() - {"desktop"}))
def test_a_command_prints_json(name: str) -> None:
    options = {option for parameter in commands()[name].params for option in parameter.opts}
    assert "--json" in options, f"`workstation {name}` has no --json"


@pytest.mark.parametrize("name", ["send", "run", "outbox send", "retrieve", "storage prune"])
def test_what_sends_has_a_dry_run(name: str) -> None:
    assert any("--dry-run" in parameter.opts for parameter in commands()[name].params)


def test_the_conformance_statement_is_what_the_tables_say() -> None:
    """`python -m workstation.conformance > docs/conformance.md` writes it anew."""
    assert (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8") == statement()


def test_the_readme_names_no_command_that_is_not_there() -> None:
    text = README.read_text(encoding="utf-8")
    named = set(re.findall(r"`workstation ([a-z]+(?: [a-z-]+)?)", text))
    words = {name.split()[0] for name in commands()}
    for name in named:
        assert name in commands() or name.split()[0] in words, f"README.md names `workstation {name}`"
        if name.split()[0] in ("charge", "outbox"):
            assert name in commands(), f"README.md names `workstation {name}`"


@pytest.mark.parametrize("key", sorted({f.name for kind in SETTINGS_KINDS for f in fields(kind)}))
def test_a_setting_is_documented(key: str) -> None:
    assert f"`{key}`" in SETTINGS.read_text(encoding="utf-8"), f"docs/settings.md does not name `{key}`"


@pytest.mark.parametrize(
    "key", sorted({f.name for kind in (Papers, WorkedSession, SupervisorStatement, OnFile) for f in fields(kind)})
)
def test_a_key_of_the_papers_is_documented(key: str) -> None:
    assert re.search(rf"`(session\.)?{key}`", PAPERS.read_text(encoding="utf-8")), f"docs/papers.md lacks `{key}`"


@pytest.mark.parametrize("key", sorted({f.name for kind in KINDS for f in fields(kind)}))
def test_a_key_of_a_recipe_is_documented(key: str) -> None:
    assert f"`{key}`" in (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8"), f"docs/recipes.md lacks `{key}`"


@pytest.mark.parametrize("name", [*protocol_names(), *preset_names(), *(one.name for one in windows())])
def test_a_protocol_preset_or_window_is_documented(name: str) -> None:
    assert f"| `{name}` |" in (ROOT / "docs" / "protocols.md").read_text(encoding="utf-8"), f"no row for `{name}`"


def test_the_window_table_holds_the_values() -> None:
    text = (ROOT / "docs" / "protocols.md").read_text(encoding="utf-8")
    for one in windows():
        row = f"| `{one.name}` | {one.key} | {one.window.centre:g} | {one.window.width:g} | {one.unit} |"
        assert row in text, f"docs/protocols.md lacks the row {row}"


def test_the_example_recipe_is_one() -> None:
    text = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    example = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert example is not None
    assert read_recipe(example[1]).name == "Axial"


def data_files() -> list[Path]:
    return sorted(
        file
        for folder in ("render/presets", "render/protocols", "workstation/charge/policies")
        for file in (ROOT / folder).glob("*.toml")
    )


@pytest.mark.parametrize("file", data_files(), ids=lambda file: file.name)
def test_a_data_file_says_where_it_comes_from(file: Path) -> None:
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    # `windows.toml` is a table of windows, each with a source of its own.
    parts = content.items() if file.name == "windows.toml" else [(file.name, content)]
    assert parts
    for name, part in parts:
        assert str(part.get("source", "")).strip(), f"{name} has no source"


# What tells of the machine it was written on, or is licensed text. In two parts, so that this file has none of it.
UNWANTED = (
    ("an address of a package index", re.compile("pypi" + r"\.org|index" + "-url")),
    ("a path of the machine it was made on", re.compile("/work" + "/|/home" + "/")),
    # The code book's words for its codes: a code number, then a descriptor in its style.
    (
        "a code descriptor",
        re.compile(r"\b7\d{4}\b[^\n]{0,12}\b(?i:computed tomog" + r"raphy|magnetic reson" + r"ance)\b"),
    ),
    ("a code descriptor", re.compile("requiring image post" + "processing", re.IGNORECASE)),
    ("a private key", re.compile("BEGIN [A-Z ]*PRIVATE " + "KEY")),
)


def committed() -> list[Path]:
    """The files under version control, and those that would be added. Skips where there is no git."""
    try:
        listing = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            timeout=30,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listing.decode().split("\0") if name and (ROOT / name).is_file()]


def test_nothing_private_or_licensed_is_committed() -> None:
    found = []
    for file in committed():
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture or an instance
        found += [f"{file.relative_to(ROOT)}: {what}" for what, pattern in UNWANTED if pattern.search(text)]
    assert not found, "\n".join(found)


def test_no_code_table_has_descriptors() -> None:
    table = (ROOT / "workstation" / "charge" / "base_codes.csv").read_text(encoding="utf-8").splitlines()
    header = next(line for line in table if line and not line.startswith("#"))
    assert not {"descriptor", "description", "title", "meaning"} & set(header.lower().split(","))
