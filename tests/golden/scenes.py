"""What each preset is meant for, in small: bodies made of ellipsoids and tubes with the values of real tissue."""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from render.geometry import Vector, affine_from
from render.volume import Volume

Field = NDArray[np.float64]
_STEP_MM = 2.0


class Body:
    """Voxels of 2 mm about the origin that shapes are put into, one after the other; edges are 2 mm soft."""

    def __init__(self, half_mm: tuple[int, int, int], outside: float) -> None:
        """half_mm : along left, posterior, head."""
        x, y, z = (np.arange(-half, half + 0.1, _STEP_MM) for half in half_mm)
        self.z, self.y, self.x = np.meshgrid(z, y, x, indexing="ij")
        self.values: Field = np.full(self.x.shape, outside)

    def ellipsoid(self, at: Sequence[float], radii: Sequence[float], value: float) -> None:
        parts = ((self.x - at[0]) / radii[0], (self.y - at[1]) / radii[1], (self.z - at[2]) / radii[2])
        self._put((np.sqrt(sum(part * part for part in parts)) - 1.0) * min(radii), value)

    def tube(self, points: Sequence[Sequence[float]], radius: float, value: float) -> None:
        """Round a line through the points."""
        distance = np.full(self.x.shape, np.inf)
        for a, b in pairwise(points):
            start, along = np.array(a), np.array(b) - np.array(a)
            offset = np.stack((self.x - start[0], self.y - start[1], self.z - start[2]))
            part = np.clip(np.tensordot(along, offset, 1) / (along @ along), 0.0, 1.0)
            gap = offset - along[:, None, None, None] * part
            distance = np.minimum(distance, np.sqrt((gap * gap).sum(axis=0)))
        self._put(distance - radius, value)

    def ribs(self, value: float) -> None:
        """Rings in the chest wall."""
        rim = np.hypot(self.x / 52.0, self.y / 36.0)
        ring = np.hypot((rim - 1.0) * 36.0, (self.z - 0.25 * self.y + 9.0) % 18.0 - 9.0)
        self._put(ring - 2.6, value)

    def _put(self, distance: Field, value: float) -> None:
        share = np.clip(0.5 - distance / 2.0, 0.0, 1.0)
        self.values = self.values * (1.0 - share) + value * share

    def volume(self, unit: str, noise: float = 0.0, mean: float = 0.0) -> Volume:
        """int16, with seeded noise as wide as said, and values no lower than `mean` where that is above 0."""
        noisy = self.values + noise * np.random.default_rng(7).standard_normal(self.values.shape)
        x, y, z = (float(axis.flat[0]) for axis in (self.x, self.y, self.z))
        affine = affine_from((x, y, z), (0, 0, _STEP_MM), (0, _STEP_MM, 0), (_STEP_MM, 0, 0))
        return Volume(np.rint(np.maximum(noisy, mean) if mean else noisy).astype(np.int16), affine, unit)


@cache
def chest() -> Volume:
    """Air-filled lungs with vessels and bronchi, ribs and spine, and a heart and an aorta with contrast."""
    body = Body((70, 52, 60), -1000.0)
    body.ellipsoid((0, 0, 0), (64, 46, 110), 40.0)
    for side in (-1, 1):
        body.ellipsoid((side * 27, 0, 2), (20, 30, 48), -830.0)
        for n in range(5):
            z = -34.0 + 17.0 * n
            body.tube([(side * 8, 2, 0), (side * 22, -4 + 4 * n, z), (side * 38, -10 + 6 * n, z + 6)], 1.7, 60.0)
    body.ribs(520.0)
    body.tube([(0, 38, -70), (0, 38, 70)], 8.0, 420.0)
    body.ellipsoid((5, -12, -14), (18, 15, 20), 110.0)
    body.ellipsoid((7, -13, -14), (12, 10, 14), 330.0)
    aorta = [(0, -12, 0), (4, -10, 24), (4, 4, 32), (4, 22, 26), (4, 24, -60)]
    body.tube(aorta, 6.0, 350.0)
    body.tube([(0, 8, 60), (0, 6, 20)], 5.5, -990.0)
    for side in (-1, 1):
        body.tube([(0, 6, 20), (side * 20, 4, 4), (side * 30, 2, -20)], 3.2, -990.0)
    return body.volume("HU", noise=12.0)


def within_the_bowel(z: float) -> Vector:
    """LPS mm of a place in the middle of the air."""
    return (float(14 * np.sin(z / 22.0)), float(10 * np.cos(z / 26.0)), z)


