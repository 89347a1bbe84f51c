"""Sections across a vessel: where the edge of the lumen is on rays from its middle, and the areas and diameters of it.

The edge is where the value is halfway between lumen and what lies next to it there: blur by the scanner moves that
place least. Sources: full width at half maximum; Hoogeveen et al. 1998 on how accurate it is for narrow vessels.
"""

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from render.curved import Points, frames_along
from render.vessels.lumen import Levels, indices
from render.vessels.narrow import filled_level, narrow_scale, own_levels
from render.volume import Volume

RAYS = 72
_WALL_MM = 3.0  # how far beyond the edge the neighbourhood of the lumen is looked at
_NARROW = 3.0  # a lumen whose radius is fewer voxels than this is changed by blur
_LEAKS = 0.5  # a section whose edge is found on fewer of its rays is measured by its neighbours


@dataclass(frozen=True, slots=True, eq=False)
class Sections:
    """Sections at places along a vessel.

    middles, tangents, right, down : (N, 3) LPS mm; the last two span each section's plane. radii : (N, RAYS) mm from
    the middle to the edge, counted from `right` towards `down`. found : (N, RAYS) whether an edge was seen there;
    elsewhere the radius is that of its neighbours.
    """

    middles: Points
    tangents: Points
    right: Points
    down: Points
    radii: Points
    found: NDArray[np.bool_]

    @property
    def closed(self) -> NDArray[np.bool_]:
        """(N,) whether enough of the edge was seen for the section to be believed."""
        return np.asarray(self.found.mean(axis=1) >= _LEAKS)

    @property
    def corners(self) -> Points:
        """(N, RAYS, 2) mm to the right and down, of the edge."""
        across, along = _directions(self.radii.shape[1])
        return np.stack([self.radii * across, self.radii * along], axis=-1)

    @property
    def centroids(self) -> Points:
        """(N, 3) LPS mm: the middles of the areas within the edges."""
        x, y = self.corners[..., 0], self.corners[..., 1]
        x1, y1 = np.roll(x, -1, axis=1), np.roll(y, -1, axis=1)
        twice = x * y1 - x1 * y
        whole = np.maximum(twice.sum(axis=1), 1e-12)
        a, b = ((u + v) * twice for u, v in ((x, x1), (y, y1)))
        aside, below = a.sum(axis=1) / (3.0 * whole), b.sum(axis=1) / (3.0 * whole)
        return np.asarray(self.middles + self.right * aside[:, None] + self.down * below[:, None])

    @property
    def areas_mm2(self) -> Points:
        """(N,) areas within the edges."""
        x, y = self.corners[..., 0], self.corners[..., 1]
        polygon = 0.5 * (x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y).sum(axis=1)
        # Chords cut a little off a round lumen: what a circle would lose is given back.
        turn = 2.0 * np.pi / self.radii.shape[1]
        return np.asarray(polygon * turn / np.sin(turn))

    @property
    def diameters_mm(self) -> tuple[Points, Points, Points]:
        """(N,) each: the least and the greatest width of the edge seen from any side, and the diameter of a circle of
        the same area."""
        corners = self.corners
        turns = np.arange(60) * (np.pi / 60.0)
        seen = corners[..., 0, None] * np.cos(turns) + corners[..., 1, None] * np.sin(turns)
        widths = seen.max(axis=1) - seen.min(axis=1)
        return widths.min(axis=1), widths.max(axis=1), 2.0 * np.sqrt(np.maximum(self.areas_mm2, 0.0) / np.pi)


def _directions(rays: int) -> tuple[Points, Points]:
    turns = np.arange(rays) * (2.0 * np.pi / rays)
    return np.cos(turns), np.sin(turns)


def cut(
    volume: Volume, middles: Points, tangents: Points, levels: Levels, reach_mm: Points, rays: int = RAYS
) -> Sections:
    """Returns the sections at (N, 3) LPS mm, across (N, 3) unit tangents.

    reach_mm : (N,) how far from the middle the edge may be at most.
    """
    right = frames_along(middles, tangents)
    down = np.cross(tangents, right)
    step = 0.25 * min(volume.spacing_mm)
    count = int(np.ceil(float(reach_mm.max()) / step)) + 1
    distances = np.arange(count) * step
    across, along = _directions(rays)
    ways = right[:, None, :] * across[:, None] + down[:, None, :] * along[:, None]
    at = middles[:, None, None, :] + ways[:, :, None, :] * distances[:, None]
    seen = _sampled(volume, at)
    seen = np.where(distances <= reach_mm[:, None, None], seen, np.nan)
    apart = float(np.linalg.norm(np.diff(middles, axis=0), axis=1).mean()) if len(middles) > 1 else 1.0
    voxel = min(volume.spacing_mm)
    radii, found = _without_leaks(_edges(seen, step, apart, voxel, levels), voxel)
    radii *= narrow_scale(seen, radii, found, step, voxel, apart, levels)[:, None]
    return Sections(middles, tangents, right, down, radii, found)


