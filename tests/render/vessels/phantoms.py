"""Vessels whose every measure is known: tubes along a curve, blurred as scanners blur, with noise, in any position."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from render.curved import Points
from render.volume import Volume

LUMEN, TISSUE = 350.0, 50.0


@dataclass(frozen=True)
class Tube:
    """curve : (N, 3) LPS mm, close together. radii : (N,) mm. volume : the picture of it."""

    curve: Points
    radii: Points
    volume: Volume

    def at(self, number: int) -> tuple[float, float, float]:
        x, y, z = (float(value) for value in self.curve[number])
        return (x, y, z)

    def nearest(self, places_mm: Points) -> tuple[Points, Any]:
        """mm from the true curve, and the numbers of its nearest points."""
        distance, number = cKDTree(self.curve).query(places_mm)
        return distance, number


def rotation(rng: np.random.Generator) -> Points:
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return np.asarray(q if np.linalg.det(q) > 0 else -q)


def bow(rng: np.random.Generator, length: float = 60.0, bend: float = 12.0) -> Points:
    """A bent curve in any direction."""
    s = np.linspace(0.0, 1.0, 2001)
    curve = np.stack([bend * np.sin(4.0 * s), 0.6 * bend * s * s, length * s], axis=1)
    return np.asarray(curve @ rotation(rng).T)


def narrowed(radius: float, share: float, at: float = 0.5, over: float = 0.06) -> Points:
    """Radii of a vessel that loses `share` of its diameter at a place."""
    s = np.linspace(0.0, 1.0, 2001)
    return np.asarray(radius * (1.0 - share * np.exp(-(((s - at) / over) ** 2))))


def tube(
    curve: Points,
    radii: Points,
    spacing: tuple[float, float, float] = (0.8, 0.6, 0.6),
    *,
    rng: np.random.Generator,
    blur_mm: float = 0.6,
    noise: float = 15.0,
    extra: list[tuple[Points, float, float]] | None = None,
    margin_mm: float = 10.0,
) -> Tube:
    """Draws a tube. extra : spheres beside it, (middle, radius in mm, value)."""
    turned = rotation(rng) * np.array(spacing)  # columns k, j, i
    local = curve @ np.linalg.inv(turned).T
    margin = margin_mm / np.array(spacing)
    low = np.floor(local.min(axis=0) - margin)
    shape = (np.ceil(local.max(axis=0) + margin) - low + 1).astype(int)
    near = np.zeros(shape, dtype=bool)
    near[tuple(np.rint(local - low).astype(int).T)] = True
    near = ndimage.distance_transform_edt(~near, sampling=spacing) < radii.max() + 1.5 * max(spacing)
    fine = np.zeros(shape * 2, dtype=np.float32)
    inner = np.argwhere(near.repeat(2, 0).repeat(2, 1).repeat(2, 2))
    distance, number = cKDTree(curve).query(((inner + 0.5) / 2.0 - 0.5 + low) @ turned.T)
    fine[tuple(inner.T)] = np.clip(0.5 - (distance - radii[number]) / 0.3, 0.0, 1.0)
    values = TISSUE + (LUMEN - TISSUE) * fine
    for middle, radius, value in extra or []:
        grid = np.stack(np.meshgrid(*[(np.arange(n * 2) + 0.5) / 2.0 - 0.5 for n in shape], indexing="ij"), axis=-1)
        away = np.linalg.norm((grid + low) @ turned.T - middle, axis=-1)
        values = np.where(away < radius, np.maximum(values, value), values)
    values = ndimage.gaussian_filter(values, [2.0 * blur_mm / step for step in spacing])
    k, j, i = shape
    values = values.reshape(k, 2, j, 2, i, 2).mean(axis=(1, 3, 5)) + rng.normal(0.0, noise, shape)
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turned, turned @ low
    return Tube(curve, radii, Volume(np.round(values).astype(np.int16), affine, "HU"))
