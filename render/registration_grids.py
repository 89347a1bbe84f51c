"""Coarse grids of a volume for registration: averaged, upright, with the body told from the air around it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
import skimage
from numpy.typing import NDArray

from render.geometry import Affine
from render.segment.shaping import filled_slices
from render.volume import Volume

# What CT measures in a patient; fillings, stents and padding beyond it would take the bins of the histogram.
_CT_RANGE = (-1000.0, 1300.0)
_CT_BODY_HU = -300.0
_OF_THE_RANGE = (1.0, 99.8)  # percentiles
_THIN_MM = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class CoarseGrid:
    """Averages of a volume's voxels on a coarser grid with right angles.

    values : (K, J, I) float32 from 0 to 1, air outside the body. body : (K, J, I) bool. affine : (4, 4) float64,
    (k, j, i) to LPS mm; its columns stand at right angles.
    """

    values: NDArray[np.float32]
    body: NDArray[np.bool_]
    affine: Affine

    @property
    def spacing_mm(self) -> NDArray[np.float64]:
        """(3,) float64, the length of one step along k, j, i in mm."""
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0), dtype=np.float64)

    @property
    def centre_mm(self) -> NDArray[np.float64]:
        """(3,) LPS mm, the centre of the body."""
        counts = [np.count_nonzero(self.body, axis=axes) for axes in ((1, 2), (0, 2), (0, 1))]
        total = max(int(counts[0].sum()), 1)
        index = [float((count * np.arange(len(count))).sum()) / total for count in counts]
        return np.asarray(self.affine[:3, :3] @ index + self.affine[:3, 3], dtype=np.float64)

    def positions(self, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Returns (N, 3) LPS mm of the chosen voxels, in k, j, i order."""
        return np.argwhere(chosen) @ self.affine[:3, :3].T + self.affine[:3, 3]


