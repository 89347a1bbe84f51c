"""Bone in CT, also with contrast: told from vessels, kidneys and bowel by shape, texture and place, not by density.

Even blobs that are brighter than all around them are filled with contrast; even blobs in a brighter shell are marrow;
what is dense and uneven away from contrast is cortex. From these markers a watershed of the unevenness divides all that
is dense. Then dense pools are given back to the vessels, and marrow to the bones, by what is around them.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import skimage
from numpy.typing import NDArray

from render.engine import cpu
from render.segment.finding import Finding
from render.segment.grid import (
    Block,
    RegionPieces,
    VoxelMask,
    box_of,
    in_bands,
    largest_piece,
    squares_mm2,
    wider_blocks,
    without,
)
from render.segment.shaping import averaged, by_blocks, counts_about, grown, opened, shrunk
from render.segment.trunk import clamped, coarse_body, in_hounsfield, nothing
from render.volume import Volume

# All values in HU, lengths in mm, sizes in ml; own choice, tried on chests and abdomens in arterial and portal phase.
_BLOCK_MM = 1.6
_DENSE = 150.0  # blocks of bone, contrast and marrow
_EDGE = 180.0  # bone's own border on the volume's grid
_AIR = -400.0
_SHELL_MM = 4.6
_LEAST_BLOB = 0.3
_SOLID = 700.0  # even and denser than any mixed contrast: compact bone
_POOL = 450.0  # marrow is never as dense as this over several mm
_NEAR_LUNG_MM = 40.0
_AWAY_MM = 6.0  # the edge of a lumen is uneven too
_ENCLOSED_MM = 22.0
_LOOSE = 12.0
_LEAST_AIR = 60.0
_MARGIN = 3  # blocks about the patient


@dataclass
class _Scene:
    """The volume in blocks, within the `box` about the patient of the `whole` grid of blocks. values, uneven (standard
    deviation of 27 blocks) : float32; dense, patient, aerated (share of air about a block) likewise (K, J, I). lumen,
    marrow : what is marked so far."""

    values: NDArray[np.float32]
    spacing_mm: list[float]
    whole: tuple[int, ...]
    box: Block
    patient: VoxelMask
    dense: VoxelMask
    uneven: NDArray[np.float32]
    aerated: NDArray[np.float32]
    noise: float
    lumen: VoxelMask
    marrow: VoxelMask
    levels: list[tuple[float, float, float]] = field(default_factory=list)

    @property
    def block_ml(self) -> float:
        return self.spacing_mm[0] * self.spacing_mm[1] * self.spacing_mm[2] / 1000.0

    @property
    def level(self) -> float:
        """The mean of the brightest lumen of some size; 0 where there is none."""
        return max((mean for size, mean, _ in self.levels if size > 5.0), default=0.0)

    @property
    def top(self) -> float:
        """What a lumen reaches at most."""
        large = [one for one in self.levels if one[0] > 5.0] or self.levels
        return max((mean + 2.0 * deviation for _, mean, deviation in large), default=250.0)


def bone(volume: Volume) -> Finding:
    """Finds the bones. CT in HU."""
    if not in_hounsfield(volume):
        return nothing(volume, f"Bone is known by its density in HU; this volume is in {volume.unit}.")
    factor = [max(1, round(_BLOCK_MM / spacing)) for spacing in volume.spacing_mm]
    scene = _scene(volume, factor)
    if not scene.dense.any():
        return nothing(volume, "There is no bone: nothing in the body is dense.")
    _mark_blobs(scene)
    _mark_pools(scene)
    regions, sure = _divided(scene)
    _take_marrow(scene, regions)
    given = _give_back(scene, regions)
    found = (regions == 1).view(np.uint8)
    size = float(np.count_nonzero(found)) * scene.block_ml
    if size < 1.0:
        return nothing(volume, f"There is no bone: {size:.1f} ml at most.")
    codes = np.zeros(scene.whole, dtype=np.uint8)
    codes[scene.box] = without(grown(found, 1.7, scene.spacing_mm), regions == 2)
    region = by_blocks(volume, codes, factor, _EDGE, np.inf)
    open_share = float(np.count_nonzero((regions == 0) & (scene.dense == 1))) * scene.block_ml / size
    return Finding(region, clamped(0.95 - 0.6 * open_share - 0.5 * given / size - 0.2 * (1.0 - sure)))


def _scene(volume: Volume, factor: list[int]) -> _Scene:
    whole = averaged(volume.voxels, factor)
    spacing = [f * s for f, s in zip(factor, volume.spacing_mm, strict=True)]
    patient = coarse_body(whole, spacing)
    # Nothing beyond the patient is bone.
    box = wider_blocks(box_of(patient) or (slice(0, 1),) * 3, (_MARGIN,) * 3, patient.shape)
    values, patient = np.ascontiguousarray(whole[box]), np.ascontiguousarray(patient[box])
    dense = ((values > _DENSE) & (patient == 1)).view(np.uint8)
    uneven = np.empty_like(values)

    def work(k0: int, k1: int) -> None:
        cpu.blocks.unevenness(values, k0, k1, np.empty(values.shape[2]), np.empty(values.shape[2]), uneven)

    in_bands(len(values), work)
    soft = (values > 0.0) & (values < 120.0) & (patient == 1)
    noise = float(np.median(uneven[soft])) if soft.any() else 15.0
    # Of lungs alone: air of sinuses lies in bone.
    lungs = opened(((values < _AIR) & (patient == 1)).view(np.uint8), 5.0, spacing)
    block_ml = spacing[0] * spacing[1] * spacing[2] / 1000.0
    near = grown(largest_piece(lungs, 0, _LEAST_AIR / block_ml), 5.0, spacing) == 1
    halves = [round(10.0 / s) // 2 for s in spacing]
    aerated = counts_about((near & (values < _AIR)).view(np.uint8), halves).astype(np.float32)
    aerated /= np.float32(math.prod(2 * half + 1 for half in halves))
    none = np.zeros_like(dense)
    return _Scene(values, spacing, whole.shape, box, patient, dense, uneven, aerated, noise, none, none.copy())


def _blobs(scene: _Scene, region: VoxelMask, least_ml: float) -> Iterator[tuple[Block, NDArray[np.bool_], float]]:
    """Yields the pieces of a region, largest first: a box with a margin, the piece in it, and its ml."""
    pieces = RegionPieces(region)
    heads = np.flatnonzero(pieces.sizes)
    largest = heads[np.argsort(-pieces.sizes[heads], kind="stable")]
    # The runs of each piece, one piece after the other.
    order = np.argsort(pieces.first, kind="stable")
    begins, ends = (np.searchsorted(pieces.first[order], largest, side) for side in ("left", "right"))
    margins = [int(np.ceil(_SHELL_MM / s)) + 1 for s in scene.spacing_mm]
    for head, begin, end in zip(largest, begins, ends, strict=True):
        size = float(pieces.sizes[head]) * scene.block_ml
        if size < least_ml:
            return
        runs = pieces.runs[order[begin:end]]
        low, high = runs.min(axis=0), runs.max(axis=0)
        box = (
            slice(int(low[0]), int(high[0]) + 1),
            slice(int(low[1]), int(high[1]) + 1),
            slice(int(low[2]), int(high[3])),
        )
        about = wider_blocks(box, margins, region.shape)
        k, j, i = (side.start for side in about)
        blob = np.zeros([side.stop - side.start for side in about], dtype=np.uint8)
        offsets = np.array([k, j, i, i], dtype=runs.dtype)
        cpu.segments.fill_runs(runs - offsets, np.ones(len(runs), dtype=np.bool_), 1, blob)
        yield about, blob.view(np.bool_), size


def _mean(values: NDArray[np.float32]) -> float:
    """Returns the mean, by way of whole numbers: the sum of floats would depend on the processor."""
    return float(np.rint(values).astype(np.int64).sum()) / max(values.size, 1)


def _share(part: NDArray[np.bool_], whole: NDArray[np.bool_]) -> float:
    return float(np.count_nonzero(part & whole)) / max(float(np.count_nonzero(whole)), 1.0)


def _mark_blobs(scene: _Scene) -> None:
    """Marks even blobs as lumen or marrow, by whether what is around them is darker or brighter."""
    even = (scene.uneven < max(2.0 * scene.noise, 30.0)) & (scene.dense == 1)
    for box, blob, size in _blobs(scene, opened(even.view(np.uint8), 2.5, scene.spacing_mm), _LEAST_BLOB):
        values = scene.values[box]
        away = squares_mm2(blob.view(np.uint8), 1, scene.spacing_mm, _SHELL_MM)
        shell = (away > 0.0) & (away <= _SHELL_MM * _SHELL_MM)
        mean = _mean(values[blob])
        # A lumen that is brighter than its neighbour lumen is no cortex.
        other = squares_mm2(np.ascontiguousarray(scene.lumen[box]), 1, scene.spacing_mm, _SHELL_MM) <= _SHELL_MM**2
        bright = _share((values > mean + 40.0 + scene.noise) & ~other, shell)
        dark = _share(values < mean - 60.0, shell)
        score = dark - 2.0 * bright
        if mean > _SOLID:
            scene.marrow[box][blob] = 1
        elif score > 0.25 or (bright < 0.02 and dark > 0.25):
            scene.lumen[box][blob] = 1
            squares = _mean((values[blob] - np.float32(mean)) ** 2)
            scene.levels.append((size, mean, squares**0.5))
        elif score < 0.05 < bright:
            scene.marrow[box][blob] = 1


def _mark_pools(scene: _Scene) -> None:
    """Marks undiluted contrast in the chest as lumen: thick, and denser throughout than any marrow."""
    deep = shrunk(scene.dense, 4.0, scene.spacing_mm) == 1
    pools = deep & (counts_about((scene.values <= _POOL).view(np.uint8), (1, 1, 1)) == 0)
    if not pools.any():
        return
    # Lungs more than 40 mm away do not count, and opening them looks 10 mm further: nothing else is looked at.
    about = box_of(pools.view(np.uint8))
    assert about is not None
    box = wider_blocks(about, [int((_NEAR_LUNG_MM + 12.0) / s) + 1 for s in scene.spacing_mm], pools.shape)
    air = ((scene.values[box] < -500.0) & (scene.patient[box] == 1)).view(np.uint8)
    lungs = opened(air, 5.0, scene.spacing_mm)
    if lungs.any():
        pools[box] &= squares_mm2(lungs, 1, scene.spacing_mm, _NEAR_LUNG_MM) < _NEAR_LUNG_MM * _NEAR_LUNG_MM
        kept = largest_piece(pools.view(np.uint8), 0, _LEAST_BLOB / scene.block_ml)
        scene.lumen |= kept
        scene.marrow = without(scene.marrow, kept)


def _divided(scene: _Scene) -> tuple[NDArray[np.int32], float]:
    """Returns 1 for bone and 2 for contrast, 0 for neither; and the share of bone that was marked before."""
    away = np.ones(scene.dense.shape, dtype=np.bool_)
    if scene.lumen.any():
        away = squares_mm2(scene.lumen, 1, scene.spacing_mm, _AWAY_MM) > _AWAY_MM * _AWAY_MM
    uneven = (scene.values > 250.0) & (scene.uneven > max(3.0 * scene.noise, 60.0))
    cortex = (scene.values > max(300.0, min(scene.top, 700.0))) | uneven
    cortex &= away & (scene.dense == 1) & (scene.aerated < 0.4) & (scene.marrow == 0)
    kept = largest_piece(cortex.view(np.uint8), 0, max(3.0, 0.05 / scene.block_ml))
    markers = np.zeros(scene.dense.shape, dtype=np.int32)
    markers[(scene.marrow == 1) | (kept == 1)] = 1
    # What has air all around it is a vessel of the lung; a rib has air on one side.
    markers[(scene.dense == 1) & (scene.aerated > 0.5)] = 2
    markers[scene.lumen == 1] = 2
    regions = np.zeros(markers.shape, dtype=np.int32)
    box = box_of(scene.dense)
    if box is not None:
        regions[box] = skimage.segmentation.watershed(scene.uneven[box], markers[box], mask=scene.dense[box] == 1)
    marked = float(np.count_nonzero(markers == 1))
    return regions, marked / max(float(np.count_nonzero(regions == 1)), 1.0)


def _take_marrow(scene: _Scene, regions: NDArray[np.int32]) -> None:
    """Gives to the bones what they enclose within a slice, if it is clearly darker than the lumen."""
    found = (regions == 1).view(np.uint8)
    allowed = ((scene.dense == 1) & (regions != 1) & (scene.values < 0.75 * scene.level)).view(np.uint8)
    out = np.empty_like(found)
    _, far_j, far_i = (int(_ENCLOSED_MM / s) for s in scene.spacing_mm)
    scratch = [np.empty(found.shape[1:], dtype=np.int32) for _ in range(2)]
    cpu.segments.between(allowed, found, far_j, far_i, 0, found.shape[0], *scratch, out)  # type: ignore[call-arg]
    regions[out == 1] = 1


def _give_back(scene: _Scene, regions: NDArray[np.int32]) -> float:
    """Gives thick parts to the vessels that hang on lumina, or lie in soft tissue without fat or air, where no bone
    does. Returns their ml."""
    total = 0.0
    for box, part, _ in _blobs(scene, opened((regions == 1).view(np.uint8), 4.0, scene.spacing_mm), 5.0):
        values, here = scene.values[box], regions[box]
        away = squares_mm2(part.view(np.uint8), 1, scene.spacing_mm, _SHELL_MM)
        shell = (away > 0.0) & (away <= 16.0)
        mean = _mean(values[part])
        on_lumen = _share(here == 2, shell) > 0.12 and mean > 0.6 * scene.level
        in_soft = _share(values < 0.0, shell) < 0.07 and mean < 1.6 * scene.level
        # Cortex is brighter than what it encloses; contrast is not.
        rim = squares_mm2(part.view(np.uint8), 0, scene.spacing_mm, 3.0) <= 9.0
        deep = values[part & ~rim]
        hollow = deep.size > 0 and _mean(values[part & rim]) > _mean(deep) + 20.0
        if (on_lumen or in_soft) and not hollow:
            near = (away <= _SHELL_MM * _SHELL_MM) & (here == 1)
            here[near] = 2
            total += float(np.count_nonzero(near)) * scene.block_ml
    # Loose pieces on a lumen are its calcified or uneven edge; bones hang together, or lie away from vessels.
    for box, part, size in _blobs(scene, (regions == 1).view(np.uint8), 0.0):
        if size > _LOOSE:
            continue
        here = regions[box]
        away = squares_mm2(part.view(np.uint8), 1, scene.spacing_mm, 3.0)
        if _share(here == 2, (away > 0.0) & (away <= 9.0)) > 0.08:
            here[part] = 2
            total += size
    return total
