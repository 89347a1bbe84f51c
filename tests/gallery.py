"""`python -m tests.gallery` draws docs/gallery/PROTOCOL.jpg: what a protocol draws now, what was drawn before, and VTK.

In each strip, from left: the plain preset on the whole volume, as it was drawn before tools and framing; three
pictures of the protocol; and VTK's software mapper with 3D Slicer's preset for the same purpose, from the same side.
Only series that may be shown elsewhere; the folder of WORKSTATION_TEST_DATA holds them, and a strip of one that is not
there stays as it is. Points of Slicer's presets: 3D Slicer, BSD-style licence, https://slicer.org.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from render import View, Volume, VolumeRendering, draw, load_preset, load_protocol, to_rgb
from render.engine import framing
from render.engine.vtk import grab, offscreen_window
from render.protocols import drawable
from render.recipe import ControlPoint, Projection, Recipe, Reformat, Shading, TransferFunction
from render.resolve import settled
from tests.accuracy.real_sets import volume_of
from tests.dicom_io.real import SAMPLE
from tests.render import peers
from workstation.export.inspect import one_series

FOLDER = Path(__file__).parents[1] / "docs" / "gallery"
TILE, DRAWN = 270, 540
BONE = ((-3024, 0, (0, 0, 0)), (-16, 0, (0.73, 0.25, 0.3)), (641, 0.72, (0.91, 0.82, 0.55)), (3071, 0.71, (1, 1, 1)))
# Value, opacity, colour.
SLICER: dict[str, tuple[tuple[float, float, tuple[float, float, float]], ...]] = {
    "CT-Bone": BONE,
    "CT-AAA": (
        (-3024, 0, (0, 0, 0)),
        (143.556, 0, (0.616, 0.357, 0.184)),
        (166.222, 0.686, (0.882, 0.604, 0.290)),
        (214.389, 0.696, (1, 1, 1)),
        (419.736, 0.833, (1, 0.937, 0.955)),
        (3071, 0.804, (0.827, 0.659, 1)),
    ),
    "CT-Chest-Contrast-Enhanced": (
        (-3024, 0, (0, 0, 0)),
        (67.0106, 0, (0.549, 0.251, 0.149)),
        (251.105, 0.446, (0.882, 0.604, 0.290)),
        (439.291, 0.625, (1, 0.937, 0.955)),
        (3071, 0.616, (0.827, 0.659, 1)),
    ),
    "CT-Lung": (
        (-1000, 0, (0.3, 0.3, 1)),
        (-600, 0, (0, 0, 1)),
        (-599, 0.15, (0.002, 0.01, 0.99)),
        (-400, 0.15, (0.889, 0.255, 0.024)),
        (-399, 0, (0.889, 0.255, 0.024)),
        (2952, 0, (1, 0.3, 0.3)),
    ),
    "CT-Muscle": (
        (-3024, 0, (0, 0, 0)),
        (-155.407, 0, (0.549, 0.251, 0.149)),
        (217.641, 0.676, (0.882, 0.604, 0.290)),
        (419.736, 0.833, (1, 0.937, 0.955)),
        (3071, 0.804, (0.827, 0.659, 1)),
    ),
    "MR-Default": (
        (0, 0, (0, 0, 0)),
        (20, 0, (0.169, 0, 0)),
        (40, 0.15, (0.404, 0.145, 0.078)),
        (120, 0.3, (0.780, 0.608, 0.380)),
        (220, 0.375, (0.847, 0.835, 0.788)),
        (1024, 0.5, (1, 1, 1)),
    ),
}
# Protocol: set, the plain preset of before, three pictures, Slicer's preset.
STRIPS: dict[str, tuple[str, str, tuple[str, str, str], str]] = {
    "ct_aneurysm": (
        "cta_aorta_dissection_heart",
        "ct_vessels",
        ("Vessels, anterior", "Vessels, left anterior oblique", "MIP, turn"),
        "CT-AAA",
    ),
    "ct_malformation": (
        "ct_chest_iv_lidc0001_jls",
        "ct_vessels",
        ("Vessels, anterior", "Vessels and organs, anterior", "MIP, turn"),
        "CT-AAA",
    ),
    "ct_stenosis": (
        "ct_chest_iv_lidc0001_jls",
        "ct_vessels",
        ("Vessels, anterior", "MIP, anterior", "Coronal MIP, 10 mm"),
        "CT-Chest-Contrast-Enhanced",
    ),
    "ct_vascular": (
        "cta_aorta_dissection_heart",
        "ct_vessels",
        ("Vessels, anterior", "Vessels, left", "MIP, anterior"),
        "CT-Chest-Contrast-Enhanced",
    ),
    "ct_oncology": (
        "ct_chest_iv_lidc0001_jls",
        "ct_cardiac",
        ("Vessels and organs, anterior", "Bone, anterior", "Coronal, soft tissue"),
        "CT-Chest-Contrast-Enhanced",
    ),
    "ct_chest": (
        "ct_chest_iv_lidc0001_jls",
        "ct_bone",
        ("Thoracic cage, anterior", "Lung MIP slab, coronal", "Lungs, anterior"),
        "CT-Lung",
    ),
    "ct_fracture": ("ct_colon_pelvis_hips", "ct_bone", ("Bone, anterior", "Bone, left", "Coronal"), "CT-Bone"),
    "ct_joint": (
        "ct_colon_pelvis_hips",
        "ct_bone",
        ("Bone, posterior", "Muscle and tendon, anterior", "Axial, soft tissue"),
        "CT-Muscle",
    ),
    "ct_generic": ("ct_colon_pelvis_hips", "ct_bone", ("Bone, anterior", "Axial", "Sagittal"), "CT-Bone"),
    "ct_head_trauma": ("sample", "ct_bone", ("Bone, anterior", "Bone, from the foot", "Coronal"), "CT-Bone"),
    "ct_neurosurgery": (
        "sample",
        "ct_skin",
        ("Skin, anterior oblique", "Bone, right", "Sagittal, brain"),
        "CT-Bone",
    ),
    "mr_neurosurgery": (
        "mr_t1_colin27",
        "mr_default",
        ("Brain surface, left", "Brain surface, from the head", "Sagittal"),
        "MR-Default",
    ),
    "mr_generic": ("mr_t1_colin27", "mr_default", ("Surface, left", "Axial", "Sagittal"), "MR-Default"),
    "us_volume": ("us_enhanced_volume_phantom", "us_volume", ("Surface, from the head", "Axial", "Coronal"), ""),
}


def tile(pixels: np.ndarray[Any, Any]) -> Image.Image:
    return Image.fromarray(pixels).resize((TILE, TILE), Image.Resampling.LANCZOS)


def ours(volume: Volume, recipe: Recipe) -> Image.Image:
    if isinstance(recipe, Reformat):
        picture = draw(volume, replace(recipe, rows=DRAWN, columns=DRAWN, pixel_mm=_scaled(recipe)))
    else:
        assert isinstance(recipe, VolumeRendering | Projection)
        picture = draw(volume, replace(recipe, rows=DRAWN, columns=DRAWN, rotation=None))
    return tile(to_rgb(picture, len(picture.pixels) // 2))


def _scaled(recipe: Reformat) -> float | None:
    return None if recipe.pixel_mm is None else recipe.pixel_mm * recipe.rows / DRAWN


def plain(volume: Volume, preset: str, view: View) -> VolumeRendering:
    recipe = VolumeRendering(load_preset(preset), view, rows=DRAWN, columns=DRAWN)
    return replace(recipe, body_above=-300.0) if volume.unit == "HU" and preset != "ct_skin" else recipe


def by_vtk(volume: Volume, preset: str, recipe: VolumeRendering) -> Image.Image:
    points = tuple(ControlPoint(value, *colour, opacity) for value, opacity, colour in SLICER[preset])
    transfer = TransferFunction(preset, volume.unit, points, Shading(0.1, 0.9, 0.2, 8))
    renderer = peers.fixed_point(volume, transfer, min(volume.spacing_mm), (0.0, 1.0))
    placed = settled(volume, recipe)
    assert isinstance(placed, VolumeRendering)
    peers.camera(renderer, framing.planes(volume, placed)[0], recipe.view, DRAWN, DRAWN)
    return tile(grab(offscreen_window(renderer, DRAWN, DRAWN)))


def strip(name: str) -> Image.Image | None:
    data, before, wanted, slicer = STRIPS[name]
    if data == "sample":
        from dicom_io.volumes import build_volume

        volume: Volume | None = build_volume(one_series(str(SAMPLE), Path()))
    else:
        volume = volume_of(data)
    if volume is None:
        return None
    recipes, said = drawable(volume, load_protocol(name))
    for words in said:
        print(f"  {words}")
    by_name = {recipe.name: recipe for recipe in recipes}
    chosen = [by_name[each] for each in wanted]
    first = next(recipe for recipe in chosen if isinstance(recipe, VolumeRendering))
    old = plain(volume, before, first.view)
    tiles = [ours(volume, old), *(ours(volume, recipe) for recipe in chosen)]
    if slicer:
        tiles.append(by_vtk(volume, slicer, old))
    made = Image.new("RGB", (TILE * len(tiles) + 4 * (len(tiles) - 1), TILE), (90, 90, 90))
    for number, each in enumerate(tiles):
        made.paste(each, (number * (TILE + 4), 0))
    return made


if __name__ == "__main__":
    for protocol in sys.argv[1:] or STRIPS:
        print(protocol, flush=True)
        found = strip(protocol)
        if found is None:
            print(f"  test data set {STRIPS[protocol][0]!r} is not here: the strip stays as it is")
        else:
            found.save(FOLDER / f"{protocol}.jpg", quality=76, optimize=True)
