"""Regions on the grid of a volume: their size, pieces, distances and boxes. Everything in a fixed order of operations.

Where a grid is sheared (gantry tilt), distances run along its axes.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.engine import cpu
from render.engine.tiles import bands, run_tiles
from render.geometry import Vector, cross, direction, point
from render.mask_steps import StepError
from render.volume import Volume, Voxels

VoxelMask = NDArray[np.uint8]
Index = tuple[int, int, int]
Block = tuple[slice, slice, slice]


def volume_ml(volume: Volume, found: VoxelMask) -> float:
    """Returns the volume of a region's voxels in millilitres: their number times the size of one."""
    return int(np.count_nonzero(found)) * voxel_mm3(volume) / 1000.0


def voxel_mm3(volume: Volume) -> float:
    """Returns the size of one voxel."""
    k, (x, y, z), i = steps_mm(volume)
    across = cross(k, i)
    return abs(x * across[0] + y * across[1] + z * across[2])


def steps_mm(volume: Volume) -> Iterable[Vector]:
    """Returns one step along k, j and i in LPS mm."""
    return (direction(volume.affine, axis) for axis in ((1, 0, 0), (0, 1, 0), (0, 0, 1)))


def without(some: VoxelMask, other: NDArray[Any]) -> VoxelMask:
    """Returns the voxels of a region that are not in another."""
    return np.asarray((some != 0) & (other == 0)).view(np.uint8)


def both(some: VoxelMask, other: NDArray[Any]) -> VoxelMask:
    """Returns the voxels that are in two regions."""
    return np.asarray((some != 0) & (other != 0)).view(np.uint8)


_SMALL = 100_000  # voxels, below which starting threads takes longer than the work


def in_bands(count: int, work: Callable[[int, int], None], height: int = 8, threads: int | None = None) -> None:
    """Calls `work` with (first, past the last) for bands of slices, on a few threads."""
    run_tiles([partial(work, *some) for some in bands(count, height)], threads)


def in_range(voxels: Voxels, low: float, high: float) -> VoxelMask:
    """Returns 1 for the voxels from low to high, both included, else 0."""
    found = np.empty(voxels.shape, dtype=np.uint8)
    ends = np.float32(low), np.float32(high)
    in_bands(voxels.shape[0], lambda k0, k1: cpu.segments.within_range(voxels, *ends, k0, k1, found))
    return found


def spread(marked: VoxelMask, allowed: VoxelMask, every: bool, times: Sequence[int]) -> VoxelMask:
    """Grows `marked` by `times` voxels along k, j and i, where it is allowed or everywhere."""
    spare = np.empty_like(marked) if any(times) else marked
    for axis in (2, 1, 0):
        for _ in range(times[axis]):
            in_bands(
                marked.shape[0],
                lambda k0, k1: cpu.segments.spread(allowed, every, marked, axis, k0, k1, spare),  # noqa: B023
            )
            marked, spare = spare, marked
    return marked


# Within so many voxels, trying every one of them is quicker than the envelope of all.
_SHORT = 9
_EPSILON = 1e-4  # mm², so that a voxel exactly at the radius is within it


def squares_mm2(
    region: VoxelMask, wanted: int, spacing_mm: Sequence[float], most_mm: float | None = None
) -> NDArray[np.float32]:
    """Returns (K, J, I) the squared distance in mm² from each voxel to the nearest with the value `wanted`.

    most_mm : distances up to this are exact, and others only larger than it, which is quicker; None for all.
    """
    squares = _squares_in_slices(region, wanted, spacing_mm, most_mm)
    reach, square = _reach(len(region), spacing_mm[0], most_mm), spacing_mm[0] * spacing_mm[0]
    rows, threads = region.shape[1], _threads(region)
    if reach > _SHORT:
        in_bands(rows, partial(_whole_way, squares.transpose(1, 0, 2), square), threads=threads)
        return squares
    out = np.empty_like(squares)
    most = _most(most_mm)
    in_bands(
        rows,
        lambda j0, j1: cpu.blocks.near_along(squares, 0, square, reach, most, j0, j1, _near(squares, 0), out),
        threads=threads,
    )
    return out


