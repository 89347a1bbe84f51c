"""Which engine draws what, and that the reason is told."""

import pytest

from render import Clip, Projection, VolumeRendering, Window, load_preset
from render.engine.choice import EngineName, choose

CARD, SOFTWARE = "NVIDIA H200/PCIe/SSE2", "llvmpipe (LLVM 15.0.6, 256 bits)"


@pytest.mark.parametrize(
    ("wish", "device", "engine", "reason"),
    [
        ("cpu", CARD, "cpu", "the same bytes on every machine"),
        ("vtk", CARD, "vtk", CARD),
        ("vtk", SOFTWARE, "cpu", "software OpenGL alone (llvmpipe"),
        ("vtk", "", "cpu", "no OpenGL"),
    ],
)
def test_the_choice_and_its_reason(wish: EngineName, device: str, engine: EngineName, reason: str) -> None:
    choice = choose(wish, lambda: device)
    assert choice.engine == engine
    assert reason in choice.why


def test_the_graphics_processor_is_not_asked_for_where_it_does_not_matter() -> None:
    def asked() -> str:
        raise AssertionError("asking starts a process")

    assert choose("cpu", asked).engine == "cpu"


def test_what_the_vtk_engine_cannot_draw_stays_with_the_cpu_engine() -> None:
    choice = choose("vtk", lambda: CARD)
    bone = VolumeRendering(load_preset("ct_bone"))
    clipped = VolumeRendering(load_preset("ct_bone"), clips=(Clip((0.0, 0.0, 0.0), (0.0, 0.0, 1.0)),))
    assert choice.for_recipe(bone) == "vtk"
    assert choice.for_recipe(clipped) == "cpu"
    assert choice.for_recipe(Projection("mip", Window(40.0, 400.0))) == "cpu"
