"""What a user can call or set is documented, data files say where they come from, and nothing private is here.

test_checks.py shows that the checks of commands and settings see what they are for.
"""

import ast
import re
import subprocess
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from render.presets import preset_names, windows
from render.protocols import protocol_names
from render.recipe import KINDS, read_recipe
from tests.rules.kinds import undocumented
from tests.rules.mentions import commands_of, named, pages, problems
from workstation.cli.main import app
from workstation.config import Config
from workstation.conformance import statement
from workstation.peers.known import KnownPeer
from workstation.store.papers import OnFile, Papers, SupervisorStatement, WorkedSession

ROOT = Path(__file__).parents[2]
COMMAND = get_command(app)
SETTINGS = ROOT / "docs" / "settings.md"
PAPERS = ROOT / "docs" / "papers.md"
# What a person writes: each file of settings with the class that it is read into, and the table that this is in.
SETTINGS_FILES = (("config.toml", Config, ""), ("peers.toml", KnownPeer, "peers"))


def commands() -> dict[str, Any]:
    return commands_of(COMMAND)


def help_of(command: Any, name: str) -> str:
    return str(command.get_help(typer.Context(command, info_name=f"workstation {name}")))


def test_the_walk_finds_the_commands() -> None:
    assert {"inspect", "run", "charge decide", "outbox send"} <= set(commands())


def test_every_command_is_documented() -> None:
    texts = [page.read_text(encoding="utf-8") for page in pages(ROOT) if page.parent.name != "decisions"]
    missing = commands().keys() - named(COMMAND, texts)
    assert not missing, f"no page names `workstation {'`, `workstation '.join(sorted(missing))}`"


@pytest.mark.parametrize("page", pages(ROOT), ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_names_no_command_or_option_that_is_not_there(page: Path) -> None:
    assert problems(COMMAND, page.read_text(encoding="utf-8")) == []


def messages() -> list[tuple[str, str]]:
    """Every text in the program's own source that has a call of the command in backticks, with its place."""
    found = []
    for file in (file for package in ("render", "dicom_io", "workstation") for file in (ROOT / package).rglob("*.py")):
        if "`workstation " not in (source := file.read_text(encoding="utf-8")):
            continue
        for node in ast.walk(ast.parse(source)):
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            # What a message fills in is a value or a name.
            said = [p.value if isinstance(p, ast.Constant) and isinstance(p.value, str) else "VALUE" for p in parts]
            if not isinstance(node, ast.Constant | ast.JoinedStr) or "`workstation " not in "".join(said):
                continue
            found.append((f"{file.relative_to(ROOT)}:{node.lineno}", re.sub(r"\{\w+\}", "VALUE", "".join(said))))
    return found


def test_messages_and_help_name_no_command_that_is_not_there() -> None:
    found = messages()
    assert any("storage rebuild-index" in text for _, text in found)
    assert [f"{place}: {what}" for place, text in found for what in problems(COMMAND, text)] == []


@pytest.mark.parametrize("name", commands())
def test_a_command_has_an_example(name: str) -> None:
    text = help_of(commands()[name], name)
    example = re.search(rf"Example: (workstation {name}\b.*?)(?:\n\s*\n|$)", text, re.DOTALL)
    assert example, f"`workstation {name} --help` has no example of it"
    assert problems(COMMAND, f"``{example[1]}``") == []


# A window prints nothing.
@pytest.mark.parametrize("name", sorted(commands().keys() - {"desktop"}))
def test_a_command_prints_json(name: str) -> None:
    options = {option for parameter in commands()[name].params for option in parameter.opts}
    assert "--json" in options, f"`workstation {name}` has no --json"


def test_the_conformance_statement_is_what_the_tables_say() -> None:
    """`python -m workstation.conformance > docs/conformance.md` writes it anew."""
    assert (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8") == statement()


@pytest.mark.parametrize(("file", "kind", "table"), SETTINGS_FILES, ids=[file for file, _, _ in SETTINGS_FILES])
def test_settings_are_documented(file: str, kind: type, table: str) -> None:
    assert undocumented(SETTINGS.read_text(encoding="utf-8"), kind, table) == []


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
    """The files under version control, and those that would be added. Skips where there is no history."""
    if not (ROOT / ".git").exists():
        pytest.skip("the tree has no history")
    # The checkout may belong to somebody else than who runs the tests.
    git = ["git", "-c", f"safe.directory={ROOT}"]
    listing = subprocess.run(
        [*git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        timeout=120,
        check=True,
    ).stdout
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
    tables = sorted((ROOT / "workstation" / "charge").glob("*.csv"))
    assert [table.name for table in tables] == ["base_codes.csv", "base_codes_first_edition.csv"]
    for table in tables:
        lines = table.read_text(encoding="utf-8").splitlines()
        header = next(line for line in lines if line and not line.startswith("#"))
        assert not {"descriptor", "description", "title", "meaning"} & set(header.lower().split(","))
