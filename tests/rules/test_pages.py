"""The pages and the top level: what is made from the code is what the code says, what is named is there, and nobody is
told to install a stranger's code."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workstation import DISTRIBUTION
from workstation.cli.commands_page import page, walk

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
DECISIONS = DOCS / "decisions"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = ("workstation", "dicom_io", "render")


def pages() -> list[Path]:
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]


# The name of the distribution

# pip's options that take a word, which is then no package.
_WITH_A_VALUE = {"-c", "-r", "--constraint", "--requirement", "-t", "--target", "--python"}
# What comes after `pip install` in a shell or a sentence: up to where either ends.
_INSTALLS = re.compile(r"pip3? install((?:[ \t]+(?:'[^'\n]*'|\"[^\"\n]*\"|[^\s`'\"|&;]+))*)")
_WORD = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"|\S+")


def allowed() -> set[str]:
    """Our own name, and what `pyproject.toml` says that we need."""
    extras = PROJECT["project"]["optional-dependencies"].values()
    lists = [PROJECT["project"]["dependencies"], PROJECT["build-system"]["requires"], *extras]
    return {DISTRIBUTION, *(re.split(r"[^A-Za-z0-9._-]", one)[0].lower() for some in lists for one in some)}


def installed_by(text: str) -> Iterator[str]:
    """What the text has somebody install with pip, as it names it: the first words up to one that is no requirement."""
    for found in _INSTALLS.finditer(text.replace("{DISTRIBUTION}", DISTRIBUTION)):
        words = iter(_WORD.findall(found[1]))
        for word in words:
            bare = word.strip("'\"").rstrip(",:)")
            bare = bare.rstrip(".") or bare  # the end of a sentence, but not the checkout itself
            if word.startswith("#"):
                break  # a remark
            if word in _WITH_A_VALUE:
                next(words, None)
            elif not word.startswith("-"):
                yield bare
                if word[0] not in "'\"":
                    break  # a sentence goes on with words of its own


def strangers(text: str) -> list[str]:
    """Whatever is installed that is neither a path nor ours nor one of our dependencies."""
    own = allowed()
    names = [
        name for name in installed_by(text) if not name.startswith((".", "/", "dist/")) and not name.endswith(".whl")
    ]
    return [name for name in names if re.split(r"[\[<>=!~ ]", name)[0].lower() not in own]


def messages() -> list[Path]:
    return [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]


def test_nobody_is_told_to_install_what_is_not_ours() -> None:
    found = {}
    for file in [*pages(), ROOT / "Makefile", *messages()]:
        text = file.read_text(encoding="utf-8")
        if file == DECISIONS / "0063-the-name-of-the-distribution.md":
            text = text.replace("`pip install 'workstation[desktop]'`", "")  # it says what was wrong
        if names := strangers(text):
            found[str(file.relative_to(ROOT))] = names
    assert not found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("pip install 'workstation[desktop]'", ["workstation[desktop]"]),
        ("run `pip install workstation` first", ["workstation"]),
        ("pip install -U workstation[video]", ["workstation[video]"]),
        (".venv/bin/python -m pip install -c a.txt -e '.[test]'", []),
        (f"pip install '{DISTRIBUTION}[video]', or ask for GIF", []),
        ("f\"pip install '{DISTRIBUTION}[video]'\"", []),
        (f"pip install '{DISTRIBUTION}' 'leftpad'", ["leftpad"]),
        (f"pip install '{DISTRIBUTION}[video]'  # adds films", []),
        ("pip install --force-reinstall av, or ask for GIF", []),
        ("pip install dist/radiology_3d_workstation-0.2.0-py3-none-any.whl", []),
    ],
)
def test_a_stranger_is_found(text: str, found: list[str]) -> None:
    assert strangers(text) == found


def test_messages_that_name_a_package_are_seen() -> None:
    seen = [name for file in messages() for name in installed_by(file.read_text(encoding="utf-8"))]
    assert {f"{DISTRIBUTION}[desktop]", f"{DISTRIBUTION}[video]", f"{DISTRIBUTION}[dicomweb]"} <= set(seen)


def test_the_name_is_said_once() -> None:
    assert PROJECT["project"]["name"] == DISTRIBUTION
    asking = re.compile(r"""version\(\s*["']workstation["']""")
    assert not [file for file in messages() if asking.search(file.read_text(encoding="utf-8"))]


# The commands


def test_the_page_of_the_commands_is_what_the_commands_say() -> None:
    """`python -m workstation.cli.commands_page > docs/commands.md` writes it anew."""
    assert (DOCS / "commands.md").read_text(encoding="utf-8") == page()


def test_every_option_and_its_help_are_on_the_page() -> None:
    text = page()
    for words, command in walk():
        section = text.split(f"### workstation {words}\n")[1].split("\n### ")[0]
        for parameter in command.params:
            assert parameter.help, f"`workstation {words}`: {parameter.name} has no help"
            for option in parameter.opts if parameter.param_type_name == "option" else ():
                assert f"`{option}" in section, f"`workstation {words}`: {option} is not on the page"


# The top level


TOP = {
    "pyproject.toml", "README.md", "workstation", "render", "dicom_io", "tests", "sample_data", "Makefile", "LICENSE",
    "CHANGELOG.md", "docs",
}  # fmt: skip


def test_the_top_level_holds_nothing_else() -> None:
    try:
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listing = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=30, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    top = {name.split("/")[0] for name in listing.split("\0") if name and (ROOT / name).exists()}
    assert {name for name in top if not name.startswith(".")} == TOP


# Links and paths

# Names that stand for the reader's own.
_PLACEHOLDERS = ("NAME", "FILE", "TITLE")


def paths_named(text: str) -> set[str]:
    """What looks like a path of the checkout, and what is in parentheses after a folder: `files/` (`headers.py`)."""
    tops = "|".join(sorted(TOP | {r"\.ci"}, key=len, reverse=True))
    inside = {
        folder + name
        for folder, names in re.findall(r"`([\w/]+/)`\s*\(([^)]*)\)", text)
        for name in re.findall(r"`(\w+(?:\.\w+|/))`", names)
    }
    return inside | set(re.findall(rf"(?<![\w/.-])((?:{tops})/[\w./-]*\w/?)", text))


def test_every_path_of_contributing_exists() -> None:
    text = (DOCS / "contributing.md").read_text(encoding="utf-8")
    named = paths_named(text)
    assert len(named) > 60
    missing = [path for path in named if not any(p in path for p in _PLACEHOLDERS) and not (ROOT / path).exists()]
    assert not missing, missing


def test_every_name_of_contributing_stands_in_the_file_before_it() -> None:
    """`RULES` of `workstation/charge/rules.py`: the recipe is literal."""
    text = " ".join((DOCS / "contributing.md").read_text(encoding="utf-8").split())
    said = re.findall(
        r"`(\w+(?:\.\w+)?)`(?: and `(\w+)`)? (?:of|in) `((?:workstation|dicom_io|render|tests)/[\w/]+\.py)`", text
    )
    assert len(said) > 15
    for *names, file in said:
        source = (ROOT / file).read_text(encoding="utf-8")
        for name in filter(None, names):
            last = name.rsplit(".", 1)[-1]
            assert re.search(rf"\b{last}\b", source), f"docs/contributing.md: {file} has no {name}"


def rooms() -> list[tuple[str, str]]:
    """Every package with the first paragraph of its docstring."""
    found = []
    for top in PACKAGES:
        for file in sorted((ROOT / top).rglob("__init__.py")):
            said = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
            found.append((f"{file.parent.relative_to(ROOT)}/", " ".join(said.split("\n\n")[0].split())))
    return found


@pytest.mark.parametrize(("room", "sentence"), rooms(), ids=[room for room, _ in rooms()])
def test_a_room_is_in_the_table(room: str, sentence: str) -> None:
    assert sentence, f"{room}__init__.py says nothing"
    assert f"| `{room}` | {sentence} |" in (DOCS / "contributing.md").read_text(encoding="utf-8")


def anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def broken_links(file: Path, text: str) -> list[str]:
    found = []
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, place = target.partition("#")
        aim = (file.parent / path).resolve() if path else file
        if not aim.exists():
            found.append(target)
        elif place:
            headings = re.findall(r"^#+ (.*)$", aim.read_text(encoding="utf-8"), flags=re.MULTILINE)
            found += [] if place in {anchor(heading) for heading in headings} else [target]
    return found


@pytest.mark.parametrize("file", pages(), ids=lambda f: str(f.relative_to(ROOT)))
def test_links_lead_somewhere(file: Path) -> None:
    assert not broken_links(file, file.read_text(encoding="utf-8"))


def test_a_broken_link_is_found() -> None:
    text = "[a](settings.md#audit-trail) [b](settings.md#no-such-heading) [c](nowhere.md) `[d](code)`"
    assert broken_links(DOCS / "README.md", text) == ["settings.md#no-such-heading", "nowhere.md"]


@pytest.mark.parametrize("file", sorted(DOCS.glob("*.md")), ids=lambda f: f.name)
def test_a_page_is_in_the_index(file: Path) -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    assert file.name == "README.md" or f"({file.name}" in index, f"docs/README.md has no link to {file.name}"


@pytest.mark.parametrize(
    "reader", ["Radiologist", "Coder", "PACS administrator", "Compliance officer", "Referring surgeon", "Developer"]
)
def test_each_reader_has_a_place(reader: str) -> None:
    assert f"**{reader}.**" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"## {reader}\n" in (DOCS / "README.md").read_text(encoding="utf-8")


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 100


# Decisions

_DECISION = r"\[decision (\d+)\]\((\d{4}-[a-z0-9-]+\.md)\)"
_STATUS = re.compile(
    rf"Status: (accepted(?:, in part superseded by {_DECISION})?|superseded by {_DECISION})\. (\d{{4}}-\d\d-\d\d)\."
)


def decisions() -> list[Path]:
    return sorted(file for file in DECISIONS.glob("*.md") if file.name != "README.md")


@pytest.mark.parametrize("file", decisions(), ids=lambda f: f.name)
def test_a_decision_has_a_title_a_status_and_a_row_in_the_index(file: Path) -> None:
    title, blank, status = file.read_text(encoding="utf-8").splitlines()[:3]
    number = int(file.name[:4])
    assert re.match(rf"# {number}\. \S", title) and not blank
    found = _STATUS.fullmatch(status)
    assert found, f"{file.name}: {status!r} is no status"
    for successor in (found[3], found[5]):
        assert successor is None or (DECISIONS / successor).is_file()
    row = f"| {number} | [{title.split('. ', 1)[1]}]({file.name}) | {found[1]} | {found[6]} |"
    assert row in (DECISIONS / "README.md").read_text(encoding="utf-8").splitlines()


def test_the_index_of_decisions_has_no_more_rows() -> None:
    rows = re.findall(r"^\| \d+ \|", (DECISIONS / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(rows) == len(decisions()) == len({file.name[:4] for file in decisions()})


@pytest.mark.parametrize(
    "status", ["Status: proposed. 2026-11-26.", "Status: accepted.", "accepted", "Status: superseded by 7."]
)
def test_another_status_is_none(status: str) -> None:
    assert not _STATUS.fullmatch(status)


# Versions


def test_the_newest_release_is_the_version() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert re.fullmatch(rf"{re.escape(PROJECT['project']['version'])} \(\d{{4}}-\d\d-\d\d\)", headings[1])


def test_the_example_in_python_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = re.search(r"```python\n(.*?)```", (DOCS / "python.md").read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None
    (tmp_path / "sample_data").symlink_to(ROOT / "sample_data")
    monkeypatch.chdir(tmp_path)
    run: Callable[..., None] = exec
    run(compile(example[1], "docs/python.md", "exec"), {"__name__": "example"})
    assert (tmp_path / "skull.png").stat().st_size > 10_000
    assert len(capsys.readouterr().out.split()[0]) == 64
