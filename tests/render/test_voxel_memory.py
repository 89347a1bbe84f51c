"""Copies of large voxels take only what is changed in them, and are as good as whole copies."""

import gc
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from render import Volume
from render.voxel_memory import copy_to_change, new_voxels

LARGE, SMALL = (64, 512, 512), (4, 8, 8)


@pytest.fixture(params=[LARGE, SMALL])
def shape(request: pytest.FixtureRequest) -> tuple[int, int, int]:
    found: tuple[int, int, int] = request.param
    return found


def test_a_copy_is_changed_alone(shape: tuple[int, int, int]) -> None:
    voxels = new_voxels(shape, np.int16)
    voxels[...] = 7
    volume = Volume(voxels, np.eye(4), "HU")
    first, second = copy_to_change(volume.voxels), copy_to_change(volume.voxels)
    first[1, 2, 3] = -1
    assert volume.voxels[1, 2, 3] == second[1, 2, 3] == 7
    assert int((first != volume.voxels).sum()) == 1
    del voxels, volume
    gc.collect()
    assert second.sum(dtype=np.int64) == 7 * second.size
    assert np.array_equal(pickle.loads(pickle.dumps(first)), first)


def test_a_part_is_copied_as_a_part(shape: tuple[int, int, int]) -> None:
    voxels = new_voxels(shape, np.float32)
    voxels[...] = np.arange(shape[0], dtype=np.float32)[:, None, None]
    part = copy_to_change(voxels[1:3])
    part[0] = 9.0
    assert part.shape == (2, *shape[1:]) and (part[1] == 2.0).all() and (voxels[1] == 1.0).all()
    turned = copy_to_change(voxels[::-1])
    assert (turned[0] == shape[0] - 1).all()
    whole = copy_to_change(np.ones(shape, dtype=np.int16))
    whole[0] = 2
    assert whole.sum() == whole.size + whole[0].size


def pages_kb() -> int:
    """The memory of this process, a page that is mapped twice counted once."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Pss:")).split()[1])


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from Linux's /proc")
def test_a_copy_takes_what_is_changed_and_all_is_given_back() -> None:
    gc.collect()
    handles, before = sum(1 for _ in Path("/proc/self/fd").iterdir()), pages_kb()
    voxels = new_voxels(LARGE, np.int16)
    voxels[...] = 1
    size_kb = voxels.nbytes // 1024
    copy = copy_to_change(voxels)
    copy[:4] = 2
    assert copy.sum(dtype=np.int64) == voxels.size + voxels[:4].size  # all of it was read
    assert pages_kb() - before < 1.3 * size_kb
    del voxels, copy
    gc.collect()
    assert pages_kb() - before < 0.3 * size_kb
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) == handles


def test_where_the_machine_refuses_copies_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(os, "memfd_create", refused, raising=False)
        voxels = new_voxels(LARGE, np.int16)
    voxels[...] = 3
    copy = copy_to_change(voxels)
    copy[0] = 0
    assert (voxels[0] == 3).all()


def test_the_ends_of_a_volume_are_those_of_all_its_voxels() -> None:
    voxels = np.zeros(SMALL, dtype=np.float32)
    voxels[1, 2, 3], voxels[3, 7, 7] = -1000.5, 3071.25
    assert Volume(voxels, np.eye(4), "HU").ends == (-1000.5, 3071.25)
