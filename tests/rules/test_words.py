"""One name for one thing: no public name of a type is defined twice, and the glossary speaks of what is there."""

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("render", "dicom_io", "workstation")
GLOSSARY = ROOT / "docs" / "glossary.md"
# Names that may stand twice, with the reason.
TWICE = {
    "Floats": "the same alias, in two modules of `render` that do not import each other",
}
# Modules over 400 lines, with the reason why each stays whole.
LARGEST = 400
LONG = {
    "dicom_io/archive/archive.py": "keeping a file and indexing it are one transaction, repaired by one set of rules",
    "render/mask_steps.py": "the language of masks: every step and its checks are read together",
    "render/recipe.py": "the language of recipes: every kind, its checks and its canonical form are read together",
    "render/engine/cpu/shade.py": "one kernel and its parts; numba compiles them as one, and packets are shared",
    "render/engine/cpu/simd.py": "the vector operations, one after another; a table rather than a text",
    "workstation/audit/trail.py": "the messages of PS3.15 A.5.3, one function each, over one way to write them",
    "workstation/charge/rules.py": "the contract's rules in its order, one function each, to be read in one go",
    "workstation/desktop/model/screen.py": "the screen as one value: its parts, and the recipes drawn of them",
    "workstation/desktop/viewer.py": "the panes as one widget: every command of a menu or key that changes the screen",
    "workstation/desktop/window.py": "the main window: its parts, where they stand, and the series that are open",
    "dicom_io/sr/evidence_sr.py": "one document: what is written and what is read again, item by item",
    "workstation/store/casebook.py": "one store: its tables, and the transactions that read and write them together",
    "workstation/store/outbox.py": "one store: a charge follows from its messages, these from their attempts",
}


def modules() -> list[Path]:
    return sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))


@cache
def types_of(text: str) -> list[str]:
    """Public classes and aliases of types that a module defines: names that begin with a capital and go on small."""
    found = []
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef):
            found.append(node.name)
        elif isinstance(node, ast.Assign):
            found += [each.id for each in node.targets if isinstance(each, ast.Name)]
    return [name for name in found if re.fullmatch(r"[A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*", name)]


def twice(texts: dict[str, str]) -> dict[str, list[str]]:
    places: dict[str, list[str]] = defaultdict(list)
    for file, text in texts.items():
        for name in types_of(text):
            places[name].append(file)
    return {name: files for name, files in places.items() if len(files) > 1}


def texts() -> dict[str, str]:
    return dict(_texts())


@cache
def _texts() -> dict[str, str]:
    return {file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8") for file in modules()}


def test_a_public_type_is_defined_once() -> None:
    found = twice(texts())
    assert {name: files for name, files in found.items() if name not in TWICE} == {}
    assert set(TWICE) <= set(found), "a name that stands once needs no excuse any more"


def test_a_second_definition_is_found() -> None:
    changed = texts()
    changed["workstation/case.py"] += "\n\nclass Volume:\n    pass\n"
    assert "Volume" in twice(changed)


def test_the_glossary_names_what_is_there() -> None:
    defined = {name for text in texts().values() for name in re.findall(r"\b[A-Za-z_]\w*", text)}
    text = GLOSSARY.read_text(encoding="utf-8")
    given_up = text.split("## Words that were given up")[1]
    told = text.replace(given_up, "") + "\n".join(
        row.split("|")[2] for row in given_up.splitlines() if row.count("|") > 2
    )
    for name in re.findall(r"`([\w.]+)(?:\(\))?`", told):
        assert name.rsplit(".", 1)[-1] in defined, f"docs/glossary.md names `{name}`, which is nowhere"


@pytest.mark.parametrize("word", ["Told", "Outcome", "Standing", "Refused", "Expected", "Entry", "Hands", "Member"])
def test_a_word_that_was_given_up_is_not_a_type_again(word: str) -> None:
    assert word not in {name for text in texts().values() for name in types_of(text)}


def test_long_modules_say_why_they_stay_whole() -> None:
    long = {file for file, text in texts().items() if text.count("\n") > LARGEST}
    assert long == set(LONG)
