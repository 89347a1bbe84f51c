"""Segments by hand: found, marked, brushed, grown, changed, shown, and the same in the picture that is stored."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from pytestqt.qtbot import QtBot

from render import LabelRule, Projection, VolumeRendering, draw
from render.geometry import IDENTITY, Plane, point
from render.mask_steps import Automatic, Brush, KeptParts, Piece, Values
from render.registration import Registration
from render.segment import made
from render.segment.on_plane import labels_on, outlines_of
from tests.workstation.desktop.gestures import drag, move
from workstation.desktop.model import edits, segment_edits
from workstation.desktop.model.measuring import recorded_segments
from workstation.desktop.model.screen import CUT_AWAY, Compared, recipe_of
from workstation.desktop.segment_masks import SegmentMasks
from workstation.desktop.segments_panel import SegmentsPanel
from workstation.desktop.viewer import Viewer
from workstation.desktop.window import MainWindow

Settled = Callable[[Viewer], None]
SKULL = Values(700.0, 3000.0, 2)


@pytest.fixture
def skull(reading: Viewer, qtbot: QtBot, settled: Settled) -> Viewer:
    """The sample with its dense bone as a segment, shown."""
    reading.finding.propose(SKULL, "Skull")
    qtbot.waitUntil(lambda: reading.panes["axial"]._over is not None, timeout=60_000)
    settled(reading)
    return reading


def panel(reading_window: MainWindow) -> SegmentsPanel:
    found = reading_window.tabs.findChild(SegmentsPanel)
    assert isinstance(found, SegmentsPanel)
    return found


def opacity_at(reading: Viewer, name: str, at: tuple[int, int]) -> int:
    """How much lies over the picture of a pane at (row, column)."""
    over = reading.panes[name]._over  # type: ignore[index]
    return 0 if over is None else over.pixelColor(at[1], at[0]).alpha()


def test_a_segment_is_coloured_where_its_voxels_are(skull: Viewer, reading_window: MainWindow) -> None:
    (segment,) = skull.session.screen.segments
    assert (segment.label, segment.name) == (2, "Skull") and skull.active == 2
    mask, pane = made(skull.session.volume, (SKULL,)), skull.panes["axial"]
    assert skull.masks.millilitres(skull.session.screen, 2) == pytest.approx(
        float((mask.labels == 2).sum()) * np.prod(skull.session.volume.spacing_mm) / 1000.0
    )
    assert pane.plane is not None
    labels = labels_on(mask, skull.session.volume, pane.plane, pane.rows, pane.columns)
    within = np.argwhere((labels == 2) & ~outlines_of(labels))[::200]
    outside = np.argwhere(labels == 0)[::2000]
    assert len(within) > 10 and all(opacity_at(skull, "axial", tuple(at)) == 80 for at in within)
    assert all(opacity_at(skull, "axial", tuple(at)) == 0 for at in outside)
    recipe = recipe_of(skull.session.screen, "solid", 64, 64)
    assert isinstance(recipe, VolumeRendering) and recipe.segments == (SKULL,)
    assert [rule.action for rule in recipe.masking] == ["tint"]
    item = panel(reading_window).table.item(0, 1)
    assert item is not None and item.text() == f"{skull.masks.millilitres(skull.session.screen, 2):.1f}"


def test_labels_on_a_tilted_plane_are_those_of_the_nearest_voxels(reading: Viewer) -> None:
    volume = reading.session.volume
    mask = made(volume, (SKULL,))
    plane = Plane(volume.centre_mm, (0.6, 0.5, 0.2), (-0.4, 0.5, 0.3))
    labels = labels_on(mask, volume, plane, 90, 110)
    rng = np.random.default_rng(1)
    for row, column in rng.integers((90, 110), size=(200, 2)):
        index = tuple(round(v) for v in point(volume.to_index, plane.at(float(row), float(column))))
        inside = all(0 <= at < n for at, n in zip(index, volume.shape, strict=True))
        assert labels[row, column] == (mask.labels[index] if inside else 0)


def test_the_brush_marks_and_with_shift_erases(reading: Viewer, qtbot: QtBot, settled: Settled) -> None:
    pane = reading.panes["axial"]
    reading.choose_tool("brush")
    reading.brush_mm = 6.0
    drag(qtbot, pane, (120, 150), (180, 150))
    (step,) = reading.session.screen.solid.steps
    assert isinstance(step, Brush) and step.label == reading.active == 2 and step.radius_mm == 6.0
    qtbot.waitUntil(lambda: pane._over is not None, timeout=60_000)
    settled(reading)
    row, column = pane.pixel(QPointF(150, 150))
    assert opacity_at(reading, "axial", (round(row), round(column))) == 80
    before = reading.masks.millilitres(reading.session.screen, 2)
    qtbot.mousePress(pane, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ShiftModifier, QPoint(150, 150))
    move(pane, QPoint(155, 150))
    qtbot.mouseRelease(pane, Qt.MouseButton.LeftButton, pos=QPoint(155, 150))
    assert reading.session.screen.solid.steps[-1].label == 0
    qtbot.waitUntil(lambda: reading.masks.millilitres(reading.session.screen, 2) is not None, timeout=60_000)
    after = reading.masks.millilitres(reading.session.screen, 2)
    assert after is not None and before is not None and 0.0 < after < before
    reading.undo()
    qtbot.waitUntil(lambda: reading.masks.millilitres(reading.session.screen, 2) == before, timeout=60_000)


def test_growing_marks_what_is_about_as_bright_and_a_click_elsewhere_more(
    reading: Viewer, reading_window: MainWindow, qtbot: QtBot
) -> None:
    reading.choose_tool("grow")
    reading.grow_range = 30.0
    pane = reading.panes["axial"]
    place = pane.place(QPointF(pane.width() / 2, pane.height() / 2))
    qtbot.mouseClick(pane, Qt.MouseButton.LeftButton, pos=QPoint(pane.width() // 2, pane.height() // 2))
    qtbot.waitUntil(lambda: not reading_window.works.busy and bool(reading.session.screen.solid.steps), timeout=60_000)
    mask = made(reading.session.volume, reading.session.screen.solid.steps)
    assert place is not None and mask.labels[reading.index_of(place)] == 2


def test_what_declines_is_said_and_changes_nothing(reading: Viewer, reading_window: MainWindow, qtbot: QtBot) -> None:
    before = reading.session.screen
    reading.finding.propose(KeptParts(7, 1, 0.0, 7), "Nothing")
    reading.finding.propose(Automatic("lungs", 3), "Lungs")  # of a head
    qtbot.waitUntil(lambda: not reading_window.works.busy, timeout=60_000)
    assert all(step.label != 3 for step in reading.session.screen.solid.steps)
    assert reading.session.screen.segments == before.segments or reading.active != 3
    assert "Looking for Lungs" in reading_window.statusBar().currentMessage()


def test_shown_hidden_faded_and_seen_through(skull: Viewer, reading_window: MainWindow, settled: Settled) -> None:
    table = panel(reading_window).table
    hide = table.item(0, 3)
    assert hide is not None
    hide.setCheckState(Qt.CheckState.Unchecked)
    rules = recipe_of(skull.session.screen, "solid", 64, 64)
    assert isinstance(rules, VolumeRendering) and rules.masking == (LabelRule(2, "exclude"),)
    hide = table.item(0, 3)
    assert hide is not None
    hide.setCheckState(Qt.CheckState.Checked)
    panel(reading_window).opacity.setValue(40)
    panel(reading_window).around.setValue(10)
    rules = recipe_of(skull.session.screen, "solid", 64, 64)
    assert isinstance(rules, VolumeRendering)
    assert [(r.label, r.action, r.opacity) for r in rules.masking] == [
        (2, "tint", None), (2, "fade", 0.4), (0, "fade", 0.1),
    ]  # fmt: skip
    skull.do(edits.with_style, "mip")
    projection = recipe_of(skull.session.screen, "solid", 64, 64)
    assert isinstance(projection, Projection) and projection.masking == () and projection.segments == ()
    skull.do(edits.with_style, "rendering")
    tick = table.item(0, 2)
    assert tick is not None
    tick.setCheckState(Qt.CheckState.Unchecked)
    settled(skull)
    assert skull.panes["axial"]._over is None


def test_a_segment_goes_with_its_steps_and_cuts_stay(skull: Viewer) -> None:
    skull.do(edits.cut_out, Automatic("bone", CUT_AWAY))
    skull.do(segment_edits.marked, KeptParts(2, 1, 0.0, 2))
    skull.do(edits.made_whole)
    assert [step.label for step in skull.session.screen.solid.steps] == [2, 2]
    skull.do(segment_edits.segment_removed, 2)
    assert skull.session.screen.solid.steps == () and skull.session.screen.segments == ()
    skull.undo()
    assert len(skull.session.screen.solid.steps) == 2


@pytest.mark.slow
def test_the_record_and_the_stored_picture_have_it(skull: Viewer) -> None:
    (kept,) = recorded_segments(skull.session.screen, skull.session.volume)
    assert kept.name == "Skull" and kept.quantities[0].value == pytest.approx(
        (skull.masks.millilitres(skull.session.screen, 2) or 0.0) * 1000.0
    )
    skull.under = "solid"
    skull.capture()
    recipe = skull.session.screen.captures[0].recipe
    assert isinstance(recipe, VolumeRendering) and recipe.segments == (SKULL,)
    pixels = draw(skull.session.volume, recipe).pixels[0].astype(int)
    orange = (pixels[..., 0] - pixels[..., 2] > 60).mean()
    assert orange > 0.02  # the skull in the colour of its segment


@pytest.mark.slow
def test_surfaces_are_saved_as_parts(skull: Viewer, reading_window: MainWindow, tmp_path: Path, qtbot: QtBot,
                                     monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    file = tmp_path / "skull.stl"
    monkeypatch.setattr("workstation.desktop.segments_panel.QFileDialog.getSaveFileName", lambda *_: (str(file), ""))
    panel(reading_window).save.click()
    qtbot.waitUntil(lambda: not reading_window.works.busy, timeout=60_000)
    assert file.stat().st_size > 10_000 and list(tmp_path.glob("skull*")) == [file]
    assert "Skull" in reading_window.statusBar().currentMessage()


@pytest.mark.slow
def test_bones_are_parted_each_in_a_colour_of_its_own(
    reading: Viewer, reading_window: MainWindow, qtbot: QtBot
) -> None:
    tools = panel(reading_window)
    tools.structure.setCurrentIndex(tools.structure.count() - 1)
    tools.find_it.click()
    qtbot.waitUntil(lambda: bool(reading.session.screen.segments) and not reading_window.works.busy, timeout=60_000)
    screen = reading.session.screen
    found = set(np.unique(made(reading.session.volume, screen.solid.steps).labels)) - {0}
    assert {segment.label for segment in screen.segments} == found and len(found) >= 2
    assert len({segment.name for segment in screen.segments}) == len(found)
    recipe = recipe_of(screen, "solid", 64, 64)
    assert isinstance(recipe, VolumeRendering) and {r.label for r in recipe.masking if r.action == "tint"} == found
    assert {m.name for m in recorded_segments(screen, reading.session.volume)} == {s.name for s in screen.segments}
    again = segment_edits.bones_in_parts(screen)
    assert not {step.label for step in again} & found
    reading.undo()
    assert reading.session.screen.segments == () and reading.session.screen.solid.steps == ()


# ---------------------------------------------------------------------------------------- while something is looked for

BRAIN = Values(0.0, 90.0, 2)


def test_the_range_that_is_marked_holds_the_brightest_voxel(reading: Viewer, reading_window: MainWindow) -> None:
    tools, voxels = panel(reading_window), reading.session.volume.voxels
    assert (tools.low.minimum(), tools.high.value()) == (float(voxels.min()), float(voxels.max()))


def found_all(reading_window: MainWindow, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: not reading_window.works.busy, timeout=60_000)


def test_two_clicks_at_once_find_it_once(reading: Viewer, reading_window: MainWindow, qtbot: QtBot) -> None:
    reading.finding.propose(SKULL, "Skull")
    reading.finding.propose(SKULL, "Skull")
    found_all(reading_window, qtbot)
    assert reading.session.screen.solid.steps == (SKULL,)
    assert [segment.name for segment in reading.session.screen.segments] == ["Skull"]


def test_two_that_are_looked_for_at_once_are_two_segments(
    reading: Viewer, reading_window: MainWindow, qtbot: QtBot
) -> None:
    reading.finding.propose(SKULL, "Skull")
    reading.finding.propose(BRAIN, "Brain")
    found_all(reading_window, qtbot)
    named = {segment.name: segment.label for segment in reading.session.screen.segments}
    assert sorted(named) == ["Brain", "Skull"] and sorted(named.values()) == [2, 3]
    for step in reading.session.screen.solid.steps:
        assert isinstance(step, Values) and step.label == named["Skull" if step.low == SKULL.low else "Brain"]


def test_what_was_removed_or_undone_meanwhile_is_not_changed(
    skull: Viewer, reading_window: MainWindow, qtbot: QtBot
) -> None:
    skull.finding.propose(KeptParts(2, 1, 0.0, 2), "Skull")
    skull.do(segment_edits.segment_removed, 2)
    found_all(reading_window, qtbot)
    assert skull.session.screen.solid.steps == () and skull.session.screen.segments == ()
    assert "removed meanwhile" in reading_window.statusBar().currentMessage()
    skull.undo()
    skull.finding.propose(KeptParts(2, 1, 0.0, 2), "Skull")
    skull.undo()
    found_all(reading_window, qtbot)
    assert skull.session.screen.solid.steps == () and skull.session.screen.segments == ()


def test_what_is_found_when_the_study_was_left_is_dropped(
    reading: Viewer, reading_window: MainWindow, qtbot: QtBot
) -> None:
    session = reading.session
    assert session.file is not None
    session.keep()
    kept = session.file.read_bytes()
    reading.finding.propose(SKULL, "Skull")
    reading_window.back_to_list()
    found_all(reading_window, qtbot)
    assert session.screen.solid.steps == () and session.file.read_bytes() == kept


def test_no_segment_has_the_label_of_another_step(reading: Viewer) -> None:
    screen = reading.session.screen
    for name in ("One", "Two"):
        screen = segment_edits.segment_added(screen, name)
    screen = segment_edits.marked(segment_edits.segment_removed(screen, 2), Values(700.0, 3000.0, 4), "Skull")
    assert [(segment.name, segment.label) for segment in screen.segments] == [("Two", 3), ("Skull", 4)]


def test_where_there_can_be_no_more_segments_the_reason_is_said(
    reading: Viewer, reading_window: MainWindow, qtbot: QtBot
) -> None:
    screen = reading.session.screen
    for _ in range(segment_edits.MOST_SEGMENTS):
        screen = segment_edits.segment_added(screen, "Segment")
    reading.do(lambda _: screen)
    said: list[str] = []
    reading.said.connect(said.append)
    tools = panel(reading_window)
    for act in (reading.new_segment, tools.find_it.click, tools.values.click):
        said.clear()
        act()
        assert said == [segment_edits.FULL]
    reading.active = 0
    assert reading.segment_to_mark() is None
    assert reading.session.screen == screen and not reading_window.works.busy


def test_what_is_registered_is_what_is_compared(
    reading: Viewer, reading_window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Registration(IDENTITY, "rigid", 1.0, 1.0, 1.0)
    monkeypatch.setattr("workstation.desktop.finding.register", lambda *_: found)
    volume = reading.session.volume
    reading.do(edits.compared_with, Compared("1.2.3"))
    reading.other = volume
    reading.finding.align()
    reading.other = replace(volume)
    found_all(reading_window, qtbot)
    assert reading.session.screen.compared == Compared("1.2.3")


@pytest.mark.parametrize("tool", ["piece", "grow"])
def test_a_click_beside_the_volume_marks_and_cuts_nothing(
    reading: Viewer, reading_window: MainWindow, qtbot: QtBot, tool: str
) -> None:
    reading.choose_tool(tool)
    reading.do(edits.zoomed, "axial", 0.5)
    qtbot.mouseClick(reading.panes["axial"], Qt.MouseButton.LeftButton, pos=QPoint(12, 12))
    found_all(reading_window, qtbot)
    assert reading.session.screen.solid.steps == () and reading.session.screen.segments == ()
    assert "no volume there" in reading_window.statusBar().currentMessage()


def test_a_click_into_what_cannot_be_drawn_says_why(reading: Viewer, reading_window: MainWindow, qtbot: QtBot) -> None:
    reading.do(edits.cut_out, Piece((9999.0, 0.0, 0.0), 0.0, 100.0, None, 0, CUT_AWAY))
    reading.choose_tool("crosshair")
    qtbot.mouseClick(reading.panes["solid"], Qt.MouseButton.LeftButton, pos=QPoint(150, 150))
    assert "outside the volume" in reading_window.statusBar().currentMessage()


def test_a_mask_that_was_undone_meanwhile_does_not_take_the_place_of_the_one_shown(skull: Viewer) -> None:
    errands: list[Callable[[], None]] = []
    masks = SegmentMasks(skull.session.volume, errands.append)
    one, two = skull.session.screen, segment_edits.marked(skull.session.screen, KeptParts(2, 1, 0.0, 2))
    masks.seek(one)
    errands.pop()()
    masks.seek(two)
    masks.seek(one)  # undone before it was made
    assert len(errands) == 1 and masks.of(one) is not None
    errands.pop()()
    assert masks.of(one) is not None and masks.of(two) is None
    masks.seek(two)
    masks.seek(one)
    masks.seek(two)
    for errand in errands:
        errand()
    assert masks.of(two) is not None
