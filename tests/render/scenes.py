"""Small scenes whose bytes are known, and their digests when run as a program (to compare two processes)."""

import sys

import numpy as np

from render import (
    Box,
    Projection,
    Recipe,
    Reformat,
    Rotation,
    TransferFunction,
    View,
    Volume,
    VolumeRendering,
    Window,
    draw,
    load_preset,
)
from render.mask import Mask
from render.recipe import Clip, ControlPoint, LabelRule
from tests.render.phantom import CENTRE_MM, phantom

WINDOW = Window(300.0, 2000.0)
VIEW = View.parse("anterior, 25 towards left, 15 up")
CROP = Box((CENTRE_MM[0] - 60.0, CENTRE_MM[1] - 20.0, CENTRE_MM[2] - 60.0), tuple(c + 70.0 for c in CENTRE_MM))  # type: ignore[arg-type]
FADED = TransferFunction(
    "faded",
    "HU",
    (
        ControlPoint(-500.0, 0.2, 0.4, 0.9, 0.0),
        ControlPoint(0.0, 0.9, 0.5, 0.4, 0.07),
        ControlPoint(1500.0, 1, 1, 0.8, 0.9),
    ),
    gradient_opacity=(10.0, 300.0),
)
CLIPS = (Clip((CENTRE_MM[0] + 9.0, *CENTRE_MM[1:]), (1.0, -0.6, 0.3)), Clip(CENTRE_MM, (0.1, 0.0, 2.0)))
RULES = (LabelRule(2, "exclude"), LabelRule(3, "tint", (0.2, 0.5, 1.0)))
INSIDE = (CENTRE_MM[0] - 20.0, CENTRE_MM[1] - 60.0, CENTRE_MM[2] + 5.0)
RECIPES: dict[str, Recipe] = {
    "bone": VolumeRendering(load_preset("ct_bone"), VIEW, rows=90, columns=110),
    "faded": VolumeRendering(FADED, VIEW, rows=90, columns=70, step_voxels=0.7, background=(0.1, 0.2, 0.3)),
    "cropped": VolumeRendering(FADED, View(), rows=60, columns=60, crop=CROP),
    "rotation": VolumeRendering(FADED, View(), Rotation(3), rows=40, columns=40),
    "body": Projection("mip", WINDOW, VIEW, rows=64, columns=64, body_above=-300.0),
    "mip": Projection("mip", WINDOW, VIEW, rows=90, columns=100),
    "minip": Projection("minip", WINDOW, VIEW, rows=90, columns=100, slab_mm=20.0),
    "average": Projection("average", WINDOW, VIEW, rows=90, columns=100, slab_mm=33.0, step_voxels=0.5),
    "stack": Reformat(WINDOW, VIEW, count=3, spacing_mm=7.0, rows=80, columns=90),
    "slab": Reformat(WINDOW, VIEW, rows=80, columns=90, thickness_mm=9.0, mode="mip"),
    "nearest": Reformat(WINDOW, VIEW, rows=80, columns=90, interpolation="nearest"),
    "clipped": VolumeRendering(FADED, VIEW, rows=90, columns=80, clips=CLIPS),
    "masked": VolumeRendering(load_preset("ct_bone"), VIEW, rows=90, columns=80, clips=CLIPS[:1], masking=RULES),
    "masked mip": Projection("mip", WINDOW, VIEW, rows=90, columns=80, clips=CLIPS[:1], masking=RULES[:1]),
    "masked average": Projection(
        "average", WINDOW, VIEW, rows=60, columns=70, slab_mm=30.0, masking=(LabelRule(1, "include"),)
    ),
    "perspective": VolumeRendering(FADED, VIEW, Rotation(2), 60, 80, projection="perspective", field_of_view_deg=35.0),
    "endoluminal": VolumeRendering(
        FADED, View(), rows=70, columns=60, projection="perspective", eye_mm=INSIDE, field_of_view_deg=130.0
    ),
    "lit": VolumeRendering(load_preset("ct_bone"), VIEW, rows=80, columns=80, light=View(60.0, 40.0), depth_cue=0.7),
    "occluded": VolumeRendering(FADED, VIEW, rows=80, columns=80, clips=CLIPS, masking=RULES, ambient_occlusion=0.8),
    "shadowed": VolumeRendering(
        load_preset("ct_bone"), VIEW, rows=80, columns=80, light=View(-50.0, 60.0), shadows=0.9, ambient_occlusion=0.3
    ),
    "cubic": Reformat(WINDOW, VIEW, rows=80, columns=90, thickness_mm=3.0, interpolation="cubic"),
    "rolled": Reformat(WINDOW, View(25.0, 15.0, 40.0), rows=80, columns=90),
}


def scene(dtype: str = "int16") -> Volume:
    """The phantom on the tilted grid, with noise from whole-number arithmetic: no library's random numbers."""
    clean = phantom("gantry tilt 18.5°")
    count = np.arange(clean.voxels.size, dtype=np.uint64).reshape(clean.shape)
    noise = ((count * np.uint64(2654435761)) >> np.uint64(7)) % np.uint64(41)
    # Rounded, so that not even the sine of the tilt can differ between C libraries.
    affine = np.round(clean.affine, 6)
    return Volume((clean.voxels + noise.astype(np.int16) - 20).astype(dtype), affine, "HU")


def segments() -> Mask:
    """Labels by whole-number arithmetic: 2 and 3 two wedges of the phantom, 1 a sheared middle, 0 the rest."""
    k, j, i = np.indices(scene().shape)
    labels = np.where((i + j + k) % 97 < 60, 1, 0)
    labels[2 * i > 3 * j + 10] = 2
    labels[2 * k > i + j] = 3
    return Mask(labels.astype(np.uint8))


def digests(threads: int | None = None, wanted: tuple[str, ...] = ()) -> dict[str, str]:
    """The digest of every scene, of each type of voxel. wanted : those of these names alone."""
    found: dict[str, str] = {}
    for dtype in ("int16", "float32"):
        volume = scene(dtype)
        for name, recipe in RECIPES.items():
            if not wanted or f"{name} {dtype}" in wanted:
                found[f"{name} {dtype}"] = draw(volume, recipe, mask=segments(), threads=threads).digest
    return found


if __name__ == "__main__":
    for name, digest in digests(wanted=tuple(sys.argv[1:])).items():
        print(f"{digest}  {name}")
