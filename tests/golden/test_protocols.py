"""Every protocol draws on a real series it is meant for, and no picture of it is empty."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from dicom_io.files.series import open_series
from dicom_io.volumes import build_volume
from render import Recipe, Reformat, Volume, draw, load_protocol, protocol_names, to_rgb
from render.body_frame import filled_by_body
from render.protocols import drawable
from render.recipe import Solid
from tests.dicom_io.real import SAMPLE, real_set
from workstation.export import contact_sheet

SERIES = {
    "ct_aneurysm": "cta_aorta_dissection_heart",
    "ct_chest": "ct_chest_iv_lidc0001_jls",
    "ct_fracture": "sample",
    "ct_generic": "ct_tilt_minus18_philips_phantom",
    "ct_head_trauma": "sample",
    "ct_joint": "sample",
    "ct_malformation": "ct_chest_iv_lidc0001_jls",
    "ct_neurosurgery": "sample",
    "ct_oncology": "ct_chest_iv_lidc0001_jls",
    "ct_stenosis": "ct_ctpa_rider_jls",
    "ct_vascular": "ct_ctpa_rider_jls",
    "mr_angio": "mr_ge_fruit_sag_196",
    "mr_angio_contrast": "mr_ge_fruit_sag_196",
    "mr_generic": "mr_ge_fruit_sag_196",
    "mr_neurosurgery": "mr_t1_colin27",
    "us_volume": "us_enhanced_volume_phantom",
}


def small(recipe: Recipe, size: int = 192) -> Recipe:
    """The same picture with fewer pixels, frames and planes."""
    shrunk = size / max(recipe.rows, recipe.columns)
    rows, columns = round(recipe.rows * shrunk), round(recipe.columns * shrunk)
    if isinstance(recipe, Reformat):
        assert recipe.pixel_mm is not None and recipe.spacing_mm is not None
        spacing = recipe.spacing_mm * (recipe.count - 1) / 4
        pixel = recipe.pixel_mm / shrunk
        return replace(recipe, rows=rows, columns=columns, pixel_mm=pixel, count=5, spacing_mm=spacing)
    assert isinstance(recipe, Solid)
    turn = replace(recipe.rotation, frames=4) if recipe.rotation else None
    return replace(recipe, rows=rows, columns=columns, rotation=turn)


def placed(volume: Volume, recipe: Recipe) -> Recipe:
    return filled_by_body(volume, recipe) if isinstance(recipe, Reformat) and recipe.fit == "body" else recipe


@cache
def volume_of(name: str) -> Volume:
    return build_volume(open_series(SAMPLE if name == "sample" else real_set(name))[0])


def test_every_protocol_is_meant_for_something() -> None:
    assert set(SERIES) == set(protocol_names())


@pytest.mark.slow
@pytest.mark.parametrize("name", SERIES)
def test_every_picture_of_a_protocol_shows_something(name: str, tmp_path: Path) -> None:
    volume = volume_of(SERIES[name])
    recipes, _ = drawable(volume, load_protocol(name))
    pictures = [draw(volume, small(placed(volume, recipe))) for recipe in recipes]
    contact_sheet.contact_sheet(pictures, tmp_path / f"{name}.png")  # to be looked at
    for picture in pictures:
        shown = np.stack([to_rgb(picture, n) for n in range(len(picture.pixels))])
        assert shown.std() > 8.0, f"{name}: {picture.recipe.name!r} is nearly flat"
        if not isinstance(picture.recipe, Reformat):
            assert all(frame.std() > 8.0 for frame in shown), f"{name}: {picture.recipe.name!r} has a flat frame"
