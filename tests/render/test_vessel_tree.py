"""Pictures of all vessels: of them alone, behind faded bones, and where there are none."""

import numpy as np
import pytest

from render import Volume, draw
from render.recipe import Projection, VolumeRendering, canonical_json, read_recipe
from render.vessel_tree import tree_pictures
from render.vessels.lumen import VesselError


def angiogram() -> Volume:
    """A vessel of 400 along the head-foot axis in tissue of 60 to 120, and a bright speck of noise beside it."""
    rng = np.random.default_rng(1)
    voxels = rng.integers(60, 120, (40, 40, 40)).astype(np.int16)
    voxels[:, 18:22, 18:22] = 400
    voxels[5, 5, 5] = 450
    affine = np.array([[0.0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
    return Volume(voxels, affine, "1")


def test_the_vessels_alone() -> None:
    volume = angiogram()
    recipes = tree_pictures(volume)
    assert all(read_recipe(canonical_json(recipe)) == recipe for recipe in recipes)
    assert {type(recipe) for recipe in recipes} == {Projection, VolumeRendering}
    mip = draw(volume, recipes[0])
    lit = mip.pixels[0] > 300
    assert mip.recipe.name == "MIP, anterior"
    rows, columns = np.nonzero(lit)
    assert np.ptp(rows) > 4 * np.ptp(columns)  # the vessel, from head to foot, and no speck
    assert (mip.pixels[0] > 300).mean() == pytest.approx(lit.mean())


def test_no_vessels_no_picture() -> None:
    volume = angiogram()
    flat = Volume(np.random.default_rng(2).integers(60, 120, volume.shape).astype(np.int16), volume.affine, "1")
    with pytest.raises(VesselError, match="Vessels do not stand out"):
        tree_pictures(flat)
    with pytest.raises(VesselError, match="Nothing was"):
        tree_pictures(Volume(flat.voxels, flat.affine, "HU"))
