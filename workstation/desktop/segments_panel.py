"""Segments: the list of what was marked, and the tools that find, mark and change them."""

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QAbstractItemView,
    QColorDialog,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QSlider,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from render.mask_steps import Automatic, KeptParts, MaskStep, Shaped, StepError, Structure, Values
from render.progress import Progress
from workstation.desktop.images import swatch
from workstation.desktop.language import tr
from workstation.desktop.model import segment_edits
from workstation.desktop.model.looks import unit_words
from workstation.desktop.model.screen import ScreenSegment
from workstation.desktop.model.surfaces import ENDINGS, save_surfaces
from workstation.desktop.plain import PlainLabel
from workstation.desktop.viewer import Viewer

_PARTS = "parts"
_NAME, _ML, _PLANES, _SOLID = range(4)
STRUCTURES: dict[Structure, str] = {
    "bone": "Bone",
    "lungs": "Lungs",
    "airways": "Airways",
    "vessels": "Vessels",
    "brain": "Brain",
    "body": "Body without table",
}
CHANGES: dict[str, str] = {
    "largest": "Largest part alone",
    "fill": "Fill holes",
    "smooth": "Smooth",
    "close": "Close gaps",
    "open": "Take off thin parts",
    "grow": "Grow",
    "shrink": "Shrink",
}