def within_mm(region: VoxelMask, wanted: int, spacing_mm: Sequence[float], radius_mm: float) -> VoxelMask:
    """Returns (K, J, I) 1 for the voxels that lie within the radius of one with the value `wanted`, else 0."""
    limit = np.float32(radius_mm * radius_mm + _EPSILON)
    squares = _squares_in_slices(region, wanted, spacing_mm, radius_mm)
    reach, square = _reach(len(region), spacing_mm[0], radius_mm), spacing_mm[0] * spacing_mm[0]
    rows, threads = region.shape[1], _threads(region)
    if reach > _SHORT:
        in_bands(rows, partial(_whole_way, squares.transpose(1, 0, 2), square), threads=threads)
        return np.asarray(squares <= limit).view(np.uint8)
    inside = np.empty(region.shape, dtype=np.uint8)

    def work(j0: int, j1: int) -> None:
        line = np.empty(region.shape[2], dtype=np.float32)
        near, most = _near(squares, 0), _most(radius_mm)
        cpu.blocks.near_within(squares, square, reach, most, limit, j0, j1, near, line, inside)

    in_bands(rows, work, threads=threads)
    return inside


def _squares_in_slices(
    region: VoxelMask, wanted: int, spacing_mm: Sequence[float], most_mm: float | None
) -> NDArray[np.float32]:
    """Returns the squared distances along i and j alone."""
    squares = np.empty(region.shape, dtype=np.float32)
    step, square = np.float32(spacing_mm[2]), spacing_mm[1] * spacing_mm[1]
    reach, most = _reach(region.shape[1], spacing_mm[1], most_mm), _most(most_mm)

    def work(k0: int, k1: int) -> None:
        if reach > _SHORT:
            cpu.distances.along_lines(region, wanted, step, k0, k1, squares)
            _whole_way(squares, square, k0, k1)
            return
        # Slice by slice, so that what is between the two passes stays near the processor.
        flat, near = np.empty((1, *region.shape[1:]), dtype=np.float32), _near(squares, 1)
        for k in range(k0, k1):
            cpu.distances.along_lines(region[k : k + 1], wanted, step, 0, 1, flat)
            cpu.blocks.near_along(flat, 1, square, reach, most, 0, 1, near, squares[k : k + 1])

    in_bands(len(region), work, threads=_threads(region))
    return squares


def _reach(count: int, step_mm: float, most_mm: float | None) -> int:
    """Returns how many steps away a voxel may be at most."""
    return count if most_mm is None else int((most_mm + 0.01) / step_mm)


def _most(most_mm: float | None) -> np.float32:
    return np.float32(1e17 if most_mm is None else (most_mm + 0.01) ** 2)


def _threads(region: VoxelMask) -> int | None:
    return 1 if region.size < _SMALL else None


