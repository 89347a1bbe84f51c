"""What stands beside the panes: looks, captured pictures, measures, the report and the charge."""

from typing import Any

import numpy as np
from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QIcon, QImage, QPixmap
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from render.engine.framing import outer_corners
from render.geometry import Box, vector
from render.picture import Picture, to_rgb
from render.presets import named_preset
from workstation.desktop import screen as edits
from workstation.desktop.delivery import Verdict
from workstation.desktop.looks import presets_for, windows_for
from workstation.desktop.session import CLINICAL_USES, Draft
from workstation.desktop.transfer import TransferEditor
from workstation.desktop.viewer import Viewer

_THUMB = 96
_CROP_STEPS = 200
# Sentences to begin with, for each clinical use; a physician changes or deletes them.
TEMPLATES: dict[str, dict[str, str]] = {
    "vascular": {
        "indication": "Vascular question: aneurysm, stenosis or malformation of …",
        "findings": "Course, calibre and branches …\nAneurysm: site, neck, diameter …\nStenosis: site, degree …",
        "impression": "",
    },
    "oncology": {
        "indication": "Tumour of …, staging or follow-up.",
        "findings": "Mass: site, size in three planes, borders …\nRelation to vessels and organs …\nNodes …",
        "impression": "",
    },
    "orthopaedics": {
        "indication": "Injury of …, fracture or joint.",
        "findings": "Fracture lines, fragments, displacement …\nJoint surfaces …\nAlignment …",
        "impression": "",
    },
    "neurosurgery": {
        "indication": "Planning or follow-up of surgery at …",
        "findings": "Lesion: site, size …\nRelation to skull, vessels and eloquent areas …\nApproach …",
        "impression": "",
    },
}


