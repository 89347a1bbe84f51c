"""Plots as values that templates draw as SVG: places and sizes are worked out here, colours are the stylesheet's."""

from collections.abc import Sequence
from dataclasses import dataclass

_BAR_WIDTH, _COLUMN_HEIGHT = 300.0, 140.0


@dataclass(frozen=True, slots=True)
class ChartPart:
    """A part of a bar. kind : its class in the stylesheet. at, size : along the bar, in units of the drawing."""

    kind: str
    value: int
    at: float
    size: float


@dataclass(frozen=True, slots=True)
class ChartBar:
    """A bar with its parts one after another. words : said to whoever cannot see it. link : where it leads."""

    label: str
    parts: tuple[ChartPart, ...]
    total: int
    words: str
    link: str


@dataclass(frozen=True, slots=True)
class ChartColumns:
    """Columns over days. step : from one to the next. ticks : value and height of the lines behind them."""

    bars: tuple[ChartBar, ...]
    width: float
    height: float
    step: float
    ticks: tuple[tuple[int, float], ...]


# Label, values by kind, link.
BarRow = tuple[str, Sequence[tuple[str, int]], str]


def bars(rows: Sequence[BarRow], most: int = 10) -> tuple[ChartBar, ...]:
    """Return horizontal bars, all to one scale. most : so many of the first rows."""
    shown = rows[:most]
    longest = max((sum(value for _, value in values) for _, values, _ in shown), default=0)
    return tuple(_bar(row, _BAR_WIDTH / longest if longest else 0.0) for row in shown)


def columns(rows: Sequence[BarRow], width: float = 900.0) -> ChartColumns:
    """Return upright bars, one a row, over the whole width."""
    highest = max((sum(value for _, value in values) for _, values, _ in rows), default=0)
    scale = _COLUMN_HEIGHT / highest if highest else 0.0
    step = width / max(len(rows), 1)
    each = max(round(highest / 4), 1)
    ticks = tuple((value, _COLUMN_HEIGHT - value * scale) for value in range(0, highest + 1, each))
    return ChartColumns(tuple(_bar(row, scale) for row in rows), width, _COLUMN_HEIGHT, step, ticks)


def _bar(row: BarRow, scale: float) -> ChartBar:
    label, values, link = row
    parts: list[ChartPart] = []
    at = 0.0
    for kind, value in values:
        size = round(value * scale, 1)
        if value:
            parts.append(ChartPart(kind, value, round(at, 1), size))
        at += size
    words = ", ".join(f"{value} {kind}" for kind, value in values if value)
    return ChartBar(label, tuple(parts), sum(value for _, value in values), words, link)