def _near(squares: NDArray[np.float32], axis: int) -> NDArray[np.uint8]:
    return np.empty((2, squares.shape[axis], -(-squares.shape[2] // 32)), dtype=np.uint8)


def _whole_way(squares: NDArray[np.float32], square: float, a0: int, a1: int) -> None:
    count = squares.shape[1]
    scratch = np.empty(count), np.empty(count, dtype=np.int64), np.empty(count + 1)
    cpu.distances.across_lines(squares, square, a0, a1, *scratch)


def box_of(region: VoxelMask) -> Block | None:
    """Returns the box about a region's voxels; None where there is none."""
    ends = []
    flat: NDArray[Any] = np.asarray(region.any(axis=2))
    for line in (np.asarray(flat.any(axis=1)), np.asarray(flat.any(axis=0)), region.any(axis=(0, 1))):
        at = np.flatnonzero(line)
        if not len(at):
            return None
        ends.append(slice(int(at[0]), int(at[-1]) + 1))
    return ends[0], ends[1], ends[2]


def wider(box: Block, margin_mm: float, volume: Volume) -> Block:
    """Returns a box with a margin on each side, within the volume."""
    return wider_blocks(box, [int(np.ceil(margin_mm / s)) + 1 for s in volume.spacing_mm], volume.shape)


def wider_blocks(box: Block, margins: Sequence[int], shape: Sequence[int]) -> Block:
    """Returns a box with a margin of so many voxels on each side, within a grid."""
    k, j, i = (
        slice(max(side.start - more, 0), min(side.stop + more, count))
        for side, more, count in zip(box, margins, shape, strict=True)
    )
    return k, j, i


def index_of(volume: Volume, at: Vector) -> Index | None:
    """Returns the voxel that holds an LPS mm point; None outside the volume."""
    k, j, i = (round(v) for v in point(volume.to_index, at))
    inside = all(0 <= x < n for x, n in zip((k, j, i), volume.shape, strict=True))
    return (k, j, i) if inside else None


def seed_of(volume: Volume, at: Vector) -> Index:
    """Returns the voxel that holds a seed. Raises StepError outside the volume."""
    found = index_of(volume, at)
    if found is None:
        raise StepError(f"The seed at {place_in_words(at)} mm is outside the volume. Nothing was marked.")
    return found


def place_in_words(at: Vector) -> str:
    return ", ".join(f"{v:.1f}" for v in at)


class RegionPieces:
    """The pieces of a region that hang together by faces, as runs of voxels along i.

    sizes : voxels of each piece at its first run, 0 at other runs. The order of pieces is that of their first voxels.
    """

    def __init__(self, region: VoxelMask) -> None:
        self.shape = region.shape
        self.runs, self.first = cpu.body.pieces_of(region, np.float32(0.5))
        self.sizes = cpu.body.run_lengths(self.runs, self.first)

    def marked(self, chosen: NDArray[np.bool_]) -> VoxelMask:
        """Returns the region of the pieces that are chosen at their first run."""
        out = np.zeros(self.shape, dtype=np.uint8)
        cpu.segments.fill_runs(self.runs, chosen[self.first], 1, out)
        return out

    def at(self, voxel: Index) -> int:
        """Returns the first run of the piece that holds a voxel, −1 where none does."""
        runs = self.runs
        here = (runs[:, 0] == voxel[0]) & (runs[:, 1] == voxel[1]) & (runs[:, 2] <= voxel[2]) & (voxel[2] < runs[:, 3])
        return int(self.first[here][0]) if here.any() else -1

    def holding(self, region: VoxelMask) -> NDArray[np.bool_]:
        """Returns, at first runs, whether a piece holds a voxel of another region."""
        return np.asarray(self.counts(region) > 0)

    def counts(self, region: VoxelMask) -> NDArray[np.int64]:
        """Returns, at first runs, how many voxels of another region a piece holds."""
        each = np.empty(len(self.runs), dtype=np.int64)
        cpu.blocks.count_in_runs(self.runs, region, each)
        total = np.zeros(len(self.runs), dtype=np.int64)
        np.add.at(total, self.first, each)
        return total

    def largest(self, count: int = 1, least: float = 0.0) -> NDArray[np.bool_]:
        """Returns, at first runs, the `count` largest pieces (0: all) of at least `least` voxels."""
        heads = np.flatnonzero(self.sizes)
        order = heads[np.argsort(-self.sizes[heads], kind="stable")]
        chosen = np.zeros(len(self.runs), dtype=np.bool_)
        kept = order[: count or None]
        chosen[kept] = self.sizes[kept] >= least
        return chosen


def largest_piece(region: VoxelMask, count: int = 1, least: float = 0.0) -> VoxelMask:
    """Returns the `count` largest pieces of a region, as `RegionPieces.largest`."""
    pieces = RegionPieces(region)
    return pieces.marked(pieces.largest(count, least))
