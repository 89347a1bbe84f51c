"""Lines that a tool writes into a report, and writes anew when it has found something else."""

from collections.abc import Iterable, Sequence


def with_lines(text: str, lines: Sequence[str], earlier: Iterable[Sequence[str]] = ()) -> str:
    """Returns a text with lines in it once: in place of the longest of `earlier` that stands there as it was written,
    else at the end. What a person has changed of them is theirs, and stays."""
    new, there = _split(lines), text.rstrip().split("\n")
    blocks = [new, *map(_split, earlier)]
    for block in sorted(blocks, key=len, reverse=True):
        size = len(block)
        for start in range(len(there) - size + 1 if size else 0):
            if there[start : start + size] == block:
                return "\n".join([*there[:start], *new, *there[start + size :]])
    return "\n".join([*there, *new] if text.strip() else new)


def _split(lines: Sequence[str]) -> list[str]:
    """Returns one entry for each line, also where some were given together."""
    return [part for line in lines for part in line.split("\n")]
