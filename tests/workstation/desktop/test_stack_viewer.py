"""A series that makes no volume is read in 2D."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from PySide6.QtCore import QPointF, Qt
from pytestqt.qtbot import QtBot

from dicom_io.files.series import open_series
from dicom_io.sr.evidence_sr import COMPREHENSIVE_3D_SR, read_sr
from dicom_io.sr.key_objects import key_images
from dicom_io.volumes import SeriesImage, stack_of
from render import load_protocol
from tests.conformance.validators import dciodvfy
from tests.dicom_io.real import real_set
from tests.dicom_io.synthetic import MR, grid, ramp, write_series
from tests.workstation.desktop.conftest import DOCTOR, PASSWORD
from tests.workstation.desktop.gestures import drag
from tests.workstation.samples import tiny_protocol
from workstation.case import Case
from workstation.desktop import dialogs
from workstation.desktop.app import make_window
from workstation.desktop.model import edits
from workstation.desktop.model.desk import ReadingDesk
from workstation.desktop.model.identity import SeriesIdentity
from workstation.desktop.model.keyed import keep_key_images
from workstation.desktop.model.offers import VolumeOffer
from workstation.desktop.model.reading2d import Images, length_words, spacing_of
from workstation.desktop.model.signing import PROTOCOL
from workstation.desktop.stack_viewer import StackViewer
from workstation.desktop.theme import COLOURS, style_sheet
from workstation.people import people_of
from workstation.records.remake import remake
from workstation.site import open_site


def unplaced(ds: Dataset, k: int) -> None:
    ds.WindowCenter, ds.WindowWidth = "40", "80"
    del ds.ImagePositionPatient
    if k == 1:
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
        ds.PixelData = bytes(range(int(ds.Rows) * int(ds.Columns) * 3))


@pytest.fixture
def viewer(tmp_path: Path, qtbot: QtBot) -> StackViewer:
    images = stack_of(write_series(tmp_path, ramp((3, 4, 6)), grid(), change=unplaced)).images
    made = StackViewer(Images(images, "No place.", "Title"))
    qtbot.addWidget(made)
    made.show()
    return made


def test_arrows_do_the_same_wherever_the_focus_is(viewer: StackViewer, qtbot: QtBot) -> None:
    assert viewer.focusWidget() is viewer.picture
    for widget in (viewer.picture, viewer.slider, viewer.measure, viewer.play):
        widget.setFocus()
        viewer.show_image(0)
        qtbot.keyClick(widget, Qt.Key.Key_Down)
        assert viewer.number == 1, widget
        qtbot.keyClick(widget, Qt.Key.Key_Up)
        assert viewer.number == 0, widget


def test_keys_and_slider_go_through_the_images(viewer: StackViewer, qtbot: QtBot) -> None:
    assert viewer.number == 1 and viewer.below.text() == "2 / 3"
    np.testing.assert_array_equal(viewer.pixels, np.arange(72).reshape(4, 6, 3))  # in colour
    qtbot.keyClick(viewer, Qt.Key.Key_Down)
    qtbot.keyClick(viewer, Qt.Key.Key_Down)  # stops at the end
    assert viewer.number == 2 == viewer.slider.value() and viewer.pixels.ndim == 2
    viewer.slider.setValue(0)
    assert viewer.number == 0 and viewer.below.text() == "1 / 3"


def test_a_drag_changes_the_window(viewer: StackViewer, qtbot: QtBot) -> None:
    viewer.show_image(0)
    assert viewer.window_values == (40.0, 80.0)
    before = viewer.pixels
    start = viewer.picture.rect().center()
    drag(qtbot, viewer.picture, (start.x(), start.y()), (start.x() + 150, start.y() - 30))
    centre, width = viewer.window_values
    assert centre > 40.0 and width > 80.0 and (viewer.pixels != before).any()


def test_a_distance_in_millimetres_of_its_image_alone(viewer: StackViewer, qtbot: QtBot) -> None:
    viewer.show_image(0)
    viewer.measure.click()
    canvas = viewer.picture
    a, b = canvas.on_widget(0.0, 1.0).toPoint(), canvas.on_widget(2.0, 4.0).toPoint()
    drag(qtbot, canvas, (a.x(), a.y()), (b.x(), b.y()))
    (row_a, column_a, row_b, column_b) = viewer.distances[0][0]
    assert (row_b - row_a, column_b - column_a) == pytest.approx((2.0, 3.0), abs=0.05)
    ((line, said),) = canvas.lines
    spacing = spacing_of(viewer.images.images[0])
    assert spacing is not None
    assert float(said.removesuffix(" mm")) == pytest.approx(
        np.hypot((line[2] - line[0]) * spacing[0], (line[3] - line[1]) * spacing[1]), abs=0.06
    )
    viewer.show_image(2)
    assert canvas.lines == ()
    viewer.show_image(0)
    viewer.clear.click()
    assert canvas.lines == () and viewer.window_values == (40.0, 80.0)
    assert length_words((0.0, 0.0, 3.0, 4.0), None) == "5.0 px"


def test_it_says_whose_image_it_is_and_the_value_under_the_mouse(viewer: StackViewer) -> None:
    viewer.images = replace(viewer.images, identity=SeriesIdentity("Meier, Anna", "7", "1960-01-01", "F"))
    viewer.show_image(0)
    canvas = viewer.picture
    canvas.hovered.emit(canvas.on_widget(1.0, 2.0))
    assert canvas.corners[0] == ("Meier, Anna", "7", "1960-01-01  F")
    values = viewer.images.images[0].values()
    assert canvas.corners[2] == (f"{float(values[1, 2]):.4g}",)
    canvas.hovered.emit(QPointF(-50.0, -50.0))
    assert not canvas.corners[2]


def test_cine_goes_round(viewer: StackViewer, qtbot: QtBot) -> None:
    seen: set[int] = set()
    viewer.slider.valueChanged.connect(seen.add)
    viewer.play.click()
    qtbot.waitUntil(lambda: seen == {0, 1, 2})
    viewer.play.click()


def test_the_work_list_opens_what_makes_no_volume(tmp_path: Path, qtbot: QtBot) -> None:
    series = write_series(tmp_path / "sent", ramp((3, 4, 6)), grid(), change=unplaced)
    open_site(tmp_path / "root").archive.import_files(tmp_path / "sent")
    window = make_window(tmp_path / "root")
    qtbot.addWidget(window)
    window.open_series(series.uid)
    qtbot.waitUntil(lambda: window.stack_viewer is not None, timeout=60_000)
    assert window.stack_viewer is not None and len(window.stack_viewer.images.images) == 3
    assert window.stack_viewer.why.text() and window.viewer is None
    window.reader.person = DOCTOR
    window.screen_lock.lock()
    assert not window.stack_viewer.isVisible()  # nobody reads on behind a locked screen
    window.close()


@pytest.fixture
def gapped(tmp_path: Path) -> tuple[Path, str]:
    """A state folder with a series that lacks its fourth image; and its UID."""
    series = write_series(tmp_path / "sent", ramp((9, 4, 6)), grid(), change=brain)
    (tmp_path / "sent" / "0003.dcm").unlink()
    site = open_site(tmp_path / "root")
    site.archive.import_files(tmp_path / "sent")
    site.papers.engine.dispose()
    return site.root, series.uid


def brain(ds: Dataset, _: int) -> None:
    ds.BodyPartExamined, ds.SeriesDescription = "BRAIN", "Thin"


def test_gaps_are_bridged_by_a_button(gapped: tuple[Path, str], qtbot: QtBot) -> None:
    root, uid = gapped
    window = make_window(root)
    qtbot.addWidget(window)
    window.open_series(uid)
    qtbot.waitUntil(lambda: window.stack_viewer is not None, timeout=60_000)
    assert window.stack_viewer is not None and "gap of" in window.stack_viewer.why.text()
    (button,) = window.stack_viewer.offers
    assert button.text() == "Bridge gaps"
    with qtbot.waitSignal(window.ready, timeout=60_000):
        button.click()
    assert not window.stack_viewer.isVisible() and window.opened is not None
    assert window.opened.key == (uid, None, True) and window.opened.session.volume.shape == (9, 4, 6)
    assert window.viewer is not None and window.viewer.identity.series == "Gaps bridged: Thin"
    assert "gaps were bridged" in window.statusBar().currentMessage()
    there = window.viewer
    window.show_browser()
    qtbot.waitUntil(lambda: window.browser.series(uid) is not None, timeout=60_000)
    listed = window.browser.series(uid)
    assert listed is not None
    window.open_browsed(listed)
    assert window.viewer is there  # as it is open, not in 2D
    window.viewer.do(edits.rotated, 5.0, 0.0)
    left = window.viewer.session.screen
    window.close_study()
    with qtbot.waitSignal(window.ready, timeout=60_000):
        window.open_series(uid)  # goes on where it was left, and not in 2D
    assert window.viewer is not None and window.viewer.session.screen == left
    window.close()


def test_a_bridged_volume_and_a_chosen_region_are_recorded(gapped: tuple[Path, str]) -> None:
    """As `workstation run --bridge-gaps --region CHEST` records them, also where the program ended in between."""
    root, uid = gapped
    people_of(root).add(DOCTOR, PASSWORD)
    desk = ReadingDesk(open_site(root))
    opened = desk.studies.open(uid, bridged=True)
    opened.session.change(edits.collected, tiny_protocol().recipes[:1])
    opened.session.write(indication="Fall.", impression="None.", region="CHEST")
    signing = desk.sign(opened, DOCTOR)
    desk.close()
    desk = ReadingDesk(open_site(root))
    assert desk.unfinished() == (signing,)
    desk.finish(signing)
    (sr,) = desk.site.archive.instances_of(COMPREHENSIVE_3D_SR)
    evidence = read_sr(dcmread(sr.path))
    as_run = Case(uid, load_protocol("ct_chest"), bridge_gaps=True)
    assert evidence.session_uid == replace(as_run, protocol=replace(as_run.protocol, name=PROTOCOL)).session_uid
    (product,) = evidence.products
    assert product.region == "CHEST" and any("gaps were bridged" in warning for warning in product.warnings)
    (again,) = remake(evidence, desk.site.archive)
    assert again.same
    assert [row.reading for row in desk.studies.rows()] == ["signed"]
    back = desk.studies.open(uid, bridged=True)
    assert back.signed is not None and back.session.sealed and back.session.draft.region == "CHEST"
    (root / "signed").rename(root / "gone")  # then the record says it
    assert desk.studies.open(uid, bridged=True).session.draft.region == "CHEST"
    desk.close()


def test_a_phase_is_taken_by_a_button(tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    def timed(ds: Dataset, k: int) -> None:
        ds.TemporalPositionIdentifier = k // 4 + 1
        ds.ImagePositionPatient = [*ds.ImagePositionPatient[:2], 35.0 + 2.0 * (k % 4)]

    series = write_series(tmp_path / "sent", ramp((8, 4, 6)), grid(), sop_class=MR, change=timed)
    open_site(tmp_path / "root").archive.import_files(tmp_path / "sent")
    window = make_window(tmp_path / "root")
    qtbot.addWidget(window)
    asked: list[list[str]] = []

    def last(_: str, names: list[str], parent: object) -> int:
        asked.append(names)
        return len(names) - 1

    monkeypatch.setattr(dialogs.Choose, "ask", last)
    window.open_series(series.uid)
    qtbot.waitUntil(lambda: window.stack_viewer is not None, timeout=60_000)
    assert window.stack_viewer is not None and len(window.stack_viewer.images.images) == 8
    assert asked[0][-1] == "All images, in 2D" and len(asked[0]) == 3
    assert window.stack_viewer.why.text() == "This series holds 2 volumes."
    first, second = window.stack_viewer.offers
    assert first.text() == f"Take {asked[0][0]}"
    with qtbot.waitSignal(window.ready, timeout=60_000):
        second.click()
    assert window.opened is not None and window.opened.key == (series.uid, 1, False)
    assert float(window.opened.session.volume.voxels.min()) == 4 * 4 * 6
    window.close()


def test_many_volumes_are_a_menu(tmp_path: Path, qtbot: QtBot) -> None:
    images = stack_of(write_series(tmp_path, ramp((3, 4, 6)), grid(), change=unplaced)).images
    offers = tuple(VolumeOffer(f"phase {n}", n, n == 3) for n in range(4))
    shown = StackViewer(Images(images, "Four.", "Title", offers=offers))
    qtbot.addWidget(shown)
    (button,) = shown.offers
    actions = button.menu().actions()
    assert [action.text() for action in actions] == ["phase 0", "phase 1", "phase 2", "phase 3, gaps bridged"]
    with qtbot.waitSignal(shown.wanted) as wanted:
        actions[3].trigger()
    assert wanted.args == [images[0].instance.series_uid, offers[3]]


def test_key_images_of_a_series_without_a_volume_are_stored_and_sent(tmp_path: Path, qtbot: QtBot) -> None:
    """By key and button; the same choice again is the same object, which validators accept and PACS receive."""
    folder = tmp_path / "in"
    write_series(folder, ramp((3, 4, 6)), grid(), change=unplaced)
    site = open_site(tmp_path / "root")
    site.archive.import_files(folder)
    (series,) = site.archive.all_series()
    kept: list[str] = []

    def keep(chosen: Sequence[SeriesImage]) -> tuple[bool, str]:
        kept.append(keep_key_images(chosen, DOCTOR, site))
        return True, "stored"

    viewer = StackViewer(Images(stack_of(series).images, "No place.", "Title"), None, keep)
    qtbot.addWidget(viewer)
    viewer.show()
    assert not viewer.store.isEnabled()
    viewer.show_image(0)
    qtbot.keyClick(viewer.picture, Qt.Key.Key_K)
    viewer.show_image(2)
    qtbot.mouseClick(viewer.key, Qt.MouseButton.LeftButton)
    viewer.show_image(1)
    assert viewer.marked == {0, 2} and not viewer.key.isChecked()
    assert viewer.store.text() == "Store key images (2)" and viewer.store.toolTip() == "Images 1, 3"
    qtbot.mouseClick(viewer.store, Qt.MouseButton.LeftButton)
    assert viewer.why.text() == "stored" and not viewer.store.isEnabled() and len(kept) == 1
    qtbot.keyClick(viewer.picture, Qt.Key.Key_K)
    assert viewer.store.isEnabled()  # another choice
    qtbot.keyClick(viewer.picture, Qt.Key.Key_K)
    assert not viewer.store.isEnabled()
    later = replace(site, clock=lambda: site.clock() + timedelta(minutes=1))
    assert keep_key_images([viewer.images.images[n] for n in (2, 0)], DOCTOR, later) == kept[0]
    stored = dcmread(site.archive.instance(kept[0]).path)
    chosen = [viewer.images.images[n].instance.sop_instance_uid for n in (0, 2)]
    assert list(key_images(stored)) == chosen
    assert dciodvfy(Path(site.archive.instance(kept[0]).path)) == []
    assert [e.message.identity for e in site.outbox.list()] == [f"{kept[0]}.dcm"]
    site.papers.engine.dispose()
    with pytest.raises(ValueError, match="No image is marked"):
        keep_key_images((), DOCTOR, site)


def test_key_images_that_are_not_stored_are_not_lost_by_one_key(viewer: StackViewer, qtbot: QtBot) -> None:
    viewer.play.click()
    qtbot.keyClick(viewer.picture, Qt.Key.Key_K)
    qtbot.keyClick(viewer, Qt.Key.Key_Escape)
    assert viewer.isVisible() and "not stored" in viewer.why.text()
    viewer._take(VolumeOffer("phase 1", 1, False))  # has been told already
    assert not viewer.isVisible() and not viewer.play.isChecked()


def test_what_is_pressed_looks_pressed(viewer: StackViewer, qtbot: QtBot) -> None:
    for theme in COLOURS:
        viewer.setStyleSheet(style_sheet(theme))
        for button in (viewer.measure, viewer.key):
            button.setFocus()
            before = button.grab().toImage()
            button.click()
            pressed = button.grab().toImage()
            button.click()
            assert before == button.grab().toImage() != pressed, (theme, button.text())


def test_a_lock_hides_every_series_in_2d_and_gives_it_back(tmp_path: Path, qtbot: QtBot) -> None:
    images = stack_of(write_series(tmp_path / "sent", ramp((3, 4, 6)), grid(), change=unplaced)).images
    window = make_window(tmp_path / "root")
    qtbot.addWidget(window)
    window.show()
    for title in ("first", "second"):
        window._show_images(Images(images, "No place.", title))
    for shown in (both := window.findChildren(StackViewer)):
        qtbot.keyClick(shown.picture, Qt.Key.Key_K)
    both[1].close()
    both[1].close()
    window._show_images(Images(images, "No place.", "third"))
    window.reader.person = DOCTOR
    window.screen_lock.lock()
    assert not any(each.isVisible() for each in window.findChildren(StackViewer))
    window.screen_lock.uncover()
    assert [each.isVisible() for each in window.findChildren(StackViewer)] == [True, False, True]
    assert both[0].marked == {1} and both[0].why.text() == "No place."
    window.close()


def test_key_frames_of_a_multiframe_image_are_named(tmp_path: Path) -> None:
    series = open_series(real_set("us_enhanced_volume_phantom"))[0]
    images = stack_of(series).images
    site = open_site(tmp_path / "root")
    site.archive.import_files(Path(series.first.path).parent)
    stored = dcmread(site.archive.instance(keep_key_images([images[4], images[1]], DOCTOR, site)).path)
    (item,) = [each for each in stored.ContentSequence if each.ValueType == "IMAGE"]
    assert list(item.ReferencedSOPSequence[0].ReferencedFrameNumber) == [2, 5]
    site.papers.engine.dispose()
