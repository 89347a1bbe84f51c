"""The series beside the panes: opened, compared, dragged, and several of them open at once."""

import shutil
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QEnterEvent
from PySide6.QtWidgets import QApplication, QTabBar, QWidget
from pytestqt.qtbot import QtBot

from render.mask_steps import Values
from tests.workstation.desktop.conftest import DOCTOR
from tests.workstation.desktop.patient import (
    FLAT,
    NOW,
    OURS,
    PRIOR,
    RENAMED,
    SECOND,
    STRANGER,
    patient_site,
    uid_of,
)
from workstation.desktop.app import make_window
from workstation.desktop.model import edits, segment_edits
from workstation.desktop.model.memory import MOST_OPEN, how_many_stay
from workstation.desktop.series_drops import carried
from workstation.desktop.viewer import Viewer
from workstation.desktop.window import MainWindow

_CTRL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, qapp: QApplication) -> Iterator[MainWindow]:
    site = patient_site(tmp_path_factory.mktemp("patient"))
    site.papers.engine.dispose()
    made = make_window(site.root)
    made.resize(1700, 900)
    made.show()
    yield made
    made.close()


@pytest.fixture
def window(kept: MainWindow, qtbot: QtBot) -> MainWindow:
    """The window with one series open, as it was first opened, and all of the patient's listed."""
    qtbot.waitUntil(lambda: not kept.works.busy, timeout=60_000)
    kept.close_study()
    shutil.rmtree(kept.desk.site.root / "sessions", ignore_errors=True)
    kept.settings.remove("browser")
    kept.browser.search.clear()
    opens(kept, NOW, qtbot)
    qtbot.waitUntil(lambda: kept.browser.count == 5, timeout=60_000)
    kept.activateWindow()
    return kept


def opens(window: MainWindow, name: str, qtbot: QtBot) -> Viewer:
    with qtbot.waitSignal(window.ready, timeout=60_000):
        window.open_series(uid_of(name))
    assert window.viewer is not None
    return window.viewer


def choose(window: MainWindow, name: str) -> QWidget:
    """Chooses a series by its item; returns what has the keys."""
    tree = window.browser.tree
    tree.setCurrentItem(tree._items[uid_of(name)])
    tree.setFocus()
    return tree


def drop(widget: QWidget, series_uid: str) -> None:
    """What Qt sends where a series is dragged onto a widget and let go."""
    data, left = carried(series_uid), Qt.MouseButton.LeftButton
    none, copy = Qt.KeyboardModifier.NoModifier, Qt.DropAction.CopyAction
    entering = QDragEnterEvent(QPoint(9, 9), copy, data, left, none)
    QApplication.sendEvent(widget, entering)
    assert entering.isAccepted()
    QApplication.sendEvent(widget, QDropEvent(QPointF(9, 9), copy, data, left, none))


def shown(window: MainWindow) -> str:
    assert window.opened is not None
    return window.opened.series.uid


def test_it_lists_the_patient_with_pictures_and_marks(window: MainWindow, qtbot: QtBot) -> None:
    assert window.browser.isVisible()  # a wide window has room for it
    items = window.browser.tree._items
    assert set(items) == {uid_of(name) for name in (NOW, SECOND, FLAT, OURS, PRIOR, RENAMED)}
    qtbot.waitUntil(lambda: len(window.browser.pictures.known) == 6, timeout=60_000)
    said = {name: items[uid_of(name)].data(0, Qt.ItemDataRole.AccessibleTextRole) for name in (NOW, OURS, RENAMED)}
    assert said[NOW].startswith("2  Thin, CT · 1.25 mm, 3 images · ") and said[NOW].endswith(", shown")
    assert said[OURS].endswith(", made here") and said[RENAMED].endswith(", another name?")
    window.browser.search.setText("thick")
    assert list(window.browser.tree._items) == [uid_of(SECOND)]
    window.browser.search.setText("nothing of that kind")
    assert not window.browser.tree._items and window.browser.note.text() == "No series says that."


