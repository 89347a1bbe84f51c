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

    visible : (N + 1,) int64, how many entries before each have any opacity, to ask about a range in one subtraction.
    """

    colours: NDArray[np.float32]
    visible: NDArray[np.int64]
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
    return Table(colours, visible, np.float32(first), np.float32((ENTRIES - 1) / width))
