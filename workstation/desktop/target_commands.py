"""Target lesions by RECIST 1.1: which lesions they are, the sum of their diameters, what is said of other lesions, and
what goes into the report."""

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from PySide6.QtCore import QRegularExpression, Qt
from PySide6.QtGui import QRegularExpressionValidator
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from workstation.desktop import dialogs
from workstation.desktop.background import Works
from workstation.desktop.language import tr
from workstation.desktop.measure_marks import names_said
from workstation.desktop.model import measure_edits
from workstation.desktop.model.prior_lesions import EarlierSum, course_by, sums_before
from workstation.desktop.model.screen import Screen, Target
from workstation.desktop.model.studies import Studies
from workstation.desktop.model.target_lesions import being_measured, targets_said
from workstation.desktop.open_readings import DeskReader, OpenReading
from workstation.desktop.plain import PlainLabel
from workstation.desktop.sizes import open_with
from workstation.desktop.viewer import Viewer
from workstation.records.recist import NewLesions, NonTargets, Seen, TreatmentCourse

_NAME, _ORGAN, _NODE, _SEEN = range(4)
_COLUMNS = ("Target lesion", "Organ", "Lymph node", "Now")
SEEN_TITLES: dict[Seen, str] = {"measured": "as measured", "gone": "gone", "too small": "too small to measure"}
NON_TARGET_TITLES: dict[NonTargets, str] = {
    "": "not said",
    "none": "the patient has none",
    "gone": "all gone, lymph nodes below 10 mm",
    "present": "still there, no clear progress",
    "progress": "clear progress",
    "not all seen": "not all can be judged",
}
NEW_TITLES: dict[NewLesions, str] = {"": "not said", "none": "none", "found": "there are new lesions"}
# What there are lesions for, which can be named.
_NAMED = ("gone", "present", "progress", "not all seen", "found")
_LONGEST = 64
_Said = TypeVar("_Said", bound=str)
# A sum in mm, with a point or a comma.
_SUM = QRegularExpression(r"\d{0,4}(?:[.,]\d?)?")


class TargetCommands:
    """Asks which lesions are targets, and takes their sum into the report."""

    def __init__(
        self, studies: Studies, reader: DeskReader, works: Works, say: Callable[[str, bool], None], parent: QWidget
    ) -> None:
        self._studies, self._reader, self._works, self._say, self._parent = studies, reader, works, say, parent

    def ask(self) -> None:
        """Looks up the sums of earlier studies, and shows the lesions of the study on the screen."""
        reading, opened = self._reader.reading, self._reader.opened
        if reading is None or opened is None:
            return
        if not any(measure.kind == "lesion" for measure in reading.viewer.session.screen.measures):
            self._say(tr("Measure a lesion first."), True)
            return

        def look() -> tuple[EarlierSum, ...]:
            return sums_before(opened, self._studies.site, self._studies.identity)

        def done(sums: object) -> None:
            assert isinstance(sums, tuple)
            if self._reader.reading is reading:
                self._choose(reading, sums)

        self._works.run(lambda tell: look(), done, tr("Looking for earlier studies"))

    def _choose(self, reading: OpenReading, earlier: tuple[EarlierSum, ...]) -> None:
        viewer = reading.viewer
        dialog = TargetsDialog(viewer, self._parent, earlier)
        if not dialog.exec() or self._reader.reading is not reading:
            return
        before = words_of(viewer, viewer.session.screen)
        viewer.do(measure_edits.with_targets, dialog.targets, dialog.course)
        if dialog.taken and not viewer.session.sealed:
            reading.report.put("targets", words_of(viewer, viewer.session.screen), before)
            self._say(tr("The target lesions are in the findings."), False)