def test_by_keys_one_is_opened_and_another_compared(window: MainWindow, qtbot: QtBot) -> None:
    with qtbot.waitSignal(window.ready, timeout=60_000):
        qtbot.keyClick(choose(window, SECOND), Qt.Key.Key_Return)
    assert shown(window) == uid_of(SECOND) and len(window.reader.readings) == 2
    with qtbot.waitSignal(window.works.ended, timeout=60_000):
        qtbot.keyClick(choose(window, PRIOR), Qt.Key.Key_Return, _CTRL)  # elsewhere that would sign
    qtbot.waitUntil(lambda: window.viewer is not None and window.viewer.other is not None)
    assert window.reader.shown is not None and window.reader.shown.compared is not None
    assert window.reader.shown.compared.series_uid == uid_of(PRIOR)
    marks = {name: window.browser.tree._items[uid_of(name)].data(0, Qt.ItemDataRole.UserRole + 1) for name in
             (NOW, SECOND, PRIOR)}  # fmt: skip
    assert marks == {NOW: "open", SECOND: "shown", PRIOR: "compared"}


def test_arrow_keys_go_from_series_to_series(window: MainWindow, qtbot: QtBot) -> None:
    tree, seen = choose(window, SECOND), []
    for key in (Qt.Key.Key_Down, Qt.Key.Key_End, Qt.Key.Key_Up, Qt.Key.Key_PageUp, Qt.Key.Key_PageDown):
        qtbot.keyClick(tree, key)
        chosen = window.browser.tree.chosen()
        assert chosen is not None  # never a heading
        seen.append(chosen.series_uid)
    assert seen == [uid_of(name) for name in (NOW, RENAMED, PRIOR, SECOND, RENAMED)]


def test_what_makes_no_volume_is_shown_in_2d(window: MainWindow, qtbot: QtBot) -> None:
    for name, why in ((OURS, "made here"), (FLAT, "no volume was built")):
        window.stack_viewer = None
        qtbot.keyClick(choose(window, name), Qt.Key.Key_Return)
        qtbot.waitUntil(lambda: window.stack_viewer is not None, timeout=60_000)
        assert window.stack_viewer is not None and why in window.stack_viewer.why.text()
        window.stack_viewer.close()
    assert shown(window) == uid_of(NOW) and len(window.reader.readings) == 1


def test_a_series_dropped_on_a_pane_is_compared(window: MainWindow, qtbot: QtBot) -> None:
    assert window.viewer is not None
    for name, why in ((OURS, "made here"), (STRANGER, "not one of this patient"), (NOW, "one volume only")):
        drop(window.viewer.panes["axial"], uid_of(name))
        qtbot.waitUntil(lambda why=why: why in window.statusBar().currentMessage(), timeout=60_000)  # type: ignore[misc]
        assert window.viewer.other is None
    drop(window.viewer.panes["solid"], uid_of(SECOND))
    qtbot.waitUntil(lambda: window.viewer is not None and window.viewer.other is not None, timeout=60_000)
    assert window.reader.shown is not None and window.reader.shown.compared is not None
    assert window.reader.shown.compared.series_uid == uid_of(SECOND)
    apart = window.viewer.undock_pane("axial")
    window.compare_no_more()
    drop(window.viewer.panes["axial"], uid_of(PRIOR))  # on another monitor
    qtbot.waitUntil(lambda: window.viewer is not None and window.viewer.other is not None, timeout=60_000)
    apart.close()


