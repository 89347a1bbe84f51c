"""A lesion then and now: the prior study is registered, the lesion found again near the same place, and both measured.

Sources: Schwartz 1961, 'A biomathematical approach to clinical tumor growth' (doubling time of the volume); Eisenhauer
et al. 2009, RECIST 1.1 (change of the longest diameter in a plane of the scan).
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy
import skimage
from numpy.typing import NDArray

from render.geometry import Affine, Vector, vector
from render.registration import Registration
from render.segment import LesionMeasures, measure_lesion
from render.volume import Volume

_SAMPLE_MM = 1.5  # at which the two are compared
_BESIDE_MM = 12.0  # of what is around the lesion is compared with it
_AWAY_MM = 12.0  # a breath may have moved it this far from where the registration says
_ALIKE = 0.5  # correlation below which the place is taken as registered
# Two measures of the same nodule differ by so much: Baldwin and Callister 2015, 'The BTS guidelines on the
# investigation and management of pulmonary nodules'.
SURE_PERCENT = 25.0


@dataclass(frozen=True, slots=True)
class LesionChange:
    """A lesion now and in the prior study.

    now, before : either may have declined, by its reason. at_mm : LPS mm of the prior, where it was measured there.
    days : between the two studies, 0 where their dates do not tell. registration : prior to now; None where the place
    in the prior was given.
    """

    now: LesionMeasures
    before: LesionMeasures
    at_mm: Vector
    days: int
    registration: Registration | None

    @property
    def declined(self) -> str:
        """Why there is nothing to compare; empty where there is."""
        if self.now.declined:
            return self.now.declined
        place = ", ".join(f"{v:.1f}" for v in self.at_mm)
        if self.before.declined:
            return f"In the prior study, at ({place}) mm: {self.before.declined}"
        return ""

    @property
    def change_percent(self) -> float:
        """Of the volume; above 0 it grew. Two measures of the same lesion differ by up to `SURE_PERCENT`."""
        return 100.0 * (self.now.volume_ml / self.before.volume_ml - 1.0)

    @property
    def recist_change_percent(self) -> float:
        """Of the longest diameter in a plane of the scan."""
        return 100.0 * (self.now.recist_mm / self.before.recist_mm - 1.0)

    @property
    def doubling_days(self) -> float | None:
        """The doubling time of the volume; None where it did not grow, or the dates do not tell."""
        grown = self.now.volume_ml / self.before.volume_ml
        if grown <= 1.0 or self.days <= 0:
            return None
        return self.days * math.log(2.0) / math.log(grown)


def compare_lesion(
    volume: Volume,
    at_mm: Vector,
    prior: Volume,
    days: int,
    registration: Registration | None = None,
    prior_at_mm: Vector | None = None,
) -> LesionChange:
    """Measures the lesion about `at_mm` (LPS mm) in a volume, and the same one in a prior.

    registration : of the prior (moving) onto the volume. prior_at_mm : its place in the prior, LPS mm, instead of the
    one that the registration tells.

    Raises ValueError where neither is given, or the registration declined.
    """
    now = measure_lesion(volume, at_mm)
    if prior_at_mm is None:
        if registration is None or registration.declined:
            said = registration.declined if registration else "it was not registered"
            raise ValueError(f"Where the lesion lies in the prior is not known: {said}. Give its place there.")
        reach = _BESIDE_MM + (0.0 if now.declined else now.longest_mm / 2.0)
        prior_at_mm = _place_in(prior, volume, at_mm, registration.affine, reach)
    return LesionChange(now, measure_lesion(prior, prior_at_mm), prior_at_mm, days, registration)


def _place_in(prior: Volume, volume: Volume, at_mm: Vector, move: Affine, reach_mm: float) -> Vector:
    """Returns the place in the prior whose surroundings are most like those of `at_mm`, near where `move` says."""
    here, there = (math.ceil(r / _SAMPLE_MM) for r in (reach_mm, reach_mm + _AWAY_MM))
    back = np.asarray(np.linalg.inv(move), dtype=np.float64)
    template = _around(volume, np.array(at_mm), np.eye(3), here)
    expected = back[:3, :3] @ np.array(at_mm) + back[:3, 3]
    field = _around(prior, expected, back[:3, :3], there)
    shift = np.zeros(3)
    if template.std() > 0.0 and field.std() > 0.0:
        alike = skimage.feature.match_template(field, template)
        best = np.unravel_index(int(np.argmax(alike)), alike.shape)
        if alike[best] >= _ALIKE:
            shift += (np.array(best) - (there - here)) * _SAMPLE_MM
    return vector(expected + back[:3, :3] @ shift)


def _around(volume: Volume, at_mm: NDArray[np.float64], axes: NDArray[np.float64], steps: int) -> NDArray[np.float32]:
    """Returns the values of a cube of 2 · steps + 1 samples a side about a point, along three axes (columns)."""
    offsets = np.arange(-steps, steps + 1) * _SAMPLE_MM
    grid = np.stack(np.meshgrid(offsets, offsets, offsets, indexing="ij"))
    places = at_mm[:, None] + axes @ grid.reshape(3, -1)
    index = volume.to_index[:3, :3] @ places + volume.to_index[:3, 3:]
    values = scipy.ndimage.map_coordinates(volume.voxels, index, order=1, mode="nearest", output=np.float32)
    return np.asarray(values.reshape(grid.shape[1:]), dtype=np.float32)
