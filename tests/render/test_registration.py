"""Registration against known moves of made-up heads. Real series: `python -m tests.accuracy`."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from render.geometry import IDENTITY, Affine
from render.registration import LEAST_QUALITY, Registration, register
from render.registration_grids import averaged, coarse_grid
from render.volume import Volume
from tests.render.heads import head, move_of, target_error_mm
from tests.thorough import slowly

MOVE = move_of((6.0, -8.0, 10.0), (12.0, -7.0, 15.0))


@pytest.mark.parametrize("inverted", [*slowly(False), True], ids=["same contrast", "other contrast"])
def test_a_known_move_is_found_again(inverted: bool) -> None:
    """To 0.3 of a voxel of 3.5 mm; 0.02 and 0.83 mm were found."""
    found = register(head(), head(MOVE, inverted=inverted))
    assert not found.declined
    assert found.overlap > 0.9
    assert target_error_mm(head(), MOVE, found.affine) < 0.3 * 3.5


@pytest.mark.slow
def test_an_affine_move_is_found_again() -> None:
    """A head that is wider by 6 % and sheared a little."""
    move = MOVE @ np.array([[1.06, 0.03, 0, 0], [0, 1, 0, 0], [0, 0, 0.97, 0], [0, 0, 0, 1]])
    rigid, affine = (register(head(), head(move), model=model) for model in ("rigid", "affine"))
    assert target_error_mm(head(), move, affine.affine) < 0.3 * 3.5 < target_error_mm(head(), move, rigid.affine)


def test_a_move_in_patient_space_is_found_whatever_the_grid() -> None:
    """The same head with its axes in another order, and a gantry tilt besides."""
    moving = head(MOVE)
    tilted = moving.affine.copy()
    tilted[1, 0] = 0.6
    sheared = Volume(moving.voxels, tilted, "1")
    found = register(Volume(sheared.voxels.transpose(1, 2, 0)[::-1], _reordered(tilted), "1"), sheared)
    assert not found.declined
    assert target_error_mm(sheared, np.eye(4), found.affine) < 0.1


def _reordered(affine: Affine) -> Affine:
    """The affine of `transpose(1, 2, 0)[::-1]`."""
    made = affine.copy()
    made[:3, 0], made[:3, 1], made[:3, 2] = -affine[:3, 1], affine[:3, 2], affine[:3, 0]
    made[:3, 3] = affine[:3, 3] + 47 * affine[:3, 1]
    return made


@pytest.mark.slow
def test_a_shared_frame_of_reference_is_where_it_starts() -> None:
    """Two halves of a patient that hardly overlap in the middle: centres would lay them on each other."""
    whole = head(frame="1.2.3")
    lower, upper = (Volume(whole.voxels[part], whole.affine, "1", "1.2.3") for part in (slice(0, 30), slice(0, 48)))
    found = register(upper, lower)
    assert not found.declined
    assert target_error_mm(lower, np.eye(4), found.affine) < 0.3


def test_what_shows_something_else_is_declined() -> None:
    found = register(head(), head(seed=2))
    assert "Edges of the two agree" in found.declined
    assert found.matrix == IDENTITY


@pytest.mark.slow
def test_two_people_who_are_alike_as_a_whole_are_declined() -> None:
    one = head(person=1)
    same, other = (register(one, head(MOVE, person=person)) for person in (1, 2))
    assert not same.declined and not same.warning and same.sharpness > 0.3
    assert other.quality > LEAST_QUALITY  # large parts of the two do lie on each other
    assert "may not be the same patient" in other.declined and other.matrix == IDENTITY


def test_what_agrees_broadly_alone_is_said() -> None:
    found = Registration(IDENTITY, "rigid", 1.0, 1.0, 0.6, sharpness=0.05)
    assert "another breath" in found.warning
    assert not replace(found, sharpness=0.2).warning and not replace(found, declined="no").warning


@pytest.mark.parametrize(("value", "name"), [(0, "moving"), (700, "moving")])
def test_an_empty_volume_is_declined(value: int, name: str) -> None:
    empty = replace(head(), voxels=np.full((20, 20, 20), value, dtype=np.int16))
    assert f"The {name} volume shows no body" in register(head(), empty).declined


@pytest.mark.slow
def test_the_same_volumes_give_the_same_result_in_another_process_with_other_threads() -> None:
    script = (
        "import SimpleITK, json; SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(5)\n"
        "from render.registration import register; from tests.render.test_registration import *\n"
        "print(json.dumps(register(head(), head(MOVE)).matrix))"
    )
    other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(other.stdout) == [list(row) for row in register(head(), head(MOVE)).matrix]


def test_blocks_are_averaged_about_their_middles() -> None:
    values = np.arange(7 * 4 * 6, dtype=np.int16).reshape(7, 4, 6)
    affine = np.array([[0, 0, 2.0, 1.0], [0, 3.0, 0, 2.0], [5.0, 0, 0, 3.0], [0, 0, 0, 1]])
    found, coarse = averaged(values, affine, (3, 2, 2))
    assert found.shape == (2, 2, 3)
    assert found[1, 1, 2] == values[3:6, 2:4, 4:6].mean()
    assert (coarse @ [0, 0, 0, 1]).tolist() == (affine @ [1.0, 0.5, 0.5, 1]).tolist()


def test_the_table_is_no_body() -> None:
    """A plate three voxels below the head, as dense as it."""
    values = np.array(head().voxels, dtype=np.int16)
    values[:, 46:, :] = 600
    assert not coarse_grid(Volume(values, head().affine, "1"), 4.0).body[:, 46:].any()
