"""The tray: names, order, ticks, what was taken anew, by keys; and the study as it is signed, in the window."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QModelIndex, Qt, QTimer
from PySide6.QtWidgets import QApplication, QLineEdit
from pytestqt.qtbot import QtBot

from tests.workstation.desktop.planes import moved_away
from tests.workstation.desktop.test_session import session
from tests.workstation.desktop.test_signing import desk_at
from tests.workstation.desktop.test_window import sign_in
from tests.workstation.samples import tiny_protocol
from workstation.desktop import dialogs
from workstation.desktop.captures_panel import Tray
from workstation.desktop.export_dialog import ExportDialog
from workstation.desktop.model import edits, tray_edits
from workstation.desktop.model.screen import PaneName
from workstation.desktop.model.session import ReadingSession
from workstation.desktop.viewer import Viewer
from workstation.desktop.window import MainWindow

DOWN, UP, ALT = Qt.Key.Key_Down, Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier


def names(reading: ReadingSession) -> list[str]:
    return [capture.recipe.name for capture in reading.screen.captures]


def test_names_order_and_what_is_taken_anew() -> None:
    reading = session()
    reading.change(tray_edits.from_protocol, tiny_protocol().recipes)
    reading.change(edits.captured, "axial", 64)
    assert names(reading) == ["Bone", "MIP", "Axial", "Axial (2)"]
    assert [c.origin for c in reading.screen.captures] == ["protocol", "protocol", "protocol", "mine"]
    reading.change(tray_edits.moved, 3, 0)
    reading.change(tray_edits.moved, 1, 9)
    assert names(reading) == ["Axial (2)", "MIP", "Axial", "Bone"]
    reading.change(tray_edits.renamed, 1, "  Bone ")
    reading.change(tray_edits.renamed, 0, " ")
    assert names(reading) == ["Axial (2)", "Bone (2)", "Axial", "Bone"]
    # Taken anew: size, name and tick stay, the rest is as the pane is; only what a protocol made is adjusted by it.
    reading.change(edits.rotated, 30.0, 0.0)
    reading.change(edits.chosen, 3, True)
    reading.change(tray_edits.retaken, 3)
    taken = reading.screen.captures[3]
    assert (taken.origin, taken.key, taken.recipe.name, taken.recipe.rows) == ("adjusted", True, "Bone", 48)
    assert getattr(taken.recipe, "view") == reading.screen.solid.view  # noqa: B009 - of two kinds of recipe
    assert not reading.change(tray_edits.retaken, 0), "nothing has changed there"
    reading.change(moved_away, "axial", 3, 2.0)
    assert reading.change(tray_edits.retaken, 0) and reading.screen.captures[0].origin == "mine"


@pytest.mark.slow
def test_the_tray_by_keys(viewer: Viewer, window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    acts: list[tuple[str, str]] = []
    monkeypatch.setattr(
        window.desk, "note", lambda _, __, act, recipe=None: acts.append((act, recipe.name if recipe else ""))
    )
    shown: tuple[PaneName, ...] = ("solid", "axial", "coronal")
    for name in shown:
        viewer.under = name
        window.capturing.capture(1)
    window.show_panel(1)
    tray = window.tray
    assert tray is not None and window.tabs.currentWidget() is tray
    first, second, third = names(viewer.session)
    qtbot.waitUntil(lambda: all(not tray.icons[name].isNull() for name in (first, second, third)), timeout=60_000)
    tray.list.setFocus()
    qtbot.keyClick(tray.list, DOWN, ALT)
    assert names(viewer.session) == [second, first, third] and tray.list.currentRow() == 1
    tray.list.model().moveRow(QModelIndex(), 2, QModelIndex(), 0)  # as a drag does
    assert names(viewer.session) == [third, second, first]
    tray.list.setCurrentRow(0)
    qtbot.keyClick(tray.list, Qt.Key.Key_Return)
    assert [capture.key for capture in viewer.session.screen.captures] == [True, False, False]
    assert tray.list.item(0).checkState() == Qt.CheckState.Checked
    qtbot.keyClick(tray.list, Qt.Key.Key_F2)
    editor = tray.list.findChild(QLineEdit)
    assert editor is not None and window.helping.guide is None, "F2 is the name here, and not the guide"
    editor.setText("Fracture line")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: names(viewer.session)[0] == "Fracture line")
    assert window.report is not None
    assert "Fracture line" in window.report.key_pictures.text()
    qtbot.keyClick(tray.list, Qt.Key.Key_Space)
    preview = tray.preview
    assert preview is not None and preview.isVisible() and "Fracture line" in preview.said.text()
    qtbot.waitUntil(lambda: not preview.picture.label.pixmap().isNull(), timeout=60_000)
    assert not preview.pane.label.pixmap().isNull()
    qtbot.keyClick(preview, DOWN)
    assert second in preview.said.text() and tray.list.currentRow() == 1
    preview.close()
    qtbot.keyClick(tray.list, Qt.Key.Key_Delete)
    assert names(viewer.session) == ["Fracture line", first]
    # A name is another recipe, which was chosen; what is dropped is rejected, and only that.
    assert acts == [
        *(("image_selection", name) for name in (first, second, third)),
        ("image_selection", "Fracture line"),
        ("image_rejection", second),
    ]
    viewer.do(edits.rotated, 20.0, 0.0)
    tray.list.setCurrentRow(1)
    tray.retake.click()
    assert acts[5:] == [("view_adjustment", first), ("image_selection", first)]


@pytest.fixture
def signed_window(signing_root: Path, qtbot: QtBot) -> Iterator[MainWindow]:
    """A window with a study that is signed and stored."""
    from tests.workstation.desktop.test_preview import DOCTOR
    from tests.workstation.samples import SERIES_UID
    from workstation.desktop.app import make_window

    desk, opened = desk_at(signing_root)
    opened.session.change(edits.chosen, 0, True)
    desk.deliver(opened, DOCTOR)
    desk.close()
    window = make_window(signing_root)
    qtbot.addWidget(window)
    window.show()
    with qtbot.waitSignal(window.ready, timeout=60_000):
        window.open_series(SERIES_UID)
    yield window
    window.close()


def be_sure() -> None:
    """Says yes in the dialog that opens next."""

    def go() -> None:
        dialog = QApplication.activeModalWidget()
        assert isinstance(dialog, dialogs.Sure)
        dialog.accept()

    QTimer.singleShot(0, go)


def test_a_signed_study_is_read_only_until_it_is_amended(
    signed_window: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    window, bar = signed_window, signed_window.signed_bar
    assert window.opened is not None and window.viewer is not None and window.report is not None
    assert window.reader.signed and bar.isVisible() and "Signed by Sample, Radiologist" in bar.said.text()
    assert isinstance(window.tray, Tray) and window.tray.list.count() == 3 and not window.tray.remove.isEnabled()
    fields = window.report.fields
    assert fields["findings"].toPlainText() == "Fracture of the frontal bone." and fields["findings"].isReadOnly()
    window.capturing.capture(1)
    assert window.tray.list.count() == 3 and "This study is signed" in window.statusBar().currentMessage()
    sign_in(window)
    window.signing.sign_and_deliver()
    assert "This study is signed" in window.statusBar().currentMessage()
    # An addendum opens it, with the cursor on what is to be written; it cannot be signed before that is done.
    bar.buttons["addendum"].click()
    assert not window.opened.session.sealed and "Amending version 1" in bar.said.text()
    assert not fields["impression"].isReadOnly() and fields["impression"].textCursor().selectedText() == "…"
    window.signing.refresh_verdict()
    assert "Impression is not finished" in window.report.why_not.text()
    # Given up, what is signed is back.
    be_sure()
    with qtbot.waitSignal(window.ready, timeout=60_000):
        bar.buttons["give_up"].click()
    assert window.opened.session.sealed and window.report is not None
    assert "Addendum" not in window.report.fields["impression"].toPlainText()
    # A window that is locked shows nobody, not in its dialogs either.
    window.tray.show_large()
    preview = window.tray.preview
    assert preview is not None and preview.isVisible()
    window.screen_lock.lock()
    assert not preview.isVisible() and not bar.isVisible()
    # The signed report is a PDF, and its pictures are files.
    window.write_pdf(tmp_path / "report.pdf")
    asked = ExportDialog(window.opened.session.screen.captures, 1, str(tmp_path / "files"))
    qtbot.addWidget(asked)
    asked.which.setCurrentIndex(1)
    asked.accept()
    assert asked.wanted is not None and [c.recipe.name for c in asked.wanted.captures] == ["Bone"]
    assert not asked.wanted.identity and asked.wanted.formats == ("png",)
    window.write_captures(asked.wanted)
    qtbot.waitUntil(lambda: not window.works.busy, timeout=60_000)
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    assert [path.name for path in (tmp_path / "files").iterdir()] == ["01-bone.png"]
    asked.formats["png"].setChecked(False)
    asked.accept()
    assert asked.error.text() == "Choose a format."
