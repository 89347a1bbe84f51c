"""Where a contrast-filled vessel is, roughly: the voxels of its lumen that hang together with points given in it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from render.curved import Points
from render.errors import RenderError
from render.geometry import Vector
from render.volume import Volume
from render.ways import Spot, Ways

_MARGIN_MM = 30.0  # how far a vessel may leave the box of its points
_MOST_VOXELS = 12_000_000  # of a box that is looked at in every voxel; a larger one in every second
_BESIDE_MM = (15.0, 25.0, 40.0, 60.0)  # so far from the points their surroundings are looked for
_LEAST_DARKER = 50  # voxels: fewer tell nothing of the surroundings
# Shares of the way from the background to the lumen at which the points are tried to be joined: a narrow stretch is
# darker than the rest, since its voxels hold wall as well.
_SHARES = (0.5, 0.4, 0.3, 0.2)


class VesselError(RenderError):
    """No vessel can be followed or measured there; the message says why, where, and what to do."""


@dataclass(frozen=True, slots=True)
class Levels:
    """What the series says of a vessel. lumen, background : values in the volume's unit; noise : standard deviation."""

    lumen: float
    background: float
    noise: float

    @property
    def contrast(self) -> float:
        """How far the lumen is above what surrounds it."""
        return self.lumen - self.background

    @property
    def half(self) -> float:
        """The value halfway between the two, where the edge of a blurred lumen is."""
        return self.background + 0.5 * self.contrast

    @property
    def too_bright(self) -> float:
        """From here on a value is no lumen but calcium, bone or metal."""
        return self.lumen + max(0.5 * self.contrast, 4.0 * self.noise)


@dataclass(frozen=True, slots=True, eq=False)
class Cutout:
    """A part of a volume. values : (K, J, I) float32. first : index of its first voxel in the volume."""

    values: NDArray[np.float32]
    first: tuple[int, int, int]


def indices(volume: Volume, points_mm: Points) -> Points:
    """Returns (…, 3) fractional (k, j, i) indices of LPS mm."""
    inverse = volume.to_index
    x, y, z = points_mm[..., 0], points_mm[..., 1], points_mm[..., 2]
    rows = [inverse[n, 0] * x + inverse[n, 1] * y + inverse[n, 2] * z + inverse[n, 3] for n in range(3)]
    return np.stack(rows, axis=-1)


def places(volume: Volume, at: Points) -> Points:
    """Returns (…, 3) LPS mm of fractional (k, j, i) indices."""
    affine = volume.affine
    k, j, i = at[..., 0], at[..., 1], at[..., 2]
    rows = [affine[n, 0] * k + affine[n, 1] * j + affine[n, 2] * i + affine[n, 3] for n in range(3)]
    return np.stack(rows, axis=-1)


def inside(volume: Volume, points_mm: Sequence[Vector]) -> Points:
    """Returns the (N, 3) indices of points. Raises VesselError where one is outside the volume."""
    found = indices(volume, np.array(points_mm, dtype=np.float64))
    for point, at in zip(points_mm, found, strict=True):
        if not (np.all(at >= 0) and np.all(at <= np.array(volume.shape) - 1.0)):
            words = ",".join(f"{value:g}" for value in point)
            raise VesselError(f"The point {words} is outside the volume. Choose one within it.")
    return found


