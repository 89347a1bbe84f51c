"""A click of the wheel shows the next image, and there is none beyond the last."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from render import Window, load_preset
from render.geometry import point
from render.volume import Volume
from tests.workstation.desktop.planes import moved_away
from workstation.desktop.model import edits
from workstation.desktop.model.screen import SLICES, Compared, Screen, SliceName, opening_screen
from workstation.desktop.model.stepping import stack_axis, stepped

flips = st.tuples(*[st.sampled_from((1, -1))] * 3)


def volume_of(ways: tuple[int, ...], turned: bool) -> Volume:
    """Slices of 2.5 mm, voxels of 0.7 x 0.9 mm, each axis either way round; sagittal images where it is turned."""
    k, j, i = (size * way for size, way in zip((2.5, 0.7, 0.9), ways, strict=True))
    affine = np.eye(4)
    affine[:3, :3] = [[k, 0, 0], [0, 0, i], [0, j, 0]] if turned else [[0, 0, i], [0, j, 0], [k, 0, 0]]
    affine[:3, 3] = (-11.0, 7.0, 100.0)
    return Volume(np.zeros((9, 14, 20), dtype=np.int16), affine, "HU")


def screen_of(volume: Volume) -> Screen:
    return opening_screen(volume, Window(40.0, 400.0), load_preset("ct_bone"))


@given(flips, st.booleans(), st.sampled_from(SLICES), st.lists(st.integers(-4, 4), min_size=1, max_size=9))
def test_whole_clicks_stand_in_the_middle_of_an_image_and_never_beyond(
    ways: tuple[int, ...], turned: bool, pane: SliceName, clicks: list[int]
) -> None:
    volume = volume_of(ways, turned)
    screen = screen_of(volume)
    axis = stack_axis(volume, screen.slice(pane).view)
    assert axis is not None
    before = point(volume.to_index, screen.cursor_mm)[axis]
    way = point(volume.to_index, moved_away(screen, pane, 1.0, 0.1).cursor_mm)[axis] - before
    place = before
    for steps in clicks:
        screen = stepped(screen, pane, steps, volume)
        place = min(max(round(place + steps * (1 if way > 0 else -1)), 0), volume.shape[axis] - 1)
        index = point(volume.to_index, screen.cursor_mm)
        assert index[axis] == pytest.approx(place, abs=1e-6)
        others = [n for n in range(3) if n != axis]
        assert [index[n] for n in others] == pytest.approx([(volume.shape[n] - 1) / 2 for n in others])


def test_the_last_image_stays_and_parts_of_a_click_add_up() -> None:
    volume = volume_of((1, 1, 1), turned=False)
    last = stepped(screen_of(volume), "axial", 999, volume)
    assert stepped(last, "axial", 1, volume) is last
    screen = last
    for _ in range(8):
        screen = stepped(screen, "axial", -0.25, volume)
    whole = stepped(last, "axial", -2, volume)
    assert screen.cursor_mm == pytest.approx(whole.cursor_mm)


@given(st.floats(5.0, 40.0), st.integers(-60, 60))
def test_a_tilted_plane_goes_by_the_smallest_voxel_and_stays_in_the_volume(degrees: float, clicks: int) -> None:
    volume = volume_of((1, 1, 1), turned=False)
    screen = edits.tilted(screen_of(volume), "axial", degrees)
    pane: SliceName = next(name for name in SLICES if stack_axis(volume, screen.slice(name).view) is None)
    away = -np.array(screen.slice(pane).view.towards_observer)
    moved = stepped(screen, pane, clicks, volume)
    went = float(np.dot(np.subtract(moved.cursor_mm, screen.cursor_mm), away))
    assert abs(went) <= abs(clicks) * 0.7 + 1e-9 and went * clicks >= 0.0


@given(flips, st.integers(-6, 6), st.integers(1, 5))
def test_beside_a_longer_study_it_goes_as_far_as_that_one(ways: tuple[int, ...], shift: int, longer: int) -> None:
    volume = volume_of(ways, turned=False)
    # The compared study has more slices; its first one lies `shift` slices from ours, in space of its own.
    along = volume.affine[:3, 0]
    own = volume.affine.copy()
    own[:3, 3] += (30.0, -20.0, 10.0) + shift * along
    other = Volume(np.zeros((9 + longer, 14, 20), dtype=np.int16), own, "HU")
    screen = replace(screen_of(volume), compared=Compared("1.2", offset_mm=(30.0, -20.0, 10.0)))
    ends = [
        point(volume.to_index, stepped(screen, "axial", clicks, volume, other).cursor_mm)[0] for clicks in (-999, 999)
    ]
    assert sorted(ends) == pytest.approx([min(0, shift), max(8, shift + 8 + longer)])
    tilted = edits.tilted(screen, "axial", 20.0)
    pane: SliceName = next(name for name in SLICES if stack_axis(volume, tilted.slice(name).view) is None)
    alone, both = (stepped(tilted, pane, 999, volume, beside).cursor_mm for beside in (None, other))
    away = -np.array(tilted.slice(pane).view.towards_observer)
    assert np.dot(both, away) >= np.dot(alone, away) - 1e-9
