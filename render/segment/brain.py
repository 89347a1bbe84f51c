"""Brain: on MR by a surface that swells from within until it meets the dark rim, on CT by the skull about it.

Source of the first: Smith 2002, 'Fast robust automated brain extraction'.
"""

import numpy as np
import scipy
from numpy.typing import NDArray

from render.segment.finding import Finding
from render.segment.grid import VoxelMask, in_range, largest_piece, without
from render.segment.shaping import averaged, closed, enlarged, filled_slices, grown, opened
from render.segment.star import Floats3, enclosed_mm3, moved, normals_of, sphere, within
from render.segment.trunk import clamped, in_hounsfield, nothing
from render.volume import Volume

_BLOCK_MM = 1.8
# From the top of the head to the foramen magnum: a head's height there is rarely more.
_HEIGHT_MM = 150.0
_INWARD_MM, _SHORT_MM = 20, 10
_LEAST_MM, _MOST_MM = 3.33, 10.0  # radii of curvature that are smoothed away, and that stay
_SHARE = 0.5  # of the local brightness, at which the rim begins
_ROUNDS = ((3, 400), (4, 150))


def brain(volume: Volume) -> Finding:
    """Finds the brain on T1, T2, FLAIR and time-of-flight MR, and on CT of the head."""
    return _on_ct(volume) if in_hounsfield(volume) else _on_mr(volume)


class _Head:
    """An MR volume in blocks, and where its brightness lies. to_index : LPS mm to blocks."""

    def __init__(self, volume: Volume) -> None:
        factor = [max(1, round(_BLOCK_MM / spacing)) for spacing in volume.spacing_mm]
        self.values = averaged(volume.voxels, factor)
        affine = volume.affine.copy()
        affine[:3, 3] += sum(affine[:3, axis] * ((f - 1) / 2.0) for axis, f in enumerate(factor))
        affine[:3, :3] *= np.array(factor, dtype=np.float64)
        self.affine, self.to_index = affine, Volume(self.values, affine, "1").to_index
        self.spacing = [f * s for f, s in zip(factor, volume.spacing_mm, strict=True)]
        ordered = np.sort(self.values.reshape(-1))
        self.low, self.high = (float(ordered[round(part * (ordered.size - 1))]) for part in (0.02, 0.98))
        self.edge = self.low + 0.1 * (self.high - self.low)
        self.head = largest_piece((self.values > self.edge).view(np.uint8))
        self.block_mm3 = self.spacing[0] * self.spacing[1] * self.spacing[2]

    def places(self) -> Floats3:
        index = np.moveaxis(np.indices(self.values.shape, dtype=np.float64), 0, -1)
        return moved(self.affine, index)

    def at(self, points_mm: Floats3) -> NDArray[np.float32]:
        """Returns the value of the block that holds each point; the darkest outside."""
        index = np.rint(moved(self.to_index, points_mm)).astype(np.int64)
        shape = self.values.shape
        inside = np.ones(index.shape[:-1], dtype=np.bool_)
        for axis in range(3):
            inside &= (index[..., axis] >= 0) & (index[..., axis] < shape[axis])
            index[..., axis] = np.clip(index[..., axis], 0, shape[axis] - 1)
        found = self.values[index[..., 0], index[..., 1], index[..., 2]]
        return np.where(inside, found, np.float32(self.low))


def _on_mr(volume: Volume) -> Finding:
    head = _Head(volume)
    size = float(np.count_nonzero(head.head)) * head.block_mm3 / 1000.0
    if head.high <= head.low or size < 400.0:
        return nothing(volume, f"There is no head: {size:.0f} ml hang together.")
    places = head.places()
    inside = head.head == 1
    top = float(places[..., 2][inside].max())
    upper = inside & (places[..., 2] > top - _HEIGHT_MM)
    weights = np.rint(np.clip((head.values[upper] - head.low) / (head.high - head.low), 0.0, 1.0) * 1000.0)
    grams, at = weights.astype(np.int64), np.rint(places[upper] * 100.0).astype(np.int64)
    centre = np.array([int((grams * at[:, axis]).sum()) / int(grams.sum()) / 100.0 for axis in range(3)])
    radius = (3.0 * float(np.count_nonzero(upper)) * head.block_mm3 / (4.0 * np.pi)) ** (1.0 / 3.0)
    apart = places - centre
    near = (apart[..., 0] ** 2 + apart[..., 1] ** 2 + apart[..., 2] ** 2 < radius * radius) & upper
    near &= (head.values > head.low) & (head.values < head.high)
    if not near.any():
        return nothing(volume, "There is no brain: the middle of the head is empty.")
    median = float(np.median(head.values[near]))
    corners, triangles, met = _swollen(head, centre, radius / 2.0, median)
    ml = enclosed_mm3(corners, triangles) / 1000.0
    if not 500.0 <= ml <= 2200.0:
        return nothing(volume, f"What looks like a brain has {ml:.0f} ml; a brain has 700 to 2000.")
    region = within(volume, corners, triangles) & (volume.voxels > head.edge)
    return Finding(region.astype(np.uint8), clamped(met))


def _swollen(head: _Head, centre: Floats3, radius: float, median: float) -> tuple[Floats3, NDArray[np.int32], float]:
    """Returns corners in LPS mm and triangles of the surface at rest, and the share of corners that met a rim."""
    corners = np.zeros((0, 3))
    triangles, push = np.zeros((0, 3), dtype=np.int32), np.zeros(1)
    for times, rounds in _ROUNDS:
        directions, triangles, neighbours = sphere(times)
        corners = _refined(corners, times) if len(corners) else centre + radius * directions
        for _ in range(rounds):
            corners, push = _step(head, corners, triangles, neighbours, median)
    return corners, triangles, float(np.count_nonzero(np.abs(push) < 0.6)) / len(push)