def _sampled(volume: Volume, at_mm: Points) -> NDArray[np.float32]:
    where = indices(volume, at_mm)
    values = scipy.ndimage.map_coordinates(
        volume.voxels, [where[..., n] for n in range(3)], output=np.float32, order=1, mode="nearest"
    )
    # Beyond the volume nothing is known: a lumen that leaves it has no edge there.
    within = np.ones(values.shape, dtype=np.bool_)
    for n, count in enumerate(volume.shape):
        within &= (where[..., n] >= -0.5) & (where[..., n] <= count - 0.5)
    return np.asarray(np.where(within, values, np.float32(np.nan)))


def _edges(seen: NDArray[np.float32], step: float, apart: float, voxel: float, levels: Levels) -> Points:
    """Returns (N, rays) mm from the middle to the edge; NaN where there is none within reach.

    seen : (N, rays, samples) values, NaN beyond reach. step : mm from sample to sample. apart : mm between sections.
    """
    known = ~np.isnan(seen)
    numbers = np.arange(seen.shape[-1])
    own = own_levels(seen, step, voxel, levels)
    filled = filled_level(own, apart)
    outer = _first(known & (seen < (0.5 * (own + levels.background))[:, None, None]))
    # What lies next to the lumen there: fat, lung, or the next vessel across a thin wall.
    smooth = scipy.ndimage.uniform_filter1d(np.where(known, seen, np.float32(np.inf)), 3, axis=-1, mode="nearest")
    beyond = (numbers >= outer[..., None]) & (numbers <= outer[..., None] + int(_WALL_MM / step)) & np.isfinite(smooth)
    beside = np.where(beyond, smooth, np.inf).min(axis=-1)
    beside = np.where(np.isfinite(beside), beside, levels.background)
    narrow = np.median(outer, axis=1) * step < _NARROW * voxel
    share = np.where(narrow, _share_at_edge((own - levels.background) / (filled - levels.background)), 0.5)
    height = np.where(narrow, filled, own)[:, None] - beside
    level = beside + share[:, None] * height
    inner = _first(known & (seen < level[..., None]))
    edge = _crossing(seen, inner, level, step)
    # Calcium, bone and metal touch a lumen without anything dark between: there the edge is halfway up to them.
    upper = np.broadcast_to(0.5 * (own[:, None] + levels.too_bright), level.shape)
    bright = _first(known & (seen > levels.too_bright))
    up = np.minimum(_first(known & (seen > upper[..., None])), bright)
    rising = np.where(bright < inner, _crossing(seen, up, upper, step), np.inf)
    return np.asarray(np.where(np.nan_to_num(rising, nan=np.inf) < np.nan_to_num(edge, nan=np.inf), rising, edge))


def _share_at_edge(share_in_middle: Points) -> Points:
    """Returns how far the value at the true edge of a round lumen is above its surroundings, as a share of the vessel's
    contrast, where in its middle it is `share_in_middle` of that.

    With a radius of q standard deviations of the blur, the middle of a disc has 1 − exp(−q²/2), and its edge
    ½ (1 − exp(−q²) I₀(q²)); q follows from the first. It tends to ½ for a wide lumen.
    """
    square = -2.0 * np.log(1.0 - np.clip(share_in_middle, 0.1, 0.999))
    return np.asarray(0.5 * (1.0 - scipy.special.ive(0, square)))


def _first(true: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The number of the first true value along the last axis, its length where there is none."""
    return np.asarray(np.where(true.any(axis=-1), true.argmax(axis=-1), true.shape[-1]))


def _crossing(seen: NDArray[np.float32], number: NDArray[np.int64], level: Points, step: float) -> Points:
    """Returns mm from the middle to where the value passes `level`, between a sample and the one before it."""
    count = seen.shape[-1]
    here = np.clip(number, 1, count - 1)
    after = np.take_along_axis(seen, here[..., None], axis=-1)[..., 0]
    before = np.take_along_axis(seen, here[..., None] - 1, axis=-1)[..., 0]
    change = after - before
    share = np.where(np.abs(change) > 1e-6, (level - before) / np.where(np.abs(change) > 1e-6, change, 1.0), 1.0)
    found = (here - 1 + np.clip(share, 0.0, 1.0)) * step
    return np.asarray(np.where(number < count, found, np.nan), dtype=np.float64)


def _without_leaks(radii: Points, voxel: float) -> tuple[Points, NDArray[np.bool_]]:
    """Returns the radii with those that run into a branch, or that saw no edge, taken from their neighbours; and which
    were seen."""
    rays = radii.shape[1]
    found = np.isfinite(radii)
    typical = np.full(len(radii), voxel)
    some = found.any(axis=1)
    typical[some] = np.nanmedian(np.where(found, radii, np.nan)[some], axis=1)
    filled = np.where(found, radii, typical[:, None])
    smooth = scipy.ndimage.median_filter(filled, size=(1, max(5, rays // 5) | 1), mode="wrap")
    found &= np.abs(filled - smooth) <= 0.3 * smooth + 0.75 * voxel
    turns = np.arange(rays)
    result = filled.copy()
    for n in np.flatnonzero(~found.all(axis=1)):
        if found[n].sum() >= 3:
            result[n] = np.interp(turns, turns[found[n]], filled[n][found[n]], period=rays)
        else:
            result[n] = smooth[n]
    return result, found
