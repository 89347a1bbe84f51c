"""Work at reduced resolution: the kernels give what the plain way does, to the last voxel."""

import numpy as np
import pytest
from scipy import ndimage

from render.engine.tiles import bands, run_tiles
from render.geometry import affine_from
from render.mask_steps import Structure
from render.segment import automatic, find, grid, shaping
from render.segment.finding import Finding
from render.volume import Volume
from tests.accuracy.phantoms import chest

RANDOM = np.random.default_rng(11)
SPACING = (2.0, 0.7, 0.9)
STRUCTURES: tuple[Structure, ...] = ("bone", "lungs")


def spots(shape: tuple[int, int, int] = (21, 34, 41), share: float = 0.02) -> np.ndarray:
    return (RANDOM.random(shape) < share).astype(np.uint8)


def test_holes_of_slices_are_filled_as_by_a_flood_from_outside() -> None:
    region = (ndimage.gaussian_filter(RANDOM.normal(size=(9, 40, 47)), (0, 2, 2)) > 0.03).astype(np.uint8)
    region[3] = 0
    region[4] = 1
    for axis in range(3):
        wanted = np.stack([ndimage.binary_fill_holes(each) for each in np.moveaxis(region, axis, 0)])
        assert np.array_equal(shaping.filled_slices(region, axis), np.moveaxis(wanted, 0, axis))
    assert np.count_nonzero(shaping.filled_slices(region)) > np.count_nonzero(region)


@pytest.mark.parametrize("most", [1.0, 4.0, 9.0])
def test_distances_within_a_reach_are_those_of_the_whole_search(most: float) -> None:
    region = spots()
    whole, near = (grid.squares_mm2(region, 1, SPACING, each) for each in (None, most))
    within = whole <= most * most
    assert np.array_equal(near[within], whole[within])
    assert (near[~within] > most * most).all()
    exact = ndimage.distance_transform_edt(region == 0, sampling=SPACING)
    assert np.array_equal(shaping.grown(region, most, SPACING) == 1, exact <= most + 1e-4)
    solid = 1 - region
    assert np.array_equal(shaping.shrunk(solid, most, SPACING) == 1, exact > most + 1e-4)


def test_a_region_that_ends_at_the_grid_has_no_border_there() -> None:
    region = np.zeros((8, 9, 10), np.uint8)
    region[2:, :5, 3:] = 1
    shrunk = shaping.shrunk(region, 1.5, (1.0, 1.0, 1.0))
    assert shrunk[7, 0, 9] == 1 and shrunk[4, 4, 6] == 0 and shrunk[2, 1, 6] == 0 and shrunk[4, 3, 3] == 0
    assert not shaping.shrunk(np.zeros_like(region), 1.5, (1.0, 1.0, 1.0)).any()
    assert shaping.shrunk(np.ones_like(region), 1.5, (1.0, 1.0, 1.0)).all()


def test_means_of_blocks_and_the_way_back() -> None:
    voxels = RANDOM.integers(-1000, 2000, (9, 14, 17)).astype(np.int16)
    found = shaping.averaged(voxels, (2, 3, 2))
    assert np.array_equal(found, voxels[:8, :12, :16].reshape(4, 2, 4, 3, 8, 2).mean(axis=(1, 3, 5), dtype=np.float32))
    codes = RANDOM.integers(0, 3, found.shape).astype(np.uint8)
    fine = shaping.enlarged(codes, (2, 3, 2), voxels.shape)
    assert fine.shape == voxels.shape and np.array_equal(fine[1::2, 2::3, ::2][:4, :4, :8], codes)
    assert (fine[:, 13:] == fine[:, 11:12]).all(), "the far end takes the last block's"
    volume = Volume(voxels, affine_from((0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)), "HU")
    wanted = (fine == 2) | ((fine == 1) & (voxels >= 0) & (voxels <= 500))
    assert np.array_equal(shaping.by_blocks(volume, codes, (2, 3, 2), 0.0, 500.0) == 1, wanted)


def test_counts_about_a_voxel_are_those_of_a_box_filter() -> None:
    region, halves = spots(share=0.3), (1, 3, 0)
    sizes = [2 * half + 1 for half in halves]
    wanted = ndimage.uniform_filter(region.astype(np.float64), sizes) * np.prod(sizes)
    assert np.array_equal(shaping.counts_about(region, halves), np.rint(wanted))


@pytest.fixture(scope="module")
def trunk() -> Volume:
    return chest()


@pytest.mark.slow
def test_masks_do_not_depend_on_threads_or_bands(trunk: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    first = {each: find(trunk, each).region for each in STRUCTURES}
    again = Volume(trunk.voxels.copy(), trunk.affine, "HU")
    monkeypatch.setattr("render.segment.grid.run_tiles", lambda tiles, threads=None: run_tiles(tiles[::-1], 1))
    monkeypatch.setattr("render.segment.grid.bands", lambda count, height=8: bands(count, 3))
    for each, region in first.items():
        assert np.array_equal(find(again, each).region, region)


def test_vessels_take_the_bones_that_were_found(trunk: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    find(trunk, "bone")

    def again(_: Volume) -> Finding:
        raise AssertionError("bone is sought again")

    monkeypatch.setitem(automatic._TOOLS, "bone", again)
    find(trunk, "vessels")
