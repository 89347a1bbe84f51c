"""The model of the desktop, without any window: edits, undo and redo, recovery, measures."""

import json
import math
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom_io.evidence import Person
from render import Automatic, Box, Piece, Recipe, Reformat, View, Volume, Window, draw, load_preset
from render.engine import framing
from render.geometry import vector
from render.mask_steps import Brush
from render.measure import angle_deg, axes, cobb_deg, distance_mm, ellipse, place_on, within
from render.recipe import canonical_json, read_recipe
from tests.render.phantom import phantom
from tests.thorough import examples
from tests.workstation.desktop.planes import moved_away
from workstation.desktop.model import edits, measure_edits, segment_edits
from workstation.desktop.model.measuring import names_of
from workstation.desktop.model.screen import (
    LAYOUTS,
    PANES,
    SLICES,
    STYLES,
    Compared,
    Measure,
    PaneName,
    Screen,
    ScreenSegment,
    opening_screen,
)
from workstation.desktop.model.screen import recipe_of as recipe_or_none
from workstation.desktop.model.session import Draft, ReadingSession, RecoveryError, recovered
from workstation.records.recist import TreatmentCourse

ROOT = Path(__file__).parents[3]
VOLUME = phantom("oblique")
FIRST = opening_screen(VOLUME, Window(40.0, 400.0), load_preset("ct_bone"))
_mm = st.floats(-80.0, 80.0)
_place = st.tuples(_mm, _mm, _mm)
_stroke = st.builds(Brush, st.tuples(_place), st.just(4.0), label=st.integers(0, 4))
_distance = st.builds(lambda a, b: Measure("distance", (a, b), View()), _place, _place)
WHOLE = Box((-90.0, -90.0, 150.0), (90.0, 90.0, 350.0))
_slice = st.sampled_from(SLICES)
_pane = st.sampled_from(PANES)
_edit = st.one_of(
    st.tuples(st.just(moved_away), _slice, st.integers(-9, 9), st.just(1.5)),
    st.tuples(st.just(edits.panned), _pane, _mm, _mm),
    st.tuples(st.just(edits.zoomed), _pane, st.floats(0.2, 5.0)),
    st.tuples(st.just(edits.rotated), st.floats(-400, 400), st.floats(-200, 200)),
    st.tuples(st.just(edits.tilted), _slice, st.floats(-180, 180)),
    st.tuples(st.just(edits.thickened), _slice, st.floats(0, 60)),
    st.tuples(st.just(edits.with_style), st.sampled_from(STYLES)),
    st.tuples(st.just(edits.shifted), st.floats(-500, 500)),
    st.tuples(st.just(edits.cut)),
    st.tuples(st.just(edits.point_moved), st.integers(0, 1), st.floats(-2000, 4000), st.floats(-1, 2)),
    st.tuples(st.just(edits.point_added), st.floats(-2000, 4000), st.floats(0, 1)),
    st.tuples(st.just(edits.point_removed), st.integers(0, 1)),
    st.tuples(st.just(edits.point_coloured), st.integers(0, 1), st.just(0.25), st.just(0.5), st.just(1.0)),
    st.tuples(st.just(edits.laid_out), st.sampled_from(list(LAYOUTS))),
    st.tuples(st.just(edits.captured), _pane),
    st.tuples(st.just(edits.path_added), _place),
    st.tuples(st.just(edits.path_shortened)),
    st.tuples(st.just(edits.curve_turned), st.floats(-400, 400)),
    st.tuples(st.just(edits.curve_formed), st.sampled_from(["straightened", "stretched"]), st.just(View())),
    st.tuples(st.just(edits.cut_out), st.builds(Piece, _place, st.just(0.0), st.just(900.0))),
    st.tuples(st.just(edits.with_bone)),
    st.tuples(st.just(edits.cut_out), st.just(Automatic("bone"))),
    st.tuples(st.just(segment_edits.segment_added), st.just("Tumour")),
    st.tuples(st.just(segment_edits.segment_removed), st.integers(2, 4)),
    st.tuples(
        st.just(segment_edits.marked), st.builds(Brush, st.tuples(_place), st.just(4.0), label=st.integers(0, 4))
    ),
    st.tuples(st.just(segment_edits.seen_through), st.floats(-1, 2)),
    st.tuples(st.just(measure_edits.measured), _distance),
    st.tuples(st.just(edits.faced), st.sampled_from(SLICES), st.just(View(30.0, 10.0))),
    st.tuples(st.just(edits.made_whole)),
    st.tuples(st.just(edits.compared_with), st.builds(Compared, st.just("1.2.4"), st.just(1), _place)),
    st.tuples(st.just(edits.other_moved), _pane, _mm, _mm),
    st.tuples(st.just(edits.compared_no_more)),
    st.tuples(st.just(edits.next_layout)),
    st.tuples(st.just(edits.crop_moved), st.just(WHOLE), st.integers(0, 2), st.booleans(), _mm),
    st.tuples(st.just(edits.windowed), st.builds(Window, st.floats(-500, 500), st.floats(1, 3000))),
)


