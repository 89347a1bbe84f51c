"""What tools make is made again from the words of a record: by another process, which has one core, to the byte."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from render import View, Volume, VolumeRendering, draw, load_preset
from render.mask_steps import (
    Automatic,
    Boolean,
    Brush,
    Grown,
    KeptParts,
    MaskStep,
    Outlines,
    Piece,
    Scissors,
    Shaped,
    Strokes,
    Values,
)
from render.recipe import LabelRule, canonical_json, read_recipe
from render.segment import made, measure_lesion
from render.surface import as_stl
from render.surface_model import SurfaceModel, SurfacePart, make_surfaces
from render.vessels.centreline import follow
from tests.accuracy.phantoms import ball, chest

# In the phantom of a trunk: its aorta runs along z at (128, 128).
AORTA = (128.0, 128.0, 60.0)
SQUARE = tuple((128.0 + x, 128.0 + y, 0.0) for x, y in ((-20.0, -20.0), (20.0, -20.0), (20.0, 20.0), (-20.0, 20.0)))
STEPS: dict[str, tuple[MaskStep, ...]] = {
    "bone": (Automatic("bone"),),
    "lungs": (Automatic("lungs"),),
    "body": (Automatic("body"),),
    "vessels": (Automatic("vessels"),),
    "grown": (Grown((AORTA,), 250.0, 450.0, neck_mm=2.0, most_ml=500.0),),
    "piece": (Piece(AORTA, 250.0, 450.0),),
    "scissors": (Values(100.0, 900.0), Scissors(SQUARE, View.parse("head"), label=2)),
    "painted": (
        Brush((AORTA, (150.0, 100.0, 70.0)), 9.0),
        Brush((AORTA,), 5.0, "disc", View.parse("left"), 4.0, label=2),
    ),
    "outlined": (Outlines((SQUARE, tuple((0.7 * x + 30.0, 0.8 * y, 60.0) for x, y, _ in SQUARE)), View.parse("foot")),),
    "strokes": (Strokes(((AORTA, (128.0, 128.0, 66.0)),), (((128.0, 150.0, 60.0),),)),),
    "walked": (Strokes(((AORTA,),), (((128.0, 150.0, 60.0),),), 10.0, "random_walker"),),
    "shaped": (
        Values(300.0, 900.0),
        KeptParts(largest=2, label=1),
        Shaped("close", radius_mm=4.0),
        Shaped("smooth", radius_mm=3.0),
        Boolean("difference", (Grown((AORTA,), 250.0, 450.0, most_ml=500.0),), label=3),
    ),
}
RECIPE = VolumeRendering(
    load_preset("ct_bone"),
    View.parse("anterior, 20 towards left"),
    rows=64,
    columns=64,
    fit="shown",
    segments=(*STEPS["bone"], *STEPS["grown"]),
    masking=(LabelRule(1, "include"),),
)


@cache
def trunk() -> Volume:
    return chest()


def mask_digest(volume: Volume, written: str) -> str:
    """Of the mask of steps as a record holds them."""
    steps = TypeAdapter(tuple[MaskStep, ...]).validate_json(written)
    mask = made(volume, steps)
    assert mask.labels.any(), written  # else nothing would be compared
    return mask.digest


def written(steps: tuple[MaskStep, ...]) -> str:
    return TypeAdapter(tuple[MaskStep, ...]).dump_json(steps).decode()


def surface_digest(volume: Volume) -> str:
    parts = make_surfaces(volume, SurfaceModel((SurfacePart(1, "a"),), STEPS["grown"], closed=False))
    return hashlib.sha256(b"".join(as_stl(part.surface) for part in parts)).hexdigest()


def lesion_numbers() -> str:
    volume, middle, _ = ball((6.0, 5.0, 7.0), (1.5, 0.9, 0.9), 40.0, -850.0, 15.0)
    return repr(measure_lesion(volume, middle))


def vessel_numbers(volume: Volume) -> str:
    vessel = follow(volume, (AORTA, (128.0, 128.0, 100.0)))
    return repr((vessel.along_mm.tolist(), vessel.centreline_mm.tolist(), vessel.sections.areas_mm2.tolist()))


def everything() -> dict[str, str]:
    volume = trunk()
    found = {name: mask_digest(volume, written(steps)) for name, steps in STEPS.items()}
    found["picture"] = draw(volume, read_recipe(json.loads(canonical_json(RECIPE)))).digest
    others: dict[str, Callable[[], str]] = {
        "surface": lambda: surface_digest(volume),
        "lesion": lesion_numbers,
        "vessel": lambda: vessel_numbers(volume),
    }
    return found | {name: hashlib.sha256(make().encode()).hexdigest() for name, make in others.items()}


@pytest.mark.slow
def test_a_process_with_one_core_makes_the_same() -> None:
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("resident memory is read from Linux's /proc")  # as is the set of cores
    core = min(os.sched_getaffinity(0))
    code = (
        f"import os; os.sched_setaffinity(0, {{{core}}})\n"
        "import json; from tests.render.test_tools_again import everything; print(json.dumps(everything()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONHASHSEED": "11"},
    )
    assert json.loads(done.stdout) == everything()
