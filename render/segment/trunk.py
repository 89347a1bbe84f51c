"""Body, lungs and airways in CT: told by air, and by what lies inside what."""

from collections.abc import Sequence

import numpy as np
import scipy
from numpy.typing import NDArray

from render.segment.finding import Finding
from render.segment.grid import RegionPieces, VoxelMask, both, in_range, largest_piece, voxel_mm3, without
from render.segment.shaping import (
    averaged,
    by_blocks,
    closed,
    enlarged,
    filled,
    filled_slices,
    grown,
    opened,
    shrunk,
    shrunk_factor,
)
from render.volume import Volume

# HU. Skin and fat are denser, foam and clothes of a table lighter. Own choice, between fat (−100) and lung (−850).
_SKIN = -300.0
# HU, the lung's densest: above it lie vessels and the wall. Source: Hu et al. 2001, 'Automatic lung segmentation',
# whose optimal thresholds for chests lie about −500.
_LUNG = -450.0
_AIRWAY = -930.0
_PURE = -950.0
_COARSE_MM = 2.0


def nothing(volume: Volume, reason: str) -> Finding:
    """Returns the answer of a tool that declines."""
    return Finding(np.zeros(volume.shape, dtype=np.uint8), 0.0, f"{reason} Nothing was marked.")


def in_hounsfield(volume: Volume) -> bool:
    return volume.unit == "HU"


def clamped(value: float) -> float:
    """Returns a confidence, 0…1 with two places."""
    return round(min(max(value, 0.0), 1.0), 2)


def coarse(
    volume: Volume, least_mm: float = _COARSE_MM
) -> tuple[NDArray[np.float32], tuple[int, int, int], list[float]]:
    """Returns the volume in blocks of about `least_mm`, their size in voxels along k, j, i, and in mm."""
    factor = shrunk_factor(volume, least_mm)
    return averaged(volume.voxels, factor), factor, [f * s for f, s in zip(factor, volume.spacing_mm, strict=True)]


def coarse_body(values: NDArray[np.float32], spacing_mm: Sequence[float]) -> VoxelMask:
    """Returns the patient in blocks: what is denser than air without the table, with everything it encloses."""
    dense = (values > _SKIN).view(np.uint8)
    # A table touches the back along thin shells, which opening cuts.
    core = largest_piece(opened(dense, 4.0, spacing_mm))
    if not core.any():
        return core
    near = grown(core, 5.0, spacing_mm)
    found = largest_piece(dense & near)
    # Slice by slice, because lungs and bowel are open at the ends of the volume.
    return filled_slices(closed(found, 3.0, spacing_mm))


def body(volume: Volume) -> Finding:
    """Finds the patient with all they enclose, without table, clothes and leads. CT in HU."""
    if not in_hounsfield(volume):
        return nothing(volume, f"The body is known by its density in HU; this volume is in {volume.unit}.")
    values, factor, spacing = coarse(volume)
    found = coarse_body(values, spacing)
    share = float(np.count_nonzero(found)) / found.size
    if share < 0.02:
        return nothing(volume, "There is no body: hardly anything is denser than air.")
    # On the volume's own grid the skin is where it is; blocks tell the table from it.
    codes, inner = _with_rim(found, 2.0 * _COARSE_MM, spacing)
    region = by_blocks(volume, codes, factor, _SKIN, np.inf)
    region = _without_loose(region, enlarged(inner, factor, volume.shape))
    pieces = RegionPieces(found)
    main = float(pieces.sizes.max()) / float(pieces.sizes.sum())
    return Finding(region, clamped(main * min(1.0, share / 0.1)))


def _with_rim(found: VoxelMask, rim_mm: float, spacing_mm: Sequence[float]) -> tuple[VoxelMask, VoxelMask]:
    """Returns codes for `by_blocks`, 2 well within a region of blocks and 1 about its border; and where they are 2."""
    codes = grown(found, rim_mm, spacing_mm)
    inner = shrunk(found, rim_mm, spacing_mm)
    return codes + inner, inner


def _without_loose(region: VoxelMask, inner: VoxelMask) -> VoxelMask:
    pieces = RegionPieces(region)
    return pieces.marked(pieces.holding(inner))


def lungs(volume: Volume) -> Finding:
    """Finds both lungs, with the vessels in them, without trachea and main bronchi. CT in HU."""
    if not in_hounsfield(volume):
        return nothing(volume, f"Lungs are known by their density in HU; this volume is in {volume.unit}.")
    values, factor, spacing = coarse(volume)
    patient = coarse_body(values, spacing)
    air = ((values < _LUNG) & (patient == 1)).view(np.uint8)
    tubes = _tubes(values, patient, spacing)
    kept = _lung_pieces(without(air, tubes), values, patient, spacing)
    block = spacing[0] * spacing[1] * spacing[2]
    size = float(np.count_nonzero(kept)) * block / 1000.0
    if size < 60.0:
        return nothing(volume, f"There is no lung: {size:.0f} ml of aerated tissue inside the body.")
    whole = _with_vessels(kept, tubes, spacing)
    codes, inner = _with_rim(whole, 1.5 * max(spacing), spacing)
    codes[(tubes == 1) & (inner == 0)] = 0
    region = by_blocks(volume, codes, factor, -np.inf, _LUNG)
    region = _without_loose(region, enlarged(inner, factor, volume.shape))
    # With what a lung encloses within its slices: vessels and nodules.
    region |= filled_slices(region) & enlarged(whole, factor, volume.shape)
    inside = values[kept == 1]
    # Lung is from −950 to −600 HU in the middle; bowel gas is near −1000 throughout.
    middle = float(np.count_nonzero((inside > -960.0) & (inside < -600.0))) / max(inside.size, 1)
    return Finding(region, clamped(middle * min(1.0, size / 500.0)))


