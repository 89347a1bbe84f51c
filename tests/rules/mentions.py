"""What pages say of the command line: every `workstation …` in them, and whether there is such a command and option."""

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.core import TyperGroup

# Options of other programs that our pages name alone, without the command before them. Whose they are.
OTHERS = {
    "--growth": "tests.benchmarks.bench_node",
    "--new-goldens": "pytest",
    "--plain": "tests.benchmarks.bench_desktop",
    "--slices": "tests.benchmarks.bench_desktop",
}

_CALL = r"(?:\w+=\S+ +)*(?:sudo +)?(?:(?:\S*/)?python[\d.]* +-m +|\S*bin/)?workstation(?:\s+(?P<words>.*))?$"
_IN_SPAN = re.compile(r"(?:\$ +)?" + _CALL)
# At the beginning of a line, after a prompt, a bracket or `=`, or with its path or Python's: output has it elsewhere.
_IN_CODE = re.compile(r"(?:^|(?:^|\s)\$ +|[(=] *|(?<=\s)(?=\S*bin/workstation)|(?<=\s)(?=\S*python\S* +-m ))" + _CALL)
_BETWEEN_COMMANDS = re.compile(r"\s(?:\|\|?|&&?|;)\s+|;\s+")
_SPAN = re.compile(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_FENCE = re.compile(r"( *)(```+|~~~+)")
_HEADING = re.compile(r"#+ +workstation +(.*)")
_OPTION = re.compile(r"(?<![\w-])--?[A-Za-z][\w-]*")
_PLACEHOLDER = re.compile(r"\[?(?:…|\.\.\.|<[^>]+>|[A-Z][A-Z_|]*)\]?(?:…|\.\.\.)?")
_VERSION = re.compile(r"\d+\.\d+[\w.]*")
# Where the shell goes on with something else.
_ENDS = re.compile(r"(\|\|?|&&?|;|\d?>>?(&\d)?|<)")


@dataclass(frozen=True, slots=True)
class Mention:
    """A call of the command in a page. words : all after `workstation`."""

    line: int
    words: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(("workstation", *self.words))


def pages(root: Path) -> list[Path]:
    """README.md and every page of docs/."""
    return [root / "README.md", *sorted((root / "docs").rglob("*.md"))]


def commands_of(command: Any, words: tuple[str, ...] = ()) -> dict[str, Any]:
    """Every command by its words after `workstation`, those of groups too."""
    if not isinstance(command, TyperGroup):
        return {" ".join(words): command}
    found: dict[str, Any] = {}
    for name, child in command.commands.items():
        found |= commands_of(child, (*words, name))
    return found


def options_of(command: Any) -> dict[str, Any]:
    """Every option of a command by each of its names; those of the commands of a group."""
    if isinstance(command, TyperGroup):
        below = [options_of(child) for child in command.commands.values()]
        return {name: option for one in below for name, option in one.items()} | _own_options(command)
    return _own_options(command)


def _own_options(command: Any) -> dict[str, Any]:
    named = {name: one for one in command.params for name in (*one.opts, *one.secondary_opts) if name.startswith("-")}
    return {"--help": None, **named}


def mentions(text: str) -> Iterator[Mention]:
    """Every call of the command in a page: in backticks, in tables, in headings and in blocks of code."""
    for line, block, is_code in _blocks(text):
        if is_code:
            for number, one in _whole_lines(block):
                for part in _BETWEEN_COMMANDS.split(one):
                    if call := _IN_CODE.search(part):
                        yield Mention(line + number, _split(call["words"]))
        elif heading := _HEADING.match(block):
            yield Mention(line, _split(heading[1]))
        for number, span in _spans(block):
            if call := _IN_SPAN.match(span):
                yield Mention(line + number, _split(call["words"]))


def problems(command: Any, text: str) -> list[str]:
    """What a page says of the command line that is not so. command : the whole of it."""
    found = []
    for one in mentions(text):
        found += [f"line {one.line}: `{one}`: {what}" for what in _wrong(command, list(one.words), "workstation")[0]]
    return found + _wrong_options(command, text)


def named(command: Any, texts: Iterable[str]) -> set[str]:
    """The commands that pages name, by their words after `workstation`."""
    return {name for text in texts for one in mentions(text) for name in _wrong(command, list(one.words), "")[1]}


def _wrong(command: Any, words: list[str], so_far: str) -> tuple[list[str], set[str]]:
    """What is wrong with words after a command, and the commands that they reach."""
    found: list[str] = []
    options = _own_options(command)
    while words:
        word = words.pop(0)
        if names := _options_in(word):
            found += [f"`{so_far}` has no option {name}" for name in names if name not in options]
            takes = [options[name] for name in names if options.get(name) is not None]
            if takes and not takes[-1].is_flag and "=" not in word and not word.endswith("]"):
                del words[:1]
        elif not isinstance(command, TyperGroup) or word == "[OPTIONS]":
            continue
        elif _PLACEHOLDER.fullmatch(word):
            options = options_of(command)
        elif so_far == "workstation" and _VERSION.fullmatch(word):
            return found, set()
        elif options == _own_options(command):
            reached: set[str] = set()
            for name in word.rstrip(".,:;").split("|"):
                child = command.commands.get(name)
                if child is None:
                    return [*found, f"`{so_far}` has no command {name!r}"], reached
                wrong, below = _wrong(child, words.copy(), f"{so_far} {name}")
                found, reached = found + wrong, reached | below
            return found, reached
    return found, set() if isinstance(command, TyperGroup) else {so_far.strip()}


def _wrong_options(command: Any, text: str) -> list[str]:
    """Options that stand alone in backticks: in the row of a table they belong to the command that the row begins with,
    elsewhere to any."""
    everywhere = options_of(command)
    found = []
    for line, block, is_code in _blocks(text):
        if is_code:
            continue
        rows = block.split("\n") if block.startswith("|") else [block]
        for number, row in enumerate(rows):
            known, whose = everywhere, "the command line"
            if block.startswith("|") and (first := next(mentions(row), None)):
                known = {name: None for child in _leaves(command, first) for name in options_of(child)} or everywhere
                whose = f"`{first}`"
            for offset, span in _spans(row):
                if span.startswith("-"):
                    for name in _options_in(span.split()[0]):
                        if name not in known and not (known is everywhere and name in OTHERS):
                            found.append(f"line {line + number + offset}: `{span}`: {whose} has no option {name}")
    return found


def _leaves(command: Any, mention: Mention) -> list[Any]:
    every = commands_of(command)
    return [every[name.strip()] for name in _wrong(command, list(mention.words), "")[1]]


def _options_in(word: str) -> list[str]:
    return _OPTION.findall(word.split("=")[0]) if word.lstrip("[(").startswith("-") else []


def _split(words: str | None) -> tuple[str, ...]:
    """The words of one command, as the shell has them, up to where another begins."""
    text = " ".join((words or "").split())
    try:
        found = shlex.split(text, comments=True)
    except ValueError:  # an apostrophe of a sentence
        found = text.split()
    until = next((n for n, word in enumerate(found) if _ENDS.fullmatch(word)), len(found))
    return tuple(word for word in (word.rstrip(";)") for word in found[:until]) if word)


def _spans(block: str) -> Iterator[tuple[int, str]]:
    """What stands in backticks, with the line of the block that it begins on."""
    for span in _SPAN.finditer(block):
        yield block.count("\n", 0, span.start()), " ".join(span[2].replace("\\|", "|").split())


def _whole_lines(block: str) -> Iterator[tuple[int, str]]:
    """The lines of code, those that end with a backslash joined to the next one."""
    begun, parts = 0, list[str]()
    for number, line in enumerate(block.split("\n")):
        begun = begun if parts else number
        parts.append(line.rstrip().removesuffix("\\"))
        if not line.rstrip().endswith("\\"):
            yield begun, " ".join(parts)
            parts = []
    if parts:
        yield begun, " ".join(parts)


def _blocks(text: str) -> Iterator[tuple[int, str, bool]]:
    """The paragraphs and the blocks of code of a page: the line where each begins, its text, whether it is code.

    Code stands between fences, or four spaces in after an empty line; its indentation is taken away.
    """
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        begun = at
        if fence := _FENCE.match(lines[at]):
            at += 1
            while at < len(lines) and not lines[at].strip().startswith(fence[2]):
                at += 1
            yield begun + 2, "\n".join(line[len(fence[1]) :] for line in lines[begun + 1 : at]), True
            at += 1
            continue
        is_code = lines[at].startswith("    ")
        while at < len(lines) and lines[at].strip() and not (at > begun and _FENCE.match(lines[at])):
            at += 1
        block = lines[begun:at]
        inset = min(len(line) - len(line.lstrip(" ")) for line in block) if is_code else 0
        yield begun + 1, "\n".join(line[inset:] for line in block), is_code
