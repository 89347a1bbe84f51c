"""Measures by hand: drawn, taken by their handles, named, coloured, copied and deleted, and their words."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, QPointF, QRectF, QSizeF, Qt, QTimer
from PySide6.QtWidgets import QApplication, QLineEdit
from pytestqt.qtbot import QtBot

from tests.thorough import examples
from tests.workstation.desktop.gestures import drag, move
from tests.workstation.desktop.planes import moved_away
from workstation.desktop import dialogs
from workstation.desktop.labels import placed
from workstation.desktop.measures_panel import Measures
from workstation.desktop.model import measure_edits
from workstation.desktop.model.measuring import names_of, recorded, restored
from workstation.desktop.model.screen import Measure
from workstation.desktop.viewer import Viewer
from workstation.desktop.window import MainWindow

Settled = Callable[[Viewer], None]
LEFT = Qt.MouseButton.LeftButton


def panel(reading_window: MainWindow) -> Measures:
    found = reading_window.tabs.findChild(Measures)
    assert isinstance(found, Measures)
    return found


def distance_of(reading: Viewer, number: int = 0) -> float:
    return math.dist(*reading.session.screen.measures[number].points_mm)


def test_press_drag_and_let_go_draws_as_two_clicks_do(reading: Viewer, qtbot: QtBot) -> None:
    pane = reading.panes["axial"]
    reading.choose_tool("distance")
    drag(qtbot, pane, (100, 150), (180, 170))
    for x, y in ((100, 150), (180, 170)):
        qtbot.mouseClick(pane, LEFT, pos=QPoint(x, y))
    drawn, *rest = reading.session.screen.measures
    assert not rest or rest[0].points_mm == drawn.points_mm  # the second click may have taken hold of the first
    assert math.dist(*drawn.points_mm) == pytest.approx(math.hypot(80, 20) * pane.mm_per_point(), rel=1e-3)


def test_an_angle_is_drawn_in_a_stroke_and_a_click(reading: Viewer, qtbot: QtBot) -> None:
    pane = reading.panes["axial"]
    reading.choose_tool("angle")
    drag(qtbot, pane, (100, 150), (160, 150))
    assert not reading.session.screen.measures and len(reading.gestures.hand.points) == 2
    move(pane, QPoint(160, 100))
    mark = reading.panes["axial"].overlay.marks[-1]
    assert mark.text == "90.0°"  # said while it is being drawn
    qtbot.mouseClick(pane, LEFT, pos=QPoint(160, 90))
    (measure,) = reading.session.screen.measures
    assert reading.said_of(measure) == "90.0°"


def test_a_handle_is_dragged_and_one_undo_brings_it_back(reading: Viewer, qtbot: QtBot) -> None:
    pane = reading.panes["axial"]
    reading.choose_tool("distance")
    drag(qtbot, pane, (100, 150), (180, 150))
    before = reading.session.screen.measures
    reading.choose_tool("window")
    drag(qtbot, pane, (180, 150), (140, 150))
    assert distance_of(reading) == pytest.approx(40 * pane.mm_per_point(), rel=1e-3)
    assert reading.selected == 0
    reading.undo()
    assert reading.session.screen.measures == before


def test_a_line_is_dragged_whole_and_an_outline_stays_flat(reading: Viewer, qtbot: QtBot, settled: Settled) -> None:
    pane = reading.panes["axial"]
    reading.choose_tool("distance")
    drag(qtbot, pane, (100, 150), (180, 150))
    length, start = distance_of(reading), reading.session.screen.measures[0].points_mm[0]
    drag(qtbot, pane, (140, 150), (140, 180))
    assert distance_of(reading) == pytest.approx(length) and len(reading.session.screen.measures) == 1
    assert math.dist(start, reading.session.screen.measures[0].points_mm[0]) == pytest.approx(
        30 * pane.mm_per_point(), rel=1e-2
    )
    reading.select(None)
    reading.choose_tool("ellipse")
    drag(qtbot, pane, (110, 80), (150, 120))
    reading.do(moved_away, "axial", 1, 1.0)  # still near enough to be shown
    settled(reading)
    drag(qtbot, pane, (150, 120), (170, 140))
    a, b = reading.session.screen.measures[-1].points_mm
    assert a[2] == pytest.approx(b[2], abs=1e-3)


def test_the_list_and_the_panes_select_each_other(reading: Viewer, reading_window: MainWindow, qtbot: QtBot) -> None:
    pane, listed = reading.panes["axial"], panel(reading_window)
    reading.choose_tool("distance")
    drag(qtbot, pane, (100, 150), (180, 150))
    drag(qtbot, pane, (100, 200), (180, 200))
    reading.do(moved_away, "axial", 30, 1.0)
    reading.select(None)
    listed.table.selectRow(0)
    assert reading.selected == 0
    assert reading.session.screen.cursor_mm == reading.session.screen.measures[0].points_mm[0]
    reading.select(1)
    assert listed.table.currentRow() == 1
    item = listed.table.item(1, 0)
    assert item is not None and item.text() == "distance 2"
    item.setText("Neck")
    reading.do(measure_edits.recoloured, 1, "#40c0ff")
    assert reading.session.screen.measures[1].name == "Neck"
    qtbot.keyClick(reading.window(), Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QApplication.clipboard().text() == f"Neck: {reading.said_of(reading.session.screen.measures[1])}"
    found = recorded(reading.session.screen.measures, reading.session.volume)
    assert [m.name for m in found] == ["distance 1", "Neck"]
    assert [m.name for m in restored(found)] == ["", "Neck"]
    qtbot.keyClick(reading.window(), Qt.Key.Key_Delete)
    assert [m.name for m in reading.session.screen.measures] == [""] and reading.selected is None


def test_a_copy_lies_in_the_plane_of_the_crosshair(reading: Viewer, qtbot: QtBot) -> None:
    reading.choose_tool("distance")
    drag(qtbot, reading.panes["axial"], (100, 150), (180, 150))
    reading.do(moved_away, "axial", 10, 1.0)
    reading.duplicate_measure()
    first, second = reading.session.screen.measures
    assert math.dist(*second.points_mm) == pytest.approx(math.dist(*first.points_mm), abs=1e-2)
    assert second.points_mm[0][2] == pytest.approx(reading.session.screen.cursor_mm[2], abs=1e-3)
    assert second.points_mm[0][2] != pytest.approx(first.points_mm[0][2], abs=5.0)


def test_an_arrow_has_words_and_is_no_number(reading: Viewer, qtbot: QtBot) -> None:
    def words() -> None:
        dialog = QApplication.activeModalWidget()
        if not isinstance(dialog, dialogs.Named):
            QTimer.singleShot(20, words)
            return
        field = dialog.findChild(QLineEdit)
        assert field is not None
        field.setText("Fracture line")
        dialog.accept()

    QTimer.singleShot(0, words)
    reading.choose_tool("arrow")
    drag(qtbot, reading.panes["axial"], (100, 150), (150, 120))
    (arrow,) = reading.session.screen.measures
    assert (arrow.kind, arrow.text) == ("arrow", "Fracture line")
    assert recorded((arrow,), reading.session.volume) == ()
    assert reading.session.change(measure_edits.reworded, 0, "") and len(reading.session.screen.measures) == 1


def test_names_are_unique_whatever_they_are_called(reading: Viewer) -> None:
    view, points = reading.session.screen.axial.view, ((0.0, 0.0, 0.0), (1.0, 0.0, 0.0))
    given_names = ("", "distance 1", "", "Neck", "Neck")
    assert len(set(names_of([Measure("distance", points, view, name=n) for n in given_names]))) == 5


def test_an_edit_that_changes_no_picture_draws_none(reading: Viewer, qtbot: QtBot, settled: Settled) -> None:
    drawn: list[str] = []
    reading.drawer.drawn.connect(lambda request, *_: drawn.append(request.pane))
    reading.choose_tool("distance")
    drag(qtbot, reading.panes["axial"], (100, 150), (180, 150))
    reading.do(moved_away, "axial", 2, 1.0)
    settled(reading)
    qtbot.waitUntil(lambda: "axial" in drawn)
    assert set(drawn) == {"axial"}  # the crosshair moved along the other planes


sides = st.floats(5.0, 150.0)


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.tuples(st.floats(0, 400), st.floats(0, 300), sides, sides), min_size=1, max_size=6))
def test_words_lie_inside_and_on_no_others_where_there_is_room(wanted: list[tuple[float, float, float, float]]) -> None:
    inside, taken = QRectF(0, 0, 2000, 1500), list[QRectF]()
    for x, y, width, height in wanted:
        here = placed(QPointF(x + 700, y + 500), QSizeF(width, height), taken, inside)
        assert inside.contains(here) and here.size() == QSizeF(width, height)
        taken.append(here)
    over = sum(a.intersects(b) for n, a in enumerate(taken) for b in taken[:n])
    assert over == 0 or len(taken) > 3
    narrow = QRectF(0, 0, 160, 160)
    assert narrow.contains(placed(QPointF(400, 400), QSizeF(20, 20), [narrow], narrow))


def test_a_text_without_words_goes_with_its_selection(reading: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workstation.desktop.dialogs.Named.ask", lambda *_: "")
    reading.choose_tool("text")
    reading.gestures.hand.points = [reading.session.screen.cursor_mm]
    reading.gestures.hand.finish("axial")
    assert reading.session.screen.measures == () and reading.selected is None


@pytest.mark.parametrize("act", [Viewer.undo, Viewer.delete_last])
def test_what_goes_while_it_is_dragged_takes_no_other_with_it(
    reading: Viewer, qtbot: QtBot, act: Callable[[Viewer], None]
) -> None:
    pane = reading.panes["axial"]
    reading.choose_tool("distance")
    drag(qtbot, pane, (100, 60), (180, 60))
    drag(qtbot, pane, (100, 140), (180, 140))
    reading.choose_tool("window")
    lines = reading.session.screen.measures
    qtbot.mousePress(pane, Qt.MouseButton.LeftButton, pos=QPoint(140, 60))
    move(pane, QPoint(142, 70))
    assert reading.gestures.hand.grip is not None
    act(reading)
    act(reading)
    left = reading.session.screen.measures
    move(pane, QPoint(160, 100))
    qtbot.mouseRelease(pane, Qt.MouseButton.LeftButton, pos=QPoint(160, 100))
    assert reading.session.screen.measures == left and set(left) <= set(lines)


def test_delete_and_letters_in_the_list_of_measures(reading: Viewer, reading_window: MainWindow, qtbot: QtBot) -> None:
    """Delete is the list's own key; a letter is a command, as it is over the panes, and does not begin to name."""
    view = reading.session.screen.axial.view
    for end in (10.0, 20.0):
        reading.do(
            measure_edits.measured, Measure("distance", (reading.session.screen.cursor_mm, (end, 0.0, 0.0)), view)
        )
    reading_window.show_panel(2)
    table = panel(reading_window).table
    table.setFocus()
    table.selectRow(0)
    captures = len(reading.session.screen.captures)
    qtbot.keyClick(table, Qt.Key.Key_C)
    assert len(reading.session.screen.captures) == captures + 1
    qtbot.keyClick(table, Qt.Key.Key_Delete)
    (left,) = reading.session.screen.measures
    assert left.points_mm[1] == (20.0, 0.0, 0.0)
