"""The desktop driven as by hands: mouse and keys in a window, and what comes of them in the model and on the disk."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from PySide6.QtCore import QPoint, QPointF, Qt, QTimer
from PySide6.QtGui import QFontMetrics, QWheelEvent
from PySide6.QtWidgets import QApplication, QDialog, QLabel, QLineEdit
from pytestqt.qtbot import QtBot

from dicom_io.sr.evidence_sr import COMPREHENSIVE_3D_SR, read_sr
from dicom_io.sr.report_sr import BASIC_TEXT_SR
from render import View, load_protocol
from render.mask_steps import Values
from tests.workstation.desktop.conftest import DOCTOR, PASSWORD, SAMPLE, TECHNOLOGIST
from tests.workstation.desktop.gestures import drag, move
from workstation.desktop import dialogs
from workstation.desktop.app import make_window, start
from workstation.desktop.captures_panel import Tray
from workstation.desktop.labels import wrapped
from workstation.desktop.model import edits, measure_edits, segment_edits
from workstation.desktop.model.screen import Measure, Target
from workstation.desktop.panels import CropBox
from workstation.desktop.report_panel import TEMPLATES
from workstation.desktop.sign_dialog import Sign
from workstation.desktop.study_list import StudyList
from workstation.desktop.transfer_editor import TransferEditor
from workstation.desktop.viewer import Viewer
from workstation.desktop.window import MainWindow
from workstation.records.remake import remake
from workstation.site import open_site

Settled = Callable[[Viewer], None]


def fill_in(kind: type[QDialog], password: str, button: str = "accept") -> None:
    """Types a password into the next dialog of that kind and accepts it; to be called before it opens."""

    def act() -> None:
        dialog = QApplication.activeModalWidget()
        if not isinstance(dialog, kind):
            QTimer.singleShot(20, act)
            return
        field = dialog.findChild(QLineEdit)
        assert field is not None
        field.setText(password)
        getattr(dialog, button)()

    QTimer.singleShot(0, act)


def sign_in(window: MainWindow, who: int = 0) -> None:
    def act() -> None:
        dialog = QApplication.activeModalWidget()
        if not isinstance(dialog, dialogs.SignIn):
            QTimer.singleShot(20, act)
            return
        dialog.who.setCurrentIndex(who)
        dialog.password.setText(PASSWORD)
        dialog.accept()

    QTimer.singleShot(0, act)
    window.sign_in_or_lock()


def test_only_a_physician_signs_and_the_panel_says_what_is_missing(
    viewer: Viewer, window: MainWindow, qtbot: QtBot
) -> None:
    def verdict() -> Any:
        window.signing.refresh_verdict()
        qtbot.waitUntil(lambda: not window.signing.judging)
        return window.signing.charge.verdict

    assert window.report is not None
    assert verdict().headline == "Nothing to charge yet."
    assert "Nobody is signed in" in window.report.why_not.text()
    sign_in(window, 1)
    assert window.reader.person == TECHNOLOGIST
    viewer.capture()
    verdict()
    assert "Only a physician can sign" in window.report.why_not.text() and not window.report.sign.isEnabled()
    sign_in(window, 0)
    assert window.reader.person == DOCTOR
    viewer.under = "solid"
    viewer.capture()
    window.capturing.capture(1)
    missing = {each.report_field for each in verdict().missing}
    assert {"findings", "workstation", "necessity", "utility", "concurrent"} <= missing
    window.signing.charge.fill.emit("utility")
    assert window.tabs.currentWidget() is window.report
    for name, text in (
        ("indication", "Fall."),
        ("findings", "Fracture of the frontal bone."),
        ("impression", "Fracture."),
        ("workstation", "Made on an independent workstation."),
        ("necessity", "Planning of the repair."),
        ("utility", "Shows the fragments in relation."),
    ):
        window.report.fields[name].setPlainText(text)
    window.report.concurrent.setCurrentIndex(1)
    window.report.concurrent.activated.emit(1)
    window.report.required.setCurrentIndex(1)
    window.report.required.activated.emit(1)
    assert verdict().headline.startswith("Will be charged when signed: 76377")
    assert window.report.sign.isEnabled() and not window.report.why_not.text()
    # A place that a template left open is not signed: the button goes there.
    window.report.fields["impression"].setPlainText("Stenosis of … %.")
    verdict()
    assert "Impression is not finished" in window.report.why_not.text()
    window.report.sign.click()
    assert "Impression is not finished" in window.statusBar().currentMessage()
    edit = window.report.fields["impression"]
    assert edit.textCursor().selectedText() == "…" and window.tabs.currentWidget() is window.report
    edit.setPlainText("Fracture, displaced by 3 mm.")
    # The dialog shows all of it before it asks for the secret.
    gone = Measure("lesion", (viewer.session.screen.cursor_mm,), View(), target=Target("brain", seen="gone"))
    viewer.do(measure_edits.measured, gone)
    seen: list[str] = []

    def look() -> None:
        dialog = QApplication.activeModalWidget()
        assert isinstance(dialog, Sign)
        seen.extend(label.text() for label in dialog.findChildren(QLabel))
        bar = dialog.page.verticalScrollBar()
        qtbot.keyClick(dialog.password, Qt.Key.Key_PageDown)
        assert bar.maximum() == 0 or bar.value() > 0, "it scrolls while the secret has the focus"
        seen.extend(dialog.pictures.item(n).text() for n in range(dialog.pictures.count()))
        dialog.reject()

    QTimer.singleShot(0, look)
    window.report.sign.click()
    text = "\n".join(seen)
    for words in (
        "CRANIUM, SAMPLE", "SAMPLE-CRANIUM", "DEMO-0001", "Fracture, displaced by 3 mm.", "Planning of the repair.",
        "Will be charged when signed: 76377", viewer.session.screen.captures[1].recipe.name,
        "I supervised the work while it was done: yes",
        "Target lesions: lesion 1 (brain): gone, counted as 0 mm, Sum of diameters of 1 target lesion: 0.0 mm",
    ):  # fmt: skip
        assert words in text, words


def test_signing_stores_what_was_on_screen_and_charges(
    viewer: Viewer, window: MainWindow, root: Path, qtbot: QtBot, settled: Settled
) -> None:
    sign_in(window)
    drag(qtbot, viewer.panes["solid"], (200, 200), (230, 200))
    for name in ("solid", "axial"):
        viewer.under = name
        window.menus.actions["capture"].trigger()
    window.tabs.setCurrentIndex(1)
    tray = window.tabs.currentWidget()
    assert isinstance(tray, Tray)
    tray.list.item(0).setCheckState(Qt.CheckState.Checked)
    assert [capture.key for capture in viewer.session.screen.captures] == [True, False]
    assert window.report is not None
    assert viewer.session.screen.captures[0].recipe.name in window.report.key_pictures.text()
    recipes = [capture.recipe for capture in viewer.session.screen.captures]
    plane, view = viewer.panes["axial"].plane, viewer.session.screen.axial.view
    assert plane is not None
    for measure in (
        Measure("distance", (plane.at(100, 100), plane.at(150, 220)), view),
        Measure("ellipse", (plane.at(180, 120), plane.at(240, 200)), view),
        Measure("volume", (viewer.session.screen.cursor_mm,), view, -60.0, 80.0),
    ):
        viewer.do(measure_edits.measured, measure)
    measured = viewer.session.screen.measures
    said = [viewer.said_of(measure) for measure in measured]
    assert window.report is not None
    for name in window.report.fields:
        window.report.fields[name].setPlainText(f"Text of the {name}.")
    for box in (window.report.concurrent, window.report.required):
        box.setCurrentIndex(1)
        box.activated.emit(1)
    window.signing.refresh_verdict()
    fill_in(Sign, PASSWORD)
    window.report.sign.click()
    qtbot.waitUntil(lambda: "Signed and delivered" in window.statusBar().currentMessage(), timeout=120_000)
    qtbot.waitUntil(lambda: "Delivered" in window.signing.charge.headline.text())
    assert window.signing.charge.verdict is not None
    assert window.signing.charge.verdict.headline == "Delivered: charged 76377-26 beside 70450"

    site = open_site(root)
    try:
        (sr,) = site.archive.instances_of(COMPREHENSIVE_3D_SR)
        again = list(remake_of(site, sr.path))
        assert [r.picture.recipe for r in again] == recipes
        assert all(r.picture.digest == r.product.pixel_digest for r in again)
        (report,) = site.archive.instances_of(BASIC_TEXT_SR)
        assert report.accession == "DEMO-0001"
        assert [ruling.state for ruling in site.casebook.newest()] == ["charged"]
        evidence = read_sr(dcmread(sr.path))
        kept = evidence.measurements
        done = [(act.person_id, act.kind) for act in evidence.acts if act.kind != "recorded"]
        assert done[:3] == [("DR1", "opened"), ("DR1", "view_adjustment"), ("DR1", "image_selection")]
        last = ["approval", "opened", "protocol_run", "attested_and_signed"]
        assert done[-4:] == [("DR1", kind) for kind in last]
        chosen = [act.detail for act in evidence.acts if act.kind == "image_selection"]
        assert [detail.split()[-1] for detail in chosen] == [p.recipe_digest for p in evidence.products]
        assert [m.kind for m in kept] == ["distance", "ellipse", "volume"]
        assert f"{kept[0].quantities[0].value:.1f} mm" == said[0]
    finally:
        site.papers.engine.dispose()

    # What was measured comes back from the record.
    window.back_to_list()
    with qtbot.waitSignal(window.ready, timeout=60_000):
        window.open_series(window.desk.studies.rows()[0].series_uid)
    assert window.viewer is not None
    back = window.viewer.session.screen.measures
    assert [m.kind for m in back] == ["distance", "ellipse", "volume"]
    assert [window.viewer.said_of(m) for m in back[:2]] == said[:2]


def remake_of(site: Any, path: str) -> Any:
    return remake(read_sr(dcmread(path)), site.archive)


def test_a_session_goes_on_where_it_was_left(
    viewer: Viewer, window: MainWindow, root: Path, qtbot: QtBot, settled: Settled
) -> None:
    drag(qtbot, viewer.panes["solid"], (200, 200), (240, 200))
    left = viewer.session.screen
    window.back_to_list()
    window.worklist.refresh()
    assert "in work" in [row.reading for row in window.desk.studies.rows()]
    with qtbot.waitSignal(window.ready, timeout=60_000):
        window.open_series(window.desk.studies.rows()[0].series_uid)
    assert window.viewer is not None and window.viewer.session.screen == left
    assert "goes on where it was left" in window.statusBar().currentMessage()


def test_the_transfer_function_and_the_crop_by_hand(
    viewer: Viewer, window: MainWindow, qtbot: QtBot, settled: Settled
) -> None:
    before = viewer.session.screen
    editor, crop = window.findChild(TransferEditor), window.findChild(CropBox)
    assert editor is not None and crop is not None
    editor.resize(300, 160)
    place = editor.place(1).toPoint()
    qtbot.mousePress(editor, Qt.MouseButton.LeftButton, pos=place)
    move(editor, place + QPoint(12, -20))
    qtbot.mouseRelease(editor, Qt.MouseButton.LeftButton, pos=place + QPoint(12, -20))
    points = viewer.session.screen.solid.transfer.points
    assert points[1].value > before.solid.transfer.points[1].value
    assert points[1].opacity > before.solid.transfer.points[1].opacity
    qtbot.mouseClick(editor, Qt.MouseButton.RightButton, pos=editor.place(1).toPoint())
    assert len(viewer.session.screen.solid.transfer.points) == len(points) - 1
    crop.sliders[5].setValue(100)  # the upper half of the head away
    box = viewer.session.screen.solid.crop
    assert box is not None and box.upper_mm[2] == pytest.approx(viewer.session.volume.centre_mm[2], abs=2.0)
    crop.sliders[4].setValue(150)  # beyond the upper end: it stays where it was
    assert viewer.session.screen.solid.crop == box and crop.sliders[4].value() == 0
    crop.sliders[5].setValue(200)
    assert viewer.session.screen.solid.crop is None
    while viewer.session.undo():
        pass
    assert viewer.session.screen == before
    viewer.refresh()
    settled(viewer)


def test_a_protocol_fills_the_tray(viewer: Viewer, window: MainWindow, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: bool(window.menus.protocols.actions()), timeout=60_000)
    action = next(a for a in window.menus.protocols.actions() if "trauma" in a.text().lower())
    action.trigger()
    recipes = load_protocol("ct_head_trauma").recipes
    assert [capture.recipe for capture in viewer.session.screen.captures] == list(recipes)
    action.trigger()
    assert viewer.session.screen.captures[-1].recipe.name == f"{recipes[-1].name} (2)"


def test_locked_nothing_of_a_patient_is_seen(viewer: Viewer, window: MainWindow, qtbot: QtBot) -> None:
    sign_in(window)
    assert window.screen_lock.idle.isActive()
    window.screen_lock.idle.timeout.emit()  # nobody has touched anything for so long
    assert window.reader.person is None
    assert not viewer.isVisible() and not window.dock.isVisible() and not window.menus.bar.isEnabled()
    before = viewer.session.screen
    viewer.under = "solid"
    for key in (Qt.Key.Key_C, Qt.Key.Key_X, Qt.Key.Key_Space):
        qtbot.keyClick(window, key)  # nobody works behind the cover
    assert viewer.session.screen == before
    assert window.screen_lock.way_back.isVisible()  # for who has no key at hand
    sign_in(window, 1)
    assert window.reader.person == TECHNOLOGIST and viewer.isVisible() and window.dock.isVisible()
    assert not window.screen_lock.way_back.isVisible() and window.menus.actions["capture"].isEnabled()


def test_wrong_passwords_sign_nobody_in(window: MainWindow, qtbot: QtBot) -> None:
    dialog = dialogs.SignIn(window.desk.people, window)
    qtbot.addWidget(dialog)
    dialog.password.setText("wrong horse")
    dialog.accept()
    assert dialog.person is None and "ID or password is wrong" in dialog.error.text()
    assert dialog.password.text() == ""


def test_who_signed_in_and_looked_stands_in_the_audit_trail(root: Path, qtbot: QtBot) -> None:
    (root / "config.toml").write_text('[audit]\nfile = "audit.log"\n')
    window = make_window(root)
    qtbot.addWidget(window)
    window.show()
    sign_in(window)
    with qtbot.waitSignal(window.ready, timeout=60_000):
        window.open_series(window.desk.studies.rows()[0].series_uid)
    window.screen_lock.lock()
    window.close()
    said = [line for line in (root / "audit.log").read_text().splitlines() if "DR1" in line]
    assert [code in line for code, line in zip(("110122", "110103", "110123"), said, strict=True)] == [True] * 3
    assert 'Number="DEMO-0001"' in said[1] and 'EventActionCode="R"' in said[1]


def test_the_work_list_finds_and_takes_in(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    model = window.worklist.table.model()
    assert model.rowCount() == 1
    qtbot.keyClicks(window.worklist.search, "no such patient")
    assert model.rowCount() == 0
    window.worklist.search.setText("demo-0001")
    assert model.rowCount() == 1
    window.worklist.search.setText("to read")
    assert model.rowCount() == 1
    for box, right, wrong in ((window.worklist.reading, "to read", "signed"), (window.worklist.charge, "none", "held")):
        for name, count in ((wrong, 0), (right, 1)):
            box.setCurrentIndex(box.findData(name))
            box.activated.emit(box.currentIndex())
            assert model.rowCount() == count, name
    window.taking_in.paths([str(tmp_path / "nothing")])
    qtbot.waitUntil(lambda: "no DICOM file" in window.statusBar().currentMessage(), timeout=60_000)


def test_the_work_list_shows_what_arrives_by_itself(window: MainWindow, root: Path, qtbot: QtBot) -> None:
    model = window.worklist.table.model()
    assert model.rowCount() == 1
    other = open_site(root)
    for file in sorted((SAMPLE / "ct_head").glob("*.dcm"))[:2]:
        ds = dcmread(file)
        ds.SeriesInstanceUID, ds.SOPInstanceUID = "1.2.3", f"1.2.3.{ds.InstanceNumber}"
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        other.archive.keep([ds])
    other.papers.engine.dispose()
    qtbot.waitUntil(lambda: model.rowCount() == 2, timeout=60_000)


def test_help_shows_every_key(window: MainWindow, qtbot: QtBot) -> None:
    page = dialogs.Help(window.keys, window)
    qtbot.addWidget(page)
    text = page.page.toPlainText()
    for key in window.keys.keys.values():
        assert key in text
    assert "Not cleared for diagnosis" in text


def test_qt_gives_back_what_it_borrows(window: MainWindow) -> None:
    """PySide6 6.12.0 with Python 3.11 took a reference to None away with each call that returns nothing: an hour of
    work, and the process died."""
    before = sys.getrefcount(None)
    for _ in range(1000):
        window.update()
    assert sys.getrefcount(None) > before - 500


def test_the_guide_ticks_what_was_done(viewer: Viewer, window: MainWindow, qtbot: QtBot) -> None:
    window.helping.show_guide()
    assert window.helping.guide is not None
    assert window.helping.guide.done == (False, True, *[False] * 8)
    drag(qtbot, viewer.panes["solid"], (200, 200), (230, 200))
    viewer.do(edits.thickened, "axial", 10.0)
    window.helping.guide.refresh()
    assert window.helping.guide.done[2] and window.helping.guide.done[4]
    viewer.undo()
    window.helping.guide.refresh()
    assert window.helping.guide.done[4]  # done once is done
    assert window.helping.guide.lines[4].text().startswith("✓")


def test_a_demonstration_takes_its_folder_in_and_shows_the_guide(tmp_path: Path, qapp: QApplication) -> None:
    def end() -> None:
        (window,) = (w for w in qapp.topLevelWidgets() if isinstance(w, MainWindow) and w.isVisible())
        if window.worklist.table.model().rowCount() == 0:
            QTimer.singleShot(50, end)
            return
        assert window.helping.guide is not None
        window.close()

    QTimer.singleShot(0, end)
    assert start(tmp_path / "root", demo=SAMPLE / "ct_head") == 0


def test_return_opens_the_chosen_series_from_the_list_itself(window: MainWindow, qtbot: QtBot) -> None:
    """Lists keep their keys from shortcuts, so a shortcut of the list would never be reached."""
    table = window.worklist.table
    qtbot.mouseClick(
        table.viewport(), Qt.MouseButton.LeftButton, pos=table.visualRect(table.model().index(0, 0)).center()
    )
    with qtbot.waitSignal(window.worklist.opened, timeout=5_000):
        qtbot.keyClick(table, Qt.Key.Key_Return)
    with qtbot.waitSignal(window.ready, timeout=60_000):
        pass
    least, scaled = window.minimumSizeHint(), (960, 540)  # of 1920 x 1080 where all is drawn twice as large
    assert least.width() <= scaled[0] and least.height() <= scaled[1]


@pytest.mark.parametrize("width", [80, 4000])
def test_a_long_message_keeps_to_its_pane(width: int, qapp: QApplication) -> None:
    metrics, said = QFontMetrics(qapp.font()), "Click a path with the path tool, in any plane."
    lines = wrapped(said, metrics, width)
    assert " ".join(lines) == said and (len(lines) > 1) == (width < 1000)
    assert all(metrics.horizontalAdvance(line) <= width for line in lines)


@pytest.mark.slow
def test_another_template_takes_the_place_of_the_first_and_of_no_written_word(viewer: Viewer) -> None:
    """Keys go through the list of templates one by one, and each is filled in on the way."""
    window = viewer.window()
    assert isinstance(window, MainWindow) and window.report is not None
    report = window.report
    report.fields["findings"].setPlainText("Seen by me.")
    for use in ("oncology", "orthopaedics"):
        report.use.setCurrentIndex(report.use.findData(use))
        report.use.activated.emit(report.use.currentIndex())
    assert report.fields["indication"].toPlainText() == TEMPLATES["orthopaedics"]["indication"]
    assert report.fields["findings"].toPlainText() == "Seen by me."


def test_the_work_list_puts_numbers_in_their_order_and_keeps_what_is_chosen(window: MainWindow, qtbot: QtBot) -> None:
    (row,) = window.desk.studies.rows()
    rows = tuple(
        replace(row, series_uid=f"1.2.{n}", instances=n, description=word)
        for n, word in ((9, "Thorax"), (164, "abdomen"), (20, "Caput"))
    )
    shown = StudyList(lambda: rows, lambda: 0, lambda: window.desk.site.clock().date())
    qtbot.addWidget(shown)
    shown.show()
    model = shown.table.model()
    qtbot.waitUntil(lambda: model.rowCount() == 3, timeout=10_000)

    def column(number: int) -> list[str]:
        return [model.index(n, number).data() for n in range(model.rowCount())]

    assert shown.select("1.2.20")
    shown.table.sortByColumn(6, Qt.SortOrder.DescendingOrder)
    assert column(6) == ["164", "20", "9"] and shown.table.currentIndex().row() == 1
    shown.table.sortByColumn(5, Qt.SortOrder.AscendingOrder)
    assert column(5) == ["abdomen", "Caput", "Thorax"] and shown.table.currentIndex().row() == 1
    shown.search.setText("CAPUT")
    assert column(6) == ["20"]
    assert shown.chosen_series() == "1.2.20"
    shown.search.setText("thorax")
    assert column(6) == ["9"] and shown.chosen_series() == ""
    shown.search.setText("caput")
    with qtbot.waitSignal(shown.opened) as opened:
        qtbot.keyClick(shown.search, Qt.Key.Key_Return)
    assert opened.args == ["1.2.20"]
    shown.stop()


def test_a_series_of_no_known_region_is_not_signed(viewer: Viewer) -> None:
    """Its pictures and charge have a region; what was signed without one could never be stored."""
    window = viewer.window()
    assert isinstance(window, MainWindow) and window.opened is not None
    viewer.capture()
    viewer.session.write(indication="Fracture", impression="None.")
    assert window.desk.obstacle(window.opened, DOCTOR) is None
    instances = tuple(replace(each, body_part="AORTA") for each in window.opened.series.instances)
    series = replace(window.opened.series, instances=instances)
    found = window.desk.obstacle(replace(window.opened, series=series), DOCTOR)
    assert found is not None and "AORTA" in str(found)
    without = replace(window.opened, series=series)
    assert window.desk.region_unless_chosen(without) == "" and window.desk.region_unless_chosen(window.opened) == "HEAD"
    (missing,) = window.desk.verdict(without, DOCTOR).missing
    assert window.report is not None and missing.report_field == "region"
    window.report.allow_signing(found)
    assert window.report.sign.isEnabled()  # the button leads to the field
    window.tabs.setCurrentWidget(window.report)
    window.report.go_to(found)
    assert window.report.region.hasFocus()
    box = window.report.region
    box.setCurrentIndex(box.findData("CHEST"))
    box.activated.emit(box.currentIndex())
    assert viewer.session.draft.region == "CHEST" and window.desk.obstacle(without, DOCTOR) is None
    assert window.desk.region(without) == "CHEST"
    turn = QWheelEvent(
        QPointF(9, 9), box.mapToGlobal(QPointF(9, 9)), QPoint(), QPoint(0, -120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(box, turn)
    assert viewer.session.draft.region == "CHEST"  # who scrolls the report changes no charge


def test_a_study_opened_again_has_its_measures_and_segments_without_an_edit(viewer: Viewer, qtbot: QtBot) -> None:
    screen = viewer.session.screen
    viewer.do(measure_edits.measured, Measure("volume", (screen.cursor_mm,), screen.axial.view, -100.0, 300.0))
    viewer.do(segment_edits.marked, Values(700.0, 3000.0, 7), "Bone")
    buttons = {"middle": "pan", "right": "zoom"}
    again = Viewer(viewer.session, buttons, viewer.looks, viewer.identity)
    qtbot.addWidget(again)
    (measure,) = again.session.screen.measures
    qtbot.waitUntil(lambda: again.measuring.found(measure) is not None, timeout=60_000)
    qtbot.waitUntil(lambda: again.masks.millilitres(again.session.screen, 7) is not None, timeout=60_000)
    again.close_session()


def test_what_the_first_study_needs_is_loaded_once_the_window_is_there(window: MainWindow, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: window.desk.warming.ident is not None, timeout=60_000)
    window.desk.warming.join(60.0)
    assert not window.desk.warming.is_alive()
