"""Regions told by density alone: bone by its cortex, and what is near, within and between."""

import math

import numpy as np

from render.engine import cpu
from render.mask_steps import Bone
from render.segment.grid import VoxelMask, in_bands, in_range, spread, voxel_mm3
from render.volume import Volume


def bone_by_density(volume: Volume, step: Bone) -> VoxelMask:
    """Carries out the step."""
    runs, pieces = cpu.body.pieces_of(volume.voxels, np.float32(step.cortex))
    bone = np.zeros(volume.shape, dtype=np.uint8)
    if len(runs):
        sizes = cpu.body.run_lengths(runs, pieces)
        cpu.segments.fill_runs(runs, (sizes * voxel_mm3(volume) >= step.least_ml * 1000.0)[pieces], 1, bone)
    allowed = in_range(volume.voxels, step.marrow, np.inf)
    times = [math.floor(step.reach_mm / spacing + 1e-6) for spacing in volume.spacing_mm]
    bone = spread(bone, allowed, False, times)
    _, far_j, far_i = (math.floor(step.across_mm / spacing) for spacing in volume.spacing_mm)
    spare = np.empty_like(bone)

    def surrounded(k0: int, k1: int) -> None:
        scratch = [np.empty(volume.shape[1:], dtype=np.int32) for _ in range(2)]
        cpu.segments.between(allowed, bone, far_j, far_i, k0, k1, *scratch, spare)  # type: ignore[call-arg]

    in_bands(volume.shape[0], surrounded)
    left = bone
    in_bands(volume.shape[0], lambda k0, k1: cpu.segments.left_over(allowed, spare, k0, k1, left))
    runs, pieces = cpu.body.pieces_of(left, np.float32(0.5))
    crumbs = cpu.body.run_lengths(runs, pieces) * voxel_mm3(volume) < step.crumbs_ml * 1000.0
    cpu.segments.fill_runs(runs, crumbs[pieces], 1, spare)
    return spare
