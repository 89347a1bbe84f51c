"""What the modules of the command line share: the state folder, `--json`, examples in help, tables."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def example(line: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Ends a command's help with an example."""

    def with_example(command: Callable[..., Any]) -> Callable[..., Any]:
        command.__doc__ = f"{command.__doc__}\n\n    Example: {line}"
        return command

    return with_example


def show(as_json: bool, value: Any, text: str) -> None:
    """Prints a result for programs or for people."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False) if as_json else text)


def table(rows: list[list[str]], header: list[str]) -> str:
    """Columns as wide as what stands in them."""
    widths = [max(len(str(row[n])) for row in [header, *rows]) for n in range(len(header))]
    lines = [
        "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [header, *rows]
    ]
    return "\n".join(line.rstrip() for line in lines)


def root() -> Path:
    """The state folder that `--root` named."""
    from workstation import cli

    return cli._root
