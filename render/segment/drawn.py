"""Regions drawn by hand: cut with scissors, painted with a brush, outlined on planes."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import scipy
import skimage
from numpy.typing import NDArray

from render.engine import cpu
from render.geometry import Vector, View, point
from render.mask_steps import Brush, Outlines, Scissors, StepError
from render.segment.grid import VoxelMask, in_bands, steps_mm
from render.volume import Volume

_SAME_PLANE_MM = 0.1


def scissors(volume: Volume, step: Scissors) -> VoxelMask:
    """Carries out the step."""
    right, up = step.view.right, step.view.up

    def seen(at: Vector) -> tuple[float, float]:
        x, y, z = at
        return (x * right[0] + y * right[1] + z * right[2], -(x * up[0] + y * up[1] + z * up[2]))

    corners = np.array([seen(corner) for corner in step.outline_mm], dtype=np.float64)
    origin = np.array(seen(point(volume.affine, (0, 0, 0))))
    k, j, i = (np.array(seen(step)) for step in steps_mm(volume))
    found = np.empty(volume.shape, dtype=np.uint8)

    def fill(k0: int, k1: int) -> None:
        cpu.segments.within_outline(corners, origin, k, j, i, k0, k1, np.empty(len(corners)), found)

    in_bands(volume.shape[0], fill)
    return found


def near_stroke(volume: Volume, stroke_mm: Sequence[Vector], radius_mm: float) -> VoxelMask:
    """Returns the voxels within a radius of a stroke."""
    return _brushed(volume, stroke_mm, radius_mm, None, 0.0)


def brushed(volume: Volume, step: Brush) -> VoxelMask:
    """Carries out the step."""
    view = step.view if step.form == "disc" else None
    return _brushed(volume, step.stroke_mm, step.radius_mm, view, step.thickness_mm)


def _brushed(
    volume: Volume, stroke_mm: Sequence[Vector], radius_mm: float, view: View | None, thickness_mm: float
) -> VoxelMask:
    found = np.zeros(volume.shape, dtype=np.uint8)
    reach = radius_mm + (thickness_mm if view else 0.0)
    ends = list(pairwise(stroke_mm)) or [(stroke_mm[0], stroke_mm[0])]
    inverse = volume.to_index
    longest = [float(sum(v * v for v in row[:3])) ** 0.5 * reach for row in inverse.tolist()[:3]]
    for start, end in ends:
        a, b = point(inverse, start), point(inverse, end)
        lower = [max(int(np.floor(min(p, q) - more)), 0) for p, q, more in zip(a, b, longest, strict=True)]
        upper = [
            min(int(np.ceil(max(p, q) + more)) + 1, n)
            for p, q, more, n in zip(a, b, longest, volume.shape, strict=True)
        ]
        if any(p >= q for p, q in zip(lower, upper, strict=True)):
            continue
        box = tuple(slice(p, q) for p, q in zip(lower, upper, strict=True))
        found[box] |= _near_line(_places(volume, lower, upper), start, end, radius_mm, view, thickness_mm)
    return found


def _places(volume: Volume, lower: Sequence[int], upper: Sequence[int]) -> list[NDArray[np.float64]]:
    """Returns x, y and z in LPS mm of the voxels of a box, each (K, J, I)."""
    k, j, i = np.ogrid[tuple(slice(p, q) for p, q in zip(lower, upper, strict=True))]
    return [row[0] * k + row[1] * j + row[2] * i + row[3] for row in volume.affine.tolist()[:3]]


def _near_line(
    at: list[NDArray[np.float64]], start: Vector, end: Vector, radius_mm: float, view: View | None, thickness_mm: float
) -> VoxelMask:
    along = [b - a for a, b in zip(start, end, strict=True)]
    offset = [p - a for p, a in zip(at, start, strict=True)]
    deep = np.zeros(1)
    if view is not None:
        towards = view.towards_observer
        # Flat: the way along the line of sight counts for the thickness alone.
        way = along[0] * towards[0] + along[1] * towards[1] + along[2] * towards[2]
        deep = offset[0] * towards[0] + offset[1] * towards[1] + offset[2] * towards[2]
        offset = [o - deep * t for o, t in zip(offset, towards, strict=True)]
        along = [a - way * t for a, t in zip(along, towards, strict=True)]
    length = along[0] * along[0] + along[1] * along[1] + along[2] * along[2]
    dot = offset[0] * along[0] + offset[1] * along[1] + offset[2] * along[2]
    share = np.clip(dot / length, 0.0, 1.0) if length > 1e-12 else np.zeros_like(dot)
    apart = [o - share * a for o, a in zip(offset, along, strict=True)]
    near = apart[0] * apart[0] + apart[1] * apart[1] + apart[2] * apart[2] <= radius_mm * radius_mm
    if view is not None:
        near &= np.abs(deep - share * way) <= thickness_mm / 2.0
    return near.astype(np.uint8)


def between_outlines(volume: Volume, step: Outlines) -> VoxelMask:
    """Carries out the step. Raises StepError for an outline that is not flat, or where all lie on one plane."""
    towards, right, up = step.view.towards_observer, step.view.right, step.view.up

    def measured(at: Vector, axis: Vector) -> float:
        return at[0] * axis[0] + at[1] * axis[1] + at[2] * axis[2]

    planes: list[tuple[float, list[NDArray[np.float64]]]] = []
    for corners in sorted(step.outlines_mm, key=lambda each: measured(each[0], towards)):
        depths = [measured(corner, towards) for corner in corners]
        if max(depths) - min(depths) > _SAME_PLANE_MM:
            raise StepError("An outline does not lie on a plane that faces its view. Nothing was marked.")
        flat = np.array([(measured(corner, right), -measured(corner, up)) for corner in corners])
        if planes and depths[0] - planes[-1][0] <= _SAME_PLANE_MM:
            planes[-1][1].append(flat)
        else:
            planes.append((depths[0], [flat]))
    if len(planes) < 2:
        raise StepError("All outlines lie on one plane: there is nothing to interpolate. Nothing was marked.")
    pixel = min(volume.spacing_mm)
    every = np.concatenate([flat for _, flats in planes for flat in flats])
    start = every.min(axis=0) - 4.0 * pixel
    columns, rows = (int(n) for n in np.ceil((every.max(axis=0) - start) / pixel + 4.0))
    if rows * columns > 4_000_000:
        raise StepError("The outlines are too large for this volume. Nothing was marked.")
    signed = np.stack([_signed(flats, start, pixel, (rows, columns)) for _, flats in planes])
    return _sampled(volume, step.view, signed, [depth for depth, _ in planes], start, pixel)


def _signed(
    flats: list[NDArray[np.float64]], start: NDArray[np.float64], pixel: float, shape: tuple[int, int]
) -> NDArray[np.float64]:
    """Returns the distance to outlines in pixels, positive inside."""
    inside = np.zeros(shape, dtype=np.bool_)
    for flat in flats:
        inside ^= skimage.draw.polygon2mask(shape, ((flat - start) / pixel)[:, ::-1])
    within = scipy.ndimage.distance_transform_edt(inside) - 0.5 * inside
    return np.asarray(within - (scipy.ndimage.distance_transform_edt(~inside) - 0.5 * ~inside), dtype=np.float64)


def _sampled(
    volume: Volume,
    view: View,
    signed: NDArray[np.float64],
    depths: list[float],
    start: NDArray[np.float64],
    pixel: float,
) -> VoxelMask:
    """Returns the voxels where the distance, interpolated between the planes, is positive."""
    found = np.zeros(volume.shape, dtype=np.uint8)
    towards, right, up = view.towards_observer, view.right, view.up
    k, j, i = volume.shape

    def work(k0: int, k1: int) -> None:
        x, y, z = _places(volume, (k0, 0, 0), (k1, j, i))
        depth = x * towards[0] + y * towards[1] + z * towards[2]
        near = (depth >= depths[0] - _SAME_PLANE_MM) & (depth <= depths[-1] + _SAME_PLANE_MM)
        if not near.any():
            return
        x, y, z, depth = x[near], y[near], z[near], depth[near]
        plane = np.interp(depth, depths, np.arange(float(len(depths))))
        column = (x * right[0] + y * right[1] + z * right[2] - start[0]) / pixel
        row = (-(x * up[0] + y * up[1] + z * up[2]) - start[1]) / pixel
        inside = scipy.ndimage.map_coordinates(signed, (plane, row, column), order=1, mode="nearest") > 0.0
        edge = (row >= 0) & (row <= signed.shape[1] - 1) & (column >= 0) & (column <= signed.shape[2] - 1)
        part = np.zeros(near.shape, dtype=np.uint8)
        part[near] = inside & edge
        found[k0:k1] = part

    in_bands(k, work, 4)
    return found
