"""Transfer functions as tables, made outside the kernels, so that these need no power function."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.engine.cpu.jit import kernel
from render.recipe import TransferFunction

ENTRIES = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A transfer function. colours : (N, 4) float32 red, green, blue, opacity of one step. Entry n is for the value
    first + n / scale.

    span : (2,) float32; values below the first and above the second have no opacity.
    visible : (N + 1,) int64, number of entries before each with any opacity, so that one subtraction tests a range.
    """

    colours: NDArray[np.float32]
    opacities: NDArray[np.float32]
    edges: NDArray[np.float32]
    visible: NDArray[np.int64]
    span: NDArray[np.float32]
    first: np.float32
    scale: np.float32


def transfer_table(transfer: TransferFunction, step_mm: float) -> Table:
    """Makes the table of a transfer function for samples `step_mm` apart.

    Opacity of a step is 1 − (1 − a)^(step / unit). Source: Lacroute 1995, 'Fast volume rendering using a shear-warp
    factorization', section 3.1. Powers are rounded to nine digits because libraries differ beyond fifteen.
    """
    points = transfer.points
    first, last = points[0].value, points[-1].value
    width = max(last - first, 1e-6)
    values = first + width * np.arange(ENTRIES) / (ENTRIES - 1)
    at = np.minimum(np.searchsorted([p.value for p in points[1:]], values, side="right"), len(points) - 2)
    ends = np.array([[p.value, p.red, p.green, p.blue, p.opacity] for p in points])
    a, b = ends[at], ends[at + 1]
    gap = (b - a)[:, 0]
    steep = gap <= 0.0
    part = np.where(steep, 1.0, np.clip((values - a[:, 0]) / np.where(steep, 1.0, gap), 0.0, 1.0))
    shown = (a + (b - a) * part[:, None])[:, 1:]
    shown[:, 3] = np.round(1.0 - np.power(np.maximum(1.0 - shown[:, 3], 0.0), step_mm / transfer.opacity_unit_mm), 9)
    colours = shown.astype(np.float32)
    opacities = np.ascontiguousarray(colours[:, 3])
    scale = (ENTRIES - 1) / width
    visible = np.zeros(ENTRIES + 1, dtype=np.int64)
    np.cumsum(opacities > 0.0, out=visible[1:])
    return Table(
        colours, opacities, _edges(opacities, first, scale), visible, _span(opacities, first, scale),
        np.float32(first), np.float32(scale),
    )  # fmt: skip


def _edges(opacities: NDArray[np.float32], first: float, scale: float) -> NDArray[np.float32]:
    """Returns the values half an entry before the nearest entry with any opacity: below each entry, and above it."""
    shown, entries = np.flatnonzero(opacities > 0.0), np.arange(len(opacities))
    if shown.size == 0:
        return np.zeros((2, len(opacities)), dtype=np.float32)
    below = shown[np.maximum(np.searchsorted(shown, entries, side="right") - 1, 0)] + 0.5
    above = shown[np.minimum(np.searchsorted(shown, entries), shown.size - 1)] - 0.5
    return np.asarray(first + np.stack([below, above]) / scale, dtype=np.float32)


def _span(opacities: NDArray[np.float32], first: float, scale: float) -> NDArray[np.float32]:
    """Returns the visible range, with a spare entry at either end; no limit where the end of the table is visible,
    since it stands for all values beyond."""
    shown = np.flatnonzero(opacities > 0.0)
    if shown.size == 0:
        return np.array([np.inf, -np.inf], dtype=np.float32)
    low = -np.inf if shown[0] == 0 else first + (int(shown[0]) - 2) / scale
    high = np.inf if shown[-1] == len(opacities) - 1 else first + (int(shown[-1]) + 2) / scale
    return np.array([low, high], dtype=np.float32)


@kernel
def entry(v: Any, first: Any, scale: Any, count: int) -> int:
    """Returns the table's entry for a value; beyond the ends, and for NaN, the end."""
    x = (v - first) * scale + np.float32(0.5)
    if x >= np.float32(count - 1):
        return count - 1
    if x > np.float32(0.0):
        return int(x)
    return 0
