"""A phantom no two sides of which are alike, sampled on any grid: a body and six markers, one on each side."""

import math
from functools import cache

import numpy as np

from render.geometry import Affine, Vector, affine_from, direction, vector
from render.volume import Volume

CENTRE_MM: Vector = (12.0, -31.0, 240.0)
BODY_HU, AIR_HU = 60.0, -1000.0
# Side: (LPS mm from the centre, radius in mm, value). Letters as in PS3.3 C.7.6.1.1.1.
MARKERS: dict[str, tuple[Vector, float, float]] = {
    "L": ((44.0, 0.0, 0.0), 6.0, 1000.0),
    "R": ((-44.0, 0.0, 0.0), 5.0, 1200.0),
    "A": ((0.0, -40.0, 0.0), 7.0, 1400.0),
    "P": ((0.0, 40.0, 0.0), 5.5, 1600.0),
    "H": ((0.0, 0.0, 46.0), 6.5, 1800.0),
    "F": ((0.0, 0.0, -46.0), 4.8, 2000.0),
}


def _turned(vectors: list[Vector], about_z_deg: float, about_x_deg: float) -> list[Vector]:
    a, b = math.radians(about_z_deg), math.radians(about_x_deg)
    turn = np.array([[math.cos(a), -math.sin(a), 0], [math.sin(a), math.cos(a), 0], [0, 0, 1]])
    tip = np.array([[1, 0, 0], [0, math.cos(b), -math.sin(b)], [0, math.sin(b), math.cos(b)]])
    return [vector(tip @ turn @ np.array(v)) for v in vectors]


# Steps of k, j, i in LPS mm: every way a scanner or a reader may lay out the same patient.
GRIDS: dict[str, list[Vector]] = {
    "axial": [(0, 0, 2.5), (0, 1.8, 0), (1.8, 0, 0)],
    "axial, feet last": [(0, 0, -2.5), (0, 1.8, 0), (1.8, 0, 0)],
    "coronal": [(0, 2.2, 0), (0, 0, -1.8), (1.8, 0, 0)],
    "sagittal": [(2.2, 0, 0), (0, 0, -1.8), (0, 1.8, 0)],
    "prone": [(0, 0, 2.5), (0, -1.8, 0), (-1.8, 0, 0)],
    "left-handed": [(0, 0, 2.2), (0, 1.8, 0), (-1.8, 0, 0)],
    "oblique": _turned([(0, 0, 2.2), (0, 1.8, 0), (1.8, 0, 0)], 25.0, -20.0),
    "gantry tilt 18.5°": [(0, 2.2 * math.tan(math.radians(18.5)), 2.2), (0, 1.8, 0), (1.8, 0, 0)],
}


def grid(name: str, half_mm: float = 58.0) -> tuple[tuple[int, int, int], Affine]:
    """(shape, affine) of a grid that holds the phantom, its middle at CENTRE_MM."""
    steps = GRIDS[name]
    affine = affine_from((0, 0, 0), *steps)
    inverse = np.linalg.inv(affine[:3, :3])
    half = np.abs(inverse) @ np.array([half_mm] * 3) if name != "oblique" else half_mm / np.array([2.2, 1.8, 1.8])
    k, j, i = (2 * math.ceil(float(h)) + 1 for h in half)
    offset = direction(affine, ((k - 1) / 2, (j - 1) / 2, (i - 1) / 2))
    affine[:3, 3] = [c - o for c, o in zip(CENTRE_MM, offset, strict=True)]
    return (k, j, i), affine


def marker_mm(side: str) -> Vector:
    """LPS mm of a marker's middle."""
    x, y, z = (c + o for c, o in zip(CENTRE_MM, MARKERS[side][0], strict=True))
    return (x, y, z)


def phantom(name: str = "axial", edge_mm: float = 2.0) -> Volume:
    """The phantom on the named grid, int16 HU, edges softened as a scanner does over `edge_mm`. Each call has a volume
    of its own, around the same voxels, which cannot be written."""
    return Volume(_sampled(name, edge_mm), grid(name)[1], "HU")


@cache
def _sampled(name: str, edge_mm: float) -> np.ndarray[tuple[int, int, int], np.dtype[np.int16]]:
    shape, affine = grid(name)
    index = np.indices(shape).reshape(3, -1)
    at = affine[:3, :3] @ index + affine[:3, 3:] - np.array(CENTRE_MM)[:, None]
    values = np.full(at.shape[1], AIR_HU)

    def put(distance: np.ndarray[tuple[int], np.dtype[np.float64]], value: float) -> None:
        share = np.clip(0.5 - distance / edge_mm, 0.0, 1.0)
        values[:] = values * (1.0 - share) + value * share

    put((np.sqrt((at[0] / 32) ** 2 + (at[1] / 27) ** 2 + (at[2] / 34) ** 2) - 1.0) * 27.0, BODY_HU)
    for offset, radius, value in MARKERS.values():
        put(np.sqrt(((at - np.array(offset)[:, None]) ** 2).sum(axis=0)) - radius, value)
    sampled = np.rint(values).astype(np.int16).reshape(shape)
    sampled.flags.writeable = False
    return sampled


def straight_rod(name: str) -> tuple[Volume, Vector, Vector]:
    """A straight rod through the middle, and two LPS points on its axis."""
    shape, affine = grid(name)
    index = np.indices(shape).reshape(3, -1)
    at = affine[:3, :3] @ index + affine[:3, 3:] - np.array(CENTRE_MM)[:, None]
    share = np.clip(0.5 - (np.hypot(at[0] - 6.0, at[1] + 4.0) - 4.0) / 2.0, 0.0, 1.0)
    values = np.rint(-1000.0 + 1900.0 * share).astype(np.int16)
    x, y, z = CENTRE_MM
    return Volume(values.reshape(shape), affine, "HU"), (x + 6.0, y - 4.0, z - 40.0), (x + 6.0, y - 4.0, z + 40.0)
