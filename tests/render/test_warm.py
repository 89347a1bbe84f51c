"""What set-up compiles: after it a tool has nothing left to compile."""

import subprocess
import sys

import pytest

SCRIPT = """
from render.engine.cpu import blocks, distances, segments, ways
from render import Bone, Fragments
from render.segment import find, made
import numpy as np
from render.segment.warm import warm_tools
from render.ways import Ways
from tests.render.test_tools_again import trunk

def known():
    every = {name: f for module in (blocks, distances, segments, ways) for name, f in vars(module).items()}
    return {name: len(f.signatures) for name, f in every.items() if hasattr(f, "signatures")}

warm_tools()
before = known()
for structure in ("bone", "body"):
    find(trunk(), structure)
made(trunk(), (Bone(label=3), Fragments(of=3, label=10)))
Ways(np.ones((3, 4, 5)), [1.0, 0.5, 0.5]).between((0, 0, 0), (2, 3, 4))
after = known()
assert sum(before.values()) > 10
assert before == after, {name: (before[name], count) for name, count in after.items() if count != before[name]}
"""


@pytest.mark.slow
def test_a_tool_has_nothing_left_to_compile() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


FUSED = """
import numpy as np
from dataclasses import replace
from render import Volume, draw
from render.engine.cpu import fused_rays
from render.engine.cpu.fused_rays import warm_fused
from tests.render.test_fusion import _fused, head

warm_fused()
kernel = fused_rays.fused_rows
before = len(kernel.signatures)
for kind in (np.int16, np.float32):
    first, second = head(), head(seed=2)
    draw(first, _fused(), second=Volume(second.voxels.astype(kind), second.affine, second.unit))
assert before == len(kernel.signatures) == 4, kernel.signatures
"""


@pytest.mark.slow
def test_a_fused_rendering_has_nothing_left_to_compile() -> None:
    done = subprocess.run([sys.executable, "-c", FUSED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


MOVED = """
import numpy as np
from render import Mask, Volume, draw
from render.engine.cpu import moved_parts
from render.geometry import affine_from
from tests.render.test_moves import MATRIX, recipe
from render.recipe import Move

moved_parts.warm_moved()
kernel = moved_parts.moved_rows
before = len(kernel.signatures)
for kind in (np.int16, np.float32):
    voxels, labels = np.zeros((24, 24, 32), kind), np.zeros((24, 24, 32), np.uint8)
    voxels[8:16, 8:16, 4:26], labels[6:18, 6:18, 2:14], labels[6:18, 6:18, 14:28] = 400, 1, 2
    affine = affine_from((-15.0, -12.0, -12.0), (0, 0, 1), (0, 1, 0), (1, 0, 0))
    draw(Volume(voxels, affine, "HU"), recipe(Move(1, MATRIX)), mask=Mask(labels))
assert before == len(kernel.signatures) == 2, kernel.signatures
"""


@pytest.mark.slow
def test_a_rendering_with_moved_parts_has_nothing_left_to_compile() -> None:
    done = subprocess.run([sys.executable, "-c", MOVED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