def _tubes(values: NDArray[np.float32], patient: VoxelMask, spacing_mm: Sequence[float]) -> VoxelMask:
    """Returns trachea and main bronchi in blocks, without those within the lung; nothing where there is no trachea."""
    seeds = _trachea(values, patient, spacing_mm)
    if not seeds.any():
        return seeds
    pure = ((values < _AIRWAY) & (patient == 1)).view(np.uint8)
    pieces = RegionPieces(pure | seeds)
    tree = pieces.marked(pieces.holding(seeds))
    block = spacing_mm[0] * spacing_mm[1] * spacing_mm[2]
    if float(np.count_nonzero(tree)) * block > 120_000.0:  # mm³: it has run into the lung
        tree = seeds
    return both(grown(tree, max(spacing_mm), spacing_mm), values < -300.0)


def _trachea(values: NDArray[np.float32], patient: VoxelMask, spacing_mm: Sequence[float]) -> VoxelMask:
    """Returns the trachea in blocks: round air in the middle of the upper slices that goes on from slice to slice."""
    air = (values < -850.0) & (patient == 1)
    found = np.zeros(values.shape, dtype=np.uint8)
    area = spacing_mm[1] * spacing_mm[2]
    for k in range(values.shape[0]):
        labels, count = scipy.ndimage.label(air[k])
        if not count:
            continue
        columns = np.flatnonzero(patient[k].any(axis=0))
        rows = np.flatnonzero(patient[k].any(axis=1))
        width, height = columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1
        sizes = np.bincount(labels.reshape(-1))
        for n, box in enumerate(scipy.ndimage.find_objects(labels), start=1):
            size = float(sizes[n]) * area
            if not 60.0 <= size <= 700.0:
                continue
            j, i = ((side.start + side.stop - 1) / 2.0 for side in box)
            sides = [(side.stop - side.start) * s for side, s in zip(box, spacing_mm[1:], strict=True)]
            middle = abs((i - columns[0]) / width - 0.5) < 0.12 and 0.25 < (j - rows[0]) / height < 0.75
            round_enough = max(sides) < 2.2 * min(sides) and size > 0.5 * sides[0] * sides[1]
            if middle and round_enough:
                found[k][labels == n] = 1
    pieces = RegionPieces(found)
    if not len(pieces.runs):
        return found
    best = pieces.marked(pieces.largest())
    slices = np.flatnonzero(best.any(axis=(1, 2)))
    long_enough = len(slices) * spacing_mm[0] >= 25.0
    return best if long_enough else np.zeros_like(found)


def _lung_pieces(
    air: VoxelMask, values: NDArray[np.float32], patient: VoxelMask, spacing_mm: Sequence[float]
) -> VoxelMask:
    """Returns the pieces of air that are lung: large, and of lung's own density rather than gas in bowel."""
    pieces = RegionPieces(opened(air, 2.0, spacing_mm))
    if not len(pieces.runs):
        return np.zeros_like(air)
    block = spacing_mm[0] * spacing_mm[1] * spacing_mm[2] / 1000.0
    # Away from the wall, where gas in bowel is pure and lung never is.
    inner = shrunk(air, 3.0, spacing_mm)
    counted = pieces.counts(inner)
    pure = pieces.counts(both(inner, values < _PURE))
    chosen = (pieces.sizes * block >= 30.0) & (2 * pure < counted)
    if not chosen.any():
        return np.zeros_like(air)
    # Of the two lungs the smaller is at least an eighth of the larger.
    chosen &= pieces.sizes * 8 >= pieces.sizes[chosen].max()
    return pieces.marked(chosen)


def _with_vessels(found: VoxelMask, tubes: VoxelMask, spacing_mm: Sequence[float]) -> VoxelMask:
    """Returns lungs with their vessels: closed, slice by slice filled, without the tubes."""
    return without(filled_slices(closed(found, 6.0, spacing_mm)), tubes)


def airways(volume: Volume) -> Finding:
    """Finds trachea and bronchi, grown from the trachea as long as no branch bursts into the lung. CT in HU."""
    if not in_hounsfield(volume):
        return nothing(volume, f"Airways are known by their density in HU; this volume is in {volume.unit}.")
    values, factor, spacing = coarse(volume)
    patient = coarse_body(values, spacing)
    seeds = _trachea(values, patient, spacing)
    if not seeds.any():
        return nothing(volume, "There is no trachea: no round air in the middle goes on over 25 mm.")
    fine = enlarged(seeds, factor, volume.shape) & in_range(volume.voxels, -np.inf, -850.0)
    inside = enlarged(patient, factor, volume.shape)
    best, growth = None, 0.0
    size = voxel_mm3(volume) / 1000.0
    # As in explosion control: the highest threshold before the tree bursts. Source: Mori et al. 1996.
    for level in (-960.0, -940.0, -920.0, -900.0, -880.0, -860.0):
        pieces = RegionPieces(in_range(volume.voxels, -np.inf, level) & inside | fine)
        tree = pieces.marked(pieces.holding(fine))
        ml = float(np.count_nonzero(tree)) * size
        if ml > 160.0 or (best is not None and ml > 1.6 * growth):
            break
        best, growth = tree, ml
    if best is None:
        return nothing(volume, "The airways cannot be told from the lung: they burst into it at every threshold.")
    trachea = float(np.count_nonzero(fine)) * size
    region = filled(closed(best, 1.0, volume.spacing_mm)) if best.any() else best
    return Finding(region, clamped(0.4 + 0.3 * min(growth / max(trachea, 1e-6) - 1.0, 2.0)))
