"""The vtk engine draws what the cpu engine draws. Here on software OpenGL, which it would not be chosen for."""

import gc
import subprocess
import sys
import threading
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dicom_io.files.series import open_series
from dicom_io.volumes import build_volume
from render import (
    Clip,
    DrawError,
    Projection,
    Rotation,
    TransferFunction,
    View,
    Volume,
    VolumeRendering,
    Window,
    draw,
    load_preset,
)
from render.engine import framing, tiles
from render.engine import vtk as engine
from render.geometry import Box
from tests.render import peers
from tests.render.phantom import phantom
from tests.thorough import slowly

HEAD = Path(__file__).parents[3] / "sample_data" / "ct_head"

pytestmark = peers.needs_opengl


@pytest.fixture(scope="module")
def head() -> Volume:
    return build_volume(open_series(HEAD)[0])


@pytest.mark.parametrize("preset", ["ct_bone", *slowly("ct_soft_tissue", "ct_skin")])
def test_the_engines_agree_on_a_real_head(head: Volume, preset: str, tmp_path: Path) -> None:
    view = View.parse("anterior, 30 towards left, 10 up")
    recipe = VolumeRendering(load_preset(preset), view, rows=200, columns=200, step_voxels=0.5, body_above=-300.0)
    ours = draw(head, recipe)
    theirs = engine.draw_frames(head, recipe, framing.planes(head, recipe))[0]
    difference, similarity = peers.alike(np.asarray(ours.pixels[0], np.uint8), theirs, tmp_path, preset)
    # Real surfaces are thin and steep, and the engines take their normals differently (64 voxels here, 6 there).
    assert similarity >= 0.95
    assert difference <= 6.0


@pytest.mark.parametrize("grid", ["axial", "oblique", "left-handed", "gantry tilt 18.5°"])
def test_every_grid_is_in_the_same_place(grid: str, tmp_path: Path) -> None:
    volume = phantom(grid)
    recipe = VolumeRendering(load_preset("ct_bone"), View.parse("left, 20 up"), rows=96, columns=96, step_voxels=0.5)
    ours = np.asarray(draw(volume, recipe).pixels[0], np.uint8)
    theirs = engine.draw_frames(volume, recipe, framing.planes(volume, recipe))[0]
    _, similarity = peers.alike(ours, theirs, tmp_path, grid)
    assert similarity >= 0.9


def test_a_crop_box_cuts_the_same(head: Volume, tmp_path: Path) -> None:
    x, y, z = head.centre_mm
    box = Box((x - 60.0, y - 200.0, z - 40.0), (x + 200.0, y + 30.0, z + 200.0))
    recipe = VolumeRendering(load_preset("ct_bone"), rows=160, columns=160, crop=box, body_above=-300.0)
    ours = np.asarray(draw(head, recipe).pixels[0], np.uint8)
    theirs = engine.draw_frames(head, recipe, framing.planes(head, recipe))[0]
    _, similarity = peers.alike(ours, theirs, tmp_path, "crop")
    assert similarity >= 0.9


def test_a_rotation_is_cancelled_between_frames(head: Volume) -> None:
    recipe = VolumeRendering(load_preset("ct_bone"), rows=32, columns=32, rotation=Rotation(4))
    cancel, seen = threading.Event(), []

    def progress(part: float) -> None:
        seen.append(part)
        cancel.set()

    with pytest.raises(tiles.Cancelled):
        engine.draw_frames(head, recipe, framing.planes(head, recipe), progress, cancel)
    assert seen == [0.25]


def test_nothing_of_vtk_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[object]] = []
    scene = engine.scene

    def watched(volume: Volume, recipe: VolumeRendering, step_mm: float) -> object:
        renderer = scene(volume, recipe, step_mm)
        actor = renderer.GetVolumes().GetItemAsObject(0)
        made.extend(weakref.ref(thing) for thing in (renderer, actor, actor.GetMapper(), actor.GetMapper().GetInput()))
        return renderer

    monkeypatch.setattr(engine, "scene", watched)
    volume = phantom("axial")
    recipe = VolumeRendering(load_preset("ct_bone"), rows=16, columns=16)
    engine.draw_frames(volume, recipe, framing.planes(volume, recipe))
    gc.collect()
    assert len(made) == 4
    assert [thing() for thing in made] == [None] * 4