def test_each_open_series_keeps_its_screen_undo_and_captures(window: MainWindow, qtbot: QtBot) -> None:
    first = window.viewer
    assert first is not None and not window.open_tabs.isVisible()
    first.do(edits.rotated, 10.0, 0.0)
    window.capturing.capture(1)
    turned = first.session.screen
    second = opens(window, PRIOR, qtbot)
    assert window.open_tabs.isVisible() and window.open_tabs.tabText(1).startswith("2025-12-02")
    assert window.tray is not None and window.tray.list.count() == 0
    qtbot.keyClick(window, Qt.Key.Key_Tab, _CTRL)
    assert window.viewer is first and first.session.screen == turned and window.tray.list.count() == 1
    assert window.reading is not None and window.pages.currentWidget() is first
    assert window.tabs is window.reading.tabs and window.tabs.count() == 6
    qtbot.keyClick(window, Qt.Key.Key_Z, _CTRL)
    qtbot.keyClick(window, Qt.Key.Key_Z, _CTRL)
    assert first.session.screen == first.first
    qtbot.mouseClick(window.open_tabs, Qt.MouseButton.LeftButton, pos=window.open_tabs.tabRect(1).center())
    assert window.viewer is second and shown(window) == uid_of(PRIOR)
    qtbot.keyClick(window, Qt.Key.Key_Backtab, _CTRL | Qt.KeyboardModifier.ShiftModifier)
    assert window.viewer is first
    window.open_series(uid_of(PRIOR))  # open already: no waiting
    assert window.viewer is second
    window.tabs.setCurrentIndex(3)
    qtbot.keyClick(window, Qt.Key.Key_Tab, _CTRL)
    with qtbot.waitSignal(window.ready, timeout=60_000):
        window.reload()
    assert window.tabs.currentIndex() == 3  # the panel on view stays
    assert [each.opened.series.uid for each in window.reader.readings] == [
        uid_of(NOW),
        uid_of(PRIOR),
    ]  # in their places
    assert window.viewer is not first and window.viewer is not None and window.viewer.session.screen == first.first
    first = window.viewer
    close = window.open_tabs.tabButton(1, QTabBar.ButtonPosition.RightSide)
    assert close is not None and close.accessibleName() == "Close 1  CT"
    qtbot.mouseClick(close, Qt.MouseButton.LeftButton)
    assert window.viewer is first and len(window.reader.readings) == 1 and not window.open_tabs.isVisible()


