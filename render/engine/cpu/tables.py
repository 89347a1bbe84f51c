"""Transfer functions as tables, made in Python so that the kernels need no power function."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from render.recipe import TransferFunction

ENTRIES = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """colours : (N, 4) float32 red, green, blue, opacity of one step. Entry n stands for first + n / scale.

    span : (2,) float32; values below the first and above the second have no opacity.
    visible : (N + 1,) int64, how many entries before each have any opacity, to ask about a range in one subtraction.
    """

    colours: NDArray[np.float32]
    visible: NDArray[np.int64]
    span: NDArray[np.float32]
    first: np.float32
    scale: np.float32


def table(transfer: TransferFunction, step_mm: float) -> Table:
    """The transfer function for samples `step_mm` apart.

    Opacity of a step is 1 − (1 − a)^(step / unit). Source: Lacroute 1995, 'Fast volume rendering using a shear-warp
    factorization', section 3.1. Powers are rounded to nine digits because C libraries differ beyond fifteen.
    """
    points = transfer.points
    first, last = points[0].value, points[-1].value
    width = max(last - first, 1e-6)
    exponent = step_mm / transfer.opacity_unit_mm
    rows, at = [], 0
    for n in range(ENTRIES):
        value = first + width * n / (ENTRIES - 1)
        while at + 2 < len(points) and value >= points[at + 1].value:
            at += 1
        a, b = points[at], points[at + 1]
        gap = b.value - a.value
        part = min(max((value - a.value) / gap, 0.0), 1.0) if gap > 0.0 else 1.0
        red, green, blue, opacity = (
            getattr(a, name) + (getattr(b, name) - getattr(a, name)) * part
            for name in ("red", "green", "blue", "opacity")
        )
        rows.append((red, green, blue, round(1.0 - math.pow(max(1.0 - opacity, 0.0), exponent), 9)))
    colours = np.array(rows, dtype=np.float32)
    visible = np.zeros(ENTRIES + 1, dtype=np.int64)
    np.cumsum(colours[:, 3] > 0.0, out=visible[1:])
    return Table(
        colours,
        visible,
        _span(colours, first, (ENTRIES - 1) / width),
        np.float32(first),
        np.float32((ENTRIES - 1) / width),
    )


def _span(colours: NDArray[np.float32], first: float, scale: float) -> NDArray[np.float32]:
    """An entry to spare at either end; no limit where the end of the table shows, since it stands for all beyond."""
    shown = np.flatnonzero(colours[:, 3] > 0.0)
    if shown.size == 0:
        return np.array([np.inf, -np.inf], dtype=np.float32)
    low = -np.inf if shown[0] == 0 else first + (int(shown[0]) - 2) / scale
    high = np.inf if shown[-1] == len(colours) - 1 else first + (int(shown[-1]) + 2) / scale
    return np.array([low, high], dtype=np.float32)
