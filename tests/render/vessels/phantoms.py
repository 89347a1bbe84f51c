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


@dataclass(frozen=True)
class Sac:
    """A sac between two straight necks. made : the vessel; between its points 40 and 1960 lie the necks.

    neck_mm, widest_mm : diameters. lengths_mm : of the necks up to where the vessel is a tenth wider, from there.
    angles_deg : between each neck's axis and the sac's. ml : the lumen where it is a tenth wider.
    """

    made: Tube
    neck_mm: float
    widest_mm: float
    lengths_mm: tuple[float, float]
    angles_deg: tuple[float, float]
    ml: float


def sac(
    rng: np.random.Generator,
    neck_mm: float,
    widest_mm: float,
    necks_mm: tuple[float, float],
    sac_mm: float,
    angles_deg: tuple[float, float],
    spacing: tuple[float, float, float] = (0.8, 0.6, 0.6),
    noise: float = 15.0,
    margin_mm: float | None = None,
) -> Sac:
    """Draws an aneurysm of known necks, in any direction: a bulge by cos², bent by known angles at both its ends.

    margin_mm : of the volume beyond the centreline; all of the sac is in it by default.
    """
    way, at = np.array([0.0, 0.0, 1.0]), np.zeros(3)
    corners, lengths = [at], (necks_mm[0], sac_mm, necks_mm[1])
    for length, angle in zip(lengths, (0.0, *angles_deg), strict=True):
        across = np.cross(way, rng.normal(size=3))
        across /= np.linalg.norm(across)
        way = way * np.cos(np.radians(angle)) + across * np.sin(np.radians(angle))
        at = at + way * length
        corners.append(at)
    knots = np.cumsum([0.0, *lengths])
    even = np.linspace(0.0, knots[-1], 2001)
    curve = np.stack([np.interp(even, knots, np.array(corners)[:, axis]) for axis in range(3)], axis=1)
    curve = ndimage.gaussian_filter1d(curve, 3.0 / even[1], axis=0, mode="nearest") @ rotation(rng).T
    along = np.concatenate([np.zeros(1), np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
    share = np.clip((even - necks_mm[0] - 0.5 * sac_mm) / (0.5 * sac_mm), -1.0, 1.0)
    radii = 0.5 * (neck_mm + (widest_mm - neck_mm) * np.cos(0.5 * np.pi * share) ** 2)
    made = tube(curve, radii, spacing, rng=rng, noise=noise, margin_mm=margin_mm or 0.5 * widest_mm + 7.0)
    wide = np.flatnonzero(radii > 0.55 * neck_mm)
    ml = float(np.trapezoid(np.pi * radii[wide] ** 2, along[wide])) / 1000.0
    ends = (float(along[wide[0]] - along[40]), float(along[1960] - along[wide[-1]]))
    return Sac(made, neck_mm, widest_mm, ends, angles_deg, ml)


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


@dataclass(frozen=True)
class Root:
    """An aortic root: points by the names of the TAVI sheet, LPS mm; half axes of the annulus in mm; normal towards the
    aorta; sinus_mm and stj_mm are mean diameters."""

    volume: Volume
    points: dict[str, tuple[float, float, float]]
    half_axes_mm: tuple[float, float]
    normal: Points
    heights_mm: dict[str, float]
    sinus_mm: float
    stj_mm: float


def root(rng: np.random.Generator, spacing_mm: float = 0.8, noise: float = 15.0) -> Root:
    """Draws an aortic root with an elliptical annulus, its axis up to 60 degrees from the patient's."""
    a, b, sinus, stj = rng.uniform(12.0, 14.0), rng.uniform(9.0, 11.0), rng.uniform(15.0, 17.0), rng.uniform(12.5, 14.0)
    normal = np.array([rng.uniform(-0.8, 0.2), rng.uniform(-0.6, 0.2), 1.0])
    normal /= np.linalg.norm(normal)
    across = np.cross(normal, rng.normal(size=3))
    across /= np.linalg.norm(across)
    down = np.cross(normal, across)
    size = round(62.0 / spacing_mm)
    steps = (np.arange(size) - 0.5 * (size - 1)) * spacing_mm
    z, y, x = np.meshgrid(steps, steps, steps, indexing="ij")
    middle = 14.0 * normal  # of the volume; the annulus is at the origin
    place = np.stack([x, y, z], axis=-1) + middle
    u, v, h = place @ across, place @ down, place @ normal
    at = [-30.0, 0.0, 4.0, 9.0, 13.0, 20.0, 26.0, 60.0]
    first, other = (np.interp(h, at, [c, c, c, sinus, sinus, stj, stj, stj + 2]) for c in (a, b))
    round_ = np.sqrt((u / first) ** 2 + (v / other) ** 2)
    fine = np.clip(0.5 - (round_ - 1.0) * 0.5 * (first + other) / spacing_mm, 0.0, 1.0)
    values = TISSUE + (LUMEN - TISSUE) * ndimage.gaussian_filter(fine, 0.6 / spacing_mm)
    affine = np.eye(4)
    affine[:3, :3] = np.diag([spacing_mm] * 3)[:, ::-1]
    affine[:3, 3] = middle + steps[0]
    voxels = np.round(values + rng.normal(0.0, noise, values.shape)).astype(np.int16)

    def on(turn: float, height: float, out: float = 1.0) -> tuple[float, float, float]:
        at_mm = out * (a * np.cos(turn) * across + b * np.sin(turn) * down) + height * normal
        return (float(at_mm[0]), float(at_mm[1]), float(at_mm[2]))

    start = rng.uniform(0.0, 2.0 * np.pi)
    names = ("right_cusp", "left_cusp", "non_cusp")
    points = {name: on(start + n * 2.0 * np.pi / 3.0, 0.0) for n, name in enumerate(names)}
    heights = {"right": float(rng.uniform(10.0, 16.0)), "left": float(rng.uniform(9.0, 14.0))}
    points |= {f"{side}_coronary": on(start, height, 1.2) for side, height in heights.items()}
    points["ascending"] = on(0.0, 34.0, 0.0)
    return Root(Volume(voxels, affine, "HU"), points, (float(a), float(b)), normal, heights, 2.0 * sinus, 2.0 * stj)


@dataclass(frozen=True)
class Aorta:
    """An aorta with a sac and two iliac arteries; made.curve holds the aorta (2001 points), then both iliac arteries.
    points : by the names of the EVAR sheet. Diameters and lengths in mm, angles in degrees."""

    made: Tube
    points: dict[str, tuple[float, float, float]]
    neck_diameter_mm: float
    neck_mm: float
    alpha_deg: float
    beta_deg: float
    sac_mm: float
    to_bifurcation_mm: float
    iliac_diameters_mm: tuple[float, float]
    iliac_mm: float


def aorta(rng: np.random.Generator, spacing: tuple[float, float, float] = (0.9, 0.9, 0.9)) -> Aorta:
    """Draws a small aorta: above the renal arteries, a neck bent by alpha, a sac bent by beta, and the bifurcation."""
    neck, widest, right, left = (float(rng.uniform(*ends)) for ends in ((7, 9), (13, 16), (4, 5), (4.5, 6)))
    alpha, beta = float(rng.uniform(0, 40)), float(rng.uniform(0, 40))
    parts = (12.0, float(rng.uniform(18, 24)), 26.0, 8.0)  # above, neck, sac, and what is below it
    way, at, corners = np.array([0.0, 0.0, -1.0]), np.zeros(3), [np.zeros(3)]
    for length, angle in zip(parts, (0.0, alpha, beta, 0.0), strict=True):
        across = np.cross(way, rng.normal(size=3))
        across /= np.linalg.norm(across)
        way = way * np.cos(np.radians(angle)) + across * np.sin(np.radians(angle))
        at = at + way * length
        corners.append(at)
    knots = np.cumsum([0.0, *parts])
    even = np.linspace(0.0, knots[-1], 2001)
    curve = np.stack([np.interp(even, knots, np.array(corners)[:, axis]) for axis in range(3)], axis=1)
    curve = ndimage.gaussian_filter1d(curve, 1.5 / even[1], axis=0, mode="nearest")
    share = np.clip((even - knots[2] - 13.0) / 13.0, -1.0, 1.0)
    radii = 0.5 * (neck + (widest - neck) * np.cos(0.5 * np.pi * share) ** 2)
    aside = np.cross(way, [0.0, 1.0, 0.0])
    aside /= np.linalg.norm(aside)
    run = np.linspace(0.0, 30.0, 601)[:, None]
    iliacs = [curve[-1] + run * (way * np.cos(0.5) + sign * aside * np.sin(0.5)) for sign in (1.0, -1.0)]
    turn = rotation(rng)
    whole = np.concatenate([curve, *iliacs]) @ turn.T
    made = tube(whole, np.concatenate([radii, np.full(601, right / 2), np.full(601, left / 2)]), spacing, rng=rng)
    onset = np.flatnonzero((radii > 0.55 * neck) & (even > knots[1]))[0]
    renal = int(np.argmin(np.abs(even - knots[1])))
    points = {"suprarenal": made.at(30), "lowest_renal": made.at(renal), "bifurcation": made.at(2000)}
    points |= {"right_iliac_end": made.at(2001 + 580), "left_iliac_end": made.at(2602 + 580)}
    length = float(knots[-1] - knots[1])
    return Aorta(
        made, points, neck, float(even[onset] - knots[1]), alpha, beta, widest, length, (right, left), 29.0
    )  # fmt: skip