def test_what_is_found_for_a_series_behind_is_journalled_with_it(
    window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind = window.reading
    assert behind is not None
    opens(window, SECOND, qtbot)
    noted: list[str] = []
    monkeypatch.setattr(window.desk, "note", lambda opened, *_: noted.append(opened.series.uid))
    behind.viewer.do(segment_edits.marked, Values(20.0, 40.0, 2), "Marked")  # as a tool does when it has ended
    assert noted == [uid_of(NOW)] and shown(window) == uid_of(SECOND)
    assert not window.menus.actions["undo"].isEnabled()  # of the one that is shown


def test_nothing_of_another_patient_stays_open(window: MainWindow, qtbot: QtBot) -> None:
    opens(window, SECOND, qtbot)
    opens(window, STRANGER, qtbot)
    assert [each.opened.series.uid for each in window.reader.readings] == [uid_of(STRANGER)]
    assert uid_of(NOW) not in window.browser.tree._items
    opens(window, NOW, qtbot)
    opens(window, RENAMED, qtbot)  # the same ID, and another name
    assert [each.opened.series.uid for each in window.reader.readings] == [uid_of(RENAMED)]
    window.back_to_list()
    assert window.viewer is None and len(window.reader.readings) == 0 and not window.browser.isVisible()


def test_a_closed_one_comes_back_with_its_work(window: MainWindow, qtbot: QtBot) -> None:
    assert window.viewer is not None
    window.viewer.do(edits.rotated, 10.0, 0.0)
    turned, room = window.viewer.session.screen, window.reader.readings.room
    window.reader.readings.room = 1
    try:
        opens(window, SECOND, qtbot)
        assert [each.opened.series.uid for each in window.reader.readings] == [uid_of(SECOND)]
        assert "closed: 2  Thin" in window.statusBar().currentMessage()
    finally:
        window.reader.readings.room = room
    assert opens(window, NOW, qtbot).session.screen == turned


@pytest.mark.slow
def test_folding_and_locking(window: MainWindow, qtbot: QtBot) -> None:
    browser = window.browser
    qtbot.keyClick(window, Qt.Key.Key_B, _CTRL)
    assert not browser.isVisible() and not window.dock.isVisible()
    opens(window, PRIOR, qtbot)
    qtbot.keyClick(window, Qt.Key.Key_Tab, _CTRL)
    assert not browser.isVisible() and not window.dock.isVisible()  # more room, for every series
    qtbot.keyClick(window, Qt.Key.Key_B, _CTRL)
    assert browser.isVisible() and window.dock.isVisible()
    browser.close()
    qtbot.keyClick(window, Qt.Key.Key_Tab, _CTRL)
    assert not browser.isVisible()  # as it was left
    window.settings.remove("browser")
    window.show_browser()
    assert browser.tree.hasFocus() and browser.tree.chosen() is not None
    qtbot.keyClick(browser.tree, Qt.Key.Key_F10)
    assert not browser.isVisible()
    pane = window.viewer.panes["axial"] if window.viewer is not None else None
    assert pane is not None and pane.hasFocus()
    qtbot.keyClick(window, Qt.Key.Key_F10)
    QApplication.sendEvent(pane, QEnterEvent(QPointF(5, 5), QPointF(5, 5), QPointF(5, 5)))
    assert browser.tree.hasFocus()  # a pane that moves under a mouse which rests leaves the keys where they are
    qtbot.keyClick(browser.tree, Qt.Key.Key_D)
    assert window.viewer is not None and window.viewer.tool == "distance"  # letters are commands
    qtbot.keyClick(browser.tree, Qt.Key.Key_F10)
    opens(window, SECOND, qtbot)
    assert not browser.isVisible()  # as the reader left it
    qtbot.keyClick(window, Qt.Key.Key_F10)
    window.reader.person = DOCTOR
    window.screen_lock.lock()
    assert not browser.isVisible() and not window.open_tabs.isVisible()
    window.screen_lock.uncover()
    assert browser.isVisible()


@pytest.mark.parametrize(
    ("sizes", "room", "stay"),
    [((), 9, 0), ((100,), 9, 1), ((4, 4, 4), 9, 2), ((4, 4, 1), 9, 3), ((1,) * 20, 99, MOST_OPEN), ((20, 1), 9, 1)],
)
def test_how_many_stay(sizes: tuple[int, ...], room: int, stay: int) -> None:
    assert how_many_stay(sizes, room) == stay


def test_beside_the_work_list_a_series_is_dropped_to_open(window: MainWindow, qtbot: QtBot) -> None:
    window.back_to_list()
    qtbot.waitUntil(lambda: window.worklist.select(uid_of(STRANGER)), timeout=60_000)
    qtbot.keyClick(window, Qt.Key.Key_F10)
    qtbot.waitUntil(lambda: window.browser.series(uid_of(STRANGER)) is not None, timeout=60_000)
    window.worklist.select(uid_of(NOW))
    assert window.browser.series(uid_of(STRANGER)) is None  # at once
    qtbot.waitUntil(lambda: window.browser.series(uid_of(SECOND)) is not None, timeout=60_000)
    qtbot.keyClick(choose(window, SECOND), Qt.Key.Key_Return, _CTRL)
    assert "No study is open" in window.statusBar().currentMessage()
    with qtbot.waitSignal(window.ready, timeout=60_000):
        drop(window.worklist, uid_of(SECOND))
    assert shown(window) == uid_of(SECOND) and window.browser.isVisible()


def test_a_bar_too_long_for_its_window_has_icons_alone(window: MainWindow) -> None:
    bar = window.menus.bar
    for width, style in (
        (500, Qt.ToolButtonStyle.ToolButtonIconOnly),
        (5000, Qt.ToolButtonStyle.ToolButtonTextBesideIcon),
    ):
        window.menus.fit(width)
        assert bar.toolButtonStyle() == style
    assert bar.sizeHint().width() <= 1366  # all of it on a small monitor
