"""How a lesion was earlier: by the record of the prior study, or measured at its place in what is compared."""

import io
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from dicom_io.sr.evidence_sr import read_sr, write_sr
from dicom_io.uids import derived
from render import View, Volume
from render.geometry import Vector
from render.mask_steps import StepError
from tests.conformance.objects import STAMP
from tests.dicom_io.sr.test_evidence_sr import as_file, simple, source
from tests.dicom_io.synthetic import grid, write_series
from tests.workstation.desktop.test_preview import DOCTOR, WRITTEN
from tests.workstation.samples import ticking
from workstation.desktop import dialogs
from workstation.desktop.app import make_window
from workstation.desktop.measures_panel import Measures
from workstation.desktop.model import edits, measure_edits
from workstation.desktop.model.desk import ReadingDesk
from workstation.desktop.model.measuring import Measuring, recorded, restored
from workstation.desktop.model.prior_lesions import EarlierSum, course_by, measured_beside, recorded_before, sums_before
from workstation.desktop.model.screen import Compared, Measure, PriorLesion, Target
from workstation.desktop.model.signed import measures_of
from workstation.desktop.model.target_lesions import course_of, targets_recorded
from workstation.desktop.target_commands import TargetsDialog
from workstation.desktop.viewer import Viewer
from workstation.desktop.window import MainWindow
from workstation.people import people_of
from workstation.records.measurements import again
from workstation.records.plain_words import measurement as measurement_in_words
from workstation.records.recist import TreatmentCourse
from workstation.site import open_site

NOW, BEFORE = derived("now"), derived("before")
SHAPE, SPACING = (44, 56, 52), (1.0, 1.0, 1.0)
CENTRE: Vector = (24.0, 26.0, 22.0)
SHIFT: Vector = (4.0, -3.0, 2.0)  # the patient lay otherwise earlier
GROWN = 100.0 * (9.0 / 6.0 - 1.0)


