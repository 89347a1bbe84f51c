"""Slabs of reformats: the true maximum and minimum of a thickness, never less than that of a slab inside it."""

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from dicom_io.files.series import open_series
from dicom_io.volumes import build_volume
from render import CurvedReformat, Reformat, View, Volume, Window, draw
from render.geometry import Plane, affine_from
from render.recipe import read_recipe
from tests.dicom_io.real import failing_input
from tests.thorough import examples

WINDOW = Window(0.0, 2000.0)


def sparse(seed: int, spacing: tuple[float, float, float]) -> Volume:
    """Air with single bright and dark voxels, which a sample half way between two slices misses."""
    random = np.random.default_rng(seed)
    voxels = np.zeros((20, 18, 16), np.int16)
    voxels[random.random(voxels.shape) < 0.05] = 1000
    voxels[random.random(voxels.shape) < 0.05] = -1000
    k, j, i = spacing
    origin = (-(16 - 1) / 2 * i, -(18 - 1) / 2 * j, -(20 - 1) / 2 * k)
    return Volume(voxels, affine_from(origin, (0, 0, k), (0, j, 0), (i, 0, 0)), "HU")


def brute(
    volume: Volume, plane: Plane, view: View, shape: tuple[int, int], half_mm: float, step_mm: float
) -> np.ndarray:
    """(samples, rows, columns) trilinear values through a slab; NaN outside the volume."""
    rows, columns = np.indices(shape)
    at = (
        np.array(plane.origin_mm)[:, None, None]
        + np.array(plane.down_mm)[:, None, None] * rows
        + np.array(plane.right_mm)[:, None, None] * columns
    )
    offsets = np.arange(-half_mm, half_mm + step_mm / 2, step_mm)
    deep = at[None] + np.array(view.towards_observer)[None, :, None, None] * offsets[:, None, None, None]
    index = np.einsum("ab,sbrc->asrc", volume.to_index[:3, :3], deep) + volume.to_index[:3, 3][:, None, None, None]
    found = map_coordinates(volume.voxels.astype(float), index, order=1, mode="nearest")
    top = np.array(volume.shape)[:, None, None, None] - 1
    inside = ((index >= -0.5) & (index <= top + 0.5)).all(axis=0)
    return np.where(inside, found, np.nan)


@settings(max_examples=examples(30), deadline=None)
@given(
    seed=st.integers(0, 99),
    spacing=st.tuples(*[st.sampled_from([0.7, 1.0, 2.5])] * 3),
    view=st.sampled_from(["foot", "left", "anterior"]),
    thick=st.floats(0.1, 14.0),
    off=st.floats(-1.0, 1.0),
    mode=st.sampled_from(["mip", "minip"]),
)
def test_parallel_to_the_slices_it_is_the_true_extreme(
    seed: int, spacing: tuple[float, float, float], view: str, thick: float, off: float, mode: Literal["mip", "minip"]
) -> None:
    volume = sparse(seed, spacing)
    recipe = Reformat(
        WINDOW, View.parse(view), rows=14, columns=14, pixel_mm=1.0, thickness_mm=thick, mode=mode, centre_mm=(off,) * 3
    )
    picture = draw(volume, recipe)
    through = brute(volume, picture.planes[0], recipe.view, (14, 14), thick / 2, thick / 400)
    inside = ~np.isnan(through).any(axis=0)
    truth = through.max(axis=0) if mode == "mip" else through.min(axis=0)
    apart = np.abs(picture.pixels[0] - truth)[inside]
    # Values are whole numbers, and the steps of the brute force miss a little of a peak: 1000 HU a slice at most.
    assume(apart.size > 0)
    assert apart.max() <= 0.51 + 1000 * thick / 400 / min(spacing)


@settings(max_examples=examples(30), deadline=None)
@given(
    seed=st.integers(0, 99),
    spacing=st.tuples(*[st.sampled_from([0.7, 1.0, 2.5])] * 3),
    turn=st.sampled_from(["foot", "left", "anterior", "left, 30 down", "anterior, 17 up", "foot, 5 up"]),
    thin=st.floats(0.0, 8.0),
    more=st.floats(0.0, 6.0),
)
def test_a_thicker_slab_is_never_less_than_one_inside_it(
    seed: int, spacing: tuple[float, float, float], turn: str, thin: float, more: float
) -> None:
    volume = sparse(seed, spacing)
    recipe = Reformat(WINDOW, View.parse(turn), rows=12, columns=12, pixel_mm=1.0, centre_mm=(0.0, 0.0, 0.0))
    signs: tuple[tuple[Literal["mip", "minip"], int], ...] = (("mip", 1), ("minip", -1))
    for mode, sign in signs:
        inner, outer = (
            draw(volume, replace(recipe, mode=mode, thickness_mm=t)).pixels[0].astype(int) for t in (thin, thin + more)
        )
        assert (sign * (outer - inner)).min() >= 0


@pytest.mark.parametrize("thick", [2.0, 4.0, 5.0, 6.0, 7.0])
@pytest.mark.parametrize(("mode", "value"), [("mip", 1000), ("minip", -1000)])
def test_on_the_grid_it_holds_the_voxels_own_values(thick: float, mode: Literal["mip", "minip"], value: int) -> None:
    voxels = np.zeros((11, 9, 9), np.int16)
    for k in range(11):
        voxels[k, k % 9, 4] = value
    volume = Volume(voxels, affine_from((-4, -4, -5), (0, 0, 1), (0, 1, 0), (1, 0, 0)), "HU")
    flat = Reformat(
        WINDOW, View.parse("foot"), rows=9, columns=9, pixel_mm=1.0, thickness_mm=thick, mode=mode, centre_mm=(0, 0, 0)
    )
    path = ((-4.0, 0.0, 0.0), (0.0, 0.0, 0.0), (4.0, 0.0, 0.0))
    reach = int(thick // 2)
    found = draw(volume, flat).pixels[0]
    assert (found == value).sum() == 2 * reach + 1
    curved = CurvedReformat(WINDOW, path, pixel_mm=1.0, rows=9, columns=9, thickness_mm=thick, mode=mode)
    assert abs(int(draw(volume, curved).pixels.max() if value > 0 else draw(volume, curved).pixels.min())) == 1000


@pytest.mark.parametrize(("mode", "sign"), [("mip", 1), ("minip", -1)])
def test_on_the_series_that_missed_voxels_6_mm_hold_what_5_mm_hold(mode: str, sign: int) -> None:
    """One bright voxel in each slice of 1 mm: 5 mm show 118 to 122."""
    folder = failing_input("slab_mip_misses_voxels", "render")
    volume = build_volume(open_series(folder / "series")[0])
    thin, thick = (
        draw(volume, read_recipe((folder / f"{mode}_{mm}mm.json").read_text())).pixels[0].astype(int) for mm in (5, 6)
    )
    assert (sign * (thick - thin)).min() >= 0
    if mode == "mip":
        assert set(range(118, 123)) <= set(thick.ravel().tolist())