@cache
def bowel() -> Volume:
    """A winding tube of air with folds, in soft tissue."""
    body = Body((44, 44, 70), 40.0)
    body.tube([within_the_bowel(z) for z in range(-70, 71, 5)], 15.0, -980.0)
    for z in range(-60, 61, 20):
        x, y, _ = within_the_bowel(z)
        body.ellipsoid((x + 13, y, z), (7, 13, 3), 40.0)
    body.ellipsoid((2, 18, 24), (5, 5, 5), 60.0)  # a polyp
    return body.volume("HU", noise=10.0)


@cache
def implant() -> Volume:
    """A femur with a plate and screws."""
    body = Body((36, 36, 70), -1000.0)
    body.tube([(0, 0, -90), (0, 0, 90)], 32.0, 55.0)
    body.tube([(0, 0, -90), (0, 0, 90)], 12.0, 1300.0)
    body.tube([(0, 0, -90), (0, 0, 90)], 6.0, 60.0)
    body.tube([(15, 0, -40), (15, 0, 40)], 3.5, 2900.0)
    for z in (-30, 0, 30):
        body.tube([(15, 0, z), (-14, 0, z)], 2.4, 2900.0)
    return body.volume("HU")


def _vessels(tissue: float, blood: float) -> Volume:
    body = Body((56, 60, 52), 8.0)
    body.ellipsoid((0, 0, 0), (50, 54, 48), tissue)
    body.tube([(-12, 4, -60), (-12, 2, -20), (-14, -6, 0), (-34, -10, 14), (-44, 4, 24)], 3.4, blood)
    body.tube([(12, 4, -60), (12, 2, -20), (14, -6, 0), (34, -10, 14), (44, 4, 24)], 3.4, blood)
    body.tube([(-14, -6, 0), (-4, -18, 6), (4, -18, 6), (14, -6, 0)], 2.6, blood)
    body.tube([(-3, -18, 6), (-3, -24, 30)], 2.4, blood)
    body.tube([(0, 22, -60), (0, 18, -14), (-16, 20, 2), (-30, 34, 12)], 3.0, blood)
    body.tube([(0, 18, -14), (16, 20, 2), (30, 34, 12)], 3.0, blood)
    body.ellipsoid((4, -24, 10), (6, 6, 6), blood)  # the aneurysm
    return body.volume("1", noise=14.0, mean=1.0)


@cache
def time_of_flight() -> Volume:
    """The circle of arteries under the brain, bright over brain, with an aneurysm in front."""
    return _vessels(tissue=330.0, blood=780.0)


@cache
def contrast_angiography() -> Volume:
    """The same with contrast and the background suppressed."""
    return _vessels(tissue=70.0, blood=900.0)


@cache
def brain() -> Volume:
    """A T1-weighted head: bright scalp, dark skull and fluid, folded brain, open above."""
    body = Body((56, 66, 60), 4.0)
    body.ellipsoid((0, 0, -6), (50, 58, 56), 620.0)
    body.ellipsoid((0, 0, -6), (45, 53, 51), 60.0)
    body.ellipsoid((0, 0, -6), (42, 50, 48), 420.0)
    folds = np.sin(body.x / 4.0 + 2 * np.sin(body.z / 9.0)) * np.sin(body.y / 4.5 + np.sin(body.x / 8.0))
    inside = np.hypot(np.hypot(body.x / 42.0, body.y / 50.0), (body.z + 6.0) / 48.0)
    body.values = np.where((inside > 0.86) & (inside < 1.0) & (folds > 0.35), 150.0, body.values)
    body.tube([(0, -60, 18), (0, -66, 4)], 7.0, 620.0)  # a nose
    opened = (body.z > 16.0) & (inside > 1.0)
    body.values = np.where(opened, 4.0, body.values)
    return body.volume("1", noise=8.0, mean=1.0)


@cache
def ultrasound() -> Volume:
    """A face of sorts behind dark fluid, with the speckle of ultrasound."""
    body = Body((44, 40, 44), 12.0)
    body.ellipsoid((0, 22, 0), (38, 34, 40), 130.0)
    for side in (-1, 1):
        body.ellipsoid((side * 12, -6, 10), (6, 6, 4), 12.0)
    body.ellipsoid((0, -12, 0), (4, 8, 6), 150.0)
    body.ellipsoid((0, -9, -16), (10, 4, 2.5), 12.0)
    speckle = np.random.default_rng(11).rayleigh(0.8, body.values.shape)
    body.values = body.values * (0.7 + 0.3 * speckle)
    return body.volume("1", mean=1.0)
