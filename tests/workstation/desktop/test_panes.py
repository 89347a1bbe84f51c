"""The panes of a study under mouse and keys, and what comes of them in the model."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QImage
from pytestqt.qtbot import QtBot

from render import View, draw
from render.geometry import point
from render.picture import to_rgb
from tests.workstation.desktop.gestures import drag, wheel
from workstation.desktop.labels import rect_at
from workstation.desktop.model import measure_edits
from workstation.desktop.model.screen import PANES, Measure, PaneName, recipe_of
from workstation.desktop.pane import Pane
from workstation.desktop.viewer import Viewer

Settled = Callable[[Viewer], None]


def shown(pane: Pane) -> NDArray[np.uint8]:
    """The picture a pane has, as it was given to it."""
    assert pane._image is not None
    image = pane._image.convertToFormat(QImage.Format.Format_RGB888)
    flat = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return flat[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()


def test_what_panes_show_is_what_draw_returns(reading: Viewer) -> None:
    for name in reading.visible_panes():
        pane = reading.panes[name]
        recipe = recipe_of(reading.session.screen, name, *pane.picture_size())
        assert recipe is not None
        expected = to_rgb(draw(reading.session.volume, recipe))
        np.testing.assert_array_equal(shown(pane), expected)


def test_a_drag_in_3d_turns_the_patient_and_undo_turns_back(reading: Viewer, qtbot: QtBot, settled: Settled) -> None:
    before = reading.session.screen
    drag(qtbot, reading.panes["solid"], (200, 200), (250, 175))
    assert reading.session.screen.solid.view == View(-20.0, -10.0)
    settled(reading)
    qtbot.keyClick(reading.window(), Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert reading.session.screen == before
    settled(reading)


def test_the_window_tool_and_the_number_keys(reading: Viewer, qtbot: QtBot) -> None:
    drag(qtbot, reading.panes["axial"], (100, 100), (160, 100))
    window = reading.session.screen.window
    assert window.width > 80.0 and window.centre == 40.0
    drag(qtbot, reading.panes["axial"], (100, 100), (100, 70))
    assert reading.session.screen.window.centre > 40.0
    qtbot.keyClick(reading.window(), Qt.Key.Key_9)
    assert (reading.session.screen.window.centre, reading.session.screen.window.width) == (50.0, 400.0)


def test_the_crosshair_brings_the_other_planes(reading: Viewer, qtbot: QtBot, settled: Settled) -> None:
    reading.choose_tool("crosshair")
    pane = reading.panes["axial"]
    place = pane.place(QPointF(150.0, 120.0))
    qtbot.mouseClick(pane, Qt.MouseButton.LeftButton, pos=QPoint(150, 120))
    assert reading.session.screen.cursor_mm == pytest.approx(place)
    settled(reading)
    for name in ("coronal", "sagittal"):
        plane = reading.panes[name].plane
        assert plane is not None and place is not None
        depth = sum((a - b) * c for a, b, c in zip(place, plane.origin_mm, plane.normal, strict=True))
        assert depth == pytest.approx(0.0, abs=1e-6)


def test_the_wheel_scrolls_and_with_ctrl_thickens(reading: Viewer, qtbot: QtBot, settled: Settled) -> None:
    volume = reading.session.volume
    before = point(volume.to_index, reading.session.screen.cursor_mm)[0]
    wheel(reading.panes["axial"], -3)
    image = point(volume.to_index, reading.session.screen.cursor_mm)[0]
    assert image == pytest.approx(round(before + 3))  # a click an image, and in the middle of it
    wheel(reading.panes["axial"], -999)
    assert point(volume.to_index, reading.session.screen.cursor_mm)[0] == pytest.approx(volume.shape[0] - 1)
    qtbot.waitUntil(lambda: reading.session.can_undo)
    wheel(reading.panes["axial"], 2, Qt.KeyboardModifier.ControlModifier)
    assert reading.session.screen.axial.slab_mm == 10.0
    settled(reading)
    assert "MIP 10 mm" in reading.panes["axial"].overlay.corners["bottom_right"]


def test_measures_by_clicks(reading: Viewer, qtbot: QtBot) -> None:
    pane = reading.panes["axial"]
    mm = pane.mm_per_point()
    reading.choose_tool("distance")
    for at in ((100, 150), (200, 150)):
        qtbot.mouseClick(pane, Qt.MouseButton.LeftButton, pos=QPoint(*at))
    reading.choose_tool("angle")
    for at in ((200, 100), (100, 100), (100, 200)):
        qtbot.mouseClick(pane, Qt.MouseButton.LeftButton, pos=QPoint(*at))
    reading.choose_tool("ellipse")
    for at in ((180, 180), (220, 220)):
        qtbot.mouseClick(pane, Qt.MouseButton.LeftButton, pos=QPoint(*at))
    distance, angle, ellipse = reading.session.screen.measures
    assert reading.said_of(distance) == f"{100 * mm:.1f} mm"
    assert reading.said_of(angle) == "90.0°"
    area, values, _ = reading.said_of(ellipse).split("\n")
    assert float(area.removesuffix(" mm²")) == pytest.approx(np.pi * (20 * mm) ** 2, rel=0.005) and "HU" in values
    assert len(pane.overlay.marks) == 3
    # They belong to their plane: on another one they are not shown.
    wheel(pane, -20)
    qtbot.waitUntil(lambda: not pane.overlay.marks)
    qtbot.keyClick(reading.window(), Qt.Key.Key_Delete)
    assert reading.session.screen.measures == (distance, angle)


def test_layout_slab_mode_style_preset_cut_and_table(reading: Viewer, qtbot: QtBot, settled: Settled) -> None:
    reading.under = "solid"
    for key, holds in (
        (Qt.Key.Key_Space, lambda s: s.layout == "solid"),
        (Qt.Key.Key_Space, lambda s: s.layout == "four"),
        (Qt.Key.Key_M, lambda s: s.solid.style == "mip"),
        (Qt.Key.Key_I, lambda s: s.solid.style == "rendering" and s.solid.transfer.name != "ct_bone"),
        (Qt.Key.Key_X, lambda s: len(s.solid.clips) == 1),
        (Qt.Key.Key_H, lambda s: s.solid.body_above is None),
        (Qt.Key.Key_Home, lambda s: s.solid.transfer.name == "ct_bone" and not s.solid.clips),
    ):
        qtbot.keyClick(reading.window(), key)
        assert holds(reading.session.screen), key
        settled(reading)
    visible: list[PaneName] = [name for name in PANES if reading.panes[name].isVisible()]
    assert set(visible) == set(reading.visible_panes()) == {"axial", "coronal", "sagittal", "solid"}


def test_no_words_lie_on_the_letter_of_a_side(reading: Viewer, settled: Settled) -> None:
    pane = reading.panes["axial"]
    for number, (letter, at) in enumerate(pane._letters()):
        start = pane.place(at + QPointF(12.0, -4.0))
        end = pane.place(QPointF(pane.width() / 2.0 + 30.0, pane.height() / 2.0 + 40.0))
        assert start is not None and end is not None
        reading.do(measure_edits.measured, Measure("distance", (end, start), reading.session.screen.axial.view))
        settled(reading)
        pane.grab()
        written = rect_at(letter, at, pane.fontMetrics())
        assert len(pane._labels) == number + 1
        assert not any(rect.intersects(written) for rect in pane._labels.values()), letter