def recipe_of(screen: Screen, pane: PaneName, rows: int, columns: int) -> Recipe:
    found = recipe_or_none(screen, pane, rows, columns)
    assert found is not None
    return found


def session(file: Path | None = None) -> ReadingSession:
    return ReadingSession(VOLUME, "1.2.3", FIRST, file=file)


@given(st.lists(st.one_of(_edit, st.sampled_from(["undo", "redo"])), max_size=25))
@settings(deadline=None, max_examples=examples(60))
def test_undo_and_redo_of_any_edits_return_the_same_recipes(steps: list[Any]) -> None:
    s = session()
    past: list[Screen] = [s.screen]
    future: list[Screen] = []
    for step in steps:
        if step == "undo":
            assert s.undo() == (len(past) > 1)
            if len(past) > 1:
                future.append(past.pop())
        elif step == "redo":
            assert s.redo() == bool(future)
            if future:
                past.append(future.pop())
        elif s.change(*step):
            past.append(s.screen)
            future.clear()
        assert s.screen == past[-1]
        for pane in PANES:
            recipe = recipe_or_none(s.screen, pane, 64, 80)
            assert recipe == recipe_or_none(past[-1], pane, 64, 80)
            assert recipe is None or read_recipe(canonical_json(recipe)) == recipe
    while s.undo():
        pass
    assert s.screen == FIRST


def test_a_drag_is_one_step_back() -> None:
    s = session()
    s.begin()
    for _ in range(20):
        s.change(edits.rotated, 3.0, 1.0)
    s.end()
    assert s.screen.solid.view == View(-60.0, 20.0)
    assert s.undo() and s.screen == FIRST and not s.can_undo
    assert s.redo() and s.screen.solid.view == View(-60.0, 20.0)
    s.begin()
    s.end()
    assert s.can_undo and not s.can_redo


@given(st.lists(_edit, max_size=12))
@settings(deadline=None, max_examples=examples(40))
def test_every_plane_goes_through_the_crosshair_and_stays_square_to_the_others(steps: list[Any]) -> None:
    s = session()
    for step in steps:
        s.change(*step)
    normals = []
    for name in SLICES:
        plane = framing.planes(VOLUME, recipe_of(s.screen, name, 64, 80))[0]
        row, column = place_on(plane, s.screen.cursor_mm)
        assert np.allclose(plane.at(row, column), s.screen.cursor_mm, atol=1e-3)
        normals.append(np.array(plane.normal))
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert abs(float(normals[a] @ normals[b])) < 1e-4


def test_scrolling_goes_away_from_the_observer() -> None:
    """The axial plane is seen from the feet, so scrolling goes to the head; the coronal one to the back."""
    for name, axis, sign in (("axial", 2, 1.0), ("coronal", 1, 1.0), ("sagittal", 0, -1.0)):
        s = session()
        s.change(moved_away, name, 4, 2.5)
        moved = np.array(s.screen.cursor_mm) - FIRST.cursor_mm
        expected = np.zeros(3)
        expected[axis] = sign * 10.0
        assert np.allclose(moved, expected)


def test_tilting_the_crosshair_of_the_axial_plane_turns_the_two_others() -> None:
    s = session()
    s.change(edits.tilted, "axial", 90.0)
    assert s.screen.axial == FIRST.axial
    # Clockwise in the axial picture, which is seen from the feet: what faced anterior now faces the patient's left.
    assert np.allclose(s.screen.coronal.view.towards_observer, (1.0, 0.0, 0.0), atol=1e-6)
    assert np.allclose(s.screen.sagittal.view.towards_observer, (0.0, 1.0, 0.0), atol=1e-6)
    assert np.allclose(s.screen.coronal.view.up, (0.0, 0.0, 1.0), atol=1e-6)


