"""The page of every command, from the commands themselves: usage, arguments, options and the example.

`python -m workstation.cli.commands_page` prints it; `docs/commands.md` is its output.
"""

import re
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperGroup, TyperOption
from typer.main import get_command

from workstation.cli.main import app

# The files of verbs, in the order of the page, each with its heading.
_HEADINGS = {
    "pictures": "Series and pictures",
    "clinical": "Structures and measures",
    "bones": "Bones",
    "vessel": "Vessels",
    "trajectory": "Trajectories",
    "fly": "Flights through hollow organs",
    "registration": "Registration",
    "surfaces": "Surfaces",
    "run": "The story of a case",
    "record": "Records",
    "results": "Results for referring physicians",
    "charge": "Charges: the coder's work",
    "charge_acts": "Charges: queries, unmatched messages, denials",
    "charge_trials": "Charges: what would be",
    "charge_rules": "Charges: what the rules say",
    "compliance": "Compliance",
    "outbox": "The outbox",
    "serve": "Services and this machine",
    "web": "The console",
    "prepare": "Prepared before anybody looks",
    "peers": "Peers: other DICOM nodes",
    "storage": "The archive",
    "backup": "Backups",
    "upgrade": "Upgrading",
    "desktop": "The desktop and its people",
}
_EXAMPLE = "Example: "
_PROGRAM = "workstation"
_NAMED = re.compile(rf"`{_PROGRAM} ([a-z][a-z -]*)`")

_INTRODUCTION = """# Commands

`python -m workstation.cli.commands_page > docs/commands.md` writes this page; each command says the same with `--help`.

`--root DIR` before the command, or `WORKSTATION_ROOT`, names the state folder; without either it is
`~/.local/share/workstation`. `--json` prints for programs. Exit 0: done. 1: refused, with the reason. 2: misuse.
"""


def walk(command: Any = None, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command with its words after `workstation`, in the order of `--help`."""
    command = command or get_command(app)
    if not isinstance(command, TyperGroup):
        yield " ".join(words), command
        return
    for name, child in command.commands.items():
        yield from walk(child, (*words, name))


def page() -> str:
    """The whole page, as Markdown."""
    rooms: dict[str, list[tuple[str, Any]]] = {name: [] for name in _HEADINGS}
    for words, command in walk():
        rooms[command.callback.__module__.rsplit(".", 1)[-1]].append((words, command))
    parts = [_INTRODUCTION]
    for room, commands in rooms.items():
        rows = [
            [f"[`workstation {words}`](#{_anchor(words)})", _cell(_texts(command)[0][0])] for words, command in commands
        ]
        parts.append(f"## {_HEADINGS[room]}\n\n{_table(['command', 'what it does'], rows)}")
    parts.append("## Every command with its options\n")
    parts += [_section(words, command) for commands in rooms.values() for words, command in commands]
    return "\n".join(parts)


def _section(words: str, command: Any) -> str:
    """One command. Its first paragraph is said above as well, so that a reader who comes by a link has all of it."""
    said, example = _texts(command)
    rows = [[_form(parameter), _cell(_explained(parameter))] for parameter in command.params]
    return "\n".join(
        [
            f"### workstation {words}\n",
            *(f"{text}\n" for text in said),
            f"    {_usage(words, command)}\n",
            *([_table(["argument or option", "what it says"], rows)] if rows else []),
            f"    $ {example}\n",
        ]
    )


def _texts(command: Any) -> tuple[list[str], str]:
    """The paragraphs of a command's help, each on one line, and the example that ends them."""
    paragraphs = [" ".join(text.split()) for text in (command.help or "").split("\n\n")]
    examples = [text.removeprefix(_EXAMPLE) for text in paragraphs if text.startswith(_EXAMPLE)]
    return [text for text in paragraphs if not text.startswith(_EXAMPLE)], examples[-1]


def _usage(words: str, command: Any) -> str:
    """Arguments first, then what has to be named, then `[OPTIONS]` where there are others."""
    arguments = [_argument(p) for p in command.params if not isinstance(p, TyperOption)]
    options = [p for p in command.params if isinstance(p, TyperOption)]
    needed = [_named(p, p.opts[0]) for p in options if _needed(p)]
    others = len(options) > len(needed)
    return " ".join(["workstation", words, *arguments, *needed, *(["[OPTIONS]"] if others else [])])


def _argument(parameter: Any) -> str:
    name = (parameter.metavar or parameter.name.upper()) + (" …" if parameter.nargs == -1 else "")
    return str(name) if parameter.required else f"[{name}]"


def _named(parameter: Any, name: str) -> str:
    """An option with the word for its value, if it takes one."""
    if parameter.is_flag:
        return name
    return f"{name} {parameter.metavar or parameter.opts[-1].lstrip('-').upper()}"


def _needed(parameter: Any) -> bool:
    """Whether an option has to be there. What is asked for where it is missing has not."""
    return bool(parameter.required and not parameter.prompt)


def _form(parameter: Any) -> str:
    if not isinstance(parameter, TyperOption):
        return f"`{_cell(_argument(parameter))}`"
    names = [*parameter.opts, *parameter.secondary_opts]
    return ", ".join([*(f"`{name}`" for name in names[:-1]), f"`{_cell(_named(parameter, names[-1]))}`"])


def _explained(parameter: Any) -> str:
    """Its help, and what else there is to know: needed, default, environment, repeatable."""
    default = parameter.default
    # Nothing, an empty text and a flag that is off are no news; what is computed on the spot cannot be printed here.
    plain = default not in (None, "", False, ()) and not callable(default) and default is not ...
    option = isinstance(parameter, TyperOption)
    more = [
        *(["Needed."] if option and _needed(parameter) else []),
        *([f"Default: `{default}`."] if plain and not parameter.required else []),
        *(["May be given several times."] if option and parameter.multiple else []),
        *([f"Or `{parameter.envvar}`."] if parameter.envvar else []),
    ]
    return " ".join([*([_linked(_sentence(parameter.help))] if parameter.help else []), *more])


def _linked(text: str) -> str:
    """Other commands that a help text names, as links to their sections."""
    return _NAMED.sub(lambda found: f"[{found[1]}](#{_anchor(found[1])})", text)


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _anchor(words: str) -> str:
    return f"workstation-{words.replace(' ', '-')}"


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


if __name__ == "__main__":
    typer.echo(page(), nl=False)
