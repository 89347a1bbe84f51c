"""Compiles the kernels of the tools, so that the first bone to be removed need not wait for it."""

import time

import numpy as np

from render.geometry import affine_from
from render.mask_steps import (
    Automatic,
    Bone,
    Brush,
    Fragments,
    Grown,
    KeptParts,
    Lesion,
    MaskStep,
    Piece,
    Shaped,
    StepError,
    Values,
)
from render.segment.making import made
from render.volume import Volume
from render.ways import Ways

_SHAPE = (40, 72, 72)


def warm_tools() -> float:
    """Runs every kind of tool on a small chest of cylinders, of either type of voxel. Returns the seconds it took."""
    began = time.perf_counter()
    chest = _chest()
    for voxels in (np.round(chest).astype(np.int16), chest.astype(np.float32)):
        affine = affine_from((0.0, 0.0, 0.0), (0.0, 0.0, 4.0), (0.0, 4.0, 0.0), (4.0, 0.0, 0.0))
        volume = Volume(voxels, affine, "HU")
        middle = (144.0, 44.0, 80.0)
        steps: tuple[MaskStep, ...] = (
            Values(300.0, 2000.0, 2),
            Bone(label=3),
            Grown((middle,), 0.0, 100.0, 20.0, 80.0, neck_mm=8.0, within_mm=60.0, label=4),
            Piece(middle, 0.0, 100.0, rim=1, label=5),
            Brush((middle, (160.0, 50.0, 80.0)), 9.0, label=6),
            KeptParts(5, 1, 0.1, 5),
            *(Shaped(name, 5.0, 6, 6) for name in ("grow", "open", "close", "fill", "smooth", "shrink")),
        )
        made(volume, steps)
        for structure in ("body", "lungs", "bone", "vessels", "airways"):
            _tried(volume, Automatic(structure))
        _tried(volume, Lesion((96.0, 144.0, 80.0)))
        _tried(volume, Bone(label=3), Fragments(of=3, label=10, least_ml=0.0))
    Ways(np.ones((2, 2, 2)), (1.0, 1.0, 1.0)).between((0, 0, 0), (1, 1, 1))
    return time.perf_counter() - began


def _tried(volume: Volume, *steps: MaskStep) -> None:
    """Runs tools that may find nothing here: their kernels are compiled by then."""
    try:
        made(volume, steps)
    except StepError:
        return


def _chest() -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    """Returns (K, J, I) values of a body with lungs, a nodule, a vessel with dye and a spine; voxels of 4 mm."""
    k, j, i = np.meshgrid(*(np.arange(n, dtype=np.float64) for n in _SHAPE), indexing="ij")
    chest = np.where(np.hypot((j - 36.0) / 28.0, (i - 36.0) / 33.0) < 1.0, 40.0, -1000.0)
    for side in (23.0, 49.0):
        chest[np.hypot((j - 36.0) / 15.0, (i - side) / 10.0) < 1.0] = -850.0
    chest[(j - 36.0) ** 2 + (i - 24.0) ** 2 + (k - 20.0) ** 2 < 9.0] = 30.0
    chest[np.hypot(j - 34.0, i - 36.0) < 3.0] = 350.0
    chest[np.hypot(j - 54.0, i - 36.0) < 5.0] = 250.0
    chest[np.abs(np.hypot(j - 54.0, i - 36.0) - 5.0) < 1.2] = 900.0
    return chest + np.random.default_rng(1).normal(0.0, 8.0, _SHAPE)