def lesion(half_mm: Vector, centre: Vector) -> np.ndarray:
    """A ball of 80 HU in −100 HU: half axes along x, y and z."""
    k, j, i = np.meshgrid(*(np.arange(n, dtype=float) for n in SHAPE), indexing="ij")
    away = np.sqrt(sum(((at - c) / h) ** 2 for at, c, h in zip((i, j, k), centre, half_mm, strict=True)))
    inside = np.clip((1.0 - away) * min(half_mm) + 0.5, 0.0, 1.0)
    noise = np.random.default_rng(7).normal(0.0, 6.0, SHAPE)
    return np.asarray(np.round(-100.0 + 180.0 * inside + noise), dtype=np.int16)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of today with a lesion of 18 x 12 mm, and one of a year ago, signed: 12 x 8 mm, and elsewhere."""
    folder = tmp_path_factory.mktemp("patient")
    site = open_site(folder / "root")
    moved = (CENTRE[0] + SHIFT[0], CENTRE[1] + SHIFT[1], CENTRE[2] + SHIFT[2])
    of_series = {
        "now": ("20260302", "A-2", lesion((9.0, 6.0, 6.0), CENTRE)),
        "before": ("20250301", "A-1", lesion((6.0, 4.0, 4.0), moved)),
    }
    for name, (day, accession, voxels) in of_series.items():

        def change(ds: Dataset, _: int, day: str = day, accession: str = accession) -> None:
            ds.StudyDate, ds.AccessionNumber, ds.BodyPartExamined = day, accession, "CHEST"

        write_series(
            folder / name, voxels, grid(spacing_mm=SPACING, origin_mm=(0.0, 0.0, 0.0)), series=name, change=change
        )
        site.archive.import_files(folder / name)
    people_of(site.root).add(DOCTOR, "correct horse")
    site.papers.engine.dispose()
    desk = ReadingDesk(open_site(site.root, clock=ticking()))
    opened = desk.studies.open(BEFORE, None)
    opened.session.change(measure_edits.measured, Measure("lesion", (moved,), View(), name="Target 1"))
    opened.session.change(measure_edits.with_targets, {0: Target("liver")}, TreatmentCourse(baseline_mm=20.0))
    opened.session.change(edits.captured, "axial", 64)
    opened.session.write(**WRITTEN)
    desk.note(opened, DOCTOR, "opened")
    desk.deliver(opened, DOCTOR)
    desk.close()
    return site.root


@pytest.fixture
def root(filled: Path, tmp_path: Path) -> Path:
    return shutil.copytree(filled, tmp_path / "root")


@pytest.fixture
def desk(root: Path) -> Iterator[ReadingDesk]:
    made = ReadingDesk(open_site(root))
    yield made
    made.close()


def priors_of(desk: ReadingDesk, uid: str = NOW) -> tuple[PriorLesion, ...]:
    return recorded_before(desk.studies.open(uid, None), desk.site, desk.studies.identity)


def test_somebody_else_under_the_same_number_has_no_priors_here(desk: ReadingDesk) -> None:
    opened = desk.studies.open(NOW, None)
    other = replace(opened.identity, birth_date="1999-09-09")
    assert recorded_before(opened, desk.site, lambda uid: other) == ()


def test_the_record_of_the_prior_study_has_its_lesions(desk: ReadingDesk) -> None:
    (prior,) = priors_of(desk)
    assert (prior.name, prior.date) == ("Target 1", "2025-03-01")
    assert prior.long_axis_mm == pytest.approx(12.0, abs=0.6)
    assert priors_of(desk, BEFORE) == ()  # what came later is no prior


def test_baseline_and_least_sum_are_told_by_earlier_records(desk: ReadingDesk) -> None:
    opened = desk.studies.open(NOW, None)
    (told,) = sums_before(opened, desk.site, desk.studies.identity)
    assert told.date == "2025-03-01" and told.course == TreatmentCourse(baseline_mm=20.0)
    assert told.sum_mm == pytest.approx(12.0, abs=0.6)
    assert course_by((told,)) == TreatmentCourse(20.0, told.sum_mm)
    assert sums_before(desk.studies.open(BEFORE, None), desk.site, desk.studies.identity) == ()
    other = replace(opened.identity, birth_date="1999-09-09")
    assert sums_before(opened, desk.site, lambda uid: other) == ()


def test_the_oldest_sum_is_the_baseline_where_none_was_said() -> None:
    def sums(*said: tuple[float, float | None, float | None]) -> TreatmentCourse:
        told = (TreatmentCourse(baseline, least) for _, baseline, least in said)
        return course_by(tuple(EarlierSum(f"2025-0{n}-01", said[n][0], course) for n, course in enumerate(told)))

    assert sums() == TreatmentCourse()
    assert sums((60.0, None, None)) == TreatmentCourse(60.0, 60.0)
    assert sums((60.0, None, None), (40.0, None, None), (50.0, None, None)) == TreatmentCourse(60.0, 40.0)
    assert sums((60.0, 90.0, 30.0), (40.0, None, None)) == TreatmentCourse(90.0, 30.0)
    assert sums((40.0, 90.0, None), (60.0, 80.0, None)) == TreatmentCourse(80.0, 40.0)  # as the newer reader says


def test_at_its_place_in_what_is_compared_it_is_measured(desk: ReadingDesk) -> None:
    other = desk.studies.volume((BEFORE, None, False))
    found = measured_beside(CENTRE, Compared(BEFORE, offset_mm=SHIFT), other, "2025-03-01")
    assert found.long_axis_mm == pytest.approx(12.0, abs=0.6) and not found.name
    with pytest.raises(StepError):
        measured_beside((6.0, 6.0, 6.0), Compared(BEFORE, offset_mm=SHIFT), other, "2025-03-01")


def test_the_change_is_in_words_and_in_the_record(desk: ReadingDesk) -> None:
    volume: Volume = desk.studies.volume((NOW, None, False))
    (prior,) = priors_of(desk)
    measure, measuring = Measure("lesion", (CENTRE,), View(), prior=prior), Measuring(volume)
    measuring.fill(measure)
    before, _, change = measuring.said_of(measure).split("\n")[-1].partition(": ")
    assert before == f"before {prior.long_axis_mm:.1f} mm (2025-03-01)"
    assert float(change.removesuffix(" %")) == pytest.approx(GROWN, abs=8.0)
    (kept,) = recorded((measure,), volume)
    numbers = {quantity.name: quantity.value for quantity in kept.quantities}
    assert numbers["prior_long_axis"] == pytest.approx(prior.long_axis_mm, abs=1e-3)
    now = numbers["long_axis"]
    assert numbers["long_axis_change"] == pytest.approx(100.0 * (now / prior.long_axis_mm - 1.0), abs=0.05)
    sr = write_sr(replace(simple(), measurements=(kept,)), source(), STAMP)
    (read,) = read_sr(dcmread(io.BytesIO(as_file(sr)))).measurements
    assert read == kept and again(read, volume) == read
    (back,) = restored((read,))
    assert back.prior is not None and back.prior.name == "Target 1" and back.prior.date == "2025-03-01"
    assert replace(measure, prior=None).found_by == measure.found_by  # nothing is sought again for it


def test_target_lesions_are_summed_in_the_record_and_come_back_from_it(desk: ReadingDesk) -> None:
    volume: Volume = desk.studies.volume((NOW, None, False))
    (prior,) = priors_of(desk)
    assert prior.short_axis_mm == pytest.approx(8.0, abs=0.8)
    gone = Measure("lesion", ((6.0, 6.0, 6.0),), View(), target=Target("lung", seen="gone"))
    measured = Measure("lesion", (CENTRE,), View(), prior=prior, target=Target("liver"))
    opened = desk.studies.open(NOW, None)
    course = TreatmentCourse(100.0, 18.0, new_lesions="found", new_lesions_named="liver, segment 6")
    screen = replace(opened.session.screen, measures=(gone, measured), course=course)
    taken = recorded(screen.measures, volume)
    (kept,) = targets_recorded(screen, taken, volume)
    numbers = {quantity.name: quantity.value for quantity in kept.quantities}
    # The longest diameter in the plane of the scan, in tenths; what is gone counts as nothing.
    assert numbers["target_sum"] == round(taken[0].quantities[2].value, 1)
    assert numbers["nadir_target_sum"] == 18.0 and "prior_target_sum" not in numbers  # of one of two
    assert kept.responses == ("target PR", "overall PD")
    sr = write_sr(replace(simple(), measurements=(*taken, kept)), source(), STAMP)
    read = read_sr(dcmread(io.BytesIO(as_file(sr)))).measurements
    assert read == (*taken, kept) and again(read[1], volume) == read[1]
    assert "sum of diameters" in measurement_in_words(read[1])
    first, second = measures_of(read)
    assert first.target == Target("liver") and first.prior is not None and first.prior.date == "2025-03-01"
    assert second.target == gone.target and second.points_mm == gone.points_mm and not second.name
    assert course_of(read) == screen.course
    node = replace(measured, target=Target("", lymph_node=True))
    (kept,) = targets_recorded(replace(screen, measures=(node,)), recorded((node,), volume), volume)
    sizes = {quantity.name: quantity.value for quantity in taken[0].quantities}
    assert kept.quantities[0].value == round(sizes["short_axis"], 1)
    assert targets_recorded(replace(screen, measures=(replace(gone, target=Target()),)), (), volume) == ()


def reading_today(root: Path, qtbot: QtBot) -> tuple[MainWindow, Viewer, Measures]:
    """The study of today in a window, its panes, and the list of measures."""
    window: MainWindow = make_window(root)
    qtbot.addWidget(window)
    with qtbot.waitSignal(window.ready, timeout=60_000):
        window.open_series(NOW)
    viewer, panel = window.viewer, window.tabs.findChild(Measures)
    assert viewer is not None and isinstance(panel, Measures)
    return window, viewer, panel


def test_targets_are_chosen_and_their_sum_is_said(root: Path, qtbot: QtBot) -> None:
    window, viewer, panel = reading_today(root, qtbot)
    assert panel.targets.isHidden()
    viewer.do(measure_edits.measured, Measure("lesion", (CENTRE,), View()))
    qtbot.waitUntil(lambda: viewer.measuring.found(viewer.session.screen.measures[0]) is not None, timeout=60_000)
    heard: list[str] = []

    def choose() -> None:
        dialog = QApplication.activeModalWidget()
        if not isinstance(dialog, TargetsDialog):
            QTimer.singleShot(20, choose)
            return
        heard.append(dialog.said.text())
        named, organ = dialog.table.item(0, 0), dialog.table.item(0, 1)
        assert named is not None and organ is not None
        named.setCheckState(Qt.CheckState.Checked)
        organ.setText("liver")
        dialog.by_records.click()
        assert (dialog.baseline.text(), dialog.nadir.text()[:3]) == ("20.0", "12.")
        dialog.baseline.clear()
        dialog.nadir.clear()
        qtbot.keyClicks(dialog.baseline, "40,0")
        qtbot.keyClicks(dialog.nadir, "x9.5")  # letters are no number
        heard.append(dialog.said.text())
        assert not dialog.new_lesions_named.isVisible()
        dialog.new_lesions.setCurrentIndex(dialog.new_lesions.findData("found"))
        assert dialog.new_lesions_named.isVisible()
        qtbot.keyClicks(dialog.new_lesions_named, "segment 6")
        dialog.non_targets_named.setText("of a choice that was taken back")
        dialog.take.click()

    QTimer.singleShot(0, choose)
    panel.targets.click()
    qtbot.waitUntil(lambda: bool(viewer.session.screen.course.new_lesions), timeout=60_000)
    assert "No lesion is a target." in heard[0] and "(liver): longest diameter" in heard[1]
    measure = viewer.session.screen.measures[0]
    assert measure.target == Target("liver") and viewer.session.screen.course == TreatmentCourse(
        40.0, 9.5, new_lesions="found", new_lesions_named="segment 6"
    )
    assert "progressive disease (PD)" in panel.targets_said.text()
    report = window.reader.report
    assert report is not None and "Baseline 40.0 mm" in report.fields["findings"].toPlainText()
    assert "New lesions (segment 6): found" in report.fields["findings"].toPlainText()
    report.fields["findings"].appendPlainText("Nothing else.")

    def change() -> None:
        dialog = QApplication.activeModalWidget()
        if not isinstance(dialog, TargetsDialog):
            QTimer.singleShot(20, change)
            return
        dialog.baseline.clear()
        qtbot.keyClicks(dialog.baseline, "50")
        dialog.take.click()

    QTimer.singleShot(0, change)
    panel.targets.click()
    qtbot.waitUntil(lambda: viewer.session.screen.course.baseline_mm == 50.0, timeout=60_000)
    found = report.fields["findings"].toPlainText()
    assert "Baseline 50.0 mm" in found and "Baseline 40.0 mm" not in found and found.endswith("Nothing else.")
    viewer.undo()
    viewer.undo()
    assert viewer.session.screen.measures[0].target is None and panel.targets_said.isHidden()
    window.close()


def test_a_target_that_is_still_being_measured_is_waited_for(
    root: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, fill = Event(), Measuring.fill

    def slowly(self: Measuring, measure: Measure) -> None:
        go_on.wait(60)
        fill(self, measure)

    monkeypatch.setattr(Measuring, "fill", slowly)
    window, viewer, panel = reading_today(root, qtbot)
    viewer.do(measure_edits.measured, Measure("lesion", (CENTRE,), View(), target=Target("liver")))
    dialog = TargetsDialog(viewer, window)
    assert dialog.said.text() == panel.targets_said.text() == "measuring …" and not dialog.take.isEnabled()
    go_on.set()
    qtbot.waitUntil(dialog.take.isEnabled, timeout=60_000)
    assert "(liver): longest diameter" in dialog.said.text()
    assert panel.targets_said.text().startswith("Sum of diameters of 1 target lesion")
    dialog.reject()


def test_it_is_chosen_beside_the_list(root: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def ask(title: str, names: list[str], *_: object) -> int:
        asked.append(list(names))
        return 0

    monkeypatch.setattr(dialogs.Choose, "ask", staticmethod(ask))
    _, viewer, panel = reading_today(root, qtbot)
    viewer.do(measure_edits.measured, Measure("lesion", (CENTRE,), View()))
    viewer.select(0)
    assert panel.prior.isEnabled()
    panel.prior.click()
    qtbot.waitUntil(lambda: viewer.session.screen.measures[0].prior is not None, timeout=60_000)
    assert asked and "Target 1" in asked[0][0] and asked[0][-1] == "No earlier one"
    qtbot.waitUntil(lambda: viewer.measuring.found(viewer.session.screen.measures[0]) is not None, timeout=60_000)
    assert "before 1" in viewer.said_of(viewer.session.screen.measures[0])
    viewer.undo()
    assert viewer.session.screen.measures[0].prior is None


def test_an_earlier_diameter_is_one() -> None:
    with pytest.raises(ValueError, match="is none"):
        PriorLesion(0.0, "2025-03-01")