class SegmentsPanel(QWidget):
    """The segments, one a row, and their tools. A row's ticks say where it is shown."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._shown: tuple[object, ...] = ()
        self.table = QTableWidget(0, 4)
        self.table.setHorizontalHeaderLabels([tr("Segment"), tr("ml"), tr("2D"), tr("3D")])
        self.table.setAccessibleName(tr("Segments"))
        self.table.verticalHeader().hide()
        self.table.setTabKeyNavigation(False)  # Tab goes on to the buttons; arrows go through the cells
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(_NAME, QHeaderView.ResizeMode.Stretch)
        for column in (_ML, _PLANES, _SOLID):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self.table.itemChanged.connect(self._edited)
        self.table.itemSelectionChanged.connect(self._chosen)
        self.new, self.colour, self.remove, self.save = (
            QPushButton(tr("New")),
            QPushButton(tr("Colour …")),
            QPushButton(tr("Remove")),
            QPushButton(tr("Save surfaces …")),
        )
        self.colour.setToolTip(tr("The colour of the selected segment"))
        self.remove.setToolTip(tr("Removes the selected segment, and what marked it"))
        self.save.setToolTip(tr("All segments that mark something, as a file for printing or planning"))
        self.new.clicked.connect(viewer.new_segment)
        self.colour.clicked.connect(self._recolour)
        self.remove.clicked.connect(self._remove)
        self.save.clicked.connect(self._save)
        self.opacity, self.around = _slider(tr("Opacity in 3D")), _slider(tr("All else in 3D"))
        self.opacity.valueChanged.connect(self._fade)
        self.around.valueChanged.connect(lambda value: self._slide(segment_edits.seen_through, value / 100.0))
        for slider in (self.opacity, self.around):
            slider.sliderPressed.connect(lambda: viewer.session.begin())
            slider.sliderReleased.connect(self._slid)
        self.structure, self.find_it = QComboBox(), QPushButton(tr("Find"))
        self.structure.setAccessibleName(tr("Find"))
        for structure, title in STRUCTURES.items():
            self.structure.addItem(tr(title), structure)
        self.structure.addItem(tr("Bones in parts"), _PARTS)
        self.find_it.clicked.connect(self._find)
        self.change, self.radius, self.apply = (
            QComboBox(),
            _number(tr("Radius"), 0.5, 30.0, " mm"),
            QPushButton(tr("Do")),
        )
        self.change.setAccessibleName(tr("Change"))
        self.apply.setToolTip(tr("Changes the selected segment"))
        for name, title in CHANGES.items():
            self.change.addItem(tr(title), name)
        self.radius.setValue(2.0)
        self.apply.clicked.connect(self._change)
        unit = f" {unit_words(viewer.session.volume.unit)}".rstrip()
        low, high = viewer.session.volume.ends  # of all voxels: the brightest may be few, as calcium and metal are
        self.low, self.high = _number(tr("From"), low, high, unit), _number(tr("To"), low, high, unit)
        window = viewer.session.screen.window
        self.low.setValue(window.centre)
        self.high.setValue(high)
        self.values = QPushButton(tr("Mark"))
        self.values.clicked.connect(self._mark_values)
        self.brush, self.range = (
            _number(tr("Brush radius"), 0.5, 60.0, " mm"),
            _number(tr("Grow within ±"), 1.0, max(high - low, 1.0), unit),
        )
        self.brush.setValue(viewer.brush_mm)
        self.range.setValue(viewer.grow_range)
        self.brush.valueChanged.connect(self._set_brush)
        self.range.valueChanged.connect(self._set_range)
        for box in (self.structure, self.change):
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.setMinimumContentsLength(8)  # long names do not widen the panels
        self._lay_out()
        viewer.changed.connect(self.refresh)
        self.refresh()

    def _lay_out(self) -> None:
        layout, buttons, form = QVBoxLayout(self), QGridLayout(), QFormLayout()
        for number, button in enumerate((self.new, self.colour, self.remove, self.save)):
            buttons.addWidget(button, number // 2, number % 2)
        layout.addWidget(self.table, 1)
        layout.addLayout(buttons)
        form.addRow(tr("Opacity in 3D"), self.opacity)
        form.addRow(tr("All else in 3D"), self.around)
        form.addRow(tr("Find"), _row(self.structure, self.find_it))
        form.addRow(tr("Values"), _row(self.low, self.high, self.values))
        form.addRow(tr("Change"), _row(self.change, self.radius, self.apply))
        form.addRow(tr("Brush radius"), self.brush)
        form.addRow(tr("Grow within ±"), self.range)
        layout.addLayout(form)
        hint = PlainLabel(tr("Brush: drag in a plane, with Shift it erases. Grow: click into what is to be marked."))
        hint.setWordWrap(True)
        layout.addWidget(hint)

    def refresh(self) -> None:
        viewer = self._viewer
        segments = viewer.session.screen.segments
        shown = tuple((segment, viewer.masks.millilitres(viewer.session.screen, segment.label)) for segment in segments)
        self.table.blockSignals(True)
        if shown != self._shown:
            self._shown = shown
            self.table.setRowCount(len(shown))
            for row, (segment, millilitres) in enumerate(shown):
                self._fill_row(row, segment, "" if millilitres is None else f"{millilitres:.1f}")
        row = next((n for n, each in enumerate(segments) if each.label == viewer.active), -1)
        if row != self.table.currentRow():
            self.table.selectRow(row) if row >= 0 else self.table.clearSelection()
        self.table.blockSignals(False)
        chosen = self._segment()
        for widget in (self.colour, self.remove, self.opacity, self.apply):
            widget.setEnabled(chosen is not None)
        self.save.setEnabled(bool(segments))
        solid = viewer.session.screen.solid
        for slider, value in ((self.opacity, chosen.opacity if chosen else 1.0), (self.around, solid.around)):
            slider.blockSignals(True)
            slider.setValue(round(100 * value))
            slider.blockSignals(False)

    def _fill_row(self, row: int, segment: ScreenSegment, millilitres: str) -> None:
        name, ml = QTableWidgetItem(segment.name), QTableWidgetItem(millilitres)
        name.setIcon(swatch(QColor(segment.colour)))
        ml.setFlags(ml.flags() & ~Qt.ItemFlag.ItemIsEditable)
        ml.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.table.setItem(row, _NAME, name)
        self.table.setItem(row, _ML, ml)
        for column, on in ((_PLANES, segment.in_planes), (_SOLID, segment.in_3d)):
            tick = QTableWidgetItem()
            tick.setFlags(Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
            tick.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
            self.table.setItem(row, column, tick)

    def _segment(self) -> ScreenSegment | None:
        return segment_edits.segment_of(self._viewer.session.screen, self._viewer.active)

    def _chosen(self) -> None:
        row, segments = self.table.currentRow(), self._viewer.session.screen.segments
        if 0 <= row < len(segments):
            self._viewer.active = segments[row].label
            self.refresh()

    def _edited(self, item: QTableWidgetItem) -> None:
        segment = self._viewer.session.screen.segments[item.row()]
        if item.column() == _NAME and item.text().strip():
            fields: dict[str, object] = {"name": item.text().strip()[:64]}
        elif item.column() in (_PLANES, _SOLID):
            on = item.checkState() == Qt.CheckState.Checked
            fields = {"in_planes" if item.column() == _PLANES else "in_3d": on}
        else:
            return
        self._viewer.do(lambda screen: segment_edits.segment_changed(screen, segment.label, **fields))

    def _recolour(self) -> None:
        segment = self._segment()
        if segment is None:
            return
        chosen = QColorDialog.getColor(QColor(segment.colour), self, tr("Colour of the segment"))
        if chosen.isValid():
            self._viewer.do(lambda screen: segment_edits.segment_changed(screen, segment.label, colour=chosen.name()))

    def _remove(self) -> None:
        self._viewer.do(segment_edits.segment_removed, self._viewer.active)

    def _fade(self, value: int) -> None:
        label = self._viewer.active
        self._slide(lambda screen, part: segment_edits.segment_changed(screen, label, opacity=part), value / 100.0)

    def _slide(self, edit: object, part: float) -> None:
        assert callable(edit)
        self._viewer.do(edit, part, moving=self.opacity.isSliderDown() or self.around.isSliderDown())

    def _slid(self) -> None:
        self._viewer.session.end()
        self._viewer.refresh()

    def _find(self) -> None:
        if self.structure.currentData() == _PARTS:
            self._viewer.finding.part_bones()
            return
        structure: Structure = self.structure.currentData()
        self._propose(lambda label: Automatic(structure, label), tr(STRUCTURES[structure]))

    def _mark_values(self) -> None:
        low, high = sorted((self.low.value(), self.high.value()))
        self._propose(lambda label: Values(low, high, label), f"{low:g} … {high:g}")

    def _propose(self, step: Callable[[int], MaskStep], name: str) -> None:
        """Tries a step that marks a new segment, with the next label."""
        try:
            label = segment_edits.free_label(self._viewer.session.screen)
        except StepError as error:
            self._viewer.say(str(error))
        else:
            self._viewer.finding.propose(step(label), name)

    def _change(self) -> None:
        segment = self._segment()
        if segment is None:
            return
        name, label = self.change.currentData(), segment.label
        step: MaskStep = (
            KeptParts(label, 1, 0.0, label) if name == "largest" else Shaped(name, self.radius.value(), label, label)
        )
        self._viewer.finding.propose(step, segment.name)

    def _set_brush(self, value: float) -> None:
        self._viewer.brush_mm = value

    def _set_range(self, value: float) -> None:
        self._viewer.grow_range = value

    def _save(self) -> None:
        """Saves the segments as surfaces, for printing or planning, in a file of the chosen kind."""
        file, _ = QFileDialog.getSaveFileName(self, tr("Save surfaces"), "segments.stl", ENDINGS)
        if not file:
            return
        volume, screen = self._viewer.session.volume, self._viewer.session.screen

        def work(tell: Progress) -> object:
            return save_surfaces(volume, screen, Path(file), tell)

        self._viewer.finding.beside(work, lambda said: self._viewer.say(str(said)), tr("Making surfaces"))


def _number(name: str, low: float, high: float, unit: str) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setRange(low, high)
    box.setDecimals(1)
    box.setSuffix(unit)
    box.setAccessibleName(name)
    box.setMinimumWidth(84)
    return box


def _slider(name: str) -> QSlider:
    slider = QSlider(Qt.Orientation.Horizontal)
    slider.setRange(0, 100)
    slider.setAccessibleName(name)
    return slider


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    for number, widget in enumerate(widgets):
        row.addWidget(widget, 0 if number == len(widgets) - 1 else 1)
    return row
