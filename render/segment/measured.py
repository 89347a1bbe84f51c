"""Lengths of a closed surface: its longest diameter, and the long and short axis in a plane of the scan."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from render.geometry import Vector, vector
from render.segment.star import Floats3, moved
from render.volume import Volume

_CHORDS = 64


@dataclass(frozen=True, slots=True)
class Axes:
    """The longest diameter in a plane of the scan, and the longest perpendicular to it in that plane; which slice.

    ends_mm : LPS mm, the ends of the first, then of the second; empty where no slice cuts the surface.
    """

    long_mm: float
    short_mm: float
    slice_index: int
    ends_mm: tuple[Vector, ...] = ()


def longest_mm(points_mm: Floats3) -> float:
    """Returns the greatest distance between two points."""
    return _longest(points_mm)[0]


def _longest(points: NDArray[np.float64]) -> tuple[float, int, int]:
    best, ends = 0.0, (0, 0)
    for n in range(len(points)):
        apart = points[n + 1 :] - points[n]
        squares = np.zeros(len(apart))
        for axis in range(points.shape[1]):
            squares += apart[:, axis] * apart[:, axis]
        if len(squares) and float(squares.max()) > best:
            best, ends = float(squares.max()), (n, n + 1 + int(squares.argmax()))
    return best**0.5, *ends


def scan_plane_axes(volume: Volume, corners_mm: Floats3, triangles: NDArray[np.int32]) -> Axes:
    """Measures in every slice that cuts the surface, and returns the axes of the one with the longest."""
    index = moved(volume.to_index, corners_mm)
    best = Axes(0.0, 0.0, -1)
    first, last = int(np.ceil(index[:, 0].min())), int(np.floor(index[:, 0].max()))
    for k in range(first, last + 1):
        segments = _cut(index, corners_mm, triangles, k + 1e-7)
        if not len(segments):
            continue
        points = segments.reshape(-1, 3)
        long, a, b = _longest(points)
        if long > best.long_mm:
            short, ends = _perpendicular(segments, points[a], points[b])
            best = Axes(long, short, k, tuple(vector(end) for end in (points[a], points[b], *ends)))
    if best.slice_index < 0:
        long = longest_mm(corners_mm)
        return Axes(long, long, round(float(index[:, 0].mean())))
    return best


def _cut(index: Floats3, corners_mm: Floats3, triangles: NDArray[np.int32], k: float) -> NDArray[np.float64]:
    """Returns (N, 2, 3) the line segments in LPS mm along which slice k cuts the triangles."""
    above = index[:, 0] > k
    crossing = triangles[(above[triangles].sum(axis=1) % 3) != 0]
    found = []
    for triangle in crossing.tolist():
        ends = []
        for a, b in ((0, 1), (1, 2), (2, 0)):
            p, q = triangle[a], triangle[b]
            if above[p] != above[q]:
                part = (k - index[p, 0]) / (index[q, 0] - index[p, 0])
                ends.append(corners_mm[p] + part * (corners_mm[q] - corners_mm[p]))
        found.append(ends)
    return np.array(found, dtype=np.float64).reshape(-1, 2, 3)


def _perpendicular(
    segments: NDArray[np.float64], start: Floats3, end: Floats3
) -> tuple[float, tuple[Floats3, Floats3]]:
    """Returns the longest chord at right angles to the line from start to end: its length and its ends."""
    along = (end - start) / max(float(np.sqrt(((end - start) ** 2).sum())), 1e-9)
    length = float(np.sqrt(((end - start) ** 2).sum()))
    at = (segments - start) @ along
    across = (segments - start) - at[..., None] * along
    widest, ends = 0.0, (start, start)
    for u in (np.arange(_CHORDS) + 0.5) / _CHORDS * length:
        low, high = at.min(axis=1), at.max(axis=1)
        hit = (low <= u) & (high > u)
        if np.count_nonzero(hit) < 2:
            continue
        part = (u - at[hit, 0]) / (at[hit, 1] - at[hit, 0])
        points = across[hit, 0] + part[:, None] * (across[hit, 1] - across[hit, 0])
        found, a, b = _longest(points)
        if found > widest:
            widest, ends = found, (points[a] + u * along + start, points[b] + u * along + start)
    return widest, ends
