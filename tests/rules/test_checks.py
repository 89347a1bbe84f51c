"""The checks of the pages see what they are for: each is shown an invention, and has to find it."""

import re
from dataclasses import dataclass, field, fields, make_dataclass
from pathlib import Path
from typing import Annotated, Literal

import pytest
import typer
from typer.main import get_command

from tests.rules.kinds import key_of, kinds_of, part_about, undocumented
from tests.rules.mentions import commands_of, mentions, named, pages, problems
from tests.thorough import one_in
from workstation.cli.main import app
from workstation.config import Config

ROOT = Path(__file__).parents[2]
COMMAND = get_command(app)
README = (ROOT / "README.md").read_text(encoding="utf-8")
SETTINGS = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")

# Text with something that is not there, and what that is.
INVENTIONS = {
    "a command": ("See `workstation invent`.", "'invent'"),
    "a command with words after it": ("`workstation invent SERIES -o FILE` does it.", "'invent'"),
    "a verb of a group": ("`workstation peers invent NAME`", "'invent'"),
    "a verb of another group": ("`workstation people echo`", "'echo'"),
    "a verb of two": ("`workstation people add|invent ID`", "'invent'"),
    "a verb after the option for all": ("`workstation --root DIR storage invent`", "'invent'"),
    "a verb on the next line": ("what `workstation\npeers invent` does", "'invent'"),
    "a row of a table": ("| command | does |\n|---|---|\n| `workstation charge invent CASE` | nothing |", "'invent'"),
    "a heading": ("## workstation charge invent\n\nNothing.", "'invent'"),
    "an option": ("`workstation run SERIES --invented`", "--invented"),
    "an option in brackets": ("`workstation run SERIES [--protocol NAME] [--invented FILE]`", "--invented"),
    "an option with its value": ("`workstation run SERIES --invented=3`", "--invented"),
    "a short option": ("`workstation render PATH -x DIR`", "-x"),
    "an option for all": ("`workstation --invented DIR list`", "--invented"),
    "an option of another command": ("`workstation list --protocol NAME`", "--protocol"),
    "an option alone": ("Say `--invented` for that.", "--invented"),
    "an option alone in a row": ("| `workstation list` | the series; `--thumbnails DIR` |", "--thumbnails"),
    "code after a prompt": ("First:\n\n    $ workstation invent x\n    it is done", "'invent'"),
    "code after a path": ("First:\n\n    $ .venv/bin/workstation people invent", "'invent'"),
    "code after a path without a prompt": ("```\n.venv/bin/workstation invent\n```", "'invent'"),
    "code without either": ("First:\n\n    workstation invent --language de", "'invent'"),
    "code in a fence": ("```console\n$ workstation storage invent\n```", "'invent'"),
    "code on the next line": ("```\n$ workstation run 1.2 \\\n    --protocol x --invented\n```", "--invented"),
    "code after another command": ("```\n$ make x && workstation invent | less\n```", "'invent'"),
    "code after a variable": ("```\nWORKSTATION_ROOT=/srv workstation invent\n```", "'invent'"),
    "code of a service": ("```ini\nExecStart=/opt/ws/bin/workstation --root /srv invent\n```", "'invent'"),
    "code by Python": ("```\n$ python -m workstation invent\n```", "'invent'"),
    "an option in code": ("```\n$ workstation people add DR1 --name 'A^B' --invented x  # why\n```", "--invented"),
}


@pytest.mark.parametrize(("text", "what"), INVENTIONS.values(), ids=INVENTIONS)
def test_an_invention_is_found(text: str, what: str) -> None:
    (found,) = problems(COMMAND, text)
    assert what in found
    (found,) = problems(COMMAND, f"{README}\n\n{text}\n\nThe end.")
    assert what in found, "not found within the README"