def test_panning_takes_the_picture_along() -> None:
    """What was in the middle of the pane is 10 mm to the right of it and 4 mm below afterwards."""
    s = session()
    panes: tuple[PaneName, ...] = (*SLICES, "solid")
    for pane in panes:
        before = framing.planes(VOLUME, recipe_of(s.screen, pane, 101, 101))[0].at(50.0, 50.0)
        s.change(edits.panned, pane, 10.0, 4.0)
        plane = framing.planes(VOLUME, recipe_of(s.screen, pane, 101, 101))[0]
        row, column = place_on(plane, before)
        spacing = plane.pixel_spacing_mm
        assert (column - 50.0) * spacing[1] == pytest.approx(10.0) and (row - 50.0) * spacing[0] == pytest.approx(4.0)


def test_captures_have_names_of_their_own_and_are_what_the_pane_showed() -> None:
    s = session()
    s.change(edits.rotated, 20.0, 10.0)
    s.change(edits.captured, "solid")
    s.change(edits.captured, "solid")
    s.change(edits.captured, "solid", 256, 8)
    s.change(edits.thickened, "axial", 12.0)
    s.change(edits.captured, "axial", 128)
    names = [capture.recipe.name for capture in s.screen.captures]
    assert len(set(names)) == 4 and names[1].endswith("(2)")
    shown = replace(recipe_of(s.screen, "axial", 128, 128), name=names[3])
    assert s.screen.captures[3].recipe == shown
    assert draw(VOLUME, s.screen.captures[3].recipe).digest == draw(VOLUME, shown).digest
    s.change(edits.chosen, 1, True)
    assert [capture.key for capture in s.screen.captures] == [False, True, False, False]
    s.change(edits.uncaptured, 0)
    assert [capture.recipe.name for capture in s.screen.captures] == names[1:]


def test_cut_takes_away_what_is_before_the_crosshair_and_brings_it_back() -> None:
    s = session()
    s.change(edits.cut)
    assert len(s.screen.solid.clips) == 1 and s.screen.solid.clips[0].point_mm == FIRST.cursor_mm
    s.change(edits.cut)
    assert s.screen == FIRST
    s.change(edits.cropped, Box((0.0, 0.0, 0.0), (9.0, 9.0, 9.0)))
    assert recipe_of(s.screen, "solid", 9, 9).crop is not None  # type: ignore[union-attr]


def test_points_of_the_transfer_function_stay_in_order() -> None:
    s = session()
    values = [point.value for point in FIRST.solid.transfer.points]
    s.change(edits.point_moved, 1, 1e9, 2.0)
    moved = s.screen.solid.transfer.points[1]
    assert (moved.value, moved.opacity) == (values[2], 1.0)
    s.change(edits.point_added, (values[0] + values[1]) / 2, 0.5)
    assert len(s.screen.solid.transfer.points) == len(values) + 1
    assert [p.value for p in s.screen.solid.transfer.points] == sorted(p.value for p in s.screen.solid.transfer.points)
    for _ in range(20):
        s.change(edits.point_removed, 0)
    assert len(s.screen.solid.transfer.points) == 2


def test_a_session_comes_back_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "sessions" / "1.2.3.json"
    s = session(file)
    s.change(edits.rotated, 33.3, 4.0)
    s.change(edits.captured, "solid")
    s.change(measure_edits.measured, Measure("distance", ((0.0, 0.0, 0.0), (3.0, 4.0, 0.0)), View()))
    s.write(findings="Fracture of the frontal bone.", required=True)
    s.captured_by(Person("T1", "Sample^Technologist", "technologist"))
    back = recovered(file, VOLUME)
    assert back is not None
    assert (back.screen, back.draft, back.operator) == (s.screen, s.draft, s.operator)
    assert back.draft == Draft(findings="Fracture of the frontal bone.", required=True)
    s.forget()
    assert recovered(file, VOLUME) is None


def test_a_file_of_before_gaps_and_regions_were_chosen_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "s.json"
    session(file).keep()
    text = file.read_text()
    older = text.replace(',"region":""', "").replace(',"bridged":false', "")
    assert "region" not in older and "bridged" not in older and "region" in text
    file.write_text(older)
    back = recovered(file, VOLUME)
    assert back is not None and not back.bridged and back.draft.region == ""


