"""A study beside or over another one: turned, shifted and registered, the same part of the patient is seen in both."""

from collections.abc import Callable
from typing import cast

import numpy as np
import pytest
from PySide6.QtCore import QPointF, Qt
from pytestqt.qtbot import QtBot
from scipy.spatial.transform import Rotation

from render import Volume, Window, draw, load_preset, registration
from render.geometry import Matrix, composed, point
from tests.render.phantom import phantom
from workstation.desktop.model import edits
from workstation.desktop.model.screen import (
    MAIN,
    OTHERS,
    SLICES,
    Compared,
    Screen,
    main_pane,
    opening_screen,
    recipe_of,
)
from workstation.desktop.viewer import Viewer
from workstation.desktop.window import MainWindow

VOLUME = phantom("oblique")


def moved_by(degrees: float, shift: tuple[float, float, float]) -> np.ndarray:
    move = np.eye(4)
    move[:3, :3] = Rotation.from_euler("xyz", [degrees, -0.5 * degrees, 0.7 * degrees], degrees=True).as_matrix()
    move[:3, 3] = shift
    return move


def rows(move: np.ndarray) -> Matrix:
    return cast(Matrix, tuple(tuple(float(v) for v in row) for row in move.tolist()))


def screen_with(move: np.ndarray) -> Screen:
    first = opening_screen(VOLUME, Window(40.0, 400.0), load_preset("ct_bone"))
    shown = edits.compared_with(first, Compared("1.2.4"))
    return edits.tilted(edits.registered(shown, rows(move)), "axial", 15.0)


@pytest.mark.parametrize("degrees", [0.0, 17.0])
def test_the_same_patient_moved_is_the_same_picture(degrees: float) -> None:
    """The second volume is the first one where the patient lay otherwise."""
    move = moved_by(degrees, (12.0, -30.0, 8.0))
    other = Volume(VOLUME.voxels, composed(VOLUME.affine, move), VOLUME.unit)
    screen = screen_with(move)
    for name in OTHERS:
        one, two = recipe_of(screen, main_pane(name), 48, 64), recipe_of(screen, name, 48, 64)
        assert one is not None and two is not None
        a, b = draw(VOLUME, one).pixels.astype(float), draw(other, two).pixels.astype(float)
        assert a.std() > 5.0
        assert np.abs(a - b).mean() < 0.02 * a.std(), name


def test_a_shift_by_hand_is_added_as_it_is_seen() -> None:
    screen = screen_with(moved_by(17.0, (0.0, 0.0, 0.0)))
    before = screen.compared
    after = edits.other_moved(screen, "coronal_other", 10.0, 0.0).compared
    assert before is not None and after is not None
    centre = screen.cursor_mm
    step = np.subtract(point(after.to_other, centre), point(before.to_other, centre))
    assert float(np.linalg.norm(step)) == pytest.approx(10.0)


@pytest.mark.slow
def test_what_lies_over_a_plane_is_where_it_is(
    viewer: Viewer,
    window: MainWindow,
    qtbot: QtBot,
    settled: Callable[[Viewer], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The coarse levels are enough for what is looked for here.
    monkeypatch.setattr(registration, "_LEVELS_MM", (8.0, 4.0))
    monkeypatch.setattr(registration, "_FINE_MM3", 0.0)
    volume = viewer.session.volume
    move = moved_by(6.0, (5.0, 9.0, -4.0))
    other = Volume(volume.voxels, composed(volume.affine, move), volume.unit)
    viewer.other = other
    viewer.do(edits.compared_with, Compared("1.2.4", None, (5.0, 9.0, -4.0)))
    viewer.finding.align()
    qtbot.waitUntil(
        lambda: viewer.session.screen.compared is not None and viewer.session.screen.compared.matrix is not None,
        timeout=100_000,
    )
    compared = viewer.session.screen.compared
    assert compared is not None
    corners = [(-60.0, -80.0, 20.0), (60.0, 80.0, 130.0), (0.0, 0.0, 80.0)]
    for corner in corners:
        assert point(compared.to_other, corner) == pytest.approx(point(move, corner), abs=1.5)
    for _ in range(4):
        qtbot.keyClick(window, Qt.Key.Key_Plus, Qt.KeyboardModifier.ControlModifier)
    settled(viewer)
    pane = viewer.panes["axial"]
    assert pane._image is not None
    row, column = pane.pixel(QPointF(pane.width() / 2, pane.height() / 2))
    colours = [pane._image.pixelColor(round(column) + dx, round(row) + dy) for dx in (-20, 0, 20) for dy in (-20, 0)]
    assert any(colour.red() > colour.blue() + 5 for colour in colours)  # hot iron lies over grey
    before = viewer.session.screen.captures
    viewer.under = "axial"
    viewer.capture()
    assert viewer.session.screen.captures == before
    for _ in range(4):
        qtbot.keyClick(window, Qt.Key.Key_Minus, Qt.KeyboardModifier.ControlModifier)
    assert viewer.session.screen.compared is not None and viewer.session.screen.compared.blend == 0.0


def test_planes_and_3d_of_this_study_alone_have_the_other_in_them() -> None:
    screen = edits.blended(screen_with(moved_by(9.0, (1.0, 2.0, 3.0))), 0.4)
    for name in (*MAIN, *OTHERS):
        recipe = recipe_of(screen, name, 32, 32)
        if recipe is not None:
            assert (getattr(recipe, "fusion", None) is not None) == (name in (*SLICES, "solid")), name