def averaged(
    values: NDArray[np.int16] | NDArray[np.float32], affine: Affine, factors: Sequence[int]
) -> tuple[NDArray[np.float32], Affine]:
    """Returns the means of blocks of factors (k, j, i) voxels and their affine; what is left over at the end of an axis
    is dropped."""
    factors = [min(f, n) for f, n in zip(factors, values.shape, strict=True)]
    sizes = [n // f for f, n in zip(factors, values.shape, strict=True)]
    total = np.zeros(sizes, dtype=np.float32)
    for k in range(factors[0]):
        # One plane of a block after the other: the sums of a few integers are exact, and the array is read in order.
        part = values[k : sizes[0] * factors[0] : factors[0], : sizes[1] * factors[1], : sizes[2] * factors[2]]
        for j in range(factors[1]):
            row = part[:, j :: factors[1]]
            for i in range(factors[2]):
                total += row[:, :, i :: factors[2]]
    total /= np.float32(math.prod(factors))
    coarse = affine.copy()
    coarse[:3, :3] *= factors
    coarse[:3, 3] += affine[:3, :3] @ ((np.array(factors) - 1.0) / 2.0)
    return total, coarse


def coarse_grid(volume: Volume, step_mm: float) -> CoarseGrid:
    """Makes the grid of a volume whose steps are about `step_mm`, never finer than the volume's own."""
    factors = [max(1, math.floor(step_mm / spacing + 0.25)) for spacing in volume.spacing_mm]
    # Two voxels along each axis stay, so that there is something between them.
    factors = [min(f, max(1, n // 2)) for f, n in zip(factors, volume.shape, strict=True)]
    values, affine = _upright(*averaged(volume.voxels, volume.affine, factors))
    low, high = _CT_RANGE if volume.unit == "HU" else np.percentile(values, _OF_THE_RANGE)
    scaled = np.clip((values - low) / max(float(high) - float(low), 1e-6), 0.0, 1.0).astype(np.float32)
    body = _body(
        scaled, affine, (_CT_BODY_HU - _CT_RANGE[0]) / (_CT_RANGE[1] - _CT_RANGE[0]) if volume.unit == "HU" else None
    )
    # The table and the air are the scanner's, not the patient's: they must not pull.
    near = scipy.ndimage.binary_dilation(body, iterations=2)
    scaled[~near] = 0.0
    return CoarseGrid(scaled, body, affine)


def coarser_grid(grid: CoarseGrid, step_mm: float) -> CoarseGrid:
    """Makes a coarser grid from another."""
    factors = [max(1, math.floor(step_mm / spacing + 0.25)) for spacing in grid.spacing_mm]
    factors = [min(f, max(1, n // 2)) for f, n in zip(factors, grid.values.shape, strict=True)]
    values, affine = averaged(grid.values, grid.affine, factors)
    body, _ = averaged(grid.body.astype(np.float32), grid.affine, factors)
    return CoarseGrid(values, body > min(0.5, float(body.max()) / 2.0), affine)


def _upright(values: NDArray[np.float32], affine: Affine) -> tuple[NDArray[np.float32], Affine]:
    """Returns the values on a grid with right angles: themselves, or resampled where a gantry tilt shears them."""
    steps = affine[:3, :3]
    lengths = np.linalg.norm(steps, axis=0)
    unit = steps / lengths
    if np.abs(unit.T @ unit - np.eye(3)).max() < 1e-4:
        return values, affine
    normal = np.cross(unit[:, 1], unit[:, 2])
    normal *= np.sign(normal @ unit[:, 0])
    across = np.cross(unit[:, 2], normal)
    across *= np.sign(across @ unit[:, 1])
    made = np.eye(4)
    made[:3, :3] = np.stack([normal, across, unit[:, 2]], axis=1) * [abs(normal @ steps[:, 0]), *lengths[1:]]
    # All corners of the sheared grid, in steps of the upright one.
    ends = np.array([[k, j, i] for k in (0, 1) for j in (0, 1) for i in (0, 1)]) * (np.array(values.shape) - 1)
    reached = ends @ steps.T @ np.linalg.inv(made[:3, :3]).T
    first, last = np.floor(reached.min(axis=0) + 1e-6), np.ceil(reached.max(axis=0) - 1e-6)
    made[:3, 3] = affine[:3, 3] + made[:3, :3] @ first
    back = np.linalg.inv(affine) @ made
    shape = tuple(int(n) + 1 for n in last - first)
    fill = float(values.min())
    found = scipy.ndimage.affine_transform(values, back[:3, :3], back[:3, 3], output_shape=shape, order=1, cval=fill)
    return np.asarray(found, dtype=np.float32), made


def _body(scaled: NDArray[np.float32], affine: Affine, threshold: float | None) -> NDArray[np.bool_]:
    """Returns the largest connected piece above the threshold, filled plane by plane; half of Otsu's for None.

    Of pictures that show thin things alone, such as vessels without the tissue around them, all pieces with what lies
    between them.
    """
    if threshold is None:
        threshold = 0.5 * float(skimage.filters.threshold_otsu(scaled)) if scaled.min() < scaled.max() else 0.0
    above = scaled > threshold
    # A gap of a voxel parts the patient from the table.
    labels, count = scipy.ndimage.label(scipy.ndimage.binary_opening(above) if min(scaled.shape) > 4 else above)
    if count == 0:
        return above
    sizes = np.bincount(labels.reshape(-1))
    sizes[0] = 0
    body = labels == int(sizes.argmax())
    body = _filled(scipy.ndimage.binary_dilation(body) & above)
    reach = [max(1, math.ceil(_THIN_MM / step)) for step in np.linalg.norm(affine[:3, :3], axis=0)]
    if not scipy.ndimage.binary_erosion(body, np.ones(reach)).any():
        body = _filled(scipy.ndimage.maximum_filter(above, [4 * n + 1 for n in reach]))
    return body


def _filled(body: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fills the holes of each plane."""
    return filled_slices(np.ascontiguousarray(body).view(np.uint8)).view(np.bool_)