def test_a_file_of_before_other_lesions_could_be_said_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "s.json"
    s = session(file)
    s.change(measure_edits.with_targets, {}, TreatmentCourse(40.0, 9.5))
    s.keep()
    kept = json.loads(file.read_text())
    course = kept["screen"].pop("course")
    kept["screen"]["earlier_sums"] = {name: course[name] for name in ("baseline_mm", "nadir_mm")}
    file.write_text(json.dumps(kept))
    back = recovered(file, VOLUME)
    assert back is not None and back.screen.course == TreatmentCourse(40.0, 9.5)


def test_a_damaged_session_file_is_named_and_left(tmp_path: Path) -> None:
    file = tmp_path / "s.json"
    for text in ("{", '{"form": 1}', "[]"):
        file.write_text(text)
        with pytest.raises(RecoveryError, match=r"s\.json: not a session"):
            recovered(file, VOLUME)
        assert file.read_text() == text


LINE = Measure("distance", ((0.0, 0.0, 0.0), (3.0, 4.0, 0.0)), View())
SPOT = ScreenSegment(2, "Liver", "#e69f00")


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ('"points_mm":[[0.0,0.0,0.0],[3.0,4.0,0.0]]', '"points_mm":[[0.0,0.0,0.0]]'),
        ('"points_mm":[[0.0,0.0,0.0],[3.0,4.0,0.0]]', '"points_mm":[]'),
        ('"kind":"distance"', '"kind":"angle"'),
        ('"label":2', '"label":1'),  # what is cut away is no segment
        ('"label":2', '"label":0'),
        ('"label":2', '"label":256'),
        ('"#e69f00"', '"orange"'),
        ('"Liver"', '""'),
        ('"opacity":1.0', '"opacity":7.0'),
        ('"height_mm":', '"height_mm":-'),
        ('"slab_mm":0.0', '"slab_mm":-3.0'),
    ],
)
def test_a_session_file_whose_screen_cannot_be_shown_is_named_and_left(tmp_path: Path, was: str, becomes: str) -> None:
    file = tmp_path / "s.json"
    ReadingSession(VOLUME, "1.2", replace(FIRST, measures=(LINE,), segments=(SPOT,)), file=file).keep()
    text = file.read_text()
    assert was in text and recovered(file, VOLUME) is not None
    file.write_text(text.replace(was, becomes, 1))
    with pytest.raises(RecoveryError, match=r"s\.json: not a session"):
        recovered(file, VOLUME)


def test_thousands_of_measures_are_named_at_once() -> None:
    many = [LINE] * 6000 + [replace(LINE, name="Aorta")] * 6000
    before = time.process_time()
    names = names_of(many)
    assert time.process_time() - before < 0.5
    assert len(set(names)) == 12000 and (names[5999], names[6001]) == ("distance 6000", "Aorta (2)")


