"""Every preset has a golden picture, and draws something sensible on a real series it is meant for.

The golden pictures are drawn from the sample CT of this repository and from small made-up bodies (`scenes.py`), so that
they need no other data. To write them anew after a change that is meant:

    python -m pytest tests/golden --new-goldens
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest
from PIL import Image

from dicom_io.files.series import open_series
from dicom_io.volumes import build_volume
from render import View, Volume, VolumeRendering, draw, load_preset, preset_names, to_rgb
from render.engine.framing import outer_corners
from render.geometry import Box, vector
from tests.dicom_io.real import SAMPLE, real_set
from tests.golden import scenes
from tests.golden.compare import compare

GOLDEN = Path(__file__).parent / "presets"


@cache
def head() -> Volume:
    return build_volume(open_series(SAMPLE)[0])


def opened(volume: Volume) -> Box:
    """All of a volume but what lies in front, so that the inside is seen."""
    lower, upper = (
        vector(end(corner[axis] for corner in outer_corners(volume)) for axis in range(3)) for end in (min, max)
    )
    return Box((lower[0], lower[1] + 0.3 * (upper[1] - lower[1]), lower[2]), upper)


@dataclass(frozen=True)
class Meant:
    """What a preset is meant for: a small scene for its golden picture, a real series, and how they are looked at."""

    scene: Callable[[], Volume]
    series: str
    view: str = "anterior, 25 towards left, 10 up"
    cut: bool = False
    fine: bool = False  # thin shells show the steps of the rays; half as long, none are seen


PRESETS: dict[str, Meant] = {
    "ct_airways": Meant(scenes.chest, "ct_chest_iv_lidc0001_jls", "anterior", fine=True),
    "ct_angio": Meant(scenes.chest, "ct_chest_iv_lidc0001_jls"),
    "ct_bone": Meant(head, "sample"),
    "ct_bone_vessels": Meant(scenes.chest, "ct_chest_iv_lidc0001_jls"),
    "ct_cardiac": Meant(scenes.chest, "ct_chest_iv_lidc0001_jls", cut=True),
    "ct_colon": Meant(scenes.bowel, "ct_chest_iv_lidc0001_jls"),
    "ct_lung": Meant(scenes.chest, "ct_chest_iv_lidc0001_jls", "anterior", fine=True),
    "ct_metal": Meant(scenes.implant, "sample", "anterior, 40 towards left, 10 up"),
    "ct_muscle": Meant(head, "sample"),
    "ct_skin": Meant(head, "sample"),
    "ct_soft_tissue": Meant(head, "ct_chest_iv_lidc0001_jls"),
    "ct_vessels": Meant(scenes.chest, "ct_ctpa_rider_jls"),
    "mr_angio_contrast": Meant(scenes.contrast_angiography, "mr_ge_fruit_sag_196"),
    "mr_angio_tof": Meant(scenes.time_of_flight, "mr_ge_fruit_sag_196"),
    "mr_brain": Meant(scenes.brain, "mr_ge_fruit_sag_196", "left, 20 towards anterior, 35 up"),
    "mr_default": Meant(scenes.brain, "mr_ge_fruit_sag_196"),
    "us_volume": Meant(scenes.ultrasound, "us_enhanced_volume_phantom", "anterior, 15 towards left, 10 up"),
}


def recipe(name: str, volume: Volume, size: int) -> VolumeRendering:
    meant = PRESETS[name]
    made = VolumeRendering(load_preset(name), View.parse(meant.view), rows=size, columns=size, name=name)
    if name == "ct_colon":
        # From within. None of the real series is of the colon; a windpipe is a tube of air too.
        small = volume is scenes.bowel()
        eye = scenes.within_the_bowel(-40.0) if small else (-1.0, -9.0, -55.0)
        view = View.parse("foot" if small else "head")
        return replace(made, view=view, projection="perspective", field_of_view_deg=90.0, eye_mm=eye)
    return replace(
        made,
        body_above=-300.0 if name.startswith("ct_") else None,
        crop=opened(volume) if meant.cut else None,
        step_voxels=0.25 if meant.fine else 1.0,
    )


def test_every_preset_is_meant_for_something() -> None:
    assert set(PRESETS) == set(preset_names())
    assert {file.stem for file in GOLDEN.glob("*.png")} <= set(PRESETS), "a golden picture of no preset"


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_looks_as_it_did(name: str, request: pytest.FixtureRequest) -> None:
    volume = PRESETS[name].scene()
    picture = to_rgb(draw(volume, recipe(name, volume, 96)))
    compare(picture, GOLDEN / f"{name}.png", new=request.config.getoption("--new-goldens"))
    assert (GOLDEN / f"{name}.png").stat().st_size < 24_000


@cache
def real(name: str) -> Volume:
    return head() if name == "sample" else build_volume(open_series(real_set(name))[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_shows_something_on_a_real_series(name: str, tmp_path: Path) -> None:
    volume = real(PRESETS[name].series)
    picture = to_rgb(draw(volume, recipe(name, volume, 384)))
    Image.fromarray(picture).save(tmp_path / f"{name}.png")
    light = picture.max(axis=-1)
    assert (light > 24).mean() > 0.03
    assert (light > 24).mean() < 0.98 or name == "ct_colon"  # from within, there is a wall on every side
    assert picture[light > 24].std() > 10.0  # with shades
    assert light.max() > 60
