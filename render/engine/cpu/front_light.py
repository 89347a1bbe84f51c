"""Shading for kernels that draw sample by sample: fading by steepness, light from the front, the end of a ray."""

from typing import Any

import numpy as np

from render.engine.cpu.jit import kernel

_ZERO, _ONE, _HALF_UP = np.float32(0.0), np.float32(1.0), np.float32(0.5)


@kernel
def in_patient(to_lps: Any, gk: Any, gj: Any, gi: Any) -> Any:
    """Returns (x, y, z, length) of a gradient along k, j, i. to_lps : (3, 3) float32."""
    gx = gk * to_lps[0, 0] + gj * to_lps[0, 1] + gi * to_lps[0, 2]
    gy = gk * to_lps[1, 0] + gj * to_lps[1, 1] + gi * to_lps[1, 2]
    gz = gk * to_lps[2, 0] + gj * to_lps[2, 1] + gi * to_lps[2, 2]
    return gx, gy, gz, np.sqrt(gx * gx + gy * gy + gz * gz)


@kernel
def left_of_opacity(steepness: Any, gradient_range: Any) -> Any:
    """Returns how much of its opacity a place keeps by its steepness: from 0 at the lower end of the range to 1."""
    low, high = gradient_range[0], gradient_range[1]
    return _ZERO if steepness <= low else (_ONE if steepness >= high else (steepness - low) / (high - low))


@kernel
def light_up(colour: Any, gx: Any, gy: Any, gz: Any, steepness: Any, towards: Any, terms: Any, squarings: int) -> None:
    """Shades (3,) red, green, blue by light from the observer, `towards`. terms, squarings : as in `Light`."""
    facing = _ZERO
    if steepness > _ZERO:
        facing = abs(gx * towards[0] + gy * towards[1] + gz * towards[2]) / steepness
    shine = facing
    for _ in range(squarings):
        shine = shine * shine
    body = terms[0] + terms[1] * facing
    for c in range(3):
        colour[c] = min(colour[c] * body + terms[2] * shine, _ONE)


@kernel
def finish(sums: Any, seen: Any, background: Any, pixel: Any) -> None:
    """Writes (3,) uint8 of a ray: its colours, (3,) float32, over the background by how much of it is covered."""
    for c in range(3):
        value = (sums[c] + (_ONE - seen) * background[c]) * np.float32(255.0)
        pixel[c] = int(min(max(value, _ZERO), np.float32(255.0)) + _HALF_UP)