def box_around(volume: Volume, at: Points, margin_mm: float = _MARGIN_MM) -> Cutout:
    """Returns the part of the volume that reaches `margin_mm` beyond all of the (N, 3) indices."""
    margin = margin_mm / np.array(volume.spacing_mm)
    low = np.maximum(np.floor(at.min(axis=0) - margin), 0).astype(int)
    high = np.minimum(np.ceil(at.max(axis=0) + margin) + 1, volume.shape).astype(int)
    part = volume.voxels[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    return Cutout(np.ascontiguousarray(part, dtype=np.float32), (int(low[0]), int(low[1]), int(low[2])))


def levels_at(volume: Volume, at: Points, *, all_within: bool = True) -> Levels:
    """Returns the levels of the vessel in which the (N, 3) indices lie: the lumen's from the voxels around them, the
    background's from what is near and darker.

    Raises VesselError for a point that is no brighter than its surroundings, where `all_within` are to be in the lumen.
    """
    local, spread = [], []
    shape = np.array(volume.shape)
    for index in at:
        middle = np.clip(np.rint(index).astype(int), 1, shape - 2)
        k, j, i = (int(n) for n in middle)
        around = volume.voxels[k - 1 : k + 2, j - 1 : j + 2, i - 1 : i + 2].astype(np.float64)
        brighter = np.sort(around.ravel())[9:]  # two thirds: the point may lie at the edge
        local.append(float(np.median(brighter)))
        spread.append(float(np.std(brighter)))
    lumen = float(np.median(local))
    # In the middle of a wide sac all that is near is lumen: then what is farther away.
    for reach_mm in _BESIDE_MM:
        values = _near(volume, at, reach_mm)
        # Air and lung are no background of a vessel: soft tissue around it is the brighter part of what is darker.
        darker = values[values < lumen - 0.25 * abs(lumen)]
        if darker.size >= _LEAST_DARKER:
            break
    else:
        values = _near(volume, at, _BESIDE_MM[0])
        darker = values[values < lumen]
    if darker.size == 0:
        raise VesselError("The points lie in the darkest part of the volume; nothing flows there. Choose others.")
    background = float(np.percentile(darker, 60.0))
    levels = Levels(lumen, background, max(float(np.median(spread)), 1e-6))
    for index, value in zip(at, local, strict=True) if all_within else ():
        if value < levels.background + 0.25 * levels.contrast:
            words = ",".join(f"{n:.1f}" for n in places(volume, index))
            raise VesselError(
                f"At {words} the value is {value:.0f} {volume.unit}, and in the vessel elsewhere {lumen:.0f}. "
                "Choose a point within the vessel."
            )
    return levels


def _near(volume: Volume, at: Points, reach_mm: float) -> Points:
    """Returns the values of the voxels in a cube around each index, `reach_mm` to each side."""
    reach = reach_mm / np.array(volume.spacing_mm)
    parts = []
    for index in at:
        low = np.maximum(np.floor(index - reach), 0).astype(int)
        high = np.minimum(np.ceil(index + reach) + 1, volume.shape).astype(int)
        parts.append(volume.voxels[low[0] : high[0], low[1] : high[1], low[2] : high[2]].ravel())
    return np.concatenate(parts).astype(np.float64)


def joined(volume: Volume, box: Cutout, at: Points, levels: Levels) -> Points:
    """Returns the (N, 3) indices, in the volume, of a way within the lumen from the first of the points through all
    others to the last, far from the wall where it can be.

    Raises VesselError where no lumen joins two of them.
    """
    spacing = np.array(volume.spacing_mm)
    step = 1 if box.values.size <= _MOST_VOXELS else 2
    values = box.values if step == 1 else scipy.ndimage.maximum_filter(box.values, size=2)[::2, ::2, ::2]
    ends = np.clip(np.rint((at - np.array(box.first)) / step).astype(int), 0, np.array(values.shape) - 1)
    for share in _SHARES:
        marked = values >= levels.background + share * levels.contrast
        for end in ends:  # a point next to the lumen counts as in it
            marked[tuple(slice(max(n - 1, 0), n + 2) for n in end)] = True
        labels, _ = scipy.ndimage.label(marked, structure=np.ones((3, 3, 3)))
        if len({int(labels[tuple(end)]) for end in ends}) == 1:
            break
    else:
        raise VesselError(
            "No lumen joins the points: between them the vessel is closed, or not filled. Give points on one side."
        )
    whole = labels == labels[tuple(ends[0])]
    spans = scipy.ndimage.find_objects(whole.astype(np.uint8))[0]
    part, seen = whole[spans], values[spans]
    corner = np.array([span.start for span in spans])
    depth = scipy.ndimage.distance_transform_edt(part, sampling=spacing * step)
    # What is much brighter is bone or calcium: the way does not take a short cut through it.
    bright = np.clip((seen - levels.too_bright) / max(levels.contrast, 1e-6), 0.0, 2.0)
    cost = (1.0 + 12.0 * bright) / (0.5 * float(spacing.min()) + depth) ** 1.5
    cost = np.where(part, cost, -1.0)
    found: list[Spot] = []
    ways = Ways(cost, spacing * step)
    for start, end in zip(ends[:-1] - corner, ends[1:] - corner, strict=True):
        piece = ways.between(start, end)
        found += piece[1:] if found else piece
    return np.asarray((np.array(found, dtype=np.float64) + corner) * step + np.array(box.first))
