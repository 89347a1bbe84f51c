"""Phantoms of known truth for lesions and automatic tools."""

import math

import numpy as np
from scipy import ndimage

from render.geometry import Affine, Vector, affine_from
from render.volume import Volume


def _axial(spacing: tuple[float, float, float]) -> Affine:
    return affine_from((0, 0, 0), (0, 0, spacing[0]), (0, spacing[1], 0), (spacing[2], 0, 0))


def ball(
    axes_mm: tuple[float, float, float],
    spacing_mm: tuple[float, float, float],
    inside: float,
    outside: float,
    noise: float,
    wall_mm: float | None = None,
    seed: int = 3,
) -> tuple[Volume, Vector, float]:
    """An ellipsoid of half axes along k, j, i, off the grid, in noise; its LPS mm middle and its ml. wall_mm : a wall
    of the same value begins so far from the middle, along i."""
    shape = [math.ceil((2.0 * max(axes_mm) + 36.0) / step) for step in spacing_mm]
    middle = [n * step / 2.0 + off for n, step, off in zip(shape, spacing_mm, (0.3, -0.2, 0.4), strict=True)]
    share = np.zeros(shape)
    for part in np.ndindex(3, 3, 3):
        places = [
            (np.arange(n) + (p - 1) / 3.0) * step - m
            for n, p, step, m in zip(shape, part, spacing_mm, middle, strict=True)
        ]
        z, y, x = np.ix_(*places)
        within = (z / axes_mm[0]) ** 2 + (y / axes_mm[1]) ** 2 + (x / axes_mm[2]) ** 2 <= 1.0
        share += within if wall_mm is None else within | (x > wall_mm)
    soft = ndimage.gaussian_filter(share / 27.0, [0.5 / step for step in spacing_mm])
    values = outside + (inside - outside) * soft + np.random.default_rng(seed).normal(0.0, noise, shape)
    volume = Volume(np.rint(values).astype(np.int16), _axial(spacing_mm), "HU")
    return volume, (middle[2], middle[1], middle[0]), 4.0 / 3.0 * math.pi * math.prod(axes_mm) / 1000.0


def nodule(radius_mm: float, glass: float, core_mm: float) -> tuple[Volume, Vector]:
    """A ball of ground glass in lung with a solid core of 30 HU, and its LPS mm middle."""
    spacing, rng = (1.25, 0.7, 0.7), np.random.default_rng(1)
    shape = [round((2.0 * radius_mm + 40.0) / s) for s in spacing]
    middle = [n * s / 2.0 + 0.2 for n, s in zip(shape, spacing, strict=True)]
    z, y, x = (np.arange(n) * s - m for n, s, m in zip(shape, spacing, middle, strict=True))
    away = np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2)
    values = np.where(away < core_mm, 30.0, np.where(away < radius_mm, glass, -860.0))
    values = ndimage.gaussian_filter(values, [0.5 / s for s in spacing]) + rng.normal(0.0, 25.0, shape)
    return Volume(values.astype(np.int16), _axial(spacing), "HU"), (middle[2], middle[1], middle[0])


def chest() -> Volume:
    """A trunk on a table: lungs of −850 HU, a vertebra with cortex 700 and marrow 180, an aorta of 350 on it."""
    spacing = (2.5, 1.5, 1.5)
    k, j, i = np.indices((52, 150, 170)).astype(np.float64)
    z, y, x = k * spacing[0], j * spacing[1], i * spacing[2]
    values = np.full(k.shape, -1000.0)
    values[((y - 105) / 85) ** 2 + ((x - 128) / 110) ** 2 < 1] = 40
    for side in (-48.0, 48.0):
        values[((z - 65) / 60) ** 2 + ((y - 95) / 45) ** 2 + ((x - 128 - side) / 35) ** 2 < 1] = -850
    spine = np.hypot(y - 160, x - 128)
    values[spine < 19] = 180
    values[(spine >= 16) & (spine < 19)] = 700
    values[np.hypot(y - 128, x - 128) < 11] = 350
    values[:, -4:-1] = -150
    values += np.random.default_rng(5).normal(0.0, 3.0, values.shape)
    flat = np.abs(values - 350) < 12
    values[flat] = 350
    return Volume(np.rint(values).astype(np.int16), _axial(spacing), "HU")