class LookPanel(QWidget):
    """Presets, windows, slabs: what a reader changes most, with names."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer, unit = viewer, viewer.session.volume.unit
        self.presets, self.windows, self.styles = QComboBox(), QComboBox(), QComboBox()
        for name in presets_for(unit):
            self.presets.addItem(named_preset(name).title or name, name)
        for window in windows_for(unit):
            self.windows.addItem(f"{window.title}{f'  ({window.key})' if window.key else ''}", window.name)
        for style, title in zip(edits.STYLES, ("Rendering", "MIP", "MinIP", "Average"), strict=True):
            self.styles.addItem(title, style)
        self.presets.activated.connect(lambda: viewer.choose_preset(self.presets.currentData()))
        self.windows.activated.connect(lambda: viewer.choose_window(self.windows.currentData()))
        self.styles.activated.connect(lambda: viewer.do(edits.with_style, self.styles.currentData()))
        self.table = QCheckBox("Without table and holder")
        self.table.clicked.connect(viewer.toggle_table)
        form = QFormLayout(self)
        for label, field in (("3D preset", self.presets), ("3D style", self.styles), ("Window", self.windows)):
            form.addRow(label, field)
        form.addRow(self.table)
        form.addRow(TransferEditor(viewer))
        form.addRow(CropBox(viewer))
        viewer.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        solid = self._viewer.session.screen.solid
        self.presets.setCurrentIndex(self.presets.findData(solid.transfer.name))
        self.styles.setCurrentIndex(self.styles.findData(solid.style))
        self.table.setChecked(solid.body_above is not None)
        window = self._viewer.session.screen.window
        names = [w.name for w in windows_for(self._viewer.session.volume.unit) if w.window == window]
        self.windows.setCurrentIndex(self.windows.findData(names[0]) if names else -1)


class CropBox(QGroupBox):
    """What of the patient the 3D pane shows: two ends along each axis of the patient."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__("Crop")
        self._viewer = viewer
        corners = outer_corners(viewer.session.volume)
        self._ends = [(min(c[axis] for c in corners), max(c[axis] for c in corners)) for axis in range(3)]
        self.sliders: list[QSlider] = []
        form = QFormLayout(self)
        for title in ("From right", "To left", "From anterior", "To posterior", "From foot", "To head"):
            slider = QSlider(Qt.Orientation.Horizontal)
            slider.setRange(0, _CROP_STEPS)
            slider.setAccessibleName(f"Crop {title.lower()}")
            slider.sliderPressed.connect(viewer.session.begin)
            slider.sliderReleased.connect(self._released)
            slider.valueChanged.connect(self._moved)
            self.sliders.append(slider)
            form.addRow(title, slider)
        viewer.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        crop = self._viewer.session.screen.solid.crop
        for number, slider in enumerate(self.sliders):
            (low, high), upper = self._ends[number // 2], number % 2
            at = (high if upper else low) if crop is None else (crop.upper_mm if upper else crop.lower_mm)[number // 2]
            slider.blockSignals(True)
            slider.setValue(round((at - low) / (high - low) * _CROP_STEPS))
            slider.blockSignals(False)

    def _moved(self) -> None:
        parts = [slider.value() / _CROP_STEPS for slider in self.sliders]
        # The two ends never meet: a box without inside shows nothing and cannot be undone by eye.
        if any(parts[2 * axis + 1] - parts[2 * axis] < 0.02 for axis in range(3)):
            self.refresh()
            return
        lower, upper = (
            vector([low + parts[2 * axis + end] * (high - low) for axis, (low, high) in enumerate(self._ends)])
            for end in (0, 1)
        )
        whole = all(parts[2 * axis] == 0.0 and parts[2 * axis + 1] == 1.0 for axis in range(3))
        self._viewer.do(edits.cropped, None if whole else Box(lower, upper), moving=True)

    def _released(self) -> None:
        self._viewer.session.end()
        self._viewer.refresh()


class Tray(QWidget):
    """Captured pictures; a tick chooses one for the report."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._icons: dict[str, QIcon] = {}
        self.list = QListWidget()
        self.list.setIconSize(QSize(_THUMB, _THUMB))
        self.list.itemChanged.connect(self._ticked)
        self.remove = QPushButton("Remove")
        self.remove.clicked.connect(self._remove)
        hint = QLabel("Ticked pictures are for the report. What is stored is drawn anew.")
        hint.setWordWrap(True)
        layout = QVBoxLayout(self)
        for part in (hint, self.list, self.remove):
            layout.addWidget(part)
        viewer.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        captures = self._viewer.session.screen.captures
        self.list.blockSignals(True)
        while self.list.count() > len(captures):
            self.list.takeItem(self.list.count() - 1)
        while self.list.count() < len(captures):
            self.list.addItem(QListWidgetItem())
        for number, capture in enumerate(captures):
            item = self.list.item(number)
            if item.text() != capture.recipe.name:
                item.setText(capture.recipe.name)
                item.setIcon(self._icon(capture))
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Checked if capture.key else Qt.CheckState.Unchecked)
        self.list.blockSignals(False)
        self.remove.setEnabled(bool(captures))

    def _icon(self, capture: edits.Capture) -> QIcon:
        name = capture.recipe.name
        if name not in self._icons:
            self._icons[name] = QIcon(QPixmap.fromImage(image_of(self._viewer.thumbnail(capture.recipe))))
        return self._icons[name]

    def _ticked(self, item: QListWidgetItem) -> None:
        key = item.checkState() == Qt.CheckState.Checked
        self._viewer.do(edits.chosen, self.list.row(item), key)

    def _remove(self) -> None:
        number = self.list.currentRow()
        if number >= 0:
            self._icons.pop(self.list.item(number).text(), None)
            self._viewer.do(edits.uncaptured, number)


class Measures(QWidget):
    """Every measure with its numbers; one that is chosen brings its plane."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer, self.list = viewer, QListWidget()
        self.list.itemActivated.connect(self._go)
        self.remove = QPushButton("Remove")
        self.remove.clicked.connect(self._remove)
        layout = QVBoxLayout(self)
        layout.addWidget(self.list)
        layout.addWidget(self.remove)
        viewer.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        said = [
            f"{m.kind}: {self._viewer.said_of(m)}".replace("\n", ", ") for m in self._viewer.session.screen.measures
        ]
        if said != [self.list.item(n).text() for n in range(self.list.count())]:
            self.list.clear()
            self.list.addItems(said)
        self.remove.setEnabled(bool(said))

    def _go(self, item: QListWidgetItem) -> None:
        measure = self._viewer.session.screen.measures[self.list.row(item)]
        self._viewer.do(edits.at_cursor, measure.points_mm[0])

    def _remove(self) -> None:
        if self.list.currentRow() >= 0:
            self._viewer.do(edits.unmeasured, self.list.currentRow())


class ReportPanel(QScrollArea):
    """The structured report. signed : the physician wants to sign; sign is only for physicians."""

    signed = Signal()

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._session = viewer.session
        inner = QWidget()
        form = QVBoxLayout(inner)
        self.use = QComboBox()
        self.use.addItem("Template …", None)
        for name in CLINICAL_USES:
            self.use.addItem(name.capitalize(), name)
        self.use.activated.connect(self._template)
        form.addWidget(self.use)
        self.fields: dict[str, QPlainTextEdit] = {}
        for key, title, hint, height in (
            ("indication", "Indication", "", 54),
            ("findings", "Findings, 3D findings included", "", 120),
            ("impression", "Impression", "", 80),
            ("necessity", "Medical necessity", "Why 3D was needed for this patient", 54),
            ("utility", "Clinical utility", "What the 3D pictures contributed", 54),
            ("workstation", "Independent workstation", "That the pictures were made on an independent workstation", 54),
        ):
            box = QGroupBox(title)
            edit = QPlainTextEdit()
            edit.setPlaceholderText(hint)
            edit.setTabChangesFocus(True)
            edit.setFixedHeight(height)
            edit.setAccessibleName(title)
            edit.textChanged.connect(lambda key=key, edit=edit: self._wrote(key, edit.toPlainText()))
            QVBoxLayout(box).addWidget(edit)
            self.fields[key] = edit
            form.addWidget(box)
        self.required, self.concurrent = (
            _asked(form, "An independent workstation was required"),
            _asked(form, "I supervised the work while it was done"),
        )
        self.required.activated.connect(lambda: self._session.write(required=self.required.currentData()))
        self.concurrent.activated.connect(lambda: self._session.write(concurrent=self.concurrent.currentData()))
        self.sign = QPushButton("Sign and deliver …")
        self.sign.clicked.connect(self.signed)
        form.addWidget(self.sign)
        self.why_not = QLabel()
        self.why_not.setWordWrap(True)
        form.addWidget(self.why_not)
        self.setWidget(inner)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.show_draft(self._session.draft)

    def show_draft(self, draft: Draft) -> None:
        for key, edit in self.fields.items():
            if edit.toPlainText() != getattr(draft, key):
                edit.setPlainText(getattr(draft, key))
        self.use.setCurrentIndex(max(self.use.findData(draft.clinical_use), 0))
        self.required.setCurrentIndex(self.required.findData(draft.required))
        self.concurrent.setCurrentIndex(self.concurrent.findData(draft.concurrent))

    def allow_signing(self, why_not: str) -> None:
        """An empty reason allows it."""
        self.sign.setEnabled(not why_not)
        self.why_not.setText(why_not)

    def _wrote(self, key: str, text: str) -> None:
        self._session.write(**{key: text})

    def _template(self) -> None:
        name = self.use.currentData()
        self._session.write(clinical_use=name)
        for key, text in TEMPLATES.get(name or "", {}).items():
            # What somebody wrote is never written over.
            if not self.fields[key].toPlainText().strip():
                self.fields[key].setPlainText(text)


def _asked(form: QVBoxLayout, question: str) -> QComboBox:
    box = QComboBox()
    for title, value in (("not stated", None), ("yes", True), ("no", False)):
        box.addItem(title, value)
    box.setAccessibleName(question)
    row = QHBoxLayout()
    label = QLabel(question)
    label.setWordWrap(True)
    row.addWidget(label, 1)
    row.addWidget(box)
    form.addLayout(row)
    return box


class ChargePanel(QWidget):
    """The decision as it stands, with a button to the field that fills what is missing. fill : the field's name."""

    fill = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._layout = QVBoxLayout(self)
        self.headline = QLabel()
        self.headline.setObjectName("headline")
        self.headline.setWordWrap(True)
        self._layout.addWidget(self.headline)
        self._items = QVBoxLayout()
        self._layout.addLayout(self._items)
        self.note = QLabel()
        self.note.setWordWrap(True)
        self._layout.addWidget(self.note)
        self._layout.addStretch()
        self.verdict: Verdict | None = None

    def show_verdict(self, verdict: Verdict) -> None:
        if verdict == self.verdict:
            return
        self.verdict = verdict
        self.headline.setText(verdict.headline)
        self.note.setText(verdict.note)
        _emptied(self._items)
        for sentence, who, field in verdict.missing:
            row, label = QHBoxLayout(), QLabel(f"{sentence}\nCan be supplied by: {who}")
            label.setWordWrap(True)
            row.addWidget(label, 1)
            if field:
                button = QPushButton("Fill in")
                button.clicked.connect(lambda _=False, field=field: self.fill.emit(field))
                row.addWidget(button)
            self._items.addLayout(row)


def _emptied(layout: Any) -> None:
    while (item := layout.takeAt(0)) is not None:
        if item.widget() is not None:
            item.widget().deleteLater()
        elif item.layout() is not None:
            _emptied(item.layout())


def image_of(picture: Picture) -> QImage:
    rgb = np.ascontiguousarray(to_rgb(picture))
    rows, columns = rgb.shape[:2]
    return QImage(rgb.data, columns, rows, 3 * columns, QImage.Format.Format_RGB888).copy()
