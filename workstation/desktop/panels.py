"""The panels beside the panes: looks, and measures."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QGroupBox,
    QScrollArea,
    QSlider,
    QWidget,
)

from render.engine.framing import outer_corners
from render.geometry import Box, vector
from workstation.desktop.language import tr
from workstation.desktop.model import edits
from workstation.desktop.model.looks import windows_for
from workstation.desktop.model.screen import STYLES
from workstation.desktop.transfer_editor import TransferEditor
from workstation.desktop.viewer import Viewer

_CROP_STEPS = 200
STYLE_TITLES = ("Rendering", "MIP", "MinIP", "Average")
CROP_TITLES = ("From right", "To left", "From anterior", "To posterior", "From foot", "To head")


class LookPanel(QWidget):
    """Presets, windows and slabs by name: the settings that a reader changes most."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer, unit = viewer, viewer.session.volume.unit
        self.presets, self.windows, self.styles = QComboBox(), QComboBox(), QComboBox()
        self._listed_with = ""
        for box in (self.presets, self.windows, self.styles):
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.setMinimumContentsLength(12)  # long names do not widen the panels
        for window in windows_for(unit):
            self.windows.addItem(f"{tr(window.title)}{f'  ({window.key})' if window.key else ''}", window.name)
        for style, title in zip(STYLES, STYLE_TITLES, strict=True):
            self.styles.addItem(tr(title), style)
        self.presets.activated.connect(lambda: viewer.choose_preset(self.presets.currentData()))
        self.windows.activated.connect(lambda: viewer.choose_window(self.windows.currentData()))
        self.styles.activated.connect(lambda: viewer.do(edits.with_style, self.styles.currentData()))
        self.table = QCheckBox(tr("Without table and holder"))
        self.table.clicked.connect(viewer.toggle_table)
        form = QFormLayout(self)
        for label, field in (
            (tr("3D preset"), self.presets),
            (tr("3D style"), self.styles),
            (tr("Window"), self.windows),
        ):
            field.setAccessibleName(label)
            form.addRow(label, field)
        form.addRow(self.table)
        form.addRow(TransferEditor(viewer))
        form.addRow(CropBox(viewer))
        viewer.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        solid, looks = self._viewer.session.screen.solid, self._viewer.looks
        if solid.transfer.name != self._listed_with:
            # The preset has changed and may be new, so the files are read again; not at every mouse move.
            self._listed_with = solid.transfer.name
            self.presets.clear()
            for name in looks.presets_for(self._viewer.session.volume.unit, self._viewer.identity.modality):
                self.presets.addItem(tr(looks.title_of(name)), name)
        self.presets.setCurrentIndex(self.presets.findData(solid.transfer.name))
        self.styles.setCurrentIndex(self.styles.findData(solid.style))
        self.table.setChecked(solid.body_above is not None)
        window = self._viewer.session.screen.window
        names = [w.name for w in windows_for(self._viewer.session.volume.unit) if w.window == window]
        self.windows.setCurrentIndex(self.windows.findData(names[0]) if names else -1)


class CropBox(QGroupBox):
    """The crop box of the 3D pane: two ends along each axis of the patient."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__(tr("Crop"))
        self._viewer = viewer
        corners = outer_corners(viewer.session.volume)
        self._ends = [(min(c[axis] for c in corners), max(c[axis] for c in corners)) for axis in range(3)]
        self.sliders: list[QSlider] = []
        form = QFormLayout(self)
        for title in CROP_TITLES:
            slider = QSlider(Qt.Orientation.Horizontal)
            slider.setRange(0, _CROP_STEPS)
            slider.setAccessibleName(f"{tr('Crop')}: {tr(title)}")
            slider.sliderPressed.connect(viewer.session.begin)
            slider.sliderReleased.connect(self._released)
            slider.valueChanged.connect(self._moved)
            self.sliders.append(slider)
            form.addRow(tr(title), slider)
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
        # The two ends never meet: an empty box shows nothing, so the reader could not see how to undo it.
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


def scrolled(panel: QWidget) -> QScrollArea:
    """Returns a panel that scrolls where a monitor is too low for it, and so never makes the window higher."""
    area = QScrollArea()
    area.setWidget(panel)
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setFocusProxy(panel)
    return area