def _refined(corners: Floats3, times: int) -> Floats3:
    """Returns the corners of the next finer sphere: the old ones, and the middles between them."""
    _, coarse, _ = sphere(times - 1)
    _, fine, _ = sphere(times)
    out = np.zeros((int(fine.max()) + 1, 3))
    out[: len(corners)] = corners
    # Each coarse triangle became four; the fourth has the middles of its sides. See `star._divided`.
    for n, (a, b, c) in enumerate(coarse.tolist()):
        ab, bc, ca = fine[4 * n + 3].tolist()
        out[ab], out[bc], out[ca] = ((corners[x] + corners[y]) / 2.0 for x, y in ((a, b), (b, c), (c, a)))
    return out


def _dot(a: Floats3, b: Floats3) -> Floats3:
    return np.asarray(a[:, 0] * b[:, 0] + a[:, 1] * b[:, 1] + a[:, 2] * b[:, 2])[:, None]


def _step(
    head: _Head, corners: Floats3, triangles: NDArray[np.int32], neighbours: NDArray[np.int64], median: float
) -> tuple[Floats3, Floats3]:
    """Moves the corners once. Returns them, and how hard each is pushed outwards. Source: Smith 2002, section 2."""
    normal = normals_of(corners, triangles)
    around = corners[neighbours]
    middle = around[:, 0]
    for n in range(1, 6):
        middle = middle + around[:, n]
    towards = middle / 6.0 - corners
    inward = _dot(towards, normal)
    along = towards - inward * normal
    gap = around - corners[:, None]
    lengths = np.sqrt(gap[..., 0] ** 2 + gap[..., 1] ** 2 + gap[..., 2] ** 2)
    length = float(np.rint(lengths * 1000.0).astype(np.int64).sum()) / lengths.size / 1000.0
    curved = 2.0 * np.abs(inward) / (length * length)
    mean = (1.0 / _LEAST_MM + 1.0 / _MOST_MM) / 2.0
    steep = 6.0 / (1.0 / _LEAST_MM - 1.0 / _MOST_MM)
    x = steep * (curved - mean)
    smooth = (1.0 + x / (1.0 + np.abs(x))) / 2.0
    depths = np.arange(0.0, _INWARD_MM, 1.0)
    seen = head.at(corners[:, None] - depths[None, :, None] * normal[:, None])
    least = np.maximum(head.low, np.minimum(median, seen.min(axis=1)))
    most = np.minimum(median, np.maximum(head.edge, seen[:, :_SHORT_MM].max(axis=1)))
    rim = (most - head.low) * _SHARE + head.low
    push = 2.0 * (least - rim) / np.maximum(most - head.low, 1e-6)
    step = 0.5 * along + smooth * inward * normal + 0.05 * length * push[:, None] * normal
    return corners + step, push


# HU. Source of the range of brain: between water and fresh blood.
_SKULL, _SOFT = 300.0, (-5.0, 110.0)
_GAP_MM, _LINED_MM = 16.0, 4.0


def _on_ct(volume: Volume) -> Finding:
    factor = [max(1, round(_BLOCK_MM / spacing)) for spacing in volume.spacing_mm]
    spacing = [f * s for f, s in zip(factor, volume.spacing_mm, strict=True)]
    values = averaged(volume.voxels, factor)
    skull = largest_piece((values > _SKULL).view(np.uint8))
    block = spacing[0] * spacing[1] * spacing[2] / 1000.0
    within_skull = _within_skull(skull, spacing)
    soft = ((values > _SOFT[0]) & (values < _SOFT[1]) & (within_skull == 1)).view(np.uint8)
    core = largest_piece(opened(soft, 5.0, spacing))
    size = float(np.count_nonzero(core)) * block
    if size < 200.0:
        return nothing(volume, f"There is no brain: {size:.0f} ml of soft tissue within a skull.")
    found = filled_slices(closed(grown(core, 4.0, spacing) & soft, 4.0, spacing)) & within_skull & (skull == 0)
    shell = (grown(found, 8.0, spacing) == 1) & (found == 0)
    bony = float(np.count_nonzero(grown(skull, 4.0, spacing)[shell])) / max(float(np.count_nonzero(shell)), 1.0)
    if bony < 0.5:
        return nothing(volume, f"There is no brain: only {bony:.0%} of what was found lies against bone.")
    near = enlarged(grown(found, max(spacing), spacing), factor, volume.shape)
    region = in_range(volume.voxels, -20.0, 130.0) & near
    inner = enlarged(
        (grown((found == 0).view(np.uint8), max(spacing), spacing) == 0).view(np.uint8), factor, volume.shape
    )
    return Finding(largest_piece(region | inner), clamped(bony * min(1.0, size / 800.0)))


def _within_skull(skull: VoxelMask, spacing_mm: list[float]) -> VoxelMask:
    """Returns what the skull encloses slice by slice: within its ring, its gaps closed, or where a wide gap is left, as
    after a craniotomy, within its convex outline if that is lined with bone nearly all around."""
    from skimage.morphology import convex_hull_image  # as late as the libraries that load their parts at first use

    shut = closed(skull, _GAP_MM, spacing_mm)
    near = grown(skull, _LINED_MM, spacing_mm)
    out = np.zeros_like(shut)
    for k in range(shut.shape[0]):
        out[k] = scipy.ndimage.binary_fill_holes(shut[k])
        if not skull[k].any() or np.count_nonzero(skull[k]) < 3:
            continue
        hull = convex_hull_image(skull[k])
        rim = hull & ~scipy.ndimage.binary_erosion(hull)
        if np.count_nonzero(near[k][rim]) >= 0.75 * np.count_nonzero(rim):
            out[k] |= hull
    return without(out, skull)