@pytest.mark.parametrize(
    ("name", "hardware"),
    [
        ("NVIDIA H200/PCIe/SSE2", True),
        ("AMD Radeon RX 7600 (radeonsi, navi33, LLVM 17.0.6)", True),
        ("Mesa Intel(R) UHD Graphics 770 (ADL-S GT1)", True),
        ("llvmpipe (LLVM 15.0.6, 256 bits)", False),
        ("Google SwiftShader", False),
        ("softpipe", False),
        ("", False),
    ],
)
def test_software_opengl_is_no_graphics_processor(name: str, hardware: bool) -> None:
    assert engine.is_hardware(name) is hardware


def test_transfer_functions_are_carried_over() -> None:
    transfer: TransferFunction = load_preset("ct_soft_tissue")
    settings = engine._property(transfer)
    for point in transfer.points:
        assert settings.GetScalarOpacity().GetValue(point.value) == pytest.approx(point.opacity)
        assert settings.GetRGBTransferFunction().GetRedValue(point.value) == pytest.approx(point.red)
    assert settings.GetShade() == 1


def test_draw_refuses_what_this_engine_cannot_do(monkeypatch: pytest.MonkeyPatch) -> None:
    volume = phantom("axial")
    bone = VolumeRendering(load_preset("ct_bone"), rows=16, columns=16)
    with pytest.raises(DrawError, match="draws volume renderings, not a projection"):
        draw(volume, Projection("mip", Window(40.0, 400.0), rows=16, columns=16), engine="vtk")
    with pytest.raises(DrawError, match="does not draw clip planes, depth cueing"):
        draw(volume, replace(bone, clips=(Clip((0.0, 0.0, 0.0), (0.0, 0.0, 1.0)),), depth_cue=0.5), engine="vtk")
    monkeypatch.setattr(engine, "device", lambda: "llvmpipe (LLVM 15.0.6, 256 bits)")
    with pytest.raises(DrawError, match="only software OpenGL"):
        draw(volume, bone, engine="vtk")


def test_provenance_names_engine_version_and_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "device", lambda: "a graphics processor")
    picture = draw(phantom("axial"), VolumeRendering(load_preset("ct_bone"), rows=16, columns=16), engine="vtk")
    made = picture.provenance
    assert (made.engine, made.device) == ("vtk", "a graphics processor")
    assert made.engine_version.startswith("VTK 9.")


# Draws again and again in a process of its own, and prints what stays: living VTK objects, and resident memory in MiB.
_MANY = """
import gc, sys
from pathlib import Path
import numpy as np
from vtkmodules.vtkCommonCore import vtkObjectBase
from render import Rotation, Volume, VolumeRendering, load_preset
from render.engine import framing, vtk as engine
from tests.render.phantom import phantom

small = phantom("axial")
volume = Volume(np.tile(small.voxels, (3, 2, 2)), small.affine, "HU")
recipe = VolumeRendering(load_preset("ct_bone"), rows=16, columns=16, rotation=Rotation(2))
planes = framing.planes(volume, recipe)

def drawn(times):
    for _ in range(times):
        engine.draw_frames(volume, recipe, planes)
    gc.collect()
    living = sum(isinstance(thing, vtkObjectBase) for thing in gc.get_objects())
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20
    return living, resident

print(*drawn(4), *drawn(16))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident memory is read from Linux's /proc")
def test_many_draws_leave_no_objects_and_no_memory() -> None:
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", _MANY], cwd=root, capture_output=True, text=True, timeout=300, check=True
    )
    before, before_mib, after, after_mib = (float(word) for word in done.stdout.split())
    assert after <= before
    # A volume of 5 MiB left behind by each of the 16 draws would be 80 MiB; Mesa itself grows by a few.
    assert after_mib - before_mib < 40.0
