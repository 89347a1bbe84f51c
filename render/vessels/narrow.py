"""Narrow lumens, which blur has mixed with their surroundings: their width from how bright they still are.

The profile of a round lumen, blurred by a Gauss function of known width and filled as the vessel is elsewhere, has one
unknown: the radius. The width of the blur comes from the vessel's own edge where it is wide. Sources: Hoogeveen et al.
1998, 'Limits on the accuracy of vessel thickness and stenosis measurements'; the blurred disc is Marcum's Q function.
"""

import numpy as np
import scipy
from numpy.typing import NDArray

from render.curved import Points
from render.vessels.lumen import Levels

_ALIKE_MM = 30.0  # along so much of a vessel dye is mixed alike
_WIDE = 3.0  # a lumen whose radius is so many voxels shows its edge undisturbed by the other side
_LEAST_WIDE = 8  # so many wide sections are needed to know the blur
_SURE, _PLAIN = 1.6, 2.4  # radii, in widths of the blur: below the first the profile decides, above the second the edge
_TRIED = np.linspace(0.15, 3.0, 96)  # radii that are tried, in widths of the blur


def narrow_scale(
    seen: NDArray[np.float32],
    radii: Points,
    found: NDArray[np.bool_],
    step: float,
    voxel: float,
    apart: float,
    levels: Levels,
) -> Points:
    """Returns (N,) by what the radii of each section have to be multiplied; 1 where the edge says how wide it is.

    seen : (N, rays, samples) values, NaN beyond reach. radii : (N, rays) mm. found : (N, rays) where the edge was seen.
    step, apart : mm from sample to sample, and from section to section.
    """
    scale = np.ones(len(radii))
    blur = blur_mm(seen, radii, found, step, voxel)
    if blur is None:
        return scale
    typical = np.sqrt((radii**2).mean(axis=1))
    narrow = np.flatnonzero(typical < _PLAIN * blur)
    if not len(narrow):
        return scale
    filled = filled_level(own_levels(seen, step, voxel, levels), apart)
    count = int(min(seen.shape[-1], np.ceil((_PLAIN + 2.5) * blur / step) + 1))
    profile = np.nanmedian(seen[narrow, :, :count], axis=1)
    distances = np.arange(count) * step / blur
    discs = scipy.special.chndtr(_TRIED[:, None] ** 2, 2.0, np.maximum(distances, 1e-6) ** 2)
    weight = np.maximum(distances, 0.5 * step / blur)  # of a ring, as many voxels as it is long
    for n, one in zip(narrow, profile, strict=True):
        known = np.isfinite(one)
        shape, some = discs[:, known], weight[known]
        rest = one[known] - filled[n] * shape
        beside = (some * rest * (1.0 - shape)).sum(axis=1) / np.maximum((some * (1.0 - shape) ** 2).sum(axis=1), 1e-9)
        off = (some * (rest - beside[:, None] * (1.0 - shape)) ** 2).sum(axis=1)
        fitted = float(_TRIED[int(np.argmin(off))]) * blur
        part = float(np.clip((_PLAIN - typical[n] / blur) / (_PLAIN - _SURE), 0.0, 1.0))
        scale[n] = 1.0 + part * (fitted / max(float(typical[n]), 1e-6) - 1.0)
    # One section is noisy; the vessel does not change its width from one to the next.
    return np.asarray(scipy.ndimage.median_filter(scale, size=3, mode="nearest"))


def blur_mm(
    seen: NDArray[np.float32], radii: Points, found: NDArray[np.bool_], step: float, voxel: float
) -> float | None:
    """Returns the standard deviation of the blur, from the edge of the wide sections; None where there are too few."""
    wide = np.flatnonzero((np.median(radii, axis=1) > _WIDE * voxel) & (found.mean(axis=1) > 0.8))
    if len(wide) < _LEAST_WIDE:
        return None
    wide = wide[:: max(1, len(wide) // 40)]
    reach = np.arange(-2.0 * voxel, 2.01 * voxel, 0.25 * step)
    at = (radii[wide][..., None] + reach) / step
    low = np.clip(np.floor(at).astype(int), 0, seen.shape[-1] - 2)
    values = seen[wide]
    before, after = (np.take_along_axis(values, low + n, axis=-1) for n in (0, 1))
    line = np.where(found[wide][..., None], before + (after - before) * (at - low), np.nan)
    edge = np.nanmedian(line.reshape(-1, len(reach)), axis=0)
    inner, outer = float(edge[0]), float(edge[-1])
    if not (np.isfinite(edge).all() and inner > outer):
        return None
    share = (edge - outer) / (inner - outer)
    near = np.abs(reach) <= 0.75 * voxel
    drop = float(share[near][0] - share[near][-1])
    if not 0.1 < drop < 0.98:
        return None
    return float(-reach[near][0] / (np.sqrt(2.0) * scipy.special.erfinv(drop)))


def filled_level(own: Points, apart: float) -> Points:
    """Returns (N,) the level of the dye at each section. A narrow stretch is darker in its middle than the vessel is
    elsewhere: blur has mixed it with its surroundings."""
    size = max(3, round(_ALIKE_MM / apart))
    return np.asarray(np.maximum(own, scipy.ndimage.percentile_filter(own, 80.0, size=size, mode="nearest")))


def own_levels(seen: NDArray[np.float32], step: float, voxel: float, levels: Levels) -> Points:
    """Returns (N,) the lumen's level in the middle of each section: dye is mixed unevenly along a vessel."""
    near = seen[..., : max(2, round(0.75 * voxel / step))].reshape(len(seen), -1)
    near = np.where(near < levels.too_bright, near, np.nan)  # what is as bright as bone is no lumen
    some = np.isfinite(near).any(axis=1)
    own = np.full(len(seen), levels.lumen)
    own[some] = np.nanmean(near[some], axis=1)
    own = scipy.ndimage.median_filter(own, size=3, mode="nearest")
    return np.asarray(np.clip(own, levels.background + 0.2 * levels.contrast, levels.too_bright))