class TargetsDialog(QDialog):
    """Which lesions are targets, where, earlier sums and other lesions; below, what they say. earlier : the sums in
    records of earlier studies, oldest first. taken : for the findings as well."""

    def __init__(self, viewer: Viewer, parent: QWidget, earlier: tuple[EarlierSum, ...] = ()) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Target lesions (RECIST 1.1)"))
        self._viewer, screen = viewer, viewer.session.screen
        names = names_said(screen.measures)
        self._numbers = [n for n, measure in enumerate(screen.measures) if measure.kind == "lesion"]
        self.taken = False
        self.table = QTableWidget(len(self._numbers), len(_COLUMNS))
        self.table.setHorizontalHeaderLabels([tr(title) for title in _COLUMNS])
        self.table.setAccessibleName(tr("Target lesions (RECIST 1.1)"))
        self.table.verticalHeader().hide()
        self.table.setTabKeyNavigation(False)
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.table.horizontalHeader().setSectionResizeMode(_ORGAN, QHeaderView.ResizeMode.Stretch)
        for row, number in enumerate(self._numbers):
            target = screen.measures[number].target
            named, organ, node = QTableWidgetItem(names[number]), QTableWidgetItem(), QTableWidgetItem()
            for item, ticked in ((named, target is not None), (node, target is not None and target.lymph_node)):
                item.setFlags((item.flags() | Qt.ItemFlag.ItemIsUserCheckable) & ~Qt.ItemFlag.ItemIsEditable)
                item.setCheckState(Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked)
            organ.setText(target.organ if target is not None else "")
            seen = self._choice(SEEN_TITLES, target.seen if target is not None else "measured")
            seen.setAccessibleName(f"{names[number]}: {tr('Now')}")
            for column, cell in ((_NAME, named), (_ORGAN, organ), (_NODE, node)):
                self.table.setItem(row, column, cell)
            self.table.setCellWidget(row, _SEEN, seen)
        course = screen.course
        self.baseline, self.nadir = self._sum_field(course.baseline_mm), self._sum_field(course.nadir_mm)
        self.non_targets = self._choice(NON_TARGET_TITLES, course.non_targets)
        self.new_lesions = self._choice(NEW_TITLES, course.new_lesions)
        self.non_targets_named = self._words_field(course.non_targets_named)
        self.new_lesions_named = self._words_field(course.new_lesions_named)
        self.said = PlainLabel()
        self.said.setWordWrap(True)
        self.take = QPushButton(tr("Keep, and into the findings"))
        self.take.clicked.connect(self._take)
        form, last, layout = QFormLayout(), QHBoxLayout(), QVBoxLayout(self)
        if earlier:
            form.addRow(tr("By earlier records"), self._earlier_row(earlier))
        form.addRow(tr("Sum at baseline, mm"), self.baseline)
        form.addRow(tr("Least sum since treatment began, mm"), self.nadir)
        for title, choice, which in (
            (tr("Lesions that are no targets"), self.non_targets, self.non_targets_named),
            (tr("New lesions"), self.new_lesions, self.new_lesions_named),
        ):
            choice.setAccessibleName(title)
            which.setAccessibleName(f"{title}: {tr('which')}")
            line = QHBoxLayout()
            line.addWidget(choice)
            line.addWidget(which, 1)
            form.addRow(title, line)
        last.addWidget(self.take)
        last.addWidget(dialogs.buttons(self, tr("Keep")))
        layout.addWidget(self.table)
        layout.addLayout(form)
        layout.addWidget(self.said)
        layout.addLayout(last)
        self.table.itemChanged.connect(self._show)
        viewer.drawer.filled.connect(self._show)  # a lesion may still be measured
        self.finished.connect(lambda: viewer.drawer.filled.disconnect(self._show))
        open_with(self, 760, 640)
        self._show()

    @property
    def targets(self) -> dict[int, Target | None]:
        """Which lesions are targets, by the number of the measure."""
        found: dict[int, Target | None] = {}
        for row, number in enumerate(self._numbers):
            named, organ, node = (self.table.item(row, column) for column in (_NAME, _ORGAN, _NODE))
            seen = self.table.cellWidget(row, _SEEN)
            assert named is not None and organ is not None and node is not None and isinstance(seen, QComboBox)
            is_target, is_node = (item.checkState() == Qt.CheckState.Checked for item in (named, node))
            words = organ.text().strip()[:_LONGEST]
            found[number] = Target(words, is_node, seen.currentData()) if is_target else None
        return found

    @property
    def course(self) -> TreatmentCourse:
        """What is said beside the targets."""
        return TreatmentCourse(
            _millimetres(self.baseline.text()),
            _millimetres(self.nadir.text()),
            non_targets := self.non_targets.currentData(),
            self.non_targets_named.text().strip() if non_targets in _NAMED else "",
            new_lesions := self.new_lesions.currentData(),
            self.new_lesions_named.text().strip() if new_lesions in _NAMED else "",
        )

    def _choice(self, titles: Mapping[_Said, str], now: _Said) -> QComboBox:
        choice = QComboBox()
        for value, title in titles.items():
            choice.addItem(tr(title), value)
        choice.setCurrentIndex(choice.findData(now))
        choice.currentIndexChanged.connect(self._show)
        return choice

    def _words_field(self, words: str) -> QLineEdit:
        field = QLineEdit(words)
        field.setPlaceholderText(tr("which"))
        field.setMaxLength(_LONGEST)
        field.textChanged.connect(self._show)
        return field

    def _earlier_row(self, earlier: tuple[EarlierSum, ...]) -> QHBoxLayout:
        """Says the sums of earlier studies; its button takes baseline and least sum from them."""
        sums = PlainLabel(", ".join(f"{one.date} {one.sum_mm:.1f} mm" for one in earlier))
        sums.setWordWrap(True)
        self.by_records, course, line = QPushButton(tr("Take them")), course_by(earlier), QHBoxLayout()
        self.by_records.setToolTip(tr("Baseline and least sum by the records of earlier studies"))

        def take() -> None:
            for field, value in ((self.baseline, course.baseline_mm), (self.nadir, course.nadir_mm)):
                field.setText("" if value is None else f"{value:.1f}")

        self.by_records.clicked.connect(take)
        line.addWidget(sums, 1)
        line.addWidget(self.by_records)
        return line

    def _sum_field(self, value: float | None) -> QLineEdit:
        field = QLineEdit("" if value is None else f"{value:.1f}")
        field.setPlaceholderText(tr("not known"))
        field.setValidator(QRegularExpressionValidator(_SUM, field))
        field.textChanged.connect(self._show)
        return field

    def _show(self) -> None:
        screen = measure_edits.with_targets(self._viewer.session.screen, self.targets, self.course)
        self.non_targets_named.setVisible(self.non_targets.currentData() in _NAMED)
        self.new_lesions_named.setVisible(self.new_lesions.currentData() in _NAMED)
        self.said.setText("\n".join(words_of(self._viewer, screen)))
        self.take.setEnabled(not being_measured(screen, self._viewer.measuring))

    def _take(self) -> None:
        self.taken = True
        self.accept()


def words_of(viewer: Viewer, screen: Screen) -> tuple[str, ...]:
    """Returns what the target lesions of a screen say, line by line in the language of the window."""
    return targets_said(screen, viewer.measuring, names_said(screen.measures), tr)


def _millimetres(text: str) -> float | None:
    plain = text.strip().replace(",", ".")
    return float(plain) if re.fullmatch(r"\d+\.?\d?", plain) else None