@pytest.mark.parametrize(
    "text",
    [
        "`workstation`, `.venv/bin/workstation`, `workstation --help`, `workstation peers`, `workstation …`",
        "`workstation run SERIES --protocol NAME [--papers FILE]` and `workstation inspect SERIES\\|PATH`",
        "`workstation --root DIR charge list --state held`, `workstation peers add NAME HOST PORT -aec TITLE`",
        "`workstation 0.1.0` stands in every object; `python -m workstation.conformance` writes the page.",
        "`workstation/cli/main.py` and `tests/workstation/cli`, `make test`, `workstation_statement`",
        "```\n  4 at once  workstation         357 MB/s\n  workstation x 4    1516 MB/s\n```",
        "```\n$ storescu -xt -aec WORKSTATION 127.0.0.1 11112 ct/*.dcm\n$ pytest tests/workstation -x\n```",
        "    $ workstation serve --port 11112 & sleep 1; workstation list > list.txt  # --invented\n    an --invented",
        "This workstation draws. A workstation invents nothing.",
    ],
)
def test_what_is_there_is_no_problem(text: str) -> None:
    assert problems(COMMAND, text) == []


def test_where_a_mention_stands_and_what_it_says() -> None:
    text = (
        "# Head\n\nA\n`workstation list`\n\n    $ workstation run 1 \\\n    --protocol 'a b' &\n    $ workstation warm"
    )
    assert [(one.line, *one.words) for one in mentions(text)] == [
        (4, "list"),
        (6, "run", "1", "--protocol", "a b"),
        (8, "warm"),
    ]


@pytest.mark.parametrize("name", ["list", "peers add", "charge import-fees"])
def test_a_command_that_no_page_names_is_missed(name: str) -> None:
    """Not even where another's name begins with its own."""
    call = re.compile(rf"workstation\s+{name}(?![\w-])")
    texts = [call.sub("workstation …", page.read_text(encoding="utf-8")) for page in pages(ROOT)]
    assert commands_of(COMMAND).keys() - named(COMMAND, texts) == {name}


def test_a_new_command_is_missed_until_a_page_names_it() -> None:
    new = typer.Typer()
    group = typer.Typer()
    new.add_typer(group, name="group")
    group.command("one")(lambda: None)
    group.command("two")(lambda: None)
    command = get_command(new)
    assert commands_of(command).keys() - named(command, ["`workstation group` and `workstation group one`"]) == {
        "group two"
    }


@dataclass(frozen=True)
class _Deep:
    invented_deep: int = 0


@dataclass(frozen=True)
class _Plain:
    invented_key: str = ""


@dataclass(frozen=True)
class _Other:
    kind: Literal["other"]
    deep: tuple[_Deep, ...] = ()


@pytest.mark.parametrize(
    ("hint", "missed"),
    [
        (_Plain, {"invented_key"}),
        (_Plain | None, {"invented_key"}),
        (tuple[_Plain, ...], {"invented_key"}),
        (dict[str, _Plain], {"invented_key"}),
        (
            tuple[Annotated[_Plain | _Other, "told apart by kind"], ...],
            {"invented_key", "kind", "deep", "invented_deep"},
        ),
        (dict[str, tuple[_Other | None, ...]], {"kind", "deep", "invented_deep"}),
    ],
)
def test_a_new_class_of_settings_is_seen(hint: object, missed: set[str]) -> None:
    new = make_dataclass("New", [("invention", hint, field(default=None))], bases=(Config,), frozen=True)
    page = f"{SETTINGS}\n\n## New\n\nEach `[[invention]]`:\n\n| key | meaning |\n|---|---|\n| `invention` | new |\n"
    before = undocumented(page, Config)
    assert {one.split(".")[1].split(" ")[0] for one in undocumented(page, new) if one not in before} == missed
    filled = page + "".join(f"| `{key}` | new |\n" for key in missed)
    assert undocumented(filled, new) == undocumented(filled, Config)
    assert any("nothing is about [invention]" in one for one in undocumented(SETTINGS, new))


@pytest.mark.slow
def test_each_key_of_each_class_is_looked_for() -> None:
    """Taken out of its own part of the page it is missed, however often it stands elsewhere."""
    kinds = list(kinds_of(Config))
    assert {"Signing", "AuditSettings", "ReceiverSettings"} <= {kind.__name__ for _, kind in kinds}
    for place, kind in kinds[1:]:
        part = part_about(SETTINGS, place)
        for key in [key_of(kind, each.name) for each in fields(kind)][:: one_in(9)]:
            page = SETTINGS.replace(part, re.sub(rf"\b{key}\b", "…", part).replace("[…", f"[{place}"))
            missed = [one for one in undocumented(page, Config) if one.startswith(f"{kind.__name__}.{key} ")]
            assert missed or (f"`{place}" in page and key == place), f"{place}.{key}"