@pytest.mark.slow
def test_a_killed_process_loses_at_most_the_last_action(tmp_path: Path) -> None:
    """Another process measures, says how far it came after each length is on the disk, and is killed amid its work."""
    file = tmp_path / "s.json"
    script = (
        "import sys; from pathlib import Path\n"
        "from tests.workstation.desktop.test_session import LINE, session\n"
        "from workstation.desktop.model import measure_edits\n"
        "s = session(Path(sys.argv[1]))\n"
        "while True:\n"
        "    s.change(measure_edits.measured, LINE)\n"
        "    print(len(s.screen.measures), flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(file)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        for _ in range(30):
            said = int(process.stdout.readline())
        process.kill()
        rest = [int(line) for line in process.stdout.read().split("\n")[:-1]]
    back = recovered(file, VOLUME)
    assert back is not None
    assert 0 <= len(back.screen.measures) - max([said, *rest]) <= 1


def test_where_the_planes_stand_is_written_soon_and_nobody_waits_for_it(tmp_path: Path) -> None:
    file = tmp_path / "s.json"
    s = session(file)
    s.change(edits.rotated, 33.3, 4.0)
    assert not file.exists()
    s.settle()
    back = recovered(file, VOLUME)
    assert back is not None and back.screen == s.screen
    s.change(edits.rotated, 5.0, 4.0)
    timer = s._soon
    assert timer is not None
    timer.join(60)
    back = recovered(file, VOLUME)
    assert back is not None and back.screen == s.screen


def test_what_was_to_be_written_soon_is_not_after_it_was_given_up(tmp_path: Path) -> None:
    file = tmp_path / "s.json"
    s = session(file)
    s.change(edits.rotated, 33.3, 4.0)
    timer = s._soon
    assert timer is not None
    s.forget()
    timer.join(60)
    s.settle()
    assert not file.exists()


# ---------------------------------------------------------------------------------------------------- measures


@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_an_outline_beyond_the_volume_takes_its_values_within_it_alone(kind: type) -> None:
    """Outside there is no value: what a picture shows there is no measure."""
    volume = Volume(np.full((8, 40, 40), 300, kind), ramp().affine, "HU")
    middle, view = volume.centre_mm, View.parse("foot")
    beyond = vector(a + 2000.0 * r for a, r in zip(middle, view.right, strict=True))
    there = vector(a + 2000.0 * r + 90.0 * u for a, r, u in zip(middle, view.right, view.up, strict=True))
    found = within(volume, (middle, beyond, there), view)
    assert (found.mean, found.deviation, found.least, found.greatest) == (300.0, 0.0, 300.0, 300.0)
    assert found.area_mm2 == pytest.approx(90_000.0)
    away = [vector(a + 500.0 * r for a, r in zip(corner, view.right, strict=True)) for corner in (beyond, there)]
    with pytest.raises(ValueError, match="outside the volume"):
        within(volume, (*away, there), view)


def test_lengths_and_angles() -> None:
    assert distance_mm((1.0, 2.0, 3.0), (4.0, 6.0, 3.0)) == 5.0
    assert angle_deg((1.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 2.0)) == pytest.approx(90.0)
    assert cobb_deg((0, 0, 0), (1, 0, 0), (9, 9, 9), (8, 8.0, 9)) == pytest.approx(45.0)
    with pytest.raises(ValueError, match="no length"):
        angle_deg((0, 0, 0), (0, 0, 0), (1, 0, 0))


@given(st.floats(0.5, 179.5), st.floats(0, 360), st.floats(-80, 80))
@settings(deadline=None)
def test_angles_do_not_depend_on_where_the_patient_lies(degrees: float, azimuth: float, elevation: float) -> None:
    view = View(azimuth, elevation)
    a, b = np.array(view.right), np.array(view.up)
    c = math.cos(math.radians(degrees)) * a + math.sin(math.radians(degrees)) * b
    assert angle_deg(vector(7 * a), (0.0, 0.0, 0.0), vector(3 * c)) == pytest.approx(degrees)
    assert cobb_deg((0, 0, 0), vector(a), (0, 0, 0), vector(-c)) == pytest.approx(min(degrees, 180 - degrees))


def ramp() -> Volume:
    """Values that rise by 10 a voxel along i; 2 x 1 x 1 mm."""
    values = np.broadcast_to(10.0 * np.arange(60), (30, 50, 60)).astype(np.int16)
    return Volume(values, np.array([[0, 0, 1.0, -30], [0, 1.0, 0, -25], [2.0, 0, 0, -30], [0, 0, 0, 1]]), "HU")


@pytest.mark.parametrize("words", ["foot", "anterior", "anterior, 30 towards left, 20 up"])
def test_an_ellipse_measures_its_area_and_the_values_in_it(words: str) -> None:
    volume, view = ramp(), View.parse(words)
    plane = framing.planes(volume, Reformat(Window(0, 100), view, rows=99, columns=99, pixel_mm=0.5))[0]
    outline = ellipse(axes(plane.at(29.0, 33.0), plane.at(69.0, 65.0), view))
    found = within(volume, outline, view)
    assert found.area_mm2 == pytest.approx(math.pi * 10.0 * 8.0, rel=0.002)
    assert found.samples == pytest.approx(math.pi * 80.0, rel=0.05)
    assert found.mean == pytest.approx(10.0 * (plane.at(49.0, 49.0)[0] + 30.0), abs=3.0)
    half = 8.0 * abs(view.right[0])
    assert found.greatest - found.least == pytest.approx(20.0 * half, abs=25.0)
    # The standard deviation of a ramp over an ellipse is half of the half axis times the slope.
    assert found.deviation == pytest.approx(10.0 * half / 2.0, rel=0.15, abs=4.0)


def test_an_outline_without_inside_is_refused() -> None:
    for outline, sentence in (
        (((0.0, 0.0, 0.0), (1.0, 0.0, 0.0)), "2 corners"),
        (((0.1, 0.1, 0.1), (0.11, 0.1, 0.1), (0.1, 0.11, 0.1)), "smaller than a voxel"),
    ):
        with pytest.raises(ValueError, match=sentence):
            within(ramp(), outline, View.parse("foot"))
